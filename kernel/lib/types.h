/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Basic types and compile-time helpers used by every layer.
 * Owns: address types, attribute macros, BUILD_ASSERT. Knows no hardware and no state.
 */
#ifndef RAYOS_KERNEL_LIB_TYPES_H
#define RAYOS_KERNEL_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One-field structs, so that the compiler refuses to mix the three kinds of address. */
typedef struct {
	uint64_t v;
} gpa_t; /* guest physical */
typedef struct {
	uint64_t v;
} hpa_t; /* host physical */
typedef struct {
	uint64_t v;
} gva_t; /* guest virtual (linear) */

#define GPA(x) ((gpa_t){(uint64_t)(x)})
#define HPA(x) ((hpa_t){(uint64_t)(x)})
#define GVA(x) ((gva_t){(uint64_t)(x)})

#define PAGE_SHIFT 12u
#define PAGE_SIZE  4096ul
#define SIZE_2M    (2ul << 20)
#define SIZE_1G    (1ul << 30)

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define BIT(n)            (1ull << (n))
#define ALIGN_UP(x, a)    (((x) + ((a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a)  ((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a)  (((x) & ((a) - 1)) == 0)
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define __must_check       __attribute__((warn_unused_result))
#define __printf_fmt(f, a) __attribute__((format(printf, f, a)))
#define __packed           __attribute__((packed))
#define __aligned(n)       __attribute__((aligned(n)))
#define __noreturn         __attribute__((noreturn))
#define __unused           __attribute__((unused))
#define __cacheline        __aligned(64)
#define __force_inline     inline __attribute__((always_inline))
/* For exit paths: no array of theirs can overflow, and the check is a tenth of the way. */
#define __no_stack_guard   __attribute__((no_stack_protector))
#define __noinline         __attribute__((noinline))
#define likely(x)          __builtin_expect(!!(x), 1)
#define unlikely(x)        __builtin_expect(!!(x), 0)

#define BUILD_ASSERT(c, msg) _Static_assert(c, msg)

#endif
