// SPDX-License-Identifier: Apache-2.0
/*
 * Permission maps: ports (everything exits) and MSRs (everything exits but what VMLOAD and
 * VMSAVE switch anyway). Both are shared; a VM that wants another MSR map gets a copy.
 */
#define LOG_TAG "svm"
#include "hv/svm/svm_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/page.h"

#include <string.h>

#define IOPM_ORDER  2u /* 12 KiB are used */
#define MSRPM_ORDER 1u
#define MSRPM_BYTES (PAGE_SIZE << MSRPM_ORDER)
#define MSRS_PER_RANGE 0x2000u

static uint64_t all_ones_pa; /* IOPM, and the MSR map that lets nothing pass */
static uint64_t shared_pa;
static void *shared;

/* Switched with the guest on every entry and exit (APM vol. 3, VMLOAD). */
static const uint32_t switched[] = {
	0xc0000081, /* STAR */
	0xc0000082, /* LSTAR */
	0xc0000083, /* CSTAR */
	0xc0000084, /* SFMASK */
	0xc0000100, /* FS_BASE */
	0xc0000101, /* GS_BASE */
	0xc0000102, /* KERNEL_GS_BASE */
	0x00000174, /* SYSENTER_CS */
	0x00000175, /* SYSENTER_ESP */
	0x00000176, /* SYSENTER_EIP */
};

int svm_msrpm_bit(uint32_t msr, uint32_t *bit)
{
	/* APM vol. 2, 15.11: three ranges of 0x2000 MSRs, two bits each. */
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };

	for (uint32_t i = 0; i < ARRAY_SIZE(base); i++) {
		if (msr - base[i] < MSRS_PER_RANGE) {
			*bit = (i * MSRS_PER_RANGE + (msr - base[i])) * 2;
			return 0;
		}
	}
	return -RAY_ERANGE;
}

static void bit_put(uint8_t *map, uint32_t bit, bool set)
{
	uint8_t mask = (uint8_t)(1u << (bit % 8));

	if (set)
		map[bit / 8] |= mask;
	else
		map[bit / 8] &= (uint8_t)~mask;
}

static int map_put(uint8_t *map, uint32_t msr, bool read, bool write)
{
	uint32_t bit;
	int err = svm_msrpm_bit(msr, &bit);

	if (err)
		return err;
	bit_put(map, bit, !read);
	bit_put(map, bit + 1, !write);
	return 0;
}

int svm_perm_init(void)
{
	hpa_t ones, msrs;
	int err;

	if (all_ones_pa)
		return 0;
	err = page_alloc(IOPM_ORDER, 0, &ones);
	if (err)
		return err;
	err = page_alloc(MSRPM_ORDER, 0, &msrs);
	if (err) {
		page_free(ones, IOPM_ORDER);
		return err;
	}
	memset(hpa_to_va(ones), 0xff, PAGE_SIZE << IOPM_ORDER);
	shared = hpa_to_va(msrs);
	memset(shared, 0xff, MSRPM_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(switched); i++)
		(void)map_put(shared, switched[i], true, true);
	shared_pa = msrs.v;
	all_ones_pa = ones.v;
	return 0;
}

uint64_t svm_iopm_pa(void)
{
	return all_ones_pa;
}

uint64_t svm_msrpm_shared_pa(void)
{
	return shared_pa;
}

void svm_msr_passthrough(struct vm *vm, uint32_t msr, bool read, bool write)
{
	struct svm_vm *sm = vm->svm;
	uint32_t bit;
	hpa_t copy;

	if (svm_msrpm_bit(msr, &bit)) {
		if (read || write)
			log_warn("MSR outside the permission map always exits: msr=0x%x", msr);
		return;
	}
	if (!sm->msrpm) {
		if (page_alloc(MSRPM_ORDER, 0, &copy)) {
			/* Deny more rather than less: everything exits. */
			log_warn("no memory for an MSR map, all MSRs exit: vm=%s", vm->def.name);
			sm->msrpm_pa = all_ones_pa;
			return;
		}
		sm->msrpm = hpa_to_va(copy);
		memcpy(sm->msrpm, shared, MSRPM_BYTES);
		sm->msrpm_pa = copy.v;
	}
	(void)map_put(sm->msrpm, msr, read, write);
}
