/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions among the host's devices, and what can be done with them there. */
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/pci/pci_priv.h"

static struct device root = {
	.name = "pci0", .cls = DEVICE_BUS, .state = DEVICE_ACTIVE};

static struct pci_dev *of(const struct device *d)
{
	return container_of(d, struct pci_dev, dev);
}

static void attrs(const struct device *dev, struct device_attrs *a)
{
	const struct pci_dev *d = of(dev);

	device_attr_hex(a, "vendor", d->vendor);
	device_attr_hex(a, "device", d->device);
	device_attr_hex(a, "class_code", d->class_code);
	device_attr_str(a, "vendor_name", pci_vendor_name(d->vendor));
	device_attr_str(a, "kind", pci_class_name(d->class_code));
	device_attr_bool(a, "confined", d->dma != NULL);
}

static bool suspends(const struct device *dev)
{
	const struct pci_dev *d = of(dev);

	return d->driver && d->driver->suspend;
}

static int suspend(struct device *dev)
{
	struct pci_dev *d = of(dev);
	int err = d->driver->suspend(d);

	if (!err)
		pci_master_set(d, false);
	return err;
}

static int resume(struct device *dev)
{
	struct pci_dev *d = of(dev);

	pci_master_set(d, true);
	return d->driver->resume(d);
}

static int unbind(struct device *dev)
{
	pci_driver_unbind(of(dev));
	return 0;
}

static int bind(struct device *dev)
{
	return pci_driver_bind(of(dev));
}

static const struct device_bus bus = {
	.name = "pci",
	.suspends = suspends,
	.suspend = suspend,
	.resume = resume,
	.unbind = unbind,
	.bind = bind,
};

void pci_tree_init(void)
{
	device_add(&root, NULL);
}

void pci_tree_enter(struct pci_dev *d)
{
	d->dev.cls = DEVICE_OTHER;
	if (d->header == PCI_HEADER_BRIDGE)
		d->dev.cls = DEVICE_BUS;
	d->dev.attrs = attrs;
	d->dev.bus = &bus;
	ray_snprintf(d->dev.name, sizeof(d->dev.name), PCI_BDF_FMT, PCI_BDF_ARGS(d->bdf));
	device_add(&d->dev, d->parent ? &d->parent->dev : &root);
}
