// SPDX-License-Identifier: MIT
/*
 * Virtual CPUs for the whole kernel: coroutines, a clock that counts basic blocks, interrupts.
 *
 * Why. The unit tests want what a machine does of itself: timers, interprocessor interrupts at any
 * instruction, CPUs that go on at their own pace. So the compiler calls __sanitizer_cov_trace_pc()
 * in each basic block of the kernel. That is the clock's tick; and when a turn is over, whose
 * length is drawn, a CPU that is drawn goes on. With the same seed everything happens again.
 * When all CPUs wait for an interrupt, the clock goes on to the next timer at once.
 * Nothing here is instrumented: between two looks nobody comes.
 * See also: arch/sim/cpu.c, which does the same for the explorer, with points for looks.
 */
#include "host.h"

#include <boot.h>
#include <bug.h>
#include <percpu.h>
#include <string.h>
#include <thread.h>
#include <trap.h>

#include <stdio.h>
#include <stdlib.h>

#define NEVER (~0ULL)
#define RELAX_TICKS 50	  /* what a turn of a loop that waits takes */
#ifdef HOST_NATIVE
#define ENABLE_TICKS 1 /* what letting interrupts in takes: without looks nothing else takes time */
#else
#define ENABLE_TICKS 0
#endif
#define TURN_SHIFT_MAX 12 /* turns are up to 2^12 blocks; each magnitude as often */

enum cpu_state { CPU_OFF, CPU_RUNS, CPU_IDLE };

static struct cpu {
	void *sp; /* while another CPU runs */
	struct thread *thread;
	u64 timer;
	enum cpu_state state;
	bool irqs_on, ipi, nmi, in_nmi;
} cpus[HOST_CPUS];

struct thread *sim_thread;
unsigned long sim_percpu;
static unsigned int now_cpu;

void sim_first(void);
void *sim_switch(void **save, void *load, void *arg);

static struct cpu *me(void)
{
	return &cpus[now_cpu];
}

unsigned int host_cpu(void)
{
	return now_cpu;
}

/* ---- The clock --------------------------------------------------------------------------- */

/*
 * It is `until - left` now; at `until` there is something to look at. Not yet while the sanitizer's
 * constructors run.
 */
static u64 until;
static s64 left = 1LL << 62;
static u64 turn_end;
static u64 rng;

u64 sim_cycles(void)
{
	return until - (u64)left;
}

static void set_left(void)
{
	u64 now = sim_cycles(), next = turn_end;

	if (me()->irqs_on)
		next = min(next, me()->timer);
	until = max(next, now + 1);
	left = (s64)(until - now);
}

static void pass(u64 ticks)
{
	until += ticks;
}

static u64 draw(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dULL >> 33;
}

/* ---- Who goes on ------------------------------------------------------------------------- */

static bool pending(const struct cpu *c)
{
	return c->ipi || c->timer <= sim_cycles();
}

static bool can_run(const struct cpu *c)
{
	return c->state == CPU_RUNS || (c->state == CPU_IDLE && (pending(c) || c->nmi));
}

static void wait_for_a_timer(void)
{
	u64 next = NEVER;

	for (unsigned int i = 0; i < HOST_CPUS; i++)
		if (cpus[i].state == CPU_IDLE)
			next = min(next, cpus[i].timer);
	if (next == NEVER) {
		fflush(stdout);
		fprintf(stderr, "host: every CPU waits for an interrupt, and none will come\n");
		abort();
	}
	until = next;
	left = 0;
}

static unsigned int draw_cpu(void)
{
	unsigned int able[HOST_CPUS], n = 0;

	for (;;) {
		for (unsigned int i = 0; i < HOST_CPUS; i++)
			if (can_run(&cpus[i]))
				able[n++] = i;
		if (n)
			return able[draw() % n];
		wait_for_a_timer();
	}
}

/* To a CPU that is drawn, perhaps the same; returns when this one is. */
static void give_way(void)
{
	struct cpu *old = me();
	unsigned int next = draw_cpu();

	turn_end = sim_cycles() + 1 + draw() % (1ULL << draw() % (TURN_SHIFT_MAX + 1));
	if (next == now_cpu)
		return;
	old->thread = sim_thread;
	now_cpu = next;
	sim_thread = me()->thread;
	sim_percpu = percpu_offset[next];
	host_switch_to((vaddr_t)me()->sp);
	sim_switch(&old->sp, me()->sp, NULL);
	host_switched();
}

/* ---- Interrupts -------------------------------------------------------------------------- */

static void interrupt(vaddr_t pc, vaddr_t fp)
{
	struct trap_frame tf = { .pc = pc, .fp = fp, .irqs_on = true };

	me()->irqs_on = false;
	irq_enter(&tf);
	if (me()->ipi) {
		me()->ipi = false;
		handle_ipi();
	} else {
		me()->timer = NEVER;
		timer_interrupt(&tf);
	}
	irq_exit(&tf);
	me()->irqs_on = true; /* perhaps another CPU's: the thread may have moved */
}

/* Those that came; an NMI whether interrupts are on or not, but not in another. */
static void take_interrupts(vaddr_t pc, vaddr_t fp)
{
	struct cpu *c = me();

	if (c->nmi && !c->in_nmi) {
		struct trap_frame tf = { .pc = pc, .fp = fp, .irqs_on = c->irqs_on };

		c->nmi = false;
		c->in_nmi = true;
		handle_nmi(&tf);
		c->in_nmi = false;
	}
	while (me()->irqs_on && pending(me()))
		interrupt(pc, fp);
}

