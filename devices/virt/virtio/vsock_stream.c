/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of a VM and the host's ends of them. */
#include <string.h>

#include "devices/virt/virtio/vsock_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "vsock"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define LOG_LINES      10u /* a second, and as many at once twice */
/* Services told by one turn of the I/O thread. */
#define TURN_MAX       32u

static struct list_head all = LIST_HEAD_INIT(all);
static struct spinlock all_lock = SPINLOCK_INIT(LOCK_ORDER_VBACK);

/* --- life --- */

static struct vsock *cid_owner(uint64_t cid)
{
	struct vsock *vs;

	list_for_each_entry(vs, &all, node) {
		if (vs->cid == cid)
			return vs;
	}
	return NULL;
}

/* Pre: all_lock. False: taken, @owner gets by whom. */
static bool cid_take(struct vsock *vs, uint64_t cid, uint64_t first, char *owner)
{
	const struct vsock *other = cid_owner(cid);

	for (; cid == 0; first++) {
		if (!cid_owner(first))
			cid = first;
	}
	if (other) {
		memcpy(owner, other->vm, sizeof(other->vm));
		return false;
	}
	vs->cid = cid;
	list_add_tail(&vs->node, &all);
	return true;
}

int vsock_create(const struct vm *vm, uint64_t cid, struct vsock **out, char *why, size_t why_len)
{
	struct vsock *vs = kzalloc(sizeof(*vs), MEM_VDEV);
	char owner[VM_NAME_MAX];
	bool taken;

	if (!vs)
		return -RAY_ENOMEM;
	spin_lock_init(&vs->lock, LOCK_ORDER_VBACK);
	list_init(&vs->streams);
	list_init(&vs->over);
	vs->refs = 1;
	memcpy(vs->vm, vm->def.name, sizeof(vs->vm));
	bucket_init(&vs->log, LOG_LINES, 2 * LOG_LINES, time_tsc_hz());
	spin_lock(&all_lock);
	taken = !cid_take(vs, cid, VSOCK_CID_HOST + vm->id, owner);
	spin_unlock(&all_lock);
	if (taken) {
		kfree(vs);
		ray_snprintf(why, why_len, "cid=%llu is that of '%s'; leave cid out for one of its "
			     "own", (unsigned long long)cid, owner);
		return -RAY_EEXIST;
	}
	*out = vs;
	return 0;
}

static void vsock_put(struct vsock *vs)
{
	if (__atomic_sub_fetch(&vs->refs, 1, __ATOMIC_ACQ_REL) == 0)
		kfree(vs);
}

void vsock_destroy(struct vsock *vs)
{
	spin_lock(&all_lock);
	list_del(&vs->node);
	spin_unlock(&all_lock);
	vsock_put(vs);
}

void vsock_client_set(struct vsock *vs, struct vsock_client *c)
{
	spin_lock(&vs->lock);
	vs->client = c;
	spin_unlock(&vs->lock);
}

struct vstream *vstream_alloc(struct vsock *vs)
{
	struct vstream *s = kzalloc(sizeof(*s), MEM_VDEV);

	if (!s)
		return NULL;
	list_init(&s->node);
	waitq_init(&s->wait);
	s->refs = 1;
	s->begun_ns = time_now();
	s->vs = vs;
	__atomic_fetch_add(&vs->refs, 1, __ATOMIC_RELAXED);
	return s;
}

