/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device: requests (virtio 1.2, 5.2.6).
 * Owns: their header, checks, slicing and answers. Must not know: where bytes are kept.
 *
 * A request is begun (header copied and checked, quota asked), run in slices and answered.
 * What does not end within a turn stays in the ring with its position in struct vblk_req.
 * Locking: the queue's; the back end orders itself.
 */
#include "devices/virt/virtio/blk_flight.h"

#include <string.h>

#include "kernel/lib/err.h"

/* What the exit handler does at once: each request, and all of one notify. */
#define FAST_REQUEST  KIB(16)
#define FAST_TURN     KIB(128)
/* One turn of the I/O thread, which runs without preemption: some 50 us. */
#define SLOW_TURN     KIB(512)
#define TURN_REQUESTS 256u
/* A turn's worth of zeroing and discarding. */
#define ZERO_SLICE    KIB(512)
#define DISCARD_SLICE MIB(16)

struct turn {
	uint64_t bytes;        /* that may still be copied */
	unsigned int requests; /* that may still be begun */
	bool fast;
};

/* --- beginning --- */

static enum vblk_step refused(struct vblk_answer *a, uint8_t status)
{
	a->status = status;
	return VBLK_ANSWER;
}

/* Whole sectors inside the disk. */
static bool range_good(const struct vblk *b, uint64_t sector, uint64_t bytes)
{
	uint64_t sectors = b->disk->back->size / BLK_SECTOR;

	return bytes % BLK_SECTOR == 0 && sector <= sectors &&
	       bytes / BLK_SECTOR <= sectors - sector;
}

static enum vblk_step begin_data(struct vblk *b, struct vblk_req *r, uint64_t sector, struct vblk_answer *a)
{
	bool read = r->op == BLOCK_READ;

	r->len = read ? r->in_len - 1 : r->out_len - sizeof(struct vblk_header);
	/* Nothing the wrong way round. */
	if (unlikely(read ? r->out_len != sizeof(struct vblk_header) : r->in_len != 1))
		return refused(a, VIRTIO_BLK_S_IOERR);
	if (unlikely(!range_good(b, sector, r->len)))
		return refused(a, VIRTIO_BLK_S_IOERR);
	r->off = sector * BLK_SECTOR;
	r->amount = r->len;
	return VBLK_RUN;
}

static enum vblk_step range_check(const struct vblk *b, const struct vblk_req *r,
			     const struct vblk_range *range, struct vblk_answer *a)
{
	uint32_t known = r->op == BLOCK_ZERO ? VBLK_RANGE_UNMAP : 0;

	if (range->flags & ~known)
		return refused(a, VIRTIO_BLK_S_UNSUPP);
	if (range->sectors > VBLK_RANGE_SECTORS_MAX ||
	    !range_good(b, range->sector, (uint64_t)range->sectors * BLK_SECTOR))
		return refused(a, VIRTIO_BLK_S_IOERR);
	return VBLK_RUN;
}

/* All ranges are copied and checked before the first is worked on. */
static enum vblk_step begin_ranges(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
			      struct vblk_answer *a)
{
	uint32_t bytes = r->out_len - (uint32_t)sizeof(struct vblk_header);

	if (bytes == 0 || bytes % sizeof(r->range[0]) || bytes > sizeof(r->range) ||
	    r->in_len != 1)
		return refused(a, VIRTIO_BLK_S_IOERR);
	virtq_chain_read(c, sizeof(struct vblk_header), r->range, bytes);
	r->range_count = bytes / sizeof(r->range[0]);
	r->range_at = 0;
	for (unsigned int i = 0; i < r->range_count; i++) {
		enum vblk_step s = range_check(b, r, &r->range[i], a);

		if (s != VBLK_RUN)
			return s;
		r->amount += (uint64_t)r->range[i].sectors * BLK_SECTOR;
	}
	return VBLK_RUN;
}

static enum vblk_step begin_id(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
			  struct vblk_answer *a)
{
	char id[VBLK_ID_LEN] = {0};

	memcpy(id, b->disk->serial, strlen(b->disk->serial));
	virtq_chain_write(c, 0, id, MIN(VBLK_ID_LEN, r->in_len - 1));
	return refused(a, VIRTIO_BLK_S_OK);
}

