/* UNIT: devices/host/ahci/ahci.c devices/host/ahci/ahci_port.c devices/host/ahci/ahci_cmd.c
 * devices/host/ata/ata.c kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c
 * kernel/block/merge.c kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c
 * kernel/block/fault.c kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c
 * kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The AHCI driver, below the real block layer, over a controller that lives in this file: a disk
 * on port 0, a CD drive on port 1, nothing on port 2. It does commands as a thread, checks what a
 * driver must not do, fails, falls silent and disappears on demand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/host/ahci/ahci.h"
#include "kernel/block/block_priv.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fake_ata.h"
#include "tests/host/fake_driver.h"

#define DISK_SIZE MIB(1)
#define PORTS     3u

struct port {
	uint64_t clb, fb;
	uint32_t is, ie, cmd, tfd, sig, ssts, sctl, sact, ci;
	bool halted; /* by an error, until ST is cleared */
};

static struct {
	uint32_t ghc, is, bohc;
	struct port port[PORTS];
	uint8_t id[ATA_DATA_LEN], data[DISK_SIZE];
	/* What is wrong with it. */
	bool gone, silent, no_ncq, busy_for_ever, handoff;
	uint64_t bad_lba; /* UINT64_MAX: none */
	unsigned int crc_errors, link_errors;
	/* What has been seen. */
	unsigned int done[256], resets, most_queued;
} hba;

static bool stop;
static struct thread *controller;

/* --- registers --- */

static void port_reset(unsigned int n)
{
	struct port *p = &hba.port[n];

	p->ssts = n < 2 ? 0x123 : 0;
	p->tfd = n < 2 && !hba.busy_for_ever ? 0x50 : n < 2 ? ATA_S_BUSY : 0x7f;
	p->sig = n == 0 ? AHCI_SIG_ATA : n == 1 ? AHCI_SIG_ATAPI : UINT32_MAX;
	p->sact = p->ci = 0;
	p->halted = false;
}

static void hba_reset(void)
{
	hba.resets++;
	hba.ghc = AHCI_GHC_AE;
	hba.is = 0;
	memset(hba.port, 0, sizeof(hba.port));
	for (unsigned int n = 0; n < PORTS; n++)
		port_reset(n);
}

static uint64_t port_read(const struct port *p, uint32_t off)
{
	switch (off) {
	case AHCI_PX_IS: return p->is;
	case AHCI_PX_IE: return p->ie;
	case AHCI_PX_CMD:
		return p->cmd | (p->cmd & AHCI_CMD_ST ? AHCI_CMD_CR : 0) |
		       (p->cmd & AHCI_CMD_FRE ? AHCI_CMD_FR : 0);
	case AHCI_PX_TFD: return p->tfd;
	case AHCI_PX_SIG: return p->sig;
	case AHCI_PX_SSTS: return p->ssts;
	case AHCI_PX_SCTL: return p->sctl;
	case AHCI_PX_SACT: return p->sact;
	case AHCI_PX_CI: return p->ci;
	default: return 0;
	}
}

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	assert_ptr_equal(base, &hba);
	assert_int_equal(size, 4);
	if (hba.gone)
		return UINT32_MAX;
	if (off >= AHCI_PORT(0)) {
		assert_true((off - AHCI_PORT(0)) / AHCI_PORT_LEN < PORTS);
		return port_read(&hba.port[(off - AHCI_PORT(0)) / AHCI_PORT_LEN],
				 (off - AHCI_PORT(0)) % AHCI_PORT_LEN);
	}
	switch (off) {
	case AHCI_CAP: return 31u << 8 | (hba.no_ncq ? 0 : AHCI_CAP_NCQ) | AHCI_CAP_64;
	case AHCI_GHC: return hba.ghc;
	case AHCI_IS: return hba.is;
	case AHCI_PI: return (1u << PORTS) - 1u;
	case AHCI_CAP2: return hba.handoff ? AHCI_CAP2_BOH : 0;
	case AHCI_BOHC: return hba.bohc;
	default: return 0;
	}
}

