/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/page.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/page_priv.h"
#include "kernel/panic.h"
#include "kernel/sched/spinlock.h"

/*
 * Ten bytes describe a page: eight of links, used while it heads a free block, one of state
 * (head of what), one of content. Content is kept per page and not per block, so that blocks
 * merge whatever their pages hold and the count of dirty pages stays exact.
 */
struct links {
	uint32_t next, prev; /* page numbers; 0 ends a list, as page 0 is never handed out */
};

/* state: 0 inside a block */
#define ST_ORDER 0x1fu
#define ST_FREE  0x40u
#define ST_USED  0x80u

/* content of free pages; of allocated ones C_USED with the mark in the low bits */
#define C_ZERO  1u /* all zero */
#define C_OLD   2u /* held the host's own data */
#define C_DIRTY 3u /* held a guest's data */
#define C_USED  0x80u
/* The same for eight pages read as one number. */
#define X8(c) ((c) * 0x0101010101010101ull)
typedef uint64_t unaligned_u64 __attribute__((aligned(1), may_alias));

struct zone {
	uint64_t first, count; /* page numbers */
	struct links *links;
	uint8_t *state;
	uint8_t *content;
};

enum area { AREA_LOW, AREA_HIGH, AREA_COUNT }; /* below and above 4 GiB */
#define LOW_LIMIT_PAGE (1ull << (32 - PAGE_SHIFT))

#define ORDER_COUNT (PAGE_ORDER_MAX + 1u)
#define SCRUB_CHUNK 512u /* bytes zeroed per step */
#define SCRUB_SEEK  256u /* pages looked at per step */

uint64_t mm_direct_base;

static struct spinlock page_lock = SPINLOCK_INIT(LOCK_ORDER_PAGE);
static struct zone zones[MEMMAP_MAX];
static unsigned int zone_count;
static uint32_t heads[AREA_COUNT][ORDER_COUNT];
static uint64_t pages_total, pages_reserved, pages_free, pages_dirty, pages_zero;
static uint64_t prezero_target; /* pages */

/* Where the scrubber is: a free page and how far into it. */
static struct {
	unsigned int zone;
	uint64_t index; /* in the zone */
	uint32_t done;  /* bytes of that page already zeroed */
} scrub;

static struct zone *zone_find(uint64_t pfn)
{
	unsigned int lo = 0, hi = zone_count;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (pfn < zones[mid].first)
			hi = mid;
		else if (pfn - zones[mid].first >= zones[mid].count)
			lo = mid + 1;
		else
			return &zones[mid];
	}
	return NULL;
}

static void *pfn_va(uint64_t pfn)
{
	return hpa_to_va(HPA(pfn << PAGE_SHIFT));
}

static uint32_t *head_of(uint64_t pfn, unsigned int order)
{
	return &heads[pfn < LOW_LIMIT_PAGE ? AREA_LOW : AREA_HIGH][order];
}

static struct links *links_of(uint64_t pfn)
{
	struct zone *z = zone_find(pfn);

	ASSERT(z);
	return &z->links[pfn - z->first];
}

static void list_push(struct zone *z, uint64_t pfn, unsigned int order)
{
	uint32_t *head = head_of(pfn, order);
	struct links *l = &z->links[pfn - z->first];

	l->prev = 0;
	l->next = *head;
	if (*head)
		links_of(*head)->prev = (uint32_t)pfn;
	*head = (uint32_t)pfn;
	z->state[pfn - z->first] = (uint8_t)(ST_FREE | order);
}

static void list_remove(struct zone *z, uint64_t pfn, unsigned int order)
{
	struct links *l = &z->links[pfn - z->first];

	if (l->next)
		links_of(l->next)->prev = l->prev;
	if (l->prev)
		links_of(l->prev)->next = l->next;
	else
		*head_of(pfn, order) = l->next;
	z->state[pfn - z->first] = 0;
}

/* Put a block on its list, merged with free buddies. Its pages are counted by the caller. */
static void block_release(struct zone *z, uint64_t pfn, unsigned int order)
{
	while (order < PAGE_ORDER_MAX) {
		uint64_t buddy = pfn ^ (1ull << order);

		if (buddy < z->first || buddy - z->first >= z->count ||
		    z->state[buddy - z->first] != (ST_FREE | order))
			break;
		list_remove(z, buddy, order);
		pfn = MIN(pfn, buddy);
		order++;
	}
	list_push(z, pfn, order);
}

