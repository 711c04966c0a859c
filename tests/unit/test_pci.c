/* UNIT: kernel/pci/bar.c kernel/pci/caps.c kernel/pci/scan.c kernel/pci/config.c
 *	 kernel/pci/mcfg.c kernel/pci/names.c kernel/pci/driver.c kernel/pci/irq.c
 *	 kernel/pci/intx.c kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/dma/dma.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_pci.h"

/* ---- what the code under test stands on ---- */

struct list_head pci_devices = LIST_HEAD_INIT(pci_devices);

static uint8_t device_memory[0x10000]; /* physical 0xfe000000 */
static int vmaps_live;

void *vmap(hpa_t hpa, size_t len, enum vmap_cache cache, bool writable)
{
	assert_int_equal(cache, VMAP_UC);
	assert_true(writable);
	assert_true(hpa.v >= 0xfe000000 && hpa.v + len <= 0xfe000000 + sizeof(device_memory));
	vmaps_live++;
	return device_memory + (hpa.v - 0xfe000000);
}

void vunmap(void *va)
{
	(void)va;
	vmaps_live--;
}

struct irq_handle {
	int unused;
};
static struct irq_handle handles[256];
static unsigned int irqs_live;
static int irq_error;
static uint32_t gsi_asked;

int irq_msi_request(struct irq_handle **out, unsigned int cpu, struct msi_msg *msg, irq_fn fn,
		    void *arg, const char *name)
{
	(void)fn;
	(void)arg;
	(void)name;
	if (irq_error)
		return irq_error;
	*out = &handles[irqs_live++];
	*msg = (struct msi_msg){.addr = 0xfee00000u | cpu << 12, .data = 0x40 + cpu};
	return 0;
}

int irq_gsi_request(struct irq_handle **out, uint32_t gsi, unsigned int flags, irq_fn fn, void *arg,
		    const char *name)
{
	(void)fn;
	(void)arg;
	(void)name;
	assert_true(flags & IRQ_F_LEVEL);
	assert_true(flags & IRQ_F_SHARED);
	if (irq_error)
		return irq_error;
	gsi_asked = gsi;
	*out = &handles[irqs_live++];
	return 0;
}

void irq_release(struct irq_handle *h)
{
	(void)h;
	irqs_live--;
}

static int probe_result, probes;
static uint16_t probe_command;

static int test_probe(struct pci_dev *d)
{
	probes++;
	probe_command = pci_read16(d, PCI_COMMAND);
	pci_master_set(d, true);
	return probe_result;
}

static const struct pci_match test_matches[] = {PCI_MATCH_ID(0x8086, 0x100e),
						PCI_MATCH_CLASS(0x010802, 0xffffff)};
PCI_DRIVER(test, .base = {.id = "test", .bus = "pci"}, .match = test_matches, .match_count = ARRAY_SIZE(test_matches),
	   .probe = test_probe);

/* ---- helpers ---- */

static struct pci_scan_stats st;

static int scan(unsigned int bus_last)
{
	return pci_scan(&fake_pci, bus_last, &pci_devices, &st);
}

