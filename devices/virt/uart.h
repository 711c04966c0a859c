/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a guest's serial port (a 16550A at 0x3F8): a terminal. It stays readable
 * when the VM ends.
 */
#ifndef RAYOS_DEVICES_VIRT_UART_H
#define RAYOS_DEVICES_VIRT_UART_H

#include "devices/virt/term.h"

#define VUART_RX_SIZE 1024u /* typed bytes that may wait */

/**
 * The VM's port, to be given back with vterm_put().
 * Pre: vm->lock held. Returns: NULL when the VM has none (it is not running).
 */
struct vterm *vuart_get(struct vm *vm);

#endif
