/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "entropy"
#include "security/entropy.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/log.h"

/*
 * SDM vol. 1 sec. 7.3.17: ten tries are enough for RDRAND; RDSEED is short of numbers when
 * several CPUs ask, and wants pauses.
 */
#define RDRAND_TRIES 10u
#define RDSEED_TRIES 200u

static struct entropy_source sources[] = {
	{ .name = "RDSEED", .word = rdseed64, .tries = RDSEED_TRIES },
	{ .name = "RDRAND", .word = rdrand64, .tries = RDRAND_TRIES },
};

void entropy_init(void)
{
	const struct cpu_features *f = cpu_features();
	const bool present[ARRAY_SIZE(sources)] = { f->rdseed, f->rdrand };

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		sources[i].present = present[i];
		sources[i].stuck = false;
		sources[i].last = sources[i].bytes = sources[i].refusals = 0;
	}
}

static bool word_get(struct entropy_source *s, uint64_t *out)
{
	unsigned int tries = s->tries;

	while (!s->word(out)) {
		if (--tries == 0) {
			s->refusals++;
			return false;
		}
		cpu_relax();
	}
	if (*out == s->last || *out == 0 || *out == UINT64_MAX) {
		s->stuck = true;
		log_err("%s is stuck and will not be used any more", s->name);
		return false;
	}
	s->last = *out;
	return true;
}

static bool source_read(struct entropy_source *s, uint64_t words[ENTROPY_WORDS])
{
	uint64_t spare;

	if (!s->present || s->stuck)
		return false;
	for (size_t i = 0; i < ENTROPY_WORDS; i++)
		if (!word_get(s, &words[i]))
			return false;
	/* One more, so that what is kept to compare with is no part of a seed. */
	if (!word_get(s, &spare))
		s->last = 0;
	s->bytes += ENTROPY_WORDS * sizeof(*words);
	return !s->stuck;
}

bool entropy_gather(uint64_t out[ENTROPY_WORDS])
{
	uint64_t words[ENTROPY_WORDS];
	bool some = false;

	memset(out, 0, ENTROPY_WORDS * sizeof(*out));
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		if (!source_read(&sources[i], words))
			continue;
		for (size_t w = 0; w < ENTROPY_WORDS; w++)
			out[w] ^= words[w];
		some = true;
	}
	memset(words, 0, sizeof(words));
	return some;
}

const struct entropy_source *entropy_source(unsigned int index)
{
	return index < ARRAY_SIZE(sources) ? &sources[index] : NULL;
}