static void bridge(struct fake_fn *f, uint8_t pri, uint8_t sec, uint8_t sub)
{
	f->cfg[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
	f->cfg[PCI_BRIDGE_BUSES] = pri;
	f->cfg[PCI_BRIDGE_BUSES + 1] = sec;
	f->cfg[PCI_BRIDGE_BUSES + 2] = sub;
}

static int setup(void **state)
{
	(void)state;
	probes = probe_result = irq_error = 0;
	pci_intx_router_set(NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_scan_free(&pci_devices);
	fake_pci_reset();
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(vmaps_live, 0);
	assert_int_equal(irqs_live, 0);
	return 0;
}

/* ---- BARs ---- */

static void test_bars(void **state)
{
	struct fake_fn *f = fake_fn_add(PCI_BDF(0, 3, 0), 0x8086, 0x100e, 0x020000);
	uint8_t before[PCI_CFG_SIZE_PCIE];
	struct pci_dev *d;

	(void)state;
	fake_bar(f, 0x10, 0xfe000000, 0x20000);           /* memory */
	fake_bar(f, 0x14, 0xc001, 0x40);                  /* ports, full mask */
	fake_bar64(f, 0x18, 0xcull | 1ull << 36, 1ull << 33); /* 8 GiB */
	fake_bar(f, 0x20, 0x00000008, 0x1000);            /* prefetchable, unassigned */
	fake_bar(f, 0x24, 0xfe100000, 0x1000);            /* a 64-bit BAR in the last register */
	f->cfg[0x24] = PCI_BAR_TYPE_64;
	fake_bar(f, PCI_ROM, 0xfff00000, 0x40000);
	f->cfg[PCI_COMMAND] = 7;
	memcpy(before, f->cfg, sizeof(before));
	assert_int_equal(scan(0), 0);
	d = at(PCI_BDF(0, 3, 0));
	assert_non_null(d);
	assert_int_equal(d->bar[0].base, 0xfe000000);
	assert_int_equal(d->bar[0].size, 0x20000);
	assert_int_equal(d->bar[0].flags, 0);
	assert_int_equal(d->bar[1].base, 0xc000);
	assert_int_equal(d->bar[1].size, 0x40);
	assert_int_equal(d->bar[1].flags, PCI_BAR_F_IO);
	assert_int_equal(d->bar[2].size, 1ull << 33);
	assert_int_equal(d->bar[2].flags, PCI_BAR_F_64 | PCI_BAR_F_PREFETCH);
	assert_int_equal(d->bar[2].base, 1ull << 36);
	assert_int_equal(d->bar[3].size, 0);
	assert_int_equal(d->bar[4].size, 0x1000);
	assert_int_equal(d->bar[4].base, 0);
	assert_int_equal(d->bar[5].size, 0);
	assert_int_equal(d->rom.size, 0x40000);
	assert_int_equal(d->rom.base, 0xfff00000);
	/* All as before, but no bus mastering and no pin. */
	before[PCI_COMMAND] = 3;
	before[PCI_COMMAND + 1] = 4;
	assert_memory_equal(before, f->cfg, sizeof(before));
}

static void test_bars_with_strange_bits(void **state)
{
	static const struct {
		uint32_t value, wmask;
		uint64_t size;
	} cases[] = {
		{0, 0, 0},                   /* none */
		{UINT32_MAX, 0, 0},          /* gone */
		{0, UINT32_MAX, 0},          /* every bit sticks: type bits change */
		{0x1, 0x0000fff0, 0x10},     /* 16-bit ports */
		{0x1, 0xfffffffc, 4},        /* the smallest port BAR */
		{0x0, 0x00000001, 0},        /* memory turning into ports */
		{0xf0000000, 0xf00f0000, 0x10000}, /* holes in the mask */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_fn *f = fake_fn_add(PCI_BDF(0, 1, 0), 1, 1, 0);
		struct pci_bar bar[6] = {{.base = 0}}, rom = {.base = 0};

		fake_put(f, 0x10, cases[i].value, 4);
		memcpy(f->wmask + 0x10, &cases[i].wmask, 4);
		pci_bars_read(&fake_pci, f->bdf, 6, 0, bar, &rom);
		assert_int_equal(bar[0].size, cases[i].size);
		fake_pci_reset();
	}
}

static void test_host_bridge_is_left_alone(void **state)
{
	struct fake_fn *f = fake_fn_add(PCI_BDF(0, 0, 0), 0x8086, 0x29c0, 0x060000);

	(void)state;
	fake_bar(f, 0x10, 0xfe000000, 0x1000);
	f->cfg[PCI_COMMAND] = 7;
	assert_int_equal(scan(0), 0);
	assert_int_equal(at(0)->bar[0].size, 0);
	assert_int_equal(f->cfg[PCI_COMMAND], 7);
}

/* ---- capabilities ---- */

static struct fake_fn *with_caps(void)
{
	struct fake_fn *f = fake_fn_add(PCI_BDF(0, 4, 0), 0x1af4, 0x1041, 0x020000);

	fake_put(f, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	f->cfg[PCI_CAP_PTR] = 0x40;
	fake_cap(f, 0x40, PCI_CAP_ID_VENDOR, 0x50);
	fake_cap(f, 0x50, PCI_CAP_ID_VENDOR, 0x60);
	fake_cap(f, 0x60, PCI_CAP_ID_EXP, 0);
	fake_put(f, 0x100, 0x0003 | 1 << 16 | 0x140u << 20, 4);
	fake_put(f, 0x140, 0x0001 | 1 << 16, 4);
	return f;
}

static void test_caps(void **state)
{
	struct pci_dev *d;

	(void)state;
	with_caps();
	assert_int_equal(scan(0), 0);
	assert_int_equal(st.broken, 0);
	d = at(PCI_BDF(0, 4, 0));
	assert_int_equal(d->cap_count, 5);
	assert_int_equal(pci_cap_find(d, PCI_CAP_ID_VENDOR), 0x40);
	assert_int_equal(pci_cap_next(d, 0x40), 0x50);
	assert_int_equal(pci_cap_next(d, 0x50), 0);
	assert_int_equal(pci_cap_next(d, 0x44), 0);
	assert_int_equal(pci_ext_cap_find(d, 1), 0x140);
	assert_int_equal(pci_ext_cap_find(d, 3), 0x100);
	assert_int_equal(pci_cap_find(d, PCI_CAP_ID_MSI), 0);
}

static void test_caps_loop_and_junk(void **state)
{
	static const struct {
		unsigned int off;
		uint8_t value;
	} damage[] = {
		{0x61, 0x40},       /* loop to the start */
		{0x51, 0x50},       /* to itself */
		{0x41, 0x10},       /* into the header */
		{PCI_CAP_PTR, 0x3c},
		{0x50, 0xff},       /* nothing there */
	};
	struct pci_cap caps[PCI_CAPS_MAX];
	bool bad;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		struct fake_fn *f = with_caps();

		f->cfg[damage[i].off] = damage[i].value;
		(void)pci_caps_read(&fake_pci, f->bdf, caps, &bad);
		assert_true(bad);
		fake_pci_reset();
	}
	/* An extended list that loops, one that leaves for the lower space, one that is absent. */
	{
		struct fake_fn *f = with_caps();

		fake_put(f, 0x140, 0x0001 | 1 << 16 | 0x100u << 20, 4);
		assert_int_equal(pci_caps_read(&fake_pci, f->bdf, caps, &bad), 5);
		assert_true(bad);
		fake_put(f, 0x140, 0x0001 | 1 << 16 | 0x080u << 20, 4);
		(void)pci_caps_read(&fake_pci, f->bdf, caps, &bad);
		assert_true(bad);
		fake_put(f, 0x100, 0, 4);
		assert_int_equal(pci_caps_read(&fake_pci, f->bdf, caps, &bad), 3);
		assert_false(bad);
	}
	/* The longest possible list fits or is cut, never overruns. */
	fake_pci_reset();
	{
		struct fake_fn *f = with_caps();

		for (unsigned int off = 0x40; off < 0x100; off += 4)
			fake_cap(f, off, off == 0x40 ? PCI_CAP_ID_EXP : 9, (uint8_t)(off + 4));
		for (unsigned int off = 0x100; off < 0x1000; off += 8)
			fake_put(f, off, 1u | 1u << 16 | ((off + 8) & 0xfffu) << 20, 4);
		assert_int_equal(pci_caps_read(&fake_pci, f->bdf, caps, &bad), PCI_CAPS_MAX);
		assert_true(bad);
	}
}

/* ---- enumeration ---- */

static void test_bridges(void **state)
{
	struct fake_fn *f;

	(void)state;
	fake_fn_add(PCI_BDF(0, 0, 0), 0x8086, 0x29c0, 0x060000);
	f = fake_fn_add(PCI_BDF(0, 1, 0), 0x1b36, 0x000c, 0x060400);
	bridge(f, 0, 1, 2);
	f = fake_fn_add(PCI_BDF(1, 0, 0), 0x1b36, 0x000e, 0x060400);
	bridge(f, 1, 2, 2);
	f = fake_fn_add(PCI_BDF(2, 5, 0), 0x8086, 0x100e, 0x020000);
	f->cfg[PCI_INT_PIN] = 1;
	f = fake_fn_add(PCI_BDF(0, 31, 0), 0x8086, 0x2918, 0x060100);
	f->cfg[PCI_HEADER_TYPE] = PCI_HEADER_MULTI;
	fake_fn_add(PCI_BDF(0, 31, 2), 0x8086, 0x2922, 0x010601);
	fake_fn_add(PCI_BDF(0, 30, 3), 1, 1, 0); /* function 0 is missing: nobody looks */
	fake_fn_add(PCI_BDF(9, 0, 0), 0x1234, 1, 0); /* behind a second host bridge */
	assert_int_equal(scan(0), 0);
	assert_int_equal(st.devices, 6);
	assert_int_equal(st.buses, 3);
	assert_int_equal(st.broken, 0);
	assert_ptr_equal(at(PCI_BDF(2, 5, 0))->parent, at(PCI_BDF(1, 0, 0)));
	assert_ptr_equal(at(PCI_BDF(1, 0, 0))->parent, at(PCI_BDF(0, 1, 0)));
	assert_null(at(PCI_BDF(0, 31, 2))->parent);
	assert_int_equal(pci_intx_swizzle(at(PCI_BDF(2, 5, 0)), 1), 2);
	pci_scan_free(&pci_devices);
	assert_int_equal(scan(255), 0);
	assert_int_equal(st.devices, 7);
	assert_non_null(at(PCI_BDF(9, 0, 0)));
}

static void test_bridge_loops(void **state)
{
	static const uint8_t numbers[][2] = {
		{0, 0},   /* not set up: not counted as broken */
		{1, 0},   /* subordinate below secondary */
		{200, 255},
	};
	struct fake_fn *f, *g;

	(void)state;
	f = fake_fn_add(PCI_BDF(0, 1, 0), 0x1b36, 0x000c, 0x060400);
	bridge(f, 0, 1, 1);
	g = fake_fn_add(PCI_BDF(1, 0, 0), 0x1b36, 0x000c, 0x060400);
	bridge(g, 1, 1, 1); /* leads back to its own bus */
	assert_int_equal(scan(255), 0);
	assert_int_equal(st.devices, 2);
	assert_int_equal(st.broken, 1);
	pci_scan_free(&pci_devices);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		bridge(g, 1, numbers[i][0], numbers[i][1]); /* outside its parent's range too */
		assert_int_equal(scan(0), 0);
		assert_int_equal(st.devices, 2);
		assert_int_equal(st.broken, i == 0 ? 0 : 1);
		pci_scan_free(&pci_devices);
	}
	bridge(g, 1, 2, 2); /* two bridges to one bus */
	bridge(f, 0, 1, 9);
	g = fake_fn_add(PCI_BDF(1, 1, 0), 0x1b36, 0x000c, 0x060400);
	bridge(g, 1, 2, 2);
	assert_int_equal(scan(0), 0);
	assert_int_equal(st.broken, 1);
	assert_int_equal(st.buses, 3);
}

static void test_broken_headers_and_limits(void **state)
{
	struct fake_fn *f;

	(void)state;
	f = fake_fn_add(PCI_BDF(0, 1, 0), 1, 1, 0);
	f->cfg[PCI_HEADER_TYPE] = 0x13;
	f = fake_fn_add(PCI_BDF(0, 2, 0), 1, 1, 0);
	f->cfg[PCI_INT_PIN] = 77;
	fake_fn_add(PCI_BDF(0, 3, 0), 0, 0, 0);
	assert_int_equal(scan(0), 0);
	assert_int_equal(st.devices, 1);
	assert_int_equal(st.broken, 1);
	assert_int_equal(at(PCI_BDF(0, 2, 0))->int_pin, 0);
	pci_scan_free(&pci_devices);
	fake_pci_reset();
	/* More functions than the limit. */
	for (unsigned int bus = 0; bus < 18; bus++) {
		for (unsigned int dev = 0; dev < 32; dev++)
			fake_fn_add(PCI_BDF(bus, dev, 0), 1, 1, 0);
	}
	assert_int_equal(scan(255), 0);
	assert_int_equal(st.devices, PCI_DEVICES_MAX);
	assert_int_equal(st.broken, 18 * 32 - PCI_DEVICES_MAX);
}

static void test_no_memory(void **state)
{
	(void)state;
	fake_fn_add(PCI_BDF(0, 1, 0), 1, 1, 0);
	fake_fn_add(PCI_BDF(0, 2, 0), 1, 1, 0);
	for (long n = 1; n <= 3; n++) {
		fake_heap_fail_at = n;
		assert_int_equal(scan(0), -RAY_ENOMEM);
		pci_scan_free(&pci_devices);
		assert_int_equal(fake_heap_live, 0);
	}
	fake_heap_fail_at = 0;
}

static void test_mcfg(void **state)
{
	struct pci_ecam_range r;
	uint8_t t[44 + 32] = {0};
	uint64_t base = 0xe0000000;

	(void)state;
	for (size_t n = 0; n < 44; n++)
		assert_int_equal(pci_mcfg_parse(t, n, &r), -RAY_EPROTO);
	assert_int_equal(pci_mcfg_parse(t, 44, &r), -RAY_ENOENT);
	t[44 + 8] = 1; /* segment 1 comes first */
	memcpy(t + 60, &base, 8);
	t[60 + 11] = 0x7f;
	assert_int_equal(pci_mcfg_parse(t, 60, &r), -RAY_ENOENT);
	assert_int_equal(pci_mcfg_parse(t, 75, &r), -RAY_ENOENT);
	assert_int_equal(pci_mcfg_parse(t, 76, &r), 0);
	assert_int_equal(r.base, base);
	assert_int_equal(r.bus_last, 0x7f);
	for (size_t i = 0; i < 3; i++) {
		static const uint64_t bad[] = {0, 0xe0000800, 1ull << 52};

		memcpy(t + 60, &bad[i], 8);
		assert_int_equal(pci_mcfg_parse(t, 76, &r), -RAY_EPROTO);
	}
}

/* ---- drivers ---- */

static int attach_result;

void device_driver_set(struct device *d, const struct driver *driver)
{
	d->driver = driver;
}

int dma_attach(struct pci_dev *d)
{
	assert_non_null(d);
	return attach_result;
}

static char offered[8];
static bool best_refuses;

static int worse_probe(struct pci_dev *d)
{
	(void)d;
	strcat(offered, "w");
	return 0;
}

static int best_probe(struct pci_dev *d)
{
	(void)d;
	strcat(offered, "b");
	return best_refuses ? -RAY_ENOSYS : 0;
}

static const struct pci_match both_match[] = {PCI_MATCH_ID(0x1b36, 0x0099)};
PCI_DRIVER(worse, .base = {.id = "worse", .bus = "pci", .priority = 1}, .match = both_match,
	   .match_count = 1, .probe = worse_probe);
PCI_DRIVER(best, .base = {.id = "best", .bus = "pci", .priority = 2}, .match = both_match,
	   .match_count = 1, .probe = best_probe);

/* Of two that match, the one of the higher priority has it, or else the other. */
static void test_priority(void **state)
{
	struct fake_fn *f = fake_fn_add(PCI_BDF(0, 1, 0), 0x1b36, 0x0099, 0x020000);

	(void)state;
	offered[0] = '\0';
	best_refuses = false;
	assert_int_equal(scan(0), 0);
	assert_int_equal(pci_drivers_bind(&pci_devices), 1);
	assert_string_equal(offered, "b");
	at(f->bdf)->driver = NULL;
	best_refuses = true;
	assert_int_equal(pci_drivers_bind(&pci_devices), 1);
	assert_string_equal(offered, "bbw");
	assert_string_equal(at(f->bdf)->driver->base.id, "worse");
}

/* A device that cannot be confined is left alone. */
static void test_no_domain(void **state)
{
	(void)state;
	fake_fn_add(PCI_BDF(0, 1, 0), 0x8086, 0x100e, 0x020000);
	attach_result = -RAY_ENOMEM;
	assert_int_equal(scan(0), 0);
	assert_int_equal(pci_drivers_bind(&pci_devices), 0);
	assert_int_equal(probes, 0);
	attach_result = 0;
}

static void test_bind(void **state)
{
	struct fake_fn *nic = fake_fn_add(PCI_BDF(0, 1, 0), 0x8086, 0x100e, 0x020000);
	struct fake_fn *other = fake_fn_add(PCI_BDF(0, 2, 0), 0x8086, 0x100f, 0x020000);
	struct fake_fn *nvme = fake_fn_add(PCI_BDF(0, 3, 0), 0x1b36, 0x0010, 0x010802);

	(void)state;
	fake_bar(nic, 0x10, 0xfe000000, 0x1000);
	fake_bar(nic, 0x14, 0xc001, 0x40);
	other->cfg[PCI_COMMAND] = 7;
	assert_int_equal(scan(0), 0);
	assert_int_equal(pci_drivers_bind(&pci_devices), 2);
	assert_int_equal(probes, 2);
	assert_string_equal(at(nic->bdf)->driver->base.id, "test");
	assert_int_equal(nic->cfg[PCI_COMMAND], 7);
	assert_int_equal(nvme->cfg[PCI_COMMAND], PCI_COMMAND_MASTER);
	assert_int_equal(other->cfg[PCI_COMMAND] & PCI_COMMAND_MASTER, 0);
	assert_null(at(other->bdf)->driver);
	assert_int_equal(pci_drivers_bind(&pci_devices), 0); /* bound ones are not offered again */
	assert_int_equal(probes, 2);
}

static void test_probe_fails(void **state)
{
	struct fake_fn *nic = fake_fn_add(PCI_BDF(0, 1, 0), 0x8086, 0x100e, 0x020000);

	(void)state;
	fake_bar(nic, 0x10, 0xfe000000, 0x1000);
	probe_result = -RAY_EIO;
	assert_int_equal(scan(0), 0);
	assert_int_equal(pci_drivers_bind(&pci_devices), 0);
	assert_int_equal(probe_command & 7, PCI_COMMAND_MEM);
	assert_int_equal(nic->cfg[PCI_COMMAND] & PCI_COMMAND_MASTER, 0);
	assert_null(at(nic->bdf)->driver);
}

/* ---- interrupts ---- */

static void handler(void *arg)
{
	(void)arg;
}

static struct pci_dev *msix_device(uint16_t entries, uint32_t where)
{
	struct fake_fn *f = fake_fn_add(PCI_BDF(0, 4, 0), 0x1af4, 0x1041, 0x020000);

	fake_put(f, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	f->cfg[PCI_CAP_PTR] = 0x40;
	fake_cap(f, 0x40, PCI_CAP_ID_MSIX, 0);
	fake_put(f, 0x42, (uint64_t)entries - 1, 2);
	f->wmask[0x43] = 0xc0;
	fake_put(f, 0x44, where, 4);
	fake_bar(f, 0x14, 0xfe000000, 0x1000);
	assert_int_equal(scan(0), 0);
	return at(f->bdf);
}

static void test_msix(void **state)
{
	struct pci_dev *d = msix_device(4, 0x800 | 1);
	uint32_t *t = (uint32_t *)(device_memory + 0x800);

	(void)state;
	memset(device_memory, 0x5a, sizeof(device_memory));
	assert_int_equal(pci_irq_count(d), 4);
	assert_int_equal(pci_irq_request(d, 4, 0, handler, NULL, "x"), -RAY_ERANGE);
	assert_int_equal(pci_irq_request(d, 2, 3, handler, NULL, "x"), 0);
	assert_int_equal(pci_irq_request(d, 2, 3, handler, NULL, "x"), -RAY_EBUSY);
	assert_int_equal(d->irq_mode, PCI_IRQ_MSIX);
	assert_int_equal(pci_read16(d, 0x42) & 0xc000, PCI_MSIX_CTRL_ENABLE);
	assert_int_equal(t[8], 0xfee03000);
	assert_int_equal(t[9], 0);
	assert_int_equal(t[10], 0x43);
	assert_int_equal(t[11], 0);
	assert_int_equal(t[3], 1);  /* the others are masked */
	assert_int_equal(t[15], 1);
	assert_int_equal(t[16], 0x5a5a5a5a); /* and nothing behind the table is touched */
	assert_int_equal(pci_irq_request(d, 0, 1, handler, NULL, "x"), 0);
	pci_irq_release(d, 2);
	assert_int_equal(t[11], 1);
	assert_int_equal(pci_read16(d, 0x42) & PCI_MSIX_CTRL_ENABLE, PCI_MSIX_CTRL_ENABLE);
	pci_irq_release_all(d);
	assert_int_equal(d->irq_mode, PCI_IRQ_NONE);
	assert_int_equal(pci_read16(d, 0x42) & PCI_MSIX_CTRL_ENABLE, 0);
	irq_error = -RAY_ENOSPC;
	assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), -RAY_ENOSPC);
	assert_int_equal(d->irq_mode, PCI_IRQ_NONE);
	irq_error = 0;
	fake_heap_fail_at = 1;
	assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), -RAY_ENOMEM);
	assert_int_equal(d->irq_mode, PCI_IRQ_NONE);
}

