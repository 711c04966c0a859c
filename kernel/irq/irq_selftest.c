/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and timers between the real CPUs. */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/sched/thread.h"
#include "kernel/selftest.h"
#include "kernel/time/time.h"

#define MS 1000000ull
#define US 1000ull

struct called {
	uint64_t mask;
	uint32_t count;
	bool irqs_on;
};

static void note_call(void *arg)
{
	struct called *c = arg;

	__atomic_fetch_or(&c->mask, BIT(this_cpu()->id), __ATOMIC_RELAXED);
	__atomic_add_fetch(&c->count, 1, __ATOMIC_RELAXED);
	if (irq_enabled())
		c->irqs_on = true;
}

static void test_call(struct selftest *t)
{
	unsigned int cpus = cpu_count();
	struct called all = { 0 };

	for (int i = 0; i < 100; i++)
		ipi_call_all(note_call, &all);
	SELFTEST_CHECK(t, all.mask == (cpus == 64 ? UINT64_MAX : BIT(cpus) - 1));
	SELFTEST_CHECK(t, all.count == 100 * cpus);
	SELFTEST_CHECK(t, !all.irqs_on);
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		struct called one = { 0 };

		ipi_call(cpu, note_call, &one);
		SELFTEST_CHECK(t, one.mask == BIT(cpu) && one.count == 1);
	}
}
SELFTEST(irq_call, test_call);

/* Threads on all CPUs call each other at the same time. */
static void call_much(void *arg)
{
	for (int i = 0; i < 50; i++)
		ipi_call_all(note_call, arg);
}

static void test_call_storm(struct selftest *t)
{
	unsigned int cpus = MIN(cpu_count(), 8u), n = 0;
	struct called all = { 0 };
	struct thread *threads[8];

	for (; n < cpus; n++) {
		const struct thread_attr attr = { .cls = THREAD_CLASS_WORKER, .cpu = (int)n };

		if (thread_create(&threads[n], "selftest", call_much, &all, &attr) != 0)
			break;
	}
	for (unsigned int i = 0; i < n; i++)
		thread_join(threads[i]);
	SELFTEST_CHECK(t, n == cpus);
	SELFTEST_CHECK(t, all.count == 50 * n * cpu_count());
}
SELFTEST(irq_call_storm, test_call_storm);

/* Lines go to one CPU after another, and a shared one stays where it is. */
#define LINES	 4u
#define GSI_ISA	 16u /* below are ISA interrupts, which may be someone's */
#define GSI_LAST 64u

/* The CPU that serves a line of ours, by what `irq` shows. */
static unsigned int line_cpu(uint32_t gsi)
{
	static struct irq_info info[128];
	size_t n = MIN(irq_list(info, ARRAY_SIZE(info)), ARRAY_SIZE(info));

	for (size_t i = 0; i < n; i++)
		if (info[i].gsi == gsi && strcmp(info[i].name, "selftest") == 0)
			return info[i].cpu;
	return CPU_MAX;
}

static void test_lines(struct selftest *t)
{
	static struct called c;
	struct irq_handle *lines[LINES], *second;
	unsigned int n = 0, cpus = 0;
	uint64_t seen = 0;

	for (uint32_t gsi = GSI_ISA; gsi < GSI_LAST && n < MIN(LINES, cpu_count()); gsi++) {
		unsigned int cpu;

		if (irq_gsi_request(&lines[n], gsi, IRQ_F_SHARED, note_call, &c, "selftest") != 0)
			continue; /* no such pin, or a device's */
		n++;
		irq_mask(lines[n - 1]);
		cpu = line_cpu(gsi);
		SELFTEST_CHECK(t, cpu < cpu_count());
		cpus += !(seen & BIT(cpu % CPU_MAX));
		seen |= BIT(cpu % CPU_MAX);
		if (irq_gsi_request(&second, gsi, IRQ_F_SHARED, note_call, &c, "second") == 0) {
			irq_mask(second);
			SELFTEST_CHECK(t, line_cpu(gsi) == cpu);
			irq_release(second);
		}
	}
	/* Lines that came before the other CPUs ran are all on the first. */
	SELFTEST_CHECK(t, n < 2 || cpus + 1 >= n);
	while (n > 0)
		irq_release(lines[--n]);
	sink_printf(t->out, "  lines on %u CPUs\n", cpus);
}
SELFTEST(irq_lines, test_lines);

static void test_kick(struct selftest *t)
{
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		uint64_t before = irq_count(cpu, VECTOR_KICK), end = time_now() + 1000 * MS;

		ipi_kick(cpu);
		while (irq_count(cpu, VECTOR_KICK) == before && time_now() < end)
			cpu_relax();
		SELFTEST_CHECK(t, irq_count(cpu, VECTOR_KICK) > before);
	}
}
SELFTEST(irq_kick, test_kick);

/* Timers fire in order, never before their time, on the CPU that set them. */
#define TIMERS 16u
struct probe {
	struct timer timer;
	uint64_t fired_tsc;
	uint32_t order, cpu;
};

static uint32_t fired_count;

