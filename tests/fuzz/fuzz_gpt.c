/* UNIT: kernel/block/gpt.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/utf8.c */
/* PARSER: kernel/block/gpt.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A partition table whose bytes are changed anywhere, with its checksums made right again or not:
 * what is accepted is inside the disk and does not overlap, what is refused has a reason in words,
 * and both take a bounded number of reads. The input's first byte chooses the size of a block and
 * whether the disk has a bad one; then four bytes for each change: where (two), what, and flags.
 */
#include <stdint.h>
#include <stdlib.h>

#include "kernel/lib/utf8.h"
#include "tests/host/fake_gpt.h"

#define READS_MAX 2000u /* both copies, twice, in steps of 8 KiB and headers */
#define SEAL      1u
#define BACKUP    2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void change(struct fake_gpt *g, const uint8_t *c)
{
	uint64_t off = load_be16(c);

	g->disk[c[3] & BACKUP ? FAKE_GPT_BLOCKS * g->logical - 1 - off : off] = c[2];
	if (c[3] & SEAL)
		fake_gpt_seal_both(g);
}

static void check(const struct gpt *out)
{
	if (out->count > GPT_PARTS_MAX)
		abort();
	for (unsigned int i = 0; i < out->count; i++) {
		const struct gpt_part *p = &out->part[i];

		if (p->blocks == 0 || p->first >= FAKE_GPT_BLOCKS ||
		    p->blocks > FAKE_GPT_BLOCKS - p->first)
			abort();
		for (unsigned int k = 0; k < i; k++) {
			const struct gpt_part *o = &out->part[k];

			if (p->first < o->first + o->blocks && o->first < p->first + p->blocks)
				abort();
		}
		if (strnlen(p->name, GPT_NAME_LEN) == GPT_NAME_LEN ||
		    !utf8_valid(p->name, strlen(p->name)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[GPT_SCRATCH];
	static struct fake_gpt g;
	static struct gpt out;
	struct gpt_source s;
	char why[96] = "";
	int err;

	if (size == 0)
		return 0;
	fake_gpt_make(&g, data[0] & 1 ? 4096 : 512);
	for (size_t i = 1; i + 4 <= size; i += 4)
		change(&g, data + i);
	if (data[0] & 2) {
		g.error = -RAY_EIO;
		g.error_at = data[0] >> 2;
	}
	s = fake_gpt_source(&g);
	err = gpt_read(&s, &out, buf, why, sizeof(why));
	if (err && (why[0] == '\0' || (err != -RAY_ENOENT && err != -RAY_ENOEXEC)))
		abort();
	if (!err)
		check(&out);
	if (g.reads > READS_MAX)
		abort();
	return 0;
}
