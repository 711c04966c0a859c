/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a VM exit of each kind costs, as TSC deltas seen from inside: under QEMU's
 * -icount and in Bochs these are instruction counts. Prints "BENCH ready", waits for a byte on
 * the serial line and for the host to have done with it, measures, and prints "BENCH name
 * value" lines at the end: the host's own work for a console must not run in between.
 */
#include "guest.h"

#define ROUNDS      10000u
#define SLICES      10u
#define TOUCH_AT    0x2000000ul /* 32 MiB: memory that nobody has used */
#define TOUCH_PAGES 10000u
#define FAR_AWAY    (1ul << 50) /* TSC ticks */
#define NEAR        200000u
#define MSR_UNKNOWN 0x12345u
#define QUIET       20000000u /* TSC ticks until a console line is out at 115200 baud */
#define RESULTS     16u

static volatile uint64_t handler_tsc;
static volatile uint32_t handled;
static bool is_amd;

static struct {
	const char *name;
	uint64_t value;
} results[RESULTS];
static uint32_t result_count;

static void result(const char *name, uint64_t value)
{
	results[result_count].name = name;
	results[result_count++].value = value;
}

/* First thing in the handler is the time, then the end of interrupt. */
#define TIMED_HANDLER(name)                                                                        \
	void name(void);                                                                           \
	__asm__(".text\n.align 16\n" #name ":\n\t"                                                 \
		"pushq %rax\n\tpushq %rdx\n\tpushq %rcx\n\t"                                       \
		"rdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax\n\tmovq %rax, handler_tsc(%rip)\n\t"     \
		"movl $0x80b, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx\n\twrmsr\n\t"              \
		"incl handled(%rip)\n\t"                                                           \
		"popq %rcx\n\tpopq %rdx\n\tpopq %rax\n\tiretq\n")
TIMED_HANDLER(on_kick);
TIMED_HANDLER(on_timer);

/* An interrupt's whole way: handler with end of interrupt and nothing more. */
void on_self(void);
__asm__(".text\n.align 16\non_self:\n\t"
	"pushq %rax\n\tpushq %rdx\n\tpushq %rcx\n\t"
	"movl $0x80b, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx\n\twrmsr\n\t"
	"incl handled(%rip)\n\t"
	"popq %rcx\n\tpopq %rdx\n\tpopq %rax\n\tiretq\n");

/* #GP of rdmsr: skip its two bytes. */
void on_gp(void);
__asm__(".text\n.align 16\non_gp:\n\t"
	"addq $2, 8(%rsp)\n\taddq $8, %rsp\n\tiretq\n");

static uint64_t empty_loop(uint32_t rounds)
{
	uint64_t begin = rdtsc();

	for (uint32_t i = 0; i < rounds; i++)
		__asm__ volatile("" : : : "memory");
	return rdtsc() - begin;
}

/* The least of SLICES, as the host's other threads have their turn now and then. */
#define MEASURE(name, statement)                                                                   \
	do {                                                                                       \
		uint64_t least_ = UINT64_MAX;                                                      \
                                                                                                   \
		for (uint32_t slice_ = 0; slice_ < SLICES; slice_++) {                             \
			uint64_t begin_ = rdtsc(), took_;                                          \
                                                                                                   \
			for (uint32_t i_ = 0; i_ < ROUNDS / SLICES; i_++) {                        \
				__asm__ volatile("" : : : "memory");                               \
				statement;                                                         \
			}                                                                          \
			took_ = rdtsc() - begin_;                                                  \
			least_ = took_ < least_ ? took_ : least_;                                  \
		}                                                                                  \
		result(name, (least_ - empty_loop(ROUNDS / SLICES)) / (ROUNDS / SLICES));          \
	} while (0)

/* KVM_HC_VAPIC_POLL_IRQ: does nothing and answers 0. */
static inline void hypercall_amd(void)
{
	uint64_t rax = 1;

	__asm__ volatile("vmmcall" : "+a"(rax) : : "memory");
}

static inline void hypercall_intel(void)
{
	uint64_t rax = 1;

	__asm__ volatile("vmcall" : "+a"(rax) : : "memory");
}

