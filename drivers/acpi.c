// SPDX-License-Identifier: MIT
/*
 * ACPI's fixed tables: root pointer, root table, MADT (CPUs and interrupt controllers), FADT (timer
 * and power), HPET (another timer).
 *
 * Why it exists: they are where PC firmware says which CPUs there are. Every address, length and
 * checksum is looked at before it is believed. A root or a MADT that is wrong ends the boot with a
 * line that says how: CPUs would be missing. Another wrong one is a warning.
 * Contexts: boot CPU, boot page tables: what is needed is copied, for later the tables are not
 * mapped.
 * See also: include/acpi.h. The numbers in brackets are sections of the ACPI Specification 6.5.
 */
#include <acpi.h>
#include <boot.h>
#include <bug.h>
#include <page.h>
#include <printk.h>
#include <string.h>

#define TABLE_MAX MiB(1) /* longer tables are nonsense */

struct rsdp { /* [5.2.5.3] */
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	/* From revision 2 on. */
	u32 length;
	u64 xsdt;
	u8 checksum_all, reserved[3];
} __packed;
#define RSDP_V1_SIZE 20

struct header { /* [5.2.6] */
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;

struct madt { /* [5.2.12] */
	struct header h;
	u32 lapic, flags;
} __packed;

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9
};
struct madt_entry {
	u8 type, length;
	union {
		struct {
			u8 uid, id;
			u32 flags;
		} __packed lapic;
		struct {
			u8 id, reserved;
			u32 base, gsi_base;
		} __packed ioapic;
		struct {
			u8 bus, irq;
			u32 gsi;
			u16 flags;
		} __packed override;
		struct {
			u8 uid;
			u16 flags;
			u8 lint;
		} __packed nmi;
		struct {
			u16 reserved;
			u64 base;
		} __packed address;
		struct {
			u16 reserved;
			u32 id, flags, uid;
		} __packed x2apic;
	};
} __packed;
#define CPU_ENABLED BIT(0)

/* The FADT's fields, by offset [5.2.9]: how many there are depends on its length. */
#define FADT_PM1A_CONTROL 64
#define FADT_PM_TIMER 76
#define FADT_PM_TIMER_LENGTH 91
#define FADT_FLAGS 112
#define FADT_HW_REDUCED BIT(20)
#define FADT_SLEEP_CONTROL 244 /* a generic address: space, width, offset, access; address at + 4 */

/* The HPET table (IA-PC HPET specification 1.0a, 3.2.4): a generic address. */
#define HPET_SPACE 40
#define HPET_ADDRESS 44

/* A PC's NMI comes to pin 1 (MP specification 1.4, 3.6.2.2), unless the MADT says otherwise. */
struct acpi_info acpi = { .nmi_lint = 1 };

/* ---- Reaching and believing --------------------------------------------------------------- */

/* Memory that the boot-time direct map has, or NULL. */
static const void *reach(phys_t pa, u64 size)
{
	if (pa == 0 || pa >= boot.mapped_end || size > boot.mapped_end - pa)
		return NULL;
	return phys_to_virt(pa);
}

static bool sums_to_zero(const void *p, u32 size)
{
	u8 sum = 0;

	for (u32 i = 0; i < size; i++)
		sum += ((const u8 *)p)[i];
	return sum == 0;
}

/* The table at pa, whole; NULL if it is not to be believed, and *why says so. */
static const struct header *find_whole(phys_t pa, u32 size_min, const char **why)
{
	const struct header *h = reach(pa, sizeof(*h));

	*why = NULL;
	if (!h)
		*why = "is out of reach";
	else if (h->length < size_min || h->length > TABLE_MAX || !reach(pa, h->length))
		*why = "has a length that it cannot have";
	else if (!sums_to_zero(h, h->length))
		*why = "has a wrong checksum";
	return *why ? NULL : h;
}

/* The same for a table without which the machine is not known: its fault is the boot's end. */
static const struct header *table_at(phys_t pa, const char *what, u32 size_min)
{
	const char *why;
	const struct header *h = find_whole(pa, size_min, &why);

	if (!h)
		boot_fail("ACPI: the %s at %#llx %s", what, (unsigned long long)pa, why);
	return h;
}

