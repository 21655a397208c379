#pragma once
#define ARCH_ELF_MACHINE  20 /* EM_PPC */
#define ARCH_ELF_CLASS    (sizeof(void *) == 4 ? 1 : 2)
#define ARCH_ELF_PLATFORM "none"
