/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of kernel/block/ share.
 * Locking: block_list (a mutex, order BLOCK_LIST) for the registry, claims and references that
 * end; each queue has its own lock (order BLOCK), IRQ-safe, never held over a driver's submit()
 * or a request's done().
 */
#ifndef RAYOS_KERNEL_BLOCK_BLOCK_PRIV_H
#define RAYOS_KERNEL_BLOCK_BLOCK_PRIV_H

#include "kernel/block/block.h"
#include "kernel/device/device.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

struct thread;

struct block_dev {
	struct list_head node;     /* of the registry, by name */
	struct device dev;
	struct block_ident ident;
	struct block_limits limits;
	struct block_queue *queue; /* its disk's */
	struct block_dev *whole;   /* the disk a partition is part of, with a reference; else NULL */
	uint64_t first;            /* of a partition: where it begins, bytes */
	unsigned int part;         /* its number; 0: a whole disk */
	uint32_t refs;             /* atomic */
	enum block_state state;    /* of a disk: queue->lock; of a partition: GONE or LIVE */
	const char *owner;         /* block_list */
	unsigned int parts_owned;  /* of a disk: claims to its partitions */
	struct block_stats stats;  /* atomic, ns_total in TSC ticks */
};

/* Pieces of a command that are not just those of its request, and memory to copy through. */
struct block_room {
	struct block_room *next;
	struct block_seg *seg;  /* limits.segs_max */
	void *bounce;           /* BLOCK_BOUNCE bytes in one piece */
	uint64_t at, len;       /* copied: where in the request, 0 bytes: not */
};
#define BLOCK_BOUNCE KIB(64)
#define BLOCK_ROOMS  8u

struct block_queue {
	struct spinlock lock;
	struct block_dev *dev;      /* the whole disk */
	const struct block_ops *ops;
	void *drv;
	struct pci_dev *pci;
	bool confined;              /* it reaches only what is mapped for it */
	unsigned int depth;
	uint64_t timeout_ns;
	struct block_cmd *cmd;      /* depth of them */
	struct block_room *room;    /* BLOCK_ROOMS of them */
	struct block_room *free_rooms;
	struct list_head free;      /* commands */
	struct list_head waiting;   /* requests, parts of which have no command yet */
	struct list_head again;     /* commands that wait for their turn */
	struct list_head flying;    /* commands the driver has, the oldest first */
	bool full;                  /* the device takes no more until something ends */
	bool stopped;               /* recover() runs */
	int dead;                   /* not 0: every request ends with it */
	uint64_t ended;             /* commands that did, ever */
	uint32_t giving;            /* atomic: calls of submit() under way */
	struct timer timer;         /* looks at deadlines */
	/* The queue's thread. */
	struct thread *thread;
	struct waitq wake;
	uint32_t todo;              /* atomic: BLOCK_TODO_* */
	bool scanned;               /* atomic: its partitions were read, or will not be */
	struct block_fault fault[BLOCK_FAULTS_MAX]; /* left 0: none */
	unsigned int fault_count;
};
#define BLOCK_TODO_TROUBLE BIT(0)
#define BLOCK_TODO_QUIT    BIT(1)
#define BLOCK_TODO_FAULT   BIT(2)

/* tree.c: its place among the host's devices */
void block_tree_enter(struct block_dev *dev, struct device *parent);
void block_tree_leave(struct block_dev *dev);

/* dev.c */
extern struct mutex block_list;
/** As strcmp() orders, but numbers by their value. */
int block_name_order(const char *a, const char *b);
/** Enter a device into the registry under a name that is free. Context: thread. */
void block_register(struct block_dev *dev);
/** Take it out; its registry's reference is dropped. Context: thread. */
void block_deregister(struct block_dev *dev);
/** The partitions of a disk leave. Context: thread. */
void block_parts_leave(struct block_dev *whole);

/* queue.c */
struct block_queue *block_queue_create(struct block_dev *dev, const struct block_init *init)
	__must_check;
/** Pre: nothing is under way, the thread has ended. */
void block_queue_destroy(struct block_queue *q);
/** From now on every request ends with @err; those that wait do so at once. Context: thread. */
void block_queue_kill(struct block_queue *q, int err);
/** Stop giving commands; on return no submit() runs. Context: thread. */
void block_queue_stop(struct block_queue *q);
/** Go on. Context: thread. */
void block_queue_go(struct block_queue *q);

/* merge.c; all with q->lock held */
/** @c was made for all of @r, which is the first that waits: add the requests that continue it. */
void block_merge(struct block_queue *q, struct block_cmd *c, struct block_req *r);
/** A command for @r (NULL: none) and those merged with it is no more: they wait again, each for
 *  its own. */
void block_unmerge(struct block_queue *q, struct block_req *r);
/** It has ended. True: so have they all; false: they wait again, as block_unmerge() has it. */
bool block_merged_end(struct block_queue *q, struct block_req *r, int err);

/* worker.c */
int __must_check block_worker_start(struct block_queue *q);
void block_worker_stop(struct block_queue *q);
void block_worker_init(void);
/** Have the disk's partitions read, once, by a thread of its own. Context: thread. */
void block_scan_start(struct block_queue *q);
/** Wait until that is over. Context: thread. */
void block_scan_wait(struct block_queue *q);
void block_worker_wake(struct block_queue *q, uint32_t todo);

/* fault.c */
/** What is to become of a command; it is counted. Pre: q->lock. */
enum block_fault_kind block_fault_take(struct block_queue *q, const struct block_cmd *c);
/** End what was not given to the device: what is to fail, with @silent all. Context: thread. */
void block_fault_end(struct block_queue *q, bool silent, int err);

/* part.c */
/** Read a disk's partition table and publish what is in it. Context: thread, not the queue's. */
void block_parts_scan(struct block_dev *whole);
struct gpt;
/** gpt_read() of a disk. Context: thread. */
int __must_check block_table_read(struct block_dev *dev, struct gpt *out, char *why,
				  size_t why_len);

/** gpt_repair() of a disk that the caller has claimed. Context: thread. */
int __must_check block_table_repair(struct block_dev *dev, char *what, size_t what_len);
/** Write a table to a whole disk that is claimed. Errors of gpt_write(), -RAY_ENOMEM. Context: thread. */
int __must_check block_table_write(struct block_dev *dev, const struct gpt *table);
/** The disk as gpt.h reads and writes it. */
struct gpt_source block_table_source(struct block_dev *dev);

/** A page of zeros, for who writes them. Context: any. */
extern hpa_t block_zeros;

#endif