/* ---- The root ----------------------------------------------------------------------------- */

static bool rsdp_ok(const struct rsdp *r)
{
	if (memcmp(r->signature, "RSD PTR ", sizeof(r->signature)) != 0 ||
	    !sums_to_zero(r, RSDP_V1_SIZE))
		return false;
	return r->revision < 2 || (r->length == sizeof(*r) && sums_to_zero(r, r->length));
}

static phys_t search_rsdp(phys_t start, phys_t end)
{
	for (phys_t pa = start; pa + sizeof(struct rsdp) <= end; pa += 16)
		if (rsdp_ok(phys_to_virt(pa)))
			return pa;
	return 0;
}

/* The extended BIOS data area's first KiB (segment at 0x40e), then the BIOS area [5.2.5.1]. */
phys_t acpi_find_rsdp(void)
{
	phys_t ebda = (phys_t) * (const volatile u16 *)phys_to_virt(0x40e) << 4, pa = 0;

	if (ebda >= KiB(512) && ebda <= KiB(639))
		pa = search_rsdp(ebda, ebda + KiB(1));
	return pa ? pa : search_rsdp(0xe0000, MiB(1));
}

/* The n-th table that the root table lists; entries are 4 or 8 bytes, and not aligned. */
static phys_t root_entry(const struct header *root, u32 entry_size, u32 n)
{
	u64 pa = 0;

	memcpy(&pa, (const char *)(root + 1) + n * entry_size, entry_size);
	return pa;
}

static phys_t find_table(const struct header *root, u32 entry_size, const char *signature)
{
	u32 entries = (root->length - sizeof(*root)) / entry_size;

	for (u32 i = 0; i < entries; i++) {
		phys_t pa = root_entry(root, entry_size, i);
		const struct header *h = reach(pa, sizeof(*h));

		if (h && memcmp(h->signature, signature, sizeof(h->signature)) == 0)
			return pa;
	}
	return 0;
}

/* ---- MADT --------------------------------------------------------------------------------- */

static void add_cpu(u32 id, u32 flags)
{
	if (!(flags & CPU_ENABLED))
		return;
	for (unsigned int i = 0; i < acpi.nr_cpus; i++)
		if (acpi.cpus[i] == id)
			return; /* described in both forms */
	if (acpi.nr_cpus < MAX_CPUS)
		acpi.cpus[acpi.nr_cpus++] = id;
	acpi.nr_cpus_seen++;
}

static void add_ioapic(const struct madt_entry *e)
{
	if (acpi.nr_ioapics == ACPI_MAX_IOAPICS) {
		printk("ACPI: more than %u I/O APICs: one left out", ACPI_MAX_IOAPICS);
		return;
	}
	acpi.ioapics[acpi.nr_ioapics++] =
	    (struct acpi_ioapic){ e->ioapic.base, e->ioapic.gsi_base };
}

/* Flags: polarity in 1:0, 3 is low; trigger in 3:2, 3 is level; 0: as the bus [5.2.12.5]. */
static void add_override(const struct madt_entry *e)
{
	if (acpi.nr_overrides == ACPI_MAX_OVERRIDES) {
		printk("ACPI: more than %u interrupt overrides: one left out", ACPI_MAX_OVERRIDES);
		return;
	}
	acpi.overrides[acpi.nr_overrides++] = (struct acpi_override){
		.irq = e->override.irq,
		.gsi = e->override.gsi,
		.active_low = (e->override.flags & 3) == 3,
		.level = (e->override.flags >> 2 & 3) == 3,
	};
}

/* The bytes that an entry of this type has at least; 2 for those that are passed over. */
static u32 entry_size(u8 type)
{
	switch (type) {
	case MADT_LAPIC_NMI:
		return 6;
	case MADT_LAPIC:
		return 8;
	case MADT_IOAPIC:
	case MADT_LAPIC_ADDRESS:
		return 12;
	case MADT_OVERRIDE:
		return 10;
	case MADT_X2APIC:
		return 16;
	default:
		return 2;
	}
}

