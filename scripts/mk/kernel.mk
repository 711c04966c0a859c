# SPDX-License-Identifier: Apache-2.0
# build/kernel.elf: every .c and .S of the kernel's folders, and the third-party archives.

KERNEL_DIRS := kernel hv devices net security tpm shell
KERNEL_SRC  := $(sort $(shell find $(wildcard $(KERNEL_DIRS)) -name '*.c' -o -name '*.S'))
KERNEL_OBJ  := $(patsubst %,$(O)/obj/%.o,$(KERNEL_SRC))

KERNEL_LDFLAGS := -pie --no-dynamic-linker -z text -z max-page-size=4096 -z noexecstack \
	-z norelro -z nodynamic-undefined-weak --hash-style=sysv --gc-sections --build-id=none -Bsymbolic \
	--orphan-handling=error --fatal-warnings

.PHONY: kernel
kernel: $(O)/kernel.elf

# Flags from the command line (DEBUG=1) rebuild what was made with others.
$(O)/kernel.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(KCFLAGS)' > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(O)/obj/%.c.o: %.c $(BUILD_FILES) scripts/mk/kernel.mk \
		scripts/mk/hidden.h $(O)/kernel.flags | $(GEN_HEADERS)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KCFLAGS) $(KCFLAGS_EXTRA) -MMD -MP -c -o $@ $<

$(O)/obj/%.S.o: %.S $(BUILD_FILES) scripts/mk/kernel.mk | $(GEN_HEADERS)
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KASFLAGS) -MMD -MP -c -o $@ $<

# The list of objects, so that a removed source relinks too.
$(O)/kernel.objs: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(KERNEL_OBJ) > $@.new; \
	 cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# The loader applies R_X86_64_RELATIVE and nothing else.
$(O)/kernel.elf: $(KERNEL_OBJ) $(THIRDPARTY_LIBS) linker.ld $(O)/kernel.objs $(BUILD_FILES) scripts/mk/kernel.mk
	$(call say,LD,$@)
	$(Q)$(LD) $(KERNEL_LDFLAGS) -T linker.ld -Map $(O)/kernel.map -o $@.tmp \
		@$(O)/kernel.objs --start-group $(THIRDPARTY_LIBS) --end-group
	$(Q)readelf -rW $@.tmp | awk '/R_X86_64_/ && !/R_X86_64_RELATIVE/ \
		{ print "kernel.elf: relocation the loader cannot apply:"; print; bad = 1 } \
		END { exit bad }'
	@# ld calls a PIE with a base address ET_EXEC (e_type 2); say ET_DYN (3), which it is.
	$(Q)printf '\003' | dd of=$@.tmp bs=1 seek=16 conv=notrunc status=none
	$(Q)mv $@.tmp $@

# What goes on the image: symbols stay for backtraces, debug information does not.
$(O)/kernel-image.elf: $(O)/kernel.elf
	$(call say,STRIP,$@)
	$(Q)$(OBJCOPY) --strip-debug $< $@

-include $(KERNEL_OBJ:.o=.d)
