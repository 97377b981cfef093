// SPDX-License-Identifier: MIT
/*
 * What this CPU has, of what not every x86_64 CPU has, and what the kernel makes of it.
 *
 * boot.S has refused CPUs that lack what is needed, and has chosen the number of table levels. PCID
 * is used only together with INVPCID: with both, arch_tlb_flush_local() never has to switch tags.
 * SMAP can be left off by the command line: some hypervisors that announce it cannot run its
 * instructions.
 * Contexts: boot CPU, before arch_cpu_init(); features_match() on every other CPU.
 */
#include <arch.h>
#include <asm/cpu.h>
#include <cmdline.h>
#include <errno.h>
#include <string.h>

struct cpu_features features;
u8 smap_on;

struct cpuid cpuid_leaf(u32 leaf)
{
	if (cpuid(leaf & 0xc0000000, 0).a < leaf)
		return (struct cpuid){ 0 };
	return cpuid(leaf, 0);
}

static void read_features(struct cpu_features *f)
{
	struct cpuid one = cpuid_leaf(1), seven = cpuid_leaf(7), ext = cpuid_leaf(0x80000001);

	memset(f, 0, sizeof(*f));
	f->smep = seven.b & BIT(7);
	f->smap = seven.b & BIT(20);
	f->umip = seven.c & BIT(2);
	f->pcid = (one.c & BIT(17)) && (seven.b & BIT(10));
	f->pages_1g = ext.d & BIT(26);
	f->mce = one.d & BIT(7);
	f->mca = f->mce && (one.d & BIT(14));
	f->x2apic = one.c & BIT(21);
	f->tsc_deadline = one.c & BIT(24);
	f->la57 = seven.c & BIT(16);
}

static void list_features(void)
{
	const struct {
		bool has;
		const char *name;
	} list[] = {
		{ true, "nx pge" },		 { features.la57, " la57" },
		{ features.smep, " smep" },	 { features.smap, " smap" },
		{ features.umip, " umip" },	 { features.pcid, " pcid invpcid" },
		{ features.pages_1g, " 1g" },	 { features.mce, " mce" },
		{ features.x2apic, " x2apic" },	 { features.tsc_deadline, " tsc-deadline" },
	};
	size_t n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++)
		if (list[i].has && n < sizeof(arch.features))
			n += strlcpy(arch.features + n, list[i].name, sizeof(arch.features) - n);
}

void features_detect(void)
{
	read_features(&features);
	arch.name = "x86_64";
	arch.pt_levels = features.la57 ? 5 : 4;
	arch.va_bits = features.la57 ? 56 : 47;
	arch.tag_bits = features.pcid ? 12 : 0;
	arch.leaf_levels = BIT(0) | BIT(1) | (features.pages_1g ? BIT(2) : 0);
	arch.unmaskable = (struct tlb_transport){ .name = "nmi" };
	arch.cpu_marks = PA_ACCESSED | PA_DIRTY; /* SDM vol. 3, 4.8 */
	arch.nmi = true;
	arch.cpu_stop = true;
	list_features();
}

/* Before arch_cpu_init(), which sets smap_on. */
static int parse_smap(const char *value)
{
	if (strcmp(value, "on") == 0)
		return 0;
	if (strcmp(value, "off") != 0)
		return -EINVAL;
	features.smap = false;
	list_features();
	return 0;
}
CMDLINE_OPTION(smap, "smap", "smap=on|off  forbid stray accesses to user memory, if the CPU can",
	       parse_smap);

bool features_match(void)
{
	struct cpu_features f;
	const u8 *here = (const u8 *)&f, *boot = (const u8 *)&features;

	read_features(&f);
	for (size_t i = 0; i < sizeof(f); i++) /* all bool */
		if (boot[i] && !here[i])
			return false;
	return true;
}

u32 cpu_apic_id(void)
{
	struct cpuid topology = cpuid_leaf(0xb);

	return topology.b ? topology.d : cpuid(1, 0).b >> 24;
}
