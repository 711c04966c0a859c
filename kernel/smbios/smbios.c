// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "smbios"
#include "boot/boot_info.h"
#include "kernel/log.h"
#include "kernel/mm/vmap.h"
#include "kernel/smbios/smbios.h"

static struct smbios_info info;

void smbios_init(const struct boot_info *bi)
{
	struct smbios_entry e;
	void *p;
	int err;

	if (!(bi->features & BOOT_FEAT_SMBIOS))
		return;
	p = vmap(HPA(bi->smbios), SMBIOS_ENTRY_MAX, VMAP_WB, false);
	if (!p)
		return;
	err = smbios_entry_parse(p, SMBIOS_ENTRY_MAX, &e);
	vunmap(p);
	if (err) {
		log_warn("entry point damaged: addr=0x%llx", (unsigned long long)bi->smbios);
		return;
	}
	p = vmap(HPA(e.table), e.table_len, VMAP_WB, false);
	if (!p) {
		log_warn("table cannot be mapped: addr=0x%llx len=%u",
			 (unsigned long long)e.table, e.table_len);
		return;
	}
	info.major = e.major;
	info.minor = e.minor;
	smbios_table_parse(p, e.table_len, e.count, &info);
	vunmap(p);
	log_info("machine: vendor=\"%s\" product=\"%s\" smbios=%u.%u", info.vendor, info.product,
		 info.major, info.minor);
}

const struct smbios_info *smbios_info(void)
{
	return &info;
}
