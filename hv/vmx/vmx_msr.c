// SPDX-License-Identifier: Apache-2.0
/*
 * MSR bitmaps: everything exits but what the backend switches with the guest. One bitmap is
 * shared; a VM that wants another gets a copy.
 */
#define LOG_TAG "vmx"
#include "hv/vm.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/page.h"

#include <string.h>

#define WRITE_HALF 0x800u

static void *shared;
static void *all_ones;

/* In the VMCS, or loaded and saved with the vCPU. */
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

int vmx_msr_bitmap_bit(uint32_t msr, uint32_t *byte, uint8_t *mask)
{
	uint32_t n;

	/* SDM vol. 3, 25.6.9: two ranges of 0x2000 MSRs. */
	if (msr < 0x2000u)
		n = msr;
	else if (msr - 0xc0000000u < 0x2000u)
		n = 0x2000u + (msr - 0xc0000000u);
	else
		return -RAY_ERANGE;
	*byte = n / 8;
	*mask = (uint8_t)(1u << (n % 8));
	return 0;
}

static void bit_put(uint8_t *p, uint8_t mask, bool set)
{
	if (set)
		*p |= mask;
	else
		*p &= (uint8_t)~mask;
}

static int map_put(uint8_t *map, uint32_t msr, bool read, bool write)
{
	uint32_t byte;
	uint8_t mask;
	int err = vmx_msr_bitmap_bit(msr, &byte, &mask);

	if (err)
		return err;
	bit_put(map + byte, mask, !read);
	bit_put(map + WRITE_HALF + byte, mask, !write);
	return 0;
}

int vmx_msr_bitmap_init(void)
{
	hpa_t a, b;
	int err;

	if (shared)
		return 0;
	err = page_alloc(PAGE_ORDER_4K, 0, &a);
	if (err)
		return err;
	err = page_alloc(PAGE_ORDER_4K, 0, &b);
	if (err) {
		page_free(a, PAGE_ORDER_4K);
		return err;
	}
	all_ones = hpa_to_va(a);
	memset(all_ones, 0xff, PAGE_SIZE);
	memset(hpa_to_va(b), 0xff, PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(switched); i++)
		(void)map_put(hpa_to_va(b), switched[i], true, true);
	shared = hpa_to_va(b);
	return 0;
}

uint64_t vmx_msr_bitmap_shared_pa(void)
{
	return va_to_hpa(shared).v;
}

void vmx_msr_passthrough(struct vm *vm, uint32_t msr, bool read, bool write)
{
	struct vmx_vm *xm = vm->vmx;
	uint32_t byte;
	uint8_t mask;
	hpa_t copy;

	if (vmx_msr_bitmap_bit(msr, &byte, &mask)) {
		if (read || write)
			log_warn("MSR outside the bitmap always exits: msr=0x%x", msr);
		return;
	}
	if (!xm->msr_bitmap) {
		if (page_alloc(PAGE_ORDER_4K, 0, &copy)) {
			/* Deny more rather than less: everything exits. */
			log_warn("no memory for an MSR bitmap, all MSRs exit: vm=%s", vm->def.name);
			xm->msr_bitmap_pa = va_to_hpa(all_ones).v;
			return;
		}
		xm->msr_bitmap = hpa_to_va(copy);
		memcpy(xm->msr_bitmap, shared, PAGE_SIZE);
		xm->msr_bitmap_pa = copy.v;
	}
	(void)map_put(xm->msr_bitmap, msr, read, write);
}
