#pragma once
/*
 * Nodes, inodes, names, mounts, open files, descriptor tables (core/node): data and its short-lock
 * operations. Behaviour is in vfs/, net/, tty/ behind the `node` contract (one slot per node type)
 * and in file systems behind core/fs_call.h.
 */
#include <lib/types.h>
#include <lib/errno.h>
#include <lib/list.h>
#include <core/object.h>
#include <core/capability.h>
#include <core/call.h>
#include <core/mm.h>
#include <core/context.h>

struct slot;
struct files;
struct timespec64 {
	s64 sec;
	u32 nsec;
};
/* A time that others look at without the lock under which it is stored: word by word, so the two
 * may belong to different times. */
static inline void timespec64_store(struct timespec64 *at, struct timespec64 t)
{
	WRITE_ONCE(at->sec, t.sec);
	WRITE_ONCE(at->nsec, t.nsec);
}
static inline struct timespec64 timespec64_peek(const struct timespec64 *at)
{
	return (struct timespec64){READ_ONCE(at->sec), READ_ONCE(at->nsec)};
}
/* mode bits (S_IFMT and friends) are Linux's, the same everywhere */
#define S_IFMT                 0170000u
#define S_IFSOCK               0140000u
#define S_IFLNK                0120000u
#define S_IFREG                0100000u
#define S_IFBLK                0060000u
#define S_IFDIR                0040000u
#define S_IFCHR                0020000u
#define S_IFIFO                0010000u
#define S_ISUID                0004000u
#define S_ISGID                0002000u
#define S_ISVTX                0001000u
#define S_TYPE(m)              ((m) & S_IFMT)

/* Device numbers: Linux's 12:20 split. */
#define DEV_MAKE(major, minor) (((u32)(major) << 20) | (u32)(minor))
#define DEV_MAJOR(d)           ((u32)(d) >> 20)
#define DEV_MINOR(d)           ((u32)(d) & 0xfffff)

struct block_device;
struct superblock {
	struct object obj; /* body: the component's mount state */
	refcount_t users;  /* mounts, and who makes one: 0 ends it (core/node/superblock.c) */
	u32 nr_visitors;   /* who works on it without using it; superblocks_lock */
	bool born;         /* can be found; superblocks_lock */
	struct superblock *next_ending;
	const char *type_name;   /* "ext4", "proc": static */
	const struct slot *fs;   /* contract filesystem, or nullptr for a view */
	const struct slot *view; /* contract view, or nullptr */
	u64 handle;
	u32 dev;   /* st_dev, DEV_MAKE */
	u32 flags; /* SB_* */
	u64 magic; /* statfs f_type */
	u32 block_bytes;
	u64 max_file_bytes;
	u32 name_max;
	struct block_device *bdev;
	struct inode *root;
	struct exclusion rename_excl;
	struct list_node inodes; /* all cached, obj.lock */
	struct list_node dirty_inodes;
	struct list_node all;
	u64 free_blocks, total_blocks, reserved_blocks, free_inodes,
		total_inodes; /* core's counters; bound given by the component */
	u64 device_bytes;
	atomic_word_t used_pages; /* SB_NAMES_RESIDENT: pages of its files, at most total_blocks (0:
				     no limit) */
	u64 next_ino;             /* file systems without own numbering */
	struct pid_ns *pid_ns;    /* proc */
	void *block_cache;        /* core/node/block_cache.c */
	struct memory_object *blocks; /* metadata blocks as pages of the device */
	char options[128];
	u32 write_errors;
	u64 overhead_blocks; /* not counted by statfs */
	u64 held_blocks;     /* not available by statfs */
	kuid_t reserved_uid; /* whose reserved_blocks are, beside CAP_SYS_RESOURCE */
	kgid_t reserved_gid;
	u64 commit_period_ns;
	ktime_t commit_due_ns; /* the commit thread's: 0 while nothing is dirty */
	atomic_word_t
		delayed_blocks; /* what pages that will be written have reserved (fs_reserve) */
	u32 answer_bytes;       /* of a component's answer page */
};
#define SB_RDONLY 1u
#define SB_NOSUID 2u
#define SB_NODEV  4u
#define SB_NOEXEC 8u
#define SB_NAMES_RESIDENT                                                                          \
	0x100u /* the name cache is the directory (tmpfs): names are pinned, misses are absent,    \
		  readdir is core's */
