/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/irq/pic.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"

/* Intel 8259A datasheet; ELCR: 82371SB datasheet. */
#define MASTER_CMD  0x20
#define MASTER_DATA 0x21
#define SLAVE_CMD   0xa0
#define SLAVE_DATA  0xa1
#define ELCR        0x4d0
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086      0x01
#define OCW2_SPECIFIC_EOI 0x60
#define OCW3_READ_ISR  0x0b
#define CASCADE     2u

static uint16_t masked_inputs = 0xffff;

static void masks_write(void)
{
	out8(MASTER_DATA, (uint8_t)masked_inputs);
	out8(SLAVE_DATA, (uint8_t)(masked_inputs >> 8));
}

void pic_init(void)
{
	out8(MASTER_CMD, ICW1_INIT_ICW4);
	out8(SLAVE_CMD, ICW1_INIT_ICW4);
	out8(MASTER_DATA, VECTOR_PIC_BASE);
	out8(SLAVE_DATA, VECTOR_PIC_BASE + 8);
	out8(MASTER_DATA, 1u << CASCADE);
	out8(SLAVE_DATA, CASCADE);
	out8(MASTER_DATA, ICW4_8086);
	out8(SLAVE_DATA, ICW4_8086);
	masks_write();
}

void pic_mask(unsigned int irq, bool masked)
{
	uint16_t bit = (uint16_t)(1u << irq);

	masked_inputs = (uint16_t)(masked ? masked_inputs | bit : masked_inputs & ~bit);
	if (irq >= 8 && !masked)
		masked_inputs &= (uint16_t)~(1u << CASCADE);
	masks_write();
}

void pic_level(unsigned int irq, bool level)
{
	uint16_t port = (uint16_t)(ELCR + irq / 8);
	uint8_t bit = (uint8_t)(1u << (irq % 8)), v = in8(port);

	out8(port, (uint8_t)(level ? v | bit : v & ~bit));
}

bool pic_is_real(unsigned int irq)
{
	uint16_t cmd = irq < 8 ? MASTER_CMD : SLAVE_CMD;

	if (irq != 7 && irq != 15)
		return true;
	out8(cmd, OCW3_READ_ISR);
	if (in8(cmd) & 0x80)
		return true;
	if (irq == 15)
		out8(MASTER_CMD, OCW2_SPECIFIC_EOI | CASCADE);
	return false;
}

void pic_eoi(unsigned int irq)
{
	if (irq >= 8) {
		out8(SLAVE_CMD, (uint8_t)(OCW2_SPECIFIC_EOI | (irq - 8)));
		irq = CASCADE;
	}
	out8(MASTER_CMD, (uint8_t)(OCW2_SPECIFIC_EOI | irq));
}
