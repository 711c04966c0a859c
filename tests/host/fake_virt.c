/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/fake_virt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

#define CHECK(c)                                                                           \
	do {                                                                               \
		if (!(c)) {                                                                \
			fprintf(stderr, "fake_virt: %s at line %d\n", #c, __LINE__);       \
			abort();                                                           \
		}                                                                          \
	} while (0)

#define RANGES_MAX 64
#define TIMERS_MAX 64

uint64_t fake_now_ns;
uint64_t fake_wall;
int fake_allocs_live;
int fake_allocs_left = -1;
int fake_kicks[VM_VCPU_MAX];
uint64_t fake_requests[VM_VCPU_MAX];
enum vm_end fake_end;
unsigned int fake_pauses;
char fake_end_text[128];
uint8_t *fake_ram;
uint64_t mm_direct_base; /* memory is an array: nobody translates */
int fake_pins;
uint64_t fake_absent = UINT64_MAX;

static struct gbus_range *ports[RANGES_MAX], *mmio[RANGES_MAX];
static struct timer *timers[TIMERS_MAX];

/* --- heap --- */
void *kzalloc(size_t bytes, enum mem_tag tag)
{
	void *p;

	(void)tag;
	if (fake_allocs_left == 0)
		return NULL;
	if (fake_allocs_left > 0)
		fake_allocs_left--;
	p = calloc(1, bytes);
	CHECK(p);
	fake_allocs_live++;
	return p;
}

void *kmalloc(size_t bytes, enum mem_tag tag)
{
	return kzalloc(bytes, tag);
}

void *kcalloc(size_t n, size_t size, enum mem_tag tag)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : kzalloc(bytes, tag);
}

void kfree(void *p)
{
	if (p)
		fake_allocs_live--;
	free(p);
}

/* --- locks: never taken twice, never left taken --- */
void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	*l = (struct spinlock){.order = (uint16_t)order};
}

void spin_lock(struct spinlock *l)
{
	CHECK(!l->owner);
	l->owner = 1;
}

bool spin_trylock(struct spinlock *l)
{
	if (l->owner)
		return false;
	spin_lock(l);
	return true;
}

void spin_unlock(struct spinlock *l)
{
	CHECK(l->owner);
	l->owner = 0;
}

uint64_t spin_lock_irqsave(struct spinlock *l)
{
	spin_lock(l);
	return 0;
}

void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
	(void)flags;
	spin_unlock(l);
}

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

void waitq_wake_one(struct waitq *q)
{
	(void)q;
}

void waitq_wake_all(struct waitq *q)
{
	(void)q;
}

void waitq_prepare(struct waitq *q, struct waiter *w)
{
	(void)q;
	(void)w;
}

void waitq_finish(struct waitq *q, struct waiter *w)
{
	(void)q;
	(void)w;
}

void waitq_sleep(uint64_t deadline_ns)
{
	fake_time_advance(deadline_ns - fake_now_ns);
}

static int epochs; /* sections open */

void epoch_enter(void)
{
	epochs++;
}

void epoch_leave(void)
{
	CHECK(epochs > 0);
	epochs--;
}

void thread_yield(void)
{
	CHECK(!"nobody to yield to");
}

void mutex_init(struct mutex *m, enum lock_order order)
{
	*m = (struct mutex){.order = (uint16_t)order};
}

void mutex_lock(struct mutex *m)
{
	CHECK(!m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	CHECK(m->owner);
	m->owner = NULL;
}

void epoch_synchronize(void)
{
}

/* --- time --- */
uint64_t time_now(void)
{
	return fake_now_ns;
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return tsc / FAKE_TSC_PER_NS;
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
	return ns * FAKE_TSC_PER_NS;
}

uint64_t time_tsc_hz(void)
{
	return FAKE_TSC_PER_NS * 1000000000ull;
}

uint64_t time_wall_ns(void)
{
	return fake_wall * 1000000000u + fake_now_ns;
}

uint64_t time_wall_seconds(void)
{
	return time_wall_ns() / 1000000000u;
}

static uint64_t tsc_now(void)
{
	return fake_now_ns * FAKE_TSC_PER_NS;
}

uint64_t vcpu_guest_tsc(const struct vcpu *v)
{
	return tsc_now() + v->tsc_offset;
}

uint64_t vcpu_guest_to_host_tsc(const struct vcpu *v, uint64_t guest_tsc)
{
	return guest_tsc - v->tsc_offset;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){.fn = fn};
}

static struct timer **timer_slot(const struct timer *t)
{
	for (unsigned int i = 0; i < TIMERS_MAX; i++) {
		if (timers[i] == t)
			return &timers[i];
	}
	return NULL;
}

