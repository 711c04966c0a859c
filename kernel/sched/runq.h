/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which runnable threads of one CPU get to run: the higher class first, within
 * a class who has used the least CPU time. Pure: the run-queue lock protects it.
 * Owns: virtual run times. Must not know: threads, locks, the clock.
 */
#ifndef RAYOS_KERNEL_SCHED_RUNQ_H
#define RAYOS_KERNEL_SCHED_RUNQ_H

#include "kernel/lib/list.h"
#include "kernel/lib/pheap.h"
#include "kernel/lib/types.h"

#define RUNQ_CLASSES 2u

/* What the queue knows of a thread. */
struct runq_entity {
	struct pheap_node node;
	struct list_head link; /* all queued entities, oldest first */
	uint64_t vruntime;     /* TSC ticks used, shifted to be comparable on this queue */
	uint8_t cls;           /* smaller runs first */
	bool queued;
};

struct runq_order {
	struct pheap heap[RUNQ_CLASSES];
	struct list_head queued;
	uint64_t min_vruntime[RUNQ_CLASSES]; /* never falls */
	unsigned int count;
};

void runq_order_init(struct runq_order *q);

/**
 * One that has slept does not bring its unused time along, except @credit ticks, so that it
 * runs soon but does not keep the others away.
 */
static inline void runq_order_credit(const struct runq_order *q, struct runq_entity *e,
				     uint64_t credit)
{
	uint64_t min = q->min_vruntime[e->cls];
	uint64_t floor = min > credit ? min - credit : 0;

	if (e->vruntime < floor)
		e->vruntime = floor;
}

/** Queue @e, with no more than @credit. */
static inline void runq_order_add(struct runq_order *q, struct runq_entity *e, uint64_t credit)
{
	runq_order_credit(q, e, credit);
	pheap_insert(&q->heap[e->cls], &e->node, e->vruntime);
	list_add_tail(&e->link, &q->queued);
	e->queued = true;
	q->count++;
}

/** Take @e, which is queued, out. */
static inline void runq_order_remove(struct runq_order *q, struct runq_entity *e)
{
	pheap_remove(&q->heap[e->cls], &e->node);
	list_del(&e->link);
	e->queued = false;
	q->count--;
}

/** Who is next, NULL when none waits. It stays queued. */
static inline struct runq_entity *runq_order_first(const struct runq_order *q)
{
	for (unsigned int c = 0; c < RUNQ_CLASSES; c++) {
		struct pheap_node *n = pheap_min(&q->heap[c]);

		if (n)
			return container_of(n, struct runq_entity, node);
	}
	return NULL;
}

/** Note that @e, no longer queued, runs now. */
static inline void runq_order_started(struct runq_order *q, const struct runq_entity *e)
{
	if (e->vruntime > q->min_vruntime[e->cls])
		q->min_vruntime[e->cls] = e->vruntime;
}

/** Make @e's virtual time mean on @to what it meant on @from; it is queued on neither. */
void runq_order_move(struct runq_entity *e, const struct runq_order *from,
		     const struct runq_order *to);

/**
 * Whether @e, just queued, should replace an entity of @cls that has used @vruntime.
 * @granularity  ticks of advantage within the class below which it is not worth a switch
 */
bool runq_order_preempts(const struct runq_entity *e, uint8_t cls, uint64_t vruntime,
			 uint64_t granularity);

/** Whether anyone of the class waits (who runs needs a time slice then). */
static inline bool runq_order_waiting(const struct runq_order *q, uint8_t cls)
{
	return pheap_min(&q->heap[cls]) != NULL;
}

#endif
