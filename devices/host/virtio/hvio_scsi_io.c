/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio-scsi: requests, their ends, recovery (virtio 1.2, 5.6.6). */
#include <string.h>

#include "devices/host/virtio/hvio_scsi.h"
#include "kernel/lib/err.h"
#define LOG_TAG "virtio-scsi"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define EXEC_NS     5000000000ull
#define SLOT_STEP_NS 5000000ull
#define EXEC_TRIES  3u /* another's trouble resets the host under it */
#define ANSWER_NONE 0xffu
#define LUN_FLAT    0x40u

/* What a request needs beside its data, in memory the device reaches: one for each slot. */
struct around {
	struct vscsi_request request;
	uint8_t pad[13];
	struct vscsi_response response;
	uint8_t pad2[4];
	uint8_t param[SCSI_PARAM_LEN];
	uint8_t pad3[56];
};
BUILD_ASSERT(sizeof(struct around) == 256, "none shares a cache line");

uint32_t vscsi_around(void)
{
	return sizeof(struct around);
}

/* --- requests --- */

static struct around *around_begin(const struct hvio_ioq *q, uint16_t slot, uint8_t target,
				   uint16_t lun)
{
	struct around *a = (struct around *)q->around.va + slot;

	memset(&a->request, 0, sizeof(a->request));
	a->request.lun[0] = 1;
	a->request.lun[1] = target;
	a->request.lun[2] = (uint8_t)(LUN_FLAT | lun >> 8);
	a->request.lun[3] = (uint8_t)lun;
	a->request.id = slot;
	memset(&a->response, 0, offsetof(struct vscsi_response, sense));
	a->response.response = ANSWER_NONE;
	return a;
}

static uint64_t around_addr(const struct hvio_ioq *q, uint16_t slot, size_t off)
{
	return q->around.addr.v + slot * sizeof(struct around) + off;
}

/* What the device reads comes before what it writes (2.7.4.2). */
static uint16_t request_fill(struct hvio_ioq *q, uint16_t slot, const struct block_cmd *cmd,
			     void *ctx)
{
	const struct vscsi_disk *d = ctx;
	struct around *a = around_begin(q, slot, d->target, d->lun);
	struct hvio_desc *desc = hvio_slot_descs(&q->ring, slot);
	uint16_t n = 0;

	scsi_cdb_fill(&d->unit, cmd, a->request.cdb, a->param);
	hvio_desc_fill(&desc[n++], around_addr(q, slot, offsetof(struct around, request)),
		       sizeof(a->request), false);
	if (cmd->op == BLOCK_WRITE)
		hvio_data_fill(cmd, desc, &n);
	else if (cmd->op == BLOCK_DISCARD)
		hvio_desc_fill(&desc[n++], around_addr(q, slot, offsetof(struct around, param)),
			       SCSI_PARAM_LEN, false);
	else if (cmd->op == BLOCK_ZERO)
		hvio_desc_fill(&desc[n++], d->host->zeros.addr.v, d->unit.logical, false);
	hvio_desc_fill(&desc[n++], around_addr(q, slot, offsetof(struct around, response)),
		       sizeof(a->response), true);
	if (cmd->op == BLOCK_READ)
		hvio_data_fill(cmd, desc, &n);
	return n;
}

static int disk_submit(void *drv, struct block_cmd *cmd)
{
	struct vscsi_disk *d = drv;
	int err = hvio_io_submit(&d->host->io, cmd, request_fill, d);

	if (likely(!err))
		return 0;
	/* Another disk may have all the slots: its next end is ours to wait for. What ended before
	 * that was known is looked at here. */
	__atomic_store_n(&d->host->starved, true, __ATOMIC_SEQ_CST);
	return hvio_io_submit(&d->host->io, cmd, request_fill, d);
}

/* There is a slot again: commands that found none may be given once more. */
static void room_tell(struct vscsi *s)
{
	uint32_t n = __atomic_load_n(&s->disk_count, __ATOMIC_ACQUIRE);

	__atomic_store_n(&s->starved, false, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < n; i++)
		block_room(s->disk[i]->dev);
}

