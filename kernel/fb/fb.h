/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screen as a second console: text on the firmware's framebuffer.
 * Owns: the framebuffer. Must not know: who prints.
 * Printing changes characters in memory only; a thread draws what changed at most forty times
 * a second, and a panic draws at once. The framebuffer is never read.
 */
#ifndef RAYOS_KERNEL_FB_FB_H
#define RAYOS_KERNEL_FB_FB_H

#include "kernel/lib/types.h"

struct boot_info;

/**
 * Show console output from now on. Without a framebuffer, or a sane one, nothing happens.
 * Context: init, vmap() and heap work. Until fb_start() every write is drawn at once.
 */
void fb_init(const struct boot_info *bi);

/** Leave drawing to a thread from now on. Context: threads and timers work. */
void fb_start(void);

/** Whether there is a screen, and its size in characters. */
bool fb_present(uint16_t *cols, uint16_t *rows);

#endif
