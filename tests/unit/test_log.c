/* UNIT: kernel/log.c kernel/marker.c kernel/marker_value.c kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/* The log ring: order, what is dropped when it is full, levels; and marker lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/console.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/time/time.h"
#include "tests/host/fake_lock.h"

static char console[1024];
static bool in_nmi;

void console_write_line(const char *s, size_t len)
{
	assert_true(len < sizeof(console));
	memcpy(console, s, len);
	console[len] = '\0';
}

bool trap_in_nmi(void)
{
	return in_nmi;
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return tsc;
}

static int setup(void **state)
{
	(void)state;
	log_clear();
	log_level_set(NULL, LOG_INFO);
	log_console_level_set(LOG_INFO);
	console[0] = '\0';
	in_nmi = false;
	return 0;
}

static void test_write_and_read(void **state)
{
	struct log_entry e;
	uint64_t seq = 0, first;

	(void)state;
	assert_false(log_read(&seq, &e));
	fake_tsc = 12345678900ull;
	log_write(LOG_WARN, "pci", "bar %d is odd", 3);
	assert_string_equal(console, "[   12.345678] pci: WARN bar 3 is odd");
	log_write(LOG_ERR, "vmx", "x");
	assert_string_equal(console, "[   12.345678] vmx: ERROR x");
	assert_true(log_read(&seq, &e));
	first = e.seq;
	assert_string_equal(e.text, "bar 3 is odd");
	assert_string_equal(e.tag, "pci");
	assert_int_equal(e.level, LOG_WARN);
	assert_int_equal(e.tsc, fake_tsc);
	assert_true(log_read(&seq, &e));
	assert_int_equal(e.seq, first + 1);
	assert_int_equal(seq, first + 2);
	assert_false(log_read(&seq, &e));
	seq = first + 1;
	assert_true(log_read(&seq, &e));
	assert_string_equal(e.text, "x");
}

/* Far more than fits, in all lengths: what is left is the newest, gapless and undamaged. */
static void test_overflow(void **state)
{
	struct log_entry e;
	uint64_t seq = 0, want = 0;
	char text[LOG_TEXT_MAX + 50];
	unsigned int kept = 0;

	(void)state;
	srand(3);
	for (unsigned int i = 0; i < 20000; i++) {
		size_t len = (size_t)rand() % (sizeof(text) - 20);

		memset(text, 'a' + (int)(i % 26), len);
		text[len] = '\0';
		log_write(LOG_INFO, "t", "%u %s", i, text);
		if (i % 7000 != 6999 && i != 19999)
			continue;
		kept = 0;
		seq = 0;
		while (log_read(&seq, &e)) {
			unsigned long n = strtoul(e.text, NULL, 10);
			const char *body = strchr(e.text, ' ') + 1;

			if (kept++ > 0)
				assert_int_equal(n, want);
			want = n + 1;
			for (; *body; body++)
				assert_int_equal(*body, 'a' + (int)(n % 26));
			assert_true(strlen(e.text) < LOG_TEXT_MAX);
		}
		assert_int_equal(want, i + 1);
		assert_true(kept > 200);
	}
	log_clear();
	seq = 0;
	assert_false(log_read(&seq, &e));
}

static void test_levels(void **state)
{
	struct log_entry e;
	uint64_t seq = 0;
	enum log_level level;
	static char tags[40][16];
	int err = 0;

	(void)state;
	log_write(LOG_DEBUG, "svm", "no");
	assert_false(log_read(&seq, &e));
	assert_int_equal(log_level_set("svm", LOG_DEBUG), 0);
	log_write(LOG_DEBUG, "svm", "yes");
	log_write(LOG_DEBUG, "vmx", "no");
	assert_true(log_read(&seq, &e));
	assert_string_equal(e.text, "yes");
	assert_string_equal(console, ""); /* recorded, but not for the console */
	assert_false(log_read(&seq, &e));
	assert_int_equal(log_level_set("svm", LOG_ERR), 0);
	assert_int_equal(log_level_get("svm"), LOG_ERR);
	assert_int_equal(log_level_get("vmx"), LOG_INFO);
	log_write(LOG_WARN, "svm", "no");
	assert_false(log_read(&seq, &e));
	assert_int_equal(log_level_set(NULL, LOG_WARN), 0);
	assert_int_equal(log_level_get(NULL), LOG_WARN);
	log_console_level_set(LOG_ERR);
	log_write(LOG_WARN, "vmx", "quiet");
	assert_string_equal(console, "");
	for (int i = 0; i < 40 && err == 0; i++) {
		snprintf(tags[i], sizeof(tags[i]), "t%d", i);
		err = log_level_set(tags[i], LOG_ERR);
	}
	assert_int_equal(err, -RAY_ENOSPC);
	for (level = LOG_ERR; level <= LOG_DEBUG; level++) {
		enum log_level back = LOG_ERR;

		assert_int_equal(log_level_parse(log_level_name(level), &back), 0);
		assert_int_equal(back, level);
	}
	assert_int_equal(log_level_parse("loud", &level), -RAY_EINVAL);
}

/* An NMI may have interrupted the writer: it drops its record instead of waiting. */
static void test_nmi(void **state)
{
	struct log_entry e;
	uint64_t seq = 0, dropped = log_nmi_dropped();

	(void)state;
	in_nmi = true;
	log_write(LOG_ERR, "nmi", "free");
	assert_true(log_read(&seq, &e));
	assert_string_equal(e.text, "free");
	assert_string_equal(console, ""); /* the console's lock is not an NMI's to take */
	assert_int_equal(log_nmi_dropped(), dropped);
}

static const char *marker(char *buf, size_t size, enum marker m, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = marker_format(buf, size, m, fmt, ap);
	va_end(ap);
	assert_int_equal(n, strlen(buf));
	return buf;
}

static void test_markers(void **state)
{
	char buf[64], small[20];

	(void)state;
	marker_print(MARKER_BOOT_SHELL_READY, "");
	assert_string_equal(console, "RAYOS_BOOT_MARKER:SHELL_READY");
	marker_print(MARKER_VM_CRASHED, "name=%s reason=%s", "demo", "triple_fault");
	assert_string_equal(console, "RAYOS_VM:CRASHED name=demo reason=triple_fault");
	assert_string_equal(marker(small, sizeof(small), MARKER_VM_CRASHED, "name=%s", "demo"),
	                    "RAYOS_VM:CRASHED na");
	assert_string_equal(marker_value(buf, sizeof(buf), "a b\n\x1b\xc3\xa9~"), "a_b____~");
	assert_string_equal(marker_value(small, 4, "abcdef"), "abc");
	buf[0] = 'q';
	marker_value(buf, 0, "x");
	assert_int_equal(buf[0], 'q');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_write_and_read, setup),
		cmocka_unit_test_setup(test_overflow, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_nmi, setup),
		cmocka_unit_test_setup(test_markers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
