/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/runq.h"

void runq_order_init(struct runq_order *q)
{
	*q = (struct runq_order){ .count = 0 };
	list_init(&q->queued);
}

void runq_order_move(struct runq_entity *e, const struct runq_order *from,
		     const struct runq_order *to)
{
	uint64_t from_min = from->min_vruntime[e->cls];
	uint64_t to_min = to->min_vruntime[e->cls];

	if (e->vruntime >= from_min) {
		e->vruntime = to_min + (e->vruntime - from_min);
	} else {
		uint64_t lag = from_min - e->vruntime;

		e->vruntime = to_min > lag ? to_min - lag : 0;
	}
}

bool runq_order_preempts(const struct runq_entity *e, uint8_t cls, uint64_t vruntime,
			 uint64_t granularity)
{
	if (e->cls != cls)
		return e->cls < cls;
	return vruntime > e->vruntime && vruntime - e->vruntime > granularity;
}
