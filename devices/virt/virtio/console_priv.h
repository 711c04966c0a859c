/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio console between its queues (console.c), its control messages (console_ctl.c) and its
 * record (console_state.c).
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_CONSOLE_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_CONSOLE_PRIV_H

#include "devices/virt/back/console_port.h"
#include "devices/virt/virtio/virtio.h"

/* Features (5.3.3). */
#define CONSOLE_F_SIZE        BIT(0)
#define CONSOLE_F_MULTIPORT   BIT(1)
#define CONSOLE_F_EMERG_WRITE BIT(2)

/* Queues (5.3.2): receive and transmit of port 0, of control messages, of the other ports. */
#define CONSOLE_Q_CTL_RX 2u
#define CONSOLE_Q_CTL_TX 3u
#define CONSOLE_Q_MAX    (2u + 2u * VCPORT_MAX)
BUILD_ASSERT(CONSOLE_Q_MAX <= VIRTIO_QUEUES_MAX, "a queue pair for each port");

struct console_dev {
	struct virtio_dev v;
	struct vcport_client client;
	struct vcports *ports;           /* the attachment's */
	struct vio_work resize_work;
	volatile uint32_t owed[VCPORT_MAX]; /* messages for the driver; atomic */
	volatile bool ready[VCPORT_MAX];    /* the driver has said PORT_READY */
	uint32_t tx_off[VCPORT_MAX];     /* taken of the chain being sent; the queue's lock */
};

static inline struct console_dev *console_of(struct virtio_dev *d)
{
	return container_of(d, struct console_dev, v);
}

/** A port's receive queue; its transmit queue is the next. */
static inline unsigned int console_rx_queue(unsigned int port)
{
	return port == 0 ? 0 : 2u + 2u * port;
}

/* console_ctl.c */

/** Serve the control queues. As virtio_ops.serve. */
enum virtq_result console_ctl_rx(struct console_dev *c, struct virtq *q);
enum virtq_result console_ctl_tx(struct console_dev *c, struct virtq *q);
/** The driver is owed what @events (VCPORT_*) mean. Context: any but NMI. */
void console_ctl_owe(struct console_dev *c, unsigned int port, uint32_t events);
void console_ctl_reset(struct console_dev *c);

/* console_state.c */
void console_save(struct virtio_dev *d, struct state_buf *b);
int console_load(struct virtio_dev *d, struct state_buf *b, uint32_t version);

/** Bits that may be in c->owed. */
#define CONSOLE_OWED_ALL 0x1fu

#endif
