// SPDX-License-Identifier: Apache-2.0
/* Owns: running the registered self-tests. No state of its own. Context: thread. */
#include "kernel/selftest.h"

#include <string.h>

#include "kernel/marker.h"

extern const struct selftest_desc *const __start_rayos_selftests[];
extern const struct selftest_desc *const __stop_rayos_selftests[];

void selftest_fail(struct selftest *t, const char *what, const char *file, int line)
{
	t->failures++;
	sink_printf(t->out, "  %s: failed: %s at %s:%d\n", t->name, what, file, line);
}

void selftest_run(struct sink *out, const char *prefix, unsigned int *passed,
		  unsigned int *failed)
{
	const struct selftest_desc *const *d;

	*passed = 0;
	*failed = 0;
	for (d = __start_rayos_selftests; d < __stop_rayos_selftests; d++) {
		struct selftest t = { .name = (*d)->name, .out = out };

		if (strncmp(t.name, prefix, strlen(prefix)) != 0)
			continue;
		(*d)->fn(&t);
		sink_printf(out, "%-28s %s\n", t.name, t.failures ? "FAILED" : "ok");
		if (t.failures)
			(*failed)++;
		else
			(*passed)++;
	}
	marker_print(MARKER_SELFTEST_DONE, "passed=%u failed=%u", *passed, *failed);
}
