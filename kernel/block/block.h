/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices: what a driver publishes, what partitions are made of, and the requests that
 * reach them.
 * Owns: the registry, queueing when a device is full, splitting and bouncing to what a device can
 * take, deadlines and repeats, statistics, injected faults. Must not know: any driver,
 * file formats, guests.
 *
 * Asynchronous throughout. A request belongs to who submits it until its done() is called, then
 * again. Requests under way have no order among each other. A flush covers the writes that were
 * done (done() called, without error) before it was submitted; a write with BLOCK_F_FUA is kept
 * when it is done. Whoever needs order waits, or flushes.
 *
 * Memory is named by physical address, for DMA. It stays where it is, pinned by the submitter,
 * until done(). Payload may change meanwhile; nothing is decided from it.
 *
 * Context: block_submit() may be called with IRQs off and from done(). done() runs with IRQs
 * off, on any CPU, perhaps before block_submit() returns; it must not sleep.
 */
#ifndef RAYOS_KERNEL_BLOCK_BLOCK_H
#define RAYOS_KERNEL_BLOCK_BLOCK_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/time/time.h"

#define BLOCK_NAME_LEN 24u /* "nvme0n1p2" and its end */
#define BLOCK_TEXT_LEN 48u /* model and serial number, as text that prints */

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,   /* all that is done is kept even when power fails now */
	BLOCK_DISCARD, /* contents no longer matter; a hint, anything may be read afterwards */
	BLOCK_ZERO,    /* reads as zeros afterwards */
	BLOCK_OP_COUNT
};

#define BLOCK_F_FUA   BIT(0) /* of BLOCK_WRITE: kept, by itself, when it is done */
#define BLOCK_F_UNMAP BIT(1) /* of BLOCK_ZERO: the space may be given back */

/* A piece of memory, contiguous. */
struct block_seg {
	hpa_t addr;
	uint32_t len; /* bytes, > 0 */
};

struct block_dev;
struct block_req;

/**
 * @err  0; -RAY_EIO: the device could not, after all repeats; -RAY_ENODEV: it is gone;
 *       -RAY_ECANCELED; after an error any part of the request may have been done
 */
typedef void (*block_done_fn)(struct block_req *r, int err);

struct block_req {
	/* The submitter's, unchanged by the layer. */
	enum block_op op;
	uint32_t flags;              /* BLOCK_F_* */
	uint64_t off, len;           /* bytes, whole logical blocks inside the device; 0 for a flush */
	const struct block_seg *seg; /* of READ and WRITE: pieces of len bytes in all */
	uint32_t seg_count;
	block_done_fn done;
	void *owner;
	/* The layer's while the request is under way. */
	struct list_head node;
	struct block_dev *dev;
	uint64_t start;   /* TSC */
	uint64_t base;    /* of a partition, bytes */
	uint64_t issued;  /* bytes that commands were made for */
	uint32_t seg_at, seg_off; /* the piece at `issued`, and how far into it */
	uint32_t parts;   /* commands still under way for it */
	bool alone;       /* a command for it and others failed */
	struct block_req *merged; /* the next of those that its command is for, too */
	bool flushing;    /* written, now the flush that its BLOCK_F_FUA asks for */
	int err;
};

/**
 * Begin a request. It ends by done(), in every case.
 * Pre: the caller holds a reference to @dev. Context: thread, exit handler, done(); IRQs any.
 * Trust: off and len are checked here (-RAY_ERANGE by done()); memory is the caller's word.
 */
void block_submit(struct block_dev *dev, struct block_req *r);

/**
 * The same for who may wait, with memory of the kernel's own (heap, direct map, vmap_alloc()).
 * @buf  of READ and WRITE: @len bytes, whole logical blocks
 * Returns: what done() was given, -RAY_ENOMEM. Context: thread, IRQs on, no spinlock.
 */
int __must_check block_read(struct block_dev *dev, uint64_t off, void *buf, uint64_t len);
int __must_check block_write(struct block_dev *dev, uint64_t off, const void *buf, uint64_t len,
			     uint32_t flags);
int __must_check block_flush(struct block_dev *dev);
int __must_check block_discard(struct block_dev *dev, uint64_t off, uint64_t len);

/**
 * Begin a request like @what and wait for its end; @begin gives it to whoever takes requests.
 * Returns: what done() was given. Context: thread, IRQs on, no spinlock.
 */
int __must_check block_wait(void (*begin)(void *ctx, struct block_req *r), void *ctx,
			    const struct block_req *what);

/* --- devices, for those who use them --- */

