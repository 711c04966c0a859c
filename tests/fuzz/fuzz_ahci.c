/* UNIT: devices/host/ahci/ahci.c devices/host/ahci/ahci_port.c devices/host/ahci/ahci_cmd.c
 * devices/host/ata/ata.c kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c
 * kernel/block/merge.c kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c
 * kernel/block/fault.c kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c
 * kernel/lib/utf8.c
 */
/* PARSER: devices/host/ahci/ahci_cmd.c devices/host/ata/ata.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A controller with two ports that says what the input says: its registers, what its disks are,
 * which commands have ended and how, or that it was pulled.
 */
#include <stdint.h>
#include <stdlib.h>

#include "devices/host/ahci/ahci.h"
#include "tests/host/fake_ata.h"
#include "tests/host/fuzz_disk.h"

#define PORTS 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct port {
	uint64_t clb, fb;
	uint32_t is, ie, cmd, tfd, sig, ssts, sctl, sact, ci;
};

static struct {
	uint32_t cap, ghc, is;
	bool gone;
	struct port port[PORTS];
} hba;

/* --- registers --- */

static void port_reset(struct port *p)
{
	*p = (struct port){.clb = p->clb, .fb = p->fb, .cmd = p->cmd, .ssts = 0x123, .tfd = 0x50,
			   .sig = AHCI_SIG_ATA};
}

static uint32_t *port_register(struct port *p, uint32_t off)
{
	switch (off) {
	case AHCI_PX_IS: return &p->is;
	case AHCI_PX_IE: return &p->ie;
	case AHCI_PX_CMD: return &p->cmd;
	case AHCI_PX_TFD: return &p->tfd;
	case AHCI_PX_SIG: return &p->sig;
	case AHCI_PX_SSTS: return &p->ssts;
	case AHCI_PX_SCTL: return &p->sctl;
	case AHCI_PX_SACT: return &p->sact;
	case AHCI_PX_CI: return &p->ci;
	default: return NULL;
	}
}

static uint32_t true_read(uint32_t off)
{
	const uint32_t *r;

	if (off < AHCI_PORT(0))
		return off == AHCI_CAP ? hba.cap : off == AHCI_GHC ? hba.ghc :
		       off == AHCI_IS  ? hba.is : off == AHCI_PI ? (1u << PORTS) - 1u : 0;
	r = port_register(&hba.port[(off - AHCI_PORT(0)) / AHCI_PORT_LEN % PORTS],
			  (off - AHCI_PORT(0)) % AHCI_PORT_LEN);
	return r ? *r : 0;
}

/* The truth, but for now and then. */
uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	uint8_t how = byte(&in);

	(void)base;
	(void)size;
	if (how == 0xff)
		hba.gone = true;
	if (hba.gone)
		return UINT32_MAX;
	return how == 0xfe ? true_read(off) ^ word(&in) : true_read(off);
}

static void port_write(struct port *p, uint32_t off, uint32_t v)
{
	uint32_t *r = port_register(p, off);

	if (off == AHCI_PX_CLB || off == AHCI_PX_FB)
		*(off == AHCI_PX_CLB ? &p->clb : &p->fb) = v;
	else if (off == AHCI_PX_CLB + 4 || off == AHCI_PX_FB + 4)
		*(off == AHCI_PX_CLB + 4 ? &p->clb : &p->fb) |= (uint64_t)v << 32;
	else if (off == AHCI_PX_IS)
		p->is &= ~v;
	else if (off == AHCI_PX_SACT || off == AHCI_PX_CI)
		*r |= v;
	else if (off == AHCI_PX_SCTL && (p->sctl & 0xf) == AHCI_SCTL_RESET && !(v & 0xf))
		port_reset(p);
	else if (r)
		*r = v;
	if (off == AHCI_PX_CMD && !(v & AHCI_CMD_ST))
		p->ci = p->sact = 0;
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	(void)base;
	(void)size;
	if (off >= AHCI_PORT(0)) {
		port_write(&hba.port[(off - AHCI_PORT(0)) / AHCI_PORT_LEN % PORTS],
			   (off - AHCI_PORT(0)) % AHCI_PORT_LEN, (uint32_t)v);
	} else if (off == AHCI_GHC && (v & AHCI_GHC_HR)) {
		hba.ghc = AHCI_GHC_AE;
		for (unsigned int n = 0; n < PORTS; n++)
			port_reset(&hba.port[n]);
	} else if (off == AHCI_GHC) {
		hba.ghc = (uint32_t)v;
	} else if (off == AHCI_IS) {
		hba.is &= ~(uint32_t)v;
	}
}

/* --- commands --- */

/* What a disk says of itself: sound, but for what the input changes. */
static void describe(const struct ahci_table *t, uint8_t command)
{
	uint8_t *p = fake_memory(t->prd[0].addr);

	if (command == ATA_IDENTIFY)
		fake_ata_identify(p, 2048);
	else
		fake_ata_smart(p);
	for (unsigned int n = byte(&in) % 8; n > 0; n--) {
		uint32_t at = 2u * byte(&in) + (n & 1u);

		p[at] = byte(&in);
	}
}

static void command(struct port *p, unsigned int slot)
{
	const struct ahci_header *h = (struct ahci_header *)fake_memory(p->clb) + slot;
	const struct ahci_table *t = fake_memory(h->table);
	uint8_t how = byte(&in);

	if (!t)
		return; /* its register says so, nobody gave it */
	if (t->fis[2] == ATA_IDENTIFY || (t->fis[2] == ATA_SMART && h->prds))
		describe(t, t->fis[2]);
	if (how == 0xf0)
		return; /* never */
	if (how > 0xf0) { /* it ends others, or none */
		p->ci ^= word(&in);
		p->sact ^= word(&in);
	} else {
		p->ci &= ~(1u << slot);
		p->sact &= ~(1u << slot);
	}
	p->is |= AHCI_IS_DHRS | AHCI_IS_SDBS;
	if (how >= 0xe0) {
		p->is |= word(&in);
		p->tfd = 0x51u | (uint32_t)byte(&in) << 8;
	}
}

static void serve(unsigned int n)
{
	struct port *p = &hba.port[n];
	uint32_t given = p->ci;

	for (unsigned int slot = 0; slot < AHCI_SLOTS_MAX && (p->cmd & AHCI_CMD_ST); slot++) {
		if (given & (1u << slot))
			command(p, slot);
	}
	if (p->is & p->ie) {
		hba.is |= 1u << n;
		if (hba.ghc & AHCI_GHC_IE)
			fake_irq(0);
	}
}

static void look(void)
{
	for (unsigned int n = 0; n < PORTS && fake_master && !hba.gone; n++)
		serve(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	memset(&hba, 0, sizeof(hba));
	hba.cap = (31u << 8 | AHCI_CAP_NCQ | AHCI_CAP_64) ^ word(&in);
	fake_regs = &hba;
	fake_pci.bar[5].size = AHCI_PORT(PORTS);
	fuzz_run_device(look);
	return 0;
}
