/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/log.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/console.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/sched/spinlock.h"
#include "kernel/time/time.h"

#define RING_SIZE 65536u /* power of two */
#define TAGS_MAX  32u

/* A record in the ring: this, then the text without terminator, padded to 8 bytes. A record
 * never wraps: when the rest of the ring is too short it is filled with a length only. */
struct record {
	uint32_t bytes; /* of the whole record */
	uint16_t text_len;
	uint8_t level; /* LEVEL_FILLER: nothing in here */
	uint8_t cpu;
	uint64_t seq;
	uint64_t tsc;
	const char *tag;
};
#define LEVEL_FILLER 0xffu

static struct spinlock log_lock = SPINLOCK_INIT(LOCK_ORDER_LOG);
static uint8_t ring[RING_SIZE] __aligned(8);
static uint64_t head, tail; /* bytes ever written and ever dropped; offsets modulo the size */
static uint64_t next_seq, nmi_dropped;

static struct {
	const char *tag;
	enum log_level level;
} tag_levels[TAGS_MAX];
static unsigned int tag_count;
static enum log_level default_level = LOG_INFO, console_level = LOG_INFO;

static struct record *record_at(uint64_t pos)
{
	return (struct record *)(void *)&ring[pos % RING_SIZE];
}

/* Room for one record of that many bytes, at the expense of the oldest. The lock is held. */
static struct record *ring_reserve(uint32_t bytes)
{
	uint32_t rest = RING_SIZE - (uint32_t)(head % RING_SIZE);
	uint32_t need = bytes <= rest ? bytes : rest + bytes;

	while (head + need - tail > RING_SIZE)
		tail += record_at(tail)->bytes;
	if (bytes > rest) {
		/* At least 8 bytes are left, which hold the two fields that matter. */
		record_at(head)->bytes = rest;
		record_at(head)->level = LEVEL_FILLER;
		head += rest;
	}
	return record_at(head);
}

static void ring_add(enum log_level level, const char *tag, uint64_t tsc, const char *text,
		     size_t len)
{
	uint32_t bytes = (uint32_t)ALIGN_UP(sizeof(struct record) + len, 8ul);
	struct record *r = ring_reserve(bytes);

	*r = (struct record){
		.bytes = bytes,
		.text_len = (uint16_t)len,
		.level = (uint8_t)level,
		.cpu = (uint8_t)this_cpu()->id,
		.seq = next_seq++,
		.tsc = tsc,
		.tag = tag,
	};
	memcpy(r + 1, text, len);
	head += bytes;
}

static enum log_level level_of(const char *tag)
{
	for (unsigned int i = 0; i < __atomic_load_n(&tag_count, __ATOMIC_ACQUIRE); i++)
		if (strcmp(tag_levels[i].tag, tag) == 0)
			return tag_levels[i].level;
	return default_level;
}

size_t log_line_format(char *buf, size_t size, enum log_level level, const char *tag,
		       uint64_t tsc, const char *text)
{
	static const char *const names[] = { "ERROR ", "WARN ", "", "" };
	uint64_t us = time_tsc_to_ns(tsc) / 1000;

	return ray_scnprintf(buf, size, "[%5lu.%06lu] %s: %s%s", us / 1000000, us % 1000000, tag,
			     names[level], text);
}

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX], line[LOG_TEXT_MAX + 64];
	uint64_t tsc = rdtsc(), flags;
	va_list ap;
	size_t n;

	if (level > level_of(tag))
		return;
	va_start(ap, fmt);
	ray_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);

	if (trap_in_nmi()) {
		if (!spin_trylock(&log_lock)) {
			__atomic_fetch_add(&nmi_dropped, 1, __ATOMIC_RELAXED);
			return;
		}
		ring_add(level, tag, tsc, text, n);
		spin_unlock(&log_lock);
		return;
	}
	flags = spin_lock_irqsave(&log_lock);
	ring_add(level, tag, tsc, text, n);
	spin_unlock_irqrestore(&log_lock, flags);
	if (level <= console_level) {
		n = log_line_format(line, sizeof(line), level, tag, tsc, text);
		console_write_line(line, n);
	}
}

bool log_read(uint64_t *seq, struct log_entry *out)
{
	uint64_t flags = spin_lock_irqsave(&log_lock);
	bool found = false;

	for (uint64_t pos = tail; pos < head && !found; pos += record_at(pos)->bytes) {
		const struct record *r = record_at(pos);

		if (r->level == LEVEL_FILLER || r->seq < *seq)
			continue;
		*out = (struct log_entry){
			.seq = r->seq,
			.tsc = r->tsc,
			.tag = r->tag,
			.level = (enum log_level)r->level,
			.cpu = r->cpu,
		};
		memcpy(out->text, r + 1, r->text_len);
		out->text[r->text_len] = '\0';
		*seq = r->seq + 1;
		found = true;
	}
	spin_unlock_irqrestore(&log_lock, flags);
	return found;
}

void log_clear(void)
{
	uint64_t flags = spin_lock_irqsave(&log_lock);

	tail = head;
	spin_unlock_irqrestore(&log_lock, flags);
}

int log_level_set(const char *tag, enum log_level level)
{
	unsigned int n = tag_count;

	if (!tag) {
		default_level = level;
		return 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (strcmp(tag_levels[i].tag, tag) == 0) {
			tag_levels[i].level = level;
			return 0;
		}
	}
	if (n == TAGS_MAX)
		return -RAY_ENOSPC;
	tag_levels[n].tag = tag;
	tag_levels[n].level = level;
	__atomic_store_n(&tag_count, n + 1, __ATOMIC_RELEASE);
	return 0;
}

enum log_level log_level_get(const char *tag)
{
	return tag ? level_of(tag) : default_level;
}

void log_console_level_set(enum log_level level)
{
	console_level = level;
}

uint64_t log_nmi_dropped(void)
{
	return __atomic_load_n(&nmi_dropped, __ATOMIC_RELAXED);
}

static const char *const level_names[] = { "error", "warn", "info", "debug" };

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(const char *s, enum log_level *out)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -RAY_EINVAL;
}
