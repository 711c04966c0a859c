/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted disk below the block layer, and what the layer stands on: threads as coroutines,
 * timers and time that the test moves. The disk keeps its bytes in an array, ends commands when
 * the test says so and in what order, refuses and fails on demand, and checks that every command
 * is within its limits. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_DISK_H
#define RAYOS_TESTS_HOST_FAKE_DISK_H

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/block/block_priv.h"
#include "kernel/marker.h"
#include "kernel/mm/page.h"
#include "kernel/time/time.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"
#include "tests/host/fake_thread.h"

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint16_t)order);
}

/* --- pages, time, markers --- */

static int fake_pages_live;

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	void *p;

	if (fake_heap_fail_at > 0 && --fake_heap_fail_at == 0)
		return -RAY_ENOMEM;
	p = flags & PAGE_F_LOW ? mmap(NULL, PAGE_SIZE << order, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0) :
				 aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	assert(p && p != MAP_FAILED);
	memset(p, flags & PAGE_F_ZERO ? 0 : 0xa5, PAGE_SIZE << order);
	fake_pages_live++;
	*out = HPA((uintptr_t)p);
	return 0;
}

void page_free_dirty(hpa_t page, unsigned int order)
{
	fake_pages_live--;
	if (page.v <= UINT32_MAX)
		munmap(hpa_to_va(page), PAGE_SIZE << order);
	else
		free(hpa_to_va(page));
}

void page_free(hpa_t page, unsigned int order)
{
	page_free_dirty(page, order);
}

/* Their place in the tree is nobody's business here. */
void block_tree_enter(struct block_dev *dev, struct device *parent)
{
	(void)dev;
	(void)parent;
}

void block_tree_leave(struct block_dev *dev)
{
	(void)dev;
}

uint64_t mm_direct_base;

hpa_t va_to_hpa(const void *va)
{
	return HPA((uintptr_t)va);
}

static uint64_t fake_now;
#define FAKE_TIMERS 160
static struct timer *fake_timers[FAKE_TIMERS]; /* those that are armed */

static struct timer **fake_timer_slot(const struct timer *t)
{
	int i = 0;

	while (i < FAKE_TIMERS && fake_timers[i] != t)
		i++;
	assert(i < FAKE_TIMERS);
	return &fake_timers[i];
}

uint64_t time_now(void)
{
	return fake_now;
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return tsc;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){.fn = fn};
}

void timer_set_ns(struct timer *t, uint64_t deadline_ns)
{
	if (!t->armed)
		*fake_timer_slot(NULL) = t;
	t->deadline_tsc = deadline_ns;
	t->armed = 1;
}

void timer_cancel(struct timer *t)
{
	if (t->armed)
		*fake_timer_slot(t) = NULL;
	t->armed = 0;
}

/* The next that fires; NULL: none is armed. */
static struct timer *fake_timer(void)
{
	struct timer *first = NULL;

	for (int i = 0; i < FAKE_TIMERS; i++) {
		struct timer *t = fake_timers[i];

		if (t && (!first || t->deadline_tsc < first->deadline_tsc))
			first = t;
	}
	return first;
}

/* Let time pass until timers have fired @n times. */
static __unused void fake_time_pass(unsigned int n)
{
	struct timer *t;

	while (n-- > 0 && (t = fake_timer()) != NULL) {
		if (t->deadline_tsc > fake_now)
			fake_now = t->deadline_tsc;
		timer_cancel(t);
		t->fn(t);
	}
}

static char fake_marker_text[8192];

void marker_print(enum marker m, const char *fmt, ...)
{
	char line[128];
	va_list ap;

	(void)m;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	assert(strlen(fake_marker_text) + strlen(line) + 2 < sizeof(fake_marker_text));
	strcat(fake_marker_text, line);
	strcat(fake_marker_text, "\n");
}

void thread_wake(struct thread *t)
{
	(void)t;
	fake_idle_rounds = 0;
}

/* --- the disk --- */

#define FAKE_DISK_SIZE  MIB(4)
#define FAKE_DISK_QUEUE 256u

struct fake_disk {
	struct block_limits limits;
	uint8_t *data;
	struct block_cmd *cmd[FAKE_DISK_QUEUE];
	unsigned int count;     /* commands it has */
	unsigned int room;      /* it takes so many at once */
	bool at_once;           /* ends commands before submit() returns */
	int fail;               /* what the next commands end with */
	unsigned int fail_count;
	unsigned int recovered;
	int recover_result;
	bool gone;
	unsigned int seen[BLOCK_OP_COUNT];
};

