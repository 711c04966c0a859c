/* UNIT: hv/access.c hv/cpuid.c hv/decode.c hv/emulate.c hv/mov.c hv/event.c hv/exit.c
 * hv/exit_cr.c hv/exit_io.c hv/gbus.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/gwalk.c hv/hv.c
 * hv/xsave_check.c hv/insn.c kernel/module.c hv/msr.c hv/msr_map.c hv/platform.c hv/pv.c
 * hv/stage2.c hv/vcpu.c hv/vcpu_dump.c hv/vcpu_life.c hv/vcpu_state.c hv/vdev.c hv/vm.c
 * hv/vm_build.c hv/vm_cmd.c hv/vm_conf.c hv/seed.c hv/vm_life.c hv/vm_rebuild.c hv/vm_state.c
 * hv/vm_store.c hv/mce.c hv/irqchip/vioapic.c hv/irqchip/virq.c hv/irqchip/vlapic.c
 * hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vpic.c hv/loader/load.c hv/loader/bzimage.c
 * hv/loader/elf.c hv/loader/elf_guest.c hv/loader/e820.c tests/host/fake_backend.c
 * shell/command.c shell/words.c kernel/cmd.c kernel/lib/ini.c kernel/lib/utf8.c
 * kernel/lib/nearest.c kernel/lib/parse.c kernel/lib/table.c kernel/lib/json.c kernel/lib/fmt.c
 * kernel/lib/sink.c kernel/lib/err.c kernel/marker_value.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Virtual machines from end to end on the scripted backend: definitions, life cycle, the vCPU
 * loop, commands, save and restore. Threads are coroutines.
 */
#include "hv/pv.h"
#include "kernel/cmd.h"
#include "hv/hv.h"
#include "kernel/store/store_file.h"
#include "shell/command.h"
#include "tests/host/fake_vm.h"

/* --- a store with room for two files --- */

static struct {
	char name[64], data[4096];
	size_t len;
} files[2];
static bool store_there;
static int store_error;

int store_file_write(const char *name, const void *data, size_t len)
{
	int at = strcmp(files[0].name, name) == 0 || files[0].name[0] == '\0' ? 0 : 1;

	if (!store_there || store_error)
		return store_there ? store_error : -RAY_ENODEV;
	assert_true(len < sizeof(files[at].data));
	snprintf(files[at].name, sizeof(files[at].name), "%s", name);
	memcpy(files[at].data, data, len);
	files[at].len = len;
	return 0;
}

int store_file_read(const char *name, void *buf, size_t *len)
{
	int at = strcmp(files[0].name, name) == 0 ? 0 : 1;

	if (store_error)
		return store_error;
	memcpy(buf, files[at].data, files[at].len);
	*len = files[at].len;
	return 0;
}

int store_file_delete(const char *name)
{
	for (int i = 0; i < 2; i++) {
		if (strcmp(files[i].name, name) == 0)
			files[i].name[0] = '\0';
	}
	return store_there ? 0 : -RAY_ENODEV;
}

int store_file_next(const char *prefix, const char *name, char out[64])
{
	int from = name ? (strcmp(files[0].name, name) == 0 ? 1 : 2) : 0;

	for (int i = from; i < 2; i++) {
		if (strncmp(files[i].name, prefix, strlen(prefix)) == 0) {
			memmove(out, files[i].name, 64);
			return 0;
		}
	}
	return store_there ? -RAY_ENOENT : -RAY_ENODEV;
}

/* --- definitions --- */

