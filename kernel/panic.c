/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/panic.h"

#include <stdarg.h>

#include "kernel/arch/backtrace.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/reset.h"
#include "kernel/arch/trap.h"
#include "kernel/console.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/sink.h"
#include "kernel/marker.h"
#include "kernel/fault.h"
#include "kernel/symbols.h"
#include "version.h"

#define BACKTRACE_MAX 32u
#define REASON_MAX    200u
#define CPU_NONE      UINT32_MAX

static uint32_t panic_cpu = CPU_NONE;
static enum panic_action action = PANIC_RESET;

void __stack_chk_fail(void) __noreturn;

static void panic_put(struct sink *self, const char *data, size_t len)
{
	(void)self;
	console_panic_write(data, len);
}

static struct sink panic_sink = { .put = panic_put };

void panic_action_set(enum panic_action a)
{
	action = a;
}

bool panic_in_progress(void)
{
	return __atomic_load_n(&panic_cpu, __ATOMIC_ACQUIRE) != CPU_NONE;
}

static bool panic_nmi(struct trap_frame *tf)
{
	(void)tf;
	if (!panic_in_progress())
		return false;
	cpu_halt_forever();
}

void panic_init(void)
{
	trap_nmi_add(panic_nmi);
}

/* A return address may lie behind the last byte of a function that ends in a call: look up
 * the byte before it. @back is 1 for those, 0 for an address that was about to run. */
static void print_pc(uint64_t pc, uint64_t back)
{
	uint64_t offset = 0;
	const char *name = symbols_find(pc - back, &offset);

	if (name)
		sink_printf(&panic_sink, "  %016lx  %s+0x%lx\n", pc, name, offset + back);
	else
		sink_printf(&panic_sink, "  %016lx\n", pc);
}

static void print_backtrace(uint64_t rbp)
{
	uint64_t pcs[BACKTRACE_MAX];
	size_t n = backtrace_walk(rbp, pcs, BACKTRACE_MAX, stack_readable);

	for (size_t i = 0; i < n; i++)
		print_pc(pcs[i], 1);
	if (n == BACKTRACE_MAX)
		sink_puts(&panic_sink, "  ...\n");
}

static void print_registers(const struct trap_frame *tf)
{
	struct sink *s = &panic_sink;

	sink_printf(s, "vector %lu error 0x%lx\n", tf->vector, tf->error);
	sink_printf(s, "rip %016lx cs %04lx rflags %08lx\n", tf->rip, tf->cs,
		    tf->rflags);
	sink_printf(s, "rsp %016lx ss %04lx\n", tf->rsp, tf->ss);
	sink_printf(s, "rax %016lx rbx %016lx rcx %016lx\n", tf->rax, tf->rbx,
		    tf->rcx);
	sink_printf(s, "rdx %016lx rsi %016lx rdi %016lx\n", tf->rdx, tf->rsi,
		    tf->rdi);
	sink_printf(s, "rbp %016lx r8  %016lx r9  %016lx\n", tf->rbp, tf->r8,
		    tf->r9);
	sink_printf(s, "r10 %016lx r11 %016lx r12 %016lx\n", tf->r10, tf->r11,
		    tf->r12);
	sink_printf(s, "r13 %016lx r14 %016lx r15 %016lx\n", tf->r13, tf->r14,
		    tf->r15);
	sink_printf(s, "cr0 %08lx cr2 %016lx cr3 %08lx cr4 %08lx\n", cr0_read(),
		    cr2_read(), cr3_read(), cr4_read());
}

static void end(void) __noreturn;
static void end(void)
{
	if (action == PANIC_RESET)
		arch_reset();
	cpu_halt_forever();
}

/* The first CPU in goes on; another one waits for its NMI; the same one again gives up. */
static void claim(const char *reason)
{
	static unsigned int again;
	uint32_t none = CPU_NONE, me = this_cpu()->id;

	if (__atomic_compare_exchange_n(&panic_cpu, &none, me, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return;
	if (none != me)
		cpu_halt_forever();
	/* Once more it is said, without the screen; after that nothing is tried. */
	if (again++ == 0) {
		console_sink_set(NULL);
		sink_printf(&panic_sink, "\npanic within panic: %s\n", reason);
		end();
	}
	if (action == PANIC_RESET)
		arch_reset_hard();
	cpu_halt_forever();
}

static void panic_common(const struct trap_frame *tf, uint64_t rbp, const char *reason)
	__noreturn;
static void panic_common(const struct trap_frame *tf, uint64_t rbp, const char *reason)
{
	char value[REASON_MAX];
	const struct cpu *c = this_cpu();

	irq_disable();
	claim(reason);
	ipi_nmi_others();

	sink_printf(&panic_sink, "\nRayOS %s (%s) panic on CPU %u: %s\n", RAYOS_VERSION,
		    RAYOS_REVISION, (unsigned int)c->id, reason);
	if (tf)
		print_registers(tf);
	sink_puts(&panic_sink, "backtrace:\n");
	if (tf)
		print_pc(tf->rip, 0);
	print_backtrace(rbp);
	sink_printf(&panic_sink, "RAYOS_PANIC:PANIC reason=%s\n",
		    marker_value(value, sizeof(value), reason));
	end();
}

void panic(const char *fmt, ...)
{
	char reason[REASON_MAX];
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	panic_common(NULL, frame_pointer(), reason);
}

void panic_trap(const struct trap_frame *tf, const char *fmt, ...)
{
	char reason[REASON_MAX];
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	panic_common(tf, tf ? tf->rbp : frame_pointer(), reason);
}

/* Called by code the compiler puts at the end of functions with arrays. */
void __stack_chk_fail(void)
{
	panic("stack protector: a local array was overrun");
}
