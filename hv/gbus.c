/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/gbus.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

static struct gbus_table *table_create(uint32_t count)
{
	struct gbus_table *t =
		kzalloc(sizeof(*t) + count * sizeof(struct gbus_range *), MEM_VM);

	if (t != NULL)
		t->count = count;
	return t;
}

static void table_free(struct epoch_entry *e)
{
	kfree(container_of(e, struct gbus_table, epoch));
}

static struct gbus_table *table_load(struct gbus_table *const *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* Readers find either the old or the new table; the old one goes when they have left. */
static void table_replace(struct gbus_table **slot, struct gbus_table *new)
{
	struct gbus_table *old = *slot;

	__atomic_store_n(slot, new, __ATOMIC_RELEASE);
	epoch_call(&old->epoch, table_free);
}

void gbus_changed(struct gbus *b)
{
	__atomic_fetch_add(&b->generation, 1, __ATOMIC_SEQ_CST);
}

int gbus_init(struct gbus *b)
{
	b->ports = table_create(0);
	b->mmio = table_create(0);
	b->generation = 1;
	if (b->ports != NULL && b->mmio != NULL)
		return 0;
	gbus_fini(b);
	return -RAY_ENOMEM;
}

void gbus_fini(struct gbus *b)
{
	kfree(b->ports);
	kfree(b->mmio);
	b->ports = NULL;
	b->mmio = NULL;
}

/* Index of the first range that ends above addr. */
static uint32_t table_search(const struct gbus_table *t, uint64_t addr)
{
	uint32_t lo = 0;
	uint32_t hi = t->count;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct gbus_range *r = t->range[mid];

		if (r->base + (r->len - 1) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int table_add(struct gbus_table **slot, struct gbus_range *r, uint64_t limit)
{
	struct gbus_table *old = *slot;
	uint64_t last;

	if (r->len == 0 || r->fn == NULL || __builtin_add_overflow(r->base, r->len - 1, &last) ||
	    last > limit)
		return -RAY_EINVAL;
	uint32_t at = table_search(old, r->base);
	if (at < old->count && old->range[at]->base <= last)
		return -RAY_EBUSY;
	struct gbus_table *new = table_create(old->count + 1);
	if (new == NULL)
		return -RAY_ENOMEM;
	memcpy(new->range, old->range, at * sizeof(new->range[0]));
	new->range[at] = r;
	memcpy(&new->range[at + 1], &old->range[at], (old->count - at) * sizeof(new->range[0]));
	table_replace(slot, new);
	return 0;
}

static void table_del(struct gbus *b, struct gbus_table *t, struct gbus_range *r)
{
	uint32_t at = table_search(t, r->base);

	if (at == t->count || t->range[at] != r)
		return;
	/* In place: a reader may see a neighbour twice for a moment, never a wrong range. */
	for (uint32_t i = at; i + 1 < t->count; i++)
		__atomic_store_n(&t->range[i], t->range[i + 1], __ATOMIC_RELEASE);
	__atomic_store_n(&t->count, t->count - 1, __ATOMIC_RELEASE);
	gbus_changed(b);
	epoch_synchronize();
	/* No reader finds it any more; those that sleep inside it are few and short. */
	while (__atomic_load_n(&r->users, __ATOMIC_ACQUIRE) != 0)
		thread_yield();
}

int gbus_port_add(struct gbus *b, struct gbus_range *r)
{
	return table_add(&b->ports, r, UINT16_MAX);
}

int gbus_mmio_add(struct gbus *b, struct gbus_range *r)
{
	return table_add(&b->mmio, r, UINT64_MAX);
}

void gbus_port_del(struct gbus *b, struct gbus_range *r)
{
	table_del(b, b->ports, r);
}

void gbus_mmio_del(struct gbus *b, struct gbus_range *r)
{
	table_del(b, b->mmio, r);
}

static struct gbus_range *table_find(const struct gbus_table *t, uint64_t addr, unsigned int size)
{
	uint32_t at = table_search(t, addr);

	if (at == t->count)
		return NULL;
	struct gbus_range *r = t->range[at];
	if (addr < r->base || addr - r->base > r->len || size > r->len - (addr - r->base))
		return NULL;
	return r;
}

struct gbus_range *gbus_port_find(const struct gbus *b, uint32_t port, unsigned int size)
{
	return table_find(table_load(&b->ports), port, size);
}

struct gbus_range *gbus_mmio_find(const struct gbus *b, uint64_t gpa, unsigned int size)
{
	return table_find(table_load(&b->mmio), gpa, size);
}
