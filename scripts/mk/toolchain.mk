# SPDX-License-Identifier: Apache-2.0
# Compilers and the flags of everything that runs in the kernel.

CC      := gcc
LD      := ld
AR      := ar
OBJCOPY := objcopy
HOSTCC  := gcc
CLANG   := clang
PYTHON  := /usr/bin/python3

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wno-format-zero-length -Werror

GCC_INCLUDE = $(shell $(CC) -print-file-name=include)

# The image is a PIE in the higher half. No vector registers: the FPU state is the guest's.
# Frame pointers stay, because the panic backtrace walks them.
KFLAGS_BASE := -O2 -g -ffreestanding -fpie -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -mno-mmx -mno-sse -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-fno-strict-aliasing -fno-delete-null-pointer-checks \
	-ffunction-sections -fdata-sections \
	-ffile-prefix-map=$(CURDIR)/=
KSTACK_PROTECT := -fstack-protector-strong -mstack-protector-guard=global
KINCLUDE = -nostdinc -isystem kernel/lib/libc -isystem $(GCC_INCLUDE) -I. -I$(GEN)

# DEBUG=1 checks lock order and slow assertions.
KDEBUG := $(if $(filter 1,$(DEBUG)),-DRAYOS_DEBUG)
KCFLAGS  = -std=gnu11 $(KFLAGS_BASE) $(KSTACK_PROTECT) $(KDEBUG) -include scripts/mk/hidden.h \
	$(KINCLUDE) $(WARN)
KASFLAGS = $(KFLAGS_BASE) $(KINCLUDE) -D__ASSEMBLY__ -Wa,--fatal-warnings

ifneq ($(V),1)
Q := @
say = @printf '  %-8s %s\n' $(1) $(2)
else
Q :=
say =
endif
