#pragma once
/*
 * ACPICA's environment header: this kernel under the name of a host that ACPICA knows and that
 * ships no header of its own (MODESTO). Spelling of the names is ACPICA's.
 */
#include <lib/types.h>
#include <lib/fmt.h>
#include <lib/string.h>

#define ACPI_MACHINE_WIDTH (__SIZEOF_POINTER__ * 8)
#define ACPI_USE_SYSTEM_CLIBRARY
#define ACPI_USE_SYSTEM_INTTYPES
#define ACPI_USE_DO_WHILE_0
/* Firmware's packages may name what is not there: such an element is null, as on Linux. */
#define ACPI_IGNORE_PACKAGE_RESOLUTION_ERRORS
#define ACPI_USE_GPE_POLLING
/* A table whose sum is wrong is refused. */
#define ACPI_CHECKSUM_ABORT 1
#define USE_NATIVE_ALLOCATE_ZEROED

/* The lock that AML shares with the firmware's own code. */
bool firmware_global_lock_acquire(u32 *word);
bool firmware_global_lock_release(u32 *word);
#define ACPI_ACQUIRE_GLOBAL_LOCK(facs, acquired)                                                   \
	((acquired) = firmware_global_lock_acquire(&(facs)->global_lock))
#define ACPI_RELEASE_GLOBAL_LOCK(facs, pending)                                                    \
	((pending) = firmware_global_lock_release(&(facs)->global_lock))

struct slab_cache;
struct spinlock;
#define acpi_cache_t                   struct slab_cache
#define acpi_spinlock                  struct spinlock *
#define acpi_cpu_flags                 word_t
#define acpi_uintptr_t                 uintptr_t
#define ACPI_TO_INTEGER(p)             ((uintptr_t)(p))
#define ACPI_OFFSET(d, f)              offsetof(d, f)
#define ACPI_STRUCT_INIT(field, value) .field = value
#define EXPORT_SYMBOL(symbol)
#define __init
#define __iomem

/* The rest of a C library that ACPICA uses. */
static inline int isdigit(int c)
{
	return c >= '0' && c <= '9';
}
static inline int isupper(int c)
{
	return c >= 'A' && c <= 'Z';
}
static inline int islower(int c)
{
	return c >= 'a' && c <= 'z';
}
static inline int isalpha(int c)
{
	return isupper(c) || islower(c);
}
static inline int isxdigit(int c)
{
	return isdigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static inline int isprint(int c)
{
	return c >= ' ' && c < 0x7f;
}
static inline int isspace(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline int toupper(int c)
{
	return islower(c) ? c - 'a' + 'A' : c;
}
static inline int tolower(int c)
{
	return isupper(c) ? c - 'A' + 'a' : c;
}
static inline char *strcpy(char *to, const char *from)
{
	return memcpy(to, from, strlen(from) + 1);
}
static inline char *strcat(char *to, const char *from)
{
	strcpy(to + strlen(to), from);
	return to;
}
static inline char *strncpy(char *to, const char *from, size_t n)
{
	size_t len = strnlen(from, n);

	memcpy(to, from, len);
	memset(to + len, 0, n - len);
	return to;
}
static inline char *strncat(char *to, const char *from, size_t n)
{
	size_t len = strlen(to), more = strnlen(from, n);

	memcpy(to + len, from, more);
	to[len + more] = '\0';
	return to;
}
