CROSS ?= riscv64-linux-gnu-
ARCH_CFLAGS := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -mno-relax -mno-save-restore \
	-msmall-data-limit=0
DRIVERS := uart_16550.c plic.c aplic.c imsic.c aclint.c fdt.c fdt_boot.c
TESTS := fdt/test_fdt.c irq/test_plic.c crash/riscv64.c
