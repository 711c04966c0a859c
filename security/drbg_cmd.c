/* SPDX-License-Identifier: Apache-2.0 */
/* `entropy`: where randomness comes from and how much went out. Context: the shell's thread. */
#include "boot/boot_info.h"
#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "security/drbg.h"
#include "security/entropy.h"

static const char *source_state(const struct entropy_source *s)
{
	if (!s->present)
		return "absent";
	return s->stuck ? "stuck" : "in use";
}

static const char *generator_state(const struct drbg_stats *st)
{
	if (!st->answers_right)
		return "blocked, known answers are wrong";
	return st->ready ? "ready" : "blocked, no source";
}

static const char *boot_state(const struct drbg_stats *st)
{
	return st->boot_seed ? "taken at boot" : "absent";
}

static uint64_t boot_bytes(const struct drbg_stats *st)
{
	return st->boot_seed ? BOOT_SEED_LEN : 0;
}

static void json_source(struct json *j, const char *name, const char *state, uint64_t bytes,
			uint64_t refusals)
{
	json_object(j, NULL);
	json_str(j, "name", name);
	json_str(j, "state", state);
	json_u64(j, "bytes", bytes);
	json_u64(j, "refusals", refusals);
	json_end(j);
}

static void json_all(struct json *j, const struct drbg_stats *st)
{
	const struct entropy_source *s;

	json_object(j, NULL);
	json_bool(j, "ready", st->ready);
	json_str(j, "state", generator_state(st));
	json_u64(j, "bytes", st->bytes);
	json_u64(j, "reads", st->reads);
	json_u64(j, "blocked", st->blocked);
	json_u64(j, "seedings", st->seedings);
	json_array(j, "sources");
	for (unsigned int i = 0; (s = entropy_source(i)) != NULL; i++)
		json_source(j, s->name, source_state(s), s->bytes, s->refusals);
	json_source(j, "EFI_RNG", boot_state(st), boot_bytes(st), 0);
	json_end(j);
	json_finish(j);
}

static void table_row(struct table *t, const char *name, const char *state, uint64_t bytes,
		      uint64_t refusals)
{
	table_str(t, name);
	table_str(t, state);
	table_u64(t, bytes);
	table_u64(t, refusals);
}

static int entropy_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{ "source", 0 }, { "state", 0 }, { "bytes", TABLE_RIGHT }, { "refusals", TABLE_RIGHT },
	};
	const struct entropy_source *s;
	struct drbg_stats st;
	struct table t;
	struct json j;

	(void)argc;
	(void)argv;
	drbg_stats_get(&st);
	if (cmd_json(ctx)) {
		json_init(&j, cmd_sink(ctx));
		json_all(&j, &st);
		return 0;
	}
	table_init(&t, cmd_sink(ctx), false, cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (unsigned int i = 0; (s = entropy_source(i)) != NULL; i++)
			table_row(&t, s->name, source_state(s), s->bytes, s->refusals);
		table_row(&t, "EFI_RNG", boot_state(&st), boot_bytes(&st), 0);
	}
	cmd_printf(ctx, "generator: %s; seeded %lu times; gave %lu bytes in %lu reads, refused %lu\n",
		   generator_state(&st), st.seedings, st.bytes, st.reads, st.blocked);
	return 0;
}

SHELL_CMD(entropy, "entropy", "show the sources of randomness and the generator",
	  .flags = CMD_JSON,
	  .help = "The generator is CTR_DRBG with AES-256. Without any source it is blocked, and so\n"
		  "are the guests' entropy devices and the making of keys.",
	  .example = "entropy", .run = entropy_run);
