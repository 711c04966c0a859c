/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: which devices a VM gets, and in which order.
 */
#include "devices/virt/platform.h"

#include "devices/virt/attach.h"
#include "devices/virt/firmware.h"
#include "devices/virt/hotplug.h"
#include "devices/virt/io.h"
#include "devices/virt/virt.h"
#include "hv/platform.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

static int platform_create(struct vm *vm)
{
	static int (*const devices[])(struct vm *vm) = {
		vports_create, vuart_create, vpit_create, vrtc_create, vpm_create, vpci_create,
		vhotplug_create,
	};
	int err = 0;

	vm->platform = kzalloc(sizeof(*vm->platform), MEM_VDEV);
	if (!vm->platform)
		return -RAY_ENOMEM;
	vm->platform->io = vio_create(vm);
	if (!vm->platform->io)
		return -RAY_ENOMEM;
	for (unsigned int i = 0; i < ARRAY_SIZE(devices) && !err; i++)
		err = devices[i](vm);
	if (!err && vm->def.testdev)
		err = vtestdev_create(vm);
	return err ? err : vattach_create_all(vm);
}

static void platform_destroy(struct vm *vm)
{
	if (vm->platform)
		vio_destroy(vm->platform->io);
	kfree(vm->platform);
	vm->platform = NULL;
}

static const struct vplatform_ops platform_ops = {
	.device_check = vattach_check,
	.device_kind = vkind_name,
	.open = vattach_open_all,
	.close = vattach_close_all,
	.create = platform_create,
	.firmware = firmware_write,
	.destroy = platform_destroy,
	.power_button = vpm_power_button,
};

int virt_init(void)
{
	hv_platform_register(&platform_ops);
	return vhotplug_init();
}
