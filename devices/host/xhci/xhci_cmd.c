/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: commands, one at a time, for who may wait (4.6). */
#include "devices/host/xhci/xhci.h"
#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define COMMAND_NS 6000000000ull /* an Address Device waits for the device: 5 s at most */

static bool command_begin(struct xhci *h, const struct xhci_trb *t)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	bool ok = !h->dead;
	uint32_t at;

	if (ok) {
		h->cmd.used = 0; /* the one before has ended */
		h->cmd_thread = thread_current();
		h->cmd_over = false;
		at = xhci_ring_put(&h->cmd, t, false);
		h->cmd_addr = h->cmd.mem.addr.v + at * sizeof(struct xhci_trb);
		xhci_doorbell(h, 0, 0);
	}
	spin_unlock_irqrestore(&h->lock, flags);
	return ok;
}

static bool command_over(struct xhci *h)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	bool over = h->cmd_over || h->dead;

	spin_unlock_irqrestore(&h->lock, flags);
	return over;
}

/* Returns: the code; 0: no answer has come. */
static int command_end(struct xhci *h, uint8_t *slot)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	int code = h->cmd_over ? h->cmd_code : 0;

	if (slot)
		*slot = h->cmd_slot;
	h->cmd_thread = NULL;
	spin_unlock_irqrestore(&h->lock, flags);
	return code;
}

int xhci_command(struct xhci *h, const struct xhci_trb *t, uint8_t *slot)
{
	uint64_t deadline = time_now() + COMMAND_NS;
	int code = 0;

	mutex_lock(&h->cmd_lock);
	if (command_begin(h, t)) {
		while (!command_over(h) && time_now() < deadline)
			waitq_sleep(deadline);
		code = command_end(h, slot);
		if (code == 0)
			xhci_fail(h, "no answer to a command");
	}
	mutex_unlock(&h->cmd_lock);
	return code ? code : -RAY_EIO;
}

int xhci_command_ok(struct xhci *h, const struct xhci_trb *t, uint8_t *slot)
{
	return xhci_command(h, t, slot) == XHCI_CC_SUCCESS ? 0 : -RAY_EIO;
}

void xhci_command_event(struct xhci *h, const struct xhci_trb *e)
{
	if (!h->cmd_thread || e->param != h->cmd_addr)
		return;
	h->cmd_code = (uint8_t)XHCI_EVENT_CODE(e->status);
	h->cmd_slot = (uint8_t)XHCI_TRB_SLOT_OF(e->control);
	h->cmd_over = true;
	thread_wake(h->cmd_thread);
}
