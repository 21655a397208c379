/*
 * The boot stub.
 *
 * Purpose: turn each of the ways in which a loader may start the image into one: the kernel at its
 * (randomised) virtual address with a filled `struct x86_handoff`.
 *
 *	16-bit setup (QEMU under SeaBIOS) -> start32 -> start64 -+
 *	GRUB BIOS, 32-bit entry ------------> start32 -> start64 -+-> stub_main ------+
 *	64-bit entry at +0x200 ---------------------------------- +                   +->
 *stub_launch PE entry, EFI handover --------------------------------------> stub_efi_main -+
 *
 * Invariants: (1) nothing here holds an absolute address: mkbzimage.py refuses a stub with
 * data relocations, since it runs wherever it was put; (2) the kernel is copied to 2 MiB aligned
 * memory that overlaps neither the loaded image nor the initrd; (3) the blob stays where the loader
 * put it and the handoff names it.
 *
 * Failure: a message on the first serial port and a halt; there is nothing to return to.
 */
#include "stub.h"

#define PARAMS_RSDP             0x070
#define PARAMS_EXT_RAMDISK      0x0c0
#define PARAMS_EXT_RAMDISK_SIZE 0x0c4
#define PARAMS_EXT_CMDLINE      0x0c8
#define PARAMS_EFI              0x1c0
#define PARAMS_E820_COUNT       0x1e8
#define PARAMS_HDR_RAMDISK      0x218
#define PARAMS_HDR_RAMDISK_SIZE 0x21c
#define PARAMS_HDR_CMDLINE      0x228
#define PARAMS_E820             0x2d0
#define PARAMS_E820_MAX         128

#define STUB_LOW_LIMIT          0x1000000ull   /* keep ISA DMA memory free */
#define STUB_HIGH_LIMIT         0x100000000ull /* the boot tables map 4 GiB one to one */
#define STUB_TABLE_PAGES        12

struct x86_handoff stub_handoff;

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *d = to;
	size_t words = bytes / 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	bytes &= 7;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t bytes)
{
	void *d = to;
	size_t words = bytes / 8;
	uint64_t fill = 0x0101010101010101ull * (uint8_t)byte;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(fill) : "memory");
	bytes &= 7;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(fill) : "memory");
	return to;
}

static void stub_putc(char c)
{
	uint8_t status;
	unsigned int tries = 100000;

	do {
		__asm__ volatile("inb %w1, %0" : "=a"(status) : "Nd"((uint16_t)0x3fd));
	} while (!(status & 0x20) && --tries);
	__asm__ volatile("outb %0, %w1" : : "a"(c), "Nd"((uint16_t)0x3f8));
}

