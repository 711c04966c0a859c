/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/heap.h"

#include <string.h>

#include "kernel/lib/checked.h"
#include "kernel/lib/list.h"
#include "kernel/mm/page_priv.h"
#include "kernel/panic.h"
#include "kernel/sched/spinlock.h"

/*
 * Small objects live in slabs: a block of pages that starts with its header, a table of what
 * each object is (so that nothing is kept inside free objects, and a wrong kfree() is caught
 * for certain), then the objects. Large ones are whole pages, described by a struct large
 * that is itself a small object and noted at the first page.
 *
 * Pages carry a mark, by which a pointer finds its slab: MARK_SLAB + index in the block.
 */
#define MARK_LARGE  1u /* first page of a large object */
#define MARK_INSIDE 2u
#define MARK_SLAB  16u

static const uint16_t class_sizes[] = { 16,  32,  48,  64,  96,	 128,  192,
					256, 384, 512, 768, 1024, 1536, 2048 };
#define CLASS_COUNT ARRAY_SIZE(class_sizes)
#define SMALL_MAX   2048u

/* Objects of up to this size come from one-page slabs, larger ones from four pages. */
#define ONE_PAGE_MAX	128u
#define SLAB_ORDER_MAX	2u
#define OBJECTS_MAX	UINT16_MAX
#define TAG_FREE	0xffu
#define TAG_META	0xfeu /* the heap's own, not in anybody's account */
#define FREE_LIST_END	UINT16_MAX
#define POISON_FREE	0xdb

struct object {
	uint16_t size; /* as asked for; of a free object the next free index */
	uint8_t tag;   /* enum mem_tag or TAG_* */
	uint8_t pad;
};

struct slab {
	struct list_head node; /* on its class's list while it has room */
	uint8_t *first;	       /* object 0 */
	uint16_t capacity, used;
	uint16_t free; /* first free index */
	uint8_t class;
	uint8_t order;
	struct object objects[];
};

struct large {
	uint64_t pages;
	uint64_t size; /* as asked for */
	enum mem_tag tag;
};

static struct spinlock heap_lock = SPINLOCK_INIT(LOCK_ORDER_HEAP);
static struct list_head partial[CLASS_COUNT]; /* slabs with room */
static struct heap_tag_stats stats[MEM_TAG_COUNT];
static uint64_t footprint_pages;

static const char *const tag_names[MEM_TAG_COUNT] = {
	[MEM_KERNEL] = "kernel", [MEM_THREAD] = "thread", [MEM_IRQ] = "irq",
	[MEM_PCI] = "pci",	 [MEM_ACPI] = "acpi",	  [MEM_SHELL] = "shell",
	[MEM_VM] = "vm",	 [MEM_VDEV] = "vdev",	  [MEM_DRIVER] = "driver", [MEM_DMA] = "dma",
	[MEM_BLOCK] = "block",	 [MEM_STORE] = "store",	  [MEM_NET] = "net",
	[MEM_SECURITY] = "security", [MEM_TPM] = "tpm",	  [MEM_TEST] = "test",
};

void heap_init(void)
{
	for (size_t i = 0; i < CLASS_COUNT; i++)
		list_init(&partial[i]);
}

static void account(unsigned int tag, uint64_t size)
{
	stats[tag].bytes += size;
	stats[tag].allocs++;
	stats[tag].total++;
}

static void unaccount(unsigned int tag, uint64_t size)
{
	stats[tag].bytes -= size;
	stats[tag].allocs--;
}

static unsigned int class_of(size_t bytes)
{
	unsigned int c = 0;

	while (class_sizes[c] < bytes)
		c++;
	return c;
}

static struct slab *slab_create(unsigned int class)
{
	unsigned int order = class_sizes[class] <= ONE_PAGE_MAX ? 0 : SLAB_ORDER_MAX;
	size_t bytes = PAGE_SIZE << order, each = class_sizes[class];
	size_t capacity = (bytes - sizeof(struct slab)) / (each + sizeof(struct object));
	struct slab *s;
	size_t header;
	hpa_t page;

