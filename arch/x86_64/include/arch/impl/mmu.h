#pragma once
/*
 * Address space, 4-level tables (SDM volume 3, 4.5). Upper half, one root entry = 512 GiB:
 *   ffff8880_00000000  direct map of RAM (64 TiB)          core's key, no execute, large pages
 *   ffffc900_00000000  vmap: core stacks, MMIO             core's key
 *   ffffd000_00000000  windows of domains (8 TiB)          one key per domain
 *   ffffec00_00000000  shadow of asan kernels (16 TiB)
 *   fffffe00_00000000  trap area                           key 1
 *   ffffffff_80000000  kernel image (+ slide below 1 GiB)  core's key
 *   ffffffff_c0000000  modules                             core's key
 *   ffffffff_ff000000  fixed slots: local APIC, I/O APIC, tables read at boot
 * Root entries of the upper half never change after boot, so every space copies them once.
 */
#include <lib/types.h>
#include <lib/atomic.h>

#define PAGE_SHIFT              12

#define USER_ADDR_MIN           ((vaddr_t)0x10000)
#define USER_ADDR_END           ((vaddr_t)0x00007ffffffff000)
#define DIRECT_MAP_BASE         ((vaddr_t)0xffff888000000000)
#define DIRECT_MAP_END          ((vaddr_t)0xffffc88000000000)
#define X86_VMAP_BASE           ((vaddr_t)0xffffc90000000000)
#define X86_VMAP_END            ((vaddr_t)0xffffc98000000000)
#define X86_WINDOW_BASE         ((vaddr_t)0xffffd00000000000)
#define X86_WINDOW_END          ((vaddr_t)0xffffd80000000000)
#define X86_TRAP_BASE           ((vaddr_t)0xfffffe0000000000)
#define X86_IMAGE_BASE          ((vaddr_t)0xffffffff80000000)
#define X86_MODULE_BASE         ((vaddr_t)0xffffffffc0000000)
#define X86_MODULE_END          ((vaddr_t)0xffffffffff000000)
#define X86_FIXED_BASE          ((vaddr_t)0xffffffffff000000)

/* asan kernels: LLVM's offset for x86-64 kernels, so that inline stack poisoning finds it too */
#define ARCH_ASAN_SHADOW_OFFSET 0xdffffc0000000000ul
#define ARCH_ASAN_LOWEST        DIRECT_MAP_BASE
#define X86_SHADOW_BASE         ((vaddr_t)0xffffec0000000000)
#define X86_SHADOW_END          ((vaddr_t)0xfffffc0000000000)

struct arch_space {
	paddr_t root;
	atomic_word_t cpus; /* CPUs that have it loaded, one bit each */
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
