/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/host/ps2/ps2.h"

#include "kernel/arch/cpu.h"
#include "kernel/device/device.h"
#include "kernel/input/keyboard.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#include "kernel/sched/spinlock.h"
#include "kernel/time/time.h"

#define PORT_DATA   0x60u
#define PORT_STATUS 0x64u
#define STATUS_OUT  (1u << 0) /* a byte is there to be read */
#define STATUS_IN   (1u << 1) /* what was written is not taken yet */
#define STATUS_AUX  (1u << 5) /* it is the mouse's */
#define CMD_READ_CONFIG  0x20u
#define CMD_WRITE_CONFIG 0x60u
#define CMD_TEST_KEYBOARD 0xabu
#define CMD_ENABLE_KEYBOARD 0xaeu
#define CONFIG_IRQ       BIT(0)
#define CONFIG_MOUSE_IRQ BIT(1)
#define CONFIG_OFF       BIT(4)
#define CONFIG_TRANSLATE BIT(6)
#define KEYBOARD_SCAN    0xf4u
#define KEYBOARD_ACK     0xfau
#define ISA_IRQ     1u
#define WAIT_NS     100000000ull
#define STEP_NS     20000ull
#define BYTES_MAX   64u /* at once */

static struct ps2_state state;

static bool status_wait(uint32_t mask, uint32_t want)
{
	uint64_t end = time_now() + WAIT_NS;

	while ((in8(PORT_STATUS) & mask) != want) {
		if (time_now() >= end)
			return false;
		time_delay_ns(STEP_NS);
	}
	return true;
}

static bool send(uint16_t port, uint8_t byte)
{
	if (!status_wait(STATUS_IN, 0))
		return false;
	out8(port, byte);
	return true;
}

static int receive(void)
{
	return status_wait(STATUS_OUT, STATUS_OUT) ? in8(PORT_DATA) : -RAY_ETIMEDOUT;
}

static void drain(void)
{
	for (unsigned int i = 0; i < BYTES_MAX && (in8(PORT_STATUS) & STATUS_OUT); i++)
		(void)in8(PORT_DATA);
}

static void ps2_interrupt(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < BYTES_MAX; i++) {
		uint8_t status = in8(PORT_STATUS), byte, key;
		bool down;

		if (!(status & STATUS_OUT))
			return;
		byte = in8(PORT_DATA);
		if (status & STATUS_AUX)
			continue;
		key = ps2_key(&state, byte, &down);
		if (key)
			keyboard_key(key, down);
	}
}

/* Where nothing is, ports read all ones. */
static int controller_find(void)
{
	int config;

	if (in8(PORT_STATUS) == 0xffu)
		return -RAY_ENODEV;
	drain();
	if (!send(PORT_STATUS, CMD_TEST_KEYBOARD) || receive() != 0)
		return -RAY_ENODEV;
	if (!send(PORT_STATUS, CMD_READ_CONFIG))
		return -RAY_ENODEV;
	config = receive();
	return config;
}

static int keyboard_on(void)
{
	int config = controller_find();

	if (config < 0)
		return -RAY_ENODEV;
	config = (config | (int)(CONFIG_IRQ | CONFIG_TRANSLATE)) &
		 ~(int)(CONFIG_OFF | CONFIG_MOUSE_IRQ);
	if (!send(PORT_STATUS, CMD_WRITE_CONFIG) || !send(PORT_DATA, (uint8_t)config) ||
	    !send(PORT_STATUS, CMD_ENABLE_KEYBOARD) || !send(PORT_DATA, KEYBOARD_SCAN))
		return -RAY_ENODEV;
	if (receive() != (int)KEYBOARD_ACK)
		return -RAY_ENODEV;
	drain();
	return 0;
}

static struct device keyboard = {.name = "keyboard", .cls = DEVICE_INPUT};

static int ps2_probe(const struct driver *self)
{
	struct irq_handle *handle;
	int err = keyboard_on();

	if (!err)
		err = irq_isa_request(&handle, ISA_IRQ, ps2_interrupt, NULL, "keyboard");
	if (err)
		return err;
	device_add(&keyboard, NULL);
	device_driver_set(&keyboard, self);
	return 0;
}

PLATFORM_DRIVER(ps2, .base = {.id = "ps2", .bus = "platform", .cls = DEVICE_INPUT},
		.probe = ps2_probe);
