/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAE paging of 32-bit code: what CR3, CR4 and CR0 make of the four page-directory pointers.
 * An Intel CPU keeps them in registers until one of those is written (SDM vol. 3, 4.4.1), so a
 * hypervisor must keep them over exits and load them where it executes the write; under AMD's
 * nested paging every walk reads memory.
 *
 * Long mode is left for a while: a list of steps is worked off in 32-bit code.
 */
#include "guest.h"

#define PTE_P      1u
#define PTE_RW     3u
#define PTE_LARGE  0x83u
#define PDPTE_BAD  2u          /* reserved in a PAE pointer */
#define WINDOW     0xc0000000u /* what the fourth pointer maps */
#define CR0_CD     0x40000000u
#define CR4_PAE    0x20u
#define CR4_PGE    0x80u
#define VECTOR_GP  13u

enum { END, SET_CR0, SET_CR3, SET_CR4, READ, WRITE, EXIT };

struct step {
	uint32_t op, arg, value;
	uint32_t result; /* what was read; of a move: 0, or the vector of its fault */
};

static uint64_t pdpt[2][4] __attribute__((aligned(32)));
static uint64_t low[512] __attribute__((aligned(4096)));
static uint64_t high[2][512] __attribute__((aligned(4096)));
static uint64_t table[2][512] __attribute__((aligned(4096)));
static uint32_t page[2][1024] __attribute__((aligned(4096)));

/* Used by the assembly below. */
uint64_t pae_rsp, pae_idt32[32];
uint32_t pae_cr0, pae_cr3, pae_long_cr3, pae_step;
struct {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed)) pae_idtr_long, pae_idtr32;
void pae_run(void);
void pae_on_gp(void);

__asm__(".text\n"
	"pae_run:\n\t"
	"pushq %rbx\n\tpushq %rbp\n\t"
	"movq %rsp, pae_rsp\n\t"
	"sidt pae_idtr_long\n\t"
	"movq %cr3, %rax\n\tmovl %eax, pae_long_cr3\n\t"
	"pushq $24\n\tpushq $1f\n\tlretq\n\t"
	".code32\n"
	"1:\tmovl $32, %eax\n\tmovl %eax, %ds\n\tmovl %eax, %es\n\tmovl %eax, %ss\n\t"
	"lidt pae_idtr32\n\t"
	/* Paging off ends long mode; on again without LME it is PAE's own. */
	"movl %cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\t"
	"movl $0xc0000080, %ecx\n\trdmsr\n\tandl $~0x100, %eax\n\twrmsr\n\t"
	"movl pae_cr3, %eax\n\tmovl %eax, %cr3\n\t"
	"movl %cr0, %eax\n\torl $0x80000000, %eax\n\tmovl %eax, %cr0\n\t"
	"movl %eax, pae_cr0\n\t"
	"movl pae_step, %esi\n"
	"2:\tmovl (%esi), %eax\n\tmovl 4(%esi), %edx\n\tmovl 8(%esi), %ebx\n\txorl %edi, %edi\n\t"
	"cmpl $0, %eax\n\tje 9f\n\t"
	"cmpl $1, %eax\n\tjne 3f\n\tmovl %edx, %cr0\n\tjmp 8f\n"
	"3:\tcmpl $2, %eax\n\tjne 4f\n\tmovl %edx, %cr3\n\tjmp 8f\n"
	"4:\tcmpl $3, %eax\n\tjne 5f\n\tmovl %edx, %cr4\n\tjmp 8f\n"
	"5:\tcmpl $4, %eax\n\tjne 6f\n\tinvlpg (%edx)\n\tmovl (%edx), %edi\n\tjmp 8f\n"
	"6:\tcmpl $5, %eax\n\tjne 7f\n\tmovl %ebx, (%edx)\n\tjmp 8f\n"
	"7:\txorl %eax, %eax\n\tcpuid\n"
	"8:\tmovl %edi, 12(%esi)\n\taddl $16, %esi\n\tjmp 2b\n"
	/* A fault of a move: its vector is the result. */
	"pae_on_gp:\n\t"
	"movl $13, %edi\n\taddl $4, %esp\n\tmovl $8b, (%esp)\n\tiretl\n"
	"9:\tmovl pae_cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\t"
	"movl $0xc0000080, %ecx\n\trdmsr\n\torl $0x100, %eax\n\twrmsr\n\t"
	"movl pae_long_cr3, %eax\n\tmovl %eax, %cr3\n\t"
	"movl pae_cr0, %eax\n\tmovl %eax, %cr0\n\t"
	"ljmp $8, $1f\n\t"
	".code64\n"
	"1:\tmovl $16, %eax\n\tmovl %eax, %ds\n\tmovl %eax, %es\n\tmovl %eax, %ss\n\t"
	"movq pae_rsp, %rsp\n\tlidt pae_idtr_long\n\t"
	"popq %rbp\n\tpopq %rbx\n\tret\n");

