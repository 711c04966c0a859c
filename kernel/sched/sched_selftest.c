/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, locks and epochs on the real CPUs. */
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/selftest.h"
#include "kernel/time/time.h"

#define MS 1000000ull
#define LIMIT_NS (30000 * MS) /* an emulator on a busy machine is slow */

static uint64_t limit(void)
{
	return time_now() + LIMIT_NS;
}

static bool create(struct selftest *t, struct thread **out, void (*fn)(void *arg), void *arg,
		   enum thread_class cls, int cpu)
{
	const struct thread_attr attr = { .cls = cls, .cpu = cpu };
	int err = thread_create(out, "selftest", fn, arg, &attr);

	SELFTEST_CHECK(t, err == 0);
	return err == 0;
}

/* Two threads hand a ball to and fro. */
#define PING_PONG_ROUNDS 2000u
struct ping_pong {
	struct waitq q;
	uint32_t turn; /* counts up; even: ping's */
	bool late;
};

static void hit_when(struct ping_pong *p, uint32_t parity)
{
	for (unsigned int i = 0; i < PING_PONG_ROUNDS; i++) {
		if (!wait_event(&p->q, (__atomic_load_n(&p->turn, __ATOMIC_ACQUIRE) & 1) == parity,
				limit())) {
			p->late = true;
			return;
		}
		__atomic_add_fetch(&p->turn, 1, __ATOMIC_RELEASE);
		waitq_wake_all(&p->q);
	}
}

static void pong(void *arg)
{
	hit_when(arg, 1);
}

static void ping_pong(struct selftest *t, int cpu)
{
	struct ping_pong p = { .turn = 0 };
	struct thread *other;

	waitq_init(&p.q);
	if (!create(t, &other, pong, &p, THREAD_CLASS_WORKER, cpu))
		return;
	hit_when(&p, 0);
	thread_join(other);
	SELFTEST_CHECK(t, !p.late);
	SELFTEST_CHECK(t, p.turn == 2 * PING_PONG_ROUNDS);
}

static void test_ping_pong(struct selftest *t)
{
	for (unsigned int cpu = 0; cpu < MIN(cpu_count(), 4u); cpu++)
		ping_pong(t, (int)cpu);
	ping_pong(t, -1);
}
SELFTEST(sched_ping_pong, test_ping_pong);

/*
 * Many balls at once: CPUs fall idle, wait in place, are woken there and take threads over from
 * each other, all at the same time. One that is lost never says that it is done; it is left
 * behind then, so nothing here is on the stack.
 */
#define CROWD_PAIRS 6u
struct crowd {
	struct ping_pong pair[CROWD_PAIRS];
	uint32_t next, done;
	struct waitq q;
};

static void crowd_player(void *arg)
{
	struct crowd *c = arg;
	uint32_t n = __atomic_fetch_add(&c->next, 1, __ATOMIC_SEQ_CST);

	hit_when(&c->pair[n / 2], n & 1);
	__atomic_add_fetch(&c->done, 1, __ATOMIC_SEQ_CST);
	waitq_wake_all(&c->q);
}

static void test_ping_pong_crowd(struct selftest *t)
{
	static struct crowd c;
	struct thread *player;
	uint32_t n = 0;

	c = (struct crowd){ .next = 0 };
	waitq_init(&c.q);
	for (unsigned int i = 0; i < CROWD_PAIRS; i++)
		waitq_init(&c.pair[i].q);
	for (; n < 2 * CROWD_PAIRS; n++) {
		if (!create(t, &player, crowd_player, &c, THREAD_CLASS_WORKER, -1))
			break;
		thread_detach(player);
	}
	SELFTEST_CHECK(t, wait_event(&c.q, __atomic_load_n(&c.done, __ATOMIC_ACQUIRE) == n, limit()));
	for (unsigned int i = 0; i < CROWD_PAIRS; i++)
		SELFTEST_CHECK(t, !c.pair[i].late);
}
SELFTEST(sched_ping_pong_crowd, test_ping_pong_crowd);

/* Many threads, one mutex, one counter that is not atomic. */
#define CONTENDERS 8u
#define ROUNDS     500u
struct contention {
	struct mutex m;
	struct spinlock s;
	volatile uint64_t in_mutex, in_spinlock;
};

