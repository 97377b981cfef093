// SPDX-License-Identifier: MIT
/*
 * What the compiler calls where the kernel's behaviour is not defined: a finding, with the place.
 *
 * Built with SANITIZE=1 (-fsanitize=undefined beside the announced accesses): every schedule that
 * is explored is checked, and a finding has its counterexample. The handlers are ours: the
 * compiler's own library would print on a kernel stack of 16 KiB and know nothing of the search.
 * Every record that they are given begins with the place in the source.
 * See also: build.mk.
 */
#include "sim.h"

struct place {
	const char *file;
	u32 line, column;
};

static __noreturn void undefined(const struct place *p, const char *what)
{
	finding("undefined behaviour", "%s at %s:%u:%u on CPU %u", what, p->file, p->line,
		p->column, sim_cpu());
}

/* Under both names: the one the compiler takes depends on whether it may go on. It may not. */
#define HANDLER(name, what)                                                                        \
	HANDLER_NAMED(name, what)                                                                  \
	HANDLER_NAMED(name##_abort, what)
#define HANDLER_NAMED(name, what)                                                                  \
	void __ubsan_handle_##name(const struct place *p);                                         \
	void __ubsan_handle_##name(const struct place *p)                                          \
	{                                                                                          \
		undefined(p, what);                                                                \
	}
HANDLER(add_overflow, "an addition overflows")
HANDLER(sub_overflow, "a subtraction overflows")
HANDLER(mul_overflow, "a multiplication overflows")
HANDLER(negate_overflow, "a negation overflows")
HANDLER(divrem_overflow, "a division by zero, or one that overflows,")
HANDLER(shift_out_of_bounds, "a shift by too much, or of a negative number,")
HANDLER(out_of_bounds, "an index out of bounds")
HANDLER(type_mismatch_v1, "a NULL, misaligned or too small object is used")
HANDLER(pointer_overflow, "a pointer overflows")
HANDLER(vla_bound_not_positive, "an array of no size")
HANDLER(nonnull_arg, "NULL for an argument that may not be")
HANDLER(nonnull_return_v1, "NULL from a function that may not return it")
HANDLER(float_cast_overflow, "a conversion overflows")
HANDLER(invalid_builtin, "a builtin is given what it cannot take")
HANDLER_NAMED(builtin_unreachable, "what cannot be reached is reached")
HANDLER_NAMED(missing_return, "a function ends without its value")
