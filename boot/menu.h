/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt for when booting cannot go on.
 * Owns: its keys. Context: boot services, BSP.
 */
#ifndef RAYOS_BOOT_MENU_H
#define RAYOS_BOOT_MENU_H

/**
 * Show the keys and serve them until the user wants another attempt. Reset and power-off
 * do not return. Without a keyboard the machine resets after a minute.
 * @reason  one word for the marker line
 */
void menu_prompt(const char *reason);

#endif
