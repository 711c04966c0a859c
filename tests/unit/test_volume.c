/* UNIT: kernel/store/tree.c kernel/store/tree_change.c kernel/store/tree_io.c kernel/store/space.c
 * kernel/store/layer.c kernel/store/object.c kernel/store/map.c kernel/store/sums.c kernel/store/log.c
 * kernel/store/log_record.c kernel/store/op.c kernel/store/change.c kernel/store/mount.c
 * kernel/store/info.c kernel/store/reclaim.c kernel/store/check.c kernel/store/scrub.c kernel/store/volume.c
 * kernel/store/volume_io.c kernel/store/volume_slow.c kernel/store/store_dev.c
 * kernel/store/store_thread.c kernel/store/store_file.c kernel/lib/bitmap.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to volumes: what they see and when they end, on a disk that ends its requests in any
 * order, some of them with errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/marker.h"
#include "kernel/mm/page.h"
#include "kernel/power/power.h"
#include "kernel/store/store_file.h"
#include "kernel/store/volume_priv.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"
#include "tests/host/fake_thread.h"

#define DISK_SIZE MIB(64)
#define SIZE      (MIB(1) + 512) /* of the volume: its last block is not whole */

/* --- what stands below --- */

struct block_dev {
	struct block_ident ident;
	struct block_limits limits;
	const char *owner;
};

static struct block_dev dev = {.ident = {.name = "fake1", .size = DISK_SIZE, .type = "rayos"},
			       .limits = {.logical = 512, .physical = 4096}};
static uint8_t *disk;
static struct block_req *way[256];
static unsigned int way_count, flushes, writes;
static bool at_once;
static int fail_next; /* of data requests */
uint64_t mm_direct_base;

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint16_t)order);
}

hpa_t va_to_hpa(const void *va)
{
	return HPA((uintptr_t)va);
}

void page_stats_get(struct page_stats *out)
{
	*out = (struct page_stats){.total = GIB(1)};
}

void marker_print(enum marker m, const char *fmt, ...)
{
	(void)m;
	(void)fmt;
}

void power_stop_add(struct power_stop *s)
{
	(void)s;
}

uint64_t time_wall_seconds(void)
{
	return 1000;
}

uint64_t time_now(void)
{
	return 0;
}

struct block_dev *block_next(struct block_dev *before)
{
	return before ? NULL : &dev;
}

void block_ref(struct block_dev *d)
{
	(void)d;
}

void block_put(struct block_dev *d)
{
	(void)d;
}

int block_claim(struct block_dev *d, const char *who)
{
	if (d->owner)
		return -RAY_EBUSY;
	d->owner = who;
	return 0;
}

void block_release(struct block_dev *d)
{
	d->owner = NULL;
}

const struct block_ident *block_ident(const struct block_dev *d)
{
	return &d->ident;
}

const struct block_limits *block_limits(const struct block_dev *d)
{
	return &d->limits;
}

int block_read(struct block_dev *d, uint64_t off, void *buf, uint64_t len)
{
	assert(d == &dev && off + len <= DISK_SIZE);
	memcpy(buf, disk + off, len);
	return 0;
}

int block_write(struct block_dev *d, uint64_t off, const void *buf, uint64_t len, uint32_t flags)
{
	assert(d == &dev && off + len <= DISK_SIZE && flags == 0);
	memcpy(disk + off, buf, len);
	writes++;
	return 0;
}

int block_flush(struct block_dev *d)
{
	assert(d == &dev);
	flushes++;
	return 0;
}

static void do_it(const struct block_req *r)
{
	uint64_t off = r->off, sum = 0;

	for (uint32_t i = 0; i < r->seg_count; i++) {
		void *mem = hpa_to_va(r->seg[i].addr);

		assert(r->seg[i].len > 0);
		if (r->op == BLOCK_READ)
			memcpy(mem, disk + off, r->seg[i].len);
		else
			memcpy(disk + off, mem, r->seg[i].len);
		off += r->seg[i].len;
		sum += r->seg[i].len;
	}
	assert(r->op == BLOCK_FLUSH || sum == r->len);
	flushes += r->op == BLOCK_FLUSH;
}

static void way_end(unsigned int i, int err)
{
	struct block_req *r = way[i];

	assert(i < way_count);
	way_count--;
	memmove(&way[i], &way[i + 1], (way_count - i) * sizeof(way[0]));
	if (!err)
		do_it(r);
	r->done(r, err);
}

void block_submit(struct block_dev *d, struct block_req *r)
{
	assert(d == &dev && r->off + r->len <= DISK_SIZE && way_count < ARRAY_SIZE(way));
	way[way_count++] = r;
	if (at_once) {
		int err = fail_next;

		fail_next = 0;
		way_end(way_count - 1, err);
	}
}

