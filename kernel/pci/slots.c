// SPDX-License-Identifier: Apache-2.0
/*
 * All slots for plugging, and the thread that serves them. It has nothing to do until a port
 * interrupts; ports without an interrupt of their own are looked at every second.
 */
#define LOG_TAG "pci"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/table.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/pci_priv.h"
#include "kernel/pci/slot.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

#define POLL_NS 1000000000ull

struct list_head pci_slots = LIST_HEAD_INIT(pci_slots);
/* Entered before the thread starts, for good: only the thread and tables look at them. */
static struct mutex slots_lock = MUTEX_INIT(slots_lock, LOCK_ORDER_NONE);
static struct waitq wake = WAITQ_INIT(wake);
static bool work; /* atomic */

void slots_wake(void)
{
	__atomic_store_n(&work, true, __ATOMIC_SEQ_CST);
	waitq_wake_one(&wake);
}

static void interrupt(void *arg)
{
	(void)arg;
	slots_wake();
}

static void thread(void *arg)
{
	uint64_t next = 0;

	(void)arg;
	for (;;) {
		struct pci_slot *s;

		(void)wait_event(&wake, __atomic_exchange_n(&work, false, __ATOMIC_SEQ_CST), next);
		next = UINT64_MAX;
		mutex_lock(&slots_lock);
		list_for_each_entry(s, &pci_slots, node) {
			uint64_t again = slot_serve(s);

			if (s->polled)
				again = MIN(again, time_now() + POLL_NS);
			next = MIN(next, again);
		}
		mutex_unlock(&slots_lock);
	}
}

/* A pin may be shared, and is not worth it. */
static bool has_messages(const struct pci_dev *d)
{
	return pci_cap_find(d, PCI_CAP_ID_MSIX) || pci_cap_find(d, PCI_CAP_ID_MSI);
}

static void listen(struct pci_slot *s)
{
	struct pci_dev *d = s->port;
	unsigned int number = PCI_EXP_FLAGS_IRQ(pci_read16(d, s->cap + PCI_EXP_FLAGS));
	int err = -RAY_ENODEV;

	pci_write16(d, PCI_COMMAND,
		    pci_read16(d, PCI_COMMAND) | PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	if (has_messages(d) && number < pci_irq_count(d))
		err = pci_irq_request(d, number, 0, interrupt, NULL, "slot");
	s->polled = err != 0;
	slot_listen(s);
}

static bool is_slot(const struct pci_dev *d)
{
	unsigned int cap = d->header == PCI_HEADER_BRIDGE ? pci_cap_find(d, PCI_CAP_ID_EXP) : 0;

	return cap != 0 && d->secondary != 0 &&
	       (pci_read16(d, cap + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_SLOT) &&
	       (pci_read32(d, cap + PCI_EXP_SLTCAP) & PCI_EXP_SLTCAP_HOTPLUG);
}

static unsigned int root_bus(const struct pci_dev *d)
{
	while (d->parent)
		d = d->parent;
	return PCI_BUS(d->bdf);
}

static unsigned int enter_all(unsigned int bus)
{
	unsigned int n = 0;
	struct pci_dev *d;

	pci_for_each (d) {
		struct pci_slot *s;

		if (!is_slot(d) || root_bus(d) != bus)
			continue;
		s = kmalloc(sizeof(*s), MEM_PCI);
		if (!s)
			break;
		slot_init(s, d);
		listen(s);
		list_add_tail(&s->node, &pci_slots);
		n++;
	}
	return n;
}

void pci_slots_start(unsigned int bus)
{
	static bool running;
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1};
	struct thread *t;
	unsigned int n;
	int err = 0;

	mutex_lock(&slots_lock);
	n = enter_all(bus);
	if (n > 0 && !running) {
		err = thread_create(&t, "pci-slots", thread, NULL, &attr);
		if (!err)
			thread_detach(t);
		running = !err;
	}
	mutex_unlock(&slots_lock);
	if (n > 0)
		log_info("slots for plugging: bus=%02x count=%u %s", bus, n, ray_strerror(err));
}

/* --- commands --- */

static int pci_slots_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"port", 0}, {"slot", TABLE_RIGHT}, {"card", 0}, {"state", 0}, {"bus", 0}};
	struct pci_slot *s;
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	mutex_lock(&slots_lock);
	while (table_pass(&t)) {
		list_for_each_entry(s, &pci_slots, node) {
			const struct pci_dev *d = s->port;

			table_fmt(&t, PCI_BDF_FMT, PCI_BDF_ARGS(d->bdf));
			table_u64(&t, PCI_EXP_SLTCAP_NUMBER(s->caps));
			table_str(&t, slot_has_card(s) ? "yes" : "no");
			table_str(&t, slot_state_name(s->state));
			table_fmt(&t, "%02x", d->secondary);
		}
	}
	mutex_unlock(&slots_lock);
	return 0;
}
SHELL_CMD(pci_slots, "pci slots", "list slots whose cards can be changed while the machine runs",
	  .flags = CMD_JSON,
	  .help = "Where firmware leaves them to the kernel (ACPI's _OSC). A card whose state is off may be\n"
		  "pulled.",
	  .example = "pci slots", .run = pci_slots_run);

static int pci_eject_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct pci_slot *s, *found = NULL;
	pci_bdf_t bdf;

	(void)argc;
	if (pci_bdf_parse(argv[0], &bdf))
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is no address like 00:1c.0", argv[0]);
	mutex_lock(&slots_lock);
	list_for_each_entry(s, &pci_slots, node) {
		if (s->port->bdf == bdf)
			found = s;
	}
	if (found)
		__atomic_store_n(&found->eject, true, __ATOMIC_RELEASE);
	mutex_unlock(&slots_lock);
	if (!found)
		return cmd_fail(ctx, -RAY_ENOENT, "no slot behind %s; see `pci slots`", argv[0]);
	slots_wake();
	return 0;
}
SHELL_CMD(pci_eject, "pci eject", "take the card in a slot out of use, so that it can be pulled",
	  .args = "PORT", .min_args = 1, .max_args = 1, .flags = CMD_CONFIRM,
	  .help = "As its button does. What uses the card's disks gets errors from now on.",
	  .example = "pci eject 00:1c.0 --yes", .run = pci_eject_run);
