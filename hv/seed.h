/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cloud image is told about itself at its first boot: who it is, who may log in. Kept with
 * a VM's definition; devices/virt makes a disk of it.
 * Pure; any context. Trust: values are the operator's, checked here, so that they need no quoting
 * wherever they are written.
 */
#ifndef RAYOS_HV_SEED_H
#define RAYOS_HV_SEED_H

#include "kernel/lib/sink.h"
#include "kernel/lib/types.h"

#define SEED_HOST_MAX 64u   /* with the NUL, as those below */
#define SEED_USER_MAX 33u
#define SEED_KEY_MAX  1024u /* an RSA key of 4096 bits has 740 */
#define SEED_HASH_MAX 128u

struct vm_seed {
	char hostname[SEED_HOST_MAX];
	char user[SEED_USER_MAX];     /* empty: the image's own */
	char ssh_key[SEED_KEY_MAX];   /* a line of authorized_keys */
	char password[SEED_HASH_MAX]; /* as in /etc/shadow: a hash, never the word itself */
};

/**
 * Set the value of a key: "hostname", "user", "ssh-key", "password".
 * Returns: 0; -RAY_ENOENT (no such key; @why is untouched); -RAY_EINVAL, -RAY_ERANGE with @why.
 */
int __must_check vm_seed_set(struct vm_seed *s, const char *key, const char *value, char *why,
			     size_t why_len);
/** Is there anything to be told? */
bool vm_seed_any(const struct vm_seed *s);
/** The keys that have a value, as lines of rayos.conf. */
void vm_seed_print(const struct vm_seed *s, struct sink *out);
/** Name of the n-th key, NULL: there are fewer. */
const char *vm_seed_key(unsigned int n);

#endif