/* The smallest free block that is large enough, above 4 GiB first. */
static bool block_find(unsigned int order, unsigned int flags, uint64_t *pfn, unsigned int *found)
{
	for (int area = flags & PAGE_F_LOW ? AREA_LOW : AREA_HIGH; area >= AREA_LOW; area--) {
		for (unsigned int o = order; o < ORDER_COUNT; o++) {
			if (!heads[area][o])
				continue;
			*pfn = heads[area][o];
			*found = o;
			return true;
		}
	}
	return false;
}

static void content_count_out(const uint8_t *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (c[i] == C_DIRTY)
			pages_dirty--;
		else if (c[i] == C_ZERO)
			pages_zero--;
	}
}

/* Account for a block leaving the free pool; its content stays readable under the C_USED bit. */
static void content_take(uint8_t *c, size_t n)
{
	pages_free -= n;
	for (; n >= 8; n -= 8, c += 8) {
		unaligned_u64 *eight = (unaligned_u64 *)(void *)c;

		if (*eight != X8(C_OLD))
			content_count_out(c, 8);
		*eight |= X8(C_USED);
	}
	content_count_out(c, n);
	for (size_t i = 0; i < n; i++)
		c[i] |= C_USED;
}

/* The block is ours: make its pages fit to be handed out. */
static void content_clean(uint64_t pfn, uint8_t *c, size_t n, bool zero)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t was = c[i];

		if (i % 8 == 0 && i + 8 <= n &&
		    *(const unaligned_u64 *)(const void *)(c + i) == X8(C_USED | C_ZERO)) {
			i += 7;
			continue;
		}
		if (was == (C_USED | C_DIRTY) || (zero && was != (C_USED | C_ZERO)))
			memset(pfn_va(pfn + i), 0, PAGE_SIZE);
	}
	memset(c, C_USED, n);
}

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	unsigned int found;
	uint64_t pfn, lock;
	struct zone *z;

	if (order > PAGE_ORDER_MAX)
		return -RAY_ENOMEM;
	lock = spin_lock_irqsave(&page_lock);
	if (!block_find(order, flags, &pfn, &found)) {
		spin_unlock_irqrestore(&page_lock, lock);
		return -RAY_ENOMEM;
	}
	z = zone_find(pfn);
	list_remove(z, pfn, found);
	while (found > order) {
		found--;
		list_push(z, pfn + (1ull << found), found);
	}
	z->state[pfn - z->first] = (uint8_t)(ST_USED | order);
	content_take(&z->content[pfn - z->first], 1ull << order);
	spin_unlock_irqrestore(&page_lock, lock);

	content_clean(pfn, &z->content[pfn - z->first], 1ull << order, flags & PAGE_F_ZERO);
	*out = HPA(pfn << PAGE_SHIFT);
	return 0;
}

static void release(struct zone *z, uint64_t pfn, unsigned int order, uint8_t content)
{
	size_t n = 1ull << order;

	memset(&z->content[pfn - z->first], content, n);
	pages_free += n;
	if (content == C_DIRTY)
		pages_dirty += n;
	block_release(z, pfn, order);
	/* A half-scrubbed page may have been used and dirtied again since. */
	if (&zones[scrub.zone] == z && scrub.index + z->first - pfn < n)
		scrub.done = 0;
}

static void free_as(hpa_t page, unsigned int order, uint8_t content)
{
	uint64_t pfn = page.v >> PAGE_SHIFT;
	struct zone *z = zone_find(pfn);
	uint64_t lock;

	if (!z || !IS_ALIGNED(page.v, PAGE_SIZE))
		panic("page_free of %lx: not a page of RAM", page.v);
	lock = spin_lock_irqsave(&page_lock);
	if (z->state[pfn - z->first] != (ST_USED | order))
		panic("page_free of %lx order %u: not allocated so (state %x)", page.v, order,
		      (unsigned int)z->state[pfn - z->first]);
	release(z, pfn, order, content);
	spin_unlock_irqrestore(&page_lock, lock);
}

