/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A UART at 0x3F8, IRQ 4 (National Semiconductor PC16550D data sheet). Line timing is not
 * modelled: the transmitter is always empty, a short receive FIFO has "timed out" at once.
 * Owns: registers, receive ring. Must not know: who reads.
 * Locking: uart->lock. Readers hold references to its terminal, which outlive the VM's.
 */
#include "devices/virt/uart.h"

#include <string.h>

#include "devices/virt/virt.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define UART_BASE   0x3f8u
#define FIFO_DEPTH  16u

enum uart_reg { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RDA      0x01u
#define IER_THRE     0x02u
#define IER_RLS      0x04u
#define IER_MODEM    0x08u
#define IIR_NONE     0x01u
#define IIR_THRE     0x02u
#define IIR_RDA      0x04u
#define IIR_RLS      0x06u
#define IIR_TIMEOUT  0x0cu
#define IIR_FIFO     0xc0u
#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define LCR_DLAB     0x80u
#define MCR_DTR      0x01u
#define MCR_RTS      0x02u
#define MCR_OUT1     0x04u
#define MCR_OUT2     0x08u
#define MCR_LOOP     0x10u
#define LSR_DR       0x01u
#define LSR_OE       0x02u
#define LSR_IDLE     0x60u /* THRE and TEMT */
#define MSR_CTS      0x10u
#define MSR_DSR      0x20u
#define MSR_RI       0x40u
#define MSR_DCD      0x80u
#define MSR_DELTAS   0x0fu

struct vuart {
	struct vdev dev;
	struct gbus_range port;
	struct spinlock lock;
	uint8_t ier, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
	bool thre_pending;
	bool line;
	uint32_t rx_head, rx_count;
	uint8_t rx[VUART_RX_SIZE];
	struct vterm term;
};

static struct vuart *vuart_of(struct vdev *d)
{
	return container_of(d, struct vuart, dev);
}

struct vterm *vuart_get(struct vm *vm)
{
	return vm->uart ? vterm_get(&vm->uart->term) : NULL;
}

static void log_byte(struct vuart *u, uint8_t byte)
{
	if (unlikely(u->term.written == 0))
		u->dev.vm->first_output_tsc = rdtsc();
	vterm_put_byte(&u->term, byte);
}

/* --- guest side; context: lock held --- */

/* What the FIFO holds of the bytes waiting. */
static uint32_t rx_level(const struct vuart *u)
{
	return MIN(u->rx_count, (u->fcr & FCR_ENABLE) ? FIFO_DEPTH : 1u);
}

static uint8_t iir_cause(const struct vuart *u)
{
	static const uint8_t trigger[] = {1, 4, 8, 14};
	uint32_t level = rx_level(u);

	if ((u->ier & IER_RLS) && (u->lsr & LSR_OE))
		return IIR_RLS;
	if ((u->ier & IER_RDA) && level > 0) {
		if ((u->fcr & FCR_ENABLE) && level < trigger[u->fcr >> 6])
			return IIR_TIMEOUT;
		return IIR_RDA;
	}
	if ((u->ier & IER_THRE) && u->thre_pending)
		return IIR_THRE;
	if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS))
		return 0;
	return IIR_NONE;
}

