// SPDX-License-Identifier: MIT
/*
 * The ends of a run, and what other CPUs are doing when it goes wrong.
 *
 * Why it exists: when the kernel finds itself wrong, the one report that matters must come out
 * whole, whatever locks are held and however the other CPUs are stuck, and the run must end with a
 * status that tells a runner what happened. So the first CPU that panics mutes the others, takes
 * their backtraces, stops them and powers off; a second fault on the way there only shortens the
 * way. No other CPU prints its own backtrace: it writes addresses into its struct capture, from an
 * IPI, an NMI or a loop in here, and the CPU that asked prints them. So it works with the console's
 * lock held.
 * Contexts: any.
 * See also: symbols.c, printk.c, bug.h for the exit statuses.
 */
#include <arch.h>
#include <bug.h>
#include <console.h>
#include <cpumask.h>
#include <irqflags.h>
#include <printk.h>
#include <smp.h>
#include <spinlock.h>
#include <symbols.h>
#include <thread.h>
#include <time.h>
#include <trap.h>

#define REPORT_MAX 384
#define ANSWER_NS (100 * NSEC_PER_MSEC)
#define PANIC_ANSWER_NS (500 * NSEC_PER_MSEC) /* all CPUs together */

/*
 *      asking CPU                          target, in its IPI, NMI or waiting loop
 *      wanted++ (full barrier)
 *      interrupt it
 *                                          sees wanted != done
 *                                          writes nr, pcs, irqs_on, thread
 *                                          done = wanted (release)
 *      sees done == wanted (acquire)
 *      reads nr, pcs, irqs_on, thread
 */
struct capture {
	atomic64_t wanted; /* any CPU, under ask_lock except in a panic */
	u64 done;
	/* Written by this CPU only. */
	unsigned int nr;
	bool irqs_on;
	const struct thread *thread;
	vaddr_t pcs[BACKTRACE_MAX];
};
static DEFINE_PER_CPU(struct capture, capture);
static DEFINE_PER_CPU(bool, stop_wanted);

static spinlock_t ask_lock = SPINLOCK_INIT;
static int panic_cpu = -1;
unsigned int warn_count;

/* ---- The side that answers ---------------------------------------------------------------- */

/*
 * Answers if somebody asked, and returns whether. This CPU, irqs off or in an NMI. tf NULL: with
 * the caller itself.
 */
static bool capture_answer(const struct trap_frame *tf)
{
	struct capture *c = this_cpu_ptr(&capture);
	u64 wanted = (u64)atomic64_read(&c->wanted);

	if (wanted == c->done)
		return false;
	c->thread = current;
	c->irqs_on = tf && trap_irqs_on(tf);
	if (tf && trap_from_user(tf))
		c->nr = 0;
	else if (tf)
		c->nr = backtrace_capture(trap_pc(tf), trap_fp(tf), c->pcs, BACKTRACE_MAX);
	else
		c->nr = backtrace_capture(0, arch_frame_pointer(), c->pcs, BACKTRACE_MAX);
	/* Orders the capture before its announcement. Pairs with capture_wait() and ask_cpu(). */
	smp_store_release(&c->done, wanted);
	return true;
}

void backtrace_ipi(struct trap_frame *tf)
{
	capture_answer(tf);
}

bool handle_nmi(struct trap_frame *tf)
{
	bool asked = capture_answer(tf);

	if (READ_ONCE(this_cpu(stop_wanted)))
		stop_this_cpu();
	return asked;
}

__noreturn void stop_this_cpu(void)
{
	local_irq_disable();
	for (;;) {
		capture_answer(NULL);
		cpu_relax();
	}
}

/* ---- The side that asks ------------------------------------------------------------------- */

/* True once what was asked is answered. Meanwhile answers those who may wait for this CPU. */
static bool capture_wait(const struct capture *c, u64 end)
{
	u64 ticket = (u64)atomic64_read(&c->wanted);

	/* Orders the answer's seen before its reading. Pairs with capture_answer() in panic.c. */
	while (smp_load_acquire(&c->done) != ticket) {
		if (time_ns() >= end)
			return false;
		capture_answer(NULL);
		cpu_relax();
	}
	return true;
}

static void interrupt_cpu(unsigned int cpu, u64 reason)
{
	if (arch.nmi)
		arch_send_nmi(cpu);
	else
		smp_send(cpumask_of(cpu), reason);
}

static void print_answer(unsigned int cpu, const struct capture *c)
{
	printk("CPU %u, thread \"%.20s\", interrupts %s:", cpu, c->thread->name,
	       c->irqs_on ? "on" : "off");
	backtrace_print_pcs(c->pcs, c->nr, true);
}

static void print_no_answer(unsigned int cpu)
{
	struct irqoff_site site = per_cpu(irqoff_site, cpu);

	printk("CPU %u does not answer: it has interrupts off, or is not being run at all", cpu);
	if (!debug_build || !site.fp)
		return;
	printk(" where it turned them off last:");
	backtrace_print(site.pc, site.fp);
}

/* irqs off, and nobody else may be asking it. reasons: IPI_BACKTRACE, and IPI_STOP if it is to. */
static void ask_cpu(unsigned int cpu, u64 reasons)
{
	if (reasons & IPI_STOP)
		WRITE_ONCE(per_cpu(stop_wanted, cpu), true);
	/* Full barrier: orders the request before the interrupt. Pairs with capture_answer(). */
	atomic64_inc_return(&per_cpu(capture, cpu).wanted);
	interrupt_cpu(cpu, reasons);
}

