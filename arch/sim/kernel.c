// SPDX-License-Identifier: MIT
/*
 * The parts of the kernel that the fourth port replaces: boot, console, reports, the kernel half.
 *
 * Everything that the search is about is the kernel's own code. Here stands what would only print,
 * watch, or map addresses that a host process has not; and the harness of the scenarios.
 * See also: tests/sim/sim_test.h, which is what scenarios see of it.
 */
#include "sim.h"

#include "../../tests/sim/sim_test.h"

#include <boot.h>
#include <hotplug.h>
#include <inject.h>
#include <irqflags.h>
#include <kmap.h>
#include <mm.h>
#include <oracle.h>
#include <printk.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>
#include <symbols.h>
#include <thread.h>
#include <time.h>
#include <tlb.h>
#include <trap.h>
#include <watchdog.h>

struct boot_info boot;
struct arch_info arch;
cpumask_t cpu_possible_mask, cpu_online_mask, cpu_active_mask;
unsigned int nr_cpus;
phys_t kernel_root, image_phys_base;
unsigned int warn_count;
struct mm *sim_mm;
u64 sim_done;

#define SIM_MEMORY MiB(2)

/* ---- Reports ----------------------------------------------------------------------------- */

__noreturn void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding("panic", fmt, ap);
}

__noreturn void panic_trap(const struct trap_frame *tf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding("panic", fmt, ap);
}

__noreturn void boot_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding("boot", fmt, ap);
}

void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding("warning", fmt, ap);
}

__noreturn void power_off(int status)
{
	finding("power off", "status %d", status);
}

void printk(const char *fmt, ...)
{
}

void print_line(const char *fmt, ...)
{
}

void backtrace_ipi(struct trap_frame *tf)
{
}

__noreturn void stop_this_cpu(void)
{
	finding("panic", "a CPU was stopped");
}

bool arch_fixup(struct trap_frame *tf)
{
	return false;
}

void watchdog_tick(struct trap_frame *tf)
{
}

const char *symbol_name(vaddr_t addr, size_t *offset)
{
	return NULL;
}

unsigned int backtrace_capture(vaddr_t pc, vaddr_t fp, vaddr_t *pcs, unsigned int max)
{
	return 0;
}

/* A frame's life is printed nowhere: the steps of the counterexample tell it. */
void stack_print(const char *indent, stack_nr_t nr)
{
}

/* ---- Faults on request: the explorer's choice -------------------------------------------- */

u32 inject_mask;

bool inject_hit(enum inject what)
{
	if (M.fails)
		touch_thing(THING_LEFT, 0, false);
	if (!M.fails || !choose(2, __builtin_return_address(0)))
		return false;
	touch_thing(THING_LEFT, 0, true);
	M.fails--;
	return true;
}

/* A window that the scenario asks for: an interrupt, or another CPU, may come here. */
void inject_spin(enum inject what)
{
	point(OP_IRQ, NULL, __builtin_return_address(0));
}

void inject_allow(bool on)
{
}

/* ---- The kernel half: nothing is mapped there -------------------------------------------- */

static unsigned int next_stack = 1; /* slot 0 is the boot CPU's */

vaddr_t stack_alloc(void)
{
	BUG_ON(next_stack == SIM_NR_STACKS);
	return stack_top(next_stack++) - STACK_SIZE;
}

void stack_free(vaddr_t stack)
{
}

void stack_drain(void)
{
}

size_t arch_user_copy(void *dst, const void *src, size_t n, bool to_user)
{
	return n;
}

__noreturn void arch_power_off(int status)
{
	power_off(status);
}

/* ---- Boot -------------------------------------------------------------------------------- */

void sim_secondary_main(void);
void sim_secondary_main(void)
{
	arch_cpu_init();
	context_init_cpu();
	rcu_cpu_online(smp_processor_id());
	time_init_cpu();
	smp_open();
	arch_tlb_flush_local_all();
	fetch_or(&cpu_active_mask, cpumask_of(smp_processor_id()));
	sched_idle_loop();
}

static void sleep_for_ever(void)
{
	for (;;) {
		thread_prepare_sleep();
		schedule();
	}
}

static void role_thread(void *arg)
{
	unsigned int n = (unsigned int)(u64)arg;

	if (scenario->roles[n].user)
		kthread_use_mm(sim_mm);
	sim_start_line();
	scenario->roles[n].run();
	if (scenario->roles[n].user)
		kthread_unuse_mm();
	fetch_or(&sim_done, BIT(n));
	sleep_for_ever();
}

static void main_thread(void *unused)
{
	unsigned int cpu;

	rcu_init_threads();
	for_each_possible_cpu (cpu)
		if (cpu != 0)
			(void)arch_cpu_start(cpu, sched_make_idle(cpu));
	while (READ_ONCE(cpu_active_mask) != cpu_possible_mask)
		cpu_relax();
	if (scenario->setup)
		scenario->setup();
	for (unsigned int n = 0; n < MAX_ROLES && scenario->roles[n].run; n++)
		(void)thread_spawn(role_thread, (void *)(u64)n, cpumask_of(scenario->roles[n].cpu),
				   "role/%u", n);
	sleep_for_ever();
}