	if (page_alloc(order, 0, &page) != 0)
		return NULL;
	/* The objects start on a 16-byte boundary, which may cost the last of them. */
	header = ALIGN_UP(sizeof(*s) + capacity * sizeof(struct object), 16ul);
	if (header + capacity * each > bytes)
		capacity--;
	s = hpa_to_va(page);
	s->first = (uint8_t *)s + header;
	s->capacity = (uint16_t)capacity;
	s->used = 0;
	s->free = 0;
	s->class = (uint8_t)class;
	s->order = (uint8_t)order;
	for (size_t i = 0; i < capacity; i++)
		s->objects[i] = (struct object){
			.size = i + 1 < capacity ? (uint16_t)(i + 1) : FREE_LIST_END,
			.tag = TAG_FREE,
		};
	for (unsigned int i = 0; i < 1u << order; i++)
		page_mark_set(HPA(page.v + i * PAGE_SIZE), 1, MARK_SLAB + i);
	footprint_pages += 1ull << order;
	list_add(&s->node, &partial[class]);
	return s;
}

static void slab_destroy(struct slab *s)
{
	list_del(&s->node);
	footprint_pages -= 1ull << s->order;
	page_free(va_to_hpa(s), s->order);
}

/* The lock is held. */
static void *object_get(size_t bytes, unsigned int tag)
{
	unsigned int class = class_of(bytes);
	struct slab *s = list_first_entry(&partial[class], struct slab, node);
	struct object *o;
	uint8_t *p;

	if (!s)
		s = slab_create(class);
	if (!s)
		return NULL;
	ASSERT(s->free < s->capacity);
	o = &s->objects[s->free];
	ASSERT(o->tag == TAG_FREE);
	p = s->first + (size_t)s->free * class_sizes[class];
	s->free = o->size;
	*o = (struct object){ .size = (uint16_t)bytes, .tag = (uint8_t)tag };
	if (++s->used == s->capacity)
		list_del(&s->node);
	return p;
}

/* The object that starts at p. */
static struct object *object_at(struct slab *s, const uint8_t *p)
{
	size_t each = class_sizes[s->class];
	size_t offset = (size_t)(p - s->first), i = offset / each;

	if (p < s->first || offset % each != 0 || i >= s->capacity)
		panic("kfree of %016lx: not the start of an object", (uint64_t)(uintptr_t)p);
	if (s->objects[i].tag == TAG_FREE)
		panic("kfree of %016lx: freed already", (uint64_t)(uintptr_t)p);
	return &s->objects[i];
}

static void object_put(struct slab *s, struct object *o)
{
	uint16_t i = (uint16_t)(o - s->objects);

#ifdef RAYOS_DEBUG
	memset(s->first + (size_t)i * class_sizes[s->class], POISON_FREE, class_sizes[s->class]);
#endif
	*o = (struct object){ .size = s->free, .tag = TAG_FREE };
	s->free = i;
	if (s->used-- == s->capacity)
		list_add(&s->node, &partial[s->class]);
	/* One empty slab per class stays, so that a lone object coming and going is cheap. */
	if (s->used == 0 && partial[s->class].next != partial[s->class].prev)
		slab_destroy(s);
}

/* The slab that holds an address, NULL when its page is no slab's. */
static struct slab *slab_of(const void *p)
{
	uint64_t page = ALIGN_DOWN((uint64_t)(uintptr_t)p, PAGE_SIZE);
	int mark = page_mark_get(va_to_hpa((const void *)(uintptr_t)page));

	if (mark < (int)MARK_SLAB || mark >= (int)(MARK_SLAB + (1u << SLAB_ORDER_MAX)))
		return NULL;
	return (struct slab *)(uintptr_t)(page - ((uint64_t)mark - MARK_SLAB) * PAGE_SIZE);
}

