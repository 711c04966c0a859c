/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An xHCI controller in memory, as xHCI 1.2 has it: registers, ports, the command ring, the event
 * ring with its interrupts; endpoints and what hangs on them stand in fake_xhci_ep.h. A thread
 * does at each of its turns what the controller has to do; a turn takes fake.turn_ns. It checks
 * what a driver must not do, and lies, fails, falls silent and disappears on demand.
 * Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_XHCI_H
#define RAYOS_TESTS_HOST_FAKE_XHCI_H

#include "devices/host/xhci/xhci.h"
#include "tests/host/fake_driver.h"

#define FAKE_OP        0x40u
#define FAKE_PORTS     4u
#define FAKE_SLOTS     4u
#define FAKE_XECP      0x500u
#define FAKE_XECP_LEN  64u /* words */
#define FAKE_RUNTIME   0x700u
#define FAKE_DOORBELLS 0x800u
#define FAKE_BAR       0x1000u
#define FAKE_PADS      3u
#define FAKE_TYPES     64u
#define FAKE_DELAY     3u /* turns a reset takes */

enum fake_ep_state { FAKE_EP_DISABLED, FAKE_EP_RUNNING, FAKE_EP_HALTED, FAKE_EP_STOPPED };

struct fake_ring {
	uint64_t at;
	uint32_t cycle;
	bool chained; /* the block before belongs to what comes */
};

struct fake_ep {
	struct fake_ring ring;
	uint8_t state, type;
	uint16_t packet;
	bool rung;
};

struct fake_slot {
	bool enabled;
	struct fake_ep ep[XHCI_DCI_MAX];
};

static struct {
	/* What it is. */
	uint32_t p1, p2, hcc, pagesize, dboff, rtsoff;
	uint32_t xecp[FAKE_XECP_LEN];
	bool pin;    /* interrupts by a level */
	bool strict; /* a driver's mistakes fail the test, data are moved */
	uint64_t turn_ns;
	/* Registers. */
	uint32_t cmd, sts, config, portsc[FAKE_PORTS + 1u];
	uint64_t crcr, dcbaap;
	uint32_t iman, erstsz;
	uint64_t erstba, erdp;
	/* Inside. */
	unsigned int resetting, not_ready, port_resetting[FAKE_PORTS + 1u];
	unsigned int plugged[FAKE_PORTS + 1u]; /* the speed */
	struct fake_ring command;
	bool command_rung, pending; /* an interrupt is: IPE of 4.17.2 */
	uint64_t events;
	uint32_t event_at, event_cycle;
	struct fake_slot slot[FAKE_SLOTS + 1u];
	/* What is wrong with it. */
	bool gone, silent, never_halts, never_runs, never_resets, never_ready;
	bool port_stuck, bios_stays;
	uint8_t answer[FAKE_TYPES]; /* commands of a type are not done, but answered so; 0: done */
	uint8_t answer_slot;        /* what Enable Slot says; 0: the truth */
	bool answer_zero;           /* it says 0 */
	/* What has been seen. */
	unsigned int commands[FAKE_TYPES], resets, interrupts;
} fake;

/* Of a driver's mistakes. */
static void fake_must(bool ok)
{
	assert(ok || !fake.strict);
}

static bool fake_running(void)
{
	return (fake.cmd & XHCI_CMD_RUN) && !(fake.sts & (XHCI_STS_HALTED | XHCI_STS_HCE));
}

/* --- events --- */

static void fake_event(uint64_t param, uint32_t status, uint32_t control)
{
	struct xhci_trb *e;

	if (!fake_running() || !fake_master)
		return;
	e = (struct xhci_trb *)fake_memory(fake.events) + fake.event_at;
	*e = (struct xhci_trb){param, status, (control & ~XHCI_TRB_CYCLE) | fake.event_cycle};
	if (++fake.event_at == XHCI_RING_LEN) {
		fake.event_at = 0;
		fake.event_cycle ^= XHCI_TRB_CYCLE;
	}
	fake.pending = true;
}

static void fake_port_event(unsigned int port)
{
	fake_event((uint64_t)port << 24, XHCI_CC_SUCCESS << 24, XHCI_TRB_TYPE(XHCI_EV_PORT));
}

/* 4.17.2: none while the driver is at the one before. */
static void fake_interrupt(void)
{
	if (fake.pending && !(fake.erdp & XHCI_ERDP_EHB)) {
		fake.pending = false;
		fake.erdp |= XHCI_ERDP_EHB;
		fake.iman |= XHCI_IMAN_IP;
		fake.sts |= XHCI_STS_EINT;
		if (!fake.pin && (fake.iman & XHCI_IMAN_IE) && (fake.cmd & XHCI_CMD_INTE)) {
			fake.iman &= ~(uint32_t)XHCI_IMAN_IP;
			fake.interrupts++;
			fake_irq(0);
		}
	}
}

