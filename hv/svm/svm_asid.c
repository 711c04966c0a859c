// SPDX-License-Identifier: Apache-2.0
#include "hv/svm/svm_asid.h"

void svm_asid_init(struct svm_asid_pool *p, uint32_t count)
{
	p->generation = 1;
	p->count = count;
	p->next = count;
}

uint32_t svm_asid_take(struct svm_asid_pool *p, bool *flush)
{
	*flush = p->next >= p->count;
	if (*flush) {
		p->generation++;
		p->next = 1;
	}
	return p->next++;
}
