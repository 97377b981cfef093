# SPDX-License-Identifier: MIT
# The whole kernel with its unit tests as a host program: every source that no device needs, on
# virtual CPUs of its own (cpu.c). Included by arch/sim/build.mk, whose SANITIZE= and COVERAGE= hold
# here too, and SANITIZE=address finds uses of what is free as well; outputs in build/host.
HOST := build/host$(if $(SANITIZE),-sanitize-$(SANITIZE))$(if $(COVERAGE),-coverage)
HOST_ASAN := $(filter address,$(SANITIZE))
# The end of a list is looked at as if it were an entry, which may be aligned more than it.
HOST_WATCH := $(SIM_WATCH) $(if $(SANITIZE),-fno-sanitize=alignment) $(if $(HOST_ASAN),-fsanitize=address --param asan-globals=0)
HOST_WRAPPED := page_poison page_poison_intact object_poison object_poison_broken
HOST_KERNEL := $(sort $(wildcard kernel/*.c mm/*.c tests/*.c))
HOST_OWN := $(sort $(wildcard arch/sim/host/*.c)) arch/sim/model.c arch/sim/switch.S
HOST_COMMON := -std=gnu11 -O2 -g -fno-common -fno-pie -fno-pic -fno-strict-aliasing \
	-fno-stack-protector -fcf-protection=none -fno-omit-frame-pointer -DGRACE_DEBUG $(SIM_WARN) \
	$(if $(HOST_ASAN),-DHOST_ASAN) \
	-Iarch/sim/host/include -Iarch/sim/include -Iinclude
HOST_KFLAGS := $(HOST_COMMON) -ffreestanding -fno-builtin -mgeneral-regs-only \
	-fno-optimize-sibling-calls -fno-delete-null-pointer-checks -fsanitize-coverage=trace-pc \
	$(HOST_WATCH)
HOST_OBJ := $(HOST_KERNEL:%=$(HOST)/%.o) $(HOST_OWN:%=$(HOST)/%.o)

$(HOST)/flags: FORCE
	@mkdir -p $(@D)
	@sh scripts/setup build x86_64
	@echo '$(SIM_CC) $(HOST_KFLAGS) $(HOST_OBJ)' | cmp -s - $@ || \
		echo '$(SIM_CC) $(HOST_KFLAGS) $(HOST_OBJ)' > $@

$(HOST_KERNEL:%=$(HOST)/%.o): $(HOST)/%.o: % $(HOST)/flags arch/sim/host/build.mk
	$(call say,HOST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(HOST_KFLAGS) -MMD -MP -c $< -o $@
	$(Q)objcopy $(sim_data) \
		$(foreach n,$(SIM_NAMES),--redefine-sym $(n)=grace_$(n)) $@

$(HOST_OWN:%=$(HOST)/%.o): $(HOST)/%.o: % $(HOST)/flags
	$(call say,HOST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(HOST_COMMON) -MMD -MP -c $< -o $@

# Two links, as for an image: the first tells where the functions are.
host_syms = nm -n $(1) | sed 's/ grace_/ /' | python3 scripts/mksyms.py
host_link = $(SIM_CC) -no-pie $(HOST_WATCH) $(if $(HOST_ASAN),$(HOST_WRAPPED:%=-Wl,--wrap=%)) -Wl,-Ttext-segment=0x40000000 -Wl,-T,arch/sim/host/host.ld $(HOST_OBJ)
$(HOST)/grace: $(HOST_OBJ) arch/sim/host/host.ld scripts/mksyms.py
	$(call say,HOST,$@)
	$(Q)python3 scripts/mksyms.py empty > $(HOST)/syms0.S
	$(Q)$(host_link) $(HOST)/syms0.S -o $@.pass1
	$(Q)$(call host_syms,$@.pass1) > $(HOST)/syms.S
	$(Q)$(host_link) $(HOST)/syms.S -o $@
	$(Q)$(call host_syms,$@) | cmp -s - $(HOST)/syms.S || \
		{ echo "$@: the second link moved functions" >&2; exit 1; }

-include $(HOST_OBJ:.o=.d)

.PHONY: host
host: $(HOST)/grace
	@HOST_PROGRAM=$(HOST)/grace SEED='$(SEED)' python3 scripts/host.py

# The same as a release build and with no looks, for LANE=host of make bench: nothing but the kernel's
# code runs between two looks at the host's clock.
NATIVE := build/host-native
NATIVE_KERNEL := $(sort $(wildcard kernel/*.c mm/*.c tests/testlib.c tests/bench/*.c \
	tests/bench/native/*.c))
NATIVE_COMMON := $(filter-out -DGRACE_DEBUG,$(HOST_COMMON)) -DGRACE_RULES_FIXED -DHOST_NATIVE
NATIVE_KFLAGS := $(NATIVE_COMMON) -ffreestanding -fno-builtin -mgeneral-regs-only \
	-fno-optimize-sibling-calls -fno-delete-null-pointer-checks
NATIVE_OBJ := $(NATIVE_KERNEL:%=$(NATIVE)/%.o) $(HOST_OWN:%=$(NATIVE)/%.o)

$(NATIVE)/flags: FORCE
	@mkdir -p $(@D)
	@sh scripts/setup build x86_64
	@echo '$(SIM_CC) $(NATIVE_KFLAGS) $(NATIVE_OBJ)' | cmp -s - $@ || \
		echo '$(SIM_CC) $(NATIVE_KFLAGS) $(NATIVE_OBJ)' > $@

$(NATIVE_KERNEL:%=$(NATIVE)/%.o): $(NATIVE)/%.o: % $(NATIVE)/flags
	$(call say,HOST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(NATIVE_KFLAGS) -MMD -MP -c $< -o $@
	$(Q)objcopy $(sim_data) $(foreach n,$(SIM_NAMES),--redefine-sym $(n)=grace_$(n)) $@

$(HOST_OWN:%=$(NATIVE)/%.o): $(NATIVE)/%.o: % $(NATIVE)/flags
	$(call say,HOST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(SIM_CC) $(NATIVE_COMMON) -MMD -MP -c $< -o $@

$(NATIVE)/grace: $(NATIVE_OBJ) arch/sim/host/host.ld
	$(call say,HOST,$@)
	$(Q)python3 scripts/mksyms.py empty > $(NATIVE)/syms.S
	$(Q)$(SIM_CC) -no-pie -Wl,-Ttext-segment=0x40000000 -Wl,-T,arch/sim/host/host.ld \
		$(NATIVE_OBJ) $(NATIVE)/syms.S -o $@

-include $(NATIVE_OBJ:.o=.d)
