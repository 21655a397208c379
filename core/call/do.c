/*
 * DO operations: core operations that may sleep with their own frames, asked for by a handler's
 * answer (calls.md "What is not replaceable code"). No module frame is on the stack here. Arguments
 * and results: core/do.h.
 */
#include <arch/cpu.h>
#include <arch/trap.h>
#include <core/block.h>
#include <core/describe.h>
#include <core/do.h>
#include <core/irq.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/fs_call.h>
#include <core/node.h>
#include <core/tty.h>
#include <kabi/node.h>
#include <kabi/personality.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>

/* One descriptor of `file` was closed: flush, then the reference goes. */
static answer_t do_release_file(struct file *file)
{
	const struct node_vtable *vtable = slot_vtable(file->slot);
	struct call inner;
	answer_t a = 0;

	file_closing(file, current->files);
	if (unlikely(vtable->flush)) {
		call_begin(&inner, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
		a = call_run(&inner, node_flush(file->slot, &inner, file));
		call_end(&inner);
	}
	file_put(file);
	return a;
}

/* close(2) loses the error of a release, not that of a flush (NFS); the number is gone in both
 * cases. */
static answer_t do_close_range(u32 first, u32 last)
{
	struct files *files = current->files;
	s32 fd;

	while ((fd = files_next_open(files, first)) >= 0 && (u32)fd <= last) {
		struct file *file = files_remove(files, (u32)fd);

		if (file)
			do_release_file(file);
		if ((u32)fd == last)
			break;
		first = (u32)fd + 1;
		cond_resched();
	}
	return 0;
}

static answer_t do_unshare(u32 what)
{
	struct task *t = current;

	if (what & DO_UNSHARE_FILES && !refcount_is_one(&t->files->obj.refs)) {
		struct files *own = files_clone(t->files, ~0u), *old = t->files;

		if (!own)
			return -ENOMEM;
		spin_lock(&t->obj.lock);
		t->files = own;
		spin_unlock(&t->obj.lock);
		files_put(old);
	}
	if (what & DO_UNSHARE_FS)
		return task_unshare_fs();
	return 0;
}

static answer_t do_exec(struct call *c)
{
	struct exec_args args = {
		.dirfd = (s32)c->op_args[0],
		.path = c->op_args[1],
		.argv = c->op_args[2],
		.envp = c->op_args[3],
		.flags = (u32)c->op_args[4],
	};
	int error = task_exec(&args);

	if (!error)
		c->flags |= CALLF_REGS_SET;
	return error;
}

static answer_t do_wait(struct do_wait *w)
{
	return task_wait(w->idtype, w->id, w->options, &w->status, &w->info, &w->usage);
}

static answer_t do_signal_return(struct call *c)
{
	answer_t a;

	c->flags |= CALLF_REGS_SET;
	/* No frame, no NEED: the frame is read with copies that may fault in. A bad one has already
	 * become SIGSEGV. */
	do
		a = personality_signal_return(SLOT(PERSONALITY_LINUX), c, arch_task_regs(current));
	while (a == ANSWER_WAIT_SLOT &&
		!call_wait_open(SLOT(PERSONALITY_LINUX), KTIME_MAX, WAITF_KILLABLE));
	return answer_is_kind(a) ? 0 : a;
}

static answer_t do_mmap(struct call *c)
{
	struct mmap_args args = {
		.addr = c->op_args[0],
		.bytes = c->op_args[1],
		.prot = (u32)c->op_args[2],
		.flags = (u32)c->op_args[3],
		.file = (struct file *)c->op_args[4],
		.offset_bytes = (u64)c->op_args[5] << PAGE_SHIFT,
	};

	return space_mmap(current->space, &args);
}

static answer_t do_mlock(struct call *c)
{
	struct address_space *as = current->space;

	switch ((enum do_mlock)c->op_args[3]) {
	case DO_MLOCK_RANGE:
		return space_mlock(as, c->op_args[0], c->op_args[1], (u32)c->op_args[2], true);
	case DO_MUNLOCK_RANGE:
		return space_mlock(as, c->op_args[0], c->op_args[1], 0, false);
	case DO_MLOCK_ALL:
		return space_mlockall(as, (u32)c->op_args[2]);
	case DO_MUNLOCK_ALL:
		return space_mlockall(as, 0);
	}
	return -EINVAL;
}

static answer_t do_futex(struct call *c)
{
	ktime_t deadline = c->deadline_set ? c->deadline_ns : KTIME_MAX;

	return futex_op(c->op_args[0], (u32)c->op_args[1], (u32)c->op_args[2], deadline,
		c->op_args[3], c->op_args[4], (u32)c->op_args[5]);
}

/* membarrier(2): the commands are decoded by the personality; here only the barrier itself. Every
 * CPU in user mode of the space passes a full barrier; PRIVATE forms are served by the stronger
 * global one on few CPUs. */
static answer_t do_membarrier(void)
{
	irq_call_cpus(READ_ONCE(cpu_online_mask), IRQ_CALL_MEMBARRIER, nullptr);
	return 0;
}

static answer_t do_reboot(enum do_reboot how)
{
	switch (how) {
	case DO_REBOOT_RESTART:
		log_info("reboot: restarting system\n");
		tty_flush_all();
		arch_reboot();
		break;
	case DO_REBOOT_POWER_OFF:
		log_info("reboot: power down\n");
		tty_flush_all();
		arch_power_off();
		break;
	case DO_REBOOT_HALT:
		break;
	}
	log_info("reboot: system halted\n");
	tty_flush_all();
	arch_halt();
}

/* sync(2): every writable file system with a device, then the devices themselves; it reports no
 * errors. */
static answer_t do_sync_all(void)
{
	struct superblock *sb;
	u64 after = 0;

	while ((sb = superblock_next(after))) {
		after = sb->obj.id;
		superblock_sync(sb);
		superblock_leave(sb);
	}
	block_sync_all();
	return 0;
}

/* Address-space operations: one place, so that call_do_perform stays readable. */
static answer_t do_space(struct call *c)
{
	struct address_space *as = current->space;
	const word_t *a = c->op_args;

	switch ((u32)c->op) {
	case DO_MMAP:
		return do_mmap(c);
	case DO_MUNMAP:
		return space_munmap(as, a[0], a[1]);
	case DO_MPROTECT:
		return space_mprotect(as, a[0], a[1], (u32)a[2]);
	case DO_MREMAP:
		return space_mremap(as, a[0], a[1], a[2], (u32)a[3], a[4]);
	case DO_BRK:
		return space_brk(as, a[0]);
	case DO_MADVISE:
		return space_madvise(as, a[0], a[1], (s32)a[2]);
	case DO_MSYNC:
		return space_msync(as, a[0], a[1], (u32)a[2]);
	case DO_MLOCK:
		return do_mlock(c);
	default:
		return space_mincore(as, a[0], a[1], a[2]);
	}
}

/* Descriptors, files and mounts. */
static answer_t do_files(struct call *c)
{
	const word_t *a = c->op_args;
	answer_t r;

	switch ((u32)c->op) {
	case DO_SYNC_FILE:
		return file_sync((struct file *)a[0], (enum file_sync)a[1], (u64)a[2], (u64)a[3]);
	case DO_SYNC_ALL:
		return do_sync_all();
	case DO_MOUNT:
		return fs_mount_perform((struct mount_request *)a[0]);
	case DO_UMOUNT:
		return mount_unmount((struct mount *)a[0], a[1]);
	case DO_SWITCH_FILES:
		return do_unshare(DO_UNSHARE_FILES);
	case DO_RELEASE_FILE:
		r = do_release_file((struct file *)a[0]);
		return r < 0 ? r : (answer_t)a[1];
	case DO_CLOSE_RANGE:
		return do_close_range((u32)a[0], (u32)a[1]);
	default:
		return do_unshare((u32)a[0]);
	}
}

static ktime_t deadline_of(const struct call *c)
{
	return c->deadline_set ? c->deadline_ns : KTIME_MAX;
}

static answer_t do_signal_wait(const struct call *c, struct do_signal_wait *w)
{
	return signal_timedwait(w->set, &w->info, deadline_of(c));
}

static answer_t do_futex_waitv(const struct call *c, const struct do_futex_waitv *w)
{
	return futex_waitv(w->entries, w->nr, deadline_of(c));
}

/* NOLINTNEXTLINE(readability-function-size): a flat list, one case an operation */
static answer_t perform(struct call *c)
{
	const word_t *a = c->op_args;

	switch (c->op) {
	case DO_CLONE:
		return task_clone((const struct clone_args *)a[0]);
	case DO_EXEC:
		return do_exec(c);
	case DO_EXIT:
		task_exit((s32)(a[0] & 0xff) << 8);
	case DO_EXIT_GROUP:
		task_exit_group((s32)a[0]);
	case DO_WAIT:
		return do_wait((struct do_wait *)a[0]);
	case DO_SIGNAL_RETURN:
		return do_signal_return(c);
	case DO_SIGNAL_WAIT:
		return do_signal_wait(c, (struct do_signal_wait *)a[0]);
	case DO_MMAP:
	case DO_MUNMAP:
	case DO_MPROTECT:
	case DO_MREMAP:
	case DO_BRK:
	case DO_MADVISE:
	case DO_MSYNC:
	case DO_MLOCK:
	case DO_MINCORE:
		return do_space(c);
	case DO_FUTEX:
		return do_futex(c);
	case DO_FUTEX_WAITV:
		return do_futex_waitv(c, (const struct do_futex_waitv *)a[0]);
	case DO_SYNC_FILE:
	case DO_SYNC_ALL:
	case DO_MOUNT:
	case DO_UMOUNT:
	case DO_SWITCH_FILES:
	case DO_RELEASE_FILE:
	case DO_CLOSE_RANGE:
	case DO_UNSHARE:
		return do_files(c);
	case DO_YIELD:
		sched_yield_current();
		return 0;
	case DO_MEMBARRIER:
		return do_membarrier();
	case DO_REBOOT:
		return do_reboot((enum do_reboot)a[0]);
	case DO_DESCRIBE:
		return describe_perform(c, (enum describe)a[0], (struct task *)a[1]);
	case DO_NONE:
	case DO_PTRACE:
	case DO_SLEEP:
	case DO_SYNC_SUPER:
	case DO_PIVOT_ROOT:
	case DO_TRUNCATE:
	case DO_SET_CONTEXT:
	case DO_PAGE_OUT:
	case DO_NR:
		break;
	}
	panic("call: operation %u is not served here", c->op);
}

answer_t call_perform(struct call *c)
{
	answer_t a;

	c->op_now = true;
	a = perform(c);
	c->op_now = false;
	if (!c->op_again)
		return a;
	c->op_result = a;
	c->op_done = true;
	c->reason = CALL_AGAIN;
	c->runs = 0;
	c->nr_needs = 0;
	return ANSWER_MORE;
}
