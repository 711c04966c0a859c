/* SPDX-License-Identifier: Apache-2.0 */
/*
 * USB: buses, the devices on them, transfers, and the drivers of what devices can do.
 * Owns: finding, numbering and losing devices, their description, which driver has which of
 * their interfaces. Must not know: any host controller or driver.
 *
 * A bus has one thread; it looks at ports, brings devices up, calls drivers' probe() and
 * remove(). What a device is does not change until remove() has returned. Locking: a bus's mutex
 * holds its tree still for who only looks.
 * Trust: descriptors are checked by usb_desc.c; what a transfer brings is the driver's to check.
 */
#ifndef RAYOS_DEVICES_HOST_USB_USB_H
#define RAYOS_DEVICES_HOST_USB_USB_H

#include "devices/host/usb/usb_desc.h"
#include "kernel/device/device.h"
#include "kernel/dma/dma.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/sched/wait.h"

#define USB_CONTROL_MAX 4096u /* bytes a control transfer brings or takes */
#define USB_DEPTH_MAX   5u    /* hubs above one another (USB 2.0, 4.1.1) */

/* As xHCI numbers them in PORTSC (xHCI 1.2, 7.2.2.1.1). */
enum usb_speed {
	USB_SPEED_FULL = 1,
	USB_SPEED_LOW = 2,
	USB_SPEED_HIGH = 3,
	USB_SPEED_SUPER = 4,
	USB_SPEED_SUPER_PLUS = 5,
};

/* The first packet of a control transfer (USB 2.0, 9.3). */
struct usb_setup {
	uint8_t type, request;
	uint16_t value, index, length;
} __packed;
BUILD_ASSERT(sizeof(struct usb_setup) == 8, "USB 2.0, table 9-2");

/* bmRequestType. */
#define USB_REQ_IN        0x80u
#define USB_REQ_CLASS     0x20u
#define USB_REQ_INTERFACE 0x01u
#define USB_REQ_ENDPOINT  0x02u
#define USB_REQ_OTHER     0x03u

enum usb_request {
	USB_GET_STATUS = 0,
	USB_CLEAR_FEATURE = 1,
	USB_SET_FEATURE = 3,
	USB_GET_DESCRIPTOR = 6,
	USB_SET_CONFIGURATION = 9,
};
#define USB_FEATURE_HALT 0u /* of an endpoint */

struct usb_bus;
struct usb_dev;
struct usb_hub;
struct usb_xfer;

/* --- transfers --- */

struct usb_seg {
	dma_addr_t addr;
	uint32_t len; /* bytes, > 0 */
};

/**
 * @err  0; -RAY_EPROTO: the endpoint said STALL, -RAY_EIO: no sense came over the wire: both
 *       halt the endpoint until usb_ep_reset(); -RAY_ECANCELED, -RAY_ENODEV
 * Context: interrupt or thread, IRQs off.
 */
typedef void (*usb_done_fn)(struct usb_xfer *x, int err);

struct usb_xfer {
	/* The driver's, unchanged until done(). */
	struct usb_dev *dev;
	uint8_t ep;                  /* an endpoint's address; 0: control, with `setup` */
	struct usb_setup setup;
	const struct usb_seg *seg;   /* pieces of len bytes in all */
	uint32_t seg_count, len;
	usb_done_fn done;
	void *owner;
	/* The answer. */
	uint32_t got; /* bytes that were moved, at most len */
	/* The host controller's. */
	struct list_head node;
	uint32_t first, trbs;
};

/**
 * Begin a transfer; it ends by done(), perhaps before this returns.
 * Returns: 0; -RAY_ENOSPC (more pieces than the controller takes at once), -RAY_ENODEV,
 *          -RAY_EIO (the endpoint is halted, the controller has failed): done() is not called then.
 * Context: any but NMI, no lock that done() takes.
 */
int __must_check usb_submit(struct usb_xfer *x);
/**
 * Do a transfer and wait for its end, for @ms at most; then it is taken back.
 * Returns: what done() was given, errors of usb_submit(), -RAY_ETIMEDOUT. Context: thread.
 */
int __must_check usb_wait(struct usb_xfer *x, unsigned int ms);
/**
 * End what is under way at an endpoint with -RAY_ECANCELED, and its being halted, here and in
 * the device. 0, -RAY_EIO, -RAY_ENODEV. Context: thread, one at a time for a device.
 */
