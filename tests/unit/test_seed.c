/* UNIT: hv/seed.c devices/virt/back/iso9660.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/* What a cloud image is told: values that are taken and refused, and the disk they stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/back/iso9660.h"
#include "hv/seed.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

static struct vm_seed seed;
static char why[160];

static int set(const char *key, const char *value)
{
	return vm_seed_set(&seed, key, value, why, sizeof(why));
}

static void test_values(void **state)
{
	static const char *const good[][2] = {
		{"hostname", "web1"}, {"hostname", "a-b.example.org"}, {"hostname", "X"},
		{"user", "alice"}, {"user", "_svc-2"},
		{"ssh-key", "ssh-ed25519 AAAAC3Nza me@here"}, {"ssh-key", "ecdsa-sha2-nistp256 AA"},
		{"password", "$6$salt$abcDEF./09"}, {"password", "$y$j9T$a,b=$c"},
		{"hostname", ""}, {"user", ""},
	};
	static const char *const bad[][2] = {
		{"hostname", "-web"}, {"hostname", "web-"}, {"hostname", "a..b"}, {"hostname", ".a"},
		{"hostname", "a."}, {"hostname", "a_b"}, {"hostname", "a b"}, {"hostname", "a-.b"},
		{"user", "Alice"}, {"user", "2x"}, {"user", "a:b"}, {"user", "-a"},
		{"ssh-key", "AAAA"}, {"ssh-key", "ssh-rsa \"x\""}, {"ssh-key", "ssh-rsa a\\b"},
		{"ssh-key", "ssh-rsa a\nb"}, {"ssh-key", "ssh-rsa \xc3\xa4"},
		{"password", "secret"}, {"password", "$6$a b"}, {"password", "$6$\""},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(set(good[i][0], good[i][1]), 0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(set(bad[i][0], bad[i][1]), -RAY_EINVAL);
		assert_memory_equal(why, bad[i][0], strlen(bad[i][0]));
	}
	assert_int_equal(set("hostnames", "x"), -RAY_ENOENT);
}

static void test_lengths_and_text(void **state)
{
	char text[2000], long_one[SEED_KEY_MAX + 1];
	struct buf_sink b;

	(void)state;
	memset(&seed, 0, sizeof(seed));
	assert_false(vm_seed_any(&seed));
	memset(long_one, 'a', sizeof(long_one));
	long_one[SEED_HOST_MAX] = '\0';
	assert_int_equal(set("hostname", long_one), -RAY_ERANGE);
	long_one[SEED_HOST_MAX - 1] = '\0';
	assert_int_equal(set("hostname", long_one), 0);
	assert_true(vm_seed_any(&seed));
	assert_int_equal(set("hostname", "web"), 0);
	assert_int_equal(set("user", "bob"), 0);
	buf_sink_init(&b, text, sizeof(text));
	vm_seed_print(&seed, &b.sink);
	assert_string_equal(text, "hostname = \"web\"\nuser = \"bob\"\n");
	assert_string_equal(vm_seed_key(0), "hostname");
	assert_null(vm_seed_key(4));
}

/* The image as another program reads it: xorriso, where there is one. */
static void test_image_is_read_by_others(void **state)
{
	static const char big[5000] = {[0 ... 4999] = 'x'};
	const struct iso_file files[] = {{"meta-data", "instance-id: i\n", 15},
					 {"user-data", big, sizeof(big)},
					 {"empty.txt", "", 0}};
	size_t size = iso_size(files, 3);
	uint8_t *image = malloc(size);
	char command[400], line[200], seen[1000] = "";
	char name[] = "/tmp/rayos-iso-XXXXXX";
	int fd = mkstemp(name);
	FILE *f = fdopen(fd, "wb"), *p;

	(void)state;
	assert_int_equal(size, (25 + 1 + 3) * ISO_SECTOR);
	iso_write("CIDATA", files, 3, image);
	assert_int_equal(fwrite(image, 1, size, f), size);
	fclose(f);
	snprintf(command, sizeof(command),
		 "xorriso -osirrox on -indev %s -extract / %s.d 2>/dev/null && cat %s.d/meta-data && "
		 "wc -c %s.d/*; chmod -R u+w %s.d; rm -rf %s %s.d",
		 name, name, name, name, name, name, name);
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p))
		strncat(seen, line, sizeof(seen) - strlen(seen) - 1);
	assert_int_equal(pclose(p), 0);
	assert_non_null(strstr(seen, "meta-data"));
	assert_non_null(strstr(seen, "instance-id: i"));
	assert_non_null(strstr(seen, "5000"));
	assert_non_null(strstr(seen, "empty.txt"));
	free(image);
}

static void test_image_itself(void **state)
{
	const struct iso_file files[] = {{"meta-data", "abc", 3}};
	size_t size = iso_size(files, 1);
	uint8_t *image = malloc(size), *root;

	(void)state;
	iso_write("CIDATA", files, 1, image);
	assert_memory_equal(image + 16 * ISO_SECTOR + 1, "CD001", 5);
	assert_memory_equal(image + 16 * ISO_SECTOR + 40, "CIDATA    ", 10);
	assert_memory_equal(image + 17 * ISO_SECTOR + 40, "\0C\0I\0D\0A\0T\0A\0 ", 14);
	assert_int_equal(load32(image + 16 * ISO_SECTOR + 80), size / ISO_SECTOR);
	assert_int_equal(load_be32(image + 16 * ISO_SECTOR + 84), size / ISO_SECTOR);
	root = image + (size_t)load32(image + 16 * ISO_SECTOR + 158) * ISO_SECTOR;
	root += root[0];
	root += root[0];
	assert_memory_equal(root + 33, "META-DATA.;1", 12);
	assert_int_equal(load32(root + 10), 3);
	assert_memory_equal(image + (size_t)load32(root + 2) * ISO_SECTOR, "abc\0", 4);
	root = image + (size_t)load32(image + 17 * ISO_SECTOR + 158) * ISO_SECTOR;
	root += root[0];
	root += root[0];
	assert_int_equal(root[32], 18);
	assert_memory_equal(root + 33, "\0m\0e\0t\0a\0-", 10);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_lengths_and_text),
		cmocka_unit_test(test_image_itself),
		cmocka_unit_test(test_image_is_read_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
