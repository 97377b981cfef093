/* SPDX-License-Identifier: MIT */
/*
 * Reading a flattened device tree (Devicetree Specification 0.4, chapter 5). The blob is untrusted:
 * every offset is checked against its size, and nothing is read outside it.
 */
#ifndef GRACE_FDT_H
#define GRACE_FDT_H

#include <types.h>

struct fdt {
	const u8 *blob;
	u32 size, struct_off, struct_size, strings_off, strings_size, rsvmap_off;
};

/*
 * Checks header and structure block of the blob of which max bytes may be read. Returns 0, or
 * -EINVAL with *why set to a phrase such as "bad magic" or "cut short". The others need success.
 */
int fdt_open(struct fdt *f, const void *blob, size_t max, const char **why);

/* A node is the offset of its FDT_BEGIN_NODE in the structure block; -ENOENT where there is none.
 * An error number given as a node has no name, no properties and no relatives. */
int fdt_root(const struct fdt *f);
int fdt_first_child(const struct fdt *f, int node);
int fdt_next_sibling(const struct fdt *f, int node);
const char *fdt_name(const struct fdt *f, int node);
/* "/cpus/cpu@0"; a component without @ matches the first node of that name. Aliases: "serial0". */
int fdt_path(const struct fdt *f, const char *path);
/* The next node after prev (-1: from the start) whose "compatible" has the string; whole tree. */
int fdt_next_compatible(const struct fdt *f, int prev, const char *compatible);
bool fdt_compatible(const struct fdt *f, int node, const char *compatible); /* this node alone */
int fdt_parent(const struct fdt *f, int node);
int fdt_by_phandle(const struct fdt *f, u32 phandle);

/* A property's bytes, or NULL; *len set if len is not NULL. Aligned to 4: read with fdt_cell(). */
const void *fdt_prop(const struct fdt *f, int node, const char *name, u32 *len);
/* The property as a string that ends inside it, or NULL. */
const char *fdt_string(const struct fdt *f, int node, const char *name);
/* n-th big-endian cell of a property value. */
u32 fdt_cell(const void *value, unsigned int n);
/* A property of one cell, or def. */
u32 fdt_u32(const struct fdt *f, int node, const char *name, u32 def);
/*
 * The n-th (address, size) of "reg", read with the parent's #address-cells and #size-cells and
 * translated through "ranges" to a CPU address. 0 or -ENOENT.
 */
int fdt_reg(const struct fdt *f, int node, unsigned int n, u64 *addr, u64 *size);
/*
 * Where (phandle, irq) stands in the node's interrupts-extended, a list of pairs: controllers name
 * the CPUs so. -ENOENT if it is not there.
 */
int fdt_interrupt_index(const struct fdt *f, int node, u32 phandle, u32 irq);
/*
 * The INTID that three cells of a GIC's "interrupts" stand for, or -ENOENT: they are untrusted too.
 */
int fdt_gic_intid(const void *spec);
/* True if the node's status is absent, "okay" or "ok". */
bool fdt_enabled(const struct fdt *f, int node);
/* The n-th entry of the memory reservation block; -ENOENT after the last. */
int fdt_reserved(const struct fdt *f, unsigned int n, u64 *addr, u64 *size);

/*
 * Fills what a device tree says of every machine: boot.mem, boot.reserved (block, /reserved-memory,
 * initrd, the blob itself), boot.cmdline, boot.console. Ports add CPUs and interrupt controllers.
 */
void fdt_fill_boot(const struct fdt *f);

#endif
