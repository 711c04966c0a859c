/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The question every operation of a guest's device asks before it is done: may this VM do that?
 * Owns: the words of the question and the one place where it is answered.
 * Must not know: devices, guests' memory, hardware.
 * Context: any, exit handlers included: IRQs off, no locks.
 *
 *	if (!policy_allows(&(struct policy_op){ .vm = vm->id, .device = POLICY_BLK,
 *						.instance = 0, .verb = POLICY_WRITE,
 *						.amount = bytes }))
 *		... answer the guest with the device's own error, count a denial
 *
 * No rule exists yet, so all is allowed. What callers may rely on, now and later: the answer
 * is for this one operation and may differ for the next; nothing else of @op than its fields is
 * read; a few instructions when the answer is cached on this CPU.
 */
#ifndef RAYOS_SECURITY_POLICY_H
#define RAYOS_SECURITY_POLICY_H

#include "kernel/lib/types.h"

enum policy_device {
	POLICY_BLK,
	POLICY_NET,
	POLICY_CONSOLE,
	POLICY_RNG,
	POLICY_BALLOON,
	POLICY_INPUT,
	POLICY_GPU,
	POLICY_VSOCK,
	POLICY_METER,
	POLICY_DEVICES,
};

/* What is asked for, seen from the guest, and what `amount` counts. */
enum policy_verb {
	POLICY_READ,         /* bytes: blk, console input, entropy, input events */
	POLICY_WRITE,        /* bytes: blk, console output, input status */
	POLICY_FLUSH,        /* 0 */
	POLICY_DISCARD,      /* bytes */
	POLICY_WRITE_ZEROES, /* bytes */
	POLICY_SEND,         /* bytes: net, vsock */
	POLICY_RECEIVE,      /* bytes: net, vsock */
	POLICY_OPEN,         /* number of the port */
	POLICY_CLOSE,        /* number of the port */
	POLICY_CONNECT,      /* number of the port: vsock */
	POLICY_LISTEN,       /* number of the port: vsock */
	POLICY_CREATE,       /* bytes: a gpu resource */
	POLICY_DESTROY,      /* bytes: a gpu resource */
	POLICY_TRANSFER,     /* bytes: pixels from or to the guest's memory */
	POLICY_GIVE,         /* bytes: memory the guest returns */
	POLICY_TAKE,         /* bytes: memory the guest wants back */
	POLICY_CONFIGURE,    /* 0: MAC filter, scan-out and the like */
	POLICY_VERBS,
};

struct policy_op {
	uint32_t vm;       /* number of the VM, never reused while the kernel runs */
	uint16_t instance; /* which of the VM's devices of that kind, from 0 */
	uint8_t device;    /* enum policy_device */
	uint8_t verb;      /* enum policy_verb */
	uint64_t amount;   /* see the verb */
};

/* Device and verb are the index of a cached answer, the whole is copied into an audit record. */
BUILD_ASSERT(sizeof(struct policy_op) == 16, "an operation is two words");

/**
 * May @op be done?
 * Returns: true; false = refuse it towards the guest and change nothing
 * Trust:   @op->amount is guest-controlled; the rest is the caller's
 */
__must_check static inline bool policy_allows(const struct policy_op *op)
{
	(void)op;
	return true;
}

#endif
