/* UNIT: hv/gbus.c hv/access.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/stage2.c
 * tests/host/fake_backend.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The guest bus: which range answers, at the ends of the address space too; windows with ranges
 * inside that move, and what a vCPU remembers of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hv/access.h"
#include "tests/host/fake_hv.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"

#define WINDOW 0xd0000000ull
#define RAM    MIB(16)
#define TOP    0xffffffffffff0000ull

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

static struct vm *vm;
static struct vcpu *v;

uint64_t vlapic_base(const struct vcpu *vcpu)
{
	(void)vcpu;
	return 0xfee00900;
}

bool vlapic_mmio(struct vcpu *vcpu, uint32_t off, bool write, uint32_t *value, bool fast)
{
	(void)vcpu;
	(void)off;
	(void)write;
	(void)value;
	(void)fast;
	fail();
	return true;
}

void vcpu_request(struct vcpu *vcpu, uint64_t bits)
{
	vcpu->requests |= bits;
}

void vm_end(struct vm *of, enum vm_end how, const char *fmt, ...)
{
	(void)of;
	(void)how;
	(void)fmt;
	fail();
}

/* --- a window and what is inside it --- */

struct card {
	struct gbus_range range; /* its base is 0: where it is the window knows */
	uint64_t at;             /* 0: nowhere */
	unsigned int hits;
	uint32_t offset;
};

static struct card card[3];
static struct gbus_range window;
static unsigned int searches, slow_calls;

static bool card_fn(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct card *c = container_of(r, struct card, range);

	assert_ptr_equal(vcpu, v);
	assert_true(fast);
	assert_true(a->offset + (uint64_t)a->size <= r->len);
	assert_int_equal(a->addr - c->at, a->offset);
	c->hits++;
	c->offset = a->offset;
	a->data = (uint64_t)(c - card);
	return true;
}

static struct gbus_range *window_inner(struct gbus_range *r, uint64_t addr, unsigned int size,
				       uint64_t *base)
{
	assert_ptr_equal(r, &window);
	searches++;
	for (unsigned int i = 0; i < ARRAY_SIZE(card); i++) {
		if (card[i].at && addr >= card[i].at && addr - card[i].at < card[i].range.len &&
		    size <= card[i].range.len - (addr - card[i].at)) {
			*base = card[i].at;
			return &card[i].range;
		}
	}
	return NULL;
}

static bool window_fn(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)vcpu;
	assert_ptr_equal(r, &window);
	assert_false(fast);
	assert_int_equal(a->offset, a->addr - window.base);
	slow_calls++;
	a->data = 99;
	return true;
}

static void card_make(unsigned int i, uint64_t at, uint64_t len, uint32_t flags)
{
	card[i] = (struct card){.range = {.len = len, .fn = card_fn, .flags = flags}, .at = at};
}

static int setup(void **state)
{
	(void)state;
	fake_arena_init();
	vm = fake_hv_vm(RAM, 1);
	v = vm->vcpu[0];
	window = (struct gbus_range){.base = WINDOW, .len = MIB(1), .fn = window_fn,
				     .inner = window_inner};
	searches = slow_calls = 0;
	memset(card, 0, sizeof(card));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_hv_vm_free(vm);
	return 0;
}

/* As an exit handler does it: what the card that answered is, -1: the thread has to. */
static int fast_through(struct gbus_hit *h, uint64_t addr, unsigned int size)
{
	return access_fast(v, h, addr, size, false, 0) ? (int)v->access.data : -1;
}

static int fast(uint64_t addr, unsigned int size)
{
	return fast_through(&v->mmio_hit, addr, size);
}

static int fast_port(uint16_t port, unsigned int size)
{
	return fast_through(&v->port_hit, port, size);
}

static void test_neighbours_in_a_window(void **state)
{
	(void)state;
	assert_int_equal(gbus_mmio_add(&vm->bus, &window), 0);
	card_make(0, WINDOW + 0x1000, 0x800, GBUS_F_FAST);
	card_make(1, WINDOW + 0x1800, 0x200, GBUS_F_FAST); /* in the same page, and not to its end */
	card_make(2, WINDOW + 0x3000, 0x1000, 0);
	assert_int_equal(fast(WINDOW + 0x1004, 4), 0);
	assert_int_equal(card[0].offset, 4);
	assert_int_equal(searches, 1);
	/* Remembered to its last byte, and no further. */
	assert_int_equal(fast(WINDOW + 0x17f8, 8), 0);
	assert_int_equal(fast(WINDOW + 0x1000, 1), 0);
	assert_int_equal(searches, 1);
	assert_int_equal(fast(WINDOW + 0x17f9, 8), -1); /* in both */
	assert_int_equal(fast(WINDOW + 0x0fff, 2), -1);
	assert_int_equal(searches, 3);
	assert_int_equal(fast(WINDOW + 0x1800, 2), 1);
	assert_int_equal(card[1].offset, 0);
	assert_int_equal(fast(WINDOW + 0x17ff, 1), 0);
	assert_int_equal(fast(WINDOW + 0x19ff, 1), 1);
	assert_int_equal(fast(WINDOW + 0x1a00, 1), -1);
	/* What is not fast spoils nothing that is. */
	assert_int_equal(fast(WINDOW + 0x3000, 4), -1);
	searches = 0;
	assert_int_equal(fast(WINDOW + 0x19ff, 1), 1);
	assert_int_equal(searches, 0);
	assert_int_equal(card[2].hits, 0);
	assert_int_equal(slow_calls, 0);
	gbus_mmio_del(&vm->bus, &window);
}

