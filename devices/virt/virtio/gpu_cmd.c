/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of a 2D display (virtio 1.2, 5.7.6): read once, checked, done, answered. */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/gpu_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

/* One turn: commands, and bytes of pixels. */
#define TURN_COMMANDS 32u
#define TURN_BYTES    KIB(256)

#define MORE 0u /* instead of a response's type: to be continued */

struct call {
	struct vgpu_dev *g;
	const struct virtq_chain *chain;
	union vgpu_body body;
	uint32_t reply_len; /* of g->reply, behind the header */
	int64_t budget;
};

static uint32_t answer_for(int err)
{
	switch (err) {
	case 0:
		return VGPU_OK_NODATA;
	case -RAY_ENOSPC:
	case -RAY_ENOMEM:
		return VGPU_ERR_OUT_OF_MEMORY;
	case -RAY_EEXIST:
		return VGPU_ERR_INVALID_RESOURCE_ID;
	default:
		return VGPU_ERR_INVALID_PARAMETER;
	}
}

/* --- display --- */

static uint32_t get_display_info(struct call *c)
{
	struct vgpu_display_info *info = &c->g->reply.info;

	memset(info, 0, sizeof(*info));
	info->mode[0].rect.width = c->g->back->width;
	info->mode[0].rect.height = c->g->back->height;
	info->mode[0].enabled = 1;
	c->reply_len = sizeof(*info);
	return VGPU_OK_DISPLAY_INFO;
}

static uint32_t get_edid(struct call *c)
{
	struct vgpu_edid_reply *reply = &c->g->reply.edid;

	if (!virtio_has(&c->g->v, VGPU_F_EDID))
		return VGPU_ERR_UNSPEC;
	if (c->body.edid.scanout != 0)
		return VGPU_ERR_INVALID_SCANOUT_ID;
	memset(reply, 0, sizeof(*reply));
	reply->size = VGPU_EDID_SIZE;
	vgpu_edid(reply->edid, c->g->back->width, c->g->back->height);
	c->reply_len = sizeof(*reply);
	return VGPU_OK_EDID;
}

static uint32_t set_scanout(struct call *c)
{
	struct vgpu_dev *g = c->g;
	struct vgpu_res *r;

	if (c->body.scanout.scanout != 0)
		return VGPU_ERR_INVALID_SCANOUT_ID;
	if (c->body.scanout.id == 0) {
		vgpu_show(g, NULL, NULL);
		return VGPU_OK_NODATA;
	}
	r = vgpu_res_find(&g->set, c->body.scanout.id);
	if (!r)
		return VGPU_ERR_INVALID_RESOURCE_ID;
	if (!vgpu_res_holds(r, &c->body.scanout.rect))
		return VGPU_ERR_INVALID_PARAMETER;
	vgpu_show(g, r, &c->body.scanout.rect);
	return VGPU_OK_NODATA;
}

/* What was transferred is on the screen already; the flush says that a frame is whole. */
static uint32_t flush(struct call *c)
{
	struct vgpu_res *r = vgpu_res_find(&c->g->set, c->body.flush.id);

	if (!r)
		return VGPU_ERR_INVALID_RESOURCE_ID;
	if (!vgpu_res_holds(r, &c->body.flush.rect))
		return VGPU_ERR_INVALID_PARAMETER;
	if (r == c->g->screen)
		__atomic_fetch_add(&c->g->back->frames, 1, __ATOMIC_RELAXED);
	return VGPU_OK_NODATA;
}

/* --- resources --- */

static uint32_t create(struct call *c)
{
	struct vgpu_res *r;
	int err = vgpu_res_create(&c->g->set, c->body.create.id, c->body.create.format,
				  c->body.create.width, c->body.create.height, &r);

	if (err == -RAY_ENOSPC)
		virtio_quota_event(&c->g->v);
	return answer_for(err);
}

