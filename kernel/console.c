/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "console"
#include "kernel/console.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"
#include "kernel/uart16550.h"

/* Powers of two; indices run freely and are masked on use. */
#define TX_SIZE 8192u
#define RX_SIZE 1024u
/* A call of up to this many bytes stays in one piece; longer ones are cut at line ends. */
#define PIECE_MAX (TX_SIZE / 4)
#define PROMPT_MAX 512u
#define HELD_MAX   8192u

#define TX_WAIT_NS	1000000000ull /* a UART that moves nothing for so long is dead */
#define RX_POLL_NS	5000000ull    /* without an interrupt */
#define IRQ_ROUNDS_MAX	64u

static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_CONSOLE);
static uint8_t tx[TX_SIZE], rx[RX_SIZE];
static uint32_t tx_head, tx_tail, rx_head, rx_tail;
static struct waitq tx_wait, rx_wait;
static uint64_t rx_dropped;
static bool uart_present, irq_driven, tx_irq_on, rx_full;
static bool at_line_start = true;
static char prompt[PROMPT_MAX];
static size_t prompt_len;
static char held[HELD_MAX]; /* lines that wait for console_release() */
static size_t held_len;
static bool holding;
static const struct console_sink *sink;

void console_early_init(void)
{
	uart_present = uart_init();
}

void console_sink_set(const struct console_sink *s)
{
	__atomic_store_n(&sink, s, __ATOMIC_RELEASE);
}

/* Output. The lock is held, but for the panic path. */

static uint32_t tx_used(void)
{
	return __atomic_load_n(&tx_head, __ATOMIC_RELAXED) -
	       __atomic_load_n(&tx_tail, __ATOMIC_RELAXED);
}

static void tx_to_fifo(void)
{
	while (tx_used() && uart_tx_ready())
		for (unsigned int i = 0; i < UART_FIFO_SIZE && tx_used(); i++)
			uart_tx(tx[tx_tail++ % TX_SIZE]);
}

static void tx_poll_until(uint32_t used)
{
	while (tx_used() > used)
		uart_tx_poll(tx[tx_tail++ % TX_SIZE]);
}

static void tx_start(void)
{
	bool on;

	if (!irq_driven) {
		tx_poll_until(0);
		return;
	}
	tx_to_fifo();
	on = tx_used() != 0;
	if (on != tx_irq_on) {
		tx_irq_on = on;
		uart_irq_enable(!rx_full, on);
	}
}

static void tx_byte(uint8_t c)
{
	if (tx_used() == TX_SIZE)
		tx_poll_until(TX_SIZE - UART_FIFO_SIZE);
	tx[tx_head++ % TX_SIZE] = c;
}

static void put_serial_locked(const char *s, size_t len)
{
	for (size_t i = 0; uart_present && i < len; i++) {
		if (s[i] == '\n')
			tx_byte('\r');
		tx_byte((uint8_t)s[i]);
	}
	at_line_start = s[len - 1] == '\n';
}

static void put_locked(const char *s, size_t len)
{
	if (len == 0)
		return;
	put_serial_locked(s, len);
	if (sink)
		sink->write(s, len);
}

static bool may_sleep(void)
{
	const struct cpu *c = this_cpu();

	return c->current && c->preempt_count == 0 && irq_enabled() && !irq_in_handler();
}

/* Printing happens under locks and in handlers too; those leave it to the next one. */
static void sink_flush(void)
{
	if (sink && may_sleep())
		sink->flush();
}

/* How much of the text goes out in one piece: all, or up to a line end that fits. */
static size_t piece_len(const char *s, size_t len)
{
	size_t n = PIECE_MAX;

	if (len <= PIECE_MAX)
		return len;
	while (n > 0 && s[n - 1] != '\n')
		n--;
	return n ? n : PIECE_MAX;
}

static bool tx_has_room(uint32_t bytes)
{
	return TX_SIZE - tx_used() >= bytes;
}

/* With the lock not held, in pieces. */
static void write_pieces(const char *s, size_t len, void (*put)(const char *s, size_t len))
{
	while (len) {
		size_t n = piece_len(s, len);
		uint64_t flags;

		/* Every byte could be a newline. Whoever may not wait polls in tx_byte(). */
		if (irq_driven && !tx_has_room((uint32_t)n * 2) && may_sleep())
			(void)wait_event(&tx_wait, tx_has_room((uint32_t)n * 2),
					 time_now() + TX_WAIT_NS);
		flags = spin_lock_irqsave(&lock);
		put(s, n);
		tx_start();
		spin_unlock_irqrestore(&lock, flags);
		s += n;
		len -= n;
	}
}

void console_write(const char *s, size_t len)
{
	write_pieces(s, len, put_locked);
	sink_flush();
}

void console_write_serial(const char *s, size_t len)
{
	write_pieces(s, len, put_serial_locked);
}

/* Returns: false when nobody holds lines back, or too many are. */
static bool hold_locked(const char *s, size_t len)
{
	if (!holding || len >= HELD_MAX - held_len)
		return false;
	memcpy(held + held_len, s, len);
	held[held_len + len] = '\n';
	/* Last, as a panic may stop this CPU anywhere. */
	__atomic_store_n(&held_len, held_len + len + 1, __ATOMIC_RELEASE);
	return true;
}

static void line_locked(const char *s, size_t len)
{
	bool in_line = !at_line_start;

	if (in_line)
		put_locked("\n", 1);
	put_locked(s, len);
	put_locked("\n", 1);
	if (in_line)
		put_locked(prompt, prompt_len);
	tx_start();
}

