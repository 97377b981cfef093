// SPDX-License-Identifier: MIT
/*
 * From a device tree to `boot`: memory, what of it is taken, the command line, the console.
 *
 * What it reads is the same on every machine with a device tree; CPUs and interrupt controllers are
 * the ports' own. How many entries are looked at is bounded, because each costs a scan of the blob.
 *
 * Locks and contexts: boot CPU, from arch_start().
 * See also: drivers/fdt.c.
 */
#include <boot.h>
#include <errno.h>
#include <fdt.h>
#include <page.h>
#include <printk.h>
#include <string.h>

#define MAX_ENTRIES (8 * BOOT_MAX_RANGES) /* looked for, a node's one too many included */

typedef void (*range_fn)(phys_t start, phys_t end);

/* Gives (addr, size) to fn unless it wraps around. */
static void add_range(range_fn fn, u64 addr, u64 size)
{
	if (size > ~0ULL - addr)
		printk("device tree: ignoring %#llx + %#llx", (unsigned long long)addr,
		       (unsigned long long)size);
	else
		fn(addr, addr + size);
}

/* Every entry of the node's "reg", as long as *left lasts. */
static void add_reg(const struct fdt *f, int node, range_fn fn, unsigned int *left)
{
	u64 addr, size;

	for (unsigned int n = 0; *left > 0; n++) {
		(*left)--;
		if (fdt_reg(f, node, n, &addr, &size) != 0)
			break;
		add_range(fn, addr, size);
	}
}

static void fill_memory(const struct fdt *f)
{
	unsigned int left = MAX_ENTRIES;
	int node;

	for (node = fdt_first_child(f, fdt_root(f)); node >= 0; node = fdt_next_sibling(f, node)) {
		const char *type = fdt_string(f, node, "device_type");

		if (type && strcmp(type, "memory") == 0 && fdt_enabled(f, node))
			add_reg(f, node, boot_add_mem, &left);
	}
	if (left == 0)
		printk("device tree: more than %u pieces of memory, the rest is not used",
		       MAX_ENTRIES);
	if (boot.nr_mem == 0)
		boot_fail("device tree: no memory that can be used");
}

static void fill_reserved(const struct fdt *f)
{
	unsigned int left = MAX_ENTRIES;
	u64 addr, size;
	int node;

	for (unsigned int n = 0; left > 0 && fdt_reserved(f, n, &addr, &size) == 0; n++, left--)
		add_range(boot_reserve, addr, size);
	node = fdt_first_child(f, fdt_path(f, "/reserved-memory"));
	for (; node >= 0; node = fdt_next_sibling(f, node))
		if (fdt_enabled(f, node))
			add_reg(f, node, boot_reserve, &left);
	if (left == 0)
		boot_fail("device tree: more than %u reserved ranges", MAX_ENTRIES);
}

/* A property of one or two cells as a number. */
static bool read_number(const struct fdt *f, int node, const char *name, u64 *value)
{
	u32 len;
	const void *p = fdt_prop(f, node, name, &len);

	if (!p || (len != 4 && len != 8))
		return false;
	*value = len == 4 ? fdt_cell(p, 0) : (u64)fdt_cell(p, 0) << 32 | fdt_cell(p, 1);
	return true;
}

static void fill_chosen(const struct fdt *f, int chosen)
{
	u64 start, end;
	u32 len;
	const char *args = fdt_prop(f, chosen, "bootargs", &len);

	if (args)
		boot_set_cmdline(args, len);
	if (read_number(f, chosen, "linux,initrd-start", &start) &&
	    read_number(f, chosen, "linux,initrd-end", &end) && start < end)
		boot_reserve(start, end);
}

/* The node that interrupts of node go to; the property is inherited from the parents. */
static int interrupt_parent(const struct fdt *f, int node)
{
	for (; node >= 0; node = fdt_parent(f, node)) {
		u32 phandle = fdt_u32(f, node, "interrupt-parent", 0);

		if (phandle)
			return fdt_by_phandle(f, phandle);
	}
	return -ENOENT;
}

int fdt_interrupt_index(const struct fdt *f, int node, u32 phandle, u32 irq)
{
	u32 len;
	const u8 *list = fdt_prop(f, node, "interrupts-extended", &len);

	for (u32 i = 0; list && phandle && i < len / 8; i++)
		if (fdt_cell(list, 2 * i) == phandle && fdt_cell(list, 2 * i + 1) == irq)
			return (int)i;
	return -ENOENT;
}

