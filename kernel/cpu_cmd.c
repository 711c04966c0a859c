/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cpu`: what the processor is and what of it is in use. Context: the shell's thread.
 */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/percpu.h"
#include "kernel/cmd.h"
#include "kernel/conf.h"
#include "kernel/cpu_info.h"
#include "kernel/lib/table.h"
#include "kernel/panic.h"

#define PROVIDERS_MAX 4u
#define LIST_MAX      256u

static void (*providers[PROVIDERS_MAX])(struct record *r);
static unsigned int provider_count;

void cpu_info_add(void (*fn)(struct record *r))
{
	ASSERT(provider_count < PROVIDERS_MAX);
	providers[provider_count++] = fn;
}

struct flag {
	const char *name;
	bool set;
};

static void record_flags(struct record *r, const char *key, const struct flag *flags, size_t n)
{
	char list[LIST_MAX] = "";

	for (size_t i = 0; i < n; i++) {
		if (!flags[i].set)
			continue;
		if (list[0])
			strlcat(list, " ", sizeof(list));
		strlcat(list, flags[i].name, sizeof(list));
	}
	record_str(r, key, list[0] ? list : "none");
}

static void show_features(struct record *r, const struct cpu_features *f)
{
	const struct flag protection[] = {
		{ "nx", f->nx }, { "smep", f->smep }, { "smap", f->smap }, { "umip", f->umip },
	};
	const struct flag other[] = {
		{ "x2apic", f->x2apic },
		{ "tsc-deadline", f->tsc_deadline },
		{ "invariant-tsc", f->tsc_invariant },
		{ "tsc-adjust", f->tsc_adjust },
		{ "rdtscp", f->rdtscp },
		{ "rdrand", f->rdrand },
		{ "rdseed", f->rdseed },
		{ "1g-pages", f->page_1g },
		{ "xsave", f->xsave },
		{ "xsaveopt", f->xsaveopt },
		{ "xsaves", f->xsaves },
		{ "machine-check", f->mca },
		{ "hypervisor", f->hypervisor },
	};
	const struct flag speculation[] = {
		{ "spec-ctrl", f->spec_ctrl },	   { "ibpb", f->ibpb },
		{ "stibp", f->stibp },		   { "ssbd", f->ssbd },
		{ "virt-ssbd", f->virt_ssbd },	   { "md-clear", f->md_clear },
		{ "l1d-flush", f->l1d_flush },	   { "srbds-ctrl", f->srbds_ctrl },
		{ "arch-caps", f->arch_caps },	   { "auto-ibrs", f->auto_ibrs },
	};

	record_flags(r, "protection", protection, ARRAY_SIZE(protection));
	record_flags(r, "features", other, ARRAY_SIZE(other));
	record_flags(r, "speculation_controls", speculation, ARRAY_SIZE(speculation));
}

static int cpu_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const struct cpu_features *f = cpu_features();
	struct record r;

	(void)argc;
	(void)argv;
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_str(&r, "vendor", f->vendor);
	record_str(&r, "name", f->brand);
	record_fmt(&r, "family_model_stepping", "%u/%u/%u", (unsigned int)f->family,
		   (unsigned int)f->model, (unsigned int)f->stepping);
	record_u64(&r, "cpus", cpu_count());
	record_u64(&r, "physical_bits", f->phys_bits);
	record_hex(&r, "xcr0", f->xcr0);
	show_features(&r, f);
	record_str(&r, "mitigations", mitigate_mode_name(conf()->mitigations));
	for (int m = 0; m < MITIGATION_COUNT; m++)
		record_str(&r, mitigation_name((enum mitigation)m),
			   mitigation_state_name(mitigations.state[m]));
	for (unsigned int i = 0; i < provider_count; i++)
		providers[i](&r);
	record_end(&r);
	return 0;
}

SHELL_CMD(cpu, "cpu", "show the processor and what of it is in use", .flags = CMD_JSON,
	  .example = "cpu --json", .run = cpu_run);