void page_free(hpa_t page, unsigned int order)
{
	free_as(page, order, C_OLD);
}

void page_free_dirty(hpa_t page, unsigned int order)
{
	free_as(page, order, C_DIRTY);
}

void page_donate(uint64_t base, uint64_t len)
{
	uint64_t pfn = base >> PAGE_SHIFT, left = len >> PAGE_SHIFT;
	uint64_t lock = spin_lock_irqsave(&page_lock);
	struct zone *z = zone_find(pfn);

	ASSERT(left == 0 || (z && pfn - z->first + left <= z->count));
	while (left) {
		unsigned int order = 0;

		while (order < PAGE_ORDER_MAX && IS_ALIGNED(pfn, 2ull << order) &&
		       (2ull << order) <= left)
			order++;
		ASSERT(z->state[pfn - z->first] == 0 && z->content[pfn - z->first] == C_USED);
		pages_reserved -= 1ull << order;
		release(z, pfn, order, C_OLD);
		pfn += 1ull << order;
		left -= 1ull << order;
	}
	spin_unlock_irqrestore(&page_lock, lock);
}

void page_split(hpa_t page, unsigned int order, unsigned int to)
{
	uint64_t pfn = page.v >> PAGE_SHIFT;
	struct zone *z = zone_find(pfn);
	uint64_t lock = spin_lock_irqsave(&page_lock);

	ASSERT(z && to < order && z->state[pfn - z->first] == (ST_USED | order));
	for (uint64_t i = 0; i < 1ull << order; i += 1ull << to)
		z->state[pfn - z->first + i] = (uint8_t)(ST_USED | to);
	spin_unlock_irqrestore(&page_lock, lock);
}

void page_mark_set(hpa_t page, size_t count, unsigned int mark)
{
	uint64_t pfn = page.v >> PAGE_SHIFT;
	struct zone *z = zone_find(pfn);

	ASSERT(z && mark <= PAGE_MARK_MAX && pfn - z->first + count <= z->count);
	memset(&z->content[pfn - z->first], (int)(C_USED | mark), count);
}

int page_mark_get(hpa_t page)
{
	uint64_t pfn = page.v >> PAGE_SHIFT;
	struct zone *z = zone_find(pfn);
	uint8_t c;

	if (!z)
		return -1;
	c = z->content[pfn - z->first];
	return c & C_USED ? (int)(c & PAGE_MARK_MAX) : -1;
}

void page_note_set(hpa_t page, uint64_t note)
{
	struct links *l = links_of(page.v >> PAGE_SHIFT);

	*l = (struct links){ .next = (uint32_t)note, .prev = (uint32_t)(note >> 32) };
}

uint64_t page_note_get(hpa_t page)
{
	const struct links *l = links_of(page.v >> PAGE_SHIFT);

	return l->next | ((uint64_t)l->prev << 32);
}

/* Runs of RAM of any kind become zones, whose pages may merge into blocks. */
static void zones_find(const struct memmap *m)
{
	for (uint32_t i = 0; i < m->count; i++) {
		uint64_t first = m->r[i].base >> PAGE_SHIFT, n = m->r[i].len >> PAGE_SHIFT;
		struct zone *z = &zones[zone_count];

		if (!memmap_type_is_ram(m->r[i].type))
			continue;
		pages_total += n;
		if (zone_count && z[-1].first + z[-1].count == first) {
			z[-1].count += n;
			continue;
		}
		z->first = first;
		z->count = n;
		zone_count++;
	}
	pages_reserved = pages_total;
}

static void zones_tables(uint8_t *at)
{
	for (unsigned int i = 0; i < zone_count; i++, at += zones[i - 1].count * 8)
		zones[i].links = (struct links *)(void *)at;
	for (unsigned int i = 0; i < zone_count; i++, at += zones[i - 1].count) {
		zones[i].state = at;
		memset(at, 0, zones[i].count);
	}
	for (unsigned int i = 0; i < zone_count; i++, at += zones[i - 1].count) {
		zones[i].content = at;
		memset(at, C_USED, zones[i].count);
	}
}