static void definitions_are_checked(void **state)
{
	static const struct {
		const char *key, *value;
		int err;
		const char *says;
	} t[] = {
		{ "memory", "15M", -RAY_ERANGE, "multiple of 2M, at least 16M" },
		{ "memory", "17M", -RAY_ERANGE, "multiple of 2M" },
		{ "memory", "0", -RAY_ERANGE, "multiple of 2M" },
		{ "memory", "16G", -RAY_ERANGE, "16384M is more than the host's 8192M" },
		{ "memory", "lots", -RAY_EINVAL, "'lots' is not a size such as 256M" },
		{ "vcpus", "0", -RAY_ERANGE, "'0' is not a number from 1 to 8" },
		{ "vcpus", "1000", -RAY_ERANGE, "'1000' is not a number from 1 to 8" },
		{ "vcpus", "x", -RAY_EINVAL, "'x' is not a number" },
		{ "kernel", "", -RAY_EINVAL, "kernel: missing" },
		{ "autostart", "maybe", -RAY_EINVAL, "'maybe' is neither on nor off" },
		{ "testdev", "2", -RAY_EINVAL, "neither on nor off" },
		{ "net-rate", "fast", -RAY_EINVAL, "'fast' is not like 100M" },
		{ "net-rate", "999G", -RAY_ERANGE, "'999G' is not like 100M" },
		{ "vcpu", "1", -RAY_ENOENT, "did you mean 'vcpus'?" },
		{ "colour", "red", -RAY_ENOENT, "known: kernel initrd" },
		{ "initrd", "0123456789012345678901234567890123456789012345678901234567890123456789",
		  -RAY_ERANGE, "initrd: longer than 63 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct vm_def def;
		int err;

		vm_def_init(&def);
		strcpy(def.name, "x");
		strcpy(def.kernel, "guest");
		err = vm_def_set(&def, t[i].key, t[i].value, why, sizeof(why));
		if (err == 0)
			err = vm_define(&def, why, sizeof(why));
		if (err != t[i].err || !strstr(why, t[i].says))
			fail_msg("%s=%s: %d %s", t[i].key, t[i].value, err, why);
	}
	assert_null(vm_get("x"));
	static const char *const bad[] = { "", "-a", ".a", "A", "a b", "a/b", "\xc3\xa9" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vm_def def;

		vm_def_init(&def);
		strcpy(def.name, bad[i]);
		strcpy(def.kernel, "guest");
		assert_int_equal(vm_define(&def, why, sizeof(why)), -RAY_EINVAL);
	}
	assert_string_equal(markers, "");
}

static void the_registry_holds_64(void **state)
{
	struct vm *all[VM_MAX];
	struct vm_def def;
	char name[16];

	(void)state;
	for (unsigned int i = 0; i < VM_MAX; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		all[i] = define(name, 1);
	}
	def = all[5]->def;
	assert_int_equal(vm_define(&def, why, sizeof(why)), -RAY_EEXIST);
	assert_non_null(strstr(why, "'vm5' exists already"));
	strcpy(def.name, "one-more");
	assert_int_equal(vm_define(&def, why, sizeof(why)), -RAY_ENOSPC);
	for (unsigned int i = 0; i < VM_MAX; i++)
		undefine(all[i]);
	fake_allocs_left = 0;
	assert_int_equal(vm_define(&def, why, sizeof(why)), -RAY_ENOMEM);
	fake_allocs_left = -1;
	assert_string_equal(vm_state_name(VM_PAUSED), "paused");
	assert_string_equal(vm_state_name(99), "?");
}

static void configuration_defines_and_starts(void **state)
{
	(void)state;
	conf_set("[boot]\nkernel = x\n"
	         "[vm good]\nkernel = guest\nmemory = 16M\nvcpus = 2\ncmdline = a b=c\nautostart = on\n"
	         "[vm bad]\nkernel = guest\nmemroy = 1\n"
	         "[vm lost]\nkernel = nowhere\nautostart = yes\n"
	         "[vm BIG]\nkernel = guest\n"
	         "[vm 0123456789012345678901234567890123456789]\nkernel = guest\n");
	assert_int_equal(vm_conf_init(), 0);
	assert_non_null(strstr(log_text, "rayos.conf:11: unknown key 'memroy'; did you mean 'memory'?"));
	assert_non_null(strstr(log_text, "rayos.conf:9: VM 'bad' is not defined because of"));
	assert_non_null(strstr(log_text, "rayos.conf:15: VM 'BIG': name: use 1 to 31"));
	assert_non_null(strstr(log_text, "rayos.conf:17: name: longer than 31 bytes"));
	assert_non_null(strstr(log_text, "autostart failed name=lost why=\"kernel: no module "
	                                 "'nowhere' was loaded\""));
	assert_null(vm_get("bad"));
	struct vm *good = vm_get("good"), *lost = vm_get("lost");
	assert_int_equal(good->state, VM_RUNNING);
	assert_string_equal(good->def.cmdline, "a b=c");
	assert_int_equal(vm_kill(good, "test"), 0);
	undefine(good);
	undefine(lost);
	fake_allocs_left = 1;
	assert_int_equal(vm_conf_init(), -RAY_ENOMEM);
	fake_allocs_left = -1;
	conf_set(NULL);
	assert_int_equal(vm_conf_init(), 0);
}

/* --- starting and ending --- */

static void every_start_failure_leaves_nothing(void **state)
{
	int err = -1, n;

	(void)state;
	vm = define("demo", 2);
	strcpy(vm->def.initrd, "gone");
	assert_int_equal(vm_start(vm, why, sizeof(why)), -RAY_ENOENT);
	assert_string_equal(why, "initrd: no module 'gone' was loaded");
	strcpy(vm->def.initrd, "initrd");
	strcpy(vm->def.kernel, "lost"); /* listed, but it could not be read */
	assert_int_equal(vm_start(vm, why, sizeof(why)), -RAY_ENOENT);
	strcpy(vm->def.kernel, "initrd"); /* not a kernel */
	assert_int_equal(vm_start(vm, why, sizeof(why)), -RAY_ENOEXEC);
	strcpy(vm->def.kernel, "guest");
	platform_fails = 1;
	assert_int_equal(vm_start(vm, why, sizeof(why)), -RAY_ENOMEM);
	assert_string_equal(why, "devices: out of memory");
	platform_fails = 0;
	int64_t heap = fake_heap_live;
	for (n = 0; err != 0; n++) {
		fake_allocs_left = n;
		err = vm_start(vm, why, sizeof(why));
		fake_allocs_left = -1;
		if (err == 0)
			break;
		assert_int_equal(err, -RAY_ENOMEM);
		assert_int_equal(fake_heap_live, heap);
		assert_int_equal(fake_pages_live, pages_before);
	}
	assert_true(n > 20);
	assert_int_equal(vm_start(vm, why, sizeof(why)), -RAY_EBUSY);
	assert_non_null(strstr(why, "'demo' is running already"));
	assert_int_equal(vm_undefine(vm, why, sizeof(why)), -RAY_EBUSY);
	assert_int_equal(vm_kill(vm, "test"), 0);
	for (n = 1; n <= 2; n++) {
		fake_thread_fail_at = n;
		assert_int_equal(vm_start(vm, why, sizeof(why)), -RAY_ENOMEM);
		assert_non_null(strstr(why, "threads: "));
		assert_int_equal(fake_heap_live, heap);
	}
	fake_thread_fail_at = 0;
	assert_int_equal(vm_pause(vm), -RAY_EINVAL);
	assert_int_equal(vm_resume(vm), -RAY_EINVAL);
	assert_int_equal(vm_stop(vm), -RAY_EINVAL);
	assert_int_equal(vm_kill(vm, "x"), -RAY_EINVAL);
	assert_int_equal(vm_reset(vm), -RAY_EINVAL);
	undefine(vm);
}

static void pause_resume_reset_kill(void **state)
{
	static const struct fake_step halts[] = { { .exit = { .kind = HV_EXIT_HLT, .insn_len = 1 } } };

	(void)state;
	vm = define("demo", 2);
	fake_script(halts, 1);
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	thread_yield();
	assert_int_equal(fake_steps_run(), 1); /* the boot CPU halts, the other waits for SIPI */
	assert_int_equal(vm->vcpu[0]->mp, VCPU_MP_HALTED);
	assert_int_equal(vm_stop(vm), 0);
	assert_int_equal(buttons, 1);
	assert_int_equal(vm_pause(vm), 0);
	assert_int_equal(vm->state, VM_PAUSED);
	assert_int_equal(vm->running_vcpus, 0);
	assert_int_equal(vm_pause(vm), -RAY_EINVAL);
	assert_int_equal(vm_resume(vm), 0);
	thread_yield();
	assert_int_equal(vm->running_vcpus, 2);
	fake_script(halts, 1);
	assert_int_equal(vm_reset(vm), 0);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->reset_count, 1);
	assert_int_equal(vm_pause(vm), 0);
	assert_int_equal(vm_kill(vm, "operator"), 0); /* paused ones too */
	assert_int_equal(vm->state, VM_STOPPED);
	assert_string_equal(markers, "DEFINED name=demo\nSTARTED name=demo\nSTARTED name=demo\n"
	                    "KILLED name=demo reason=operator\n");
	fake_script(halts, 1);
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	vm_end(vm, VM_END_POWEROFF, "poweroff");
	vm_end(vm, VM_END_CRASH, "too late"); /* the first reason stays */
	while (vm->state == VM_RUNNING)
		thread_yield();
	assert_non_null(strstr(markers, "STOPPED name=demo reason=poweroff\n"));
	undefine(vm);
}

