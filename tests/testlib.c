// SPDX-License-Identifier: MIT
/*
 * What the selftests share; see testlib.h.
 *
 * Locks and contexts: thread context throughout, the loop of a held CPU excepted.
 */
#include "testlib.h"

#include <console.h>
#include <cpu_tree.h>
#include <inject.h>
#include <slab.h>
#include <tlb.h>
#include <trap.h>

/* ---- CPUs and threads -------------------------------------------------------------------- */

unsigned int test_cpu(unsigned int n)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		if (n-- == 0)
			return cpu;
	return 0;
}

bool test_needs_cpus(unsigned int n)
{
	unsigned int online = cpumask_weight(READ_ONCE(cpu_online_mask));

	if (online < n) {
		test_skip("needs %u CPUs, %u online", n, online);
		return false;
	}
	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	return true;
}

struct thread *test_thread_new(cpumask_t allowed, void (*fn)(void *), void *arg)
{
	struct thread *t = thread_create(fn, arg, allowed, "test");

	if (!t)
		test_fail(__FILE__, __LINE__, "no memory for a thread");
	return t;
}

struct thread *test_thread(cpumask_t allowed, void (*fn)(void *), void *arg)
{
	struct thread *t = test_thread_new(allowed, fn, arg);

	if (t)
		thread_wake(t);
	return t;
}

void test_run_on(unsigned int cpu, void (*fn)(void *), void *arg)
{
	struct thread *t = test_thread(cpumask_of(cpu), fn, arg);

	if (t)
		thread_join(t);
}

void test_run_on_few(unsigned int n, void (*fn)(void *), void *arg)
{
	struct thread *t[MAX_CPUS];

	n = min(n, cpumask_weight(READ_ONCE(cpu_online_mask)));
	for (unsigned int i = 0; i < n; i++)
		t[i] = test_thread(cpumask_of(test_cpu(i)), fn, arg);
	for (unsigned int i = 0; i < n; i++)
		if (t[i])
			thread_join(t[i]);
}

void test_run_on_each(void (*fn)(void *), void *arg)
{
	test_run_on_few(MAX_CPUS, fn, arg);
}

static __noinline void hold_loop(struct holder *h)
{
	unsigned int seen = 0;
	u64 end = h->ns ? time_ns() + h->ns : ~0ULL;

	WRITE_ONCE(h->holding, true);
	while (!READ_ONCE(h->release) && time_ns() < end) {
		/* Orders the request before reading addr. Pairs with hold_read(). */
		unsigned int req = smp_load_acquire(&h->req);

		if (req != seen) {
			h->err = user_read_u64(h->addr, &h->value);
			seen = req;
			/* Orders the answer before the acknowledgement. Pairs with hold_read(). */
			smp_store_release(&h->ack, req);
		}
		cpu_relax();
	}
	WRITE_ONCE(h->leaving, true);
}

static void hold_thread(void *arg)
{
	struct holder *h = arg;
	bool on = true;

	if (h->mm) {
		kthread_use_mm(h->mm);
		cpu_tree_share(h->mm); /* nothing can be faulted in while it is held */
	}
	if (h->kind != HOLD_NOTHING)
		preempt_disable();
	if (h->kind == HOLD_IRQS)
		on = local_irq_save();
	if (h->mm)
		user_access_begin();
	hold_loop(h);
	if (h->mm)
		user_access_end();
	if (h->kind == HOLD_IRQS)
		local_irq_restore(on);
	if (h->kind != HOLD_NOTHING)
		preempt_enable();
	if (h->mm)
		kthread_unuse_mm();
	WRITE_ONCE(h->over, true);
}

bool hold_start(struct holder *h, unsigned int cpu, enum hold_kind kind, struct mm *mm)
{
	return hold_start_for(h, cpu, kind, mm, 0);
}

