/* UNIT: kernel/store/tree.c kernel/store/tree_change.c kernel/store/tree_io.c kernel/store/space.c
 * kernel/store/layer.c kernel/store/object.c kernel/store/map.c kernel/store/sums.c kernel/store/log.c
 * kernel/store/log_record.c kernel/store/op.c kernel/store/change.c kernel/store/mount.c
 * kernel/store/info.c kernel/store/reclaim.c kernel/store/check.c kernel/store/scrub.c kernel/lib/bitmap.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Power goes at a write, any of them: what was not flushed is on the disk in part, in any order,
 * torn at sectors. The store then is one that existed, not older than the last commit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"
#include "tests/host/fake_store.h"

#define OBJECTS  12
#define BLOCKS   64
#define STATES   64
#define IN_PLACE 256

struct thing {
	uint32_t id, from; /* from: whose contents it began with */
	enum store_kind kind;
	uint32_t origin;
	char name[16];
	uint64_t tag[BLOCKS];
};

struct model {
	unsigned int count;
	struct thing thing[OBJECTS];
};

static struct fake_store disk, durable, cut;
static struct store *st;
static struct model state[STATES]; /* [0]: committed; the last: now */
static unsigned int states;
static struct {
	uint32_t id;
	uint64_t l, tag;
} in_place[IN_PLACE];
static unsigned int in_places;
static uint64_t next_tag, next_name;
static unsigned int cuts, bad_cuts, every;
static char first_bad[256];
static const uint8_t uuid[16] = "store of a test";

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	memset(l, 0, sizeof(*l));
	l->order = (uint16_t)order;
}

/* --- what a cut left --- */

static bool tag_fits(const struct thing *t, uint64_t l, uint64_t tag)
{
	if (tag == t->tag[l])
		return true;
	for (unsigned int i = 0; i < in_places; i++) {
		if (in_place[i].tag == tag && in_place[i].l == l &&
		    (in_place[i].id == t->id || in_place[i].id == t->from))
			return true;
	}
	return false;
}

static bool contents_fit(struct store *s, const struct thing *t)
{
	uint8_t buf[STORE_BLOCK];

	for (uint64_t l = 0; l < BLOCKS; l++) {
		struct store_piece p;

		if (store_find_load(s, t->id, l, 1, &p))
			return false;
		memset(buf, 0, sizeof(buf));
		if (p.kind == STORE_PIECE_DATA && fake_store_read(&cut, p.phys, buf, 1))
			return false;
		for (unsigned int i = 0; i < STORE_BLOCK; i += FAKE_STORE_SECTOR) {
			uint64_t tag;

			memcpy(&tag, buf + i, sizeof(tag));
			if (!tag_fits(t, l, tag))
				return false;
		}
	}
	return true;
}

static bool state_fits(struct store *s, const struct model *m)
{
	struct store_entry e;
	unsigned int n = 0;

	for (uint32_t id = 0; store_next(s, id, &e) == 0; id = e.id)
		n++;
	if (n != m->count)
		return false;
	for (unsigned int i = 0; i < m->count; i++) {
		const struct thing *t = &m->thing[i];

		if (store_entry(s, t->id, &e) || e.kind != t->kind || e.origin != t->origin ||
		    strcmp(e.name, t->name) != 0 || !contents_fit(s, t))
			return false;
	}
	return true;
}

static void bad(const char *what, const char *more)
{
	if (bad_cuts++ == 0)
		snprintf(first_bad, sizeof(first_bad), "cut %u at write %lu: %s: %s", cuts,
			 disk.writes, what, more);
}

static void cut_look(void)
{
	const struct store_port port = fake_store_port(&cut);
	struct store *s = NULL;
	struct store_check c;
	char why[STORE_WHY_LEN];
	bool fits = false;

	if (store_mount(&port, false, 512, &s, why)) {
		bad("mount", why);
		return;
	}
	if (store_check(s, &c) || c.wrong)
		bad("check", c.first);
	for (unsigned int i = 0; i < states && !fits; i++)
		fits = state_fits(s, &state[i]);
	if (!fits)
		bad("contents", "no state that existed");
	store_unmount(s);
}

static void power_goes(void *arg)
{
	static const unsigned int chances[] = {0, 64, 128, 192, 256};

	(void)arg;
	if (rand() % every != 0)
		return;
	cuts++;
	fake_store_cut(&cut, &durable, &disk, chances[(unsigned int)rand() % ARRAY_SIZE(chances)]);
	cut_look();
	fake_store_free(&cut);
}

/* --- a load --- */

static struct model *now(void)
{
	return &state[states - 1];
}