void timer_set_tsc(struct timer *t, uint64_t deadline_tsc)
{
	struct timer **slot = timer_slot(t);

	if (!slot)
		slot = timer_slot(NULL);
	CHECK(slot);
	t->deadline_tsc = deadline_tsc;
	*slot = t;
}

void timer_set_ns(struct timer *t, uint64_t deadline_ns)
{
	uint64_t tsc;

	timer_set_tsc(t, __builtin_mul_overflow(deadline_ns, FAKE_TSC_PER_NS, &tsc) ? UINT64_MAX
										   : tsc);
}

void timer_cancel(struct timer *t)
{
	struct timer **slot = timer_slot(t);

	if (slot)
		*slot = NULL;
}

static struct timer *timer_first(void)
{
	struct timer *best = NULL;

	for (unsigned int i = 0; i < TIMERS_MAX; i++) {
		if (timers[i] && (!best || timers[i]->deadline_tsc < best->deadline_tsc))
			best = timers[i];
	}
	return best;
}

static uint64_t ns_of(const struct timer *t)
{
	return t->deadline_tsc / FAKE_TSC_PER_NS + (t->deadline_tsc % FAKE_TSC_PER_NS != 0);
}

uint64_t fake_timer_next(void)
{
	const struct timer *t = timer_first();

	if (!t)
		return UINT64_MAX;
	return ns_of(t) > fake_now_ns ? ns_of(t) - fake_now_ns : 0;
}

void fake_time_advance(uint64_t ns)
{
	uint64_t end = fake_now_ns + ns;
	struct timer *t;

	while ((t = timer_first()) != NULL && ns_of(t) <= end) {
		fake_now_ns = MAX(fake_now_ns, ns_of(t));
		timer_cancel(t);
		t->fn(t);
	}
	fake_now_ns = end;
}

/* --- bus --- */
static int range_add(struct gbus_range **table, struct gbus_range *r)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		if (table[i] && r->base < table[i]->base + table[i]->len &&
		    table[i]->base < r->base + r->len)
			return -RAY_EBUSY;
	}
	if (fake_allocs_left == 0)
		return -RAY_ENOMEM;
	if (fake_allocs_left > 0)
		fake_allocs_left--;
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		if (!table[i]) {
			table[i] = r;
			return 0;
		}
	}
	return -RAY_ENOMEM;
}

static void range_del(struct gbus_range **table, struct gbus_range *r)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		if (table[i] == r) {
			table[i] = NULL;
			return;
		}
	}
	CHECK(!"range_del");
}

int gbus_port_add(struct gbus *b, struct gbus_range *r)
{
	(void)b;
	return range_add(ports, r);
}

int gbus_mmio_add(struct gbus *b, struct gbus_range *r)
{
	(void)b;
	return range_add(mmio, r);
}

void gbus_changed(struct gbus *b)
{
	b->generation++;
}

void gbus_port_del(struct gbus *b, struct gbus_range *r)
{
	(void)b;
	range_del(ports, r);
}

void gbus_mmio_del(struct gbus *b, struct gbus_range *r)
{
	(void)b;
	range_del(mmio, r);
}

/* As hv/access.c has it: a window's inner range first. */
static bool fast_access(struct gbus_range *r, struct vm *vm, struct gbus_access *a)
{
	uint64_t base = r->base;

	if (r->inner)
		r = r->inner(r, a->addr, a->size, &base);
	if (!r || !(r->flags & GBUS_F_FAST))
		return false;
	a->offset = (uint32_t)(a->addr - base);
	return r->fn(r, vm->vcpu[0], a, true);
}

static bool access_range(struct gbus_range **table, struct vm *vm, struct gbus_access *a)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		struct gbus_range *r = table[i];

		if (!r || a->addr < r->base || a->addr + a->size > r->base + r->len)
			continue;
		if (fast_access(r, vm, a))
			return true;
		a->offset = (uint32_t)(a->addr - r->base);
		CHECK(r->fn(r, vm->vcpu[0], a, false));
		return true;
	}
	return false;
}

static uint64_t all_ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : BIT(8 * size) - 1;
}

static uint64_t bus_access(struct gbus_range **table, struct vm *vm, uint64_t addr,
			   unsigned int size, bool write, uint64_t value)
{
	struct gbus_access a = {.addr = addr, .size = (uint8_t)size, .write = write};

	a.data = write ? value & all_ones(size) : 0;
	if (!access_range(table, vm, &a))
		return all_ones(size);
	return a.data & all_ones(size);
}

