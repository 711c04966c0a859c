/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the machine's devices with their interrupts, the way old and new kernels do: 8254
 * through the 8259 pair and through the IOAPIC, clock, serial port, local APIC timer in xAPIC
 * mode, ACPI timer, firmware tables, PCI.
 */
#include "guest.h"

#define LAPIC        0xfee00000ul
#define LAPIC_EOI    0x0b0u
#define LAPIC_SVR    0x0f0u
#define LAPIC_LVTT   0x320u
#define LAPIC_TMICT  0x380u
#define LAPIC_TMCCT  0x390u
#define LAPIC_TDCR   0x3e0u
#define IOAPIC       0xfec00000ul
#define VEC_PIC      0x50
#define VEC_PIT      0x60
#define VEC_RTC      0x61
#define VEC_UART     0x62
#define VEC_LAPIC    0x63
#define PM_TIMER     0x608u
#define PM_HZ        3579545u

static volatile uint32_t pic_count, pit_count, rtc_count, uart_count, lapic_count;
static uint64_t hz;

static volatile uint32_t *reg(uint64_t address)
{
	return (volatile uint32_t *)address;
}

static uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void ioapic_write(uint32_t index, uint32_t value)
{
	*reg(IOAPIC) = index;
	*reg(IOAPIC + 0x10) = value;
}

static void ioapic_pin(unsigned pin, uint32_t low)
{
	ioapic_write(0x11 + 2 * pin, 0);
	ioapic_write(0x10 + 2 * pin, low);
}

