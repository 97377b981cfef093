/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of this CPU. In a debug build each off-switch notes its place, so that the watchdog
 * can say who turned interrupts off on a CPU that it cannot interrupt.
 */
#ifndef GRACE_IRQFLAGS_H
#define GRACE_IRQFLAGS_H

#include <arch.h>
#include <bug.h>
#include <percpu.h>

struct irqoff_site {
	vaddr_t pc, fp; /* the place and the frame that turned interrupts off last on this CPU */
};
DECLARE_PER_CPU(struct irqoff_site, irqoff_site);

/* An address in the function where it stands. */
#define code_address()                                                                             \
	({                                                                                         \
		__label__ code_here;                                                               \
	code_here:                                                                                 \
		(vaddr_t)&&code_here;                                                              \
	})

/* Returns whether interrupts were on, for local_irq_restore(). */
#define local_irq_save()                                                                           \
	({                                                                                         \
		bool irq_was_on = arch_irq_save();                                                 \
		if (debug_build && irq_was_on) {                                                   \
			struct irqoff_site *irq_site = this_cpu_ptr(&irqoff_site);                 \
			irq_site->pc = code_address();                                             \
			irq_site->fp = arch_frame_pointer();                                       \
		}                                                                                  \
		irq_was_on;                                                                        \
	})
#define local_irq_restore(was_on)                                                                  \
	do {                                                                                       \
		if (likely(was_on))                                                                \
			arch_irq_enable();                                                         \
	} while (0)
#define local_irq_disable() ((void)local_irq_save())
#define local_irq_enable() arch_irq_enable()
#define irqs_disabled() (!arch_irqs_enabled())

#endif
