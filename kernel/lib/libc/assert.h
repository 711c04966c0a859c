/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <assert.h> of the freestanding kernel, for third-party parts and the pure helpers of
 * kernel/lib. It stays in release builds. Kernel code above kernel/lib uses ASSERT of
 * kernel/panic.h; both end in a panic. May be included several times, as C wants it.
 */
#ifndef RAYOS_LIBC_ASSERT_H
#define RAYOS_LIBC_ASSERT_H

/* Defined by the kernel's panic code. */
__attribute__((noreturn)) void __assert_fail(const char *expr, const char *file,
                                             unsigned int line, const char *func);

#ifndef static_assert
#define static_assert _Static_assert
#endif

#endif

#undef assert
#ifdef NDEBUG
#define assert(x) ((void)0)
#else
#define assert(x) ((x) ? (void)0 : __assert_fail(#x, __FILE__, __LINE__, __func__))
#endif
