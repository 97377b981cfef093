// SPDX-License-Identifier: MIT
/*
 * Virtual CPUs: coroutines that stop at points, take interrupts, spin, idle, and switch threads.
 *
 * Why coroutines. A step has to cost nanoseconds, and only the explorer may decide who runs; one
 * host thread has no races of its own.
 * A CPU runs on the stack of its current kernel thread. To stop is to switch to the explorer's
 * stack; an interrupt is a call on top of what was stopped. sim_thread and sim_percpu are the
 * registers that say who runs.
 * A CPU that spins is not run again until something that its loop has read changes; otherwise no
 * search would end. The first turn of a loop is not counted, since what was read before it does not
 * belong to it.
 * See also: explore.c, state.c.
 */
#include "sim.h"

#include <arch.h>
#include <percpu.h>
#include <string.h>
#include <thread.h>
#include <trap.h>

void *explorer_sp;
bool quiet = true;
unsigned int sim_cpu_now;
struct thread *sim_thread;
unsigned long sim_percpu;
u64 budget_us;
static struct thread *slot_thread[SIM_NR_STACKS];

void sim_first(void);

static struct vcpu *me(void)
{
	return &M.cpu[sim_cpu_now];
}

/* ---- Stopping and going on --------------------------------------------------------------- */

/* To the explorer; returns what it wants. A number: a pointer left on the stack would tell apart
 * states that are the same. */
static u64 stop(void)
{
	return (u64)sim_switch(&me()->sp, explorer_sp, NULL);
}

#define HOW_KIND(how) ((how)&0xff)
#define HOW_ARG(how) ((how) >> 8)

/* Not inline: its frame would stay in the loop of wait(), and say that it was there. */
static __noinline void interrupt(unsigned int kind)
{
	struct trap_frame tf = { .irqs_on = true };
	struct vcpu *v = me();

	if (model->in_order)
		order_drain_all();
	v->irqs_on = false;
	if (kind == IPI)
		v->ipi = false;
	else if (M.now < v->timer)
		M.now = v->timer;
	v->in_irq = true;
	irq_enter(&tf);
	if (kind == IPI)
		handle_ipi();
	else
		timer_interrupt(&tf);
	irq_exit(&tf);
	me()->irqs_on = true;
	me()->in_irq = false;
}

/*
 * Stops in a state, takes the interrupts that come meanwhile, returns when it is to run: the
 * choice.
 */
static u64 wait(enum vcpu_state state)
{
	for (;;) {
		/* At the start line only until the search begins. */
		me()->state = (u8)(state == VCPU_START && !quiet ? VCPU_POINT : state);
		u64 how = stop();

		if (HOW_KIND(how) == RUN || HOW_KIND(how) == CHOOSE)
			return HOW_ARG(how);
		interrupt(HOW_KIND(how));
		if (state == VCPU_IDLE)
			return 0;
	}
}

static void stands(enum op op, const volatile void *addr, void *pc)
{
	struct vcpu *v = me();

	v->op = (u8)op;
	v->addr = (u32)(u64)addr;
	v->pc = (u32)(u64)pc;
}

void point(enum op op, const volatile void *addr, void *pc)
{
	if (quiet)
		return;
	stands(op, addr, pc);
	wait(VCPU_POINT);
}

unsigned int choose(unsigned int n, void *pc)
{
	if (quiet || n < 2)
		return 0;
	stands(OP_NONE, NULL, pc);
	me()->nr_choices = (u8)n;
	return (unsigned int)wait(VCPU_CHOICE);
}

static bool watch_changed(const struct vcpu *v)
{
	for (unsigned int i = 0; i < v->nr_watch; i++)
		if (*(u64 *)v->watch[i].addr != v->watch[i].value)
			return true;
	return false;
}

bool vcpu_can_run(const struct vcpu *v)
{
	switch (v->state) {
	case VCPU_POINT:
	case VCPU_CHOICE:
		return true;
	case VCPU_RELAX:
		return quiet || watch_changed(v);
	case VCPU_USER:
		return watch_changed(v);
	default:
		return false;
	}
}

bool vcpu_can_take(const struct vcpu *v)
{
	return v->state != VCPU_OFF && v->state != VCPU_CHOICE &&
	       (v->irqs_on || v->state == VCPU_IDLE);
}

void vcpu_run(unsigned int cpu, const struct step *how)
{
	struct vcpu *v = &M.cpu[cpu];

	sim_cpu_now = cpu;
	sim_thread = v->thread;
	sim_percpu = percpu_offset[cpu];
	budget_us = 4000000;
	note_stack(v->slot, v->sp);
	order_in(v);
	sim_switch(&explorer_sp, v->sp, (void *)(how->kind | (u64)how->arg << 8));
	order_out(v);
}

/* ---- Hooks of <arch.h> ------------------------------------------------------------------- */

void sim_relax(void)
{
	struct vcpu *v = me();
	bool again = v->relaxed && v->nr_watch;

	if (quiet || again) {
		stands(OP_NONE, NULL, __builtin_return_address(0));
		wait(VCPU_RELAX);
		v = me();
	}
	v->relaxed = true;
	v->nr_watch = 0;
}

bool sim_irq_save(void)
{
	bool on = me()->irqs_on;

	me()->irqs_on = false;
	return on;
}

void sim_irq_enable(void)
{
	me()->irqs_on = true;
	touch_thing(THING_IPI, sim_cpu(), false);
	if (me()->ipi)
		point(OP_IRQ, NULL, __builtin_return_address(0));
}

bool sim_irqs_enabled(void)
{
	return me()->irqs_on;
}

