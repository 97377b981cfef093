CROSS ?=
ARCH_CFLAGS := -m64 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -mpreferred-stack-boundary=3 -march=x86-64 -fcf-protection=none
DRIVERS := uart_16550.c apic.c acpi.c hpet.c
TESTS := irq/test_apic.c crash/x86_64.c
