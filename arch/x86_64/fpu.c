/*
 * What a task owns of the CPU: FP and vector registers, TLS bases, its switch frame.
 *
 * Purpose: save and restore on switch, copies on fork, signal frames.
 *
 * Vocabulary: area: an XSAVE area in the standard format (SDM volume 1, 13.4), 64-byte aligned; on
 * a CPU without XSAVE its first 512 bytes, in FXSAVE format.
 *
 * Objects and lifetimes: one area per user task, from arch_task_init to arch_task_destroy.
 *
 * Invariants: X86-F1 between user mode and the next switch the registers hold current's state; the
 * kernel has no FP code (-mgeneral-regs-only). X86-F2 a task that is switched out has its state in
 * its area; the registers of the CPU that it left may hold it too, and serve it if nobody else used
 * them.
 *
 * Locks: none; switches run with interrupts off, all else on current.
 *
 * Failure: a corrupt signal frame is refused by the CPU itself, in an instruction with a fixup.
 *
 * Cost: one XSAVEOPT per switch away from a user task; the restore is skipped when the task comes
 * back to a CPU that only ran kernel threads meanwhile.
 */
#include <core/mm.h>
#include <core/task.h>
#include <core/log.h>
#include <arch/elf.h>
#include <arch/ucopy.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "x86.h"

#define XSTATE_WANTED 0xe7ull /* x87, SSE, AVX, AVX-512 (three parts) */
#define XSTATE_MAX    2816u   /* of those, with room; checked at boot */
#define XSTATE_HEADER 512u    /* XSTATE_BV, XCOMP_BV, 48 reserved bytes */
#define XSTATE_SOFTWARE                                                                            \
	464u /* bytes that the CPU leaves to software (SDM volume 1, table 10-2)                   \
	      */
#define FX_CONTROL       0u
#define FX_MXCSR         24u

/* uapi/asm/sigcontext.h: struct _fpx_sw_bytes */
#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u
struct x86_software_bytes {
	u32 magic, extended_bytes;
	u64 features;
	u32 state_bytes, pad[7];
};
static_assert(sizeof(struct x86_software_bytes) == 48);

static u32 x86_state_bytes = 512;
static struct slab_cache *x86_fpu_cache;

struct task *x86_switch_stacks(word_t *save_sp, word_t new_sp, struct task *prev);
extern const u8 x86_child_start[], x86_thread_start[];

void x86_fpu_cpu_setup(void)
{
	__asm__ volatile("fninit");
	if (x86_features.xsave) {
		struct x86_cpuid r = x86_cpuid(0xd, 0);

		x86_features.xcr0 = XSTATE_WANTED & (r.a | (u64)r.d << 32);
		__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)x86_features.xcr0), "d"(0));
		x86_state_bytes = x86_cpuid(0xd, 0).b;
		if (x86_state_bytes > XSTATE_MAX)
			panic("x86: FP state of %u bytes", x86_state_bytes);
	}
}

