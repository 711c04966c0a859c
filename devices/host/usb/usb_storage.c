/* SPDX-License-Identifier: Apache-2.0 */
/* USB mass storage: sticks, and which of their units are disks. */
#include "devices/host/usb/usb_storage.h"

#include "kernel/lib/err.h"
#define LOG_TAG "usb-storage"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"

#define SUBCLASS_SCSI 0x06u
#define PROTOCOL_BULK 0x50u
#define BYTES_MAX     KIB(256) /* what slow sticks do within their deadline */
#define TIMEOUT_MS    90000u   /* the thread's own deadlines are shorter, in all */

static int disk_publish(struct stick_disk *d)
{
	struct block_init init = {
		.prefix = "usb", .letter = true, .ident = d->unit.ident, .ops = &stick_block_ops,
		.drv = d, .pci = d->stick->usb->bus->pci,
		.parent = &d->stick->usb->dev, .depth = 1, .timeout_ms = TIMEOUT_MS,
		.limits = {.bytes_max = BYTES_MAX, .segs_max = BOT_SEGS,
			   .dma_max = d->stick->usb->bus->dma_max},
	};
	struct stick *s = d->stick;
	int err;

	init.ident.driver = "usb-storage";
	if (!init.ident.serial[0])
		__builtin_memcpy(init.ident.serial, s->usb->serial, sizeof(init.ident.serial));
	scsi_limits_fill(&d->unit, &init.limits);
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	err = block_publish(&init, &d->dev);
	if (err)
		__atomic_fetch_sub(&s->refs, 1, __ATOMIC_RELAXED); /* the driver's own is left */
	return err;
}
BUILD_ASSERT(USB_TEXT_LEN == BLOCK_TEXT_LEN, "a serial number is copied whole");

static void unit_add(struct stick *s, uint8_t lun)
{
	struct stick_disk *d = kzalloc(sizeof(*d), MEM_DRIVER);
	const struct scsi_port port = {.exec = stick_exec, .ctx = d};
	int err = -RAY_ENOMEM;

	if (d) {
		*d = (struct stick_disk){.stick = s, .lun = lun};
		err = scsi_unit_find(&port, &d->unit);
	}
	if (!err) {
		s->disk[lun] = d;
		return;
	}
	if (err != -RAY_ENODEV && err != -RAY_ENOSYS)
		log_warn("unit left out: %s name=\"%s\" lun=%u", ray_strerror(err), s->usb->name,
			 lun);
	kfree(d);
}

/* Its thread runs when they are published, as their partitions are read at once. */
static void disks_publish(struct stick *s)
{
	for (unsigned int i = 0; i < BOT_UNITS; i++) {
		struct stick_disk *d = s->disk[i];
		int err = d ? disk_publish(d) : 0;

		if (err)
			log_warn("disk left out: %s model=\"%s\" lun=%u", ray_strerror(err),
				 d->unit.ident.model, i);
	}
}

void stick_put(struct stick *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (unsigned int i = 0; i < BOT_UNITS; i++)
		kfree(s->disk[i]);
	kfree(s);
}

static void stick_stop(struct stick *s)
{
	uint64_t flags = spin_lock_irqsave(&s->lock);

	s->stop = true;
	spin_unlock_irqrestore(&s->lock, flags);
	waitq_wake_all(&s->wake);
	if (s->thread)
		thread_join(s->thread);
	dma_free(s->usb->bus->pci, &s->mem);
}

static int begin(struct stick *s)
{
	unsigned int units;
	int err = dma_alloc(s->usb->bus->pci, sizeof(struct bot_shared), s->usb->bus->dma_max,
			    &s->mem);

	if (err)
		return err;
	units = MIN(bot_units(s), BOT_UNITS);
	for (unsigned int lun = 0; lun < units; lun++)
		unit_add(s, (uint8_t)lun);
	err = thread_create(&s->thread, "usb-storage", stick_thread, s,
			    &(struct thread_attr){.cls = THREAD_CLASS_WORKER, .cpu = -1});
	if (err)
		s->thread = NULL;
	return err;
}

static int storage_probe(struct usb_dev *d, const struct usb_interface *i, void **priv)
{
	const struct usb_endpoint *in = usb_ep_find(i, USB_EP_BULK, true);
	const struct usb_endpoint *out = usb_ep_find(i, USB_EP_BULK, false);
	struct stick *s;
	int err;

	if (!in || !out)
		return -RAY_EPROTO;
	s = kzalloc(sizeof(*s), MEM_DRIVER);
	if (!s)
		return -RAY_ENOMEM;
	s->usb = d;
	s->iface = i->number;
	s->in = in->address;
	s->out = out->address;
	s->refs = 1;
	spin_lock_init(&s->lock, LOCK_ORDER_DRIVER);
	waitq_init(&s->wake);
	waitq_init(&s->mended);
	err = begin(s);
	if (err) {
		stick_stop(s);
		stick_put(s);
		return err;
	}
	*priv = s;
	disks_publish(s);
	return 0;
}

static void storage_remove(void *priv)
{
	struct stick *s = priv;

	stick_stop(s);
	for (unsigned int i = 0; i < BOT_UNITS; i++) {
		if (s->disk[i] && s->disk[i]->dev)
			block_unpublish(s->disk[i]->dev);
	}
	stick_put(s);
}

USB_DRIVER(storage, .base = {.id = "usb-storage", .bus = "usb", .cls = DEVICE_STORAGE},
	   .class_code = USB_CLASS_STORAGE,
	   .subclass = SUBCLASS_SCSI, .protocol = PROTOCOL_BULK, .probe = storage_probe,
	   .remove = storage_remove);
