# SPDX-License-Identifier: MIT
# Grace: build, run, test. `make help` prints the ## lines of this file.

##  make run [ARCH=x86_64]   build, boot in QEMU, selftests, 5 s of the race, then the prompt
##  make test [ARCH=...]     run every configuration of one port, or of all three, and judge it
##  make machines [ARCH=...] [CONFIG=GLOB]   each machine that QEMU has, in build/machines.md
##  make rules [ARCH=...]    take each rule away on each port and transport, and want the report
##  make model [RULE=GLOB]   the protocol in Promela, searched by spin with each rule on and off
##  make explore [SCENARIO= KNOCKOUT= MACHINE= BOUND=]   every interleaving, on modelled machines
##       SANITIZE=1: undefined behaviour is found too; COVERAGE=1: lines and branches run, by file
##  make host [MACHINE= T=GLOB]   selftests and race on those machines, in a host program
##       SANITIZE=1 as above; SANITIZE=address: and a use of what is free
##  make explore MUTANTS=1   take out barriers and second looks one by one: which scenario finds it
##  make fuzz [TARGET=NAME]  what reads untrusted input, under libFuzzer on the host, for SECONDS
##  make torture [ARCH=...]  the race and RCU's torture with mixes drawn from SEED, until SECONDS
##  make bench [ARCH=...]    what operations cost, in instructions, beside Linux; build/bench/
##  make debug [ARCH=...]    as run, but QEMU waits for gdb; prints the line that attaches
##  make trace [ARCH=...]    a run's events as build/ARCH-BUILD/trace.json, for ui.perfetto.dev
##  make all [ARCH=...]      only build build/ARCH-BUILD/grace.elf and grace.img
##  make doctor              each tool: version found, version needed, how to install it
##  make lint                check the style rules that a script can check, and the rules' table
##  make docs                write docs/rules.md and README's table from the rules' table
##  make compile_commands.json [ARCH=...]   for clangd and other editors' helpers
##  make help, make clean
##
## What it takes
##  ARCH=x86_64|arm64|riscv64   CPUS=4  MEM=256M  ACCEL=tcg|kvm
##  BOOT=kernel|uboot|uboot-disk|uboot64|grub|fw_jump   the way to the kernel (kernel: QEMU's own)
##  APPEND="run=test;stress=10;poweroff"   the kernel's command line
##  GIC=2|3 (arm64)  CPU=MODEL  MACHINE=NAME,PROPERTY=...  QEMU_ARGS="..."  QEMU=PROGRAM
##  PAGE_SIZE=4K|16K|64K (arm64)  the granule
##  BUILD=debug|release|count   RULES=switch|fixed   EXTRA_CFLAGS="..."  CROSS=PREFIX-
##  T="GLOB"    (test) only the selftests whose suite.name it matches
##  CONFIG=GLOB (test) only these configurations; STRESS=60  seconds of each race
##  RULE=GLOB  (rules) only these, by name or id; TLB=ipi|unmaskable; SEEDS=2  runs of each; JOBS=n
##  SECONDS=600 (torture, fuzz) on each port; SEED=7; HOSTS=a,b  on other hosts, with GNU parallel
##  LANE=insn|smp|host|time (bench) instructions; counts on 2, 4, 8 CPUs; cycles here; time
##  BASE=FILE (bench) what changed; CHECK=1 the same twice, none grew; ACCEPT=1 holds later runs
##  DRY=1  print the QEMU command line, do nothing      V=1  print every command
PORTS := x86_64 arm64 riscv64
TEST_PORTS := $(if $(filter undefined,$(origin ARCH)),$(PORTS),$(ARCH))
ARCH ?= x86_64
BUILD ?= debug
RULES ?= switch
PAGE_SIZE ?= 4K
V ?=
DRY ?=

space := $() $()
accept = $(if $(filter $(subst $(space),+,$($(1))),$(2)),,$(error $(1)=$($(1)): accepted are $(2)))
$(call accept,ARCH,$(PORTS))
$(call accept,BUILD,debug release count)
$(call accept,RULES,switch fixed)
$(call accept,PAGE_SIZE,4K $(if $(filter arm64,$(ARCH)),16K 64K))

