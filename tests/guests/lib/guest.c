/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include <stdarg.h>

#define COM1        0x3f8u
#define LSR         (COM1 + 5)
#define LSR_DATA    0x01u
#define POLL_TICKS  100000u /* between looks at the serial line: each is an exit */
#define LSR_THRE    0x20u
#define MB_BOOTED   0x2badb002u
#define MB_CMDLINE  0x4u
#define AP_PAGE     0x8000u
#define AP_STACK    8192
#define ICR_INIT    0x4500u
#define ICR_SIPI    0x4600u
#define APIC_ENABLE 0x800u
#define APIC_X2     0x400u
#define POLLS       100000000u
#define PIT_HZ      1193182u
#define PIT_CHANNEL2 0x42u
#define PIT_COMMAND 0x43u
#define PIT_GATE    0x61u
#define PIT_OUT2    0x20u
#define CALIBRATE_HZ 100u
#define CALIBRATE_TRIES 3
#define PIC_MASTER_DATA 0x21u
#define RFLAGS_IF   0x200u
#define PIC_SLAVE_DATA 0xa1u
#define MB_MMAP     0x40u
#define E820_RAM    1u
#define PVH_MAGIC   0x336ec578u
#define CMDLINE_MAX 256u

struct idt_entry {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, zero;
};

extern const uint8_t isr_stubs[256][16], ap_begin[], ap_end[];
extern uint64_t ap_stack;
void isr_common(struct isr_frame *frame);
void ap_main(void);
void guest_main(uint32_t magic, uint32_t info);

static struct idt_entry idt[256] __attribute__((aligned(16)));
static void (*handlers[256])(struct isr_frame *);
/* A copy: what the loader left in low memory a guest may write over. */
static char cmdline[CMDLINE_MAX];
/* Of the memory map: where it is, where it ends, what lies before base, length and type. */
static const uint8_t *map_at, *map_end;
static bool map_has_sizes;
static volatile bool timer_fired;
static unsigned passed, failed;
static uint64_t catch_rip, catch_rsp, catch_rbp;
static int caught;
static uint8_t ap_stack_memory[AP_STACK] __attribute__((aligned(16)));
static void (*volatile ap_fn)(void);
static volatile bool ap_up;

static void put(char c)
{
	if (c == '\n')
		put('\r');
	while (!(inb(LSR) & LSR_THRE))
		;
	outb(COM1, (uint8_t)c);
}

static void put_number(uint64_t n, unsigned base)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	while (count)
		put(digits[--count]);
}

static void put_signed(int64_t n)
{
	if (n < 0)
		put('-');
	put_number(n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		bool is_long = false;

		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		if (*++fmt == 'l') {
			is_long = true;
			fmt++;
		}
		switch (*fmt) {
		case 's':
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
			break;
		case 'c':
			put((char)va_arg(ap, int));
			break;
		case 'd':
			put_signed(is_long ? va_arg(ap, int64_t) : va_arg(ap, int));
			break;
		case 'u':
			put_number(is_long ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t), 10);
			break;
		case 'x':
			put_number(is_long ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t), 16);
			break;
		default:
			put(*fmt);
		}
	}
	va_end(ap);
}

void wait_byte(void)
{
	uint64_t flags;

	/* With interrupts on: Bochs 2.7 takes none of the host's out of a guest that was entered
	 * with them off, and a host with one CPU would wait for ever. */
	__asm__ volatile("pushfq; popq %0; sti" : "=r"(flags) : : "memory");
	while (!(inb(LSR) & LSR_DATA))
		spin(POLL_TICKS);
	inb(COM1);
	if (!(flags & RFLAGS_IF))
		__asm__ volatile("cli" : : : "memory");
}

void report(bool ok, const char *what)
{
	print("%s %s\n", ok ? "PASS" : "FAIL", what);
	if (ok)
		passed++;
	else
		failed++;
}

