/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/gpu.c
 * devices/virt/virtio/gpu_cmd.c devices/virt/virtio/gpu_edid.c devices/virt/virtio/gpu_format.c
 * devices/virt/virtio/gpu_read.c devices/virt/virtio/gpu_res.c devices/virt/virtio/gpu_state.c
 * security/quota.c kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c
 * kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Display device: each command and each way to get it wrong, pixels, quota, state, pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_gpu.h"

/* --- tests --- */

static void test_display(void **state)
{
	const struct vgpu_display_info *info = fake_guest(response + 24);
	const struct vgpu_edid_reply *edid = fake_guest(response + 24);
	const uint32_t first[] = {0, 0}, second[] = {1, 0};
	uint8_t sum = 0;

	(void)state;
	assert_int_equal(fake_config_read(d, 0, 4), 0);
	assert_int_equal(fake_config_read(d, 8, 4), 1);
	assert_int_equal(fake_config_read(d, 12, 4), 0);
	put_request(VGPU_GET_DISPLAY_INFO, "", 0);
	submit(0, 24, 408);
	assert_int_equal(collect(0), VGPU_OK_DISPLAY_INFO);
	assert_int_equal(response_len, 408);
	assert_int_equal(info->mode[0].rect.width, 1280);
	assert_int_equal(info->mode[0].rect.height, 800);
	assert_int_equal(info->mode[0].enabled, 1);
	assert_int_equal(info->mode[1].enabled, 0);
	submit(0, 24, 407); /* no room for the answer */
	assert_int_equal(collect(0), VGPU_ERR_UNSPEC);
	assert_int_equal(response_len, 24);
	put_request(VGPU_GET_EDID, first, 8);
	submit(0, 32, 1056);
	assert_int_equal(collect(0), VGPU_OK_EDID);
	assert_int_equal(response_len, 1056);
	assert_int_equal(edid->size, 128);
	for (unsigned int i = 0; i < 128; i++)
		sum = (uint8_t)(sum + edid->edid[i]);
	assert_int_equal(sum, 0);
	assert_memory_equal(edid->edid, "\x00\xff\xff\xff\xff\xff\xff\x00", 8);
	assert_int_equal(edid->edid[56] | (edid->edid[58] & 0xf0) << 4, 1280);
	assert_int_equal(edid->edid[59] | (edid->edid[61] & 0xf0) << 4, 800);
	put_request(VGPU_GET_EDID, second, 8);
	submit(0, 32, 1056);
	assert_int_equal(collect(0), VGPU_ERR_INVALID_SCANOUT_ID);
	/* A driver that did not take the feature. */
	assert_true(fake_driver_start(d, 0, ring, 2, SIZE));
	put_request(VGPU_GET_EDID, first, 8);
	submit(0, 32, 1056);
	assert_int_equal(collect(0), VGPU_ERR_UNSPEC);
}

static void test_edid_of_any_size(void **state)
{
	static const uint32_t sides[] = {64, 640, 1024, 1920, 2560, 4095};
	uint8_t e[VGPU_EDID_SIZE];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sides) * ARRAY_SIZE(sides); i++) {
		uint32_t w = sides[i % ARRAY_SIZE(sides)], h = sides[i / ARRAY_SIZE(sides)];
		uint32_t clock, lines, sum = 0;

		vgpu_edid(e, w, h);
		for (unsigned int k = 0; k < sizeof(e); k++)
			sum += e[k];
		assert_int_equal(sum & 0xff, 0);
		assert_int_equal(e[56] | (e[58] & 0xf0) << 4, w);
		assert_int_equal(e[59] | (e[61] & 0xf0) << 4, h);
		lines = h + (e[60] | (e[61] & 0xfu) << 8);
		clock = (e[54] | (uint32_t)e[55] << 8) * 10000;
		assert_in_range(clock / (w + 160) / lines, clock < 655000000 ? 58 : 20, 60);
	}
}