static void port_cmd(struct port *p, uint32_t v)
{
	if ((p->cmd & AHCI_CMD_ST) && !(v & AHCI_CMD_ST)) {
		p->ci = p->sact = 0;
		p->halted = false;
	}
	if (!(p->cmd & AHCI_CMD_ST) && (v & AHCI_CMD_ST)) /* 10.3.1 */
		assert_true((v & AHCI_CMD_FRE) && (p->ssts & 0xf) == 3 &&
			    !(p->tfd & (ATA_S_BUSY | ATA_S_DRQ)));
	p->cmd = v & ~(AHCI_CMD_CR | AHCI_CMD_FR);
}

static void port_write(unsigned int n, uint32_t off, uint32_t v)
{
	struct port *p = &hba.port[n];

	switch (off) {
	case AHCI_PX_CLB: p->clb = v; break;
	case AHCI_PX_CLB + 4: p->clb |= (uint64_t)v << 32; break;
	case AHCI_PX_FB: p->fb = v; break;
	case AHCI_PX_FB + 4: p->fb |= (uint64_t)v << 32; break;
	case AHCI_PX_IS: p->is &= ~v; break;
	case AHCI_PX_IE: p->ie = v; break;
	case AHCI_PX_CMD: port_cmd(p, v); break;
	case AHCI_PX_SCTL:
		if ((p->sctl & 0xf) == 1 && (v & 0xf) == 0)
			port_reset(n);
		p->sctl = v;
		break;
	case AHCI_PX_SACT: p->sact |= v; break;
	case AHCI_PX_CI:
		assert_true((p->cmd & AHCI_CMD_ST) && !p->halted);
		p->ci |= v;
		break;
	default: break;
	}
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	assert_ptr_equal(base, &hba);
	assert_int_equal(size, 4);
	if (hba.gone)
		return;
	if (off >= AHCI_PORT(0)) {
		port_write((off - AHCI_PORT(0)) / AHCI_PORT_LEN,
			   (off - AHCI_PORT(0)) % AHCI_PORT_LEN, (uint32_t)v);
	} else if (off == AHCI_GHC) {
		if (v & AHCI_GHC_HR)
			hba_reset();
		else
			hba.ghc = (uint32_t)v;
	} else if (off == AHCI_IS) {
		hba.is &= ~(uint32_t)v;
	} else if (off == AHCI_BOHC) {
		hba.bohc = v & AHCI_BOHC_OOS ? AHCI_BOHC_OOS : (uint32_t)v;
	}
}

/* --- commands --- */

/* Move @len bytes between the command's pieces and @mem. */
static void move(const struct ahci_header *h, uint8_t *mem, uint64_t len, bool write)
{
	const struct ahci_table *t = fake_memory(h->table);

	assert_int_equal((h->flags & AHCI_H_WRITE) != 0, write);
	for (unsigned int i = 0; i < h->prds; i++) {
		uint64_t n = t->prd[i].len + 1ull;

		assert_true(n % 2 == 0 && t->prd[i].addr % 2 == 0 && n <= AHCI_PRD_MAX && n <= len);
		if (write)
			memcpy(mem, fake_memory(t->prd[i].addr), n);
		else
			memcpy(fake_memory(t->prd[i].addr), mem, n);
		mem += n;
		len -= n;
	}
	assert_int_equal(len, 0);
}

static void trim(const struct ahci_header *h)
{
	uint8_t page[ATA_DATA_LEN];

	move(h, page, sizeof(page), true);
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t v = load64(page + 8 * i), lba = v & (BIT(48) - 1), n = v >> 48;

		assert_true((lba + n) * 512 <= DISK_SIZE);
		memset(hba.data + lba * 512, 0xdd, n * 512);
	}
}

static void smart(const struct ahci_header *h, const uint8_t *fis, struct port *p)
{
	uint8_t page[ATA_DATA_LEN] = {0}, *rfis = (uint8_t *)fake_memory(p->fb) + AHCI_RFIS_D2H;

	assert_int_equal(fis[5], 0x4f);
	assert_int_equal(fis[6], 0xc2);
	if (fis[3] == ATA_SMART_READ) {
		fake_ata_smart(page);
		move(h, page, sizeof(page), false);
	} else {
		rfis[5] = 0xf4; /* it is failing */
		rfis[6] = 0x2c;
	}
}

/* Does the command fail, and how? 0: no. */
static uint8_t error_of(uint64_t lba, uint64_t sectors)
{
	if (hba.crc_errors > 0) {
		hba.crc_errors--;
		return ATA_E_CRC;
	}
	return hba.bad_lba >= lba && hba.bad_lba < lba + sectors ? 0x40 : 0;
}

