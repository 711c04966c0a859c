/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a virtio device: negotiation, status, queues, reset, break, plugging. */
#include "devices/virt/virtio/virtio.h"

#include "devices/virt/attach.h"
#include "devices/virt/virt.h"
#include "devices/virt/virtio/virtio_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#define LOG_TAG "virtio"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"

#define CORE_FEATURES (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)
#define QUEUE_SIZE    256u

/* Descriptors of a turn (one chain may go beyond by its length), and turns in a row. */
#define TURN_FAST   512u
#define TURN_THREAD 4096u
#define TURNS_MAX   8u

#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

/* d->events */
#define EVENT_BROKEN BIT(0)
#define EVENT_READY  BIT(1)
#define EVENT_QUOTA  BIT(2)

/* --- interrupts --- */

static void interrupt(struct virtio_dev *d, uint16_t vector, uint8_t isr)
{
	if (likely(virtio_msix_send(d, vector)))
		return;
	__atomic_fetch_or(&d->isr, isr, __ATOMIC_SEQ_CST);
	vpci_intx_set(&d->pci, true);
}

void virtio_irq_queue_slow(struct virtio_dev *d, uint16_t vector)
{
	interrupt(d, vector, ISR_QUEUE);
}

void virtio_irq_config(struct virtio_dev *d)
{
	/* Before DRIVER_OK nobody is there to be told (2.4.1). */
	if (d->status & VIRTIO_S_DRIVER_OK)
		interrupt(d, d->config_vector, ISR_CONFIG);
}

void virtio_config_changed(struct virtio_dev *d)
{
	uint64_t flags = spin_lock_irqsave(&d->lock);

	d->generation++;
	spin_unlock_irqrestore(&d->lock, flags);
	virtio_irq_config(d);
}

/* --- serving queues --- */

/* Serve once. Returns whether somebody has kicked meanwhile and left it to us. */
static __force_inline bool turn(struct virtq *q, bool fast)
{
	struct virtio_dev *d = q->dev;
	enum virtq_result r = VIRTQ_IDLE;

	/* Taken: its holder looks at `kicked` after letting go. */
	if (unlikely(!virtq_lock(q, fast)))
		return false;
	__atomic_store_n(&q->kicked, 0, __ATOMIC_SEQ_CST);
	q->turn = fast ? TURN_FAST : TURN_THREAD;
	if (likely(q->enabled && !d->broken))
		r = d->ops->serve(d, q, fast);
	q->turn = UINT64_MAX;
	spin_unlock(&q->lock);
	if (r == VIRTQ_MORE) {
		virtq_kick(q);
		return false;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&q->kicked, __ATOMIC_RELAXED);
}

/* Who kicks all the time gets no more of a CPU than who does not. */
static __noinline void more_turns(struct virtq *q, bool fast)
{
	for (unsigned int turns = 1; turns < TURNS_MAX; turns++)
		if (!turn(q, fast))
			return;
	virtq_kick(q);
}

static __force_inline void run(struct virtq *q, bool fast)
{
	__atomic_store_n(&q->kicked, 1, __ATOMIC_RELAXED);
	if (unlikely(turn(q, fast)))
		more_turns(q, fast);
}

void virtq_run(struct virtq *q, bool fast)
{
	run(q, fast);
}

void virtq_notified(struct virtq *q)
{
	q->notified++;
	run(q, true); /* inline: a notify is a hot path */
}

void virtq_kick(struct virtq *q)
{
	vio_queue(q->dev->io, &q->work);
}

/* Memory the guest gave back and now names as a buffer comes back first. */
static void make_present(struct virtq *q)
{
	struct vm *vm = q->dev->dev.vm;
	uint32_t len = q->absent_len;
	int err = 0;

	q->absent_len = 0;
	if (len)
		err = vm_populate(vm, GPA(q->absent), len);
	(void)err; /* for want of memory: the VM ends */
}

static void queue_work(struct vio_work *w)
{
	struct virtq *q = container_of(w, struct virtq, work);

	make_present(q);
	epoch_enter();
	virtq_run(q, false);
	epoch_leave();
}

static void queue_enable(struct virtio_dev *d, struct virtq *q)
{
	spin_lock(&q->lock);
	q->event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX);
	q->indirect = virtio_has(d, VIRTIO_F_INDIRECT_DESC);
	virtq_locate(q);
	q->enabled = q->wanted && !d->quiesced && (d->status & VIRTIO_S_DRIVER_OK);
	spin_unlock(&q->lock);
}

/* Nobody serves the queue when this returns, and nobody will. */
static void queue_disable(struct virtq *q)
{
	spin_lock(&q->lock);
	q->enabled = false;
	spin_unlock(&q->lock);
}

