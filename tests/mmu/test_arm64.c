// SPDX-License-Identifier: MIT
/*
 * Where arm64's entries have the bits of a physical address, of which no machine here has so many:
 * 48 of them as they are, and the four above in one of two formats (asm/arch.h).
 *
 * See also: ../test_arch_codec.c, for what every port promises.
 */
#include "../testlib.h"

#include <asm/sysreg.h>
#include <kmap.h>

#define TCR_DS BIT(TCR_DS_SHIFT)

/* Whether entries hold addresses of 52 bits, by what the hardware was told. */
static bool entries_hold_52_bits(void)
{
	return PAGE_SHIFT == 16 || read_sysreg(tcr_el1) & TCR_DS;
}

static void check_address(phys_t pa)
{
	EXPECT_EQ(pte_pa(arch_pte_leaf(pa, PA_USER | PA_READ | PA_WRITE, 0)), pa);
	EXPECT_EQ(pte_pa(arch_pte_leaf(pa, PA_USER, 0)), pa);
	EXPECT_EQ(pte_pa(arch_pte_leaf(pa, PA_GLOBAL | PA_READ | PA_DEVICE, 1)), pa);
	EXPECT_EQ(pte_pa(arch_pte_table(pa, true)), pa);
	EXPECT_EQ(pte_pa(arch_pte_table(pa, false)), pa);
}

TEST(arch, e09_each_bit_of_an_address)
{
	unsigned int bits = entries_hold_52_bits() ? 52 : 48;

	for (unsigned int i = pt_shift(1); i < bits; i++)
		check_address(BIT(i));
	check_address(BIT(bits) - pt_span(1));
	EXPECT(ioremap(BIT(bits), PAGE_SIZE) == NULL);
}

/* Against the manual, as the round trip would not find two bits exchanged. */
TEST(arch, e09_high_bits_stand_where_hardware_has_them)
{
	u64 high = 0;

	if (PAGE_SHIFT == 16)
		high = 0xf000;
	else if (entries_hold_52_bits())
		high = BIT(8) | BIT(9) | BIT(48) | BIT(49);
	for (unsigned int i = 48; high && i < 52; i++) {
		u64 place = PAGE_SHIFT == 16 ? BIT(i - 36) : i < 50 ? BIT(i) : BIT(i - 42);

		EXPECT_EQ(arch_pte_leaf(BIT(i), PA_USER | PA_READ, 0).val & high, place);
		EXPECT_EQ(arch_pte_table(BIT(i), true).val & high, place);
	}
}

/* What shareability the hardware takes: the entry's, or with TCR_EL1.DS the registers'. */
TEST(arch, e05_memory_is_inner_shareable)
{
	u64 tcr = read_sysreg(tcr_el1);

	EXPECT_EQ(tcr >> 12 & 3, 3);
	EXPECT_EQ(tcr >> 28 & 3, 3);
	EXPECT_EQ((tcr & TCR_DS) != 0, PAGE_SHIFT != 16 && arch.va_bits == 52);
	EXPECT_EQ(arch_pte_leaf(0, PA_USER | PA_READ, 0).val >> 8 & 3, tcr & TCR_DS ? 0 : 3);
}