static struct vstream *vstream_get(struct vstream *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void vstream_put(struct vstream *s)
{
	struct vsock *vs = s->vs;

	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	kfree(s);
	vsock_put(vs);
}

/* --- the table; pre: locked --- */

void vsock_owe(struct vsock *vs)
{
	if (vs->client)
		vs->client->send(vs->client);
}

void vsock_work_wanted(struct vsock *vs)
{
	if (vs->client)
		vs->client->work(vs->client);
}

void vstream_event(struct vstream *s, uint32_t events)
{
	waitq_wake_all(&s->wait);
	if (!s->service)
		return;
	s->events |= events;
	vsock_work_wanted(s->vs);
}

bool vstream_add(struct vstream *s)
{
	if (s->vs->stream_count == VSOCK_STREAMS_MAX)
		return false;
	s->vs->stream_count++;
	list_add_tail(&vstream_get(s)->node, &s->vs->streams);
	return true;
}

void vstream_end(struct vstream *s)
{
	s->refused |= s->state == VSTREAM_CONNECTING;
	s->state = VSTREAM_OVER;
	s->tx.used = 0;
	s->deadline_ns = 0;
	s->vs->stream_count--;
	list_del(&s->node);
	vstream_event(s, VSTREAM_READABLE | VSTREAM_ENDED);
	if (s->service)
		list_add_tail(&s->node, &s->vs->over);
	else
		vstream_put(s);
}

void vstream_reset(struct vstream *s)
{
	if (s->state == VSTREAM_RESET)
		return;
	s->refused |= s->state == VSTREAM_CONNECTING;
	s->state = VSTREAM_RESET;
	s->tx.used = 0;
	s->deadline_ns = 0;
	vsock_owe(s->vs);
	vstream_event(s, VSTREAM_READABLE);
}

void vsock_reset(struct vsock *vs)
{
	struct vstream *s, *next;

	spin_lock(&vs->lock);
	list_for_each_entry_safe(s, next, &vs->streams, node)
		vstream_end(s);
	vs->rst_count = 0;
	vs->receive_waits = false;
	spin_unlock(&vs->lock);
}

/* --- work: services, deadlines --- */

/* A stream whose service has something to hear; it comes with a reference. Pre: locked. */
static struct vstream *unheard(struct vsock *vs)
{
	struct vstream *s;

	if (!list_empty(&vs->over)) {
		s = list_entry(vs->over.next, struct vstream, node);
		list_del(&s->node); /* its reference is ours now */
		return s;
	}
	list_for_each_entry(s, &vs->streams, node) {
		if (!s->events)
			continue;
		list_move_tail(&s->node, &vs->streams); /* one that is busy lets others go first */
		return vstream_get(s);
	}
	return NULL;
}

static void log_begin(struct vstream *s)
{
	struct vsock *vs = s->vs;

	s->told = bucket_take(&vs->log, rdtsc(), 1) == 0;
	if (!s->told) {
		vs->untold++;
		return;
	}
	log_info("stream begins vm=%s service=%s guest_port=%u untold=%llu", vs->vm,
		 s->service->name, s->guest_port, (unsigned long long)vs->untold);
}

static void log_end(const struct vstream *s)
{
	if (s->told)
		log_info("stream ends vm=%s service=%s guest_port=%u ms=%llu bytes_in=%llu "
			 "bytes_out=%llu", s->vs->vm, s->service->name, s->guest_port,
			 (unsigned long long)((time_now() - s->begun_ns) / 1000000u),
			 (unsigned long long)s->bytes_in, (unsigned long long)s->bytes_out);
}

static void hear(struct vstream *s, uint32_t events)
{
	if (events & VSTREAM_OPENED)
		log_begin(s);
	s->service->event(s, events);
	if (events & VSTREAM_ENDED)
		log_end(s);
}

/* Reset what is over its time; when is the next? Pre: locked. */
static uint64_t deadlines(struct vsock *vs)
{
	uint64_t now = time_now(), next = UINT64_MAX;
	struct vstream *s;

	list_for_each_entry(s, &vs->streams, node) {
		if (s->deadline_ns && s->deadline_ns <= now)
			vstream_reset(s);
		if (s->deadline_ns)
			next = MIN(next, s->deadline_ns);
	}
	return next;
}

uint64_t vsock_work(struct vsock *vs)
{
	unsigned int turn = 0;
	struct vstream *s;
	uint64_t next;

	spin_lock(&vs->lock);
	while ((s = unheard(vs)) != NULL) {
		uint32_t events = s->events;

		s->events = 0;
		spin_unlock(&vs->lock);
		hear(s, events);
		vstream_put(s);
		spin_lock(&vs->lock);
		if (++turn == TURN_MAX && vs->client) {
			vsock_work_wanted(vs);
			break;
		}
	}
	next = deadlines(vs);
	spin_unlock(&vs->lock);
	return next;
}

/* --- rings; pre: locked --- */

static uint32_t ring_put(struct vstream_ring *r, const uint8_t *p, size_t len)
{
	uint32_t n = (uint32_t)MIN(len, (size_t)(VSTREAM_BUF - r->used));
	uint32_t at = (r->head + r->used) % VSTREAM_BUF;
	uint32_t first = MIN(n, (uint32_t)VSTREAM_BUF - at);

	memcpy(r->bytes + at, p, first);
	memcpy(r->bytes, p + first, n - first);
	r->used += n;
	return n;
}

static uint32_t ring_get(struct vstream_ring *r, uint8_t *p, size_t len)
{
	uint32_t n = (uint32_t)MIN(len, (size_t)r->used);
	uint32_t first = MIN(n, (uint32_t)VSTREAM_BUF - r->head);

	memcpy(p, r->bytes + r->head, first);
	memcpy(p + first, r->bytes, n - first);
	r->head = (r->head + n) % VSTREAM_BUF;
	r->used -= n;
	return n;
}

/* --- the host's end --- */

int vstream_read(struct vstream *s, void *buf, size_t len)
{
	struct vsock *vs = s->vs;
	int n;

	spin_lock(&vs->lock);
	n = (int)ring_get(&s->rx, buf, MIN(len, (size_t)VSTREAM_BUF));
	s->fwd_cnt += (uint32_t)n;
	if (n == 0 && len > 0 && (s->state >= VSTREAM_RESET || s->closed ||
				  (s->guest_shut & VSOCK_SHUT_SEND)))
		n = -RAY_ENODEV;
	/* The guest hears of room when there is worth while. */
	if (s->fwd_cnt - s->fwd_told >= VSTREAM_BUF / 2 && s->state == VSTREAM_OPEN) {
		s->owed |= OWED_CREDIT;
		vsock_owe(vs);
	}
	spin_unlock(&vs->lock);
	return n;
}

static bool writable(const struct vstream *s)
{
	return s->state == VSTREAM_OPEN && !s->closed && !(s->guest_shut & VSOCK_SHUT_RCV);
}

size_t vstream_write(struct vstream *s, const void *buf, size_t len)
{
	struct vsock *vs = s->vs;
	size_t n = 0;

	spin_lock(&vs->lock);
	if (writable(s))
		n = ring_put(&s->tx, buf, len);
	if (n > 0)
		vsock_owe(vs);
	spin_unlock(&vs->lock);
	return n;
}

size_t vstream_room(struct vstream *s)
{
	size_t n;

	spin_lock(&s->vs->lock);
	n = writable(s) ? VSTREAM_BUF - s->tx.used : 0;
	spin_unlock(&s->vs->lock);
	return n;
}

void vstream_close(struct vstream *s)
{
	struct vsock *vs = s->vs;

	spin_lock(&vs->lock);
	if (!s->closed && s->state == VSTREAM_OPEN) {
		s->owed |= OWED_SHUTDOWN;
		s->deadline_ns = time_now() + VSOCK_LINGER_NS;
		vsock_owe(vs);
		vsock_work_wanted(vs); /* it looks at the deadline */
	} else if (!s->closed && s->state == VSTREAM_CONNECTING) {
		vstream_reset(s);
	}
	s->closed = true;
	spin_unlock(&vs->lock);
}

const char *vstream_vm(const struct vstream *s)
{
	return s->vs->vm;
}

int vstream_opened(struct vstream *s, uint64_t deadline_ns)
{
	if (!wait_event(&s->wait, s->state != VSTREAM_CONNECTING, deadline_ns))
		return -RAY_ETIMEDOUT;
	return s->refused ? -RAY_ENOENT : 0;
}
