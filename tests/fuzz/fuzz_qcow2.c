/* UNIT: kernel/store/image.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c */
/* PARSER: kernel/store/image.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A qcow2 image whose bytes are changed anywhere: it is refused with a reason, or read, in bounded
 * work. The first byte says how much of the file there is and what fails; then three bytes for
 * each change, where (two) and what.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/host/fake_heap.h"
#include "tests/host/fake_qcow2.h"

#define READ_MAX  KIB(512) /* of what it says it has */
#define READS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_some(struct image *im)
{
	static uint8_t buf[KIB(64)];
	uint64_t off = 0, read = 0;

	while (read < READ_MAX) {
		uint64_t next, len;
		bool zero;

		if (image_next(im, off, &next) || next >= im->size)
			return;
		if (next < off)
			abort();
		len = MIN(im->size - next, (uint64_t)sizeof(buf));
		if (image_read(im, next, buf, len, &zero))
			return;
		off = next + len;
		read += len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_qcow2 q;
	struct image_source src;
	struct image im;
	char why[IMAGE_WHY_LEN] = "";

	if (size == 0)
		return 0;
	fake_qcow2_make(&q);
	for (size_t i = 1; i + 3 <= size; i += 3)
		q.file[load_be16(data + i) % sizeof(q.file)] = data[i + 2];
	q.size -= (data[0] & 0x0f) * 1000u;
	q.fail_at = data[0] >> 4;
	src = fake_qcow2_source(&q);
	if (image_open(&im, &src, why) == 0) {
		/* A large disk of nothing is a long way of tables. */
		if (im.size < GIB(1))
			read_some(&im);
		image_close(&im);
	} else if (why[0] == '\0') {
		abort();
	}
	if (fake_heap_live != 0 || q.reads > READS_MAX)
		abort();
	return 0;
}
