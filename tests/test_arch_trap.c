// SPDX-License-Identifier: MIT
/*
 * The port contract, entries 39, 40, 42 and 43: trap frames and backtraces.
 *
 * Entry 43, arch_power_off(), is tested by every run: the runner compares QEMU's exit status with
 * the line that power_off() prints.
 * See also: test_arch_cpu.c (21 to 38), test_watchdog.c.
 */
#include "testlib.h"

#include <smp.h>
#include <symbols.h>
#include <trap.h>

static bool spin_over;
static struct frame_look {
	bool there, irqs_on, from_user;
	vaddr_t pc, fp, ret;
} frame_look;

/* The frame pointer is used, for a compiler that makes no frame in functions that call nothing. */
static __noinline void spin_for_frame(void)
{
	__asm__ __volatile__("" ::"r"(arch_frame_pointer()));
	while (!READ_ONCE(spin_over))
		cpu_relax();
	barrier();
}

static void spin_thread(void *unused)
{
	spin_for_frame();
	barrier();
}

static void look_at_frame(void *unused)
{
	struct trap_frame *tf = irq_frame();
	vaddr_t caller_fp;

	frame_look = (struct frame_look){ .there = tf != NULL };
	if (!tf)
		return;
	frame_look.pc = trap_pc(tf);
	frame_look.fp = trap_fp(tf);
	frame_look.irqs_on = trap_irqs_on(tf);
	frame_look.from_user = trap_from_user(tf);
	arch_unwind(frame_look.fp, &caller_fp, &frame_look.ret);
}

/* The compiler may have made a special copy of the function: "name.constprop.0". */
static bool in_function(vaddr_t addr, const char *name)
{
	size_t offset, len = strlen(name);
	const char *found = symbol_name(addr, &offset);

	return found && strncmp(found, name, len) == 0 && (found[len] == 0 || found[len] == '.');
}

TEST(arch, e39_trap_frame_of_an_interrupt)
{
	bool hit = false;

	if (!test_needs_cpus(2))
		return;
	WRITE_ONCE(spin_over, false);
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), spin_thread, NULL);

	ASSERT(t != NULL);
	/* It may be caught before it spins, or in the tick's tail: then once more. */
	for (unsigned int i = 0; i < 200 && !hit; i++) {
		thread_sleep(NSEC_PER_MSEC);
		smp_call(test_cpu(1), look_at_frame, NULL, true);
		hit = frame_look.there && in_function(frame_look.pc, "spin_for_frame");
	}
	WRITE_ONCE(spin_over, true);
	thread_join(t);
	EXPECT(hit);
	EXPECT(frame_look.irqs_on);
	EXPECT(!frame_look.from_user);
	/*
	 * The frame's return address is the caller's; its caller's, if the function makes no frame.
	 */
	EXPECT(in_function(frame_look.ret - 1, "spin_thread") ||
	       in_function(frame_look.ret - 1, "thread_start"));
}

TEST(arch, e39_no_frame_outside_interrupts)
{
	EXPECT(irq_frame() == NULL);
	EXPECT(!in_interrupt());
}

static __noinline void unwind_inner(vaddr_t *rets, unsigned int n)
{
	vaddr_t fp = arch_frame_pointer();

	for (unsigned int i = 0; i < n; i++)
		arch_unwind(fp, &fp, &rets[i]);
	barrier();
}

static __noinline void unwind_outer(vaddr_t *rets, unsigned int n)
{
	unwind_inner(rets, n);
	barrier();
}

TEST(arch, e40_unwind_finds_callers)
{
	vaddr_t rets[2] = { 0 };

	unwind_outer(rets, 2);
	EXPECT(in_function(rets[0] - 1, "unwind_outer"));
	EXPECT(in_function(rets[1] - 1, "test_arch_e40_unwind_finds_callers"));
}

static bool sleeper_go;

static __noinline void sleep_in_here(void)
{
	while (!READ_ONCE(sleeper_go)) {
		thread_prepare_sleep();
		if (!READ_ONCE(sleeper_go))
			schedule();
		thread_cancel_sleep();
	}
	barrier();
}

static void sleeper_thread(void *unused)
{
	sleep_in_here();
	barrier();
}

TEST(arch, e42_frame_of_a_sleeping_thread)
{
	bool found = false;
	vaddr_t ret = 0;

	WRITE_ONCE(sleeper_go, false);
	struct thread *t = test_thread(~0ULL, sleeper_thread, NULL);

	ASSERT(t != NULL);
	bool asleep = WAIT_UNTIL(READ_ONCE(t->switches) > 0 && !READ_ONCE(t->on_cpu) &&
				 READ_ONCE(t->state) == THREAD_SLEEPING);

	if (EXPECT(asleep)) {
		vaddr_t fp = arch_thread_fp(t);

		for (unsigned int i = 0; i < 12 && !found; i++) {
			if (!EXPECT(fp > t->stack && fp <= t->stack + STACK_SIZE))
				break;
			arch_unwind(fp, &fp, &ret);
			found = in_function(ret - 1, "sleep_in_here");
		}
		EXPECT(found);
	}
	WRITE_ONCE(sleeper_go, true);
	thread_wake(t);
	thread_join(t);
}
