/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator sees of a switch, and what he sets. */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "net/switch_priv.h"

int net_port_info(struct net_switch *sw, unsigned int index, struct net_port_info *out)
{
	struct net_port *p;
	int err = -RAY_ENOENT;

	if (index >= NET_SWITCH_PORTS_MAX)
		return -RAY_ENOENT;
	epoch_enter();
	p = __atomic_load_n(&sw->port[index], __ATOMIC_ACQUIRE);
	if (p) {
		strlcpy(out->name, p->name, sizeof(out->name));
		out->mac = p->mac;
		out->owner = p->owner;
		out->link = net_port_link(p);
		net_port_stats(p, &out->counts);
		err = 0;
	}
	epoch_leave();
	return err;
}

int net_mac_info(struct net_switch *sw, unsigned int index, struct net_mac_info *out)
{
	struct mac_bucket *b;
	struct net_port *p;
	unsigned int way = index % MAC_WAYS;
	uint64_t place;
	int err = -RAY_ENOENT;

	if (index >= MAC_PLACES)
		return -RAY_ERANGE;
	b = &sw->macs.bucket[index / MAC_WAYS];
	place = __atomic_load_n(&b->place[way], __ATOMIC_RELAXED);
	if (!place)
		return -RAY_ENOENT;
	epoch_enter();
	p = __atomic_load_n(&sw->port[place & MAC_PORT_MASK], __ATOMIC_ACQUIRE);
	if (p) {
		strlcpy(out->port, p->name, sizeof(out->port));
		out->mac = place >> MAC_ADDRESS_SHIFT;
		out->learned = !(place & MAC_OWN);
		out->age_sec = out->learned ? mac_age_sec(b, way) : 0;
		err = out->learned && mac_expired(b, way) ? -RAY_ENOENT : 0;
	}
	epoch_leave();
	return err;
}

int net_link_set(struct net_switch *sw, const char *port, bool up)
{
	int err = -RAY_ENOENT;

	epoch_enter();
	for (unsigned int i = 0; i < NET_SWITCH_PORTS_MAX && err; i++) {
		struct net_port *p = __atomic_load_n(&sw->port[i], __ATOMIC_ACQUIRE);

		if (!p || strcmp(p->name, port) != 0)
			continue;
		if (__atomic_exchange_n(&p->link, up, __ATOMIC_RELAXED) != up)
			p->ops->link_changed(p);
		err = 0;
	}
	epoch_leave();
	return err;
}
