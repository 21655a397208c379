#pragma once
#include <lib/types.h>

#define PAGE_SHIFT 12

#if __SIZEOF_POINTER__ == 4
#define USER_ADDR_MIN   ((vaddr_t)0x10000)
#define USER_ADDR_END   ((vaddr_t)0xc0000000)
#define DIRECT_MAP_BASE ((vaddr_t)0xc0000000)
#else
#define USER_ADDR_MIN   ((vaddr_t)0x10000)
#define USER_ADDR_END   ((vaddr_t)0x0000fffffffff000)
#define DIRECT_MAP_BASE ((vaddr_t)0xc000000000000000)
#endif

struct arch_space {
	paddr_t root;
};

/* Only for memory that the direct map reaches. */
static inline void *arch_phys_to_virt(paddr_t pa)
{
	return (void *)(DIRECT_MAP_BASE + (vaddr_t)pa);
}
static inline paddr_t arch_virt_to_phys(const void *va)
{
	return (vaddr_t)va - DIRECT_MAP_BASE;
}
