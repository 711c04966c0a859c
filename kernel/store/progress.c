/* SPDX-License-Identifier: Apache-2.0 */
/* How far work is that takes a while. */
#include "kernel/store/volume_cmd.h"

#define SAY_NS 2000000000ull

struct volume_progress volume_progress_begin(struct cmd_ctx *ctx, uint64_t all)
{
	return (struct volume_progress){.ctx = ctx, .all = all, .begun = time_now(),
					.said = time_now()};
}

int volume_progress(struct volume_progress *p, uint64_t done)
{
	uint64_t now = time_now(), rate, ms;

	p->done = done;
	if (cmd_interrupted(p->ctx))
		return -RAY_ECANCELED;
	if (cmd_json(p->ctx) || now - p->said < SAY_NS)
		return 0;
	p->said = now;
	ms = MAX((now - p->begun) / 1000000, 1ull);
	rate = MAX(done * 1000 / ms, 1ull);
	cmd_printf(p->ctx, "%llu of %llu MiB, %llu MiB/s, %llu s left\n",
		   (unsigned long long)(done >> 20), (unsigned long long)(p->all >> 20),
		   (unsigned long long)(rate >> 20),
		   (unsigned long long)((p->all - MIN(p->all, done)) / rate));
	return 0;
}
