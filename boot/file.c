/* SPDX-License-Identifier: Apache-2.0 */
/* Files on the boot volume, see file.h. */
#include "boot/file.h"

#include <string.h>

#include "boot/con.h"
#include "boot/mem.h"
#include "kernel/lib/err.h"

/* Drivers for CD and USB may allocate a bounce buffer as large as one read. */
#define CHUNK        MIB(4)
#define PROGRESS_MIN MIB(32)
#define LIST_MAX     64

static EFI_FILE_HANDLE root;

/* EFI_FILE_INFO with room for a long name. */
union info_buf {
	EFI_FILE_INFO info;
	uint8_t bytes[sizeof(EFI_FILE_INFO) + 512];
};

int file_volume_open(EFI_HANDLE image)
{
	EFI_GUID image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	EFI_GUID fs_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_LOADED_IMAGE_PROTOCOL *loaded;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *fs;

	if (root != NULL) {
		root->Close(root);
		root = NULL;
	}
	if (EFI_ERROR(efi_bs->HandleProtocol(image, &image_guid, (void **)&loaded)) ||
	    loaded->DeviceHandle == NULL)
		return -RAY_ENODEV;
	if (EFI_ERROR(efi_bs->HandleProtocol(loaded->DeviceHandle, &fs_guid, (void **)&fs)))
		return -RAY_ENODEV;
	if (EFI_ERROR(fs->OpenVolume(fs, &root))) {
		root = NULL;
		return -RAY_ENODEV;
	}
	return 0;
}

static int path_open(const char *path, EFI_FILE_HANDLE *f)
{
	CHAR16 wide[FILE_PATH_MAX];
	size_t n = strlen(path);

	if (root == NULL)
		return -RAY_ENODEV;
	if (n >= ARRAY_SIZE(wide))
		return -RAY_EINVAL;
	for (size_t i = 0; i <= n; i++) {
		uint8_t c = (uint8_t)path[i];

		if (c >= 0x7f || (c != 0 && c < ' '))
			return -RAY_EINVAL;
		wide[i] = c == '/' ? '\\' : c;
	}
	return efi_err(root->Open(root, f, wide, EFI_FILE_MODE_READ, 0));
}

static int file_info(EFI_FILE_HANDLE f, union info_buf *buf)
{
	EFI_GUID guid = EFI_FILE_INFO_ID;
	UINTN size = sizeof(*buf);

	return efi_err(f->GetInfo(f, &guid, &size, buf));
}

static int contents_read(EFI_FILE_HANDLE f, uint8_t *dst, uint64_t size)
{
	bool progress = size >= PROGRESS_MIN;
	uint64_t shown = 0;

	for (uint64_t done = 0; done < size;) {
		UINTN n = MIN(size - done, CHUNK);
		EFI_STATUS status = f->Read(f, &n, dst + done);

		/* A read of nothing before the end: the file system contradicts itself. */
		if (EFI_ERROR(status) || n == 0)
			return -RAY_EIO;
		done += n;
		if (progress && done * 10 / size != shown) {
			shown = done * 10 / size;
			con_show(" %lu%%", shown * 10);
		}
	}
	if (progress)
		con_show("\n");
	return 0;
}

static int file_read_all(EFI_FILE_HANDLE f, enum boot_mem_type type, struct boot_blob *out)
{
	union info_buf buf;
	uint64_t size, addr;
	int err = file_info(f, &buf);

	if (err)
		return err;
	if ((buf.info.Attribute & EFI_FILE_DIRECTORY) != 0)
		return -RAY_EINVAL;
	size = buf.info.FileSize;
	err = mem_alloc(type, size, PAGE_SIZE, MEM_ANYWHERE, &addr);
	if (err)
		return err;
	if (size >= PROGRESS_MIN)
		con_show("  %lu MiB:", size >> 20);
	err = contents_read(f, mem_ptr(addr), size);
	if (err) {
		mem_free(addr);
		return err;
	}
	memset((uint8_t *)mem_ptr(addr) + size, 0, ALIGN_UP(MAX(size, 1ul), PAGE_SIZE) - size);
	*out = (struct boot_blob){addr, size};
	return 0;
}

int file_load(const char *path, enum boot_mem_type type, struct boot_blob *out)
{
	EFI_FILE_HANDLE f;
	int err = path_open(path, &f);

	if (err)
		return err;
	err = file_read_all(f, type, out);
	f->Close(f);
	return err;
}

static void list_entry(const EFI_FILE_INFO *info, size_t name_max)
{
	char name[FILE_PATH_MAX];
	size_t n = 0;

	for (; n < sizeof(name) - 1 && n < name_max && info->FileName[n] != 0; n++)
		name[n] = info->FileName[n] < 0x7f ? (char)info->FileName[n] : '?';
	name[n] = '\0';
	if ((info->Attribute & EFI_FILE_DIRECTORY) != 0)
		con_show("      folder  %s\n", name);
	else
		con_show("%12lu  %s\n", info->FileSize, name);
}

void file_list(const char *path)
{
	union info_buf buf;
	EFI_FILE_HANDLE dir;
	const size_t name_max = (sizeof(buf) - SIZE_OF_EFI_FILE_INFO) / sizeof(CHAR16);
	int err = path_open(path, &dir);

	if (err) {
		con_show("/%s: %s\n", path, ray_strerror(err));
		return;
	}
	con_show("/%s:\n", path);
	for (int i = 0; i < LIST_MAX; i++) {
		UINTN size = sizeof(buf);

		if (EFI_ERROR(dir->Read(dir, &size, &buf)) || size == 0)
			break;
		list_entry(&buf.info, name_max);
	}
	dir->Close(dir);
}
