/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/pci share; all of it works on a struct pci_access, real or fake. */
#ifndef RAYOS_KERNEL_PCI_PCI_PRIV_H
#define RAYOS_KERNEL_PCI_PCI_PRIV_H

#include "kernel/pci/pci.h"

/**
 * Read and size the BARs of one function; decoding is off meanwhile. Nothing of the device's
 * state is changed in the end.
 * @count    registers from PCI_BAR0 on, <= PCI_BARS_MAX
 * @rom_off  offset of the ROM register, 0: none
 * Trust:    every register may answer anything
 */
void pci_bars_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int count,
		   unsigned int rom_off, struct pci_bar *bars, struct pci_bar *rom);

/**
 * Collect both capability lists; a list that loops, leaves its space or is too long ends there.
 * @caps   room for PCI_CAPS_MAX
 * @bad    set when a list was cut
 * Returns: number written
 */
unsigned int pci_caps_read(const struct pci_access *a, pci_bdf_t bdf, struct pci_cap *caps,
			   bool *bad);

struct pci_scan_stats {
	unsigned int devices, buses;
	unsigned int broken; /* functions or bridges passed over */
};

/**
 * Enumerate from bus 0 down through all bridges, and then the buses up to @bus_last nobody
 * leads to (further host bridges); switches off bus mastering of everything but bridges.
 * @list     devices are appended
 * @bus_last 0: only what bridges lead to
 * Returns: 0 or -RAY_ENOMEM (what was found so far is in the list)
 * Trust:   every register may answer anything
 */
int __must_check pci_scan(const struct pci_access *a, unsigned int bus_last,
			  struct list_head *list, struct pci_scan_stats *st);
void pci_scan_free(struct list_head *list);
/** The same for what a port leads to. */
int __must_check pci_scan_below(struct pci_dev *port, struct list_head *list,
				struct pci_scan_stats *st);

/**
 * Give every memory BAR of the functions in @list its address, inside the windows of the bridge
 * above them. Nothing else may be below it.
 * Returns: how many found no place: their functions cannot be used
 */
unsigned int pci_assign(const struct pci_dev *bridge, struct list_head *list);

/** Offer every device without a driver to the registered drivers. Returns how many bound. */
unsigned int pci_drivers_bind(struct list_head *devices);
bool pci_match_one(const struct pci_match *m, const struct pci_dev *d);

/* One range of the MCFG table (PCI Firmware 3.3, 4.1.2). */
struct pci_ecam_range {
	uint64_t base;
	uint8_t bus_last; /* it begins with bus 0 */
};
/**
 * The range of segment 0 that begins with bus 0 (there can be others behind it).
 * Returns: 0, -RAY_ENOENT (no such range), -RAY_EPROTO (malformed)
 * Trust:   mcfg is firmware's, len bytes of it are readable
 */
int __must_check pci_mcfg_parse(const void *mcfg, size_t len, struct pci_ecam_range *out);

/* Names for people (names.c). Never NULL. */
const char *pci_class_name(uint32_t class_code);
const char *pci_vendor_name(uint16_t vendor);
const char *pci_cap_name(const struct pci_cap *c);
/**
 * Read "bus:device.function" in hexadecimal, "00:1f.2".
 * @out    written only on success
 * Returns: 0, -RAY_EINVAL
 * Trust:  any string
 */
int __must_check pci_bdf_parse(const char *s, pci_bdf_t *out);

/* plug.c */
/** A card is in the slot of a port, and has power: find its functions, give them to drivers.
 *  Returns: how many there are. Context: thread. */
unsigned int pci_plug(struct pci_dev *port);
/** Take them from their drivers, whether the card is there still or not. Context: thread. */
void pci_unplug(const struct pci_dev *port);

/* driver.c */
/** The reverse of pci_driver_bind(). Pre: it has a driver. Context: thread. */
void pci_driver_unbind(struct pci_dev *d);
/** Give a device to the best driver that takes it. 0, -RAY_ENODEV. Context: thread. */
int pci_driver_bind(struct pci_dev *d);

/* tree.c */
/** The root of all functions among the host's devices; before the first of them. */
void pci_tree_init(void);
void pci_tree_enter(struct pci_dev *d);

#endif