static struct model *step(void)
{
	assert_in_range(states, 1, STATES - 1);
	state[states] = state[states - 1];
	states++;
	return now();
}

static void committed(void)
{
	state[0] = *now();
	states = 1;
	in_places = 0;
}

static struct thing *pick(struct model *m, enum store_kind kind)
{
	for (unsigned int i = 0, at = (unsigned int)rand(); i < m->count; i++) {
		struct thing *t = &m->thing[(at + i) % m->count];

		if (t->kind == kind)
			return t;
	}
	return NULL;
}

static void forget(struct model *m, struct thing *t)
{
	*t = m->thing[--m->count];
}

static void write_some(struct thing *t)
{
	uint64_t l = (uint64_t)rand() % BLOCKS, tag = ++next_tag, n = (uint64_t)rand() % 6 + 1;
	uint8_t buf[STORE_BLOCK];
	struct store_piece p;
	struct store_claim c;
	struct model *m;
	uint32_t id = t->id;

	assert_int_equal(store_find_load(st, id, l, 1, &p), 0);
	for (unsigned int i = 0; i < STORE_BLOCK; i += 8)
		memcpy(buf + i, &tag, 8);
	if (p.kind == STORE_PIECE_DATA && p.own) {
		m = step();
		in_place[in_places].id = id;
		in_place[in_places].l = l;
		in_place[in_places++].tag = tag;
		t = pick(m, STORE_VOLUME);
		for (unsigned int i = 0; i < m->count; i++) {
			if (m->thing[i].id == id)
				m->thing[i].tag[l] = tag;
		}
		assert_int_equal(fake_store_write(&disk, p.phys, buf, 1), 0);
		return;
	}
	n = MIN(n, BLOCKS - l);
	assert_int_equal(store_claim_wait(st, (uint32_t)n, &c), 0);
	for (unsigned int i = 0; i < c.n; i++)
		assert_int_equal(fake_store_write(&disk, c.phys + i, buf, 1), 0);
	m = step();
	for (unsigned int i = 0; i < m->count; i++) {
		for (unsigned int j = 0; m->thing[i].id == id && j < c.n; j++)
			m->thing[i].tag[l + j] = tag;
	}
	assert_int_equal(store_map(st, id, l, &c, NULL), 0);
}

static void discard_some(const struct thing *t)
{
	uint64_t l = (uint64_t)rand() % BLOCKS, n = (uint64_t)rand() % 20 + 1;
	struct model *m = step();
	uint32_t id = t->id;

	n = MIN(n, BLOCKS - l);
	for (unsigned int i = 0; i < m->count; i++) {
		if (m->thing[i].id == id)
			memset(&m->thing[i].tag[l], 0, n * sizeof(uint64_t));
	}
	assert_int_equal(store_unmap(st, id, l, n), 0);
}

static struct thing *added(struct model *m, const struct thing *from, enum store_kind kind)
{
	struct thing *t = &m->thing[m->count++];

	memset(t, 0, sizeof(*t));
	if (from)
		*t = *from;
	t->from = from ? from->id : 0;
	t->kind = kind;
	t->origin = kind == STORE_SNAPSHOT ? from->id : 0;
	snprintf(t->name, sizeof(t->name), "n%lu", (unsigned long)next_name++);
	return t;
}

/* The model is a step ahead while the store does it: either may be what a cut leaves. */
static void new_thing(unsigned int what)
{
	struct model *m;
	struct thing *t, *from;

	if (now()->count == OBJECTS)
		return;
	m = step();
	from = pick(m, what == 2 && rand() % 2 ? STORE_SNAPSHOT : STORE_VOLUME);
	if (what == 0 || !from) {
		t = added(m, NULL, STORE_VOLUME);
		t->id = 0;
		/* Its number is the next one; it is known when it is done. */
		state[states - 1].count--;
		assert_int_equal(store_create(st, STORE_VOLUME, t->name, BLOCKS * STORE_BLOCK, 0,
					      &t->id), 0);
		m->count++;
	} else if (what == 1) {
		t = added(m, from, STORE_SNAPSHOT);
		m->count--;
		assert_int_equal(store_snapshot(st, from->id, t->name, &t->id), 0);
		m->count++;
	} else {
		t = added(m, from, STORE_VOLUME);
		m->count--;
		assert_int_equal(store_clone(st, from->id, t->name, &t->id), 0);
		m->count++;
	}
}

