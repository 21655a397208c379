#pragma once
/*
 * Address space. Core's half is the process's own: RAM is one file in memory, mapped whole at
 * DIRECT_MAP_BASE and page by page in the ranges below. The user half exists in software only:
 * tables in frames, walked by user copies (ucopy.c), so its numbers may be anything. The bases lie
 * where both AddressSanitizer and ThreadSanitizer have application memory.
 */
#include <lib/types.h>
#include <lib/atomic.h>

#define PAGE_SHIFT       12

#define USER_ADDR_MIN    ((vaddr_t)0x10000)
#define USER_ADDR_END    ((vaddr_t)0x00007ffffffff000)
#define DIRECT_MAP_BASE  ((vaddr_t)0x560000000000)
#define HOST_VMAP_BASE   ((vaddr_t)0x570000000000)
#define HOST_VMAP_END    ((vaddr_t)0x571000000000)
/* Above the image (linked at 256 MiB), so that 32-bit absolute relocations reach both. */
#define HOST_MODULE_BASE ((vaddr_t)0x40000000)
#define HOST_MODULE_END  ((vaddr_t)0x50000000)

struct arch_space {
	paddr_t root;
};

static inline void *arch_phys_to_virt(paddr_t pa)
{
	return (void *)(DIRECT_MAP_BASE + pa);
}
/* Only for addresses inside the direct map. */
static inline paddr_t arch_virt_to_phys(const void *va)
{
	return (vaddr_t)va - DIRECT_MAP_BASE;
}
