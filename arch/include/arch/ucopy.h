#pragma once
/*
 * User copies with fixup. Return the number of bytes NOT copied. They may fault: whether the fault
 * is served or ends the copy is decided by core's trap_page_fault (current->fault_disabled).
 * Callers use core/ucopy.h, never these.
 *
 * Context: thread, with the address space that `src` or `dst` lies in; no lock that a fault takes.
 * The last one: any context.
 */
#include <lib/types.h>
size_t arch_copy_from_user(void *dst, const void __user *src, size_t bytes);
size_t arch_copy_to_user(void __user *dst, const void *src, size_t bytes);
size_t arch_clear_user(void __user *dst, size_t bytes);
/* Futex word: compare and exchange / load, in user memory; 0 or -EFAULT. */
int arch_user_load32(const u32 __user *p, u32 *out);
int arch_user_cas32(u32 __user *p, u32 expected, u32 desired, u32 *old);
/* Copies kernel memory that may be unmapped (backtraces, /proc): bytes NOT copied. */
size_t arch_copy_from_kernel_nofault(void *dst, const void *src, size_t bytes);