static void test_inner_ranges_that_move(void **state)
{
	uint64_t data = 0;

	(void)state;
	assert_int_equal(gbus_mmio_add(&vm->bus, &window), 0);
	card_make(0, WINDOW + 0x1000, 0x1000, GBUS_F_FAST);
	assert_int_equal(fast(WINDOW + 0x1ffc, 4), 0);
	card[0].at = WINDOW + 0x1800;
	gbus_changed(&vm->bus);
	assert_int_equal(fast(WINDOW + 0x1000, 4), -1);
	assert_int_equal(fast(WINDOW + 0x1ffc, 4), 0);
	assert_int_equal(card[0].offset, 0x7fc);
	/* Its second half is in the next page, which is looked at anew. */
	searches = 0;
	assert_int_equal(fast(WINDOW + 0x2000, 8), 0);
	assert_int_equal(card[0].offset, 0x800);
	assert_int_equal(searches, 1);
	assert_int_equal(fast(WINDOW + 0x27fc, 4), 0);
	assert_int_equal(searches, 1);
	/* Over another: the first answers, and the other where the first is not. */
	card_make(1, WINDOW + 0x2700, 0x1000, GBUS_F_FAST);
	gbus_changed(&vm->bus);
	assert_int_equal(fast(WINDOW + 0x27fc, 4), 0);
	assert_int_equal(fast(WINDOW + 0x2800, 4), 1);
	card[0].at = 0;
	gbus_changed(&vm->bus);
	assert_int_equal(fast(WINDOW + 0x27fc, 4), 1);
	assert_int_equal(card[1].offset, 0xfc);
	/* The window goes: nobody answers, whatever is remembered. */
	gbus_mmio_del(&vm->bus, &window);
	assert_int_equal(fast(WINDOW + 0x27fc, 4), -1);
	assert_int_equal(vcpu_mmio_access(v, GPA(WINDOW + 0x27fc), 4, false, &data), -RAY_EFAULT);
}

static void test_ram_in_front(void **state)
{
	(void)state;
	window.base = RAM - 0x2000;
	assert_int_equal(gbus_mmio_add(&vm->bus, &window), 0);
	card_make(0, RAM - 0x1000, 0x3000, GBUS_F_FAST);
	assert_int_equal(fast(RAM - 8, 8), -1);
	assert_int_equal(fast(RAM, 8), 0);
	assert_int_equal(card[0].offset, 0x1000);
	assert_int_equal(fast(RAM - 8, 8), -1); /* the hit does not reach into the page before */
	gbus_mmio_del(&vm->bus, &window);
}

static void test_window_at_the_end_of_everything(void **state)
{
	uint64_t data = 0;

	(void)state;
	window.base = TOP;
	window.len = 0x10000;
	assert_int_equal(gbus_mmio_add(&vm->bus, &window), 0);
	card_make(0, UINT64_MAX - 15, 16, GBUS_F_FAST);
	assert_int_equal(fast(UINT64_MAX - 15, 8), 0);
	assert_int_equal(fast(UINT64_MAX, 1), 0);
	assert_int_equal(card[0].offset, 15);
	assert_int_equal(fast(UINT64_MAX, 2), -1); /* wraps to 0 */
	assert_int_equal(fast(UINT64_MAX - 6, 8), -1);
	assert_int_equal(fast(UINT64_MAX - 16, 2), -1);
	assert_null(gbus_mmio_find(&vm->bus, UINT64_MAX, 2));
	assert_ptr_equal(gbus_mmio_find(&vm->bus, UINT64_MAX, 1), &window);
	assert_int_equal(vcpu_mmio_access(v, GPA(UINT64_MAX - 7), 8, false, &data), 0);
	assert_int_equal(data, 99); /* the window's own way */
	assert_int_equal(slow_calls, 1);
	assert_int_equal(window.users, 0);
	gbus_mmio_del(&vm->bus, &window);
}

