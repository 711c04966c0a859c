/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "smp"
#include "kernel/sched/smp.h"

#include "boot/boot_info.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/gdt.h"
#include "kernel/arch/image.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trampoline.h"
#include "kernel/arch/trap.h"
#include "kernel/counter.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mce.h"
#include "kernel/mm/kspace.h"
#include "kernel/mm/page.h"
#include "kernel/mm/vmap.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "kernel/time/tsc_sync.h"

#define LOW_END 0x100000u

/* SDM vol. 3 sec. 9.4.4.1; CPUs of this century need no 10 ms after INIT. */
#define INIT_DELAY_NS    1000000ull
#define STARTUP_DELAY_NS 200000ull
#define START_LIMIT_NS   5000000000ull /* an emulated CPU may have to wait for its host */

enum ap_state { AP_STARTING, AP_WAITING, AP_GO, AP_ONLINE };

/* The one that is being started. */
static struct {
	struct cpu *cpu;
	const char *lacks;
	uint32_t state; /* enum ap_state */
} ap;

static struct {
	void *page;
	uint32_t phys;
	hpa_t root; /* page tables with the page at its own address too */
} tramp;

static void state_set(enum ap_state s)
{
	__atomic_store_n(&ap.state, s, __ATOMIC_RELEASE);
}

static bool state_wait(enum ap_state s, uint64_t limit_ns)
{
	uint64_t end = time_now() + limit_ns;

	while (__atomic_load_n(&ap.state, __ATOMIC_ACQUIRE) != (uint32_t)s) {
		if (time_now() >= end)
			return false;
		cpu_relax();
	}
	return true;
}

/* An AP's first C code: on its idle thread's stack, in the trampoline's page tables. */
static void ap_main(void *arg)
{
	struct cpu *c = arg;

	cr3_write(kspace_root().v);
	gdt_load(c->id);
	percpu_load(c);
	idt_load();
	ap.lacks = cpu_init();
	lapic_init_ap();
	/* One that was given up earlier and comes in another's place must not go on. */
	if (ap.lacks || lapic_id() != c->apic_id)
		cpu_halt_forever();
	state_set(AP_WAITING);
	while (__atomic_load_n(&ap.state, __ATOMIC_ACQUIRE) != AP_GO)
		cpu_relax();
	tsc_sync_answer();
	mitigations_cpu_init();
	mce_init();
	c->online = 1;
	state_set(AP_ONLINE);
	sched_idle_loop();
}

static int ist_create(unsigned int id, void *top[IST_COUNT])
{
	for (unsigned int i = 0; i < IST_COUNT; i++) {
		top[i] = vmap_stack_create(IST_STACK_SIZE);
		if (!top[i]) {
			while (i-- > 0)
				vmap_stack_destroy(top[i]);
			return -RAY_ENOMEM;
		}
	}
	gdt_ist_set(id, top);
	return 0;
}

static void ist_destroy(void *top[IST_COUNT])
{
	for (unsigned int i = 0; i < IST_COUNT; i++)
		vmap_stack_destroy(top[i]);
}

/* INIT, SIPI, SIPI; then the CPU's own reports. */
static bool ap_boot(struct cpu *c)
{
	uint8_t page = (uint8_t)(tramp.phys >> PAGE_SHIFT);

	lapic_ipi_init(c->apic_id);
	time_delay_ns(INIT_DELAY_NS);
	lapic_ipi_startup(c->apic_id, page);
	time_delay_ns(STARTUP_DELAY_NS);
	if (!trampoline_claimed(tramp.page))
		lapic_ipi_startup(c->apic_id, page);
	return state_wait(AP_WAITING, START_LIMIT_NS);
}

static bool ap_sync(void)
{
	int64_t ahead;

	state_set(AP_GO);
	if (!tsc_sync_ask(&ahead))
		return false;
	if (ahead) {
		log_warn("TSC differs cpu=%u ticks=%ld", ap.cpu->id, ahead);
		time_tsc_set_unstable("CPUs differ");
	}
	return state_wait(AP_ONLINE, START_LIMIT_NS);
}

