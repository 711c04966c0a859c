/* SPDX-License-Identifier: Apache-2.0 */
/* IDE: commands given and ended, and a channel's reset. */
#include "devices/host/ide/ide.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#define LOG_TAG "ide"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define POLL_NS     1000000ull
#define SRST_NS     10000ull   /* 5 us at least (9.2) */
#define READY_MS    31000u     /* after a reset (9.2) */
#define IDENTIFY_MS 10000u
#define SELECT_LOOKS 1000u     /* a drive that was just selected answers at once (7.2.6) */

static uint8_t status_get(const struct ide_channel *ch)
{
	return in8(ch->cmd + IDE_STATUS);
}

/* Without the interrupt of a command being taken back (7.2.6). */
static uint8_t status_look(const struct ide_channel *ch)
{
	return in8(ch->ctl);
}

static struct ide_shared *shared(const struct ide_channel *ch)
{
	return ch->shared.va;
}

/* --- giving --- */

static uint8_t device_bits(unsigned int unit)
{
	return (uint8_t)(unit << 4);
}

/* Select a drive. False: it is not ready for a command. */
static bool drive_select(const struct ide_channel *ch, unsigned int unit, uint8_t bits)
{
	out8(ch->cmd + IDE_DEVICE, (uint8_t)(device_bits(unit) | bits));
	for (unsigned int i = 0; i < SELECT_LOOKS; i++) {
		if (!(status_look(ch) & (ATA_S_BUSY | ATA_S_DRQ)))
			return true;
	}
	return false;
}

/* 48 bits go in two halves, the upper ones first (6.2). */
static void registers_write(const struct ide_channel *ch, const struct ata_taskfile *t)
{
	out8(ch->cmd + IDE_ERROR, (uint8_t)(t->features >> 8));
	out8(ch->cmd + IDE_COUNT, (uint8_t)(t->count >> 8));
	out8(ch->cmd + IDE_LBA_LOW, (uint8_t)(t->lba >> 24));
	out8(ch->cmd + IDE_LBA_MID, (uint8_t)(t->lba >> 32));
	out8(ch->cmd + IDE_LBA_HI, (uint8_t)(t->lba >> 40));
	out8(ch->cmd + IDE_ERROR, (uint8_t)t->features);
	out8(ch->cmd + IDE_COUNT, (uint8_t)t->count);
	out8(ch->cmd + IDE_LBA_LOW, (uint8_t)t->lba);
	out8(ch->cmd + IDE_LBA_MID, (uint8_t)(t->lba >> 8));
	out8(ch->cmd + IDE_LBA_HI, (uint8_t)(t->lba >> 16));
	out8(ch->cmd + IDE_STATUS, t->command);
}

/* A piece, cut where a multiple of 64 KiB lies in it. */
static void prds_add(struct ide_prd *prd, unsigned int *n, uint64_t addr, uint64_t len)
{
	while (len > 0) {
		uint64_t here = MIN(len, KIB(64) - addr % KIB(64));

		prd[(*n)++] = (struct ide_prd){.addr = (uint32_t)addr, .len = (uint16_t)here};
		addr += here;
		len -= here;
	}
}

static void prds_fill(const struct ide_channel *ch, const struct block_cmd *cmd, unsigned int *n)
{
	struct ide_prd *prd = shared(ch)->prd;

	for (uint32_t i = 0; i < cmd->seg_count; i++)
		prds_add(prd, n, cmd->seg[i].addr.v, cmd->seg[i].len);
	if (cmd->op == BLOCK_DISCARD)
		prds_add(prd, n, ch->shared.addr.v + offsetof(struct ide_shared, ranges),
			 ATA_DATA_LEN);
	if (*n > 0)
		prd[*n - 1].flags = IDE_PRD_LAST;
}

/* Pre: ch->lock, nothing is under way. */
static int cmd_give(struct ide_channel *ch, const struct ide_drive *d, const struct block_cmd *cmd)
{
	uint8_t direction = cmd->op == BLOCK_READ ? IDE_BM_READ : 0;
	struct ata_taskfile t;
	unsigned int prds = 0;

	prds_fill(ch, cmd, &prds);
	ata_taskfile_fill(&d->id, cmd, shared(ch)->ranges, &t);
	if (!drive_select(ch, d->unit, t.device))
		return -RAY_EIO;
	out8(ch->bm + IDE_BM_COMMAND, direction);
	/* What of the last command may still stand there goes by being written. */
	out8(ch->bm + IDE_BM_STATUS, in8(ch->bm + IDE_BM_STATUS) | IDE_BM_ERROR | IDE_BM_IRQ);
	if (prds > 0)
		out32(ch->bm + IDE_BM_PRDT, (uint32_t)ch->shared.addr.v);
	registers_write(ch, &t);
	if (prds > 0)
		out8(ch->bm + IDE_BM_COMMAND, direction | IDE_BM_START);
	return 0;
}

static int ide_submit(void *drv, struct block_cmd *cmd)
{
	struct ide_drive *d = drv;
	struct ide_channel *ch = d->ch;
	uint64_t flags = spin_lock_irqsave(&ch->lock);
	int err = -RAY_EAGAIN;

	if (ch->on && !ch->busy) {
		err = cmd_give(ch, d, cmd);
		if (likely(!err)) {
			ch->busy = cmd;
			ch->busy_drive = d;
		}
	}
	if (err)
		ch->missed |= (uint8_t)(1u << d->unit);
	spin_unlock_irqrestore(&ch->lock, flags);
	if (unlikely(err == -RAY_EIO))
		block_trouble(d->dev);
	return err ? -RAY_EAGAIN : 0;
}

