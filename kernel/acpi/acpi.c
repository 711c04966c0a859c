// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "acpi"
#include <acpi/acpi.h>

#include "kernel/acpi/acpi.h"
#include "kernel/acpi/acpi_priv.h"
#include "kernel/acpi/port/port.h"
#include "kernel/acpi/soft_off.h"
#include "kernel/acpi/tables.h"
#include "kernel/arch/guarded.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

#define ROOT_TABLES 32u
/* AML nests deep: method calls recurse through the interpreter. */
#define STACK_BYTES 65536u

static enum acpi_state state = ACPI_STATE_ABSENT;
static struct waitq done;
static void (*power_button)(void);

static void button_run(void *context)
{
	(void)context;
	power_button();
}

static u32 button_fixed(void *context)
{
	(void)context;
	/* In the SCI handler: a thread must do the rest. */
	(void)acpi_os_execute(OSL_NOTIFY_HANDLER, button_run, NULL);
	return ACPI_INTERRUPT_HANDLED;
}

/* Notify value 0x80 is "pressed" (ACPI 6.5, 4.8.3.1.1.2); others tell of waking up. */
static void button_notify(acpi_handle device, u32 value, void *context)
{
	(void)device;
	(void)context;
	if (value == 0x80)
		power_button();
}

static acpi_status button_device(acpi_handle device, u32 level, void *context, void **ret)
{
	(void)level;
	(void)context;
	(void)ret;
	(void)acpi_install_notify_handler(device, ACPI_DEVICE_NOTIFY, button_notify, NULL);
	return AE_OK;
}

static void buttons_install(void)
{
	if (!(acpi_gbl_FADT.flags & ACPI_FADT_POWER_BUTTON) &&
	    ACPI_FAILURE(acpi_install_fixed_event_handler(ACPI_EVENT_POWER_BUTTON, button_fixed,
							  NULL)))
		log_warn("no handler for the power button");
	(void)acpi_get_devices("PNP0C0C", button_device, NULL, NULL);
}

/* Tell AML that interrupts go through the IOAPIC (6.5, 5.8.1). Firmware may have no _PIC. */
static void pic_tell(void)
{
	union acpi_object arg = {.integer = {.type = ACPI_TYPE_INTEGER, .value = 0}};
	struct acpi_object_list args = {.count = 1, .pointer = &arg};
	size_t len;

	arg.integer.value = acpi_table_find("APIC", 0, &len) != NULL;
	(void)acpi_evaluate_object(NULL, (acpi_string)(uintptr_t)"\\_PIC", &args, NULL);
}

static acpi_status load(void)
{
	acpi_status st = acpi_initialize_subsystem();

	if (ACPI_SUCCESS(st))
		st = acpi_initialize_tables(NULL, ROOT_TABLES, FALSE);
	if (ACPI_SUCCESS(st))
		st = acpi_load_tables();
	if (ACPI_SUCCESS(st))
		st = acpi_enable_subsystem(ACPI_FULL_INITIALIZATION);
	if (ACPI_SUCCESS(st))
		st = acpi_initialize_objects(ACPI_FULL_INITIALIZATION);
	return st;
}

static void load_guarded(void *arg)
{
	acpi_status st = load();
	bool *ok = arg;

	*ok = ACPI_SUCCESS(st);
	if (!*ok) {
		log_err("namespace not loaded: %s", acpi_format_exception(st));
		return;
	}
	pic_tell();
	acpi_prt_load();
	acpi_osc_ask();
	buttons_install();
}

static void loader(void *arg)
{
	uint64_t start = time_now();
	bool ok = false;

	(void)arg;
	ok = guarded_call(load_guarded, &ok) && ok;
	if (ok)
		log_info("namespace loaded: us=%llu",
			 (unsigned long long)((time_now() - start) / 1000));
	else
		acpi_port_abandon();
	__atomic_store_n(&state, ok ? ACPI_STATE_READY : ACPI_STATE_FAILED, __ATOMIC_RELEASE);
	waitq_wake_all(&done);
	if (ok)
		acpi_osc_use();
}

int acpi_start(void (*on_power_button)(void))
{
	static const struct thread_attr attr = {
		.cls = THREAD_CLASS_NORMAL, .cpu = -1, .stack = STACK_BYTES};
	struct thread *t;
	int err;

	waitq_init(&done);
	if (acpi_rsdp_hpa().v == 0)
		return -RAY_ENODEV;
	power_button = on_power_button;
	err = acpi_port_exec_init();
	if (err)
		return err;
	state = ACPI_STATE_LOADING;
	err = thread_create(&t, "acpi-load", loader, NULL, &attr);
	if (err) {
		state = ACPI_STATE_FAILED;
		return err;
	}
	thread_detach(t);
	return 0;
}

enum acpi_state acpi_state(void)
{
	enum acpi_state s = __atomic_load_n(&state, __ATOMIC_ACQUIRE);

	return s == ACPI_STATE_READY && acpi_port_abandoned() ? ACPI_STATE_FAILED : s;
}

enum acpi_state acpi_wait(uint64_t deadline_ns)
{
	if (acpi_state() == ACPI_STATE_LOADING)
		wait_event(&done, acpi_state() != ACPI_STATE_LOADING, deadline_ns);
	return acpi_state();
}

static void off_prepare_guarded(void *arg)
{
	int *err = arg;
	acpi_status st;
	u8 a, b;

	*err = -RAY_ENOSYS;
	if (ACPI_FAILURE(acpi_get_sleep_type_data(ACPI_STATE_S5, &a, &b)))
		return;
	*err = 0;
	st = acpi_enter_sleep_state_prep(ACPI_STATE_S5);
	if (ACPI_SUCCESS(st))
		return;
	log_err("soft-off not prepared: %s", acpi_format_exception(st));
	*err = -RAY_EIO;
}

/* Set by acpi_off_prepare(): which way acpi_off_enter() goes. */
static bool off_without_aml;

int acpi_off_prepare(void)
{
	int err = -RAY_EIO;

	off_without_aml = false;
	if (acpi_state() == ACPI_STATE_READY) {
		if (guarded_call(off_prepare_guarded, &err) && err == 0)
			return 0;
		if (err == -RAY_EIO)
			acpi_port_abandon();
	}
	off_without_aml = true;
	return acpi_soft_off_prepare();
}

int acpi_off_enter(void)
{
	if (off_without_aml)
		acpi_soft_off_enter();
	else
		(void)acpi_enter_sleep_state(ACPI_STATE_S5);
	/* The chipset may take a moment. */
	for (unsigned int i = 0; i < 1000; i++)
		time_delay_ns(1000000);
	return -RAY_EIO;
}