#define SB_VOLATILE 0x200u /* names must be revalidated (proc) */

struct file_lock; /* core/node/locks.c */
struct pipe;
struct inode {
	struct object obj; /* body: component's inode state (declared schema) */
	struct superblock *sb;
	u64 ino;
	u32 generation;
	u32 mode;
	u32 nlink;
	u32 rdev;
	kuid_t uid;
	kgid_t gid;
	/* From generation to fs_flags: stored under obj.lock by WRITE_ONCE; looked at alone by
	 * inode_mode() and its like, together under the lock (inode_owner). */
	struct timespec64 atime, mtime, ctime, btime;
	u64 blocks_512;
	u32 fs_flags; /* FS_IOC_GETFLAGS bits */
	u64 view_id;  /* views: what it shows */
	u32 view_kind;
	struct memory_object *pages; /* regular files: contents; size is pages->size_bytes */
	u64 size_bytes;              /* others (directories, symlinks) */
	struct exclusion content, map;
	struct list_node sb_link, dirty_link;
	struct inode *hash_next;
	struct list_node names; /* struct name.alias */
	struct list_node locks; /* posix and flock locks, obj.lock */
	struct waitable lock_event;
	struct pipe *fifo;
	struct object *bound_socket; /* AF_UNIX */
	s32 writers;                 /* >0 open for writing, <0 executed (deny write) */
	bool dirty, dead, evicting, hashed;
	bool ending;              /* obj.lock: the last user has left it to the reaper */
	atomic32_t nr_background; /* of its references: inode_get_background */
	bool tmpfile;             /* O_TMPFILE without O_EXCL: link(2) may give it a name */
	char *link_target;        /* symlinks whose text core keeps */
	u64 version;              /* raised by each change of data or metadata (STATX_CHANGE) */
	u64 body_version; /* raised by each delta that changed the body or the links: what answers
			     are checked against */
};
static inline u32 inode_mode(const struct inode *i)
{
	return READ_ONCE(i->mode);
}
/* Never changes. */
static inline u32 inode_type(const struct inode *i)
{
	return S_TYPE(inode_mode(i));
}
static inline bool inode_is_dir(const struct inode *i)
{
	return inode_type(i) == S_IFDIR;
}
static inline u32 inode_nlink(const struct inode *i)
{
	return READ_ONCE(i->nlink);
}
static inline u32 inode_flags(const struct inode *i)
{
	return READ_ONCE(i->fs_flags);
}
static inline kuid_t inode_uid(const struct inode *i)
{
	return KUID(READ_ONCE(i->uid.value));
}
static inline kgid_t inode_gid(const struct inode *i)
{
	return KGID(READ_ONCE(i->gid.value));
}
/* Mode and owners of one moment. */
struct inode_owner {
	u32 mode;
	kuid_t uid;
	kgid_t gid;
};
struct inode_owner inode_owner(struct inode *i);
static inline u64 inode_size(const struct inode *i)
{
	return i->pages ? READ_ONCE(i->pages->size_bytes) : i->size_bytes;
}
/* The pages that are its contents: those that an open block device's node shows are the device's.
 */
static inline struct memory_object *inode_own_pages(const struct inode *i)
{
	return S_TYPE(i->mode) == S_IFBLK ? nullptr : i->pages;
}
static inline u64 inode_own_size(const struct inode *i)
{
	return S_TYPE(i->mode) == S_IFBLK ? i->size_bytes : inode_size(i);
}
struct inode *inode_new(struct superblock *sb, u64 ino,
	u32 mode); /* refs 1; nullptr no memory; the cached one if there is one */
struct inode *inode_get_or_new(struct superblock *sb, u64 ino, u32 mode, bool *fresh);
/* In two steps, where memory must be had before an effect and the number is known after it. Nobody
 * finds the first's; nullptr: no memory. The second cannot fail: where the number has an inode,
 * that one is answered and `unborn` given up. References: 1. */