/* What the type is about; with @fast only what is short. */
static enum vblk_step begin_type(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
			    const struct vblk_header *h, struct vblk_answer *a)
{
	bool writable = !b->disk->read_only;

	switch (h->type) {
	case VIRTIO_BLK_T_IN:
		r->op = BLOCK_READ;
		r->verb = POLICY_READ;
		return begin_data(b, r, h->sector, a);
	case VIRTIO_BLK_T_OUT:
		r->op = BLOCK_WRITE;
		r->verb = POLICY_WRITE;
		return writable ? begin_data(b, r, h->sector, a) : refused(a, VIRTIO_BLK_S_IOERR);
	case VIRTIO_BLK_T_FLUSH:
		if (!virtio_has(&b->v, VIRTIO_BLK_F_FLUSH))
			break;
		r->op = BLOCK_FLUSH;
		r->verb = POLICY_FLUSH;
		return VBLK_RUN;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->op = h->type == VIRTIO_BLK_T_DISCARD ? BLOCK_DISCARD : BLOCK_ZERO;
		r->verb = r->op == BLOCK_DISCARD ? POLICY_DISCARD : POLICY_WRITE_ZEROES;
		if (!virtio_has(&b->v, r->op == BLOCK_DISCARD ? VIRTIO_BLK_F_DISCARD :
							      VIRTIO_BLK_F_WRITE_ZEROES))
			break;
		return begin_ranges(b, r, c, a);
	case VIRTIO_BLK_T_GET_ID:
		return begin_id(b, r, c, a);
	default:
		break;
	}
	return refused(a, VIRTIO_BLK_S_UNSUPP);
}

static bool is_short(const struct vblk_req *r)
{
	return r->op == BLOCK_FLUSH ||
	       ((r->op == BLOCK_READ || r->op == BLOCK_WRITE) && r->len <= FAST_REQUEST);
}

static enum vblk_step admit(struct vblk *b, struct vblk_req *r, struct vblk_answer *a)
{
	/* What is discarded is not moved: it costs an operation and no bytes. */
	uint64_t cost = r->op == BLOCK_DISCARD ? 0 : r->amount;

	r->start = rdtsc();
	switch (vhandler_admit_cost(&b->v.attach->handler, r->verb, r->amount, cost, r->start,
				    &a->when)) {
	case VHANDLER_GO:
		r->admitted = true;
		r->done = 0;
		return VBLK_RUN;
	case VHANDLER_WAIT:
		return VBLK_WAIT;
	case VHANDLER_DENIED:
		break;
	}
	return refused(a, VIRTIO_BLK_S_IOERR);
}

static enum vblk_step begin(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
		       bool fast, struct vblk_answer *a)
{
	struct vblk_header h;
	enum vblk_step s;

	if (unlikely(!virtq_chain_head(c, &h, sizeof(h)))) {
		virtio_dev_break(&b->v, "request without a header");
		return VBLK_BROKEN;
	}
	if (unlikely(c->in_len == 0)) {
		virtio_dev_break(&b->v, "request without room for its status");
		return VBLK_BROKEN;
	}
	r->head = c->head;
	r->out_len = c->out_len;
	r->in_len = c->in_len;
	r->amount = 0;
	s = begin_type(b, r, c, &h, a);
	if (s == VBLK_RUN)
		s = fast && !is_short(r) ? VBLK_MORE : admit(b, r, a);
	return s;
}

/* The rest of a request whose header was read in an earlier turn. */
static enum vblk_step resume(struct vblk *b, const struct vblk_req *r, const struct virtq_chain *c)
{
	if (likely(c->head == r->head && c->out_len == r->out_len && c->in_len == r->in_len))
		return VBLK_RUN;
	virtio_dev_break(&b->v, "request changed while it was served");
	return VBLK_BROKEN;
}

enum vblk_step vblk_begin(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
			  struct vblk_answer *a)
{
	return r->admitted ? resume(b, r, c) : begin(b, r, c, false, a);
}

/* --- running --- */

static enum vblk_step failed(struct vblk *b, int err, struct vblk_answer *a)
{
	if (err == -RAY_EAGAIN)
		return VBLK_MORE;
	if (err == -RAY_ENOSPC)
		virtio_quota_event(&b->v);
	return refused(a, VIRTIO_BLK_S_IOERR);
}

static void spend(struct turn *t, uint64_t bytes)
{
	t->bytes -= MIN(t->bytes, bytes);
}

static int submit(struct vblk *b, struct blk_io *io)
{
	struct blk_back *back = b->disk->back;

	return back->ops->submit(back, io);
}

/* Without a cache in writeback mode a write is kept when it is answered (5.2.6.2). */
bool vblk_writethrough(const struct vblk *b)
{
	if (!virtio_has(&b->v, VIRTIO_BLK_F_FLUSH))
		return true;
	return virtio_has(&b->v, VIRTIO_BLK_F_CONFIG_WCE) && !b->v.config[VBLK_CFG_WRITEBACK];
}

