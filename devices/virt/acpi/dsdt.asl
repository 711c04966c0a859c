/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest cannot find by itself: the PCI bus and its interrupt lines, serial port, clock,
 * sleep state 5, cards that come and go. Addresses are those of devices/virt/virt.h and pci.c. NCPU is patched per VM
 * (devices/virt/acpi.c).
 */
DefinitionBlock ("", "DSDT", 2, "RAYOS ", "RAYOSVM ", 1)
{
	Name (NCPU, 0xCC)

	Name (\_S5, Package () { 5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (C000)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 0)
			Method (_STA) { If (NCPU > 0) { Return (0x0F) } Return (0) }
		}
		Device (C001)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 1)
			Method (_STA) { If (NCPU > 1) { Return (0x0F) } Return (0) }
		}
		Device (C002)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 2)
			Method (_STA) { If (NCPU > 2) { Return (0x0F) } Return (0) }
		}
		Device (C003)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 3)
			Method (_STA) { If (NCPU > 3) { Return (0x0F) } Return (0) }
		}
		Device (C004)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 4)
			Method (_STA) { If (NCPU > 4) { Return (0x0F) } Return (0) }
		}
		Device (C005)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 5)
			Method (_STA) { If (NCPU > 5) { Return (0x0F) } Return (0) }
		}
		Device (C006)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 6)
			Method (_STA) { If (NCPU > 6) { Return (0x0F) } Return (0) }
		}
		Device (C007)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 7)
			Method (_STA) { If (NCPU > 7) { Return (0x0F) } Return (0) }
		}

		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0xC000, 0xFFFF, 0, 0x4000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xE0000000, 0xFEBFFFFF, 0, 0x1EC00000)
			})
			/* INTA of slot n is line 16 + n % 8. */
			Name (_PRT, Package ()
			{
				Package () { 0x0001FFFF, 0, 0, 17 },
				Package () { 0x0002FFFF, 0, 0, 18 },
				Package () { 0x0003FFFF, 0, 0, 19 },
				Package () { 0x0004FFFF, 0, 0, 20 },
				Package () { 0x0005FFFF, 0, 0, 21 },
				Package () { 0x0006FFFF, 0, 0, 22 },
				Package () { 0x0007FFFF, 0, 0, 23 },
				Package () { 0x0008FFFF, 0, 0, 16 },
				Package () { 0x0009FFFF, 0, 0, 17 },
				Package () { 0x000AFFFF, 0, 0, 18 },
				Package () { 0x000BFFFF, 0, 0, 19 },
				Package () { 0x000CFFFF, 0, 0, 20 },
				Package () { 0x000DFFFF, 0, 0, 21 },
				Package () { 0x000EFFFF, 0, 0, 22 },
				Package () { 0x000FFFFF, 0, 0, 23 },
				Package () { 0x0010FFFF, 0, 0, 16 },
				Package () { 0x0011FFFF, 0, 0, 17 },
				Package () { 0x0012FFFF, 0, 0, 18 },
				Package () { 0x0013FFFF, 0, 0, 19 },
				Package () { 0x0014FFFF, 0, 0, 20 },
				Package () { 0x0015FFFF, 0, 0, 21 },
				Package () { 0x0016FFFF, 0, 0, 22 },
				Package () { 0x0017FFFF, 0, 0, 23 },
				Package () { 0x0018FFFF, 0, 0, 16 },
				Package () { 0x0019FFFF, 0, 0, 17 },
				Package () { 0x001AFFFF, 0, 0, 18 },
				Package () { 0x001BFFFF, 0, 0, 19 },
				Package () { 0x001CFFFF, 0, 0, 20 },
				Package () { 0x001DFFFF, 0, 0, 21 },
				Package () { 0x001EFFFF, 0, 0, 22 },
				Package () { 0x001FFFFF, 0, 0, 23 }
			})

			Include ("hotplug.asi")

			Device (COM1)
			{
				Name (_HID, EisaId ("PNP0501"))
				Name (_UID, 0)
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x03F8, 0x03F8, 1, 8)
					IRQNoFlags () { 4 }
				})
			}

			Device (RTC)
			{
				Name (_HID, EisaId ("PNP0B00"))
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x0070, 0x0070, 1, 2)
					IRQNoFlags () { 8 }
				})
			}

			/* Ports and addresses nobody else may be given. */
			Device (RES0)
			{
				Name (_HID, EisaId ("PNP0C02"))
				Name (_UID, 0)
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, 0x0020, 0x0020, 1, 2)
					IO (Decode16, 0x0040, 0x0040, 1, 4)
					IO (Decode16, 0x0061, 0x0061, 1, 1)
					IO (Decode16, 0x0080, 0x0080, 1, 1)
					IO (Decode16, 0x0092, 0x0092, 1, 1)
					IO (Decode16, 0x00A0, 0x00A0, 1, 2)
					IO (Decode16, 0x00F4, 0x00F4, 1, 4)
					IO (Decode16, 0x04D0, 0x04D0, 1, 2)
					IO (Decode16, 0x0520, 0x0520, 1, 0x14)
					IO (Decode16, 0x0600, 0x0600, 1, 0x20)
					Memory32Fixed (ReadWrite, 0xD0001000, 0x1000)
					Memory32Fixed (ReadWrite, 0xFEC00000, 0x1000)
					Memory32Fixed (ReadWrite, 0xFEE00000, 0x1000)
				})
			}
		}
	}

	Scope (\_GPE)
	{
		Method (_E01) { \_SB.PCI0.HPEV () }
	}
}
