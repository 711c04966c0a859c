/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building what a running VM consists of, and taking it apart again.
 */
#include <string.h>

#include "hv/hv.h"
#include "kernel/module.h"
#include "hv/platform.h"
#include "hv/vcpu_priv.h"
#include "hv/vm_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"

/* Below 4 GiB the last gigabyte is for devices: IOAPIC, LAPIC, PCI. */
#define LOW_MEMORY_MAX  GIB(3)
#define HIGH_MEMORY     GIB(4)

static int memory_build(struct vm *vm)
{
	uint64_t low = MIN(vm->def.memory, LOW_MEMORY_MAX);
	int err;

	vm->mem_short = false;
	err = gmem_init(&vm->mem, hv_backend->stage2, hv_caps.page_1g);

	if (err == 0)
		err = gmem_add(&vm->mem, GPA(0), low, GMEM_RAM);
	if (err == 0 && vm->def.memory > low)
		err = gmem_add(&vm->mem, GPA(HIGH_MEMORY), vm->def.memory - low, GMEM_RAM);
	return err;
}

static int image_find(const struct vm_def *def, struct vm_image *image, char *why, size_t why_len)
{
	image->cmdline = def->cmdline;
	if (module_find(def->kernel, &image->kernel, &image->kernel_size) != 0) {
		ray_snprintf(why, why_len, "kernel: no module '%s' was loaded", def->kernel);
		return -RAY_ENOENT;
	}
	if (def->initrd[0] != '\0' &&
	    module_find(def->initrd, &image->initrd, &image->initrd_size) != 0) {
		ray_snprintf(why, why_len, "initrd: no module '%s' was loaded", def->initrd);
		return -RAY_ENOENT;
	}
	return 0;
}

static int vcpus_build(struct vm *vm)
{
	int err = 0;

	for (unsigned int i = 0; i < vm->def.vcpus && err == 0; i++)
		err = vcpu_create(vm, i);
	return err;
}

static int platform_build(struct vm *vm)
{
	const struct vplatform_ops *p = hv_platform();

	return p != NULL ? p->create(vm) : 0;
}

/* Each step's name is what the operator reads when it fails. */
int vm_parts_build(struct vm *vm, const char **step)
{
	int err;

	*step = "bus";
	err = gbus_init(&vm->bus);
	if (err != 0)
		return err;
	msr_map_vm_init(&vm->msr_map);
	*step = "interrupt controllers";
	err = virq_create(vm);
	if (err != 0)
		return err;
	*step = "vcpus";
	err = vcpus_build(vm);
	if (err != 0)
		return err;
	*step = "devices";
	return platform_build(vm);
}

static int steps(struct vm *vm, const char **step)
{
	const struct vplatform_ops *p = hv_platform();
	int err;

	*step = "memory";
	err = memory_build(vm);
	if (err == 0)
		err = vm_parts_build(vm, step);
	if (err != 0 || p == NULL)
		return err;
	*step = "firmware tables";
	return p->firmware(vm);
}

int vm_build(struct vm *vm, char *why, size_t why_len)
{
	struct vm_image image = { 0 };
	struct vm_entry entry;
	const char *step;
	int err;

	memset(&entry, 0, sizeof(entry));
	err = image_find(&vm->def, &image, why, why_len);
	if (err != 0)
		return err;
	vm->tsc_offset = 0 - rdtsc();
	err = steps(vm, &step);
	if (err != 0)
		ray_snprintf(why, why_len, "%s: %s", step, ray_strerror(err));
	else
		err = vm_image_load(vm, &image, &entry, why, why_len);
	if (err != 0) {
		vm_demolish(vm);
		return err;
	}
	vm_entry_apply(vm, &entry);
	return 0;
}

void vm_parts_demolish(struct vm *vm)
{
	const struct vplatform_ops *p = hv_platform();

	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_end(vm->vcpu[i]);
	while (!list_empty(&vm->vdevs)) {
		struct vdev *d = list_last_entry(&vm->vdevs, struct vdev, node);

		list_del(&d->node);
		d->ops->destroy(d);
	}
	if (p != NULL)
		p->destroy(vm);
	while (vm->vcpu_count > 0)
		vcpu_destroy(vm->vcpu[--vm->vcpu_count]);
	msr_map_vm_fini(&vm->msr_map);
	gbus_fini(&vm->bus);
}

void vm_demolish(struct vm *vm)
{
	vm_parts_demolish(vm);
	gmem_fini(&vm->mem);
}

static void segment_flat(struct vcpu *v, enum hv_seg seg, uint16_t selector, uint32_t attr)
{
	struct hv_segment s = { .base = 0, .limit = 0xffffffffu, .selector = selector, .attr = attr };

	hv_backend->seg_set(v, seg, &s);
}

/* Code and data descriptor types (SDM vol. 3, 3.4.5.1): accessed, readable or writable. */
#define ATTR_CODE (0xbu | HV_SEG_ATTR_S | HV_SEG_ATTR_P | HV_SEG_ATTR_G)
#define ATTR_DATA (0x3u | HV_SEG_ATTR_S | HV_SEG_ATTR_P | HV_SEG_ATTR_G | HV_SEG_ATTR_DB)
#define ATTR_TSS_BUSY (0xbu | HV_SEG_ATTR_P)

static void entry_registers(struct vcpu *v, const struct vm_entry *e)
{
	static const enum hv_seg data[] = { HV_SEG_DS, HV_SEG_ES, HV_SEG_SS, HV_SEG_FS, HV_SEG_GS };
	bool long64 = e->mode == VM_ENTRY_LONG64;
	struct hv_segment gdt = { .base = e->gdt_base, .limit = e->gdt_limit };
	struct hv_segment tss = { .limit = 0x67, .attr = ATTR_TSS_BUSY };

	hv_backend->seg_set(v, HV_SEG_GDTR, &gdt);
	hv_backend->seg_set(v, HV_SEG_TR, &tss);
	segment_flat(v, HV_SEG_CS, e->cs, ATTR_CODE | (long64 ? HV_SEG_ATTR_L : HV_SEG_ATTR_DB));
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
		segment_flat(v, data[i], e->ds, ATTR_DATA);
	if (long64) {
		hv_backend->reg_set(v, HV_REG_CR3, e->cr3);
		hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_PAE);
		hv_backend->reg_set(v, HV_REG_EFER, HV_EFER_LME | HV_EFER_LMA);
		hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_ET | HV_CR0_NE | HV_CR0_PG);
	} else {
		hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_ET | HV_CR0_NE);
	}
}

void vm_entry_apply(struct vm *vm, const struct vm_entry *entry)
{
	struct vcpu *v = vm->vcpu[0];
	uint64_t flags = vcpu_borrow(v);

	entry_registers(v, entry);
	vcpu_return(v, flags);
	memcpy(v->gpr, entry->gpr, sizeof(v->gpr));
	v->rip = entry->rip;
}