/* OUT2 gates the interrupt on a PC; in loopback it is disconnected. */
static void update_line(struct vuart *u)
{
	bool line = iir_cause(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	if (line == u->line)
		return;
	u->line = line;
	virq_line_set(u->dev.vm, VIRT_IRQ_UART, 0, line);
}

static void rx_push(struct vuart *u, uint8_t byte)
{
	u->rx[(u->rx_head + u->rx_count) % VUART_RX_SIZE] = byte;
	u->rx_count++;
}

static uint8_t rx_pop(struct vuart *u)
{
	uint8_t byte;

	if (u->rx_count == 0)
		return 0;
	byte = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % VUART_RX_SIZE;
	u->rx_count--;
	return byte;
}

static void loop_byte(struct vuart *u, uint8_t byte)
{
	uint32_t depth = (u->fcr & FCR_ENABLE) ? FIFO_DEPTH : 1u;

	if (u->rx_count >= depth)
		u->lsr |= LSR_OE;
	else
		rx_push(u, byte);
}

static void modem_update(struct vuart *u)
{
	uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD, changed;

	if (u->mcr & MCR_LOOP)
		lines = (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) |
				  (u->mcr & MCR_DTR ? MSR_DSR : 0) |
				  (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
				  (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
	changed = (uint8_t)((u->msr ^ lines) >> 4);
	/* Of RI only the trailing edge counts. */
	if ((changed & 0x4) && (lines & MSR_RI))
		changed &= (uint8_t)~0x4u;
	u->msr = (uint8_t)(lines | (u->msr & MSR_DELTAS) | changed);
}

static void thr_write(struct vuart *u, uint8_t byte)
{
	if (u->mcr & MCR_LOOP)
		loop_byte(u, byte);
	else
		log_byte(u, byte);
	if (u->ier == 0) {
		u->thre_pending = true;
		return;
	}
	/* One interrupt already waiting to be read covers this byte too. */
	if (!u->thre_pending) {
		u->thre_pending = true;
		update_line(u);
	} else if (u->mcr & MCR_LOOP) {
		update_line(u);
	}
}

static void fcr_write(struct vuart *u, uint8_t value)
{
	if (((value ^ u->fcr) & FCR_ENABLE) || (value & FCR_CLEAR_RX))
		u->rx_count = 0;
	u->fcr = (value & FCR_ENABLE) ? value & 0xc9 : 0;
}

static void reg_write(struct vuart *u, unsigned int reg, uint8_t value)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (!dlab) {
			thr_write(u, value);
			return;
		}
		u->dll = value;
		return;
	case REG_IER:
		if (dlab) {
			u->dlm = value;
			return;
		}
		/* Turning it on with the transmitter empty is an event (data sheet, 8.6.2). */
		if ((value & IER_THRE) && !(u->ier & IER_THRE))
			u->thre_pending = true;
		u->ier = value & 0x0f;
		break;
	case REG_IIR_FCR:
		fcr_write(u, value);
		break;
	case REG_LCR:
		u->lcr = value;
		return;
	case REG_MCR:
		u->mcr = value & 0x1f;
		modem_update(u);
		break;
	case REG_SCR:
		u->scr = value;
		return;
	default: /* LSR and MSR are read-only */
		return;
	}
	update_line(u);
}

static uint8_t reg_read(struct vuart *u, unsigned int reg)
{
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t value;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			return u->dll;
		value = rx_pop(u);
		break;
	case REG_IER:
		return dlab ? u->dlm : u->ier;
	case REG_IIR_FCR:
		value = iir_cause(u);
		if (value == IIR_THRE)
			u->thre_pending = false;
		value |= (u->fcr & FCR_ENABLE) ? IIR_FIFO : 0;
		break;
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		value = (uint8_t)(LSR_IDLE | u->lsr | (u->rx_count ? LSR_DR : 0));
		if (!u->lsr)
			return value;
		u->lsr = 0;
		break;
	case REG_MSR:
		value = u->msr;
		u->msr &= (uint8_t)~MSR_DELTAS;
		break;
	default:
		return u->scr;
	}
	update_line(u);
	return value;
}

static bool vuart_port(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vuart *u = container_of(r, struct vuart, port);
	uint64_t flags = 0, out = 0;

	(void)vcpu;
	if (!vdev_lock(&u->lock, fast, &flags))
		return false;
	/* An 8-bit device: a wider access is one access per byte. */
	for (unsigned int i = 0; i < a->size; i++) {
		if (a->write)
			reg_write(u, (a->offset + i) & 7, (uint8_t)(a->data >> (8 * i)));
		else
			out |= (uint64_t)reg_read(u, (a->offset + i) & 7) << (8 * i);
	}
	vdev_unlock(&u->lock, fast, flags);
	if (!a->write)
		a->data = out;
	return true;
}

static size_t vuart_type(struct vterm *t, const char *buf, size_t len)
{
	struct vuart *u = container_of(t, struct vuart, term);
	uint64_t flags = spin_lock_irqsave(&u->lock);
	size_t n = t->gone ? 0 : MIN(len, (size_t)(VUART_RX_SIZE - u->rx_count));

	for (size_t i = 0; i < n; i++)
		rx_push(u, (uint8_t)buf[i]);
	if (n > 0)
		update_line(u);
	spin_unlock_irqrestore(&u->lock, flags);
	return n;
}