static void x86_fpu_save(void *area)
{
	if (x86_features.xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
	else if (x86_features.xsave)
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void x86_fpu_load(const void *area)
{
	if (x86_features.xsave)
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static void x86_fpu_initial(void *area)
{
	u16 control = 0x37f;
	u32 mxcsr = 0x1f80;

	memset(area, 0, x86_state_bytes);
	memcpy((u8 *)area + FX_CONTROL, &control, sizeof(control));
	memcpy((u8 *)area + FX_MXCSR, &mxcsr, sizeof(mxcsr));
}

int arch_task_init(struct task *t)
{
	t->arch = (struct arch_task){.stack_top = t->arch.stack_top, .fpu_cpu = ~0u};
	if (!x86_fpu_cache) { /* the first task is made at boot, by the only CPU */
		x86_fpu_cache = slab_create("fpu_state", x86_state_bytes, 64);
		if (!x86_fpu_cache)
			return -ENOMEM;
	}
	t->arch.fpu = slab_alloc(x86_fpu_cache);
	if (!t->arch.fpu)
		return -ENOMEM;
	x86_fpu_initial(t->arch.fpu);
	return 0;
}

void arch_task_destroy(struct task *t)
{
	/* A stale fpu_owner may stay: a new task at this address begins with fpu_cpu = none */
	if (t->arch.fpu)
		slab_free(x86_fpu_cache, t->arch.fpu);
	t->arch.fpu = nullptr;
}

/* A switch frame as x86_switch_stacks pops it: r15 r14 r13 r12 bp bx, return address. */
static void x86_frame_set(struct task *t, word_t top, const u8 *to, word_t bx, word_t r12)
{
	word_t *frame = (word_t *)top - 7;

	memset(frame, 0, 7 * sizeof(word_t));
	frame[3] = r12;
	frame[5] = bx;
	frame[6] = (word_t)to;
	t->arch.sp = (word_t)frame;
}

void arch_task_setup_kernel(struct task *t, void (*entry)(void *), void *arg)
{
	struct arch_regs *regs = arch_task_regs(t);

	memset(regs, 0, sizeof(*regs));
	x86_frame_set(t, (word_t)regs, x86_thread_start, (word_t)entry, (word_t)arg);
}

static void x86_bases_save(struct arch_task *a)
{
	if (x86_features.fsgsbase) {
		/* While in the kernel the user's GS base waits behind SWAPGS; an NMI between trusts
		 * neither */
		__asm__ volatile("rdfsbase %0\n"
				 "swapgs\n"
				 "rdgsbase %1\n"
				 "swapgs"
			: "=&r"(a->fs_base), "=&r"(a->gs_base));
		return;
	}
	a->fs_base = x86_rdmsr(MSR_FS_BASE);
	a->gs_base = x86_rdmsr(MSR_KERNEL_GS_BASE);
}

static void x86_bases_load(const struct arch_task *a)
{
	if (x86_features.fsgsbase) {
		__asm__ volatile("wrfsbase %0\n"
				 "swapgs\n"
				 "wrgsbase %1\n"
				 "swapgs"
			:
			: "r"(a->fs_base), "r"(a->gs_base)
			: "memory");
		return;
	}
	x86_wrmsr(MSR_FS_BASE, a->fs_base);
	x86_wrmsr(MSR_KERNEL_GS_BASE, a->gs_base);
}

/* current's FP state, also in its area. Interrupts off. */
static void x86_fpu_sync(struct task *t)
{
	if (t->arch.user)
		x86_fpu_save(t->arch.fpu);
}

int arch_task_fork(struct task *child, struct task *from, vaddr_t sp, bool set_tls, word_t tls)
{
	struct arch_regs *regs = arch_task_regs(child);
	word_t irq = arch_irq_save();

	x86_fpu_sync(from);
	if (from->arch.user)
		x86_bases_save(&from->arch);
	memcpy(child->arch.fpu, from->arch.fpu, x86_state_bytes);
	arch_irq_restore(irq);
	child->arch.fs_base = set_tls ? tls : from->arch.fs_base;
	child->arch.gs_base = from->arch.gs_base;
	child->arch.user = true;
	child->arch.fpu_cpu = ~0u;
	*regs = *arch_task_regs(from);
	regs->ax = 0;
	if (sp)
		regs->sp = sp;
	x86_frame_set(child, (word_t)regs, x86_child_start, 0, 0);
	return 0;
}

void arch_fpu_reset(struct task *t)
{
	word_t irq = arch_irq_save();

	x86_fpu_initial(t->arch.fpu);
	if (t == arch_current()) {
		x86_fpu_load(t->arch.fpu);
		x86_cpus[arch_this_cpu()].fpu_owner = t;
		t->arch.fpu_cpu = arch_this_cpu();
	}
	arch_irq_restore(irq);
}

void arch_task_exec(struct task *t, vaddr_t entry, vaddr_t sp)
{
	struct arch_regs *regs = arch_task_regs(t);
	word_t irq;

	*regs = (struct arch_regs){
		.orig_ax = ~0ul,
		.ip = entry,
		.cs = X86_USER_CS,
		.flags = X86_FLAGS_IF | 2,
		.sp = sp,
		.ss = X86_USER_SS,
	};
	irq = arch_irq_save();
	t->arch.fs_base = 0;
	t->arch.gs_base = 0;
	t->arch.user = true;
	if (t == arch_current())
		x86_bases_load(&t->arch);
	arch_irq_restore(irq);
	arch_fpu_reset(t);
}

void x86_user_base_set(struct task *t, bool gs, word_t base)
{
	word_t irq = arch_irq_save();

	if (t == arch_current())
		x86_bases_save(&t->arch);
	*(gs ? &t->arch.gs_base : &t->arch.fs_base) = base;
	if (t == arch_current())
		x86_bases_load(&t->arch);
	arch_irq_restore(irq);
}

word_t x86_user_base(struct task *t, bool gs)
{
	word_t irq = arch_irq_save(), base;

	if (t == arch_current())
		x86_bases_save(&t->arch);
	base = gs ? t->arch.gs_base : t->arch.fs_base;
	arch_irq_restore(irq);
	return base;
}

struct task *arch_switch(struct task *prev, struct task *next)
{
	u32 index = arch_this_cpu();
	struct x86_cpu *cpu = &x86_cpus[index];

	if (prev->arch.user) {
		x86_fpu_save(prev->arch.fpu);
		x86_bases_save(&prev->arch);
		cpu->fpu_owner = prev;
		prev->arch.fpu_cpu = index;
	}
	if (next->arch.user) {
		if (cpu->fpu_owner != next || next->arch.fpu_cpu != index) {
			x86_fpu_load(next->arch.fpu);
			cpu->fpu_owner = next;
			next->arch.fpu_cpu = index;
		}
		x86_bases_load(&next->arch);
	}
	cpu->task = next;
	cpu->kernel_sp = next->arch.stack_top - 8;
	return x86_switch_stacks(&prev->arch.sp, next->arch.sp, prev);
}

size_t arch_fpu_user_bytes(void)
{
	return x86_features.xsave ? x86_state_bytes + 4 : 512;
}

size_t arch_minsigstksz(void)
{
	/* the frame of rt_sigreturn(2): return address, ucontext, siginfo, alignment, and the FP
	 * area */
	return 8 + 304 + 128 + 64 + 128 + arch_fpu_user_bytes();
}

/* ucopy.S: straight between registers and user memory, with fixups; 0 or -EFAULT. */
int x86_user_xsave(void __user *area, u64 features);
int x86_user_xrstor(const void __user *area, u64 features);
int x86_user_fxsave(void __user *area);
int x86_user_fxrstor(const void __user *area);

int arch_fpu_save_user(void __user *area)
{
	u32 magic2 = FP_XSTATE_MAGIC2;
	struct x86_software_bytes sw = {
		.magic = FP_XSTATE_MAGIC1,
		.extended_bytes = x86_state_bytes + 4,
		.features = x86_features.xcr0,
		.state_bytes = x86_state_bytes,
	};

	if (!x86_features.xsave)
		return x86_user_fxsave(area);
	/* XSAVE leaves the reserved bytes of the header as they are, and XRSTOR wants zeros there
	 */
	if (arch_clear_user((u8 __user *)area + XSTATE_HEADER, 64) ||
		x86_user_xsave(area, x86_features.xcr0) ||
		arch_copy_to_user((u8 __user *)area + XSTATE_SOFTWARE, &sw, sizeof(sw)) ||
		arch_copy_to_user((u8 __user *)area + x86_state_bytes, &magic2, sizeof(magic2)))
		return -EFAULT;
	return 0;
}

/*
 * Loaded without a copy: a fault restarts the instruction, and what XRSTOR refuses (SDM volume
 * 1, 13.8) ends in its fixup. Registers half loaded by a failed one are the program's own; the
 * caller kills it.
 */
int arch_fpu_restore_user(const void __user *area)
{
	struct x86_software_bytes sw = {};

	if (!x86_features.xsave)
		return x86_user_fxrstor(area);
	if (arch_copy_from_user(&sw, (const u8 __user *)area + XSTATE_SOFTWARE, sizeof(sw)))
		return -EFAULT;
	if (sw.magic == FP_XSTATE_MAGIC1)
		return x86_user_xrstor(area, ~0ull) ? -EINVAL : 0;
	/* only the legacy part is there: the rest starts afresh */
	arch_fpu_reset(arch_current());
	return x86_user_fxrstor(area);
}
