CROSS ?= aarch64-linux-gnu-
ARCH_CFLAGS := -march=armv8-a -mgeneral-regs-only -mno-omit-leaf-frame-pointer -mno-outline-atomics -mstrict-align
DRIVERS := uart_pl011.c uart_16550.c gic.c gic_v2.c gic_v3.c fdt.c fdt_boot.c psci.c
TESTS := fdt/test_fdt.c irq/test_gic.c mmu/test_arm64.c crash/arm64.c
