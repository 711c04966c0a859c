/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "mce"
#include "kernel/mce.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/trap.h"
#include "kernel/log.h"

/* IA32_MCG_CAP, SDM vol. 3 sec. 15.3.1.1. */
#define MCG_CAP_COUNT 0xffull
#define MCG_CAP_CTL_P (1ull << 8)
#define MCG_CAP_SER_P (1ull << 24)
/* IA32_MCG_STATUS. */
#define MCG_RIPV (1ull << 0)
#define MCG_MCIP (1ull << 2)
/* IA32_MCi_STATUS, SDM fig. 15-6; APM vol. 2 sec. 9.3.2. */
#define MCI_VAL	     (1ull << 63)
#define MCI_UC	     (1ull << 61)
#define MCI_ADDRV    (1ull << 58)
#define MCI_PCC	     (1ull << 57)
#define MCI_S	     (1ull << 56)
#define MCI_AR	     (1ull << 55)
#define MCI_AMD_TCC  (1ull << 55)
#define MCI_AMD_DEFERRED (1ull << 44)
#define MCI_STRIDE   4u

static bool (*page_hook)(hpa_t page);
static bool handler_added;
static uint64_t survived;

/* What one bank demands. */
static enum mce_verdict judge_bank(uint64_t status, enum mce_kind kind)
{
	if (!(status & MCI_VAL) || !(status & MCI_UC))
		return MCE_CONTINUE;
	if ((status & MCI_PCC) || kind == MCE_KIND_BASIC)
		return MCE_FATAL;
	if (kind == MCE_KIND_AMD) {
		if (status & MCI_AMD_DEFERRED)
			return MCE_CONTINUE;
		return status & MCI_AMD_TCC ? MCE_FATAL : MCE_PAGE;
	}
	/* No action required before going on (SRAO), or not even signalled (UCNA). */
	if (!(status & MCI_S) || !(status & MCI_AR))
		return MCE_CONTINUE;
	return MCE_PAGE;
}

/* The same with the page that is lost; without an address nobody can be found to end. */
static enum mce_verdict judge_page(const struct mce_bank *b, enum mce_kind kind, uint64_t *page)
{
	enum mce_verdict v = judge_bank(b->status, kind);

	if (v != MCE_PAGE)
		return v;
	if (!(b->status & MCI_ADDRV))
		return MCE_FATAL;
	*page = ALIGN_DOWN(b->addr & (BIT(52) - 1), (uint64_t)PAGE_SIZE);
	return MCE_PAGE;
}

enum mce_verdict mce_judge(const struct mce_bank *banks, unsigned int n, uint64_t mcg_status,
			   enum mce_kind kind, uint64_t *page)
{
	enum mce_verdict worst = MCE_CONTINUE;
	uint64_t first = 0, at = 0;

	for (unsigned int i = 0; i < n; i++) {
		enum mce_verdict v = judge_page(&banks[i], kind, &at);

		/* Two lost pages at once: more than one owner would have to be found. */
		if (v == MCE_PAGE && worst == MCE_PAGE && at != first)
			return MCE_FATAL;
		if (v == MCE_PAGE)
			first = at;
		worst = MAX(worst, v);
	}
	if (worst == MCE_PAGE)
		*page = first;
	/* Without a place to return to, only an owner that never runs again can be helped. */
	if (worst == MCE_CONTINUE && !(mcg_status & MCG_RIPV))
		return MCE_FATAL;
	return worst;
}

static unsigned int bank_count(uint64_t cap)
{
	return (unsigned int)MIN(cap & MCG_CAP_COUNT, MCE_BANKS_MAX);
}

static void banks_read(struct mce_bank *banks, unsigned int n)
{
	memset(banks, 0, n * sizeof(*banks));
	for (unsigned int i = 0; i < n; i++) {
		banks[i].status = rdmsr(MSR_MC0_STATUS + i * MCI_STRIDE);
		if (!(banks[i].status & MCI_VAL))
			continue;
		if (banks[i].status & MCI_ADDRV)
			banks[i].addr = rdmsr(MSR_MC0_ADDR + i * MCI_STRIDE);
		log_err("machine check bank=%u status=%016lx addr=%016lx", i, banks[i].status,
			banks[i].addr);
	}
}

static enum mce_kind kind_of(uint64_t cap)
{
	if (strcmp(cpu_features()->vendor, "AuthenticAMD") == 0)
		return MCE_KIND_AMD;
	return cap & MCG_CAP_SER_P ? MCE_KIND_INTEL : MCE_KIND_BASIC;
}

static bool mce_handle(struct trap_frame *tf)
{
	struct mce_bank banks[MCE_BANKS_MAX];
	uint64_t cap = rdmsr(MSR_MCG_CAP), status = rdmsr(MSR_MCG_STATUS), page = 0;
	unsigned int n = bank_count(cap);
	enum mce_verdict v;
	bool claimed;

	banks_read(banks, n);
	v = mce_judge(banks, n, status, kind_of(cap), &page);
	/* A lost page can be survived only where a guest met it (no frame: it came as an exit);
	 * host code has no way back. */
	claimed = v == MCE_CONTINUE || (v == MCE_PAGE && !tf && page_hook && page_hook(HPA(page)));
	if (!claimed)
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (banks[i].status & MCI_VAL)
			wrmsr(MSR_MC0_STATUS + i * MCI_STRIDE, 0);
	/* A second machine check while MCIP is set shuts the CPU down. */
	wrmsr(MSR_MCG_STATUS, status & ~MCG_MCIP);
	__atomic_fetch_add(&survived, 1, __ATOMIC_RELAXED);
	return true;
}

void mce_init(void)
{
	const struct cpu_features *f = cpu_features();
	unsigned int n;
	uint64_t cap;

	if (!f->mce || !f->mca)
		return;
	cap = rdmsr(MSR_MCG_CAP);
	n = bank_count(cap);
	if (cap & MCG_CAP_CTL_P)
		wrmsr(MSR_MCG_CTL, ~0ull);
	for (unsigned int i = 0; i < n; i++) {
		/* Left over from before the boot: worth a line, not a verdict. */
		uint64_t status = rdmsr(MSR_MC0_STATUS + i * MCI_STRIDE);

		if (status & MCI_VAL)
			log_warn("machine check before boot bank=%u status=%016lx", i, status);
		wrmsr(MSR_MC0_STATUS + i * MCI_STRIDE, 0);
		wrmsr(MSR_MC0_CTL + i * MCI_STRIDE, ~0ull);
	}
	if (!handler_added) {
		handler_added = true;
		trap_mce_add(mce_handle);
	}
}

void mce_page_hook_set(bool (*fn)(hpa_t page))
{
	page_hook = fn;
}

uint64_t mce_count(void)
{
	return __atomic_load_n(&survived, __ATOMIC_RELAXED);
}