static void look(vaddr_t pc, vaddr_t fp)
{
	take_interrupts(pc, fp);
	if (sim_cycles() >= turn_end) {
		give_way();
		take_interrupts(pc, fp);
	}
	set_left();
}

#define PC ((vaddr_t)__builtin_return_address(0))
#define CALLERS_FP (*(vaddr_t *)__builtin_frame_address(0))

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	if (--left <= 0)
		look(PC, CALLERS_FP);
}

void host_step(void)
{
	if (--left <= 0)
		look(PC, CALLERS_FP);
}

void sim_relax(void)
{
	pass(RELAX_TICKS);
	turn_end = 0;
	look(PC, CALLERS_FP);
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
	pass(ENABLE_TICKS);
	if (pending(me()) || (ENABLE_TICKS && sim_cycles() >= turn_end))
		look(PC, CALLERS_FP);
	else
		set_left();
}

bool sim_irqs_enabled(void)
{
	return me()->irqs_on;
}

void sim_mb_after_rmw(void)
{
}

void arch_cpu_idle(void)
{
	vaddr_t pc = PC, fp = CALLERS_FP;

	me()->state = CPU_IDLE;
	while (!pending(me())) {
		give_way();
		if (me()->nmi)
			take_interrupts(pc, fp);
	}
	me()->state = CPU_RUNS;
	me()->irqs_on = true;
	look(pc, fp);
}

void arch_timer_set(u64 when)
{
	me()->timer = when;
	set_left();
}

void arch_send_ipi(cpumask_t mask)
{
	unsigned int cpu;

	for_each_cpu (cpu, mask)
		cpus[cpu].ipi = true;
	if ((mask >> now_cpu & 1) && me()->irqs_on)
		look(PC, CALLERS_FP);
}

void arch_send_nmi(unsigned int cpu)
{
	cpus[cpu].nmi = true;
	if (cpu == now_cpu)
		look(PC, CALLERS_FP);
}

/* ---- Threads ----------------------------------------------------------------------------- */

/* What a new stack is resumed with: sim_first() calls fn with what the switch brought. */
static void *first_frame(vaddr_t top, void (*fn)(void *))
{
	u64 *sp = (u64 *)(top - 64) - 7;

	host_stack_new(top);
	memset(sp, 0, 7 * sizeof(*sp) + 64);
	sp[4] = (u64)fn; /* rbx */
	sp[6] = (u64)sim_first;
	return sp;
}

static void begin_thread(void *prev)
{
	host_switched();
	thread_start(prev);
}

void arch_context_init(struct thread *t, void *top)
{
	t->ctx.sp = first_frame((vaddr_t)top, begin_thread);
}

struct thread *arch_context_switch(struct thread *prev, struct thread *next)
{
	sim_thread = next;
	host_switch_to((vaddr_t)next->ctx.sp);
	prev = sim_switch(&prev->ctx.sp, next->ctx.sp, prev);
	host_switched();
	return prev;
}

/* The frame of who called arch_context_switch(): sim_switch() keeps rbp last. */
vaddr_t arch_thread_fp(const struct thread *t)
{
	return ((const u64 *)t->ctx.sp)[5];
}

/* ---- CPUs -------------------------------------------------------------------------------- */

void arch_cpu_init(void)
{
}

static void begin_secondary(void *unused)
{
	host_switched();
	secondary_main();
}

int arch_cpu_start(unsigned int cpu, struct thread *idle)
{
	cpus[cpu] = (struct cpu){ .thread = idle, .timer = NEVER, .state = CPU_RUNS };
	cpus[cpu].sp = first_frame(idle->stack + STACK_SIZE, begin_secondary);
	return 0;
}

__noreturn void arch_cpu_stop(void)
{
	me()->state = CPU_OFF;
	for (;;)
		give_way();
}

bool arch_cpu_stopped(unsigned int cpu)
{
	return cpus[cpu].state == CPU_OFF;
}

void host_fault(vaddr_t addr, u64 flags, vaddr_t pc, vaddr_t fp)
{
	struct trap_frame tf = { .pc = pc, .fp = fp, .irqs_on = me()->irqs_on };

	me()->irqs_on = false;
	do_page_fault(&tf, addr, flags);
	abort(); /* it does not return: no kernel access of this port has a fixup */
}

/* True where a trap's frame has no room. */
bool host_stack_overflow(vaddr_t sp)
{
	return sim_thread && sp - sim_thread->stack > STACK_SIZE;
}

static void (*boot_fn)(void);

static void begin_boot(void *unused)
{
	host_switched();
	boot_fn();
}

void host_cpus_start(void (*fn)(void), u64 seed)
{
	void *unused;

	rng = seed * 0x9e3779b97f4a7c15ULL | 1;
	boot_fn = fn;
	turn_end = 1;
	until = 1;
	left = 0;
	cpus[0] = (struct cpu){ .thread = &init_thread, .timer = NEVER, .state = CPU_RUNS };
	sim_thread = &init_thread;
	void *sp = first_frame((vaddr_t)init_stack + sizeof(init_stack), begin_boot);

	host_switch_to((vaddr_t)sp);
	sim_switch(&unused, sp, NULL);
	abort();
}