int __must_check usb_ep_reset(struct usb_dev *d, uint8_t ep);

/**
 * A control transfer on endpoint 0; @buf holds s->length bytes to or from the device.
 * @got  how many came; NULL: all have to
 * Returns: 0, -RAY_EPROTO (refused by the device, or too few bytes), -RAY_ERANGE, -RAY_EIO,
 *          -RAY_ETIMEDOUT, -RAY_ENODEV. Context: thread.
 */
int __must_check usb_control(struct usb_dev *d, const struct usb_setup *s, void *buf,
			     uint32_t *got);

/* --- listening --- */

#define USB_REPORT_MAX 8u /* bytes that are taken of what an interrupt endpoint says at once */

/** @p  a copy, @len bytes, perhaps 0. Context: interrupt or thread, IRQs off. */
typedef void (*usb_heard_fn)(void *owner, const uint8_t *p, uint32_t len);

/* An interrupt endpoint that is asked over and over (USB 2.0, 5.7); usb_listen() fills it in. */
struct usb_listener {
	struct dma_buf mem;
	struct usb_seg seg;
	struct usb_xfer xfer;
	usb_heard_fn heard;
};

/**
 * Tell @heard what an interrupt endpoint says, until its device is gone or it is halted by an
 * error.
 * @in  that endpoint, IN; the bytes of one packet, at most USB_REPORT_MAX, are asked for
 * Returns: 0: @l and @owner stay until usb_listen_end(); errors of dma_alloc() and usb_submit():
 *          nothing is left of it. Context: thread; @heard may be called before this returns.
 * Trust: bytes and their number are the device's.
 */
int __must_check usb_listen(struct usb_listener *l, struct usb_dev *d,
			    const struct usb_endpoint *in, usb_heard_fn heard, void *owner);
/** Its memory goes. Pre: the device's transfers have ended, as before a driver's remove(). */
void usb_listen_end(struct usb_listener *l);

/* --- devices --- */

struct usb_driver;

struct usb_binding {
	const struct usb_driver *driver; /* NULL: nobody takes that interface */
	void *priv;
};

struct usb_dev {
	struct device dev;
	struct usb_bus *bus;
	struct usb_hub *hub;  /* it hangs on */
	uint8_t port;         /* of that hub, from 1 */
	uint8_t root_port;    /* the one of the bus's own hub above it */
	uint8_t depth;        /* hubs between it and the root hub */
	uint32_t route;       /* 4 bits a hub, the nearest to the root lowest (xHCI 1.2, 8.9) */
	enum usb_speed speed;
	struct usb_dev *tt;   /* the hub that speaks to it where that is slower; NULL */
	uint8_t tt_port;
	struct usb_ident ident;
	struct usb_config config;
	char maker[USB_TEXT_LEN], name[USB_TEXT_LEN], serial[USB_TEXT_LEN];
	struct usb_binding bound[USB_IFACES_MAX];
	bool gone;            /* atomic: unplugged */
	void *hc;             /* the host controller's */
	struct dma_buf data;  /* of control transfers, under ... */
	struct mutex control; /* ... this */
};

/* --- drivers --- */

struct usb_driver {
	struct driver base;
	uint8_t class_code, subclass, protocol; /* of an interface; USB_ANY: whatever it is */
	/**
	 * Take an interface: its endpoints work. Returns: 0, with *priv if it likes; or an error
	 * after undoing everything. Context: the bus's thread.
	 */
	int (*probe)(struct usb_dev *d, const struct usb_interface *i, void **priv);
	/** The device is gone (d->gone: transfers end with -RAY_ENODEV) or its bus stops. */
	void (*remove)(void *priv);
};
#define USB_ANY 0xffu

