/* SPDX-License-Identifier: Apache-2.0 */
#include "net/frame.h"

#include "kernel/lib/fmt.h"

int net_frame_init(struct net_frame *f, uint8_t *head, const struct net_seg *seg, uint32_t count,
		   uint32_t skip)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += seg[i].len;
	return net_frame_begin(f, head, seg, count, skip, sum);
}

int net_frame_begin(struct net_frame *f, uint8_t *head, const struct net_seg *seg, uint32_t count,
		    uint32_t skip, uint64_t sum)
{
	struct net_cursor c = {.at = NULL};
	uint32_t len;

	if (unlikely(sum < (uint64_t)skip + NET_ETH_HLEN))
		return -RAY_EPROTO;
	if (unlikely(sum - skip > NET_FRAME_MAX))
		return -RAY_E2BIG;
	len = (uint32_t)(sum - skip);
	for (; skip >= seg->len; seg++, count--)
		skip -= seg->len;
	c.next = seg;
	c.seg_left = count;
	c.skip = skip;
	net_cursor_next(&c);
	f->head = head;
	f->head_len = MIN(len, NET_HEAD_MAX);
	f->len = len;
	net_cursor_copy(&c, head, f->head_len);
	f->seg = c.next - 1;
	f->seg_count = c.seg_left + 1;
	f->seg_skip = f->seg->len - c.left;
	f->flags = 0;
	f->gso_type = NET_GSO_NONE;
	f->parse.flow = 0;
	return 0;
}

void net_mac_format(char out[NET_MAC_TEXT], uint64_t mac)
{
	uint8_t b[6];

	net_mac_store(b, mac);
	ray_snprintf(out, NET_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		     b[4], b[5]);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -RAY_EINVAL;
}

int net_mac_parse(const char *text, size_t len, uint64_t *out)
{
	uint8_t b[6];

	if (len != NET_MAC_TEXT - 1)
		return -RAY_EINVAL;
	for (size_t i = 0; i < sizeof(b); i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 || (i + 1 < sizeof(b) && text[2] != ':'))
			return -RAY_EINVAL;
		b[i] = (uint8_t)(high << 4 | low);
	}
	*out = net_mac_load(b);
	return 0;
}