static void fake_level(void)
{
	if (!fake.pin || !(fake.iman & XHCI_IMAN_IP) || !(fake.iman & XHCI_IMAN_IE) ||
	    !(fake.cmd & XHCI_CMD_INTE))
		return;
	fake.interrupts++;
	fake_irq(0);
}

/* --- ports --- */

static void fake_port_change(unsigned int port, uint32_t what)
{
	fake.portsc[port] |= what;
	if (fake_running())
		fake_port_event(port);
}

/* What is plugged in shows where there is power. */
static void fake_port_power(unsigned int port)
{
	fake.portsc[port] |= XHCI_PORT_PP;
	if (fake.plugged[port] == 0)
		return;
	fake.portsc[port] |= XHCI_PORT_CCS | fake.plugged[port] << 10;
	fake_port_change(port, XHCI_PORT_CSC);
}

static __unused void fake_plug(unsigned int port, enum usb_speed speed)
{
	fake.plugged[port] = speed;
	if (fake.portsc[port] & XHCI_PORT_PP)
		fake_port_power(port);
}

static __unused void fake_unplug(unsigned int port)
{
	fake.plugged[port] = 0;
	fake.portsc[port] &= XHCI_PORT_PP | XHCI_PORT_CHANGES;
	fake_port_change(port, XHCI_PORT_CSC);
}

static void fake_port_turn(unsigned int port)
{
	if (fake.port_resetting[port] == 0 || fake.port_stuck || --fake.port_resetting[port] > 0)
		return;
	fake.portsc[port] &= ~(uint32_t)XHCI_PORT_PR;
	if (fake.portsc[port] & XHCI_PORT_CCS)
		fake.portsc[port] |= XHCI_PORT_PED;
	fake_port_change(port, XHCI_PORT_PRC);
}

static void fake_port_write(unsigned int port, uint32_t v)
{
	uint32_t *r = &fake.portsc[port];

	fake_must(!(v & XHCI_PORT_PED)); /* that would switch it off */
	*r &= ~(v & XHCI_PORT_CHANGES);
	fake_must(!(*r & XHCI_PORT_PP) || (v & XHCI_PORT_PP));
	if ((v & XHCI_PORT_PP) && !(*r & XHCI_PORT_PP)) {
		fake_port_power(port);
		fake_interrupt(); /* on another CPU, in the middle of what the driver does */
	}
	if ((v & XHCI_PORT_PR) && (*r & XHCI_PORT_PP)) {
		*r = (*r & ~(uint32_t)XHCI_PORT_PED) | XHCI_PORT_PR;
		fake.port_resetting[port] = FAKE_DELAY;
	}
}

/* --- registers --- */

static void fake_reset(void)
{
	fake.resets++;
	fake.cmd = 0;
	fake.config = fake.iman = fake.erstsz = 0;
	fake.crcr = fake.dcbaap = fake.erstba = fake.erdp = 0;
	fake.sts = XHCI_STS_HALTED;
	fake.pending = fake.command_rung = false;
	memset(fake.slot, 0, sizeof(fake.slot));
	for (unsigned int i = 1; i <= FAKE_PORTS; i++) {
		fake.portsc[i] = 0;
		fake.port_resetting[i] = 0;
		if (!(fake.hcc & XHCI_HCC_PPC))
			fake_port_power(i);
	}
}

static void fake_run(void)
{
	const struct xhci_erst *table = fake_memory(fake.erstba);

	fake_must(fake.erstsz == 1 && fake.erstba % 64 == 0 && fake.dcbaap % 64 == 0 &&
		  table->size == XHCI_RING_LEN && table->base % 64 == 0 && fake.config > 0 &&
		  fake.config <= FAKE_SLOTS && (fake.erdp & ~0xfull) == table->base);
	if (fake.never_runs)
		return;
	fake.sts &= ~(uint32_t)XHCI_STS_HALTED;
	fake.command = (struct fake_ring){.at = fake.crcr & ~0x3full,
					  .cycle = fake.crcr & XHCI_TRB_CYCLE};
	fake.events = table->base;
	fake.event_at = 0;
	fake.event_cycle = XHCI_TRB_CYCLE;
	for (unsigned int i = 1; i <= FAKE_PORTS; i++) {
		if (fake.portsc[i] & XHCI_PORT_CHANGES) /* 4.19.2 */
			fake_port_event(i);
	}
	fake_interrupt();
}

