# SPDX-License-Identifier: Apache-2.0
# Third-party sources from build/deps, built into archives with their own warning level.

THIRDPARTY_LIBS :=
TP_CFLAGS = -std=gnu11 $(KFLAGS_BASE) $(KSTACK_PROTECT) $(KINCLUDE) -w

# Zydis: instruction decoder, without encoder and formatter.
ZYDIS := $(DEPS)/zydis
ZYCORE := $(DEPS)/zycore
ZYDIS_STEMS := Decoder DecoderData SharedData MetaInfo Register Segment Utils Zydis
ZYDIS_DEFS := -DZYAN_NO_LIBC -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD \
	-DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_FORMATTER -DZYDIS_MINIMAL_MODE \
	-DZYDIS_DISABLE_AVX512 -DZYDIS_DISABLE_KNC
ZYDIS_INCLUDE := -isystem $(ZYDIS)/include -isystem $(ZYCORE)/include
ZYDIS_OBJ := $(ZYDIS_STEMS:%=$(O)/obj/zydis/%.o)

$(O)/obj/zydis/%.o: $(ZYDIS)/src/%.c $(BUILD_FILES)
	$(call say,CC,zydis/$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TP_CFLAGS) $(ZYDIS_DEFS) $(ZYDIS_INCLUDE) -I$(ZYDIS)/src -c -o $@ $<

$(O)/libzydis.a: $(ZYDIS_OBJ)
	$(Q)rm -f $@; $(AR) rcsD $@ $^

THIRDPARTY_LIBS += $(O)/libzydis.a

# mbedTLS: the files that security/mbedtls_config.h gives a meaning; a file whose feature is not
# configured compiles to nothing.
MBEDTLS := $(DEPS)/mbedtls
MBEDTLS_STEMS := aes constant_time ctr_drbg platform platform_util
MBEDTLS_DEFS := -DMBEDTLS_CONFIG_FILE='"security/mbedtls_config.h"'
MBEDTLS_INCLUDE := -isystem $(MBEDTLS)/include
MBEDTLS_OBJ := $(MBEDTLS_STEMS:%=$(O)/obj/mbedtls/%.o)

$(O)/obj/mbedtls/%.o: $(MBEDTLS)/library/%.c security/mbedtls_config.h $(BUILD_FILES)
	$(call say,CC,mbedtls/$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TP_CFLAGS) $(MBEDTLS_DEFS) $(MBEDTLS_INCLUDE) -I$(MBEDTLS)/library -c -o $@ $<

$(O)/libmbedtls.a: $(MBEDTLS_OBJ)
	$(Q)rm -f $@; $(AR) rcsD $@ $^

THIRDPARTY_LIBS += $(O)/libmbedtls.a

# zlib: deflate for pictures, inflate for images of disks, checksums.
ZLIB := $(DEPS)/zlib
ZLIB_STEMS := adler32 crc32 deflate inffast inflate inftrees trees zutil

ZLIB_DEFS := -DZ_SOLO -DHAVE_MEMCPY
ZLIB_INCLUDE := -isystem $(ZLIB)
ZLIB_OBJ := $(ZLIB_STEMS:%=$(O)/obj/zlib/%.o)

$(O)/obj/zlib/%.o: $(ZLIB)/%.c $(BUILD_FILES)
	$(call say,CC,zlib/$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TP_CFLAGS) $(ZLIB_DEFS) $(ZLIB_INCLUDE) -c -o $@ $<

$(O)/libzlib.a: $(ZLIB_OBJ)
	$(Q)rm -f $@; $(AR) rcsD $@ $^

THIRDPARTY_LIBS += $(O)/libzlib.a

# ACPICA as the Linux source package carries it; acqnx.h is our platform header, under the
# name of a slot that the package does not ship.
ACPICA := $(DEPS)/acpica
ACPICA_DEFS := -U__linux__ -D__QNX__
ACPICA_INCLUDE := -Ikernel/acpi/port -isystem $(ACPICA)/include -isystem $(ACPICA)/include/acpi
ifneq ($(wildcard kernel/acpi/port/acqnx.h),)
ACPICA_STEMS := $(filter-out db% rsdump%,$(basename $(notdir $(wildcard $(ACPICA)/drivers/acpi/acpica/*.c))))
ACPICA_OBJ := $(ACPICA_STEMS:%=$(O)/obj/acpica/%.o)

$(O)/obj/acpica/%.o: $(ACPICA)/drivers/acpi/acpica/%.c $(wildcard kernel/acpi/port/*.h kernel/acpi/port/*/*.h) $(BUILD_FILES)
	$(call say,CC,acpica/$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TP_CFLAGS) $(ACPICA_DEFS) $(ACPICA_INCLUDE) -I$(ACPICA)/drivers/acpi/acpica -c -o $@ $<

$(O)/libacpica.a: $(ACPICA_OBJ)
	$(Q)rm -f $@; $(AR) rcsD $@ $^

THIRDPARTY_LIBS += $(O)/libacpica.a
endif

# Sources of ours that include third-party headers.
$(O)/obj/hv/decode%: KCFLAGS_EXTRA := $(ZYDIS_DEFS) $(ZYDIS_INCLUDE)
$(O)/obj/kernel/acpi/%: KCFLAGS_EXTRA := $(ACPICA_DEFS) $(ACPICA_INCLUDE)
$(O)/obj/security/%: KCFLAGS_EXTRA := $(MBEDTLS_DEFS) $(MBEDTLS_INCLUDE)
$(O)/obj/kernel/lib/png%: KCFLAGS_EXTRA := $(ZLIB_DEFS) $(ZLIB_INCLUDE)
$(O)/obj/kernel/block/gpt%: KCFLAGS_EXTRA := $(ZLIB_DEFS) $(ZLIB_INCLUDE)
$(O)/obj/kernel/filesend%: KCFLAGS_EXTRA := $(ZLIB_DEFS) $(ZLIB_INCLUDE)
$(O)/obj/kernel/store/%: KCFLAGS_EXTRA := $(ZLIB_DEFS) $(ZLIB_INCLUDE)
