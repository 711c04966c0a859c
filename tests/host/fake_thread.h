/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel threads for unit tests: coroutines that switch only where a real thread would sleep
 * or yield, one after the other, so that a test runs the same way every time. Wait queues wake
 * everybody: wait_event() looks again. A wait that nobody can end fails the test.
 * Included by one .c of a test; defines kernel/sched/thread.h and wait.h.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_THREAD_H
#define RAYOS_TESTS_HOST_FAKE_THREAD_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

#define FAKE_THREADS      200
#define FAKE_THREAD_STACK (256u << 10)
#define FAKE_IDLE_ROUNDS  1000 /* rounds in which everybody only waits */

struct thread {
	ucontext_t context;
	void (*fn)(void *arg);
	void *arg;
	const struct thread_hooks *hooks;
	char *stack;
	char name[32];
	bool used, ended, detached;
};

static struct thread fake_threads[FAKE_THREADS + 1]; /* 0: the test itself */
static struct thread *fake_thread_now = &fake_threads[0];
static int fake_thread_fail_at; /* n: the n-th thread_create() from now fails */
static unsigned int fake_idle_rounds;

struct thread *thread_current(void)
{
	return fake_thread_now;
}

static void fake_hook(struct thread *t, bool in)
{
	if (!t->hooks)
		return;
	if (in && t->hooks->sched_in)
		t->hooks->sched_in(t, t->hooks->arg);
	if (!in && t->hooks->sched_out)
		t->hooks->sched_out(t, t->hooks->arg);
}

static void fake_switch(struct thread *to)
{
	struct thread *from = fake_thread_now;

	if (from == to)
		return;
	if (!from->ended)
		fake_hook(from, false);
	fake_thread_now = to;
	swapcontext(&from->context, &to->context);
	fake_thread_now = from;
	if (!from->ended)
		fake_hook(from, true);
}

/* Round robin. @waiting: only to see whether something has changed. */
static void fake_pass(bool waiting)
{
	int at = (int)(fake_thread_now - fake_threads);

	fake_threads[0].used = true;
	fake_idle_rounds = waiting ? fake_idle_rounds + 1 : 0;
	if (fake_idle_rounds > FAKE_IDLE_ROUNDS) {
		fprintf(stderr, "fake_thread: everybody waits for ever\n");
		abort();
	}
	for (int i = 1; i <= FAKE_THREADS; i++) {
		struct thread *t = &fake_threads[(at + i) % (FAKE_THREADS + 1)];

		if (t->used && !t->ended) {
			fake_switch(t);
			return;
		}
	}
}

static void fake_thread_main(void)
{
	struct thread *t = fake_thread_now;

	t->fn(t->arg);
	t->ended = true;
	fake_pass(false);
	abort(); /* nobody switches to an ended thread */
}

static struct thread *fake_thread_slot(void)
{
	for (int i = 1; i <= FAKE_THREADS; i++) {
		struct thread *t = &fake_threads[i];

		if (!t->used || (t->ended && t->detached)) {
			free(t->stack);
			memset(t, 0, sizeof(*t));
			return t;
		}
	}
	return NULL;
}

int thread_create(struct thread **out, const char *name, void (*fn)(void *arg), void *arg,
		  const struct thread_attr *attr)
{
	struct thread *t = fake_thread_slot();

	if (!t || (fake_thread_fail_at > 0 && --fake_thread_fail_at == 0))
		return -RAY_ENOMEM;
	t->stack = malloc(FAKE_THREAD_STACK);
	assert(t->stack);
	t->fn = fn;
	t->arg = arg;
	t->hooks = attr->hooks;
	t->used = true;
	snprintf(t->name, sizeof(t->name), "%.31s", name);
	*out = t;
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = FAKE_THREAD_STACK;
	makecontext(&t->context, fake_thread_main, 0);
	return 0;
}

void thread_join(struct thread *t)
{
	while (!t->ended)
		fake_pass(true);
	fake_idle_rounds = 0;
	free(t->stack);
	memset(t, 0, sizeof(*t));
}

void thread_detach(struct thread *t)
{
	t->detached = true;
}

void thread_yield(void)
{
	fake_pass(false);
}

void thread_sleep_until(uint64_t deadline_ns)
{
	(void)deadline_ns;
	fake_pass(true);
}

void sched_point(void)
{
	fake_pass(false);
}

void thread_cpu_spare(unsigned int cpu)
{
	(void)cpu; /* all threads take turns on one */
}

uint64_t thread_runtime(const struct thread *t)
{
	return t->used ? 1000 : 0;
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

void waitq_wake_one(struct waitq *q)
{
	(void)q;
	fake_idle_rounds = 0;
}

void waitq_wake_all(struct waitq *q)
{
	(void)q;
	fake_idle_rounds = 0;
}

void waitq_prepare(struct waitq *q, struct waiter *w)
{
	(void)q;
	(void)w;
}

void waitq_finish(struct waitq *q, struct waiter *w)
{
	(void)q;
	(void)w;
}

void waitq_sleep(uint64_t deadline_ns)
{
	(void)deadline_ns;
	fake_pass(true);
}

void mutex_init(struct mutex *m, enum lock_order order)
{
	memset(m, 0, sizeof(*m));
	list_init(&m->q.waiters);
	m->order = (uint16_t)order;
}

void mutex_lock(struct mutex *m)
{
	assert(m->q.waiters.next); /* mutex_init() was called */
	assert(m->owner != fake_thread_now);
	while (m->owner)
		fake_pass(true);
	m->owner = fake_thread_now;
}

void mutex_unlock(struct mutex *m)
{
	assert(m->owner == fake_thread_now);
	m->owner = NULL;
}

#endif