struct inode *inode_unborn(struct superblock *sb, u32 mode);
struct inode *inode_born(struct inode *unborn, u64 ino, bool *fresh);
void inode_unborn_drop(struct inode *unborn);
struct inode *inode_find(struct superblock *sb, u64 ino); /* cached, referenced */
static inline void inode_get(struct inode *i)
{
	object_get(&i->obj);
}
/* Last reference of nlink 0, but for those of the background: its end (fs_evict), in the reaper or
 * before the caller goes back to user mode. */
void inode_put(struct inode *i);
/* References of the lists of what is dirty and of who writes it back: they keep the inode, and not
 * a file that has no name and no user. get: the caller holds a reference of another kind. */
void inode_get_background(struct inode *i);
void inode_put_background(struct inode *i);
/* For who found it on such a list, inside a grace section; false: it is ending. */
bool inode_try_background(struct inode *i);
void inode_mark_dirty(struct inode *i);
void inode_touch(struct inode *i, u32 which); /* INODE_ATIME | MTIME | CTIME: now */
#define INODE_ATIME 1u
#define INODE_MTIME 2u
#define INODE_CTIME 4u
int inode_write_get(struct inode *i); /* -ETXTBSY */
void inode_write_put(struct inode *i);
int inode_deny_write(struct inode *i); /* exec; -ETXTBSY */
void inode_allow_write(struct inode *i);
/* Permission of the context (mode bits, capabilities; ACLs none): mask MAY_READ 4, MAY_WRITE 2,
 * MAY_EXEC 1. 0/-EACCES/-EROFS. */
#define MAY_EXEC  1u
#define MAY_WRITE 2u
#define MAY_READ  4u
int inode_permission(const struct context *ctx, const struct inode *i, u32 mask);
struct timespec64 inode_now(void);
bool inode_owner_or_capable(const struct context *ctx, const struct inode *i);
/* Takes i off its superblock's dirty list (the list owned a reference of the background, which
 * passes to the caller); nullptr: list empty. */
struct inode *inode_take_dirty(struct superblock *sb);
/* The same for one inode; true: the list's reference is the caller's. */
bool inode_take_own_dirty(struct inode *i);
void node_boot_init(void); /* after the slab works */
/* Last reference of an object that core/node owns: core/object/release.c calls it for INODE, NAME,
 * MOUNT, SUPERBLOCK, FILE, FILES, PIPE, EPOLL, EVENT, TIMER (timerfd), LOCKS, WALK. Sleeping parts
 * go to the reaper thread. */
void node_object_release(struct object *o);
/* What current dropped and the reaper ends has ended when it returns. Context: thread, no lock
 * held, in no call; sleeps. */
void reaper_finish_own(void);
void mount_ns_release(struct object *o);

/* --- names (the name cache): lookups without locks inside a grace read section --- */
#define NAME_INLINE 40
struct name {
	struct object obj;
	struct name *hash_next; /* chains are changed under the bucket lock, read without */
	struct name *parent;    /* itself at a root */
	struct inode *inode;    /* nullptr: known to be absent; without a lock: name_inode() */
	atomic32_t seq;         /* odd while it moves (rename) or changes inode */
	u32 hash_value;
	u32 len;
	u32 flags;
	atomic32_t nr_mounts;  /* mounts on top somewhere */
	atomic32_t changes;    /* raised when a child appears, goes or moves: name_add_looked_up */
	struct superblock *sb; /* of the file system it lies in; never changes */
	struct list_node children, sibling; /* parent->obj.lock */
	u64 dir_cursor, last_cursor; /* place in the parent, last place given to a child: grows,
					parent->obj.lock */
	struct list_node alias;      /* inode->names, inode->obj.lock */
	struct list_node lru;
	char *text; /* the u32 before text[0] is its length: readers without lock take both by one
		       load */
	u32 inline_len;
	char inline_text[NAME_INLINE];
};
/* What a name leads to, complete (pairs with the release in name.c). Who holds a reference and has
 * seen an inode may look at n->inode from then on: a name in use becomes negative for nobody. */
