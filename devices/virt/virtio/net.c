/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network device (virtio 1.2, 5.1): its life, its features and its line in a definition.
 * Owns: the port at the switch (over resets) and the device on it. Must not know: what else is
 * at the switch.
 */
#include "devices/virt/virtio/net_priv.h"

#include <string.h>

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"

#define RX_SIZE   512u /* entries: a 64 KiB frame takes 44 buffers of a page's third */
#define TX_SIZE   256u
#define CTRL_SIZE 64u


#define FEATURES                                                                          \
	(VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS | \
	 VIRTIO_NET_F_MAC | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |           \
	 VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |       \
	 VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS |           \
	 VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN |           \
	 VIRTIO_NET_F_CTRL_RX_EXTRA | VIRTIO_NET_F_CTRL_MAC_ADDR)

/* --- features --- */

static uint32_t caps(uint64_t f, uint64_t csum, uint64_t tso4, uint64_t tso6, uint64_t ecn)
{
	return (f & csum ? NET_CAP_CSUM : 0) | (f & tso4 ? NET_CAP_TSO4 : 0) |
	       (f & tso6 ? NET_CAP_TSO6 : 0) | (f & ecn ? NET_CAP_ECN : 0);
}

void vnet_caps_update(struct vnet *n)
{
	uint32_t tx = caps(n->v.features, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
			   VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_ECN);
	uint32_t rx = caps(n->guest_offloads, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
			   VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN);

	if (!(rx & NET_CAP_CSUM))
		rx = 0; /* a TSO frame's checksum is never complete */
	__atomic_store_n(&n->tx_caps, tx, __ATOMIC_RELAXED);
	__atomic_store_n(&n->rx_caps, rx, __ATOMIC_RELAXED);
}

/* What needs what (5.1.3.1). */
static bool vnet_features_ok(struct virtio_dev *d)
{
	static const struct {
		uint64_t feature, any_of;
	} needs[] = {
		{VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM},
		{VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6},
		{VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM},
		{VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6},
		{VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_MQ |
			 VIRTIO_NET_F_CTRL_MAC_ADDR,
		 VIRTIO_NET_F_CTRL_VQ},
		{VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VQ},
		{VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_VQ},
	};
	struct vnet *n = vnet_of(d);

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (virtio_has(d, needs[i].feature) && !virtio_has(d, needs[i].any_of))
			return false;
	n->guest_offloads = d->features & VNET_GUEST_OFFLOADS;
	vnet_caps_update(n);
	return true;
}

/* --- queues: receive and transmit in turn, then control (5.1.2) --- */

static unsigned int ctrl_index(const struct vnet *n)
{
	return virtio_has(&n->v, VIRTIO_NET_F_MQ) ? 2 * n->back->pairs : 2;
}

static enum virtq_result vnet_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct vnet *n = vnet_of(d);

	if (unlikely(q->index >= ctrl_index(n)))
		return q->index == ctrl_index(n) && virtio_has(d, VIRTIO_NET_F_CTRL_VQ)
			       ? vnet_ctrl_serve(n, q, fast)
			       : VIRTQ_IDLE;
	/* New buffers are taken when a frame comes. */
	return q->index & 1 ? vnet_tx_serve(n, q, fast) : VIRTQ_IDLE;
}

/* --- life --- */

/* Tell the driver of the link as it is. */
static void link_show(struct vnet *n)
{
	struct virtio_dev *d = &n->v;
	uint8_t status = net_port_link(&n->back->port) ? VNET_S_LINK_UP : 0;
	uint64_t irq = spin_lock_irqsave(&d->lock);
	bool changed = d->config[VNET_CONFIG_STATUS] != status;

	d->config[VNET_CONFIG_STATUS] = status;
	spin_unlock_irqrestore(&d->lock, irq);
	if (changed)
		virtio_config_changed(d);
}

static void vnet_link_changed(struct net_port *p)
{
	struct vnet_back *back = container_of(p, struct vnet_back, port);
	struct vnet *n = __atomic_load_n(&back->dev, __ATOMIC_ACQUIRE);

	if (n)
		link_show(n);
}

static void vnet_start(struct vnet *n)
{
	__atomic_store_n(&n->back->dev, n, __ATOMIC_RELEASE);
}

static void vnet_resume(struct virtio_dev *d)
{
	struct vnet *n = vnet_of(d);

	n->guest_offloads &= d->features;
	vnet_caps_update(n);
	vnet_start(n);
	link_show(n);
}

static void vnet_quiesce(struct virtio_dev *d)
{
	__atomic_store_n(&vnet_of(d)->back->dev, NULL, __ATOMIC_RELEASE);
	epoch_synchronize();
}

static void driver_state_reset(struct vnet *n)
{
	n->pairs = 1;
	n->guest_offloads = 0;
	memset(n->tx, 0, sizeof(n->tx));
	memset(n->flow, 0, sizeof(n->flow));
	vnet_caps_update(n);
}

