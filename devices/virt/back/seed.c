/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that a cloud image looks for at its first boot: cloud-init's data source NoCloud, a
 * file system labelled CIDATA with meta-data and user-data. Made of the VM's definition.
 */
#include <string.h>

#include "devices/virt/back/blk_back.h"
#include "devices/virt/back/iso9660.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/sink.h"
#include "kernel/mm/heap.h"

#define TEXT_MAX KIB(4)

/* FNV-1a: an image takes what it is told once, and once more when it is told something else. */
static uint32_t fingerprint(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static void user_data(const struct vm_seed *s, struct sink *out)
{
	const char *in = s->user[0] ? "    " : "";

	sink_printf(out, "#cloud-config\n");
	if (s->hostname[0])
		sink_printf(out, "hostname: \"%s\"\nmanage_etc_hosts: true\n", s->hostname);
	if (s->user[0])
		sink_printf(out, "users:\n  - name: \"%s\"\n    shell: /bin/bash\n"
				 "    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n", s->user);
	if (s->user[0] && s->password[0])
		sink_printf(out, "    lock_passwd: false\n    hashed_passwd: \"%s\"\n", s->password);
	if (s->ssh_key[0])
		sink_printf(out, "%sssh_authorized_keys:\n%s  - \"%s\"\n", in, in, s->ssh_key);
	if (!s->user[0] && s->password[0])
		sink_printf(out, "chpasswd:\n  expire: false\n  users:\n    - name: root\n"
				 "      password: \"%s\"\n", s->password);
}

static void meta_data(const struct vm_def *def, const char *user, struct sink *out)
{
	sink_printf(out, "instance-id: \"%s-%08x\"\n", def->name, fingerprint(user));
	if (def->seed.hostname[0])
		sink_printf(out, "local-hostname: \"%s\"\n", def->seed.hostname);
}

int blk_seed_create(const struct vm_def *def, struct blk_back **out)
{
	char *text = kzalloc(2 * TEXT_MAX, MEM_BLOCK), *user = text, *meta;
	struct buf_sink b;
	struct iso_file files[2];
	uint8_t *image;
	size_t size;
	int err = -RAY_ENOMEM;

	if (!text)
		return err;
	meta = text + TEXT_MAX;
	buf_sink_init(&b, user, TEXT_MAX);
	user_data(&def->seed, &b.sink);
	buf_sink_init(&b, meta, TEXT_MAX);
	meta_data(def, user, &b.sink);
	files[0] = (struct iso_file){"meta-data", meta, (uint32_t)strlen(meta)};
	files[1] = (struct iso_file){"user-data", user, (uint32_t)strlen(user)};
	size = iso_size(files, 2);
	image = kmalloc(size, MEM_BLOCK);
	if (image) {
		iso_write("CIDATA", files, 2, image);
		err = blk_image_create("seed", image, size, true, out);
		if (err)
			kfree(image);
	}
	kfree(text);
	return err;
}
