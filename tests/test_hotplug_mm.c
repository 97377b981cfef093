// SPDX-License-Identifier: MIT
/*
 * CPUs that are taken down and up again: they hold no address space, nobody waits for them, and all
 * of it at random.
 *
 * What is so only with a rule switched off (a CPU that is down and in a mask) is undone before
 * anything is unmapped: such a CPU can be told only when it is up.
 * See also: kernel/hotplug.c, mm/context.c, test_hotplug.c.
 */
#include "hotplug.h"

#include <inject.h>
#include <irqflags.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>

/* ---- Memory ------------------------------------------------------------------------------ */

struct look {
	struct mm *mm;
	vaddr_t va;
	u64 value;
	int err;
};

static void look_at(void *arg)
{
	struct look *l = arg;

	kthread_use_mm(l->mm);
	l->err = test_peek(l->va, &l->value);
	kthread_unuse_mm(); /* the CPU keeps it loaded lazily */
}

static void expect_on(unsigned int cpu, struct mm *mm, vaddr_t va, u64 value)
{
	struct look l = { mm, va, 0, -EIO };

	test_run_on(cpu, look_at, &l);
	EXPECT_EQ(l.err, 0);
	EXPECT_EQ(l.value, value);
}

static bool in_mask(struct mm *mm, unsigned int cpu)
{
	return cpumask_has(READ_ONCE(mm->cpu_mask), cpu);
}

/* Maps another page at va. Waits for no CPU that is down. */
static void map_anew(struct mm *mm, vaddr_t va, u64 value)
{
	EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
	EXPECT_EQ(test_map(mm, 1, 0), va);
	EXPECT_EQ(test_poke(va, value), 0);
}

/*
 * The CPU has used the mm, and has it loaded still when it goes down. It must be in no mask then:
 * only so is the page that it may know unmapped without it, and it comes back knowing nothing.
 */
static void check_mask(unsigned int cpu)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;

	if (!va || !EXPECT_EQ(test_poke(va, 1), 0))
		goto out;
	expect_on(cpu, mm, va, 1);
	EXPECT(in_mask(mm, cpu));
	if (!take_down(cpu))
		goto out;
	bool left = EXPECT(!in_mask(mm, cpu));

	if (left) /* else it may know the page yet, and can be told only when it is up */
		map_anew(mm, va, 2);
	take_up(cpu);
	expect_on(cpu, mm, va, left ? 2 : 1);
out:
	if (mm)
		test_mm_leave(mm);
}

TEST(rule, H1_offline_cpu_is_in_no_mask)
{
	unsigned int cpu;

	if (needs_victim(2, &cpu))
		check_mask(cpu);
}

TEST(hotplug, unmapping_waits_for_no_offline_cpu)
{
	unsigned int cpu;

	if (!needs_victim(2, &cpu))
		return;
	for (unsigned int unmaskable = 0; unmaskable < 2; unmaskable++)
		if (test_set_tlb_mode(unmaskable))
			check_mask(cpu);
	test_restore_tlb_mode();
}

/* The last user goes while a CPU that had the mm loaded lazily is down: it holds no reference. */
TEST(hotplug, mm_dies_while_it_is_down)
{
	unsigned int cpu;
	struct mm *mm;

	if (!needs_victim(2, &cpu) || !(mm = test_mm_enter()))
		return;
	vaddr_t va = test_map(mm, 1, 0);

	if (va && EXPECT_EQ(test_poke(va, 1), 0))
		expect_on(cpu, mm, va, 1);
	bool down = take_down(cpu);

	test_mm_leave(mm);
	if (down)
		take_up(cpu);
}

#ifdef GRACE_DEBUG
/*
 * A flusher passes over the lazy CPU and then waits for one that is slow to answer; meanwhile the
 * lazy CPU goes down, and is slow too. Whatever moment the flusher's wait ends at, the CPU must be
 * lazy still, or have dropped what was left to it: else the ledger reports.
 */
static void go_down_slowly(unsigned int cpu, struct mm *mm, vaddr_t va)
{
	static struct worker slow, flushed;
	struct inject_settings kept, s = { .seed = 1 };

	s.rate[INJECT_ACK] = s.rate[INJECT_LAZY_WINDOW] = 1;
	s.us[INJECT_ACK] = s.us[INJECT_LAZY_WINDOW] = 5000;
	inject_get(&kept);
	if (worker_start(&slow, cpumask_of(test_cpu(2)), mm, va + PAGE_SIZE) &&
	    start_unmapping(&flushed, cpumask_of(test_cpu(3)), mm, va) && all_work(&flushed, 1)) {
		inject_set(&s);
		for_bounded_rounds(i, 20) {
			u64 value;

			test_run_on(cpu, look_at, &(struct look){ mm, va + PAGE_SIZE, 0, 0 });
			EXPECT_EQ(test_peek(va + PAGE_SIZE, &value), 0);
			if (!take_down(cpu) || !take_up(cpu))
				break;
		}
		inject_set(&kept);
	}
	worker_end(&flushed);
	worker_end(&slow);
}

