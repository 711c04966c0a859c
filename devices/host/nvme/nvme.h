/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe: what its files share.
 * Owns: a controller, its queues and namespaces. Must not know: who uses the disks.
 *
 * Locking: each queue's own lock for its submission ring and slots; completions are taken by its
 * interrupt handler alone. c->mend (a mutex) around a reset, of which every namespace's thread
 * may want one. No lock is held over block_cmd_done().
 * Trust: identify data and completion entries are the controller's: each is copied, checked, and
 * what makes no sense means a reset.
 */
#ifndef RAYOS_DEVICES_HOST_NVME_NVME_H
#define RAYOS_DEVICES_HOST_NVME_NVME_H

#include "devices/host/nvme/nvme_regs.h"
#include "kernel/block/block.h"
#include "kernel/dma/dma.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/wait.h"

#define NVME_QUEUES_MAX 16u       /* for I/O */
#define NVME_DEPTH      64u       /* entries of a queue; one less can be under way */
#define NVME_BYTES_MAX  MIB(1)    /* of a command */
#define NVME_PRP_LIST   KIB(2)    /* bytes of a slot's: a list lies in one page */
#define NVME_NS_MAX     16u
#define NVME_DATA_LEN   4096u     /* bytes of what identify and log pages write */

struct nvme;
struct pci_dev;

/* A command under way: a block command, or an administrator's who waits. */
struct nvme_slot {
	struct block_cmd *cmd;
	bool used;
	bool waiting;  /* admin: somebody waits */
	uint16_t status;
	uint32_t result;
};

struct nvme_queue {
	struct nvme *c;
	uint16_t id;      /* 0: admin */
	uint16_t depth;
	struct spinlock lock;
	struct dma_buf sq, cq, prp; /* prp: NVME_PRP_LIST bytes for each slot */
	uint16_t sq_tail, cq_head;
	uint8_t phase;
	bool on;          /* the controller knows it */
	uint16_t free_count;
	uint16_t free[NVME_DEPTH]; /* command identifiers */
	struct nvme_slot slot[NVME_DEPTH];
};

struct nvme_ns {
	struct nvme *c;
	uint32_t nsid;
	uint8_t shift; /* log2 of a block's bytes */
	struct block_dev *dev;
};

struct nvme {
	struct pci_dev *pci;
	void *regs;
	size_t regs_size;
	uint64_t cap;
	uint32_t stride; /* bytes between doorbells */
	struct nvme_queue admin;
	struct nvme_queue *io;
	unsigned int io_count;
	struct waitq wait; /* for admin commands */
	struct mutex admin_lock; /* one admin command at a time, and its data */
	struct dma_buf data;
	struct mutex mend;
	uint32_t resets;
	bool gone;
	bool dsm, zeroes, cache;
	uint64_t bytes_max;
	struct block_ident ident;
	uint32_t refs; /* atomic: namespaces whose disk is not gone yet, and the driver */
	unsigned int ns_count;
	unsigned int number; /* of the controller, in the order they were found in: "nvme1n1" */
	struct nvme_ns ns[NVME_NS_MAX];
};

/* nvme_queue.c */
int __must_check nvme_queue_init(struct nvme_queue *q, struct nvme *c, uint16_t id);
void nvme_queue_fini(struct nvme_queue *q);
/** Empty rings, all slots free. Pre: the controller is off; slots were ended. */
void nvme_queue_reset(struct nvme_queue *q);
/** A free command identifier; -RAY_EAGAIN. Pre: q->lock. */
int nvme_slot_take(struct nvme_queue *q);
void nvme_slot_give(struct nvme_queue *q, uint16_t cid);
/** Hand over the entry whose cid is set. Pre: q->lock. */
void nvme_submit(struct nvme_queue *q, const struct nvme_sqe *e);
/** The queue's interrupt. */
void nvme_interrupt(void *arg);
/** It speaks of what it was never given, or not at all: have it reset. */
void nvme_trouble(struct nvme *c);
/** End everything under way with -RAY_EAGAIN. Pre: the controller is off. Context: thread. */
void nvme_queue_abandon(struct nvme_queue *q);

/* nvme_admin.c */
/** Have an admin command done. @e without cid. 0, -RAY_ETIMEDOUT, -RAY_EIO. Context: thread. */
int __must_check nvme_admin(struct nvme *c, const struct nvme_sqe *e, uint32_t *result);
/** The same with NVME_DATA_LEN bytes that the controller writes, of which @len are wanted. */
int __must_check nvme_admin_read(struct nvme *c, struct nvme_sqe *e, void *data, size_t len);
int __must_check nvme_identify(struct nvme *c, uint32_t cns, uint32_t nsid, void *data);
int __must_check nvme_io_queues_create(struct nvme *c);

/* nvme_ctrl.c */
int __must_check nvme_ctrl_off(struct nvme *c);
/** On, with its admin queue. 0, -RAY_ETIMEDOUT, -RAY_EIO. Context: thread. */
int __must_check nvme_ctrl_on(struct nvme *c);
/** No command is given any more. */
void nvme_queues_off(struct nvme *c);
/** It keeps what it has cached, and is off. 0, -RAY_ETIMEDOUT, -RAY_ENODEV. Context: thread. */
int __must_check nvme_suspend(struct nvme *c);
int __must_check nvme_resume(struct nvme *c);
/** struct block_ops.recover() */
int nvme_recover(void *drv);

/* nvme_io.c */
extern const struct block_ops nvme_block_ops;

/* nvme.c */
void nvme_put(struct nvme *c);

#endif