static void test_msix_table_outside_its_bar(void **state)
{
	static const struct {
		uint16_t entries;
		uint32_t where;
	} cases[] = {{4, 0xfd0 | 1}, {2048, 1}, {1, 0}, {1, 6}, {1, 7}, {1, 0xfffffff8u | 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pci_dev *d = msix_device(cases[i].entries, cases[i].where);

		assert_int_equal(pci_irq_count(d), 0);
		assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), -RAY_ENODEV);
		pci_scan_free(&pci_devices);
		fake_pci_reset();
	}
}

static void test_msi(void **state)
{
	static const struct {
		uint16_t ctrl;
		unsigned int data_off;
	} kinds[] = {{0, 8}, {PCI_MSI_CTRL_64, 12}, {PCI_MSI_CTRL_64 | PCI_MSI_CTRL_MASK, 12}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct fake_fn *f = fake_fn_add(PCI_BDF(0, 4, 0), 0x8086, 1, 0x010601);
		struct pci_dev *d;

		fake_put(f, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
		f->cfg[PCI_CAP_PTR] = 0x80;
		fake_cap(f, 0x80, PCI_CAP_ID_MSI, 0);
		fake_put(f, 0x82, kinds[i].ctrl | 0x0011, 2); /* firmware left it on */
		f->wmask[0x82] = 0x71;
		memset(f->wmask + 0x84, 0xff, 20);
		memset(f->cfg + 0x84, 0xff, 20);
		assert_int_equal(scan(0), 0);
		assert_int_equal(f->cfg[0x82] & 1, 0);
		d = at(f->bdf);
		assert_int_equal(pci_irq_count(d), 1);
		assert_int_equal(pci_irq_request(d, 0, 2, handler, NULL, "x"), 0);
		assert_int_equal(pci_read32(d, 0x84), 0xfee02000);
		assert_int_equal(pci_read16(d, 0x80 + kinds[i].data_off), 0x42);
		assert_int_equal(pci_read16(d, 0x82), kinds[i].ctrl | 1);
		if (kinds[i].ctrl & PCI_MSI_CTRL_64)
			assert_int_equal(pci_read32(d, 0x88), 0);
		if (kinds[i].ctrl & PCI_MSI_CTRL_MASK)
			assert_int_equal(pci_read32(d, 0x90), 0);
		pci_irq_release(d, 0);
		pci_irq_release(d, 0);
		assert_int_equal(pci_read16(d, 0x82) & 1, 0);
		pci_scan_free(&pci_devices);
		fake_pci_reset();
	}
}

static int router(const struct pci_dev *d, unsigned int pin, struct pci_intx *out)
{
	(void)d;
	if (pin != 1)
		return -RAY_ENODEV;
	*out = (struct pci_intx){.gsi = 20, .flags = IRQ_F_LEVEL | IRQ_F_SHARED};
	return 0;
}

static void test_intx(void **state)
{
	struct fake_fn *f = fake_fn_add(PCI_BDF(0, 3, 0), 0x8086, 0x100e, 0x020000);
	struct fake_fn *piix = fake_fn_add(PCI_BDF(0, 1, 0), 0x8086, 0x7000, 0x060100);
	struct pci_dev *d;

	(void)state;
	f->cfg[PCI_INT_PIN] = 1;
	memcpy(piix->cfg + 0x60, "\x0a\x0b\x85\x09", 4);
	assert_int_equal(scan(0), 0);
	d = at(f->bdf);
	/* Slot 3, INTA is PIRQC, which is off. */
	assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), -RAY_ENODEV);
	assert_int_equal(d->irq_mode, PCI_IRQ_NONE);
	piix->cfg[0x62] = 5;
	assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), 0);
	assert_int_equal(gsi_asked, 5);
	assert_int_equal(pci_read16(d, PCI_COMMAND) & PCI_COMMAND_INTX_OFF, 0);
	pci_irq_release(d, 0);
	assert_int_equal(pci_read16(d, PCI_COMMAND) & PCI_COMMAND_INTX_OFF, PCI_COMMAND_INTX_OFF);
	pci_intx_router_set(router);
	assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), 0);
	assert_int_equal(gsi_asked, 20);
	pci_irq_release_all(d);
	/* What ACPI does not know the chipset may. */
	d->int_pin = 2;
	assert_int_equal(pci_irq_request(d, 0, 0, handler, NULL, "x"), 0);
	assert_int_equal(gsi_asked, 9);
	pci_irq_release_all(d);
	d->int_pin = 0;
	assert_int_equal(pci_irq_count(d), 0);
}

