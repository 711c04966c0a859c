/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control queue of the network device (virtio 1.2, 5.1.6.5), and the receive filter it sets.
 * A command is copied once, decoded from the copy, and then either done as a whole or refused.
 */
#include "devices/virt/virtio/net_priv.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define CTRL_OK  0u
#define CTRL_ERR 1u

/* Classes and commands. */
#define CTRL_RX           0u
#define CTRL_MAC          1u
#define CTRL_MAC_TABLE    0u
#define CTRL_MAC_ADDR     1u
#define CTRL_VLAN         2u
#define CTRL_VLAN_ADD     0u
#define CTRL_VLAN_DEL     1u
#define CTRL_MQ           4u
#define CTRL_MQ_PAIRS     0u
#define CTRL_OFFLOADS     5u
#define CTRL_OFFLOADS_SET 0u

#define MAC_LEN  6u
#define TURN_MAX 8u /* commands in one turn of the I/O thread */

/* A command under way: a position in its chain, and what a fresh filter would be. */
struct command {
	struct vnet *n;
	const struct virtq_chain *c;
	uint32_t at;
	uint8_t class, cmd;
};

/* --- the filter --- */

struct vnet_filter *vnet_filter_create(uint64_t mac)
{
	struct vnet_filter *f = kzalloc(sizeof(*f), MEM_VDEV);

	if (!f)
		return NULL;
	f->mac = mac;
	/* A driver without CTRL_RX gets all that the switch sends this way. */
	f->flags = VNET_RX_PROMISC;
	return f;
}

static void filter_free(struct epoch_entry *e)
{
	kfree(container_of(e, struct vnet_filter, epoch));
}

void vnet_filter_publish(struct vnet *n, struct vnet_filter *f)
{
	struct vnet_filter *old = __atomic_exchange_n(&n->filter, f, __ATOMIC_ACQ_REL);

	if (old)
		epoch_call(&old->epoch, filter_free);
}

static bool macs_have(const struct vnet_macs *m, uint64_t mac)
{
	if (m->all)
		return true;
	for (uint32_t i = 0; i < m->count; i++)
		if (m->mac[i] == mac)
			return true;
	return false;
}

static bool wants_address(const struct vnet_filter *f, uint64_t dst)
{
	if (dst == NET_MAC_BROADCAST)
		return !(f->flags & VNET_RX_NOBCAST);
	if (dst & NET_MAC_GROUP)
		return !(f->flags & VNET_RX_NOMULTI) &&
		       (f->flags & VNET_RX_ALLMULTI || macs_have(&f->multi, dst));
	return !(f->flags & VNET_RX_NOUNI) &&
	       (f->flags & VNET_RX_ALLUNI || dst == f->mac || macs_have(&f->uni, dst));
}

bool vnet_filter_wants(const struct vnet_filter *f, const struct net_frame *frame)
{
	const struct net_parse *p = &frame->parse;

	/* VLAN 0 is a priority, not a network (IEEE 802.1Q, 9.6). */
	if (unlikely(f->vlan) && p->flags & NET_P_VLAN && p->vlan &&
	    !(f->vlans[p->vlan / 64] & BIT(p->vlan % 64)))
		return false;
	return f->flags & VNET_RX_PROMISC || wants_address(f, net_frame_dst(frame));
}

static void macs_save(const struct vnet_macs *m, struct state_buf *b)
{
	state_put_u8(b, m->all);
	state_put_u8(b, (uint8_t)m->count);
	for (uint32_t i = 0; i < m->count; i++)
		state_put_u64(b, m->mac[i]);
}

static void macs_load(struct vnet_macs *m, struct state_buf *b)
{
	m->all = state_get_u8(b) != 0;
	m->count = state_get_u8(b);
	if (m->count > VNET_MACS_MAX)
		b->bad = true;
	for (uint32_t i = 0; i < m->count && !b->bad; i++)
		m->mac[i] = state_get_u64(b) & NET_MAC_MASK;
}