/* --- requests --- */

struct request {
	struct block_req r;
	struct block_seg seg[64];
	bool done;
	int err;
};

static struct volume *volume;
static struct store_dev *s;
static char why[STORE_WHY_LEN];
static uint8_t *model, *buf;

static void done(struct block_req *r, int err)
{
	struct request *q = r->owner;

	assert(!q->done);
	q->done = true;
	q->err = err;
}

/* @len bytes from @off, memory in pieces of @piece. */
static void submit(struct request *q, enum block_op op, uint64_t off, uint64_t len, void *mem,
		   uint32_t piece)
{
	uint64_t at = 0;

	memset(q, 0, sizeof(*q));
	q->r = (struct block_req){.op = op, .off = off, .len = len, .seg = q->seg, .done = done,
				  .owner = q};
	while (mem && at < len) {
		uint64_t n = MIN((uint64_t)piece, len - at);

		assert(q->r.seg_count < ARRAY_SIZE(q->seg));
		q->seg[q->r.seg_count++] = (struct block_seg){
			.addr = HPA((uintptr_t)mem + at), .len = (uint32_t)n};
		at += n;
	}
	volume_submit(volume, &q->r);
}

static void wait_for(const struct request *q)
{
	while (!q->done)
		thread_yield();
}

static int run(enum block_op op, uint64_t off, uint64_t len, void *mem)
{
	struct request q;

	submit(&q, op, off, len, mem, (uint32_t)MAX(len / 32, 512ull));
	wait_for(&q);
	return q.err;
}

/* In place of kernel/block/sync.c, with the threads of this test. */
int block_wait(void (*begin_it)(void *ctx, struct block_req *r), void *ctx,
	       const struct block_req *what)
{
	struct request q = {.r = *what};

	q.r.done = done;
	q.r.owner = &q;
	begin_it(ctx, &q.r);
	wait_for(&q);
	return q.err;
}

static void all_equal(void)
{
	assert_int_equal(run(BLOCK_READ, 0, SIZE, buf), 0);
	assert_memory_equal(buf, model, SIZE);
}

static void fill(void *p, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		((uint8_t *)p)[i] = (uint8_t)rand();
}

static void mount_again(void)
{
	assert_int_equal(store_attach(&dev, why), 0);
	assert_int_equal(volume_open("v", false, &volume, why), 0);
	s = volume->s;
}

static void begin_with(uint32_t flags)
{
	struct store_dev *fresh;
	struct store_port port;
	uint32_t id;

	srand(5);
	disk = calloc(1, DISK_SIZE);
	model = calloc(1, SIZE);
	buf = calloc(1, SIZE);
	at_once = true;
	fresh = store_dev_create(&dev);
	port = store_dev_port(fresh);
	assert_int_equal(store_format(&port, (const uint8_t *)"sixteen bytes..."), 0);
	kfree(fresh);
	assert_int_equal(store_init(), 0);
	fresh = store_enter(NULL, why);
	assert_non_null(fresh);
	assert_int_equal(store_create(fresh->st, STORE_VOLUME, "v", SIZE, flags, &id), 0);
	store_leave(fresh);
	assert_int_equal(volume_open("fake1:v", false, &volume, why), 0);
	s = volume->s;
}

static int begin(void **state)
{
	(void)state;
	begin_with(0);
	return 0;
}

static int begin_sums(void **state)
{
	(void)state;
	begin_with(STORE_F_SUMS);
	return 0;
}

static void check(void)
{
	struct store_check c;

	assert_int_equal(store_check(s->st, &c), 0);
	if (c.wrong)
		fail_msg("%lu wrong: %s", (unsigned long)c.wrong, c.first);
	assert_int_equal(s->under_way[0] + s->under_way[1], 0);
}

static int end(void **state)
{
	(void)state;
	check();
	volume_close(volume);
	assert_int_equal(store_detach("fake1", why), 0);
	assert_null(dev.owner);
	assert_int_equal(fake_heap_live, 0);
	free(disk);
	free(model);
	free(buf);
	return 0;
}

/* --- tests --- */

