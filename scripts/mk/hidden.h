/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included ahead of every kernel source. -fvisibility=hidden covers definitions only; this
 * covers extern declarations too, so that the compiler never goes through the GOT.
 */
#pragma GCC visibility push(hidden)
