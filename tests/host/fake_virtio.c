// SPDX-License-Identifier: Apache-2.0
#include "tests/host/fake_virtio.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/hotplug.h"
#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"

struct vio {
	struct vio_work *first;
};

struct vio *vio_create(struct vm *vm)
{
	(void)vm;
	return kzalloc(sizeof(struct vio), MEM_VDEV);
}

int vio_start(struct vio *io)
{
	(void)io;
	return 0;
}

void vio_destroy(struct vio *io)
{
	kfree(io);
}

void vio_queue(struct vio *io, struct vio_work *w)
{
	struct vio_work **at = &io->first;

	if (w->queued)
		return;
	w->queued = 1;
	w->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = w;
}

void vio_cancel(struct vio *io, struct vio_work *w)
{
	for (struct vio_work **at = &io->first; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			w->queued = 0;
			return;
		}
	}
}

unsigned int fake_io_limit;

unsigned int fake_io_run(struct vm *vm)
{
	struct vio *io = vm->platform->io;
	unsigned int n = 0;

	while (io->first) {
		struct vio_work *w = io->first;

		io->first = w->next;
		w->queued = 0;
		if (fake_io_limit && n >= fake_io_limit)
			continue;
		w->fn(w);
		n++;
	}
	return n;
}

/* --- ACPI hot plug, for tests that do without devices/virt/hotplug.c --- */

__attribute__((weak)) void vhotplug_plugged(struct vm *vm, unsigned int slot)
{
	(void)vm;
	(void)slot;
}

__attribute__((weak)) void vhotplug_pulled(struct vm *vm)
{
	(void)vm;
}

__attribute__((weak)) bool vhotplug_want(struct vm *vm, unsigned int slot)
{
	(void)vm;
	(void)slot;
	return false;
}

/* --- markers --- */

char fake_markers[4096];

void marker_print(enum marker m, const char *fmt, ...)
{
	static const char *const names[MARKER_COUNT] = {
		[MARKER_DEVICE_ATTACHED] = "ATTACHED",
		[MARKER_DEVICE_READY] = "READY",
		[MARKER_DEVICE_NEEDS_RESET] = "NEEDS_RESET",
		[MARKER_DEVICE_QUOTA_EXCEEDED] = "QUOTA_EXCEEDED",
		[MARKER_DEVICE_DETACHED] = "DETACHED",
	};
	size_t n = strlen(fake_markers);
	va_list ap;

	if (n > sizeof(fake_markers) / 2)
		n = 0; /* nobody reads that far */
	va_start(ap, fmt);
	n += (size_t)snprintf(fake_markers + n, sizeof(fake_markers) - n, "%s ", names[m]);
	n += (size_t)vsnprintf(fake_markers + n, sizeof(fake_markers) - n, fmt, ap);
	va_end(ap);
	snprintf(fake_markers + n, sizeof(fake_markers) - n, "\n");
}

char *marker_value(char *buf, size_t size, const char *s)
{
	snprintf(buf, size, "%s", s);
	return buf;
}

/* --- the echo device --- */

bool fake_echo_slow;
unsigned int fake_echo_served;

static enum virtq_result echo_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct virtq_chain *c;
	char buf[256];
	int got;

	(void)d;
	fake_echo_served++;
	if (fast && fake_echo_slow)
		return VIRTQ_MORE;
	while ((got = virtq_next(q, &c)) > 0) {
		uint32_t n = virtq_chain_read(c, 0, buf, sizeof(buf));

		virtq_done(q, c, virtq_chain_write(c, 0, buf, n));
	}
	virtq_flush(q);
	return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
}

static void echo_config_write(struct virtio_dev *d, unsigned int off, unsigned int len,
			      const uint8_t *bytes)
{
	memcpy(d->config + off, bytes, len);
}

static void echo_destroy(struct virtio_dev *d)
{
	kfree(d);
}

static const struct virtio_ops echo_ops = {
	.name = "virtio-echo",
	.id = 42,
	.pci_class = 0xff00,
	.state_version = 1,
	.serve = echo_serve,
	.config_write = echo_config_write,
	.destroy = echo_destroy,
};

static int echo_open(struct vattach *a, struct spec *s)
{
	struct quota_limits limits = {0};
	int err = spec_size(s, "rate", &limits.bytes_per_second);

	if (!err && a)
		vhandler_limit(&a->handler, &limits);
	return err;
}

static void echo_close(struct vattach *a)
{
	(void)a;
}

static int echo_create(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &echo_ops, .attach = a, .queues = 2,
					 .config_size = 12};
	struct virtio_dev *d = kzalloc(sizeof(*d), MEM_VDEV);
	int err = d ? virtio_dev_init(d, a->vm, &init) : -RAY_ENOMEM;

	if (err)
		kfree(d);
	else
		*out = d;
	return err;
}

static const struct vkind vkind_echo = {
	.name = "echo",
	.summary = "copies",
	.options = "rate=BYTES",
	.example = "rate=1M",
	.policy = POLICY_RNG,
	.open = echo_open,
	.close = echo_close,
	.create = echo_create,
};
VKIND(echo);
