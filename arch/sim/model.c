// SPDX-License-Identifier: MIT
/*
 * The machines that are modelled: each real port with each of its transports.
 *
 * What differs is what the ports say in struct arch_info, whether stores of a CPU leave in order,
 * what an invalidation reaches, and whether the MMU sets accessed and dirty or faults (mmu.c).
 * Three levels of tables are enough for every rule and keep walks short; tags are few, so that they
 * run out. Each port may have tags (PCIDs, ASIDs);
 * x86_64 and riscv64 may also have none, and are so for a scenario that is untagged.
 */
#include "sim.h"

#include <arch.h>
#include <string.h>

const struct model models[] = {
	{ .name = "x86_64/ipi",
	  .arch_name = "x86_64",
	  .cpu_marks = true,
	  .unmaskable_name = "nmi",
	  .in_order = true,
	  .nmi = true,
	  .tag_bits = 3 },
	{ .name = "x86_64/nmi",
	  .arch_name = "x86_64",
	  .cpu_marks = true,
	  .unmaskable_name = "nmi",
	  .in_order = true,
	  .nmi = true,
	  .tag_bits = 3,
	  .unmaskable = true },
	{ .name = "arm64/ipi",
	  .arch_name = "arm64",
	  .unmaskable_name = "broadcast",
	  .leaf_spares = true,
	  .tag_bits = 3 },
	{ .name = "arm64/broadcast",
	  .arch_name = "arm64",
	  .cpu_marks = true,
	  .unmaskable_name = "broadcast",
	  .leaf_spares = true,
	  .tag_bits = 3,
	  .unmaskable = true,
	  .broadcast = true },
	{ .name = "riscv64/ipi",
	  .arch_name = "riscv64",
	  .unmaskable_name = "sbi",
	  .leaf_spares = true,
	  .range_spares = true,
	  .tag_bits = 3 },
	{ .name = "riscv64/sbi",
	  .arch_name = "riscv64",
	  .cpu_marks = true,
	  .unmaskable_name = "sbi",
	  .leaf_spares = true,
	  .range_spares = true,
	  .tag_bits = 3,
	  .unmaskable = true },
	{ .name = NULL },
};
const struct model *model = &models[0];

const struct model *model_find(const char *name)
{
	const struct model *m = models;

	while (m->name && strcmp(m->name, name) != 0)
		m++;
	return m->name ? m : NULL;
}

void model_fill_arch(bool untagged)
{
	arch = (struct arch_info){
		.name = model->arch_name,
		.pt_levels = 3,
		.va_bits = 38,
		.tag_bits = untagged ? 0 : model->tag_bits,
		.leaf_levels = BIT(0) | BIT(1),
		.unmaskable = { model->unmaskable_name, false },
		.default_unmaskable = model->unmaskable,
		.leaf_flush_spares_walk_caches = model->leaf_spares,
		.range_flush_spares_walk_caches = model->range_spares,
		.caches_invalid = model->range_spares,
		.cpu_marks = model->cpu_marks ? PA_ACCESSED | PA_DIRTY : 0,
		.timer_hz = 1000000,
		.cpu_stop = true,
	};
}
