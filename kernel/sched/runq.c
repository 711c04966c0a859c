/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/runq.h"

void runq_order_init(struct runq_order *q)
{
	*q = (struct runq_order){ .count = 0 };
	list_init(&q->queued);
}

void runq_order_add(struct runq_order *q, struct runq_entity *e, uint64_t credit)
{
	uint64_t min = q->min_vruntime[e->cls];
	uint64_t floor = min > credit ? min - credit : 0;

	if (e->vruntime < floor)
		e->vruntime = floor;
	pheap_insert(&q->heap[e->cls], &e->node, e->vruntime);
	list_add_tail(&e->link, &q->queued);
	e->queued = true;
	q->count++;
}

void runq_order_remove(struct runq_order *q, struct runq_entity *e)
{
	pheap_remove(&q->heap[e->cls], &e->node);
	list_del(&e->link);
	e->queued = false;
	q->count--;
}

struct runq_entity *runq_order_first(const struct runq_order *q)
{
	for (unsigned int c = 0; c < RUNQ_CLASSES; c++) {
		struct pheap_node *n = pheap_min(&q->heap[c]);

		if (n)
			return container_of(n, struct runq_entity, node);
	}
	return NULL;
}

void runq_order_started(struct runq_order *q, const struct runq_entity *e)
{
	if (e->vruntime > q->min_vruntime[e->cls])
		q->min_vruntime[e->cls] = e->vruntime;
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