static void read_madt_entry(const struct madt_entry *e)
{
	switch (e->type) {
	case MADT_LAPIC:
		if (e->lapic.id != 0xff)
			add_cpu(e->lapic.id, e->lapic.flags);
		break;
	case MADT_X2APIC:
		add_cpu(e->x2apic.id, e->x2apic.flags);
		break;
	case MADT_IOAPIC:
		add_ioapic(e);
		break;
	case MADT_OVERRIDE:
		add_override(e);
		break;
	case MADT_LAPIC_NMI:
		acpi.nmi_lint = e->nmi.lint & 1;
		break;
	case MADT_LAPIC_ADDRESS:
		acpi.lapic_base = e->address.base;
		break;
	default:
		break;
	}
}

static void read_madt(phys_t pa)
{
	const struct madt *madt = (const struct madt *)table_at(pa, "MADT", sizeof(*madt));
	u32 at = sizeof(*madt);

	acpi.lapic_base = madt->lapic;
	while (at < madt->h.length) {
		const struct madt_entry *e = (const void *)((const char *)madt + at);
		u32 left = madt->h.length - at;

		if (left < 2 || e->length > left || e->length < entry_size(e->type))
			boot_fail("ACPI: MADT entry at %u has a length of %u, %u bytes are left",
				  at, left < 2 ? 0 : e->length, left);
		read_madt_entry(e);
		at += e->length;
	}
}

/* ---- FADT and HPET: time has other sources and power-off other ways, a broken one is as none - */

/* The table at pa, or NULL with a warning that says what is not used. */
static const struct header *dispensable_table(phys_t pa, const char *what, const char *unused)
{
	const char *why;
	const struct header *h = find_whole(pa, sizeof(*h), &why);

	if (!h)
		printk("ACPI: the %s at %#llx %s: %s", what, (unsigned long long)pa, why, unused);
	return h;
}

/* A field of size bytes, 0 where the table is too short for it. */
static u64 field(const struct header *h, u32 offset, u32 size)
{
	u64 v = 0;

	if (offset + size <= h->length)
		memcpy(&v, (const char *)h + offset, size);
	return v;
}

static u16 fadt_port(const struct header *fadt, u32 offset)
{
	u64 port = field(fadt, offset, 4);

	return port <= 0xffff ? (u16)port : 0;
}

static void read_fadt(phys_t pa)
{
	const struct header *fadt =
	    dispensable_table(pa, "FADT", "neither its timer nor its power-off are used");

	if (!fadt)
		return;
	if (field(fadt, FADT_FLAGS, 4) & FADT_HW_REDUCED) {
		if (field(fadt, FADT_SLEEP_CONTROL, 1) == 0) /* in memory */
			acpi.sleep_control = field(fadt, FADT_SLEEP_CONTROL + 4, 8);
		return;
	}
	acpi.pm1a_control = fadt_port(fadt, FADT_PM1A_CONTROL);
	if (field(fadt, FADT_PM_TIMER_LENGTH, 1) == 4)
		acpi.pm_timer = fadt_port(fadt, FADT_PM_TIMER);
}

static void read_hpet(phys_t pa)
{
	const struct header *hpet = dispensable_table(pa, "HPET table", "its timer is not used");

	if (hpet && field(hpet, HPET_SPACE, 1) == 0) /* in memory */
		acpi.hpet = field(hpet, HPET_ADDRESS, 8);
}

void acpi_read(phys_t rsdp)
{
	const struct rsdp *r = reach(rsdp, sizeof(*r));
	const struct header *root;
	u32 entry_bytes = 4;
	phys_t madt, fadt, hpet;

	if (!rsdp) {
		printk("ACPI: no root pointer: one CPU, no device interrupts");
		return;
	}
	if (!r || !rsdp_ok(r))
		boot_fail("ACPI: no valid root pointer at %#llx", (unsigned long long)rsdp);
	if (r->revision >= 2 && r->xsdt)
		entry_bytes = 8;
	root = table_at(entry_bytes == 8 ? r->xsdt : r->rsdt, "root table", sizeof(*root));
	madt = find_table(root, entry_bytes, "APIC");
	fadt = find_table(root, entry_bytes, "FACP");
	hpet = find_table(root, entry_bytes, "HPET");
	if (madt)
		read_madt(madt);
	else
		printk("ACPI: no MADT: one CPU, no device interrupts");
	if (fadt)
		read_fadt(fadt);
	if (hpet)
		read_hpet(hpet);
}
