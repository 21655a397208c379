#pragma once
/* Port supplies impl/elf.h: ARCH_ELF_MACHINE, ARCH_ELF_CLASS, ARCH_ELF_PLATFORM (string), and
 * arch_elf_hwcap(), arch_elf_hwcap2() (AT_HWCAP*), arch_minsigstksz(). */
#include <lib/types.h>
u64 arch_elf_hwcap(void);
u64 arch_elf_hwcap2(void);
size_t arch_minsigstksz(void);
/* Pure, as all of the rest: any context, no locks, nothing owned. */
/* Module relocation (arch/NAME/reloc.c): applies one RELA entry at `place` (writable alias) whose
 * final address is `place_va`, for symbol value `sym` and addend; -ENOEXEC unknown type, -ERANGE
 * out of reach. */
int arch_reloc_apply(u32 type, void *place, vaddr_t place_va, u64 sym, s64 addend);
/* Bytes that a relocation of this type changes; 0: a type that modules may not have. */
u32 arch_reloc_bytes(u32 type);
/* True when `type` stores an absolute address as data (used to refuse code addresses in data). */
bool arch_reloc_is_absolute(u32 type);
#include <arch/impl/elf.h>
