# SPDX-License-Identifier: Apache-2.0
# RayOS: `make` builds build/rayos.iso, `make help` lists the rest.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
PYTHONDONTWRITEBYTECODE := 1
export PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := all

O   := build
GEN := $(O)/gen
# Objects depend on these, so that a changed flag rebuilds what it touches.
BUILD_FILES := Makefile scripts/mk/toolchain.mk scripts/mk/thirdparty.mk

include scripts/mk/setup.mk
include scripts/mk/toolchain.mk
include scripts/mk/gen.mk
include scripts/mk/thirdparty.mk
include scripts/mk/kernel.mk
-include boot/boot.mk
include scripts/mk/guests.mk
include scripts/mk/image.mk
include scripts/mk/guestimg.mk
include scripts/mk/tests.mk
include scripts/mk/help.mk

.PHONY: all clean
all: iso

clean:
	@find $(O) -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true
