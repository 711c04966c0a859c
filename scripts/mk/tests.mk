# SPDX-License-Identifier: Apache-2.0
# Host tests: production sources compiled unmodified for the host. A test file names what it
# links in its first line, `/* UNIT: path/one.c path/two.c */`; headers of hardware are
# shadowed by tests/host/include.
#
# Four variants of every host object: asan (unit), cov (gcov), fuzz (clang, libFuzzer) and
# fuzzcov (the same targets with line coverage; they replay files and search for nothing).

HOST_INCLUDE := -Itests/host/include -I. -I$(GEN)
HOST_WARN := -Wall -Wextra -Wshadow -Wno-format-zero-length -Werror
HOST_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
	$(HOST_INCLUDE) $(HOST_WARN)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

asan_CC := $(HOSTCC)
asan_FLAGS := $(HOST_CFLAGS) $(SANITIZE)
asan_LIBS := -lcmocka
cov_CC := $(HOSTCC)
cov_FLAGS := $(HOST_CFLAGS) -O0 --coverage -fprofile-abs-path
cov_LIBS := -lcmocka
fuzz_CC := $(CLANG)
fuzz_FLAGS := $(HOST_CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -Wno-unknown-warning-option
fuzz_LIBS := -fsanitize=fuzzer -lcmocka
fuzzcov_CC := $(CLANG)
fuzzcov_FLAGS := $(HOST_CFLAGS) -fprofile-instr-generate -fcoverage-mapping \
	-Wno-unknown-warning-option
fuzzcov_LIBS := $(fuzz_LIBS)

# $(call unit_sources,FILE): what its UNIT comment names
unit_sources = $(filter %.c,$(shell awk '/^\/\* UNIT:/ { on = 1 } on { print } on && /\*\// { exit }' $(1)))

# $(call host_objects,VARIANT)
define host_variant
$(O)/$(1)/%.o: %.c $(BUILD_FILES) scripts/mk/tests.mk | $(GEN_HEADERS)
	$$(call say,HOSTCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) $$($(1)_FLAGS) $$(KCFLAGS_EXTRA) -MMD -MP -c -o $$@ $$<

$(O)/$(1)/hv/decode% $(O)/$(1)/tests/unit/test_decode% $(O)/$(1)/tests/fuzz/fuzz_decode%: \
	KCFLAGS_EXTRA := $(ZYDIS_DEFS) $(ZYDIS_INCLUDE)
$(O)/$(1)/security/% $(O)/$(1)/tests/unit/test_drbg%: \
	KCFLAGS_EXTRA := $(MBEDTLS_DEFS) $(MBEDTLS_INCLUDE)

$(O)/$(1)/zydis/%.o: $(ZYDIS)/src/%.c $(BUILD_FILES) scripts/mk/tests.mk
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) -O1 -g -w $(ZYDIS_DEFS) $(ZYDIS_INCLUDE) -I$(ZYDIS)/src -c -o $$@ $$<

$(O)/$(1)/libzydis.a: $(ZYDIS_STEMS:%=$(O)/$(1)/zydis/%.o)
	$$(Q)rm -f $$@; $(AR) rcsD $$@ $$^

$(O)/$(1)/mbedtls/%.o: $(MBEDTLS)/library/%.c security/mbedtls_config.h $(BUILD_FILES) \
		scripts/mk/tests.mk
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) -O1 -g -w -I. $(MBEDTLS_DEFS) $(MBEDTLS_INCLUDE) -I$(MBEDTLS)/library \
		-c -o $$@ $$<

$(O)/$(1)/libmbedtls.a: $(MBEDTLS_STEMS:%=$(O)/$(1)/mbedtls/%.o)
	$$(Q)rm -f $$@; $(AR) rcsD $$@ $$^

$(O)/$(1)/kernel/lib/png% $(O)/$(1)/kernel/filesend% $(O)/$(1)/kernel/block/gpt% \
$(O)/$(1)/kernel/store/% $(O)/$(1)/tests/unit/test_store% $(O)/$(1)/tests/fuzz/fuzz_store% \
$(O)/$(1)/tests/tools/store% $(O)/$(1)/tests/unit/test_qcow2% $(O)/$(1)/tests/fuzz/fuzz_qcow2% \
$(O)/$(1)/tests/unit/test_png% $(O)/$(1)/tests/unit/test_gpt% $(O)/$(1)/tests/fuzz/fuzz_gpt%: \
	KCFLAGS_EXTRA := $(ZLIB_DEFS) $(ZLIB_INCLUDE)

$(O)/$(1)/zlib/%.o: $(ZLIB)/%.c $(BUILD_FILES) scripts/mk/tests.mk
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) -O1 -g -w $(ZLIB_DEFS) $(ZLIB_INCLUDE) -c -o $$@ $$<