/* Everything CPU @id needs, then the CPU itself. */
static int ap_start(unsigned int id, uint32_t apic_id)
{
	void *stack, *ist[IST_COUNT];
	int err;

	ap.cpu = percpu_prepare(id, apic_id);
	ap.lacks = NULL;
	err = counter_cpu_prepare(id);
	if (!err)
		err = irq_cpu_prepare(id);
	if (err)
		return err;
	err = ist_create(id, ist);
	if (err)
		return err;
	err = sched_ap_prepare(id, &stack);
	if (err)
		goto out_ist;
	state_set(AP_STARTING);
	trampoline_fill(tramp.page, tramp.phys, (uint32_t)tramp.root.v, stack, ap_main, ap.cpu);
	preempt_disable();
	err = ap_boot(ap.cpu) && ap_sync() ? 0 : -RAY_ETIMEDOUT;
	preempt_enable();
	if (!err)
		return 0;
	/* INIT stops it wherever it is, until a start-up IPI that never comes. */
	trampoline_close(tramp.page);
	lapic_ipi_init(apic_id);
	time_delay_ns(INIT_DELAY_NS);
	ap.cpu->online = 0;
	sched_ap_abandon(id);
out_ist:
	ist_destroy(ist);
	return err;
}

static bool startable(const struct boot_cpu *list, uint32_t i)
{
	if (!(list[i].flags & BOOT_CPU_ENABLED) || list[i].apic_id == cpu_get(0)->apic_id)
		return false;
	if (!lapic_is_x2apic() && list[i].apic_id > LAPIC_ID_MAX_XAPIC)
		return false;
	for (uint32_t k = 0; k < i; k++)
		if (list[k].apic_id == list[i].apic_id)
			return false;
	return true;
}

static unsigned int start_all(const struct boot_cpu *list, uint32_t n)
{
	unsigned int count = 1;

	for (uint32_t i = 0; i < n; i++) {
		int err;

		if (!startable(list, i))
			continue;
		if (count == CPU_MAX) {
			log_warn("more CPUs than are supported: max=%u", CPU_MAX);
			break;
		}
		err = ap_start(count, list[i].apic_id);
		if (!err)
			percpu_publish(++count);
		else
			log_err("CPU does not start: apic_id=%u reason=\"%s\"", list[i].apic_id,
				ap.lacks ? ap.lacks : ray_strerror(err));
	}
	return count;
}

static int tramp_create(uint32_t phys)
{
	if (phys == 0 || phys >= LOW_END || !IS_ALIGNED(phys, PAGE_SIZE))
		return -RAY_ENODEV;
	tramp.phys = phys;
	tramp.page = vmap(HPA(phys), PAGE_SIZE, VMAP_WB, true);
	if (!tramp.page)
		return -RAY_ENOMEM;
	tramp.root = kspace_trampoline_root(HPA(phys));
	if (tramp.root.v)
		return 0;
	vunmap(tramp.page);
	return -RAY_ENOMEM;
}

void smp_init(const struct boot_info *bi)
{
	uint32_t listed = bi->features & BOOT_FEAT_CPUS ? bi->cpu_count : 1;
	unsigned int count = 1;
	int err = 0;

	if (listed > 1) {
		err = tramp_create(bi->ap_trampoline);
		if (err)
			log_err("nowhere to start the other CPUs: %s", ray_strerror(err));
	}
	if (listed > 1 && !err) {
		count = start_all(hpa_to_va(HPA(bi->cpus.addr)), listed);
		kspace_trampoline_root_free(tramp.root);
		vunmap(tramp.page);
	}
	log_info("CPUs online count=%u listed=%u tsc=%s", count, listed,
		 time_tsc_stable() ? "stable" : "unstable");
}