void fake_out(struct vm *vm, uint16_t port, unsigned int size, uint32_t value)
{
	bus_access(ports, vm, port, size, true, value);
}

uint32_t fake_in(struct vm *vm, uint16_t port, unsigned int size)
{
	return (uint32_t)bus_access(ports, vm, port, size, false, 0);
}

void fake_mmio_write(struct vm *vm, uint64_t gpa, unsigned int size, uint64_t value)
{
	bus_access(mmio, vm, gpa, size, true, value);
}

uint64_t fake_mmio_read(struct vm *vm, uint64_t gpa, unsigned int size)
{
	return bus_access(mmio, vm, gpa, size, false, 0);
}

/* --- memory --- */
static bool inside(gpa_t gpa, uint64_t len)
{
	return gpa.v <= FAKE_RAM_SIZE && len <= FAKE_RAM_SIZE - gpa.v;
}

static bool absent(gpa_t gpa, uint64_t len)
{
	return fake_absent != UINT64_MAX && gpa.v < fake_absent + PAGE_SIZE &&
	       fake_absent < gpa.v + len;
}

static void *ram_ptr(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	(void)m;
	return inside(gpa, len) && !absent(gpa, len) ? fake_ram + gpa.v : NULL;
}

/* Pointers end with their chunk, as the real ones do. */
void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	if (len > GMEM_CHUNK_SIZE - gpa.v % GMEM_CHUNK_SIZE)
		return NULL;
	return ram_ptr(m, gpa, len);
}

void *gmem_ptr_write_slow(struct gmem *m, gpa_t gpa, uint64_t len)
{
	return gmem_ptr(m, gpa, len);
}

bool gmem_absent(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	(void)m;
	return inside(gpa, len) && absent(gpa, len);
}

int gmem_populate(struct gmem *m, gpa_t gpa, uint64_t len)
{
	(void)m;
	if (!inside(gpa, len))
		return -RAY_EFAULT;
	if (absent(gpa, len))
		fake_absent = UINT64_MAX;
	return 0;
}

bool gmem_is_ram(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	(void)m;
	return inside(gpa, len);
}

int vm_populate(struct vm *vm, gpa_t gpa, uint64_t len)
{
	return gmem_populate(&vm->mem, gpa, len);
}

uint64_t fake_dirty_host;

void gmem_dirty_mark_host(struct gmem *m, hpa_t hpa, uint64_t len)
{
	(void)m;
	(void)hpa;
	fake_dirty_host += len;
}

int gmem_pin(struct gmem *m, gpa_t gpa, uint64_t len)
{
	if (!ram_ptr(m, gpa, len))
		return -RAY_EFAULT;
	fake_pins++;
	return 0;
}

void gmem_unpin(struct gmem *m, gpa_t gpa, uint64_t len)
{
	CHECK(ram_ptr(m, gpa, len) && fake_pins > 0);
	fake_pins--;
}

int vcpu_pin(struct vcpu *v, gpa_t gpa, uint64_t len)
{
	return gmem_pin(&v->vm->mem, gpa, len);
}

int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len)
{
	const void *p = ram_ptr(m, gpa, len);

	if (!p)
		return -RAY_EFAULT;
	memcpy(dst, p, len);
	return 0;
}

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	void *p = ram_ptr(m, gpa, len);

	if (!p)
		return -RAY_EFAULT;
	memcpy(p, src, len);
	return 0;
}

int gmem_load(struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	return gmem_write(m, gpa, src, len);
}

int gmem_fill(struct gmem *m, gpa_t gpa, uint8_t byte, uint64_t len)
{
	void *p = ram_ptr(m, gpa, len);

	if (!p)
		return -RAY_EFAULT;
	memset(p, byte, len);
	return 0;
}

/* --- vCPUs, VM --- */
void vcpu_kick(struct vcpu *v)
{
	fake_kicks[v->id]++;
}

void vcpu_request(struct vcpu *v, uint64_t bits)
{
	fake_requests[v->id] |= bits;
}

void vm_end(struct vm *vm, enum vm_end how, const char *fmt, ...)
{
	va_list ap;

	(void)vm;
	if (fake_end != VM_END_NONE)
		return;
	fake_end = how;
	va_start(ap, fmt);
	vsnprintf(fake_end_text, sizeof(fake_end_text), fmt, ap);
	va_end(ap);
}

