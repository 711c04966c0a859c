/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the input device share. */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_INPUT_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_INPUT_PRIV_H

#include "devices/virt/virtio/input.h"
#include "kernel/lib/types.h"

/* Configuration (5.8.4): select, subsel, size, five reserved bytes, then 128 of data. */
#define VINPUT_CFG_SELECT 0u
#define VINPUT_CFG_SUBSEL 1u
#define VINPUT_CFG_SIZE   2u
#define VINPUT_CFG_DATA   8u
#define VINPUT_DATA_MAX   128u
#define VINPUT_CFG_LEN    (VINPUT_CFG_DATA + VINPUT_DATA_MAX)

enum vinput_select {
	VINPUT_SEL_UNSET = 0x00,
	VINPUT_SEL_ID_NAME = 0x01,
	VINPUT_SEL_ID_SERIAL = 0x02,
	VINPUT_SEL_ID_DEVIDS = 0x03,
	VINPUT_SEL_PROP_BITS = 0x10,
	VINPUT_SEL_EV_BITS = 0x11,
	VINPUT_SEL_ABS_INFO = 0x12,
};

/**
 * Answer a selection of the driver's.
 * @data  VINPUT_DATA_MAX bytes, all written
 * Returns: how many of them the answer has; 0: no such thing
 * Context: any. Trust: @select and @subsel are the guest's
 */
uint8_t vinput_config(enum vinput_role role, const char *serial, uint8_t select, uint8_t subsel,
		      uint8_t *data);

#endif