/* A device cannot go on: the VM is paused for it, the first reason stays until it is resumed. */
static void paused_for_a_device(void **state)
{
	const struct fake_step halts[] = { { .exit = { .kind = HV_EXIT_HLT } } };

	(void)state;
	vm = define("demo", 1);
	for (int i = 0; i < 2; i++) {
		fake_script(halts, 1);
		assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
		vm_pause_for(vm, "no-space-for-%s", i ? "b" : "a");
		vm_pause_for(vm, "too late");
		while (vm->state == VM_RUNNING)
			thread_yield();
		assert_int_equal(vm->state, VM_PAUSED);
		assert_string_equal(vm->pause_reason, i ? "no-space-for-b" : "no-space-for-a");
		assert_int_equal(vm_resume(vm), 0);
		assert_string_equal(vm->pause_reason, "");
		assert_int_equal(vm_kill(vm, "operator"), 0);
	}
	assert_non_null(strstr(markers, "PAUSED name=demo reason=no-space-for-a\n"));
	assert_non_null(strstr(markers, "PAUSED name=demo reason=no-space-for-b\n"));
	/* Paused already: who waits is told all the same. */
	markers[0] = '\0';
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	assert_int_equal(vm_pause(vm), 0);
	vm_pause_for(vm, "late");
	while (!strstr(markers, "PAUSED name=demo reason=late\n"))
		thread_yield();
	assert_int_equal(vm_kill(vm, "operator"), 0);
	undefine(vm);
}