bool hold_start_for(struct holder *h, unsigned int cpu, enum hold_kind kind, struct mm *mm, u64 ns)
{
	*h = (struct holder){ .cpu = cpu, .kind = kind, .mm = mm, .ns = ns };
	h->thread = test_thread(cpumask_of(cpu), hold_thread, h);
	if (!h->thread)
		return false;
	/*
	 * Without memory for a batch an unmapping waits for every reader, this one too: a test that
	 * unmaps before it lets the CPU go would wait for itself.
	 */
	inject_pause(INJECT_BATCH);
	if (WAIT_UNTIL(READ_ONCE(h->holding)))
		return true;
	test_fail(__FILE__, __LINE__, "no thread came to run on CPU %u", cpu);
	hold_end(h);
	return false;
}

void hold_end(struct holder *h)
{
	WRITE_ONCE(h->release, true);
	thread_join(h->thread);
	inject_resume(INJECT_BATCH);
}

int hold_read(struct holder *h, vaddr_t addr, u64 *value)
{
	h->addr = addr;
	/*
	 * Orders addr before the request, and the acknowledgement before reading the answer. Pairs
	 * with hold_loop().
	 */
	smp_store_release(&h->req, h->req + 1);
	if (!SPIN_UNTIL(smp_load_acquire(&h->ack) == h->req)) {
		test_fail(__FILE__, __LINE__, "CPU %u does not answer", h->cpu);
		return -ETIMEDOUT;
	}
	*value = h->value;
	return h->err;
}

/* ---- Address spaces ---------------------------------------------------------------------- */

struct mm *test_mm_enter(void)
{
	struct mm *mm = mm_create();

	if (mm)
		kthread_use_mm(mm);
	else
		test_fail(__FILE__, __LINE__, "no memory for an mm");
	return mm;
}

int test_fault_in(struct mm *mm, vaddr_t va, u64 nr)
{
	int err = 0;

	down_read(&mm->mmap_lock);
	for (u64 i = 0; i < nr && !err; i++)
		err = mm_fault_locked(mm, va + i * PAGE_SIZE, FAULT_WRITE | FAULT_ACCESS);
	up_read(&mm->mmap_lock);
	return err;
}

void test_mm_leave(struct mm *mm)
{
	kthread_unuse_mm();
	mmput(mm);
}

vaddr_t test_window(unsigned int n)
{
	return (16 + 4 * (u64)n) * pt_span(1);
}

vaddr_t test_map(struct mm *mm, u64 nr, u32 flags)
{
	s64 va = mm_mmap(mm, test_window(0), nr * PAGE_SIZE, PROT_READ | PROT_WRITE, flags);

	if (va > 0)
		return (vaddr_t)va;
	test_fail(__FILE__, __LINE__, "mm_mmap of %llu pages gives %lld", (unsigned long long)nr,
		  (long long)va);
	return 0;
}

vaddr_t test_map_used(struct mm *mm, u64 nr)
{
	vaddr_t va = test_map(mm, nr, 0);

	for (u64 i = 0; va && i < nr; i++)
		if (!EXPECT_EQ(test_poke(va + i * PAGE_SIZE, 0), 0))
			return 0;
	return va;
}

pte_t *test_ptep(pte_t *root, vaddr_t va, unsigned int level)
{
	pte_t *table = root;

	for (unsigned int l = pt_top_level(); l > level; l--) {
		pte_t pte = pte_read(&table[pt_index(va, l)]);

		if (!pte_present(pte) || pte_leaf(pte, l))
			return NULL;
		table = pte_table(pte);
	}
	return &table[pt_index(va, level)];
}

int test_peek(vaddr_t va, u64 *value)
{
	return copy_from_user(value, (const void *)va, sizeof(*value));
}

int test_poke(vaddr_t va, u64 value)
{
	return copy_to_user((void *)va, &value, sizeof(value));
}

bool test_tables_settle(struct mm *mm, s64 left)
{
	rcu_barrier();
	return WAIT_UNTIL(atomic64_read(&mm->nr_tables) == left);
}

static enum tlb_mode old_tlb_mode;
static bool tlb_mode_set;

bool test_set_tlb_mode(bool unmaskable)
{
	if (!tlb_mode_set)
		old_tlb_mode = tlb_mode;
	if (unmaskable && table_free_mode == TABLE_FREE_GATHER) {
		test_skip("table_free=gather");
		return false;
	}
	tlb_mode = unmaskable ? TLB_UNMASKABLE : TLB_IPI;
	tlb_mode_set = true;
	return true;
}