static inline struct inode *name_inode(const struct name *n)
{
	return ptr_load_acquire(&n->inode);
}
#define NAME_UNHASHED 1u
#define NAME_PINNED   2u /* SB_NAMES_RESIDENT: never shrunk */
#define NAME_CACHED   4u /* hashed: the cache owns one reference */
/*
 * Who publishes names: vfs. fs_create, fs_unlink and fs_rename change file-system state and inodes
 * only; vfs then calls name_set_inode, name_delete, name_move. fs_lookup answers the inode only.
 */
u32 name_hash(const struct name *parent, const char *text, u32 len);
/* Grace read section. The name is not referenced: *seq was read before it was compared; even and
 * unchanged later means it is still that. */
struct name *name_lookup_fast(const struct name *parent, const char *text, u32 len, u32 hash,
	u32 *seq);
struct name *name_lookup(struct name *parent, const char *text,
	u32 len); /* referenced or nullptr */
/* Makes it known (inode may be nullptr: negative), hashed, referenced; consumes an inode reference.
 * If another got there first, returns that one. */
struct name *name_add(struct name *parent, const char *text, u32 len, struct inode *inode);
/* The same for the result of a lookup begun when parent->changes was `changes`: *stale when the
 * directory changed meanwhile (nullptr; the inode reference is dropped; look up again). */
struct name *name_add_looked_up(struct name *parent, const char *text, u32 len, struct inode *inode,
	u32 changes, bool *stale);
/* Negative and unhashed: for a name about to be made; name_set_inode hashes it and cannot fail. */
struct name *name_alloc(struct name *parent, const char *text, u32 len);
/* An unhashed name that nobody looks up gets its inode (pipes, memory files, O_TMPFILE): paths
 * through /proc/PID/fd lead to it. Takes a reference. */
void name_give_inode(struct name *n, struct inode *inode);
struct name *name_new_root(struct inode *inode);
void name_set_inode(struct name *n,
	struct inode *inode);     /* negative -> positive; consumes reference */
void name_delete(struct name *n); /* unlinked: becomes negative or unhashed when in use */
/* A move cannot fail: its text is made before (the move owns it then). `replaced` may be negative.
 */
struct name_text *name_text_new(const char *text, u32 len);
void name_text_drop(struct name_text *t);
void name_move(struct name *n, struct name *new_parent, struct name_text *text,
	struct name *replaced);
void name_exchange(struct name *a, struct name *b, struct name_text *new_text_a,
	struct name_text *new_text_b);
extern atomic32_t name_move_seq;
void name_invalidate(struct name *n);      /* drop from the cache with its children when unused */
void names_drop(struct superblock *sb);    /* unmount: everything of sb that is cached */
bool inode_names_empty(struct inode *dir); /* SB_NAMES_RESIDENT: nothing is in the directory */
bool name_is_below(const struct name *n, const struct name *ancestor); /* or the same */
static inline void name_get(struct name *n)
{
	object_get(&n->obj);
}
void name_put(struct name *n);

/* --- mounts --- */
struct mount {
	struct object obj;
	u32 id;
	struct mount *parent; /* itself at the top */
	struct name *point;   /* in parent */
	struct name *root;
	struct superblock *sb;
	u32 flags; /* MNT_* below */
	struct mount_ns *ns;
	struct list_node children, sibling, in_ns, hash;
	char *source;
	bool detached;
	bool expiring;         /* MNT_EXPIRE has seen it unused; cleared by the next open */
	atomic32_t nr_writers; /* files open for writing through it */
	struct mount *hash_next;
};
#define MNT_RDONLY      1u
#define MNT_NOSUID      2u
#define MNT_NODEV       4u
#define MNT_NOEXEC      8u
#define MNT_NOATIME     16u
#define MNT_NODIRATIME  32u
#define MNT_RELATIME    64u
#define MNT_STRICTATIME 128u
#define MNT_INTERNAL    0x100u /* pipes, sockets, anonymous inodes: a path there is the bare label */
struct mount_ns {
	struct object obj;
	struct mount *root;
	struct list_node mounts; /* in order */
	u32 nr_mounts;
	u64 event; /* raised by each change: poll on /proc/mounts */
	struct waitable changed;
};
/* Mount on top of (m, n); referenced, or nullptr. Lock-free fast check is n->nr_mounts. */
struct mount *mount_lookup(struct mount *m, struct name *n);
/* The same in a grace read section, without a reference. */
struct mount *mount_lookup_fast(const struct mount *m, const struct name *n);
/* Raised by every change of any mount tree. */
extern atomic32_t mount_seq;
/* A mount of sb's tree below `root` (a name of it), not yet attached; refs 1. Takes its own
 * references. */