# Objects of different builds never meet: what changes the code is in the directory's name ...
variant := $(filter fixed,$(RULES)) $(filter-out 4K,$(PAGE_SIZE))
O := build/$(ARCH)-$(BUILD)$(subst $(space),,$(variant:%=-%))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

ifeq ($(ARCH)$(filter $(shell uname -m),x86_64 amd64),x86_64)
CROSS ?= x86_64-linux-gnu-
endif
include arch/$(ARCH)/port.mk
CC := $(CROSS)gcc
OBJCOPY := $(CROSS)objcopy
NM := $(CROSS)nm
include scripts/size.mk
# Asked for when it is first needed, which is after scripts/setup has seen to the compiler.
gcc_include = $(eval gcc_include := $$(shell $$(CC) -print-file-name=include))$(gcc_include)

FLAGS = -std=gnu11 -O$(if $(filter-out 4K,$(PAGE_SIZE)),s,2) -g -ffreestanding -fno-builtin \
	-fno-common -fno-pic -fno-pie -fno-omit-frame-pointer -fno-optimize-sibling-calls \
	-fno-stack-protector -fno-strict-aliasing -fno-asynchronous-unwind-tables \
	-fno-delete-null-pointer-checks -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wmissing-prototypes -Wvla -Werror -nostdinc -isystem $(gcc_include) -Iinclude \
	-Iarch/$(ARCH)/include $(ARCH_CFLAGS) -DGRACE_PAGE_$(PAGE_SIZE) \
	$(if $(filter debug,$(BUILD)),-DGRACE_DEBUG) $(if $(filter count,$(BUILD)),-DGRACE_COUNT) \
	$(if $(filter fixed,$(RULES)),-DGRACE_RULES_FIXED) $(EXTRA_CFLAGS)
LDFLAGS := -nostdlib -static -no-pie \
	-Wl,--build-id=none,-z,max-page-size=0x1000,-z,noexecstack,--no-warn-rwx-segments

