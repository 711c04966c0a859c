/* SPDX-License-Identifier: Apache-2.0 */
/* Stores on the host's disks: which are mounted, and how they reach their partition. */
#include "kernel/store/volume_priv.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "store"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/power/power.h"
#include "kernel/sched/thread.h"

#define CACHE_SHARE 64u /* of memory, for nodes */
#define CACHE_MIN   1024u

/* All that are mounted, and the lock of the list: taken before a store's. */
static struct list_head stores = LIST_HEAD_INIT(stores);
static struct mutex stores_lock;

/* --- the partition --- */

static int port_read(void *ctx, uint64_t block, void *buf, uint32_t count)
{
	const struct store_dev *s = ctx;

	return block_read(s->dev, block << STORE_BLOCK_SHIFT, buf,
			  (uint64_t)count << STORE_BLOCK_SHIFT);
}

static int port_write(void *ctx, uint64_t block, const void *buf, uint32_t count)
{
	const struct store_dev *s = ctx;

	return block_write(s->dev, block << STORE_BLOCK_SHIFT, buf,
			   (uint64_t)count << STORE_BLOCK_SHIFT, 0);
}

static int port_flush(void *ctx)
{
	const struct store_dev *s = ctx;

	return block_flush(s->dev);
}

static void port_drain(void *ctx)
{
	store_drain(ctx);
}

static uint64_t port_seconds(void *ctx)
{
	(void)ctx;
	return time_wall_seconds();
}

struct store_port store_dev_port(struct store_dev *s)
{
	return (struct store_port){.ctx = s,
				   .blocks = block_ident(s->dev)->size >> STORE_BLOCK_SHIFT,
				   .read = port_read, .write = port_write, .flush = port_flush,
				   .drain = port_drain, .seconds = port_seconds};
}

/* --- mounting --- */

static uint64_t cache_nodes(void)
{
	struct page_stats st;

	page_stats_get(&st);
	return MAX(st.total / CACHE_SHARE / STORE_BLOCK, (uint64_t)CACHE_MIN);
}

struct store_dev *store_dev_create(struct block_dev *dev)
{
	struct store_dev *s = kzalloc(sizeof(*s), MEM_STORE);

	if (!s)
		return NULL;
	s->dev = dev;
	s->name = block_ident(dev)->name;
	mutex_init(&s->lock, LOCK_ORDER_NONE);
	waitq_init(&s->wake);
	waitq_init(&s->drained);
	waitq_init(&s->turn);
	spin_lock_init(&s->queue_lock, LOCK_ORDER_STORE_QUEUE);
	list_init(&s->todo);
	list_init(&s->wrote);
	list_init(&s->flush);
	list_init(&s->open);
	return s;
}

/* Two of one identity are a copy; which one is meant nobody can say. */
static int twin_check(struct store_dev *s, char why[STORE_WHY_LEN])
{
	const struct store_port port = store_dev_port(s);
	uint8_t uuid[16];
	struct store_dev *other;
	int err = store_probe(&port, uuid, why);

	if (err)
		return err;
	list_for_each_entry(other, &stores, node) {
		struct store_info info;

		store_info_get(other->st, &info);
		if (memcmp(info.uuid, uuid, sizeof(uuid)) != 0)
			continue;
		ray_snprintf(why, STORE_WHY_LEN,
			     "it is the same store as the one on %s, which is mounted; one is a copy",
			     other->name);
		return -RAY_EEXIST;
	}
	return 0;
}

static int thread_start(struct store_dev *s)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1,
						.stack = KIB(32)};
	char name[32];

	ray_snprintf(name, sizeof(name), "store/%s", s->name);
	return thread_create(&s->thread, name, store_thread, s, &attr);
}

static int mount(struct store_dev *s, char why[STORE_WHY_LEN])
{
	const struct store_port port = store_dev_port(s);
	struct store_info info;
	int err = twin_check(s, why);

	if (!err)
		err = store_mount(&port, block_limits(s->dev)->read_only, cache_nodes(), &s->st,
				  why);
	if (err)
		return err;
	s->reclaim = true;
	err = thread_start(s);
	if (err) {
		ray_snprintf(why, STORE_WHY_LEN, "%s", ray_strerror(err));
		store_drop(s->st);
		return err;
	}
	list_add_tail(&s->node, &stores);
	store_info_get(s->st, &info);
	log_info("store mounted disk=%s objects=%u", s->name, info.objects);
	marker_print(MARKER_STORE_MOUNTED, "disk=%s objects=%u", s->name, info.objects);
	return 0;
}

