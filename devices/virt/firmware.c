/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/firmware.h"

#include <string.h>

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

uint8_t firmware_checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

int firmware_write(struct vm *vm)
{
	struct virt_smbios info = {
		.name = vm->def.name, .memory = vm->def.memory, .cpus = vm->def.vcpus};
	uint8_t *buf = kzalloc(FIRMWARE_ACPI_SIZE, MEM_VDEV);
	size_t len;
	int err = -RAY_ENOMEM;

	if (!buf)
		return -RAY_ENOMEM;
	len = virt_acpi_build(buf, FIRMWARE_ACPI_SIZE, FIRMWARE_ACPI, vm->def.vcpus);
	if (!len)
		goto out;
	err = gmem_load(&vm->mem, GPA(FIRMWARE_ACPI), buf, len);
	if (err)
		goto out;
	memset(buf, 0, FIRMWARE_SMBIOS_SIZE);
	len = virt_smbios_build(buf, FIRMWARE_SMBIOS_SIZE, FIRMWARE_SMBIOS, &info);
	err = len ? gmem_load(&vm->mem, GPA(FIRMWARE_SMBIOS), buf, len) : -RAY_ENOMEM;
out:
	kfree(buf);
	return err;
}
