/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything around whole virtual machines in unit tests: boot information with modules, a host
 * CPU, clocks, markers and log as text, a Multiboot kernel that fake_backend's script plays.
 * Included by one .c of a test; brings fake_thread.h and fake_hv.h.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_VM_H
#define RAYOS_TESTS_HOST_FAKE_VM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/hv.h"
#include "hv/platform.h"
#include "hv/vm_priv.h"
#include "kernel/arch/mitigate.h"
#include "kernel/bootinfo.h"
#include "kernel/irq/irq.h"
#include "kernel/marker.h"
#include "kernel/mce.h"
#include "tests/host/fake_thread.h"
#include "tests/host/fake_hv.h"

/* kernel/mce.h: a test asks as the machine-check handler would. */
static bool (*fake_mce_hook)(hpa_t page);

void mce_page_hook_set(bool (*fn)(hpa_t page))
{
	fake_mce_hook = fn;
}

/* The backends hv_init() knows: this incomplete one, and the scripted one as vmx_backend. */
const struct hv_backend svm_backend = { .name = "svm" };

static char log_text[16384];
static char markers[16384];
static struct boot_info boot;
static struct boot_module modules[3];
static uint8_t kernel_file[0x1400];
static unsigned int buttons, platform_fails, kicks;
static uint64_t now = 1000000000;
static uint32_t cpu_signature = 0x906ea;
static bool amd, osxsave = true;

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
{
	size_t n = strlen(log_text);
	va_list ap;

	(void)level;
	(void)tag;
	va_start(ap, fmt);
	if (n < sizeof(log_text) - 300) {
		n += (size_t)vsnprintf(log_text + n, 256, fmt, ap);
		strcpy(log_text + strlen(log_text), "\n");
	}
	va_end(ap);
}

void marker_print(enum marker m, const char *fmt, ...)
{
	static const char *const names[MARKER_COUNT] = {
		[MARKER_VMM_BACKEND_READY] = "BACKEND", [MARKER_VM_DEFINED] = "DEFINED",
		[MARKER_VM_STARTED] = "STARTED",        [MARKER_VM_STOPPED] = "STOPPED",
		[MARKER_VM_CRASHED] = "CRASHED",        [MARKER_VM_KILLED] = "KILLED",
		[MARKER_VM_PAUSED] = "PAUSED",
	};
	size_t n = strlen(markers);
	va_list ap;

	va_start(ap, fmt);
	n += (size_t)snprintf(markers + n, sizeof(markers) - n, "%s ", names[m]);
	n += (size_t)vsnprintf(markers + n, sizeof(markers) - n, fmt, ap);
	snprintf(markers + n, sizeof(markers) - n, "\n");
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

const struct boot_info *bootinfo(void)
{
	return &boot;
}

void page_stats_get(struct page_stats *out)
{
	*out = (struct page_stats){ .total = GIB(8), .free = GIB(8) };
}

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	*l = (struct spinlock)SPINLOCK_INIT(order);
}

uint64_t time_now(void)
{
	return now += 1000;
}

uint64_t time_tsc_hz(void)
{
	return 2500000000ull;
}

bool time_tsc_stable(void)
{
	return true;
}

uint64_t time_wall_seconds(void)
{
	return 1700000000;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	memset(t, 0, sizeof(*t));
	t->fn = fn;
}

void timer_set_tsc(struct timer *t, uint64_t deadline_tsc)
{
	t->deadline_tsc = deadline_tsc;
	t->armed = 1;
}

void timer_set_ns(struct timer *t, uint64_t deadline_ns)
{
	timer_set_tsc(t, deadline_ns);
}

void timer_cancel(struct timer *t)
{
	t->armed = 0;
}

void mitigate_vm_switch(void)
{
}

void ipi_kick(unsigned int cpu)
{
	(void)cpu;
	kicks++;
}

void ipi_call_all(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

/* An Intel (or AMD) CPU with everything; the guest gets what the model lets through. */
static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t sub)
{
	const uint32_t all = 0xffffffff;

	switch (leaf) {
	case 0:
		return amd ? (struct cpuid_regs){ 0x10, 0x68747541, 0x444d4163, 0x69746e65 } :
			     (struct cpuid_regs){ 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 };
	case 1:
		return (struct cpuid_regs){ cpu_signature, 0x12340800,
					    osxsave ? all : all & ~BIT(27), all };
	case 4:
		return sub < 3 ? (struct cpuid_regs){ 0x4121 + (sub << 5), 1, 2, 3 } :
				 (struct cpuid_regs){ 0 };
	case 7:
		return (struct cpuid_regs){ 0, all, all, all };
	case 0xd:
		if (sub == 0)
			return (struct cpuid_regs){ 7, 832, 832, 0 };
		if (sub == 1)
			return (struct cpuid_regs){ 0xf, 0, 0, 0 };
		if (sub == 5) /* opmask: 64-byte aligned, far behind in standard format */
			return (struct cpuid_regs){ 64, 1088, 2, 0 };
		return sub == 2 ? (struct cpuid_regs){ 248, 576, 0, 0 } : (struct cpuid_regs){ 0 };
	case 0x80000000:
		return (struct cpuid_regs){ amd ? 0x8000001e : 0x80000008, 0, 0, 0 };
	case 0x80000001:
		return (struct cpuid_regs){ 0, 0, all, all };
	case 0x80000008:
		return (struct cpuid_regs){ 0x3030, all, all, all };
	default:
		return (struct cpuid_regs){ leaf, sub, 0, 0 };
	}
}

static int platform_create(struct vm *vm)
{
	(void)vm;
	return platform_fails ? -RAY_ENOMEM : 0;
}

