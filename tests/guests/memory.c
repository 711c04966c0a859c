/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as a guest sees it.
 *
 *   zeros   report whether all memory reads as zeros, then end
 *   id=N    fill all memory with a pattern of N's own and check it every second for ever,
 *           printing "MEMORY ok N count"; with fault=S, triple-fault after S checks
 */
#include "guest.h"

#define LOW_LIMIT  0x100000ul
#define MAP_LIMIT  (4ul << 30)
#define PAGE       4096ul

typedef void (*page_fn)(uint64_t *page, uint64_t id, uint64_t *bad);

/* Call fn for each page of RAM above the image that the start code has mapped. */
static uint64_t each_page(page_fn fn, uint64_t id, uint64_t *bad)
{
	uint64_t base, len, pages = 0;

	for (unsigned n = 0; memory_range(n, &base, &len); n++) {
		uint64_t at = base, end = base + len;

		if (end <= LOW_LIMIT)
			continue; /* boot information and firmware tables are down there */
		if (at < (uint64_t)(uintptr_t)guest_end)
			at = (uint64_t)(uintptr_t)guest_end;
		at = (at + PAGE - 1) & ~(PAGE - 1);
		if (end > MAP_LIMIT)
			end = MAP_LIMIT;
		for (; at + PAGE <= end; at += PAGE, pages++)
			fn((uint64_t *)(uintptr_t)at, id, bad);
	}
	return pages;
}

static void page_zero(uint64_t *page, uint64_t id, uint64_t *bad)
{
	(void)id;
	for (unsigned i = 0; i < PAGE / sizeof(*page); i++)
		if (page[i])
			++*bad;
}

static uint64_t pattern(const uint64_t *page, uint64_t id)
{
	return (uint64_t)(uintptr_t)page * 0x9e3779b97f4a7c15ul ^ id << 48 ^ id;
}

static void page_fill(uint64_t *page, uint64_t id, uint64_t *bad)
{
	(void)bad;
	page[0] = pattern(page, id);
	page[PAGE / sizeof(*page) - 1] = ~pattern(page, id);
}

static void page_check(uint64_t *page, uint64_t id, uint64_t *bad)
{
	if (page[0] != pattern(page, id) || page[PAGE / sizeof(*page) - 1] != ~pattern(page, id))
		++*bad;
}

/* No IDT and an exception: the CPU shuts down. */
static void __attribute__((noreturn)) triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none;

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	__builtin_unreachable();
}

static void check_for_ever(uint64_t id)
{
	uint64_t bad = 0, fault = cmdline_number("fault", 0), hz, pages;

	x2apic_enable();
	hz = tsc_hz();
	pages = each_page(page_fill, id, &bad);
	print("MEMORY id=%lu pages=%lu tsc_hz=%lu\n", id, pages, hz);
	for (uint64_t count = 1;; count++) {
		sleep_ticks(hz);
		each_page(page_check, id, &bad);
		print("MEMORY %s %lu %lu\n", bad ? "BAD" : "ok", id, count);
		if (bad)
			guest_exit(2);
		if (count == fault)
			triple_fault();
	}
}

void guest_run(void)
{
	uint64_t bad = 0, pages;

	if (cmdline_has("zeros")) {
		pages = each_page(page_zero, 0, &bad);
		print("MEMORY pages=%lu words_not_zero=%lu\n", pages, bad);
		report(pages > 0 && bad == 0, "memory reads as zeros");
		return;
	}
	check_for_ever(cmdline_number("id", 1));
}
