/* SPDX-License-Identifier: Apache-2.0 */
#include "net/switch.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "net/filter.h"
#include "net/offload.h"
#include "net/switch_priv.h"

const char *const net_drop_names[NET_DROP_COUNT] = {
	[NET_DROP_NO_BUFFER] = "no_buffer", [NET_DROP_TOO_LONG] = "too_long",
	[NET_DROP_FILTER] = "filter",       [NET_DROP_SOURCE] = "source",
	[NET_DROP_LINK] = "link_down",      [NET_DROP_MALFORMED] = "malformed",
};

static struct list_head switches = LIST_HEAD_INIT(switches);
static struct spinlock switches_lock = SPINLOCK_INIT(LOCK_ORDER_NET);

static struct net_switch *switch_find_locked(const char *name)
{
	struct net_switch *sw;

	list_for_each_entry (sw, &switches, node)
		if (strcmp(sw->name, name) == 0)
			return sw;
	return NULL;
}

struct net_switch *net_switch_find(const char *name)
{
	struct net_switch *sw;

	spin_lock(&switches_lock);
	sw = switch_find_locked(name);
	spin_unlock(&switches_lock);
	return sw;
}

const char *net_switch_name(const struct net_switch *sw)
{
	return sw->name;
}

int net_switch_create(const char *name, struct net_switch **out)
{
	struct net_switch *sw = kzalloc(sizeof(*sw), MEM_NET);
	bool taken;

	if (!sw)
		return -RAY_ENOMEM;
	strlcpy(sw->name, name, sizeof(sw->name));
	spin_lock_init(&sw->lock, LOCK_ORDER_NET);
	sw->macs.multiplier = 0x9e3779b97f4a7c15ull ^ rdtsc() << 1;
	spin_lock(&switches_lock);
	taken = switch_find_locked(sw->name) != NULL;
	if (!taken)
		list_add_tail(&sw->node, &switches);
	spin_unlock(&switches_lock);
	if (taken) {
		kfree(sw);
		return -RAY_EEXIST;
	}
	*out = sw;
	return 0;
}

int net_init(void)
{
	struct net_switch *sw;

	return net_switch_create(NET_SWITCH_DEFAULT, &sw);
}

static int port_index_take_locked(struct net_switch *sw, unsigned int *out)
{
	for (unsigned int i = 0; i < NET_SWITCH_PORTS_MAX; i++) {
		if (sw->used[i])
			continue;
		sw->used[i] = true;
		if (i >= sw->port_end)
			__atomic_store_n(&sw->port_end, i + 1, __ATOMIC_RELAXED);
		*out = i;
		return 0;
	}
	return -RAY_ENOSPC;
}

static int port_attach_locked(struct net_switch *sw, struct net_port *p)
{
	unsigned int index;
	int err = port_index_take_locked(sw, &index);

	if (err)
		return err;
	err = mac_own(&sw->macs, p->mac, index);
	if (err) {
		sw->used[index] = false;
		return err;
	}
	p->sw = sw;
	p->index = (uint16_t)index;
	p->link = true;
	__atomic_store_n(&sw->port[index], p, __ATOMIC_RELEASE);
	return 0;
}

int net_port_attach(struct net_switch *sw, struct net_port *p)
{
	uint64_t irq;
	int err;

	if (p->mac == 0 || p->mac & NET_MAC_GROUP || p->mac > NET_MAC_MASK)
		return -RAY_EINVAL;
	p->cells = kcalloc(cpu_count(), sizeof(*p->cells), MEM_NET);
	if (!p->cells)
		return -RAY_ENOMEM;
	irq = spin_lock_irqsave(&sw->lock);
	err = port_attach_locked(sw, p);
	spin_unlock_irqrestore(&sw->lock, irq);
	if (err) {
		kfree(p->cells);
		p->cells = NULL;
	}
	return err;
}

void net_port_detach(struct net_port *p)
{
	struct net_switch *sw = p->sw;
	uint64_t irq = spin_lock_irqsave(&sw->lock);

	__atomic_store_n(&sw->port[p->index], NULL, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&sw->lock, irq);
	/* Whoever has found the port is done with it then; only now its index may be another's. */
	epoch_synchronize();
	irq = spin_lock_irqsave(&sw->lock);
	mac_forget(&sw->macs, p->index);
	sw->used[p->index] = false;
	spin_unlock_irqrestore(&sw->lock, irq);
	kfree(p->cells);
	p->cells = NULL;
	p->sw = NULL;
}