struct mount *mount_new(struct superblock *sb, struct name *root, u32 flags, const char *source);
int mount_attach(struct mount *m,
	const struct path_ref *at); /* consumes nothing; -EINVAL when `at` is detached */
/* Takes a mount (and what is mounted below it) out of the tree. lazy: MNT_DETACH. -EBUSY. Context:
 * thread. */
int mount_detach(struct mount *m, bool lazy);
int mount_move(struct mount *m, const struct path_ref *to);
struct mount *mount_clone(struct mount *m, struct name *root, bool recursive,
	struct mount_ns *ns); /* unattached copy */
bool mount_busy(struct mount *m);
int mount_pivot(struct mount_ns *ns, const struct path_ref *new_root,
	const struct path_ref *put_old);
struct mount_ns *mount_ns_new(struct mount *root); /* takes over the reference on root */
struct mount_ns *mount_ns_clone(struct mount_ns *from,
	struct fs_context *fs); /* moves fs's root and cwd into the copy */
/* Mounts of a namespace in order: the next with id > after; referenced. */
struct mount *mount_next(struct mount_ns *ns, u32 after);
/* The root of the first namespace: mounts `sb` there and makes the boot context's root and cwd.
 * Context: thread. */
int mount_root(struct superblock *sb, struct mount_ns **ns);
/* Mounts sb over the first root and makes it current's (and every later task's) root and cwd. */
int mount_root_switch(struct superblock *sb);
struct superblock *superblock_new(const char *type,
	u32 flags); /* users 1, own anonymous device number, not yet found; nullptr */
void superblock_born(struct superblock
		*sb); /* mounted: superblock_next and second mounts find it from now on */
void superblock_use(struct superblock *sb); /* one more user; the caller is one */
/* One user less; the last one ends the file system, in a thread of its own or (wait) before it
 * returns: then the device is free, and the disk clean. wait: thread, may sleep. */
void superblock_put(struct superblock *sb);
void superblock_put_wait(struct superblock *sb);
/* All superblocks, by id, as a visitor: it does not keep the file system mounted, but its end waits
 * for superblock_leave. */
struct superblock *superblock_next(u64 after_id);
/* A visitor's: all that is dirty, and the disk's cache; reports nothing. May sleep. */
void superblock_sync(struct superblock *sb);
void superblock_leave(struct superblock *sb);
/* The one whose mount has claimed b, as one more user; nullptr: somebody else has, or nobody any
 * more (*again). Waits for one that is being mounted or ends. Thread, may sleep. */
struct superblock *superblock_of_device(const struct block_device *b, bool *again);
u32 superblock_anonymous_dev(void);
/* Pages of memory-only files count against their superblock. False: full. Context: any. */
bool memory_charge_page(struct memory_object *o);
void memory_uncharge_page(struct memory_object *o);
/* The internal mount of memory-only files (memfd); nullptr until the first has been made: then
 * mount a tmpfs and set it (the first one wins, the reference on sb is consumed). */
struct mount *memory_mount(void);
struct mount *memory_mount_set(struct superblock *sb);
/* Some address space may write to it through a shared mapping. */
bool memory_object_mapped_writable(struct memory_object *o);
struct name *superblock_root_name(struct superblock *sb); /* referenced; made at the first mount */
/* DO_UMOUNT: detaches and waits for the file system's end; consumes the reference on m. Thread, may
 * sleep. */
int mount_unmount(struct mount *m, bool lazy);
/* pivot_root(2): every context of the namespace whose root or cwd was the old root directory moves
 * to the new one. */
void fs_contexts_pivot(struct mount_ns *ns, const struct path_ref *old_root,
	const struct path_ref *new_root);