/* A run of @pages pages out of the smallest block that holds them; the rest goes back. */
static int run_alloc(uint64_t pages, hpa_t *out)
{
	unsigned int order = 0;
	uint64_t at = 0;
	hpa_t base;
	int err;

	while (order <= PAGE_ORDER_MAX && 1ull << order < pages)
		order++;
	err = page_alloc(order, 0, &base);
	if (err)
		return err;
	*out = base;
	/* Halve: keep what lies in the run, descend where its end falls inside. */
	while (order > 0 && at + (1ull << order) > pages) {
		page_split(HPA(base.v + (at << PAGE_SHIFT)), order, order - 1);
		order--;
		if (pages - at > 1ull << order)
			at += 1ull << order;
		else
			page_free(HPA(base.v + ((at + (1ull << order)) << PAGE_SHIFT)), order);
	}
	return 0;
}

/* The blocks run_alloc() left: falling powers of two. */
static void run_free(hpa_t base, uint64_t pages)
{
	for (unsigned int order = PAGE_ORDER_MAX + 1; order-- > 0;) {
		if (!(pages & (1ull << order)))
			continue;
		page_free(base, order);
		base.v += PAGE_SIZE << order;
	}
}

static void *large_alloc(size_t bytes, enum mem_tag tag)
{
	struct large *l;
	hpa_t base;

	if (bytes > PAGE_SIZE << PAGE_ORDER_MAX)
		return NULL;
	l = object_get(sizeof(*l), TAG_META);
	if (!l)
		return NULL;
	l->pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
	l->size = bytes;
	l->tag = tag;
	if (run_alloc(l->pages, &base) != 0) {
		object_put(slab_of(l), object_at(slab_of(l), (uint8_t *)l));
		return NULL;
	}
	page_mark_set(base, l->pages, MARK_INSIDE);
	page_mark_set(base, 1, MARK_LARGE);
	page_note_set(base, (uint64_t)(uintptr_t)l);
	footprint_pages += l->pages;
	return hpa_to_va(base);
}

static void large_free(const void *p)
{
	hpa_t base = va_to_hpa(p);
	struct large *l;

	if (!IS_ALIGNED((uintptr_t)p, PAGE_SIZE) || page_mark_get(base) != (int)MARK_LARGE)
		panic("kfree of %016lx: not allocated here", (uint64_t)(uintptr_t)p);
	l = (struct large *)(uintptr_t)page_note_get(base);
	unaccount(l->tag, l->size);
	footprint_pages -= l->pages;
	run_free(base, l->pages);
	object_put(slab_of(l), object_at(slab_of(l), (uint8_t *)l));
}

void *kmalloc(size_t bytes, enum mem_tag tag)
{
	/* Whole pages for page multiples, so that they are page aligned. */
	bool small = bytes <= SMALL_MAX;
	uint64_t flags = spin_lock_irqsave(&heap_lock);
	void *p = small ? object_get(bytes, tag) : large_alloc(bytes, tag);

	if (p)
		account(tag, bytes);
	spin_unlock_irqrestore(&heap_lock, flags);
	return p;
}

void *kzalloc(size_t bytes, enum mem_tag tag)
{
	void *p = kmalloc(bytes, tag);

	if (p)
		memset(p, 0, bytes);
	return p;
}

void *kcalloc(size_t n, size_t size, enum mem_tag tag)
{
	uint64_t bytes;

	return checked_mul(n, size, &bytes) == 0 ? kzalloc(bytes, tag) : NULL;
}

void kfree(void *p)
{
	struct slab *s;
	struct object *o;
	uint64_t flags;

	if (!p)
		return;
	flags = spin_lock_irqsave(&heap_lock);
	s = slab_of(p);
	if (s) {
		o = object_at(s, p);
		if (o->tag == TAG_META)
			panic("kfree of %016lx: the heap's own", (uint64_t)(uintptr_t)p);
		unaccount(o->tag, o->size);
		object_put(s, o);
	} else {
		large_free(p);
	}
	spin_unlock_irqrestore(&heap_lock, flags);
}

void heap_stats_get(enum mem_tag tag, struct heap_tag_stats *out)
{
	uint64_t flags = spin_lock_irqsave(&heap_lock);

	*out = stats[tag];
	out->name = tag_names[tag];
	spin_unlock_irqrestore(&heap_lock, flags);
}

uint64_t heap_footprint(void)
{
	return __atomic_load_n(&footprint_pages, __ATOMIC_RELAXED) << PAGE_SHIFT;
}
