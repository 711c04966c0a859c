/* UNIT: kernel/lib/bitmap.c */
// SPDX-License-Identifier: Apache-2.0
/* Bit arrays against a plain array of bools, the byte ring against a queue, the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/bitmap.h"
#include "kernel/lib/list.h"
#include "kernel/lib/ring.h"

#define BITS 200u

static void fill_random(uint64_t *map, bool *model, unsigned int one_in)
{
	for (size_t i = 0; i < BITS; i++) {
		model[i] = rand() % (int)one_in == 0;
		if (model[i])
			bitmap_set(map, i);
		else
			bitmap_clear(map, i);
	}
}

static size_t model_next(const bool *model, size_t bits, size_t from, bool want)
{
	while (from < bits && model[from] != want)
		from++;
	return from < bits ? from : bits;
}

static size_t model_run(const bool *model, size_t bits, size_t count, size_t align)
{
	for (size_t at = 0; at < bits && count <= bits - at; at += align) {
		size_t n = 0;

		while (n < count && !model[at + n])
			n++;
		if (n == count)
			return at;
	}
	return bits;
}

static void test_bitmap_random(void **state)
{
	DECLARE_BITMAP(map, BITS);
	bool model[BITS];

	(void)state;
	srand(1);
	for (int round = 0; round < 400; round++) {
		size_t weight = 0, bits = (size_t)rand() % (BITS + 1), count, align;

		memset(map, 0xff, sizeof(map));
		fill_random(map, model, 1 + (unsigned int)rand() % 12);
		for (size_t i = 0; i < bits; i++) {
			weight += model[i];
			assert_int_equal(bitmap_test(map, i), model[i]);
			assert_int_equal(bitmap_next_set(map, bits, i),
			                 model_next(model, bits, i, true));
			assert_int_equal(bitmap_next_clear(map, bits, i),
			                 model_next(model, bits, i, false));
		}
		assert_int_equal(bitmap_weight(map, bits), weight);
		assert_int_equal(bitmap_next_set(map, bits, bits), bits);
		count = 1 + (size_t)rand() % 70;
		align = 1u << rand() % 5;
		assert_int_equal(bitmap_find_clear(map, bits, count, align),
		                 model_run(model, bits, count, align));
	}
}

static void test_bitmap_ranges(void **state)
{
	DECLARE_BITMAP(map, BITS);

	(void)state;
	for (size_t first = 0; first < BITS; first += 7) {
		for (size_t n = 0; n <= BITS - first; n += 3) {
			memset(map, 0, sizeof(map));
			bitmap_set_range(map, first, n);
			assert_int_equal(bitmap_weight(map, BITS), n);
			assert_int_equal(bitmap_next_set(map, BITS, 0), n ? first : BITS);
			memset(map, 0xff, sizeof(map));
			bitmap_clear_range(map, first, n);
			assert_int_equal(bitmap_weight(map, BITS), BITS - n);
			assert_int_equal(bitmap_find_clear(map, BITS, n ? n : 1, 1), n ? first : BITS);
		}
	}
}

static void test_ring(void **state)
{
	uint8_t *buf = malloc(16), in[32], got[32];
	uint8_t next_in = 0, next_out = 0;
	struct ring *r = aligned_alloc(64, sizeof(struct ring));

	(void)state;
	ring_init(r, buf, 16);
	r->head = r->tail = UINT32_MAX - 20; /* the counters wrap on the way */
	srand(2);
	for (int i = 0; i < 5000; i++) {
		uint32_t want = (uint32_t)rand() % 24, n, room = ring_free(r);

		for (uint32_t k = 0; k < want; k++)
			in[k] = (uint8_t)(next_in + k);
		n = ring_put(r, in, want);
		assert_int_equal(n, MIN(want, room));
		next_in = (uint8_t)(next_in + n);
		want = (uint32_t)rand() % 24;
		room = ring_used(r);
		n = ring_get(r, got, want);
		assert_int_equal(n, MIN(want, room));
		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(got[k], next_out++);
	}
	free(r);
	free(buf);
}

struct item {
	int v;
	struct list_head link;
};

static int list_sum(struct list_head *head, int *count)
{
	struct item *i;
	int digits = 0;

	*count = 0;
	list_for_each_entry(i, head, link) {
		digits = digits * 10 + i->v;
		(*count)++;
	}
	return digits;
}

static void test_list(void **state)
{
	struct list_head a = LIST_HEAD_INIT(a), b, *p;
	struct item items[5], *i, *tmp;
	int n;

	(void)state;
	list_init(&b);
	assert_true(list_empty(&a) && list_empty(&b));
	assert_null(list_first_entry(&a, struct item, link));
	assert_null(list_last_entry(&a, struct item, link));
	for (int k = 0; k < 5; k++)
		items[k].v = k + 1;
	list_add_tail(&items[1].link, &a);
	list_add_tail(&items[2].link, &a);
	list_add(&items[0].link, &a);
	assert_int_equal(list_sum(&a, &n), 123);
	list_add_tail(&items[3].link, &items[2].link); /* before a member */
	assert_int_equal(list_sum(&a, &n), 1243);
	assert_int_equal(list_first_entry(&a, struct item, link)->v, 1);
	assert_int_equal(list_last_entry(&a, struct item, link)->v, 3);
	list_del(&items[1].link);
	list_del(&items[1].link); /* harmless */
	assert_true(list_empty(&items[1].link));
	assert_int_equal(list_sum(&a, &n), 143);
	list_add_tail(&items[4].link, &b);
	list_splice_tail(&a, &b);
	assert_true(list_empty(&a));
	list_splice_tail(&a, &b);
	assert_int_equal(list_sum(&b, &n), 5143);
	list_move_tail(&items[0].link, &a);
	assert_int_equal(list_sum(&b, &n), 543);
	n = 0;
	list_for_each(p, &b)
		n++;
	assert_int_equal(n, 3);
	list_for_each_entry_safe(i, tmp, &b, link) {
		list_del(&i->link);
		memset(i, 0xee, sizeof(*i));
	}
	assert_true(list_empty(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap_random),
		cmocka_unit_test(test_bitmap_ranges),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
