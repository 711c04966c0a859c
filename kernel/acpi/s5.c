// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/acpi/soft_off.h"
#include "kernel/lib/err.h"

/* AML opcodes, ACPI 6.5, 20.2. */
#define AML_ZERO    0x00u
#define AML_ONE     0x01u
#define AML_NAME    0x08u
#define AML_BYTE    0x0au
#define AML_PACKAGE 0x12u
#define AML_ROOT    '\\'

struct bytes {
	const uint8_t *p;
	size_t left;
};

static bool byte_get(struct bytes *b, uint8_t *out)
{
	if (b->left == 0)
		return false;
	*out = *b->p++;
	b->left--;
	return true;
}

static bool integer_get(struct bytes *b, uint8_t *out)
{
	uint8_t op;

	if (!byte_get(b, &op))
		return false;
	if (op == AML_BYTE)
		return byte_get(b, out);
	*out = op;
	return op == AML_ZERO || op == AML_ONE;
}

/* What follows the name: PackageOp, PkgLength (20.2.4), element count, elements. */
static bool package_get(struct bytes b, struct acpi_s5 *out)
{
	uint8_t op, lead, count, a, c = 0;

	if (!byte_get(&b, &op) || op != AML_PACKAGE || !byte_get(&b, &lead))
		return false;
	for (unsigned int more = lead >> 6; more > 0; more--) {
		if (!byte_get(&b, &op))
			return false;
	}
	if (!byte_get(&b, &count) || count == 0 || !integer_get(&b, &a))
		return false;
	if (count > 1 && !integer_get(&b, &c))
		return false;
	if (a > 7 || c > 7)
		return false;
	*out = (struct acpi_s5){.type_a = a, .type_b = c};
	return true;
}

int acpi_s5_scan(const void *aml, size_t len, struct acpi_s5 *out)
{
	const uint8_t *p = aml;

	for (size_t i = 1; i + 4 <= len; i++) {
		bool named = p[i - 1] == AML_NAME ||
			     (i >= 2 && p[i - 1] == AML_ROOT && p[i - 2] == AML_NAME);

		if (named && memcmp(p + i, "_S5_", 4) == 0 &&
		    package_get((struct bytes){.p = p + i + 4, .left = len - i - 4}, out))
			return 0;
	}
	return -RAY_ENOENT;
}
