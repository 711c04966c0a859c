/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzzer's input as a tape of decisions; zeros behind its end. */
#ifndef RAYOS_TESTS_HOST_FUZZ_INPUT_H
#define RAYOS_TESTS_HOST_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint32_t word(struct input *in)
{
	uint32_t v = byte(in);

	v |= (uint32_t)byte(in) << 8;
	v |= (uint32_t)byte(in) << 16;
	return v | (uint32_t)byte(in) << 24;
}

#endif
