/* SPDX-License-Identifier: Apache-2.0 */
/* What Mbed TLS asks of its platform. Context: that of the library's caller, a thread. */
#include <mbedtls/build_info.h>

#include "kernel/mm/heap.h"

void *mbedtls_port_calloc(size_t n, size_t size)
{
	return kcalloc(n, size, MEM_SECURITY);
}

void mbedtls_port_free(void *p)
{
	kfree(p);
}
