/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A display and its driver, for tests of the device: each command by one call. Included by one .c
 * of a test; brings fake_pages.h.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_GPU_H
#define RAYOS_TESTS_HOST_FAKE_GPU_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/gpu_priv.h"
#include "tests/host/fake_pages.h"
#include "tests/host/fake_ring.h"

#define SIZE 16u

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[2];
static uint64_t request, response, pixels; /* gpa */
static long vmap_live;

void *vmap_alloc(size_t size)
{
	vmap_live++;
	return malloc(size);
}

void vmap_free(void *p)
{
	vmap_live -= p != NULL;
	free(p);
}

static inline void attach(const char *spec)
{
	a = fake_attach(vm, "gpu", spec);
	d = a->dev;
	request = fake_guest_alloc(4096, 16);
	response = fake_guest_alloc(4096, 16);
	assert_true(fake_driver_start(d, VGPU_F_EDID, ring, 2, SIZE));
}

static inline int setup(void **state)
{
	(void)state;
	vm = fake_virtio_vm(1);
	attach("size=1280x800");
	pixels = fake_guest_alloc(MIB(1), 4096);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	assert_int_equal(fake_pages_live, 0);
	assert_int_equal(vmap_live, 0);
	return 0;
}

/* --- sending commands --- */

static uint32_t response_len;

static inline const struct vgpu_hdr *answer_hdr(void)
{
	return fake_guest(response);
}

/* A request of @len bytes at `request` and room for @room of response; nothing waited for. */
static inline void submit(unsigned int queue, uint32_t len, uint32_t room)
{
	const struct fake_buf b[] = {{request, len, false}, {response, room, true}};

	memset(fake_guest(response), 0xee, 2048);
	fake_ring_add(&ring[queue], b, room ? 2 : 1);
	fake_ring_kick(&ring[queue]);
	fake_io_run(vm);
}

/* The response's type, 0 when there is none. */
static inline uint32_t collect(unsigned int queue)
{
	uint32_t head;

	if (!fake_ring_used(&ring[queue], &head, &response_len))
		return 0;
	return response_len ? answer_hdr()->type : 1;
}

static inline void put_request(uint32_t type, const void *body, uint32_t len)
{
	const struct vgpu_hdr hdr = {.type = type};

	memcpy(fake_guest(request), &hdr, sizeof(hdr));
	memcpy((uint8_t *)fake_guest(request) + sizeof(hdr), body, len);
}

static inline uint32_t run(uint32_t type, const void *body, uint32_t len)
{
	put_request(type, body, len);
	submit(0, 24 + len, 24);
	return collect(0);
}

static inline uint32_t create(uint32_t id, uint32_t format, uint32_t width, uint32_t height)
{
	const uint32_t body[] = {id, format, width, height};

	return run(VGPU_RESOURCE_CREATE_2D, body, sizeof(body));
}

static inline uint32_t by_id(uint32_t type, uint32_t id)
{
	const uint32_t body[] = {id, 0};

	return run(type, body, sizeof(body));
}

static inline uint32_t attach_entries(uint32_t id, uint32_t claimed, const struct vgpu_entry *e, uint32_t n)
{
	uint8_t body[8 + 16 * 32];
	const uint32_t head[] = {id, claimed};

	assert_true(n <= 32);
	memcpy(body, head, 8);
	memcpy(body + 8, e, n * sizeof(*e));
	return run(VGPU_RESOURCE_ATTACH_BACKING, body, 8 + n * 16);
}

static inline uint32_t attach_one(uint32_t id, uint64_t gpa, uint32_t len)
{
	const struct vgpu_entry e = {gpa, len, 0};

	return attach_entries(id, 1, &e, 1);
}

static inline uint32_t scanout(uint32_t id, uint32_t number, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	const uint32_t body[] = {x, y, w, h, number, id};

	return run(VGPU_SET_SCANOUT, body, sizeof(body));
}

static inline uint32_t flush(uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	const uint32_t body[] = {x, y, w, h, id, 0};

	return run(VGPU_RESOURCE_FLUSH, body, sizeof(body));
}

static inline uint32_t transfer(uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t off)
{
	const uint32_t body[] = {x, y, w, h, (uint32_t)off, (uint32_t)(off >> 32), id, 0};

	return run(VGPU_TRANSFER_TO_HOST_2D, body, sizeof(body));
}

static inline uint32_t cursor(uint32_t type, uint32_t id, uint32_t x, uint32_t y, uint32_t hot)
{
	const uint32_t body[] = {0, x, y, 0, id, hot, hot, 0};

	put_request(type, body, sizeof(body));
	submit(1, 24 + sizeof(body), 0);
	return collect(1);
}

/* What vgpu_read() does, with the I/O thread run by hand. */
static inline int picture(uint32_t *out, uint32_t *width, uint32_t *height)
{
	struct vgpu_shot s = {.pixels = out};
	int err;

	if (!vgpu_size(a, &s.width, &s.height))
		return -RAY_ENOENT;
	vgpu_shot_begin(vgpu_of(d), &s);
	fake_io_run(vm);
	assert_true(s.done);
	err = vgpu_shot_end(&s);
	*width = s.width;
	*height = s.height;
	return err;
}

/* A resource of @w x @h with a backing of @len bytes at `pixels`. */
static inline void resource(uint32_t id, uint32_t format, uint32_t w, uint32_t h, uint32_t len)
{
	assert_int_equal(create(id, format, w, h), VGPU_OK_NODATA);
	assert_int_equal(attach_one(id, pixels, len), VGPU_OK_NODATA);
}

static inline void draw(uint32_t words, uint32_t seed)
{
	uint32_t *p = fake_guest(pixels);

	for (uint32_t i = 0; i < words; i++)
		p[i] = (i + seed) * 2654435761u;
}

static inline void assert_broken(void)
{
	fake_io_run(vm);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, "command or response shorter than its header");
	assert_true(fake_driver_start(d, VGPU_F_EDID, ring, 2, SIZE));
	assert_false(d->broken);
}

#endif