static void slot_given(struct vscsi *s)
{
	if (unlikely(__atomic_load_n(&s->starved, __ATOMIC_SEQ_CST)))
		room_tell(s);
}

/* --- their ends --- */

/* The device's answer, copied once. */
static void response_take(const struct hvio_ioq *q, uint16_t slot, struct vscsi_response *out)
{
	const struct around *a = (const struct around *)q->around.va + slot;

	memcpy(out, &a->response, sizeof(*out));
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* nothing is read again */
	out->sense_len = MIN(out->sense_len, VSCSI_SENSE_SIZE);
}

static int result_of(const struct vscsi_response *r, enum block_op op)
{
	bool data = op == BLOCK_READ || op == BLOCK_WRITE;
	int err;

	switch (r->response) {
	case VSCSI_OK:
		err = scsi_result(r->status, r->sense, r->sense_len);
		/* Less than all of it is nothing. */
		return !err && data && r->residual ? -RAY_EAGAIN : err;
	case VSCSI_ABORTED:
	case VSCSI_RESET:
	case VSCSI_BUSY:
	case VSCSI_TRANSPORT_FAILURE:
		return -RAY_EAGAIN;
	default:
		return -RAY_EIO;
	}
}

static void exec_over(struct vscsi *s, struct hvio_ring *r, uint16_t slot)
{
	uint64_t flags = spin_lock_irqsave(&r->lock);

	if (s->exec_slot == slot)
		__atomic_store_n(&s->exec_over, 1, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&r->lock, flags);
	waitq_wake_all(&s->wait);
}

void vscsi_done(struct hvio_ring *r, uint16_t slot, uint32_t len)
{
	struct vscsi *s = container_of(r->v, struct vscsi, io.v);
	struct hvio_ioq *q = r->owner;
	struct vscsi_response answer;
	struct block_cmd *cmd = q->cmd[slot];

	(void)len;
	if (unlikely(!cmd)) {
		exec_over(s, r, slot);
		return;
	}
	response_take(q, slot, &answer);
	(void)hvio_io_take(q, slot);
	block_cmd_done(cmd, result_of(&answer, cmd->op));
	slot_given(s);
}

void vscsi_nonsense(struct hvio_ring *r)
{
	struct vscsi *s = container_of(r->v, struct vscsi, io.v);

	/* Which disk it is about cannot be known; the reset is the host's anyway. */
	if (__atomic_load_n(&s->disk_count, __ATOMIC_ACQUIRE) > 0)
		block_trouble(s->disk[0]->dev);
}

/* --- the driver's own --- */

static int exec_begin(const struct vscsi_place *p, const struct scsi_exec *x)
{
	struct vscsi *s = p->host;
	struct hvio_ioq *q = &s->io.queue[0];
	struct hvio_desc *d;
	struct around *a;
	uint64_t flags = spin_lock_irqsave(&q->ring.lock);
	int slot = hvio_slot_take(&q->ring);

	s->exec_slot = slot;
	__atomic_store_n(&s->exec_over, 0, __ATOMIC_RELAXED);
	if (slot >= 0) {
		a = around_begin(q, (uint16_t)slot, p->target, p->lun);
		memcpy(a->request.cdb, x->cdb, x->cdb_len);
		d = hvio_slot_descs(&q->ring, (uint16_t)slot);
		hvio_desc_fill(&d[0], around_addr(q, (uint16_t)slot,
						  offsetof(struct around, request)),
			       sizeof(a->request), false);
		hvio_desc_fill(&d[1], around_addr(q, (uint16_t)slot,
						  offsetof(struct around, response)),
			       sizeof(a->response), true);
		hvio_desc_fill(&d[2], s->data.addr.v, x->len, true);
		hvio_submit(&q->ring, (uint16_t)slot, x->len ? 3 : 2);
	}
	spin_unlock_irqrestore(&q->ring.lock, flags);
	return slot;
}

