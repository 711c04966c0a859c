/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550 at COM1: registers only. Policy, rings and locks are the console's.
 */
#ifndef RAYOS_KERNEL_UART16550_H
#define RAYOS_KERNEL_UART16550_H

#include "kernel/lib/types.h"

#define UART_ISA_IRQ   4u
#define UART_FIFO_SIZE 16u

/** 115200 8N1, FIFOs on, interrupts off. Returns: whether there is a UART at all. */
bool uart_init(void);

/** Whether the transmit FIFO is empty, so that UART_FIFO_SIZE bytes may be written. */
bool uart_tx_ready(void);
void uart_tx(uint8_t byte);
/** Wait for room, then write; gives up after a bounded time, as a dead UART must not hang us. */
void uart_tx_poll(uint8_t byte);

/** Received byte, with UART_RX_OVERRUN when others were lost before it; or -1. */
#define UART_RX_OVERRUN 0x100
int uart_rx(void);

/** Choose which interrupts the UART raises. */
void uart_irq_enable(bool rx, bool tx);
/** Whether the UART raised an interrupt; clears a pending transmit cause. */
bool uart_irq_pending(void);

#endif