static void fake_cmd_write(uint32_t v)
{
	if (v & XHCI_CMD_RESET) {
		fake_must(fake.never_halts || (fake.sts & XHCI_STS_HALTED));
		fake_reset();
		fake.cmd = XHCI_CMD_RESET;
		fake.resetting = FAKE_DELAY;
		fake.sts |= XHCI_STS_CNR;
		fake.not_ready = 2 * FAKE_DELAY;
		return;
	}
	if ((v & XHCI_CMD_RUN) && !(fake.cmd & XHCI_CMD_RUN)) {
		fake.cmd = v;
		fake_run();
	} else if (!(v & XHCI_CMD_RUN) && !fake.never_halts) {
		fake.sts |= XHCI_STS_HALTED;
	}
	fake.cmd = v;
}

static void fake_half(uint64_t *r, uint32_t off, uint32_t v)
{
	unsigned int shift = off % 8 ? 32 : 0;

	*r = (*r & ~(0xffffffffull << shift)) | (uint64_t)v << shift;
}

/* 0: there is none. */
static unsigned int fake_port_of(uint32_t off)
{
	unsigned int port = (off - XHCI_PORTSC(1)) / 0x10u + 1u;

	return port <= FAKE_PORTS ? port : 0;
}

static void fake_op_write(uint32_t off, uint32_t v)
{
	/* 5.4.2: nothing but that before it is ready. */
	fake_must(off == XHCI_USBSTS || (!(fake.sts & XHCI_STS_CNR) || fake.never_ready));
	if (off >= XHCI_PORTSC(1)) {
		unsigned int port = fake_port_of(off);

		fake_must(port > 0 && (off - XHCI_PORTSC(1)) % 0x10u == 0);
		if (port > 0)
			fake_port_write(port, v);
		return;
	}
	fake_must(off <= XHCI_USBSTS || (fake.sts & XHCI_STS_HALTED));
	switch (off) {
	case XHCI_USBCMD: fake_cmd_write(v); break;
	case XHCI_USBSTS: fake.sts &= ~(v & XHCI_STS_EINT); break;
	case XHCI_CRCR:
	case XHCI_CRCR + 4: fake_half(&fake.crcr, off, v); break;
	case XHCI_DCBAAP:
	case XHCI_DCBAAP + 4: fake_half(&fake.dcbaap, off, v); break;
	case XHCI_CONFIG: fake.config = v; break;
	default: fake_must(false); break;
	}
}

static void fake_erdp_write(uint32_t off, uint32_t v)
{
	uint64_t busy = fake.erdp & XHCI_ERDP_EHB;

	fake_half(&fake.erdp, off, v);
	if (off == XHCI_ERDP) /* a 1 clears it */
		fake.erdp = (fake.erdp & ~(uint64_t)XHCI_ERDP_EHB) | (v & XHCI_ERDP_EHB ? 0 : busy);
	fake_must(!fake.events || off == XHCI_ERDP || (fake.sts & XHCI_STS_HALTED) ||
		  (fake.erdp & ~0xfull) - fake.events < XHCI_RING_LEN * sizeof(struct xhci_trb));
}

static void fake_runtime_write(uint32_t off, uint32_t v)
{
	switch (off) {
	case XHCI_IMAN:
		fake.iman = (fake.iman & ~(v & XHCI_IMAN_IP) & ~(uint32_t)XHCI_IMAN_IE) |
			    (v & XHCI_IMAN_IE);
		break;
	case XHCI_IMOD: break;
	case XHCI_ERSTSZ: fake.erstsz = v; break;
	case XHCI_ERSTBA:
	case XHCI_ERSTBA + 4: fake_half(&fake.erstba, off, v); break;
	case XHCI_ERDP:
	case XHCI_ERDP + 4: fake_erdp_write(off, v); break;
	default: fake_must(false); break;
	}
}

static void fake_doorbell(uint32_t slot, uint32_t target)
{
	fake_must(fake_running() && slot <= FAKE_SLOTS && target < XHCI_DCI_MAX);
	if (slot == 0) {
		fake_must(target == 0);
		fake.command_rung = true;
		return;
	}
	if (slot > FAKE_SLOTS || target >= XHCI_DCI_MAX)
		return;
	fake_must(fake.slot[slot].ep[target].state != FAKE_EP_DISABLED);
	fake.slot[slot].ep[target].rung = true;
}