static inline void mount_get(struct mount *m)
{
	object_get(&m->obj);
}
static inline void mount_put(struct mount *m)
{
	object_put(&m->obj);
}
static inline void path_get(const struct path_ref *p)
{
	mount_get(p->mount);
	name_get(p->name);
}
static inline void path_put(struct path_ref *p)
{
	if (p->name) {
		name_put(p->name);
		mount_put(p->mount);
	}
	p->name = nullptr;
	p->mount = nullptr;
}
/* Text of a path as seen from `root`: start in buf, or nullptr: too long. "(unreachable)" prefix
 * and " (deleted)" as Linux. A path without a mount is shown within its file system ("//deleted"
 * when it is), whatever `root` is. */
char *path_text(const struct path_ref *p, const struct path_ref *root, char *buf, size_t size);

/* --- open files --- */
enum node_type : u8 {
	NODE_FILE,
	NODE_DIR,
	NODE_PIPE,
	NODE_EVENT,
	NODE_TIMER,
	NODE_SIGNAL,
	NODE_PID,
	NODE_EPOLL,
	NODE_SOCKET,
	NODE_TTY,
	NODE_CHAR,
	NODE_BLOCK,
	NODE_VIEW,
	NODE_PATH,
	NODE_NR
};
struct file {
	struct object
		obj; /* body: what the type says (struct pipe, struct epoll, ...), a reference */
	const struct slot *slot; /* contract node */
	struct cap_token cap;    /* what this open file may do with what it names (file_names) */
	enum node_type type;
	u32 flags; /* O_* as on x86-64/generic Linux (abi translates where an architecture differs)
		    */
	struct path_ref path; /* references; anonymous nodes: name of a pseudo inode */
	struct inode *inode;  /* reference (may be nullptr for anonymous nodes) */
	off64_t pos;
	struct exclusion pos_excl; /* readers and writers of a shared position, as f_pos_lock */
	struct waitable *wait;     /* the node's main waitable, for those with one */
	s32 owner_pid;
	s32 owner_signal; /* F_SETOWN */
	u64 view_version;
	void *private_data; /* rendered text of a view, directory cursor: core memory owned by the
			       file (kfree'd at the end) */
	size_t private_bytes;
	u64 cursor;
	struct list_node epolls; /* epoll items watching this file */
	u32 error_seq_seen;      /* fsync errors */
	s32 ra_prev;
	u64 ra_next_page;
	u32 ra_window_pages; /* read-ahead words */
	struct list_node in_sb;
	bool rendered; /* views: private_data is the text */
	bool wrote;    /* counted in inode->writers */
};
/* Open flags: Linux generic values. */
#define O_ACCMODE   3u
#define O_RDONLY    0u
#define O_WRONLY    1u
#define O_RDWR      2u
#define O_CREAT     0100u
#define O_EXCL      0200u
#define O_NOCTTY    0400u
#define O_TRUNC     01000u
#define O_APPEND    02000u
#define O_NONBLOCK  04000u
#define O_DSYNC     010000u
#define O_ASYNC     020000u
#define O_DIRECT    040000u
#define O_LARGEFILE 0100000u
#define O_DIRECTORY 0200000u
#define O_NOFOLLOW  0400000u
#define O_NOATIME   01000000u
#define O_CLOEXEC   02000000u
#define O_SYNC      04010000u
#define O_PATH      010000000u
#define O_TMPFILE   020200000u
/* File mode helpers */
static inline bool file_readable(const struct file *f)
{
	return f->cap.rights & CAP_RIGHT_READ;
}
static inline bool file_writable(const struct file *f)
{
	return f->cap.rights & CAP_RIGHT_WRITE;
}
/* The object that an open file means: the body (a reference, taken over), or its own inode. Its
 * token is made anew: for `open` methods, before anybody has the file. */
void file_names(struct file *f, struct object *body);
/* The same with a token on the file itself: revoking the body leaves it. */
void file_names_itself(struct file *f, struct object *body);
/* For one that was made before its inode: takes over the reference. */
void file_give_inode(struct file *f, struct inode *i);
/* What an operation answers whose file was revoked: terminals tell themselves (0). */
answer_t file_stale(struct file *f);
/* True: its object was revoked since it was opened. */
static inline bool file_revoked(struct file *f)
{
	return !cap_token_stands(&f->cap);
}
/* May this open file do what needs `rights`? 0, -EBADF, or file_stale. */
static inline answer_t file_check(struct file *f, u32 rights)
{
	if (unlikely((f->cap.rights & rights) != rights))
		return -EBADF;
	return likely(cap_token_stands(&f->cap)) ? 0 : file_stale(f);
}
/* call_file for an operation that needs `rights`: the file, or an error (file_error) in its place:
 * no such descriptor, without those rights, revoked. Rights of a descriptor: READ and WRITE as it
 * was opened, CONTROL unless with O_PATH. */
