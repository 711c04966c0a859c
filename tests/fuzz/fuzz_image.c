/* UNIT: hv/loader/load.c hv/loader/bzimage.c hv/loader/elf.c hv/loader/elf_guest.c
 * hv/loader/e820.c hv/gmem.c hv/stage2.c hv/gbus.c kernel/lib/fmt.c kernel/lib/sink.c
 * tests/host/fake_backend.c
 */
/* PARSER: hv/loader/load.c hv/loader/bzimage.c hv/loader/elf.c hv/loader/elf_guest.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * Guest images of every format from a hostile disk: whatever is accepted went into guest
 * memory and nowhere else, whatever is refused has a reason in words. The input's first byte
 * chooses the size of the initrd, the rest is the kernel file.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hv/loader.h"
#include "tests/host/fake_hv.h"

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm *vm;
	static uint8_t initrd[255 * 64];
	struct vm_image image = { .cmdline = "console=ttyS0 quiet" };
	struct vm_entry entry = { 0 };
	char why[160] = "";
	uint8_t *exact;
	int err;

	if (size == 0)
		return 0;
	if (!vm)
		vm = fake_hv_vm(MIB(20), 1); /* kept: the same memory for every input */
	exact = malloc(size - 1 ? size - 1 : 1);
	if (!exact)
		abort();
	memcpy(exact, data + 1, size - 1);
	image.kernel = exact;
	image.kernel_size = size - 1;
	image.initrd = data[0] ? initrd : NULL;
	image.initrd_size = data[0] * 64u;
	err = vm_image_load(vm, &image, &entry, why, sizeof(why));
	free(exact);
	if (err != 0 && (why[0] == '\0' || (err != -RAY_ENOEXEC && err != -RAY_E2BIG)))
		abort();
	if (err == 0 && entry.mode != VM_ENTRY_LONG64 && entry.mode != VM_ENTRY_PROT32)
		abort();
	return 0;
}
