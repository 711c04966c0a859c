/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/uart16550.h"

#include "kernel/arch/cpu.h"

/* PC16550D data sheet, table II. */
#define COM1     0x3f8
#define UART_RBR (COM1 + 0) /* read */
#define UART_THR (COM1 + 0) /* write */
#define UART_DLL (COM1 + 0) /* with LCR.DLAB */
#define UART_DLM (COM1 + 1)
#define UART_IER (COM1 + 1)
#define UART_IIR (COM1 + 2) /* read */
#define UART_FCR (COM1 + 2) /* write */
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)
#define UART_SCR (COM1 + 7)

#define IER_RX        0x01
#define IER_TX        0x02
#define IIR_NONE      0x01
#define FCR_ENABLE    0x01
#define FCR_CLEAR     0x06
#define FCR_TRIGGER_8 0x80
#define LCR_8N1       0x03
#define LCR_DLAB      0x80
#define MCR_DTR_RTS   0x03
#define MCR_OUT2      0x08 /* gates the interrupt line on a PC */
#define LSR_RX_READY  0x01
#define LSR_OVERRUN   0x02
#define LSR_TX_EMPTY  0x20

#define DIVISOR_115200 1

/* A full FIFO takes 1.4 ms to drain; an LSR read takes about a microsecond on real hardware. */
#define TX_POLL_MAX 100000u

bool uart_init(void)
{
	out8(UART_IER, 0);
	out8(UART_SCR, 0x5a);
	if (in8(UART_SCR) != 0x5a)
		return false;
	out8(UART_LCR, LCR_DLAB);
	out8(UART_DLL, DIVISOR_115200);
	out8(UART_DLM, 0);
	out8(UART_LCR, LCR_8N1);
	out8(UART_FCR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER_8);
	out8(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	return true;
}

bool uart_tx_ready(void)
{
	return in8(UART_LSR) & LSR_TX_EMPTY;
}

void uart_tx(uint8_t byte)
{
	out8(UART_THR, byte);
}

void uart_tx_poll(uint8_t byte)
{
	for (unsigned int i = 0; i < TX_POLL_MAX && !uart_tx_ready(); i++)
		cpu_relax();
	uart_tx(byte);
}

int uart_rx(void)
{
	uint8_t lsr = in8(UART_LSR); /* reading it clears the overrun */

	if (!(lsr & LSR_RX_READY))
		return -1;
	return in8(UART_RBR) | (lsr & LSR_OVERRUN ? UART_RX_OVERRUN : 0);
}

void uart_irq_enable(bool rx, bool tx)
{
	out8(UART_IER, (uint8_t)((rx ? IER_RX : 0) | (tx ? IER_TX : 0)));
}

bool uart_irq_pending(void)
{
	return !(in8(UART_IIR) & IIR_NONE);
}
