/* SPDX-License-Identifier: Apache-2.0 */
/* USB: buses, their threads, and what is plugged into their hubs' ports. */
#include "devices/host/usb/usb.h"

#include "kernel/block/block.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "usb"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/pci.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define BUS_LOOK    BIT(0) /* at the ports of hubs that say so */
#define BUS_TROUBLE BIT(1)
#define BUS_STOP    BIT(2)

#define DEBOUNCE_NS 100000000ull /* USB 2.0, 7.1.7.3: TATTDB */
#define TRIES       3u

static struct list_head buses = LIST_HEAD_INIT(buses);
static struct mutex buses_lock = MUTEX_INIT(buses_lock, LOCK_ORDER_NONE);

static void bus_wake(struct usb_bus *b, uint32_t what)
{
	__atomic_fetch_or(&b->todo, what, __ATOMIC_RELEASE);
	waitq_wake_all(&b->wake);
}

/* --- ports --- */

static void port_attach(struct usb_hub *h, uint8_t port)
{
	struct usb_port_state st = {.connected = true};
	struct usb_dev *d = NULL;
	int err = -RAY_EIO;

	for (unsigned int i = 0; !d && i < TRIES && st.connected; i++) {
		err = h->ops->reset(h, port);
		if (!err)
			err = h->ops->state(h, port, &st);
		if (!err && !st.connected)
			return;
		if (!err && st.enabled)
			d = usb_dev_create(h, port, st.speed, &err);
	}
	if (d) {
		mutex_lock(&h->bus->tree);
		h->child[port] = d;
		mutex_unlock(&h->bus->tree);
		return;
	}
	h->broken[port] = true;
	log_warn("device left out: %s bus=%u depth=%u port=%u", ray_strerror(err), h->bus->number,
		 h->dev ? h->dev->depth + 1u : 0, port);
}

static void child_remove(struct usb_hub *h, uint8_t port)
{
	struct usb_dev *d = h->child[port];

	mutex_lock(&h->bus->tree);
	h->child[port] = NULL;
	mutex_unlock(&h->bus->tree);
	log_info("device is gone: %s bus=%u", d->name, h->bus->number);
	usb_dev_remove(d);
}

static void port_look(struct usb_hub *h, uint8_t port, bool settled)
{
	struct usb_port_state st;

	if (h->ops->state(h, port, &st))
		return;
	if (st.changed || !st.connected)
		h->broken[port] = false;
	if (h->child[port] && (st.changed || !st.connected))
		child_remove(h, port);
	if (!st.connected || h->child[port] || h->broken[port])
		return;
	/* The plug goes in with a rattle. */
	if (!settled) {
		thread_sleep_until(time_now() + DEBOUNCE_NS);
		if (h->ops->state(h, port, &st) || !st.connected)
			return;
	}
	port_attach(h, port);
}

/* Returns: whether there was one that wanted to be looked at; more may have come with it. */
static bool hubs_look(struct usb_bus *b, bool settled)
{
	struct usb_hub *h;

	list_for_each_entry (h, &b->hubs, node) {
		if (!__atomic_exchange_n(&h->todo, 0, __ATOMIC_ACQUIRE))
			continue;
		for (unsigned int port = 1; port <= h->ports; port++)
			port_look(h, (uint8_t)port, settled);
		return true; /* hubs may have come and gone: begin anew */
	}
	return false;
}

int usb_hub_add(struct usb_hub *h)
{
	h->child = kcalloc(h->ports + 1u, sizeof(struct usb_dev *), MEM_DRIVER);
	h->broken = kcalloc(h->ports + 1u, sizeof(bool), MEM_DRIVER);
	if (!h->child || !h->broken) {
		kfree(h->child);
		kfree(h->broken);
		return -RAY_ENOMEM;
	}
	mutex_lock(&h->bus->tree);
	list_add_tail(&h->node, &h->bus->hubs);
	mutex_unlock(&h->bus->tree);
	usb_hub_wake(h);
	return 0;
}

static void children_remove(struct usb_hub *h)
{
	for (unsigned int port = 1; port <= h->ports; port++) {
		if (h->child[port])
			child_remove(h, (uint8_t)port);
		h->broken[port] = false;
	}
}