static void test_ports(void **state)
{
	uint64_t data = 0;

	(void)state;
	window.base = 0xff00;
	window.len = 0x100;
	assert_int_equal(gbus_port_add(&vm->bus, &window), 0);
	card_make(0, 0xfff0, 16, GBUS_F_FAST);
	assert_int_equal(fast_port(0xfffc, 4), 0);
	assert_int_equal(card[0].offset, 12);
	assert_int_equal(fast_port(0xffff, 1), 0);
	assert_int_equal(fast_port(0xffff, 2), -1);
	assert_int_equal(fast_port(0xffee, 4), -1);
	vcpu_port_access(v, 0xffff, 2, false, &data);
	assert_int_equal(data, UINT64_MAX);
	assert_int_equal(v->io_unknown, 1);
	gbus_port_del(&vm->bus, &window);
}

/* --- the tables --- */

static void test_ranges_that_are_none(void **state)
{
	static const struct {
		uint64_t base, len;
		bool port;
		int err;
	} t[] = {
		{0x1000, 0, false, -RAY_EINVAL},
		{UINT64_MAX, 2, false, -RAY_EINVAL},
		{1, UINT64_MAX, false, 0},
		{2, UINT64_MAX, false, -RAY_EINVAL},
		{UINT64_MAX, 1, false, 0},
		{0xffff, 2, true, -RAY_EINVAL},
		{0x10000, 1, true, -RAY_EINVAL},
		{0xffff, 1, true, 0},
		{0, 0x10000, true, 0},
		{0, 0x10001, true, -RAY_EINVAL},
		{UINT64_MAX, UINT64_MAX, true, -RAY_EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct gbus_range r = {.base = t[i].base, .len = t[i].len, .fn = card_fn};

		if (t[i].port) {
			assert_int_equal(gbus_port_add(&vm->bus, &r), t[i].err);
			gbus_port_del(&vm->bus, &r);
		} else {
			assert_int_equal(gbus_mmio_add(&vm->bus, &r), t[i].err);
			gbus_mmio_del(&vm->bus, &r);
		}
	}
}

#define RANGES 24u

/* Against the list itself, in a space so small that everything meets. */
static void test_against_a_model(void **state)
{
	struct gbus_range r[RANGES];
	bool on[RANGES] = {false};
	uint64_t seed = 1;

	(void)state;
	for (unsigned int round = 0; round < 4000; round++) {
		unsigned int i, n, size;
		uint64_t addr;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		i = (unsigned int)(seed >> 33) % RANGES;
		if (on[i]) {
			gbus_mmio_del(&vm->bus, &r[i]);
			on[i] = false;
		} else {
			bool meets = false;

			r[i] = (struct gbus_range){.base = UINT64_MAX - 200 + (seed >> 40) % 180,
						   .len = 1 + (seed >> 50) % 20, .fn = card_fn};
			for (n = 0; n < RANGES; n++)
				meets |= on[n] && r[n].base <= r[i].base + (r[i].len - 1) &&
					 r[i].base <= r[n].base + (r[n].len - 1);
			assert_int_equal(gbus_mmio_add(&vm->bus, &r[i]), meets ? -RAY_EBUSY : 0);
			on[i] = !meets;
		}
		addr = UINT64_MAX - 210 + (seed >> 20) % 211;
		size = 1u << ((seed >> 60) & 3);
		for (n = 0; n < RANGES; n++) {
			if (on[n] && addr >= r[n].base && addr - r[n].base < r[n].len &&
			    size <= r[n].len - (addr - r[n].base))
				break;
		}
		assert_ptr_equal(gbus_mmio_find(&vm->bus, addr, size), n < RANGES ? &r[n] : NULL);
	}
	for (unsigned int i = 0; i < RANGES; i++) {
		if (on[i])
			gbus_mmio_del(&vm->bus, &r[i]);
	}
}

static void test_no_memory_changes_nothing(void **state)
{
	(void)state;
	card_make(0, WINDOW, 0x1000, GBUS_F_FAST);
	assert_int_equal(gbus_mmio_add(&vm->bus, &window), 0);
	fake_allocs_left = 0;
	card[0].range.base = 0xe0000000;
	assert_int_equal(gbus_mmio_add(&vm->bus, &card[0].range), -RAY_ENOMEM);
	fake_allocs_left = -1;
	assert_int_equal(fast(WINDOW, 4), 0);
	assert_null(gbus_mmio_find(&vm->bus, 0xe0000000, 1));
	gbus_mmio_del(&vm->bus, &card[0].range); /* was never on it */
	assert_int_equal(fast(WINDOW, 4), 0);
	gbus_mmio_del(&vm->bus, &window);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_neighbours_in_a_window),
		TEST(test_inner_ranges_that_move),
		TEST(test_ram_in_front),
		TEST(test_window_at_the_end_of_everything),
		TEST(test_ports),
		TEST(test_ranges_that_are_none),
		TEST(test_against_a_model),
		TEST(test_no_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
