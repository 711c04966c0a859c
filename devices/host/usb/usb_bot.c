/* SPDX-License-Identifier: Apache-2.0 */
/* USB mass storage: a command, its data, its status (5, 6). */
#include <string.h>

#include "devices/host/usb/usb_storage.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

#define CBW_SIGNATURE 0x43425355u
#define CSW_SIGNATURE 0x53425355u
#define CBW_IN        0x80u
#define REQ_RESET     0xffu /* 3.1 */
#define REQ_MAX_LUN   0xfeu /* 3.2 */
#define UNITS_MAX     15u

#define COMMAND_MS 5000u
#define DATA_MS    30000u /* a cheap stick tidies up for seconds while it writes */
#define STATUS_MS  30000u

enum csw_status { CSW_PASSED, CSW_FAILED, CSW_PHASE_ERROR };

struct usb_seg bot_piece(const struct stick *s, const void *member, uint32_t len)
{
	uint64_t off = (uint64_t)((const char *)member - (const char *)s->mem.va);

	return (struct usb_seg){.addr = {s->mem.addr.v + off}, .len = len};
}

/* One piece, to or from the stick. */
static int piece_move(struct stick *s, uint8_t ep, struct usb_seg seg, unsigned int ms,
		      uint32_t *got)
{
	struct usb_xfer x = {.dev = s->usb, .ep = ep, .seg = &seg, .seg_count = 1, .len = seg.len};
	int err = usb_wait(&x, ms);

	*got = x.got;
	return err;
}

static void cbw_fill(struct stick *s, const struct bot_cmd *c)
{
	uint8_t *p = bot_shared(s)->cbw;

	memset(p, 0, BOT_CBW_LEN);
	store32(p, CBW_SIGNATURE);
	store32(p + 4, ++s->tag);
	store32(p + 8, c->len);
	p[12] = c->in ? CBW_IN : 0;
	p[13] = c->lun;
	p[14] = c->cdb_len;
	memcpy(p + 15, c->cdb, c->cdb_len);
}

static int command_phase(struct stick *s, const struct bot_cmd *c)
{
	uint32_t got;

	cbw_fill(s, c);
	return piece_move(s, s->out, bot_piece(s, bot_shared(s)->cbw, BOT_CBW_LEN), COMMAND_MS,
			  &got);
}

/* A stall ends the data early; the status comes all the same (6.7.2, 6.7.3). */
static int data_phase(struct stick *s, const struct bot_cmd *c, uint32_t *got)
{
	struct usb_xfer x = {.dev = s->usb, .ep = c->in ? s->in : s->out, .seg = c->seg,
			     .seg_count = c->seg_count, .len = c->len};
	int err;

	*got = 0;
	if (c->len == 0)
		return 0;
	err = usb_wait(&x, DATA_MS);
	*got = x.got;
	return err == -RAY_EPROTO ? usb_ep_reset(s->usb, x.ep) : err;
}

/* Valid and meaningful, 6.3. Returns: its status, -RAY_EPROTO. */
static int csw_take(const struct stick *s, const struct bot_cmd *c, uint32_t len, uint32_t *got)
{
	uint8_t p[BOT_CSW_LEN];
	uint32_t residue;

	memcpy(p, bot_shared(s)->csw, sizeof(p));
	residue = load32(p + 8);
	if (len != BOT_CSW_LEN || load32(p) != CSW_SIGNATURE || load32(p + 4) != s->tag ||
	    p[12] >= CSW_PHASE_ERROR || residue > c->len)
		return -RAY_EPROTO;
	*got = MIN(*got, c->len - residue);
	return p[12];
}

static int status_phase(struct stick *s, const struct bot_cmd *c, uint32_t *got)
{
	struct usb_seg seg = bot_piece(s, bot_shared(s)->csw, BOT_CSW_LEN);
	uint32_t len;
	int err = piece_move(s, s->in, seg, STATUS_MS, &len);

	/* Figure 2: a stall once. */
	if (err == -RAY_EPROTO) {
		err = usb_ep_reset(s->usb, s->in);
		if (!err)
			err = piece_move(s, s->in, seg, STATUS_MS, &len);
	}
	return err ? err : csw_take(s, c, len, got);
}

int bot_reset(struct stick *s)
{
	struct usb_setup req = {.type = USB_REQ_CLASS | USB_REQ_INTERFACE, .request = REQ_RESET,
				.index = s->iface};
	int err = usb_control(s->usb, &req, NULL, NULL);

	if (!err)
		err = usb_ep_reset(s->usb, s->in);
	return err ? err : usb_ep_reset(s->usb, s->out);
}

int bot_run(struct stick *s, const struct bot_cmd *c, uint32_t *got)
{
	int err = command_phase(s, c);

	*got = 0;
	if (!err)
		err = data_phase(s, c, got);
	if (!err)
		err = status_phase(s, c, got);
	if (err >= 0 || err == -RAY_ENODEV)
		return err;
	return bot_reset(s) ? -RAY_EIO : -RAY_EAGAIN;
}

unsigned int bot_units(struct stick *s)
{
	struct usb_setup req = {.type = USB_REQ_IN | USB_REQ_CLASS | USB_REQ_INTERFACE,
				.request = REQ_MAX_LUN, .index = s->iface, .length = 1};
	uint8_t last;

	return usb_control(s->usb, &req, &last, NULL) == 0 && last <= UNITS_MAX ? last + 1u : 1u;
}

uint32_t bot_sense(struct stick *s, uint8_t lun)
{
	static const uint8_t cdb[6] = {SCSI_REQUEST_SENSE, [4] = BOT_SENSE};
	struct usb_seg seg = bot_piece(s, bot_shared(s)->sense, BOT_SENSE);
	struct bot_cmd c = {.lun = lun, .cdb = cdb, .cdb_len = sizeof(cdb), .in = true,
			    .seg = &seg, .seg_count = 1, .len = BOT_SENSE};
	uint32_t got;

	return bot_run(s, &c, &got) == 0 ? got : 0;
}