int store_attach(struct block_dev *dev, char why[STORE_WHY_LEN])
{
	struct store_dev *s;
	int err = block_claim(dev, "store");

	if (err) {
		ray_snprintf(why, STORE_WHY_LEN, "'%s' is in use", block_ident(dev)->name);
		return err;
	}
	s = store_dev_create(dev);
	if (s) {
		block_ref(dev);
		mutex_lock(&stores_lock);
		err = mount(s, why);
		mutex_unlock(&stores_lock);
	} else {
		err = -RAY_ENOMEM;
		ray_snprintf(why, STORE_WHY_LEN, "%s", ray_strerror(err));
	}
	if (err) {
		if (s)
			block_put(dev);
		kfree(s);
		block_release(dev);
	}
	return err;
}

int store_detach(const char *name, char why[STORE_WHY_LEN])
{
	struct store_dev *s = store_enter(name, why);

	if (!s)
		return -RAY_ENOENT;
	if (!list_empty(&s->open)) {
		ray_snprintf(why, STORE_WHY_LEN, "volumes of '%s' are in use; see `volume list`",
			     s->name);
		store_leave(s);
		return -RAY_EBUSY;
	}
	list_del(&s->node);
	s->quit = true;
	store_leave(s);
	store_wake(s);
	thread_join(s->thread);
	store_unmount(s->st);
	block_release(s->dev);
	block_put(s->dev);
	kfree(s);
	return 0;
}

/* --- taking turns --- */

void store_turn_take(struct store_dev *s)
{
	__atomic_fetch_add(&s->wanted, 1, __ATOMIC_SEQ_CST);
	mutex_lock(&s->lock);
	__atomic_fetch_sub(&s->wanted, 1, __ATOMIC_SEQ_CST);
}

void store_turn_give(struct store_dev *s)
{
	mutex_unlock(&s->lock);
	waitq_wake_all(&s->turn);
}

/* --- finding --- */

struct store_dev *store_enter(const char *name, char why[STORE_WHY_LEN])
{
	struct store_dev *s, *found = NULL;

	mutex_lock(&stores_lock);
	list_for_each_entry(s, &stores, node) {
		if (name ? strcmp(s->name, name) != 0 : found != NULL) {
			if (name)
				continue;
			ray_snprintf(why, STORE_WHY_LEN,
				     "there are several stores; name one, as in %s:NAME", s->name);
			mutex_unlock(&stores_lock);
			return NULL;
		}
		found = s;
	}
	if (found) {
		store_turn_take(found);
		return found;
	}
	mutex_unlock(&stores_lock);
	if (name)
		ray_snprintf(why, STORE_WHY_LEN, "no store is mounted from '%s'; see `volume stores`",
			     name);
	else
		ray_snprintf(why, STORE_WHY_LEN,
			     "no store is mounted; `volume format PARTITION` makes one");
	return NULL;
}

struct store_dev *store_enter_first(void)
{
	struct store_dev *s;

	mutex_lock(&stores_lock);
	s = list_first_entry(&stores, struct store_dev, node);
	if (s)
		store_turn_take(s);
	else
		mutex_unlock(&stores_lock);
	return s;
}

void store_leave(struct store_dev *s)
{
	store_turn_give(s);
	mutex_unlock(&stores_lock);
}

void store_each(void (*each)(struct store_dev *s, void *arg), void *arg)
{
	struct store_dev *s;

	mutex_lock(&stores_lock);
	list_for_each_entry(s, &stores, node) {
		store_turn_take(s);
		each(s, arg);
		store_turn_give(s);
	}
	mutex_unlock(&stores_lock);
}

/* --- at the beginning and at the end --- */

static void keep(struct store_dev *s, void *arg)
{
	int err = store_checkpoint(s->st);

	(void)arg;
	if (err && err != -RAY_EROFS)
		log_err("the store could not be written out: %s disk=%s", ray_strerror(err), s->name);
}

static void stop(enum power_action action, uint64_t deadline_ns)
{
	(void)action;
	(void)deadline_ns;
	store_each(keep, NULL);
}

int store_init(void)
{
	static struct power_stop power = {.name = "stores", .stop = stop};
	struct block_dev *d = NULL;
	char why[STORE_WHY_LEN];

	mutex_init(&stores_lock, LOCK_ORDER_NONE);
	power_stop_add(&power);
	while ((d = block_next(d)) != NULL) {
		int err;

		if (!block_ident(d)->type || strcmp(block_ident(d)->type, "rayos") != 0)
			continue;
		err = store_attach(d, why);
		if (err && err != -RAY_ENOENT)
			log_err("store not mounted: %s disk=%s", why, block_ident(d)->name);
	}
	return 0;
}
