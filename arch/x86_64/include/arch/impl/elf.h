#pragma once
#define ARCH_ELF_MACHINE  62 /* EM_X86_64 */
#define ARCH_ELF_CLASS    2  /* ELFCLASS64 */
#define ARCH_ELF_PLATFORM "x86_64"
