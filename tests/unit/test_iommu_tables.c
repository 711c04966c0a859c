/* UNIT: kernel/iommu/dmar.c kernel/iommu/ivrs.c */
// SPDX-License-Identifier: Apache-2.0
/* Firmware's tables of IOMMUs: Intel's DMAR and AMD's IVRS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/iommu/dmar.h"
#include "kernel/iommu/ivrs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

static uint8_t table[16384];
static size_t len;

static void begin(void)
{
	memset(table, 0, sizeof(table));
	table[36] = 38; /* DMAR: 39 bits */
	len = 48;
}

static uint8_t *add(const uint8_t *p, size_t n)
{
	uint8_t *at = table + len;

	memcpy(at, p, n);
	len += n;
	return at;
}
#define ADD(...) add((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* From heap blocks of exactly that size, so that the sanitizer sees overreads. */
static int dmar(struct dmar_info *out, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	int err;

	memcpy(copy, table, n);
	err = dmar_parse(copy, n, out);
	free(copy);
	return err;
}

static int ivrs(struct ivrs_info *out, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	int err;

	memcpy(copy, table, n);
	err = ivrs_parse(copy, n, out);
	free(copy);
	return err;
}

static struct dmar_info d;
static struct ivrs_info v;

static void test_dmar(void **state)
{
	(void)state;
	begin();
	/* A unit for a device and a bridge, one for the rest, memory of a USB controller. */
	ADD(0, 0, 34, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0, /* unit */
	    1, 8, 0, 0, 0, 0, 2, 0,                                  /* 00:02.0 */
	    2, 10, 0, 0, 0, 0, 0x1c, 4, 0, 1);                       /* below 00:1c.4 -> xx:00.1 */
	ADD(0, 0, 24, 0, 1, 0, 0, 0, 0, 0x10, 0xd9, 0xfe, 0, 0, 0, 0,
	    3, 8, 0, 0, 2, 0xf0, 0x1f, 0); /* an IOAPIC: not a device */
	ADD(1, 0, 32, 0, 0, 0, 0, 0, 0, 0xe0, 0x7b, 0, 0, 0, 0, 0, 0xff, 0xff, 0x7b, 0, 0, 0, 0, 0,
	    1, 8, 0, 0, 0, 0, 0x14, 0);
	assert_int_equal(dmar(&d, len), 0);
	assert_int_equal(d.address_bits, 39);
	assert_int_equal(d.ignored, 0);
	assert_int_equal(d.unit_count, 2);
	assert_int_equal(d.unit[0].base, 0xfed90000);
	assert_false(d.unit[0].all);
	assert_int_equal(d.unit[0].scopes.count, 2);
	assert_false(d.scope[0].below);
	assert_int_equal(d.scope[0].path[0], 0x10);
	assert_true(d.scope[1].below);
	assert_int_equal(d.scope[1].hops, 2);
	assert_int_equal(d.scope[1].path[0], 0xe4);
	assert_int_equal(d.scope[1].path[1], 1);
	assert_int_equal(d.unit[1].base, 0xfed91000);
	assert_true(d.unit[1].all);
	assert_int_equal(d.unit[1].scopes.count, 0);
	assert_int_equal(d.region_count, 1);
	assert_int_equal(d.region[0].first, 0x7be000);
	assert_int_equal(d.region[0].last, 0x7bffff);
	assert_int_equal(d.scope[d.region[0].scopes.first].path[0], 0xa0);
	/* However it is cut, nothing behind its end is read. */
	for (size_t n = 0; n < len; n++)
		(void)dmar(&d, n);
	assert_int_equal(dmar(&d, 47), -RAY_EPROTO);
	assert_int_equal(dmar(&d, len - 1), -RAY_EPROTO);
	assert_int_equal(dmar(&d, 48), 0);
	assert_int_equal(d.unit_count, 0);
}

static void dmar_bad(size_t at, uint8_t value, int err, uint32_t ignored)
{
	uint8_t was = table[at];

	table[at] = value;
	assert_int_equal(dmar(&d, len), err);
	if (!err)
		assert_int_equal(d.ignored, ignored);
	table[at] = was;
}

