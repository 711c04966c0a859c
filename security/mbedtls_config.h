/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of Mbed TLS is built: begins empty, an issue that needs more adds it here and the files
 * to MBEDTLS_STEMS in scripts/mk/thirdparty.mk. Read by the library instead of its own
 * mbedtls_config.h, by files of ours through <mbedtls/build_info.h>.
 * Owns: the choice. Must not know: kernel headers, as the library's files include it.
 */
#ifndef RAYOS_SECURITY_MBEDTLS_CONFIG_H
#define RAYOS_SECURITY_MBEDTLS_CONFIG_H

#include <stddef.h>

/* Platform: our heap, and nobody to print for. */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_NO_STD_FUNCTIONS
#define MBEDTLS_PLATFORM_CALLOC_MACRO mbedtls_port_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO   mbedtls_port_free
#define MBEDTLS_PLATFORM_PRINTF_MACRO mbedtls_port_quiet
#define mbedtls_port_quiet(...)       ((void)0)
#define MBEDTLS_NO_PLATFORM_ENTROPY

/* security/mbedtls_port.c */
void *mbedtls_port_calloc(size_t n, size_t size);
void mbedtls_port_free(void *p);

/*
 * AES in software: the kernel leaves vector registers to the guests, so AES-NI is out of
 * reach. Tables are read-only; one of 1 KiB instead of four, which tells a guest on the same
 * core less about the key.
 */
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_BLOCK_CIPHER_NO_DECRYPT

/*
 * The generator. A request is also how long a key lives: Cohney et al., "Pseudorandom Black
 * Swans" (IEEE S&P 2020), recover keys of CTR_DRBG from the cache during long requests.
 */
#define MBEDTLS_CTR_DRBG_C
#define MBEDTLS_CTR_DRBG_MAX_REQUEST     256
#define MBEDTLS_CTR_DRBG_RESEED_INTERVAL 4096

/* Known answers. */
#define MBEDTLS_SELF_TEST

#endif