void finish(void)
{
	print("GUEST:DONE passed=%u failed=%u\n", passed, failed);
	if (cmdline_has("linger"))
		wait_byte();
	guest_exit(failed ? 1 : 0);
}

void guest_exit(uint8_t code)
{
	outb(PORT_EXIT, code);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void idt_point(uint8_t vector, uint64_t address)
{
	idt[vector] = (struct idt_entry){ .offset_low = (uint16_t)address,
					  .selector = 8,
					  .type = 0x8e,
					  .offset_mid = (uint16_t)(address >> 16),
					  .offset_high = (uint32_t)(address >> 32) };
}

static void idt_load(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)(uintptr_t)idt };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void idt_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		idt_point((uint8_t)v, (uint64_t)(uintptr_t)isr_stubs[v]);
	idt_load();
}

void idt_set(uint8_t vector, void (*handler)(void))
{
	idt_point(vector, (uint64_t)(uintptr_t)handler);
}

void isr_set(uint8_t vector, void (*handler)(struct isr_frame *frame))
{
	handlers[vector] = handler;
	idt_point(vector, (uint64_t)(uintptr_t)isr_stubs[vector]);
}

void isr_common(struct isr_frame *frame)
{
	if (handlers[frame->vector]) {
		handlers[frame->vector](frame);
		return;
	}
	if (frame->vector < 32 && catch_rip) {
		caught = (int)frame->vector;
		frame->rip = catch_rip;
		frame->rsp = catch_rsp;
		frame->rbp = catch_rbp;
		return;
	}
	print("GUEST:FAULT vector=%lu error=%lx rip=%lx\n", frame->vector, frame->error, frame->rip);
	guest_exit(0x7f);
}

int catch_fault(void (*fn)(void))
{
	caught = -1;
	/* The handler comes back to label 1 with this stack; all other registers are clobbers. */
	__asm__ volatile("movq %%rsp, %0\n\t"
			 "movq %%rbp, %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rax, %2\n\t"
			 "call *%3\n"
			 "1:"
			 : "=m"(catch_rsp), "=m"(catch_rbp), "=m"(catch_rip)
			 : "r"(fn)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			   "r13", "r14", "r15", "memory", "cc");
	catch_rip = 0;
	return caught;
}

void x2apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_ENABLE | APIC_X2);
	wrmsr(MSR_X2APIC_SVR, 0x100u | VECTOR_SPURIOUS);
}

void ap_main(void)
{
	idt_load();
	ap_up = true;
	ap_fn();
}

bool cpu_start(uint32_t apic_id, void (*fn)(void))
{
	uint64_t to = (uint64_t)apic_id << 32;
	volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)AP_PAGE;

	for (size_t i = 0; i < (size_t)(ap_end - ap_begin); i++)
		page[i] = ap_begin[i];
	ap_stack = (uint64_t)(uintptr_t)(ap_stack_memory + AP_STACK);
	ap_fn = fn;
	ap_up = false;
	wrmsr(MSR_X2APIC_ICR, to | ICR_INIT);
	wrmsr(MSR_X2APIC_ICR, to | ICR_SIPI | (AP_PAGE >> 12));
	for (unsigned i = 0; i < POLLS && !ap_up; i++)
		__asm__ volatile("pause");
	return ap_up;
}

/* Begun before the counter is: a guest that is not let run in between believes the TSC to be
 * faster than it is, never slower, and its sleeps are long, never short. */
static uint64_t tsc_per_count(void)
{
	const uint16_t count = PIT_HZ / CALIBRATE_HZ;
	uint64_t begin;

	outb(PIT_GATE, (uint8_t)((inb(PIT_GATE) & ~3u) | 1u));
	outb(PIT_COMMAND, 0xb0); /* channel 2, both bytes, mode 0 */
	outb(PIT_CHANNEL2, (uint8_t)count);
	begin = rdtsc();
	outb(PIT_CHANNEL2, (uint8_t)(count >> 8));
	while (!(inb(PIT_GATE) & PIT_OUT2))
		;
	return rdtsc() - begin;
}