static void measure_exits(void)
{
	volatile uint32_t *mmio = (volatile uint32_t *)MMIO_COUNT;

	MEASURE("cpuid", (void)cpuid(0, 0));
	if (is_amd)
		MEASURE("hypercall", hypercall_amd());
	else
		MEASURE("hypercall", hypercall_intel());
	MEASURE("msr_read", (void)rdmsr(MSR_APIC_BASE));
	MEASURE("x2apic_eoi", wrmsr(MSR_X2APIC_EOI, 0));
	wrmsr(MSR_X2APIC_TIMER, 0x40000u | VECTOR_TIMER); /* TSC-deadline mode */
	MEASURE("tsc_deadline", wrmsr(MSR_TSC_DEADLINE, FAR_AWAY));
	wrmsr(MSR_TSC_DEADLINE, 0);
	idt_set(13, on_gp);
	MEASURE("msr_denied", (void)rdmsr(MSR_UNKNOWN));
	if (cmdline_has("testdev")) {
		MEASURE("port_out", outl(PORT_COUNT, i_));
		MEASURE("mmio_write", *mmio = i_);
	}
}

/* Written to the self-IPI register until the handler has come and gone. */
static void measure_self_ipi(void)
{
	uint64_t begin, took;

	idt_set(VECTOR_SELF, on_self);
	begin = rdtsc();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		wrmsr(MSR_X2APIC_SELF, VECTOR_SELF);
	}
	took = rdtsc() - begin - empty_loop(ROUNDS);
	if (handled != ROUNDS)
		print("BENCH self_ipi lost %u\n", ROUNDS - handled);
	else
		result("self_ipi", took / ROUNDS);
}

static void measure_kick(void)
{
	uint64_t sum = 0;

	idt_set(VECTOR_KICK, on_kick);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t before = handled;
		uint64_t begin = rdtsc();

		outl(PORT_KICK, 0);
		while (handled == before)
			;
		sum += handler_tsc - begin;
	}
	result("kick", sum / ROUNDS);
}

static void measure_timer(void)
{
	const uint32_t rounds = ROUNDS / 10; /* each waits */
	uint64_t late = 0;
	uint32_t early = 0;

	idt_set(VECTOR_TIMER, on_timer);
	wrmsr(MSR_X2APIC_TIMER, 0x40000u | VECTOR_TIMER);
	for (uint32_t i = 0; i < rounds; i++) {
		uint32_t before = handled;
		uint64_t deadline;

		__asm__ volatile("cli");
		deadline = rdtsc() + NEAR;
		wrmsr(MSR_TSC_DEADLINE, deadline);
		while (handled == before)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		__asm__ volatile("sti");
		if (handler_tsc < deadline)
			early++;
		else
			late += handler_tsc - deadline;
	}
	result("hlt_timer_early", early);
	result("hlt_timer_late", late / rounds);
}

static void measure_touch(void)
{
	uint64_t begin = rdtsc(), took;

	for (uint32_t i = 0; i < TOUCH_PAGES; i++)
		*(volatile uint64_t *)(TOUCH_AT + i * 4096ul) = i;
	took = rdtsc() - begin - empty_loop(TOUCH_PAGES);
	result("touch_4k", took / TOUCH_PAGES);
}

static void wait_ready(void)
{
	print("BENCH ready\n");
	/* Bochs 2.7 holds the host's interrupts back too while a guest has its own off. */
	__asm__ volatile("sti");
	wait_byte();
	spin(QUIET);
	__asm__ volatile("cli");
}

void guest_run(void)
{
	wait_ready();
	is_amd = cpuid(0, 0).ebx == 0x68747541u; /* "Auth" */
	x2apic_enable();
	measure_touch();
	measure_exits();
	__asm__ volatile("sti");
	measure_self_ipi();
	if (cmdline_has("testdev"))
		measure_kick();
	if (!cmdline_has("notimer"))
		measure_timer();
	for (uint32_t i = 0; i < result_count; i++)
		print("BENCH %s %lu\n", results[i].name, results[i].value);
}