static void vnet_reset(struct virtio_dev *d)
{
	struct vnet *n = vnet_of(d);
	struct vnet_filter *f = vnet_filter_create(n->back->port.mac);

	driver_state_reset(n);
	if (f)
		vnet_filter_publish(n, f); /* without memory the old one stays: it filters more */
}

/* The driver says before DRIVER_OK whether it filters VLANs (5.1.6.5.3). */
static void vnet_ready(struct virtio_dev *d)
{
	struct vnet *n = vnet_of(d);

	n->filter->vlan = virtio_has(d, VIRTIO_NET_F_CTRL_VLAN); /* nobody receives yet */
}

static void vnet_destroy(struct virtio_dev *d)
{
	struct vnet *n = vnet_of(d);

	kfree(n->filter);
	kfree(n);
}

/* --- state --- */

static void vnet_save(struct virtio_dev *d, struct state_buf *b)
{
	struct vnet *n = vnet_of(d);

	state_put_u32(b, n->pairs);
	state_put_u64(b, n->guest_offloads);
	vnet_filter_save(n->filter, b);
}

static int vnet_load(struct virtio_dev *d, struct state_buf *b, uint32_t version)
{
	struct vnet *n = vnet_of(d);
	uint32_t pairs = state_get_u32(b);
	uint64_t offloads = state_get_u64(b);
	struct vnet_filter *f;
	int err;

	if (version != d->ops->state_version || b->bad || pairs == 0 || pairs > n->back->pairs ||
	    offloads & ~VNET_GUEST_OFFLOADS)
		return -RAY_EINVAL;
	err = vnet_filter_load(b, &f);
	if (err)
		return err;
	n->pairs = pairs;
	n->guest_offloads = offloads;
	vnet_filter_publish(n, f);
	return 0;
}

static const struct virtio_ops vnet_ops = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x0200, /* network controller, Ethernet */
	.state_version = 1,
	.serve = vnet_serve,
	.features_ok = vnet_features_ok,
	.ready = vnet_ready,
	.reset = vnet_reset,
	.quiesce = vnet_quiesce,
	.resume = vnet_resume,
	.save = vnet_save,
	.load = vnet_load,
	.destroy = vnet_destroy,
};

static void config_make(struct vnet *n)
{
	uint8_t *config = n->v.config;

	net_mac_store(config + VNET_CONFIG_MAC, n->back->port.mac);
	config[VNET_CONFIG_STATUS] = net_port_link(&n->back->port) ? VNET_S_LINK_UP : 0;
	store16(config + VNET_CONFIG_PAIRS, (uint16_t)n->back->pairs);
}

static int device_init(struct vnet *n)
{
	unsigned int pairs = n->back->pairs;
	uint16_t sizes[2 * VNET_PAIRS_MAX + 1];
	const struct virtio_init init = {
		.ops = &vnet_ops,
		.attach = n->back->attach,
		.features = FEATURES | (pairs > 1 ? VIRTIO_NET_F_MQ : 0),
		.config_size = VNET_CONFIG_SIZE,
		.queues = 2 * pairs + 1,
		.queue_sizes = sizes,
	};
	int err;

	for (unsigned int i = 0; i < pairs; i++) {
		sizes[2 * i] = RX_SIZE;
		sizes[2 * i + 1] = TX_SIZE;
	}
	sizes[2 * pairs] = CTRL_SIZE;
	err = virtio_dev_init(&n->v, n->back->attach->vm, &init);
	if (err)
		return err;
	for (unsigned int i = 0; i < pairs; i++)
		spin_lock_init(&n->v.queue[2 * i].lock, LOCK_ORDER_VQUEUE_PEER);
	config_make(n);
	return 0;
}

static int vnet_create(struct vattach *a, struct virtio_dev **out)
{
	struct vnet *n = kzalloc(sizeof(*n), MEM_VDEV);
	int err = -RAY_ENOMEM;

	if (!n)
		return err;
	n->back = a->back;
	driver_state_reset(n);
	n->filter = vnet_filter_create(n->back->port.mac);
	if (n->filter)
		err = device_init(n);
	if (err) {
		kfree(n->filter);
		kfree(n);
		return err;
	}
	vnet_start(n);
	*out = &n->v;
	return 0;
}

/* --- definition --- */

struct options {
	struct net_switch *sw;
	uint64_t mac;    /* 0: to be made up */
	uint64_t rate;   /* bits a second of this card's own, 0: the VM's alone limits it */
	uint64_t queues; /* pairs, 0: one for each vCPU */
	bool spoof;
};

/* The switch: a bare word that names one, or none for the default. */
static int switch_parse(struct spec *s, struct net_switch **out)
{
	*out = net_switch_find(NET_SWITCH_DEFAULT);
	for (unsigned int i = 0; i < s->count; i++) {
		struct net_switch *sw = s->item[i].value ? NULL : net_switch_find(s->item[i].key);

		if (sw) {
			s->item[i].used = true;
			*out = sw;
		}
	}
	return *out ? 0 : -RAY_ENODEV;
}

