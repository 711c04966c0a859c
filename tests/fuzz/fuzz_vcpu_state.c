/* UNIT: hv/access.c hv/cpuid.c hv/decode.c hv/emulate.c hv/mov.c hv/event.c hv/exit.c
 * hv/exit_cr.c hv/exit_io.c hv/gbus.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/gwalk.c hv/hv.c
 * hv/xsave_check.c hv/mce.c hv/insn.c kernel/module.c hv/msr.c hv/msr_map.c hv/platform.c
 * hv/pv.c hv/stage2.c hv/vcpu.c hv/vcpu_dump.c hv/vcpu_life.c hv/vcpu_state.c hv/vdev.c hv/vm.c
 * hv/vm_build.c hv/vm_conf.c hv/seed.c hv/vm_life.c kernel/marker_value.c hv/vm_state.c
 * hv/irqchip/vioapic.c hv/irqchip/virq.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c hv/irqchip/vpic.c
 * hv/loader/load.c hv/loader/bzimage.c hv/loader/elf.c hv/loader/elf_guest.c hv/loader/e820.c
 * tests/host/fake_backend.c kernel/lib/ini.c kernel/lib/utf8.c kernel/lib/nearest.c
 * kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c
 */
/* PARSER: hv/vm_state.c hv/vcpu_state.c hv/irqchip/vlapic_state.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * Hostile state of a whole VM, vCPU registers first of all. Refused: a reason in words.
 * Accepted: what it saves again loads again, and the VM runs on and is
 * paused like any other.
 */
#include "tests/host/fake_vm.h"

#define STATE_MAX 16384u

static uint8_t saved[STATE_MAX];

static const struct fake_step steps[] = {
	{ .exit = { .kind = HV_EXIT_CPUID, .insn_len = 2 } },
	{ .exit = { .kind = HV_EXIT_EXTINT } },
	{ .exit = { .kind = HV_EXIT_HLT, .insn_len = 1 } },
	{ .exit = { .kind = HV_EXIT_INTR_WINDOW } },
	{ .exit = { .kind = HV_EXIT_MSR_READ, .insn_len = 2 } },
	{ .exit = { .kind = HV_EXIT_HLT, .insn_len = 1 } },
};

static size_t save(uint8_t *to)
{
	struct state_buf b = { .data = to, .cap = STATE_MAX };

	if (vm_state_save(vm, &b) != 0)
		abort();
	return b.len;
}

static int load(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size != 0 ? size : 1);
	struct state_buf b = { .data = exact, .cap = size, .len = size };
	int err;

	memcpy(exact, data, size);
	why[0] = '\0';
	err = vm_state_load(vm, &b, why, sizeof(why));
	free(exact);
	if (err != 0 && why[0] == '\0')
		abort();
	return err;
}

static void begin(void)
{
	static int64_t idle_pages;
	static uint64_t idle_next;

	if (vm == NULL) {
		group_setup(NULL);
		setup(NULL);
		vm = define("fuzz", 1);
		idle_pages = fake_pages_live;
		idle_next = fake_arena_next;
	}
	fake_script(steps, ARRAY_SIZE(steps));
	markers[0] = log_text[0] = '\0';
	if (vm->state == VM_PAUSED)
		return;
	if (fake_pages_live != idle_pages)
		abort();
	fake_arena_next = idle_next; /* all behind it is free again */
	if (vm_start(vm, why, sizeof(why)) != 0 || vm_pause(vm) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;

	begin();
	if (load(data, size) != 0)
		return 0;
	/* A timer that came due by the loading may have changed its vLAPIC: only the shape is kept. */
	n = save(saved);
	if (load(saved, n) != 0 || save(saved) != n)
		abort();
	if (vm_resume(vm) != 0)
		abort();
	for (unsigned int i = 0; i < ARRAY_SIZE(steps) / 2; i++)
		thread_yield();
	/* It may have ended, as a guest may; else it still can be paused. */
	while (vm->state == VM_RUNNING && vm_pause(vm) != 0)
		thread_yield();
	if (vm->ending != VM_END_NONE && vm->state == VM_PAUSED && vm_kill(vm, "fuzz") != 0)
		abort();
	return 0;
}