static uint32_t low32(const volatile void *p)
{
	return (uint32_t)(uintptr_t)p;
}

static void tables_build(void)
{
	for (uint32_t i = 0; i < 512; i++)
		low[i] = (uint64_t)i << 21 | PTE_LARGE;
	for (uint32_t i = 0; i < 2; i++) {
		page[i][0] = 0xa0 + i;
		table[i][0] = low32(page[i]) | PTE_RW;
		high[i][0] = low32(table[i]) | PTE_RW;
		pdpt[i][0] = low32(low) | PTE_P;
		pdpt[i][3] = low32(high[0]) | PTE_P;
	}
	pae_idt32[VECTOR_GP] = ((uint64_t)low32(pae_on_gp) & 0xffff0000u) << 32 |
			       0x00008e0000180000ul | (low32(pae_on_gp) & 0xffffu);
	pae_idtr32.limit = sizeof(pae_idt32) - 1;
	pae_idtr32.base = low32(pae_idt32);
}

static void run(struct step *steps, uint32_t cr3)
{
	pae_step = low32(steps);
	pae_cr3 = cr3;
	pae_run();
}

/* Where the fourth pointer of a set leads from now on, in memory. */
#define POINT(set, to) { WRITE, low32(&pdpt[set][3]), low32(high[to]) | PTE_P, 0 }
#define LOOK           { READ, WINDOW, 0, 0 }

static void check_loads(uint32_t cr0)
{
	struct step s[] = {
		LOOK,
		POINT(0, 1), { SET_CR3, low32(pdpt[0]), 0, 0 }, LOOK,
		POINT(0, 0), { SET_CR4, CR4_PAE | CR4_PGE, 0, 0 }, LOOK,
		POINT(0, 1), { SET_CR0, cr0 | CR0_CD, 0, 0 }, LOOK,
		{ SET_CR3, low32(pdpt[1]), 0, 0 }, LOOK,
		{ SET_CR0, cr0, 0, 0 }, { SET_CR4, CR4_PAE, 0, 0 }, { END, 0, 0, 0 },
	};

	run(s, low32(pdpt[0]));
	report(s[0].result == 0xa0, "pae: CR0.PG loads the pointers");
	report(s[3].result == 0xa1, "pae: CR3 loads them again");
	report(s[6].result == 0xa0, "pae: CR4.PGE loads them again");
	report(s[9].result == 0xa1, "pae: CR0.CD loads them again");
	report(s[11].result == 0xa0, "pae: another CR3 loads others");
}

/* What only CPUs that keep the pointers in registers show. */
static void check_registers(uint32_t cr0)
{
	struct step s[] = {
		POINT(0, 1), { EXIT, 0, 0, 0 }, LOOK,
		{ WRITE, low32(&pdpt[1][3]), low32(high[1]) | PTE_P | PDPTE_BAD, 0 },
		{ SET_CR3, low32(pdpt[1]), 0, 0 }, LOOK,
		{ WRITE, low32(&pdpt[0][3]), low32(high[1]) | PTE_P | PDPTE_BAD, 0 },
		{ SET_CR4, CR4_PAE | CR4_PGE, 0, 0 }, { SET_CR0, cr0 | CR0_CD, 0, 0 }, LOOK,
		POINT(0, 1), { SET_CR3, low32(pdpt[0]), 0, 0 }, LOOK,
		{ SET_CR0, cr0, 0, 0 }, { SET_CR4, CR4_PAE, 0, 0 }, { END, 0, 0, 0 },
	};

	pdpt[0][3] = low32(high[0]) | PTE_P;
	run(s, low32(pdpt[0]));
	report(s[2].result == 0xa0, "pae: the pointers stay over an exit");
	report(s[4].result == VECTOR_GP && s[5].result == 0xa0, "pae: CR3 refuses a bad pointer");
	report(s[7].result == VECTOR_GP, "pae: CR4 refuses it");
	report(s[8].result == VECTOR_GP && s[9].result == 0xa0, "pae: CR0 refuses it");
	report(s[12].result == 0xa1, "pae: a good one is taken after that");
}

void guest_run(void)
{
	uint64_t cr0;

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	tables_build();
	check_loads((uint32_t)cr0);
	if (cpuid(0, 0).ebx == 0x756e6547u) /* "Genu" */
		check_registers((uint32_t)cr0);
}