void usb_hub_remove(struct usb_hub *h)
{
	children_remove(h);
	mutex_lock(&h->bus->tree);
	list_del(&h->node);
	mutex_unlock(&h->bus->tree);
	kfree(h->child);
	kfree(h->broken);
}

void usb_hub_wake(struct usb_hub *h)
{
	__atomic_store_n(&h->todo, 1, __ATOMIC_RELEASE);
	bus_wake(h->bus, BUS_LOOK);
}

/* --- the thread --- */

static void restart(struct usb_bus *b)
{
	int err;

	children_remove(&b->root);
	err = b->ops->restart(b);
	log_warn("host controller was reset: %s bus=%u", ray_strerror(err), b->number);
	if (err)
		return;
	thread_sleep_until(time_now() + DEBOUNCE_NS);
	usb_hub_wake(&b->root);
}

static void bus_thread(void *arg)
{
	struct usb_bus *b = arg;

	/* What is plugged in since before the controller's start has rattled enough after that. */
	thread_sleep_until(time_now() + DEBOUNCE_NS);
	while (hubs_look(b, true))
		continue;
	block_search_end();
	for (;;) {
		uint32_t todo;

		wait_event(&b->wake, __atomic_load_n(&b->todo, __ATOMIC_ACQUIRE) != 0, UINT64_MAX);
		todo = __atomic_exchange_n(&b->todo, 0, __ATOMIC_ACQUIRE);
		if (todo & BUS_STOP)
			break;
		if (todo & BUS_TROUBLE)
			restart(b);
		while (hubs_look(b, false))
			continue;
	}
	usb_hub_remove(&b->root);
}

static void leave(struct usb_bus *b)
{
	mutex_lock(&buses_lock);
	list_del(&b->node);
	mutex_unlock(&buses_lock);
	device_remove(&b->dev);
}

int usb_bus_add(struct usb_bus *b)
{
	static unsigned int last;
	char name[16];
	int err;

	mutex_init(&b->tree, LOCK_ORDER_NONE);
	waitq_init(&b->wake);
	list_init(&b->hubs);
	b->root.bus = b;
	b->todo = 0;
	err = usb_hub_add(&b->root);
	if (err)
		return err;
	mutex_lock(&buses_lock);
	b->number = ++last;
	list_add_tail(&b->node, &buses);
	mutex_unlock(&buses_lock);
	ray_snprintf(name, sizeof(name), "usb%u", b->number);
	ray_snprintf(b->dev.name, sizeof(b->dev.name), "usb%u", b->number);
	b->dev.cls = DEVICE_BUS;
	b->dev.state = DEVICE_ACTIVE;
	device_add(&b->dev, &b->pci->dev);
	block_search_begin();
	err = thread_create(&b->thread, name, bus_thread, b,
			    &(struct thread_attr){.cls = THREAD_CLASS_WORKER, .cpu = -1});
	if (!err)
		return 0;
	block_search_end();
	leave(b);
	usb_hub_remove(&b->root);
	return err;
}

void usb_bus_remove(struct usb_bus *b)
{
	bus_wake(b, BUS_STOP);
	thread_join(b->thread);
	leave(b);
}

void usb_bus_trouble(struct usb_bus *b)
{
	bus_wake(b, BUS_TROUBLE);
}

/* A hub is known after its own device, and so stands behind it. */
static void bus_each(struct usb_bus *b, void (*fn)(const struct usb_dev *d, void *ctx), void *ctx)
{
	struct usb_hub *h;

	mutex_lock(&b->tree);
	list_for_each_entry (h, &b->hubs, node) {
		for (unsigned int port = 1; port <= h->ports; port++) {
			if (h->child[port])
				fn(h->child[port], ctx);
		}
	}
	mutex_unlock(&b->tree);
}

void usb_for_each(void (*fn)(const struct usb_dev *d, void *ctx), void *ctx)
{
	struct usb_bus *b;

	mutex_lock(&buses_lock);
	list_for_each_entry (b, &buses, node)
		bus_each(b, fn, ctx);
	mutex_unlock(&buses_lock);
}
