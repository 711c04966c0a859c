# SPDX-License-Identifier: Apache-2.0
# build/rayos.iso: loader, kernel and the demo guest on one bootable image.

GUEST := $(O)/guest

$(GUEST)/initrd.img: scripts/mkinitrd scripts/guest/init $(DEPS)/busybox/busybox \
		$(DEPS)/linux/modules/order
	$(call say,INITRD,$@)
	@mkdir -p $(@D)
	$(Q)scripts/mkinitrd --busybox $(DEPS)/busybox/busybox --init scripts/guest/init \
		--modules $(DEPS)/linux/modules -o $@

.PHONY: iso
iso: $(O)/rayos.iso
$(O)/rayos.iso: $(O)/BOOTX64.EFI $(O)/kernel-image.elf scripts/rayos.conf \
		$(GUEST)/initrd.img $(DEPS)/linux/vmlinuz scripts/mkiso scripts/rayoslib/conf.py
	$(call say,ISO,$@)
	$(Q)scripts/mkiso --conf scripts/rayos.conf --loader $(O)/BOOTX64.EFI \
		--kernel $(O)/kernel-image.elf --module $(DEPS)/linux/vmlinuz \
		--module $(GUEST)/initrd.img -o $@