/* The answer is there: take it, and give the slot back. */
static int exec_end(struct vscsi *s, uint16_t slot, struct scsi_exec *x)
{
	struct hvio_ioq *q = &s->io.queue[0];
	struct vscsi_response answer;

	response_take(q, slot, &answer);
	memcpy(x->buf, s->data.va, x->len);
	(void)hvio_io_take(q, slot);
	slot_given(s);
	if (answer.response == VSCSI_BAD_TARGET)
		return -RAY_ENODEV;
	if (answer.response != VSCSI_OK && answer.response != VSCSI_OVERRUN)
		return -RAY_EIO;
	x->status = answer.status;
	x->got = x->len - MIN(answer.residual, x->len);
	x->sense_len = answer.sense_len;
	memcpy(x->sense, answer.sense, sizeof(x->sense));
	return 0;
}

/* Returns: its slot; -RAY_EAGAIN: none was free for as long as a command may take. */
static int exec_start(const struct vscsi_place *p, const struct scsi_exec *x)
{
	uint64_t deadline = time_now() + EXEC_NS;
	int slot;

	for (;;) {
		slot = exec_begin(p, x);
		if (slot >= 0 || time_now() >= deadline)
			return slot;
		thread_sleep_until(time_now() + SLOT_STEP_NS);
	}
}

static bool reset_since(const struct vscsi *s, uint32_t resets)
{
	return __atomic_load_n(&s->io.resets, __ATOMIC_ACQUIRE) != resets;
}

/* Returns: -RAY_EAGAIN: the host was reset under it. */
static int exec_once(const struct vscsi_place *p, struct scsi_exec *x)
{
	struct vscsi *s = p->host;
	uint32_t resets = __atomic_load_n(&s->io.resets, __ATOMIC_ACQUIRE);
	int slot = exec_start(p, x), err = -RAY_ETIMEDOUT;

	if (slot < 0)
		return slot;
	wait_event(&s->wait,
		   __atomic_load_n(&s->exec_over, __ATOMIC_ACQUIRE) || reset_since(s, resets),
		   time_now() + EXEC_NS);
	mutex_lock(&s->io.mend); /* what is used is not taken back meanwhile */
	if (reset_since(s, resets))
		err = -RAY_EAGAIN;
	else if (__atomic_load_n(&s->exec_over, __ATOMIC_ACQUIRE))
		err = exec_end(s, (uint16_t)slot, x);
	mutex_unlock(&s->io.mend);
	if (err == -RAY_ETIMEDOUT && vscsi_reset(s) != 0)
		return -RAY_EIO;
	return err;
}

int vscsi_exec(void *ctx, struct scsi_exec *x)
{
	int err = -RAY_EAGAIN;

	for (unsigned int i = 0; err == -RAY_EAGAIN && i < EXEC_TRIES; i++)
		err = exec_once(ctx, x);
	return err == -RAY_EAGAIN ? -RAY_EIO : err;
}

/* --- recovery --- */

int vscsi_reset(struct vscsi *s)
{
	int err = hvio_io_reset(&s->io);

	waitq_wake_all(&s->wait);
	log_warn("host was reset: %s", ray_strerror(err));
	if (!err) {
		room_tell(s);
		return 0;
	}
	for (uint32_t i = 0, n = __atomic_load_n(&s->disk_count, __ATOMIC_ACQUIRE); i < n; i++)
		block_trouble(s->disk[i]->dev);
	return err;
}

static int disk_recover(void *drv)
{
	struct vscsi_disk *d = drv;

	return vscsi_reset(d->host);
}

static void disk_gone(void *drv)
{
	struct vscsi_disk *d = drv;

	vscsi_put(d->host);
}

const struct block_ops vscsi_ops = {
	.submit = disk_submit,
	.recover = disk_recover,
	.gone = disk_gone,
};
