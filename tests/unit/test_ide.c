/* UNIT: devices/host/ide/ide.c devices/host/ide/ide_cmd.c devices/host/ata/ata.c
 * kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The IDE driver, below the real block layer, over a controller that lives in this file: two disks
 * on the first channel, a CD drive on the second. It checks what a driver must not do, fails,
 * falls silent and disappears on demand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/host/ide/ide.h"
#include "kernel/arch/cpu.h"
#include "kernel/block/block_priv.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fake_ata.h"
#include "tests/host/fake_driver.h"

#define DISK_SIZE KIB(512)
#define BM_PORT   0xc000u

struct drive {
	bool there, packets;
	uint8_t id[ATA_DATA_LEN], data[DISK_SIZE];
};

struct channel {
	struct drive drive[2];
	uint8_t ctl, device, status, error, bm_command, bm_status;
	uint8_t low[6], high[6]; /* features, count, LBA: last written and the one before */
	uint32_t prdt;
	uint8_t command; /* under way, 0: none */
	unsigned int pio; /* bytes of the identify data that were read */
	const uint8_t *pio_data;
};

static struct {
	struct channel ch[2];
	bool gone, silent, busy_for_ever;
	uint64_t bad_lba;
	unsigned int bus_errors, done[256], resets;
} hw;

static bool stop, irq_requested[16];
static struct thread *controller;
static irq_fn irq_fns[16];
static void *irq_args[16];

struct irq_handle {
	unsigned int irq;
};

int irq_isa_request(struct irq_handle **out, unsigned int isa_irq, irq_fn fn, void *arg,
		    const char *name)
{
	static struct irq_handle handles[16];

	(void)name;
	assert_false(irq_requested[isa_irq]);
	irq_requested[isa_irq] = true;
	irq_fns[isa_irq] = fn;
	irq_args[isa_irq] = arg;
	handles[isa_irq].irq = isa_irq;
	*out = &handles[isa_irq];
	return 0;
}

void irq_release(struct irq_handle *h)
{
	irq_requested[h->irq] = false;
	irq_fns[h->irq] = NULL;
}

/* --- registers --- */

static struct drive *selected(struct channel *c)
{
	return &c->drive[(c->device >> 4) & 1];
}

static void signature(struct channel *c)
{
	const struct drive *d = selected(c);

	c->status = d->there && !d->packets ? 0x50 : 0;
	c->low[4] = d->packets ? 0x14 : 0;
	c->low[5] = d->packets ? 0xeb : 0;
}

static void reset(struct channel *c)
{
	hw.resets++;
	c->device = 0;
	c->command = 0;
	signature(c);
	if (hw.busy_for_ever)
		c->status = ATA_S_BUSY;
}

static void command(struct channel *c, uint8_t v)
{
	struct drive *d = selected(c);

	if (!d->there)
		return;
	assert_int_equal(c->status & (ATA_S_BUSY | ATA_S_DRQ), 0);
	assert_int_equal(c->command, 0);
	hw.done[v]++;
	if (v == ATA_IDENTIFY && d->packets) {
		signature(c);
		c->status = 0x41;
	} else if (v == ATA_IDENTIFY) {
		assert_true(c->ctl & IDE_CTL_NIEN);
		c->pio = 0;
		c->pio_data = d->id;
		c->low[4] = c->low[5] = 0;
		c->status = 0x58;
	} else {
		assert_false(c->ctl & IDE_CTL_NIEN);
		c->command = v;
		c->status = ATA_S_BUSY;
	}
}

static uint32_t channel_in(struct channel *c, unsigned int reg, unsigned int size)
{
	uint32_t v;

	if (reg == IDE_DATA) {
		assert_true(size == 2 && c->pio < ATA_DATA_LEN);
		v = load16(c->pio_data + c->pio);
		c->pio += 2;
		if (c->pio == ATA_DATA_LEN)
			c->status = 0x50;
		return v;
	}
	if (!selected(c)->there)
		return 0;
	return reg == IDE_ERROR ? c->error : reg == IDE_STATUS ? c->status :
	       reg == IDE_DEVICE ? c->device : c->low[reg];
}