struct block_limits {
	uint32_t logical;      /* bytes: the unit of off and len; a power of two, 512 to 4096 */
	uint32_t physical;     /* bytes it writes without reading before; a multiple of logical */
	uint32_t bytes_max;    /* of one command; a multiple of logical */
	uint32_t segs_max;     /* of one command */
	uint32_t seg_len_max;  /* bytes; 0: no limit */
	uint32_t seg_align;    /* mask of address bits that must be 0: 3 for words */
	uint32_t page;         /* not 0: all pieces but the first begin, all but the last end, at a
				* multiple of so many bytes (NVMe PRP) */
	uint64_t dma_max;      /* highest physical address it reaches */
	uint32_t discard_granule; /* bytes; 0: BLOCK_DISCARD does nothing */
	uint64_t discard_max, zero_max; /* bytes of one command; 0: the layer writes zeros itself */
	bool fua;              /* else a flush follows the write */
	bool cache;            /* volatile write cache; else BLOCK_FLUSH does nothing */
	bool read_only;
};

enum block_state {
	BLOCK_LIVE,
	BLOCK_FAILED, /* its driver gave it up: every request ends with -RAY_EIO */
	BLOCK_GONE,   /* unplugged: -RAY_ENODEV */
};

struct block_stats {
	uint64_t ops[BLOCK_OP_COUNT], bytes[BLOCK_OP_COUNT];
	uint64_t errors, repeats, timeouts, split, merged, bounced, queued;
	uint64_t ns_total[BLOCK_OP_COUNT]; /* from submission to done */
	uint32_t in_flight;
};

/* What a disk says of itself. */
struct block_health {
	bool failing;            /* the device itself says so */
	uint8_t wear_percent;    /* of its rated endurance */
	int16_t celsius;         /* INT16_MIN: it does not say */
	uint64_t power_on_hours, media_errors, unsafe_shutdowns, bytes_read, bytes_written;
};

/* What it is, as it was published; constant. */
struct block_ident {
	char name[BLOCK_NAME_LEN];
	char model[BLOCK_TEXT_LEN], serial[BLOCK_TEXT_LEN], firmware[16];
	const char *driver; /* "nvme" */
	const char *type;   /* of a partition: "rayos", "efi"; "": not known; NULL: no partition */
	uint64_t size;      /* bytes, whole logical blocks */
};

/** By name ("nvme0n1", "nvme0n1p2"), with a reference; NULL. Context: thread. */
struct block_dev *block_get(const char *name);
/** One more reference / one less; the last one frees a device that is gone. */
void block_ref(struct block_dev *dev);
void block_put(struct block_dev *dev);
/**
 * Devices in the order of their names, partitions behind their disk: give the one before (or
 * NULL), take the next with a reference; the one before loses its own.
 */
struct block_dev *block_next(struct block_dev *before);

const struct block_ident *block_ident(const struct block_dev *dev);
const struct block_limits *block_limits(const struct block_dev *dev);
enum block_state block_state(const struct block_dev *dev);
void block_stats_get(const struct block_dev *dev, struct block_stats *out);
/** What the disk says of its own health. 0, -RAY_ENOSYS (it says nothing), errors of its driver.
 *  Context: thread. */
int __must_check block_health_get(struct block_dev *dev, struct block_health *out);

/**
 * Take a device for oneself: the store its partition, an importer its source.
 * @who  static text, shown to people
 * Returns: 0, -RAY_EBUSY (taken; a whole disk is taken while one of its partitions is, and the
 *          other way round), -RAY_ENODEV
 */
int __must_check block_claim(struct block_dev *dev, const char *who);
void block_release(struct block_dev *dev);
const char *block_owner(const struct block_dev *dev); /* NULL: nobody */

/* --- faults on demand --- */

enum block_fault_kind {
	BLOCK_FAULT_NONE,
	BLOCK_FAULT_ERROR,  /* the command fails, the device is not asked */
	BLOCK_FAULT_SILENT, /* no answer comes: its deadline passes, the device is reset */
};
#define BLOCK_FAULTS_MAX   8u
#define BLOCK_FAULT_ALWAYS UINT32_MAX

struct block_fault {
	enum block_fault_kind kind; /* ERROR or SILENT */
	uint32_t ops;      /* BIT(enum block_op) each; a flush matches whatever the range */
	uint64_t off, len; /* bytes of the device it was given for; of its disk when listed */
	uint32_t left;     /* commands it is for; BLOCK_FAULT_ALWAYS */
	uint64_t hits;     /* those it had; ignored by block_fault_add() */
};

/**
 * From now on commands that touch a range do not do what they should. A command is what reaches
 * the disk: short requests that continue each other may be one, a long one may be several.
 * Returns: 0, -RAY_ERANGE (outside the device, or for no command), -RAY_ENOSPC. Context: any but
 * NMI.
 */
int __must_check block_fault_add(struct block_dev *dev, const struct block_fault *fault);
/** None are left on the device's disk. What is silent stays so until its deadline. */
void block_fault_clear(struct block_dev *dev);
/** Those of the device's disk that are not used up. Returns: how many. */
unsigned int block_fault_list(struct block_dev *dev, struct block_fault out[BLOCK_FAULTS_MAX]);

