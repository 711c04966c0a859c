/* SPDX-License-Identifier: Apache-2.0 */
/* AHCI: commands given and ended. */
#include <string.h>

#include "devices/host/ahci/ahci.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/time/time.h"

#define EXEC_NS 10000000000ull
#define IDLE_NS 60000000000ull /* for what is under way before, and its repeats */

/* --- building --- */

static struct ahci_table *table_of(const struct ahci_port *p, unsigned int slot)
{
	return (struct ahci_table *)p->tables.va + slot;
}

/* Registers as a FIS has them (Serial ATA 3.x, 10.5.5). */
static void fis_fill(uint8_t *fis, const struct ata_taskfile *t)
{
	const uint8_t bytes[AHCI_FIS_LEN * 4] = {
		AHCI_FIS_H2D, AHCI_FIS_COMMAND, t->command, (uint8_t)t->features,
		(uint8_t)t->lba, (uint8_t)(t->lba >> 8), (uint8_t)(t->lba >> 16), t->device,
		(uint8_t)(t->lba >> 24), (uint8_t)(t->lba >> 32), (uint8_t)(t->lba >> 40),
		(uint8_t)(t->features >> 8),
		(uint8_t)t->count, (uint8_t)(t->count >> 8),
	};

	memcpy(fis, bytes, sizeof(bytes));
}

static void prd_add(struct ahci_table *table, uint16_t *prds, uint64_t addr, uint32_t len)
{
	table->prd[*prds] = (struct ahci_prd){.addr = addr, .len = len - 1u};
	(*prds)++;
}

static uint64_t shared_addr(const struct ahci_port *p, size_t off)
{
	return p->shared.addr.v + off;
}

/* The header is what makes a slot's table complete. */
static void header_fill(const struct ahci_port *p, unsigned int slot, uint16_t prds, bool write)
{
	ahci_shared(p)->header[slot] = (struct ahci_header){
		.flags = (uint16_t)(AHCI_FIS_LEN | (write ? AHCI_H_WRITE : 0)),
		.prds = prds,
		.table = p->tables.addr.v + slot * sizeof(struct ahci_table),
	};
}

static void cmd_fill(const struct ahci_port *p, unsigned int slot, const struct block_cmd *cmd,
		    bool queued)
{
	struct ahci_table *table = table_of(p, slot);
	struct ata_taskfile t;
	uint16_t prds = 0;

	for (uint32_t i = 0; i < cmd->seg_count; i++)
		prd_add(table, &prds, cmd->seg[i].addr.v, cmd->seg[i].len);
	if (queued)
		ata_taskfile_queued(&p->id, cmd, slot, &t);
	else
		ata_taskfile_fill(&p->id, cmd, ahci_shared(p)->ranges, &t);
	if (cmd->op == BLOCK_DISCARD)
		prd_add(table, &prds, shared_addr(p, offsetof(struct ahci_shared, ranges)),
			ATA_DATA_LEN);
	fis_fill(table->fis, &t);
	header_fill(p, slot, prds, cmd->op != BLOCK_READ && prds > 0);
}

/* --- giving --- */

/* Pre: p->lock. */
static void issue(struct ahci_port *p, unsigned int slot, bool queued)
{
	p->busy |= 1u << slot;
	if (queued) {
		p->queued |= 1u << slot;
		ahci_px_write(p, AHCI_PX_SACT, 1u << slot);
	}
	ahci_px_write(p, AHCI_PX_CI, 1u << slot);
}

/* Pre: p->lock. -RAY_EAGAIN: not while what is under way is. */
static int slot_take(const struct ahci_port *p, bool queued)
{
	uint32_t free = ~p->busy & (uint32_t)(BIT(MAX(p->id.depth, 1u)) - 1u);

	if (!p->on || p->exec || free == 0 || (queued ? p->busy & ~p->queued : p->busy))
		return -RAY_EAGAIN;
	return __builtin_ctz(free);
}