static void test_resources(void **state)
{
	(void)state;
	assert_int_equal(create(0, VGPU_B8G8R8X8, 8, 8), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create(1, 0, 8, 8), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(create(1, 5, 8, 8), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 0, 8), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 8, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 16385, 1), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(create(1, VGPU_B8G8R8X8, UINT32_MAX, UINT32_MAX), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 8, 8), VGPU_OK_NODATA);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 8, 8), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create(65, VGPU_R8G8B8X8, 16384, 1), VGPU_OK_NODATA);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 2), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 1), VGPU_OK_NODATA);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 1), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 65), VGPU_OK_NODATA);
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
	assert_int_equal(a->handler.count[POLICY_CREATE].ops, 10);
	assert_int_equal(a->handler.count[POLICY_CREATE].errors, 8);
	/* Not of this device, or of the other queue. */
	assert_int_equal(run(0x0108, "", 0), VGPU_ERR_UNSPEC);
	assert_int_equal(run(0x0200, "", 0), VGPU_ERR_UNSPEC);
	assert_int_equal(run(VGPU_MOVE_CURSOR, "", 0), VGPU_ERR_UNSPEC);
	/* A body cut short. */
	put_request(VGPU_RESOURCE_CREATE_2D, "", 0);
	submit(0, 39, 24);
	assert_int_equal(collect(0), VGPU_ERR_INVALID_PARAMETER);
}

static void test_quota(void **state)
{
	uint32_t made = 0, id;

	(void)state;
	attach("memory=1M");
	/* 64 KiB and what it takes to know of it: 15 fit. */
	for (id = 1; create(id, VGPU_B8G8R8X8, 128, 128) == VGPU_OK_NODATA; id++)
		made++;
	assert_int_equal(made, 15);
	assert_int_equal(answer_hdr()->type, VGPU_ERR_OUT_OF_MEMORY);
	fake_io_run(vm);
	assert_non_null(strstr(fake_markers, "QUOTA_EXCEEDED vm=fake device=gpu1 what=space"));
	assert_int_equal(create(id, VGPU_B8G8R8X8, 16384, 16384), VGPU_ERR_OUT_OF_MEMORY);
	assert_int_equal(fake_pages_live, 0); /* nothing was drawn yet */
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 1), VGPU_OK_NODATA);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 128, 128), VGPU_OK_NODATA);
	/* Entries count too. */
	for (id = 1; id <= 15; id++)
		assert_int_equal(attach_one(id, pixels, 16), VGPU_OK_NODATA);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 2), VGPU_OK_NODATA);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
}

static void test_too_many_resources(void **state)
{
	uint32_t id;

	(void)state;
	for (id = 1; id <= VGPU_RESOURCES_MAX; id++)
		assert_int_equal(create(id, VGPU_B8G8R8X8, 1, 1), VGPU_OK_NODATA);
	assert_int_equal(create(id, VGPU_B8G8R8X8, 1, 1), VGPU_ERR_OUT_OF_MEMORY);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 7), VGPU_OK_NODATA);
	assert_int_equal(create(id, VGPU_B8G8R8X8, 1, 1), VGPU_OK_NODATA);
}

