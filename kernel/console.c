/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/console.h"

#include "kernel/arch/cpu.h"
#include "kernel/uart16550.h"

static bool uart_present;
static bool at_line_start = true;

void console_early_init(void)
{
	uart_present = uart_init();
}

static void put_polled(char c)
{
	if (c == '\n')
		uart_tx_poll('\r');
	uart_tx_poll((uint8_t)c);
	at_line_start = c == '\n';
}

void console_panic_write(const char *s, size_t len)
{
	if (!uart_present)
		return;
	for (size_t i = 0; i < len; i++)
		put_polled(s[i]);
}

void console_write(const char *s, size_t len)
{
	uint64_t flags = irq_save();

	console_panic_write(s, len);
	irq_restore(flags);
}

void console_write_line(const char *s, size_t len)
{
	uint64_t flags = irq_save();

	if (!at_line_start)
		console_panic_write("\n", 1);
	console_panic_write(s, len);
	console_panic_write("\n", 1);
	irq_restore(flags);
}