void net_port_stats(const struct net_port *p, struct net_counts *out)
{
	uint64_t *sum = (uint64_t *)out;

	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < cpu_count(); i++) {
		const uint64_t *n = (const uint64_t *)&p->cells[i].n;

		for (size_t k = 0; k < sizeof(*out) / sizeof(*sum); k++)
			sum[k] += __atomic_load_n(&n[k], __ATOMIC_RELAXED);
	}
}

static enum net_drop drop_reason(int err)
{
	switch (err) {
	case -RAY_E2BIG:
		return NET_DROP_TOO_LONG;
	case -RAY_EPERM:
		return NET_DROP_FILTER;
	case -RAY_EIO:
		return NET_DROP_LINK;
	default:
		return NET_DROP_NO_BUFFER;
	}
}

/* Returns 0: delivered or dropped; -RAY_EBUSY, -RAY_EAGAIN: not now. */
static inline int port_deliver(struct net_port *to, const struct net_frame *f, bool fast)
{
	int err = -RAY_EIO;

	if (likely(net_port_link(to)))
		err = net_filter_allows(to, NET_DIR_IN, f) ? to->ops->deliver(to, f, fast)
							   : -RAY_EPERM;
	if (likely(!err)) {
		struct net_counts *n = net_port_counts(to);

		n->rx_frames++;
		n->rx_bytes += f->len;
		return 0;
	}
	if (err == -RAY_EAGAIN || (err == -RAY_EBUSY && fast))
		return err;
	net_port_drop(to, drop_reason(err));
	return 0;
}

static struct net_port *port_at(struct net_switch *sw, unsigned int index)
{
	return __atomic_load_n(&sw->port[index], __ATOMIC_ACQUIRE);
}

/* Everybody but the sender. Not from the fast path: a frame must not arrive twice anywhere. */
static void flood(struct net_switch *sw, const struct net_port *from, const struct net_frame *f)
{
	unsigned int end = __atomic_load_n(&sw->port_end, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < end; i++) {
		struct net_port *to = port_at(sw, i);

		/* No second try for one of many: the others would get it twice. */
		if (to && to != from && port_deliver(to, f, false))
			net_port_drop(to, NET_DROP_NO_BUFFER);
	}
}

/* Whether the frame may enter; parses it. Returns NET_DROP_COUNT or why not. */
static __force_inline enum net_drop frame_admit(struct net_port *from, struct net_frame *f)
{
	uint64_t src = net_frame_src(f);

	if (unlikely(!net_port_link(from)))
		return NET_DROP_LINK;
	net_parse(f->head, f->head_len, f->len, &f->parse);
	if (unlikely(net_offload_check(f) || src & NET_MAC_GROUP))
		return NET_DROP_MALFORMED;
	if (unlikely(src != from->mac) &&
	    (!(from->flags & NET_PORT_ANY_SOURCE) || mac_learn(&from->sw->macs, src, from->index)))
		return NET_DROP_SOURCE;
	return net_filter_allows(from, NET_DIR_OUT, f) ? NET_DROP_COUNT : NET_DROP_FILTER;
}

int net_send(struct net_port *from, struct net_frame *f, bool fast)
{
	struct net_switch *sw = from->sw;
	uint64_t dst = net_frame_dst(f);
	enum net_drop why = frame_admit(from, f);
	struct net_port *to = NULL;
	struct net_counts *n;

	if (likely(why == NET_DROP_COUNT && !(dst & NET_MAC_GROUP))) {
		int index = mac_find(&sw->macs, dst);

		if (likely(index >= 0))
			to = port_at(sw, (unsigned int)index);
		if (unlikely(to == from))
			why = NET_DROP_FILTER; /* no way out and in again */
	}
	if (unlikely(why != NET_DROP_COUNT)) {
		net_port_drop(from, why);
		return 0;
	}
	if (likely(to)) {
		int err = port_deliver(to, f, fast);

		if (unlikely(err))
			return err;
	} else if (fast) {
		return -RAY_EBUSY;
	} else {
		flood(sw, from, f);
	}
	n = net_port_counts(from);
	n->tx_frames++;
	n->tx_bytes += f->len;
	return 0;
}
