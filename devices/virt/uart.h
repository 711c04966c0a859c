/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a guest's serial port (a 16550A at 0x3F8): what it wrote, and typing
 * into it. What the guest writes goes into one ring, which is scrollback and live console at
 * once; every reader keeps its own position, so readers cost the guest nothing.
 */
#ifndef RAYOS_DEVICES_VIRT_UART_H
#define RAYOS_DEVICES_VIRT_UART_H

#include "kernel/lib/types.h"
#include "kernel/sched/wait.h"

struct vm;

#define VUART_LOG_SIZE KIB(64)
#define VUART_RX_SIZE  1024u

struct vuart;

/**
 * The VM's port, to be given back with vuart_put(). It stays readable when the VM ends, so
 * that a guest's last words are not lost.
 * Pre: vm->lock held. Returns: NULL when the VM has none (it is not running).
 */
struct vuart *vuart_get(struct vm *vm);
void vuart_put(struct vuart *u);
/** Whether the VM has ended: nothing more will be written. */
bool vuart_gone(const struct vuart *u);

/** Bytes written by the guest since the VM's creation: the position behind the newest. */
uint64_t vuart_position(const struct vuart *u);
/** The oldest position still in the scrollback. */
uint64_t vuart_oldest(const struct vuart *u);
/**
 * Copy output from *@pos on, at most @len bytes; *pos moves behind them. A position that has
 * fallen out of the scrollback moves to the oldest byte first.
 * Context: thread. Returns: bytes copied, 0 when there is nothing new.
 */
size_t vuart_read(const struct vuart *u, uint64_t *pos, char *buf, size_t len);
/**
 * Sleep until there is output behind @pos, the VM has ended or the deadline passes.
 * Context: thread. Value: there is output.
 */
bool vuart_wait(struct vuart *u, uint64_t pos, uint64_t deadline_ns);
/** Type bytes. Returns how many fitted (VUART_RX_SIZE may wait). Context: thread. */
size_t vuart_write(struct vuart *u, const char *buf, size_t len);

#endif