static void vuart_free(struct vterm *t)
{
	kfree(container_of(t, struct vuart, term));
}

static const struct vterm_ops vuart_term_ops = {.type = vuart_type, .free = vuart_free};

static void vuart_reset(struct vdev *d)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags = spin_lock_irqsave(&u->lock);

	u->ier = u->fcr = u->lcr = u->mcr = u->lsr = u->scr = 0;
	u->dll = 1; /* 115200, as firmware would leave it */
	u->dlm = 0;
	u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	u->thre_pending = false;
	u->rx_head = u->rx_count = 0;
	update_line(u);
	spin_unlock_irqrestore(&u->lock, flags);
}

static void vuart_save(struct vdev *d, struct state_buf *b)
{
	struct vuart *u = vuart_of(d);
	const uint8_t regs[] = {u->ier, u->fcr, u->lcr, u->mcr, u->lsr,	 u->msr,
				u->scr, u->dll, u->dlm, u->thre_pending};

	state_put(b, regs, sizeof(regs));
	state_put_u32(b, u->rx_count);
	for (uint32_t i = 0; i < u->rx_count; i++)
		state_put_u8(b, u->rx[(u->rx_head + i) % VUART_RX_SIZE]);
}

static int vuart_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vuart *u = vuart_of(d);
	uint8_t regs[10], rx[VUART_RX_SIZE];
	uint32_t count;
	uint64_t flags;

	state_get(b, regs, sizeof(regs));
	count = state_get_u32(b);
	if (version != d->ops->state_version || b->bad || count > VUART_RX_SIZE)
		return -RAY_EINVAL;
	state_get(b, rx, count);
	if (b->bad || (regs[0] & 0xf0) || (regs[3] & 0xe0) || (regs[4] & ~LSR_OE) || regs[9] > 1)
		return -RAY_EINVAL;
	flags = spin_lock_irqsave(&u->lock);
	u->ier = regs[0];
	u->fcr = regs[1] & 0xc9;
	u->lcr = regs[2];
	u->mcr = regs[3];
	u->lsr = regs[4];
	u->msr = regs[5];
	u->scr = regs[6];
	u->dll = regs[7];
	u->dlm = regs[8];
	u->thre_pending = regs[9];
	memcpy(u->rx, rx, count);
	u->rx_head = 0;
	u->rx_count = count;
	/* The line's level came with the interrupt controllers. */
	u->line = iir_cause(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
	spin_unlock_irqrestore(&u->lock, flags);
	return 0;
}

static void vuart_destroy(struct vdev *d)
{
	struct vuart *u = vuart_of(d);
	uint64_t flags;

	vdev_ports_del(d->vm, &u->port, 1);
	list_del(&d->node);
	d->vm->uart = NULL;
	/* Under the lock: whoever types is done with the VM, or sees that it is gone. */
	flags = spin_lock_irqsave(&u->lock);
	u->term.gone = true;
	spin_unlock_irqrestore(&u->lock, flags);
	vterm_end(&u->term);
}

static const struct vdev_ops vuart_ops = {
	.name = "uart16550",
	.state_version = 1,
	.quiesce = vdev_nop,
	.resume = vdev_nop,
	.save = vuart_save,
	.load = vuart_load,
	.reset = vuart_reset,
	.destroy = vuart_destroy,
};

int vuart_create(struct vm *vm)
{
	struct vuart *u = kzalloc(sizeof(*u), MEM_VDEV);
	int err;

	if (!u)
		return -RAY_ENOMEM;
	spin_lock_init(&u->lock, LOCK_ORDER_VDEV);
	vterm_init(&u->term, &vuart_term_ops, "serial");
	u->port = (struct gbus_range){.base = UART_BASE, .len = 8, .fn = vuart_port,
				      .flags = GBUS_F_FAST, .name = "uart16550"};
	err = vdev_ports_add(vm, &u->port, 1);
	if (err) {
		kfree(u);
		return err;
	}
	vm->uart = u;
	vdev_register(vm, &u->dev, &vuart_ops, 0);
	vuart_reset(&u->dev);
	return 0;
}
