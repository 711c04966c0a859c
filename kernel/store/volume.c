/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes by name: what a name means, opening and closing. */
#include <string.h>

#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/store/volume_priv.h"

/* "[DISK:]VOLUME[@SNAPSHOT]" */
struct parsed {
	char disk[BLOCK_NAME_LEN], volume[STORE_NAME_MAX + 1], snapshot[STORE_NAME_MAX + 1];
};

static bool part_take(char *out, size_t size, const char *from, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(out, from, len);
	out[len] = '\0';
	return true;
}

static int parse(const char *name, struct parsed *out, char why[STORE_WHY_LEN])
{
	const char *colon = strchr(name, ':'), *at;
	bool good = true;

	memset(out, 0, sizeof(*out));
	if (colon)
		good = part_take(out->disk, sizeof(out->disk), name, (size_t)(colon - name));
	name = colon ? colon + 1 : name;
	at = strchr(name, '@');
	good = good && part_take(out->volume, sizeof(out->volume), name,
				 at ? (size_t)(at - name) : strlen(name));
	if (at)
		good = good && part_take(out->snapshot, sizeof(out->snapshot), at + 1,
					 strlen(at + 1));
	if (good)
		return 0;
	ray_snprintf(why, STORE_WHY_LEN,
		     "a volume is named NAME, NAME@SNAPSHOT or DISK:NAME, of up to %u bytes",
		     STORE_NAME_MAX);
	return -RAY_EINVAL;
}

int volume_find(const char *name, struct volume_ref *out, char why[STORE_WHY_LEN])
{
	struct parsed p;
	int err = parse(name, &p, why);

	if (err)
		return err;
	out->s = store_enter(p.disk[0] ? p.disk : NULL, why);
	if (!out->s)
		return -RAY_ENOENT;
	err = store_lookup(out->s->st, STORE_VOLUME, 0, p.volume, &out->e);
	if (err)
		ray_snprintf(why, STORE_WHY_LEN, "no volume is named '%s'; see `volume list`",
			     p.volume);
	out->of = out->e;
	if (!err && p.snapshot[0]) {
		err = store_lookup(out->s->st, STORE_SNAPSHOT, out->of.id, p.snapshot, &out->e);
		if (err)
			ray_snprintf(why, STORE_WHY_LEN,
				     "'%s' has no snapshot '%s'; see `volume list`", p.volume,
				     p.snapshot);
	}
	if (err)
		store_leave(out->s);
	return err;
}

static struct volume *volume_create(const struct volume_ref *ref, bool read_only)
{
	struct volume *v = kzalloc(sizeof(*v), MEM_STORE);
	bool snapshot = ref->e.kind == STORE_SNAPSHOT;

	if (!v)
		return NULL;
	v->cpu = kcalloc(cpu_count(), sizeof(v->cpu[0]), MEM_STORE);
	if (!v->cpu) {
		kfree(v);
		return NULL;
	}
	v->s = ref->s;
	v->id = ref->e.id;
	v->size = ref->e.size;
	v->flags = ref->e.flags;
	v->read_only = read_only || snapshot;
	ray_snprintf(v->name, sizeof(v->name), "%s:%s%s%s", ref->s->name, ref->of.name,
		     snapshot ? "@" : "", snapshot ? ref->e.name : "");
	return v;
}

static void volume_free(struct volume *v)
{
	volio_spares_free(v);
	kfree(v->cpu);
	kfree(v);
}

int volume_open(const char *name, bool read_only, struct volume **out, char why[STORE_WHY_LEN])
{
	struct volume_ref ref;
	struct volume *v = NULL;
	int err = volume_find(name, &ref, why);

	if (err)
		return err;
	if (ref.e.kind == STORE_VOLUME && ref.e.users > 0) {
		err = -RAY_EBUSY;
		ray_snprintf(why, STORE_WHY_LEN, "volume '%s' is in use", name);
	} else {
		v = volume_create(&ref, read_only);
		err = v ? store_hold(ref.s->st, ref.e.id) : -RAY_ENOMEM;
		ray_snprintf(why, STORE_WHY_LEN, "%s", ray_strerror(err));
	}
	if (!err) {
		list_add_tail(&v->node, &ref.s->open);
		*out = v;
	} else if (v) {
		volume_free(v);
	}
	store_leave(ref.s);
	return err;
}

void volume_close(struct volume *v)
{
	struct store_dev *s = v->s;

	store_turn_take(s);
	store_let_go(s->st, v->id);
	list_del(&v->node);
	store_turn_give(s);
	volume_free(v);
}

uint64_t volume_size(const struct volume *v)
{
	return v->size;
}

bool volume_read_only(const struct volume *v)
{
	return v->read_only;
}

bool volume_waits(const struct volume *v)
{
	return (__atomic_load_n(&v->flags, __ATOMIC_RELAXED) & STORE_F_PAUSE) != 0;
}

const char *volume_name(const struct volume *v)
{
	return v->name;
}

static void begin(void *ctx, struct block_req *r)
{
	volume_submit(ctx, r);
}

int volume_do(struct volume *v, enum block_op op, uint64_t off, void *buf, uint64_t len)
{
	const struct block_seg seg = {.addr = buf ? va_to_hpa(buf) : HPA(0), .len = (uint32_t)len};
	const struct block_req r = {.op = op, .off = off, .len = len, .seg = &seg,
				    .seg_count = buf ? 1 : 0};

	return block_wait(begin, v, &r);
}
