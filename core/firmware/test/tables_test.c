/*
 * The table manager over memory of the test's: good tables are found, damaged ones are refused, and
 * no byte beyond what was mapped is read (each mapping is an allocation of its own, so the address
 * sanitizer sees it).
 */
#include <stdlib.h>
#include "firmware_priv.h"
#include "../../../lib/test/tap.h"

#define ok(cond, text) CHECK((cond) && text)
#define MEMORY_BASE    0x100000u
#define MEMORY_BYTES   0x4000u
#define RSDP           0u
#define XSDT           0x100u
#define FADT           0x200u
#define DSDT           0x400u
#define FACS           0x480u
#define MADT           0x500u
#define SSDT           (MEMORY_BYTES - 40) /* at the end of all memory */

static u8 memory[MEMORY_BYTES];
static u32 nr_mapped;

/* --- what ACPICA asks of a system --- */
void *acpi_os_map_memory(acpi_physical_address where, acpi_size length)
{
	u8 *copy;

	if (where < MEMORY_BASE || where - MEMORY_BASE > MEMORY_BYTES ||
		length > MEMORY_BYTES - (where - MEMORY_BASE) || !length)
		return nullptr;
	/* ACPICA looks at a header before it knows the length; the kernel maps whole pages */
	copy = calloc(1, MAX(length, sizeof(struct acpi_table_header)));
	memcpy(copy, memory + (where - MEMORY_BASE), length);
	nr_mapped++;
	return copy;
}
void acpi_os_unmap_memory(void *at, acpi_size size)
{
	nr_mapped--;
	free(at);
}
void *acpi_os_allocate(acpi_size size)
{
	return malloc(size);
}
void *acpi_os_allocate_zeroed(acpi_size size)
{
	return calloc(1, size);
}
void acpi_os_free(void *p)
{
	free(p);
}
acpi_status acpi_os_create_lock(acpi_spinlock *out)
{
	return AE_OK;
}
void acpi_os_delete_lock(acpi_spinlock l)
{
}
acpi_status acpi_os_create_semaphore(u32 max, u32 units, acpi_semaphore *out)
{
	return AE_OK;
}
acpi_status acpi_os_delete_semaphore(acpi_semaphore s)
{
	return AE_OK;
}
acpi_status acpi_os_wait_semaphore(acpi_semaphore s, u32 units, u16 timeout)
{
	return AE_OK;
}
acpi_status acpi_os_signal_semaphore(acpi_semaphore s, u32 units)
{
	return AE_OK;
}
acpi_thread_id acpi_os_get_thread_id(void)
{
	return 1;
}
acpi_physical_address acpi_os_get_root_pointer(void)
{
	return firmware_rsdp;
}
acpi_status acpi_os_table_override(struct acpi_table_header *old, struct acpi_table_header **new)
{
	*new = nullptr;
	return AE_OK;
}
acpi_status acpi_os_physical_table_override(struct acpi_table_header *old,
	acpi_physical_address *at, u32 *bytes)
{
	*at = 0;
	return AE_OK;
}
void acpi_os_vprintf(const char *format, va_list args)
{
}
void acpi_os_printf(const char *format, ...)
{
}
void log_printf(int level, const char *format, ...)
{
}

/* The interpreter, which loading a table would call and finding one does not. */
#define NEVER(name)                                                                                \
	void name(void)                                                                            \
	{                                                                                          \
		abort();                                                                           \
	}
NEVER(acpi_ev_update_gpes)
NEVER(acpi_ns_build_prefixed_pathname)
NEVER(acpi_ns_delete_namespace_by_owner)
NEVER(acpi_ns_get_node)
NEVER(acpi_ns_get_normalized_pathname)
NEVER(acpi_ns_load_table)
NEVER(acpi_ns_print_node_pathname)
NEVER(acpi_ut_acquire_write_lock)
NEVER(acpi_ut_create_pkg_state)
NEVER(acpi_ut_create_rw_lock)
NEVER(acpi_ut_create_update_state)
NEVER(acpi_ut_delete_generic_state)
NEVER(acpi_ut_delete_rw_lock)
NEVER(acpi_ut_pop_generic_state)
NEVER(acpi_ut_push_generic_state)
NEVER(acpi_ut_release_write_lock)

/* --- tables --- */
static void sum(u32 at, u32 sum_at, u32 bytes)
{
	u8 total = 0;

	memory[at + sum_at] = 0;
	for (u32 i = 0; i < bytes && at + i < MEMORY_BYTES; i++)
		total += memory[at + i];
	memory[at + sum_at] = -total;
}

static void put32(u32 at, u32 value)
{
	memcpy(memory + at, &value, 4);
}

static void table(u32 at, const char *signature, u32 bytes, u8 revision)
{
	memcpy(memory + at, signature, 4);
	put32(at + 4, bytes);
	memory[at + 8] = revision;
	sum(at, 9, bytes);
}

