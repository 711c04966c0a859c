/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device of the host whose registers, queues and answers are the input's: the parts that
 * fuzz targets of its drivers share. Included by one .c of a target, behind FAKE_QUEUES and
 * FAKE_CONFIG_SIZE; it has fake_hvio_request() and fuzz_config().
 */
#ifndef RAYOS_TESTS_HOST_FUZZ_HVIO_H
#define RAYOS_TESTS_HOST_FUZZ_HVIO_H

#define FAKE_TURN fuzz_turn
#include "tests/host/fuzz_disk.h"
#include "tests/host/fake_hvio.h"

/* The device's own configuration, before the input changes it. */
static void fuzz_config(void);

/* Whether and how a request is answered. 0: as it should be. */
enum fuzz_how { HOW_RIGHT, HOW_NEVER, HOW_WRONG, HOW_STATUS };

static enum fuzz_how fuzz_how(void)
{
	uint8_t how = byte(&in);

	dev_.wrong_by = how == 0xf1 ? byte(&in) : 0;
	dev_.endless = how == 0xf2;
	if (how == 0xf3)
		dev_.gone = true;
	if (how == 0xf0)
		return HOW_NEVER;
	return how > 0xf3 ? HOW_WRONG : how >= 0xe0 ? HOW_STATUS : HOW_RIGHT;
}

static void fuzz_run(const uint8_t *data, size_t size, uint64_t features)
{
	static const uint16_t sizes[] = {128, 4, 8, 256, 1, 0, 100, 0x8000};
	uint8_t flaws;

	fuzz_begin(data, size);
	fake_hvio_start(features ^ word(&in), sizes[byte(&in) % ARRAY_SIZE(sizes)]);
	fuzz_config();
	for (unsigned int n = byte(&in) % 8; n > 0; n--) {
		uint8_t at = byte(&in);

		dev_.config[at % FAKE_CONFIG_SIZE] = byte(&in);
	}
	flaws = byte(&in);
	dev_.refuses = flaws == 1;
	dev_.no_vectors = flaws == 2;
	dev_.never_reset = flaws == 3;
	dev_.moved = flaws >> 6;
	for (unsigned int n = flaws >> 6; n > 0; n--) {
		uint8_t at = byte(&in);

		dev_.caps[0x20 + at % (0x20 * CAPS)] = byte(&in);
	}
	fuzz_drive();
	stop = true;
	thread_join(device);
	fuzz_end();
	if (fake_master)
		abort();
}

#endif