static void crashes_have_reasons(void **state)
{
	static const struct {
		struct hv_exit exit;
		const char *reason;
	} t[] = {
		{ { .kind = HV_EXIT_TRIPLE_FAULT }, "triple-fault vcpu=0" },
		{ { .kind = HV_EXIT_TASK_SWITCH }, "task-switch" },
		{ { .kind = HV_EXIT_UNKNOWN, .raw_reason = 77 }, "unknown" },
		{ { .kind = HV_EXIT_ENTRY_FAILED }, "entry-failed" },
		{ { .kind = HV_EXIT_STAGE2_BROKEN }, "stage2-broken" },
		{ { .kind = HV_EXIT_DR }, "dr" },
		{ { .kind = HV_EXIT_INIT }, "init" },
		{ { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(0xc0000000), .access = HV_ACCESS_EXEC } },
		  "executes-outside-ram" },
		{ { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(0xc0000000), .access = HV_ACCESS_PTWALK } },
		  "page-table-outside-ram" },
	};

	(void)state;
	vm = define("demo", 1);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct fake_step step = { .exit = t[i].exit };

		fake_script(&step, 1);
		assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
		while (vm->state == VM_RUNNING)
			thread_yield();
		assert_int_equal(vm->state, VM_CRASHED);
		if (!strstr(vm->reason, t[i].reason))
			fail_msg("'%s' lacks '%s'", vm->reason, t[i].reason);
		assert_int_equal(vm->crash_count, i + 1);
	}
	assert_non_null(strstr(log_text, "fake")); /* the backend's dump */
	undefine(vm);
}

/* --- the vCPU loop --- */

static unsigned int seen_by[2];

static void note(struct vcpu *who)
{
	seen_by[who->id]++;
}

static void enable_x2apic(struct vcpu *who)
{
	note(who);
	who->gpr[GPR_RCX] = 0x1b;
	who->gpr[GPR_RAX] = 0xfee00d00;
	who->gpr[GPR_RDX] = 0;
}

static void icr(struct vcpu *who, uint32_t low)
{
	note(who);
	who->gpr[GPR_RCX] = 0x830;
	who->gpr[GPR_RAX] = low;
	who->gpr[GPR_RDX] = 1;
}

static void send_init(struct vcpu *who)
{
	icr(who, 0x4500);
}

static void send_sipi(struct vcpu *who)
{
	icr(who, 0x4608);
}

static void ap_runs(struct vcpu *who)
{
	struct hv_segment cs;

	note(who);
	assert_int_equal(who->id, 1);
	hv_backend->seg_get(who, HV_SEG_CS, &cs);
	assert_int_equal(cs.base, 0x8000);
	assert_int_equal(who->rip, 0);
}

#define WRMSR { .kind = HV_EXIT_MSR_WRITE, .insn_len = 2 }
#define HLT   { .kind = HV_EXIT_HLT, .insn_len = 1 }

static void processors_are_started_by_init_and_sipi(void **state)
{
	static const struct fake_step steps[] = {
		{ enable_x2apic, WRMSR, { 0 } }, { send_init, WRMSR, { 0 } },
		{ send_sipi, WRMSR, { 0 } },     { note, HLT, { 0 } },
		{ ap_runs, HLT, { 0 } },
	};

	(void)state;
	vm = define("demo", 2);
	seen_by[0] = seen_by[1] = 0;
	fake_script(steps, ARRAY_SIZE(steps));
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	for (int i = 0; i < 20; i++)
		thread_yield();
	assert_int_equal(seen_by[0], 4);
	assert_int_equal(seen_by[1], 1);
	assert_int_equal(vm->vcpu[1]->mp, VCPU_MP_HALTED);
	assert_int_equal(vm_kill(vm, "test"), 0);
	undefine(vm);
}

static void fills_tlb(struct vcpu *who)
{
	note(who);
	assert_true(fake_touch(who, MIB(4), STAGE2_W));
}

static void finds_nothing(struct vcpu *who)
{
	note(who);
	assert_false(fake_touch(who, MIB(4), STAGE2_W)); /* or the TLB model ends the test */
}

static uint64_t given_at_the_end;

static void gives_at_the_end(struct vm *m)
{
	const struct gmem_range r = { GPA(MIB(8)), MIB(2) };

	given_at_the_end = gmem_release(m, &r, 1);
}

static void memory_goes_and_comes_while_it_runs(void **state)
{
	static const struct fake_step steps[] = {
		{ fills_tlb, { .kind = HV_EXIT_PAUSE, .insn_len = 2 }, { 0 } },
		{ finds_nothing,
		  { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(MIB(4) + 5), .access = HV_ACCESS_WRITE } },
		  { 0 } },
		{ fills_tlb, { .kind = HV_EXIT_PAUSE, .insn_len = 2 }, { 0 } },
		{ note, HLT, { 0 } },
	};
	const struct gmem_range r = { GPA(MIB(4)), MIB(4) };
	struct vm_rebuild_stats done;

	(void)state;
	vm = define("demo", 2);
	seen_by[0] = 0;
	fake_script(steps, ARRAY_SIZE(steps));
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	while (fake_steps_run() == 0)
		thread_yield();
	/* It is in the middle of an exit; the other one waits for its SIPI. */
	assert_int_equal(gmem_release(vm, &r, 1), MIB(4));
	assert_in_range(seen_by[0], 2, 3);
	while (seen_by[0] < 4)
		thread_yield();
	assert_int_equal(vm->mem.bytes, MIB(14));
	assert_true(gmem_absent(&vm->mem, GPA(MIB(6)), 1));
	/* Parked ones hold nothing; what is absent stays so. */
	assert_int_equal(vm_pause(vm), 0);
	assert_int_equal(gmem_release(vm, &r, 1), MIB(2));
	assert_int_equal(vm_rebuild(vm, &done, why, sizeof(why)), 0);
	assert_int_equal(vm->mem.bytes, MIB(12));
	/* A device still at it while the VM is taken down: nobody waits for threads that ended. */
	fake_on_destroy = gives_at_the_end;
	assert_int_equal(vm_kill(vm, "test"), 0);
	fake_on_destroy = NULL;
	assert_int_equal(given_at_the_end, MIB(2));
	undefine(vm);
}