$(O)/$(1)/libzlib.a: $(ZLIB_STEMS:%=$(O)/$(1)/zlib/%.o)
	$$(Q)rm -f $$@; $(AR) rcsD $$@ $$^

-include $$(shell find $(O)/$(1) -name '*.d' 2>/dev/null)
endef

# $(call host_binary,VARIANT,TESTFILE)
define host_binary
$(O)/$(1)/bin/$(basename $(notdir $(2))): $(O)/$(1)/$(2:.c=.o) \
		$(addprefix $(O)/$(1)/,$(patsubst %.c,%.o,$(call unit_sources,$(2)))) \
		$(O)/$(1)/libzydis.a $(O)/$(1)/libmbedtls.a $(O)/$(1)/libzlib.a
	$$(call say,HOSTLD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) $$($(1)_FLAGS) -o $$@ $$^ $$($(1)_LIBS)
endef

# T=stem selects one test or target.
UNIT_SRC := $(sort $(if $(T),$(wildcard tests/unit/test_$(T).c),$(wildcard tests/unit/test_*.c)))
FUZZ_SRC := $(sort $(if $(T),$(wildcard tests/fuzz/fuzz_$(T).c),$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 60
HOST_GOALS := storecut boot-test unit cov fuzz fuzz-cov test soak unit-build cov-build cov-objects \
	fuzz-build fuzz-cov-build

# Reading every test's UNIT line costs a process each: only when a goal needs it.
ifneq ($(filter $(HOST_GOALS),$(MAKECMDGOALS)),)
$(eval $(call host_variant,asan))
$(eval $(call host_variant,cov))
$(eval $(call host_variant,fuzz))
$(eval $(call host_variant,fuzzcov))
$(foreach t,$(UNIT_SRC),$(eval $(call host_binary,asan,$(t))))
$(foreach t,$(UNIT_SRC),$(eval $(call host_binary,cov,$(t))))
$(foreach t,$(FUZZ_SRC),$(eval $(call host_binary,fuzz,$(t))))
$(foreach t,$(FUZZ_SRC),$(eval $(call host_binary,fuzzcov,$(t))))
$(eval $(call host_binary,asan,tests/tools/storecut.c))
endif

# Checks what power cuts leave of a store; boot tests use it.
.PHONY: storecut
storecut: $(O)/asan/bin/storecut

UNIT_BIN := $(patsubst tests/unit/%.c,$(O)/asan/bin/%,$(UNIT_SRC))
COV_BIN  := $(patsubst tests/unit/%.c,$(O)/cov/bin/%,$(UNIT_SRC))
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(O)/fuzz/bin/%,$(FUZZ_SRC))
FUZZCOV_BIN := $(patsubst tests/fuzz/%.c,$(O)/fuzzcov/bin/%,$(FUZZ_SRC))

.PHONY: unit unit-build cov cov-build fuzz fuzz-build fuzz-cov fuzz-cov-build
unit-build: $(UNIT_BIN)
cov-build: $(COV_BIN)
fuzz-build: $(FUZZ_BIN)
fuzz-cov-build: $(FUZZCOV_BIN)

unit: unit-build
	$(Q)scripts/run-unit $(UNIT_BIN)

fuzz: fuzz-build
	$(Q)scripts/run-fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_BIN)

# Lines of each parser that the committed corpus alone reaches.
fuzz-cov: fuzz-cov-build
	$(Q)scripts/run-fuzz --coverage $(FUZZCOV_BIN)

# Objects of every counted source, linked by a test or not; one that does not compile for the
# host is estimated by the script.
COV_OBJ := $(patsubst %.c,$(O)/cov/%.o,$(shell find $(wildcard hv kernel/lib shell) -name '*.c'))
.PHONY: cov-objects
cov-objects: $(COV_OBJ)

cov: cov-build
	$(Q)$(MAKE) --no-print-directory -k cov-objects >$(O)/cov/objects.log 2>&1 || true
	$(Q)scripts/run-cov $(COV_BIN)

# Boot tests drive the image in the emulators; T=expression selects as pytest -k does.
.PHONY: boot-test test lint
boot-test: iso guests guest-images storecut
	$(Q)$(if $(T),$(PYTHON) -m pytest tests/boot -k '$(T)',scripts/run-boot)

# What CI runs. The sub-makes report by themselves; the image is built first so that a broken
# build says so once.
test: iso guests guest-images
	$(Q)scripts/run-tests

lint:
	$(Q)scripts/lint $(if $(LITE),--lite)

.PHONY: bench bench-kvm soak
bench: iso guests guest-images
	$(Q)scripts/bench $(BENCH_ARGS)

# What `bench` says of volumes on NVMe, of Linux.
bench-kvm: $(O)/guests/vbench.elf
	$(Q)scripts/bench-kvm $(BENCH_ARGS)

soak: iso guests guest-images
	$(Q)scripts/soak $(SOAK_ARGS)
