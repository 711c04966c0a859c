/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's prompt, see menu.h. */
#include "boot/menu.h"

#include "boot/con.h"
#include "boot/efi.h"
#include "boot/file.h"

#define NO_KEYBOARD_WAIT_US (60u * 1000 * 1000)

/* UEFI 2.10, 8.5.4: asks the next boot to enter the firmware's set-up. */
static bool setup_request(void)
{
	EFI_GUID guid = EFI_GLOBAL_VARIABLE;
	CHAR16 supported_name[] = L"OsIndicationsSupported", name[] = L"OsIndications";
	EFI_RUNTIME_SERVICES *rt = efi_st->RuntimeServices;
	UINT64 supported = 0, wanted = 0;
	UINTN size = sizeof(supported);

	if (EFI_ERROR(rt->GetVariable(supported_name, &guid, NULL, &size, &supported)) ||
	    (supported & EFI_OS_INDICATIONS_BOOT_TO_FW_UI) == 0)
		return false;
	size = sizeof(wanted);
	if (EFI_ERROR(rt->GetVariable(name, &guid, NULL, &size, &wanted)))
		wanted = 0;
	wanted |= EFI_OS_INDICATIONS_BOOT_TO_FW_UI;
	return !EFI_ERROR(rt->SetVariable(name, &guid,
					  EFI_VARIABLE_NON_VOLATILE |
						  EFI_VARIABLE_BOOTSERVICE_ACCESS |
						  EFI_VARIABLE_RUNTIME_ACCESS,
					  sizeof(wanted), &wanted));
}

static void reset(EFI_RESET_TYPE type)
{
	efi_st->RuntimeServices->ResetSystem(type, EFI_SUCCESS, 0, NULL);
}

static void help(void)
{
	con_show("r retry, l list files, s firmware set-up, b reset, p power off\n");
}

static void files_list(void)
{
	file_list("");
	file_list("EFI/BOOT");
	file_list("rayos");
}

void menu_prompt(const char *reason)
{
	con_marker(MARKER_LOADER_PROMPT, "reason=%s", reason);
	for (;;) {
		int key;

		help();
		con_show("loader> ");
		key = con_key();
		if (key < 0) {
			con_show("no keyboard: reset in one minute\n");
			efi_bs->Stall(NO_KEYBOARD_WAIT_US);
			reset(EfiResetCold);
		}
		con_show("%c\n", key >= ' ' ? key : ' ');
		switch (key | 0x20) {
		case 'r':
			return;
		case 'l':
			files_list();
			break;
		case 's':
			if (setup_request())
				reset(EfiResetCold);
			con_show("this firmware cannot be told to enter its set-up\n");
			break;
		case 'b':
			reset(EfiResetCold);
			break;
		case 'p':
			reset(EfiResetShutdown);
			break;
		default:
			break;
		}
	}
}
