/* UNIT: kernel/console.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The console over a model of the UART: line ends, order, lines that interrupt a prompt, a
 * full transmit ring, input by interrupt and by polling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/arch/percpu.h"
#include "kernel/console.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"
#include "kernel/uart16550.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_log.h"

static char wire[65536];
static size_t wire_len;
static char screen[65536];
static size_t screen_len;
static const char *typed = "";
static bool tx_busy, irq_tx, irq_rx, irq_refused, in_handler, overrun;
static unsigned int pending, wakes, sleeps;
static uint64_t now;
static irq_fn uart_handler;
static void (*while_asleep)(void);

bool uart_init(void)
{
	return true;
}

bool uart_tx_ready(void)
{
	return !tx_busy;
}

void uart_tx(uint8_t byte)
{
	assert_true(wire_len < sizeof(wire) - 1);
	wire[wire_len++] = (char)byte;
	wire[wire_len] = '\0';
}

void uart_tx_poll(uint8_t byte)
{
	uart_tx(byte);
}

int uart_rx(void)
{
	int lost = overrun ? UART_RX_OVERRUN : 0;

	overrun = false;
	return *typed ? (uint8_t)*typed++ | lost : -1;
}

void uart_irq_enable(bool rx, bool tx)
{
	irq_rx = rx;
	irq_tx = tx;
}

bool uart_irq_pending(void)
{
	return pending > 0 && pending-- > 0;
}

int irq_isa_request(struct irq_handle **out, unsigned int isa_irq, irq_fn fn, void *arg,
		    const char *name)
{
	(void)arg;
	(void)name;
	assert_int_equal(isa_irq, 4);
	*out = NULL;
	uart_handler = fn;
	return irq_refused ? -RAY_ENODEV : 0;
}

bool irq_in_handler(void)
{
	return in_handler;
}

uint64_t time_now(void)
{
	return now;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	assert_true(deadline_ns > now);
	now = deadline_ns;
	sleeps++;
	if (while_asleep)
		while_asleep();
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

void waitq_wake_one(struct waitq *q)
{
	(void)q;
	wakes++;
}

void waitq_wake_all(struct waitq *q)
{
	(void)q;
}

void waitq_prepare(struct waitq *q, struct waiter *w)
{
	(void)q;
	(void)w;
	assert_int_equal(fake_lock_count, 0);
}

void waitq_finish(struct waitq *q, struct waiter *w)
{
	(void)q;
	(void)w;
}

void waitq_sleep(uint64_t deadline_ns)
{
	sleeps++;
	if (while_asleep)
		while_asleep();
	else
		now = deadline_ns;
}

static void sink_write(const char *s, size_t len)
{
	memcpy(screen + screen_len, s, len);
	screen_len += len;
	screen[screen_len] = '\0';
}

static unsigned int flushes;

static void sink_flush(void)
{
	assert_int_equal(fake_lock_count, 0);
	flushes++;
}

static const struct console_sink sink = { sink_write, sink_flush, sink_write };

static void wire_clear(void)
{
	wire_len = 0;
	wire[0] = '\0';
	screen_len = 0;
	screen[0] = '\0';
}

static void say(const char *s)
{
	console_write(s, strlen(s));
}

static void line(const char *s)
{
	console_write_line(s, strlen(s));
}

/* First of all, as the console keeps its state: before interrupts. */
static void test_early(void **state)
{
	(void)state;
	console_early_init();
	say("a\nb");
	assert_string_equal(wire, "a\r\nb");
	line("marker");
	assert_string_equal(wire, "a\r\nb\r\nmarker\r\n");
	line("second");
	assert_string_equal(wire, "a\r\nb\r\nmarker\r\nsecond\r\n");
	typed = "xy";
	assert_int_equal(console_getc(0), 'x');
	assert_int_equal(console_getc(1000), 'y');
	assert_int_equal(console_getc(20000000), -RAY_ETIMEDOUT);
}

static void test_no_interrupt(void **state)
{
	unsigned int before = fake_log_records;

	(void)state;
	irq_refused = true;
	console_irq_init();
	assert_int_equal(fake_log_records, before + 1);
	irq_refused = false;
}

static void test_prompt(void **state)
{
	(void)state;
	wire_clear();
	console_prompt_set("rayos> vm", 9);
	say("rayos> vm");
	line("RAYOS_VM:STOPPED");
	assert_string_equal(wire, "rayos> vm\r\nRAYOS_VM:STOPPED\r\nrayos> vm");
	say("\n");
	wire_clear();
	line("at a line start nothing is repeated");
	assert_string_equal(wire, "at a line start nothing is repeated\r\n");
	console_prompt_set(NULL, 0);
	say("busy");
	wire_clear();
	line("x");
	assert_string_equal(wire, "\r\nx\r\n");
	char big[600];
	memset(big, 'p', sizeof(big));
	console_prompt_set(big, sizeof(big));
	say("y");
	wire_clear();
	line("x");
	assert_string_equal(wire, "\r\nx\r\n");
}

static void test_screen(void **state)
{
	(void)state;
	wire_clear();
	fake_cpus[0].current = (struct thread *)&now;
	console_sink_set(&sink);
	say("a\n");
	line("b");
	assert_string_equal(screen, "a\nb\n");
	assert_int_equal(flushes, 2);
	in_handler = true;
	line("c");
	assert_int_equal(flushes, 2);
	in_handler = false;
	console_panic_write("d\n", 2);
	assert_string_equal(screen, "a\nb\nc\nd\n");
	assert_string_equal(wire, "a\r\nb\r\nc\r\nd\r\n");
	console_write_serial("YmFz\n", 5); /* for no person to read */
	line("e");
	assert_string_equal(screen, "a\nb\nc\nd\ne\n");
	assert_string_equal(wire, "a\r\nb\r\nc\r\nd\r\nYmFz\r\ne\r\n");
}