static int options_parse(struct spec *s, struct options *o)
{
	const char *mac = spec_text(s, "mac");
	int err = switch_parse(s, &o->sw);

	if (err)
		return spec_fail(s, err, "there is no switch");
	if (mac &&
	    (net_mac_parse(mac, strlen(mac), &o->mac) || o->mac == 0 || o->mac & NET_MAC_GROUP))
		return spec_fail(s, -RAY_EINVAL, "mac: '%.32s' is no address of a station", mac);
	err = spec_rate(s, "rate", &o->rate);
	if (err)
		return err;
	o->spoof = spec_flag(s, "spoof");
	return spec_u64(s, "queues", 1, VNET_PAIRS_MAX, &o->queues);
}

/*
 * An address that stays: from the VM's name and the number of the device. Locally administered
 * (0x52 has that bit, and not the group's); FNV-1a spreads the names over the other 40 bits.
 */
static uint64_t mac_make(const char *vm, uint32_t index)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *vm; vm++)
		h = (h ^ (uint8_t)*vm) * 0x100000001b3ull;
	h = (h ^ index) * 0x100000001b3ull;
	h ^= h >> 40;
	return ((h << 8) | 0x52) & NET_MAC_MASK;
}

static int back_open(struct vattach *a, const struct spec *s, const struct options *o)
{
	static const struct net_port_ops port_ops = {
		.deliver = vnet_deliver,
		.link_changed = vnet_link_changed,
	};
	struct vnet_back *back = kzalloc(sizeof(*back), MEM_VDEV);
	int err;

	if (!back)
		return -RAY_ENOMEM;
	back->attach = a;
	back->pairs = o->queues ? (unsigned int)o->queues : MIN(a->vm->def.vcpus, VNET_PAIRS_MAX);
	back->port.ops = &port_ops;
	back->port.owner = a->vm->id;
	back->port.mac = o->mac ? o->mac : mac_make(a->vm->def.name, a->index);
	back->port.flags = o->spoof ? NET_PORT_ANY_SOURCE : 0;
	ray_snprintf(back->port.name, sizeof(back->port.name), "%s/%s", a->vm->def.name, a->name);
	a->back = back;
	err = net_port_attach(o->sw, &back->port);
	if (!err)
		return 0;
	a->back = NULL;
	kfree(back);
	return err == -RAY_EEXIST ? spec_fail(s, err, "another port has its MAC address") : err;
}

static int vnet_open(struct vattach *a, struct spec *s)
{
	struct options o = {0};
	int err = options_parse(s, &o);

	if (!err && a)
		err = back_open(a, s, &o);
	if (!err && a) {
		const struct quota_limits limits = quota_limits_of_rate(o.rate);

		vhandler_limit(&a->handler, &limits);
		a->handler.shared = &a->vm->net_quota;
	}
	return err;
}

static void vnet_close(struct vattach *a)
{
	struct vnet_back *back = a->back;

	net_port_detach(&back->port);
	kfree(back);
	a->back = NULL;
}

/* "10000 of the VM's 100000 kbit/s" */
static void rate_describe(const struct vattach *a, char *buf, size_t len)
{
	unsigned long long own = a->handler.quota.limits.bytes_per_second / 125;
	unsigned long long all = a->vm->net_quota.limits.bytes_per_second / 125;

	if (own && all)
		ray_snprintf(buf, len, "%llu of the VM's %llu kbit/s", own, all);
	else if (own)
		ray_snprintf(buf, len, "%llu kbit/s", own);
	else if (all)
		ray_snprintf(buf, len, "the VM's %llu kbit/s", all);
	else
		strlcpy(buf, "unlimited", len);
}

static void vnet_describe(struct vattach *a, char *buf, size_t len)
{
	const struct vnet_back *back = a->back;
	char mac[NET_MAC_TEXT], limit[48];

	net_mac_format(mac, back->port.mac);
	rate_describe(a, limit, sizeof(limit));
	ray_snprintf(buf, len, "%s at %s, %s, %u queue pairs, link %s%s", mac,
		     net_switch_name(back->port.sw), limit, back->pairs,
		     net_port_link(&back->port) ? "up" : "down",
		     back->port.flags & NET_PORT_ANY_SOURCE ? ", any source address" : "");
}

static const struct vhandler_verb_name vnet_verbs[] = {
	{"send", POLICY_SEND},
	{"receive", POLICY_RECEIVE},
	{"configure", POLICY_CONFIGURE},
	{0},
};

static const struct vkind vkind_net = {
	.name = "net",
	.summary = "network card",
	.options = "NAME of a switch, mac=ADDRESS, rate=BITS a second of its own, queues=1..8, spoof",
	.example = "switch0,rate=10M",
	.policy = POLICY_NET,
	.verbs = vnet_verbs,
	.open = vnet_open,
	.close = vnet_close,
	.create = vnet_create,
	.describe = vnet_describe,
};
VKIND(net);
