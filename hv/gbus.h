/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest bus: which device answers a port or an MMIO address of a VM.
 * Owns: two sorted range tables per VM. Must not know: devices.
 * Locking: tables are replaced as a whole under vm->lock and read inside an epoch section. A
 * fast call stays in that section; a call that may sleep pins the range by its user count.
 *
 * Each vCPU remembers the range it hit last together with the bus's generation. A range is
 * taken off in this order: out of the table, generation up, then the wait for all sections
 * that are open. Who compares generations inside a section has thus either the new one, and
 * searches, or is waited for.
 */
#ifndef RAYOS_HV_GBUS_H
#define RAYOS_HV_GBUS_H

#include "kernel/lib/types.h"
#include "kernel/sched/thread.h"

struct vcpu;
struct vm;

struct gbus_access {
	uint64_t addr;  /* port or gpa */
	uint32_t offset; /* from the start of the range */
	uint8_t size;   /* 1, 2, 4, 8 bytes; inside the range */
	bool write;
	uint64_t data;  /* in: value written, upper bytes zero; out: value read */
};

struct gbus_range;
/*
 * Serve one access. Returns true when done; a fast range may return false on a call with IRQs
 * off (`fast` true) to be called again from the vCPU's thread with IRQs on.
 * Trust: everything in the access is guest-controlled.
 */
typedef bool (*gbus_fn)(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast);

#define GBUS_F_FAST (1u << 0) /* may be called in the exit handler: IRQs off, no locks */

/*
 * Of a range that is a window for others: the one inside it that holds [addr, addr+size) and
 * the address it begins at; its len says how far it goes. NULL: none. Context: epoch section.
 */
typedef struct gbus_range *(*gbus_inner_fn)(struct gbus_range *r, uint64_t addr,
					    unsigned int size, uint64_t *base);

struct gbus_range {
	uint64_t base;
	uint64_t len;
	gbus_fn fn;
	gbus_inner_fn inner; /* NULL: not a window */
	uint32_t flags; /* GBUS_F_* */
	const char *name;
	uint32_t users; /* threads inside fn; the bus counts */
}; /* embed in the device and use container_of */

struct gbus_table {
	uint32_t count;
	struct epoch_entry epoch;
	struct gbus_range *range[]; /* sorted by base, no overlap */
};

struct gbus {
	struct gbus_table *ports;
	struct gbus_table *mmio;
	uint64_t generation; /* 1.., rises when a range is taken off or moves in its window */
};

/* Where an access went, so that the next one to the same window needs no search. */
struct gbus_hit {
	uint64_t base, len; /* the window: the range, or a part of it */
	uint64_t start;     /* where the range begins, for offsets */
	struct gbus_range *range;
	uint64_t generation; /* 0: none yet */
};

int __must_check gbus_init(struct gbus *b);
void gbus_fini(struct gbus *b);
/** 0, -RAY_EBUSY (overlap), -RAY_ENOMEM, -RAY_EINVAL. The range must outlive gbus_*_del. */
int __must_check gbus_port_add(struct gbus *b, struct gbus_range *r);
int __must_check gbus_mmio_add(struct gbus *b, struct gbus_range *r);
/** On return no CPU is in or will enter r->fn. Context: thread. */
void gbus_port_del(struct gbus *b, struct gbus_range *r);
void gbus_mmio_del(struct gbus *b, struct gbus_range *r);

/** A range inside a window moved or went: what vCPUs remember is void. Who takes one off waits
 *  for open epoch sections afterwards. Context: any. */
void gbus_changed(struct gbus *b);

/** Keep a range found inside an epoch section beyond it, for a call that may sleep. */
static inline void gbus_range_get(struct gbus_range *r)
{
	__atomic_add_fetch(&r->users, 1, __ATOMIC_ACQUIRE);
}
static inline void gbus_range_put(struct gbus_range *r)
{
	__atomic_sub_fetch(&r->users, 1, __ATOMIC_RELEASE);
}

/** Whether the bus is as it was and [addr, addr+size) lies in the window of @h; then h->range
 *  may be used until the end of the section. Context: epoch section. */
static inline bool gbus_hit_holds(const struct gbus *b, const struct gbus_hit *h, uint64_t addr,
				  unsigned int size)
{
	uint64_t off = addr - h->base; /* huge below it */

	return __atomic_load_n(&b->generation, __ATOMIC_ACQUIRE) == h->generation &&
	       off < h->len && size <= h->len - off;
}

/** The range holding [addr, addr+size), or NULL. Context: epoch section. */
struct gbus_range *gbus_port_find(const struct gbus *b, uint32_t port, unsigned int size);
struct gbus_range *gbus_mmio_find(const struct gbus *b, uint64_t gpa, unsigned int size);

#endif
