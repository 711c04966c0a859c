// SPDX-License-Identifier: Apache-2.0
/* The `acpi` commands: the firmware's tables. */
#include <string.h>

#include "kernel/acpi/acpi.h"
#include "kernel/acpi/tables.h"
#include "kernel/cmd.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/table.h"

/* Firmware's characters, printable and terminated. */
static void text_clean(char *out, const char *in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in[i] >= ' ' && in[i] < 0x7f ? in[i] : '?';
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

static const char *state_text(void)
{
	switch (acpi_state()) {
	case ACPI_STATE_LOADING:
		return "loading";
	case ACPI_STATE_READY:
		return "ready";
	case ACPI_STATE_FAILED:
		return "failed";
	case ACPI_STATE_ABSENT:
		break;
	}
	return "absent";
}

static void row_print(struct table *t, const struct acpi_table *a)
{
	char sig[5], oem[7] = "-", oem_table[9] = "-";
	uint8_t revision = 0;

	text_clean(sig, a->sig, sizeof(a->sig));
	/* The FACS has no such header. */
	if (a->len >= ACPI_SDT_HDR_LEN && memcmp(a->sig, "FACS", 4) != 0) {
		const struct acpi_sdt *h = a->data;

		text_clean(oem, h->oem_id, sizeof(h->oem_id));
		text_clean(oem_table, h->oem_table_id, sizeof(h->oem_table_id));
		revision = h->revision;
	}
	table_str(t, sig);
	table_u64(t, revision);
	table_u64(t, a->len);
	table_hex(t, a->hpa);
	table_str(t, oem);
	table_str(t, oem_table);
}

static int acpi_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {{"signature", 0}, {"revision", TABLE_RIGHT},
						{"length", TABLE_RIGHT}, {"address", 0},
						{"oem", 0}, {"oem_table", 0}};
	const struct acpi_table_list *l = acpi_tables();
	struct table t;

	(void)argc;
	(void)argv;
	if (l->count == 0 && !cmd_json(ctx)) {
		cmd_printf(ctx, "this firmware has no ACPI tables\n");
		return 0;
	}
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (uint32_t i = 0; i < l->count; i++)
			row_print(&t, &l->t[i]);
	}
	if (!cmd_json(ctx))
		cmd_printf(ctx, "namespace: %s, damaged tables left out: %u\n", state_text(),
			   l->rejected);
	return 0;
}

static void hex_line(struct cmd_ctx *ctx, const uint8_t *p, size_t off, size_t n)
{
	cmd_printf(ctx, "%06zx:", off);
	for (size_t i = 0; i < n; i++)
		cmd_printf(ctx, " %02x", p[off + i]);
	cmd_printf(ctx, "%*s", (int)(3 * (16 - n) + 2), "");
	for (size_t i = 0; i < n; i++)
		cmd_printf(ctx, "%c", p[off + i] >= ' ' && p[off + i] < 0x7f ? p[off + i] : '.');
	cmd_printf(ctx, "\n");
}

static int dump_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	uint64_t instance = 0;
	const uint8_t *p;
	size_t len = 0;

	if (argc > 1 && parse_u64_range(argv[1], 0, ACPI_TABLES_MAX, &instance))
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is no number from 0 to %u", argv[1],
				ACPI_TABLES_MAX);
	p = strlen(argv[0]) == 4 ? acpi_table_find(argv[0], (unsigned int)instance, &len) : NULL;
	if (!p)
		return cmd_fail(ctx, -RAY_ENOENT, "no table '%s'; `acpi` lists them", argv[0]);
	for (size_t off = 0; off < len && !cmd_interrupted(ctx); off += 16)
		hex_line(ctx, p, off, MIN(len - off, (size_t)16));
	return 0;
}

static void dump_complete(struct cmd_complete *c, int arg)
{
	const struct acpi_table_list *l = acpi_tables();
	char sig[5];

	for (uint32_t i = 0; arg == 0 && i < l->count; i++) {
		text_clean(sig, l->t[i].sig, sizeof(l->t[i].sig));
		cmd_complete_add(c, sig);
	}
}

SHELL_CMD(acpi, "acpi", "list the firmware's ACPI tables", .flags = CMD_JSON, .example = "acpi",
	  .run = acpi_run);
SHELL_CMD(acpi_dump, "acpi dump", "print one table's bytes", .args = "SIGNATURE [INSTANCE]",
	  .min_args = 1, .max_args = 2, .example = "acpi dump FACP", .run = dump_run,
	  .complete = dump_complete);
