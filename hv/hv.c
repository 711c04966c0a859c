/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/hv.h"

#include "hv/backend.h"
#include "hv/mce.h"
#include "hv/msr_map.h"
#include "hv/stage2.h"
#include "hv/vm_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#define LOG_TAG "hv"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/sched/thread.h"

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

static uint64_t host_xcr0;
static uint32_t xsave_size;
static bool xsavec_usable;

uint64_t hv_host_xcr0(void)
{
	return host_xcr0;
}

uint32_t hv_xsave_size(void)
{
	return xsave_size;
}

bool hv_xsavec_usable(void)
{
	return xsavec_usable;
}

int hv_backend_validate(const struct hv_backend *b)
{
	/* Every member between probe and dump is a function pointer. */
	const char *from = (const char *)&b->probe;
	const char *to = (const char *)&b->stage2;

	for (const char *p = from; p < to; p += sizeof(void *)) {
		if (*(void *const *)(const void *)p == NULL) {
			log_err("backend incomplete name=%s offset=%lu", b->name,
				(unsigned long)(p - (const char *)b));
			return -RAY_EINVAL;
		}
	}
	if (b->stage2 == NULL || b->stage2->table == NULL || b->stage2->leaf == NULL ||
	    b->stage2->present == NULL || b->stage2->is_leaf == NULL || b->stage2->addr == NULL ||
	    b->stage2->prot == NULL || b->stage2->dirty == NULL) {
		log_err("backend incomplete name=%s part=stage2", b->name);
		return -RAY_EINVAL;
	}
	if (b->msr_map == NULL || b->msr_map->bits == NULL) {
		log_err("backend incomplete name=%s part=msr_map", b->name);
		return -RAY_EINVAL;
	}
	return 0;
}

/* Guests' vector state is kept by XSAVE; a CPU older than that is not supported. */
static int xsave_probe(void)
{
	const uint32_t osxsave = 1u << 27, xsavec = 1u << 1;
	int err = 0;

	if ((cpuid(1, 0).ecx & osxsave) == 0)
		return -RAY_ENOSYS;
	host_xcr0 = xgetbv0();
	xsave_size = cpuid(0xd, 0).ebx; /* for what XCR0 enables now */
	if (cpuid(0xd, 1).eax & xsavec) {
		err = hv_xsavec_check(&xsavec_usable);
		if (!err && !xsavec_usable)
			log_warn("XSAVEC loses registers on this CPU: guests do without");
	}
	return err;
}

static const struct hv_backend *choose(void)
{
	static const struct hv_backend *const all[] = { &svm_backend, &vmx_backend };

	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
		int err;

		if (hv_backend_validate(all[i]) != 0)
			continue;
		err = all[i]->probe(&hv_caps);
		if (err == 0)
			err = msr_map_init(all[i]->msr_map);
		if (err == 0)
			return all[i];
		if (err != -RAY_ENODEV)
			log_warn("not usable backend=%s why=\"%s\"", all[i]->name, ray_strerror(err));
	}
	return NULL;
}

static volatile uint32_t enable_failures;

static void enable_here(void *arg)
{
	const struct hv_backend *b = arg;

	if (b->cpu_enable() != 0)
		__atomic_add_fetch(&enable_failures, 1, __ATOMIC_RELAXED);
}

static void disable_here(void *arg)
{
	const struct hv_backend *b = arg;

	b->cpu_disable();
}

int hv_init(void)
{
	const struct hv_backend *b = xsave_probe() == 0 ? choose() : NULL;

	vm_registry_init();
	hv_mce_init();
	if (b != NULL) {
		ipi_call_all(enable_here, (void *)(uintptr_t)b);
		if (enable_failures != 0) {
			/* A vCPU may run anywhere: one CPU without it is none with it. */
			log_err("cannot enable backend=%s cpus=%u", b->name, enable_failures);
			ipi_call_all(disable_here, (void *)(uintptr_t)b);
			b = NULL;
		}
	}
	if (b != NULL && hv_caps.boot_cpu_unfit && cpu_count() > 1) {
		log_info("guests do not run on cpu=0: this emulator mixes up its state there");
		thread_cpu_spare(0);
	}
	hv_backend = b;
	marker_print(MARKER_VMM_BACKEND_READY, "backend=%s", b != NULL ? b->name : "none");
	return vm_reaper_init();
}
