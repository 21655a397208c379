/*
 * What programs learn about the CPU: identification registers, AT_HWCAP, /proc/cpuinfo, from one
 * table.
 *
 * The fields of the identification registers are those that Linux shows
 * (Documentation/arch/arm64/cpu-feature-registers.rst), less those of features that this port
 * leaves off: SVE, SME, MTE, pointer authentication, branch targets, memory copy instructions.
 */
#include <core/cpu.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/elf.h>
#include "a64.h"

/* CRm and op2 of the register, as in its name's encoding S3_0_C0_CRm_op2 */
enum a64_id : u8 {
	ID_PFR0 = 4 * 8,
	ID_PFR1 = 4 * 8 + 1,
	ID_DFR0 = 5 * 8,
	ID_ISAR0 = 6 * 8,
	ID_ISAR1 = 6 * 8 + 1,
	ID_ISAR2 = 6 * 8 + 2,
	ID_MMFR0 = 7 * 8,
	ID_MMFR1 = 7 * 8 + 1,
	ID_MMFR2 = 7 * 8 + 2,
};

/* One line per bit of AT_HWCAP (0-31) and AT_HWCAP2 (from 64 on): a field of at least `least`. FP
 * and ASIMD say 15 for "none". */
static const struct a64_cap {
	char name[10];
	u8 cap;
	enum a64_id id;
	u8 bit, least;
} a64_caps[] = {
	{"fp", 0, ID_PFR0, 16, 0},
	{"asimd", 1, ID_PFR0, 20, 0},
	{"aes", 3, ID_ISAR0, 4, 1},
	{"pmull", 4, ID_ISAR0, 4, 2},
	{"sha1", 5, ID_ISAR0, 8, 1},
	{"sha2", 6, ID_ISAR0, 12, 1},
	{"crc32", 7, ID_ISAR0, 16, 1},
	{"atomics", 8, ID_ISAR0, 20, 2},
	{"fphp", 9, ID_PFR0, 16, 1},
	{"asimdhp", 10, ID_PFR0, 20, 1},
	{"cpuid", 11, ID_PFR0, 0, 0},
	{"asimdrdm", 12, ID_ISAR0, 28, 1},
	{"jscvt", 13, ID_ISAR1, 12, 1},
	{"fcma", 14, ID_ISAR1, 16, 1},
	{"lrcpc", 15, ID_ISAR1, 20, 1},
	{"dcpop", 16, ID_ISAR1, 0, 1},
	{"sha3", 17, ID_ISAR0, 32, 1},
	{"sm3", 18, ID_ISAR0, 36, 1},
	{"sm4", 19, ID_ISAR0, 40, 1},
	{"asimddp", 20, ID_ISAR0, 44, 1},
	{"sha512", 21, ID_ISAR0, 12, 2},
	{"asimdfhm", 23, ID_ISAR0, 48, 1},
	{"dit", 24, ID_PFR0, 48, 1},
	{"uscat", 25, ID_MMFR2, 32, 1},
	{"ilrcpc", 26, ID_ISAR1, 20, 2},
	{"flagm", 27, ID_ISAR0, 52, 1},
	{"ssbs", 28, ID_PFR1, 4, 2},
	{"sb", 29, ID_ISAR1, 36, 1},
	{"dcpodp", 64, ID_ISAR1, 0, 2},
	{"flagm2", 71, ID_ISAR0, 52, 2},
	{"frint", 72, ID_ISAR1, 32, 1},
	{"i8mm", 77, ID_ISAR1, 52, 1},
	{"bf16", 78, ID_ISAR1, 44, 1},
	{"dgh", 79, ID_ISAR1, 48, 1},
	{"rng", 80, ID_ISAR0, 60, 1},
	{"ecv", 83, ID_MMFR0, 60, 1},
	{"afp", 84, ID_MMFR1, 44, 1},
	{"rpres", 85, ID_ISAR2, 4, 1},
	{"wfxt", 95, ID_ISAR2, 0, 2},
	{"ebf16", 96, ID_ISAR1, 44, 2},
	{"cssc", 98, ID_ISAR2, 52, 1},
	{"rprfm", 99, ID_ISAR2, 48, 1},
	{"hbc", 108, ID_ISAR2, 20, 1},
};