static void contend(void *arg)
{
	struct contention *c = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t seen;

		mutex_lock(&c->m);
		seen = c->in_mutex;
		if (i % 16 == 0)
			thread_yield();
		c->in_mutex = seen + 1;
		mutex_unlock(&c->m);

		spin_lock(&c->s);
		seen = c->in_spinlock;
		cpu_relax();
		c->in_spinlock = seen + 1;
		spin_unlock(&c->s);
	}
}

static void test_mutex(struct selftest *t)
{
	struct contention c = { .in_mutex = 0 };
	struct thread *threads[CONTENDERS];
	unsigned int n = 0;

	mutex_init(&c.m, LOCK_ORDER_DRIVER);
	spin_lock_init(&c.s, LOCK_ORDER_DRIVER);
	while (n < CONTENDERS && create(t, &threads[n], contend, &c, THREAD_CLASS_NORMAL, -1))
		n++;
	for (unsigned int i = 0; i < n; i++)
		thread_join(threads[i]);
	SELFTEST_CHECK(t, c.in_mutex == n * ROUNDS);
	SELFTEST_CHECK(t, c.in_spinlock == n * ROUNDS);
	SELFTEST_CHECK(t, mutex_trylock(&c.m));
	mutex_unlock(&c.m);
}
SELFTEST(sched_mutex, test_mutex);

/* A thread that never gives up the CPU is interrupted, by time slice and by class. */
struct spinner {
	bool stop;
	volatile uint64_t turns;
};

static void spin(void *arg)
{
	struct spinner *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		s->turns++;
}

/*
 * Both have run, and about equally long. Time for which an emulator's host ran something else
 * is on the account of whoever had the CPU, so this may take a while to come true.
 */
static bool fair(uint64_t a, uint64_t b)
{
	return a >= 20 * MS && b >= 20 * MS && a < 2 * b && b < 2 * a;
}

static void test_preemption(struct selftest *t)
{
	struct spinner a = { 0 }, b = { 0 };
	struct thread *ta, *tb;
	uint64_t end, ra, rb;
	int cpu = (int)cpu_count() - 1;

	if (!create(t, &ta, spin, &a, THREAD_CLASS_NORMAL, cpu))
		return;
	if (create(t, &tb, spin, &b, THREAD_CLASS_NORMAL, cpu)) {
		/* This thread, a worker, may share their CPU: it still gets its turn. */
		end = limit();
		do {
			thread_sleep_until(time_now() + 5 * MS);
			ra = thread_runtime(ta);
			rb = thread_runtime(tb);
		} while (!fair(ra, rb) && time_now() < end);
		SELFTEST_CHECK(t, a.turns > 0 && b.turns > 0);
		SELFTEST_CHECK(t, fair(ra, rb));
		b.stop = true;
		thread_join(tb);
	}
	a.stop = true;
	thread_join(ta);
}
SELFTEST(sched_preemption, test_preemption);

/* As many spinners as CPUs for them, all started from one: in the end each has a CPU. */
static void test_balance(struct selftest *t)
{
	static struct spinner s[CPU_MAX];
	static struct thread *threads[CPU_MAX];
	uint64_t all = thread_cpus(THREAD_CLASS_NORMAL), seen = 0, end = limit();
	unsigned int n = 0;

	for (; n < (unsigned int)__builtin_popcountll(all); n++) {
		s[n] = (struct spinner){ 0 };
		if (!create(t, &threads[n], spin, &s[n], THREAD_CLASS_NORMAL, -1))
			break;
	}
	while (seen != all && time_now() < end) {
		seen = 0;
		for (unsigned int i = 0; i < n; i++)
			seen |= BIT(thread_cpu(threads[i]));
		thread_sleep_until(time_now() + 5 * MS);
	}
	SELFTEST_CHECK(t, seen == all);
	for (unsigned int i = 0; i < n; i++) {
		s[i].stop = true;
		thread_join(threads[i]);
	}
}
SELFTEST(sched_balance, test_balance);

/* Hooks come in pairs around every stretch of running between two of others. */
struct hooked {
	struct waitq q;
	uint32_t in, out;
	bool inside, wrong, go;
};

static void hook_in(struct thread *th, void *arg)
{
	struct hooked *h = arg;

	h->wrong |= h->inside || irq_enabled() || th != thread_current();
	h->inside = true;
	h->in++;
}

static void hook_out(struct thread *th, void *arg)
{
	struct hooked *h = arg;

	(void)th;
	h->wrong |= !h->inside || irq_enabled();
	h->inside = false;
	h->out++;
}

