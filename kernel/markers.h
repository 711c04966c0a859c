/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every marker line RayOS can print, with its fields: the one list. docs/markers.md is
 * generated from it. A line is `RAYOS_AREA:EVENT key=value ...`; keys keep this order.
 *
 * M(symbol, "AREA:EVENT", "fields", "meaning")
 */
#define RAYOS_MARKERS(M)                                                                           \
	M(LOADER_STARTED, "BOOT_MARKER:LOADER_STARTED", "version", "the UEFI loader begins")          \
	M(LOADER_PROMPT, "BOOT_MARKER:LOADER_PROMPT", "reason",                                       \
	  "the loader cannot go on and waits for a key")                                               \
	M(BOOT_KERNEL_LOADED, "BOOT_MARKER:KERNEL_LOADED", "version", "the kernel runs its first C code") \
	M(BOOT_MEMORY_READY, "BOOT_MARKER:MEMORY_READY", "total_mib free_mib",                      \
	  "page allocator and heap work")                                                              \
	M(BOOT_SUBSYSTEMS_READY, "BOOT_MARKER:SUBSYSTEMS_READY", "cpus",                             \
	  "interrupts, CPUs, time, threads, PCI and ACPI work")                                        \
	M(BOOT_SHELL_READY, "BOOT_MARKER:SHELL_READY", "tsc_ticks",                                  \
	  "the shell prints its first prompt, so many ticks after the kernel's entry")                 \
	M(VMM_BACKEND_READY, "VMM:BACKEND_READY", "backend", "svm, vmx or none")                      \
	M(VM_DEFINED, "VM:DEFINED", "name", "a VM definition was accepted")                           \
	M(VM_STARTED, "VM:STARTED", "name", "the first vCPU is about to run")                         \
	M(VM_STOPPED, "VM:STOPPED", "name reason", "the guest powered off or exited by itself")       \
	M(VM_CRASHED, "VM:CRASHED", "name reason", "the guest did what cannot be continued")          \
	M(VM_PAUSED, "VM:PAUSED", "name reason", "a device cannot go on before the operator resumes it")  \
	M(VM_KILLED, "VM:KILLED", "name reason", "an operator ended it")                              \
	M(DEVICE_ATTACHED, "DEVICE:ATTACHED", "vm device slot", "a device is on a VM's bus")            \
	M(DEVICE_READY, "DEVICE:READY", "vm device", "the guest's driver uses the device")            \
	M(DEVICE_NEEDS_RESET, "DEVICE:NEEDS_RESET", "vm device reason",                               \
	  "the guest's driver broke the protocol; the device stands until it is reset")                \
	M(DEVICE_QUOTA_EXCEEDED, "DEVICE:QUOTA_EXCEEDED", "vm device what",                           \
	  "a guest wants more than its quota of ops, bytes or space allows")                           \
	M(DEVICE_DETACHED, "DEVICE:DETACHED", "vm device", "a device is off a VM's bus")              \
	M(IOMMU_ON, "IOMMU:ON", "kind units", "devices reach only memory that is mapped for them")        \
	M(IOMMU_FAULT, "IOMMU:FAULT", "device addr", "a device was kept off memory")                   \
	M(BLOCK_ATTACHED, "BLOCK:ATTACHED", "disk driver bytes", "a disk of the host's can be used")    \
	M(BLOCK_FAILED, "BLOCK:FAILED", "disk", "a disk was given up: every access to it fails")      \
	M(BLOCK_DETACHED, "BLOCK:DETACHED", "disk", "a disk is gone")                                 \
	M(STORE_MOUNTED, "STORE:MOUNTED", "disk objects", "a store can be used")                      \
	M(STORE_FAILED, "STORE:FAILED", "disk", "a store met damage or errors: nothing in it changes") \
	M(STORE_SCRUBBED, "STORE:SCRUBBED", "disk blocks wrong", "everything with a checksum was read") \
	M(STORE_IMPORTED, "STORE:IMPORTED", "volume format bytes", "an image became a volume")        \
	M(STORE_EXPORTED, "STORE:EXPORTED", "volume disk", "a volume was written to a disk")          \
	M(FILE_BEGIN, "FILE:BEGIN", "name size encoding",                                             \
	  "a file of so many bytes follows, in lines of its encoding; lines of others may stand between") \
	M(FILE_END, "FILE:END", "name crc32", "the file is over; CRC-32 of its bytes, in hexadecimal") \
	M(FILE_CANCELED, "FILE:CANCELED", "name", "the file ends early; what came of it is worth nothing") \
	M(PANIC, "PANIC:PANIC", "reason", "a host invariant broke; the system stops")                 \
	M(POWER_OFF, "POWER:OFF", "", "about to switch the machine off")                              \
	M(POWER_RESET, "POWER:RESET", "", "about to reset the machine")                               \
	M(SELFTEST_DONE, "SELFTEST:DONE", "passed failed", "all self-tests ended")
