/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of a VM's virtio console, for who wants to look at them or type. */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_CONSOLE_H
#define RAYOS_DEVICES_VIRT_VIRTIO_CONSOLE_H

#include "devices/virt/back/console_port.h"

struct vm;

/** NULL: the VM has no virtio console, or is not running. Pre: vm->lock held, as long as the
 *  answer is used; a port found in it may be kept with vterm_get(). */
struct vcports *vconsole_ports(struct vm *vm);

#endif