static void channel_out(struct channel *c, unsigned int reg, uint8_t v)
{
	if (reg == IDE_DEVICE) {
		assert_int_equal(c->command, 0);
		c->device = v;
		if (!c->pio_data || c->status == 0)
			c->status = selected(c)->there && !selected(c)->packets ? 0x50 : 0;
	} else if (reg == IDE_STATUS) {
		command(c, v);
	} else {
		assert_int_equal(c->command, 0);
		c->high[reg] = c->low[reg];
		c->low[reg] = v;
	}
}

static uint32_t port_in(uint16_t port, unsigned int size)
{
	if (hw.gone)
		return UINT32_MAX;
	for (unsigned int n = 0; n < 2; n++) {
		struct channel *c = &hw.ch[n];
		uint16_t cmd = n ? 0x170 : 0x1f0, bm = (uint16_t)(BM_PORT + 8 * n);

		if (port >= cmd && port < cmd + 8)
			return channel_in(c, port - cmd, size);
		if (port == cmd + 0x206)
			return selected(c)->there ? c->status : 0;
		if (port == bm + IDE_BM_COMMAND)
			return c->bm_command;
		if (port == bm + IDE_BM_STATUS)
			return c->bm_status;
	}
	fail_msg("read of port 0x%x", port);
	return 0;
}

static void port_out(uint16_t port, unsigned int size, uint32_t v)
{
	if (hw.gone)
		return;
	for (unsigned int n = 0; n < 2; n++) {
		struct channel *c = &hw.ch[n];
		uint16_t cmd = n ? 0x170 : 0x1f0, bm = (uint16_t)(BM_PORT + 8 * n);

		if (port >= cmd && port < cmd + 8) {
			channel_out(c, port - cmd, (uint8_t)v);
		} else if (port == cmd + 0x206) {
			if ((c->ctl & IDE_CTL_SRST) && !(v & IDE_CTL_SRST))
				reset(c);
			c->ctl = (uint8_t)v;
		} else if (port == bm + IDE_BM_COMMAND) {
			c->bm_command = (uint8_t)v;
		} else if (port == bm + IDE_BM_STATUS) {
			c->bm_status &= (uint8_t)~(v & 6);
		} else if (port == bm + IDE_BM_PRDT) {
			assert_true(size == 4 && v % 4 == 0);
			c->prdt = v;
		}
	}
}

/* --- commands --- */

static void move(struct channel *c, uint8_t *mem, uint64_t len, bool read)
{
	const struct ide_prd *p = fake_memory(c->prdt);

	assert_int_equal(c->bm_command, IDE_BM_START | (read ? IDE_BM_READ : 0));
	for (;; p++) {
		uint32_t n = p->len ? p->len : 65536;

		assert_true(n % 2 == 0 && p->addr % 2 == 0 && n <= len);
		assert_int_equal(p->addr >> 16, (p->addr + n - 1) >> 16);
		if (read)
			memcpy(fake_memory(p->addr), mem, n);
		else
			memcpy(mem, fake_memory(p->addr), n);
		mem += n;
		len -= n;
		if (p->flags & IDE_PRD_LAST)
			break;
	}
	assert_int_equal(len, 0);
}

static bool fails(struct channel *c, uint64_t lba, uint64_t sectors)
{
	if (hw.bus_errors > 0) {
		hw.bus_errors--;
		c->bm_status |= IDE_BM_ERROR;
		return true;
	}
	if (hw.bad_lba < lba || hw.bad_lba >= lba + sectors)
		return false;
	c->error = 0x40;
	c->status = 0x51;
	return true;
}