/* --- devices, for their drivers --- */

struct block_queue;
struct block_room;
struct device;
struct pci_dev;

/* One command of a device: within its limits, ready to be given to it. A long request may need
 * several. */
struct block_cmd {
	enum block_op op;
	uint32_t flags; /* BLOCK_F_FUA only where limits.fua */
	uint64_t off, len;
	const struct block_seg *seg; /* mapped: their addresses are those on the bus, too */
	uint32_t seg_count;
	uint64_t drv[2]; /* the driver's */
	/* The layer's. */
	struct block_queue *queue;
	struct list_head node;
	bool mapped;   /* the device reaches its pieces */
	uint8_t fault; /* enum block_fault_kind: why the device does not have it */
	struct block_req *req;
	struct block_room *room; /* pieces of its own; NULL: those of the request */
	uint64_t deadline_ns;
	uint32_t tries;
};

struct block_ops {
	/**
	 * Give a command to the device. Context: IRQs off, the layer holds no lock.
	 * Returns: 0: it ends by block_cmd_done(); -RAY_EAGAIN: no room, it is given again after
	 *          the next block_cmd_done() of this device.
	 */
	int (*submit)(void *drv, struct block_cmd *c);
	/**
	 * A command passed its deadline, or the device answered nonsense: abort, and when that
	 * does not help, reset the device; end every command by block_cmd_done(), those that may
	 * be repeated with -RAY_EAGAIN. Context: thread, one call at a time; submit() is not
	 * called meanwhile. Returns: 0: it works again; else the layer fails the device.
	 */
	int (*recover)(void *drv);
	/** A line of health for people, and key-value pairs: `disk smart`. May be NULL. */
	int (*health)(void *drv, struct block_health *out);
	/** No user is left after block_unpublish(): free it. Context: thread. */
	void (*gone)(void *drv);
};

struct block_init {
	const char *prefix; /* "nvme0n": a number is appended, the first that is free */
	bool letter;        /* a letter instead: "sda" */
	struct block_ident ident; /* name is filled in */
	struct block_limits limits;
	const struct block_ops *ops;
	void *drv;
	struct pci_dev *pci; /* what moves the data: commands' pieces are mapped for it */
	struct device *parent; /* it hangs on; NULL: on pci */
	unsigned int depth;  /* commands it takes at once */
	uint32_t timeout_ms; /* 0: 30 s */
};

/**
 * Publish a device; its partitions are read by a thread (block_settle()).
 * Returns: 0 and *out, which is the driver's until block_unpublish(); -RAY_ENOMEM,
 *          -RAY_EINVAL (limits make no sense; named in the log). Context: thread
 * Trust: what a device says of itself is checked here once more
 */
int __must_check block_publish(const struct block_init *init, struct block_dev **out);
/** It is gone or its driver leaves. On return submit() is not called any more and every request
 *  has ended or will by block_cmd_done() for what the driver still has. Context: thread. */
void block_unpublish(struct block_dev *dev);
/** The driver had no answer, or a wrong one: have recover() called. Context: any but NMI. */
void block_trouble(struct block_dev *dev);

/** Is a command that the driver has past its deadline? Context: any. */
static inline bool block_cmd_late(const struct block_cmd *c)
{
	return time_now() >= c->deadline_ns;
}

/**
 * A command ended. @err 0, -RAY_EIO (tried and failed: bad medium), -RAY_EAGAIN (may work when
 * repeated). Context: interrupt or thread; a driver's lock may be held unless submit() takes it.
 */
void block_cmd_done(struct block_cmd *c, int err);

/**
 * The device has room again though nothing of it has ended: it had -RAY_EAGAIN from submit() for
 * another reason. Context: any but NMI, no lock that submit() takes.
 */
void block_room(struct block_dev *dev);

/**
 * Nothing is given to a disk any more until block_resume(), requests wait; what was written is
 * flushed, what was given has ended. 0, -RAY_ETIMEDOUT, errors of block_flush(): it goes on.
 * Context: thread.
 */
int __must_check block_suspend(struct block_dev *dev);
void block_resume(struct block_dev *dev);

/** Text of fixed length that a device says of itself, filled up with spaces: what prints of it. */
void block_text_take(char *out, size_t out_len, const uint8_t *p, size_t len);

/** Start the layer. Context: init, before drivers are bound. */
int __must_check block_init(void);
/**
 * A driver looks for disks on a thread of its own: from begin to end block_settle() waits for it.
 * Context: thread.
 */
void block_search_begin(void);
void block_search_end(void);
/**
 * Wait until the partitions of every disk published so far have been read, so that whoever names
 * one finds it. Returns: 0, -RAY_ETIMEDOUT (a disk takes more than 10 s; it goes on). Context:
 * thread.
 */
int __must_check block_settle(void);

#endif