static void probe_fired(struct timer *timer)
{
	struct probe *p = container_of(timer, struct probe, timer);

	p->cpu = this_cpu()->id;
	p->order = __atomic_fetch_add(&fired_count, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&p->fired_tsc, rdtsc(), __ATOMIC_RELEASE);
}

static void probes_set(struct probe *p, uint64_t start)
{
	for (unsigned int i = 0; i < TIMERS; i++) {
		/* Latest first, so that each becomes the next to fire. */
		uint64_t at = start + (TIMERS - i) * 300 * US;

		timer_init(&p[i].timer, probe_fired);
		timer_set_ns(&p[i].timer, at);
	}
}

static void test_timer(struct selftest *t)
{
	static struct probe p[TIMERS];
	uint64_t flags = irq_save(), end = time_now() + 2000 * MS;
	unsigned int cpu = this_cpu()->id;

	fired_count = 0;
	for (unsigned int i = 0; i < TIMERS; i++)
		p[i].fired_tsc = 0;
	probes_set(p, time_now() + 2 * MS);
	irq_restore(flags);
	while (__atomic_load_n(&fired_count, __ATOMIC_ACQUIRE) < TIMERS && time_now() < end)
		thread_sleep_until(time_now() + MS);
	SELFTEST_CHECK(t, fired_count == TIMERS);
	for (unsigned int i = 0; i < TIMERS; i++) {
		SELFTEST_CHECK(t, p[i].fired_tsc >= p[i].timer.deadline_tsc);
		SELFTEST_CHECK(t, p[i].order == TIMERS - 1 - i && p[i].cpu == cpu);
		SELFTEST_CHECK(t, !timer_armed(&p[i].timer));
	}
}
SELFTEST(time_timer, test_timer);

static void test_timer_cancel(struct selftest *t)
{
	static struct probe p;
	uint64_t flags;

	timer_init(&p.timer, probe_fired);
	p.fired_tsc = 0;
	/* An emulator may stand still for longer than the timer is set for. */
	flags = irq_save();
	timer_set_ns(&p.timer, time_now() + 5 * MS);
	timer_set_ns(&p.timer, time_now() + 10 * MS);
	timer_cancel(&p.timer);
	timer_cancel(&p.timer);
	irq_restore(flags);
	thread_sleep_until(time_now() + 15 * MS);
	SELFTEST_CHECK(t, p.fired_tsc == 0);
	/* In the past: at once. */
	timer_set_tsc(&p.timer, 0);
	thread_sleep_until(time_now() + MS);
	SELFTEST_CHECK(t, p.fired_tsc != 0);
}
SELFTEST(time_timer_cancel, test_timer_cancel);

/* A thread on one CPU cancels what another CPU keeps setting. */
struct racer {
	struct timer timer;
	uint32_t fired;
};

static void racer_fired(struct timer *timer)
{
	struct racer *r = container_of(timer, struct racer, timer);

	__atomic_add_fetch(&r->fired, 1, __ATOMIC_RELAXED);
	timer_set_tsc(timer, rdtsc() + time_ns_to_tsc(50 * US));
}

static void racer_start(void *arg)
{
	struct racer *r = arg;

	timer_set_tsc(&r->timer, rdtsc() + time_ns_to_tsc(50 * US));
}

static void test_timer_race(struct selftest *t)
{
	static struct racer r;
	unsigned int cpu = cpu_count() - 1;

	for (int i = 0; i < 50; i++) {
		uint32_t fired;

		timer_init(&r.timer, racer_fired);
		ipi_call(cpu, racer_start, &r);
		time_delay_ns(120 * US);
		timer_cancel(&r.timer);
		fired = __atomic_load_n(&r.fired, __ATOMIC_RELAXED);
		SELFTEST_CHECK(t, !timer_armed(&r.timer));
		time_delay_ns(100 * US);
		SELFTEST_CHECK(t, fired == __atomic_load_n(&r.fired, __ATOMIC_RELAXED));
	}
}
SELFTEST(time_timer_race, test_timer_race);

/* Sleeping does not end early and time does not go back. */
static void test_sleep(struct selftest *t)
{
	uint64_t last = time_now();

	for (int i = 0; i < 20; i++) {
		uint64_t until = time_now() + 500 * US, now;

		thread_sleep_until(until);
		now = time_now();
		SELFTEST_CHECK(t, now >= until && now >= last);
		last = now;
	}
}
SELFTEST(time_sleep, test_sleep);

/* A CPU without work takes no timer interrupt of its own accord. */
static void test_idle(struct selftest *t)
{
	unsigned int self = thread_cpu(thread_current()), cpus = cpu_count();
	uint64_t before[CPU_MAX];

	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		before[cpu] = irq_count(cpu, VECTOR_TIMER);
	thread_sleep_until(time_now() + 300 * MS);
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		uint64_t n = irq_count(cpu, VECTOR_TIMER) - before[cpu];

		/* Ours at its end, and whatever a device's worker waits for. */
		SELFTEST_CHECK(t, n <= (cpu == self ? 10u : 5u));
		sink_printf(t->out, "  cpu %u: %lu timer interrupts in 0.3 s\n", cpu, n);
	}
}
SELFTEST(time_idle, test_idle);