void vm_pause_for(struct vm *vm, const char *fmt, ...)
{
	(void)vm;
	(void)fmt;
	fake_pauses++;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
{
	(void)level;
	(void)tag;
	(void)fmt;
}

/* Threads that never run: tests call what they would do. Weak: some tests have others. */
__attribute__((weak)) int vm_for_each(int (*fn)(struct vm *vm, void *ctx), void *ctx)
{
	(void)fn;
	(void)ctx;
	return 0;
}

__attribute__((weak)) void vm_put(struct vm *vm)
{
	vm->refs--;
}

__attribute__((weak)) const char *vm_state_name(enum vm_state s)
{
	return s == VM_PAUSED ? "paused" : "?";
}

__attribute__((weak)) int thread_create(struct thread **out, const char *name, void (*fn)(void *),
					void *arg, const struct thread_attr *attr)
{
	(void)name;
	(void)fn;
	(void)arg;
	(void)attr;
	*out = NULL;
	return 0;
}

__attribute__((weak)) void thread_detach(struct thread *t)
{
	(void)t;
}

static hpa_t low_chunks[FAKE_RAM_SIZE / GMEM_CHUNK_SIZE];

void fake_low_memory(struct vm *vm, bool on)
{
	for (size_t i = 0; i < ARRAY_SIZE(low_chunks); i++)
		low_chunks[i] = HPA(on ? (uintptr_t)fake_ram + i * GMEM_CHUNK_SIZE : 0);
	vm->mem.region[0] = (struct gmem_region){.size = FAKE_RAM_SIZE,
						 .whole = on ? FAKE_RAM_SIZE : 0,
						 .chunks = low_chunks};
	vm->mem.plain_writes = on;
}

struct vm *fake_vm_create(unsigned int cpus)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	CHECK(vm && cpus <= VM_VCPU_MAX);
	fake_ram = calloc(1, FAKE_RAM_SIZE);
	CHECK(fake_ram);
	fake_low_memory(vm, true);
	fake_now_ns = 1000;
	fake_wall = 0;
	fake_end = VM_END_NONE;
	fake_allocs_left = -1;
	memset(fake_kicks, 0, sizeof(fake_kicks));
	memset(fake_requests, 0, sizeof(fake_requests));
	list_init(&vm->vdevs);
	list_init(&vm->attached);
	strlcpy(vm->def.name, "fake", sizeof(vm->def.name));
	vm->def.memory = FAKE_RAM_SIZE;
	vm->def.vcpus = cpus;
	CHECK(virq_create(vm) == 0);
	for (unsigned int i = 0; i < cpus; i++) {
		vm->vcpu[i] = calloc(1, sizeof(struct vcpu));
		CHECK(vm->vcpu[i]);
		vm->vcpu[i]->id = i;
		vm->vcpu[i]->vm = vm;
		CHECK(vlapic_create(vm->vcpu[i]) == 0);
		vm->vcpu_count++;
	}
	return vm;
}

void fake_vm_destroy(struct vm *vm)
{
	struct vdev *d, *tmp;

	fake_allocs_left = -1;
	list_for_each_entry_safe(d, tmp, &vm->vdevs, node) {
		if (vm->ioapic && vm->pic && strcmp(d->ops->name, "ioapic") != 0 &&
		    strcmp(d->ops->name, "i8259") != 0)
			d->ops->destroy(d);
	}
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		vlapic_destroy(vm->vcpu[i]);
		free(vm->vcpu[i]);
	}
	list_for_each_entry_safe(d, tmp, &vm->vdevs, node)
		d->ops->destroy(d);
	CHECK(list_empty(&vm->vdevs));
	CHECK(timer_first() == NULL);
	CHECK(fake_pins == 0);
	CHECK(fake_allocs_live == 0);
	for (unsigned int i = 0; i < RANGES_MAX; i++)
		CHECK(!ports[i] && !mmio[i]);
	free(vm);
	free(fake_ram);
	fake_ram = NULL;
}

struct vdev *fake_vdev(struct vm *vm, const char *name)
{
	struct vdev *d;

	list_for_each_entry(d, &vm->vdevs, node) {
		if (strcmp(d->ops->name, name) == 0)
			return d;
	}
	return NULL;
}

size_t fake_save(struct vdev *d, uint8_t *out, size_t cap)
{
	struct state_buf b = {.data = out, .cap = cap};

	d->ops->save(d, &b);
	CHECK(!b.bad);
	return b.len;
}

int fake_load(struct vdev *d, const uint8_t *bytes, size_t len)
{
	/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
	uint8_t *copy = malloc(len ? len : 1);
	struct state_buf b = {.data = copy, .cap = len, .len = len};
	int err;

	CHECK(copy);
	memcpy(copy, bytes, len);
	err = d->ops->load(d, &b, d->ops->state_version);
	free(copy);
	return err;
}
