/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for who may wait, with memory of the kernel's own: contiguous, so one piece does. */
#include "kernel/block/block_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/sched/thread.h"

#define STEP MIB(64) /* a piece has a 32-bit length */

struct wait {
	struct block_req r;
	struct thread *thread;
	bool over;
	int err;
};

static void over(struct block_req *r, int err)
{
	struct wait *w = r->owner;
	struct thread *t = w->thread;

	w->err = err;
	/* The waiter's stack may be gone from here on; the waiter itself is not. */
	__atomic_store_n(&w->over, true, __ATOMIC_RELEASE);
	thread_wake(t);
}

int block_wait(void (*begin)(void *ctx, struct block_req *r), void *ctx,
	       const struct block_req *what)
{
	struct wait w = {.r = *what, .thread = thread_current()};

	w.r.done = over;
	w.r.owner = &w;
	begin(ctx, &w.r);
	while (!__atomic_load_n(&w.over, __ATOMIC_ACQUIRE))
		waitq_sleep(UINT64_MAX);
	return w.err;
}

static void begin_here(void *ctx, struct block_req *r)
{
	block_submit(ctx, r);
}

static int submit(struct block_dev *dev, const struct block_req *what)
{
	return block_wait(begin_here, dev, what);
}

static int data(struct block_dev *dev, const struct block_req *what, const void *buf)
{
	struct block_req r = *what;
	uint64_t left = what->len;
	const char *p = buf;
	int err = 0;

	while (left > 0 && !err) {
		struct block_seg seg = {.addr = va_to_hpa(p), .len = (uint32_t)MIN(left, STEP)};

		r.seg = &seg;
		r.seg_count = 1;
		r.len = seg.len;
		err = submit(dev, &r);
		r.off += seg.len;
		p += seg.len;
		left -= seg.len;
	}
	return err;
}

int block_read(struct block_dev *dev, uint64_t off, void *buf, uint64_t len)
{
	const struct block_req r = {.op = BLOCK_READ, .off = off, .len = len};

	return data(dev, &r, buf);
}

int block_write(struct block_dev *dev, uint64_t off, const void *buf, uint64_t len, uint32_t flags)
{
	const struct block_req r = {.op = BLOCK_WRITE, .flags = flags, .off = off, .len = len};

	return data(dev, &r, buf);
}

int block_flush(struct block_dev *dev)
{
	const struct block_req r = {.op = BLOCK_FLUSH};

	return submit(dev, &r);
}

int block_discard(struct block_dev *dev, uint64_t off, uint64_t len)
{
	const struct block_req r = {.op = BLOCK_DISCARD, .off = off, .len = len};

	return submit(dev, &r);
}