void test_restore_tlb_mode(void)
{
	if (tlb_mode_set)
		tlb_mode = old_tlb_mode;
	tlb_mode_set = false;
}

bool twin_init(struct twin *t, struct mm *mm)
{
	*t = (struct twin){ .mm = mm, .va = test_map(mm, 1, MAP_POPULATE) };
	if (!t->va || !EXPECT_EQ(test_poke(t->va, TWIN_A), 0))
		return false;
	t->ptep = test_ptep(mm->root, t->va, 0);
	if (!EXPECT(t->ptep != NULL))
		return false;
	t->a = pte_read(t->ptep);
	t->page_b = alloc_page(GFP_KERNEL | GFP_ZERO);
	if (!EXPECT(t->page_b != NULL))
		return false;
	*(u64 *)page_to_virt(t->page_b) = TWIN_B;
	t->b = arch_pte_leaf(page_to_phys(t->page_b), pte_attr(t->a), 0);
	return true;
}

void twin_point(struct twin *t, pte_t pte)
{
	WRITE_ONCE(t->ptep->val, pte.val);
	/*
	 * Orders the entry before whatever tells another CPU to use it; a local reader needs
	 * nothing. Pairs with that other CPU's load of the entry.
	 */
	smp_mb();
}

void twin_end(struct twin *t)
{
	twin_point(t, t->a);
	tlb_flush_mm(t->mm, false);
	free_pages(t->page_b, 0);
}

void test_plain_batches_begin(void)
{
	inject_pause(INJECT_BATCH);
	inject_pause(INJECT_TINY);
}

void test_plain_batches_end(void)
{
	inject_resume(INJECT_BATCH);
	inject_resume(INJECT_TINY);
}

/* ---- Memory ------------------------------------------------------------------------------ */

static bool hog_take_order(struct hog *h, unsigned int order)
{
	struct page *p = alloc_pages(order, GFP_NOWAIT);

	if (!p)
		return false;
	p->private = order;
	list_add(&p->node, &h->pages);
	h->nr += BIT(order);
	return true;
}

static void hog_take_what_is_left(struct hog *h)
{
	for (int order = MAX_ORDER; order >= 0; order--)
		while (hog_take_order(h, order))
			cond_resched();
}

void hog_take(struct hog *h)
{
	list_init(&h->pages);
	h->nr = 0;
	hog_take_what_is_left(h);
	page_alloc_drain(); /* what other CPUs kept in their lists */
	hog_take_what_is_left(h);
}

void hog_release(struct hog *h)
{
	while (!list_empty(&h->pages)) {
		struct page *p = list_first_entry(&h->pages, struct page, node);
		unsigned int order = p->private;

		list_del(&p->node);
		free_pages(p, order);
	}
}

/* ---- Console ----------------------------------------------------------------------------- */

#define CAPTURE_SIZE KiB(32)
static struct {
	char *buf;
	size_t len;
	const struct uart_ops *before;
} capture;

static void capture_putc(char c)
{
	if (capture.len < CAPTURE_SIZE - 1)
		capture.buf[capture.len++] = c;
}

static int capture_getc(void)
{
	return -1;
}

static void capture_enable_rx_irq(void)
{
}

static const struct uart_ops capture_ops = {
	.name = "capture",
	.putc = capture_putc,
	.getc = capture_getc,
	.enable_rx_irq = capture_enable_rx_irq,
};

bool capture_start(void)
{
	capture.buf = kmalloc(CAPTURE_SIZE, GFP_KERNEL);
	if (!capture.buf)
		return false;
	capture.len = 0;
	capture.before = console_uart();
	console_register(&capture_ops);
	return true;
}

const char *capture_stop(void)
{
	console_register(capture.before);
	capture.buf[capture.len] = '\0';
	return capture.buf;
}

void capture_free(void)
{
	kfree(capture.buf);
	capture.buf = NULL;
}

const char *test_strstr(const char *s, const char *needle)
{
	size_t n = strlen(needle);

	for (; *s; s++)
		if (strncmp(s, needle, n) == 0)
			return s;
	return NULL;
}
