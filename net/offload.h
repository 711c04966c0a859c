/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksum and segmentation offload between local ends: frames travel with work left to do, and
 * what a receiver did not ask for is done here in software.
 * Owns: nothing. Must not know: devices. Pure; any context.
 */
#ifndef RAYOS_NET_OFFLOAD_H
#define RAYOS_NET_OFFLOAD_H

#include "net/frame.h"

/* Smaller segments would be nearly all headers; Linux does not go below this either. */
#define NET_GSO_SIZE_MIN 8u

/**
 * Check the offload metadata of a parsed frame, and set hdr_len, needs and the ECN bit of
 * gso_type from its headers, whatever was there.
 *
 * A partial checksum may lie where TCP and UDP have theirs, or behind all headers that were
 * understood (in a tunnel), and nowhere else: completing it must not change what a filter has
 * looked at.
 * Returns: 0, -RAY_EPROTO
 * Trust:   metadata and headers are hostile
 */
int __must_check net_offload_check(struct net_frame *f);

/** Whether a receiver with @caps (NET_CAP_*) takes the frame as it is. Pre: checked */
static inline bool net_offload_fits(const struct net_frame *f, unsigned int caps)
{
	return !(f->needs & ~caps);
}

/** Takes one frame, which ends with the call. Other than 0: no more, please. */
typedef int (*net_frame_fn)(const struct net_frame *f, void *arg);

/**
 * Call @fn with frames that need no more than @caps: the frame itself, one with its checksum
 * complete, or its TCP segments in order. Payload is read for checksums only, and stays where it
 * is.
 * Pre:     net_offload_check() said yes
 * Returns: what @fn returned last
 */
int net_offload_adapt(const struct net_frame *f, unsigned int caps, net_frame_fn fn, void *arg);

#endif
