#pragma once
/*
 * What the boot stub tells the kernel. The stub fills it in from whichever protocol the loader
 * spoke; the kernel never sees boot_params or the EFI memory map. All addresses are physical.
 */
#include <stdint.h>

#define X86_HANDOFF_MAGIC   0x31464f444e4148ull
#define X86_HANDOFF_REGIONS 1024
#define X86_HANDOFF_CMDLINE 4096
#define X86_HANDOFF_EARLY   0x200000ull

enum x86_region_type : uint32_t {
	X86_REGION_RAM = 1, /* the numbers of ACPI 6.5, table 15.6 */
	X86_REGION_RESERVED = 2,
	X86_REGION_ACPI = 3,
	X86_REGION_NVS = 4,
	X86_REGION_BAD = 5,
	X86_REGION_PMEM = 7,
};

struct x86_region {
	uint64_t base;
	uint64_t bytes;
	uint32_t type; /* enum x86_region_type; others are kept as reserved */
	uint32_t pad;
};

struct x86_handoff {
	uint64_t magic;
	uint64_t kernel_phys;  /* where the image lies, 2 MiB aligned */
	uint64_t kernel_virt;  /* where it runs */
	uint64_t kernel_bytes; /* with .bss */
	uint64_t early_phys;   /* free pages behind the image for the kernel's first tables */
	uint64_t early_bytes;
	uint64_t reserved_bytes; /* from kernel_phys on: image, early pages, this struct, tables */
	uint64_t blob_phys;
	uint64_t blob_bytes;
	uint64_t initrd_phys;
	uint64_t initrd_bytes;
	uint64_t rsdp;       /* 0: search the BIOS area */
	uint64_t efi_systab; /* 0: no EFI */
	uint64_t seed[4];    /* firmware or CPU randomness */
	uint32_t nr_regions;
	uint32_t pad;
	struct x86_region regions[X86_HANDOFF_REGIONS];
	char cmdline[X86_HANDOFF_CMDLINE];
};
