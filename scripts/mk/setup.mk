# SPDX-License-Identifier: Apache-2.0
# Where the third-party sources are: build/deps, filled by scripts/setup.

DEPS := $(O)/deps
