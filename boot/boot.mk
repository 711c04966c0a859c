# SPDX-License-Identifier: Apache-2.0
# build/BOOTX64.EFI: the loader, a gnu-efi application. Only gnu-efi's headers, start code,
# linker script and self-relocation are used; libefi is not linked.

BOOT_SRC := $(sort $(wildcard boot/*.c boot/*.S)) \
	kernel/acpi/walk.c \
	kernel/lib/err.c kernel/lib/fmt.c kernel/lib/ini.c kernel/lib/sink.c kernel/lib/string.c kernel/lib/utf8.c
BOOT_OBJ := $(patsubst %,$(O)/efi/%.o,$(BOOT_SRC))

# Debian's package has these in /usr/lib, other distributions in a folder of it.
EFI_INCLUDE  := /usr/include/efi
EFI_LIB_DIRS := /usr/lib /usr/lib/gnuefi /usr/lib/gnu-efi /usr/lib/x86_64-linux-gnu /usr/lib64/gnuefi
efi_find = $(firstword $(wildcard $(EFI_LIB_DIRS:%=%/$(1))) $(1)-from-package-gnu-efi)
EFI_LDS  := $(call efi_find,elf_x86_64_efi.lds)
EFI_CRT0 := $(call efi_find,crt0-efi-x86_64.o)
EFI_A    := $(call efi_find,libgnuefi.a)

BOOT_CFLAGS = -std=gnu11 -O2 -g -ffreestanding -fpic -fshort-wchar -fno-stack-protector \
	-mno-red-zone -mgeneral-regs-only -mno-mmx -mno-sse -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-delete-null-pointer-checks \
	-maccumulate-outgoing-args -fvisibility=hidden -ffile-prefix-map=$(CURDIR)/= \
	-DGNU_EFI_USE_MS_ABI -include scripts/mk/hidden.h \
	$(KINCLUDE) -isystem $(EFI_INCLUDE) -isystem $(EFI_INCLUDE)/x86_64 $(WARN)
# The start code of gnu-efi 3.0.18 calls _entry, which is libefi's; that of 3.0.15 efi_main.
BOOT_LDFLAGS := -shared -Bsymbolic -znocombreloc -nostdlib -z noexecstack --build-id=none \
	--no-undefined --defsym=_entry=efi_main --no-warn-rwx-segments
EFI_SECTIONS := .text .sdata .data .rodata .dynamic .dynsym .rel .rela .rel.* .rela.* .reloc

$(O)/efi/%.c.o: %.c $(BUILD_FILES) boot/boot.mk scripts/mk/hidden.h | $(GEN)/version.h
	$(call say,EFICC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BOOT_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/efi/%.S.o: %.S $(BUILD_FILES) boot/boot.mk
	$(call say,EFIAS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -fpic -I. -MMD -MP -c -o $@ $<

$(O)/BOOTX64.EFI: $(BOOT_OBJ) $(EFI_LDS) $(EFI_CRT0) $(EFI_A)
	$(call say,LD,$@)
	$(Q)$(LD) $(BOOT_LDFLAGS) -T $(EFI_LDS) $(EFI_CRT0) $(BOOT_OBJ) -o $(O)/efi/loader.so \
		$(EFI_A)
	$(Q)$(OBJCOPY) $(EFI_SECTIONS:%=-j '%') --target efi-app-x86_64 --subsystem=10 \
		$(O)/efi/loader.so $@

-include $(BOOT_OBJ:.o=.d)
