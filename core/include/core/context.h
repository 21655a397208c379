#pragma once
/*
 * One context: immutable, replaced as a whole (core/task/context.c). Nothing that Linux can
 * namespace is global: every value hangs on a namespace object; boot makes one of each.
 *
 * Context: thread; nothing here waits. Locks: none for a context (who holds a reference reads it),
 * fs_context by its obj.lock. Owns: _clone and _new give one reference, which object_put or
 * group_list_put gives back.
 */
#include <lib/types.h>
#include <core/object.h>

struct user_ns {
	struct object obj;
};
struct uts_ns {
	struct object obj;
	char node_name[65], domain_name[65];
};
struct pid_ns;   /* core/task/pid.c */
struct mount_ns; /* core/node.h */
struct ipc_ns {
	struct object obj;
};
struct net_ns {
	struct object obj;
};
struct time_ns {
	struct object obj;
	ktime_t monotonic_offset_ns, boottime_offset_ns;
};
struct cgroup_ns {
	struct object obj;
};

/* Linux capability numbers (linux/capability.h) as bits. */
#define CAP_CHOWN           0
#define CAP_DAC_OVERRIDE    1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER          3
#define CAP_FSETID          4
#define CAP_KILL            5
#define CAP_SETGID          6
#define CAP_SETUID          7
#define CAP_SETPCAP         8
#define CAP_LINUX_IMMUTABLE 9
#define CAP_IPC_LOCK        14
#define CAP_SYS_CHROOT      18
#define CAP_SYS_PTRACE      19
#define CAP_SYS_ADMIN       21
#define CAP_SYS_BOOT        22
#define CAP_SYS_NICE        23
#define CAP_SYS_RESOURCE    24
#define CAP_SYS_TIME        25
#define CAP_SYS_TTY_CONFIG  26
#define CAP_MKNOD           27
#define CAP_SETFCAP         31
#define CAP_SYSLOG          34
#define CAP_LAST            40
#define CAP_ALL             ((1ull << (CAP_LAST + 1)) - 1)

#define NGROUPS_INLINE      32
struct group_list { /* sorted, shared, immutable */
	refcount_t refs;
	u32 nr;
	kgid_t gid[] __counted_by(nr);
};
struct credentials {
	kuid_t uid, euid, suid, fsuid;
	kgid_t gid, egid, sgid, fsgid;
	u64 cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	u32 securebits;
	bool no_new_privs;
	struct group_list *groups; /* nullptr: none */
};
/* root, cwd, umask: shared as CLONE_FS says. */
struct path_ref {
	struct mount *mount;
	struct name *name;
};
struct fs_context {
	struct object obj;
	struct path_ref root, cwd; /* obj.lock (a nested lock is beyond the analysis of Clang 19) */
	u32 umask;
};
struct context {
	struct object obj;
	struct credentials cred;
	struct user_ns *user_ns;
	struct uts_ns *uts_ns;
	struct pid_ns *pid_ns; /* of the task itself */
	struct mount_ns *mount_ns;
	struct ipc_ns *ipc_ns;
	struct net_ns *net_ns;
	struct time_ns *time_ns;
	struct cgroup_ns *cgroup_ns;
	struct fs_context *fs;
	u32 personality; /* personality(2) flags */
};
/* A private copy to change before it is set; nullptr: out of memory. */
struct context *context_clone(const struct context *from);
struct task;
void context_set(struct task *t, struct context *c); /* consumes the reference */
static inline bool context_capable(const struct context *c, u32 cap)
{
	return c->cred.cap_effective >> cap & 1;
}
bool context_in_group(const struct context *c, kgid_t gid); /* fsgid or supplementary */
struct context *context_boot(void); /* the first context (root's, no restrictions); core/init sets
				       its fs->root and cwd */
/* A copy of root, cwd and umask; nullptr: no memory. */
struct fs_context *fs_context_clone(struct fs_context *from);
/* Supplementary groups: sorted by the caller (setgroups); nullptr: no memory. */
struct group_list *group_list_new(u32 nr);
void group_list_put(struct group_list *g);
/* execve(2)'s change of credentials for a file of this owner and mode. *secure: AT_SECURE. */
void context_exec_credentials(struct credentials *cred, u32 mode, kuid_t owner, kgid_t group,
	bool nosuid, bool *secure);
