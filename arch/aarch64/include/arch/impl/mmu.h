#pragma once
/*
 * Address space: 4 KiB granule, 48 bits, 4 levels (Arm ARM D8.2). TTBR0: user, one root and ASID
 * per space; TTBR1: one root for all: ffff0000_00000000  direct map of RAM (64 TiB) core's, no
 * execute, large blocks ffff6000_00000000  shadow of asan kernels (32 TiB) ffff8000_00000000  vmap:
 * core stacks, MMIO             core's ffff9000_00000000  windows of domains (8 TiB)
 *   ffffa000_00000000  trap area: vectors, overflow stacks
 *   ffffb000_00000000  kernel image (+ slide below 256 GiB), modules behind it within reach of a
 * call ffffc000_00000000  fixed slots: GIC, serial port Each range begins at an entry of its own in
 * the root, so a domain's root is this one without core's entries.
 */
#include <lib/types.h>
#include <lib/atomic.h>

#define PAGE_SHIFT              12

#define USER_ADDR_MIN           ((vaddr_t)0x10000)
#define USER_ADDR_END           ((vaddr_t)0x0001000000000000)
#define DIRECT_MAP_BASE         ((vaddr_t)0xffff000000000000)
#define DIRECT_MAP_END          ((vaddr_t)0xffff400000000000)
#define A64_VMAP_BASE           ((vaddr_t)0xffff800000000000)
#define A64_VMAP_END            ((vaddr_t)0xffff808000000000)
#define A64_WINDOW_BASE         ((vaddr_t)0xffff900000000000)
#define A64_WINDOW_END          ((vaddr_t)0xffff980000000000)
#define A64_TRAP_BASE           ((vaddr_t)0xffffa00000000000)
#define A64_IMAGE_BASE          ((vaddr_t)0xffffb00000000000)
#define A64_FIXED_BASE          ((vaddr_t)0xffffc00000000000)

/* asan kernels: -asan-mapping-offset of meson.build */
#define ARCH_ASAN_SHADOW_OFFSET 0xdfff800000000000ul
#define ARCH_ASAN_LOWEST        DIRECT_MAP_BASE
#define A64_SHADOW_BASE         ((vaddr_t)0xffff600000000000)
#define A64_SHADOW_END          ((vaddr_t)0xffff800000000000)

struct arch_space {
	paddr_t root;
	u32 asid; /* 0: the kernel's */
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
