# SPDX-License-Identifier: Apache-2.0
# build/rayos.iso: loader, kernel and the demo guest on one bootable image.

GUEST := $(O)/guest
GUEST_MODULES := $(DEPS)/linux/button.ko $(DEPS)/linux/evdev.ko

$(GUEST)/initrd.img: scripts/mkinitrd scripts/guest/init $(DEPS)/busybox/busybox $(GUEST_MODULES)
	$(call say,INITRD,$@)
	@mkdir -p $(@D)
	$(Q)scripts/mkinitrd --busybox $(DEPS)/busybox/busybox --init scripts/guest/init \
		$(GUEST_MODULES:%=--module %) -o $@

.PHONY: iso
iso: $(O)/rayos.iso
$(O)/rayos.iso: $(O)/BOOTX64.EFI $(O)/kernel-image.elf scripts/rayos.conf \
		$(GUEST)/initrd.img $(DEPS)/linux/vmlinuz scripts/mkiso scripts/rayoslib/conf.py
	$(call say,ISO,$@)
	$(Q)scripts/mkiso --conf scripts/rayos.conf --loader $(O)/BOOTX64.EFI \
		--kernel $(O)/kernel-image.elf --module $(DEPS)/linux/vmlinuz \
		--module $(GUEST)/initrd.img -o $@
