/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stick as bot_run() sees it through usb_wait(), usb_control() and usb_ep_reset(): it keeps to
 * the order of the bulk-only transport, has a SCSI disk behind it, and stalls, is silent or
 * answers nonsense where it is told to. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_STICK_H
#define RAYOS_TESTS_HOST_FAKE_STICK_H

#include <stdlib.h>

#include "devices/host/usb/usb_storage.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_scsi.h"

#define STICK_ADDR 0x1000u /* where the stick's memory is on the bus */
#define STICK_IN   0x81u
#define STICK_OUT  0x02u

enum stick_phase { STICK_COMMAND, STICK_DATA, STICK_STATUS };

static struct {
	struct fake_scsi disk;
	enum stick_phase phase;
	uint8_t cbw[BOT_CBW_LEN];
	uint8_t status;
	uint32_t residue;
	uint8_t sense[SCSI_SENSE_MAX];
	size_t sense_len;
	bool halted[2];   /* OUT, IN */
	bool lost;        /* out of step: stalls everything until it is reset */
	bool dead;        /* and that does not help */
	bool gone;
	unsigned int resets, unhalts;
	/* What it does wrong, once each. */
	bool stall_data, stall_status, short_data, silent_data;
	bool bad_signature, bad_tag, bad_status, bad_residue, short_status, phase_error;
} fake_stick;

static struct usb_dev fake_stick_dev;
static struct bot_shared fake_stick_mem;
static struct stick fake_stick_driver;

static bool once(bool *flag)
{
	bool was = *flag;

	*flag = false;
	return was;
}

static void *stick_at(const struct usb_seg *s)
{
	if (s->addr.v < STICK_ADDR || s->addr.v - STICK_ADDR > sizeof(fake_stick_mem) ||
	    s->len > sizeof(fake_stick_mem) - (s->addr.v - STICK_ADDR))
		abort(); /* memory that is not its own */
	return (char *)&fake_stick_mem + (s->addr.v - STICK_ADDR);
}

static int stick_command(const struct usb_xfer *x)
{
	if (x->ep != STICK_OUT || x->len != BOT_CBW_LEN)
		return -RAY_EPROTO;
	memcpy(fake_stick.cbw, stick_at(&x->seg[0]), BOT_CBW_LEN);
	if (load32(fake_stick.cbw) != 0x43425355u)
		return -RAY_EPROTO;
	fake_stick.residue = load32(fake_stick.cbw + 8);
	fake_stick.status = 0;
	fake_stick.phase = fake_stick.residue ? STICK_DATA : STICK_STATUS;
	return 0;
}

static void stick_scsi(void *in, uint32_t in_len, const void *out, uint32_t out_len, uint32_t *got)
{
	struct fake_answer a = {.descriptors = false};
	const uint8_t *cdb = fake_stick.cbw + 15;

	if (cdb[0] == SCSI_REQUEST_SENSE) {
		*got = MIN((uint32_t)fake_stick.sense_len, in_len);
		memcpy(in, fake_stick.sense, *got);
		return;
	}
	fake_scsi_do(&fake_stick.disk, cdb, out, out_len, in, in_len, &a);
	*got = in_len ? (uint32_t)a.got : out_len;
	fake_stick.status = a.status == SCSI_GOOD ? 0 : 1;
	memcpy(fake_stick.sense, a.sense, sizeof(a.sense));
	fake_stick.sense_len = a.sense_len;
	if (fake_stick.status)
		*got = 0;
}

static int stick_data(struct usb_xfer *x)
{
	bool in = (fake_stick.cbw[12] & 0x80u) != 0;
	void *p = stick_at(&x->seg[0]);
	uint32_t got = 0;

	if (x->ep != (in ? STICK_IN : STICK_OUT) || x->len != load32(fake_stick.cbw + 8))
		return -RAY_EPROTO;
	if (once(&fake_stick.silent_data))
		return -RAY_ETIMEDOUT;
	stick_scsi(in ? p : NULL, in ? x->len : 0, in ? NULL : p, in ? 0 : x->len, &got);
	fake_stick.phase = STICK_STATUS;
	if (once(&fake_stick.short_data))
		got /= 2;
	fake_stick.residue -= got;
	x->got = got;
	if (once(&fake_stick.stall_data)) {
		fake_stick.halted[in] = true;
		return -RAY_EPROTO;
	}
	return 0;
}