static void work(struct channel *c)
{
	struct drive *d = selected(c);
	uint64_t lba = c->low[3] | c->low[4] << 8 | (uint64_t)c->low[5] << 16 |
		       (uint64_t)c->high[3] << 24 | (uint64_t)c->high[4] << 32;
	uint64_t sectors = c->low[2] | c->high[2] << 8;
	uint8_t page[ATA_DATA_LEN];

	c->status = 0x50;
	switch (c->command) {
	case ATA_READ_DMA_EXT:
	case ATA_WRITE_DMA_EXT:
		assert_true((c->device & 0x40) && sectors > 0 && (lba + sectors) * 512 <= DISK_SIZE);
		if (!fails(c, lba, sectors))
			move(c, d->data + lba * 512, sectors * 512, c->command == ATA_READ_DMA_EXT);
		break;
	case ATA_DATA_SET:
		move(c, page, sizeof(page), false);
		memset(d->data + (load64(page) & 0xffffffffffff) * 512, 0xdd,
		       (load64(page) >> 48) * 512);
		break;
	case ATA_FLUSH_EXT:
		break;
	default:
		fail_msg("command 0x%x", c->command);
	}
}

static void controller_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		for (unsigned int n = 0; n < 2; n++) {
			struct channel *c = &hw.ch[n];

			if (!c->command || hw.silent || hw.gone)
				continue;
			work(c);
			c->command = 0;
			c->bm_status |= IDE_BM_IRQ;
			irq_fns[14 + n](irq_args[14 + n]);
		}
		fake_now += 1000000;
		thread_yield();
	}
}

/* --- tests --- */

static struct block_dev *dev[2];

static int setup(void **state)
{
	const struct thread_attr attr = {.cpu = -1};

	(void)state;
	memset(&hw, 0, sizeof(hw));
	hw.bad_lba = UINT64_MAX;
	for (unsigned int i = 0; i < 2; i++) {
		hw.ch[0].drive[i].there = true;
		fake_ata_identify(hw.ch[0].drive[i].id, DISK_SIZE / 512);
	}
	hw.ch[1].drive[0] = (struct drive){.there = true, .packets = true};
	fake_port_in = port_in;
	fake_port_out = port_out;
	fake_pci.class_code = 0x010180;
	fake_pci.bar[4] = (struct pci_bar){.base = BM_PORT, .size = 16, .flags = PCI_BAR_F_IO};
	stop = false;
	assert_int_equal(block_init(), 0);
	assert_int_equal(thread_create(&controller, "controller", controller_thread, NULL, &attr), 0);
	return 0;
}

static void plug(void)
{
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	assert_int_equal(block_settle(), 0);
	dev[0] = block_get("hda");
	dev[1] = block_get("hdb");
	assert_true(dev[0] && dev[1]);
}

static int teardown(void **state)
{
	(void)state;
	if (dev[0]) {
		block_put(dev[0]);
		block_put(dev[1]);
		dev[0] = dev[1] = NULL;
		fake_driver()->remove(&fake_pci);
	}
	stop = true;
	thread_join(controller);
	page_free_dirty(block_zeros, 0);
	fake_marker_text[0] = '\0';
	assert_false(irq_requested[14] || irq_requested[15] || fake_master);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	return 0;
}

static void test_what_they_are(void **state)
{
	const struct block_limits *l;

	(void)state;
	plug();
	l = block_limits(dev[1]);
	assert_string_equal(block_ident(dev[1])->model, "Fake ATA disk");
	assert_int_equal(block_ident(dev[1])->size, DISK_SIZE);
	assert_int_equal(l->dma_max, UINT32_MAX);
	assert_true(l->cache && !l->fua);
	assert_null(block_get("hdc"));
	assert_true(irq_requested[14] && !irq_requested[15]);
}

/* The host's memory lies above what the controller reaches: all of it is bounced. */
static uint8_t *memory(size_t len)
{
	uint8_t *p = aligned_alloc(4096, len);

	assert_true((uintptr_t)p > UINT32_MAX);
	return p;
}

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

