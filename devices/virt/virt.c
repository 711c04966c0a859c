/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/virt.h"

int vdev_ports_add(struct vm *vm, struct gbus_range *r, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		int err = gbus_port_add(&vm->bus, &r[i]);

		if (err) {
			vdev_ports_del(vm, r, i);
			return err;
		}
	}
	return 0;
}

void vdev_ports_del(struct vm *vm, struct gbus_range *r, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		gbus_port_del(&vm->bus, &r[i]);
}

void vdev_nop(struct vdev *d)
{
	(void)d;
}