/* Every rule of struct block_limits. */
static void fake_disk_check(const struct fake_disk *d, const struct block_cmd *c)
{
	const struct block_limits *l = &d->limits;
	uint64_t sum = 0;

	assert(c->off % l->logical == 0 && c->len % l->logical == 0);
	assert(c->off <= FAKE_DISK_SIZE && c->len <= FAKE_DISK_SIZE - c->off);
	assert(!(c->flags & BLOCK_F_FUA) || l->fua);
	if (c->op == BLOCK_DISCARD)
		assert(c->len > 0 && c->len <= l->discard_max);
	if (c->op == BLOCK_ZERO)
		assert(c->len > 0 && c->len <= l->zero_max);
	if (c->op != BLOCK_READ && c->op != BLOCK_WRITE)
		return;
	assert(c->len > 0 && c->len <= l->bytes_max);
	assert(c->seg_count > 0 && c->seg_count <= l->segs_max);
	for (uint32_t i = 0; i < c->seg_count; i++) {
		uint64_t addr = c->seg[i].addr.v, len = c->seg[i].len;

		sum += len;
		assert(len > 0 && (l->seg_len_max == 0 || len <= l->seg_len_max));
		assert(((addr | len) & l->seg_align) == 0);
		if (l->page && i > 0)
			assert(addr % l->page == 0);
		if (l->page && i + 1 < c->seg_count)
			assert((addr + len) % l->page == 0);
	}
	assert(sum == c->len);
}

static void fake_disk_do(struct fake_disk *d, const struct block_cmd *c)
{
	uint64_t off = c->off;

	d->seen[c->op]++;
	if (c->op == BLOCK_ZERO)
		memset(d->data + off, 0, c->len);
	for (uint32_t i = 0; i < c->seg_count; i++) {
		void *mem = hpa_to_va(c->seg[i].addr);

		if (c->op == BLOCK_READ)
			memcpy(mem, d->data + off, c->seg[i].len);
		else
			memcpy(d->data + off, mem, c->seg[i].len);
		off += c->seg[i].len;
	}
}

/* End the @i-th command it has. */
static void fake_disk_end(struct fake_disk *d, unsigned int i)
{
	struct block_cmd *c = d->cmd[i];
	int err = 0;

	assert(i < d->count);
	d->cmd[i] = d->cmd[--d->count];
	if (d->fail_count > 0) {
		d->fail_count--;
		err = d->fail;
	}
	if (!err)
		fake_disk_do(d, c);
	block_cmd_done(c, err);
}

static int fake_disk_submit(void *drv, struct block_cmd *c)
{
	struct fake_disk *d = drv;

	assert(fake_lock_count == 0);
	fake_disk_check(d, c);
	if (d->count >= d->room)
		return -RAY_EAGAIN;
	d->cmd[d->count++] = c;
	if (d->at_once)
		fake_disk_end(d, d->count - 1);
	return 0;
}

static int fake_disk_recover(void *drv)
{
	struct fake_disk *d = drv;

	d->recovered++;
	while (d->count > 0)
		block_cmd_done(d->cmd[--d->count], -RAY_EAGAIN);
	return d->recover_result;
}

static void fake_disk_gone(void *drv)
{
	struct fake_disk *d = drv;

	d->gone = true;
}

static const struct block_ops fake_disk_ops = {
	.submit = fake_disk_submit, .recover = fake_disk_recover, .gone = fake_disk_gone};

static const __unused struct block_limits fake_limits = {
	.logical = 512, .physical = 4096, .bytes_max = KIB(128), .segs_max = 16, .seg_align = 3,
	.page = 4096, .dma_max = UINT64_MAX, .cache = true, .fua = true,
	.discard_granule = 4096, .discard_max = MIB(1), .zero_max = MIB(1)};

static __unused struct block_init fake_disk_init(struct fake_disk *d, const struct block_limits *limits)
{
	memset(d, 0, sizeof(*d));
	d->limits = *limits;
	d->data = calloc(1, FAKE_DISK_SIZE);
	d->room = FAKE_DISK_QUEUE;
	return (struct block_init){.prefix = "fake", .limits = *limits, .ops = &fake_disk_ops,
				   .drv = d, .depth = 8,
				   .ident = {.driver = "fake", .model = "Fake disk",
					     .size = FAKE_DISK_SIZE}};
}

/* Let the layer's threads do what they have to. */
static __unused void fake_threads_run(void)
{
	for (int i = 0; i < 50; i++)
		thread_yield();
}

#endif
