/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/time/tsc_sync.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/msr_index.h"
#include "kernel/time/time.h"

#define ROUNDS    32u
#define ANSWER_NS 5000000000ull /* an emulated CPU may be held up that long */

enum request { ASK_NONE, ASK_READ, ASK_ADJUST, ASK_END };

/* The asker sets request, the other CPU clears it when the answer is there. */
static struct {
	uint32_t request;
	int64_t adjust;
	uint64_t answer;
} __cacheline mail;

static bool ask(enum request r)
{
	uint64_t start = rdtsc(), limit = time_ns_to_tsc(ANSWER_NS);

	__atomic_store_n(&mail.request, r, __ATOMIC_RELEASE);
	while (__atomic_load_n(&mail.request, __ATOMIC_ACQUIRE) != ASK_NONE)
		if (rdtsc() - start > limit) {
			/* The next CPU must not find it. */
			__atomic_store_n(&mail.request, ASK_NONE, __ATOMIC_RELEASE);
			return false;
		}
	return true;
}

/* The offset of the tightest of many exchanges; *differs when any was impossible. */
static bool measure(int64_t *offset, bool *differs)
{
	uint64_t tightest = UINT64_MAX;

	*differs = false;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct tsc_exchange e;

		e.before = rdtsc_ordered();
		if (!ask(ASK_READ))
			return false;
		e.after = rdtsc_ordered();
		e.there = mail.answer;
		*differs |= tsc_exchange_differs(&e);
		if (e.after - e.before < tightest) {
			tightest = e.after - e.before;
			*offset = tsc_exchange_offset(&e);
		}
	}
	return true;
}

bool tsc_sync_ask(int64_t *ahead)
{
	int64_t offset;
	bool differs;

	*ahead = 0;
	if (!measure(&offset, &differs))
		return false;
	if (differs && cpu_features()->tsc_adjust) {
		mail.adjust = -offset;
		if (!ask(ASK_ADJUST) || !measure(&offset, &differs))
			return false;
	}
	if (differs)
		*ahead = offset ? offset : 1;
	return ask(ASK_END);
}

void tsc_sync_answer(void)
{
	for (;;) {
		uint32_t r = __atomic_load_n(&mail.request, __ATOMIC_ACQUIRE);

		switch (r) {
		case ASK_READ:
			mail.answer = rdtsc_ordered();
			break;
		case ASK_ADJUST:
			wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + (uint64_t)mail.adjust);
			break;
		case ASK_END:
			break;
		default:
			cpu_relax();
			continue;
		}
		__atomic_store_n(&mail.request, ASK_NONE, __ATOMIC_RELEASE);
		if (r == ASK_END)
			return;
	}
}