static void test_dmar_nonsense(void **state)
{
	(void)state;
	begin();
	ADD(0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 2, 0);
	ADD(1, 0, 24, 0, 0, 0, 0, 0, 0, 0xe0, 0x7b, 0, 0, 0, 0, 0, 0xff, 0xff, 0x7b, 0, 0, 0, 0, 0);
	dmar_bad(50, 3, -RAY_EPROTO, 0);   /* shorter than its head */
	dmar_bad(50, 15, -RAY_EPROTO, 0);  /* than a unit */
	dmar_bad(50, 200, -RAY_EPROTO, 0); /* longer than the table */
	dmar_bad(54, 1, 0, 0);             /* another segment's */
	dmar_bad(56, 1, 0, 1);             /* registers amid a page */
	dmar_bad(65, 5, -RAY_EPROTO, 0);   /* a scope without a way */
	dmar_bad(65, 9, -RAY_EPROTO, 0);   /* one that runs over the end */
	dmar_bad(65, 6, -RAY_EPROTO, 0);   /* no hop, and then half a scope */
	dmar_bad(80, 1, 0, 1);             /* a region amid a page */
	dmar_bad(88, 0xfe, 0, 1);
	dmar_bad(92, 9, 0, 1);             /* of more than 4 GiB */
	dmar_bad(48, 9, 0, 0);             /* a kind nobody knows */
}

static void test_dmar_too_many(void **state)
{
	(void)state;
	begin();
	for (unsigned int i = 0; i < DMAR_UNITS_MAX + 2; i++)
		ADD(0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0);
	for (unsigned int i = 0; i < DMAR_REGIONS_MAX + 3; i++)
		ADD(1, 0, 24, 0, 0, 0, 0, 0, 0, 0xe0, 0x7b, 0, 0, 0, 0, 0, 0xff, 0xff, 0x7b, 0, 0, 0,
		    0, 0);
	assert_int_equal(dmar(&d, len), 0);
	assert_int_equal(d.unit_count, DMAR_UNITS_MAX);
	assert_int_equal(d.region_count, DMAR_REGIONS_MAX);
	assert_int_equal(d.ignored, 5);
	begin();
	ADD(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0);
	for (unsigned int i = 0; i < DMAR_SCOPES_MAX + 4; i++)
		ADD(1, 8, 0, 0, 0, 0, 2, 0);
	ADD(1, 24, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1); /* 9 hops */
	store16(table + 50, (uint16_t)(len - 48));
	assert_int_equal(dmar(&d, len), 0);
	assert_int_equal(d.unit[0].scopes.count, DMAR_SCOPES_MAX);
	assert_int_equal(d.ignored, 5);
}

/* As QEMU and machines have it: an old block, a newer one of the same unit, a region. */
static void ivrs_begin(void)
{
	begin();
	ADD(0x10, 0, 28, 0, 0x10, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    1, 0, 0, 0); /* everybody */
	ADD(0x11, 0, 72, 0, 0x10, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    3, 0x08, 0, 0, 4, 0xff, 0, 0,                    /* 00:01.0 to 00:1f.7 */
	    0x42, 0x00, 2, 0, 0, 0xa0, 0, 0,                 /* 02:00.0 as 00:14.0 */
	    0x48, 0, 0, 0, 0, 0xa0, 0, 1,                    /* an IOAPIC */
	    2, 0x00, 5, 0, 0, 0, 0, 0);                      /* 05:00.0, padding */
	ADD(0x22, 8, 32, 0, 0x08, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0, 0, 0, 0, 0,
	    0, 0x20, 0, 0, 0, 0, 0, 0);
}

