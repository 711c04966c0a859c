/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/pit_channel.h"

#define PIT_HZ      1193182ull
#define NSEC        1000000000ull
#define STATUS_OUT  0x80u
#define STATUS_NULL 0x40u
/* The host is not interrupted more often than this by one channel. */
#define PERIOD_MIN_NS 50000u

static uint64_t ns_to_ticks(uint64_t ns)
{
	return ns / NSEC * PIT_HZ + ns % NSEC * PIT_HZ / NSEC;
}

/* Rounded up: an edge is never early. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks / PIT_HZ * NSEC + (ticks % PIT_HZ * NSEC + PIT_HZ - 1) / PIT_HZ;
}

static uint64_t elapsed_ns(const struct pit_channel *c, uint64_t now)
{
	return c->stopped ? c->elapsed : now - c->start;
}

static void channel_stop(struct pit_channel *c, uint64_t now)
{
	if (c->stopped)
		return;
	c->elapsed = now - c->start;
	c->stopped = true;
}

static void channel_go(struct pit_channel *c, uint64_t now)
{
	if (!c->stopped)
		return;
	c->start = now - c->elapsed;
	c->stopped = false;
}

static uint16_t counter_value(const struct pit_channel *c, uint64_t now)
{
	uint64_t d;

	if (!c->loaded)
		return 0;
	d = ns_to_ticks(elapsed_ns(c, now));
	switch (c->mode) {
	case 2:
		return (uint16_t)(c->count - d % c->count);
	case 3: /* counts by two, twice per period */
		return (uint16_t)((c->count & ~1u) - 2 * d % c->count);
	default:
		return (uint16_t)(c->count - d);
	}
}

bool pit_channel_out(const struct pit_channel *c, uint64_t now)
{
	uint64_t d;

	if (!c->loaded)
		return c->mode != 0;
	d = ns_to_ticks(elapsed_ns(c, now));
	switch (c->mode) {
	case 0:
	case 1:
		return d >= c->count;
	case 2:
		return d % c->count != c->count - 1;
	case 3:
		return d % c->count < (c->count + 1) / 2;
	default: /* 4, 5: one tick low */
		return d != c->count;
	}
}

uint64_t pit_channel_next_edge(const struct pit_channel *c, uint64_t now)
{
	uint64_t ticks, edge, next;

	if (!c->loaded || c->stopped)
		return 0;
	ticks = ns_to_ticks(now - c->start);
	if (c->mode == 2 || c->mode == 3)
		edge = (ticks / c->count + 1) * c->count;
	else if (ticks < c->count)
		edge = c->count;
	else
		return 0;
	next = MAX(c->start + ticks_to_ns(edge), now + 1);
	if ((c->mode & 2) && ticks_to_ns(c->count) < PERIOD_MIN_NS)
		next = MAX(next, now + PERIOD_MIN_NS);
	return next;
}

static void count_load(struct pit_channel *c, uint16_t value, uint64_t now)
{
	c->count = value ? value : 0x10000;
	c->loaded = true;
	c->elapsed = 0;
	c->start = now;
	/* With the gate low it waits; modes 1 and 5 wait for the gate to rise. */
	c->stopped = !c->gate || c->mode == 1 || c->mode == 5;
}

bool pit_channel_write(struct pit_channel *c, uint8_t value, uint64_t now)
{
	if (c->rw != PIT_RW_WORD) {
		count_load(c, (uint16_t)(c->rw == PIT_RW_LSB ? value : value << 8), now);
		return true;
	}
	c->high_next = !c->high_next;
	if (!c->high_next) {
		count_load(c, (uint16_t)(value << 8 | c->low), now);
		return true;
	}
	c->low = value;
	if (c->mode == 0) /* the first byte stops the count (data sheet, mode 0) */
		channel_stop(c, now);
	return false;
}

