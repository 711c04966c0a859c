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
/* Commands of a driver that means harm to the display, each made by hand. */
#include "tests/host/fake_gpu.h"

static const uint32_t edges[] = {0, 1, 2, 9, 10, 11, 255, 256, 0x3fff, 0x4000, 0x4001, 0xffff, 0x10000,
				 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff, 0x80000000,
				 0xfffffff5, 0xfffffff6, 0xfffffffe, UINT32_MAX};
#define EDGES ARRAY_SIZE(edges)

static void assert_refused(uint32_t answer)
{
	assert_in_range(answer, VGPU_ERR_UNSPEC, VGPU_ERR_INVALID_PARAMETER);
	assert_false(d->broken);
}

static void test_commands_that_are_none(void **state)
{
	static uint8_t body[512];

	(void)state;
	for (unsigned int fill = 0; fill < 2; fill++) {
		memset(body, fill ? 0xff : 0, sizeof(body));
		for (uint32_t type = 0; type < 0x420; type++) {
			if (type < VGPU_GET_DISPLAY_INFO || type > VGPU_MOVE_CURSOR ||
			    (type > VGPU_GET_EDID && type < VGPU_UPDATE_CURSOR))
				assert_refused(run(type, body, type % sizeof(body)));
		}
		for (unsigned int i = 3; i < EDGES; i++) {
			if (edges[i] >= 0x420)
				assert_refused(run(edges[i], body, 64));
		}
		/* Answers are no commands. */
		for (uint32_t type = VGPU_OK_NODATA; type <= VGPU_ERR_INVALID_PARAMETER; type++)
			assert_refused(run(type, body, 64));
	}
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
	assert_int_equal(a->handler.malformed, 0);
}

/* Each command one byte short, and all that is shorter. */
static void test_bodies_cut_short(void **state)
{
	static const struct {
		uint32_t type, len;
	} whole[] = {
		{VGPU_RESOURCE_CREATE_2D, 16}, {VGPU_RESOURCE_UNREF, 8}, {VGPU_SET_SCANOUT, 24},
		{VGPU_RESOURCE_FLUSH, 24}, {VGPU_TRANSFER_TO_HOST_2D, 32},
		{VGPU_RESOURCE_ATTACH_BACKING, 8}, {VGPU_RESOURCE_DETACH_BACKING, 8}, {VGPU_GET_EDID, 8},
	};
	static const uint32_t body[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(whole); i++) {
		for (uint32_t len = 0; len < whole[i].len; len++)
			assert_refused(run(whole[i].type, body, len));
	}
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
}

static void test_sizes(void **state)
{
	unsigned int made = 0;

	(void)state;
	for (unsigned int w = 0; w < EDGES; w++) {
		for (unsigned int h = 0; h < EDGES; h++) {
			bool good = edges[w] > 0 && edges[w] <= VGPU_SIDE_MAX && edges[h] > 0 &&
				    edges[h] <= VGPU_SIDE_MAX &&
				    (uint64_t)edges[w] * edges[h] * 4 <= MIB(64);
			uint32_t said = create(1, VGPU_B8G8R8X8, edges[w], edges[h]);

			if (said == VGPU_OK_NODATA) {
				made++;
				assert_true(edges[w] > 0 && edges[w] <= VGPU_SIDE_MAX);
				assert_true(edges[h] > 0 && edges[h] <= VGPU_SIDE_MAX);
				assert_true(quota_in_use(&a->handler.quota) >=
					    (uint64_t)edges[w] * edges[h] * 4);
				assert_int_equal(by_id(VGPU_RESOURCE_UNREF, 1), VGPU_OK_NODATA);
			} else {
				assert_refused(said);
				assert_false(good);
			}
			assert_int_equal(quota_in_use(&a->handler.quota), 0);
		}
	}
	assert_true(made > 50);
	for (unsigned int i = 0; i < EDGES; i++) {
		if (edges[i] == 0 || edges[i] > 2)
			assert_refused(create(1, edges[i], 1, 1));
	}
	assert_refused(create(0, VGPU_B8G8R8X8, 1, 1));
}

/* Is the rectangle one of a resource of 10 x 10? Wide, so that nothing wraps. */
static bool inside(uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	return w && h && (uint64_t)x + w <= 10 && (uint64_t)y + h <= 10;
}

static void test_rectangles(void **state)
{
	(void)state;
	resource(1, VGPU_B8G8R8X8, 10, 10, 400);
	for (unsigned int i = 0; i < EDGES * EDGES; i++) {
		uint32_t at = edges[i / EDGES], n = edges[i % EDGES];
		bool good = inside(at, 0, n, 1);

		assert_int_equal(flush(1, at, 0, n, 1) == VGPU_OK_NODATA, good);
		assert_int_equal(flush(1, 0, at, 1, n) == VGPU_OK_NODATA, good);
		assert_int_equal(transfer(1, at, 0, n, 1, 0) == VGPU_OK_NODATA, good);
		assert_int_equal(transfer(1, 0, at, 1, n, 0) == VGPU_OK_NODATA, good);
		assert_int_equal(scanout(1, 0, at, 0, n, 1) == VGPU_OK_NODATA, good);
		assert_int_equal(scanout(1, 0, 0, at, 1, n) == VGPU_OK_NODATA, good);
		assert_int_equal(scanout(1, 1 + at, 0, 0, 1, 1) == VGPU_OK_NODATA, 1 + at == 0);
	}
	assert_false(d->broken);
}

