# SPDX-License-Identifier: Apache-2.0
# Test guests: each tests/guests/*.c becomes build/guests/<stem>.elf, a 64-bit image in an
# ELF32 file for Multiboot 1, and <stem>.pvh.elf, an ELF64 file with a PVH note. A folder
# tests/guests/<stem> holds further parts of it.

GUESTS_SRC := $(wildcard tests/guests/*.c)
GUESTS_ELF := $(foreach kind,elf pvh.elf,$(GUESTS_SRC:tests/guests/%.c=$(O)/guests/%.$(kind)))
GUEST_LIB  := tests/guests/lib/start.S tests/guests/lib/guest.c tests/guests/lib/virtio.c \
	      tests/guests/lib/meter.c
GUEST_LIB_OBJ := $(GUEST_LIB:tests/guests/%=$(O)/guests/obj/%.o)
GUEST_CFLAGS = -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -nostdinc -isystem $(GCC_INCLUDE) -Itests/guests/lib -Itests/guests $(WARN)
GUEST_LDFLAGS := -T tests/guests/lib/guest.ld -static --build-id=none -z noexecstack \
	-z max-page-size=4096 --no-warn-rwx-segments

.PHONY: guests
guests: $(GUESTS_ELF)

$(O)/guests/obj/%.o: tests/guests/% $(BUILD_FILES) scripts/mk/guests.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

# At the end of its memory: no driver's mistake leads there (tests/guests/hostile/hostile.h).
$(O)/guests/hostile.pvh.elf: GUEST_LDFLAGS := --defsym=GUEST_BASE=0x3c00000 $(GUEST_LDFLAGS)
$(O)/guests/hostile.pvh.elf: $(patsubst tests/guests/%,$(O)/guests/obj/%.o,$(wildcard tests/guests/hostile/*.c))

$(O)/guests/%.pvh.elf: $(O)/guests/obj/%.c.o $(GUEST_LIB_OBJ) tests/guests/lib/guest.ld
	$(call say,LD,$@)
	$(Q)$(LD) $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^)

$(O)/guests/%.elf: $(O)/guests/%.pvh.elf
	$(Q)$(OBJCOPY) -O elf32-i386 --remove-section .note $< $@

.SECONDARY: $(GUESTS_SRC:tests/guests/%=$(O)/guests/obj/%.o) $(GUEST_LIB_OBJ)
-include $(wildcard $(O)/guests/obj/*.d $(O)/guests/obj/*/*.d)
