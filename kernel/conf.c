/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "conf"
#include "kernel/conf.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/bootinfo.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/ini.h"
#include "kernel/lib/nearest.h"
#include "kernel/lib/parse.h"
#include "kernel/mm/page.h"

#define WARN_MAX 200u

static const struct kernel_conf defaults = {
	.log_level = LOG_INFO,
	.console_level = LOG_INFO,
	.panic = PANIC_RESET,
	.mitigations = MITIGATE_AUTO,
	.iommu = true,
	.prezero = MIB(512),
};

static struct kernel_conf active;

/* Each returns whether the value makes sense. */

static bool set_log_level(struct kernel_conf *c, const char *v)
{
	return log_level_parse(v, &c->log_level) == 0;
}

static bool set_console_level(struct kernel_conf *c, const char *v)
{
	return log_level_parse(v, &c->console_level) == 0;
}

static bool set_panic(struct kernel_conf *c, const char *v)
{
	c->panic = strcmp(v, "halt") == 0 ? PANIC_HALT : PANIC_RESET;
	return c->panic == PANIC_HALT || strcmp(v, "reset") == 0;
}

static bool set_mitigations(struct kernel_conf *c, const char *v)
{
	bool on;

	c->mitigations = MITIGATE_AUTO;
	if (strcmp(v, "auto") == 0)
		return true;
	if (parse_bool(v, &on) != 0)
		return false;
	c->mitigations = on ? MITIGATE_ALL : MITIGATE_OFF;
	return true;
}

static bool set_iommu(struct kernel_conf *c, const char *v)
{
	return parse_bool(v, &c->iommu) == 0;
}

static bool set_prezero(struct kernel_conf *c, const char *v)
{
	return parse_size(v, &c->prezero) == 0;
}

static const struct key {
	const char *name;
	bool (*set)(struct kernel_conf *c, const char *value);
	const char *values;
} keys[] = {
	{ "loglevel", set_log_level, "error, warn, info or debug" },
	{ "console_loglevel", set_console_level, "error, warn, info or debug" },
	{ "panic", set_panic, "reset or halt" },
	{ "mitigations", set_mitigations, "auto, on or off" },
	{ "iommu", set_iommu, "on or off" },
	{ "prezero", set_prezero, "a size, as in 512M" },
};

struct reader {
	struct ini ini;
	struct kernel_conf *conf;
	conf_warn_fn warn;
	void *arg;
};

static void complain(struct reader *r, const char *fmt, ...) __printf_fmt(2, 3);
static void complain(struct reader *r, const char *fmt, ...)
{
	char text[WARN_MAX];
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->warn(r->arg, r->ini.line, text);
}

static void unknown(struct reader *r, const char *what, const char *word, const char *nearest)
{
	if (nearest)
		complain(r, "unknown %s \"%s\"; did you mean \"%s\"?", what, word, nearest);
	else
		complain(r, "unknown %s \"%s\"", what, word);
}

static void read_pair(struct reader *r)
{
	struct nearest n;

	nearest_init(&n, r->ini.key);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct kernel_conf before = *r->conf;

		nearest_offer(&n, keys[i].name);
		if (strcmp(keys[i].name, r->ini.key) != 0)
			continue;
		if (!keys[i].set(r->conf, r->ini.value)) {
			*r->conf = before;
			complain(r, "%s = %s: must be %s", r->ini.key, r->ini.value,
				 keys[i].values);
		}
		return;
	}
	unknown(r, "key", r->ini.key, nearest_result(&n));
}

static void read_section(struct reader *r)
{
	static const char *const known[] = { "rayos", "boot" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i], r->ini.section) == 0)
			return;
	if (strncmp(r->ini.section, "vm ", 3) != 0)
		unknown(r, "section", r->ini.section,
			nearest_of(r->ini.section, known, ARRAY_SIZE(known)));
}

void conf_parse(const void *text, size_t len, struct kernel_conf *c, conf_warn_fn warn, void *arg)
{
	struct reader r = { .conf = c, .warn = warn, .arg = arg };
	enum ini_event e;

	*c = defaults;
	ini_init(&r.ini, text, len);
	while ((e = ini_next(&r.ini)) != INI_END) {
		if (e == INI_SECTION)
			read_section(&r);
		else if (e == INI_ERROR)
			complain(&r, "%s", r.ini.error);
		else if (strcmp(r.ini.section, "rayos") == 0)
			read_pair(&r);
		else if (r.ini.section[0] == '\0')
			complain(&r, "\"%s\" stands before any [section]", r.ini.key);
	}
}

static void log_warning(void *arg, unsigned int line, const char *text)
{
	(void)arg;
	log_warn("rayos.conf:%u: %s", line, text);
}

int conf_init(void)
{
	const struct boot_blob *file = &bootinfo()->conf;

	conf_parse(hpa_to_va(HPA(file->addr)), file->size, &active, log_warning, NULL);
	(void)log_level_set(NULL, active.log_level);
	log_console_level_set(active.console_level);
	panic_action_set(active.panic);
	page_prezero_target_set(active.prezero);
	return 0;
}

const struct kernel_conf *conf(void)
{
	return &active;
}