struct file *call_file_for(struct call *c, u32 fd, u32 rights);
static inline answer_t file_error(const struct file *f)
{
	return unlikely(answer_is_error((answer_t)f)) ? (answer_t)f : 0;
}
/* refs 1. Takes references on path and inode. slot comes from node_slot(type). */
struct file *file_new(enum node_type type, u32 flags, const struct path_ref *path,
	struct inode *inode, struct object *body);
const struct slot *node_slot(enum node_type type);
static inline void file_get(struct file *f)
{
	object_get(&f->obj);
}
/* Counts it as open for writing, to its end. -ETXTBSY. */
int file_write_get(struct file *f);
/* Somebody writes to the superblock, or holds a file without a name: it cannot become read-only. */
bool superblock_written(struct superblock *sb);
void file_put(struct file *f); /* last one: node.release through a record of core's own */
/* The same by the reaper's thread: where ends of files could nest without bound. */
void file_put_later(struct file *f);
enum file_sync : u8 {
	FILE_SYNC_ALL,   /* fsync(2) */
	FILE_SYNC_DATA,  /* fdatasync(2) */
	FILE_SYNC_PAGES, /* sync_file_range(2): pages only, no metadata, no flush of the device */
	FILE_SYNC_FORGET /* BLKFLSBUF: and clean pages go */
};
/* DO_SYNC_FILE: pages [first, last] of it. An error of write-back is told once to each open file.
 * Thread, may sleep. */
int file_sync(struct file *f, enum file_sync what, u64 first, u64 last);
/* Errors of write-back from now on, and those that nobody was told yet, are f's to tell. */
void file_errors_begin(struct file *f);
/* A descriptor of f was closed by the owner of `files`: POSIX locks go. Core operations (close,
 * exec, exit) call it, then node.flush. */
struct files;
void file_closing(struct file *f, struct files *files);
/* Limits and signals of the calling task, for handlers that know no task. */
u64 call_rlimit(const struct call *c, u32 which);
void call_signal(struct call *c, s32 signo);
/* The owner of POSIX locks of this call: its descriptor table. */
struct files *call_files(struct call *c);
s32 call_pid(const struct call *c); /* process id, for F_GETLK */
/* Undoes call_install before the number was told to anybody; the reference passes to the caller. */
struct file *call_uninstall(struct call *c, u32 fd);
struct file *file_new_anonymous(enum node_type type, u32 flags, const char *label,
	struct object *body); /* "anon_inode:[eventfd]" */

/* --- descriptor tables --- */
struct descriptor {
	struct file *file; /* reference; rights and epoch are its token's */
	bool cloexec;
};
struct files {
	struct object obj; /* obj.refs counts tasks sharing it */
	struct descriptor *table;
	u32 capacity;
	word_t *open_map; /* bit per descriptor */
	u32 next_hint;
};
struct files *files_create(void);
struct files *files_clone(struct files *from, u32 up_to); /* fork, unshare; nullptr no memory */
void files_put(struct files *f);                          /* last one closes all */
void files_close_on_exec(struct files *f);
/* Reserve + install in one step. -EMFILE (limit), -ENOMEM. Takes over the reference on success. */
sword_t files_install(struct files *f, struct file *file, u32 min, bool cloexec, u64 limit);
int files_install_at(struct files *f, struct file *file, u32 fd, bool cloexec,
	struct file **replaced); /* dup2; -EBUSY: the number is taken, without a file yet */
/* The same in two steps, the second of which cannot fail. */
sword_t files_number_take(struct files *f, u64 limit);
void files_number_use(struct files *f, u32 fd, struct file *file, bool cloexec);
void files_number_return(struct files *f, u32 fd);
struct file *files_get(struct files *f, u32 fd); /* referenced; nullptr */
struct file *files_remove(struct files *f,
	u32 fd); /* reference passes to the caller; nullptr: -EBADF */
