# SPDX-License-Identifier: MIT
# The fourth port: the kernel's own sources, compiled for the host with every access announced
# (tsan.c), and what explores them. Included by the Makefile; outputs in build/sim.
SIM := build/sim
SIM_CC ?= gcc
SIM_KERNEL := $(addprefix kernel/,balance.c idle.c mutex.c percpu.c rcu.c rcu_callback.c rules.c rwsem.c \
	sched.c smp.c string.c thread.c time.c trap.c vsnprintf.c wait.c) \
	$(addprefix mm/,boot_alloc.c context.c fault.c gup.c mm.c mmap.c mmu_gather.c page_alloc.c \
	page_init.c page_ref.c pgtable.c ptdesc.c scan.c slab.c tlb.c uaccess.c unmap.c vma.c) \
	arch/sim/kernel.c $(sort $(wildcard tests/sim/*.c))
SIM_HOST := $(filter-out arch/sim/kernel.c,$(sort $(wildcard arch/sim/*.c))) arch/sim/switch.S
SIM_WARN := -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-tsan -Werror
SIM_COMMON := -std=gnu11 -O2 -g -fno-common -fno-pie -fno-pic -fno-strict-aliasing \
	-fno-stack-protector -fcf-protection=none -fno-omit-frame-pointer -DGRACE_DEBUG $(SIM_WARN) \
	-Iarch/sim/include -Iinclude -I$(SIM)/include $(SIM_EXTRA)
SIM_KFLAGS := $(SIM_COMMON) -ffreestanding -fno-builtin -mgeneral-regs-only -mno-red-zone \
	-fno-optimize-sibling-calls -fno-delete-null-pointer-checks -fno-asynchronous-unwind-tables \
	-fsanitize=thread --param tsan-distinguish-volatile=1 --param tsan-instrument-func-entry-exit=0
SIM_NAMES := memcpy memmove memset memcmp strlen strnlen strcmp strncmp strcasecmp strchr strlcpy \
	snprintf vsnprintf
SIM_OBJ := $(SIM_KERNEL:%=$(SIM)/%.o) $(SIM_HOST:%=$(SIM)/%.o)

$(SIM)/flags: FORCE
	@mkdir -p $(@D)
	@sh scripts/setup build x86_64
	@echo '$(SIM_CC) $(SIM_KFLAGS) $(SIM_OBJ)' | cmp -s - $@ || \
		echo '$(SIM_CC) $(SIM_KFLAGS) $(SIM_OBJ)' > $@

$(SIM)/include/scenarios.h: $(SIM)/flags
	$(Q)mkdir -p $(@D)
	$(Q)for f in $(basename $(notdir $(wildcard tests/sim/*.c))); do echo "X($$f)"; done > $@

# The kernel's data goes to the arena, and its names do not meet the C library's.
$(SIM_KERNEL:%=$(SIM)/%.o): $(SIM)/%.o: % $(SIM)/flags
	$(call say,SIM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(SIM_KFLAGS) -MMD -MP -c $< -o $@
	$(Q)objcopy --rename-section .data=.kdata --rename-section .bss=.kbss \
		$(foreach n,$(SIM_NAMES),--redefine-sym $(n)=grace_$(n)) $@

$(SIM_HOST:%=$(SIM)/%.o): $(SIM)/%.o: % $(SIM)/flags $(SIM)/include/scenarios.h
	$(call say,SIM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(SIM_COMMON) -MMD -MP -c $< -o $@

$(SIM)/sim: $(SIM_OBJ) arch/sim/sim.ld
	$(call say,SIM,$@)
	$(Q)$(SIM_CC) -static -no-pie -Wl,--wrap=page_poison,--wrap=page_poison_intact \
		-Wl,--wrap=clear_page -Wl,-T,arch/sim/sim.ld $(SIM_OBJ) -o $@

-include $(SIM_OBJ:.o=.d)
