/* SPDX-License-Identifier: Apache-2.0 */
/* TCG event log entries, see tcglog.h. Entries are packed, so nothing is aligned. */
#include "boot/tcglog.h"

#include <string.h>

#include "kernel/lib/err.h"

#define ENTRY_HEAD    32u /* PCR, type, SHA-1 digest, length of the event data */
#define ENTRY_LEN_AT  28u
#define ENTRY2_HEAD   12u /* PCR, type, number of digests */
#define ENTRY2_NUM_AT 8u
#define SPEC_ID_HEAD  28u /* signature ... number of algorithms */
#define SPEC_ID_NUM   24u

static uint16_t u16_at(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t tcglog_entry_size(const void *entry, uint64_t avail)
{
	const uint8_t *p = entry;
	uint64_t size;

	if (avail < ENTRY_HEAD)
		return 0;
	size = ENTRY_HEAD + (uint64_t)u32_at(p + ENTRY_LEN_AT);
	return size <= avail ? size : 0;
}

static uint32_t digest_size(const struct tcglog_algs *algs, uint16_t id)
{
	for (uint32_t i = 0; i < algs->count; i++)
		if (algs->alg[i].id == id)
			return algs->alg[i].size;
	return 0;
}

uint64_t tcglog_entry2_size(const struct tcglog_algs *algs, const void *entry, uint64_t avail)
{
	const uint8_t *p = entry;
	uint64_t off = ENTRY2_HEAD;
	uint32_t digests;

	if (avail < ENTRY2_HEAD)
		return 0;
	digests = u32_at(p + ENTRY2_NUM_AT);
	if (digests > TCGLOG_ALG_MAX)
		return 0;
	for (uint32_t i = 0; i < digests; i++) {
		uint32_t size;

		if (avail - off < sizeof(uint16_t))
			return 0;
		size = digest_size(algs, u16_at(p + off));
		off += sizeof(uint16_t);
		if (size == 0 || avail - off < size)
			return 0;
		off += size;
	}
	if (avail - off < sizeof(uint32_t))
		return 0;
	off += sizeof(uint32_t) + (uint64_t)u32_at(p + off);
	return off <= avail ? off : 0;
}

int tcglog_algs_read(const void *log, uint64_t avail, struct tcglog_algs *algs)
{
	static const char signature[16] = "Spec ID Event03";
	uint64_t size = tcglog_entry_size(log, avail);
	const uint8_t *event = (const uint8_t *)log + ENTRY_HEAD;
	uint32_t count;

	*algs = (struct tcglog_algs){0};
	if (size < ENTRY_HEAD + SPEC_ID_HEAD || memcmp(event, signature, sizeof(signature)) != 0)
		return -RAY_EPROTO;
	count = u32_at(event + SPEC_ID_NUM);
	if (count == 0 || count > TCGLOG_ALG_MAX ||
	    size - ENTRY_HEAD - SPEC_ID_HEAD < (uint64_t)count * 4)
		return -RAY_EPROTO;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *alg = event + SPEC_ID_HEAD + (uint64_t)i * 4;

		algs->alg[i].id = u16_at(alg);
		algs->alg[i].size = u16_at(alg + 2);
	}
	algs->count = count;
	return 0;
}
