/* SPDX-License-Identifier: MIT */
/*
 * User memory: the only way in which the kernel touches it.
 */
#ifndef GRACE_UACCESS_H
#define GRACE_UACCESS_H

#include <types.h>

/*
 * Copies n bytes from or to user addresses of current->mm. 0, or -EFAULT if any part is outside the
 * user half or cannot be faulted in with the permission needed (what was copied before stays
 * copied). Thread context; may sleep.
 */
int copy_from_user(void *dst, const void __user *src, size_t n);
int copy_to_user(void __user *dst, const void *src, size_t n);

/*
 * One u64, aligned, with access already open: between user_access_begin() and user_access_end()
 * many of these cost no change of the CPU's state (on riscv64, QEMU 7.2 drops the whole TLB at
 * each). With interrupts off a fault is not resolved: -EFAULT.
 */
void user_access_begin(void);
void user_access_end(void);
int user_read_u64(vaddr_t addr, u64 *value);
int user_write_u64(vaddr_t addr, u64 value);

#endif