bool files_cloexec_get(struct files *f, u32 fd);
int files_cloexec_set(struct files *f, u32 fd, bool on);
s32 files_next_open(struct files *f, u32 from); /* -1 none; for /proc/PID/fd, close_range */
/* Without a reference: only for the task's own table while nobody shares it (obj.refs 1). */
static inline struct file *files_peek(const struct files *f, u32 fd)
{
	return likely(fd < f->capacity) ? f->table[fd].file : nullptr;
}
static inline bool files_shared(const struct files *f)
{
	return !refcount_is_one(&f->obj.refs);
}

/* --- user ranges of one transfer --- */
struct uio {
	const struct uspan *spans; /* record-owned; kernel buffers: kernel == true */
	u32 nr;
	bool kernel;     /* spans hold kernel addresses (core's own calls: exec, coredump, views) */
	bool positioned; /* pread/pwrite: pos given, file position untouched */
	u32 flags;       /* RWF_* */
	off64_t pos;
	size_t total;
};
/* Copies between a kernel buffer and the range [done, done+bytes) of the uio without faulting;
 * returns bytes copied. On a short copy answer uio_need(). */
size_t uio_copy_out(struct call *c, const struct uio *u, size_t done, const void *src,
	size_t bytes);
size_t uio_copy_in(struct call *c, const struct uio *u, size_t done, void *dst, size_t bytes);
/* NEED for the next byte at `done`; -EFAULT when a former NEED for it failed. */
answer_t uio_need(struct call *c, const struct uio *u, size_t done, bool write);

/* --- poll --- */
struct poll_ask { /* filled by node.poll when wanted */
	bool want_wait;
	u32 nr;
	struct {
		struct waitable *w;
		u32 mask;
		u32 seq;
	} on[3];
};
static inline void poll_ask_add(struct poll_ask *a, struct waitable *w, u32 mask)
{
	if (a && a->want_wait && a->nr < 3) {
		a->on[a->nr].w = w;
		a->on[a->nr].mask = mask;
		a->on[a->nr].seq = waitable_seq(w); /* before the state is looked at */
		a->nr++;
	}
}

/* --- mmap of a node --- */
struct mmap_reply {
	struct memory_object *object; /* referenced; shared by all mappings of the node */
	u64 first_page;               /* page of the object that offset 0 of the file means */
	bool private_only, zero_fill; /* /dev/zero MAP_PRIVATE: anonymous */
};
/* vfs.open_kernel */
struct open_request {
	struct path_ref at;      /* start of a relative path; mount nullptr: the context's cwd */
	const char *kernel_path; /* or nullptr: `path` is a user address */
	u32 mode;
	bool exec;         /* check MAY_EXEC, regular file, noexec mounts: exec's errors */
	struct file *file; /* result, referenced */
};
/* net */
struct socket_message {
	vaddr_t name;   /* user */
	u32 name_bytes; /* in: room or length; out: length */
	u32 flags_out;
	struct uio io;
	vaddr_t control;      /* user */
	size_t control_bytes; /* in: room or length; out: used */
};
struct view_name {
	char text[256];
	u32 len;
	u64 next_cursor;
};

/* --- directory listing --- */
struct dirent_sink { /* core/node/dirent.c: abi/vfs decide the user layout */
	u8 *buffer;  /* kernel staging buffer */
	size_t size, used;
	u32 format; /* 0 getdents64 */
	bool full;
	u32 nr;          /* entries added */
	u64 cursor_bias; /* added to each next_cursor: "." and ".." come first */
	off64_t start; /* file->pos before this listing: put it back when the copy to the user fails
			  for good */
};
/* false: full, nothing added. */
bool dirent_add(struct dirent_sink *s, const char *name, u32 len, u64 ino, u64 next_cursor,
	u32 mode);
struct stat_info {
	u64 dev, ino, size, blocks_512, rdev;
	u32 mode, nlink, blksize;
	kuid_t uid;
	kgid_t gid;
	struct timespec64 atime, mtime, ctime, btime;
	u64 attributes, attributes_mask, mount_id;
	u32 result_mask;
};
void inode_stat(const struct inode *i, struct stat_info *out);