static uint32_t unref(struct call *c)
{
	struct vgpu_res *r = vgpu_res_find(&c->g->set, c->body.unref.id);

	if (!r)
		return VGPU_ERR_INVALID_RESOURCE_ID;
	if (c->g->screen == r)
		vgpu_show(c->g, NULL, NULL);
	vgpu_res_destroy(&c->g->set, r);
	return VGPU_OK_NODATA;
}

static uint32_t attach_backing(struct call *c)
{
	struct vgpu_res *r = vgpu_res_find(&c->g->set, c->body.attach.id);
	uint32_t n = c->body.attach.entries, at, bytes;
	int err;

	if (!r)
		return VGPU_ERR_INVALID_RESOURCE_ID;
	if (r->entry)
		return VGPU_ERR_UNSPEC;
	err = vgpu_backing_create(&c->g->set, r, n);
	if (err == -RAY_ENOSPC)
		virtio_quota_event(&c->g->v);
	if (err)
		return answer_for(err);
	at = sizeof(struct vgpu_hdr) + sizeof(c->body.attach);
	bytes = n * (uint32_t)sizeof(r->entry[0]);
	if (virtq_chain_read(c->chain, at, r->entry, bytes) != bytes ||
	    vgpu_backing_check(&c->g->v.dev.vm->mem, r)) {
		vgpu_backing_destroy(&c->g->set, r);
		return VGPU_ERR_INVALID_PARAMETER;
	}
	c->budget -= bytes;
	return VGPU_OK_NODATA;
}

static uint32_t detach_backing(struct call *c)
{
	struct vgpu_res *r = vgpu_res_find(&c->g->set, c->body.detach.id);

	if (!r)
		return VGPU_ERR_INVALID_RESOURCE_ID;
	if (!r->entry)
		return VGPU_ERR_UNSPEC;
	vgpu_backing_destroy(&c->g->set, r);
	return VGPU_OK_NODATA;
}

static uint32_t transfer_go_on(struct call *c)
{
	int err = vgpu_transfer_step(&c->g->transfer, &c->g->v.dev.vm->mem, &c->budget);

	c->g->busy = err > 0;
	return err > 0 ? MORE : answer_for(err);
}

static uint32_t transfer(struct call *c)
{
	struct vgpu_res *r = vgpu_res_find(&c->g->set, c->body.transfer.id);

	if (!r)
		return VGPU_ERR_INVALID_RESOURCE_ID;
	if (!r->entry)
		return VGPU_ERR_UNSPEC;
	if (vgpu_transfer_begin(&c->g->transfer, r, &c->body.transfer.rect,
				c->body.transfer.offset))
		return VGPU_ERR_INVALID_PARAMETER;
	return transfer_go_on(c);
}

/* --- cursor --- */

static void cursor_place(struct call *c)
{
	c->g->cursor.x = c->body.cursor.x;
	c->g->cursor.y = c->body.cursor.y;
}

static void cursor_image(struct vgpu_cursor *cursor, const struct vgpu_res *r)
{
	for (uint32_t y = 0; y < VGPU_CURSOR_SIDE; y++) {
		const uint8_t *row = vgpu_res_row(r, y);
		uint32_t *to = &cursor->argb[(size_t)y * VGPU_CURSOR_SIDE];

		vgpu_pixels(to, row, VGPU_CURSOR_SIDE, r->format);
		for (uint32_t x = 0; row && x < VGPU_CURSOR_SIDE; x++)
			to[x] |= (uint32_t)vgpu_alpha(row + (size_t)x * 4, r->format) << 24;
	}
}

static uint32_t update_cursor(struct call *c)
{
	struct vgpu_cursor *cursor = &c->g->cursor;
	struct vgpu_res *r;

	if (c->body.cursor.scanout != 0)
		return VGPU_ERR_INVALID_SCANOUT_ID;
	if (c->body.cursor.id != 0) {
		r = vgpu_res_find(&c->g->set, c->body.cursor.id);
		if (!r)
			return VGPU_ERR_INVALID_RESOURCE_ID;
		if (r->width != VGPU_CURSOR_SIDE || r->height != VGPU_CURSOR_SIDE)
			return VGPU_ERR_INVALID_PARAMETER;
		cursor_image(cursor, r);
	}
	cursor->visible = c->body.cursor.id != 0;
	cursor->hot_x = c->body.cursor.hot_x;
	cursor->hot_y = c->body.cursor.hot_y;
	cursor_place(c);
	c->budget -= (int64_t)sizeof(cursor->argb);
	return VGPU_OK_NODATA;
}