int page_init(const struct memmap *m)
{
	const struct mem_range *best = NULL;
	uint64_t bytes;

	zones_find(m);
	bytes = ALIGN_UP(pages_total * (sizeof(struct links) + 2), PAGE_SIZE);
	for (uint32_t i = 0; i < m->count; i++)
		if (m->r[i].type == BOOT_MEM_RAM && (!best || m->r[i].len > best->len))
			best = &m->r[i];
	if (!best || best->len < bytes)
		return -RAY_ENOMEM;
	zones_tables(hpa_to_va(HPA(best->base + best->len - bytes)));
	for (uint32_t i = 0; i < m->count; i++)
		if (m->r[i].type == BOOT_MEM_RAM)
			page_donate(m->r[i].base, m->r[i].len - (&m->r[i] == best ? bytes : 0));
	return 0;
}

void page_rebase(uint64_t direct_base)
{
	uint64_t lock = spin_lock_irqsave(&page_lock);
	uint64_t delta = direct_base - mm_direct_base;

	for (unsigned int i = 0; i < zone_count; i++) {
		zones[i].links = (void *)((uint8_t *)zones[i].links + delta);
		zones[i].state += delta;
		zones[i].content += delta;
	}
	mm_direct_base = direct_base;
	spin_unlock_irqrestore(&page_lock, lock);
}

/* Look a little further for a free page of that content. */
static bool scrub_seek(uint8_t content)
{
	struct zone *z = &zones[scrub.zone];
	size_t n = MIN(z->count - scrub.index, SCRUB_SEEK);
	const uint8_t *at = memchr(z->content + scrub.index, content, n);

	scrub.done = 0;
	if (at) {
		scrub.index = (uint64_t)(at - z->content);
		return true;
	}
	scrub.index += n;
	if (scrub.index == z->count) {
		scrub.zone = (scrub.zone + 1) % zone_count;
		scrub.index = 0;
	}
	return false;
}

/* What the next step is to look for, 0 for nothing. */
static uint8_t scrub_wanted(void)
{
	if (pages_dirty)
		return C_DIRTY;
	return pages_zero < pages_free && pages_zero < prezero_target ? C_OLD : 0;
}

static void scrub_chunk(void)
{
	struct zone *z = &zones[scrub.zone];

	memset((uint8_t *)pfn_va(z->first + scrub.index) + scrub.done, 0, SCRUB_CHUNK);
	scrub.done += SCRUB_CHUNK;
	if (scrub.done < PAGE_SIZE)
		return;
	if (z->content[scrub.index] == C_DIRTY)
		pages_dirty--;
	z->content[scrub.index] = C_ZERO;
	pages_zero++;
	scrub.done = 0;
}

bool page_scrub_step(void)
{
	static bool taken;
	uint64_t lock;
	uint8_t wanted;
	bool more;

	/* Read without the lock: the idle loop asks often and the answer is mostly no. One CPU
	 * at a time is enough; many would only wait for each other with interrupts off. */
	if (!scrub_wanted() || __atomic_exchange_n(&taken, true, __ATOMIC_ACQUIRE))
		return false;
	lock = spin_lock_irqsave(&page_lock);
	wanted = scrub_wanted();
	if (wanted && (zones[scrub.zone].content[scrub.index] == wanted || scrub_seek(wanted)))
		scrub_chunk();
	more = scrub_wanted() != 0;
	spin_unlock_irqrestore(&page_lock, lock);
	__atomic_store_n(&taken, false, __ATOMIC_RELEASE);
	return more;
}

void page_prezero_target_set(uint64_t bytes)
{
	prezero_target = bytes >> PAGE_SHIFT;
}

void page_stats_get(struct page_stats *out)
{
	uint64_t lock = spin_lock_irqsave(&page_lock);

	*out = (struct page_stats){
		.total = pages_total << PAGE_SHIFT,
		.free = pages_free << PAGE_SHIFT,
		.dirty = pages_dirty << PAGE_SHIFT,
		.zeroed = pages_zero << PAGE_SHIFT,
		.reserved = pages_reserved << PAGE_SHIFT,
	};
	spin_unlock_irqrestore(&page_lock, lock);
}
