/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/term.h"

#include <string.h>

void vterm_init(struct vterm *t, const struct vterm_ops *ops, const char *name)
{
	t->ops = ops;
	strlcpy(t->name, name, sizeof(t->name));
	t->refs = 1;
	waitq_init(&t->wait);
}

void vterm_put(struct vterm *t)
{
	if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) == 0)
		t->ops->free(t);
}

void vterm_end(struct vterm *t)
{
	__atomic_store_n(&t->gone, true, __ATOMIC_SEQ_CST);
	waitq_wake_all(&t->wait);
	vterm_put(t);
}

void vterm_write(struct vterm *t, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0) {
		uint64_t at = t->written;
		size_t n = MIN(len, (size_t)VTERM_WRITING);

		n = MIN(n, (size_t)(VTERM_LOG_SIZE - at % VTERM_LOG_SIZE));
		memcpy(&t->log[at % VTERM_LOG_SIZE], p, n);
		__atomic_store_n(&t->written, at + n, __ATOMIC_SEQ_CST);
		p += n;
		len -= n;
	}
	vterm_wake(t);
}

uint64_t vterm_oldest(const struct vterm *t)
{
	uint64_t end = vterm_position(t);

	return end >= VTERM_KEPT ? end - VTERM_KEPT : 0;
}

size_t vterm_read(const struct vterm *t, uint64_t *pos, char *buf, size_t len)
{
	uint64_t from, end;
	size_t n;

	do {
		end = vterm_position(t);
		from = MIN(MAX(*pos, vterm_oldest(t)), end);
		n = (size_t)MIN((uint64_t)len, end - from);
		for (size_t i = 0; i < n; i++)
			buf[i] = (char)__atomic_load_n(&t->log[(from + i) % VTERM_LOG_SIZE],
						       __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		/* The guest may have written over what was being copied: again, from further on. */
	} while (n > 0 && vterm_oldest(t) > from);
	*pos = from + n;
	return n;
}

bool vterm_wait(struct vterm *t, uint64_t pos, uint64_t deadline_ns)
{
	__atomic_fetch_add(&t->waiting, 1, __ATOMIC_SEQ_CST);
	wait_event(&t->wait, vterm_position(t) > pos || t->gone, deadline_ns);
	__atomic_fetch_sub(&t->waiting, 1, __ATOMIC_SEQ_CST);
	return vterm_position(t) > pos;
}