static void (*fake_on_destroy)(struct vm *vm); /* what a device does at its end; NULL: nothing */

static void platform_destroy(struct vm *vm)
{
	if (fake_on_destroy != NULL)
		fake_on_destroy(vm);
}

static void power_button(struct vm *vm)
{
	(void)vm;
	buttons++;
}

static int firmware(struct vm *vm)
{
	(void)vm;
	return 0;
}

static unsigned int opened;

static int device_check(const char *kind, const char *spec, char *why, size_t why_len)
{
	if (strcmp(kind, "toy") != 0)
		return -RAY_ENOENT;
	if (strcmp(spec, "broken") != 0)
		return 0;
	snprintf(why, why_len, "toy: broken");
	return -RAY_EINVAL;
}

static const char *device_kind(unsigned int n)
{
	return n == 0 ? "toy" : NULL;
}

static int platform_open(struct vm *vm, char *why, size_t why_len)
{
	(void)vm;
	(void)why;
	(void)why_len;
	opened = 1;
	return 0;
}

static void platform_close(struct vm *vm)
{
	(void)vm;
	opened = 0;
}

static const struct vplatform_ops platform = {
	.device_check = device_check,
	.device_kind = device_kind,
	.open = platform_open,
	.close = platform_close,
	.create = platform_create,
	.firmware = firmware,
	.destroy = platform_destroy,
	.power_button = power_button,
};

/* --- the smallest guest: a Multiboot kernel that the script plays --- */

static void put32(size_t at, uint32_t v)
{
	memcpy(kernel_file + at, &v, sizeof(v));
}

static void module_set(unsigned int i, const char *name, const void *data, uint64_t size, int status)
{
	snprintf(modules[i].name, sizeof(modules[i].name), "%s", name);
	modules[i].addr = (uint64_t)(uintptr_t)data - mm_direct_base;
	modules[i].size = size;
	modules[i].status = status;
}

static __unused void conf_set(const char *text)
{
	boot.features = text ? BOOT_FEAT_CONF : 0;
	boot.conf.addr = text ? (uint64_t)(uintptr_t)text - mm_direct_base : 0;
	boot.conf.size = text ? strlen(text) : 0;
}

static int group_setup(void **state)
{
	(void)state;
	fake_arena_init();
	fake_cpuid_hook = host_cpuid;
	memcpy(kernel_file, "\177ELF\1\1\1", 7);
	put32(16, 2 | 3 << 16);
	put32(24, MIB(2) + 0x20);
	put32(28, 52);
	put32(40, 32 << 16);
	put32(44, 1);
	put32(52, 1);
	put32(56, 0x1000);
	put32(64, MIB(2));
	put32(68, 0x400);
	put32(72, 0x400);
	put32(0x1004, 0x1badb002);
	put32(0x100c, 0u - 0x1badb002);
	module_set(0, "guest", kernel_file, sizeof(kernel_file), 0);
	module_set(1, "initrd", kernel_file, 100, 0);
	module_set(2, "lost", NULL, 0, -RAY_EIO);
	boot.modules.addr = (uint64_t)(uintptr_t)modules - mm_direct_base;
	boot.module_count = 3;
	osxsave = false;
	assert_int_equal(hv_init(), 0);
	assert_null(hv_backend); /* no XSAVE, no guests */
	assert_non_null(strstr(markers, "BACKEND backend=none"));
	osxsave = true;
	fake_xsavec_at = 416; /* as in Bochs 2.7 */
	assert_int_equal(hv_init(), 0);
	assert_false(hv_xsavec_usable());
	fake_xsavec_at = 576;
	assert_int_equal(hv_init(), 0);
	assert_ptr_equal(hv_backend, &fake_backend);
	assert_non_null(strstr(markers, "BACKEND backend=fake"));
	assert_non_null(strstr(log_text, "backend incomplete name=svm"));
	assert_int_equal(hv_xsave_size(), 832);
	assert_true(hv_xsavec_usable());
	hv_platform_register(&platform);
	return 0;
}

static char why[200];
static struct vm *vm;
static __unused struct vcpu *v;

static struct vm *define(const char *name, unsigned int vcpus)
{
	struct vm_def def;
	struct vm *m;

	vm_def_init(&def);
	snprintf(def.name, sizeof(def.name), "%s", name);
	strcpy(def.kernel, "guest");
	def.memory = MIB(16);
	def.vcpus = vcpus;
	assert_int_equal(vm_define(&def, why, sizeof(why)), 0);
	m = vm_get(name);
	assert_non_null(m);
	return m;
}

static void undefine(struct vm *m)
{
	assert_int_equal(vm_undefine(m, why, sizeof(why)), 0);
	vm_put(m);
}

static int64_t heap_before, pages_before;

static int setup(void **state)
{
	(void)state;
	fake_script(NULL, 0);
	fake_allocs_left = -1;
	amd = false;
	platform_fails = 0;
	markers[0] = log_text[0] = '\0';
	heap_before = fake_heap_live;
	pages_before = fake_pages_live;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(fake_heap_live, heap_before);
	assert_int_equal(fake_pages_live, pages_before);
	return 0;
}

/* A started VM whose vCPU threads have not run yet: exits can be handled by hand. */
static __unused int setup_vm(void **state)
{
	setup(state);
	vm = define("demo", 2);
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	v = vm->vcpu[0];
	v->cpu = 0;
	return 0;
}

static __unused int teardown_vm(void **state)
{
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		assert_int_equal(vm_kill(vm, "test"), 0);
	undefine(vm);
	return teardown(state);
}

#endif
