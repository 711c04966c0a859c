/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI registers and structures in memory (xHCI 1.2, section numbers are its). */
#ifndef RAYOS_DEVICES_HOST_XHCI_XHCI_REGS_H
#define RAYOS_DEVICES_HOST_XHCI_XHCI_REGS_H

#include "kernel/lib/types.h"

/* 5.3: capabilities, from the BAR's beginning. */
#define XHCI_CAPLENGTH  0x00u
#define XHCI_HCSPARAMS1 0x04u
#define XHCI_HCSPARAMS2 0x08u
#define XHCI_HCCPARAMS1 0x10u
#define XHCI_DBOFF      0x14u
#define XHCI_RTSOFF     0x18u
#define XHCI_CAPS_LEN   0x20u

#define XHCI_SLOTS(p1)      ((p1) & 0xffu)
#define XHCI_PORTS(p1)      ((p1) >> 24)
#define XHCI_SCRATCHPADS(p2) (((p2) >> 21 & 0x1fu) << 5 | (p2) >> 27)
#define XHCI_HCC_AC64       BIT(0)
#define XHCI_HCC_CSZ        BIT(2) /* contexts of 64 bytes */
#define XHCI_HCC_PPC        BIT(3) /* ports' power is software's */
#define XHCI_HCC_XECP(p)    (((p) >> 16) * 4u)

/* 5.4: operation, from CAPLENGTH on. */
#define XHCI_USBCMD   0x00u
#define XHCI_USBSTS   0x04u
#define XHCI_PAGESIZE 0x08u
#define XHCI_CRCR     0x18u
#define XHCI_DCBAAP   0x30u
#define XHCI_CONFIG   0x38u
#define XHCI_PORTSC(n) (0x400u + 0x10u * ((n) - 1u))

#define XHCI_CMD_RUN   BIT(0)
#define XHCI_CMD_RESET BIT(1)
#define XHCI_CMD_INTE  BIT(2)
#define XHCI_STS_HALTED BIT(0)
#define XHCI_STS_HSE   BIT(2)
#define XHCI_STS_EINT  BIT(3)
#define XHCI_STS_CNR   BIT(11)
#define XHCI_STS_HCE   BIT(12)
#define XHCI_GONE      0xffffffffu

/* 5.4.8: of a port. */
#define XHCI_PORT_CCS BIT(0)
#define XHCI_PORT_PED BIT(1)
#define XHCI_PORT_PR  BIT(4)
#define XHCI_PORT_PP  BIT(9)
#define XHCI_PORT_SPEED(v) ((v) >> 10 & 0xfu)
#define XHCI_PORT_CSC BIT(17)
#define XHCI_PORT_PRC BIT(21)
#define XHCI_PORT_CHANGES 0x00fe0000u
/* What keeps its value when it is written back: the others act on a 1. */
#define XHCI_PORT_KEEP 0x0e00c3e0u
#define XHCI_PORT_WPR  BIT(31)

/* 5.5: runtime; the first interrupter's. */
#define XHCI_IMAN   0x20u
#define XHCI_IMOD   0x24u
#define XHCI_ERSTSZ 0x28u
#define XHCI_ERSTBA 0x30u
#define XHCI_ERDP   0x38u
#define XHCI_RUNTIME_LEN 0x40u
#define XHCI_IMAN_IP BIT(0)
#define XHCI_IMAN_IE BIT(1)
#define XHCI_ERDP_EHB BIT(3)

/* 7: extended capabilities. */
#define XHCI_XECP_LEGACY   1u
#define XHCI_XECP_PROTOCOL 2u
#define XHCI_LEGACY_BIOS BIT(16)
#define XHCI_LEGACY_OS   BIT(24)
#define XHCI_LEGACY_CTL  4u /* behind it: its SMIs, 7.1.2 */
#define XHCI_LEGACY_CTL_KEEP  0x000e1feeu
#define XHCI_LEGACY_CTL_CLEAR 0xe0000000u

/* 6.4: transfer request blocks. */
struct xhci_trb {
	uint64_t param;
	uint32_t status, control;
};
BUILD_ASSERT(sizeof(struct xhci_trb) == 16, "6.4");

