// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "pci"
#include "kernel/log.h"
#include "kernel/pci/pci_priv.h"
#include "kernel/sched/wait.h"

struct list_head pci_devices = LIST_HEAD_INIT(pci_devices);
static const struct pci_access *access = &pci_access_ports;

static struct mutex list_lock = MUTEX_INIT(list_lock, LOCK_ORDER_NONE);

void pci_list_lock(void)
{
	mutex_lock(&list_lock);
}

void pci_list_unlock(void)
{
	mutex_unlock(&list_lock);
}

int pci_init(void)
{
	const struct pci_access *ecam = pci_ecam_init();
	struct pci_scan_stats st;
	struct pci_dev *d;
	int err;

	if (ecam)
		access = ecam;
	err = pci_scan(access, ecam ? pci_ecam_bus_last() : 0, &pci_devices, &st);
	if (err)
		return err;
	pci_tree_init();
	pci_for_each (d)
		pci_tree_enter(d);
	log_info("devices found: count=%u buses=%u broken=%u access=%s", st.devices, st.buses,
		 st.broken, access->name);
	return 0;
}

int pci_bind(void)
{
	log_info("drivers bound: count=%u", pci_drivers_bind(&pci_devices));
	return 0;
}

const char *pci_access_name(void)
{
	return access->name;
}

uint32_t pci_config_read(pci_bdf_t bdf, unsigned int off, unsigned int width)
{
	return access->read(access, bdf, off, width);
}

void pci_config_write(pci_bdf_t bdf, unsigned int off, unsigned int width, uint32_t v)
{
	access->write(access, bdf, off, width, v);
}

struct pci_dev *pci_find(pci_bdf_t bdf)
{
	struct pci_dev *d;

	pci_for_each (d) {
		if (d->bdf == bdf)
			return d;
	}
	return NULL;
}
