// SPDX-License-Identifier: MIT
/*
 * Names of functions, and backtraces with them.
 *
 * Why it exists: a report must say where. The table of names is linked into the image by
 * scripts/mksyms.py, in order of address. A backtrace follows frame pointers, and may start from a
 * wild one: no frame is read before the kernel's page tables say that it is memory.
 * Contexts: any, NMI included, but for the functions that print. No lock is taken.
 * See also: panic.c, which gets backtraces of other CPUs.
 */
#include <boot.h>
#include <kmap.h>
#include <layout.h>
#include <pgtable.h>
#include <printk.h>
#include <string.h>
#include <symbols.h>
#include <thread.h>
#include <trap.h>

/* Made by scripts/mksyms.py. Behind offsets: a name offset for each run, then all names. */
struct symbol_table {
	u64 count;
	u32 offsets[]; /* from image_start */
};
extern const struct symbol_table symbol_table;
#define SYMBOL_RUN 16

static const char *name_of(u64 n)
{
	const u32 *runs = &symbol_table.offsets[symbol_table.count];
	const char *names = (const char *)(runs + DIV_ROUND_UP(symbol_table.count, SYMBOL_RUN));
	const char *name = names + runs[n / SYMBOL_RUN];

	for (u64 i = n % SYMBOL_RUN; i > 0; i--)
		name += strlen(name) + 1;
	return name;
}

static bool in_text(vaddr_t addr)
{
	return addr >= (vaddr_t)text_start && addr < (vaddr_t)text_end;
}

const char *symbol_name(vaddr_t addr, size_t *offset)
{
	u64 from = 0, to = symbol_table.count;
	u64 want = addr - (vaddr_t)image_start;

	if (!in_text(addr))
		return NULL;
	/* Every symbol before `from` is at or below addr; every one at `to` and behind is above. */
	while (from < to) {
		u64 mid = (from + to) / 2;

		if (symbol_table.offsets[mid] <= want)
			from = mid + 1;
		else
			to = mid;
	}
	if (from == 0)
		return NULL;
	*offset = want - symbol_table.offsets[from - 1];
	return name_of(from - 1);
}

vaddr_t symbol_addr(const char *name)
{
	for (u64 i = 0; i < symbol_table.count; i++) {
		if (strcmp(name_of(i), name) == 0)
			return (vaddr_t)image_start + symbol_table.offsets[i];
	}
	return 0;
}

/*
 * True if reading va in the kernel half cannot fault and touches no device. A walk over the
 * kernel's own tables, which are reached through the direct map.
 * WHY SAFE without a lock: 1. the kernel half's tables are never freed; 2. a stack that is freed
 * meanwhile is unmapped first, and its owner waits for this CPU before the memory goes on [G1]: at
 * worst an old word is read.
 */
static bool readable(vaddr_t va)
{
	pte_t *table;

	if (va < DIRECT_MAP)
		return false;
	if (!kernel_root) /* too early for any other stack than the image's */
		return va >= (vaddr_t)data_start && va < (vaddr_t)image_end;
	table = phys_to_virt(kernel_root);
	for (unsigned int level = pt_top_level();; level--) {
		pte_t pte = pte_read(&table[pt_index(va, level)]);

		if (!pte_present(pte))
			return false;
		if (level == 0 || pte_leaf(pte, level))
			return !(pte_attr(pte) & PA_DEVICE) && (pte_attr(pte) & PA_READ);
		table = pte_table(pte);
	}
}

/* How far from its frame pointer a frame's record may reach on any port (riscv64: below it). */
#define FRAME_REACH 16
#define FRAMES_MAX (STACK_SIZE / FRAME_REACH)

static bool frame_readable(vaddr_t fp)
{
	return IS_ALIGNED(fp, sizeof(u64)) && readable(fp - FRAME_REACH) &&
	       readable(fp + FRAME_REACH - 1);
}

static bool same_stack(vaddr_t a, vaddr_t b)
{
	return ALIGN_DOWN(a, 2 * STACK_SIZE) == ALIGN_DOWN(b, 2 * STACK_SIZE);
}

/* A function that calls itself is shown so often in a row: what matters more is who began. */
#define RECURSION_MAX 4

static bool repeats(vaddr_t ret, const vaddr_t *pcs, unsigned int n)
{
	unsigned int same = 0;

	while (same < n && pcs[n - 1 - same] == ret)
		same++;
	return same >= RECURSION_MAX;
}

unsigned int backtrace_capture(vaddr_t pc, vaddr_t fp, vaddr_t *pcs, unsigned int max)
{
	unsigned int n = 0, strange = 0, frames = 0;

	if (pc && n < max)
		pcs[n++] = pc;
	while (n < max && frame_readable(fp) && frames++ < FRAMES_MAX) {
		vaddr_t caller_fp, ret;

		arch_unwind(fp, &caller_fp, &ret);
		/* One address outside the text may be a jump to nowhere that trapped. */
		if (!ret || (!in_text(ret) && ++strange > 1))
			break;
		if (!repeats(ret, pcs, n))
			pcs[n++] = ret;
		/* Up the stack; or from an emergency stack to the one it was entered from. */
		if (same_stack(fp, caller_fp) && caller_fp <= fp)
			break;
		fp = caller_fp;
	}
	return n;
}

/*
 * A return address may lie behind the function that made the call, if that call does not return: so
 * the name is that of the byte before. The first address is one, too, unless it is where a trap
 * hit.
 */
void backtrace_print_pcs(const vaddr_t *pcs, unsigned int n, bool first_is_exact)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int back = i == 0 && first_is_exact ? 0 : 1;
		size_t offset = 0;
		const char *name = symbol_name(pcs[i] - back, &offset);

		printk("  #%u %s+%#zx (%#llx)", i, name ? name : "?", name ? offset + back : 0,
		       (unsigned long long)pcs[i]);
	}
	if (n == 0)
		printk("  (no frames)");
}

void backtrace_print(vaddr_t pc, vaddr_t fp)
{
	vaddr_t pcs[BACKTRACE_MAX];
	unsigned int n = backtrace_capture(pc, fp, pcs, BACKTRACE_MAX);

	backtrace_print_pcs(pcs, n, pc != 0);
}

void backtrace_print_current(void)
{
	backtrace_print(0, arch_frame_pointer());
}

void backtrace_print_trap(const struct trap_frame *tf)
{
	if (trap_from_user(tf))
		printk("  (in user mode at %#llx)", (unsigned long long)trap_pc(tf));
	else
		backtrace_print(trap_pc(tf), trap_fp(tf));
}

void backtrace_print_thread(const struct thread *t)
{
	if (t == current)
		backtrace_print_current();
	else if (READ_ONCE(t->on_cpu))
		backtrace_print_cpu(READ_ONCE(t->cpu));
	else
		backtrace_print(0, arch_thread_fp(t));
}
