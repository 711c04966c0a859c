# SPDX-License-Identifier: Apache-2.0
# Images of the Linux guests that tests start (docs/guests.md), all in build/guest:
#   test-initrd.img      busybox and virtio modules for the cloud kernel; finds tools.img on a disk
#   tools.img            ext4 with fio, iperf3, lspci, ...
#   generic-initrd.img   as test-initrd.img, for the generic kernel: with ext4 and DRM
#   *-tools-initrd.img   the same two with the tools inside

# Taken out of the packages that scripts/deps-test.lock calls tools.
TOOLS := iperf3 ping lspci setpci mke2fs mkfs.ext4 e2fsck tune2fs blkdiscard evtest \
	modetest
TOOL_LOCKS := $(wildcard $(DEPS)/tools/*/.lock)

# Programs of ours: tests/guests/linux/NAME.c. Static, as the libraries here are not the guest's.
TOOLS_SRC := $(wildcard tests/guests/linux/*.c)
TOOLS_OWN := $(TOOLS_SRC:tests/guests/linux/%.c=$(GUEST)/bin/%)

$(GUEST)/bin/%: tests/guests/linux/%.c scripts/mk/guestimg.mk
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -static $(HOST_WARN) \
		-isystem $(DEPS)/tools/libdrm-dev/usr/include/libdrm -o $@ $<

# Debian's fio needs the client libraries of every cluster file system, 60 MB of them; from the
# same source without those it is one static program.
FIO_WITHOUT := numa rdma rados rbd http gfapi libnfs lex pmem shm xnvme libzbc tcmalloc dfs native
$(GUEST)/bin/fio: $(DEPS)/fio/.lock
	$(call say,MAKE,fio)
	@rm -rf $(O)/fio && mkdir -p $(O)/fio $(@D)
	$(Q)cd $(O)/fio && { $(abspath $(DEPS))/fio/configure --build-static \
		$(FIO_WITHOUT:%=--disable-%) && env -u MAKEFLAGS -u MFLAGS -u O make -j2 fio; } \
		>build.log 2>&1 || { tail -20 build.log; exit 1; }
	$(Q)cp $(O)/fio/fio $@

$(GUEST)/tools.img: scripts/mktools scripts/mk/guestimg.mk $(GUEST)/bin/fio $(TOOLS_OWN) \
		$(TOOL_LOCKS)
	$(call say,TOOLS,$@)
	$(Q)scripts/mktools --packages $(DEPS)/tools $(addprefix --add ,$(GUEST)/bin/fio $(TOOLS_OWN)) \
		--image $@ -o $(GUEST)/tools $(TOOLS)

TEST_INITRD_PARTS := scripts/mkinitrd scripts/mk/guestimg.mk tests/guests/linux/init \
	$(wildcard tests/guests/linux/etc/*) $(DEPS)/busybox/busybox
# $(call test_initrd,KERNEL,MORE)
define test_initrd
	$(call say,INITRD,$@)
	@mkdir -p $(@D)
	$(Q)scripts/mkinitrd --busybox $(DEPS)/busybox/busybox --init tests/guests/linux/init \
		--tree etc=tests/guests/linux/etc --modules $(DEPS)/$(1)/modules $(2) -o $@
endef

$(GUEST)/test-initrd.img: $(TEST_INITRD_PARTS) $(DEPS)/linux/modules/order
	$(call test_initrd,linux)
$(GUEST)/generic-initrd.img: $(TEST_INITRD_PARTS) $(DEPS)/linux_generic/modules/order
	$(call test_initrd,linux_generic)
$(GUEST)/test-tools-initrd.img: $(TEST_INITRD_PARTS) $(DEPS)/linux/modules/order $(GUEST)/tools.img
	$(call test_initrd,linux,--tree tools=$(GUEST)/tools)
$(GUEST)/generic-tools-initrd.img: $(TEST_INITRD_PARTS) $(DEPS)/linux_generic/modules/order \
		$(GUEST)/tools.img
	$(call test_initrd,linux_generic,--tree tools=$(GUEST)/tools)

# A whole Debian on a disk (scripts/mkdebian): minutes, and root; for `make soak`.
DEBIAN_KERNEL = $(wildcard $(DEPS)/archives/linux-image-*-cloud-amd64_*.deb)
$(GUEST)/debian.img: scripts/mkdebian $(DEPS)/linux/.lock
	$(call say,DEBIAN,$@)
	@mkdir -p $(@D)
	$(Q)scripts/mkdebian --root $(O)/debian/root --kernel-package $(DEBIAN_KERNEL) -o $@
$(GUEST)/debian-initrd.img: scripts/mkinitrd scripts/mk/guestimg.mk tests/guests/debian/init \
		$(DEPS)/busybox/busybox $(DEPS)/linux/modules/order
	$(call say,INITRD,$@)
	@mkdir -p $(@D)
	$(Q)scripts/mkinitrd --busybox $(DEPS)/busybox/busybox --init tests/guests/debian/init \
		--modules $(DEPS)/linux/modules -o $@

.PHONY: debian-image
debian-image: $(GUEST)/debian.img $(GUEST)/debian-initrd.img

.PHONY: guest-images
guest-images: $(addprefix $(GUEST)/,test-initrd.img generic-initrd.img test-tools-initrd.img \
	generic-tools-initrd.img tools.img) $(DEPS)/linux_generic/vmlinuz