void virtio_queues_on(struct virtio_dev *d)
{
	for (unsigned int i = 0; i < d->queue_count; i++)
		queue_enable(d, &d->queue[i]);
	/* What became available before nobody has looked at. */
	for (unsigned int i = 0; i < d->queue_count; i++)
		virtq_kick(&d->queue[i]);
}

void virtio_queues_off(struct virtio_dev *d)
{
	for (unsigned int i = 0; i < d->queue_count; i++)
		queue_disable(&d->queue[i]);
}

void virtio_dev_hold(struct virtio_dev *d)
{
	mutex_lock(&d->status_lock);
	virtio_queues_off(d);
}

void virtio_dev_let_go(struct virtio_dev *d)
{
	virtio_queues_on(d);
	mutex_unlock(&d->status_lock);
}

/* --- what an exit handler cannot say --- */

static void event(struct virtio_dev *d, uint32_t bit)
{
	__atomic_fetch_or(&d->events, bit, __ATOMIC_SEQ_CST);
	vio_queue(d->io, &d->event_work);
}

static void quota_told(const struct virtio_dev *d)
{
	static const char *const names[] = {"ops", "bytes", "space"};
	uint32_t crossed = vhandler_crossed(&d->attach->handler);

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (crossed & BIT(i))
			marker_print(MARKER_DEVICE_QUOTA_EXCEEDED, "vm=%s device=%s what=%s",
				     d->dev.vm->def.name, d->attach->name, names[i]);
	}
}

/* A guest can reset and break its device as fast as it likes: the serial line is everybody's. */
static bool may_tell(struct vattach *a, struct bucket *b)
{
	if (bucket_take(b, rdtsc(), 1) == 0)
		return true;
	a->untold++;
	return false;
}

static void event_work(struct vio_work *w)
{
	struct virtio_dev *d = container_of(w, struct virtio_dev, event_work);
	uint32_t events = __atomic_exchange_n(&d->events, 0, __ATOMIC_SEQ_CST);
	const char *vm = d->dev.vm->def.name, *name = d->attach->name;
	char why[64];

	if ((events & EVENT_BROKEN) && may_tell(d->attach, &d->attach->told_broken)) {
		log_warn("device needs reset vm=%s device=%s why=\"%s\" untold=%lu", vm, name,
			 d->broken_why, (unsigned long)d->attach->untold);
		marker_print(MARKER_DEVICE_NEEDS_RESET, "vm=%s device=%s reason=%s", vm, name,
			     marker_value(why, sizeof(why), d->broken_why));
	}
	if (events & EVENT_QUOTA)
		quota_told(d);
	if ((events & EVENT_READY) && may_tell(d->attach, &d->attach->told_ready))
		marker_print(MARKER_DEVICE_READY, "vm=%s device=%s", vm, name);
}

void virtio_quota_event(struct virtio_dev *d)
{
	event(d, EVENT_QUOTA);
}

static void timer_kick(struct timer *t)
{
	virtq_kick(container_of(t, struct virtq, timer));
}

enum virtq_result virtq_wait_until(struct virtq *q, uint64_t when)
{
	timer_set_tsc(&q->timer, when);
	if (vhandler_has_crossed(&q->dev->attach->handler))
		event(q->dev, EVENT_QUOTA);
	return VIRTQ_WAIT;
}

void virtio_dev_break(struct virtio_dev *d, const char *why)
{
	if (__atomic_exchange_n(&d->broken, true, __ATOMIC_SEQ_CST))
		return;
	d->broken_why = why;
	__atomic_fetch_add(&d->broken_count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&d->attach->handler.malformed, 1, __ATOMIC_RELAXED);
	__atomic_fetch_or(&d->status, VIRTIO_S_NEEDS_RESET, __ATOMIC_SEQ_CST);
	event(d, EVENT_BROKEN);
	virtio_irq_config(d);
}

/* --- status --- */

void virtio_dev_reset(struct virtio_dev *d)
{
	uint64_t flags;

	virtio_queues_off(d);
	if (d->ops->reset)
		d->ops->reset(d);
	for (unsigned int i = 0; i < d->queue_count; i++) {
		spin_lock(&d->queue[i].lock);
		virtq_reset(&d->queue[i]);
		spin_unlock(&d->queue[i].lock);
	}
	flags = spin_lock_irqsave(&d->lock);
	d->features = d->driver_features = 0;
	d->feature_select = d->driver_feature_select = 0;
	d->queue_select = 0;
	d->config_vector = VIRTIO_NO_VECTOR;
	d->isr = 0;
	d->broken = false;
	d->status = 0;
	spin_unlock_irqrestore(&d->lock, flags);
	vpci_intx_set(&d->pci, false);
}

