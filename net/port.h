/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network port: where a device, or later the host itself, meets a switch.
 * Owns: the port's identity, link state and counters. Must not know: what is behind it.
 * Locking: the switch's lock for everything but counters, which are per CPU.
 */
#ifndef RAYOS_NET_PORT_H
#define RAYOS_NET_PORT_H

#include "kernel/arch/percpu.h"
#include "net/frame.h"

struct net_port;
struct net_switch;

#define NET_PORT_NAME_MAX 48u /* "vm/net0", zero included */

struct net_port_ops {
	/**
	 * Take a frame that came through the switch. Payload is copied during the call.
	 * @fast  called from an exit handler with IRQs off: neither wait for a lock nor do more
	 *        than one copy; rather answer -RAY_EBUSY, having done nothing, and be called again
	 *        from a thread
	 * Context: epoch section, so preemption is off; any CPU, several at the same time
	 * Returns: 0; -RAY_EBUSY (only when @fast); -RAY_EAGAIN (nothing done; its buffers are on
	 *          their way back into memory, so soon is worth another try); or why it was
	 *          dropped: -RAY_ENOSPC (no buffer), -RAY_E2BIG (longer than a buffer), -RAY_EPERM
	 *          (an address the device does not listen to), -RAY_EIO (not running)
	 */
	int (*deliver)(struct net_port *p, const struct net_frame *f, bool fast);
	/** The operator has changed net_port_link(). Context: epoch section, no lock held. */
	void (*link_changed)(struct net_port *p);
};

/* Why a frame was dropped; counted where it was about to go in (RX) or came from (TX). */
enum net_drop {
	NET_DROP_NO_BUFFER,
	NET_DROP_TOO_LONG,
	NET_DROP_FILTER,    /* a policy, or an address the device does not listen to */
	NET_DROP_SOURCE,    /* sent from an address that is not the port's */
	NET_DROP_LINK,      /* one of the ends is down */
	NET_DROP_MALFORMED, /* headers or offload metadata contradict themselves */
	NET_DROP_COUNT
};
extern const char *const net_drop_names[NET_DROP_COUNT];

/* Seen from the device: sent into the switch, received from it. */
struct net_counts {
	uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes;
	uint64_t drop[NET_DROP_COUNT];
};

struct net_port_cell {
	struct net_counts n;
	uint8_t apart[128 - sizeof(struct net_counts)]; /* no line shared with the next CPU's */
};

/* Frames with source addresses other than the port's come through it, and are learned. */
#define NET_PORT_ANY_SOURCE BIT(0)

/* Embedded in the device, which fills in the first part and then attaches it. */
struct net_port {
	const struct net_port_ops *ops;
	uint64_t mac;   /* net_mac_load() form; no group address, not 0; nobody else's */
	uint32_t owner; /* principal the policy speaks of; 0: the host */
	uint32_t flags; /* NET_PORT_* */
	char name[NET_PORT_NAME_MAX];

	/* The switch's. */
	struct net_switch *sw;
	uint16_t index;
	bool link;                   /* atomic */
	struct net_port_cell *cells; /* one per CPU */
};

/** The cell of this CPU. Context: preemption off. */
static inline struct net_counts *net_port_counts(struct net_port *p)
{
	return &p->cells[this_cpu()->id].n;
}

/** Count a frame that came from or was about to go into the device. Context: preemption off. */
static inline void net_port_drop(struct net_port *p, enum net_drop why)
{
	net_port_counts(p)->drop[why]++;
}

/** Sum over all CPUs. Pre: attached */
void net_port_stats(const struct net_port *p, struct net_counts *out);

static inline bool net_port_link(const struct net_port *p)
{
	return __atomic_load_n(&p->link, __ATOMIC_RELAXED);
}

#endif