int fdt_gic_intid(const void *spec)
{
	u32 type = fdt_cell(spec, 0), nr = fdt_cell(spec, 1);

	/* 0: shared, INTIDs from 32 up; 1: private to each CPU, from 16 up. */
	if (type > 1 || nr >= (type == 0 ? 988u : 16u))
		return -ENOENT;
	return (int)nr + (type == 0 ? 32 : 16);
}

/*
 * The controller's number of the node's first interrupt, and its phandle; 0 if the node has none
 * that is understood.
 */
static u32 first_interrupt(const struct fdt *f, int node, u32 *controller)
{
	u32 len;
	const u8 *spec = fdt_prop(f, node, "interrupts-extended", &len);
	int parent;

	if (spec && len >= 8) {
		parent = fdt_by_phandle(f, fdt_cell(spec, 0));
		spec += 4;
		len -= 4;
	} else {
		spec = fdt_prop(f, node, "interrupts", &len);
		parent = interrupt_parent(f, node);
	}
	u32 cells = fdt_u32(f, parent, "#interrupt-cells", 0);

	*controller = fdt_u32(f, parent, "phandle", 0);
	if (!spec || cells == 0 || (u64)cells * 4 > len)
		return 0;
	if (cells < 3)
		return fdt_cell(spec, 0);
	return (u32)max(fdt_gic_intid(spec), 0);
}

static const struct {
	const char *compatible;
	enum console_type type;
} consoles[] = {
	{ "ns16550a", CONSOLE_16550_MMIO },
	{ "ns16550", CONSOLE_16550_MMIO },
	{ "snps,dw-apb-uart", CONSOLE_16550_MMIO },
	{ "arm,pl011", CONSOLE_PL011 },
};

/* True if the node is a UART that Grace has a driver for; it is the console then. */
static bool use_console(const struct fdt *f, int node)
{
	u64 addr, size;

	for (unsigned int i = 0; i < ARRAY_SIZE(consoles); i++) {
		if (!fdt_compatible(f, node, consoles[i].compatible) ||
		    fdt_reg(f, node, 0, &addr, &size) != 0)
			continue;
		addr += fdt_u32(f, node, "reg-offset", 0);
		u32 shift = fdt_u32(f, node, "reg-shift", 0) & 3;

		/* Words that are not aligned cannot be read from a device. */
		if ((consoles[i].type == CONSOLE_PL011 || shift == 2) && addr % sizeof(u32) != 0)
			continue;
		boot.console.type = consoles[i].type;
		boot.console.base = addr;
		boot.console.reg_shift = shift;
		boot.console.irq = first_interrupt(f, node, &boot.console.irq_parent);
		return true;
	}
	return false;
}

/* The node that /chosen names: a path or an alias, then perhaps ":" and options. */
static int stdout_node(const struct fdt *f, int chosen)
{
	const char *s = fdt_string(f, chosen, "stdout-path");
	char path[256];
	char *colon;

	if (!s)
		s = fdt_string(f, chosen, "linux,stdout-path");
	if (!s || strlcpy(path, s, sizeof(path)) >= sizeof(path))
		return -ENOENT;
	colon = strchr(path, ':');
	if (colon)
		*colon = 0;
	return fdt_path(f, path);
}

/* What /chosen names, else the first UART that is switched on. */
static void fill_console(const struct fdt *f, int chosen)
{
	int node;

	if (use_console(f, stdout_node(f, chosen)) || use_console(f, fdt_path(f, "serial0")))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(consoles); i++) {
		node = fdt_next_compatible(f, -1, consoles[i].compatible);
		if (fdt_enabled(f, node) && use_console(f, node))
			return;
	}
}

void fdt_fill_boot(const struct fdt *f)
{
	int chosen = fdt_path(f, "/chosen");
	phys_t blob = virt_to_phys(f->blob);

	boot_begin(fdt_prop(f, chosen, "u-boot,version", &(u32){ 0 }) ? "U-Boot" : "device tree");
	boot.fdt = f->blob;
	boot.fdt_size = f->size;
	boot_reserve(blob, blob + f->size);
	fill_chosen(f, chosen);
	fill_memory(f);
	fill_reserved(f);
	fill_console(f, chosen);
}
