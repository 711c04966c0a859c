/* UNIT: kernel/lib/pheap.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/lib/pheap.h"

#define NODES 512

static uint64_t rng = 88172645463325252ull;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Parent, sibling and key invariants of the whole tree; returns the number of nodes. */
static size_t check_tree(const struct pheap_node *n)
{
	size_t count = 1;
	const struct pheap_node *prev = n;

	for (const struct pheap_node *c = n->child; c; c = c->next) {
		assert_true(c->key >= n->key);
		assert_ptr_equal(c->prev, prev);
		count += check_tree(c);
		prev = c;
	}
	return count;
}

static void test_sorted_order(void **state)
{
	static struct pheap_node nodes[NODES];
	struct pheap h = { NULL };
	uint64_t last = 0;
	size_t left = NODES;

	(void)state;
	for (size_t i = 0; i < NODES; i++) {
		pheap_insert(&h, &nodes[i], rnd() % 300);
		assert_int_equal(check_tree(h.root), i + 1);
	}
	while (pheap_min(&h)) {
		struct pheap_node *m = pheap_min(&h);

		assert_int_equal(check_tree(m), left);
		assert_true(m->key >= last);
		last = m->key;
		pheap_remove(&h, m);
		left--;
	}
	assert_int_equal(left, 0);
}

static void test_random_mix(void **state)
{
	static struct pheap_node nodes[NODES];
	static int in[NODES];
	struct pheap h = { NULL };
	size_t count = 0;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		size_t i = rnd() % NODES;
		uint64_t min = UINT64_MAX;

		if (in[i] && rnd() % 2) {
			pheap_update(&h, &nodes[i], rnd() >> (rnd() % 60));
			in[i] = 0; /* flipped below: still in */
		} else if (in[i]) {
			pheap_remove(&h, &nodes[i]);
			count--;
		} else {
			pheap_insert(&h, &nodes[i], rnd() >> (rnd() % 60));
			count++;
		}
		in[i] = !in[i];
		if (step % 16)
			continue;
		for (size_t k = 0; k < NODES; k++)
			if (in[k] && nodes[k].key < min)
				min = nodes[k].key;
		assert_int_equal(h.root ? check_tree(h.root) : 0, count);
		if (h.root)
			assert_int_equal(h.root->key, min);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_order),
		cmocka_unit_test(test_random_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
