/* SPDX-License-Identifier: Apache-2.0 */
/* Images of disks. Section names are those of QEMU's docs/interop/qcow2.txt. */
#include "kernel/store/image.h"

#include <string.h>
#include <zlib.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/heap.h"

#define SECTOR       512u
#define MAGIC        0x514649fbu /* "QFI\xfb" */
#define HEADER_SHORT 72u         /* of version 2 */
#define HEADER_LONG  104u
#define BITS_MIN     9u
#define BITS_MAX     21u

/* "Header": incompatible features. */
#define FEATURE_DIRTY    BIT(0) /* reference counts may be wrong, which nobody asks for here */
#define FEATURE_CORRUPT  BIT(1)
#define FEATURE_EXTERNAL BIT(2)
#define FEATURE_COMPRESS BIT(3)

/* "L1 table", "L2 table" */
#define ENTRY_OFFSET     0x00fffffffffffe00ull
#define ENTRY_COMPRESSED BIT(62)
#define ENTRY_ZERO       BIT(0)

#define WINDOW_BITS      (-12) /* deflate without a header, 4 KiB of window */

static int refuse(char why[IMAGE_WHY_LEN], int err, const char *what)
{
	ray_snprintf(why, IMAGE_WHY_LEN, "%s", what);
	return err;
}

static int get(const struct image *im, uint64_t off, void *buf, uint64_t len)
{
	if (off > im->src.size || len > im->src.size - off)
		return -RAY_ENOEXEC;
	return im->src.read(im->src.ctx, off, buf, len);
}

static uint64_t cluster_size(const struct image *im)
{
	return 1ull << im->cluster_bits;
}

/* Bytes of the disk that one table of L2 is for. */
static uint64_t l2_span(const struct image *im)
{
	return cluster_size(im) << (im->cluster_bits - 3);
}

/* --- what it is --- */

static int features_check(uint64_t features, uint32_t crypt, uint64_t backing,
			  char why[IMAGE_WHY_LEN])
{
	if (backing)
		return refuse(why, -RAY_ENOSYS,
			      "it needs another file below it (a backing file): flatten it with "
			      "`qemu-img convert` first");
	if (crypt)
		return refuse(why, -RAY_ENOSYS, "it is encrypted");
	if (features & FEATURE_CORRUPT)
		return refuse(why, -RAY_ENOEXEC, "it is marked as corrupt; see `qemu-img check`");
	if (features & FEATURE_EXTERNAL)
		return refuse(why, -RAY_ENOSYS, "its data is in another file");
	if (features & FEATURE_COMPRESS)
		return refuse(why, -RAY_ENOSYS, "it is compressed by something else than deflate");
	if (features & ~FEATURE_DIRTY)
		return refuse(why, -RAY_ENOSYS, "it has features that are not known here");
	return 0;
}

static int sizes_check(struct image *im, char why[IMAGE_WHY_LEN])
{
	uint64_t want;

	if (im->cluster_bits < BITS_MIN || im->cluster_bits > BITS_MAX)
		return refuse(why, -RAY_ENOEXEC, "its clusters have no size that can be");
	if (im->size == 0 || im->size % SECTOR || im->size > IMAGE_SIZE_MAX)
		return refuse(why, -RAY_ENOEXEC, "the disk in it has no size that can be");
	want = (im->size + l2_span(im) - 1) / l2_span(im);
	if (im->l1_count < want || im->l1_offset % cluster_size(im) ||
	    im->l1_offset > im->src.size || want > (im->src.size - im->l1_offset) / 8)
		return refuse(why, -RAY_ENOEXEC, "its first table is not inside the file");
	return 0;
}

static int qcow2_open(struct image *im, const uint8_t *h, uint64_t len, char why[IMAGE_WHY_LEN])
{
	uint32_t version = load_be32(h + 4);
	bool v3 = version == 3;
	int err;

	if ((version != 2 && !v3) || len < (v3 ? HEADER_LONG : HEADER_SHORT))
		return refuse(why, -RAY_ENOSYS, "it is of a version of qcow2 that is not known here");
	im->format = "qcow2";
	im->cluster_bits = load_be32(h + 20);
	im->size = load_be64(h + 24);
	im->l1_count = load_be32(h + 36);
	im->l1_offset = load_be64(h + 40);
	im->l1_at = im->cluster_at = UINT64_MAX;
	err = features_check(v3 ? load_be64(h + 72) : 0, load_be32(h + 32), load_be64(h + 8), why);
	if (!err)
		err = sizes_check(im, why);
	if (err)
		return err;
	im->l2 = kmalloc(cluster_size(im), MEM_STORE);
	im->cluster = kmalloc(cluster_size(im), MEM_STORE);
	return im->l2 && im->cluster ? 0 : refuse(why, -RAY_ENOMEM, "out of memory");
}

int image_open(struct image *im, const struct image_source *src, char why[IMAGE_WHY_LEN])
{
	uint8_t h[HEADER_LONG] = {0};
	uint64_t len = MIN(src->size, (uint64_t)sizeof(h));
	int err;

	memset(im, 0, sizeof(*im));
	im->src = *src;
	if (src->size == 0 || src->size > IMAGE_SIZE_MAX - SECTOR)
		return refuse(why, -RAY_ENOEXEC, "it is empty, or larger than a volume can be");
	err = get(im, 0, h, len);
	if (err)
		return refuse(why, err, ray_strerror(err));
	if (len >= HEADER_SHORT && load_be32(h) == MAGIC) {
		err = qcow2_open(im, h, len, why);
		if (err)
			image_close(im);
		return err;
	}
	im->format = "raw";
	im->size = ALIGN_UP(src->size, (uint64_t)SECTOR);
	return 0;
}