void stub_die(const char *why)
{
	const char *prefix = "umka: cannot boot: ";

	while (*prefix)
		stub_putc(*prefix++);
	while (*why)
		stub_putc(*why++);
	stub_putc('\r');
	stub_putc('\n');
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Keep the list short: neighbours of one type become one entry. */
void stub_region_add(uint64_t base, uint64_t bytes, uint32_t type)
{
	struct x86_handoff *h = &stub_handoff;
	struct x86_region *last;

	if (!bytes || base + bytes < base)
		return;
	if (h->nr_regions) {
		last = &h->regions[h->nr_regions - 1];
		if (last->type == type && last->base + last->bytes == base) {
			last->bytes += bytes;
			return;
		}
	}
	if (h->nr_regions == X86_HANDOFF_REGIONS)
		return;
	h->regions[h->nr_regions++] = (struct x86_region){
		.base = base,
		.bytes = bytes,
		.type = type,
	};
}

static void stub_cmdline_set(const char *from)
{
	char *to = stub_handoff.cmdline;
	size_t n;

	for (n = 0; n < X86_HANDOFF_CMDLINE - 1 && from[n]; n++)
		to[n] = from[n];
	to[n] = 0;
}

void stub_params_read(const uint8_t *params)
{
	struct x86_handoff *h = &stub_handoff;
	uint64_t cmdline;

	h->initrd_phys = stub_params32(params, PARAMS_HDR_RAMDISK) |
			 (uint64_t)stub_params32(params, PARAMS_EXT_RAMDISK) << 32;
	h->initrd_bytes = stub_params32(params, PARAMS_HDR_RAMDISK_SIZE) |
			  (uint64_t)stub_params32(params, PARAMS_EXT_RAMDISK_SIZE) << 32;
	cmdline = stub_params32(params, PARAMS_HDR_CMDLINE) |
		  (uint64_t)stub_params32(params, PARAMS_EXT_CMDLINE) << 32;
	if (cmdline)
		stub_cmdline_set((const char *)cmdline);
	h->rsdp = stub_params64(params, PARAMS_RSDP);
	if (stub_params32(params, PARAMS_EFI) == 0x34364c45) /* "EL64" */
		h->efi_systab = stub_params32(params, PARAMS_EFI + 4) |
				(uint64_t)stub_params32(params, PARAMS_EFI + 0x18) << 32;
}

static void stub_e820_read(const uint8_t *params)
{
	unsigned int n = params[PARAMS_E820_COUNT];
	const uint8_t *entry = params + PARAMS_E820;

	if (n > PARAMS_E820_MAX)
		n = PARAMS_E820_MAX;
	for (; n; n--, entry += 20)
		stub_region_add(stub_params64(entry, 0), stub_params64(entry, 8),
			stub_params32(entry, 16));
	if (!stub_handoff.nr_regions)
		stub_die("the loader gave no memory map");
}

/* What stub_launch() needs at the place it is told: image, early pages, handoff, tables. */
uint64_t stub_kernel_room(void)
{
	uint64_t image = (stub_payload.kernel_mem_bytes + STUB_PAGE - 1) & ~(STUB_PAGE - 1);
	uint64_t handoff = (sizeof(struct x86_handoff) + STUB_PAGE - 1) & ~(STUB_PAGE - 1);

	return image + X86_HANDOFF_EARLY + handoff + STUB_TABLE_PAGES * STUB_PAGE;
}

static bool stub_overlaps(uint64_t base, uint64_t end, uint64_t other, uint64_t bytes,
	uint64_t *next)
{
	if (!bytes || end <= other || other + bytes <= base)
		return false;
	*next = other + bytes;
	return true;
}

/* Context: no firmware to ask. The first free place at or above 16 MiB. */
static uint64_t stub_find_room(const uint8_t *params)
{
	const struct x86_handoff *h = &stub_handoff;
	uint64_t room = stub_kernel_room(), at, next = 0;
	unsigned int i;

	for (i = 0; i < h->nr_regions; i++) {
		const struct x86_region *r = &h->regions[i];
		uint64_t end = r->base + r->bytes;

		if (r->type != X86_REGION_RAM)
			continue;
		if (end > STUB_HIGH_LIMIT)
			end = STUB_HIGH_LIMIT;
		at = r->base > STUB_LOW_LIMIT ? r->base : STUB_LOW_LIMIT;
		for (;;) {
			at = (at + STUB_LARGE - 1) & ~(STUB_LARGE - 1);
			if (at >= end || end - at < room)
				break;
			if (!stub_overlaps(at, at + room, (uint64_t)start32,
				    stub_payload.image_bytes, &next) &&
				!stub_overlaps(at, at + room, h->initrd_phys, h->initrd_bytes,
					&next) &&
				!stub_overlaps(at, at + room, (uint64_t)params, STUB_PAGE, &next))
				return at;
			at = next;
		}
	}
	stub_die("no memory below 4 GiB for the kernel");
}

/* A word of the command line, as Linux's early parser sees it: separated by spaces. */
static bool stub_cmdline_has(const char *word)
{
	const char *p = stub_handoff.cmdline;
	size_t n;

	while (*p) {
		while (*p == ' ')
			p++;
		for (n = 0; word[n] && p[n] == word[n]; n++)
			;
		if (!word[n] && (p[n] == ' ' || !p[n]))
			return true;
		while (*p && *p != ' ')
			p++;
	}
	return false;
}

static uint64_t stub_random(void)
{
	uint32_t a = 1, b, c = 0, d;
	uint64_t v;
	uint8_t ok = 0;
	unsigned int tries;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (c & (1u << 30)) {
		for (tries = 0; tries < 10 && !ok; tries++)
			__asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=qm"(ok) : : "cc");
		if (ok)
			return v;
	}
	__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
	v = (a | (uint64_t)d << 32) * 0x9e3779b97f4a7c15ull;
	return v ^ v >> 29;
}

/* Slide in 2 MiB steps through the lower of the top two GiB; modules have the upper one. */
static uint64_t stub_pick_slide(void)
{
	uint64_t steps;

	if (stub_cmdline_has("nokaslr"))
		return 0;
	steps = (0x40000000ull - ((stub_kernel_room() + STUB_LARGE - 1) & ~(STUB_LARGE - 1))) /
		STUB_LARGE;
	return stub_random() % steps * STUB_LARGE;
}

/*
 * Tables for the jump only; the kernel builds its own at once. Page order: root, low directory
 * pointers, four directories, high directory pointers, two directories, one spare pair for the
 * GiB that the stub itself runs in where that is above 4 GiB.
 */
static uint64_t stub_build_tables(uint64_t tables, uint64_t phys, uint64_t virt, uint64_t bytes)
{
	uint64_t *root = (uint64_t *)tables, *low = root + 512, *high = root + 6 * 512;
	uint64_t *spare = root + 9 * 512;
	uint64_t self = (uint64_t)start32, i;

	memset(root, 0, STUB_TABLE_PAGES * STUB_PAGE);
	root[0] = (uint64_t)low | 3;
	root[511] = (uint64_t)high | 3;
	for (i = 0; i < 4; i++)
		low[i] = (uint64_t)(root + (2 + i) * 512) | 3;
	for (i = 0; i < 4 * 512; i++)
		root[2 * 512 + i] = i * STUB_LARGE | 0x83;
	high[510] = (uint64_t)(root + 7 * 512) | 3;
	high[511] = (uint64_t)(root + 8 * 512) | 3;
	for (i = 0; i < bytes; i += STUB_LARGE)
		root[7 * 512 + ((virt + i) >> 21) % 1024] = (phys + i) | 0x83;
	if (self >= STUB_HIGH_LIMIT) {
		uint64_t *dirs = low;

		if (self >> 39) {
			dirs = spare + 512;
			root[self >> 39 & 511] = (uint64_t)dirs | 3;
		}
		dirs[self >> 30 & 511] = (uint64_t)spare | 3;
		for (i = 0; i < 512; i++)
			spare[i] = (self & ~0x3fffffffull) | i * STUB_LARGE | 0x83;
	}
	return (uint64_t)root;
}

void stub_launch(uint64_t phys)
{
	const struct stub_payload *p = &stub_payload;
	struct x86_handoff *h = &stub_handoff;
	const uint32_t *relocs = (const uint32_t *)(start32 + p->relocs_offset);
	uint64_t slide = stub_pick_slide(), at, i, root;

	memcpy((void *)phys, start32 + p->kernel_offset, p->kernel_file_bytes);
	memset((void *)(phys + p->kernel_file_bytes), 0,
		p->kernel_mem_bytes - p->kernel_file_bytes);
	if (slide)
		for (i = 0; i < p->nr_relocs; i++)
			*(uint64_t *)(phys + relocs[i]) += slide;

	h->magic = X86_HANDOFF_MAGIC;
	h->kernel_phys = phys;
	h->kernel_virt = p->kernel_link + slide;
	h->kernel_bytes = p->kernel_mem_bytes;
	h->reserved_bytes = stub_kernel_room();
	h->blob_phys = (uint64_t)start32 + p->blob_offset;
	h->blob_bytes = p->blob_bytes;
	for (i = 0; i < 4; i++)
		h->seed[i] ^= stub_random();

	at = (p->kernel_mem_bytes + STUB_PAGE - 1) & ~(STUB_PAGE - 1);
	h->early_phys = phys + at;
	h->early_bytes = X86_HANDOFF_EARLY;
	at += X86_HANDOFF_EARLY;
	memcpy((void *)(phys + at), h, sizeof(*h));
	root = stub_build_tables(phys + h->reserved_bytes - STUB_TABLE_PAGES * STUB_PAGE, phys,
		h->kernel_virt, h->reserved_bytes);
	stub_jump(root, p->kernel_entry + slide, h->kernel_virt + at);
}

[[noreturn]] void stub_main(const uint8_t *params);

void stub_main(const uint8_t *params)
{
	stub_params_read(params);
	stub_e820_read(params);
	/* GRUB's older EFI loader leaves boot services itself and tells only the system table */
	if (!stub_handoff.rsdp && stub_handoff.efi_systab &&
		stub_handoff.efi_systab < STUB_HIGH_LIMIT)
		stub_efi_find_rsdp(stub_handoff.efi_systab);
	stub_launch(stub_find_room(params));
}
