// SPDX-License-Identifier: Apache-2.0
/* Short names for people: classes by PCI Code and ID Assignment 1.11, the vendors one meets. */
#include <ctype.h>

#include "kernel/lib/err.h"
#include "kernel/pci/pci_priv.h"

struct name {
	uint32_t key;
	const char *text;
};

static const char *find(const struct name *names, size_t n, uint32_t key)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i].key == key)
			return names[i].text;
	}
	return NULL;
}

const char *pci_class_name(uint32_t class_code)
{
	static const struct name exact[] = {
		{0x010601, "AHCI controller"}, {0x010802, "NVMe controller"},
		{0x0c0300, "UHCI controller"}, {0x0c0310, "OHCI controller"},
		{0x0c0320, "EHCI controller"}, {0x0c0330, "xHCI controller"},
		{0x070002, "16550 UART"},
	};
	static const struct name sub[] = {
		{0x0100, "SCSI controller"},    {0x0101, "IDE controller"},
		{0x0104, "RAID controller"},    {0x0106, "SATA controller"},
		{0x0107, "SAS controller"},     {0x0108, "NVM controller"},
		{0x0180, "storage controller"}, {0x0200, "Ethernet controller"},
		{0x0280, "network controller"}, {0x0300, "VGA controller"},
		{0x0302, "3D controller"},      {0x0380, "display controller"},
		{0x0401, "audio device"},       {0x0403, "HD audio device"},
		{0x0500, "RAM controller"},     {0x0600, "host bridge"},
		{0x0601, "ISA bridge"},         {0x0604, "PCI bridge"},
		{0x0607, "CardBus bridge"},     {0x0680, "bridge"},
		{0x0700, "serial port"},        {0x0780, "communication device"},
		{0x0800, "interrupt controller"}, {0x0805, "SD host controller"},
		{0x0806, "IOMMU"},              {0x0880, "system peripheral"},
		{0x0c03, "USB controller"},     {0x0c05, "SMBus controller"},
		{0x00ff, "unclassified"},       {0x1180, "signal processing"},
	};
	static const struct name base[] = {
		{0x00, "old device"},    {0x01, "storage"},        {0x02, "network"},
		{0x03, "display"},       {0x04, "multimedia"},     {0x05, "memory"},
		{0x06, "bridge"},        {0x07, "communication"},  {0x08, "system device"},
		{0x09, "input device"},  {0x0a, "docking station"}, {0x0b, "processor"},
		{0x0c, "serial bus"},    {0x0d, "wireless"},       {0x10, "encryption"},
		{0x11, "signal processing"}, {0x12, "accelerator"},
	};
	const char *s = find(exact, ARRAY_SIZE(exact), class_code);

	if (!s)
		s = find(sub, ARRAY_SIZE(sub), class_code >> 8);
	if (!s)
		s = find(base, ARRAY_SIZE(base), class_code >> 16);
	return s ? s : "unknown";
}

const char *pci_vendor_name(uint16_t vendor)
{
	static const struct name names[] = {
		{0x1000, "Broadcom/LSI"}, {0x1002, "AMD/ATI"},     {0x1013, "Cirrus Logic"},
		{0x1022, "AMD"},          {0x102b, "Matrox"},      {0x10de, "NVIDIA"},
		{0x10ec, "Realtek"},      {0x1106, "VIA"},         {0x1234, "QEMU/Bochs"},
		{0x126f, "Silicon Motion"}, {0x1344, "Micron"},    {0x144d, "Samsung"},
		{0x14e4, "Broadcom"},     {0x15ad, "VMware"},      {0x15b3, "Mellanox"},
		{0x15b7, "SanDisk"},      {0x1912, "Renesas"},     {0x1969, "Atheros"},
		{0x1a03, "ASPEED"},       {0x1af4, "virtio"},      {0x1b21, "ASMedia"},
		{0x1b36, "Red Hat"},      {0x1b4b, "Marvell"},     {0x1d6a, "Aquantia"},
		{0x80ee, "VirtualBox"},   {0x8086, "Intel"},       {0xc0a9, "Crucial"},
	};
	const char *s = find(names, ARRAY_SIZE(names), vendor);

	return s ? s : "unknown";
}

const char *pci_cap_name(const struct pci_cap *c)
{
	static const struct name std[] = {
		{0x01, "power management"}, {0x02, "AGP"},          {0x03, "vital product data"},
		{0x04, "slot ID"},          {0x05, "MSI"},          {0x07, "PCI-X"},
		{0x08, "HyperTransport"},   {0x09, "vendor"},       {0x0a, "debug port"},
		{0x0c, "hot plug"},         {0x0d, "bridge subsystem ID"}, {0x10, "PCI Express"},
		{0x11, "MSI-X"},            {0x12, "SATA"},         {0x13, "advanced features"},
	};
	static const struct name ext[] = {
		{0x01, "AER"},   {0x02, "virtual channel"}, {0x03, "serial number"},
		{0x04, "power budget"}, {0x0b, "vendor"},   {0x0d, "ACS"},
		{0x0e, "ARI"},   {0x0f, "ATS"},             {0x10, "SR-IOV"},
		{0x13, "PRI"},   {0x15, "resizable BAR"},   {0x17, "TPH"},
		{0x18, "LTR"},   {0x19, "secondary PCIe"},  {0x1b, "PASID"},
		{0x1d, "DPC"},   {0x1e, "L1 PM substates"}, {0x1f, "PTM"},
		{0x25, "data link"}, {0x26, "16 GT/s"},     {0x27, "lane margining"},
	};
	const char *s = c->ext ? find(ext, ARRAY_SIZE(ext), c->id)
			       : find(std, ARRAY_SIZE(std), c->id);

	return s ? s : "unknown";
}

static int hex_field(const char **s, unsigned int digits, unsigned int max, unsigned int *out)
{
	unsigned int v = 0, n = 0;

	for (; n < digits && isxdigit((unsigned char)**s); n++, (*s)++) {
		int c = tolower((unsigned char)**s);

		v = v * 16 + (unsigned int)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (n == 0 || v > max)
		return -RAY_EINVAL;
	*out = v;
	return 0;
}

int pci_bdf_parse(const char *s, pci_bdf_t *out)
{
	unsigned int bus, dev, fn;

	if (hex_field(&s, 2, 255, &bus) || *s++ != ':' || hex_field(&s, 2, 31, &dev) ||
	    *s++ != '.' || hex_field(&s, 1, 7, &fn) || *s != '\0')
		return -RAY_EINVAL;
	*out = PCI_BDF(bus, dev, fn);
	return 0;
}