static uint8_t command(struct port *p, unsigned int slot)
{
	const struct ahci_header *h = (struct ahci_header *)fake_memory(p->clb) + slot;
	const uint8_t *fis = ((struct ahci_table *)fake_memory(h->table))->fis;
	bool queued = fis[2] == ATA_READ_FPDMA || fis[2] == ATA_WRITE_FPDMA;
	uint64_t lba = (load64(fis + 4) & 0xffffffu) | (load64(fis + 8) & 0xffffffu) << 24;
	uint64_t sectors = queued ? fis[3] | fis[11] << 8 : load16(fis + 12);
	uint8_t err;

	assert_true(fis[0] == AHCI_FIS_H2D && fis[1] == AHCI_FIS_COMMAND);
	assert_int_equal(h->flags & 0x1f, 5);
	assert_int_equal(queued, (p->sact >> slot) & 1);
	if (queued)
		assert_int_equal(fis[12] >> 3, slot);
	hba.done[fis[2]]++;
	switch (fis[2]) {
	case ATA_READ_FPDMA:
	case ATA_WRITE_FPDMA:
	case ATA_READ_DMA_EXT:
	case ATA_WRITE_DMA_EXT:
		assert_true(sectors > 0 && (lba + sectors) * 512 <= DISK_SIZE);
		assert_int_equal(fis[7] & 0x40, 0x40);
		err = error_of(lba, sectors);
		if (!err)
			move(h, hba.data + lba * 512, sectors * 512,
			     fis[2] == ATA_WRITE_FPDMA || fis[2] == ATA_WRITE_DMA_EXT);
		return err;
	case ATA_IDENTIFY:
		move(h, hba.id, ATA_DATA_LEN, false);
		return 0;
	case ATA_SMART:
		smart(h, fis, p);
		return 0;
	case ATA_DATA_SET:
		trim(h);
		return 0;
	case ATA_FLUSH_EXT:
		return 0;
	default:
		fail_msg("command 0x%x", fis[2]);
		return 0;
	}
}

static void port_tell(unsigned int n, uint32_t is)
{
	struct port *p = &hba.port[n];

	p->is |= is;
	if (p->is & p->ie)
		hba.is |= 1u << n;
}

static void port_serve(unsigned int n)
{
	struct port *p = &hba.port[n];
	uint32_t is = 0;

	if (!(p->cmd & AHCI_CMD_ST) || p->halted || p->ci == 0)
		return;
	/* Queued ones and another kind never together. */
	assert_true(p->sact == 0 || (p->ci & ~p->sact) == 0);
	hba.most_queued = MAX(hba.most_queued, (unsigned int)__builtin_popcount(p->sact));
	while (p->ci && !hba.silent) {
		unsigned int slot = 31u - (unsigned int)__builtin_clz(p->ci); /* any order will do */
		uint8_t err = command(p, slot);

		if (hba.link_errors > 0) {
			hba.link_errors--;
			p->halted = true;
			port_tell(n, AHCI_IS_IFS);
			return;
		}
		if (err) {
			p->tfd = 0x41u | (uint32_t)err << 8;
			p->halted = true;
			port_tell(n, AHCI_IS_TFES);
			return;
		}
		is |= p->sact & (1u << slot) ? AHCI_IS_SDBS : AHCI_IS_DHRS;
		p->ci &= ~(1u << slot);
		p->sact &= ~(1u << slot);
	}
	port_tell(n, is);
}

static void controller_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		for (unsigned int n = 0; n < PORTS; n++)
			port_serve(n);
		if (hba.is && (hba.ghc & AHCI_GHC_IE) && !hba.gone)
			fake_irq(0);
		fake_now += 1000000;
		thread_yield();
	}
}

/* --- tests --- */

static struct block_dev *dev;

static int setup(void **state)
{
	const struct thread_attr attr = {.cpu = -1};

	(void)state;
	memset(&hba, 0, sizeof(hba));
	hba.bad_lba = UINT64_MAX;
	fake_ata_identify(hba.id, DISK_SIZE / 512);
	fake_regs = &hba;
	fake_pci.bar[5].size = 0x1000;
	stop = false;
	assert_int_equal(block_init(), 0);
	assert_int_equal(thread_create(&controller, "controller", controller_thread, NULL, &attr), 0);
	return 0;
}

