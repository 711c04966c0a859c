/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/back/console_port.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/mm/heap.h"

/* --- the terminal's side; context: thread --- */

static struct vcport *port_of(struct vterm *t)
{
	return container_of(t, struct vcport, term);
}

/* Pre: locked */
static void tell(struct vcport *p, uint32_t events)
{
	if (p->client)
		p->client->event(p->client, p, events);
}

static size_t port_type(struct vterm *t, const char *buf, size_t len)
{
	struct vcport *p = port_of(t);
	size_t n;

	spin_lock(&p->lock);
	n = t->gone ? 0 : MIN(len, (size_t)(VCPORT_IN_SIZE - p->in_count));
	for (size_t i = 0; i < n; i++)
		p->in[(p->in_head + p->in_count++) % VCPORT_IN_SIZE] = (uint8_t)buf[i];
	if (n > 0)
		tell(p, VCPORT_TYPED);
	spin_unlock(&p->lock);
	return n;
}

static void port_session(struct vterm *t, bool come)
{
	struct vcport *p = port_of(t);

	spin_lock(&p->lock);
	if (come)
		__atomic_fetch_add(&p->sessions, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_sub(&p->sessions, 1, __ATOMIC_SEQ_CST);
	if (!p->always)
		tell(p, VCPORT_SESSION);
	spin_unlock(&p->lock);
}

static void port_resize(struct vterm *t, uint16_t cols, uint16_t rows)
{
	struct vcport *p = port_of(t);

	spin_lock(&p->lock);
	p->cols = cols;
	p->rows = rows;
	tell(p, VCPORT_RESIZED);
	spin_unlock(&p->lock);
}

static bool port_heard(struct vterm *t)
{
	return port_of(t)->guest_open;
}

static void port_free(struct vterm *t)
{
	kfree(port_of(t));
}

static const struct vterm_ops port_term_ops = {
	.type = port_type,
	.session = port_session,
	.resize = port_resize,
	.heard = port_heard,
	.free = port_free,
};

/* --- the device's side --- */

void vcport_client_set(struct vcport *p, struct vcport_client *c)
{
	spin_lock(&p->lock);
	p->client = c;
	spin_unlock(&p->lock);
}

void vcport_reset(struct vcport *p)
{
	spin_lock(&p->lock);
	p->guest_open = false;
	p->in_head = p->in_count = 0;
	spin_unlock(&p->lock);
}

/* --- specification --- */

static bool name_ok(const char *s, size_t len)
{
	if (len == 0 || len >= VTERM_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		/* The first is a letter: a number is a port's number. */
		if (!letter && (i == 0 || (!(c >= '0' && c <= '9') && !strchr("._-", c))))
			return false;
	}
	return true;
}

static int name_add(const struct spec *s, struct vcports_spec *out, const char *name, size_t len,
		    bool always)
{
	struct vcports_spec_port *p = &out->port[out->count];

	if (!name_ok(name, len))
		return spec_fail(s, -RAY_EINVAL,
				 "'%.*s' is no name of a port: a letter, then up to %u letters, "
				 "digits and ._-", (int)MIN(len, (size_t)VTERM_NAME_MAX), name,
				 VTERM_NAME_MAX - 2);
	if (out->count == VCPORT_MAX)
		return spec_fail(s, -RAY_E2BIG, "more than %u ports beside the console",
				 VCPORT_MAX - 1);
	memcpy(p->name, name, len);
	p->name[len] = '\0';
	p->always = always;
	for (unsigned int i = 0; i < out->count; i++) {
		if (strcmp(out->port[i].name, p->name) == 0)
			return spec_fail(s, -RAY_EEXIST, "two ports are called '%s'", p->name);
	}
	out->count++;
	return 0;
}

/* "boot:audit" */
static int names_add(const struct spec *s, struct vcports_spec *out, const char *list)
{
	int err = 0;

	while (list && !err) {
		const char *colon = strchr(list, ':');
		size_t len = colon ? (size_t)(colon - list) : strlen(list);

		err = name_add(s, out, list, len, true);
		list = colon ? colon + 1 : NULL;
	}
	return err;
}

int vcports_parse(struct spec *s, struct vcports_spec *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	/* Its output never waits for an operator, nor should its writers. */
	err = name_add(s, out, "console", strlen("console"), true);
	for (unsigned int i = 0; i < s->count && !err; i++) {
		struct spec_item *item = &s->item[i];

		if (item->value)
			continue;
		item->used = true;
		if (strcmp(item->key, "console") == 0)
			continue; /* for a definition of this port alone */
		err = name_add(s, out, item->key, strlen(item->key), false);
	}
	return err ? err : names_add(s, out, spec_text(s, "log"));
}

/* --- all ports of a VM --- */

struct vcports *vcports_create(const struct vcports_spec *spec)
{
	struct vcports *ps = kzalloc(sizeof(*ps), MEM_VDEV);

	if (!ps)
		return NULL;
	for (; ps->count < spec->count; ps->count++) {
		struct vcport *p = kzalloc(sizeof(*p), MEM_VDEV);

		if (!p) {
			vcports_destroy(ps);
			return NULL;
		}
		spin_lock_init(&p->lock, LOCK_ORDER_VBACK);
		vterm_init(&p->term, &port_term_ops, spec->port[ps->count].name);
		p->number = ps->count;
		p->always = spec->port[ps->count].always;
		ps->port[ps->count] = p;
	}
	return ps;
}

void vcports_destroy(struct vcports *ps)
{
	for (unsigned int i = 0; i < ps->count; i++) {
		ps->port[i]->guest_open = false;
		vterm_end(&ps->port[i]->term);
	}
	kfree(ps);
}

struct vcport *vcports_find(const struct vcports *ps, const char *name)
{
	uint64_t n;

	for (unsigned int i = 0; i < ps->count; i++) {
		if (strcmp(ps->port[i]->term.name, name) == 0)
			return ps->port[i];
	}
	return parse_u64(name, &n) == 0 && n < ps->count ? ps->port[n] : NULL;
}

void vcports_names(const struct vcports *ps, char *buf, size_t len)
{
	size_t at = 0;

	for (unsigned int i = 0; i < ps->count; i++)
		at += ray_scnprintf(buf + at, len - at, "%s%s", i ? ", " : "",
				    ps->port[i]->term.name);
}
