// SPDX-License-Identifier: MIT
/*
 * User memory: range checks, and opening and closing the kernel's access around each copy.
 *
 * Why. With SMAP, PAN or SUM the CPU itself refuses a kernel access to user memory that did not
 * come through here. Without, the range check and the fixup table are what is left.
 * Context: thread, since a fault may sleep. See also: mm/fault.c, tests/test_uaccess.c.
 */
#include <arch.h>
#include <errno.h>
#include <mm.h>
#include <thread.h>
#include <uaccess.h>

static bool user_range_ok(vaddr_t addr, size_t n)
{
	return addr <= user_end() && n <= user_end() - addr;
}

void user_access_begin(void)
{
	BUG_ON(current->user_access);
	current->user_access = true;
	barrier(); /* schedule() and do_page_fault() see the mark while access is open */
	arch_user_access_begin();
}

void user_access_end(void)
{
	arch_user_access_end();
	barrier();
	current->user_access = false;
}

static int copy(vaddr_t user, void *dst, const void *src, size_t n, bool to_user)
{
	if (!current->mm || !user_range_ok(user, n))
		return -EFAULT;
	user_access_begin();
	size_t left = arch_user_copy(dst, src, n, to_user);

	user_access_end();
	return left ? -EFAULT : 0;
}

int copy_from_user(void *dst, const void __user *src, size_t n)
{
	return copy((vaddr_t)src, dst, src, n, false);
}

int copy_to_user(void __user *dst, const void *src, size_t n)
{
	return copy((vaddr_t)dst, dst, src, n, true);
}

static bool u64_ok(vaddr_t addr)
{
	return current->mm && IS_ALIGNED(addr, sizeof(u64)) && user_range_ok(addr, sizeof(u64));
}

int user_read_u64(vaddr_t addr, u64 *value)
{
	if (!u64_ok(addr) || arch_user_copy(value, (const void *)addr, sizeof(*value), false))
		return -EFAULT;
	return 0;
}

int user_write_u64(vaddr_t addr, u64 value)
{
	if (!u64_ok(addr) || arch_user_copy((void *)addr, &value, sizeof(value), true))
		return -EFAULT;
	return 0;
}
