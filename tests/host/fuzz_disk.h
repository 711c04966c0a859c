/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz targets of disk drivers have in common: the driver is bound to a model whose answers
 * are the input's, its disks are used, the driver leaves. Requests end, nothing is left behind.
 * Included by one .c of a target, behind the header that has the model's PCI function.
 */
#ifndef RAYOS_TESTS_HOST_FUZZ_DISK_H
#define RAYOS_TESTS_HOST_FUZZ_DISK_H

#include <stdlib.h>

#include "kernel/block/block_priv.h"
#include "tests/host/fake_driver.h"
#include "tests/host/fuzz_input.h"

#define FUZZ_REQUESTS  6u
#define FUZZ_TURNS_MAX 200000u
#define FUZZ_TURN_NS   20000000u

static struct input in;
static unsigned int turns;

/* Of the device's thread: it had its look at everything. Time passes, timers fire. */
static void fuzz_turn(void)
{
	if (turns++ > FUZZ_TURNS_MAX)
		abort(); /* somebody waits for what never comes */
	fake_now += FUZZ_TURN_NS;
	if (turns % 64 == 0)
		fake_time_pass(1);
}

static void fuzz_begin(const uint8_t *data, size_t size)
{
	in = (struct input){data, size};
	turns = 0;
	fake_marker_text[0] = '\0';
	if (block_init())
		abort();
}

static void fuzz_use(struct block_dev *dev)
{
	static uint8_t buf[8192] __attribute__((aligned(4096)));
	const struct block_limits *l = block_limits(dev);

	for (unsigned int i = 0; i < FUZZ_REQUESTS && block_state(dev) == BLOCK_LIVE; i++) {
		uint64_t len = MIN(MAX(l->logical, 4096u), block_ident(dev)->size);
		int err;

		switch (i % 4) {
		case 0: err = block_read(dev, 0, buf, len); break;
		case 1: err = block_write(dev, 0, buf, len, BLOCK_F_FUA); break;
		case 2: err = block_discard(dev, 0, len); break;
		default: err = block_flush(dev); break;
		}
		(void)err; /* any will do */
	}
}

/* All of a driver's life. */
static void fuzz_drive(void)
{
	struct block_dev *dev = NULL;

	if (fake_driver()->probe(&fake_pci) != 0)
		return;
	if (block_settle() == 0) {
		while ((dev = block_next(dev)) != NULL)
			fuzz_use(dev);
	}
	fake_driver()->remove(&fake_pci);
}

static __unused bool fuzz_stop;

static __unused void fuzz_device(void *arg)
{
	void (*look)(void) = arg;

	while (!fuzz_stop) {
		look();
		fuzz_turn();
		thread_yield();
	}
}

/* The device's thread has ended. */
static void fuzz_end(void)
{
	page_free_dirty(block_zeros, 0);
	if (fake_heap_live != 0 || fake_pages_live != 0)
		abort();
}

/* fuzz_begin() was called. @look  what the device does at each of its turns */
static __unused void fuzz_run_device(void (*look)(void))
{
	const struct thread_attr attr = {.cpu = -1};
	struct thread *device;

	fuzz_stop = false;
	if (thread_create(&device, "device", fuzz_device, (void *)look, &attr))
		abort();
	fuzz_drive();
	fuzz_stop = true;
	thread_join(device);
	fuzz_end();
}

#endif
