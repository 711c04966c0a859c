/* UNIT: devices/host/ide/ide.c devices/host/ide/ide_cmd.c devices/host/ata/ata.c
 * kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
/* PARSER: devices/host/ide/ide_cmd.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A channel with two drives that say what the input says: registers, what they are, when a command
 * has ended and how, interrupts of nobody's, or that all of it was pulled.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host/ide/ide.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fake_ata.h"
#include "tests/host/fuzz_disk.h"

#define CMD_PORT 0x1f0u
#define CTL_PORT 0x3f6u
#define BM_PORT  0xc000u
#define OTHER    0x170u /* the second channel: nothing is there */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct irq_handle {
	unsigned int irq;
};

static struct {
	uint8_t id[ATA_DATA_LEN];
	uint8_t ctl, device, status, command, bm_status, bm_command;
	unsigned int pio;
	bool gone, silent; /* silent: until it is reset */
	irq_fn fn;
	void *arg;
} ch;

int irq_isa_request(struct irq_handle **out, unsigned int isa_irq, irq_fn fn, void *arg,
		    const char *name)
{
	static struct irq_handle handle;

	(void)name;
	handle.irq = isa_irq;
	ch.fn = fn;
	ch.arg = arg;
	*out = &handle;
	return 0;
}

void irq_release(struct irq_handle *h)
{
	(void)h;
	ch.fn = NULL;
}

/* What a drive says of itself: sound, but for what the input changes. */
static void describe(void)
{
	fake_ata_identify(ch.id, 2048);
	for (unsigned int n = byte(&in) % 8; n > 0; n--) {
		uint32_t at = 2u * byte(&in) + (n & 1u);

		ch.id[at] = byte(&in);
	}
}

static uint32_t true_in(uint16_t port)
{
	if (port >= OTHER && port < OTHER + 8)
		return 0;
	switch (port) {
	case CMD_PORT + IDE_DATA:
		ch.pio += 2;
		if (ch.pio >= ATA_DATA_LEN)
			ch.status = 0x50;
		return load16(ch.id + (ch.pio - 2) % ATA_DATA_LEN);
	case CMD_PORT + IDE_DEVICE:
		return ch.device;
	case CMD_PORT + IDE_STATUS:
	case CTL_PORT:
		return ch.status;
	case BM_PORT + IDE_BM_STATUS:
		return ch.bm_status;
	case BM_PORT + IDE_BM_COMMAND:
		return ch.bm_command;
	default:
		return 0;
	}
}

/* The truth, but for now and then. */
static uint32_t port_in(uint16_t port, unsigned int size)
{
	uint8_t how = byte(&in);

	(void)size;
	if (how == 0xff)
		ch.gone = true;
	if (ch.gone)
		return UINT32_MAX;
	return how == 0xfe ? true_in(port) ^ word(&in) : true_in(port);
}

static void port_out(uint16_t port, unsigned int size, uint32_t v)
{
	(void)size;
	switch (port) {
	case CMD_PORT + IDE_DEVICE:
		ch.device = (uint8_t)v;
		break;
	case CMD_PORT + IDE_STATUS:
		ch.command = (uint8_t)v;
		ch.pio = 0;
		ch.status = v == ATA_IDENTIFY ? 0x58 : ATA_S_BUSY;
		if (v == ATA_IDENTIFY)
			describe();
		break;
	case CTL_PORT:
		if ((ch.ctl & IDE_CTL_SRST) && !(v & IDE_CTL_SRST)) {
			ch.status = 0x50;
			ch.silent = false;
		}
		ch.ctl = (uint8_t)v;
		break;
	case BM_PORT + IDE_BM_STATUS:
		ch.bm_status &= (uint8_t)~(v & 6);
		break;
	case BM_PORT + IDE_BM_COMMAND:
		ch.bm_command = (uint8_t)v;
		break;
	default:
		break;
	}
}

static void look(void)
{
	uint8_t how;

	if (!ch.fn || ch.gone || ch.silent)
		return;
	if (ch.status != ATA_S_BUSY) {
		if (byte(&in) == 0xfd)
			ch.fn(ch.arg); /* of nobody's */
		return;
	}
	how = byte(&in);
	if (how >= 0xf0) { /* later, or never */
		ch.silent = how > 0xf0;
		return;
	}
	ch.status = how >= 0xe0 ? byte(&in) : 0x50;
	ch.bm_status |= IDE_BM_IRQ | (how >= 0xd0 ? byte(&in) : 0);
	ch.fn(ch.arg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	memset(&ch, 0, sizeof(ch));
	ch.status = 0x50;
	fake_port_in = port_in;
	fake_port_out = port_out;
	fake_pci.class_code = 0x010180;
	fake_pci.bar[4] = (struct pci_bar){.base = BM_PORT, .size = 16, .flags = PCI_BAR_F_IO};
	fuzz_run_device(look);
	return 0;
}