static void nmi_arrives(struct vcpu *who)
{
	assert_int_equal(fake_injected().vector, HV_VEC_NMI);
	assert_false(who->nmi_pending);
	assert_true(who->window_on); /* the interrupt waits behind it */
	who->rflags &= ~HV_RFLAGS_IF;
}

static void nothing_arrives(struct vcpu *who)
{
	assert_false(fake_injected().valid);
	assert_true(who->window_on);
	who->rflags |= HV_RFLAGS_IF;
}

static void interrupt_arrives(struct vcpu *who)
{
	assert_int_equal(fake_injected().vector, 0x51);
	assert_false(who->window_on);
	who->rflags &= ~HV_RFLAGS_IF;
}

static void cut_short_event_comes_again(struct vcpu *who)
{
	(void)who;
	assert_int_equal(fake_injected().type, HV_EVENT_EXCEPTION);
	assert_int_equal(fake_injected().vector, HV_VEC_PF);
}

static void late_interrupt_arrives(struct vcpu *who)
{
	assert_int_equal(fake_injected().type, HV_EVENT_EXTINT);
	assert_int_equal(fake_injected().vector, 0x52);
	assert_false(who->window_on);
	who->rflags &= ~HV_RFLAGS_IF;
}

static void events_go_in_their_order(void **state)
{
	static const struct fake_step steps[] = {
		{ nmi_arrives, { .kind = HV_EXIT_CACHE, .insn_len = 2 }, { 0 } },
		{ nothing_arrives, { .kind = HV_EXIT_INTR_WINDOW }, { 0 } },
		{ interrupt_arrives, { .kind = HV_EXIT_CACHE, .insn_len = 2 },
		  { .valid = true, .type = HV_EVENT_EXCEPTION, .vector = HV_VEC_PF } },
		{ cut_short_event_comes_again, { .kind = HV_EXIT_CACHE, .insn_len = 2 },
		  { .valid = true, .type = HV_EVENT_EXTINT, .vector = 0x52 } },
		{ nothing_arrives, { .kind = HV_EXIT_INTR_WINDOW }, { 0 } }, /* it is masked now */
		{ late_interrupt_arrives, HLT, { 0 } },
	};

	(void)state;
	vm = define("demo", 1);
	fake_script(steps, ARRAY_SIZE(steps));
	assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
	v = vm->vcpu[0];
	assert_int_equal(vcpu_msr_write(v, 0x1b, 0xfee00d00, false), 0);
	assert_int_equal(vcpu_msr_write(v, 0x80f, 0x1ff, false), 0);
	vlapic_set_irq(v, 0x51, false);
	vcpu_request(v, VCPU_REQ_NMI);
	for (int i = 0; i < 10; i++)
		thread_yield();
	assert_int_equal(fake_steps_run(), ARRAY_SIZE(steps));
	assert_int_equal(v->mp, VCPU_MP_HALTED);
	vcpu_request(v, VCPU_REQ_CLOCK | VCPU_REQ_TLB | VCPU_REQ_YIELD); /* does not end a halt */
	for (int i = 0; i < 5; i++)
		thread_yield();
	assert_int_equal(v->mp, VCPU_MP_HALTED);
	assert_int_equal(v->requests, 0);
	assert_int_equal(vm_kill(vm, "test"), 0);
	undefine(vm);
}

/* --- save and restore --- */

static uint8_t saved[65536];