bool a64_id_register(u32 crm, u32 op2, u64 *value)
{
	*value = 0;
	switch (crm * 8 + op2) {
	case 0: /* MIDR_EL1 */
		*value = a64_read(midr_el1);
		return true;
	case 5: /* MPIDR_EL1: the same on all CPUs, as on Linux */
		*value = 1ul << 31;
		return true;
	case 6: /* REVIDR_EL1 */
		*value = a64_read(revidr_el1);
		return true;
	case ID_PFR0: /* FP, AdvSIMD, DIT; EL0 and EL1 are AArch64 only */
		*value = (a64_read(id_aa64pfr0_el1) & 0x000f000000ff0000ull) | 0x11;
		return true;
	case ID_PFR1: /* SSBS */
		*value = a64_read(id_aa64pfr1_el1) & 0xf0;
		return true;
	case ID_DFR0: /* no debug beyond version 8.0 */
		*value = 6;
		return true;
	case ID_ISAR0: /* all but TME and TLB */
		*value = a64_read(id_aa64isar0_el1) & 0xf0fffffff0fffff0ull;
		return true;
	case ID_ISAR1: /* DPB JSCVT FCMA LRCPC FRINTTS SB BF16 DGH I8MM */
		*value = a64_read(id_aa64isar1_el1) & 0x00fff0ff00fff00full;
		return true;
	case ID_ISAR2: /* WFxT RPRES BC RPRFM CSSC */
		*value = a64_read(s3_0_c0_c6_2) & 0x00ff000000f000ffull;
		return true;
	case ID_MMFR0: /* ECV */
		*value = a64_read(id_aa64mmfr0_el1) & 0xf000000000000000ull;
		return true;
	case ID_MMFR1: /* AFP */
		*value = a64_read(id_aa64mmfr1_el1) & 0x0000f00000000000ull;
		return true;
	case ID_MMFR2: /* AT */
		*value = a64_read(s3_0_c0_c7_2) & 0x0000000f00000000ull;
		return true;
	default: /* the rest of the space reads as zero: no AArch32, no SVE, nothing newer */
		return crm >= 1 && crm <= 7;
	}
}

static bool a64_has(const struct a64_cap *c)
{
	u64 v;
	u32 field;

	if (!a64_id_register(c->id / 8, c->id % 8, &v))
		return false;
	field = (u32)(v >> c->bit & 15);
	if (c->id == ID_PFR0 && c->bit >= 16 && c->bit <= 20 && field == 15)
		return false;
	return field >= c->least;
}

static u64 a64_cap_word(u8 first)
{
	u64 word = 0;

	for (size_t i = 0; i < ARRAY_SIZE(a64_caps); i++)
		if ((a64_caps[i].cap & 64) == first && a64_has(&a64_caps[i]))
			word |= 1ull << (a64_caps[i].cap & 63);
	return word;
}

u64 arch_elf_hwcap(void)
{
	return a64_cap_word(0);
}

u64 arch_elf_hwcap2(void)
{
	return a64_cap_word(64);
}

int arch_cpuinfo(u32 cpu, char *buf, size_t size)
{
	u64 hz = a64_read(cntfrq_el0);
	u32 midr = a64_cpus[cpu].midr;
	char features[320] = {};
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(a64_caps); i++)
		if (a64_has(&a64_caps[i]))
			at += (size_t)snprintf(features + at, sizeof(features) - at, " %s",
				a64_caps[i].name);
	/* Linux computes BogoMIPS from the timer: two counts to a loop */
	return snprintf(buf, size,
		"processor\t: %u\nBogoMIPS\t: %lu.%02lu\nFeatures\t:%s\nCPU implementer\t: "
		"0x%02x\nCPU architecture: 8\n"
		"CPU variant\t: 0x%x\nCPU part\t: 0x%03x\nCPU revision\t: %u\n\n",
		cpu, hz / 500000, hz / 5000 % 100, features, midr >> 24, midr >> 20 & 15,
		midr >> 4 & 0xfff, midr & 15);
}