uint64_t tsc_hz(void)
{
	uint64_t best = tsc_per_count();

	for (unsigned i = 1; i < CALIBRATE_TRIES; i++) {
		uint64_t ticks = tsc_per_count();

		best = ticks < best ? ticks : best;
	}
	return best * CALIBRATE_HZ;
}

static void timer_handler(struct isr_frame *frame)
{
	(void)frame;
	timer_fired = true;
	wrmsr(MSR_X2APIC_EOI, 0);
}

void sleep_ticks(uint64_t ticks)
{
	isr_set(VECTOR_TIMER, timer_handler);
	wrmsr(MSR_X2APIC_TIMER, 0x40000u | VECTOR_TIMER); /* TSC-deadline mode */
	timer_fired = false;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + ticks);
	while (!timer_fired)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

bool memory_range(unsigned n, uint64_t *base, uint64_t *len)
{
	for (const uint8_t *at = map_at; at + 20 <= map_end;) {
		/* Multiboot puts the size of the rest in front, PVH has 24 bytes each. */
		uint32_t step = map_has_sizes ? *(const uint32_t *)(const void *)at + 4 : 24;
		const uint32_t *entry = (const uint32_t *)(const void *)(at + (map_has_sizes ? 4 : 0));

		at += step;
		if (entry[4] != E820_RAM)
			continue;
		if (n-- == 0) {
			*base = (uint64_t)entry[1] << 32 | entry[0];
			*len = (uint64_t)entry[3] << 32 | entry[2];
			return true;
		}
	}
	return false;
}

const char *guest_cmdline(void)
{
	return cmdline;
}

/* Where the value of a word of the command line begins, or NULL. */
static const char *cmdline_find(const char *word)
{
	for (const char *at = cmdline; *at; at++) {
		size_t n = 0;

		if (at != cmdline && at[-1] != ' ')
			continue;
		while (word[n] && at[n] == word[n])
			n++;
		if (!word[n])
			return at + n;
	}
	return NULL;
}

bool cmdline_has(const char *word)
{
	const char *end = cmdline_find(word);

	return end && (*end == ' ' || *end == '\0' || *end == '=');
}

uint64_t cmdline_number(const char *name, uint64_t otherwise)
{
	const char *at = cmdline_find(name);
	uint64_t n = 0;

	if (!at || *at != '=')
		return otherwise;
	for (at++; *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (uint64_t)(*at - '0');
	return n;
}

static void cmdline_keep(const char *from)
{
	for (size_t i = 0; i + 1 < CMDLINE_MAX && from[i]; i++)
		cmdline[i] = from[i];
}

/* Multiboot 1 information: flags, ..., [4] command line, [11] map length, [12] map. */
static void multiboot_read(const uint32_t *info)
{
	if (info[0] & MB_CMDLINE)
		cmdline_keep((const char *)(uintptr_t)info[4]);
	if (info[0] & MB_MMAP) {
		map_at = (const uint8_t *)(uintptr_t)info[12];
		map_end = map_at + info[11];
		map_has_sizes = true;
	}
}

/* PVH's hvm_start_info: command line at 24, memory map at 40, its entries at 48. */
static void pvh_read(const uint64_t *info)
{
	if (info[3])
		cmdline_keep((const char *)(uintptr_t)info[3]);
	map_at = (const uint8_t *)(uintptr_t)info[5];
	map_end = map_at + 24ul * (uint32_t)info[6];
}

void guest_main(uint32_t magic, uint32_t info)
{
	const void *at = (const void *)(uintptr_t)info;

	if (magic == MB_BOOTED)
		multiboot_read(at);
	else if (*(const uint32_t *)at == PVH_MAGIC)
		pvh_read(at);
	idt_init();
	/* The 8259s may deliver what firmware left running: mask them. */
	outb(PIC_MASTER_DATA, 0xff);
	outb(PIC_SLAVE_DATA, 0xff);
	guest_run();
	finish();
}