void sim_kernel_main(void *unused);
void sim_kernel_main(void *unused)
{
	boot.nr_cpus = scenario->cpus;
	boot.mem[0] = (struct mem_range){ 0, SIM_MEMORY };
	boot.nr_mem = 1;
	boot.mapped_end = SIM_MEMORY;
	model_fill_arch(scenario->untagged);
	cpu_possible_mask = BIT(boot.nr_cpus) - 1;
	nr_cpus = boot.nr_cpus;
	cpu_online_mask = cpumask_of(0);
	cpu_active_mask = cpumask_of(0);
	percpu_init();
	sched_init();
	arch_cpu_init();
	page_alloc_init();
	slab_init();
	rcu_init();
	mm_init();
	tlb_init();
	context_init_cpu();
	time_init_cpu();
	if (thread_spawn(main_thread, NULL, ~0ULL, "main") != 0)
		boot_fail("no room for the first thread");
	sched_idle_loop();
}

/* ---- What scenarios call ----------------------------------------------------------------- */

void sim_new_mm(void)
{
	sim_mm = mm_create();
	BUG_ON(!sim_mm);
}

static void map(vaddr_t va, unsigned int pages, u64 how)
{
	s64 at = mm_mmap(sim_mm, va, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED);

	BUG_ON(at != (s64)va);
	down_read(&sim_mm->mmap_lock);
	for (unsigned int i = 0; i < pages; i++) {
		BUG_ON(mm_fault_locked(sim_mm, va + i * PAGE_SIZE, how) != 0);
		sim_watch(va + i * PAGE_SIZE);
	}
	up_read(&sim_mm->mmap_lock);
}

void sim_map(vaddr_t va, unsigned int pages)
{
	map(va, pages, FAULT_WRITE | FAULT_ACCESS);
}

void sim_map_unused(vaddr_t va, unsigned int pages)
{
	map(va, pages, FAULT_WRITE);
}

void sim_watch(vaddr_t va)
{
	BUG_ON(nr_sim_vas == MAX_VAS);
	sim_vas[nr_sim_vas++] = va;
}

void sim_check(bool ok, const char *rule, const char *what)
{
	if (!ok)
		finding(rule, "%s", what);
}

bool mmu_user_reaches(vaddr_t va, u64 except, bool write);
void mmu_note_absent(vaddr_t va);
bool mmu_holds_absence(vaddr_t va);
void mmu_mark(vaddr_t va, bool write);
u64 mmu_translation(vaddr_t va, unsigned int n);
u64 mmu_use(u64 h, vaddr_t va, bool write);

/* Which of the translations that the TLB may hold the access uses: any, or none: then it walks. */
static u64 *user_address(vaddr_t va, bool write)
{
	unsigned int n = 0;

	point(OP_CALL, NULL, __builtin_return_address(0));
	if (mmu_holds_absence(va) && choose(2, __builtin_return_address(0))) {
		sim_event("ABSENCE", va, 0);
		return NULL;
	}
	if (!mmu_translation(va, 0))
		mmu_mark(va, write);
	while (n < 4 && mmu_translation(va, n))
		n++;
	u64 h = n ? mmu_translation(va, choose(n, __builtin_return_address(0))) : 0;

	sim_event(h ? "TRANSLATED" : "UNMAPPED", va, 0);

	return (u64 *)(h ? mmu_use(h, va, write) : 0);
}

#define FAULTS_MAX 6 /* of one access: more, and it never ends */

static u64 *user_fault(vaddr_t va, bool write)
{
	for (unsigned int faults = 0;; faults++) {
		u64 *p = user_address(va, write);

		if (p)
			return p;
		if (faults == FAULTS_MAX)
			finding("A5", "an access faults again and again where its entry is");
		mmu_note_absent(va);
		local_irq_disable();
		int err = mm_fault(current->mm, va, write ? FAULT_WRITE : 0);

		arch_irq_enable();
		if (err)
			return NULL;
		mmu_refill(&M.cpu[sim_cpu()]);
	}
}

bool sim_load(vaddr_t va, u64 *value)
{
	u64 *p = user_fault(va, false);

	if (p)
		*value = *p;
	return p != NULL;
}

bool sim_store_user(vaddr_t va, u64 value)
{
	u64 *p = user_fault(va, true);

	if (p) {
		note_write((u64)p, 8);
		*p = value;
	}
	return p != NULL;
}

void sim_cookie(struct page *page, u64 cookie)
{
	u64 *p = page_to_virt(page);

	note_write((u64)p, 8);
	*p = cookie;
}

u64 sim_cookie_of(const struct page *page)
{
	u64 pfn = page_to_pfn(page);

	if (frame_is_free(pfn))
		finding("U3", "a reference is held to frame %#llx, which is free",
			(unsigned long long)pfn);
	return *(u64 *)page_to_virt(page);
}

void sim_unreachable(vaddr_t va, const char *rule)
{
	unsigned int level;
	pte_t pte = pte_read(pt_walk(sim_mm, va, &level));

	if (mmu_user_reaches(va, pte_present(pte) ? pte_pa(pte) >> PAGE_SHIFT : ~0ULL, false))
		finding(rule,
			"the caller was told that %#llx is empty, and user code still reaches "
			"the old page",
			(unsigned long long)va);
}

void sim_unwritable(vaddr_t va, const char *rule)
{
	if (mmu_user_reaches(va, ~0ULL, true))
		finding(rule,
			"the caller was told that %#llx is read-only, and user code still "
			"writes there",
			(unsigned long long)va);
}
