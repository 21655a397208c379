#pragma once
/*
 * What a port hands to core at boot. The port fills one boot_info in its own memory before it calls
 * core_main(), on the boot CPU, interrupts off, direct map live, exception vectors set.
 */
#include <lib/types.h>

enum boot_mem_kind : u32 {
	BOOT_MEM_USABLE,
	BOOT_MEM_RESERVED, /* firmware, MMIO holes that are listed, anything not to be touched */
	BOOT_MEM_ACPI,     /* tables: readable, reclaimable in principle, kept */
	BOOT_MEM_KERNEL, /* image, blob, early page tables, initrd: not free (initrd is freed later)
			  */
};
struct boot_mem {
	paddr_t base;
	u64 size_bytes;
	enum boot_mem_kind kind;
};
struct boot_range {
	paddr_t base;
	u64 size_bytes;
};
#define BOOT_MEM_MAX 256
struct boot_info {
	struct boot_mem
		mem[BOOT_MEM_MAX]; /* sorted, not overlapping, page aligned inwards when usable */
	u32 nr_mem;
	char command_line[4096];  /* always terminated */
	struct boot_range initrd; /* size 0: none */
	struct boot_range blob;   /* newc cpio: kernel.sym, modules.order, modules/NAME.uko */
	paddr_t acpi_rsdp;        /* 0: none */
	paddr_t device_tree;      /* 0: none */
	paddr_t efi_system_table; /* 0: none */
	u64 kaslr_slide_bytes;
	const char *loader; /* "bzImage/BIOS", "EFI stub", ... for the log */
};

/* Maps firmware tables for ever, readable, before core has memory; nullptr: no room. Only where
 * core/firmware has ACPI. */
const void *arch_firmware_map(paddr_t pa, size_t bytes);
/* core/init/main.c. Context: boot CPU, interrupts off. Never returns. */
__noreturn void core_main(struct boot_info *info);
/* Called by each other CPU when arch bring-up is done; interrupts off, own stack. Never returns. */
__noreturn void core_secondary_main(u32 cpu);
