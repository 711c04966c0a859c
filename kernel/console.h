/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's console: COM1 (interrupt-driven, 115200 8N1) and, for output, the framebuffer.
 * Owns: the host UART, output serialisation, the input ring. Knows no shell and no log.
 */
#ifndef RAYOS_KERNEL_CONSOLE_H
#define RAYOS_KERNEL_CONSOLE_H

#include "kernel/lib/types.h"

/** Polled, lock-free early output; usable from the first instruction on. */
void console_early_init(void);

/** Switch to interrupt-driven input and output. Context: once, after irq_init(). */
void console_irq_init(void);

/**
 * Write bytes; "\n" becomes CR LF. A call is not mixed with another CPU's call.
 * Context: any but NMI; with IRQs on it may wait for room, with IRQs off it polls.
 */
void console_write(const char *s, size_t len);

/** console_write() that only the serial line gets, not the screen: what no person reads. */
void console_write_serial(const char *s, size_t len);

/**
 * Write one line that starts at column 0, whatever was printed before, and is ended here.
 * @s  without "\n". Context: as console_write().
 */
void console_write_line(const char *s, size_t len);

/**
 * From console_hold() to console_release() lines of console_write_line() wait, so that what is
 * written meanwhile reaches the line in one piece. They come in the order they were said, behind
 * it, or before a panic's text; those for which there is no room any more (8 KiB) do not wait.
 * Context: thread, one at a time.
 */
void console_hold(void);
void console_release(void);

/**
 * What stands in the line being typed: prompt and text, perhaps with the sequences that place
 * the cursor. console_write_line() prints it again below its own line.
 * @text  copied; longer than 512 bytes or NULL: nothing is printed again
 * Context: thread
 */
void console_prompt_set(const char *text, size_t len);

/* Another place where output appears: the screen. */
struct console_sink {
	/** Bytes as console_write() got them. Context: its; calls never overlap. Must not print. */
	void (*write)(const char *s, size_t len);
	/** After write(), where threads may be woken: no lock held, IRQs on. */
	void (*flush)(void);
	/** As write() on the panic path: takes no lock, is seen at once. */
	void (*panic_write)(const char *s, size_t len);
};

/** The one further sink; @s stays for good. Context: init. */
void console_sink_set(const struct console_sink *s);

/** The panic path: takes no lock, polls the UART. Context: any, including NMI. */
void console_panic_write(const char *s, size_t len);

/**
 * Next input byte.
 * @timeout_ns  how long to wait; 0 = do not wait; UINT64_MAX = for ever
 * Context: thread, may sleep. Returns: 0..255, or -RAY_ETIMEDOUT.
 */
int console_getc(uint64_t timeout_ns);

/** Bytes that a keyboard stands for, behind those that came already. Context: any but NMI. */
void console_input(const char *s, size_t len);

/** How often input was lost because nobody took it in time, since boot. */
uint64_t console_rx_dropped(void);

#endif