void console_write_line(const char *s, size_t len)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	if (!hold_locked(s, len))
		line_locked(s, len);
	spin_unlock_irqrestore(&lock, flags);
	sink_flush();
}

void console_hold(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	holding = true;
	spin_unlock_irqrestore(&lock, flags);
}

/* Take lines that wait, a piece of them; when there are none, hold no more. */
static size_t held_take(char *piece)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	size_t n = piece_len(held, held_len);

	memcpy(piece, held, n);
	memmove(held, held + n, held_len - n);
	__atomic_store_n(&held_len, held_len - n, __ATOMIC_RELEASE);
	holding = n > 0;
	if (n && !at_line_start)
		put_locked("\n", 1);
	spin_unlock_irqrestore(&lock, flags);
	return n;
}

void console_release(void)
{
	char piece[PIECE_MAX];
	size_t n;

	/* Without the lock, as it may have to wait for room; those who come now stand behind. */
	while ((n = held_take(piece)) > 0)
		console_write(piece, n);
}

void console_prompt_set(const char *text, size_t len)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	prompt_len = text && len <= sizeof(prompt) ? len : 0;
	if (prompt_len)
		memcpy(prompt, text, prompt_len);
	spin_unlock_irqrestore(&lock, flags);
}

static void panic_put(const char *s, size_t len)
{
	for (size_t i = 0; uart_present && i < len; i++) {
		if (s[i] == '\n')
			uart_tx_poll('\r');
		uart_tx_poll((uint8_t)s[i]);
	}
	if (sink)
		sink->panic_write(s, len);
}

void console_panic_write(const char *s, size_t len)
{
	size_t n = __atomic_exchange_n(&held_len, 0, __ATOMIC_ACQUIRE);

	/* What was said before comes first; a CPU stopped inside the lock leaves it whole. */
	tx_poll_until(0);
	if (n && !at_line_start)
		panic_put("\n", 1);
	if (n)
		panic_put(held, n);
	panic_put(s, len);
}

/* Input. */

/* When the ring is full the rest waits in the UART, which holds the sender back where it can;
 * where it cannot, the UART reports the overrun. */
static bool rx_take_all(void)
{
	bool any = false;
	int c;

	while (rx_head - rx_tail < RX_SIZE && (c = uart_rx()) >= 0) {
		if (c & UART_RX_OVERRUN)
			rx_dropped++;
		rx[rx_head % RX_SIZE] = (uint8_t)c;
		__atomic_store_n(&rx_head, rx_head + 1, __ATOMIC_RELEASE);
		any = true;
	}
	if (irq_driven && rx_full != (rx_head - rx_tail == RX_SIZE)) {
		rx_full = !rx_full;
		uart_irq_enable(!rx_full, tx_irq_on);
	}
	return any;
}

static void uart_irq(void *arg)
{
	bool received = false, room;

	(void)arg;
	spin_lock(&lock);
	for (unsigned int i = 0; i < IRQ_ROUNDS_MAX && uart_irq_pending(); i++) {
		received |= rx_take_all();
		tx_start();
	}
	room = tx_used() <= TX_SIZE / 2;
	spin_unlock(&lock);
	if (received)
		waitq_wake_one(&rx_wait);
	if (room)
		waitq_wake_all(&tx_wait);
}

void console_irq_init(void)
{
	struct irq_handle *handle;
	uint64_t flags;

	waitq_init(&tx_wait);
	waitq_init(&rx_wait);
	if (!uart_present)
		return;
	if (irq_isa_request(&handle, UART_ISA_IRQ, uart_irq, NULL, "console") != 0) {
		log_warn("no interrupt for the serial port: input is polled");
		return;
	}
	flags = spin_lock_irqsave(&lock);
	irq_driven = true;
	uart_irq_enable(true, false);
	spin_unlock_irqrestore(&lock, flags);
}

static int rx_get(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	int c = -RAY_ETIMEDOUT;

	if (uart_present && (!irq_driven || (rx_full && rx_head - rx_tail <= RX_SIZE / 2)))
		rx_take_all();
	if (rx_head != rx_tail)
		c = rx[rx_tail++ % RX_SIZE];
	spin_unlock_irqrestore(&lock, flags);
	return c;
}

void console_input(const char *s, size_t len)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	for (size_t i = 0; i < len; i++) {
		if (rx_head - rx_tail == RX_SIZE) {
			rx_dropped++;
			break;
		}
		rx[rx_head % RX_SIZE] = (uint8_t)s[i];
		__atomic_store_n(&rx_head, rx_head + 1, __ATOMIC_RELEASE);
	}
	spin_unlock_irqrestore(&lock, flags);
	waitq_wake_one(&rx_wait);
}

static bool rx_waiting(void)
{
	return __atomic_load_n(&rx_head, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&rx_tail, __ATOMIC_RELAXED);
}

int console_getc(uint64_t timeout_ns)
{
	uint64_t now = time_now(), deadline = now + timeout_ns;
	int c = rx_get();

	if (deadline < now)
		deadline = UINT64_MAX;
	while (c < 0 && time_now() < deadline) {
		if (irq_driven)
			(void)wait_event(&rx_wait, rx_waiting(), deadline);
		else
			thread_sleep_until(MIN(deadline, time_now() + RX_POLL_NS));
		c = rx_get();
	}
	return c;
}

uint64_t console_rx_dropped(void)
{
	return __atomic_load_n(&rx_dropped, __ATOMIC_RELAXED);
}
