/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/seed.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"

/* Labels of letters, digits and '-', joined by '.' (RFC 1123, 2.1). */
static bool hostname_ok(const char *s)
{
	char last = '.';

	for (; *s; last = *s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9');

		if (!alnum && (*s != '-' || last == '.') && (*s != '.' || last == '.' || last == '-'))
			return false;
	}
	return last != '.' && last != '-';
}

/* As useradd takes it by default. */
static bool user_ok(const char *s)
{
	if (!((*s >= 'a' && *s <= 'z') || *s == '_'))
		return false;
	for (; *s; s++) {
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '-'))
			return false;
	}
	return true;
}

/* Kind, base64, perhaps a comment: nothing that YAML or a shell would read as more than a word. */
static bool key_ok(const char *s)
{
	if (strncmp(s, "ssh-", 4) != 0 && strncmp(s, "ecdsa-", 6) != 0 && strncmp(s, "sk-", 3) != 0)
		return false;
	for (; *s; s++) {
		if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
			return false;
	}
	return true;
}

/* "$6$salt$hash" (crypt(5)). */
static bool hash_ok(const char *s)
{
	if (*s != '$')
		return false;
	for (; *s; s++) {
		if (!((*s >= '.' && *s <= '9') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= 'a' && *s <= 'z') || *s == '$' || *s == '=' || *s == ','))
			return false;
	}
	return true;
}

static const struct {
	const char *name;
	size_t off, size;
	bool (*ok)(const char *s);
	const char *want;
} keys[] = {
	{ "hostname", offsetof(struct vm_seed, hostname), SEED_HOST_MAX, hostname_ok,
	  "a name such as web1.example.org" },
	{ "user", offsetof(struct vm_seed, user), SEED_USER_MAX, user_ok,
	  "lower-case letters, digits, '_' and '-'" },
	{ "ssh-key", offsetof(struct vm_seed, ssh_key), SEED_KEY_MAX, key_ok,
	  "a line of authorized_keys, as in ssh-ed25519 AAAA... name" },
	{ "password", offsetof(struct vm_seed, password), SEED_HASH_MAX, hash_ok,
	  "a hash, as `openssl passwd -6` makes it" },
};

int vm_seed_set(struct vm_seed *s, const char *key, const char *value, char *why, size_t why_len)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		if (strlen(value) >= keys[i].size) {
			ray_snprintf(why, why_len, "%s: longer than %lu bytes", key,
				     (unsigned long)keys[i].size - 1);
			return -RAY_ERANGE;
		}
		if (*value != '\0' && !keys[i].ok(value)) {
			ray_snprintf(why, why_len, "%s: it has to be %s", key, keys[i].want);
			return -RAY_EINVAL;
		}
		memcpy((char *)s + keys[i].off, value, strlen(value) + 1);
		return 0;
	}
	return -RAY_ENOENT;
}

bool vm_seed_any(const struct vm_seed *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (((const char *)s)[keys[i].off] != '\0')
			return true;
	}
	return false;
}

void vm_seed_print(const struct vm_seed *s, struct sink *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = (const char *)s + keys[i].off;

		if (*value != '\0')
			sink_printf(out, "%s = \"%s\"\n", keys[i].name, value);
	}
}

const char *vm_seed_key(unsigned int n)
{
	return n < ARRAY_SIZE(keys) ? keys[n].name : NULL;
}