static void test_backing(void **state)
{
	const struct vgpu_entry good[] = {{pixels, 100, 0}, {pixels + 5000, 0, 0},
					  {FAKE_RAM_SIZE - 4, 4, 0}};
	const struct vgpu_entry bad[][2] = {
		{{pixels, 16, 0}, {FAKE_RAM_SIZE - 4, 5, 0}},
		{{pixels, 16, 0}, {FAKE_RAM_SIZE + 4096, 16, 0}},
		{{pixels, 16, 0}, {UINT64_MAX - 3, 16, 0}},
		{{pixels, 16, 0}, {pixels, UINT32_MAX, 0}},
	};

	(void)state;
	assert_int_equal(attach_one(1, pixels, 64), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 4, 4), VGPU_OK_NODATA);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(attach_entries(1, 2, bad[i], 2), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(attach_entries(1, 0, good, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(attach_entries(1, 4, good, 3), VGPU_ERR_INVALID_PARAMETER); /* cut short */
	assert_int_equal(attach_entries(1, VGPU_ENTRIES_MAX + 1, good, 3), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(attach_entries(1, UINT32_MAX, good, 3), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(by_id(VGPU_RESOURCE_DETACH_BACKING, 1), VGPU_ERR_UNSPEC);
	assert_int_equal(transfer(1, 0, 0, 4, 4, 0), VGPU_ERR_UNSPEC);
	assert_int_equal(attach_entries(1, 3, good, 3), VGPU_OK_NODATA);
	assert_int_equal(attach_one(1, pixels, 64), VGPU_ERR_UNSPEC);
	assert_int_equal(by_id(VGPU_RESOURCE_DETACH_BACKING, 2), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(by_id(VGPU_RESOURCE_DETACH_BACKING, 1), VGPU_OK_NODATA);
	assert_int_equal(attach_one(1, pixels, 64), VGPU_OK_NODATA);
}

static void test_transfers_refused(void **state)
{
	(void)state;
	resource(1, VGPU_B8G8R8X8, 10, 10, 400);
	assert_int_equal(transfer(2, 0, 0, 1, 1, 0), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(transfer(1, 0, 0, 11, 1, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 1, 0, 10, 1, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 10, 0, 1, 1, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 0, 9, 1, 2, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 1, 1, UINT32_MAX, UINT32_MAX, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 0, 0, 0, 1, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 0, 0, 10, 10, 4), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 0, 0, 1, 1, 400), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 0, 0, 1, 1, UINT64_MAX - 2), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(transfer(1, 0, 0, 1, 1, 396), VGPU_OK_NODATA);
	assert_int_equal(transfer(1, 0, 0, 10, 10, 0), VGPU_OK_NODATA);
	assert_int_equal(flush(1, 0, 0, 10, 11), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(flush(2, 0, 0, 1, 1), VGPU_ERR_INVALID_RESOURCE_ID);
	/* No memory for pixels: refused, and tried again later. */
	resource(3, VGPU_B8G8R8X8, 4, 4, 64);
	fake_allocs_left = 0;
	assert_int_equal(transfer(3, 0, 0, 4, 4, 0), VGPU_ERR_OUT_OF_MEMORY);
	fake_allocs_left = -1;
	assert_int_equal(transfer(3, 0, 0, 4, 4, 0), VGPU_OK_NODATA);
}

static void test_screen(void **state)
{
	uint32_t shot[64], w, h;

	(void)state;
	assert_int_equal(picture(shot, &w, &h), -RAY_ENOENT);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 10, 6), VGPU_OK_NODATA);
	assert_int_equal(scanout(1, 1, 0, 0, 10, 6), VGPU_ERR_INVALID_SCANOUT_ID);
	assert_int_equal(scanout(2, 0, 0, 0, 10, 6), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(scanout(1, 0, 0, 0, 11, 6), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(scanout(1, 0, 0, 0, 0, 0), VGPU_ERR_INVALID_PARAMETER);
	assert_int_equal(scanout(1, 0, 0, 0, 10, 6), VGPU_OK_NODATA);
	assert_int_equal(picture(shot, &w, &h), 0);
	assert_true(w == 10 && h == 6);
	for (unsigned int i = 0; i < 60; i++)
		assert_int_equal(shot[i], 0);
	assert_int_equal(attach_one(1, pixels, 240), VGPU_OK_NODATA);
	draw(60, 1);
	assert_int_equal(transfer(1, 0, 0, 10, 6, 0), VGPU_OK_NODATA);
	assert_int_equal(flush(1, 0, 0, 10, 6), VGPU_OK_NODATA);
	assert_int_equal(picture(shot, &w, &h), 0);
	for (unsigned int i = 0; i < 60; i++)
		assert_int_equal(shot[i], (i + 1) * 2654435761u & 0xffffff);
	/* A part of it. */
	assert_int_equal(scanout(1, 0, 3, 2, 5, 4), VGPU_OK_NODATA);
	assert_int_equal(picture(shot, &w, &h), 0);
	assert_true(w == 5 && h == 4);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(shot[i], ((i / 5 + 2) * 10 + i % 5 + 3 + 1) * 2654435761u & 0xffffff);
	assert_int_equal(((struct vgpu *)a->back)->frames, 1);
	assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 1), VGPU_OK_NODATA);
	assert_int_equal(picture(shot, &w, &h), -RAY_ENOENT);
	assert_int_equal(create(1, VGPU_B8G8R8X8, 10, 6), VGPU_OK_NODATA);
	assert_int_equal(scanout(1, 0, 0, 0, 10, 6), VGPU_OK_NODATA);
	assert_int_equal(scanout(0, 0, 0, 0, 0, 0), VGPU_OK_NODATA);
	assert_int_equal(picture(shot, &w, &h), -RAY_ENOENT);
}

static void test_formats(void **state)
{
	static const struct {
		uint32_t format, shown;
	} t[] = {
		{VGPU_B8G8R8A8, 0x332211}, {VGPU_B8G8R8X8, 0x332211}, {VGPU_A8R8G8B8, 0x223344},
		{VGPU_X8R8G8B8, 0x223344}, {VGPU_R8G8B8A8, 0x112233}, {VGPU_X8B8G8R8, 0x443322},
		{VGPU_A8B8G8R8, 0x443322}, {VGPU_R8G8B8X8, 0x112233},
	};
	uint32_t shot[1], w, h;

	(void)state;
	memcpy(fake_guest(pixels), "\x11\x22\x33\x44", 4);
	for (uint32_t i = 0; i < ARRAY_SIZE(t); i++) {
		resource(i + 1, t[i].format, 1, 1, 4);
		assert_int_equal(transfer(i + 1, 0, 0, 1, 1, 0), VGPU_OK_NODATA);
		assert_int_equal(scanout(i + 1, 0, 0, 0, 1, 1), VGPU_OK_NODATA);
		assert_int_equal(picture(shot, &w, &h), 0);
		assert_int_equal(shot[0], t[i].shown);
	}
}

/* Rectangles from a backing in odd pieces, compared with a plain copy. */
static void test_scattered_backing(void **state)
{
	enum { W = 37, H = 29, ENTRIES = 30 };
	static uint32_t flat[W * H], want[W * H], shot[W * H];
	struct vgpu_entry e[ENTRIES];
	uint32_t left = sizeof(flat), w, h, at = 0;

	(void)state;
	for (uint32_t i = 0; i < W * H; i++)
		flat[i] = (i * 40503u + 17) & 0xffffff;
	for (uint32_t i = 0; i < ENTRIES; i++) {
		uint32_t len = i + 1 == ENTRIES ? left : i % 5 == 4 ? 0 : MIN(left, 3 + i * 11);

		e[i] = (struct vgpu_entry){pixels + (ENTRIES - i) * 6000, len, 0};
		memcpy(fake_guest(e[i].gpa), (uint8_t *)flat + at, len);
		at += len;
		left -= len;
	}
	assert_int_equal(create(9, VGPU_B8G8R8X8, W, H), VGPU_OK_NODATA);
	assert_int_equal(attach_entries(9, ENTRIES, e, ENTRIES), VGPU_OK_NODATA);
	assert_int_equal(scanout(9, 0, 0, 0, W, H), VGPU_OK_NODATA);
	for (unsigned int i = 0; i < 40; i++) {
		uint32_t x = i * 7 % W, y = i * 5 % H, rw = 1 + i * 3 % (W - x), rh = 1 + i % (H - y);

		assert_int_equal(transfer(9, x, y, rw, rh, 4 * (y * W + x)), VGPU_OK_NODATA);
		for (uint32_t k = 0; k < rw * rh; k++) {
			uint32_t p = (y + k / rw) * W + x + k % rw;

			want[p] = flat[p];
		}
		assert_int_equal(picture(shot, &w, &h), 0);
		assert_memory_equal(shot, want, sizeof(want));
	}
}

/* More than a turn may copy: several, and no picture in between. */
static void test_long_transfer(void **state)
{
	enum { W = 512, H = 512 };
	static uint32_t shot[W * H];
	const uint32_t body[] = {0, 0, W, H, 0, 0, 1, 0};
	struct vgpu_shot s = {.pixels = shot, .width = W, .height = H};
	const struct fake_buf b[] = {{request, 24 + sizeof(body), false}, {response, 24, true}};

	(void)state;
	resource(1, VGPU_B8G8R8X8, W, H, MIB(1));
	assert_int_equal(scanout(1, 0, 0, 0, W, H), VGPU_OK_NODATA);
	draw(W * H, 5);
	put_request(VGPU_TRANSFER_TO_HOST_2D, body, sizeof(body));
	fake_ring_add(&ring[0], b, 2);
	epoch_enter();
	virtq_run(&d->queue[0], false);
	epoch_leave();
	assert_true(vgpu_of(d)->busy);
	assert_int_equal(collect(0), 0);
	/* What the guest does to the request now changes nothing. */
	memset((uint8_t *)fake_guest(request) + 24, 0xff, sizeof(body));
	vgpu_shot_begin(vgpu_of(d), &s);
	fake_io_run(vm);
	assert_int_equal(vgpu_shot_end(&s), 0);
	assert_int_equal(collect(0), VGPU_OK_NODATA);
	for (uint32_t i = 0; i < W * H; i++)
		assert_int_equal(shot[i], (i + 5) * 2654435761u & 0xffffff);
	assert_int_equal(a->handler.count[POLICY_TRANSFER].bytes, MIB(1));
	/* A driver that resets in the middle of one. */
	put_request(VGPU_TRANSFER_TO_HOST_2D, body, sizeof(body));
	fake_ring_add(&ring[0], b, 2);
	epoch_enter();
	virtq_run(&d->queue[0], false);
	epoch_leave();
	assert_true(vgpu_of(d)->busy);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_false(vgpu_of(d)->busy);
	assert_int_equal(fake_pages_live, 0);
	fake_io_run(vm);
}

static void test_fences(void **state)
{
	const struct vgpu_hdr fenced = {.type = VGPU_GET_DISPLAY_INFO, .flags = VGPU_FLAG_FENCE,
					.fence_id = 0x123456789abcull, .ctx_id = 7, .ring_idx = 3};
	struct vgpu_hdr hdr = fenced;

	(void)state;
	memcpy(fake_guest(request), &hdr, sizeof(hdr));
	submit(0, 24, 408);
	assert_int_equal(collect(0), VGPU_OK_DISPLAY_INFO);
	assert_int_equal(answer_hdr()->flags, VGPU_FLAG_FENCE);
	assert_int_equal(answer_hdr()->fence_id, 0x123456789abcull);
	assert_int_equal(answer_hdr()->ctx_id, 7);
	assert_int_equal(answer_hdr()->ring_idx, 3);
	hdr.type = VGPU_RESOURCE_UNREF; /* errors too */
	memcpy(fake_guest(request), &hdr, sizeof(hdr));
	submit(0, 32, 24);
	assert_int_equal(collect(0), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(answer_hdr()->fence_id, 0x123456789abcull);
	hdr.flags = 0xfffffffe;
	memcpy(fake_guest(request), &hdr, sizeof(hdr));
	submit(0, 32, 24);
	assert_int_equal(collect(0), VGPU_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(answer_hdr()->flags, 0);
	assert_int_equal(answer_hdr()->fence_id, 0);
}

static void test_cursor(void **state)
{
	uint32_t shot[100 * 100], w, h, *p = fake_guest(pixels);

	(void)state;
	resource(1, VGPU_B8G8R8X8, 100, 100, 40000);
	for (unsigned int i = 0; i < 10000; i++)
		p[i] = 0x204060;
	assert_int_equal(transfer(1, 0, 0, 100, 100, 0), VGPU_OK_NODATA);
	assert_int_equal(scanout(1, 0, 0, 0, 100, 100), VGPU_OK_NODATA);
	resource(2, VGPU_B8G8R8A8, 64, 64, 16384);
	memset(p, 0, 16384);
	p[0] = 0xffabcdefu;         /* opaque */
	p[1] = 0x80ff0000u;         /* half */
	p[64 * 64 - 1] = 0xff010203u;
	assert_int_equal(transfer(2, 0, 0, 64, 64, 0), VGPU_OK_NODATA);
	assert_int_equal(cursor(VGPU_UPDATE_CURSOR, 2, 10, 20, 0), 1);
	memset(p, 0x55, 16384); /* it is a copy */
	assert_int_equal(transfer(2, 0, 0, 64, 64, 0), VGPU_OK_NODATA);
	assert_int_equal(picture(shot, &w, &h), 0);
	assert_int_equal(shot[20 * 100 + 10], 0xabcdef);
	assert_int_equal(shot[20 * 100 + 11], 0x90201f + 0x11);
	assert_int_equal(shot[20 * 100 + 12], 0x204060);
	assert_int_equal(shot[83 * 100 + 73], 0x010203);
	/* Off the edges. */
	assert_int_equal(cursor(VGPU_MOVE_CURSOR, 2, 0xffffffff, 90, 0), 1);
	assert_int_equal(picture(shot, &w, &h), 0);
	assert_int_equal(shot[90 * 100], 0x90201f + 0x11);
	assert_int_equal(cursor(VGPU_MOVE_CURSOR, 2, 36, 36, 0), 1);
	assert_int_equal(picture(shot, &w, &h), 0);
	assert_int_equal(shot[99 * 100 + 99], 0x010203);
	/* Hot spot, hidden, refused. */
	assert_int_equal(cursor(VGPU_UPDATE_CURSOR, 0, 0, 0, 0), 1);
	assert_int_equal(picture(shot, &w, &h), 0);
	for (unsigned int i = 0; i < 10000; i++)
		assert_int_equal(shot[i], 0x204060);
	assert_int_equal(cursor(VGPU_UPDATE_CURSOR, 2, 5, 5, 5), 1);
	assert_int_equal(picture(shot, &w, &h), 0);
	assert_int_not_equal(shot[0], 0x204060);
	assert_int_equal(cursor(VGPU_UPDATE_CURSOR, 1, 0, 0, 0), 1); /* not 64 x 64 */
	assert_int_equal(cursor(VGPU_UPDATE_CURSOR, 77, 0, 0, 0), 1);
	assert_int_equal(a->handler.count[POLICY_CONFIGURE].errors, 2);
	/* With room for an answer there is one. */
	submit(1, 56, 24);
	assert_int_equal(collect(1), VGPU_ERR_INVALID_RESOURCE_ID);
}

static void test_broken_protocol(void **state)
{
	(void)state;
	submit(0, 23, 24);
	assert_broken();
	submit(0, 24, 23);
	assert_broken();
	submit(0, 24, 0);
	assert_broken();
	submit(1, 23, 0);
	assert_broken();
}

static void test_rate(void **state)
{
	(void)state;
	attach("rate=1M"); /* a burst of a tenth of a second: 100 KiB */
	resource(1, VGPU_B8G8R8X8, 128, 128, 65536);
	fake_virtio_advance(vm, 1000000000);
	assert_int_equal(transfer(1, 0, 0, 128, 128, 0), VGPU_OK_NODATA);
	assert_int_equal(transfer(1, 0, 0, 128, 128, 0), 0);
	fake_virtio_advance(vm, 20000000);
	assert_int_equal(collect(0), 0);
	fake_virtio_advance(vm, 60000000);
	assert_int_equal(collect(0), VGPU_OK_NODATA);
}

static void test_state(void **state)
{
	static uint8_t one[MIB(1)], two[MIB(1)], bad[MIB(1)];
	static uint32_t before[300 * 200], after[300 * 200];
	uint32_t w, h;
	size_t len;

	(void)state;
	resource(1, VGPU_B8G8R8X8, 300, 200, 240000);
	draw(60000, 3);
	assert_int_equal(transfer(1, 0, 0, 300, 200, 0), VGPU_OK_NODATA);
	assert_int_equal(scanout(1, 0, 10, 10, 280, 180), VGPU_OK_NODATA);
	resource(2, VGPU_A8R8G8B8, 64, 64, 16384);
	assert_int_equal(transfer(2, 0, 0, 64, 64, 0), VGPU_OK_NODATA);
	assert_int_equal(create(66, VGPU_A8R8G8B8, 3000, 2000), VGPU_OK_NODATA); /* never drawn */
	assert_int_equal(cursor(VGPU_UPDATE_CURSOR, 2, 50, 60, 1), 1);
	assert_int_equal(picture(before, &w, &h), 0);
	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, one, sizeof(one));
	assert_in_range(len, 240000 + 32768, 280000);
	d->dev.ops->reset(&d->dev);
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
	for (size_t cut = 0; cut < len; cut += 1 + len / 500)
		assert_int_equal(fake_load(&d->dev, one, cut), -RAY_EINVAL);
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
	assert_int_equal(fake_pages_live, 0);
	for (unsigned int n = 0; n < 6; n++) {
		fake_allocs_left = (int)n;
		assert_true(fake_load(&d->dev, one, len) < 0);
		fake_allocs_left = -1;
		assert_int_equal(quota_in_use(&a->handler.quota), 0);
	}
	assert_int_equal(fake_load(&d->dev, one, len), 0);
	assert_int_equal(fake_save(&d->dev, two, sizeof(two)), len);
	assert_memory_equal(one, two, len);
	d->dev.ops->resume(&d->dev);
	memset(after, 0, sizeof(after));
	assert_int_equal(picture(after, &w, &h), 0);
	assert_true(w == 280 && h == 180);
	assert_memory_equal(before, after, 280 * 180 * 4);
	/* Any byte of the device's own part changed: refused, or saved as it was read. */
	d->dev.ops->quiesce(&d->dev);
	for (size_t i = len - 400; i < len; i++) {
		memcpy(bad, one, len);
		bad[i] ^= 0xff;
		if (fake_load(&d->dev, bad, len) == 0)
			assert_int_equal(fake_save(&d->dev, two, sizeof(two)), len);
	}
	d->dev.ops->resume(&d->dev);
}

static void test_specification(void **state)
{
	static const char *const bad[] = {"size=1024", "size=x", "size=1024x", "size=63x100",
					  "size=100x4096", "size=1024x768x1", "memory=0",
					  "memory=2G", "memory=x", "width=5", "rate=-1"};
	char why[128], text[128];

	(void)state;
	assert_int_equal(vattach_check("gpu", "", why, sizeof(why)), 0);
	assert_int_equal(vattach_check("gpu", "memory=64M,size=4095x64,rate=10M", why, sizeof(why)), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(vattach_check("gpu", bad[i], why, sizeof(why)) < 0);
	assert_ptr_equal(vgpu_find(vm), a);
	a->kind->describe(a, text, sizeof(text));
	assert_string_equal(text, "1280x800, shows nothing, 0 KiB of resources, 0 frames");
}

static void test_creation_fails_at_every_allocation(void **state)
{
	struct vattach *more;
	char why[160];
	int err = -1;

	(void)state;
	for (int n = 0; err; n++) {
		int live = fake_allocs_live;

		fake_allocs_left = n;
		err = vattach_add(vm, "gpu", "", &more, why, sizeof(why));
		fake_allocs_left = -1;
		if (err)
			assert_int_equal(fake_allocs_live, live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_display, setup, teardown),
		cmocka_unit_test(test_edid_of_any_size),
		cmocka_unit_test_setup_teardown(test_resources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_resources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transfers_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_screen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scattered_backing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_transfer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fences, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cursor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_protocol, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_specification, setup, teardown),
		cmocka_unit_test_setup_teardown(test_creation_fails_at_every_allocation, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
