/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of a VM's virtio console as they are kept over resets: what the guest wrote to each
 * (a terminal), what was typed and the guest has not taken yet, who is attached.
 * Owns: the ports. Must not know: queues, messages.
 * Locking: port->lock (spinlock, order VBACK), never taken in interrupt handlers, held for a
 * bounded time. Ports are freed with their last reference.
 */
#ifndef RAYOS_DEVICES_VIRT_BACK_CONSOLE_PORT_H
#define RAYOS_DEVICES_VIRT_BACK_CONSOLE_PORT_H

#include "devices/virt/spec.h"
#include "devices/virt/term.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"

#define VCPORT_MAX     8u
#define VCPORT_IN_SIZE 1024u /* typed bytes that may wait for each */

struct vcport;

/* What a device is told of its ports. */
#define VCPORT_TYPED   BIT(0) /* there is input */
#define VCPORT_SESSION BIT(1) /* vcport_host_open() may have changed */
#define VCPORT_RESIZED BIT(2) /* cols, rows */

struct vcport_client {
	/** Context: thread, @p locked. */
	void (*event)(struct vcport_client *c, struct vcport *p, uint32_t events);
};

struct vcport {
	struct spinlock lock;
	unsigned int number;
	bool always;               /* open on the host's side without an operator, too */
	volatile uint32_t sessions; /* operators attached */
	volatile bool guest_open;
	struct vcport_client *client; /* NULL: no device, or it stands still */
	uint16_t cols, rows;         /* of the operator's terminal; 0: nobody has said */
	uint32_t in_head, in_count;
	uint8_t in[VCPORT_IN_SIZE];
	struct vterm term;
};

struct vcports {
	unsigned int count; /* 1..VCPORT_MAX; port 0 is the console */
	struct vcport *port[VCPORT_MAX];
};

/* Names and kinds of ports as a specification has them. */
struct vcports_spec {
	unsigned int count;
	struct vcports_spec_port {
		char name[VTERM_NAME_MAX];
		bool always;
	} port[VCPORT_MAX];
};

/**
 * "agent,log=boot:audit": bare words are ports that are open while an operator is attached,
 * those of log= are always open. Port 0, "console", is there without being named.
 * Returns: 0, or -RAY_EINVAL/-RAY_E2BIG/-RAY_EEXIST with s->why. Trust: the specification
 */
int __must_check vcports_parse(struct spec *s, struct vcports_spec *out);

/** NULL: no memory. */
struct vcports *vcports_create(const struct vcports_spec *spec) __must_check;
/** No device uses them any more. Ports that operators are attached to live on until they leave. */
void vcports_destroy(struct vcports *ps);
/** By name or number, NULL: none. */
struct vcport *vcports_find(const struct vcports *ps, const char *name);
/** "console, agent, boot" */
void vcports_names(const struct vcports *ps, char *buf, size_t len);

/** From now on @c is told; NULL: nobody. On return nobody is in the last one's event(). */
void vcport_client_set(struct vcport *p, struct vcport_client *c);
/** Power-on: closed in the guest, nothing typed. */
void vcport_reset(struct vcport *p);

static inline bool vcport_host_open(const struct vcport *p)
{
	return p->always || __atomic_load_n(&p->sessions, __ATOMIC_SEQ_CST) > 0;
}

/** The oldest typed bytes that lie in one piece. Pre: locked. Returns: how many */
static inline uint32_t vcport_in_peek(const struct vcport *p, const uint8_t **at)
{
	*at = p->in + p->in_head;
	return MIN(p->in_count, VCPORT_IN_SIZE - p->in_head);
}

/** Take @n bytes of what vcport_in_peek() showed. Pre: locked. */
static inline void vcport_in_take(struct vcport *p, uint32_t n)
{
	p->in_head = (p->in_head + n) % VCPORT_IN_SIZE;
	p->in_count -= n;
}

#endif
