/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the virtio core share. */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_PRIV_H

#include "devices/virt/virtio/virtio.h"
#include "hv/virq.h"

#define VIRTIO_MSIX_MASKED 1u /* vector control of an MSI-X entry */

void virtio_irq_config(struct virtio_dev *d);
/** virtio_irq_queue() without MSI-X, or while it is masked. */
void virtio_irq_queue_slow(struct virtio_dev *d, uint16_t vector);
/** Power-on state, whatever served the queues. Pre: status_lock held, or no vCPU runs. */
void virtio_dev_reset(struct virtio_dev *d);
/** Queues stop being served; on return nobody does. */
void virtio_queues_off(struct virtio_dev *d);
/** Those the driver wants are served, beginning with what waits in them. */
void virtio_queues_on(struct virtio_dev *d);
/** The vdev operations of every virtio device (state.c). */
extern const struct vdev_ops virtio_vdev_ops;
/** A write of the status register. Context: thread. */
void virtio_status_write(struct virtio_dev *d, uint8_t status);

int __must_check virtio_pci_init(struct virtio_dev *d);
/* BAR and capability layout are pci.c's; the table and the pending bits are msix.c's. */
int __must_check virtio_msix_init(struct virtio_dev *d, unsigned int bar, uint32_t table,
				  uint32_t pba);
uint32_t virtio_msix_table_read(const struct virtio_dev *d, uint32_t off);
void virtio_msix_table_write(struct virtio_dev *d, uint32_t off, uint32_t value);
uint32_t virtio_msix_pba_read(const struct virtio_dev *d, uint32_t off);
/** After a write of configuration bytes: look at the enable and mask bits. */
void virtio_msix_config(struct virtio_dev *d);
void virtio_msix_reset(struct virtio_dev *d);
/** Send, or note as pending. False: MSI-X is off. Context: any but NMI. */
bool virtio_msix_send(struct virtio_dev *d, uint16_t vector);
/** Whether a message of this vector goes out at once. */
static inline bool virtio_msix_open(const struct virtio_msix *x, uint16_t vector)
{
	return likely(x->on) && likely(vector < x->count) && likely(!x->masked) &&
	       likely(!(x->entry[vector].ctrl & VIRTIO_MSIX_MASKED));
}
/** Interrupt for @q. Context: any but NMI. */
static inline void virtio_irq_queue(struct virtio_dev *d, struct virtq *q)
{
	const struct virtio_msix *x = &d->msix;
	uint16_t vector = q->vector;

	if (virtio_msix_open(x, vector))
		(void)virq_msi_send(d->dev.vm, x->entry[vector].addr, x->entry[vector].data);
	else
		virtio_irq_queue_slow(d, vector);
}
void virtio_msix_save(const struct virtio_dev *d, struct state_buf *b);
void virtio_msix_decode(const struct virtio_dev *d, struct state_buf *b, struct virtio_msix *out);

#endif
