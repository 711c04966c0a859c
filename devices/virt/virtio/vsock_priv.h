/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's vsock between its queues (vsock.c), the packets (vsock_packet.c) and the host's ends of
 * its streams (vsock_stream.c).
 * Locking: vsock->lock (spinlock, order VBACK) for the table, all streams in it and all that they
 * hold. Never taken in interrupt handlers.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_VSOCK_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_VSOCK_PRIV_H

#include "devices/virt/virtio/virtq.h"
#include "devices/virt/vsock_host.h"
#include "hv/vm.h"
#include "kernel/lib/bucket.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/wait.h"

#define VSOCK_CID_HOST    2u
#define VSOCK_CID_MIN     3u
#define VSOCK_CID_MAX     0xfffffffeu /* all ones stand for any */
#define VSOCK_PORT_EPHEMERAL 0x80000000u /* and up: of streams that the host opens */
#define VSOCK_STREAMS_MAX 64u
#define VSOCK_RST_MAX     32u /* answers to packets of no stream that wait for buffers */
/* How long a guest may take to answer the end of a stream, or take what was written before. */
#define VSOCK_LINGER_NS   8000000000ull

struct vsock_hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
} __packed;
BUILD_ASSERT(sizeof(struct vsock_hdr) == 44, "virtio 1.2, 5.10.6");

#define VSOCK_TYPE_STREAM 1u

enum vsock_op {
	VSOCK_OP_INVALID,
	VSOCK_OP_REQUEST,
	VSOCK_OP_RESPONSE,
	VSOCK_OP_RST,
	VSOCK_OP_SHUTDOWN,
	VSOCK_OP_RW,
	VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};

/* flags of SHUTDOWN: the sender will not receive, will not send. */
#define VSOCK_SHUT_RCV  1u
#define VSOCK_SHUT_SEND 2u
#define VSOCK_SHUT_BOTH 3u

enum vstream_state {
	VSTREAM_CONNECTING, /* the guest has not answered */
	VSTREAM_OPEN,
	VSTREAM_RESET,      /* owes an RST, then it is over */
	VSTREAM_OVER,       /* in no table */
};

/* Packets that a stream owes, besides its data. */
#define OWED_REQUEST  BIT(0)
#define OWED_RESPONSE BIT(1)
#define OWED_CREDIT   BIT(2)
#define OWED_SHUTDOWN BIT(3) /* behind the data */

struct vstream_ring {
	uint32_t head, used;
	uint8_t bytes[VSTREAM_BUF];
};

struct vstream {
	struct list_head node; /* vsock->streams, or vsock->over: holds a reference */
	struct vsock *vs;      /* a reference */
	const struct vsock_service *service; /* NULL: the host opened it */
	volatile uint32_t refs;
	uint32_t host_port, guest_port;
	volatile enum vstream_state state;
	uint32_t owed;
	uint32_t events;       /* the service's, not told yet */
	uint32_t guest_shut;   /* VSOCK_SHUT_* */
	bool refused;          /* before it was open */
	bool closed;           /* by the host */
	bool told;             /* its beginning stands in the log */
	uint64_t deadline_ns;  /* then it is reset; 0: none */
	/* Credit (5.10.6.3): bytes received, taken, and taken as the guest knows; sent, and what
	 * the guest says of its own. Counts wrap. */
	uint32_t rx_cnt, fwd_cnt, fwd_told;
	uint32_t tx_cnt, guest_alloc, guest_fwd;
	uint64_t begun_ns;
	uint64_t bytes_in, bytes_out; /* to and from the guest */
	struct waitq wait;
	struct vstream_ring rx, tx;
};

/* The device, told with vsock->lock held. */
struct vsock_client {
	void (*send)(struct vsock_client *c);    /* packets are owed */
	void (*receive)(struct vsock_client *c); /* vsock_packet() may be tried again */
	void (*work)(struct vsock_client *c);    /* vsock_work() has something to do */
};

/* One for each attachment. */
struct vsock {
	struct list_head node; /* of all, by CID */
	struct spinlock lock;
	volatile uint32_t refs;
	uint64_t cid;
	char vm[VM_NAME_MAX];
	struct vsock_client *client; /* NULL: no device, or it stands still */
	struct list_head streams;    /* those that have waited longest for their turn first */
	struct list_head over;       /* their services are to be told */
	uint32_t stream_count;
	uint32_t next_port;          /* of streams that the host opens */
	bool receive_waits;
	uint32_t rst_head, rst_count;
	struct vsock_hdr rst[VSOCK_RST_MAX];
	struct bucket log;           /* lines a second: a guest opens streams as it likes */
	uint64_t untold;             /* streams that had no line */
};

struct vhandler;

/* --- vsock_stream.c --- */

/**
 * Returns: 0 and *out, -RAY_ENOMEM, -RAY_EEXIST (the CID is another's, whose name is in @why).
 * @cid  0: 2 + the VM's id, or the next that is free. Context: thread.
 */
int __must_check vsock_create(const struct vm *vm, uint64_t cid, struct vsock **out, char *why,
			      size_t why_len);
/** The attachment ends. Pre: no client, vsock_reset() and vsock_work() were called. */
void vsock_destroy(struct vsock *vs);
void vsock_client_set(struct vsock *vs, struct vsock_client *c);

/** A stream's memory, in no table. NULL: none left. */
struct vstream *vstream_alloc(struct vsock *vs);
/** Into the table. False: full. Pre: locked. */
bool vstream_add(struct vstream *s);
/** Out of the table, which ends it; the service is told by vsock_work(). Pre: locked. */
void vstream_end(struct vstream *s);
/** End it with an RST for the guest. Pre: locked. */
void vstream_reset(struct vstream *s);
/** Somebody has something to do: a service, a thread that sleeps. Pre: locked. */
void vstream_event(struct vstream *s, uint32_t events);
/** The guest is owed packets. Pre: locked. */
void vsock_owe(struct vsock *vs);
void vsock_work_wanted(struct vsock *vs);

/** All streams end without a word to the guest: it has been reset. Context: thread. */
void vsock_reset(struct vsock *vs);
/**
 * Tell services what has happened, reset streams that are over their time.
 * Context: the VM's I/O thread, or any when there is no client.
 * Returns: time_now() when it wants to be called again, UINT64_MAX: when asked to
 */
uint64_t vsock_work(struct vsock *vs);

/* --- vsock_packet.c --- */

/**
 * A packet of the guest: @h, a checked copy, and its chain, which holds h->len bytes behind it.
 * Returns: 0; -RAY_EAGAIN: the answer would find no place, try again when told to receive, or,
 *          with *when, at that TSC tick.
 * Context: I/O thread, the queue's lock. Trust: all of it
 */
int __must_check vsock_packet(struct vsock *vs, struct vhandler *handler,
			      const struct vsock_hdr *h, const struct virtq_chain *c,
			      uint64_t *when);
/**
 * Write the packet that is owed next into a chain.
 * Returns: bytes, 0: none is owed; -RAY_EAGAIN: not before TSC tick *when
 * Context: I/O thread, the queue's lock. Pre: the chain has room for a header and some data
 */
int __must_check vsock_next(struct vsock *vs, struct vhandler *handler,
			    const struct virtq_chain *c, uint64_t *when);
bool vsock_owes(struct vsock *vs);

#endif