/* ---- names ---- */

static void test_address_parse(void **state)
{
	static const char *const bad[] = {"", "0", "00:1f", "00:20.0", "00:1f.8", "100:00.0",
					  "00:1f.22", "g0:00.0", "00:1f.2 ", "00.1f:2", "00:.0"};
	pci_bdf_t bdf;

	(void)state;
	assert_int_equal(pci_bdf_parse("00:1f.2", &bdf), 0);
	assert_int_equal(bdf, PCI_BDF(0, 31, 2));
	assert_int_equal(pci_bdf_parse("fF:0.7", &bdf), 0);
	assert_int_equal(bdf, PCI_BDF(255, 0, 7));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(pci_bdf_parse(bad[i], &bdf), -RAY_EINVAL);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(pci_class_name(0x010802), "NVMe controller");
	assert_string_equal(pci_class_name(0x020000), "Ethernet controller");
	assert_string_equal(pci_class_name(0x01ff00), "storage");
	assert_string_equal(pci_class_name(0xee0000), "unknown");
	assert_string_equal(pci_vendor_name(0x8086), "Intel");
	assert_string_equal(pci_vendor_name(0x0001), "unknown");
	assert_string_equal(pci_cap_name(&(struct pci_cap){.id = 0x11}), "MSI-X");
	assert_string_equal(pci_cap_name(&(struct pci_cap){.id = 0x10, .ext = true}), "SR-IOV");
	assert_string_equal(pci_cap_name(&(struct pci_cap){.id = 0xee}), "unknown");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bars),
		T(test_bars_with_strange_bits),
		T(test_host_bridge_is_left_alone),
		T(test_caps),
		T(test_caps_loop_and_junk),
		T(test_bridges),
		T(test_bridge_loops),
		T(test_broken_headers_and_limits),
		T(test_no_memory),
		T(test_mcfg),
		T(test_bind),
		T(test_no_domain),
		T(test_priority),
		T(test_probe_fails),
		T(test_msix),
		T(test_msix_table_outside_its_bar),
		T(test_msi),
		T(test_intx),
		T(test_address_parse),
		T(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