static void plug(void)
{
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	assert_int_equal(block_settle(), 0);
	dev = block_get("sda");
	assert_non_null(dev);
	assert_null(block_get("sdb"));
}

static int teardown(void **state)
{
	(void)state;
	if (dev) {
		block_put(dev);
		dev = NULL;
		fake_driver()->remove(&fake_pci);
	}
	stop = true;
	thread_join(controller);
	page_free_dirty(block_zeros, 0);
	fake_marker_text[0] = '\0';
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	return 0;
}

static void test_what_it_is(void **state)
{
	const struct block_limits *l;
	struct block_health h;

	(void)state;
	hba.handoff = true;
	hba.bohc = AHCI_BOHC_BOS;
	plug();
	l = block_limits(dev);
	assert_string_equal(block_ident(dev)->model, "Fake ATA disk");
	assert_string_equal(block_ident(dev)->serial, "SN-0042");
	assert_int_equal(block_ident(dev)->size, DISK_SIZE);
	assert_int_equal(l->logical, 512);
	assert_int_equal(l->physical, 4096);
	assert_true(!l->fua && l->cache && !l->read_only);
	assert_int_equal(hba.bohc, AHCI_BOHC_OOS);
	assert_int_equal(block_health_get(dev, &h), 0);
	assert_true(h.failing);
	assert_int_equal(h.power_on_hours, 1234);
	assert_int_equal(h.celsius, 37);
}

/* Many at once, of every kind, at any offset: the disk is what it should be. */
struct op {
	struct block_req r;
	struct block_seg seg;
	bool over;
	int err;
};

static void op_done(struct block_req *r, int err)
{
	struct op *o = r->owner;

	o->over = true;
	o->err = err;
}

static void op_begin(struct op *o, enum block_op op, uint64_t off, void *mem, uint32_t len)
{
	*o = (struct op){.seg = {HPA((uintptr_t)mem), len}};
	o->r = (struct block_req){.op = op, .off = off, .len = op == BLOCK_FLUSH ? 0 : len,
				  .seg = &o->seg, .seg_count = 1, .done = op_done, .owner = o};
	block_submit(dev, &o->r);
}

static void op_wait(const struct op *o)
{
	while (!o->over)
		thread_yield();
}

static void work(void)
{
	static uint8_t mem[64][8192] __attribute__((aligned(4096)));
	static uint8_t model[DISK_SIZE];
	static struct op ops[64];

	memcpy(model, hba.data, DISK_SIZE);
	for (unsigned int i = 0; i < 64; i++) {
		enum block_op op = i % 7 == 3 ? BLOCK_FLUSH : i % 11 == 5 ? BLOCK_DISCARD :
				   i % 3 == 0 ? BLOCK_READ : BLOCK_WRITE;
		uint32_t len = 512 * (1 + i % 8);
		uint64_t off = i * 16384ull + 512 * (i % 5);

		memset(mem[i], (int)i + 1, sizeof(mem[i]));
		op_begin(&ops[i], op, off, mem[i] + 2 * (i % 9), len);
		if (op == BLOCK_WRITE)
			memset(model + off, (int)i + 1, len);
		else if (op == BLOCK_DISCARD)
			memset(model + off, 0xdd, len);
	}
	for (unsigned int i = 0; i < 64; i++) {
		op_wait(&ops[i]);
		assert_int_equal(ops[i].err, 0);
		if (ops[i].r.op == BLOCK_READ)
			assert_memory_equal(mem[i] + 2 * (i % 9), model + ops[i].r.off,
					    ops[i].r.len);
	}
	assert_memory_equal(model, hba.data, DISK_SIZE);
}

static void test_data(void **state)
{
	(void)state;
	plug();
	for (unsigned int i = 0; i < DISK_SIZE; i++)
		hba.data[i] = (uint8_t)(i * 7 + i / 500);
	work();
	assert_true(hba.most_queued > 4 && hba.done[ATA_FLUSH_EXT] > 0);
	assert_true(hba.done[ATA_READ_FPDMA] > 10 && hba.done[ATA_READ_DMA_EXT] == 0);
	assert_int_equal(hba.resets, 1);
}

static void test_without_queuing(void **state)
{
	(void)state;
	hba.no_ncq = true;
	plug();
	work();
	assert_true(hba.done[ATA_READ_FPDMA] == 0 && hba.done[ATA_READ_DMA_EXT] > 10);
}