static enum vblk_step run_flush(struct vblk *b, const struct turn *t, struct vblk_answer *a)
{
	struct blk_io io = {.op = BLOCK_FLUSH, .fast = t->fast};
	int err = submit(b, &io);

	return err ? failed(b, err, a) : VBLK_ANSWER;
}

static enum vblk_step run_data(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
			  struct turn *t, struct vblk_answer *a)
{
	struct blk_io io = {.op = r->op, .fast = t->fast};

	while (r->done < r->len) {
		int err;

		if (unlikely(t->bytes == 0))
			return VBLK_MORE;
		io.off = r->off + r->done;
		io.len = MIN(r->len - r->done, ALIGN_UP(t->bytes, (uint64_t)BLK_SECTOR));
		io.extra = 0;
		if (r->op == BLOCK_READ)
			virtq_iter_in(&io.data, c, (uint32_t)r->done);
		else
			virtq_iter_out(&io.data, c, (uint32_t)(sizeof(struct vblk_header) + r->done));
		err = submit(b, &io);
		if (unlikely(err))
			return failed(b, err, a);
		r->done += io.len;
		spend(t, io.len + io.extra);
	}
	if (r->op == BLOCK_WRITE && unlikely(vblk_writethrough(b)))
		return run_flush(b, t, a);
	return VBLK_ANSWER;
}

/* One slice of the present range. */
static int run_slice(struct vblk *b, struct vblk_req *r, struct turn *t)
{
	const struct vblk_range *range = &r->range[r->range_at];
	bool unmap = r->op == BLOCK_DISCARD || (range->flags & VBLK_RANGE_UNMAP);
	uint64_t slice = unmap ? DISCARD_SLICE : ZERO_SLICE;
	uint64_t left = (uint64_t)range->sectors * BLK_SECTOR - r->done;
	struct blk_io io = {.op = r->op, .fast = t->fast, .unmap = unmap,
			    .off = range->sector * BLK_SECTOR + r->done, .len = MIN(left, slice)};
	int err = submit(b, &io);

	if (err)
		return err;
	spend(t, io.len * SLOW_TURN / slice + io.extra);
	r->done += io.len;
	if (io.len == left) {
		r->range_at++;
		r->done = 0;
	}
	return 0;
}

static enum vblk_step run_ranges(struct vblk *b, struct vblk_req *r, struct turn *t, struct vblk_answer *a)
{
	while (r->range_at < r->range_count) {
		int err = t->bytes == 0 ? -RAY_EAGAIN : run_slice(b, r, t);

		if (err)
			return failed(b, err, a);
	}
	return VBLK_ANSWER;
}

static enum vblk_step run(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
		     struct turn *t, struct vblk_answer *a)
{
	a->status = VIRTIO_BLK_S_OK;
	switch (r->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return run_data(b, r, c, t, a);
	case BLOCK_FLUSH:
		return run_flush(b, t, a);
	default:
		return run_ranges(b, r, t, a);
	}
}

/* --- answering --- */

void vblk_answer(struct vblk *b, struct vblk_req *r, struct virtq *q, const struct virtq_chain *c,
		 uint8_t status)
{
	const struct virtq_seg *last = &c->seg[c->out_count + c->in_count - 1];
	bool ok = status == VIRTIO_BLK_S_OK;

	/* The last byte that the device may write (5.2.6). */
	((volatile uint8_t *)last->p)[last->len - 1] = status;
	if (r->admitted)
		vblk_count(b, r->verb, r->amount, r->start, ok);
	r->admitted = false;
	virtq_put(q, c->head, vblk_used(c->in_len, ok));
}

enum virtq_result vblk_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct vblk *b = vblk_of(d);
	struct vblk_req *r = &b->req[q->index];
	struct turn t = {.bytes = fast ? FAST_TURN : SLOW_TURN, .requests = TURN_REQUESTS,
			 .fast = fast};
	struct virtq_chain *c;
	struct vblk_answer a = {.when = 0};
	enum vblk_step s = VBLK_ANSWER;
	int got;

	if (b->disk->back->ops->begin)
		return vblk_flights_serve(b, q);
	do {
		got = virtq_next(q, &c);
		if (got <= 0)
			break;
		s = t.requests-- == 0 ? VBLK_MORE :
		    r->admitted ? resume(b, r, c) : begin(b, r, c, fast, &a);
		if (s == VBLK_RUN)
			s = run(b, r, c, &t, &a);
		if (s == VBLK_ANSWER) {
			virtq_take(q);
			vblk_answer(b, r, q, c, a.status);
		}
	} while (s == VBLK_ANSWER);
	return vblk_turn_end(q, got, s, a.when);
}