#define XHCI_TRB_CYCLE  BIT(0)
#define XHCI_TRB_TOGGLE BIT(1) /* of a link */
#define XHCI_TRB_ISP    BIT(2) /* an event when fewer bytes come */
#define XHCI_TRB_CHAIN  BIT(4)
#define XHCI_TRB_IOC    BIT(5)
#define XHCI_TRB_IDT    BIT(6)
#define XHCI_TRB_BSR    BIT(9)
#define XHCI_TRB_TYPE(t) ((uint32_t)(t) << 10)
#define XHCI_TRB_TYPE_OF(c) ((c) >> 10 & 0x3fu)
#define XHCI_TRB_DIR_IN BIT(16)
#define XHCI_TRB_EP(dci) ((uint32_t)(dci) << 16)
#define XHCI_TRB_EP_OF(c) ((c) >> 16 & 0x1fu)
#define XHCI_TRB_SLOT(s) ((uint32_t)(s) << 24)
#define XHCI_TRB_SLOT_OF(c) ((c) >> 24)
#define XHCI_TRB_TRT_OUT (2u << 16)
#define XHCI_TRB_TRT_IN  (3u << 16)
#define XHCI_TRB_TD_SIZE(n) ((uint32_t)(n) << 17)
#define XHCI_TD_SIZE_MAX 31u
#define XHCI_TRB_BYTES   0x10000u /* a block's data, which crosses no multiple of it (6.4.1) */
#define XHCI_EVENT_CODE(s) ((s) >> 24)
#define XHCI_EVENT_LEFT(s) ((s) & 0xffffffu)

enum xhci_trb_type {
	XHCI_NORMAL = 1,
	XHCI_SETUP = 2,
	XHCI_DATA = 3,
	XHCI_STATUS = 4,
	XHCI_LINK = 6,
	XHCI_ENABLE_SLOT = 9,
	XHCI_DISABLE_SLOT = 10,
	XHCI_ADDRESS_DEVICE = 11,
	XHCI_CONFIGURE_ENDPOINT = 12,
	XHCI_EVALUATE_CONTEXT = 13,
	XHCI_RESET_ENDPOINT = 14,
	XHCI_STOP_ENDPOINT = 15,
	XHCI_SET_DEQUEUE = 16,
	XHCI_EV_TRANSFER = 32,
	XHCI_EV_COMMAND = 33,
	XHCI_EV_PORT = 34,
	XHCI_EV_CONTROLLER = 37,
};

/* 6.4.5: completion codes. */
enum xhci_code {
	XHCI_CC_SUCCESS = 1,
	XHCI_CC_STALL = 6,
	XHCI_CC_SLOT_NOT_ENABLED = 11,
	XHCI_CC_SHORT = 13,
	XHCI_CC_RING_UNDERRUN = 14,
	XHCI_CC_RING_OVERRUN = 15,
	XHCI_CC_CONTEXT_STATE = 19,
	XHCI_CC_STOPPED = 26,
	XHCI_CC_STOPPED_INVALID = 27,
	XHCI_CC_STOPPED_SHORT = 28,
};

/* 6.5: one entry of the event ring's segment table. */
struct xhci_erst {
	uint64_t base;
	uint32_t size, reserved;
};

/* 6.2: contexts, 32-bit words of them. */
#define XHCI_CTX_EPS       31u /* endpoints; index 1 is endpoint 0 */
#define XHCI_SLOT0_SPEED(s) ((uint32_t)(s) << 20)
#define XHCI_SLOT0_HUB      BIT(26)
#define XHCI_SLOT0_ENTRIES(n) ((uint32_t)(n) << 27)
#define XHCI_SLOT1_PORT(p)  ((uint32_t)(p) << 16)
#define XHCI_SLOT1_PORTS(n) ((uint32_t)(n) << 24)
#define XHCI_SLOT2_TT(slot, port) ((uint32_t)(slot) | (uint32_t)(port) << 8)
#define XHCI_SLOT2_THINK(t) ((uint32_t)(t) << 16)
#define XHCI_EP0_INTERVAL(i) ((uint32_t)(i) << 16)
#define XHCI_EP0_STATE(w)   ((w) & 7u)
#define XHCI_EP_HALTED      2u
#define XHCI_EP1_ERRORS     (3u << 1)
#define XHCI_EP1_TYPE(t)    ((uint32_t)(t) << 3)
#define XHCI_EP1_BURST(b)   ((uint32_t)(b) << 8)
#define XHCI_EP1_PACKET(p)  ((uint32_t)(p) << 16)
#define XHCI_EP_TYPE_CONTROL 4u
#define XHCI_EP_TYPE_IN      4u /* added to the kind as USB has it */
#define XHCI_EP_DCS         1ull

#endif
