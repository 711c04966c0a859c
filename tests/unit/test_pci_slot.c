/* UNIT: kernel/pci/slot.c kernel/pci/plug.c kernel/pci/assign.c kernel/pci/bar.c
 * kernel/pci/caps.c kernel/pci/scan.c kernel/pci/config.c kernel/pci/driver.c kernel/lib/err.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Slots for plugging: a port whose registers do what PCIe 5.0, 6.7 says, and cards put into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/dma/dma.h"
#include "kernel/lib/err.h"
#include "kernel/pci/slot.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_pci.h"

#define CAP    0x40u
#define SLTCTL (CAP + PCI_EXP_SLTCTL)
#define SLTSTA (CAP + PCI_EXP_SLTSTA)
#define PORT   PCI_BDF(0, 2, 0)
#define CARD   PCI_BDF(1, 0, 0)
#define ALL    (PCI_EXP_SLTCAP_BUTTON | PCI_EXP_SLTCAP_POWER | PCI_EXP_SLTCAP_LED | \
		PCI_EXP_SLTCAP_HOTPLUG)
#define SECOND 1000000000ull

/* ---- what the code under test stands on ---- */

struct list_head pci_devices = LIST_HEAD_INIT(pci_devices);
static uint64_t now;
static unsigned int live, changes, locks;

uint64_t time_now(void)
{
	return now;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	assert_int_equal(locks, 0);
	now = MAX(now, deadline_ns);
}

void device_change_begin(void)
{
	changes++;
}

void device_change_end(void)
{
	changes--;
}

void pci_list_lock(void)
{
	locks++;
}

void pci_list_unlock(void)
{
	locks--;
}

void pci_tree_enter(struct pci_dev *d)
{
	(void)d;
	live++;
}

void device_remove(struct device *d)
{
	(void)d;
	live--;
}

void device_driver_set(struct device *d, const struct driver *driver)
{
	d->driver = driver;
}

int dma_attach(struct pci_dev *d)
{
	(void)d;
	return 0;
}

void pci_irq_release_all(struct pci_dev *d)
{
	(void)d;
}

void *vmap(hpa_t hpa, size_t len, enum vmap_cache cache, bool writable)
{
	(void)hpa;
	(void)len;
	(void)cache;
	(void)writable;
	return NULL;
}

static unsigned int probes, removes;

static int card_probe(struct pci_dev *d)
{
	assert_int_equal(changes, 1);
	assert_true(d->bar[0].size == 0 || d->bar[0].base != 0);
	probes++;
	return 0;
}

static void card_remove(struct pci_dev *d)
{
	(void)d;
	assert_int_equal(changes, 1);
	removes++;
}

static const struct pci_match matches[] = {PCI_MATCH_CLASS(0x010802, 0xffffff)};
PCI_DRIVER(card, .base = {.id = "card", .bus = "pci"}, .match = matches, .match_count = 1,
	   .probe = card_probe, .remove = card_remove);

/* ---- a port with a slot ---- */

static bool inserted;
static unsigned int patience; /* reads that a card answers "not yet" to */
static bool says_done = true;
static struct fake_fn *port_fn;

static uint16_t reg(unsigned int off)
{
	uint16_t v;

	memcpy(&v, port_fn->cfg + off, 2);
	return v;
}

static void event(uint16_t bits)
{
	fake_put(port_fn, SLTSTA, reg(SLTSTA) | bits, 2);
}

static bool powered(void)
{
	return !(reg(CAP + PCI_EXP_SLTCAP) & PCI_EXP_SLTCAP_POWER) ||
	       !(reg(SLTCTL) & PCI_EXP_SLTCTL_OFF);
}

static void link_update(void)
{
	uint16_t active = inserted && powered() ? PCI_EXP_LNKSTA_ACTIVE : 0;

	if (reg(CAP + PCI_EXP_LNKSTA) != active)
		event(PCI_EXP_SLTSTA_LINK_CHANGED);
	fake_put(port_fn, CAP + PCI_EXP_LNKSTA, active, 2);
}

static uint32_t slot_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
			  unsigned int width)
{
	if (PCI_BUS(bdf) == 1 && (!inserted || !powered()))
		return UINT32_MAX;
	if (bdf == CARD && off == PCI_VENDOR_ID && patience > 0) {
		patience--;
		return 0xffff0001;
	}
	return fake_read(a, bdf, off, width);
}

