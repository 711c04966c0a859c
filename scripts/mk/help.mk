# SPDX-License-Identifier: Apache-2.0
# Goals for people: run, debug, help.

.PHONY: run debug help docs
run: iso
	$(Q)scripts/run $(RUN_ARGS)

# The image is moved at boot (KASLR); docs and `make help` say how to load its symbols.
debug: iso
	@echo "In another terminal: gdb -x scripts/debug.gdb"
	$(Q)scripts/run --gdb $(RUN_ARGS)

# docs/shell.md and docs/markers.md, from the command table and the list of markers.
docs: $(O)/kernel.elf
	$(Q)scripts/gen-docs $<

help:
	@echo 'make              build build/rayos.iso'
	@echo 'make run          boot it in QEMU, the shell on this terminal (RUN_ARGS=... for scripts/run)'
	@echo 'make debug        the same, waiting for gdb on port 1234'
	@echo 'make test         every kind of test, short; ends with "N passed, N failed"'
	@echo 'make unit         unit tests (T=stem for one)'
	@echo 'make fuzz         fuzz targets, FUZZ_SECONDS (60) each (T=name for one)'
	@echo 'make fuzz-cov     lines of each parser that the committed corpus reaches (80 % at least)'
	@echo 'make boot-test    boot tests (T=expression, as pytest -k)'
	@echo 'make guest-images the Linux guests that tests start (docs/guests.md)'
	@echo 'make debian-image a whole Debian on a disk (root, minutes; docs/guests.md)'
	@echo 'make lint         layers, headers alone, clang-tidy, cppcheck'
	@echo 'make cov          line coverage of the unit tests'
	@echo 'make docs         write docs/shell.md and docs/markers.md from the sources'
	@echo 'make bench        instruction counts, table and build/bench.json'
	@echo 'make bench-kvm    the same guest reading NVMe under QEMU/KVM in Linux, beside RayOS'
	@echo 'make soak         every acceptance case at full size, resumable'
	@echo 'make clean        remove what was built; downloads stay in build/deps'
	@echo 'V=1 shows the commands.'
