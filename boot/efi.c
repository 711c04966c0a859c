/* SPDX-License-Identifier: Apache-2.0 */
/* Owns: look-ups in the firmware's tables. Context: boot services, BSP. */
#include "boot/efi.h"

#include <string.h>

#include "kernel/lib/err.h"

EFI_SYSTEM_TABLE *efi_st;
EFI_BOOT_SERVICES *efi_bs;

void *efi_config_table(const EFI_GUID *guid)
{
	for (UINTN i = 0; i < efi_st->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *t = &efi_st->ConfigurationTable[i];

		if (memcmp(&t->VendorGuid, guid, sizeof(*guid)) == 0)
			return t->VendorTable;
	}
	return NULL;
}

void *efi_protocol(const EFI_GUID *guid)
{
	EFI_GUID g = *guid;
	void *p = NULL;

	if (EFI_ERROR(efi_bs->LocateProtocol(&g, NULL, &p)))
		return NULL;
	return p;
}

int efi_err(EFI_STATUS status)
{
	if (!EFI_ERROR(status))
		return 0;
	switch (status) {
	case EFI_NOT_FOUND:
		return -RAY_ENOENT;
	case EFI_OUT_OF_RESOURCES:
		return -RAY_ENOMEM;
	case EFI_INVALID_PARAMETER:
		return -RAY_EINVAL;
	case EFI_UNSUPPORTED:
		return -RAY_ENOSYS;
	case EFI_ACCESS_DENIED:
	case EFI_SECURITY_VIOLATION:
		return -RAY_EPERM;
	default:
		return -RAY_EIO;
	}
}