static int stick_status(struct usb_xfer *x)
{
	uint8_t p[BOT_CSW_LEN] = {0};
	uint32_t none;

	if (x->ep != STICK_IN || x->len != BOT_CSW_LEN)
		return -RAY_EPROTO;
	if (once(&fake_stick.stall_status)) {
		fake_stick.halted[1] = true;
		return -RAY_EPROTO;
	}
	if (load32(fake_stick.cbw + 8) == 0)
		stick_scsi(NULL, 0, NULL, 0, &none);
	store32(p, once(&fake_stick.bad_signature) ? 0x12345678u : 0x53425355u);
	store32(p + 4, load32(fake_stick.cbw + 4) + once(&fake_stick.bad_tag));
	store32(p + 8, once(&fake_stick.bad_residue) ? UINT32_MAX : fake_stick.residue);
	p[12] = fake_stick.status;
	if (once(&fake_stick.bad_status))
		p[12] = 9;
	if (once(&fake_stick.phase_error))
		p[12] = 2;
	x->got = once(&fake_stick.short_status) ? 12 : BOT_CSW_LEN;
	memcpy(stick_at(&x->seg[0]), p, sizeof(p));
	fake_stick.phase = STICK_COMMAND;
	return 0;
}

int usb_wait(struct usb_xfer *x, unsigned int ms)
{
	int err;

	assert(ms > 0 && x->dev == &fake_stick_dev);
	x->got = 0;
	if (fake_stick.gone)
		return -RAY_ENODEV;
	/* A halted endpoint takes nothing: the driver has to know. */
	assert(!fake_stick.halted[x->ep == STICK_IN]);
	if (fake_stick.lost)
		err = -RAY_EPROTO;
	else if (fake_stick.phase == STICK_COMMAND)
		err = stick_command(x);
	else
		err = fake_stick.phase == STICK_DATA ? stick_data(x) : stick_status(x);
	if (err == -RAY_EPROTO && !fake_stick.halted[x->ep == STICK_IN]) {
		fake_stick.lost = true;
		fake_stick.halted[x->ep == STICK_IN] = true;
	}
	if (err == -RAY_ETIMEDOUT)
		fake_stick.lost = true;
	return err;
}

int usb_control(struct usb_dev *d, const struct usb_setup *s, void *buf, uint32_t *got)
{
	assert(d == &fake_stick_dev);
	if (fake_stick.gone)
		return -RAY_ENODEV;
	if (s->request == 0xfe) {
		*(uint8_t *)buf = 0;
		return 0;
	}
	assert(s->request == 0xff && s->length == 0 && !got);
	if (fake_stick.dead)
		return -RAY_ETIMEDOUT;
	fake_stick.resets++;
	fake_stick.phase = STICK_COMMAND;
	fake_stick.lost = false;
	return 0;
}

int usb_ep_reset(struct usb_dev *d, uint8_t ep)
{
	assert(d == &fake_stick_dev && (ep == STICK_IN || ep == STICK_OUT));
	if (fake_stick.gone)
		return -RAY_ENODEV;
	fake_stick.halted[ep == STICK_IN] = false;
	fake_stick.unhalts++;
	return 0;
}

static void fake_stick_init(void)
{
	memset(&fake_stick, 0, sizeof(fake_stick));
	fake_scsi_init(&fake_stick.disk);
	fake_stick_driver = (struct stick){
		.usb = &fake_stick_dev, .in = STICK_IN, .out = STICK_OUT,
		.mem = {.va = &fake_stick_mem, .addr = {STICK_ADDR}, .size = sizeof(fake_stick_mem)}};
}

#endif