static uint8_t cmos(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void cmos_set(uint8_t index, uint8_t value)
{
	outb(0x70, index);
	outb(0x71, value);
}

static void pit_rate(uint16_t divisor)
{
	outb(0x43, 0x34);
	outb(0x40, (uint8_t)divisor);
	outb(0x40, (uint8_t)(divisor >> 8));
}

static void pit_off(void)
{
	outb(0x43, 0x30); /* mode 0, and no count */
}

/* Not PAUSE: under QEMU 7.2 the shadow of STI outlives it. */
static void let_in(void)
{
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* Interrupts on until the counter has come so far, for ten seconds at most. */
static bool wait_for(volatile uint32_t *counter, uint32_t value)
{
	uint64_t end = rdtsc() + 10 * hz;

	while (*counter < value && rdtsc() < end)
		let_in();
	return *counter >= value;
}

static void on_pic(struct isr_frame *frame)
{
	(void)frame;
	pic_count++;
	outb(0x20, 0x20);
}

static void on_pit(struct isr_frame *frame)
{
	(void)frame;
	pit_count++;
	*reg(LAPIC + LAPIC_EOI) = 0;
}

static void on_rtc(struct isr_frame *frame)
{
	(void)frame;
	if (cmos(0x0c) & 0x40)
		rtc_count++;
	*reg(LAPIC + LAPIC_EOI) = 0;
}

static void on_uart(struct isr_frame *frame)
{
	(void)frame;
	if ((inb(0x3fa) & 0x0f) == 0x02)
		uart_count++;
	*reg(LAPIC + LAPIC_EOI) = 0;
}

static void on_lapic(struct isr_frame *frame)
{
	(void)frame;
	lapic_count++;
	*reg(LAPIC + LAPIC_EOI) = 0;
}

static void check_pic(void)
{
	static const uint8_t init[][2] = {
		{0x20, 0x11}, {0x21, VEC_PIC}, {0x21, 4}, {0x21, 1}, {0x21, 0xfe},
		{0xa0, 0x11}, {0xa1, VEC_PIC + 8}, {0xa1, 2}, {0xa1, 1}, {0xa1, 0xff},
	};
	uint64_t begin;

	for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		outb(init[i][0], init[i][1]);
	isr_set(VEC_PIC, on_pic);
	begin = rdtsc();
	pit_rate(11932); /* 100 Hz */
	report(wait_for(&pic_count, 3), "8254 interrupts through the 8259");
	report(rdtsc() - begin >= 3 * hz / 100 - hz / 1000, "and not before their time");
	outb(0x21, 0xff);
	pic_count = 0;
	begin = rdtsc();
	while (rdtsc() - begin < hz / 20)
		let_in();
	report(pic_count == 0, "a masked 8259 is silent");
	pit_off();
}

static void check_ioapic(void)
{
	*reg(LAPIC + LAPIC_SVR) = 0x1ff;
	*reg(IOAPIC) = 1;
	report(*reg(IOAPIC + 0x10) == 0x170020, "IOAPIC has 24 pins, version 20h");
	isr_set(VEC_PIT, on_pit);
	ioapic_pin(2, VEC_PIT);
	pit_rate(11932);
	report(wait_for(&pit_count, 3), "8254 interrupts through IOAPIC pin 2");
	ioapic_pin(2, 0x10000);
	pit_off();
}

static void check_rtc(void)
{
	uint64_t begin;
	uint8_t second, before;

	isr_set(VEC_RTC, on_rtc);
	ioapic_pin(8, VEC_RTC);
	cmos(0x0c);
	begin = rdtsc();
	cmos_set(0x0b, 0x42); /* periodic, 1,024 a second */
	report(wait_for(&rtc_count, 8), "clock's periodic interrupt");
	report(rdtsc() - begin >= hz / 128 - hz / 1000, "at its rate");
	cmos_set(0x0b, 0x02);
	ioapic_pin(8, 0x10000);
	before = cmos(0);
	begin = rdtsc();
	do {
		second = cmos(0);
	} while (second == before && rdtsc() - begin < 5 * hz);
	report(second != before && (second & 0xf) < 10 && second < 0x60, "clock shows seconds");
	report(cmos(0x0d) == 0x80, "its battery is good");
}

static void check_uart(void)
{
	isr_set(VEC_UART, on_uart);
	ioapic_pin(4, VEC_UART);
	outb(0x3fc, 0x0b);
	outb(0x3f9, 0x02);
	report(wait_for(&uart_count, 1), "serial port interrupts when empty");
	outb(0x3f9, 0);
	ioapic_pin(4, 0x10000);
	outb(0x3ff, 0x5a);
	report(inb(0x3ff) == 0x5a, "serial port's scratch register");
}

static void check_lapic_timer(void)
{
	uint64_t begin;

	isr_set(VEC_LAPIC, on_lapic);
	*reg(LAPIC + LAPIC_TDCR) = 0xb; /* by 1: a count is a nanosecond */
	*reg(LAPIC + LAPIC_LVTT) = VEC_LAPIC;
	begin = rdtsc();
	*reg(LAPIC + LAPIC_TMICT) = 5000000;
	report(wait_for(&lapic_count, 1), "local APIC timer, one shot");
	report(rdtsc() - begin >= hz / 200 - hz / 2000, "and not early");
	report(*reg(LAPIC + LAPIC_TMCCT) == 0, "its count has run out");
	*reg(LAPIC + LAPIC_LVTT) = 1u << 17 | VEC_LAPIC;
	*reg(LAPIC + LAPIC_TMICT) = 1000000;
	report(wait_for(&lapic_count, 6), "local APIC timer, periodic");
	*reg(LAPIC + LAPIC_TMICT) = 0;
}

static void check_pm_timer(void)
{
	uint32_t begin = inl(PM_TIMER), ticks;
	uint64_t tsc = rdtsc();

	while (rdtsc() - tsc < hz / 50)
		;
	ticks = inl(PM_TIMER) - begin;
	report(ticks >= PM_HZ / 50 - PM_HZ / 1000, "ACPI timer counts");
	report(ticks < PM_HZ, "at about its rate");
	report((inl(0x604) & 1) == 1, "the machine is in ACPI mode");
}

static bool sums_to_zero(const uint8_t *p, unsigned len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *p++);
	return sum == 0;
}

static const uint8_t *anchor(uint64_t from, const char *word, unsigned len)
{
	for (uint64_t at = from; at < 0x100000; at += 16) {
		const uint8_t *p = (const uint8_t *)at;
		unsigned i = 0;

		while (i < len && p[i] == (uint8_t)word[i])
			i++;
		if (i == len)
			return p;
	}
	return NULL;
}

static void check_firmware(void)
{
	const uint8_t *rsdp = anchor(0xe0000, "RSD PTR ", 8);
	const uint8_t *sm = anchor(0xf0000, "_SM_", 4), *sm3 = anchor(0xf0000, "_SM3_", 5);

	report(rsdp && sums_to_zero(rsdp, 20) && sums_to_zero(rsdp, 36), "ACPI root pointer");
	report(sm && sums_to_zero(sm, sm[5]), "SMBIOS 2.1 entry point");
	report(sm3 && sums_to_zero(sm3, sm3[6]), "SMBIOS 3.0 entry point");
}

static uint32_t pci_read(uint32_t slot, uint32_t offset)
{
	outl(0xcf8, 0x80000000u | slot << 11 | offset);
	return inl(0xcfc);
}

static void check_pci(void)
{
	report(pci_read(0, 0) == 0x12378086, "PCI host bridge");
	report(pci_read(31, 0) == 0xffffffff, "an empty PCI slot reads as all ones");
}

/* A busy host makes a measurement longer, never shorter. */
static uint64_t tsc_hz_least(void)
{
	uint64_t least = tsc_hz();

	for (unsigned i = 0; i < 9; i++) {
		uint64_t once = tsc_hz();

		if (once < least)
			least = once;
	}
	return least;
}

void guest_run(void)
{
	hz = tsc_hz_least();
	check_firmware();
	check_pci();
	check_pm_timer();
	check_pic();
	check_ioapic();
	check_rtc();
	check_uart();
	check_lapic_timer();
}
