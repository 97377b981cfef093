# SPDX-License-Identifier: MIT
# What is compiled for speed, and what to be small.
#
# A release's kernel is compiled as one (its tests are not): calls between files are inlined, and
# nothing begins on an address of its own. A call that is a function's last is a jump, so that a
# backtrace lacks the caller; and a frame that was inlined was never there.
ONE := $(if $(filter release,$(BUILD)),-flto -flto-partition=one -foptimize-sibling-calls \
	$(addprefix -fno-align-,functions jumps loops labels))

# Everything is small but what rows of docs/performance.md meet. A debug build, whose image is the
# largest, is small but for what fills and checks frames.
FAST := $(addprefix mm/,boot_a% buddy.% fault.% gup.% kmap.% mmap.% mmu_g% page_a% page_d% \
	page_i% page_r% pgt% ptd% slab.% table_l% tlb.% uacc% unmap.% vma%) \
	$(addprefix kernel/,idle.% mutex.% rcu% rwsem.% sched.% smp.% string.% time.% trap.% \
	wait.%) \
	$(addprefix drivers/,apic.% fdt% gic% imsic%) \
	$(addprefix arch/%/,cpu.c irq.c mmu.c sbi.c trap.c)

ifeq ($(BUILD),debug)
FAST := mm/page_r% kernel/string.%
endif

small = $(filter-out tests/bench/% $(FAST),$<)

# Sections of 64 KiB leave much of an image empty: there, tests that know nothing of pages stay out.
LEFT_OUT := $(if $(filter 64K,$(PAGE_SIZE)),tests/test_text.c tests/fdt/test_fdt.c)