static void delete_one(enum store_kind kind)
{
	struct model *m = now();
	struct thing *t = pick(m, kind);
	uint32_t id = t ? t->id : 0;
	int err;

	if (!t)
		return;
	/* Not before: a checkpoint within may keep the state before. */
	err = store_delete(st, id);
	if (err == -RAY_EBUSY)
		return;
	assert_int_equal(err, 0);
	m = step();
	for (unsigned int i = 0; i < m->count; i++) {
		if (m->thing[i].id == id)
			forget(m, &m->thing[i]);
	}
}

static void roll_back(void)
{
	struct model *m;
	struct thing *s = pick(now(), STORE_SNAPSHOT);
	uint32_t id = s ? s->origin : 0;

	if (!s)
		return;
	m = step();
	for (unsigned int i = 0; i < m->count; i++) {
		if (m->thing[i].id == id) {
			memcpy(m->thing[i].tag, s->tag, sizeof(s->tag));
			m->thing[i].from = s->id;
		}
	}
	assert_int_equal(store_rollback(st, id, s->id), 0);
}

static void rename_one(void)
{
	struct model *m;
	struct thing *t;

	if (!pick(now(), STORE_VOLUME))
		return;
	m = step();
	t = pick(m, STORE_VOLUME);
	snprintf(t->name, sizeof(t->name), "r%lu", (unsigned long)next_name++);
	assert_int_equal(store_rename(st, t->id, t->name), 0);
}

static void live_check(void)
{
	struct store_check c;

	assert_int_equal(store_check(st, &c), 0);
	if (c.wrong)
		fail_msg("the store itself: %s", c.first);
}

static void something(void)
{
	unsigned int r = (unsigned int)rand() % 100;
	struct thing *v = pick(now(), STORE_VOLUME);

	if (!v || r < 3)
		new_thing(0);
	else if (r < 60)
		write_some(v);
	else if (r < 68)
		discard_some(v);
	else if (r < 74)
		new_thing(1);
	else if (r < 77)
		new_thing(2);
	else if (r < 83)
		delete_one(rand() % 4 ? STORE_SNAPSHOT : STORE_VOLUME);
	else if (r < 85)
		roll_back();
	else if (r < 87)
		rename_one();
	else if (r < 90)
		assert_in_range(store_reclaim(st), 0, 1);
	if (r >= 90 || states > STATES - 4 || in_places > IN_PLACE - 4) {
		assert_int_equal(r < 93 ? store_checkpoint(st) : store_commit(st), 0);
		committed();
	}
}

static void run(unsigned int seed, unsigned int steps, unsigned int lies)
{
	const struct store_port port = fake_store_port(&disk);
	char why[STORE_WHY_LEN];

	srand(seed);
	memset(&disk, 0, sizeof(disk));
	memset(&durable, 0, sizeof(durable));
	memset(state, 0, sizeof(state));
	states = 1;
	in_places = cuts = bad_cuts = 0;
	fake_store_cached = &durable;
	disk.keep_pending = true;
	assert_int_equal(store_format(&port, uuid), 0);
	assert_int_equal(store_mount(&port, false, 512, &st, why), 0);
	disk.before_write = power_goes;
	disk.log_end = 1 + 2 * 64;
	disk.lies = lies;
	for (unsigned int i = 0; i < steps && !(lies && bad_cuts); i++) {
		something();
		if (i % 64 == 0)
			live_check();
	}
	disk.before_write = NULL;
	store_unmount(st);
	fake_store_free(&disk);
	fake_store_free(&durable);
	assert_int_equal(fake_heap_live, 0);
}

static void test_any_write(void **state_)
{
	unsigned int all = 0;

	(void)state_;
	for (unsigned int seed = 1; seed <= 6; seed++) {
		every = seed <= 2 ? 1 : 4;
		run(seed, seed <= 2 ? 200 : 900, 0);
		all += cuts;
		if (bad_cuts)
			fail_msg("seed %u: %u of %u cuts: %s", seed, bad_cuts, cuts, first_bad);
	}
	print_message("%u cuts\n", all);
	assert_in_range(all, 2000, 100000);
}

/* Each kind of flush is needed: without it there are cuts that lose something. */
static void test_flushes_are_needed(void **state_)
{
	static const unsigned int lies[] = {FAKE_LIE_DATA, FAKE_LIE_LOG, FAKE_LIE_SUPER};

	(void)state_;
	for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
		every = 4;
		run(11, 3000, lies[i]);
		if (!bad_cuts)
			fail_msg("flushes of kind %u did nothing, %u cuts did not show it", lies[i],
				 cuts);
		print_message("without flushes of kind %u: %s\n", lies[i], first_bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_write),
		cmocka_unit_test(test_flushes_are_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