/* Both drives at once, in turns. */
static void test_data(void **state)
{
	static struct op ops[2][16];
	uint8_t *mem = memory(32 * 8192);

	(void)state;
	plug();
	for (unsigned int i = 0; i < 16; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			struct op *o = &ops[k][i];
			uint8_t *p = mem + (2 * i + k) * 8192;

			memset(p, (int)(2 * i + k + 1), 8192);
			*o = (struct op){.seg = {HPA((uintptr_t)p), 8192}};
			o->r = (struct block_req){.op = i % 5 == 4 ? BLOCK_FLUSH : BLOCK_WRITE,
						  .off = i * KIB(16), .len = 8192, .seg = &o->seg,
						  .seg_count = 1, .done = op_done, .owner = o};
			block_submit(dev[k], &o->r);
		}
	}
	for (unsigned int i = 0; i < 16; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			while (!ops[k][i].over)
				thread_yield();
			assert_int_equal(ops[k][i].err, 0);
			if (i % 5 != 4)
				assert_memory_equal(hw.ch[0].drive[k].data + i * KIB(16),
						    mem + (2 * i + k) * 8192, 8192);
		}
	}
	assert_int_equal(block_read(dev[0], 0, mem, KIB(128)), 0);
	assert_memory_equal(mem, hw.ch[0].drive[0].data, KIB(128));
	assert_int_equal(block_discard(dev[1], KIB(64), KIB(64)), 0);
	assert_int_equal(hw.ch[0].drive[1].data[KIB(64)], 0xdd);
	assert_true(hw.done[ATA_FLUSH_EXT] >= 6);
	free(mem);
}

static void test_errors(void **state)
{
	uint8_t *mem = memory(4096);

	(void)state;
	plug();
	hw.bad_lba = 17;
	assert_int_equal(block_read(dev[0], 16 * 512, mem, 4096), -RAY_EIO);
	assert_int_equal(block_read(dev[0], 0, mem, 4096), 0);
	hw.bus_errors = 3;
	assert_int_equal(block_read(dev[0], 0, mem, 4096), 0);
	assert_int_equal(hw.bus_errors, 0);
	free(mem);
}

static void mend_at_reset(void *arg)
{
	const unsigned int *resets = arg;

	while (hw.resets == *resets) {
		fake_time_pass(1);
		thread_yield();
	}
	hw.silent = false;
}

static void test_silence(void **state)
{
	const struct thread_attr attr = {.cpu = -1};
	uint8_t *mem = memory(4096);
	unsigned int resets;
	struct thread *t;

	(void)state;
	plug();
	resets = hw.resets;
	hw.silent = true;
	assert_int_equal(thread_create(&t, "mend", mend_at_reset, &resets, &attr), 0);
	assert_int_equal(block_read(dev[0], 0, mem, 4096), 0);
	thread_join(t);
	assert_int_equal(block_read(dev[1], 0, mem, 4096), 0);
	assert_int_equal(block_state(dev[0]), BLOCK_LIVE);
	free(mem);
}

static void test_pulled(void **state)
{
	uint8_t *mem = memory(4096);

	(void)state;
	plug();
	hw.gone = true;
	block_trouble(dev[0]);
	fake_threads_run();
	assert_int_equal(block_state(dev[0]), BLOCK_FAILED);
	assert_int_equal(block_read(dev[0], 0, mem, 512), -RAY_EIO);
	free(mem);
}

static void test_no_disks(void **state)
{
	(void)state;
	hw.ch[0].drive[0].packets = true;
	hw.ch[0].drive[1].there = false;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENODEV);
	hw.busy_for_ever = true;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ETIMEDOUT);
	hw.busy_for_ever = false;
	fake_pci.bar[4].base = 0;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENODEV);
	hw.gone = true;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_disks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
