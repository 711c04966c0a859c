// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "fb"
#include "boot/boot_info.h"
#include "font_terminus16.h"
#include "kernel/console.h"
#include "kernel/fb/draw.h"
#include "kernel/fb/fb.h"
#include "kernel/fb/text.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

#define REDRAW_NS 25000000ull

/* What the screen shows is remembered per cell: the character, and whether it is the cursor. */
#define SHOWN_CURSOR 0x100u

static struct psf font;
static struct draw draw;
static struct text text;
static uint16_t *shown;
static bool present, deferred;
/* Guards text; drawing works on it under the lock a row at a time. A leaf under the console. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_NONE);
static struct waitq changed;
static bool waiting; /* the drawer has nothing to do */

static void row_draw(unsigned int row)
{
	const uint8_t *want = text_row(&text, row);
	uint16_t *have = shown + (size_t)row * text.cols;
	unsigned int cursor = row == text.row ? MIN(text.col, text.cols - 1u) : text.cols;

	for (unsigned int col = 0; col < text.cols; col++) {
		uint16_t v = (uint16_t)(want[col] | (col == cursor ? SHOWN_CURSOR : 0));

		if (have[col] == v)
			continue;
		have[col] = v;
		draw_char(&draw, col, row, want[col], col == cursor);
	}
}

static void changes_draw(void)
{
	for (unsigned int row = text.dirty_first; row < text.dirty_end; row++)
		row_draw(row);
	text_clean(&text);
}

/* ---- the console's sink ---- */

static void sink_write(const char *s, size_t len)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	text_write(&text, s, len);
	if (!deferred)
		changes_draw();
	spin_unlock_irqrestore(&lock, flags);
}

static bool changes_wait(void)
{
	return __atomic_load_n(&text.dirty_first, __ATOMIC_RELAXED) <
	       __atomic_load_n(&text.dirty_end, __ATOMIC_RELAXED);
}

static void sink_flush(void)
{
	/* One that is asleep between two frames will look by itself. */
	if (deferred && changes_wait() && __atomic_load_n(&waiting, __ATOMIC_ACQUIRE))
		waitq_wake_one(&changed);
}

/* Whoever held the lock is stopped: the worst that can be seen is a torn line. */
static void sink_panic(const char *s, size_t len)
{
	text_write(&text, s, len);
	changes_draw();
}

static const struct console_sink sink = {
	.write = sink_write, .flush = sink_flush, .panic_write = sink_panic};

/* ---- drawing later ---- */

/* Take the rows that changed, and draw them one at a time so that nobody waits long. */
static void frame_draw(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	unsigned int first = text.dirty_first, end = text.dirty_end;

	text_clean(&text);
	spin_unlock_irqrestore(&lock, flags);
	for (unsigned int row = first; row < end; row++) {
		flags = spin_lock_irqsave(&lock);
		row_draw(row);
		spin_unlock_irqrestore(&lock, flags);
	}
}

static void drawer(void *arg)
{
	(void)arg;
	for (;;) {
		__atomic_store_n(&waiting, true, __ATOMIC_SEQ_CST);
		wait_event(&changed, changes_wait(), UINT64_MAX);
		__atomic_store_n(&waiting, false, __ATOMIC_RELEASE);
		frame_draw();
		thread_sleep_until(time_now() + REDRAW_NS);
	}
}

static int buffers_create(void)
{
	size_t cells = (size_t)draw.cols * draw.rows;
	uint8_t *chars = kmalloc(cells, MEM_KERNEL);

	shown = kmalloc(cells * sizeof(*shown), MEM_KERNEL);
	if (!chars || !shown) {
		kfree(chars);
		kfree(shown);
		return -RAY_ENOMEM;
	}
	text_init(&text, chars, draw.cols, draw.rows);
	for (size_t i = 0; i < cells; i++)
		shown[i] = ' ';
	return 0;
}

void fb_init(const struct boot_info *bi)
{
	uint8_t *pixels;
	int err;

	if (!(bi->features & BOOT_FEAT_FB))
		return;
	err = psf_parse(font_terminus16, sizeof(font_terminus16), &font);
	if (!err)
		err = draw_init(&draw, &bi->fb, &font, NULL);
	if (err) {
		log_warn("framebuffer unusable: %s size=%ux%u pitch=%u", ray_strerror(err),
			 bi->fb.width, bi->fb.height, bi->fb.pitch);
		return;
	}
	pixels = vmap(HPA(bi->fb.addr), (size_t)bi->fb.pitch * bi->fb.height, VMAP_WC, true);
	if (!pixels)
		return;
	err = buffers_create();
	if (err) {
		vunmap(pixels);
		return;
	}
	draw.pixels = pixels;
	draw_clear(&draw);
	present = true;
	console_sink_set(&sink);
	log_info("screen: pixels=%ux%u characters=%ux%u", bi->fb.width, bi->fb.height, draw.cols,
		 draw.rows);
}

void fb_start(void)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_NORMAL, .cpu = -1, .stack = 0};
	struct thread *t;
	int err;

	if (!present)
		return;
	waitq_init(&changed);
	err = thread_create(&t, "screen", drawer, NULL, &attr);
	if (err) {
		log_warn("screen is drawn as it is written: %s", ray_strerror(err));
		return;
	}
	thread_detach(t);
	deferred = true;
}

bool fb_present(uint16_t *cols, uint16_t *rows)
{
	*cols = text.cols;
	*rows = text.rows;
	return present;
}