void arch_cpu_idle(void)
{
	stands(OP_NONE, NULL, __builtin_return_address(0));
	(void)wait(VCPU_IDLE);
}

void arch_send_ipi(cpumask_t mask)
{
	unsigned int cpu;

	order_fence(__ATOMIC_SEQ_CST);
	for_each_cpu (cpu, mask) {
		touch_thing(THING_IPI, cpu, true);
		M.cpu[cpu].ipi = true;
	}
	if ((mask >> sim_cpu_now & 1) && me()->irqs_on)
		point(OP_IRQ, NULL, __builtin_return_address(0));
}

void arch_send_nmi(unsigned int cpu)
{
}

u64 sim_cycles(void)
{
	touch_thing(THING_TIME, 0, false);
	return M.now;
}

void arch_timer_set(u64 when)
{
	me()->timer = when;
}

void arch_cpu_init(void)
{
}

/* ---- Threads ----------------------------------------------------------------------------- */

static void *first_frame(u64 top, void (*fn)(void *))
{
	u64 *sp = (u64 *)(top - 64) - 7;

	note_write((u64)sp, 7 * sizeof(*sp) + 64);
	memset(sp, 0, 7 * sizeof(*sp) + 64);
	sp[4] = (u64)fn; /* rbx */
	sp[6] = (u64)sim_first;
	return sp;
}

void arch_context_init(struct thread *t, void *top)
{
	slot_thread[slot_of((char *)top - 1)] = t;
	t->ctx.sp = first_frame((u64)top, (void (*)(void *))thread_start);
}

struct thread *arch_context_switch(struct thread *prev, struct thread *next)
{
	struct vcpu *v = me();
	void *sp = next->ctx.sp;

	note_write((u64)&prev->ctx.sp, 8);
	v->thread = next;
	v->in_irq = false;
	sim_thread = next;
	note_stack(slot_of(sp), sp);
	v->slot = (u8)slot_of(sp);
	return sim_switch(&prev->ctx.sp, sp, prev);
}

void *stack_pointer(unsigned int slot)
{
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		if (M.cpu[i].state != VCPU_OFF && M.cpu[i].slot == slot)
			return M.cpu[i].sp;
	return slot_thread[slot] ? slot_thread[slot]->ctx.sp : NULL;
}

const struct thread *thread_of_stack(unsigned int slot)
{
	return slot_thread[slot];
}

vaddr_t arch_thread_fp(const struct thread *t)
{
	return 0;
}

static void secondary(void *unused)
{
	extern void sim_secondary_main(void);

	sim_secondary_main();
}

int arch_cpu_start(unsigned int cpu, struct thread *idle)
{
	struct vcpu *v = &M.cpu[cpu];
	u64 top = idle->stack + STACK_SIZE;

	order_fence(__ATOMIC_SEQ_CST);
	if (races_on && !quiet)
		race_start(cpu);
	v->thread = idle;
	v->slot = (u8)slot_of((void *)idle->stack);
	v->sp = first_frame(top, secondary);
	v->irqs_on = v->ipi = v->in_irq = false;
	v->state = VCPU_POINT;
	return 0;
}

/* Off: nothing is left of it but the memory of its TLB, which the model keeps. */
__noreturn void arch_cpu_stop(void)
{
	for (;;) {
		order_drain_all();
		stands(OP_NONE, NULL, __builtin_return_address(0));
		(void)wait(VCPU_OFF);
	}
}

bool arch_cpu_stopped(unsigned int cpu)
{
	return M.cpu[cpu].state == VCPU_OFF;
}

/* ---- What scenarios call ----------------------------------------------------------------- */

void sim_start_line(void);
void sim_start_line(void)
{
	stands(OP_NONE, NULL, __builtin_return_address(0));
	wait(VCPU_START);
}

void sim_user(u64 roles);
void sim_user(u64 roles)
{
	extern u64 sim_done;

	while ((*(volatile u64 *)&sim_done & roles) != roles) {
		struct vcpu *v = me();

		v->watch[0] = (struct watch){ (u64)&sim_done, sim_done };
		v->nr_watch = 1;
		stands(OP_NONE, NULL, __builtin_return_address(0));
		wait(VCPU_USER);
	}
}

/* ---- Boot -------------------------------------------------------------------------------- */

/* Runs every CPU in turn until nothing is left to do. */
static void settle(void)
{
	static const struct step run = { .kind = RUN }, ipi = { .kind = IPI };
	bool more = true;

	for (unsigned int turns = 0; more && turns < 1000000; turns++) {
		more = false;
		for (unsigned int i = 0; i < MAX_CPUS; i++) {
			struct vcpu *v = &M.cpu[i];

			if (v->ipi && vcpu_can_take(v))
				vcpu_run(i, &ipi);
			else if (vcpu_can_run(v))
				vcpu_run(i, &run);
			else
				continue;
			more = true;
		}
	}
}

void sim_boot(unsigned int cpus, void (*setup)(void))
{
	extern void sim_kernel_main(void *unused);
	struct vcpu *v = &M.cpu[0];

	M.now = 1; /* 0 is no time yet to the kernel's clock, which would start more than once */
	slot_thread[0] = &init_thread;
	v->thread = &init_thread;
	v->slot = 0;
	v->sp = first_frame(stack_top(0), sim_kernel_main);
	v->state = VCPU_POINT;
	settle();
	for (unsigned int i = 0; i < cpus; i++)
		if (M.cpu[i].state == VCPU_START)
			M.cpu[i].state = VCPU_POINT;
}
