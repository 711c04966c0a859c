# SPDX-License-Identifier: Apache-2.0
# Tools and third-party parts: scripts/setup makes them present before anything else is read,
# so that what is missing costs one line and not a stack of make errors.

DEPS := $(O)/deps

RUN_GOALS  := run debug
TEST_GOALS := test unit unit-build fuzz fuzz-build fuzz-cov fuzz-cov-build cov cov-build lint bench bench-kvm soak boot-test guest-images
SETUP_SET  := $(if $(filter $(TEST_GOALS),$(MAKECMDGOALS)),test,$(if $(filter \
	$(RUN_GOALS),$(MAKECMDGOALS)),run,build))

ifneq ($(filter-out clean help,$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell scripts/setup $(SETUP_SET) && echo ready),ready)
$(error stopped: the line above says what is missing)
endif
endif
