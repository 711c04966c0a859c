/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine without a hypervisor, for tests of hv/irqchip and devices/virt: memory is
 * an array, the bus a list, time stands still until moved, kicks and requests are recorded.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_VIRT_H
#define RAYOS_TESTS_HOST_FAKE_VIRT_H

#include "hv/vm.h"

#define FAKE_RAM_SIZE   MIB(4)
#define FAKE_TSC_PER_NS 3u

extern uint64_t fake_now_ns;
extern uint64_t fake_wall;
extern int fake_allocs_live;
extern int fake_allocs_left; /* until kmalloc fails; < 0: never */
extern int fake_kicks[VM_VCPU_MAX];
extern uint64_t fake_requests[VM_VCPU_MAX];
extern enum vm_end fake_end;
extern char fake_end_text[128];
extern unsigned int fake_pauses; /* asked for by devices */
extern int fake_pins; /* of guest memory, held now */
extern uint64_t fake_absent; /* a page that is absent until populated; UINT64_MAX: none */
extern uint8_t *fake_ram; /* below 4 MiB; further regions are not backed */

/** A VM with @cpus vCPUs, vLAPICs, 8259 pair and IOAPIC; nothing else. */
struct vm *fake_vm_create(unsigned int cpus);
/** Whether its memory is found without calls, as low memory mostly is (hv/gmem.h). On at first; off
 *  for who sets fake_absent. */
void fake_low_memory(struct vm *vm, bool on);
/** Destroys every device left and checks that nothing leaks. */
void fake_vm_destroy(struct vm *vm);

/** Move time; timers due fire in order, each at its own moment. */
void fake_time_advance(uint64_t ns);
/** Nanoseconds to the next timer, UINT64_MAX when none. */
uint64_t fake_timer_next(void);

/* Accesses of vCPU 0; unanswered reads give all ones. */
void fake_out(struct vm *vm, uint16_t port, unsigned int size, uint32_t value);
uint32_t fake_in(struct vm *vm, uint16_t port, unsigned int size);
void fake_mmio_write(struct vm *vm, uint64_t gpa, unsigned int size, uint64_t value);
uint64_t fake_mmio_read(struct vm *vm, uint64_t gpa, unsigned int size);

/** The device record of that name, NULL when the VM has none. */
struct vdev *fake_vdev(struct vm *vm, const char *name);
/** Save, check the size against @cap, give the bytes. */
size_t fake_save(struct vdev *d, uint8_t *out, size_t cap);
int fake_load(struct vdev *d, const uint8_t *bytes, size_t len);

extern uint64_t fake_dirty_host; /* bytes that gmem_dirty_mark_host() was told of */

#endif