void image_close(struct image *im)
{
	kfree(im->l2);
	kfree(im->cluster);
	im->l2 = NULL;
	im->cluster = NULL;
}

/* --- where --- */

/* Have the table for @off in memory, if there is one. */
static int l2_load(struct image *im, uint64_t off)
{
	uint64_t at = off / l2_span(im), entry;
	int err;

	if (im->l1_at == at)
		return 0;
	im->l1_at = UINT64_MAX;
	err = get(im, im->l1_offset + at * 8, &entry, 8);
	if (err)
		return err;
	im->l2_offset = load_be64(&entry) & ENTRY_OFFSET;
	im->l2_there = im->l2_offset != 0;
	if (im->l2_there) {
		if (im->l2_offset % cluster_size(im))
			return -RAY_ENOEXEC;
		err = get(im, im->l2_offset, im->l2, cluster_size(im));
	}
	if (!err)
		im->l1_at = at;
	return err;
}

/* What L2 says of the cluster at @off; 0: nothing, zeros. */
static int entry_get(struct image *im, uint64_t off, uint64_t *out)
{
	int err = l2_load(im, off);

	if (err)
		return err;
	*out = 0;
	if (im->l2_there)
		*out = load_be64(&im->l2[off % l2_span(im) >> im->cluster_bits]);
	if (!(*out & ENTRY_COMPRESSED) && (*out & ENTRY_ZERO || !(*out & ENTRY_OFFSET)))
		*out = 0;
	return 0;
}

int image_next(struct image *im, uint64_t off, uint64_t *out)
{
	*out = off;
	if (!im->l2)
		return 0;
	while (*out < im->size) {
		uint64_t entry;
		int err = entry_get(im, *out, &entry);

		if (err || entry)
			return err;
		*out = im->l2_there ? ALIGN_DOWN(*out, cluster_size(im)) + cluster_size(im)
				    : ALIGN_DOWN(*out, l2_span(im)) + l2_span(im);
	}
	*out = im->size;
	return 0;
}

/* --- compressed clusters --- */

static void *z_alloc(void *opaque, uInt n, uInt size)
{
	(void)opaque;
	return kcalloc(n, size, MEM_STORE);
}

static void z_free(void *opaque, void *p)
{
	(void)opaque;
	kfree(p);
}

static int inflate_all(uint8_t *to, uint64_t to_len, uint8_t *from, uint64_t from_len)
{
	z_stream z = {.zalloc = z_alloc, .zfree = z_free, .next_in = from,
		      .avail_in = (uInt)from_len, .next_out = to, .avail_out = (uInt)to_len};
	int got;

	if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
		return -RAY_ENOMEM;
	/* Behind its end the last sector has what it likes. */
	got = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	if (got == Z_MEM_ERROR)
		return -RAY_ENOMEM;
	return z.avail_out == 0 && (got == Z_STREAM_END || got == Z_BUF_ERROR) ? 0 : -RAY_ENOEXEC;
}

/* "Compressed Clusters Descriptor" */
static int cluster_inflate(struct image *im, uint64_t at, uint64_t entry)
{
	unsigned int bits = 62 - (im->cluster_bits - 8);
	uint64_t off = entry & ((1ull << bits) - 1), sectors = (entry & ~ENTRY_COMPRESSED & ~BIT(63)) >> bits;
	uint64_t len = (sectors + 1) * SECTOR - off % SECTOR;
	uint8_t *buf;
	int err;

	if (im->cluster_at == at)
		return 0;
	im->cluster_at = UINT64_MAX;
	if (off >= im->src.size)
		return -RAY_ENOEXEC;
	/* The file may end before its last sector does. */
	len = MIN(len, im->src.size - off);
	buf = kmalloc(len, MEM_STORE);
	if (!buf)
		return -RAY_ENOMEM;
	err = get(im, off, buf, len);
	if (!err)
		err = inflate_all(im->cluster, cluster_size(im), buf, len);
	kfree(buf);
	if (!err)
		im->cluster_at = at;
	return err;
}

/* --- reading --- */

static int cluster_read(struct image *im, uint64_t off, uint8_t *buf, uint64_t len, bool *zero)
{
	uint64_t in = off & (cluster_size(im) - 1), entry;
	int err = entry_get(im, off, &entry);

	if (err)
		return err;
	if (entry == 0) {
		memset(buf, 0, len);
		return 0;
	}
	*zero = false;
	if (entry & ENTRY_COMPRESSED) {
		err = cluster_inflate(im, off >> im->cluster_bits, entry);
		if (!err)
			memcpy(buf, im->cluster + in, len);
		return err;
	}
	if ((entry & ENTRY_OFFSET) & (cluster_size(im) - 1))
		return -RAY_ENOEXEC;
	/* The last cluster of a file may not be whole. */
	off = (entry & ENTRY_OFFSET) + in;
	if (off >= im->src.size)
		return -RAY_ENOEXEC;
	if (len > im->src.size - off) {
		memset(buf, 0, len);
		len = im->src.size - off;
	}
	return get(im, off, buf, len);
}

int image_read(struct image *im, uint64_t off, void *buf, uint64_t len, bool *zero)
{
	uint8_t *p = buf;
	int err = 0;

	if (off > im->size || len > im->size - off)
		return -RAY_ERANGE;
	*zero = im->l2 != NULL;
	if (!im->l2) {
		uint64_t there = off < im->src.size ? MIN(len, im->src.size - off) : 0;

		memset(p + there, 0, len - there);
		return there ? get(im, off, p, there) : 0;
	}
	while (len > 0 && !err) {
		uint64_t n = MIN(cluster_size(im) - (off & (cluster_size(im) - 1)), len);

		err = cluster_read(im, off, p, n, zero);
		off += n;
		p += n;
		len -= n;
	}
	return err;
}
