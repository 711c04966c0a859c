/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of block devices: names, references, claims.
 */
#include <string.h>

#include "kernel/block/block_priv.h"
#include "kernel/block/fit.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "block"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/pci/pci.h"
#include "kernel/panic.h"

#define NUMBERS_MAX 1000u
#define DEPTH_MAX   4096u

struct mutex block_list;
static struct list_head devices;

int block_init(void)
{
	mutex_init(&block_list, LOCK_ORDER_BLOCK_LIST);
	list_init(&devices);
	block_worker_init();
	return page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO | PAGE_F_LOW, &block_zeros);
}

/* --- names and references --- */

static struct block_dev *find(const char *name)
{
	struct block_dev *d;

	list_for_each_entry(d, &devices, node) {
		if (strcmp(d->ident.name, name) == 0)
			return d;
	}
	return NULL;
}

struct block_dev *block_get(const char *name)
{
	struct block_dev *d;

	mutex_lock(&block_list);
	d = find(name);
	if (d)
		block_ref(d);
	mutex_unlock(&block_list);
	return d;
}

struct block_dev *block_next(struct block_dev *before)
{
	struct block_dev *d = NULL, *each;

	mutex_lock(&block_list);
	/* The one before may have left: the next is who comes behind its name. */
	list_for_each_entry(each, &devices, node) {
		if (!before || block_name_order(each->ident.name, before->ident.name) > 0) {
			d = each;
			block_ref(d);
			break;
		}
	}
	mutex_unlock(&block_list);
	if (before)
		block_put(before);
	return d;
}

void block_ref(struct block_dev *dev)
{
	__atomic_fetch_add(&dev->refs, 1, __ATOMIC_RELAXED);
}

/* The last reference to a disk is dropped when nothing of it is under way. */
static void disk_free(struct block_dev *dev)
{
	const struct block_ops *ops = dev->queue->ops;
	struct pci_dev *pci = dev->queue->pci;
	void *drv = dev->queue->drv;

	block_queue_destroy(dev->queue);
	kfree(dev);
	if (ops->gone)
		ops->gone(drv);
	if (pci)
		pci_put(pci);
}

