/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/console.h"

#include "kernel/arch/cpu.h"
#include "kernel/uart16550.h"

static bool uart_present;
static bool at_line_start = true;
static const struct console_sink *sink;

void console_early_init(void)
{
	uart_present = uart_init();
}

static void put_polled(char c)
{
	if (c == '\n')
		uart_tx_poll('\r');
	uart_tx_poll((uint8_t)c);
}

static void uart_write(const char *s, size_t len)
{
	for (size_t i = 0; uart_present && i < len; i++)
		put_polled(s[i]);
	if (len > 0)
		at_line_start = s[len - 1] == '\n';
}

void console_sink_set(const struct console_sink *s)
{
	__atomic_store_n(&sink, s, __ATOMIC_RELEASE);
}

void console_panic_write(const char *s, size_t len)
{
	uart_write(s, len);
	if (sink)
		sink->panic_write(s, len);
}

static void write_all(const char *s, size_t len)
{
	uart_write(s, len);
	if (sink)
		sink->write(s, len);
}

void console_write(const char *s, size_t len)
{
	uint64_t flags = irq_save();

	write_all(s, len);
	irq_restore(flags);
}

void console_write_line(const char *s, size_t len)
{
	uint64_t flags = irq_save();

	if (!at_line_start)
		write_all("\n", 1);
	write_all(s, len);
	write_all("\n", 1);
	irq_restore(flags);
}