static void slot_write(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
		       unsigned int width, uint32_t v)
{
	fake_write(a, bdf, off, width, v);
	if (bdf != PORT)
		return;
	if (off == SLTSTA)
		fake_put(port_fn, SLTSTA, reg(SLTSTA) & ~(v & 0x11f), 2);
	if (off != SLTCTL)
		return;
	fake_put(port_fn, SLTCTL, v, 2);
	if (says_done)
		event(PCI_EXP_SLTSTA_DONE);
	link_update();
}

static const struct pci_access slot_pci = {
	.name = "slot", .read = slot_read, .write = slot_write, .cfg_size = PCI_CFG_SIZE_PCIE};

static void insert(bool in)
{
	inserted = in;
	fake_put(port_fn, SLTSTA,
		 (reg(SLTSTA) & ~PCI_EXP_SLTSTA_CARD) | (in ? PCI_EXP_SLTSTA_CARD : 0), 2);
	event(PCI_EXP_SLTSTA_CARD_CHANGED);
	link_update();
}

static struct pci_slot slot;

static struct fake_fn *card_add(void)
{
	struct fake_fn *f = fake_fn_add(CARD, 0x1b36, 0x0010, 0x010802);

	fake_bar64(f, 0x10, 4, KIB(16));
	fake_put(f, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	f->cfg[PCI_CAP_PTR] = 0x60;
	fake_cap(f, 0x60, PCI_CAP_ID_EXP, 0);
	fake_put(f, 0x60 + PCI_EXP_DEVCAP, 1, 4); /* 256 bytes */
	f->wmask[0x60 + PCI_EXP_DEVCTL] = 0xff;
	return f;
}

static void port_add(uint32_t caps, bool with_card)
{
	struct pci_scan_stats st;
	struct fake_fn *f = fake_fn_add(PORT, 0x1b36, 0x000c, 0x060400);

	port_fn = f;
	f->cfg[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
	f->cfg[PCI_BRIDGE_BUSES + 1] = 1;
	f->cfg[PCI_BRIDGE_BUSES + 2] = 1;
	fake_put(f, PCI_BRIDGE_MEM, 0xc120c110, 4);
	fake_put(f, PCI_BRIDGE_PREF, 0x0011fff1, 4);
	fake_put(f, PCI_BRIDGE_PREF_END_HI, 0xe0, 4);
	fake_put(f, PCI_BRIDGE_PREF_BASE_HI, 0xdf, 4);
	fake_put(f, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	f->cfg[PCI_CAP_PTR] = CAP;
	fake_cap(f, CAP, PCI_CAP_ID_EXP, 0);
	fake_put(f, CAP + PCI_EXP_FLAGS, 0x0142, 2);
	fake_put(f, CAP + PCI_EXP_SLTCAP, caps, 4);
	fake_put(f, CAP + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_ACTIVE, 4);
	f->wmask[CAP + PCI_EXP_DEVCTL] = 0xff;
	fake_put(f, CAP + PCI_EXP_DEVCTL, 1 << 5, 2);
	now = 0;
	says_done = true;
	patience = probes = removes = live = 0;
	inserted = with_card;
	if (with_card) {
		fake_put(fake_fn_find(CARD), 0x10, 0xc1200004, 4); /* by firmware */
		insert(true);
	}
	assert_int_equal(pci_scan(&slot_pci, 0, &pci_devices, &st), 0);
	pci_drivers_bind(&pci_devices);
	live = with_card;
	slot_init(&slot, at(PORT));
	slot_listen(&slot);
	assert_int_equal(reg(SLTSTA) & 0x11f & ~PCI_EXP_SLTSTA_DONE, 0);
}

/* Until it has nothing more to do; every call begins as after an interrupt. */
static void serve(void)
{
	for (int i = 0; i < 5; i++) {
		(void)slot_serve(&slot);
		assert_int_equal(changes, 0);
		assert_int_equal(locks, 0);
	}
}

static unsigned int lamp(void)
{
	return reg(SLTCTL) & PCI_EXP_SLTCTL_LED;
}

static int setup(void **state)
{
	(void)state;
	changes = 1; /* drivers are bound at boot */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_scan_free(&pci_devices);
	fake_pci_reset();
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

/* ---- tests ---- */

static void test_plugged_and_pulled(void **state)
{
	struct fake_fn *card;
	struct pci_dev *d;

	(void)state;
	port_add(ALL, false);
	changes = 0;
	assert_int_equal(slot.state, SLOT_EMPTY);
	assert_int_equal(lamp(), PCI_EXP_SLTCTL_LED_OFF);
	assert_false(powered());
	assert_int_equal(slot_serve(&slot), UINT64_MAX);
	for (int i = 1; i <= 3; i++) {
		card = card_add();
		patience = 5;
		insert(true);
		serve();
		assert_int_equal(slot.state, SLOT_ON);
		assert_int_equal(lamp(), PCI_EXP_SLTCTL_LED_ON);
		assert_int_equal(probes, i);
		d = at(CARD);
		assert_int_equal(d->bar[0].base, 0xc1100000);
		assert_int_equal(d->parent == slot.port, true);
		assert_memory_equal(card->cfg + 0x10, "\x04\x00\x10\xc1\0\0\0\0", 8);
		assert_int_equal(card->cfg[0x60 + PCI_EXP_DEVCTL] >> 5, 1);
		assert_int_equal(port_fn->cfg[PCI_COMMAND], 6);
		insert(false);
		serve();
		assert_int_equal(slot.state, SLOT_EMPTY);
		assert_int_equal(removes, i);
		assert_int_equal(live, 0);
		assert_null(at(CARD));
		fake_by_bdf[CARD] = NULL;
	}
}

static void press(void)
{
	event(PCI_EXP_SLTSTA_BUTTON);
	(void)slot_serve(&slot);
}

/* Five seconds during which another press takes it back. */
static void test_the_button(void **state)
{
	(void)state;
	card_add();
	port_add(ALL, true);
	changes = 0;
	assert_int_equal(slot.state, SLOT_ON);
	press();
	assert_int_equal(slot.state, SLOT_ENDING);
	assert_int_equal(lamp(), PCI_EXP_SLTCTL_LED_BLINK);
	assert_int_equal(slot_serve(&slot), 5 * SECOND);
	press();
	assert_int_equal(slot.state, SLOT_ON);
	assert_int_equal(lamp(), PCI_EXP_SLTCTL_LED_ON);
	now += 6 * SECOND;
	assert_int_equal(slot_serve(&slot), UINT64_MAX);
	assert_int_equal(removes, 0);
	press();
	now += 5 * SECOND;
	serve();
	assert_int_equal(slot.state, SLOT_OFF);
	assert_int_equal(lamp(), PCI_EXP_SLTCTL_LED_OFF);
	assert_false(powered());
	assert_int_equal(removes, 1);
	/* Pressed while it is off: on again, at once. */
	press();
	assert_int_equal(slot.state, SLOT_ON);
	assert_int_equal(probes, 2);
	assert_int_equal(at(CARD)->driver->base.id[0], 'c');
}

static void test_an_operator(void **state)
{
	(void)state;
	card_add();
	port_add(ALL, true);
	changes = 0;
	slot.eject = true;
	serve();
	assert_int_equal(slot.state, SLOT_OFF);
	assert_int_equal(removes, 1);
	insert(false);
	serve();
	assert_int_equal(slot.state, SLOT_EMPTY);
}

/* Changed between two looks: it is a new card, whatever it is. */
static void test_swapped(void **state)
{
	(void)state;
	card_add();
	port_add(PCI_EXP_SLTCAP_HOTPLUG, true); /* without light, power or button */
	changes = 0;
	insert(false);
	insert(true);
	serve();
	assert_int_equal(slot.state, SLOT_ON);
	assert_int_equal(removes, 1);
	assert_int_equal(probes, 2);
	assert_int_equal(live, 1);
}

/* A card that never answers, and a port that does not say when a command is done. */
static void test_nobody_answers(void **state)
{
	(void)state;
	port_add(ALL, false);
	changes = 0;
	says_done = false;
	card_add();
	patience = UINT32_MAX;
	insert(true);
	(void)slot_serve(&slot);
	assert_int_equal(slot.state, SLOT_OFF);
	assert_false(powered());
	assert_true(now < 10 * SECOND);
	assert_int_equal(live, 0);
	patience = 0;
	says_done = true;
	press();
	assert_int_equal(slot.state, SLOT_ON);
	assert_int_equal(probes, 1);
}

/* The port itself is gone: all ones. */
static void test_the_port_is_gone(void **state)
{
	(void)state;
	card_add();
	port_add(ALL, true);
	changes = 0;
	memset(port_fn->cfg, 0xff, sizeof(port_fn->cfg));
	(void)slot_serve(&slot);
}

static void test_no_memory(void **state)
{
	(void)state;
	port_add(ALL, false);
	changes = 0;
	card_add();
	for (int n = 1; slot.state != SLOT_ON; n++) {
		assert_true(n < 10);
		fake_heap_fail_at = n;
		insert(true);
		(void)slot_serve(&slot);
		fake_heap_fail_at = 0;
		if (slot.state != SLOT_ON) {
			assert_int_equal(live, 0);
			insert(false);
			serve();
		}
	}
	assert_int_equal(probes, 1);
}

/* ---- addresses ---- */

static struct pci_dev fns[2];
static struct list_head fn_list;

static void fn_setup(void)
{
	list_init(&fn_list);
	for (unsigned int i = 0; i < 2; i++) {
		fns[i] = (struct pci_dev){.acc = &slot_pci, .bdf = PCI_BDF(1, 0, i)};
		list_add_tail(&fns[i].node, &fn_list);
	}
}

static void bar(unsigned int fn, unsigned int index, uint64_t size, uint8_t flags)
{
	fns[fn].bar[index] = (struct pci_bar){.size = size, .flags = flags, .base = 0x1000};
}

/* The largest first; what is prefetchable in its own window, which may lie above 4 GiB. */
static void test_addresses(void **state)
{
	(void)state;
	port_add(ALL, false);
	fn_setup();
	bar(0, 0, KIB(4), 0);
	bar(0, 1, KIB(256), 0);
	bar(0, 2, MIB(1), PCI_BAR_F_64 | PCI_BAR_F_PREFETCH);
	bar(1, 0, KIB(16), PCI_BAR_F_64);
	bar(1, 4, 32, PCI_BAR_F_IO);
	bar(1, 5, KIB(4), PCI_BAR_F_PREFETCH); /* 32 bits: not that high */
	assert_int_equal(pci_assign(slot.port, &fn_list), 0);
	assert_int_equal(fns[0].bar[1].base, 0xc1100000);
	assert_int_equal(fns[1].bar[0].base, 0xc1140000);
	assert_int_equal(fns[0].bar[0].base, 0xc1144000);
	assert_int_equal(fns[1].bar[5].base, 0xc1145000);
	assert_int_equal(fns[0].bar[2].base, 0xdffff00000);
	assert_int_equal(fns[1].bar[4].base, 0);
}

static void test_no_room(void **state)
{
	(void)state;
	port_add(ALL, false);
	fn_setup();
	bar(0, 0, MIB(4), 0);
	bar(0, 1, MIB(1), 0);
	bar(1, 0, MIB(2), PCI_BAR_F_64);
	bar(1, 2, GIB(8), PCI_BAR_F_64 | PCI_BAR_F_PREFETCH);
	assert_int_equal(pci_assign(slot.port, &fn_list), 3);
	assert_int_equal(fns[0].bar[0].base, 0);
	assert_int_equal(fns[1].bar[0].base, 0); /* in two halves only */
	assert_int_equal(fns[0].bar[1].base, 0xc1100000);
	/* Windows that are closed, or nonsense. */
	fake_put(port_fn, PCI_BRIDGE_MEM, 0x0000fff0, 4);
	fake_put(port_fn, PCI_BRIDGE_PREF, 0, 4);
	assert_int_equal(pci_assign(slot.port, &fn_list), 4);
	fake_put(port_fn, PCI_BRIDGE_MEM, 0xffffffff, 4);
	bar(0, 1, 16, 0);
	assert_int_equal(pci_assign(slot.port, &fn_list), 3);
	assert_int_equal(fns[0].bar[1].base, 0xfff00000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(plugged_and_pulled), T(the_button), T(an_operator), T(swapped),
		T(nobody_answers), T(the_port_is_gone), T(no_memory), T(addresses), T(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