void vnet_filter_save(const struct vnet_filter *f, struct state_buf *b)
{
	state_put_u8(b, (uint8_t)f->flags);
	state_put_u8(b, f->vlan);
	state_put_u64(b, f->mac);
	macs_save(&f->uni, b);
	macs_save(&f->multi, b);
	for (unsigned int i = 0; i < ARRAY_SIZE(f->vlans); i++)
		state_put_u64(b, f->vlans[i]);
}

int vnet_filter_load(struct state_buf *b, struct vnet_filter **out)
{
	struct vnet_filter *f = vnet_filter_create(0);

	if (!f)
		return -RAY_ENOMEM;
	f->flags = state_get_u8(b) & (BIT(VNET_RX_FLAGS) - 1);
	f->vlan = state_get_u8(b) != 0;
	f->mac = state_get_u64(b) & NET_MAC_MASK;
	macs_load(&f->uni, b);
	macs_load(&f->multi, b);
	for (unsigned int i = 0; i < ARRAY_SIZE(f->vlans); i++)
		f->vlans[i] = state_get_u64(b);
	if (b->bad) {
		kfree(f);
		return -RAY_EINVAL;
	}
	*out = f;
	return 0;
}

/* --- commands --- */

/* The next @len bytes of the command. */
static bool take(struct command *k, void *dst, uint32_t len)
{
	uint32_t n = virtq_chain_read(k->c, k->at, dst, len);

	k->at += n;
	return n == len;
}

static uint8_t answer(bool ok)
{
	return (uint8_t)(ok ? CTRL_OK : CTRL_ERR);
}

static struct vnet_filter *filter_copy(const struct vnet *n)
{
	struct vnet_filter *f = kmalloc(sizeof(*f), MEM_VDEV);

	if (f)
		*f = *n->filter;
	return f;
}

static uint8_t rx_mode(struct command *k, struct vnet_filter *f)
{
	uint64_t feature = k->cmd <= 1 ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
	uint8_t on;

	if (!virtio_has(&k->n->v, feature) || k->cmd >= VNET_RX_FLAGS || !take(k, &on, 1))
		return CTRL_ERR;
	if (on)
		f->flags |= BIT(k->cmd); /* the flags are numbered as the commands are */
	else
		f->flags &= ~(uint32_t)BIT(k->cmd);
	return CTRL_OK;
}

/* One list: its length, then the addresses. A longer one than fits means all. */
static bool mac_list(struct command *k, struct vnet_macs *m)
{
	uint32_t entries;
	uint8_t mac[MAC_LEN];

	if (!take(k, &entries, sizeof(entries)) ||
	    (uint64_t)entries * MAC_LEN > k->c->out_len - k->at)
		return false;
	m->all = entries > VNET_MACS_MAX;
	m->count = m->all ? 0 : entries;
	if (m->all)
		k->at += entries * MAC_LEN;
	for (uint32_t i = 0; i < m->count; i++) {
		if (!take(k, mac, MAC_LEN))
			return false;
		m->mac[i] = net_mac_load(mac);
	}
	return true;
}

/*
 * The address of the definition is the one frames come from; another only where the definition
 * lets any come (spoof), and then the switch learns it.
 */
static uint8_t mac_set(struct command *k, struct vnet_filter *f)
{
	const struct net_port *p = &k->n->back->port;
	uint8_t raw[MAC_LEN];
	uint64_t mac;

	if (!virtio_has(&k->n->v, VIRTIO_NET_F_CTRL_MAC_ADDR) || !take(k, raw, MAC_LEN))
		return CTRL_ERR;
	mac = net_mac_load(raw);
	if (mac == 0 || mac & NET_MAC_GROUP || (mac != p->mac && !(p->flags & NET_PORT_ANY_SOURCE)))
		return CTRL_ERR;
	f->mac = mac;
	return CTRL_OK;
}

static uint8_t mac_command(struct command *k, struct vnet_filter *f)
{
	if (k->cmd == CTRL_MAC_ADDR)
		return mac_set(k, f);
	if (k->cmd != CTRL_MAC_TABLE || !virtio_has(&k->n->v, VIRTIO_NET_F_CTRL_RX))
		return CTRL_ERR;
	return answer(mac_list(k, &f->uni) && mac_list(k, &f->multi));
}

