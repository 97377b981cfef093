// SPDX-License-Identifier: MIT
/*
 * The CPUs: which there are, what they can do, and what each sets up for itself; and the beginning
 * of a thread.
 *
 * A feature is used if every usable CPU has it, so that threads may run anywhere.
 *
 * Locks and contexts: boot CPU from arch_start(), except arch_cpu_init() and the functions on
 * threads.
 * See also: smp.c, switch.S.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <boot.h>
#include <bug.h>
#include <errno.h>
#include <kmap.h>
#include <percpu.h>
#include <printk.h>
#include <string.h>
#include <thread.h>

_Static_assert(offsetof(struct arch_context, percpu_offset) == CTX_PERCPU_OFFSET, "switch.S");
_Static_assert(offsetof(struct arch_context, kernel_sp) == CTX_KERNEL_SP, "trap.S");
_Static_assert(offsetof(struct arch_context, trap_sp) == CTX_TRAP_SP, "trap.S");
_Static_assert(offsetof(struct arch_context, ra) == CTX_RA, "switch.S");
_Static_assert(offsetof(struct arch_context, sp) == CTX_SP, "switch.S");
_Static_assert(offsetof(struct arch_context, s) == CTX_S0, "switch.S");

/* ---- What the device tree says ----------------------------------------------------------- */

static const struct fdt *tree;
static int cpu_nodes[MAX_CPUS];

static bool is_usable_cpu(const struct fdt *f, int node)
{
	const char *type = fdt_string(f, node, "device_type");

	/* A hart without mmu-type has no virtual memory: a small management core. */
	return type && strcmp(type, "cpu") == 0 && fdt_enabled(f, node) &&
	       fdt_string(f, node, "mmu-type");
}

/* The hart id: "reg", whose width /cpus gives. */
static bool read_hart_id(const struct fdt *f, int cpus, int node, u64 *id)
{
	u32 len, cells = fdt_u32(f, cpus, "#address-cells", 1);
	const void *reg = fdt_prop(f, node, "reg", &len);

	if (!reg || cells < 1 || cells > 2 || len < 4 * cells)
		return false;
	*id = fdt_cell(reg, 0);
	if (cells == 2)
		*id = *id << 32 | fdt_cell(reg, 1);
	return true;
}

static bool hart_known(u64 id)
{
	for (unsigned int i = 0; i < boot.nr_cpus; i++)
		if (boot.hwid[i] == id && cpu_nodes[i] >= 0)
			return true;
	return false;
}

static void add_hart(int node, u64 id)
{
	if (hart_known(id))
		return;
	boot.nr_cpus_seen++;
	if (id == boot.hwid[0]) {
		cpu_nodes[0] = node;
	} else if (boot.nr_cpus < MAX_CPUS) {
		cpu_nodes[boot.nr_cpus] = node;
		boot.hwid[boot.nr_cpus++] = id;
	}
}

/* The phandle of the interrupt controller that each CPU's node contains; 0 if it has none. */
static u32 cpu_intc(const struct fdt *f, int cpu_node)
{
	int node = fdt_first_child(f, cpu_node);

	for (; node >= 0; node = fdt_next_sibling(f, node))
		if (fdt_compatible(f, node, "riscv,cpu-intc"))
			return fdt_u32(f, node, "phandle", 0);
	return 0;
}

void cpu_fill_boot(const struct fdt *f, u64 boot_hart, u32 intc[MAX_CPUS])
{
	int cpus = fdt_path(f, "/cpus"), node;
	u64 id;

	tree = f;
	boot.hwid[0] = boot_hart;
	boot.nr_cpus = 1;
	cpu_nodes[0] = -ENOENT;
	for (node = fdt_first_child(f, cpus); node >= 0; node = fdt_next_sibling(f, node))
		if (is_usable_cpu(f, node) && read_hart_id(f, cpus, node, &id))
			add_hart(node, id);
	if (cpu_nodes[0] < 0)
		boot_fail("device tree: no CPU node for hart %llu, which is running this",
			  (unsigned long long)boot_hart);
	for (unsigned int i = 0; i < boot.nr_cpus; i++)
		intc[i] = cpu_intc(f, cpu_nodes[i]);
}

/* ---- Features ---------------------------------------------------------------------------- */

/* In the older form, "rv64imac_zicsr_sstc": a word behind an underscore. */
static bool isa_string_has(const char *isa, const char *extension)
{
	size_t n = strlen(extension);

	for (const char *s = strchr(isa, '_'); s; s = strchr(s + 1, '_'))
		if (strncmp(s + 1, extension, n) == 0 && (s[1 + n] == 0 || s[1 + n] == '_'))
			return true;
	return false;
}

/* In the newer form, a list of strings. */
static bool isa_list_has(const char *list, u32 len, const char *extension)
{
	for (u32 i = 0; i < len; i += (u32)strnlen(list + i, len - i) + 1)
		if (strnlen(list + i, len - i) < len - i && strcmp(list + i, extension) == 0)
			return true;
	return false;
}

static bool node_isa_has(int node, const char *extension)
{
	u32 len;
	const char *list = fdt_prop(tree, node, "riscv,isa-extensions", &len);
	const char *isa = fdt_string(tree, node, "riscv,isa");

	return list ? isa_list_has(list, len, extension) : isa && isa_string_has(isa, extension);
}

bool cpu_isa_has(const char *extension)
{
	for (unsigned int i = 0; i < boot.nr_cpus; i++)
		if (!node_isa_has(cpu_nodes[i], extension))
			return false;
	return true;
}

void cpu_feature(const char *fmt, ...)
{
	size_t len = strlen(arch.features);
	va_list ap;

	if (len > 0 && len + 1 < sizeof(arch.features))
		arch.features[len++] = ' ';
	va_start(ap, fmt);
	vsnprintf(arch.features + len, sizeof(arch.features) - len, fmt, ap);
	va_end(ap);
}

/* ---- Each CPU for itself ----------------------------------------------------------------- */

void arch_cpu_init(void)
{
	csr_write(stvec, (u64)trap_entry);
	csr_write(sscratch, 0);
	csr_clear(sstatus, SSTATUS_SIE | SSTATUS_SUM | SSTATUS_MXR | SSTATUS_FS | SSTATUS_VS);
	arch_root_load_none();
	arch_tlb_flush_local_all(); /* also what was cached through the boot tables */
	irq_init_cpu(smp_processor_id());
	timer_init_cpu();
	csr_set(sie, SIE_SSIE | SIE_SEIE);
}

void arch_cpu_idle(void)
{
	/*
	 * An interrupt that is pending and enabled in sie ends WFI even while sstatus.SIE is clear,
	 * so none can slip in between the caller's last look and the wait.
	 */
	__asm__ __volatile__("wfi" ::: "memory");
	arch_irq_enable();
}

/* ---- Threads ----------------------------------------------------------------------------- */

void context_first(void); /* switch.S */

void arch_context_init(struct thread *t, void *stack_top)
{
	t->ctx = (struct arch_context){
		.kernel_sp = (u64)stack_top,
		.ra = (u64)context_first,
		.sp = (u64)stack_top,
	};
}

vaddr_t arch_thread_fp(const struct thread *t)
{
	return t->ctx.s[0];
}
