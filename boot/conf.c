/* SPDX-License-Identifier: Apache-2.0 */
/* Section [boot] of rayos.conf, see conf.h. */
#include "boot/conf.h"

#include <string.h>

#include "kernel/lib/ini.h"

void conf_defaults(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->kaslr = true;
}

static const char *module_add(struct conf *c, const char *name)
{
	if (name[0] == '\0')
		return "module without a name";
	if (c->module_count == CONF_MODULES_MAX)
		return "more than 128 modules";
	if (strlcpy(c->module[c->module_count], name, CONF_NAME_MAX) >= CONF_NAME_MAX)
		return "module name longer than 127 characters";
	c->module_count++;
	return NULL;
}

static const char *setting(struct conf *c, const char *key, const char *value)
{
	if (strcmp(key, "module") == 0)
		return module_add(c, value);
	if (strcmp(key, "kaslr") != 0)
		return NULL;
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return "kaslr is neither on nor off";
	c->kaslr = strcmp(value, "on") == 0;
	return NULL;
}

void conf_read(struct conf *c, struct ini *ini, const char *text, uint64_t len,
	       void (*problem)(uint32_t line, const char *what))
{
	enum ini_event event;

	ini_init(ini, text, len);
	while ((event = ini_next(ini)) != INI_END) {
		const char *what = NULL;

		if (event == INI_ERROR)
			what = ini->error;
		else if (event == INI_PAIR && strcmp(ini->section, "boot") == 0)
			what = setting(c, ini->key, ini->value);
		if (what != NULL)
			problem(ini->line, what);
	}
}