/* --- ending --- */

/* Drives that asked in vain may ask again. */
static void room(struct ide_channel *ch, uint8_t missed)
{
	for (unsigned int i = 0; i < 2; i++) {
		if ((missed & (1u << i)) && ch->drive[i].dev)
			block_room(ch->drive[i].dev);
	}
}

/* How the command under way ended. Pre: ch->lock. */
static int result_take(struct ide_channel *ch, uint8_t bm)
{
	uint8_t status = status_get(ch);
	int err = ata_result(status, status & ATA_S_ERR ? in8(ch->cmd + IDE_ERROR) : 0);

	out8(ch->bm + IDE_BM_COMMAND, 0);
	out8(ch->bm + IDE_BM_STATUS, bm | IDE_BM_IRQ | IDE_BM_ERROR);
	if (!err && (bm & IDE_BM_ERROR))
		err = -RAY_EAGAIN; /* the bus, not the disk */
	return err;
}

void ide_interrupt(void *arg)
{
	struct ide_channel *ch = arg;
	struct block_cmd *cmd = NULL;
	uint64_t flags = spin_lock_irqsave(&ch->lock);
	uint8_t bm = ch->on && ch->busy ? in8(ch->bm + IDE_BM_STATUS) : 0, missed = 0;
	int err = 0;

	/* A line that others use too, or an interrupt of nobody's. */
	if ((bm & IDE_BM_IRQ) && !(status_look(ch) & ATA_S_BUSY)) {
		err = result_take(ch, bm);
		cmd = ch->busy;
		ch->busy = NULL;
		missed = ch->missed;
		ch->missed = 0;
	}
	spin_unlock_irqrestore(&ch->lock, flags);
	if (!cmd)
		return;
	block_cmd_done(cmd, err);
	room(ch, missed);
}

void ide_channel_abandon(struct ide_channel *ch)
{
	uint64_t flags = spin_lock_irqsave(&ch->lock);
	struct block_cmd *cmd = ch->busy;

	ch->busy = NULL;
	spin_unlock_irqrestore(&ch->lock, flags);
	if (cmd)
		block_cmd_done(cmd, -RAY_EAGAIN);
}

/* --- reset --- */

static int idle_wait(const struct ide_channel *ch, unsigned int ms)
{
	uint64_t end = time_now() + ms * 1000000ull;

	for (;;) {
		uint8_t status = status_look(ch);

		if (status == IDE_GONE)
			return -RAY_ENODEV;
		if (!(status & ATA_S_BUSY))
			return 0;
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		thread_sleep_until(time_now() + POLL_NS);
	}
}

int ide_channel_reset(struct ide_channel *ch)
{
	out8(ch->bm + IDE_BM_COMMAND, 0);
	out8(ch->ctl, IDE_CTL_SRST | IDE_CTL_NIEN);
	thread_sleep_until(time_now() + SRST_NS);
	out8(ch->ctl, 0);
	thread_sleep_until(time_now() + 2 * POLL_NS); /* before BSY means anything (9.2) */
	return idle_wait(ch, READY_MS);
}

static void channel_set(struct ide_channel *ch, bool on)
{
	uint64_t flags = spin_lock_irqsave(&ch->lock);

	ch->on = on;
	spin_unlock_irqrestore(&ch->lock, flags);
}

void ide_channel_off(struct ide_channel *ch)
{
	channel_set(ch, false);
}

int ide_channel_renew(struct ide_channel *ch)
{
	int err;

	channel_set(ch, false);
	err = ide_channel_reset(ch);
	ide_channel_abandon(ch);
	if (!err) {
		channel_set(ch, true);
		room(ch, 3);
	}
	return err;
}

static int ide_recover(void *drv)
{
	struct ide_drive *d = drv;
	struct ide_channel *ch = d->ch;
	int err = ide_channel_renew(ch);

	log_warn("channel was reset: %s model=\"%s\" channel=%u", ray_strerror(err),
		 d->id.ident.model, ch->number);
	return err;
}

/* --- identification --- */

int ide_identify(struct ide_channel *ch, unsigned int unit, uint8_t *data)
{
	uint8_t status;
	int err;

	out8(ch->ctl, IDE_CTL_NIEN);
	if (!drive_select(ch, unit, 0))
		return -RAY_ENODEV;
	registers_write(ch, &(struct ata_taskfile){.command = ATA_IDENTIFY});
	status = status_look(ch);
	if (status == 0 || status == IDE_GONE)
		return -RAY_ENODEV;
	err = idle_wait(ch, IDENTIFY_MS);
	if (err)
		return err;
	status = status_get(ch);
	/* A drive of packets answers with its signature instead (9.12). */
	if (in8(ch->cmd + IDE_LBA_MID) || in8(ch->cmd + IDE_LBA_HI))
		return -RAY_ENODEV;
	if ((status & (ATA_S_ERR | ATA_S_FAULT)) || !(status & ATA_S_DRQ))
		return -RAY_EIO;
	for (unsigned int i = 0; i < ATA_DATA_LEN; i += 2)
		store16(data + i, in16(ch->cmd + IDE_DATA));
	(void)status_get(ch);
	out8(ch->ctl, 0);
	return 0;
}

static void ide_gone(void *drv)
{
	struct ide_drive *d = drv;

	ide_put(d->ch->ide);
}

const struct block_ops ide_block_ops = {
	.submit = ide_submit,
	.recover = ide_recover,
	.gone = ide_gone,
};