static uint32_t move_cursor(struct call *c)
{
	if (c->body.cursor.scanout != 0)
		return VGPU_ERR_INVALID_SCANOUT_ID;
	cursor_place(c);
	return VGPU_OK_NODATA;
}

/* --- which there are --- */

static const struct command {
	uint16_t type;
	uint8_t queue, body; /* bytes behind the header */
	enum policy_verb verb;
	uint32_t (*fn)(struct call *c);
} commands[] = {
	{VGPU_GET_DISPLAY_INFO, VGPU_CONTROLQ, 0, POLICY_CONFIGURE, get_display_info},
	{VGPU_RESOURCE_CREATE_2D, VGPU_CONTROLQ, 16, POLICY_CREATE, create},
	{VGPU_RESOURCE_UNREF, VGPU_CONTROLQ, 8, POLICY_DESTROY, unref},
	{VGPU_SET_SCANOUT, VGPU_CONTROLQ, 24, POLICY_CONFIGURE, set_scanout},
	{VGPU_RESOURCE_FLUSH, VGPU_CONTROLQ, 24, POLICY_FLUSH, flush},
	{VGPU_TRANSFER_TO_HOST_2D, VGPU_CONTROLQ, 32, POLICY_TRANSFER, transfer},
	{VGPU_RESOURCE_ATTACH_BACKING, VGPU_CONTROLQ, 8, POLICY_CONFIGURE, attach_backing},
	{VGPU_RESOURCE_DETACH_BACKING, VGPU_CONTROLQ, 8, POLICY_CONFIGURE, detach_backing},
	{VGPU_GET_EDID, VGPU_CONTROLQ, 8, POLICY_CONFIGURE, get_edid},
	{VGPU_UPDATE_CURSOR, VGPU_CURSORQ, 32, POLICY_CONFIGURE, update_cursor},
	{VGPU_MOVE_CURSOR, VGPU_CURSORQ, 32, POLICY_CONFIGURE, move_cursor},
};
BUILD_ASSERT(sizeof(union vgpu_body) == 32, "the longest of them");

static const struct command *command_find(uint32_t type, uint16_t queue)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].type == type && commands[i].queue == queue)
			return &commands[i];
	}
	return NULL;
}

static uint64_t area(uint32_t width, uint32_t height)
{
	return 4ull * MIN(width, VGPU_SIDE_MAX) * MIN(height, VGPU_SIDE_MAX);
}

/* What the policy is asked about, as it counts it. */
static uint64_t amount(const struct call *c, enum policy_verb verb)
{
	const struct vgpu_res *r;

	switch (verb) {
	case POLICY_CREATE:
		return area(c->body.create.width, c->body.create.height);
	case POLICY_TRANSFER:
		return area(c->body.transfer.rect.width, c->body.transfer.rect.height);
	case POLICY_DESTROY:
		r = vgpu_res_find(&c->g->set, c->body.unref.id);
		return r ? area(r->width, r->height) : 0;
	default:
		return 0;
	}
}

/* --- answering --- */

static uint32_t answer(struct call *c, uint32_t type)
{
	const struct vgpu_hdr *req = &c->g->hdr;
	struct vgpu_hdr hdr = {.type = type};

	if (type >= VGPU_ERR_UNSPEC)
		c->reply_len = 0;
	if (c->chain->in_len < sizeof(hdr) + c->reply_len) {
		c->reply_len = 0;
		hdr.type = VGPU_ERR_UNSPEC; /* no room for what was asked for */
	}
	/* All is done when it is answered, so a fence is behind it at once (5.7.6.7). */
	if (req->flags & VGPU_FLAG_FENCE) {
		hdr.flags = VGPU_FLAG_FENCE;
		hdr.fence_id = req->fence_id;
		hdr.ctx_id = req->ctx_id;
		hdr.ring_idx = req->ring_idx;
	}
	if (c->chain->in_len < sizeof(hdr))
		return 0; /* the cursor's commands need no answer */
	(void)virtq_chain_write(c->chain, 0, &hdr, sizeof(hdr));
	(void)virtq_chain_write(c->chain, sizeof(hdr), &c->g->reply, c->reply_len);
	return (uint32_t)sizeof(hdr) + c->reply_len;
}