static void hooked_main(void *arg)
{
	struct hooked *h = arg;

	for (int i = 0; i < 10; i++)
		thread_sleep_until(time_now() + MS / 10);
	h->wrong |= !h->inside;
}

static void test_hooks(struct selftest *t)
{
	struct hooked h = { .in = 0 };
	const struct thread_hooks hooks = { hook_out, hook_in, &h };
	int cpu = (int)cpu_count() - 1;
	const struct thread_attr attr = { .cls = THREAD_CLASS_NORMAL, .cpu = cpu, .hooks = &hooks };
	struct spinner other = { 0 };
	struct thread *th, *spinner;

	/* Whenever it sleeps, the spinner gets their CPU. */
	if (!create(t, &spinner, spin, &other, THREAD_CLASS_NORMAL, cpu))
		return;
	int err = thread_create(&th, "selftest", hooked_main, &h, &attr);

	SELFTEST_CHECK(t, err == 0);
	if (!err)
		thread_join(th);
	other.stop = true;
	thread_join(spinner);
	if (err)
		return;
	SELFTEST_CHECK(t, !h.wrong && !h.inside);
	SELFTEST_CHECK(t, h.in == h.out && h.in > 10);
}
SELFTEST(sched_hooks, test_hooks);

/* An object retired while a reader may see it stays until the reader has left. */
struct retired {
	struct epoch_entry e;
	uint32_t freed;
};

struct reader {
	struct retired *object;
	uint32_t inside, leave, saw_freed;
};

static void retired_free(struct epoch_entry *e)
{
	__atomic_store_n(&container_of(e, struct retired, e)->freed, 1, __ATOMIC_RELEASE);
}

static void read_side(void *arg)
{
	struct reader *r = arg;

	epoch_enter();
	epoch_enter(); /* nesting changes nothing */
	__atomic_store_n(&r->inside, 1, __ATOMIC_RELEASE);
	epoch_leave();
	while (!__atomic_load_n(&r->leave, __ATOMIC_ACQUIRE))
		cpu_relax();
	r->saw_freed = __atomic_load_n(&r->object->freed, __ATOMIC_ACQUIRE);
	epoch_leave();
}

static void test_epoch(struct selftest *t)
{
	struct retired object = { .freed = 0 };
	struct reader r = { .object = &object };
	uint64_t end = limit();
	struct thread *th;

	/* The reader keeps its CPU: it needs one of its own. */
	if (cpu_count() > 1) {
		int cpu = thread_cpu(thread_current()) == 0 ? 1 : 0;

		if (!create(t, &th, read_side, &r, THREAD_CLASS_WORKER, cpu))
			return;
		while (!__atomic_load_n(&r.inside, __ATOMIC_ACQUIRE) && time_now() < end)
			thread_sleep_until(time_now() + MS);
		epoch_call(&object.e, retired_free);
		thread_sleep_until(time_now() + 10 * MS);
		SELFTEST_CHECK(t, !__atomic_load_n(&object.freed, __ATOMIC_ACQUIRE));
		__atomic_store_n(&r.leave, 1, __ATOMIC_RELEASE);
		thread_join(th);
		SELFTEST_CHECK(t, !r.saw_freed);
	} else {
		epoch_call(&object.e, retired_free);
	}
	epoch_synchronize();
	while (!__atomic_load_n(&object.freed, __ATOMIC_ACQUIRE) && time_now() < end)
		thread_sleep_until(time_now() + MS);
	SELFTEST_CHECK(t, object.freed);
}
SELFTEST(sched_epoch, test_epoch);

/* Threads that nobody joins give everything back. */
static void nothing(void *arg)
{
	(void)arg;
}

static void test_detach(struct selftest *t)
{
	struct heap_tag_stats before, after;
	uint64_t end = limit();

	heap_stats_get(MEM_THREAD, &before);
	for (int i = 0; i < 20; i++) {
		struct thread *th;

		if (!create(t, &th, nothing, NULL, THREAD_CLASS_NORMAL, -1))
			return;
		thread_detach(th);
	}
	do {
		thread_sleep_until(time_now() + MS);
		heap_stats_get(MEM_THREAD, &after);
		/* Fewer: some that died earlier were still to be freed when we counted. */
	} while (after.allocs > before.allocs && time_now() < end);
	SELFTEST_CHECK(t, after.allocs <= before.allocs);
	if (after.allocs > before.allocs)
		sink_printf(t->out, "  %lu live objects, before %lu\n", after.allocs,
			    before.allocs);
}
SELFTEST(sched_detach, test_detach);
