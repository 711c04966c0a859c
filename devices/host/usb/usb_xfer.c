/* SPDX-License-Identifier: Apache-2.0 */
/* USB: transfers, and waiting for them. */
#include <string.h>

#include "devices/host/usb/usb.h"
#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define CONTROL_MS 5000u /* USB 2.0, 9.2.6.1: the longest a request may take */
#define NS_PER_MS  1000000ull

struct waiting {
	struct thread *thread;
	bool over; /* atomic */
	int err;
};

static void over(struct usb_xfer *x, int err)
{
	struct waiting *w = x->owner;
	struct thread *t = w->thread;

	w->err = err;
	/* The waiter's stack may be gone from here on; the waiter itself is not. */
	__atomic_store_n(&w->over, true, __ATOMIC_RELEASE);
	thread_wake(t);
}

int usb_submit(struct usb_xfer *x)
{
	x->got = 0;
	if (__atomic_load_n(&x->dev->gone, __ATOMIC_RELAXED))
		return -RAY_ENODEV;
	return x->dev->bus->ops->submit(x);
}

static bool over_by(const struct waiting *w, uint64_t deadline)
{
	while (!__atomic_load_n(&w->over, __ATOMIC_ACQUIRE)) {
		if (time_now() >= deadline)
			return false;
		waitq_sleep(deadline);
	}
	return true;
}

static int wait_for(struct usb_xfer *x, struct waiting *w, unsigned int ms)
{
	int err = usb_submit(x);

	if (err)
		return err;
	if (over_by(w, time_now() + ms * NS_PER_MS))
		return w->err;
	/* Whatever comes of it, the transfer ends by that, perhaps in its last moment. */
	err = x->dev->bus->ops->ep_reset(x->dev, x->ep);
	(void)over_by(w, UINT64_MAX);
	if (w->err == -RAY_ECANCELED)
		return err ? err : -RAY_ETIMEDOUT;
	return w->err;
}

int usb_wait(struct usb_xfer *x, unsigned int ms)
{
	struct waiting w = {.thread = thread_current()};
	struct usb_xfer mine = *x;
	int err;

	mine.done = over;
	mine.owner = &w;
	err = wait_for(&mine, &w, ms);
	x->got = mine.got;
	return err;
}

static int control_locked(struct usb_dev *d, const struct usb_setup *s, void *buf, uint32_t *got)
{
	struct usb_seg seg = {.addr = d->data.addr, .len = s->length};
	struct usb_xfer x = {.dev = d, .setup = *s, .seg = &seg,
			     .seg_count = s->length ? 1 : 0, .len = s->length};
	bool in = (s->type & USB_REQ_IN) != 0;
	int err;

	if (!in && s->length)
		memcpy(d->data.va, buf, s->length);
	err = usb_wait(&x, CONTROL_MS);
	/* The device takes the next request by itself (USB 2.0, 8.5.3.4), the controller does not. */
	if (err == -RAY_EPROTO || err == -RAY_EIO) {
		int again = d->bus->ops->ep_reset(d, 0);

		if (again)
			err = again;
	}
	if (err)
		return err;
	if (in && x.got)
		memcpy(buf, d->data.va, x.got);
	if (got)
		*got = x.got;
	return got || x.got == s->length ? 0 : -RAY_EPROTO;
}

int usb_control(struct usb_dev *d, const struct usb_setup *s, void *buf, uint32_t *got)
{
	int err;

	if (s->length > d->data.size)
		return -RAY_ERANGE;
	mutex_lock(&d->control);
	err = control_locked(d, s, buf, got);
	mutex_unlock(&d->control);
	return err;
}

int usb_ep_reset(struct usb_dev *d, uint8_t ep)
{
	struct usb_setup s = {.type = USB_REQ_ENDPOINT, .request = USB_CLEAR_FEATURE,
			      .value = USB_FEATURE_HALT, .index = ep};
	int err;

	if (__atomic_load_n(&d->gone, __ATOMIC_RELAXED))
		return -RAY_ENODEV;
	err = d->bus->ops->ep_reset(d, ep);
	return err ? err : usb_control(d, &s, NULL, NULL);
}

/* --- listening --- */

static void heard(struct usb_xfer *x, int err)
{
	const struct usb_listener *l = container_of(x, struct usb_listener, xfer);
	uint8_t report[USB_REPORT_MAX];

	if (!err) {
		memcpy(report, l->mem.va, x->got);
		l->heard(x->owner, report, x->got);
		err = usb_submit(x);
	}
	(void)err; /* gone, or halted: no more of it */
}

int usb_listen(struct usb_listener *l, struct usb_dev *d, const struct usb_endpoint *in,
	       usb_heard_fn fn, void *owner)
{
	int err = dma_alloc(d->bus->pci, USB_REPORT_MAX, d->bus->dma_max, &l->mem);

	if (err)
		return err;
	l->heard = fn;
	l->seg = (struct usb_seg){.addr = l->mem.addr,
				  .len = MIN((uint32_t)in->packet, USB_REPORT_MAX)};
	l->xfer = (struct usb_xfer){.dev = d, .ep = in->address, .seg = &l->seg, .seg_count = 1,
				    .len = l->seg.len, .done = heard, .owner = owner};
	err = usb_submit(&l->xfer);
	if (err)
		usb_listen_end(l);
	return err;
}

void usb_listen_end(struct usb_listener *l)
{
	dma_free(l->xfer.dev->bus->pci, &l->mem);
}
