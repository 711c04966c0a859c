/* SPDX-License-Identifier: Apache-2.0 */
/* Identities for what is made here: stores, partitions. Nothing secret depends on them. */
#ifndef RAYOS_KERNEL_UUID_H
#define RAYOS_KERNEL_UUID_H

#include "kernel/lib/types.h"

/** A new one, version 4 (RFC 9562, 5.4). Context: any. */
void uuid_make(uint8_t uuid[16]);

#endif