static uint8_t vlan_command(struct command *k, struct vnet_filter *f)
{
	uint16_t id;

	if (!virtio_has(&k->n->v, VIRTIO_NET_F_CTRL_VLAN) || k->cmd > CTRL_VLAN_DEL ||
	    !take(k, &id, sizeof(id)) || id >= VNET_VLANS)
		return CTRL_ERR;
	if (k->cmd == CTRL_VLAN_ADD)
		f->vlans[id / 64] |= BIT(id % 64);
	else
		f->vlans[id / 64] &= ~BIT(id % 64);
	return CTRL_OK;
}

/* Commands that change the receive filter: all of it or nothing. */
static uint8_t filter_command(struct command *k)
{
	struct vnet_filter *f = filter_copy(k->n);
	uint8_t ack;

	if (!f)
		return CTRL_ERR;
	ack = k->class == CTRL_RX    ? rx_mode(k, f)
	      : k->class == CTRL_MAC ? mac_command(k, f)
				     : vlan_command(k, f);
	if (ack == CTRL_OK)
		vnet_filter_publish(k->n, f);
	else
		kfree(f);
	return ack;
}

static uint8_t pairs_set(struct command *k)
{
	uint16_t pairs;

	if (!virtio_has(&k->n->v, VIRTIO_NET_F_MQ) || k->cmd != CTRL_MQ_PAIRS ||
	    !take(k, &pairs, sizeof(pairs)) || pairs == 0 || pairs > k->n->back->pairs)
		return CTRL_ERR;
	__atomic_store_n(&k->n->pairs, pairs, __ATOMIC_RELAXED);
	return CTRL_OK;
}

static uint8_t offloads_set(struct command *k)
{
	struct vnet *n = k->n;
	uint64_t offloads;

	if (!virtio_has(&n->v, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) || k->cmd != CTRL_OFFLOADS_SET ||
	    !take(k, &offloads, sizeof(offloads)) ||
	    offloads & ~(n->v.features & VNET_GUEST_OFFLOADS))
		return CTRL_ERR;
	n->guest_offloads = offloads;
	vnet_caps_update(n);
	return CTRL_OK;
}

static uint8_t command(struct command *k)
{
	switch (k->class) {
	case CTRL_RX:
	case CTRL_MAC:
	case CTRL_VLAN:
		return filter_command(k);
	case CTRL_MQ:
		return pairs_set(k);
	case CTRL_OFFLOADS:
		return offloads_set(k);
	default:
		return CTRL_ERR;
	}
}

enum virtq_result vnet_ctrl_serve(struct vnet *n, struct virtq *q, bool fast)
{
	struct vhandler *h = &n->v.attach->handler;
	enum virtq_result r = VIRTQ_MORE;

	if (fast)
		return VIRTQ_MORE; /* allocates */
	for (unsigned int i = 0; i < TURN_MAX; i++) {
		struct command k = {.n = n};
		const struct policy_op op = {.vm = h->vm,
					     .instance = h->instance,
					     .device = POLICY_NET,
					     .verb = POLICY_CONFIGURE};
		uint64_t start = rdtsc();
		struct virtq_chain *c;
		uint8_t ack = CTRL_ERR;
		int got = virtq_next(q, &c);

		if (got <= 0) {
			r = got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
			break;
		}
		k.c = c;
		if (!take(&k, &k.class, 1) || !take(&k, &k.cmd, 1) || c->in_len == 0) {
			virtio_dev_break(&n->v, "control command without a header or an answer");
			r = VIRTQ_IDLE;
			break;
		}
		if (policy_allows(&op))
			ack = command(&k);
		else
			(void)vhandler_refuse(h, POLICY_CONFIGURE);
		vhandler_done(h, POLICY_CONFIGURE, 0, start, ack == CTRL_OK);
		virtq_done(q, c, virtq_chain_write(c, 0, &ack, 1));
	}
	virtq_flush(q);
	return r;
}
