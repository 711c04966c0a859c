/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/uuid.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/time/time.h"

void uuid_make(uint8_t uuid[16])
{
	static uint64_t count;
	uint64_t v[2] = {time_now() * 0x9e3779b97f4a7c15ull, time_wall_ns()};

	v[0] += __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t random;

		if (cpu_features()->rdrand && rdrand64(&random))
			v[i] ^= random;
	}
	memcpy(uuid, v, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}
