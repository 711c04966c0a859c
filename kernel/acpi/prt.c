// SPDX-License-Identifier: Apache-2.0
/* Interrupt routing of PCI pins by _PRT (ACPI 6.5, 6.2.13): read once, looked up by PCI. */
#define LOG_TAG "acpi"
#include <acpi/acpi.h>

#include "kernel/acpi/acpi_priv.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/pci/pci.h"

#define ROUTES_MAX       512u
#define BRIDGE_DEPTH_MAX 16u

struct route {
	uint8_t bus, dev, pin; /* pin 1..4 */
	uint8_t flags;         /* IRQ_F_* */
	uint32_t gsi;
};

/* Written by acpi_prt_load(), published by handing PCI the router. */
static struct route routes[ROUTES_MAX];
static unsigned int route_count;
static bool bus_routed[256];

static const struct route *route_find(unsigned int bus, unsigned int dev, unsigned int pin)
{
	for (unsigned int i = 0; i < route_count; i++) {
		if (routes[i].bus == bus && routes[i].dev == dev && routes[i].pin == pin)
			return &routes[i];
	}
	return NULL;
}

static int prt_route(const struct pci_dev *d, unsigned int pin, struct pci_intx *out)
{
	const struct route *r;

	/* A bus without a _PRT of its own is wired straight through its bridge. */
	while (!bus_routed[PCI_BUS(d->bdf)] && d->parent) {
		pin = pci_intx_swizzle(d, pin);
		d = d->parent;
	}
	r = route_find(PCI_BUS(d->bdf), PCI_DEV(d->bdf), pin);
	if (!r)
		return -RAY_ENODEV;
	*out = (struct pci_intx){.gsi = r->gsi, .flags = r->flags};
	return 0;
}

/* ---- link devices ---- */

static uint8_t irq_flags(u8 triggering, u8 polarity)
{
	unsigned int f = IRQ_F_SHARED;

	if (triggering == ACPI_LEVEL_SENSITIVE)
		f |= IRQ_F_LEVEL;
	if (polarity == ACPI_ACTIVE_LOW)
		f |= IRQ_F_ACTIVE_LOW;
	return (uint8_t)f;
}

struct link_irq {
	uint32_t gsi; /* 0: none is set */
	uint8_t flags;
};

static acpi_status link_resource(struct acpi_resource *res, void *context)
{
	struct link_irq *l = context;

	if (res->type == ACPI_RESOURCE_TYPE_IRQ && res->data.irq.interrupt_count > 0) {
		l->gsi = res->data.irq.interrupts[0];
		l->flags = irq_flags(res->data.irq.triggering, res->data.irq.polarity);
	} else if (res->type == ACPI_RESOURCE_TYPE_EXTENDED_IRQ &&
		   res->data.extended_irq.interrupt_count > 0) {
		l->gsi = res->data.extended_irq.interrupts[0];
		l->flags = irq_flags(res->data.extended_irq.triggering,
				     res->data.extended_irq.polarity);
	}
	return l->gsi != 0 ? AE_CTRL_TERMINATE : AE_OK;
}

/* What firmware has set the link to. One it left off stays off. */
static bool link_read(acpi_handle bus, const char *source, struct link_irq *out)
{
	acpi_handle link;

	*out = (struct link_irq){.gsi = 0};
	if (ACPI_FAILURE(acpi_get_handle(bus, (acpi_string)(uintptr_t)source, &link)))
		return false;
	(void)acpi_walk_resources(link, (char *)(uintptr_t)METHOD_NAME__CRS, link_resource, out);
	return out->gsi != 0;
}

/* ---- reading a _PRT ---- */

