#pragma once
/*
 * State objects (core/object): everything that must survive a swap or a crash hangs on one of
 * these. Core header + one body pointer whose layout the owning contract declares (schema version).
 * Ids are 64-bit, never reused.
 */
#include <lib/types.h>
#include <lib/errno.h>
#include <lib/list.h>
#include <lib/atomic.h>
#include <core/lock.h>

enum object_type : u16 {
	OBJECT_NONE,
	OBJECT_TASK,
	OBJECT_THREAD_GROUP,
	OBJECT_PID,
	OBJECT_SPACE,
	OBJECT_MEMORY, /* memory object */
	OBJECT_INODE,
	OBJECT_NAME,
	OBJECT_MOUNT,
	OBJECT_SUPERBLOCK,
	OBJECT_FILE, /* open file description */
	OBJECT_PIPE,
	OBJECT_SOCKET,
	OBJECT_EPOLL,
	OBJECT_EVENT,
	OBJECT_TIMER,
	OBJECT_TTY,
	OBJECT_CONTEXT,
	OBJECT_FS_CONTEXT,
	OBJECT_FILES, /* descriptor table */
	OBJECT_NAMESPACE,
	OBJECT_DEVICE,
	OBJECT_BLOCK_DEVICE,
	OBJECT_COMPONENT, /* an instance of a component */
	OBJECT_STATE,     /* a component's own state object */
	OBJECT_ACCOUNT,
	OBJECT_WALK,       /* path walks in progress of one call (core/walk.h) */
	OBJECT_FILE_EVENT, /* signalfd, pidfd bodies (core/event.h) */
	OBJECT_NR_TYPES,
};
struct account;
struct object {
	u64 id;
	enum object_type type;
	u16 schema;            /* version of the body's layout */
	atomic32_t generation; /* its root grant (nucleus/cap.h): raised by object_revoke_tokens */
	struct spinlock lock;
	refcount_t refs;
	struct account *account;
	void *body;
	struct grace_head grace;
};
/* refs = 1, fresh id. */
void object_init(struct object *o, enum object_type type, enum lock_level level,
	struct account *account);
u64 object_new_id(void);
static inline void object_get(struct object *o)
{
	refcount_inc(&o->refs);
}
/* Drops a reference; the last one calls the type's release in core (closed switch over type,
 * core/object/release.c). Context: any where the type's release may run; releases that may sleep
 * are deferred to a core thread. */
void object_put(struct object *o);
/* The owner of a type implements its release (weak default in core/object/release.c: object_free).
 * It ends with object_free(), which frees the memory (kmalloc's) after a grace period. */
void object_free(struct object *o);
void object_release_task(struct object *o);
void object_release_thread_group(struct object *o);
void object_release_pid(struct object *o);
void object_release_space(struct object *o);
void object_release_memory(struct object *o);
void object_release_inode(struct object *o);
void object_release_name(struct object *o);
void object_release_mount(struct object *o);
void object_release_superblock(struct object *o);
void object_release_file(struct object *o);
void object_release_pipe(struct object *o);
void object_release_socket(struct object *o);
void object_release_epoll(struct object *o);
void object_release_event(struct object *o);
void object_release_timer(struct object *o);
void object_release_tty(struct object *o);
void object_release_context(struct object *o);
void object_release_fs_context(struct object *o);
void object_release_files(struct object *o);
void object_release_namespace(struct object *o);
void object_release_device(struct object *o);
void object_release_block_device(struct object *o);
void object_release_component(struct object *o);
void object_release_state(struct object *o);
void object_release_account(struct object *o);
void object_release_walk(struct object *o);
void object_release_file_event(struct object *o);
/* For lock-free lookups inside a grace read section. */
static inline bool object_get_live(struct object *o)
{
	return refcount_inc_not_zero(&o->refs);
}

/* What is charged (architecture.md "One account"): a node of the cgroup tree; boot makes the root.
 */
struct account {
	struct object obj;
	struct account *parent;
	atomic_word_t frames, kernel_bytes;
	atomic32_t tasks;
};
extern struct account account_root;
/* -ENOMEM when a limit is passed (limits come with cgroups; the root has none). */
static inline int account_charge_frames(struct account *a, sword_t nr)
{
	atomic_word_fetch_add(&a->frames, (word_t)nr);
	return 0;
}
