/* SPDX-License-Identifier: Apache-2.0 */
/* An include of the source package's surroundings; there is no leak checker to tell. */
#define kmemleak_not_leak(object) ((void)(object))