static void saved_state_comes_back(void **state)
{
	struct state_buf b = { .data = saved, .cap = sizeof(saved) };
	struct hv_segment fs = { .base = 0x1234000, .limit = 0xfffff, .attr = 0x93 };
	uint64_t lstar;

	(void)state;
	assert_int_equal(vm_state_save(vm, &b), -RAY_EINVAL); /* not paused */
	assert_int_equal(vm_state_load(vm, &b, why, sizeof(why)), -RAY_EINVAL);
	assert_int_equal(vm_pause(vm), 0);
	v->gpr[GPR_R9] = 0x99;
	v->rip = 0x4242;
	v->tsc_aux = 3;
	assert_int_equal(vcpu_msr_write(v, 0x48, 5, false), 0);
	hv_backend->reg_set(v, HV_REG_LSTAR, 0xabc);
	hv_backend->seg_set(v, HV_SEG_FS, &fs);
	b = (struct state_buf){ .data = saved, .cap = sizeof(saved) };
	assert_int_equal(vm_state_save(vm, &b), 0);
	size_t len = b.len;
	b = (struct state_buf){ .data = NULL };
	assert_int_equal(vm_state_save(vm, &b), 0);
	assert_int_equal(b.len, len); /* without a buffer it is counted */
	v->gpr[GPR_R9] = v->rip = v->tsc_aux = v->spec_ctrl = 0;
	hv_backend->reg_set(v, HV_REG_LSTAR, 0);
	b = (struct state_buf){ .data = saved, .cap = len, .len = len };
	assert_int_equal(vm_state_load(vm, &b, why, sizeof(why)), 0);
	assert_int_equal(v->gpr[GPR_R9], 0x99);
	assert_int_equal(v->rip, 0x4242);
	assert_int_equal(v->tsc_aux, 3);
	assert_int_equal(v->spec_ctrl, 5);
	lstar = hv_backend->reg_get(v, HV_REG_LSTAR);
	assert_int_equal(lstar, 0xabc);
	hv_backend->seg_get(v, HV_SEG_FS, &fs);
	assert_int_equal(fs.base, 0x1234000);
	/* too small to save into; every cut refused, none believed */
	b = (struct state_buf){ .data = saved, .cap = 100 };
	uint8_t *copy = malloc(len);
	memcpy(copy, saved, len);
	assert_int_equal(vm_state_save(vm, &b), -RAY_ENOSPC);
	memcpy(saved, copy, len);
	for (size_t cut = 1; cut < len; cut += 13) {
		uint8_t *part = malloc(cut);

		memcpy(part, copy, cut);
		b = (struct state_buf){ .data = part, .cap = cut, .len = cut };
		int err = vm_state_load(vm, &b, why, sizeof(why));
		free(part);
		assert_int_equal(err, -RAY_EINVAL);
		assert_non_null(strstr(why, "record"));
	}
	free(copy);
	b = (struct state_buf){ .data = saved, .cap = len, .len = len };
	assert_int_equal(vm_state_load(vm, &b, why, sizeof(why)), 0);
}

/* A state as saved, changed in one place. */
static int load_changed(size_t at, const void *with, size_t n)
{
	uint8_t kept[64];
	struct state_buf b = { .data = saved, .cap = sizeof(saved) };
	int err;

	assert_int_equal(vm_state_save(vm, &b), 0);
	if (at == SIZE_MAX) { /* a record twice */
		memcpy(saved + b.len, with, n);
		b.len += n;
		return vm_state_load(vm, &b, why, sizeof(why));
	}
	memcpy(kept, saved + at, n);
	memcpy(saved + at, with, n);
	err = vm_state_load(vm, &b, why, sizeof(why));
	memcpy(saved + at, kept, n);
	return err;
}

#define HEAD    28u           /* of a record: name, instance, version, length */
#define CLOCK   (HEAD + 16u)  /* the first record, whole */
#define VERSION 20u
#define LENGTH  24u

static void bad_state_is_named(void **state)
{
	static const char unknown[16] = "vsock", clock[16] = "clock";
	/* name, instance, version */
	static const char ioapic[24] = "ioapic\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
	const uint32_t newer = 9, other = 5, beyond = 0xfffffff0, shorter = 12, longer = 20;
	uint8_t record[CLOCK];

	(void)state;
	assert_int_equal(vm_pause(vm), 0);
	v->rip = 0x4242;
	assert_int_equal(load_changed(0, unknown, sizeof(unknown)), -RAY_ENOENT);
	assert_string_equal(why, "record 'vsock' 0 at byte 0: this VM has no such part");
	assert_int_equal(load_changed(VERSION, &newer, 4), -RAY_EINVAL);
	assert_string_equal(why, "record 'clock' 0 at byte 0: version 9, known is 1");
	assert_int_equal(load_changed(CLOCK + VERSION, &newer, 4), -RAY_EINVAL);
	assert_string_equal(why, "record 'vcpu' 0 at byte 44: version 9, known is 2");
	assert_int_equal(load_changed(CLOCK + 16, &other, 4), -RAY_ENOENT);
	assert_string_equal(why, "record 'vcpu' 5 at byte 44: this VM has no such part");
	assert_int_equal(load_changed(CLOCK + LENGTH, &beyond, 4), -RAY_EINVAL);
	assert_string_equal(why, "damaged record at byte 44");
	assert_int_equal(load_changed(CLOCK, ioapic, sizeof(ioapic)), -RAY_EEXIST);
	assert_non_null(strstr(why, "record 'ioapic' 0 at byte"));
	memset(record, 0, sizeof(record));
	memcpy(record, clock, sizeof(clock));
	record[VERSION] = 1;
	record[LENGTH] = 16;
	assert_int_equal(load_changed(SIZE_MAX, record, sizeof(record)), -RAY_EEXIST);
	assert_non_null(strstr(why, "a second one"));
	assert_int_equal(load_changed(LENGTH, &shorter, 4), -RAY_EINVAL);
	assert_int_equal(load_changed(LENGTH, &longer, 4), -RAY_EINVAL);
	/* None of them was applied; now one that is bad inside. */
	assert_int_equal(v->rip, 0x4242);
	assert_int_equal(load_changed(CLOCK + HEAD, "", 1), 0);
	assert_int_equal(load_changed(CLOCK + HEAD + 8 * (GPR_COUNT + 2) + 8 * HV_REG_EFER + 7, "\xff", 1),
			 -RAY_EINVAL);
	assert_string_equal(why, "record 'vcpu' 0 at byte 44: invalid argument");
}