static void test_ivrs(void **state)
{
	(void)state;
	ivrs_begin();
	assert_int_equal(ivrs(&v, len), 0);
	assert_int_equal(v.ignored, 0);
	assert_int_equal(v.unit_count, 1);
	assert_int_equal(v.unit[0].base, 0xfed80000);
	assert_int_equal(v.unit[0].id, 0x10);
	assert_int_equal(v.unit[0].type, 0x11);
	/* What the older block said is no more. */
	assert_null(ivrs_range_of(&v, 0x0300));
	assert_null(ivrs_range_of(&v, 0x0007));
	assert_non_null(ivrs_range_of(&v, 0x0008));
	assert_false(ivrs_range_of(&v, 0x00ff)->aliased);
	assert_non_null(ivrs_range_of(&v, 0x0500));
	assert_true(ivrs_range_of(&v, 0x0200)->aliased);
	assert_int_equal(ivrs_range_of(&v, 0x0200)->alias, 0xa0);
	assert_int_equal(v.region_count, 1);
	assert_int_equal(v.region[0].first, 0x7b0000);
	assert_int_equal(v.region[0].last, 0x7b1fff);
	assert_int_equal(v.region[0].id_first, 8);
	assert_int_equal(v.region[0].id_last, 0x10);
	for (size_t n = 0; n < len; n++)
		(void)ivrs(&v, n);
	assert_int_equal(ivrs(&v, 40), -RAY_EPROTO);
	assert_int_equal(ivrs(&v, len - 1), -RAY_EPROTO);
}

static void ivrs_bad(size_t at, uint8_t value, int err, uint32_t ignored)
{
	uint8_t was = table[at];

	table[at] = value;
	assert_int_equal(ivrs(&v, len), err);
	if (!err)
		assert_int_equal(v.ignored, ignored);
	table[at] = was;
}

static void test_ivrs_nonsense(void **state)
{
	const size_t second = 48 + 28, region = second + 72;

	(void)state;
	ivrs_begin();
	ivrs_bad(50, 3, -RAY_EPROTO, 0);
	ivrs_bad(50, 23, -RAY_EPROTO, 0);
	ivrs_bad(51, 9, -RAY_EPROTO, 0);
	ivrs_bad(second + 2, 39, -RAY_EPROTO, 0);
	ivrs_bad(second + 8, 1, 0, 1);              /* registers amid a page */
	ivrs_bad(second + 16, 1, 0, 0);             /* another segment's */
	ivrs_bad(second + 45, 0, 0, 1);             /* a range that ends before it begins */
	ivrs_bad(second + 68, 0xf0, -RAY_EPROTO, 0); /* a name that does not fit */
	ivrs_bad(second + 68, 0xc1, -RAY_EPROTO, 0);
	ivrs_bad(region + 2, 31, -RAY_EPROTO, 0);
	ivrs_bad(region + 17, 8, 0, 1);
	ivrs_bad(region + 25, 0, 0, 1);
	ivrs_bad(region + 29, 1, 0, 1);
	ivrs_bad(region + 6, 0, 0, 1);
	ivrs_bad(region, 0x23, 0, 0);
}

static void test_ivrs_too_many(void **state)
{
	(void)state;
	begin();
	for (uint8_t i = 0; i < IVRS_UNITS_MAX + 2; i++)
		ADD(0x10, 0, 24, 0, i, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(ivrs(&v, len), 0);
	assert_int_equal(v.unit_count, IVRS_UNITS_MAX);
	assert_int_equal(v.ignored, 2);
	begin();
	ADD(0x10, 0, 0, 0, 1, 0, 0x40, 0, 0, 0, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	for (unsigned int i = 0; i < IVRS_RANGES_MAX + 3; i++)
		ADD(2, (uint8_t)i, (uint8_t)(i >> 8), 0);
	store16(table + 50, (uint16_t)(len - 48));
	assert_int_equal(ivrs(&v, len), 0);
	assert_int_equal(v.range_count, IVRS_RANGES_MAX);
	assert_int_equal(v.ignored, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dmar),          cmocka_unit_test(test_dmar_nonsense),
		cmocka_unit_test(test_dmar_too_many), cmocka_unit_test(test_ivrs),
		cmocka_unit_test(test_ivrs_nonsense), cmocka_unit_test(test_ivrs_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