/* A document in pieces is one piece to who reads. */
static void test_held(void **state)
{
	char long_line[200], last[32];
	unsigned int n = 0;

	(void)state;
	wire_clear();
	console_hold();
	say("[{\"vm\":");
	line("RAYOS_VM:STARTED");
	say("\"demo\"}]\n");
	line("second");
	assert_string_equal(wire, "[{\"vm\":\"demo\"}]\r\n");
	console_release();
	assert_string_equal(wire, "[{\"vm\":\"demo\"}]\r\nRAYOS_VM:STARTED\r\nsecond\r\n");
	line("third");
	assert_string_equal(wire + wire_len - 7, "third\r\n");
	/* An end in the middle of a line. */
	wire_clear();
	console_hold();
	say("[{");
	line("late");
	console_release();
	assert_string_equal(wire, "[{\r\nlate\r\n");
	/* More than can wait: none is lost. */
	wire_clear();
	memset(long_line, 'x', sizeof(long_line));
	console_hold();
	say("[");
	while (wire_len < 2 && n < 1000) {
		snprintf(long_line, sizeof(long_line), "%u ", n++);
		long_line[strlen(long_line)] = 'x';
		console_write_line(long_line, sizeof(long_line));
	}
	assert_in_range(n, 8192 / 201, 8192 / 201 + 1);
	console_release();
	for (unsigned int i = 0; i < n; i++) {
		snprintf(last, sizeof(last), "\n%u x", i);
		assert_non_null(strstr(wire, last));
	}
}

/* Nobody waits in a panic, and what was said before stands before. */
static void test_held_panic(void **state)
{
	(void)state;
	wire_clear();
	console_hold();
	say("[{");
	line("said");
	console_panic_write("PANIC\n", 6);
	assert_string_equal(wire, "[{\r\nsaid\r\nPANIC\r\n");
	console_panic_write("more\n", 5);
	assert_string_equal(wire, "[{\r\nsaid\r\nPANIC\r\nmore\r\n");
	console_release();
	assert_string_equal(wire, "[{\r\nsaid\r\nPANIC\r\nmore\r\n");
	say("\n");
}

static void drain(void)
{
	tx_busy = false;
	pending = 1;
	uart_handler(NULL);
	tx_busy = true;
}

/* From here on interrupts work. */
static void test_transmit_interrupts(void **state)
{
	static char text[30000];
	size_t n = 0;

	(void)state;
	console_irq_init();
	wire_clear();
	tx_busy = true;
	say("abc");
	assert_string_equal(wire, "");
	assert_true(irq_tx);
	drain();
	assert_string_equal(wire, "abc");
	assert_false(irq_tx);
	/* much more than the ring holds: nothing is lost, nothing overtakes */
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 61 == 60 ? '\n' : (char)('a' + i % 26);
	wire_clear();
	while_asleep = drain;
	console_write(text, sizeof(text));
	while_asleep = NULL;
	assert_true(sleeps > 0);
	drain();
	for (size_t i = 0; i < sizeof(text); i++) {
		if (text[i] == '\n')
			assert_int_equal(wire[n++], '\r');
		assert_int_equal(wire[n++], text[i]);
	}
	assert_int_equal(n, wire_len);
	/* where waiting is not allowed it polls */
	wire_clear();
	in_handler = true;
	console_write(text, sizeof(text));
	in_handler = false;
	console_panic_write("!", 1);
	assert_int_equal(wire_len, n + 1);
	assert_int_equal(wire[n], '!');
	tx_busy = false;
}

static void key_arrives(void)
{
	pending = 1;
	uart_handler(NULL);
}

static void test_receive_interrupts(void **state)
{
	static char many[2000];
	unsigned int n = 0;

	(void)state;
	assert_int_equal(console_getc(0), -RAY_ETIMEDOUT);
	typed = "hi";
	while_asleep = key_arrives;
	wakes = 0;
	assert_int_equal(console_getc(UINT64_MAX), 'h');
	assert_int_equal(wakes, 1);
	assert_int_equal(console_getc(UINT64_MAX), 'i');
	while_asleep = NULL;
	assert_int_equal(console_getc(1000), -RAY_ETIMEDOUT);
	overrun = true;
	typed = "z";
	key_arrives();
	assert_int_equal(console_getc(0), 'z');
	assert_int_equal(console_rx_dropped(), 1);
	/* more than the ring holds waits in the UART, which is not asked again meanwhile */
	for (size_t i = 0; i < sizeof(many) - 1; i++)
		many[i] = (char)('a' + i % 26);
	typed = many;
	assert_true(irq_rx);
	key_arrives();
	assert_false(irq_rx);
	assert_int_equal(strlen(typed), sizeof(many) - 1 - 1024);
	say("output does not open it");
	assert_false(irq_rx);
	for (n = 0; n < sizeof(many) - 1; n++)
		assert_int_equal(console_getc(0), 'a' + (int)(n % 26));
	assert_int_equal(console_getc(0), -RAY_ETIMEDOUT);
	assert_true(irq_rx);
	assert_int_equal(console_rx_dropped(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_no_interrupt),
		cmocka_unit_test(test_prompt),
		cmocka_unit_test(test_screen),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_panic),
		cmocka_unit_test(test_transmit_interrupts),
		cmocka_unit_test(test_receive_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