/* Where in the backing a transfer begins: every 64-bit edge, with what it then reads. */
static void test_offsets(void **state)
{
	static const uint64_t off[] = {0, 1, 4, 359, 360, 361, 363, 364, 396, 399, 400, 401, 1ull << 32,
				       (1ull << 32) - 4, (1ull << 32) - 400, 1ull << 63,
				       (1ull << 63) - 4, UINT64_MAX - 400, UINT64_MAX - 399,
				       UINT64_MAX - 363, UINT64_MAX - 39, UINT64_MAX - 3, UINT64_MAX};

	(void)state;
	resource(1, VGPU_B8G8R8X8, 10, 10, 400);
	for (unsigned int i = 0; i < ARRAY_SIZE(off); i++) {
		for (uint32_t w = 1; w <= 10; w += 3) {
			for (uint32_t h = 1; h <= 10; h += 3) {
				uint32_t reads = ((h - 1) * 10 + w) * 4;
				bool good = reads <= 400 && off[i] <= 400 - reads;

				assert_int_equal(transfer(1, 0, 0, w, h, off[i]) == VGPU_OK_NODATA, good);
				assert_int_equal(transfer(1, 10 - w, 10 - h, w, h, off[i]) ==
							 VGPU_OK_NODATA, good);
			}
		}
	}
	assert_false(d->broken);
}

static void test_backing_that_is_none(void **state)
{
	static const struct vgpu_entry bad[] = {
		{FAKE_RAM_SIZE, 1, 0}, {FAKE_RAM_SIZE - 3, 4, 0}, {UINT64_MAX, 1, 0}, {UINT64_MAX, 2, 0},
		{UINT64_MAX - 3, 4, 0}, {UINT64_MAX - 3, 5, 0}, {0, UINT32_MAX, 0},
		{1ull << 32, 4, 0}, {1ull << 52, 4, 0}, {1ull << 63, 0x80000000, 0},
		{UINT64_MAX - UINT32_MAX + 1, UINT32_MAX, 0}, {0xfee00000, 4, 0},
	};
	static const uint32_t claims[] = {0, 1, 2, 4, 5, 0x10000003, 0x10000000, 0x08000003, 0x80000003,
					  0xf0000003, UINT32_MAX - 1, UINT32_MAX};
	struct vgpu_entry e[] = {{pixels, 100, 0}, {pixels + 4096, 300, 0}, {0, 0, 0}};

	(void)state;
	assert_int_equal(create(1, VGPU_B8G8R8X8, 10, 10), VGPU_OK_NODATA);
	for (unsigned int place = 0; place < 3; place++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
			struct vgpu_entry was = e[place];

			e[place] = bad[i];
			assert_refused(attach_entries(1, 3, e, 3));
			e[place] = was;
			assert_refused(transfer(1, 0, 0, 1, 1, 0));
		}
	}
	/* More entries than are there, and numbers whose bytes wrap to what is. */
	for (unsigned int i = 0; i < ARRAY_SIZE(claims); i++) {
		if (claims[i] == 0 || claims[i] > 3)
			assert_refused(attach_entries(1, claims[i], e, 3));
	}
	assert_int_equal(attach_entries(1, 3, e, 3), VGPU_OK_NODATA);
	assert_int_equal(transfer(1, 0, 0, 10, 10, 0), VGPU_OK_NODATA);
}

/* The response over the request, over the pixels, over the ring: what was checked is done. */
static void test_buffers_on_each_other(void **state)
{
	const uint32_t body[] = {0, 0, 10, 10, 0, 0, 1, 0};
	struct fake_buf b[] = {{request, 56, false}, {request, 24, true}};
	const struct vgpu_hdr *hdr = fake_guest(request);
	uint32_t head;

	(void)state;
	resource(1, VGPU_B8G8R8X8, 10, 10, 400);
	put_request(VGPU_TRANSFER_TO_HOST_2D, body, sizeof(body));
	fake_ring_add(&ring[0], b, 2);
	fake_ring_kick(&ring[0]);
	fake_io_run(vm);
	assert_true(fake_ring_used(&ring[0], &head, &response_len));
	assert_int_equal(hdr->type, VGPU_OK_NODATA);
	put_request(VGPU_TRANSFER_TO_HOST_2D, body, sizeof(body));
	b[1].gpa = pixels;
	fake_ring_add(&ring[0], b, 2);
	fake_ring_kick(&ring[0]);
	fake_io_run(vm);
	assert_true(fake_ring_used(&ring[0], &head, &response_len));
	hdr = fake_guest(pixels);
	assert_int_equal(hdr->type, VGPU_OK_NODATA);
	put_request(VGPU_GET_DISPLAY_INFO, body, 0);
	b[0].len = 24;
	b[1] = (struct fake_buf){ring[0].desc, 408, true};
	fake_ring_add(&ring[0], b, 2);
	fake_ring_kick(&ring[0]);
	fake_io_run(vm);
	assert_true(fake_driver_start(d, VGPU_F_EDID, ring, 2, SIZE));
	assert_int_equal(create(1, VGPU_B8G8R8X8, 10, 10), VGPU_OK_NODATA);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_commands_that_are_none),
		TEST(test_bodies_cut_short),
		TEST(test_sizes),
		TEST(test_rectangles),
		TEST(test_offsets),
		TEST(test_backing_that_is_none),
		TEST(test_buffers_on_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