static void entry_add(acpi_handle handle, unsigned int bus, const struct acpi_pci_routing_table *e)
{
	struct link_irq irq = {.gsi = e->source_index,
			       .flags = IRQ_F_LEVEL | IRQ_F_ACTIVE_LOW | IRQ_F_SHARED};
	uint64_t dev = e->address >> 16;

	if (route_count == ROUTES_MAX || dev > 31 || e->pin > 3)
		return;
	if (e->source[0] != '\0' && !link_read(handle, e->source, &irq))
		return;
	routes[route_count++] = (struct route){.bus = (uint8_t)bus,
					       .dev = (uint8_t)dev,
					       .pin = (uint8_t)(e->pin + 1),
					       .flags = irq.flags,
					       .gsi = irq.gsi};
}

static void prt_read(acpi_handle handle, unsigned int bus)
{
	struct acpi_buffer buf = {.length = ACPI_ALLOCATE_BUFFER, .pointer = NULL};
	const uint8_t *p, *end;

	if (bus_routed[bus] || ACPI_FAILURE(acpi_get_irq_routing_table(handle, &buf)))
		return;
	bus_routed[bus] = true;
	p = buf.pointer;
	end = p + buf.length;
	while ((size_t)(end - p) >= sizeof(struct acpi_pci_routing_table)) {
		const struct acpi_pci_routing_table *e = (const void *)p;

		if (e->length == 0 || e->length > (size_t)(end - p))
			break;
		entry_add(handle, bus, e);
		p += e->length;
	}
	ACPI_FREE(buf.pointer);
}

uint64_t acpi_integer_get(void *handle, const char *name, uint64_t otherwise)
{
	struct acpi_buffer buf = {.length = ACPI_ALLOCATE_BUFFER, .pointer = NULL};
	const union acpi_object *o;
	u64 v = otherwise;

	if (ACPI_FAILURE(acpi_evaluate_object_typed(handle, (acpi_string)(uintptr_t)name, NULL,
						    &buf, ACPI_TYPE_INTEGER)))
		return otherwise;
	o = buf.pointer;
	v = o->integer.value;
	ACPI_FREE(buf.pointer);
	return v;
}

struct walk {
	unsigned int bus, depth;
};

static void children_visit(acpi_handle bridge, unsigned int bus, unsigned int depth);

/* A device object below a bridge: is it a bridge too, and does it have a _PRT? */
static acpi_status child_visit(acpi_handle handle, u32 level, void *context, void **ret)
{
	const struct walk *w = context;
	u64 adr = acpi_integer_get(handle, METHOD_NAME__ADR, UINT64_MAX);
	const struct pci_dev *d;

	(void)level;
	(void)ret;
	if (adr >> 16 > 31 || (adr & 0xffff) > 7)
		return AE_OK;
	d = pci_find(PCI_BDF(w->bus, (unsigned int)(adr >> 16), (unsigned int)(adr & 7)));
	if (!d || d->header != PCI_HEADER_BRIDGE || d->secondary == 0)
		return AE_OK;
	prt_read(handle, d->secondary);
	children_visit(handle, d->secondary, w->depth + 1);
	return AE_OK;
}

/* The tree is firmware's and the stack is ours: real machines have four levels of bridges. */
static void children_visit(acpi_handle bridge, unsigned int bus, unsigned int depth)
{
	struct walk w = {.bus = bus, .depth = depth};

	if (depth < BRIDGE_DEPTH_MAX)
		(void)acpi_walk_namespace(ACPI_TYPE_DEVICE, bridge, 1, child_visit, NULL, &w, NULL);
}

static acpi_status root_visit(acpi_handle handle, u32 level, void *context, void **ret)
{
	unsigned int bus = (unsigned int)acpi_integer_get(handle, METHOD_NAME__BBN, 0) & 0xff;

	(void)level;
	(void)context;
	(void)ret;
	if (acpi_integer_get(handle, METHOD_NAME__SEG, 0) != 0)
		return AE_OK;
	prt_read(handle, bus);
	children_visit(handle, bus, 0);
	return AE_OK;
}

void acpi_prt_load(void)
{
	(void)acpi_get_devices("PNP0A03", root_visit, NULL, NULL);
	(void)acpi_get_devices("PNP0A08", root_visit, NULL, NULL);
	log_info("PCI interrupt routes: count=%u", route_count);
	pci_intx_router_set(prt_route);
}
