/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that run inside the booted kernel, for what a host cannot show: real registers,
 * interrupts, page tables, CPUs. `selftest` runs them.
 * Owns: registration and reporting. Must not know: the shell.
 *
 *	static void test_heap(struct selftest *t)
 *	{
 *		void *p = heap_alloc(64);
 *
 *		SELFTEST_CHECK(t, p != NULL);
 *		heap_free(p);
 *	}
 *	SELFTEST(heap, test_heap);
 */
#ifndef RAYOS_KERNEL_SELFTEST_H
#define RAYOS_KERNEL_SELFTEST_H

#include "kernel/lib/sink.h"
#include "kernel/lib/types.h"

struct selftest {
	const char *name;
	struct sink *out; /* for further lines */
	unsigned int failures;
};

struct selftest_desc {
	const char *name;
	/** Context: thread, IRQs on. Leaves the system as it found it. */
	void (*fn)(struct selftest *t);
};

#define SELFTEST(ident, test_fn)                                                               \
	static const struct selftest_desc selftest_##ident = { .name = #ident,                 \
							       .fn = (test_fn) };              \
	static const struct selftest_desc *const selftest_ptr_##ident                          \
		__attribute__((used, section("rayos_selftests"))) = &selftest_##ident

/** Record a failure and print where. The test goes on; return where that makes no sense. */
void selftest_fail(struct selftest *t, const char *what, const char *file, int line);

#define SELFTEST_CHECK(t, cond)                                                                \
	do {                                                                                   \
		if (!(cond))                                                                   \
			selftest_fail((t), #cond, __FILE__, __LINE__);                         \
	} while (0)

/**
 * Run the tests whose name begins with @prefix ("" = all); prints a line for each and the
 * marker SELFTEST_DONE at the end.
 * @passed, @failed  counts of tests, written always
 * Context: thread
 */
void selftest_run(struct sink *out, const char *prefix, unsigned int *passed,
		  unsigned int *failed);

#endif
