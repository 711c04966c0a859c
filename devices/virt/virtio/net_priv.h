/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the network device share: net.c (life, definition), net_tx.c, net_rx.c,
 * net_ctrl.c (control queue and receive filter).
 *
 * Locking: a transmit queue's lock, then a receive queue's, often of another VM (order
 * VQUEUE_PEER). The receive filter is replaced as a whole and read inside epoch sections.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_NET_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_NET_PRIV_H

#include "devices/virt/attach.h"
#include "devices/virt/virtio/virtio.h"
#include "kernel/sched/thread.h"
#include "net/offload.h"
#include "net/switch.h"

/* Feature bits (virtio 1.2, 5.1.3). */
#define VIRTIO_NET_F_CSUM                BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM          BIT(1)
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS BIT(2)
#define VIRTIO_NET_F_MAC                 BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4          BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6          BIT(8)
#define VIRTIO_NET_F_GUEST_ECN           BIT(9)
#define VIRTIO_NET_F_HOST_TSO4           BIT(11)
#define VIRTIO_NET_F_HOST_TSO6           BIT(12)
#define VIRTIO_NET_F_HOST_ECN            BIT(13)
#define VIRTIO_NET_F_MRG_RXBUF           BIT(15)
#define VIRTIO_NET_F_STATUS              BIT(16)
#define VIRTIO_NET_F_CTRL_VQ             BIT(17)
#define VIRTIO_NET_F_CTRL_RX             BIT(18)
#define VIRTIO_NET_F_CTRL_VLAN           BIT(19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA       BIT(20)
#define VIRTIO_NET_F_MQ                  BIT(22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR       BIT(23)

/* Those a driver may turn off and on while it runs (5.1.6.5.6). */
#define VNET_GUEST_OFFLOADS                                                            \
	(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | \
	 VIRTIO_NET_F_GUEST_ECN)

#define VNET_PAIRS_MAX 8u
#define VNET_FLOWS     256u
#define VNET_MACS_MAX  64u /* of each list of the receive filter; more mean all */
#define VNET_VLANS     4096u

/* Device configuration (5.1.4). */
#define VNET_CONFIG_MAC    0u
#define VNET_CONFIG_STATUS 6u
#define VNET_CONFIG_PAIRS  8u
#define VNET_CONFIG_SIZE   10u
#define VNET_S_LINK_UP     1u

/* In front of every frame (5.1.6). */
struct vnet_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size;
	uint16_t csum_start, csum_offset;
	uint16_t num_buffers;
};
#define VNET_HDR_SIZE 12u
BUILD_ASSERT(sizeof(struct vnet_hdr) == VNET_HDR_SIZE, "virtio 1.2, 5.1.6");

/* A chain's segments are handed to the switch as they are. */
BUILD_ASSERT(sizeof(struct net_seg) == sizeof(struct virtq_seg) &&
		     offsetof(struct net_seg, p) == offsetof(struct virtq_seg, p) &&
		     offsetof(struct net_seg, len) == offsetof(struct virtq_seg, len),
	     "one layout");

struct vnet;

/* The back end: the port at the switch, over resets of the guest. */
struct vnet_back {
	struct net_port port;
	struct vattach *attach;
	struct vnet *dev; /* NULL while nobody receives; read inside an epoch section */
	unsigned int pairs;
};

/* A list of addresses: all pass when there were too many. */
struct vnet_macs {
	uint32_t count;
	bool all;
	uint64_t mac[VNET_MACS_MAX];
};

#define VNET_RX_PROMISC  BIT(0)
#define VNET_RX_ALLMULTI BIT(1)
#define VNET_RX_ALLUNI   BIT(2)
#define VNET_RX_NOMULTI  BIT(3)
#define VNET_RX_NOUNI    BIT(4)
#define VNET_RX_NOBCAST  BIT(5)
#define VNET_RX_FLAGS    6u

/* What the driver wants to receive. Never changed once published. */
struct vnet_filter {
	struct epoch_entry epoch;
	uint32_t flags; /* VNET_RX_* */
	bool vlan;      /* tagged frames pass if their VLAN is listed */
	uint64_t mac;
	struct vnet_macs uni, multi;
	uint64_t vlans[VNET_VLANS / 64];
};

/* A transmit queue's frame at its head, admitted by the quota but not sent yet. */
struct vnet_tx {
	uint32_t admitted; /* its length, 0: none */
	uint32_t tries;
	uint64_t start; /* TSC tick of the admission */
};

struct vnet {
	struct virtio_dev v;
	struct vnet_back *back;
	struct vnet_filter *filter;
	uint64_t guest_offloads;   /* VNET_GUEST_OFFLOADS now on; d->lock */
	uint32_t tx_caps, rx_caps; /* NET_CAP_*; atomic */
	uint32_t pairs;            /* in use; atomic */
	struct vnet_tx tx[VNET_PAIRS_MAX];
	uint8_t flow[VNET_FLOWS]; /* pair + 1 on which the guest last sent that flow; atomic */
};

static inline struct vnet *vnet_of(struct virtio_dev *d)
{
	return container_of(d, struct vnet, v);
}

/** Derive tx_caps and rx_caps from what was negotiated and what is turned on. */
void vnet_caps_update(struct vnet *n);

enum virtq_result vnet_tx_serve(struct vnet *n, struct virtq *q, bool fast);
enum virtq_result vnet_ctrl_serve(struct vnet *n, struct virtq *q, bool fast);
/** net_port_ops' deliver. */
int vnet_deliver(struct net_port *p, const struct net_frame *f, bool fast);

/** A filter as after a reset; NULL: no memory. */
struct vnet_filter *vnet_filter_create(uint64_t mac);
/** Make @f the filter in use; the old one is freed when its readers have left. */
void vnet_filter_publish(struct vnet *n, struct vnet_filter *f);
/** Whether the driver wants a frame. Context: epoch section. */
bool vnet_filter_wants(const struct vnet_filter *f, const struct net_frame *frame);
void vnet_filter_save(const struct vnet_filter *f, struct state_buf *b);
/** 0, -RAY_EINVAL, -RAY_ENOMEM. Trust: the record */
int __must_check vnet_filter_load(struct state_buf *b, struct vnet_filter **out);

#endif