static void finish(struct call *c, struct virtq *q, const struct command *cmd, uint64_t bytes,
		   uint32_t type)
{
	uint32_t written;

	vhandler_done(&c->g->v.attach->handler, cmd->verb, bytes, c->g->begun,
		      type < VGPU_ERR_UNSPEC);
	written = answer(c, type);
	virtq_done(q, c->chain, written);
}

/* --- serving --- */

/* A command that has not begun. VIRTQ_IDLE: answered, go on. */
static enum virtq_result begin(struct call *c, struct virtq *q)
{
	struct vgpu_dev *g = c->g;
	const struct command *cmd;
	uint64_t bytes, when;
	uint32_t type;

	g->begun = rdtsc();
	if (virtq_chain_read(c->chain, 0, &g->hdr, sizeof(g->hdr)) != sizeof(g->hdr) ||
	    (q->index == VGPU_CONTROLQ && c->chain->in_len < sizeof(g->hdr))) {
		virtio_dev_break(&g->v, "command or response shorter than its header");
		return VIRTQ_IDLE;
	}
	cmd = command_find(g->hdr.type, q->index);
	if (!cmd) {
		virtq_done(q, c->chain, answer(c, VGPU_ERR_UNSPEC));
		return VIRTQ_IDLE;
	}
	if (virtq_chain_read(c->chain, sizeof(g->hdr), &c->body, cmd->body) != cmd->body) {
		finish(c, q, cmd, 0, VGPU_ERR_INVALID_PARAMETER);
		return VIRTQ_IDLE;
	}
	bytes = amount(c, cmd->verb);
	switch (vhandler_admit(&g->v.attach->handler, cmd->verb, bytes, g->begun, &when)) {
	case VHANDLER_WAIT:
		return virtq_wait_until(q, when);
	case VHANDLER_DENIED:
		virtq_done(q, c->chain, answer(c, VGPU_ERR_UNSPEC));
		return VIRTQ_IDLE;
	case VHANDLER_GO:
		break;
	}
	type = cmd->fn(c);
	if (type == MORE)
		return VIRTQ_MORE;
	finish(c, q, cmd, bytes, type);
	return VIRTQ_IDLE;
}

/* The chain may read otherwise by now: only where the answer goes is looked up in it. */
static enum virtq_result go_on(struct call *c, struct virtq *q)
{
	const struct vgpu_rect *rect = &c->g->transfer.rect;
	uint32_t type = transfer_go_on(c);

	if (type == MORE)
		return VIRTQ_MORE;
	finish(c, q, command_find(VGPU_TRANSFER_TO_HOST_2D, VGPU_CONTROLQ),
	       area(rect->width, rect->height), type);
	return VIRTQ_IDLE;
}

enum virtq_result vgpu_serve(struct vgpu_dev *g, struct virtq *q)
{
	struct call c = {.g = g, .budget = TURN_BYTES};
	enum virtq_result r = VIRTQ_MORE;
	struct virtq_chain *chain;

	for (unsigned int i = 0; i < TURN_COMMANDS && c.budget > 0 && !g->v.broken; i++) {
		int got = virtq_next(q, &chain);

		if (got <= 0) {
			r = got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
			break;
		}
		c.chain = chain;
		c.reply_len = 0;
		r = g->busy && q->index == VGPU_CONTROLQ ? go_on(&c, q) : begin(&c, q);
		if (r != VIRTQ_IDLE)
			break;
		r = VIRTQ_MORE;
	}
	virtq_flush(q);
	return g->v.broken ? VIRTQ_IDLE : r;
}
