/* Module relocations: ELF for the Arm 64-bit Architecture (2023Q3), section 5.7; instruction
 * fields: Arm ARM C6.2. */
#include <lib/errno.h>
#include <lib/string.h>
#include <arch/elf.h>

#define R_AARCH64_ABS64               257u
#define R_AARCH64_PREL64              260u
#define R_AARCH64_PREL32              261u
#define R_AARCH64_ADR_PREL_LO21       274u
#define R_AARCH64_ADR_PREL_PG_HI21    275u
#define R_AARCH64_ADD_ABS_LO12_NC     277u
#define R_AARCH64_LDST8_ABS_LO12_NC   278u
#define R_AARCH64_TSTBR14             279u
#define R_AARCH64_CONDBR19            280u
#define R_AARCH64_JUMP26              282u
#define R_AARCH64_CALL26              283u
#define R_AARCH64_LDST16_ABS_LO12_NC  284u
#define R_AARCH64_LDST32_ABS_LO12_NC  285u
#define R_AARCH64_LDST64_ABS_LO12_NC  286u
#define R_AARCH64_LDST128_ABS_LO12_NC 299u

u32 arch_reloc_bytes(u32 type)
{
	switch (type) {
	case R_AARCH64_ABS64:
	case R_AARCH64_PREL64:
		return 8;
	case R_AARCH64_PREL32:
	case R_AARCH64_ADR_PREL_LO21:
	case R_AARCH64_ADR_PREL_PG_HI21:
	case R_AARCH64_ADD_ABS_LO12_NC:
	case R_AARCH64_LDST8_ABS_LO12_NC:
	case R_AARCH64_LDST16_ABS_LO12_NC:
	case R_AARCH64_LDST32_ABS_LO12_NC:
	case R_AARCH64_LDST64_ABS_LO12_NC:
	case R_AARCH64_LDST128_ABS_LO12_NC:
	case R_AARCH64_TSTBR14:
	case R_AARCH64_CONDBR19:
	case R_AARCH64_JUMP26:
	case R_AARCH64_CALL26:
		return 4;
	default:
		return 0;
	}
}

bool arch_reloc_is_absolute(u32 type)
{
	return type == R_AARCH64_ABS64;
}

static bool fits_signed(s64 value, u32 bits)
{
	return value >= -((s64)1 << (bits - 1)) && value < (s64)1 << (bits - 1);
}

/* Replaces `bits` bits at `shift` of the instruction at place; instructions are little-endian
 * always. */
static void set_field(u8 *place, u32 shift, u32 bits, u64 value)
{
	u32 insn = (u32)place[0] | (u32)place[1] << 8 | (u32)place[2] << 16 | (u32)place[3] << 24;
	u32 mask = (((u32)1 << bits) - 1) << shift;

	insn = (insn & ~mask) | ((u32)(value << shift) & mask);
	for (u32 i = 0; i < 4; i++)
		place[i] = (u8)(insn >> 8 * i);
}

static int apply_branch(u8 *place, s64 distance, u32 shift, u32 bits)
{
	if (distance & 3 || !fits_signed(distance, bits + 2))
		return -ERANGE;
	set_field(place, shift, bits, (u64)distance >> 2);
	return 0;
}

static int apply_adr(u8 *place, s64 value)
{
	if (!fits_signed(value, 21))
		return -ERANGE;
	set_field(place, 29, 2, (u64)value & 3);
	set_field(place, 5, 19, (u64)value >> 2);
	return 0;
}

/* Offset in the page, in units of the access. */
static int apply_low12(u8 *place, u64 value, u32 log2_bytes)
{
	u64 low = value & 0xfff;

	if (low & (((u64)1 << log2_bytes) - 1))
		return -ERANGE;
	set_field(place, 10, 12, low >> log2_bytes);
	return 0;
}

int arch_reloc_apply(u32 type, void *place, vaddr_t place_va, u64 sym, s64 addend)
{
	u64 value = sym + (u64)addend;
	s64 distance = (s64)(value - place_va);

	switch (type) {
	case R_AARCH64_ABS64:
		memcpy(place, &value, 8);
		return 0;
	case R_AARCH64_PREL64:
		memcpy(place, &distance, 8);
		return 0;
	case R_AARCH64_PREL32:
		if (!fits_signed(distance, 32))
			return -ERANGE;
		memcpy(place, &(s32){(s32)distance}, 4);
		return 0;
	case R_AARCH64_ADR_PREL_LO21:
		return apply_adr(place, distance);
	case R_AARCH64_ADR_PREL_PG_HI21:
		return apply_adr(place,
			((s64)(value & ~0xfffull) - (s64)(place_va & ~0xfffull)) >> 12);
	case R_AARCH64_ADD_ABS_LO12_NC:
	case R_AARCH64_LDST8_ABS_LO12_NC:
		return apply_low12(place, value, 0);
	case R_AARCH64_LDST16_ABS_LO12_NC:
		return apply_low12(place, value, 1);
	case R_AARCH64_LDST32_ABS_LO12_NC:
		return apply_low12(place, value, 2);
	case R_AARCH64_LDST64_ABS_LO12_NC:
		return apply_low12(place, value, 3);
	case R_AARCH64_LDST128_ABS_LO12_NC:
		return apply_low12(place, value, 4);
	case R_AARCH64_TSTBR14:
		return apply_branch(place, distance, 5, 14);
	case R_AARCH64_CONDBR19:
		return apply_branch(place, distance, 5, 19);
	case R_AARCH64_JUMP26:
	case R_AARCH64_CALL26:
		return apply_branch(place, distance, 0, 26);
	default:
		return -ENOEXEC;
	}
}
