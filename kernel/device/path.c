/* SPDX-License-Identifier: Apache-2.0 */
/* Paths to devices: by place in the tree, and by class. */
#include <string.h>

#include "kernel/device/device_priv.h"
#include "kernel/lib/fmt.h"

/* The next word of a path, "" at its end; *path is moved behind it. */
static void word_take(const char **path, char out[DEVICE_NAME_LEN])
{
	size_t n = 0;

	while (**path == '/')
		(*path)++;
	for (; **path && **path != '/'; (*path)++) {
		if (n < DEVICE_NAME_LEN - 1)
			out[n++] = **path;
		else
			n = DEVICE_NAME_LEN; /* no name is as long */
	}
	out[n < DEVICE_NAME_LEN ? n : 0] = '\0';
	if (n >= DEVICE_NAME_LEN)
		strlcpy(out, "/", DEVICE_NAME_LEN);
}

struct attr_find {
	const char *name;
	bool found;
};

static void attr_look(void *ctx, const char *name, const char *value)
{
	struct attr_find *f = ctx;

	(void)value;
	f->found |= strcmp(name, f->name) == 0;
}

static struct device *child_find(const struct device *d, const char *name)
{
	struct device *c;

	list_for_each_entry (c, &d->children, node) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

/* From a device on: children, and at the end perhaps an attribute. */
static struct device_path below(struct device *d, const char *path)
{
	struct device_path p = {.kind = PATH_DEVICE, .device = d};
	char word[DEVICE_NAME_LEN];

	for (word_take(&path, word); word[0]; word_take(&path, word)) {
		struct device *c = child_find(p.device, word);
		struct attr_find f = {.name = word};

		if (c) {
			p.device = c;
			continue;
		}
		if (p.device != &device_root)
			device_attrs_visit(p.device, attr_look, &f);
		strlcpy(p.attr, word, sizeof(p.attr));
		word_take(&path, word);
		p.kind = f.found && !word[0] ? PATH_ATTR : PATH_NONE;
		return p;
	}
	return p;
}

/* The device of a class by its name, and what of it @path is behind that. */
static struct device_path of_class(enum device_class cls, const char *name, const char *path)
{
	struct device *d = NULL;

	while ((d = device_walk(d)) != NULL) {
		if (d->cls == cls && strcmp(d->name, name) == 0)
			return below(d, path);
	}
	return (struct device_path){.kind = PATH_NONE};
}

/* "/dev" and what follows. */
static struct device_path by_class(const char *path)
{
	struct device_path p = {.kind = PATH_CLASSES};
	char word[DEVICE_NAME_LEN];

	word_take(&path, word);
	if (!word[0])
		return p;
	while (p.cls < DEVICE_CLASS_COUNT && strcmp(word, device_class_name(p.cls)) != 0)
		p.cls++;
	p.kind = p.cls < DEVICE_CLASS_COUNT ? PATH_CLASS : PATH_NONE;
	if (p.kind == PATH_NONE)
		return p;
	word_take(&path, word);
	return word[0] ? of_class(p.cls, word, path) : p;
}

struct device_path device_path_find(const char *path)
{
	char word[DEVICE_NAME_LEN];

	if (*path != '/')
		return (struct device_path){.kind = PATH_NONE};
	word_take(&path, word);
	if (strcmp(word, "dev") == 0)
		return by_class(path);
	if (!word[0])
		return (struct device_path){.kind = PATH_FOLDER};
	if (strcmp(word, "sys") != 0)
		return (struct device_path){.kind = PATH_NONE};
	word_take(&path, word);
	if (!word[0])
		return (struct device_path){.kind = PATH_FOLDER, .device = &device_root};
	if (strcmp(word, "devices") != 0)
		return (struct device_path){.kind = PATH_NONE};
	return below(&device_root, path);
}

size_t device_path_of(const struct device *d, char *out, size_t len)
{
	const struct device *way[16];
	size_t n = 0, at;

	for (; d && d != &device_root && n < ARRAY_SIZE(way); d = d->parent)
		way[n++] = d;
	at = (size_t)ray_snprintf(out, len, "/sys/devices");
	while (n-- > 0 && at < len)
		at += (size_t)ray_snprintf(out + at, len - at, "/%s", way[n]->name);
	return at;
}
