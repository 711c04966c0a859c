/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of the firewall: one question per frame and end, answered from headers that were
 * parsed once from a private copy.
 * Owns: nothing yet; rules are a later part of security/. Context: fast path.
 */
#ifndef RAYOS_NET_FILTER_H
#define RAYOS_NET_FILTER_H

#include "net/port.h"

enum net_dir {
	NET_DIR_OUT, /* from the port into the switch */
	NET_DIR_IN,  /* from the switch to the port */
};

/** Whether @f may pass @p in that direction. No rules exist, so everything may. */
static inline bool net_filter_allows(const struct net_port *p, enum net_dir dir,
				     const struct net_frame *f)
{
	(void)p;
	(void)dir;
	(void)f;
	return true;
}

#endif
