#pragma once
#define ARCH_ELF_MACHINE  183 /* EM_AARCH64 */
#define ARCH_ELF_CLASS    2   /* ELFCLASS64 */
#define ARCH_ELF_PLATFORM "aarch64"
