/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's serial port and the ports of its virtio console look like from the host: a
 * ring of what the guest wrote, which is scrollback and live console at once, and a way to type.
 * Every reader keeps its own position, so readers cost the guest nothing; output never waits
 * for them.
 * Owns: the ring, references, who sleeps. Must not know: which device is behind it.
 * Locking: one writer at a time, which is the device's business; reading takes no lock. A
 * terminal is embedded in its device's memory and lives until the last reference is gone, so
 * that a guest's last words are not lost.
 */
#ifndef RAYOS_DEVICES_VIRT_TERM_H
#define RAYOS_DEVICES_VIRT_TERM_H

#include "kernel/lib/types.h"
#include "kernel/sched/wait.h"

#define VTERM_LOG_SIZE KIB(64)
/* What the writer may just be writing lies in the slots of the oldest bytes: not for readers. */
#define VTERM_WRITING  512u
#define VTERM_KEPT     (VTERM_LOG_SIZE - VTERM_WRITING)
#define VTERM_NAME_MAX 32u /* with the NUL */

struct vm;
struct vterm;

/* The device's side. Context: thread. */
struct vterm_ops {
	/** Type bytes. Returns how many fitted. Nothing fits when the device is gone. */
	size_t (*type)(struct vterm *t, const char *buf, size_t len);
	/** An operator has come or gone; NULL: the guest is not told. */
	void (*session)(struct vterm *t, bool come);
	/** The operator's terminal has that size; NULL: the guest is not told. */
	void (*resize)(struct vterm *t, uint16_t cols, uint16_t rows);
	/** Whether somebody in the guest listens; NULL: nobody knows. */
	bool (*heard)(struct vterm *t);
	/** The last reference is gone. */
	void (*free)(struct vterm *t);
};

struct vterm {
	const struct vterm_ops *ops;
	char name[VTERM_NAME_MAX];
	volatile bool gone;        /* nothing more will be written; the VM is not to be touched */
	volatile uint32_t refs;
	volatile uint32_t waiting; /* readers asleep */
	struct waitq wait;
	volatile uint64_t written; /* bytes ever */
	uint8_t log[VTERM_LOG_SIZE];
};

/** @t is zeroed memory of the device's; it holds the first reference. */
void vterm_init(struct vterm *t, const struct vterm_ops *ops, const char *name);
static inline struct vterm *vterm_get(struct vterm *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}
void vterm_put(struct vterm *t);
/** The device ends: wakes the readers, gives back its reference. Pre: nobody writes any more. */
void vterm_end(struct vterm *t);

/* --- the writer --- */

/** Wake readers after output. Context: any but NMI. */
static inline void vterm_wake(struct vterm *t)
{
	if (unlikely(t->waiting))
		waitq_wake_all(&t->wait);
}

/** One byte of output. Context: any but NMI. */
static inline void vterm_put_byte(struct vterm *t, uint8_t byte)
{
	uint64_t at = t->written;

	__atomic_store_n(&t->log[at % VTERM_LOG_SIZE], byte, __ATOMIC_RELAXED);
	__atomic_store_n(&t->written, at + 1, __ATOMIC_SEQ_CST);
	vterm_wake(t);
}

/** Output; what readers have not taken is overwritten. Context: any but NMI. */
void vterm_write(struct vterm *t, const void *buf, size_t len);

/* --- readers --- */

/** Bytes written by the guest since the device's creation: the position behind the newest. */
static inline uint64_t vterm_position(const struct vterm *t)
{
	return __atomic_load_n(&t->written, __ATOMIC_ACQUIRE);
}
/** The oldest position still in the scrollback. */
uint64_t vterm_oldest(const struct vterm *t);
/**
 * Copy output from *@pos on, at most @len bytes; *pos moves behind them. A position that has
 * fallen out of the scrollback moves to the oldest byte first.
 * Context: thread. Returns: bytes copied, 0 when there is nothing new.
 */
size_t vterm_read(const struct vterm *t, uint64_t *pos, char *buf, size_t len);
/**
 * Sleep until there is output behind @pos, the device has ended or the deadline passes.
 * Context: thread. Value: there is output.
 */
bool vterm_wait(struct vterm *t, uint64_t pos, uint64_t deadline_ns);

#endif
