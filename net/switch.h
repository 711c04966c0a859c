/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A learning Ethernet switch.
 * Owns: the ports attached to it and the table of addresses. Must not know: devices, guests.
 * Locking: frames pass without locks, inside an epoch section; attaching, detaching and setting
 * take the switch's spinlock, and detaching waits for the sections that are open.
 *
 * A port's own address belongs to it alone while it is attached: nobody else can use it or be
 * learned with it, and frames to it are never flooded. Other addresses are learned behind
 * NET_PORT_ANY_SOURCE ports, and age.
 */
#ifndef RAYOS_NET_SWITCH_H
#define RAYOS_NET_SWITCH_H

#include "net/port.h"

#define NET_SWITCH_DEFAULT   "switch0"
#define NET_SWITCH_PORTS_MAX 256u
#define NET_SWITCH_AGE_SEC   300u /* as IEEE 802.1Q, 8.8.3 recommends */

/** Create NET_SWITCH_DEFAULT. Context: init. */
int __must_check net_init(void);
/**
 * Create a switch. @name is copied (15 bytes).
 * Returns: 0, -RAY_EEXIST, -RAY_ENOMEM. Context: thread or init.
 */
int __must_check net_switch_create(const char *name, struct net_switch **out);
/** By name; NULL when there is none. Switches are never destroyed. */
struct net_switch *net_switch_find(const char *name);
const char *net_switch_name(const struct net_switch *sw);

/**
 * Attach a port; frames may arrive before this returns. The link is up.
 * Returns: 0; -RAY_EINVAL (address), -RAY_EEXIST (it is another port's), -RAY_ENOSPC (no port or
 *          no place for the address left), -RAY_ENOMEM
 * Context: thread or init
 */
int __must_check net_port_attach(struct net_switch *sw, struct net_port *p);
/**
 * Detach; on return nobody calls the port or counts for it.
 * Pre:     the device sends no more through it
 * Context: thread, no lock, no epoch section
 */
void net_port_detach(struct net_port *p);

/**
 * Send a frame from @from into its switch.
 * @f     head, lengths, segments and offload metadata filled in; parsed and checked here
 * @fast  from an exit handler with IRQs off
 * Returns: 0: it is delivered, or dropped and counted; nothing has happened and it may be sent
 *          again: -RAY_EBUSY (only when @fast), from a thread, with @fast false; -RAY_EAGAIN, a
 *          little later
 * Context: epoch section
 * Trust:   everything in @f is hostile
 */
int __must_check net_send(struct net_port *from, struct net_frame *f, bool fast);

/* For the shell: copies. */
struct net_port_info {
	char name[NET_PORT_NAME_MAX];
	uint64_t mac;
	uint32_t owner;
	bool link;
	struct net_counts counts;
};
struct net_mac_info {
	uint64_t mac;
	char port[NET_PORT_NAME_MAX];
	bool learned;
	uint64_t age_sec; /* since it was last seen, when learned */
};
/** Copy the port of @index. Returns: 0, -RAY_ENOENT (none there). Context: thread. */
int __must_check net_port_info(struct net_switch *sw, unsigned int index,
			       struct net_port_info *out);
/** The same for a place of the address table, -RAY_ERANGE from its end on. */
int __must_check net_mac_info(struct net_switch *sw, unsigned int index, struct net_mac_info *out);
/**
 * Set a port's link by name.
 * Returns: 0, -RAY_ENOENT. Context: thread
 */
int __must_check net_link_set(struct net_switch *sw, const char *port, bool up);

#endif
