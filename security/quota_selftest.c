/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas by the real TSC, and what the two questions of a device's hot path cost. */
#include "kernel/arch/cpu.h"
#include "kernel/selftest.h"
#include "kernel/time/scale.h"
#include "kernel/time/time.h"
#include "security/policy.h"
#include "security/quota.h"

#define OPS_PER_SECOND 200000u
#define SPAN_NS        20000000u
#define ROUNDS         4096u /* a power of two */

static void test_quota_rate(struct selftest *t)
{
	static const struct quota_limits limits = { .ops_per_second = OPS_PER_SECOND,
						    .ops_burst = 10 };
	uint64_t begin, now, end, when, taken = 0, early = 0;
	struct quota q;

	quota_init(&q, &limits, time_tsc_hz());
	begin = rdtsc();
	end = begin + time_ns_to_tsc(SPAN_NS);
	while ((now = rdtsc()) < end) {
		when = quota_check(&q, now, 1, 0);
		if (when == 0) {
			taken++;
			continue;
		}
		early += when <= now;
		while (rdtsc() < when)
			cpu_relax();
	}
	/* A machine that was held up takes less, but never more. */
	SELFTEST_CHECK(t, taken > limits.ops_burst);
	SELFTEST_CHECK(t, taken <= limits.ops_burst + 1 +
				   time_tsc_to_ns(now - begin) / (NS_PER_SEC / OPS_PER_SECOND));
	SELFTEST_CHECK(t, early == 0);
}
SELFTEST(quota_rate, test_quota_rate);

/* As a device asks, with both rates limited; scripts/bench reads the line. */
static void test_quota_cost(struct selftest *t)
{
	static const struct quota_limits limits = { .ops_per_second = 1u << 30, .ops_burst = ROUNDS,
						    .bytes_per_second = 1ull << 34,
						    .bytes_burst = ROUNDS * 4096u };
	struct policy_op op = { .vm = 1, .device = POLICY_BLK, .verb = POLICY_READ,
				.amount = 4096 };
	uint64_t flags, begin, ticks, refused = 0;
	struct quota q;

	quota_init(&q, &limits, time_tsc_hz());
	flags = irq_save();
	begin = rdtsc();
	for (unsigned int i = 0; i < ROUNDS; i++)
		if (!policy_allows(&op) || quota_check(&q, rdtsc(), 1, op.amount))
			refused++;
	ticks = (rdtsc() - begin) / ROUNDS;
	irq_restore(flags);
	SELFTEST_CHECK(t, refused == 0);
	sink_printf(t->out, "  policy_quota_check %lu\n", ticks);
}
SELFTEST(quota_cost, test_quota_cost);
