#pragma once
/* Shared by the files of the proc view. An entry's kind says what it is, its id whose (process or
 * thread number) and which. */
#include <core/fs_call.h>
#include <core/task.h>
enum proc_kind : u32 {
	PROC_ROOT,
	PROC_ROOT_FILE,
	PROC_ROOT_LINK,
	PROC_PID,
	PROC_PID_FILE,
	PROC_PID_LINK,
	PROC_FD_DIR,
	PROC_FD_LINK,
	PROC_FDINFO_DIR,
	PROC_FDINFO,
	PROC_TASK_DIR,
	PROC_TID,
	PROC_TID_FILE,
	PROC_TID_LINK,
	PROC_SYS_DIR,
	PROC_SYS_FILE,
};
/* id: number << 32 | which */
static inline u64 proc_id(s32 number, u32 which)
{
	return (u64)(u32)number << 32 | which;
}
static inline s32 proc_number(const struct inode *i)
{
	return (s32)(i->view_id >> 32);
}
static inline u32 proc_which(const struct inode *i)
{
	return (u32)i->view_id;
}
struct proc_row {
	const char *name;
	u32 which, mode;
};
/* Row by name or by position; nullptr. */
const struct proc_row *proc_row_find(const struct proc_row *rows, u32 nr, const char *name,
	u32 len);
extern const struct proc_row proc_root_rows[], proc_pid_rows[];
u32 proc_nr_root_rows(void);
u32 proc_nr_pid_rows(void);
/* root.c */
answer_t proc_root_render(struct call *c, u32 which, struct text *t);
void proc_mounts_text(struct call *c, struct mount_ns *ns, const struct path_ref *root,
	bool mountinfo, struct text *t);
/* pid.c */
answer_t proc_pid_render(struct call *c, struct task *task, u32 which, bool thread, struct text *t);
answer_t proc_pid_store(struct call *c, struct task *task, u32 which, const char *data, u32 len);
answer_t proc_pid_link(struct call *c, struct task *task, u32 which, struct text *t,
	struct path_ref *target);
answer_t proc_fd_link(struct call *c, struct task *task, u32 fd, struct text *t,
	struct path_ref *target);
answer_t proc_fdinfo_render(struct call *c, struct task *task, u32 fd, struct text *t);
/* The task of a number as the view's pid namespace counts; referenced. */
struct task *proc_task(const struct inode *i);
bool proc_may_look(struct call *c, struct task *task); /* ptrace-like access: environ, maps, fd */
/* sys.c: /proc/sys */
answer_t proc_sys_lookup(u32 dir, const char *name, u32 len, struct view_entry *e);
answer_t proc_sys_list(u32 dir, u64 cursor, struct view_entry *e, struct view_name *name);
answer_t proc_sys_render(struct call *c, u32 row, struct text *t);
answer_t proc_sys_store(struct call *c, u32 row, const char *data, u32 len);
