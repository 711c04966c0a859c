// SPDX-License-Identifier: Apache-2.0
/* Asking firmware to leave a root bridge's slots to the kernel: _OSC (PCI Firmware 3.3, 4.5). */
#define LOG_TAG "acpi"
#include <acpi/acpi.h>
#include <string.h>

#include "kernel/acpi/acpi_priv.h"
#include "kernel/log.h"
#include "kernel/pci/pci.h"

#define DWORDS          3u
#define STATUS_FAILED   0xeu /* failure, UUID or revision not known */
#define HAS_EXT_CONFIG  0x1u
#define HAS_MSI         0x10u
#define WANT_HOTPLUG    0x1u
#define WANT_CAPABILITY 0x10u /* the PCI Express capability's structure */

/* 33DB4D5B-1FF7-401C-9657-7441C03DD766, as bytes of a UUID lie in AML (ACPI 6.5, 19.6.148). */
static const uint8_t uuid[16] = {0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
				 0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66};

/* Root buses whose slots are ours; written inside the guarded call, read after it. */
static bool granted[256];

static bool ask(acpi_handle bridge)
{
	uint32_t words[DWORDS] = {0, HAS_EXT_CONFIG | HAS_MSI, WANT_HOTPLUG | WANT_CAPABILITY};
	union acpi_object args[4] = {
		{.buffer = {.type = ACPI_TYPE_BUFFER, .length = sizeof(uuid),
			    .pointer = (u8 *)(uintptr_t)uuid}},
		{.integer = {.type = ACPI_TYPE_INTEGER, .value = 1}},
		{.integer = {.type = ACPI_TYPE_INTEGER, .value = DWORDS}},
		{.buffer = {.type = ACPI_TYPE_BUFFER, .length = sizeof(words),
			    .pointer = (u8 *)words}},
	};
	struct acpi_object_list list = {.count = 4, .pointer = args};
	struct acpi_buffer out = {.length = ACPI_ALLOCATE_BUFFER, .pointer = NULL};
	const union acpi_object *got;
	bool yes = false;

	if (ACPI_FAILURE(acpi_evaluate_object(bridge, (acpi_string)(uintptr_t)"_OSC", &list, &out)))
		return false;
	got = out.pointer;
	if (got && got->type == ACPI_TYPE_BUFFER && got->buffer.length >= sizeof(words)) {
		memcpy(words, got->buffer.pointer, sizeof(words));
		yes = !(words[0] & STATUS_FAILED) && (words[2] & WANT_HOTPLUG);
	}
	ACPI_FREE(out.pointer);
	return yes;
}

static acpi_status bridge(acpi_handle handle, u32 level, void *context, void **ret)
{
	/* Without _BBN it is bus 0 (ACPI 6.5, 6.5.5). */
	uint64_t bus = acpi_integer_get(handle, METHOD_NAME__BBN, 0);

	(void)level;
	(void)context;
	(void)ret;
	if (bus < 256 && acpi_integer_get(handle, METHOD_NAME__SEG, 0) == 0)
		granted[bus] = ask(handle);
	return AE_OK;
}

void acpi_osc_ask(void)
{
	(void)acpi_get_devices("PNP0A08", bridge, NULL, NULL);
}

void acpi_osc_use(void)
{
	for (unsigned int bus = 0; bus < 256; bus++) {
		if (granted[bus])
			pci_slots_start(bus);
	}
}
