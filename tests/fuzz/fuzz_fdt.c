// SPDX-License-Identifier: MIT
/*
 * The device tree: its reader, called in every way for every node, and its boot walk.
 *
 * The input is the blob, and no byte behind it may be touched.
 */
#include "shim.h"

#include <boot.h>
#include <fdt.h>
#include <page.h>
#include <string.h>

#define TREE_PA 0x48000000
#define TREE_MAX MiB(1)
#define NODES_MAX 64 /* looked at closely */

static void look_at_string(const char *s)
{
	volatile size_t n = s ? strlen(s) : 0;

	(void)n;
}

static void look_at_node(const struct fdt *f, int node)
{
	static const char *const names[] = { "compatible", "reg", "ranges", "status" };
	u32 len;

	look_at_string(fdt_name(f, node));
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		const u8 *value = fdt_prop(f, node, names[i], &len);

		FUZZ_CHECK(value || len == 0);
		for (u32 at = 0; at + 4 <= len; at += 4)
			(void)fdt_cell(value, at / 4);
		look_at_string(fdt_string(f, node, names[i]));
	}
	(void)fdt_compatible(f, node, "arm,pl011");
	(void)fdt_enabled(f, node);
}

/* Each call takes a scan of the tree or more. */
static void look_around(const struct fdt *f, int node)
{
	u64 addr, size;

	for (unsigned int n = 0; n < 4 && fdt_reg(f, node, n, &addr, &size) == 0; n++)
		;
	(void)fdt_reg(f, node, ~0u, &addr, &size);
	int parent = fdt_parent(f, node);

	FUZZ_CHECK(parent < node);
}

static void look_at_all(const struct fdt *f)
{
	int stack[40], depth = 0;
	unsigned int left = NODES_MAX;

	for (int node = fdt_root(f); left-- > 0;) {
		look_at_node(f, node);
		if (left % 8 == 0)
			look_around(f, node);
		int next = fdt_first_child(f, node);

		if (next >= 0) {
			FUZZ_CHECK(depth < 40 && next > node);
			stack[depth++] = node;
		}
		while (next < 0) {
			next = fdt_next_sibling(f, node);
			FUZZ_CHECK(next < 0 || next > node);
			if (next < 0 && depth == 0)
				return;
			if (next < 0)
				node = stack[--depth];
		}
		node = next;
	}
}

void fuzz_one(const u8 *data, size_t size)
{
	u8 *blob = fuzz_memory(TREE_PA, TREE_MAX);
	struct fdt f;

	if (size > TREE_MAX)
		return;
	fuzz_allow(blob, size, TREE_MAX);
	fuzz_copy(blob, data, size);
	boot.image_start = 0x40200000;
	boot.image_end = 0x40300000;
	boot.mapped_end = DIRECT_MAP_SIZE;
	if (fdt_open(&f, blob, size, NULL) != 0)
		return;
	look_at_all(&f);
	for (int node = fdt_next_compatible(&f, -1, "ns16550a"); node >= 0;)
		node = fdt_next_compatible(&f, node, "ns16550a");
	(void)fdt_by_phandle(&f, fdt_u32(&f, fdt_root(&f), "interrupt-parent", 1));
	(void)fdt_path(&f, "/soc/serial");
	(void)fdt_path(&f, "serial0");
	fdt_fill_boot(&f);
	boot_limit_memory();
	shim_check_boot();
}
