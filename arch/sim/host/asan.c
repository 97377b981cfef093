// SPDX-License-Identifier: MIT
/*
 * What the address sanitizer is told of the kernel: where its stacks are, and what is free.
 *
 * Why. Poison shows a write to what is free, and that late; the sanitizer shows a read too, and at
 * once. Frames and objects of caches are forbidden from when the kernel poisons them until it looks
 * whether the poison is whole, which are the end of the old life and the beginning of the new one.
 * Only in builds with SANITIZE=address; the linker puts the __wrap_ functions before the kernel's.
 */
#ifdef HOST_ASAN
#include "host.h"

#include <page.h>

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	/* Faults are the kernel's (memory.c); what a thread leaves at power-off is no leak. */
	return "handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1:detect_leaks=0:"
	       "detect_stack_use_after_return=0:abort_on_error=0:exitcode=66";
}

/* ---- Stacks ------------------------------------------------------------------------------ */

/* Each is STACK_SIZE bytes at a multiple of it: <layout.h>, init_stack in kernel/thread.c. */
static vaddr_t stack_of(vaddr_t sp)
{
	return ALIGN_DOWN(sp - 1, STACK_SIZE);
}

void host_switch_to(vaddr_t sp)
{
	__sanitizer_start_switch_fiber(NULL, (const void *)stack_of(sp), STACK_SIZE);
}

void host_switched(void)
{
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
}

void host_stack_new(vaddr_t top)
{
	__asan_unpoison_memory_region((void *)stack_of(top), STACK_SIZE);
}

/* ---- What is free ------------------------------------------------------------------------ */

bool host_forbidden(vaddr_t addr)
{
	return __asan_address_is_poisoned((void *)addr);
}

void __real_page_poison(struct page *p);
void __wrap_page_poison(struct page *p);
void __wrap_page_poison(struct page *p)
{
	__asan_unpoison_memory_region(page_to_virt(p), PAGE_SIZE); /* of a slab: its free objects */
	__real_page_poison(p);
	__asan_poison_memory_region(page_to_virt(p), PAGE_SIZE);
}

bool __real_page_poison_intact(const struct page *p, size_t *offset, u64 *value);
bool __wrap_page_poison_intact(const struct page *p, size_t *offset, u64 *value);
bool __wrap_page_poison_intact(const struct page *p, size_t *offset, u64 *value)
{
	__asan_unpoison_memory_region(page_to_virt(p), PAGE_SIZE);
	return __real_page_poison_intact(p, offset, value);
}

void __real_object_poison(void *obj, size_t size);
void __wrap_object_poison(void *obj, size_t size);
void __wrap_object_poison(void *obj, size_t size)
{
	__real_object_poison(obj, size);
	__asan_poison_memory_region((u64 *)obj + 1, size - sizeof(u64)); /* the first is a link */
}

const u64 *__real_object_poison_broken(const void *obj, size_t size);
const u64 *__wrap_object_poison_broken(const void *obj, size_t size);
const u64 *__wrap_object_poison_broken(const void *obj, size_t size)
{
	__asan_unpoison_memory_region((void *)obj, size);
	return __real_object_poison_broken(obj, size);
}
#endif