void block_put(struct block_dev *dev)
{
	struct block_dev *whole = dev->whole;

	if (__atomic_sub_fetch(&dev->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (whole) {
		kfree(dev);
		block_put(whole);
	} else {
		disk_free(dev);
	}
}

/* Digits count as numbers: "sda2" stands before "sda10". */
int block_name_order(const char *a, const char *b)
{
	while (*a && *b) {
		uint64_t na = 0, nb = 0;

		if (*a < '0' || *a > '9' || *b < '0' || *b > '9') {
			if (*a != *b)
				return *a < *b ? -1 : 1;
			a++;
			b++;
			continue;
		}
		while (*a >= '0' && *a <= '9')
			na = na * 10 + (uint64_t)(*a++ - '0');
		while (*b >= '0' && *b <= '9')
			nb = nb * 10 + (uint64_t)(*b++ - '0');
		if (na != nb)
			return na < nb ? -1 : 1;
	}
	return *a ? 1 : *b ? -1 : 0;
}

static void insert(struct block_dev *dev)
{
	struct list_head *at;

	list_for_each(at, &devices) {
		const struct block_dev *d = list_entry(at, struct block_dev, node);

		if (block_name_order(d->ident.name, dev->ident.name) > 0)
			break;
	}
	list_add_tail(&dev->node, at);
}

void block_register(struct block_dev *dev)
{
	block_ref(dev);
	mutex_lock(&block_list);
	insert(dev);
	mutex_unlock(&block_list);
}

void block_deregister(struct block_dev *dev)
{
	block_tree_leave(dev);
	mutex_lock(&block_list);
	list_del(&dev->node);
	mutex_unlock(&block_list);
	block_put(dev);
}

void block_parts_leave(struct block_dev *whole)
{
	struct block_dev *d, *part;

	do {
		part = NULL;
		mutex_lock(&block_list);
		list_for_each_entry(d, &devices, node) {
			if (d->whole == whole && d->state == BLOCK_LIVE)
				part = d;
		}
		if (part) {
			part->state = BLOCK_GONE;
			block_ref(part);
		}
		mutex_unlock(&block_list);
		if (part) {
			block_deregister(part);
			/* Ours is left, whatever the analyser thinks of the registry's.
			 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
			block_put(part);
		}
	} while (part);
}

/* --- claims --- */

int block_claim(struct block_dev *dev, const char *who)
{
	struct block_dev *whole = dev->whole;
	int err = 0;

	mutex_lock(&block_list);
	if (dev->owner || dev->parts_owned || (whole && whole->owner))
		err = -RAY_EBUSY;
	else if (dev->state == BLOCK_GONE || (whole && whole->state == BLOCK_GONE))
		err = -RAY_ENODEV;
	if (!err) {
		dev->owner = who;
		if (whole)
			whole->parts_owned++;
	}
	mutex_unlock(&block_list);
	return err;
}

void block_release(struct block_dev *dev)
{
	mutex_lock(&block_list);
	ASSERT(dev->owner);
	dev->owner = NULL;
	if (dev->whole)
		dev->whole->parts_owned--;
	mutex_unlock(&block_list);
}

const char *block_owner(const struct block_dev *dev)
{
	return dev->owner;
}

/* --- what they are --- */

const struct block_ident *block_ident(const struct block_dev *dev)
{
	return &dev->ident;
}

const struct block_limits *block_limits(const struct block_dev *dev)
{
	return &dev->limits;
}

enum block_state block_state(const struct block_dev *dev)
{
	if (dev->state != BLOCK_LIVE || !dev->whole)
		return dev->state;
	return dev->whole->state;
}

void block_stats_get(const struct block_dev *dev, struct block_stats *out)
{
	*out = dev->stats;
	for (unsigned int i = 0; i < BLOCK_OP_COUNT; i++)
		out->ns_total[i] = time_tsc_to_ns(out->ns_total[i]);
}

int block_health_get(struct block_dev *dev, struct block_health *out)
{
	struct block_queue *q = dev->queue;

	if (!q->ops->health)
		return -RAY_ENOSYS;
	return block_state(dev) == BLOCK_LIVE ? q->ops->health(q->drv, out) : -RAY_ENODEV;
}

/* --- publishing --- */

static int name_find(char *out, const struct block_init *init)
{
	for (unsigned int n = 0; n < (init->letter ? 26u : NUMBERS_MAX); n++) {
		if (init->letter)
			ray_snprintf(out, BLOCK_NAME_LEN, "%.16s%c", init->prefix, (char)('a' + n));
		else
			ray_snprintf(out, BLOCK_NAME_LEN, "%.16s%u", init->prefix, n + 1);
		if (!find(out))
			return 0;
	}
	return -RAY_ENOSPC;
}

static const char *wrong(const struct block_init *init)
{
	const char *what = block_limits_wrong(&init->limits);

	if (what)
		return what;
	if (init->depth == 0 || init->depth > DEPTH_MAX)
		return "depth";
	if (init->ident.size == 0 || init->ident.size % init->limits.logical)
		return "size";
	return NULL;
}

/* Under a name that nobody has; with its thread, which must know that name. */
static int enter(struct block_dev *dev, const struct block_init *init)
{
	int err;

	mutex_lock(&block_list);
	err = name_find(dev->ident.name, init);
	if (!err)
		err = block_worker_start(dev->queue);
	if (!err) {
		block_ref(dev);
		insert(dev);
	}
	mutex_unlock(&block_list);
	return err;
}

void block_text_take(char *out, size_t out_len, const uint8_t *p, size_t len)
{
	size_t n;

	for (; len > 0 && *p == ' '; len--) /* serial numbers are often set to the right */
		p++;
	n = MIN(len, out_len - 1);
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\0'))
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	out[n] = '\0';
}

int block_publish(const struct block_init *init, struct block_dev **out)
{
	struct block_dev *dev;
	const char *what = wrong(init);
	int err;

	if (what) {
		log_err("disk refused, its %s makes no sense driver=%s model=\"%s\"", what,
			init->ident.driver, init->ident.model);
		return -RAY_EINVAL;
	}
	dev = kzalloc(sizeof(*dev), MEM_BLOCK);
	if (!dev)
		return -RAY_ENOMEM;
	dev->ident = init->ident;
	dev->limits = init->limits;
	dev->refs = 1; /* the driver's */
	dev->queue = block_queue_create(dev, init);
	err = dev->queue ? enter(dev, init) : -RAY_ENOMEM;
	if (err) {
		if (dev->queue)
			block_queue_destroy(dev->queue);
		kfree(dev);
		return err;
	}
	if (init->pci)
		pci_get(init->pci);
	marker_print(MARKER_BLOCK_ATTACHED, "disk=%s driver=%s bytes=%lu", dev->ident.name,
		     dev->ident.driver, (unsigned long)dev->ident.size);
	block_tree_enter(dev, init->parent ? init->parent : init->pci ? &init->pci->dev : NULL);
	block_scan_start(dev->queue);
	*out = dev;
	return 0;
}

void block_unpublish(struct block_dev *dev)
{
	dev->state = BLOCK_GONE;
	block_queue_kill(dev->queue, -RAY_ENODEV);
	block_queue_stop(dev->queue);
	block_worker_stop(dev->queue);
	block_fault_end(dev->queue, true, -RAY_ENODEV);
	block_scan_wait(dev->queue);
	block_parts_leave(dev);
	marker_print(MARKER_BLOCK_DETACHED, "disk=%s", dev->ident.name);
	block_deregister(dev);
	/* The driver's is left. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	block_put(dev);
}

void block_trouble(struct block_dev *dev)
{
	block_worker_wake(dev->queue, BLOCK_TODO_TROUBLE);
}