static int ahci_submit(void *drv, struct block_cmd *cmd)
{
	struct ahci_port *p = drv;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	bool queued = p->id.depth > 0 && p->one_by_one == 0 &&
		      (cmd->op == BLOCK_READ || cmd->op == BLOCK_WRITE);
	int slot = slot_take(p, queued);

	if (likely(slot >= 0)) {
		cmd_fill(p, (unsigned int)slot, cmd, queued);
		p->cmd[slot] = cmd;
		issue(p, (unsigned int)slot, queued);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return slot < 0 ? -RAY_EAGAIN : 0;
}

/* --- ending --- */

/* Take slots out of those under way; their commands are the caller's to end. Pre: p->lock. */
static uint32_t slots_end(struct ahci_port *p, uint32_t slots, struct block_cmd **out)
{
	uint32_t mine = 0;

	p->busy &= ~slots;
	p->queued &= ~slots;
	for (uint32_t left = slots; left; left &= left - 1u) {
		unsigned int slot = (unsigned int)__builtin_ctz(left);

		out[slot] = p->cmd[slot];
		p->cmd[slot] = NULL;
		if (out[slot])
			mine |= 1u << slot;
		else
			p->exec_over = true;
		if (p->one_by_one > 0)
			p->one_by_one--;
	}
	return mine;
}

static void cmds_done(struct block_cmd *const *cmd, uint32_t slots, int err)
{
	for (; slots; slots &= slots - 1u)
		block_cmd_done(cmd[__builtin_ctz(slots)], err);
}

/* Slots the controller has and is done with. Pre: p->lock. */
static uint32_t ended(const struct ahci_port *p)
{
	uint32_t now = 0;

	if (p->queued)
		now |= ahci_px_read(p, AHCI_PX_SACT) & p->queued;
	if (p->busy & ~p->queued)
		now |= ahci_px_read(p, AHCI_PX_CI) & p->busy & ~p->queued;
	return p->busy & ~now;
}

void ahci_port_interrupt(struct ahci_port *p)
{
	struct block_cmd *cmd[AHCI_SLOTS_MAX];
	uint32_t is = ahci_px_read(p, AHCI_PX_IS), mine = 0;
	uint64_t flags;
	bool bad, wake;

	ahci_px_write(p, AHCI_PX_IS, is);
	flags = spin_lock_irqsave(&p->lock);
	/* After an error nothing is taken until the port was reset: it says what has ended. */
	bad = p->on && (is & AHCI_IS_BAD);
	if (bad)
		p->on = false;
	else if (p->on)
		mine = slots_end(p, ended(p), cmd);
	if (bad && p->exec) {
		p->exec_over = true;
		p->exec_err = -RAY_EIO;
	}
	wake = p->exec;
	spin_unlock_irqrestore(&p->lock, flags);
	cmds_done(cmd, mine, 0);
	if (bad && p->dev)
		block_trouble(p->dev);
	if (wake)
		waitq_wake_all(&p->wait);
}

uint32_t ahci_port_off(struct ahci_port *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	uint32_t good = ended(p);

	p->on = false;
	spin_unlock_irqrestore(&p->lock, flags);
	return good;
}

void ahci_port_abandon(struct ahci_port *p, uint32_t good, int err)
{
	struct block_cmd *cmd[AHCI_SLOTS_MAX];
	uint64_t flags = spin_lock_irqsave(&p->lock);
	uint32_t bad = p->busy & ~good;
	bool queued = p->queued != 0;

	good = slots_end(p, good, cmd);
	bad = slots_end(p, bad, cmd);
	if (queued)
		p->one_by_one = (unsigned int)__builtin_popcount(bad);
	if (p->exec) {
		p->exec_over = true;
		p->exec_err = -RAY_EIO;
	}
	spin_unlock_irqrestore(&p->lock, flags);
	cmds_done(cmd, good, 0);
	cmds_done(cmd, bad, queued ? -RAY_EAGAIN : err);
	waitq_wake_all(&p->wait);
}

/* --- commands of our own --- */

static bool idle(const struct ahci_port *p)
{
	return *(const volatile uint32_t *)&p->busy == 0 && *(const volatile bool *)&p->on;
}

static bool over(const struct ahci_port *p)
{
	return *(const volatile bool *)&p->exec_over;
}

static void exec_begin(struct ahci_port *p, const struct ata_taskfile *t, bool data)
{
	struct ahci_table *table = table_of(p, 0);
	uint64_t flags = spin_lock_irqsave(&p->lock);
	uint16_t prds = 0;

	if (data)
		prd_add(table, &prds, shared_addr(p, offsetof(struct ahci_shared, data)),
			ATA_DATA_LEN);
	fis_fill(table->fis, t);
	header_fill(p, 0, prds, false);
	p->exec_over = false;
	p->exec_err = 0;
	p->cmd[0] = NULL;
	issue(p, 0, false);
	spin_unlock_irqrestore(&p->lock, flags);
}

static int exec_end(struct ahci_port *p, uint8_t *data, uint32_t *lba)
{
	const uint8_t *rfis = ahci_shared(p)->rfis + AHCI_RFIS_D2H;
	bool answered = wait_event(&p->wait, over(p), time_now() + EXEC_NS);
	uint64_t flags = spin_lock_irqsave(&p->lock);
	int err = answered ? p->exec_err : -RAY_ETIMEDOUT;

	if (!answered)
		p->on = false;
	if (!err && data)
		memcpy(data, ahci_shared(p)->data, ATA_DATA_LEN);
	if (!err && lba)
		*lba = load32(rfis + 4) & 0xffffffu;
	spin_unlock_irqrestore(&p->lock, flags);
	if (!answered && p->dev)
		block_trouble(p->dev);
	return err;
}

static void exec_set(struct ahci_port *p, bool on)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);

	p->exec = on;
	spin_unlock_irqrestore(&p->lock, flags);
}

int ahci_exec(struct ahci_port *p, const struct ata_taskfile *t, uint8_t *data, uint32_t *lba)
{
	int err = -RAY_ETIMEDOUT;

	mutex_lock(&p->exec_lock);
	exec_set(p, true);
	if (wait_event(&p->wait, idle(p), time_now() + IDLE_NS)) {
		exec_begin(p, t, data != NULL);
		err = exec_end(p, data, lba);
	}
	exec_set(p, false);
	mutex_unlock(&p->exec_lock);
	if (p->dev)
		block_room(p->dev);
	return err;
}

static int ahci_health(void *drv, struct block_health *out)
{
	static const struct ata_taskfile read = {.command = ATA_SMART, .features = ATA_SMART_READ,
						 .lba = ATA_SMART_LBA};
	static const struct ata_taskfile status = {.command = ATA_SMART,
						   .features = ATA_SMART_STATUS,
						   .lba = ATA_SMART_LBA};
	struct ahci_port *p = drv;
	uint8_t data[ATA_DATA_LEN];
	uint32_t lba;
	int err;

	if (!p->id.smart)
		return -RAY_ENOSYS;
	err = ahci_exec(p, &read, data, NULL);
	if (!err)
		err = ahci_exec(p, &status, NULL, &lba);
	if (!err)
		ata_health_take(data, (lba & ATA_SMART_MASK) == ATA_SMART_BAD_LBA, out);
	return err;
}

static void ahci_gone(void *drv)
{
	struct ahci_port *p = drv;

	ahci_put(p->hba);
}

const struct block_ops ahci_block_ops = {
	.submit = ahci_submit,
	.recover = ahci_port_recover,
	.health = ahci_health,
	.gone = ahci_gone,
};