/* Order-free: one driver at most matches an interface. */
#define USB_DRIVER(ident, ...)                                                                   \
	static const struct usb_driver usb_driver_##ident = { __VA_ARGS__ };                     \
	static const struct usb_driver *const usb_driver_ptr_##ident                             \
		__attribute__((used, section("rayos_usb_drivers"))) = &usb_driver_##ident;       \
	DRIVER_REGISTER(usb_##ident, usb_driver_##ident.base)

/* --- hubs --- */

struct usb_port_state {
	bool connected, enabled;
	bool changed;         /* since it was asked last: something was plugged or unplugged */
	enum usb_speed speed; /* where enabled */
};

struct usb_hub_ops {
	/** What a port is like; its changes are taken with that. 0, -RAY_EIO, -RAY_ENODEV. */
	int (*state)(struct usb_hub *h, uint8_t port, struct usb_port_state *out);
	/** Reset what hangs on a port and wait until that is over. 0, -RAY_EIO, -RAY_ETIMEDOUT. */
	int (*reset)(struct usb_hub *h, uint8_t port);
};

struct usb_hub {
	struct list_head node; /* of the bus's hubs */
	struct usb_bus *bus;
	struct usb_dev *dev;   /* NULL: the bus's own */
	const struct usb_hub_ops *ops;
	uint8_t ports;
	bool super;            /* of the SuperSpeed half of a hub */
	uint32_t todo;         /* atomic: its ports are to be looked at */
	struct usb_dev **child; /* by port, from 1 */
	bool *broken;          /* by port: what hangs there does not come up; left alone */
};

/** Make a hub known to its bus; its ports are looked at soon. 0, -RAY_ENOMEM. Context: thread. */
int __must_check usb_hub_add(struct usb_hub *h);
/** Its devices are removed. Context: the bus's thread. */
void usb_hub_remove(struct usb_hub *h);
/** Something has changed at a port. Context: any but NMI. */
void usb_hub_wake(struct usb_hub *h);

/* --- host controllers --- */

struct usb_hc_ops {
	/** Address a device that was reset: endpoint 0 works, with packets of its speed's size. */
	int (*attach)(struct usb_dev *d);
	/** Its endpoint 0 takes packets of @bytes. */
	int (*packet0)(struct usb_dev *d, uint16_t bytes);
	/** The endpoints of d->config are to work. */
	int (*configure)(struct usb_dev *d);
	/** It is a hub with so many ports. @think  of its transaction translator, 0 to 3 */
	int (*hub)(struct usb_dev *d, uint8_t ports, uint8_t think);
	/** All its transfers have ended, with -RAY_ENODEV, and none begins. After attach(). */
	void (*detach)(struct usb_dev *d);
	int (*submit)(struct usb_xfer *x);
	/** As usb_ep_reset(), but for the device's side of it. */
	int (*ep_reset)(struct usb_dev *d, uint8_t ep);
	/** It has failed: begin anew. No device is left. 0: it works again. */
	int (*restart)(struct usb_bus *b);
};

struct pci_dev;

struct usb_bus {
	struct list_head node;
	struct device dev;
	unsigned int number;
	const struct usb_hc_ops *ops;
	struct pci_dev *pci;
	uint64_t dma_max;
	struct usb_hub root;   /* ops and ports are the host controller's to fill in */
	struct list_head hubs; /* the thread's */
	struct mutex tree;     /* who looks at devices from outside holds it */
	struct thread *thread;
	struct waitq wake;
	uint32_t todo;         /* atomic: BUS_* of usb.c */
};

/**
 * A host controller runs. @b: ops, pci, dma_max, root.ops and root.ports are filled in; it stays
 * until usb_bus_remove(). Disks on it are found by its thread; block_settle() waits for those that
 * are plugged in already. 0, -RAY_ENOMEM. Context: thread.
 */
int __must_check usb_bus_add(struct usb_bus *b);
/** All devices are removed, the thread is gone. Context: thread. */
void usb_bus_remove(struct usb_bus *b);
/** The controller has failed: its devices are removed, restart() is called. Context: any but NMI. */
void usb_bus_trouble(struct usb_bus *b);

/* usb_dev.c: the bus's thread calls these */
/** What hangs on a port of a hub and was reset, brought up, with its drivers. NULL: it does not
 *  come up; *err says why. */
struct usb_dev *usb_dev_create(struct usb_hub *h, uint8_t port, enum usb_speed speed, int *err);
/** It is gone, or to be: its drivers leave, it is freed. */
void usb_dev_remove(struct usb_dev *d);

/** Its bus and the ports on the way to it: "1-2.4". */
void usb_place(const struct usb_dev *d, char out[DEVICE_NAME_LEN]);
/** Call @fn for each device of all buses, hubs before what hangs on them. Context: thread. */
void usb_for_each(void (*fn)(const struct usb_dev *d, void *ctx), void *ctx);

#endif
