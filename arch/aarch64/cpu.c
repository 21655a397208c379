/*
 * The CPU itself.
 *
 * Purpose: features, system registers, the trap area, firmware calls, power.
 *
 * Vocabulary: trap area: what the CPU touches by itself on a trap, mapped at A64_TRAP_BASE
 * (architecture.md section 5): the alias of the vector page first, then at a stride of 64 KiB one
 * overflow stack per CPU, at the end of its stride.
 *
 * Invariants: A64-C1 vectors are read-only where the CPU uses them. A64-C2 what the boot CPU lacks
 * is off on all CPUs.
 *
 * Locks: none; each CPU sets up itself, in the order in which smp.c starts them.
 *
 * Failure: nothing here fails after boot.
 */
#include <core/cpu.h>
#include <core/log.h>
#include <core/task.h>
#include <lib/string.h>
#include <arch/ucopy.h>
#include "asm.h"
#include "a64.h"

struct a64_features a64_features;
u8 a64_have_pan; /* for ucopy.S */
struct a64_cpu a64_cpus[NR_CPUS_MAX];
struct arch_task a64_boot_task; /* until core has tasks */

#define OVERFLOW_STACK_PAGES 2u

/* CPACR_EL1: FP and SIMD open at EL0 and EL1, SVE and SME trapped. */
#define CPACR_FP             (3ul << 20)
/* CNTKCTL_EL1: the virtual counter readable from EL0. */
#define CNTKCTL_EL0VCTEN     (1ul << 1)
#define PSCI_SYSTEM_OFF      0x84000008u
#define PSCI_SYSTEM_RESET    0x84000009u

#define FIELD(reg, bit)      ((u32)((reg) >> (bit) & 15))

bool a64_word_in(const char *line, const char *word)
{
	size_t n = strlen(word);
	const char *p = line;

	while ((p = strstr(p, word))) {
		if ((p == line || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
		p += n;
	}
	return false;
}

/* Context: boot CPU. Registers: Arm ARM D19.2. */
void a64_features_detect(const char *command_line)
{
	u64 mmfr1 = a64_read(id_aa64mmfr1_el1);

	a64_features.pan = FIELD(mmfr1, 20);
	a64_features.hafdbs = FIELD(mmfr1, 0) >= 2;
	a64_features.asid16 = FIELD(a64_read(id_aa64mmfr0_el1), 4) == 2;
	a64_features.rndr = FIELD(a64_read(id_aa64isar0_el1), 60);
	a64_features.global_pages = a64_word_in(command_line, "isolation=off");
	a64_have_pan = a64_features.pan;
}

/* System registers of the CPU that runs this; SCTLR, TCR and MAIR were set by start.S. */
void a64_cpu_setup(void)
{
	struct a64_cpu *cpu = a64_cpu();

	a64_write(vbar_el1, A64_TRAP_BASE);
	a64_write(cpacr_el1, CPACR_FP);
	a64_write(cntkctl_el1, CNTKCTL_EL0VCTEN);
	a64_write(mdscr_el1, 0);
	a64_write(tpidr_el0, 0);
	a64_write(tpidrro_el0, 0);
	a64_isb();
	if (a64_features.pan)
		__asm__ volatile(".arch_extension pan\nmsr pan, #1" ::: "memory");
	cpu->mpidr = a64_read(mpidr_el1) & 0xff00ffffffull;
	cpu->midr = (u32)a64_read(midr_el1);
	__asm__ volatile("msr daifclr, #4" ::
			: "memory"); /* system errors are reported from now on */
}

void a64_trap_area_create(u32 index, paddr_t (*alloc)(void))
{
	vaddr_t end = A64_TRAP_BASE + ((vaddr_t)index + 2) * (1ul << TRAP_AREA_STRIDE_SHIFT);

	static_assert(TRAP_AREA_STRIDE_SHIFT == 16);
	for (u32 i = 1; i <= OVERFLOW_STACK_PAGES; i++)
		a64_map_kernel_page(end - i * PAGE_BYTES, alloc(),
			MMU_READ | MMU_WRITE | MMU_TRAP_AREA);
	if (index)
		return;
	for (vaddr_t at = 0; a64_vectors_begin + at < a64_vectors_end; at += PAGE_BYTES)
		a64_map_kernel_page(A64_TRAP_BASE + at, a64_image_phys(a64_vectors_begin + at),
			MMU_READ | MMU_EXEC | MMU_TRAP_AREA);
}

void arch_cpu_data_set(struct cpu *data)
{
	a64_cpus[data->index].data = data;
}

/* Context: boot CPU, interrupts off; the count so far goes on in t. */
void arch_current_set(struct task *t)
{
	struct arch_task *a = &t->arch;

	a->self = t;
	a->cpu = a64_cpu();
	a->stack_top = (word_t)
		a64_boot_stack_end; /* it goes on where it is; entry looks whether there is room */
	a->preempt_count = a64_task()->preempt_count;
	a64_write(tpidr_el1, a);
}

/* SMC Calling Convention: function in X0, arguments in X1-X3, result in X0; X4-X17 are the
 * callee's. */
long a64_psci(u64 function, u64 a, u64 b, u64 c)
{
	register u64 x0 __asm__("x0") = function;
	register u64 x1 __asm__("x1") = a;
	register u64 x2 __asm__("x2") = b;
	register u64 x3 __asm__("x3") = c;

	if (!a64_dt.psci)
		return -1;
	if (a64_dt.psci_hvc && !a64_entered_el2)
		__asm__ volatile("hvc #0"
			: "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			:
			: "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
			"x15", "x16", "x17", "memory");
	else
		__asm__ volatile("smc #0"
			: "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			:
			: "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
			"x15", "x16", "x17", "memory");
	return (long)x0;
}

void arch_power_off(void)
{
	a64_psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void arch_reboot(void)
{
	a64_psci(PSCI_SYSTEM_RESET, 0, 0, 0);
}

void arch_halt(void)
{
	arch_irq_disable();
	for (;;)
		__asm__ volatile("wfi" ::: "memory");
}

u32 arch_backtrace(word_t fp, word_t *pc, u32 nr)
{
	word_t frame[2];
	u32 n = 0;

	if (!fp)
		fp = (word_t)__builtin_frame_address(0);
	while (n < nr && fp >= DIRECT_MAP_BASE && IS_ALIGNED(fp, 8)) {
		if (arch_copy_from_kernel_nofault(frame, (const void *)fp, sizeof(frame)) ||
			!frame[1])
			break;
		pc[n++] = frame[1];
		if (frame[0] <= fp) /* stacks grow down: callers lie above */
			break;
		fp = frame[0];
	}
	return n;
}

/* RNDR sets Z when it has nothing (Arm ARM D19.2). */
size_t arch_entropy(void *buf, size_t bytes)
{
	size_t done = 0;

	if (!a64_features.rndr)
		return 0;
	while (done < bytes) {
		size_t n = MIN(bytes - done, sizeof(u64));
		u64 v;
		bool ok = false;

		for (u32 tries = 0; tries < 10 && !ok; tries++)
			__asm__ volatile("mrs %0, s3_3_c2_c4_0" : "=r"(v), "=@ccne"(ok));
		if (!ok)
			break;
		memcpy((u8 *)buf + done, &v, n);
		done += n;
	}
	return done;
}
