# SPDX-License-Identifier: MIT
# The fourth port: the kernel's own sources, compiled for the host with every access announced
# (tsan.c), and what explores them. Included by the Makefile; outputs in build/sim.
# SANITIZE=1: undefined behaviour is a finding too. COVERAGE=1: which lines were run.
SIM := build/sim$(if $(SANITIZE),-sanitize)$(if $(COVERAGE),-coverage)
# The check of bool loads a marked variable by a plain access, and would be a race itself.
SIM_WATCH := $(if $(SANITIZE),-fsanitize=undefined -fno-sanitize=bool -fno-sanitize=enum \
	-fno-sanitize-recover=undefined) \
	$(if $(COVERAGE),--coverage -fdata-sections)
# The compiler's counters are no data of the kernel: all but they go to the arena.
sim_data = --rename-section .data=.kdata --rename-section .bss=.kbss $(if $(COVERAGE),$$(objdump -h \
	$@ | awk '$$2 ~ /^[.](data|bss)[.]/ && $$2 !~ /gcov/ { print "--rename-section", $$2 "=.k" \
	substr($$2, 2) }'),--rename-section .bss.percpu=.kbss.percpu)
SIM_CC ?= gcc
SIM_KERNEL := $(addprefix kernel/,balance.c hotplug.c idle.c mutex.c percpu.c rcu.c rcu_callback.c rules.c rwsem.c \
	sched.c smp.c spinlock.c string.c thread.c time.c trap.c vsnprintf.c wait.c) \
	$(addprefix mm/,boot_alloc.c buddy.c context.c cpu_tree.c fault.c gup.c mm.c mmap.c mmu_gather.c page_alloc.c \
	page_init.c page_ref.c mem_print.c pgtable.c ptdesc.c scan.c slab.c table_limit.c tlb.c \
	uaccess.c unmap.c vma.c vma_lock.c) \
	arch/sim/kernel.c $(sort $(wildcard tests/sim/*.c))
# The kernel's own oracles: their accesses are no steps (oracle.c).
SIM_ORACLES := $(addprefix kernel/,lockdep.c lockdep_graph.c lockdep_report.c) \
	$(addprefix mm/,census.c ledger.c ledger_log.c ledger_report.c page_debug.c)
# The orders of locks are kept for a whole search: not in the arena, so they are not undone.
SIM_KEPT := kernel/lockdep_graph.c
SIM_HOST := $(filter-out arch/sim/kernel.c,$(sort $(wildcard arch/sim/*.c))) arch/sim/switch.S
SIM_WARN := -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-tsan -Werror
# So that scripts/frames.py can follow what is live.
SIM_FRAMES := -fno-shrink-wrap -fno-jump-tables -fno-reorder-blocks-and-partition
SIM_COMMON := -std=gnu11 -O2 -g -fno-common -fno-pie -fno-pic -fno-strict-aliasing \
	-fno-stack-protector -fcf-protection=none -fno-omit-frame-pointer $(SIM_FRAMES) -DGRACE_DEBUG $(SIM_WARN) \
	-Iarch/sim/include/explore -Iarch/sim/include -Iinclude -I$(SIM)/include $(SIM_EXTRA)
SIM_KFLAGS := $(SIM_COMMON) -ffreestanding -fno-builtin -mgeneral-regs-only -mno-red-zone \
	-fno-optimize-sibling-calls -fno-delete-null-pointer-checks -fno-asynchronous-unwind-tables \
	-fsanitize=thread --param tsan-distinguish-volatile=1 --param tsan-instrument-func-entry-exit=0 \
	$(SIM_WATCH)
SIM_NAMES := memcpy memmove memset memcmp strlen strnlen strcmp strncmp strcasecmp strchr strlcpy \
	snprintf vsnprintf
# What the explorer looks at first, then the kernel: __wrap_NAME() in frame.c and oracle.c.
SIM_WRAPPED := page_poison page_poison_intact clear_page page_step lock_init lock_destroy \
	lock_acquire lock_release lock_may_wait user_entry_check_locked user_entry_check_empty \
	page_entry_count ledger_root_free ledger_mm_init ledger_mm_end
SIM_OBJ := $(SIM_KERNEL:%=$(SIM)/%.o) $(SIM_ORACLES:%=$(SIM)/%.o) $(SIM_HOST:%=$(SIM)/%.o)

$(SIM)/flags: FORCE
	@mkdir -p $(@D)
	@sh scripts/setup build x86_64
	@echo '$(SIM_CC) $(SIM_KFLAGS) $(SIM_OBJ)' | cmp -s - $@ || \
		echo '$(SIM_CC) $(SIM_KFLAGS) $(SIM_OBJ)' > $@

$(SIM)/include/scenarios.h: $(SIM)/flags
	$(Q)mkdir -p $(@D)
	$(Q)for f in $(basename $(notdir $(wildcard tests/sim/*.c))); do echo "X($$f)"; done > $@

# The kernel's data goes to the arena, and its names do not meet the C library's.
$(SIM_KERNEL:%=$(SIM)/%.o): $(SIM)/%.o: % $(SIM)/flags arch/sim/build.mk
	$(call say,SIM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(SIM_KFLAGS) -MMD -MP -c $< -o $@
	$(Q)objcopy $(sim_data) \
		$(foreach n,$(SIM_NAMES),--redefine-sym $(n)=grace_$(n)) $@

# What an oracle's file calls instead of what the kernel's files call: oracle.c.
$(SIM_ORACLES:%=$(SIM)/%.o): $(SIM)/%.o: % $(SIM)/flags arch/sim/build.mk
	$(call say,SIM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(SIM_KFLAGS) -DSIM_ORACLE -MMD -MP -c $< -o $@
	$(Q)nm -u $@ | sed -n 's/.* __tsan_\(.*\)/__tsan_\1 oracle_tsan_\1/p' > $@.syms
	$(Q)objcopy $(if $(filter $(SIM_KEPT),$<),,$(sim_data)) \
		$(foreach n,$(filter-out mem%,$(SIM_NAMES)),--redefine-sym $(n)=grace_$(n)) \
		--redefine-syms=$@.syms \
		--redefine-sym memset=oracle_memset --redefine-sym memcpy=oracle_memcpy \
		--redefine-sym sim_irq_save=oracle_irq_save \
		--redefine-sym sim_mb_after_rmw=oracle_no_barrier \
		--redefine-sym preempt_schedule=oracle_no_preemption \
		--redefine-sym mm_cpu_lazy=oracle_mm_cpu_lazy \
		--redefine-sym cpu_tree_leads=oracle_cpu_tree_leads \
		--redefine-sym cpu_tree_own_root=oracle_cpu_tree_own_root \
		--redefine-sym time_ns=oracle_time_ns $@

$(SIM_HOST:%=$(SIM)/%.o): $(SIM)/%.o: % $(SIM)/flags $(SIM)/include/scenarios.h
	$(call say,SIM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(SIM_COMMON) -MMD -MP -c $< -o $@

$(SIM)/sim: $(SIM_OBJ) arch/sim/sim.ld scripts/frames.py
	$(call say,SIM,$@)
	$(Q)$(SIM_CC) -static -no-pie $(if $(COVERAGE),--coverage) $(SIM_WRAPPED:%=-Wl,--wrap=%) \
		-Wl,--defsym=image_start=__executable_start -Wl,-T,arch/sim/sim.ld $(SIM_OBJ) -o $@.new
	$(Q)python3 scripts/frames.py $@.new $@.frames
	$(Q)mv $@.new $@

-include $(SIM_OBJ:.o=.d)
include arch/sim/host/build.mk