SRC := $(filter-out $(LEFT_OUT),$(addprefix tests/,$(TESTS)) $(addprefix drivers/,$(DRIVERS)) \
	$(sort $(wildcard arch/$(ARCH)/*.c arch/$(ARCH)/*.S kernel/*.c mm/*.c tests/*.c \
	$(if $(filter-out debug,$(BUILD)),tests/bench/*.c tests/bench/$(BUILD)/*.c))))
OBJ := $(SRC:%=$(O)/%.o)
SHIM := $(patsubst tests/shim/%.S,$(O)/shim.img,$(wildcard tests/shim/$(ARCH).S))
OUTPUTS := $(O)/grace.elf $(O)/grace.img

all: $(OUTPUTS) $(SHIM)

run debug: $(if $(DRY),,tools all)
	@python3 scripts/run.py $(filter debug,$@)

trace: $(if $(DRY),,tools $(if $(filter debug,$(BUILD)),all))
	@python3 scripts/trace.py

# As words, not by the environment: some shells keep a clock of their own in SECONDS.
torture: $(if $(DRY),,test-tools)
	@python3 scripts/torture.py '$(SECONDS)' '$(SEED)' $(TEST_PORTS)

test rules bench machines: $(if $(DRY),,test-tools)
	@python3 scripts/$@.py $(TEST_PORTS)

# ... and a change of flags or of the list of sources is a change of these two files.
$(O)/flags: text = $(CC) $(FLAGS)
$(O)/sources: text = $(OBJ) $(LDFLAGS)
$(O)/flags $(O)/sources: FORCE | build-tools
	@mkdir -p $(@D)
	@echo '$(text)' | cmp -s - $@ || echo '$(text)' > $@

file_flags = $(if $(small),-Os) \
	$(if $(filter %.S,$<),-D__ASSEMBLY__,$(if $(filter-out tests/%,$<),$(ONE)))

# A build that fails must not leave the image of an earlier one to be run by mistake.
$(O)/%.o: % $(O)/flags Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && rm -f $@ $(if $(filter $@,$(OBJ)),$(OUTPUTS))
	$(Q)$(CC) $(FLAGS) $(file_flags) -MMD -MP -c $< -o $@

$(O)/link.ld: arch/link.lds.S $(O)/flags
	$(Q)$(CC) $(FLAGS) -D__ASSEMBLY__ -MMD -MF $(O)/link.d -MP -MT $@ -E -P \
		-x assembler-with-cpp $< -o $@

# Two links: the functions of the first go as a table into the second, and must not have moved.
link = $(CC) $(FLAGS) $(ONE) $(LDFLAGS) -T $(O)/link.ld $(OBJ)
$(O)/grace.elf: $(OBJ) $(O)/link.ld $(O)/sources scripts/mksyms.py
	$(call say,LD,$@)
	$(Q)rm -f $(OUTPUTS)
	$(Q)python3 scripts/mksyms.py empty > $(O)/syms0.S
	$(Q)$(CC) $(FLAGS) -c $(O)/syms0.S -o $(O)/syms0.o
	$(Q)$(link) $(O)/syms0.o -o $(O)/pass1.elf
	$(Q)$(NM) -n $(O)/pass1.elf > $(O)/pass1.nm
	$(Q)python3 scripts/mksyms.py < $(O)/pass1.nm > $(O)/syms.S
	$(Q)$(CC) $(FLAGS) -c $(O)/syms.S -o $(O)/syms.o
	$(Q)$(link) $(O)/syms.o -Wl,-Map=$(O)/grace.map -o $@
	$(Q)$(NM) -n $@ > $(O)/grace.nm
	$(Q)python3 scripts/mksyms.py < $(O)/grace.nm | cmp -s - $(O)/syms.S || \
		{ echo "$@: the second link moved functions" >&2; exit 1; }

$(O)/grace.img: $(O)/grace.elf
	$(Q)$(OBJCOPY) -O binary $< $@
	@max=524288; size=$$(wc -c < $@); printf '  %-6s %s: %d KiB of %d\n' IMAGE $@ \
		$$(((size + 1023) / 1024)) $$((max / 1024)); \
	[ $$size -le $$max ] || { echo "$@: too large" >&2; exit 1; }

# A few instructions that hand something else to the real image (scripts/handover.py).
$(O)/shim.elf: $(O)/tests/shim/$(ARCH).S.o
	$(Q)$(CC) $(ARCH_CFLAGS) $(LDFLAGS) -Wl,-Ttext-segment=0x1000000 $< -o $@
$(O)/shim.img: $(O)/shim.elf
	$(Q)$(OBJCOPY) -O binary -j .text $< $@

tools:
	@CC='$(CC)' sh scripts/setup run $(ARCH)
build-tools: $(if $(filter run debug trace,$(MAKECMDGOALS)),tools)
	@CC='$(CC)' sh scripts/setup build $(ARCH)
test-tools:
	@BOOT=all sh scripts/setup run $(TEST_PORTS)

include tests/fuzz/fuzz.mk
include arch/sim/build.mk
explore: $(SIM)/sim $(if $(COVERAGE),$(HOST)/grace)
	@SIM_PROGRAM=$(SIM)/sim HOST_PROGRAM=$(HOST)/grace python3 \
		scripts/$(if $(MUTANTS),mutants,$(if $(COVERAGE),coverage,explore)).py

doctor:
	@sh scripts/setup python
	@python3 scripts/doctor.py

lint:
	@sh scripts/setup python
	@python3 scripts/style.py

docs:
	@sh scripts/setup python
	@python3 scripts/rulebook.py

model:
	@sh scripts/setup model
	@python3 scripts/model.py

compile_commands.json: build-tools FORCE
	@python3 scripts/compile_commands.py $(CC) $(FLAGS) -- $(SRC) > $@

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

clean:
	rm -rf build compile_commands.json

-include $(OBJ:.o=.d) $(O)/link.d
.DELETE_ON_ERROR:
.PHONY: all run debug trace test rules bench machines explore torture tools build-tools \
	test-tools doctor lint docs model help clean FORCE
export ARCH BUILD RULES PAGE_SIZE BOOT CPUS MEM ACCEL APPEND GIC CPU MACHINE QEMU QEMU_ARGS DRY \
	V T CONFIG STRESS RULE TLB SEEDS JOBS HOSTS LANE BASE CHECK ACCEPT
export PYTHONDONTWRITEBYTECODE := 1
