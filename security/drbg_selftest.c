/* SPDX-License-Identifier: Apache-2.0 */
/* The generator on the real CPU: known answers again, and output that is not the same twice. */
#include <string.h>

#include <mbedtls/ctr_drbg.h>

#include "kernel/selftest.h"
#include "security/drbg.h"

static void test_drbg(struct selftest *t)
{
	static const uint8_t zero[64];
	uint8_t one[64], two[64];
	int err;

	SELFTEST_CHECK(t, mbedtls_ctr_drbg_self_test(0) == 0);
	err = drbg_read(one, sizeof(one));
	SELFTEST_CHECK(t, drbg_ready() == (err == 0));
	if (err) {
		SELFTEST_CHECK(t, err == -RAY_EAGAIN);
		SELFTEST_CHECK(t, memcmp(one, zero, sizeof(one)) == 0);
		return;
	}
	SELFTEST_CHECK(t, drbg_read(two, sizeof(two)) == 0);
	SELFTEST_CHECK(t, memcmp(one, two, sizeof(one)) != 0);
	SELFTEST_CHECK(t, memcmp(one, zero, sizeof(one)) != 0);
}
SELFTEST(drbg, test_drbg);