uint8_t pit_channel_read(struct pit_channel *c, uint64_t now)
{
	uint16_t v;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched) {
		uint8_t byte = c->latched == 2 || c->rw == PIT_RW_LSB ? (uint8_t)c->latch
								   : (uint8_t)(c->latch >> 8);
		c->latched--;
		return byte;
	}
	v = counter_value(c, now);
	if (c->rw == PIT_RW_LSB)
		return (uint8_t)v;
	if (c->rw == PIT_RW_MSB)
		return (uint8_t)(v >> 8);
	c->read_high = !c->read_high;
	return c->read_high ? (uint8_t)v : (uint8_t)(v >> 8);
}

void pit_channel_latch_count(struct pit_channel *c, uint64_t now)
{
	if (c->latched)
		return;
	c->latch = counter_value(c, now);
	c->latched = c->rw == PIT_RW_WORD ? 2 : 1;
}

void pit_channel_latch_status(struct pit_channel *c, uint64_t now)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)((pit_channel_out(c, now) ? STATUS_OUT : 0) |
			      (c->loaded ? 0 : STATUS_NULL) | c->rw << 4 | c->mode << 1);
	c->status_latched = true;
}

void pit_channel_program(struct pit_channel *c, unsigned int rw, unsigned int mode)
{
	c->rw = (uint8_t)rw;
	c->mode = (uint8_t)(mode > 5 ? mode - 4 : mode); /* 6 and 7 are 2 and 3 */
	c->loaded = false;
	c->high_next = c->read_high = false;
	c->latched = 0;
	c->status_latched = false;
}

void pit_channel_gate(struct pit_channel *c, bool gate, uint64_t now)
{
	bool rising = gate && !c->gate;

	c->gate = gate;
	if (!c->loaded)
		return;
	if (c->mode == 0 || c->mode == 4) {
		if (gate)
			channel_go(c, now);
		else
			channel_stop(c, now);
	} else if (rising) {
		c->elapsed = 0;
		c->stopped = false;
		c->start = now;
	} else if (!gate && (c->mode == 2 || c->mode == 3)) {
		channel_stop(c, now);
	}
}

void pit_channel_reset(struct pit_channel *c, bool gate)
{
	*c = (struct pit_channel){ .gate = gate, .rw = PIT_RW_WORD, .count = 0x10000 };
}

void pit_channel_hold(struct pit_channel *c, uint64_t now)
{
	c->elapsed = elapsed_ns(c, now);
}

void pit_channel_go_on(struct pit_channel *c, uint64_t now)
{
	c->start = now - c->elapsed;
}

void pit_channel_save(const struct pit_channel *c, struct state_buf *b, bool held, uint64_t now)
{
	const uint8_t f[] = { c->mode,	    c->rw,	   c->gate,   c->loaded,
			      c->high_next, c->read_high,  c->low,    c->latched,
			      c->status_latched, c->status, c->stopped };

	state_put(b, f, sizeof(f));
	state_put_u16(b, c->latch);
	state_put_u32(b, c->count);
	state_put_u64(b, held ? c->elapsed : elapsed_ns(c, now));
}

bool pit_channel_load(struct pit_channel *c, struct state_buf *b, uint64_t now)
{
	uint8_t f[11];

	state_get(b, f, sizeof(f));
	*c = (struct pit_channel){
		.mode = f[0], .rw = f[1], .gate = f[2], .loaded = f[3], .high_next = f[4],
		.read_high = f[5], .low = f[6], .latched = f[7], .status_latched = f[8],
		.status = f[9], .stopped = f[10],
	};
	c->latch = state_get_u16(b);
	c->count = state_get_u32(b);
	c->elapsed = state_get_u64(b);
	c->start = now - c->elapsed;
	return c->mode <= 5 && c->rw >= PIT_RW_LSB && c->rw <= PIT_RW_WORD && c->latched <= 2 &&
	       c->count >= 1 && c->count <= 0x10000 && c->elapsed < 1ull << 62;
}
