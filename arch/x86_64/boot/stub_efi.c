/*
 * The boot stub under EFI: everything the handoff needs is asked from boot services, which are then
 * left. UEFI 2.10: 7.2 memory services, 7.4.6 ExitBootServices, 9.1 loaded image, 13.2 LoadFile2.
 */
#include "stub.h"

#define EFIAPI               __attribute__((ms_abi))
#define EFI_BUFFER_TOO_SMALL (1ull << 63 | 5)

struct efi_guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

struct efi_header {
	uint64_t signature;
	uint32_t revision, header_bytes, crc32, reserved;
};

/* Services that are not called here are plain words. */
struct efi_boot_services {
	struct efi_header hdr;
	uint64_t raise_tpl, restore_tpl;
	uint64_t(EFIAPI *allocate_pages)(uint32_t type, uint32_t memory_type, uint64_t pages,
		uint64_t *address);
	uint64_t free_pages;
	uint64_t(EFIAPI *get_memory_map)(uint64_t *bytes, void *map, uint64_t *key,
		uint64_t *entry_bytes, uint32_t *version);
	uint64_t(EFIAPI *allocate_pool)(uint32_t memory_type, uint64_t bytes, void **buffer);
	uint64_t free_pool;
	uint64_t events[6];
	uint64_t install_protocol, reinstall_protocol, uninstall_protocol;
	uint64_t(EFIAPI *handle_protocol)(void *handle, const struct efi_guid *guid,
		void **interface);
	uint64_t reserved, register_notify, locate_handle;
	uint64_t(EFIAPI *locate_device_path)(const struct efi_guid *guid, void **path,
		void **handle);
	uint64_t install_table, load_image, start_image, exit, unload_image;
	uint64_t(EFIAPI *exit_boot_services)(void *handle, uint64_t key);
};

struct efi_config_table {
	struct efi_guid guid;
	uint64_t table;
};

struct efi_system_table {
	struct efi_header hdr;
	uint64_t vendor;
	uint32_t firmware_revision, pad;
	uint64_t con_in_handle, con_in, con_out_handle, con_out, err_handle, err;
	uint64_t runtime;
	struct efi_boot_services *boot;
	uint64_t nr_tables;
	struct efi_config_table *tables;
};

struct efi_loaded_image {
	uint32_t revision, pad;
	uint64_t parent, system, device, path, reserved;
	uint32_t options_bytes, pad2;
	const uint16_t *options;
	uint64_t base, bytes;
};

struct efi_load_file2 {
	uint64_t(EFIAPI *load_file)(struct efi_load_file2 *self, void *path, bool boot_policy,
		uint64_t *bytes, void *buffer);
};

struct efi_memory_descriptor {
	uint32_t type, pad;
	uint64_t phys, virt, pages, attributes;
};

static bool efi_guid_equal(const struct efi_guid *x, const struct efi_guid *y)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (x->d[i] != y->d[i])
			return false;
	return x->a == y->a && x->b == y->b && x->c == y->c;
}

