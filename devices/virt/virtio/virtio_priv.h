/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the virtio core share. */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_PRIV_H

#include "devices/virt/virtio/virtio.h"

void virtio_irq_queue(struct virtio_dev *d, struct virtq *q);
void virtio_irq_config(struct virtio_dev *d);
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
void virtio_msix_save(const struct virtio_dev *d, struct state_buf *b);
void virtio_msix_decode(const struct virtio_dev *d, struct state_buf *b, struct virtio_msix *out);

#endif