/* Of many queued commands one cannot be done: that one fails, and no other. */
static void test_bad_sector(void **state)
{
	static uint8_t mem[32][4096] __attribute__((aligned(4096)));
	static struct op ops[32];

	(void)state;
	plug();
	hba.bad_lba = 13 * 64 + 3;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 32; i++)
			op_begin(&ops[i], BLOCK_READ, i * 32768ull, mem[i], 4096);
		for (unsigned int i = 0; i < 32; i++) {
			op_wait(&ops[i]);
			assert_int_equal(ops[i].err, i == 13 ? -RAY_EIO : 0);
		}
	}
	hba.bad_lba = UINT64_MAX;
	hba.done[ATA_READ_FPDMA] = 0;
	for (unsigned int i = 0; i < 64; i++) {
		op_begin(&ops[0], BLOCK_READ, 0, mem[0], 4096);
		op_wait(&ops[0]);
	}
	assert_true(hba.done[ATA_READ_FPDMA] > 30); /* it queues again */
	assert_int_equal(block_state(dev), BLOCK_LIVE);
}

static void test_errors_that_pass(void **state)
{
	static uint8_t mem[4096] __attribute__((aligned(4096)));

	(void)state;
	plug();
	hba.crc_errors = 3;
	assert_int_equal(block_read(dev, 0, mem, 4096), 0);
	assert_int_equal(hba.crc_errors, 0);
	hba.link_errors = 2;
	assert_int_equal(block_write(dev, 0, mem, 4096, 0), 0);
	assert_int_equal(hba.link_errors, 0);
	assert_int_equal(block_flush(dev), 0);
}

static void mend_at_reset(void *arg)
{
	(void)arg;
	while (!(hba.port[0].sctl & 1)) {
		fake_time_pass(1);
		thread_yield();
	}
	hba.silent = false;
}

static void test_silence(void **state)
{
	static uint8_t mem[4096] __attribute__((aligned(4096)));
	const struct thread_attr attr = {.cpu = -1};
	struct block_health h;
	struct block_stats s;
	struct thread *t;

	(void)state;
	plug();
	hba.silent = true;
	assert_int_equal(thread_create(&t, "mend", mend_at_reset, NULL, &attr), 0);
	assert_int_equal(block_read(dev, 0, mem, 4096), 0);
	thread_join(t);
	block_stats_get(dev, &s);
	assert_true(s.timeouts > 0);
	/* A command of the driver's own. */
	hba.silent = true;
	assert_int_equal(thread_create(&t, "mend", mend_at_reset, NULL, &attr), 0);
	assert_int_equal(block_health_get(dev, &h), -RAY_ETIMEDOUT);
	thread_join(t);
	assert_int_equal(block_read(dev, 0, mem, 4096), 0);
	assert_int_equal(block_health_get(dev, &h), 0);
	assert_int_equal(block_state(dev), BLOCK_LIVE);
}

static void test_pulled(void **state)
{
	static uint8_t mem[4096] __attribute__((aligned(4096)));
	struct op o;

	(void)state;
	plug();
	hba.silent = true;
	op_begin(&o, BLOCK_READ, 0, mem, 4096);
	hba.gone = true;
	block_trouble(dev);
	op_wait(&o);
	assert_int_equal(o.err, -RAY_EIO);
	fake_threads_run();
	assert_int_equal(block_state(dev), BLOCK_FAILED);
	assert_int_equal(block_read(dev, 0, mem, 512), -RAY_EIO);
}

/* A disk that says nothing sensible is left out; the controller stays. */
static void test_bad_disks(void **state)
{
	(void)state;
	hba.id[510] = 0xa5;
	hba.id[511] ^= 0x11;
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	assert_null(block_get("sda"));
	fake_driver()->remove(&fake_pci);
	hba.busy_for_ever = true;
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	assert_null(block_get("sda"));
	fake_driver()->remove(&fake_pci);
	assert_false(fake_master);
	fake_pci.bar[5].size = 0;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENODEV);
}

static void test_no_memory(void **state)
{
	unsigned int n = 1;

	(void)state;
	do {
		if (fake_probe_starved(n++) != 0)
			continue;
		dev = block_get("sda");
		if (dev)
			break;
		fake_driver()->remove(&fake_pci);
	} while (n < 200);
	assert_non_null(dev);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_queuing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_sector, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_that_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_disks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
