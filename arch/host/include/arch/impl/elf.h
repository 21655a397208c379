#pragma once
/* The machine that the tests run on; modules of the host build are its relocatable files. */
#define ARCH_ELF_MACHINE  62 /* EM_X86_64 */
#define ARCH_ELF_CLASS    2  /* ELFCLASS64 */
#define ARCH_ELF_PLATFORM "host"