/* Any op at any sectors, some of them after a snapshot: what is read is what was written. */
static void anything(void)
{
	uint8_t *data = malloc(SIZE);

	for (unsigned int i = 0; i < 3000; i++) {
		uint64_t off = (uint64_t)rand() % (SIZE / 512) * 512, len;
		unsigned int what = (unsigned int)rand() % 100;
		uint32_t id;
		char name[16];

		len = ((uint64_t)rand() % (rand() % 8 ? 40 : 400) + 1) * 512;
		len = MIN(len, SIZE - off);
		if (what < 50) {
			fill(data, len);
			assert_int_equal(run(BLOCK_WRITE, off, len, data), 0);
			memcpy(model + off, data, len);
		} else if (what < 80) {
			assert_int_equal(run(BLOCK_READ, off, len, data), 0);
			assert_memory_equal(data, model + off, len);
		} else if (what < 90) {
			assert_int_equal(run(BLOCK_ZERO, off, len, NULL), 0);
			memset(model + off, 0, len);
		} else if (what < 95) {
			assert_int_equal(run(BLOCK_FLUSH, 0, 0, NULL), 0);
		} else if (what < 97) {
			snprintf(name, sizeof(name), "s%u", i);
			mutex_lock(&s->lock);
			assert_int_equal(store_snapshot(s->st, volume->id, name, &id), 0);
			if (rand() % 2)
				assert_int_equal(store_delete(s->st, id), 0);
			s->reclaim = true;
			mutex_unlock(&s->lock);
		} else if (what < 98) {
			assert_int_equal(run(BLOCK_DISCARD, 0, len, NULL), 0);
			assert_int_equal(run(BLOCK_ZERO, 0, len, NULL), 0);
			memset(model, 0, len);
		}
	}
	free(data);
	all_equal();
	check();
}

static void test_anything(void **state)
{
	(void)state;
	anything();
	volume_close(volume);
	assert_int_equal(store_detach("fake1", why), 0);
	mount_again();
	all_equal();
}

static void test_out_of_bounds(void **state)
{
	(void)state;
	assert_int_equal(run(BLOCK_READ, SIZE - 512, 1024, buf), -RAY_ERANGE);
	assert_int_equal(run(BLOCK_READ, 100, 512, buf), -RAY_ERANGE);
	assert_int_equal(run(BLOCK_READ, 0, 100, buf), -RAY_ERANGE);
	assert_int_equal(run(BLOCK_WRITE, UINT64_MAX - 511, 512, buf), -RAY_ERANGE);
	assert_int_equal(run(BLOCK_ZERO, SIZE, 512, NULL), -RAY_ERANGE);
}

/* Writes to blocks that are new, side by side and over each other, ended in any order. */
static void test_overlapping(void **state)
{
	static struct request q[40];
	static uint8_t data[40][16 * 512], before[SIZE];

	(void)state;
	for (unsigned int round = 0; round < 60; round++) {
		unsigned int left = ARRAY_SIZE(q);

		/* Blocks that are its own, that are none, and that are a snapshot's too. */
		assert_int_equal(run(BLOCK_ZERO, round * 8 * 512, 70 * 512, NULL), 0);
		if (round % 3 == 1)
			assert_int_equal(run(BLOCK_WRITE, 0, SIZE, model), 0);
		if (round % 9 == 5) {
			char name[16];
			uint32_t id;

			snprintf(name, sizeof(name), "s%u", round);
			mutex_lock(&s->lock);
			assert_int_equal(store_snapshot(s->st, volume->id, name, &id), 0);
			mutex_unlock(&s->lock);
		}
		assert_int_equal(run(BLOCK_READ, 0, SIZE, before), 0);
		at_once = false;
		for (unsigned int i = 0; i < ARRAY_SIZE(q); i++) {
			uint64_t off = ((uint64_t)rand() % 120 + round * 8) * 512;

			memset(data[i], (int)(i + 1), sizeof(data[i]));
			submit(&q[i], BLOCK_WRITE, off, ((uint64_t)rand() % 16 + 1) * 512, data[i],
			       1024);
			if (rand() % 3 == 0)
				thread_yield();
		}
		while (left > 0) {
			thread_yield();
			if (way_count > 0)
				way_end((unsigned int)rand() % way_count, 0);
			left = 0;
			for (unsigned int i = 0; i < ARRAY_SIZE(q); i++)
				left += !q[i].done;
		}
		/* Each sector is of one that was written there. */
		at_once = true;
		assert_int_equal(run(BLOCK_READ, 0, SIZE, buf), 0);
		for (uint64_t sector = round * 8; sector < round * 8 + 136; sector++) {
			unsigned int by = buf[sector * 512];

			for (unsigned int b = 1; b < 512; b++)
				assert_int_equal(buf[sector * 512 + b], by);
			assert_true(by == before[sector * 512] || (by <= 40 &&
						(sector * 512 >= q[by - 1].r.off &&
						 sector * 512 < q[by - 1].r.off + q[by - 1].r.len)));
		}
		check();
	}
	at_once = true;
}

