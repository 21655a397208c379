/* Module relocations: System V ABI, AMD64 supplement 1.0, section 4.4. */
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/elf.h>

#define R_X86_64_64    1u
#define R_X86_64_PC32  2u
#define R_X86_64_PLT32 4u
#define R_X86_64_32    10u
#define R_X86_64_32S   11u
#define R_X86_64_PC64  24u

u32 arch_reloc_bytes(u32 type)
{
	switch (type) {
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_32:
	case R_X86_64_32S:
		return 4;
	default:
		return 0;
	}
}

bool arch_reloc_is_absolute(u32 type)
{
	return type == R_X86_64_64 || type == R_X86_64_32 || type == R_X86_64_32S;
}

int arch_reloc_apply(u32 type, void *place, vaddr_t place_va, u64 sym, s64 addend)
{
	u64 value = sym + (u64)addend;
	s32 narrow;

	switch (type) {
	case R_X86_64_64:
		memcpy(place, &value, 8);
		return 0;
	case R_X86_64_PC64:
		value -= place_va;
		memcpy(place, &value, 8);
		return 0;
	case R_X86_64_PC32:
	case R_X86_64_PLT32: /* modules have no PLT: the call goes to the symbol itself */
		value -= place_va;
		break;
	case R_X86_64_32:
		if (value > UINT32_MAX)
			return -ERANGE;
		memcpy(place, &(u32){(u32)value}, 4);
		return 0;
	case R_X86_64_32S:
		break;
	default:
		return -ENOEXEC;
	}
	narrow = (s32)value;
	if ((s64)value != narrow)
		return -ERANGE;
	memcpy(place, &narrow, 4);
	return 0;
}
