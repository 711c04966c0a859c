/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCG event log. Firmware keeps logging until boot services end; what comes after our
 * copy appears in the final events table as well (TCG EFI Protocol Specification, ch. 7) and
 * is appended behind it, so that the kernel gets one whole log.
 */
#include <string.h>

#include "boot/con.h"
#include "boot/efi.h"
#include "boot/hw.h"
#include "boot/mem.h"
#include "boot/tcglog.h"

#define LOG_MAX   MIB(16)
#define LATE_ROOM KIB(64)

static struct {
	struct tcglog_algs algs;
	const struct efi_tcg2_final_events *final;
	uint64_t final_seen; /* events of the final table that the copy already has */
	uint64_t room;
} tcg;

/* Length of a log that starts at @log and whose last entry starts at @last. */
static uint64_t log_size(uint32_t format, uint64_t log, uint64_t last)
{
	uint64_t size;

	if (last < log || last - log > LOG_MAX)
		return 0;
	if (format == EFI_TCG2_LOG_TCG_2) {
		if (tcglog_algs_read(mem_ptr(log), LOG_MAX, &tcg.algs) != 0)
			return 0;
		size = last == log ? tcglog_entry_size(mem_ptr(last), LOG_MAX)
				   : tcglog_entry2_size(&tcg.algs, mem_ptr(last), LOG_MAX);
	} else {
		size = tcglog_entry_size(mem_ptr(last), LOG_MAX);
	}
	return size == 0 ? 0 : last - log + size;
}

static bool log_copy(struct boot_info *bi, struct efi_tcg2 *p, uint32_t format)
{
	EFI_PHYSICAL_ADDRESS log = 0, last = 0;
	BOOLEAN truncated = FALSE;
	uint64_t size, addr;

	if (EFI_ERROR(p->event_log_get(p, format, &log, &last, &truncated)) || log == 0 ||
	    last == 0)
		return false;
	size = log_size(format, log, last);
	if (size == 0) {
		con_warn("TCG event log is damaged: not handed over\n");
		return false;
	}
	if (truncated)
		con_warn("TCG event log was truncated by the firmware\n");
	if (mem_alloc_zeroed(size + LATE_ROOM, &addr) != 0) {
		con_warn("no memory for the TCG event log\n");
		return false;
	}
	memcpy(mem_ptr(addr), mem_ptr(log), size);
	tcg.room = size + LATE_ROOM;
	bi->tcg_log = (struct boot_blob){addr, size};
	bi->tcg_log_format = format;
	bi->features |= BOOT_FEAT_TCG_LOG;
	con_print("tcg: event log of %lu bytes, format %u\n", size, format);
	return true;
}

void tcg_collect(struct boot_info *bi)
{
	static const EFI_GUID guid = EFI_TCG2_GUID, final_guid = EFI_TCG2_FINAL_EVENTS_GUID;
	struct efi_tcg2 *p = efi_protocol(&guid);

	tcg.final = NULL;
	if (p == NULL)
		return;
	if (!log_copy(bi, p, EFI_TCG2_LOG_TCG_2)) {
		(void)log_copy(bi, p, EFI_TCG2_LOG_TCG_1_2);
		return;
	}
	tcg.final = efi_config_table(&final_guid);
	if (tcg.final != NULL)
		tcg.final_seen = tcg.final->count;
}

void tcg_finish(struct boot_info *bi)
{
	const uint8_t *event;

	if (tcg.final == NULL)
		return;
	event = tcg.final->events;
	for (uint64_t i = 0; i < tcg.final->count; i++) {
		uint64_t size = tcglog_entry2_size(&tcg.algs, event, LATE_ROOM);

		if (size == 0)
			return;
		if (i >= tcg.final_seen) {
			if (size > tcg.room - bi->tcg_log.size)
				return;
			memcpy((uint8_t *)mem_ptr(bi->tcg_log.addr) + bi->tcg_log.size, event,
			       size);
			bi->tcg_log.size += size;
		}
		event += size;
	}
}
