/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a guest's virtio-vsock: services that guests connect to (CID 2), and streams
 * that the host opens to what listens in a guest.
 * Owns: nothing; streams are devices/virt/virtio/vsock*.c's. Must not know: packets, credit.
 *
 * A stream is a pair of byte queues of VSTREAM_BUF each; when one is full its writer waits, in
 * the guest as here. It lives as long as somebody holds a reference, and ends on its own when
 * the guest closes it, resets, or is gone.
 */
#ifndef RAYOS_DEVICES_VIRT_VSOCK_HOST_H
#define RAYOS_DEVICES_VIRT_VSOCK_HOST_H

#include "kernel/lib/types.h"

#define VSTREAM_BUF KIB(16)

struct vm;
struct vstream;

/* What a service is told. */
#define VSTREAM_OPENED   BIT(0)
#define VSTREAM_READABLE BIT(1) /* bytes have come, or no more will */
#define VSTREAM_WRITABLE BIT(2) /* there is room again */
#define VSTREAM_ENDED    BIT(3) /* the last one: no bytes go either way */

struct vsock_service {
	const char *name;
	uint32_t port;
	/** Context: the VM's I/O thread, no locks; must not sleep, takes its time from the VM. */
	void (*event)(struct vstream *s, uint32_t events);
};

#define VSOCK_SERVICE(ident)                                                                       \
	static const struct vsock_service *const vsock_service_ptr_##ident                         \
		__attribute__((used, section("rayos_vsock_services"))) = &vsock_service_##ident

/**
 * Open a stream to @port in the guest; vstream_opened() tells when the guest has answered.
 * Pre: vm->lock held. Context: thread.
 * Returns: 0 and *out, a reference; -RAY_ENODEV (no such device, or it stands still),
 *          -RAY_ENOSPC (as many streams as there can be), -RAY_ENOMEM
 */
int __must_check vstream_connect(struct vm *vm, uint32_t port, struct vstream **out);
/** Sleep until the guest has answered or the deadline passes. Context: thread.
 *  Returns: 0, -RAY_ENOENT (nobody listens there), -RAY_ETIMEDOUT. */
int __must_check vstream_opened(struct vstream *s, uint64_t deadline_ns);

/* All below: context any thread, no spinlocks. */

/** Returns: bytes read; 0: none yet; -RAY_ENODEV: none will come any more. */
int vstream_read(struct vstream *s, void *buf, size_t len);
/** Returns how many fitted; none do when the guest takes no more. */
size_t vstream_write(struct vstream *s, const void *buf, size_t len);
/** Bytes that would fit now. */
size_t vstream_room(struct vstream *s);
/** No more is read or written; what was written still goes out, for a while. */
void vstream_close(struct vstream *s);
void vstream_put(struct vstream *s);
/** Name of the VM at the other end. */
const char *vstream_vm(const struct vstream *s);

#endif