static void fake_xecp_write(unsigned int word, uint32_t v)
{
	bool legacy = word < FAKE_XECP_LEN && (fake.xecp[word] & 0xffu) == XHCI_XECP_LEGACY;

	/* Of its events a 1 is the end (7.1.2). */
	fake_must(word < FAKE_XECP_LEN);
	if (word < FAKE_XECP_LEN)
		fake.xecp[word] = legacy ? v : (v & ~XHCI_LEGACY_CTL_CLEAR);
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	assert(base == &fake && size == 4 && off + size <= fake_pci.bar[0].size);
	if (fake.gone)
		return;
	if (off >= FAKE_DOORBELLS)
		fake_doorbell((off - FAKE_DOORBELLS) / 4, (uint32_t)v);
	else if (off >= FAKE_RUNTIME)
		fake_runtime_write(off - FAKE_RUNTIME, (uint32_t)v);
	else if (off >= FAKE_XECP)
		fake_xecp_write((off - FAKE_XECP) / 4, (uint32_t)v);
	else if (off >= FAKE_OP)
		fake_op_write(off - FAKE_OP, (uint32_t)v);
}

static uint32_t fake_op_read(uint32_t off)
{
	if (off >= XHCI_PORTSC(1))
		return fake.portsc[fake_port_of(off)];
	switch (off) {
	case XHCI_USBCMD: return fake.cmd;
	case XHCI_USBSTS: return fake.sts;
	case XHCI_PAGESIZE: return fake.pagesize;
	default: fake_must(false); return 0;
	}
}

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	assert(base == &fake && off + size <= fake_pci.bar[0].size);
	if (fake.gone)
		return UINT32_MAX >> (32 - 8 * size);
	switch (off) {
	case XHCI_CAPLENGTH: return FAKE_OP;
	case XHCI_HCSPARAMS1: return fake.p1;
	case XHCI_HCSPARAMS2: return fake.p2;
	case XHCI_HCCPARAMS1: return fake.hcc;
	case XHCI_DBOFF: return fake.dboff;
	case XHCI_RTSOFF: return fake.rtsoff;
	default: break;
	}
	assert(size == 4);
	if (off >= FAKE_XECP && off < FAKE_XECP + 4 * FAKE_XECP_LEN)
		return fake.xecp[(off - FAKE_XECP) / 4];
	return off >= FAKE_OP && off < FAKE_XECP ? fake_op_read(off - FAKE_OP) : 0;
}

/* Firmware has the controller, and lets go of it when it is asked. */
static void fake_bios_turn(void)
{
	for (unsigned int i = 0; i < FAKE_XECP_LEN; i++) {
		if ((fake.xecp[i] & 0xffu) == XHCI_XECP_LEGACY &&
		    (fake.xecp[i] & XHCI_LEGACY_OS) && !fake.bios_stays)
			fake.xecp[i] &= ~(uint32_t)XHCI_LEGACY_BIOS;
	}
}

static void fake_delays_turn(void)
{
	if (!fake.never_resets && fake.resetting > 0 && --fake.resetting == 0)
		fake.cmd = 0;
	if (!fake.never_ready && fake.not_ready > 0 && --fake.not_ready == 0)
		fake.sts &= ~(uint32_t)XHCI_STS_CNR;
	for (unsigned int i = 1; i <= FAKE_PORTS; i++)
		fake_port_turn(i);
}

/* A sound controller with nothing plugged in. Its extended capabilities: USB 2 on the first two
 * ports, USB 3 on the others (7.2), firmware that has it (7.1). */
static void fake_xhci_init(void)
{
	static const uint32_t xecp[] = {
		0x02000402, 0x20425355, 0x00000201, 0, 0x03000402, 0x20425355, 0x00000203, 0,
		XHCI_LEGACY_BIOS | XHCI_XECP_LEGACY, 0xe000e011,
	};

	memset(&fake, 0, sizeof(fake));
	fake.strict = true;
	fake.turn_ns = 1000000;
	fake.p1 = FAKE_SLOTS | 1u << 8 | FAKE_PORTS << 24;
	fake.p2 = FAKE_PADS << 27;
	fake.hcc = XHCI_HCC_AC64 | XHCI_HCC_PPC | FAKE_XECP / 4 << 16;
	fake.pagesize = 1;
	fake.dboff = FAKE_DOORBELLS;
	fake.rtsoff = FAKE_RUNTIME;
	fake.sts = XHCI_STS_HALTED;
	memcpy(fake.xecp, xecp, sizeof(xecp));
	fake_regs = &fake;
	fake_pci.bar[0].size = FAKE_BAR;
	fake_irq_count = 1;
}

#endif
