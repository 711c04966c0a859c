/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "entropy"
#include "security/drbg.h"

#include <string.h>

#include <mbedtls/ctr_drbg.h>

#include "kernel/bootinfo.h"
#include "kernel/log.h"
#include "kernel/sched/wait.h"
#include "security/entropy.h"

/*
 * More than the 48 bytes SP 800-90A asks for: RDRAND is itself a generator that is seeded anew
 * only every so often (SDM vol. 1 sec. 7.3.17).
 */
#define SEED_BYTES  (ENTROPY_WORDS * sizeof(uint64_t))
#define CARRY_BYTES BOOT_SEED_LEN

BUILD_ASSERT(SEED_BYTES <= MBEDTLS_CTR_DRBG_MAX_SEED_INPUT, "a seed is one input");
BUILD_ASSERT(CARRY_BYTES >= 48 && CARRY_BYTES <= SEED_BYTES, "a whole seed by itself");
BUILD_ASSERT(CARRY_BYTES <= MBEDTLS_CTR_DRBG_MAX_REQUEST, "filled by one request");

static struct {
	struct mutex lock;
	mbedtls_ctr_drbg_context ctx;
	bool seeded;
	/* Firmware's seed, later output kept apart: goes into every seeding. */
	bool has_carry, carry_used;
	uint8_t carry[CARRY_BYTES];
	struct drbg_stats stats;
} drbg;

/* Called by the library for each seeding. */
static int seed_input(void *unused, unsigned char *out, size_t len)
{
	uint64_t words[ENTROPY_WORDS];
	bool good = entropy_gather(words);

	(void)unused;
	if (len != sizeof(words) || (!good && !drbg.has_carry))
		return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
	memcpy(out, words, len);
	memset(words, 0, sizeof(words));
	for (size_t i = 0; drbg.has_carry && i < CARRY_BYTES; i++)
		out[i] ^= drbg.carry[i];
	drbg.carry_used = drbg.has_carry;
	drbg.stats.seedings++;
	return 0;
}

/* Library errors become ours. */
static int blocked(int err)
{
	return err ? -RAY_EAGAIN : 0;
}

static int seed_locked(void)
{
	mbedtls_ctr_drbg_free(&drbg.ctx);
	mbedtls_ctr_drbg_init(&drbg.ctx);
	mbedtls_ctr_drbg_set_entropy_len(&drbg.ctx, SEED_BYTES);
	return blocked(mbedtls_ctr_drbg_seed(&drbg.ctx, seed_input, NULL, NULL, 0));
}

static int carry_renew(void)
{
	drbg.carry_used = false;
	return blocked(mbedtls_ctr_drbg_random(&drbg.ctx, drbg.carry, sizeof(drbg.carry)));
}

/*
 * Output, at most MBEDTLS_CTR_DRBG_MAX_REQUEST bytes; none only sees to it that there would be.
 * The library seeds again by itself when it is time.
 */
static int piece_locked(uint8_t *p, size_t len)
{
	int err = drbg.stats.answers_right ? 0 : -RAY_EIO;

	if (!err && !drbg.seeded) {
		err = seed_locked();
		drbg.seeded = err == 0;
	}
	if (!err)
		err = blocked(mbedtls_ctr_drbg_random(&drbg.ctx, p, len));
	if (!err && drbg.carry_used)
		err = carry_renew();
	__atomic_store_n(&drbg.stats.ready, err == 0, __ATOMIC_RELAXED);
	return err;
}

/* A seed of equal bytes is none. */
static bool seed_sane(const uint8_t seed[BOOT_SEED_LEN])
{
	for (size_t i = 1; i < BOOT_SEED_LEN; i++)
		if (seed[i] != seed[0])
			return true;
	return false;
}

int drbg_init(void)
{
	int err;

	memset(&drbg, 0, sizeof(drbg));
	mutex_init(&drbg.lock, LOCK_ORDER_RANDOM);
	entropy_init();
	if (bootinfo_seed_take(drbg.carry) == 0)
		drbg.has_carry = drbg.stats.boot_seed = seed_sane(drbg.carry);
	drbg.stats.answers_right = mbedtls_ctr_drbg_self_test(0) == 0;
	mutex_lock(&drbg.lock);
	err = piece_locked(NULL, 0);
	mutex_unlock(&drbg.lock);
	return err;
}

bool drbg_ready(void)
{
	return __atomic_load_n(&drbg.stats.ready, __ATOMIC_RELAXED);
}

int drbg_read(void *buf, size_t len)
{
	uint8_t *p = buf;
	size_t left = len;
	int err;

	do {
		size_t n = MIN(left, (size_t)MBEDTLS_CTR_DRBG_MAX_REQUEST);

		mutex_lock(&drbg.lock);
		err = piece_locked(p, n);
		drbg.stats.bytes += err ? 0 : n;
		drbg.stats.reads += !err && n == left;
		drbg.stats.blocked += err != 0;
		mutex_unlock(&drbg.lock);
		p += n;
		left -= n;
	} while (!err && left > 0);
	if (err)
		memset(buf, 0, len);
	return err;
}

void drbg_stats_get(struct drbg_stats *out)
{
	mutex_lock(&drbg.lock);
	*out = drbg.stats;
	mutex_unlock(&drbg.lock);
}
