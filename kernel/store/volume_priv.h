/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that connect the store to disks and requests share. */
#ifndef RAYOS_KERNEL_STORE_VOLUME_PRIV_H
#define RAYOS_KERNEL_STORE_VOLUME_PRIV_H

#include "kernel/sched/wait.h"
#include "kernel/store/volume.h"

/*
 * A store that is mounted.
 *
 * `lock` is whose turn it is to change the store. Requests that need no change and nothing from
 * the disk are begun where they are submitted, without it; all others are the thread's.
 *
 * What reads or writes blocks that are part of a volume is counted, in one of two phases: who
 * wants to know that everything that was begun before now is over has the others begin in
 * the other phase and waits for the old one to run out.
 */
struct store_dev {
	struct list_head node; /* of all that are mounted */
	struct block_dev *dev;
	const char *name; /* of the partition */
	struct store *st;
	struct mutex lock;
	struct thread *thread;
	struct waitq wake, drained, turn;
	uint32_t wanted; /* atomic: who waits for `lock`, and goes before the thread */
	struct spinlock queue_lock;
	struct list_head todo;  /* requests for the thread */
	struct list_head wrote; /* whose data is on the disk, to be mapped */
	struct list_head flush; /* to be kept */
	bool quit, reclaim, failed_said;
	bool hold_writes;  /* those to blocks where they are wait for the thread */
	unsigned int phase;
	uint32_t under_way[2];
	struct list_head open; /* volumes; under `lock` */
};

/* What a CPU keeps of a volume for itself. Context: that CPU, IRQs off. */
#define VOLUME_SPARES 32u
struct volume_cpu {
	struct volio *spare; /* memory of requests that are over */
	unsigned int spares;
	uint64_t l;            /* the last piece that was found, from block l on */
	struct store_piece piece; /* n 0: none */
};

struct volume {
	struct list_head node; /* s->open */
	struct store_dev *s;
	struct volume_cpu *cpu; /* by number */
	uint32_t id;
	uint64_t size;
	uint32_t flags; /* STORE_F_*; atomic: STORE_F_PAUSE changes while it is open */
	bool read_only;
	char name[2 * STORE_NAME_MAX + BLOCK_NAME_LEN + 3];
	struct volume_stats stats; /* atomic */
};

/* A part of a request, that is in one piece on the disk. */
struct vpart {
	struct block_req io;
	struct vpart *next;
	unsigned int phase; /* that it is counted in */
	struct store_claim claim; /* n 0: it is written to where it is */
	uint64_t l;               /* block of the volume the claim is for */
	struct block_seg *seg;    /* its own, behind it */
};

/* A request under way. */
struct volio {
	struct list_head node; /* of the store's lists */
	struct volio *spare;   /* while it is nobody's: the next one */
	struct volume *v;
	struct block_req *r;
	uint32_t left; /* atomic: parts under way, and who makes them */
	int err;       /* atomic: the first */
	bool again;    /* the thread has it once more before it is over */
	uint64_t l, n; /* blocks it touches, for the thread */
	struct vpart *parts;
	struct vpart one; /* the part of one that has just one: it has no memory of its own */
};

/** No request is under way any more. Context: thread. */
void volio_spares_free(struct volume *v);
/** It is over. Context: any but NMI. */
void volio_end(struct volio *o, int err);
/** Let the thread have it. Context: any but NMI. */
void volio_queue(struct volio *o, struct list_head *list);
/** Begin it here if that needs neither the disk nor a change of the store. False: it does.
 *  Context: IRQs off. */
bool volio_fast(struct volio *o);
/** Something is under way on blocks of a volume, from now on. Returns: the phase it is counted in. */
unsigned int store_count(struct store_dev *s);
void store_uncount(struct store_dev *s, unsigned int phase);
/** Begin @p, a part of @o, at byte @at of the store's disk. Pre: it is counted, in p->phase. */
void volio_part_begin(struct volio *o, struct vpart *p, uint64_t at);
/** One part, or who makes them, is ready. */
void volio_part_end(struct volio *o, int err);

/** The store's thread. */
void store_thread(void *arg);
void store_wake(struct store_dev *s);
/** All that was begun before is over. Context: thread. */
void store_drain(struct store_dev *s);
/** What it changed is to be kept before it is over. */
static inline bool volio_kept(const struct volio *o)
{
	return o->r->op == BLOCK_WRITE && (o->r->flags & BLOCK_F_FUA) != 0;
}
/** The thread's: do it, whatever it takes. Pre: s->lock */
void volume_slow(struct volio *o);
/** Its parts are written: they are the volume's now. Pre: s->lock */
int volume_map(struct volio *o);

/** Each piece of @len bytes of a request's memory from byte @at on; @done: bytes before it. */
void volio_each(const struct block_req *r, uint64_t at, uint64_t len,
		void (*each)(void *arg, hpa_t addr, uint64_t done, uint64_t n), void *arg);
/* Copies between a request's memory and the kernel's, from byte @at of the request. */
void volio_copy_in(const struct block_req *r, uint64_t at, void *to, uint64_t len);
void volio_copy_out(const struct block_req *r, uint64_t at, const void *from, uint64_t len);
void volio_zero_out(const struct block_req *r, uint64_t at, uint64_t len);

/* --- stores (store_dev.c) --- */

/** The store's turn, for anybody but its thread, which gives way: it may have work without end. */
void store_turn_take(struct store_dev *s);
void store_turn_give(struct store_dev *s);

/** By the name of its partition; NULL: the only one there is. With its lock and that of the list
 *  held until store_leave(). NULL: none, @why says it. Context: thread. */
struct store_dev *store_enter(const char *name, char why[STORE_WHY_LEN]) __must_check;
void store_leave(struct store_dev *s);
/** The same, of the one that was mounted first; NULL: none is. */
struct store_dev *store_enter_first(void) __must_check;
/** Call @each for every store, its lock held. Context: thread. */
void store_each(void (*each)(struct store_dev *s, void *arg), void *arg);
/** Mount what is on a device. Returns: 0, -RAY_EBUSY, -RAY_EEXIST (a copy of it is mounted), as
 *  store_mount(); @why. Context: thread */
int __must_check store_attach(struct block_dev *dev, char why[STORE_WHY_LEN]);
/** Unmount it. -RAY_ENOENT, -RAY_EBUSY (volumes are open); @why. Context: thread. */
int __must_check store_detach(const char *name, char why[STORE_WHY_LEN]);
/** One that is not mounted yet, for a device, and how it reaches that. NULL: no memory. */
struct store_dev *store_dev_create(struct block_dev *dev) __must_check;
struct store_port store_dev_port(struct store_dev *s);

/**
 * What a name means: the store, with its lock held, and the object.
 * Returns: 0; -RAY_ENOENT, -RAY_EINVAL, @why. Trust: name
 */
struct volume_ref {
	struct store_dev *s;
	struct store_entry e; /* of the volume, or of the snapshot */
	struct store_entry of; /* of a snapshot: its volume */
};
int __must_check volume_find(const char *name, struct volume_ref *out, char why[STORE_WHY_LEN]);

#endif