static void print_cpu(unsigned int cpu, u64 end)
{
	const struct capture *c = per_cpu_ptr(&capture, cpu);

	if (capture_wait(c, end))
		print_answer(cpu, c);
	else
		print_no_answer(cpu);
}

/* Waits for its turn to ask, answering meanwhile; false if a panic has made it pointless. */
static bool ask_begin(void)
{
	while (!raw_spin_trylock(&ask_lock)) {
		if (READ_ONCE(panic_cpu) >= 0)
			return false;
		capture_answer(NULL);
		cpu_relax();
	}
	return true;
}

void backtrace_print_cpu(unsigned int cpu)
{
	/* irqs off: stays on this CPU, and no handler of this CPU asks while it holds ask_lock. */
	bool on = local_irq_save();

	if (cpu == smp_processor_id()) {
		printk("CPU %u, thread \"%.20s\", here:", cpu, current->name);
		backtrace_print_current();
	} else if (!cpumask_has(READ_ONCE(cpu_online_mask), cpu)) {
		printk("CPU %u is not running", cpu);
	} else if (ask_begin()) {
		ask_cpu(cpu, IPI_BACKTRACE);
		print_cpu(cpu, time_ns() + ANSWER_NS);
		raw_spin_unlock(&ask_lock);
	}
	local_irq_restore(on);
}

/* ---- What a trap found ---------------------------------------------------------------------- */

#define REGISTERS_A_LINE 4
#define REGISTER_TEXT 28

static void print_registers(const struct trap_frame *tf)
{
	char line[REGISTERS_A_LINE * REGISTER_TEXT], name[TRAP_REGISTER_NAME];
	int at = 0;
	u64 value;

	for (unsigned int n = 0; trap_register(tf, n, name, &value); n++) {
		at += snprintf(line + at, sizeof(line) - (size_t)at, " %*s %016llx",
			       TRAP_REGISTER_NAME - 1, name, (unsigned long long)value);
		if (n % REGISTERS_A_LINE == REGISTERS_A_LINE - 1) {
			printk("%s", line);
			at = 0;
		}
	}
	if (at)
		printk("%s", line);
}

/* ---- The ends ----------------------------------------------------------------------------- */

__noreturn void power_off(int status)
{
	print_line("EXIT: STATUS=%d", status);
	printk_flush_early();
	arch_power_off(status);
}

/*
 * The others note where they are and stop, each as soon as it can be interrupted: what the report
 * tells of them is of the moment at which it began, and changes no more.
 */
static void stop_others(void)
{
	cpumask_t others = READ_ONCE(cpu_online_mask) & ~cpumask_of(smp_processor_id());
	unsigned int cpu;

	for_each_cpu(cpu, others)
		ask_cpu(cpu, IPI_BACKTRACE | IPI_STOP);
}

static void print_others(void)
{
	cpumask_t others = READ_ONCE(cpu_online_mask) & ~cpumask_of(smp_processor_id());
	u64 end = others ? time_ns() + PANIC_ANSWER_NS : 0;
	unsigned int cpu;

	for_each_cpu(cpu, others)
		print_cpu(cpu, end);
}

/* A fault in the middle of the report: each time, less of the rest is tried. */
static __noreturn void panic_again(int status, const char *fmt, va_list ap)
{
	static unsigned int depth;

	if (++depth == 1) {
		printk("panic while panicking:");
		vprintk(fmt, ap);
		power_off(status);
	}
	arch_power_off(status);
}

/* Returns on the first CPU that panics; the others stay inside and answer. */
void panic_begin(int status, const char *fmt, va_list ap)
{
	local_irq_disable();

	int cpu = (int)smp_processor_id();
	/* Full barrier: one CPU gets the report. Pairs with itself on the CPUs that come later. */
	int owner = cmpxchg(&panic_cpu, -1, cpu);

	if (owner == cpu)
		panic_again(status, fmt, ap);
	if (owner >= 0)
		stop_this_cpu();
	printk_enter_panic();
	stop_others();
}

/* tf: where the backtrace begins; NULL: here. */
static __noreturn void end_report(int status, const struct trap_frame *tf)
{
	printk("CPU %u, thread \"%.20s\"%s:", smp_processor_id(), current->name,
	       in_interrupt() ? ", in an interrupt" : "");
	if (tf)
		backtrace_print_trap(tf);
	else
		backtrace_print_current();
	print_others();
	power_off(status);
}

__noreturn void panic_end(int status)
{
	end_report(status, NULL);
}

static __noreturn void vpanic(const struct trap_frame *tf, const char *fmt, va_list ap)
{
	char text[REPORT_MAX];
	va_list again;

	va_copy(again, ap);
	panic_begin(EXIT_PANIC, fmt, again);
	va_end(again);
	vsnprintf(text, sizeof(text), fmt, ap);
	printk("PANIC: %s", text);
	if (tf)
		print_registers(tf);
	end_report(EXIT_PANIC, tf);
}

__noreturn void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(NULL, fmt, ap);
}

__noreturn void panic_trap(const struct trap_frame *tf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(tf, fmt, ap);
}

__noreturn void boot_fail(const char *fmt, ...)
{
	char text[REPORT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_line("boot: %s", text);
	power_off(EXIT_BAD_BOOT);
}

void warn(const char *fmt, ...)
{
	char text[REPORT_MAX];
	va_list ap;

	fetch_add_relaxed(&warn_count, 1);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("WARNING: %s", text);
	printk("CPU %u, thread \"%.20s\":", smp_processor_id(), current->name);
	backtrace_print_current();
}
