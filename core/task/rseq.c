/*
 * Restartable sequences (rseq(2), linux/rseq.h): the CPU number that user space reads without a
 * call, and the abort of a critical section that was preempted, moved or interrupted by a signal.
 * The area was checked when it was registered; one that is gone, or a descriptor that lies, is a
 * SIGSEGV as on Linux.
 *
 * Done on the way to user mode only when it can matter: another CPU than the last time, a
 * preemption, a signal. A system call inside a critical section is the program's error, so a sleep
 * needs none of it.
 */
#include "task_internal.h"
#include <arch/trap.h>

struct user_rseq { /* all fields of the machine's byte order */
	u32 cpu_id_start, cpu_id;
	u64 critical_section;
	u32 flags, node_id, mm_cid;
};
struct user_rseq_section {
	u32 version, flags;
	u64 start, post_commit_offset, abort;
};
#define RSEQ_BYTES_ORIGINAL 20u /* up to flags */

static int abort_section(struct task *t, struct arch_regs *regs, u64 at)
{
	struct user_rseq_section s;
	vaddr_t pc = arch_regs_pc(regs);
	u64 none = 0;
	u32 signature;

	if (ucopy_in(&s, (vaddr_t)at, sizeof(s)))
		return -EFAULT;
	if (s.version || s.flags || s.start >= USER_ADDR_END || s.abort >= USER_ADDR_END ||
		s.abort < sizeof(u32) || s.start + s.post_commit_offset < s.start ||
		s.abort - s.start < s.post_commit_offset)
		return -EINVAL;
	/* a section that the program has left is forgotten too */
	if (ucopy_out(t->rseq + offsetof(struct user_rseq, critical_section), &none, sizeof(none)))
		return -EFAULT;
	if (pc - s.start >= s.post_commit_offset)
		return 0;
	if (ucopy_in(&signature, (vaddr_t)s.abort - sizeof(u32), sizeof(u32)))
		return -EFAULT;
	if (signature != t->rseq_signature)
		return -EINVAL;
	arch_regs_set_pc(regs, (vaddr_t)s.abort);
	return 0;
}

static int update(struct task *t, struct arch_regs *regs)
{
	struct user_rseq area;
	size_t bytes = t->rseq_bytes >= sizeof(area) ? sizeof(area) : RSEQ_BYTES_ORIGINAL;
	u32 cpu = arch_this_cpu();

	if (ucopy_in(&area, t->rseq, RSEQ_BYTES_ORIGINAL))
		return -EFAULT;
	if (area.critical_section) {
		int error = abort_section(t, regs, area.critical_section);

		if (error)
			return error;
	}
	t->rseq_cpu = cpu;
	if (area.cpu_id == cpu)
		return 0;
	area.cpu_id_start = area.cpu_id = cpu;
	if (ucopy_out(t->rseq, &area, offsetof(struct user_rseq, critical_section)))
		return -EFAULT;
	/* node_id, mm_cid: one memory node; the CPU number is a valid concurrency id, below the
	 * number of CPUs */
	area.node_id = 0;
	area.mm_cid = cpu;
	if (bytes == sizeof(area) &&
		ucopy_out(t->rseq + offsetof(struct user_rseq, node_id), &area.node_id,
			sizeof(area) - offsetof(struct user_rseq, node_id)))
		return -EFAULT;
	return 0;
}

void rseq_update(struct task *t, struct arch_regs *regs)
{
	if (t->work & TASK_WORK_RSEQ)
		task_work_clear(t, TASK_WORK_RSEQ);
	if (t->rseq && update(t, regs))
		signal_force_fault(SIGSEGV, SI_KERNEL, t->rseq);
}
