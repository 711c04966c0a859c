/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk and its driver, for tests of the block device: a VM with one guest buffer, requests by
 * one call, a boot module "disk.img". Included by one .c of a test; brings fake_pages.h.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_BLK_H
#define RAYOS_TESTS_HOST_FAKE_BLK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/blk.h"
#include "kernel/module.h"
#include "tests/host/fake_block.h"
#include "tests/host/fake_pages.h"
#include "tests/host/fake_ring.h"

#define PIECE    KIB(64)
#define ALL      (VIRTIO_F_INDIRECT_DESC | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE | \
		  VIRTIO_BLK_F_MQ)
#define DISCARDS (ALL | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES)
#define QSIZE    64u
#define BUF_SIZE KIB(512)

/* A module that ends inside a sector, inside a piece. */
#define MODULE_SIZE (3 * KIB(64) + 12345)
static uint8_t module[MODULE_SIZE];

int module_find(const char *name, const uint8_t **data, uint64_t *size)
{
	if (strcmp(name, "disk.img") == 0) {
		*data = module;
		*size = sizeof(module);
		return 0;
	}
	if (strcmp(name, "empty") == 0) {
		*data = module;
		*size = 0;
		return 0;
	}
	return -RAY_ENOENT;
}

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring rings[4], *r = &rings[0];
static uint64_t hdr, status, buf;

static void attach(const char *spec, uint64_t features)
{
	a = fake_attach(vm, "disk", spec);
	d = a->dev;
	assert_true(fake_driver_start(d, features, rings, 1, QSIZE));
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(module); i++)
		module[i] = (uint8_t)(i * 31 + i / 512 + 1);
	vm = fake_virtio_vm(2);
	hdr = fake_guest_alloc(1024, 64);
	status = fake_guest_alloc(64, 64);
	buf = fake_guest_alloc(BUF_SIZE, 4096);
	fake_host_free = GIB(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	fake_epoch_run();
	assert_int_equal(fake_pages_live, 0);
	return 0;
}

/* --- a driver's requests --- */

static void header(uint32_t type, uint64_t sector)
{
	*(struct vblk_header *)fake_guest(hdr) = (struct vblk_header){type, 0, sector};
	*(uint8_t *)fake_guest(status) = 0xee;
}

static uint8_t status_byte(void)
{
	return *(uint8_t *)fake_guest(status);
}

/* Send the chain; what the exit handler left over the I/O thread does. Returns the length. */
static uint32_t send(const struct fake_buf *b, unsigned int n)
{
	uint16_t head = fake_ring_add(r, b, n);
	uint32_t id, len;

	fake_ring_kick(r);
	fake_io_run(vm);
	assert_true(fake_ring_used(r, &id, &len));
	assert_int_equal(id, head);
	return len;
}

/* @n bytes of the buffer to or from the disk; nothing for other types. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t n)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	const struct fake_buf b[] = {{hdr, 16, false}, {buf, n, in}, {status, 1, true}};
	const struct fake_buf none[] = {{hdr, 16, false}, {status, 1, true}};
	uint32_t len;

	header(type, sector);
	len = n ? send(b, 3) : send(none, 2);
	if (status_byte() == VIRTIO_BLK_S_OK)
		assert_int_equal(len, in ? n + 1 : 1);
	return status_byte();
}

static uint8_t ranges(uint32_t type, const struct vblk_range *range, unsigned int n)
{
	const struct fake_buf b[] = {{hdr, 16, false}, {buf, n * 16, false}, {status, 1, true}};

	header(type, 0);
	memcpy(fake_guest(buf), range, n * sizeof(*range));
	send(b, 3);
	return status_byte();
}

static inline uint8_t range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct vblk_range one = {sector, sectors, flags};

	return ranges(type, &one, 1);
}

static uint8_t *data(void)
{
	return fake_guest(buf);
}

static void assert_bytes(uint8_t byte, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(data()[i], byte);
}

static void write_byte(uint64_t sector, uint8_t byte, uint32_t n)
{
	memset(data(), byte, n);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, sector, n), VIRTIO_BLK_S_OK);
}

static void read_all(uint64_t sector, uint32_t n)
{
	memset(data(), 0xdd, n);
	assert_int_equal(request(VIRTIO_BLK_T_IN, sector, n), VIRTIO_BLK_S_OK);
}

#endif
