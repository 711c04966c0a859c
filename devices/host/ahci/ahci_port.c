/* SPDX-License-Identifier: Apache-2.0 */
/* AHCI: a port's life: memory, stop, link, start, and all of it again when it has gone wrong. */
#include "devices/host/ahci/ahci.h"
#include "kernel/lib/err.h"
#define LOG_TAG "ahci"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mmio.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define POLL_NS   1000000ull
#define STOP_MS   500u   /* 10.1.2 */
#define RESET_NS  2000000ull /* COMRESET lasts 1 ms at least (10.4.2) */
#define SEEN_MS   30u    /* a device answers COMRESET within 10 ms (Serial ATA, 8.4.1) */
#define LINK_MS   1000u
#define READY_MS  30000u /* a disk that spins up */

uint32_t ahci_px_read(const struct ahci_port *p, uint32_t off)
{
	return mmio_read32(p->hba->regs, AHCI_PORT(p->number) + off);
}

void ahci_px_write(const struct ahci_port *p, uint32_t off, uint32_t v)
{
	mmio_write32(p->hba->regs, AHCI_PORT(p->number) + off, v);
}

int ahci_clear_wait(const struct ahci *h, uint32_t off, uint32_t mask, unsigned int ms)
{
	uint64_t end = time_now() + ms * 1000000ull;

	while (mmio_read32(h->regs, off) & mask) {
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		thread_sleep_until(time_now() + POLL_NS);
	}
	return 0;
}

static int clear_wait(const struct ahci_port *p, uint32_t off, uint32_t mask, unsigned int ms)
{
	return ahci_clear_wait(p->hba, AHCI_PORT(p->number) + off, mask, ms);
}

static void cmd_change(const struct ahci_port *p, uint32_t off, uint32_t on)
{
	ahci_px_write(p, AHCI_PX_CMD, (ahci_px_read(p, AHCI_PX_CMD) & ~off) | on);
}

/* --- memory --- */

void ahci_port_destroy(struct ahci_port *p)
{
	dma_free(p->hba->pci, &p->shared);
	dma_free(p->hba->pci, &p->tables);
	kfree(p);
}

struct ahci_port *ahci_port_create(struct ahci *h, unsigned int number)
{
	struct ahci_port *p = kzalloc(sizeof(*p), MEM_DRIVER);
	int err;

	if (!p)
		return NULL;
	p->hba = h;
	p->number = number;
	spin_lock_init(&p->lock, LOCK_ORDER_DRIVER);
	mutex_init(&p->exec_lock, LOCK_ORDER_NONE);
	waitq_init(&p->wait);
	err = dma_alloc(h->pci, sizeof(struct ahci_shared), h->dma_max, &p->shared);
	if (err) {
		ahci_port_destroy(p);
		return NULL;
	}
	return p;
}

int ahci_port_tables(struct ahci_port *p)
{
	return dma_alloc(p->hba->pci, AHCI_SLOTS_MAX * sizeof(struct ahci_table), p->hba->dma_max,
			 &p->tables);
}

/* --- life --- */

int ahci_port_stop(struct ahci_port *p)
{
	int err;

	ahci_px_write(p, AHCI_PX_IE, 0);
	cmd_change(p, AHCI_CMD_ST, 0);
	err = clear_wait(p, AHCI_PX_CMD, AHCI_CMD_CR, STOP_MS);
	cmd_change(p, AHCI_CMD_FRE, 0);
	if (!err)
		err = clear_wait(p, AHCI_PX_CMD, AHCI_CMD_FR, STOP_MS);
	return err;
}

static void pointer_write(const struct ahci_port *p, uint32_t off, uint64_t v)
{
	ahci_px_write(p, off, (uint32_t)v);
	ahci_px_write(p, off + 4, (uint32_t)(v >> 32));
}

void ahci_port_link(struct ahci_port *p)
{
	pointer_write(p, AHCI_PX_CLB, p->shared.addr.v);
	pointer_write(p, AHCI_PX_FB, p->shared.addr.v + offsetof(struct ahci_shared, rfis));
	cmd_change(p, 0, AHCI_CMD_FRE | AHCI_CMD_POD | AHCI_CMD_SUD | AHCI_CMD_ICC_ACTIVE);
	p->link_ns = time_now();
}

/* Somebody is there and the link stands. A device that is seen gets longer. */
static int link_wait(const struct ahci_port *p)
{
	for (;;) {
		uint32_t det = AHCI_SSTS_DET(ahci_px_read(p, AHCI_PX_SSTS));
		uint64_t ms = (time_now() - p->link_ns) / 1000000u;

		if (det == AHCI_DET_LINK)
			return 0;
		if (ms >= (det == AHCI_DET_SEEN ? LINK_MS : SEEN_MS))
			return -RAY_ENODEV;
		thread_sleep_until(time_now() + POLL_NS);
	}
}

int ahci_port_start(struct ahci_port *p)
{
	uint64_t flags;
	int err = link_wait(p);

	if (!err)
		err = clear_wait(p, AHCI_PX_TFD, ATA_S_BUSY | ATA_S_DRQ, READY_MS);
	if (err)
		return err;
	ahci_px_write(p, AHCI_PX_SERR, ahci_px_read(p, AHCI_PX_SERR));
	ahci_px_write(p, AHCI_PX_IS, ahci_px_read(p, AHCI_PX_IS));
	ahci_px_write(p, AHCI_PX_IE, AHCI_IS_ENDS | AHCI_IS_BAD);
	cmd_change(p, 0, AHCI_CMD_ST);
	flags = spin_lock_irqsave(&p->lock);
	p->on = true;
	spin_unlock_irqrestore(&p->lock, flags);
	waitq_wake_all(&p->wait);
	return 0;
}

/* COMRESET (10.4.2): the device forgets what it was about, and what it complained of. */
static void link_reset(const struct ahci_port *p)
{
	uint32_t ctl = ahci_px_read(p, AHCI_PX_SCTL) & ~0xfu;

	ahci_px_write(p, AHCI_PX_SCTL, ctl | AHCI_SCTL_RESET);
	thread_sleep_until(time_now() + RESET_NS);
	ahci_px_write(p, AHCI_PX_SCTL, ctl);
}

int ahci_port_recover(void *drv)
{
	struct ahci_port *p = drv;
	uint32_t good = ahci_port_off(p), tfd = ahci_px_read(p, AHCI_PX_TFD);
	int err, result;

	result = ata_result(AHCI_TFD_STATUS(tfd), AHCI_TFD_ERROR(tfd));
	err = tfd == AHCI_GONE ? -RAY_ENODEV : ahci_port_stop(p);
	link_reset(p);
	/* Now the device writes to no memory of ours any more. */
	ahci_port_abandon(p, good, result ? result : -RAY_EAGAIN);
	if (!err) {
		ahci_port_link(p);
		err = ahci_port_start(p);
	}
	log_warn("port was reset: %s model=\"%s\" port=%u status=0x%02x error=0x%02x",
		 ray_strerror(err), p->id.ident.model, p->number, AHCI_TFD_STATUS(tfd),
		 AHCI_TFD_ERROR(tfd));
	return err;
}
