/* SPDX-License-Identifier: Apache-2.0 */
/* USB mass storage: commands of the block layer, by the stick's thread. */
#include <string.h>

#include "devices/host/usb/usb_storage.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"

/* What bot_run() and the unit's sense data mean together; sense is left in the shared memory. */
static int result_of(struct stick *s, uint8_t lun, int run, uint8_t *status, uint32_t *sense_len)
{
	*status = SCSI_GOOD;
	*sense_len = 0;
	if (run != 1)
		return run;
	*status = SCSI_CHECK_CONDITION;
	*sense_len = bot_sense(s, lun);
	return 0;
}

/* --- a command whose end is waited for --- */

int stick_exec(void *ctx, struct scsi_exec *x)
{
	const struct stick_disk *d = ctx;
	struct stick *s = d->stick;
	struct bot_shared *sh = bot_shared(s);
	struct usb_seg seg = bot_piece(s, sh->data, x->len);
	struct bot_cmd c = {.lun = d->lun, .cdb = x->cdb, .cdb_len = x->cdb_len, .in = true,
			    .seg = &seg, .seg_count = x->len ? 1 : 0, .len = x->len};
	int err = bot_run(s, &c, &x->got);

	err = result_of(s, d->lun, err, &x->status, &x->sense_len);
	if (err == -RAY_EAGAIN) {
		x->status = SCSI_BUSY;
		err = 0;
	}
	if (err)
		return err;
	memcpy(x->buf, sh->data, x->got);
	memcpy(x->sense, sh->sense, x->sense_len);
	return 0;
}

/* --- the block layer's commands --- */

static int run(struct stick *s, const struct stick_disk *d, struct bot_cmd *c)
{
	uint32_t got, sense_len;
	uint8_t status;
	int err = bot_run(s, c, &got);
	bool whole = err == 0 && got == c->len;

	err = result_of(s, d->lun, err, &status, &sense_len);
	if (err)
		return err;
	if (status == SCSI_GOOD) /* less than all of it is nothing */
		return whole ? 0 : -RAY_EAGAIN;
	return scsi_result(status, bot_shared(s)->sense, sense_len);
}

static int command_do(struct stick *s, const struct stick_disk *d, const struct block_cmd *cmd)
{
	bool data = cmd->op == BLOCK_READ || cmd->op == BLOCK_WRITE;
	uint8_t cdb[SCSI_CDB_MAX];
	struct bot_cmd c = {.lun = d->lun, .cdb = cdb, .in = cmd->op == BLOCK_READ, .seg = s->seg};

	c.cdb_len = scsi_cdb_fill(&d->unit, cmd, cdb, bot_shared(s)->param);
	if (data) {
		for (uint32_t i = 0; i < cmd->seg_count; i++)
			s->seg[i] = (struct usb_seg){.addr = {cmd->seg[i].addr.v},
						     .len = cmd->seg[i].len};
		c.seg_count = cmd->seg_count;
		c.len = (uint32_t)cmd->len;
	} else if (cmd->op != BLOCK_FLUSH) {
		c.len = cmd->op == BLOCK_DISCARD ? SCSI_PARAM_LEN : d->unit.logical;
		c.seg_count = 1;
		s->seg[0] = cmd->op == BLOCK_DISCARD ?
				    bot_piece(s, bot_shared(s)->param, c.len) :
				    bot_piece(s, bot_shared(s)->zeros, c.len);
	}
	return run(s, d, &c);
}

/* --- the thread --- */

static void command_end(struct stick *s, struct stick_disk *d, int err)
{
	uint64_t flags = spin_lock_irqsave(&s->lock);
	struct block_cmd *cmd = d->cmd;

	d->cmd = NULL;
	spin_unlock_irqrestore(&s->lock, flags);
	if (cmd)
		block_cmd_done(cmd, err);
}

static void commands_end(struct stick *s, int err)
{
	for (unsigned int i = 0; i < BOT_UNITS; i++) {
		if (s->disk[i])
			command_end(s, s->disk[i], err);
	}
}

static bool something_to_do(struct stick *s)
{
	uint64_t flags = spin_lock_irqsave(&s->lock);
	bool any = s->stop || s->resetting;

	for (unsigned int i = 0; i < BOT_UNITS; i++)
		any |= s->disk[i] && s->disk[i]->cmd;
	spin_unlock_irqrestore(&s->lock, flags);
	return any;
}

/* Who waits for a reset hears of it. */
static void reset_over(struct stick *s, int err)
{
	uint64_t flags = spin_lock_irqsave(&s->lock);

	s->reset_err = err;
	__atomic_store_n(&s->resetting, false, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&s->lock, flags);
	waitq_wake_all(&s->mended);
}

static void mend(struct stick *s)
{
	int err = bot_reset(s);

	commands_end(s, -RAY_EAGAIN);
	reset_over(s, err);
}

/* One of each disk, so that none waits for ever. */
static void round_do(struct stick *s)
{
	for (unsigned int i = 0; i < BOT_UNITS; i++) {
		struct stick_disk *d = s->disk[i];
		struct block_cmd *cmd = d ? __atomic_load_n(&d->cmd, __ATOMIC_ACQUIRE) : NULL;

		if (cmd)
			command_end(s, d, command_do(s, d, cmd));
	}
}

void stick_thread(void *arg)
{
	struct stick *s = arg;

	for (;;) {
		wait_event(&s->wake, something_to_do(s), UINT64_MAX);
		if (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
			break;
		if (__atomic_load_n(&s->resetting, __ATOMIC_ACQUIRE))
			mend(s);
		else
			round_do(s);
	}
	commands_end(s, -RAY_ENODEV);
	reset_over(s, -RAY_ENODEV);
}

/* --- struct block_ops --- */

static int disk_submit(void *drv, struct block_cmd *cmd)
{
	struct stick_disk *d = drv;
	struct stick *s = d->stick;
	uint64_t flags = spin_lock_irqsave(&s->lock);
	bool stopped = s->stop, room = !d->cmd;

	if (room && !stopped)
		d->cmd = cmd;
	spin_unlock_irqrestore(&s->lock, flags);
	if (stopped)
		block_cmd_done(cmd, -RAY_ENODEV);
	else if (room)
		waitq_wake_all(&s->wake);
	return stopped || room ? 0 : -RAY_EAGAIN;
}

static bool mended(const struct stick *s)
{
	return !__atomic_load_n(&s->resetting, __ATOMIC_ACQUIRE);
}

static int disk_recover(void *drv)
{
	struct stick_disk *d = drv;
	struct stick *s = d->stick;
	uint64_t flags = spin_lock_irqsave(&s->lock);

	s->resetting = !s->stop;
	s->reset_err = -RAY_ENODEV;
	spin_unlock_irqrestore(&s->lock, flags);
	waitq_wake_all(&s->wake);
	/* What it is at ends by itself: each of its steps has a deadline. */
	(void)wait_event(&s->mended, mended(s), UINT64_MAX);
	return s->reset_err;
}

static void disk_gone(void *drv)
{
	struct stick_disk *d = drv;

	stick_put(d->stick);
}

const struct block_ops stick_block_ops = {
	.submit = disk_submit, .recover = disk_recover, .gone = disk_gone};
