/* SPDX-License-Identifier: Apache-2.0 */
/* Host tests' kernel/sched/spinlock_irqoff.h: the locks of tests/host/fake_lock.h. */
#ifndef RAYOS_KERNEL_SCHED_SPINLOCK_IRQOFF_H
#define RAYOS_KERNEL_SCHED_SPINLOCK_IRQOFF_H

#include "kernel/sched/spinlock.h"

#define spin_lock_irqoff(l)   spin_lock(l)
#define spin_unlock_irqoff(l) spin_unlock(l)

#endif
