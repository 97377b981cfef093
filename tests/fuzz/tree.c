// SPDX-License-Identifier: MIT
/*
 * What the two targets of ports with device trees share: the tree in memory, the console, the CPUs.
 */
#include "shim.h"

#include <boot.h>
#include <fdt.h>
#include <page.h>

#define TREE_PA 0x48000000
#define TREE_MAX MiB(1)

struct input shim_answers;

void shim_open_tree(struct fdt *f, const struct input *in)
{
	u8 *blob = fuzz_memory(TREE_PA, TREE_MAX);

	if (in->left > TREE_MAX)
		fuzz_done();
	fuzz_allow(blob, in->left, TREE_MAX);
	fuzz_copy(blob, in->p, in->left);
	boot.image_start = 0x80200000;
	boot.image_end = 0x80300000;
	boot.mapped_end = DIRECT_MAP_SIZE;
	if (fdt_open(f, blob, in->left, NULL) != 0)
		fuzz_done();
	fdt_fill_boot(f);
	boot_limit_memory();
}

void shim_check_cpus(void)
{
	FUZZ_CHECK(boot.nr_cpus >= 1 && boot.nr_cpus <= MAX_CPUS);
	for (unsigned int i = 0; i < boot.nr_cpus; i++)
		for (unsigned int j = 0; j < i; j++)
			FUZZ_CHECK(boot.hwid[i] != boot.hwid[j]);
}
