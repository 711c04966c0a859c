// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/pci/pci_priv.h"

#define MCFG_HDR_LEN   44u /* table header and 8 reserved bytes */
#define MCFG_ENTRY_LEN 16u
#define BUS_BYTES      (1ull << 20)
#define PHYS_MAX       (1ull << 52)

int pci_mcfg_parse(const void *mcfg, size_t len, struct pci_ecam_range *out)
{
	const uint8_t *p = mcfg;

	if (len < MCFG_HDR_LEN)
		return -RAY_EPROTO;
	for (size_t off = MCFG_HDR_LEN; len - off >= MCFG_ENTRY_LEN; off += MCFG_ENTRY_LEN) {
		uint64_t base;
		uint16_t segment;

		memcpy(&base, p + off, sizeof(base));
		memcpy(&segment, p + off + 8, sizeof(segment));
		if (segment != 0 || p[off + 10] != 0)
			continue;
		if (base == 0 || (base & (BUS_BYTES - 1)) != 0 || base >= PHYS_MAX - 256 * BUS_BYTES)
			return -RAY_EPROTO;
		*out = (struct pci_ecam_range){.base = base, .bus_last = p[off + 11]};
		return 0;
	}
	return -RAY_ENOENT;
}
