// SPDX-License-Identifier: Apache-2.0
/* ACPICA's surroundings: interrupt, messages, tables to replace (none), switching off. */
#define LOG_TAG "acpi"
#include <acpi/acpi.h>

#include "kernel/acpi/port/port.h"
#include "kernel/acpi/tables.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/sched/spinlock.h"

#define LINE_MAX_CHARS 200u
/* Broken firmware repeats itself: so many complaints reach the operator, the rest the debug log. */
#define COMPLAINTS_MAX 16u

acpi_status acpi_os_initialize(void)
{
	return AE_OK;
}

acpi_status acpi_os_terminate(void)
{
	return AE_OK;
}

/* ---- the one interrupt: SCI ---- */

static struct irq_handle *sci_irq;
static acpi_osd_handler sci_fn;
static void *sci_arg;

static bool abandoned;

static void sci_handler(void *arg)
{
	(void)arg;
	if (!acpi_port_abandoned())
		(void)sci_fn(sci_arg);
}

void acpi_port_abandon(void)
{
	if (__atomic_exchange_n(&abandoned, true, __ATOMIC_ACQ_REL))
		return;
	/* A level-triggered line that nobody acknowledges would never fall silent. */
	if (sci_irq)
		irq_mask(sci_irq);
	log_err("firmware's code is not run any more");
}

bool acpi_port_abandoned(void)
{
	return __atomic_load_n(&abandoned, __ATOMIC_ACQUIRE);
}

acpi_status acpi_os_install_interrupt_handler(u32 interrupt_number, acpi_osd_handler service_routine,
					      void *context)
{
	int err;

	if (sci_irq)
		return AE_ALREADY_EXISTS;
	sci_fn = service_routine;
	sci_arg = context;
	/* An ISA number is subject to the MADT's overrides, which know its level and polarity. */
	if (interrupt_number < 16)
		err = irq_isa_request(&sci_irq, interrupt_number, sci_handler, NULL, "acpi");
	else
		err = irq_gsi_request(&sci_irq, interrupt_number,
				      IRQ_F_LEVEL | IRQ_F_ACTIVE_LOW | IRQ_F_SHARED, sci_handler,
				      NULL, "acpi");
	return err ? AE_NOT_ACQUIRED : AE_OK;
}

acpi_status acpi_os_remove_interrupt_handler(u32 interrupt_number, acpi_osd_handler service_routine)
{
	(void)interrupt_number;
	(void)service_routine;
	if (!sci_irq)
		return AE_NOT_EXIST;
	irq_release(sci_irq);
	sci_irq = NULL;
	return AE_OK;
}

/* ---- messages: pieces in, log records out ---- */

static struct spinlock line_lock = SPINLOCK_INIT(LOCK_ORDER_NONE);
static char line[LINE_MAX_CHARS];
static size_t line_len;
static unsigned int complaints;

static void line_flush(void)
{
	/* ACPICA marks what is wrong with firmware with these words; the rest is narration. */
	bool bad;

	line[line_len] = '\0';
	bad = (strstr(line, "Error") || strstr(line, "Warning")) && complaints < COMPLAINTS_MAX;
	if (bad && ++complaints == COMPLAINTS_MAX)
		log_warn("%s (further complaints at level debug)", line);
	else if (bad)
		log_warn("%s", line);
	else if (line_len > 0)
		log_dbg("%s", line);
	line_len = 0;
}

void acpi_os_vprintf(const char *format, va_list args)
{
	char text[LINE_MAX_CHARS];
	uint64_t flags;

	(void)ray_vsnprintf(text, sizeof(text), format, args);
	flags = spin_lock_irqsave(&line_lock);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\n' || line_len == sizeof(line) - 1)
			line_flush();
		/* Names come out of AML: nothing of them may steer a terminal. */
		if (*c != '\n')
			line[line_len++] = *c >= ' ' && *c < 0x7f ? *c : '?';
	}
	spin_unlock_irqrestore(&line_lock, flags);
}

void acpi_os_printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	acpi_os_vprintf(format, args);
	va_end(args);
}

acpi_status acpi_os_signal(u32 function, void *info)
{
	const struct acpi_signal_fatal_info *fatal = info;

	if (function == ACPI_SIGNAL_FATAL && fatal)
		log_err("firmware says fatal: type=0x%x code=0x%x arg=0x%x", fatal->type, fatal->code,
			fatal->argument);
	return AE_OK;
}

/* ---- nothing of firmware's is replaced ---- */

acpi_status acpi_os_predefined_override(const struct acpi_predefined_names *init_val,
					acpi_string *new_val)
{
	(void)init_val;
	*new_val = NULL;
	return AE_OK;
}

acpi_status acpi_os_table_override(struct acpi_table_header *existing_table,
				   struct acpi_table_header **new_table)
{
	(void)existing_table;
	*new_table = NULL;
	return AE_OK;
}

acpi_status acpi_os_physical_table_override(struct acpi_table_header *existing_table,
					    acpi_physical_address *new_address,
					    u32 *new_table_length)
{
	(void)existing_table;
	*new_address = 0;
	*new_table_length = 0;
	return AE_OK;
}

/*
 * The last step into a sleep state. Done here and not by ACPICA, which would wait for ever
 * for power to go away; the caller says what happens when it stays.
 */
acpi_status acpi_os_enter_sleep(u8 sleep_state, u32 rega_value, u32 regb_value)
{
	(void)sleep_state;
	if (acpi_gbl_reduced_hardware)
		return AE_OK;
	(void)acpi_write(rega_value, &acpi_gbl_FADT.xpm1a_control_block);
	if (acpi_gbl_FADT.xpm1b_control_block.address != 0)
		(void)acpi_write(regb_value, &acpi_gbl_FADT.xpm1b_control_block);
	return AE_CTRL_TERMINATE;
}
