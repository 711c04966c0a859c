# SPDX-License-Identifier: Apache-2.0
# Generated headers, all under build/gen (on the include path of kernel sources):
#   version.h          RAYOS_VERSION, RAYOS_REVISION
#   font_terminus16.h  font_terminus16[]: the PSF1 console font
#   <stem>_aml.h       <stem>_aml[]: AML of devices/virt/acpi/<stem>.asl

IASL := iasl
RAYOS_VERSION := 0.1.0

# bytes-to-C: $(call bin2h,FILE,ARRAY,OUT)
define bin2h
{ echo '/* Generated from $(notdir $(1)); do not edit. */'; \
  echo '#include <stdint.h>'; \
  echo 'static const uint8_t $(2)[] = {'; \
  od -An -v -tu1 $(1) | sed 's/\([0-9][0-9]*\)/\1,/g'; \
  echo '};'; } > $(3)
endef

GEN_HEADERS := $(GEN)/version.h

# Written only when the revision changed, so that a second make has nothing to do.
version_text = \#define RAYOS_VERSION "$(RAYOS_VERSION)"\n\#define RAYOS_REVISION "$(1)"\n
$(GEN)/version.h: FORCE
	@mkdir -p $(@D)
	@rev=$$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown); \
	 printf '$(call version_text,%s)' "$$rev" > $@.new; \
	 cmp -s $@.new $@ && rm $@.new || mv $@.new $@
FORCE: ;
.PHONY: FORCE

ASL := $(wildcard devices/virt/acpi/*.asl)
AML_HEADERS := $(patsubst devices/virt/acpi/%.asl,$(GEN)/%_aml.h,$(ASL))
GEN_HEADERS += $(AML_HEADERS)
# Named by pattern rules only, which would make them intermediate files, removed at the end.
.SECONDARY: $(AML_HEADERS)

$(GEN)/%_aml.h: devices/virt/acpi/%.asl $(wildcard devices/virt/acpi/*.asi)
	$(call say,IASL,$<)
	@mkdir -p $(O)/aml
	$(Q)$(IASL) -we -p $(O)/aml/$* $< > $(O)/aml/$*.log 2>&1 || { cat $(O)/aml/$*.log; exit 1; }
	$(Q)$(call bin2h,$(O)/aml/$*.aml,$(subst -,_,$*)_aml,$@)

FONT := $(DEPS)/font/Uni2-TerminusBold16.psf
GEN_HEADERS += $(GEN)/font_terminus16.h
$(GEN)/font_terminus16.h: $(FONT)
	@mkdir -p $(@D)
	$(Q)$(call bin2h,$<,font_terminus16,$@)