/* A write that fails leaves what was there; its blocks are free again. */
static void test_errors(void **state)
{
	struct store_space before, after;

	(void)state;
	fill(model, 65536);
	assert_int_equal(run(BLOCK_WRITE, 0, 65536, model), 0);
	store_space_get(s->st, &before);
	fill(buf, 65536);
	fail_next = -RAY_EIO;
	assert_int_equal(run(BLOCK_WRITE, 524288, 65536, buf), -RAY_EIO);
	fail_next = -RAY_EIO;
	assert_int_equal(run(BLOCK_READ, 0, 4096, buf), -RAY_EIO);
	store_space_get(s->st, &after);
	assert_int_equal(before.free, after.free);
	assert_int_equal(after.claimed, 0);
	all_equal();
	assert_int_equal(volume->stats.errors, 2);
	/* For who may wait. */
	assert_int_equal(volume_do(volume, BLOCK_READ, 4096, buf, 8192), 0);
	assert_memory_equal(buf, model + 4096, 8192);
	assert_int_equal(volume_do(volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(volume_do(volume, BLOCK_READ, SIZE, buf, 512), -RAY_ERANGE);
}

/* FUA, and a flush with something to commit: over only when the log is on the disk. */
static void test_kept(void **state)
{
	struct request q;
	unsigned int before;

	(void)state;
	fill(model, 8192);
	before = flushes;
	memset(&q, 0, sizeof(q));
	q.seg[0] = (struct block_seg){.addr = HPA((uintptr_t)model), .len = 8192};
	q.r = (struct block_req){.op = BLOCK_WRITE, .flags = BLOCK_F_FUA, .len = 8192, .seg = q.seg,
				 .seg_count = 1, .done = done, .owner = &q};
	volume_submit(volume, &q.r);
	wait_for(&q);
	assert_int_equal(q.err, 0);
	assert_int_equal(flushes, before + 2);
	assert_false(store_uncommitted(s->st));
	assert_int_equal(run(BLOCK_WRITE, 16384, 8192, model), 0);
	assert_true(store_uncommitted(s->st));
	assert_int_equal(run(BLOCK_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(flushes, before + 4);
	/* A part of a block. */
	q.done = false;
	q.seg[0].len = 512;
	q.r.off = 24576;
	q.r.len = 512;
	volume_submit(volume, &q.r);
	wait_for(&q);
	assert_int_equal(flushes, before + 6);
	before += 2;
	memcpy(model + 24576, model, 512);
	/* Nothing to commit: the disk's own. */
	assert_int_equal(run(BLOCK_WRITE, 16384, 8192, model), 0);
	assert_int_equal(run(BLOCK_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(flushes, before + 5);
	memcpy(model + 16384, model, 8192);
	all_equal();
}

/* While requests to blocks are under way nobody else gets the blocks. */
static void test_drain(void **state)
{
	struct request q;
	uint32_t id;

	(void)state;
	fill(model, 65536);
	assert_int_equal(run(BLOCK_WRITE, 0, 65536, model), 0);
	at_once = false;
	submit(&q, BLOCK_READ, 0, 4096, buf, 4096);
	assert_int_equal(way_count, 1);
	assert_int_equal(s->under_way[s->phase], 1);
	/* A checkpoint would wait for it: it is let end by a thread that is asked to. */
	assert_false(q.done);
	way_end(0, 0);
	assert_true(q.done);
	store_drain(s);
	at_once = true;
	mutex_lock(&s->lock);
	assert_int_equal(store_snapshot(s->st, volume->id, "s", &id), 0);
	assert_int_equal(store_checkpoint(s->st), 0);
	mutex_unlock(&s->lock);
	all_equal();
}

static void test_bad_sums(void **state)
{
	struct store_piece p;

	(void)state;
	fill(model, 65536);
	assert_int_equal(run(BLOCK_WRITE, 0, 65536, model), 0);
	assert_int_equal(store_find_load(s->st, volume->id, 3, 1, &p), 0);
	disk[p.phys * STORE_BLOCK + 77] ^= 4;
	assert_int_equal(run(BLOCK_READ, 0, 3 * 4096, buf), 0);
	assert_int_equal(run(BLOCK_READ, 3 * 4096, 512, buf), -RAY_EIO);
	assert_int_equal(volume->stats.bad_sums, 1);
	/* A part of it cannot be written, all of it can. */
	assert_int_equal(run(BLOCK_WRITE, 3 * 4096, 512, model), -RAY_EIO);
	assert_int_equal(run(BLOCK_WRITE, 3 * 4096, 4096, model + 3 * 4096), 0);
	all_equal();
}

/* Small files: as a whole, over a mount, and never what the disk makes of them. */
static void test_files(void **state)
{
	static uint8_t big[STORE_FILE_MAX], got[STORE_FILE_MAX];
	struct store_entry e;
	struct store_piece p;
	char name[64];
	size_t len;

	(void)state;
	fill(big, sizeof(big));
	assert_int_equal(store_file_next("vm/", NULL, name), -RAY_ENOENT);
	assert_int_equal(store_file_write("vm/a", "first", 5), 0);
	assert_int_equal(store_file_write("vm/b", big, sizeof(big)), 0);
	assert_int_equal(store_file_write("key", "", 0), 0);
	assert_int_equal(store_file_write("vm/a", "second one", 10), 0);
	assert_int_equal(store_file_write("vm/c", big, sizeof(big) + 1), -RAY_E2BIG);
	assert_int_equal(store_file_write("vm c", big, 10), -RAY_EINVAL);
	volume_close(volume);
	assert_int_equal(store_detach("fake1", why), 0);
	assert_int_equal(store_file_read("vm/a", got, &len), -RAY_ENODEV);
	mount_again();
	assert_int_equal(store_file_read("vm/a", got, &len), 0);
	assert_int_equal(len, 10);
	assert_memory_equal(got, "second one", 10);
	assert_int_equal(store_file_read("vm/b", got, &len), 0);
	assert_int_equal(len, sizeof(big));
	assert_memory_equal(got, big, sizeof(big));
	assert_int_equal(store_file_read("key", got, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(store_file_next("vm/", NULL, name), 0);
	assert_string_equal(name, "vm/a");
	assert_int_equal(store_file_next("vm/", name, name), 0);
	assert_string_equal(name, "vm/b");
	assert_int_equal(store_file_next("vm/", name, name), -RAY_ENOENT);
	/* A bit flips. */
	assert_int_equal(store_lookup(s->st, STORE_FILE, 0, "vm/b", &e), 0);
	assert_int_equal(store_find_load(s->st, e.id, 9, 1, &p), 0);
	disk[p.phys * STORE_BLOCK + 5] ^= 1;
	assert_int_equal(store_file_read("vm/b", got, &len), -RAY_EIO);
	assert_int_equal(store_file_write("vm/b", "mended", 6), 0);
	assert_int_equal(store_file_read("vm/b", got, &len), 0);
	assert_int_equal(store_file_delete("vm/b"), 0);
	assert_int_equal(store_file_delete("vm/b"), 0);
	assert_int_equal(store_file_read("vm/b", got, &len), -RAY_ENOENT);
}

static void test_names(void **state)
{
	struct volume *v;
	uint32_t id;

	(void)state;
	assert_int_equal(volume_open("v", false, &v, why), -RAY_EBUSY);
	assert_int_equal(volume_open("nix", false, &v, why), -RAY_ENOENT);
	assert_int_equal(volume_open("sda1:v", false, &v, why), -RAY_ENOENT);
	assert_int_equal(volume_open("", false, &v, why), -RAY_EINVAL);
	assert_int_equal(volume_open(":", false, &v, why), -RAY_EINVAL);
	assert_int_equal(volume_open("v@", false, &v, why), -RAY_EINVAL);
	assert_int_equal(volume_open("v@s", false, &v, why), -RAY_ENOENT);
	mutex_lock(&s->lock);
	assert_int_equal(store_snapshot(s->st, volume->id, "s", &id), 0);
	mutex_unlock(&s->lock);
	assert_int_equal(volume_open("fake1:v@s", false, &v, why), 0);
	assert_true(volume_read_only(v));
	assert_string_equal(volume_name(v), "fake1:v@s");
	assert_int_equal(volume_size(v), SIZE);
	volume_close(v);
	assert_int_equal(store_detach("fake1", why), -RAY_EBUSY);
	assert_int_equal(store_attach(&dev, why), -RAY_EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_anything, begin, end),
		cmocka_unit_test_setup_teardown(test_anything, begin_sums, end),
		cmocka_unit_test_setup_teardown(test_out_of_bounds, begin, end),
		cmocka_unit_test_setup_teardown(test_overlapping, begin, end),
		cmocka_unit_test_setup_teardown(test_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_kept, begin, end),
		cmocka_unit_test_setup_teardown(test_drain, begin, end),
		cmocka_unit_test_setup_teardown(test_bad_sums, begin_sums, end),
		cmocka_unit_test_setup_teardown(test_files, begin, end),
		cmocka_unit_test_setup_teardown(test_names, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
