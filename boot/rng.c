/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness: EFI_RNG_PROTOCOL, else RDRAND. The generator that places the kernel always
 * mixes in the TSC too, its only source where there is neither. The seed for keys is firmware's
 * or none: the kernel asks the CPU by itself.
 */
#include <string.h>

#include "boot/con.h"
#include "boot/cpu.h"
#include "boot/efi.h"
#include "boot/hw.h"

#define CPUID1_ECX_RDRAND (1u << 30)
#define RDRAND_TRIES      10
#define JITTER_ROUNDS     64

static uint64_t state;

/* One step of splitmix64: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static bool from_efi(void *buf, uint32_t len)
{
	static const EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
	EFI_RNG_PROTOCOL *rng = efi_protocol(&guid);

	return rng != NULL && !EFI_ERROR(rng->GetRNG(rng, NULL, len, buf));
}

static bool rdrand_word(uint64_t *v)
{
	for (int i = 0; i < RDRAND_TRIES; i++)
		/* Some CPUs report success with all ones after a resume. */
		if (cpu_rdrand(v) && *v != 0 && *v != UINT64_MAX)
			return true;
	return false;
}

static bool from_rdrand(uint64_t *buf, uint32_t words)
{
	if ((cpuid(1, 0).ecx & CPUID1_ECX_RDRAND) == 0)
		return false;
	for (uint32_t i = 0; i < words; i++)
		if (!rdrand_word(&buf[i]))
			return false;
	return true;
}

/* The time a firmware call takes varies with caches, buses and other CPUs. */
static void jitter_mix(void)
{
	for (int i = 0; i < JITTER_ROUNDS; i++) {
		efi_bs->Stall(1);
		state = mix(state ^ cpu_tsc());
	}
}

void rng_collect(struct boot_info *bi)
{
	/* The last word seeds our own generator and is not handed over. */
	uint64_t buf[BOOT_ENTROPY_MAX / 8 + 1];
	const char *source = "none";

	if (from_efi(buf, sizeof(buf))) {
		source = "EFI_RNG";
		bi->features |= BOOT_FEAT_EFI_RNG;
	} else if (from_rdrand(buf, ARRAY_SIZE(buf))) {
		source = "RDRAND";
	} else {
		con_warn("no random numbers from firmware or CPU\n");
		jitter_mix();
		return;
	}
	if ((bi->features & BOOT_FEAT_EFI_RNG) && from_efi(bi->seed, BOOT_SEED_LEN))
		bi->features |= BOOT_FEAT_EFI_SEED;
	memcpy(bi->entropy, buf, BOOT_ENTROPY_MAX);
	bi->entropy_len = BOOT_ENTROPY_MAX;
	state = mix(buf[ARRAY_SIZE(buf) - 1] ^ cpu_tsc());
	memset(buf, 0, sizeof(buf));
	con_print("entropy: %u bytes from %s\n", bi->entropy_len, source);
}

uint64_t rng_below(uint64_t bound)
{
	state = mix(state ^ cpu_tsc());
	return state % bound;
}