TEST(hotplug, lazy_cpu_goes_down_beside_a_flush)
{
	unsigned int cpu;
	struct mm *mm;

	if (!needs_victim(4, &cpu) || !(mm = test_mm_enter()))
		return;
	if (test_set_tlb_mode(false)) {
		vaddr_t va = test_map(mm, 2, 0);

		if (va)
			go_down_slowly(cpu, mm, va);
		test_restore_tlb_mode();
	}
	test_mm_leave(mm);
}
#endif

#define OBJECTS 8

/* Leaves frames and objects in the lists of this CPU. */
static void fill_lists(void *cache)
{
	void *objects[OBJECTS];
	struct page *pages[OBJECTS];
	unsigned int i;

	for (i = 0; i < OBJECTS; i++) {
		objects[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		pages[i] = alloc_page(GFP_KERNEL);
	}
	for (i = 0; i < OBJECTS; i++) {
		if (objects[i])
			kmem_cache_free(cache, objects[i]);
		if (pages[i])
			free_pages(pages[i], 0);
	}
}

/* Free frames that are in some CPU's list though every CPU that is up has emptied its own. */
static u64 frames_in_lists(void)
{
	u64 nr[MAX_ORDER + 1], in_buddy = 0;
	struct mem_stats s;
	bool on;

	page_alloc_drain();
	on = local_irq_save();
	mem_get_stats(&s);
	page_free_blocks(nr);
	local_irq_restore(on);
	for (unsigned int i = 0; i <= MAX_ORDER; i++)
		in_buddy += nr[i] << i;
	return s.free - in_buddy;
}

TEST(hotplug, free_memory_is_given_back)
{
	struct kmem_cache *c = kmem_cache_create("hotplug", 64, 64);
	unsigned int cpu;

	ASSERT(c != NULL);
	if (needs_victim(2, &cpu)) {
		test_run_on(cpu, fill_lists, c);
		if (take_down(cpu)) {
			EXPECT(WAIT_UNTIL(frames_in_lists() == 0));
			kmem_cache_destroy(c); /* it would miss an object in a list */
			c = NULL;
			take_up(cpu);
		}
	}
	if (c)
		kmem_cache_destroy(c);
}

/* ---- Calls, and everything together ------------------------------------------------------- */

static u64 calls_run;

static void count_call(void *unused)
{
	fetch_add(&calls_run, 1);
}

static void call_often(void *arg)
{
	struct worker *w = arg;

	while (!READ_ONCE(w->stop)) {
		u64 before = READ_ONCE(calls_run);

		smp_call_all(count_call, NULL, true);
		smp_call_all(count_call, NULL, false);
		if (READ_ONCE(calls_run) == before)
			w->wrong++;
		WRITE_ONCE(w->rounds, w->rounds + 1);
	}
}

/* Calls to every CPU while one goes and comes: each returns, whether it was still told or not. */
TEST(hotplug, calls_while_it_goes)
{
	static struct worker w;
	unsigned int cpu;

	if (!needs_victim(3, &cpu))
		return;
	w = (struct worker){ .stop = false };
	w.thread = test_thread(cpumask_of(test_cpu(2)), call_often, &w);
	for (unsigned int i = 0; w.thread && i < ROUNDS; i++) {
		if (!take_down(cpu))
			break;
		EXPECT(all_work(&w, 1));
		take_up(cpu);
		EXPECT(all_work(&w, 1));
	}
	worker_end(&w);
	smp_call_all(count_call, NULL, true); /* those without wait are over when this one is */
}

static void all_up(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (!is_up(cpu))
			take_up(cpu);
}

TEST(hotplug, at_random)
{
	static struct worker w[WORKERS];
	u64 random = time_ns();
	unsigned int cpu, n = 0;
	struct mm *mm;

	if (!needs_victim(2, &cpu) || !(mm = test_mm_enter()))
		return;
	vaddr_t va = test_map(mm, WORKERS, 0);

	for (; va && n < WORKERS; n++)
		if (!worker_start(&w[n], ~0ULL, mm, va + n * PAGE_SIZE))
			break;
	for_bounded_rounds(i, 40) {
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		EXPECT_EQ(cpu_toggle_random(random >> 32), 0);
	}
	all_up();
	while (n-- > 0)
		worker_end(&w[n]);
	test_mm_leave(mm);
}