static void good_tables(void)
{
	const u32 listed[] = {FADT, MADT, SSDT};

	memset(memory, 0, sizeof(memory));
	put32(FADT + 36, MEMORY_BASE + FACS);
	put32(FADT + 40, MEMORY_BASE + DSDT);
	put32(FADT + 76, 0x608); /* PM timer */
	memory[FADT + 91] = 4;
	table(FADT, "FACP", 244, 3);
	table(DSDT, "DSDT", 40, 2);
	table(FACS, "FACS", 64, 0);
	table(MADT, "APIC", 60, 3);
	table(SSDT, "SSDT", 40, 2);
	for (u32 i = 0; i < 3; i++)
		put32(XSDT + 36 + 8 * i, MEMORY_BASE + listed[i]);
	table(XSDT, "XSDT", 36 + 8 * 3, 1);
	memcpy(memory + RSDP, "RSD PTR ", 8);
	memory[RSDP + 15] = 2;
	put32(RSDP + 20, 36);
	put32(RSDP + 24, MEMORY_BASE + XSDT);
	sum(RSDP, 8, 20);
	sum(RSDP, 32, 36);
}

static bool has(const char *signature)
{
	u32 bytes = 0;
	const u8 *t = firmware_table(signature, 1, &bytes);
	bool same = t && bytes >= 36 && !memcmp(t, signature, 4);

	/* every byte that was promised is there */
	for (u32 i = 0; same && i < bytes; i++)
		same = t[i] == *(const volatile u8 *)(t + i);
	if (t)
		firmware_table_put(t);
	return same;
}

static bool start(void)
{
	return firmware_tables_init(MEMORY_BASE + RSDP);
}

static void damaged(void)
{
	good_tables();
	memory[MADT + 50] ^= 1;
	ok(start() && !has("APIC") && has("FACP") && has("SSDT"),
		"a table with a wrong sum is not there");
	good_tables();
	put32(MADT + 4, MEMORY_BYTES);
	ok(start() && !has("APIC") && has("FACP"), "a table longer than memory is not there");
	good_tables();
	table(SSDT, "SSDT", 41, 2);
	ok(start() && !has("SSDT") && has("APIC"), "a table that memory ends within is not there");
	good_tables();
	table(MADT, "APIC", 35, 3);
	ok(start() && !has("APIC") && has("SSDT"), "a table shorter than its header is not there");
	good_tables();
	table(FADT, "FACP", 36, 3);
	start();
	ok(has("APIC"), "an FADT of a header only");
	good_tables();
	memory[XSDT + 40] ^= 1;
	ok(!start() && !has("APIC"), "a root table with a wrong sum is refused");
	good_tables();
	table(XSDT, "XSDT", 20, 1);
	ok(!start() && !has("APIC"), "a root table shorter than its header is refused");
	good_tables();
	memory[RSDP + 1] ^= 1;
	ok(!start(), "a root pointer without its signature is refused");
	good_tables();
	memory[RSDP + 10] ^= 1;
	ok(!start(), "a root pointer with a wrong sum is refused");
	ok(!firmware_tables_init(0x7fff0000), "a root pointer outside memory is refused");
}

static u64 seed = 88172645463325252ull;
static u32 random_u32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)seed;
}

/* Any bytes changed; sums are put right, so that what lies behind them is reached. */
static void mutated(void)
{
	static const u32 places[] = {RSDP, XSDT, FADT, DSDT, FACS, MADT, SSDT};

	for (u32 i = 0; i < 20000; i++) {
		u32 nr = 1 + random_u32() % 4;

		good_tables();
		while (nr--) {
			u32 at = places[random_u32() % ARRAY_SIZE(places)];

			memory[(at + random_u32() % (random_u32() & 1 ? 40 : 256)) % MEMORY_BYTES] =
				(u8)random_u32();
		}
		for (u32 k = 1; k < ARRAY_SIZE(places); k++) {
			u32 bytes;

			memcpy(&bytes, memory + places[k] + 4, 4);
			if (places[k] != FACS)
				sum(places[k], 9, MIN(bytes, MEMORY_BYTES));
		}
		sum(RSDP, 8, 20);
		sum(RSDP, 32, 36);
		start();
		has("APIC");
		has("FACP");
		has("SSDT");
		has("DSDT");
		firmware_pm_timer_port();
	}
	ok(true, "20000 sets of tables with changed bytes");
}

int main(void)
{
	good_tables();
	ok(start() && has("APIC") && has("FACP") && has("SSDT") && has("DSDT") && !has("MCFG"),
		"good tables are found");
	ok(firmware_pm_timer_port() == 0x608, "the PM timer's port");
	damaged();
	mutated();
	ok(nr_mapped == 0, "nothing stays mapped");
	TAP_END();
}