static void clocks_go_on_where_they_stood(void **state)
{
	struct state_buf b = { .data = saved, .cap = sizeof(saved) };
	uint64_t tsc, ahead, ns;

	(void)state;
	assert_int_equal(vm_pause(vm), 0);
	vm->vcpu[1]->tsc_offset += 1000; /* as its guest wrote it */
	tsc = vcpu_guest_tsc(v);
	ns = pv_clock_now(vm);
	assert_int_equal(vm_state_save(vm, &b), 0);
	/* Much later, or on a machine whose TSC is far ahead. */
	fake_tsc += 1ull << 40;
	v->tsc_offset = vm->vcpu[1]->tsc_offset = 77;
	assert_int_equal(vm_state_load(vm, &b, why, sizeof(why)), 0);
	assert_int_equal(vcpu_guest_tsc(v), tsc);
	ahead = vm->vcpu[1]->tsc_offset - v->tsc_offset;
	assert_int_equal(ahead, 1000);
	assert_int_equal(pv_clock_now(vm), ns);
	fake_tsc += 2500; /* 2.5 GHz */
	assert_in_range(pv_clock_now(vm) - ns, 999, 1000);
}

static void rebuilt(void **state)
{
	struct vm_rebuild_stats done;
	struct vcpu *ap;

	(void)state;
	assert_int_equal(vm_rebuild(vm, &done, why, sizeof(why)), 0);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(done.records, 5); /* clock, two vCPUs, IOAPIC, 8259 */
	assert_int_equal(vm_pause(vm), 0);
	v = vm->vcpu[0];
	v->gpr[GPR_R9] = 0x99;
	v->rip = 0x4242;
	/* What is asked of a vCPU that stands is not forgotten. */
	ap = vm->vcpu[1];
	ap->sipi_vector = 0x12;
	vcpu_request(ap, VCPU_REQ_SIPI | VCPU_REQ_NMI | VCPU_REQ_TLB);
	vlapic_set_irq(v, 0x51, false);
	assert_int_equal(vm_rebuild(vm, &done, why, sizeof(why)), 0);
	assert_int_equal(vm->state, VM_PAUSED);
	v = vm->vcpu[0];
	ap = vm->vcpu[1];
	assert_int_equal(v->gpr[GPR_R9], 0x99);
	assert_int_equal(v->rip, 0x4242);
	assert_int_equal(ap->sipi_vector, 0x12);
	assert_int_equal(ap->requests & (VCPU_REQ_SIPI | VCPU_REQ_NMI | VCPU_REQ_INIT),
			 VCPU_REQ_SIPI | VCPU_REQ_NMI);
	assert_true(vlapic_maybe_pending(v));
	assert_int_equal(vm_resume(vm), 0);
}

/* Short of memory it either goes on or ends as crashed, and leaves nothing. */
static void every_rebuild_failure_ends_well(void **state)
{
	struct vm_rebuild_stats done;
	bool refused = false, crashed = false;
	int err;

	(void)state;
	for (int n = 0;; n++) {
		vm = define("demo", 2);
		assert_int_equal(vm_start(vm, why, sizeof(why)), 0);
		fake_allocs_left = n;
		err = vm_rebuild(vm, &done, why, sizeof(why));
		fake_allocs_left = -1;
		if (err == 0)
			break;
		if (vm->state == VM_RUNNING && vm->ending == VM_END_NONE) {
			refused = true;
			assert_int_equal(vm_kill(vm, "test"), 0);
		} else {
			while (vm->state == VM_PAUSED)
				thread_yield();
			assert_int_equal(vm->state, VM_CRASHED);
			assert_non_null(strstr(vm->reason, "rebuild: "));
			crashed = true;
		}
		undefine(vm);
		teardown(NULL);
	}
	assert_true(refused && crashed);
	assert_int_equal(vm_kill(vm, "test"), 0);
	undefine(vm);
}

/* --- commands --- */

static char shown[8192];
static struct buf_sink out;

static void io_write(struct cmd_io *io, const char *s, size_t n)
{
	(void)io;
	out.sink.put(&out.sink, s, n);
}

static int io_read(struct cmd_io *io, uint64_t timeout_ns)
{
	(void)io;
	(void)timeout_ns;
	return -RAY_ENODEV;
}

static bool io_interrupted(struct cmd_io *io)
{
	(void)io;
	return false;
}

static int type(const char *line)
{
	static struct cmd_io io = { io_write, io_read, io_interrupted, NULL };
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", line);
	buf_sink_init(&out, shown, sizeof(shown));
	return command_run_line(&io, copy);
}

#define SHOWS(line, status, text)                                                  \
	do {                                                                       \
		if (type(line) != (status) || !strstr(shown, text))                \
			fail_msg("%s: %s", line, shown);                           \
	} while (0)

