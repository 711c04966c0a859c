/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of virtio devices: the I/O thread as a list that the test runs, and a kind of device
 * "echo" whose one queue copies what it reads to what it writes.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_VIRTIO_H
#define RAYOS_TESTS_HOST_FAKE_VIRTIO_H

#include "devices/virt/virtio/virtio.h"

/** Run what is queued for the I/O thread until nothing is left. Returns: pieces of work. */
unsigned int fake_io_run(struct vm *vm);
/** Pieces of work after which fake_io_run() drops the rest: a driver whose used ring lies over its
 *  available ring makes work for ever, at its own VM's cost. 0: none. */
extern unsigned int fake_io_limit;

extern char fake_markers[4096]; /* those of devices, one a line: "READY vm=... device=..." */
extern bool fake_echo_slow;          /* echo answers VIRTQ_MORE to the exit handler */
extern unsigned int fake_echo_served; /* times its serve() ran */

#endif