/* FEATURES_OK stays clear when the device does not work with what the driver wants (2.2.2). */
static bool features_accept(struct virtio_dev *d)
{
	uint64_t f = d->driver_features, flags;
	bool ok;

	if ((f & ~d->offered) || !(f & VIRTIO_F_VERSION_1))
		return false;
	flags = spin_lock_irqsave(&d->lock);
	d->features = f;
	ok = !d->ops->features_ok || d->ops->features_ok(d);
	if (!ok)
		d->features = 0;
	spin_unlock_irqrestore(&d->lock, flags);
	return ok;
}

static void status_add(struct virtio_dev *d, uint8_t bits)
{
	__atomic_fetch_or(&d->status, bits, __ATOMIC_SEQ_CST);
}

static void status_set(struct virtio_dev *d, uint8_t status)
{
	uint8_t new = status & (uint8_t)~d->status;

	status_add(d, new & (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FAILED));
	if ((new & VIRTIO_S_FEATURES_OK) && features_accept(d))
		status_add(d, VIRTIO_S_FEATURES_OK);
	if ((new & VIRTIO_S_DRIVER_OK) && (d->status & VIRTIO_S_FEATURES_OK)) {
		status_add(d, VIRTIO_S_DRIVER_OK);
		event(d, EVENT_READY);
		if (d->ops->ready)
			d->ops->ready(d);
		virtio_queues_on(d);
	}
}

void virtio_status_write(struct virtio_dev *d, uint8_t status)
{
	mutex_lock(&d->status_lock);
	if (status == 0)
		virtio_dev_reset(d);
	else
		status_set(d, status);
	mutex_unlock(&d->status_lock);
}

/* --- creation --- */

static void queues_free(struct virtio_dev *d)
{
	for (unsigned int i = 0; i < d->queue_count; i++)
		virtq_fini(&d->queue[i]);
	kfree(d->queue);
	d->queue = NULL;
}

static int queues_create(struct virtio_dev *d, const struct virtio_init *init)
{
	uint16_t same = init->queue_size ? init->queue_size : QUEUE_SIZE;

	d->queue = kcalloc(init->queues, sizeof(*d->queue), MEM_VDEV);
	if (!d->queue)
		return -RAY_ENOMEM;
	for (; d->queue_count < init->queues; d->queue_count++) {
		uint16_t i = (uint16_t)d->queue_count;
		uint16_t size = init->queue_sizes ? init->queue_sizes[i] : same;

		if (virtq_init(&d->queue[i], d, i, size)) {
			queues_free(d);
			return -RAY_ENOMEM;
		}
		vio_work_init(&d->queue[i].work, queue_work);
		timer_init(&d->queue[i].timer, timer_kick);
	}
	return 0;
}

int virtio_dev_init(struct virtio_dev *d, struct vm *vm, const struct virtio_init *init)
{
	int err;

	d->ops = init->ops;
	d->vdev_ops = virtio_vdev_ops;
	d->vdev_ops.name = init->ops->name;
	d->attach = init->attach;
	d->io = vm->platform->io;
	d->dev.vm = vm;
	d->offered = init->features | CORE_FEATURES;
	d->config_size = init->config_size;
	d->config_vector = VIRTIO_NO_VECTOR;
	mutex_init(&d->status_lock, LOCK_ORDER_VDEV);
	spin_lock_init(&d->lock, LOCK_ORDER_VDEV_REGS);
	vio_work_init(&d->event_work, event_work);
	err = vio_start(d->io);
	if (!err)
		err = queues_create(d, init);
	if (err)
		return err;
	err = virtio_pci_init(d);
	if (err)
		queues_free(d);
	return err;
}

int virtio_dev_plug(struct virtio_dev *d)
{
	int err = vpci_plug(d->dev.vm, &d->pci, d->attach->slot);

	if (err)
		return err;
	d->attach->slot = d->pci.slot;
	d->attach->dev = d;
	d->plugged = true;
	vdev_register(d->dev.vm, &d->dev, &d->vdev_ops, d->attach->id);
	return 0;
}

/* What the attachment counts over all its devices. */
static void counts_keep(struct virtio_dev *d)
{
	for (unsigned int i = 0; i < d->queue_count; i++) {
		d->attach->notifies += d->queue[i].notified;
		d->attach->interrupts += d->queue[i].interrupts;
	}
}

void virtio_dev_destroy(struct virtio_dev *d)
{
	/* First the guest's ways in, then who serves, then what they set going. */
	if (d->plugged) {
		vpci_unplug(&d->pci);
		list_del(&d->dev.node);
	}
	virtio_queues_off(d);
	if (d->ops->quiesce)
		d->ops->quiesce(d);
	for (unsigned int i = 0; i < d->queue_count; i++) {
		timer_cancel(&d->queue[i].timer);
		vio_cancel(d->io, &d->queue[i].work);
	}
	vio_cancel(d->io, &d->event_work);
	if (d->plugged) {
		vpci_intx_set(&d->pci, false);
		d->attach->dev = NULL;
	}
	counts_keep(d);
	queues_free(d);
	d->ops->destroy(d);
}