static void efi_read_options(struct efi_boot_services *bs, void *handle)
{
	static const struct efi_guid loaded_image = {0x5b1b31a1, 0x9562, 0x11d2,
		{0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
	struct efi_loaded_image *image = nullptr;
	char *to = stub_handoff.cmdline;
	uint32_t n, i;

	if (bs->handle_protocol(handle, &loaded_image, (void **)&image) || !image->options)
		return;
	n = image->options_bytes / 2;
	for (i = 0; i < n && i < X86_HANDOFF_CMDLINE - 1 && image->options[i]; i++)
		to[i] = image->options[i] < 0x80 ? (char)image->options[i] : '?';
	to[i] = 0;
}

static uint64_t efi_allocate(struct efi_boot_services *bs, uint64_t bytes, uint64_t limit)
{
	uint64_t at = limit;

	/* 1: AllocateMaxAddress; 2: EfiLoaderData */
	if (bs->allocate_pages(1, 2, (bytes + STUB_PAGE - 1) / STUB_PAGE, &at))
		stub_die("the firmware has no memory left");
	return at;
}

/* Documentation/admin-guide/efi-stub.rst: the initrd is offered by LoadFile2 on this path. */
static void efi_load_initrd(struct efi_boot_services *bs)
{
	static const struct efi_guid load_file2 = {0x4006c0c1, 0xfcb3, 0x403e,
		{0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
	static const uint8_t media_path[24] = {
		0x04, 0x03, 20, 0, /* media, vendor-defined */
		0x27, 0xe4, 0x68, 0x55, 0xfc, 0x68, 0x3d, 0x4f, 0xac, 0x74, 0xca, 0x55, 0x52, 0x31,
		0xcc, 0x68, 0x7f, 0xff, 4, 0, /* end of path */
	};
	void *path = (void *)media_path, *handle;
	struct efi_load_file2 *loader;
	uint64_t bytes = 0, at;

	if (bs->locate_device_path(&load_file2, &path, &handle) ||
		bs->handle_protocol(handle, &load_file2, (void **)&loader))
		return;
	if (loader->load_file(loader, path, false, &bytes, nullptr) != EFI_BUFFER_TOO_SMALL ||
		!bytes)
		return;
	at = efi_allocate(bs, bytes, ~0ull);
	if (loader->load_file(loader, path, false, &bytes, (void *)at))
		stub_die("the firmware could not read the initrd");
	stub_handoff.initrd_phys = at;
	stub_handoff.initrd_bytes = bytes;
}

/* Also after boot services have gone: the tables stay, at physical addresses. */
void stub_efi_find_rsdp(uint64_t system_table)
{
	const struct efi_system_table *st = (const void *)system_table;
	static const struct efi_guid acpi20 = {0x8868e871, 0xe4f1, 0x11d3,
		{0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
	static const struct efi_guid acpi10 = {0xeb9d2d30, 0x2d88, 0x11d3,
		{0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
	uint64_t i;

	for (i = 0; i < st->nr_tables; i++) {
		if (efi_guid_equal(&st->tables[i].guid, &acpi20)) {
			stub_handoff.rsdp = st->tables[i].table;
			return;
		}
		if (efi_guid_equal(&st->tables[i].guid, &acpi10))
			stub_handoff.rsdp = st->tables[i].table;
	}
}

/* UEFI 2.10 table 7.10: what each type becomes once boot services are gone. */
static uint32_t efi_region_type(uint32_t type)
{
	switch (type) {
	case 1 ... 4: /* loader and boot-services code and data */
	case 7:       /* conventional */
		return X86_REGION_RAM;
	case 8:
		return X86_REGION_BAD;
	case 9:
		return X86_REGION_ACPI;
	case 10:
		return X86_REGION_NVS;
	case 14:
		return X86_REGION_PMEM;
	default:
		return X86_REGION_RESERVED;
	}
}

static void efi_leave(struct efi_boot_services *bs, void *handle)
{
	uint64_t room = 0, bytes, key, entry_bytes, at, tries;
	uint32_t version;
	void *map = nullptr;

	bs->get_memory_map(&room, nullptr, &key, &entry_bytes, &version);
	room += 16 * entry_bytes;
	if (bs->allocate_pool(2, room, &map))
		stub_die("no memory for the EFI memory map");
	/* The map may change between the two calls (7.4.6): fetch it again and retry. */
	for (tries = 0;; tries++) {
		bytes = room;
		if (bs->get_memory_map(&bytes, map, &key, &entry_bytes, &version))
			stub_die("the firmware gave no memory map");
		if (!bs->exit_boot_services(handle, key))
			break;
		if (tries == 8)
			stub_die("the firmware would not leave boot services");
	}
	__asm__ volatile("cli");
	for (at = 0; at + entry_bytes <= bytes; at += entry_bytes) {
		const struct efi_memory_descriptor *d = (void *)((char *)map + at);

		stub_region_add(d->phys, d->pages * STUB_PAGE, efi_region_type(d->type));
	}
}

[[noreturn]] void stub_efi_main(void *handle, struct efi_system_table *st, const uint8_t *params);

void stub_efi_main(void *handle, struct efi_system_table *st, const uint8_t *params)
{
	struct efi_boot_services *bs = st->boot;
	uint64_t phys;

	if (params)
		stub_params_read(params);
	else
		efi_read_options(bs, handle);
	if (!stub_handoff.initrd_bytes)
		efi_load_initrd(bs);
	stub_efi_find_rsdp((uint64_t)st);
	stub_handoff.efi_systab = (uint64_t)st;
	phys = efi_allocate(bs, stub_kernel_room() + STUB_LARGE, 0xffffffffull);
	phys = (phys + STUB_LARGE - 1) & ~(STUB_LARGE - 1);
	efi_leave(bs, handle);
	stub_launch(phys);
}
