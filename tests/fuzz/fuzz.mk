# SPDX-License-Identifier: MIT
# What reads untrusted input, compiled for the host: by clang with libFuzzer for `make fuzz`, and by
# the host's gcc to replay the corpus and what was found once for `make test`. Both with
# AddressSanitizer and UBSan. Included by the Makefile; outputs in build/fuzz.
FUZZ := build/fuzz
FUZZ_TARGETS := fdt arm64 riscv64 x86_64 cmdline console
FUZZ_CC ?= clang
REPLAY_CC ?= gcc

FUZZ_COMMON := kernel/boot.c kernel/cmdline.c kernel/rules.c kernel/string.c kernel/vsnprintf.c \
	mm/boot_alloc.c tests/fuzz/shim.c
FUZZ_TREE := drivers/fdt.c drivers/fdt_boot.c
FUZZ_SRC_fdt := $(FUZZ_TREE)
FUZZ_PORT_TREE := $(FUZZ_TREE) drivers/uart_16550.c tests/fuzz/tree.c
FUZZ_SRC_arm64 := $(FUZZ_PORT_TREE) drivers/uart_pl011.c drivers/psci.c drivers/gic.c drivers/gic_v2.c drivers/gic_v3.c \
	arch/arm64/smp.c arch/arm64/time.c
FUZZ_SRC_riscv64 := $(FUZZ_PORT_TREE) $(addprefix drivers/,aclint.c aplic.c imsic.c plic.c) \
	$(addprefix arch/riscv64/,cpu.c irq.c power.c sbi.c smp.c time.c)
FUZZ_SRC_x86_64 := drivers/acpi.c arch/x86_64/firmware.c
FUZZ_SRC_cmdline := kernel/inject.c
FUZZ_SRC_console := kernel/commands.c kernel/console.c kernel/inject.c kernel/line_edit.c mm/rules.c
FUZZ_SRC_cmdline += tests/fuzz/stubs.c
FUZZ_SRC_console += tests/fuzz/stubs.c

FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_BASE := -std=gnu11 -O2 -g -fno-pie -fno-omit-frame-pointer -fno-common -fno-strict-aliasing \
	-Wall -Wextra -Wno-unused-parameter -Wno-sign-compare $(FUZZ_SANITIZE)
# The names that the kernel's string functions share with the C library's.
FUZZ_RENAME := $(foreach n,memcpy memmove memset memcmp strlen strnlen strcmp strncmp strcasecmp \
	strchr strlcpy snprintf vsnprintf,-D$n=grace_$n)
FUZZ_KERNEL := $(FUZZ_BASE) -ffreestanding -fno-builtin $(FUZZ_RENAME)
FUZZ_MORE_kernel/inject.c := -DGRACE_DEBUG 
FUZZ_MORE_kernel/string.c := -Wno-unknown-pragmas

# $1: replay or libfuzzer; $2: target; $3: compiler; $4: its flags; $5: what the link adds
define fuzz_target
$(FUZZ)/$1/$2/k/%.o: % $(FUZZ)/flags
	$$(call say,FUZZ,$$<)
	$(Q)mkdir -p $$(@D)
	$(Q)$3 $4 $(FUZZ_KERNEL) -Itests/fuzz/$2 -Itests/fuzz/include $$(if $$(wildcard arch/$2),-Iarch/$2/include) \
		-Iinclude $(if $(filter arm64 riscv64,$2),-include tests/fuzz/include/asm/swallow.h \
		-Wno-uninitialized) \
		$$(FUZZ_MORE_$$<) -MMD -MP -c $$< -o $$@
$(FUZZ)/$1/$2/target: $(addprefix $(FUZZ)/$1/$2/k/,$(addsuffix .o,$(FUZZ_COMMON) $(FUZZ_SRC_$2) \
		tests/fuzz/fuzz_$2.c)) $(FUZZ)/$1/host.o $5 tests/fuzz/fuzz.ld
	$(Q)$3 $4 $(FUZZ_SANITIZE) $$(if $$(filter libfuzzer,$1),-fsanitize=fuzzer) -no-pie -Wl,--wrap=boot_add_mem -Wl,-T,tests/fuzz/fuzz.ld \
		$$(filter %.o,$$^) -o $$@
FUZZ_OBJ += $$(filter %.o,$(addprefix $(FUZZ)/$1/$2/k/,$(addsuffix .o,$(FUZZ_COMMON) $(FUZZ_SRC_$2) \
	tests/fuzz/fuzz_$2.c)))
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_target,libfuzzer,$t,$(FUZZ_CC),-fsanitize=fuzzer-no-link)))
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_target,replay,$t,$(REPLAY_CC),,$(FUZZ)/replay/main.o)))

$(FUZZ)/libfuzzer/host.o $(FUZZ)/replay/host.o $(FUZZ)/replay/main.o: $(FUZZ)/flags
$(FUZZ)/libfuzzer/host.o: tests/fuzz/host.c
	$(Q)mkdir -p $(@D) && $(FUZZ_CC) -fsanitize=fuzzer-no-link $(FUZZ_BASE) -MMD -MP -c $< -o $@
$(FUZZ)/replay/host.o: tests/fuzz/host.c
	$(Q)mkdir -p $(@D) && $(REPLAY_CC) $(FUZZ_BASE) -MMD -MP -c $< -o $@
$(FUZZ)/replay/main.o: tests/fuzz/replay.c
	$(Q)mkdir -p $(@D) && $(REPLAY_CC) $(FUZZ_BASE) -MMD -MP -c $< -o $@

$(FUZZ)/flags: text = $(FUZZ_CC) $(REPLAY_CC) $(FUZZ_KERNEL) $(foreach t,$(FUZZ_TARGETS),$(FUZZ_SRC_$t)) $(FUZZ_COMMON)
$(FUZZ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(text)' | cmp -s - $@ || echo '$(text)' > $@

fuzz:
	@sh scripts/setup fuzz
	@python3 scripts/fuzz.py '$(SECONDS)' $(TARGET)
fuzz-targets: $(foreach t,$(FUZZ_WANTED),$(FUZZ)/libfuzzer/$t/target)
fuzz-replay: $(FUZZ_TARGETS:%=$(FUZZ)/replay/%/target)
.PHONY: fuzz fuzz-targets fuzz-replay

-include $(FUZZ_OBJ:.o=.d)