static void commands(void **state)
{
	static const struct fake_step halts[] = { { .exit = HLT }, { .exit = HLT } };

	(void)state;
	SHOWS("vm list", 0, "NAME  STATE  VCPUS  MEMORY  UPTIME S  EXITS  REASON\n");
	SHOWS("vm define web kernel=guest memory=16M vcpus=1 \"cmdline=a b\"", 0, "");
	SHOWS("vm define web kernel=guest", -RAY_EEXIST, "'web' exists already");
	SHOWS("vm define x y", -RAY_EINVAL, "'y' is not key=value");
	SHOWS("vm define x vcpus=1000 kernel=guest", -RAY_ERANGE, "from 1 to 8");
	SHOWS("vm define 0123456789012345678901234567890123456789 kernel=guest", -RAY_ERANGE,
	      "name: longer than 31 bytes");
	SHOWS("vm start wbe", -RAY_ENOENT, "no VM 'wbe'; did you mean 'web'?");
	SHOWS("vm start zzzzzz", -RAY_ENOENT, "`vm list` shows");
	SHOWS("vm pause web", -RAY_EINVAL, "'web' is defined; it must be running");
	SHOWS("vm rebuild web", -RAY_EINVAL, "'web' is defined; it must be running or paused");
	SHOWS("vm rebuild wbe", -RAY_ENOENT, "did you mean 'web'?");
	SHOWS("vm info web", 0, "cmdline:              a b\n");
	fake_script(halts, 2);
	SHOWS("vm start web", 0, "");
	thread_yield();
	SHOWS("vm start web", -RAY_EBUSY, "'web' is running already");
	SHOWS("vm list --json", 0, "\"name\":\"web\",\"state\":\"running\",\"vcpus\":1,\"memory\":16777216");
	SHOWS("vm stats web", 0, "hlt");
	SHOWS("vm info web --json", 0, "\"memory_held\":16777216");
	SHOWS("vm pause web", 0, "");
	SHOWS("vm resume web", 0, "");
	SHOWS("vm rebuild web", 0, "'web': 4 records, ");
	SHOWS("vm stop web", 0, "");
	SHOWS("vm undefine web", -RAY_EBUSY, "stop or kill it first");
	SHOWS("vm reset web", 0, "");
	SHOWS("vm kill web", 0, "");
	SHOWS("vm list", 0, "web   stopped");
	SHOWS("vm modules", 0, "lost");
	SHOWS("vm undefine web", 0, "");
	SHOWS("vm undefine web", -RAY_ENOENT, "no VM 'web'");
	SHOWS("vm info web", -RAY_ENOENT, "no VM");
	SHOWS("vm stats web", -RAY_ENOENT, "no VM");
	SHOWS("vm kill web", -RAY_ENOENT, "no VM");
}

/* What was defined is there after a restart, word by word, and what was undefined is not. */
static void definitions_are_kept(void **state)
{
	struct vm_def before;
	struct vm *web;

	(void)state;
	store_there = true;
	SHOWS("vm define web kernel=guest memory=32M vcpus=2 net-rate=10M \"cmdline=a \\\"b\\\"  c#d\"", 0,
	      "");
	SHOWS("vm define gone kernel=guest", 0, "");
	SHOWS("vm undefine gone", 0, "");
	web = vm_get("web");
	assert_non_null(web);
	before = web->def;
	vm_put(web);
	assert_int_equal(vm_undefine(web, why, sizeof(why)), 0);
	assert_null(vm_get("web"));
	assert_int_equal(vm_store_init(), 0);
	web = vm_get("web");
	assert_non_null(web);
	assert_memory_equal(&web->def, &before, sizeof(before));
	vm_put(web);
	assert_null(vm_get("gone"));
	/* Damaged, or nonsense: the others are defined. */
	assert_int_equal(vm_undefine(web, why, sizeof(why)), 0);
	assert_int_equal(store_file_write("vm/bad", "[vm bad]\nmemory = 1\n", 20), 0);
	assert_int_equal(vm_store_init(), 0);
	web = vm_get("web");
	assert_non_null(web);
	vm_put(web);
	assert_null(vm_get("bad"));
	store_error = -RAY_EIO;
	SHOWS("vm define more kernel=guest", -RAY_EIO, "not for the next start");
	store_error = 0;
	SHOWS("vm undefine more", 0, "");
	SHOWS("vm undefine web", 0, "");
	assert_int_equal(files[0].name[0], '\0');
	memset(files, 0, sizeof(files));
	store_there = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TV(f) cmocka_unit_test_setup_teardown(f, setup_vm, teardown_vm)
		T(definitions_are_checked), T(definitions_are_kept),
		T(the_registry_holds_64),
		T(configuration_defines_and_starts),
		T(every_start_failure_leaves_nothing),
		T(pause_resume_reset_kill),
		T(paused_for_a_device),
		T(crashes_have_reasons),
		T(processors_are_started_by_init_and_sipi),
		T(memory_goes_and_comes_while_it_runs),
		T(events_go_in_their_order),
		TV(saved_state_comes_back),
		TV(bad_state_is_named),
		TV(clocks_go_on_where_they_stood),
		TV(rebuilt),
		T(every_rebuild_failure_ends_well),
		T(commands),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
