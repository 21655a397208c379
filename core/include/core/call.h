#pragma once
/*
 * Calls (core/call): the restartable transaction. architecture.md section 2 and calls.md are the
 * rules.
 *
 * A handler takes (struct call *c, ...) and returns answer_t: a value, -errno, or one of five
 * kinds, whose operands it has put into the record by the functions below. It never sleeps;
 * everything it may run again from the start, so whatever a first run decided and must not decide
 * again is in its frame (call_progress) or pinned.
 */
#include <lib/types.h>
#include <lib/answer.h> /* answer_t and the kinds; ANSWER_WAIT_SLOT is what parked vtables answer */
#include <core/object.h>
#include <core/wait.h>

#define answer_ptr_error(e) ((answer_t)(e))

/* A user range as claimed by the caller; only the copy functions look behind it. */
struct uspan {
	vaddr_t addr;
	size_t bytes;
};

enum call_reason : u8 {
	CALL_FIRST,
	CALL_AGAIN,
	CALL_READY,
	CALL_EXPIRED,
	CALL_INTERRUPTED,
	CALL_NEED_FAILED
};

/* What NEED can name. */
enum need_kind : u8 {
	NEED_USER_READ, /* fault in user range */
	NEED_USER_WRITE,
	NEED_PAGES, /* memory object pages [index, index+nr) resident (pinned until MORE or end) */
	NEED_PAGES_WRITE,  /* resident and prepared for a write (reserved by the file system) */
	NEED_PAGES_STABLE, /* write-back on them ended */
	NEED_BLOCKS,       /* superblock's metadata blocks [index, nr) in the block cache */
	NEED_EXCLUSIONS,   /* the frame's wanted set (call_hold) */
	NEED_MEMORY, /* object of `nr` bytes could not be allocated: core reclaims, then runs again
		      */
	NEED_FRAME,  /* more room for frames */
};
struct call_need {
	enum need_kind kind;
	void *object;
	u64 index;
	u64 nr;
	int error; /* set by core when it failed; shown to the next run */
};
#define CALL_NEEDS_MAX 4

/* Exclusions, in the order core takes them; within a class by object id. calls.md "Exclusions". */
enum excl_class : u8 {
	EXCL_NONE,
	EXCL_RENAME, /* superblock rename, freeze */
	EXCL_INODE,  /* inode content / directory content */
	EXCL_SPACE,
	EXCL_INODE_MAP,
	EXCL_GROUP,
	EXCL_CONNECTION,
	EXCL_QUEUE,
};
struct exclusion { /* embedded in the object that it guards */
	struct spinlock lock;
	struct object *container;             /* constant */
	struct call *owner guarded_by(&lock); /* exclusive owner */
	u32 nr_shared guarded_by(&lock);
	struct waitable released;
};
/* container: the object it is embedded in, which a hold keeps alive; nullptr when whoever holds it
 * pins that object anyway (open files). */
void exclusion_init(struct exclusion *e, struct object *container);
struct call_hold {
	struct exclusion *excl;
	u64 object_id;
	enum excl_class class;
	u8 level; /* of the frame that holds it */
	bool shared, held;
};
#define CALL_HOLDS_MAX 6

/* Core operations a handler may ask for: closed enum, arguments in the record. core/call/do.c. */
enum call_do_op : u16 {
	DO_NONE,
	DO_CLONE,
	DO_EXEC,
	DO_EXIT,
	DO_EXIT_GROUP,
	DO_WAIT,
	DO_SIGNAL_RETURN,
	DO_SIGNAL_WAIT,
	DO_PTRACE,
	DO_MMAP,
	DO_MUNMAP,
	DO_MPROTECT,
	DO_MREMAP,
	DO_BRK,
	DO_MADVISE,
	DO_MSYNC,
	DO_MLOCK,
	DO_MINCORE,
	DO_FUTEX,
	DO_FUTEX_WAITV,
	DO_SLEEP, /* nanosleep: absolute deadline in args */
	DO_SYNC_FILE,
	DO_SYNC_SUPER,
	DO_SYNC_ALL,
	DO_MOUNT,
	DO_UMOUNT,
	DO_PIVOT_ROOT,
	DO_SWITCH_FILES, /* unshare/close_range UNSHARE */
	DO_YIELD,
	DO_MEMBARRIER,
	DO_REBOOT,
	DO_TRUNCATE,
	DO_SET_CONTEXT,
	DO_PAGE_OUT,
	DO_RELEASE_FILE,
	DO_DESCRIBE,
	DO_CLOSE_RANGE,
	DO_UNSHARE,
	DO_NR, /* arguments and results of each: core/do.h */
};

/* What a frame has changed and not recorded. TOLD: an error may stand beside it, as EPIPE beside
 * SIGPIPE; a kind may not. */
enum call_effect : u8 { CALL_EFFECT_NONE, CALL_EFFECT_TOLD, CALL_EFFECT_MADE };
/* What a call has changed outside itself for as long as it waits, and no object's end takes back:
 * core does when the record ends, killed or not (docs/decisions/0007-undo-by-ownership.md). */
enum call_undo : u8 {
	CALL_UNDO_NONE,
	CALL_UNDO_LOCK_WAIT, /* that this owner of file locks waits for another: what is the owner
			      */
};
struct slot;
struct text;
struct call_frame {
	const struct slot *slot;
	u64 object_id;
	u16 method;
	u16 schema;
	u16 phase;
	u8 live;                 /* progress is meaningful */
	enum call_effect effect; /* debug: what happened since the last commit point */
	bool recorded; /* debug: an effect before that stands in progress, and in no answer yet */
	u64 progress[8];
	struct object *ref; /* further progress, owned by the frame */
	answer_t nested;    /* answer of the nested call of this phase */
	bool nested_valid;
};
#define CALL_LEVELS_MAX 4
#define CALL_PINS_MAX   6
struct call_pin {
	struct object *object;
	u32 key; /* descriptor number, or CALL_PIN_OBJECT */
	bool owned;
};
#define CALL_PIN_OBJECT        ~0u
#define CALL_WAITS_INLINE      4
#define CALL_PATHS_INLINE      2
#define CALL_PATH_INLINE_BYTES 64

/* Call flags */
#define CALLF_UNINTERRUPTIBLE  1u /* contract says: WAIT ends by kill only */
#define CALLF_KERNEL           2u /* made by core itself: no user memory, no signals */
#define CALLF_SIGMASK          4u /* wait with `sigmask` (ppoll, sigsuspend) */
#define CALLF_KILLABLE_NEED    8u /* contract says: NEED and MORE end by kill (call_killable) */
#define CALLF_REGS_SET                                                                             \
	16u /* a DO set the user registers whole (sigreturn, exec): entry stores no result */

#define CALLF_KILLED 32u /* the last run of a call that a fatal signal ends */

struct context;
struct call {
	struct task *task;         /* core only: handlers look at ctx and use core services */
	const struct context *ctx; /* credentials, namespaces, root and cwd: pinned at entry */
	word_t args[6];
	u32 nr; /* system call number, ~0u in core's own calls */
	u32 flags;
	/* All of these are 0 between calls, so that a short call resets nothing but nr_pins. */
	u8 level; /* current frame */
	u8 nr_needs, nr_holds, nr_pins;
	u8 inline_paths;  /* bit i: path i is in path_inline */
	u8 nr_fs_stale;   /* a component's answers that were refused in a row (core/node/delta.c) */
	bool dirty;       /* call_finish has something to give back */
	bool needs_stale; /* needs[] are those of the run before: with their errors */
	bool sigmask_applied, ctx_pinned;
	bool held_effect; /* under exclusions held now something was changed: they are not let go */
	bool injected_now; /* rerun=N: something failed without need in this run */
	enum call_reason reason;
	enum call_undo undo;
	u32 runs; /* runs without progress; the 65th is a violation */
	struct call_frame frames[CALL_LEVELS_MAX];
	struct call_need needs[CALL_NEEDS_MAX];
	struct call_hold holds[CALL_HOLDS_MAX];
	struct call_pin pins[CALL_PINS_MAX];
	/* wait set */
	u32 nr_waits;
	struct wait_entry waits_inline[CALL_WAITS_INLINE];
	u32 waits_seq_inline[CALL_WAITS_INLINE];
	struct wait_entry *waits_more; /* allocated, capacity waits_more_cap */
	u32 waits_more_cap;
	ktime_t deadline_ns;  /* monotonic absolute; KTIME_MAX none. Set once, kept over reruns */
	answer_t wait_result; /* WAIT with a result: ends the call without another run */
	bool wait_has_result, deadline_set;
	u64 sigmask;
	const void *undo_what;
	struct waitable *exclusive_fired; /* an exclusive wake that this call consumed: passed on if
					     it ends without DONE */
	/* Transfers (core/node/uio.c): where the last short copy stopped, and the furthest of them.
	 */
	size_t uio_stopped, uio_reached;
	u64 injected; /* rerun=N: what has failed without need, hashed to a bit */
	/* DO */
	enum call_do_op op;
	word_t op_args[8];
	bool op_again; /* run the handler again after DO, result in op_result */
	answer_t op_result;
	bool op_done;
	bool op_now;              /* for /ukfs: the operation is being performed */
	struct list_node waiting; /* per-slot list of waiting records, for ukfs and the sweep */
	const struct slot *waiting_on;
	struct call *outer; /* nested core call, at most 8 deep */
#if UMKA_DEBUG
	u32 outer_in_module; /* module frames below a nested core call: its own sleeps are core's */
#endif
	void *pinned_pages;     /* frames that NEED_PAGES brought, core/call/need.c */
	struct text *described; /* DO_DESCRIBE's result */
	char *paths[3];         /* call_path */
	u32 path_len[3];
	char path_inline[CALL_PATHS_INLINE]
			[CALL_PATH_INLINE_BYTES]; /* short paths: no memory to take and give back */
	void *memory; /* call_memory; freed with the record's other belongings (call_memory_free) */
	size_t memory_bytes;
};

/* --- for handlers --- */
static inline struct call_frame *call_frame(struct call *c)
{
	return &c->frames[c->level];
}
/* Progress of the current frame, zeroed when the frame is fresh. T at most 64 bytes. */
void *call_progress_begin(struct call *c);
#define call_progress(c, T)                                                                        \
	({                                                                                         \
		static_assert(sizeof(T) <= sizeof(((struct call_frame *)nullptr)->progress));      \
		struct call_frame *_f = call_frame(c);                                             \
		(T *)(likely(_f->live) ? (void *)_f->progress : call_progress_begin(c));           \
	})
/* Around a call to another module (generated wrappers do it): enters the next level. A frame of the
 * same slot, object and method is resumed, any other is begun afresh. nullptr: ANSWER_NEED
 * (NEED_FRAME) must be answered. */
struct call_frame *call_enter(struct call *c, const struct slot *slot, u16 method, u64 object_id);
/* Leaves it: DONE/ERROR end the frame (its holds, progress), kinds keep it. Returns `a`. */
answer_t call_leave(struct call *c, answer_t a);

/* Each returns the answer to return. */
answer_t call_need_user(struct call *c, struct uspan span, bool write);
answer_t call_need_pages(struct call *c, enum need_kind kind, void *memory_object, u64 index,
	u64 nr);
answer_t call_need_blocks(struct call *c, void *superblock, u64 block, u64 nr);
answer_t call_need_memory(struct call *c, size_t bytes);
/* Wait sets: add any number (NEED memory may be answered), then return call_wait(c). */
int call_wait_add(struct call *c, struct waitable *w, u32 mask, u32 seq); /* 0 or -ENOMEM */
int call_wait_add_exclusive(struct call *c, struct waitable *w, u32 mask, u32 seq);
/* First caller wins; reruns keep the deadline. */
void call_wait_deadline(struct call *c, ktime_t monotonic_ns);
/* For waits whose deadline the frame keeps: a later one takes the place of an earlier. KTIME_MAX:
 * none. */
void call_wait_deadline_again(struct call *c, ktime_t monotonic_ns);
answer_t call_wait(struct call *c);
answer_t call_wait1(struct call *c, struct waitable *w, u32 mask, u32 seq);
answer_t call_do(struct call *c, enum call_do_op op, bool again);
static inline answer_t call_more(struct call *c)
{
	c->runs = 0;
	c->held_effect = c->nr_holds;
	return ANSWER_MORE;
}
/* The contract of this call says that a fatal signal ends it at NEED and MORE too: read, write,
 * readdir and copies (kabi/node.kabi), as Linux's killable waits. The handler runs once more,
 * interrupted, for what it would leave half done; if that answers NEED or MORE again the record is
 * dropped. Said by whoever made the call, when its answer is a kind. */
static inline void call_killable(struct call *c)
{
	c->flags |= CALLF_KILLABLE_NEED;
}
static inline bool call_killed(const struct call *c)
{
	return c->flags & CALLF_KILLED;
}
/* For waits of core inside a NEED: WAITF_KILLABLE or 0. */
u32 call_need_wait_flags(void);
/* Interrupted? Then the handler answers a partial result, -EINTR or -ERESTARTSYS..., never WAIT
 * (unless uninterruptible). */
static inline bool call_interrupted(const struct call *c)
{
	return c->reason == CALL_INTERRUPTED;
}
static inline bool call_expired(const struct call *c)
{
	return c->reason == CALL_EXPIRED;
}
/* Record-owned memory: zeroed at the first asking, the same in every run and after a DO, freed when
 * the call ends. One block a call, so its user is the level that owns the call's arguments (the
 * personality). nullptr: answer call_need_memory(c, bytes). */
void *call_memory(struct call *c, size_t bytes);
/* Before the change; what was there before must be undone or the same. call_undo_run: now, not
 * first at the end of the record. */
void call_undo_set(struct call *c, enum call_undo undo, const void *what);
void call_undo_run(struct call *c);
/* Long locks. True: all held now. False: return ANSWER_NEED. Asking for what the frame holds
 * already is fine. */
bool call_hold(struct call *c, enum excl_class class, struct exclusion *e, u64 object_id,
	bool shared);
bool call_hold2(struct call *c, enum excl_class class, struct exclusion *a, u64 id_a,
	struct exclusion *b, u64 id_b);
/* A resolved object that must be the same in every run: kept under `key` (CALL_PIN_OBJECT + order
 * of asking). Takes a reference. */
/* 0, a NEED, or -ENOMEM when the record is full. */
answer_t call_pin_object(struct call *c, struct object *o);
/* An up-to-date page of o, pinned by its frame; nullptr: it is not there (answer call_need_pages).
 */
struct frame;
struct memory_object;
struct frame *call_page(struct call *c, struct memory_object *o, u64 index);
struct file;
/* The open file behind descriptor fd, the same in every run of this call; nullptr: -EBADF. Borrowed
 * until the call ends. */
struct file *call_file(struct call *c, u32 fd);
/* Marks the first effect that others can see (debug: an answer that loses it traps, an error
 * too). */
#if UMKA_DEBUG
void call_effect(struct call *c);
/* What changed stands in the frame's progress now: only a value may end the frame from here on. */
void call_effect_recorded(struct call *c);
/* What changed since the last recording was undone, or a second run would find it done. */
void call_effect_undone(struct call *c);
/* The error that follows stands for what was recorded too, as Linux's does (O_SYNC; an address that
 * takes no result). */
void call_effect_all_told(struct call *c);
/* An effect that the error tells of which follows. */
void call_effect_told(struct call *c);
/* For core's services, which know no record: the effect of the handler that called this one, if it
 * was one. */
void call_effect_here(void);
u32 call_effects_seen(void);
/* CALL-I4: what sleeps or may have to asks here. */
void call_check_may_sleep(void);
#else
static inline u32 call_effects_seen(void)
{
	return 0;
}
static inline void call_effect_here(void)
{
}
static inline void call_effect(struct call *c)
{
	(void)c;
}
static inline void call_effect_told(struct call *c)
{
	(void)c;
}
static inline void call_effect_recorded(struct call *c)
{
	(void)c;
}
static inline void call_effect_undone(struct call *c)
{
	(void)c;
}
static inline void call_effect_all_told(struct call *c)
{
	(void)c;
}
#endif
/* rerun=N of the command line; 0: off. */
void call_rerun_set(u32 every);
/* For /ukfs: N, and how many failures without need there were. */
void call_rerun_count(u32 *every, u32 *injected);
/* rerun=N: true when this hold, pin, copy or delta, named by `what`, should fail without need. */
bool call_rerun_inject(struct call *c, u64 what);
/* memfail=N, in debug and asan kernels: each N-th piece of memory that a handler asks for, by
 * itself or through core, is refused once a call: it must answer NEED(memory), and have done
 * nothing. */
void call_memfail_set(u32 every);
#if UMKA_DEBUG
bool call_memory_fails(word_t what);
#else
static inline bool call_memory_fails(word_t what)
{
	(void)what;
	return false;
}
#endif

/* User copies of handlers: never fault in. 0, or ANSWER_NEED already prepared (return it), or
 * -EFAULT. */
answer_t call_copy_in(struct call *c, void *dst, vaddr_t user, size_t bytes);
answer_t call_copy_out(struct call *c, vaddr_t user, const void *src, size_t bytes);
/* Copies a string of at most size-1 bytes; answer: its length, -ENAMETOOLONG when unterminated,
 * -EFAULT, or NEED. */
answer_t call_copy_string(struct call *c, char *dst, vaddr_t user, size_t size);
/* The path string number `which` (0, 1, 2) of this call: copied from user space once, the same in
 * every run, core-owned until the call ends. Answer: its length; -ENAMETOOLONG (PATH_MAX 4096 with
 * terminator), -EFAULT, or NEED. An empty path is length 0. */
answer_t call_path(struct call *c, u32 which, vaddr_t user, const char **out);
/* Makes `text` the path number `which` of this call: for a module whose paths come inside other
 * structures. 0 or NEED. */
answer_t call_path_set(struct call *c, u32 which, const char *text, u32 len);
/* A new descriptor for `file` in the caller's table (takes over the reference on success). -EMFILE,
 * -ENOMEM. */
answer_t call_install(struct call *c, struct file *file, u32 flags);
/* In two steps, for who has effects in between: the lowest free number is this run's, which must
 * use or return it before it answers. -EMFILE, -ENOMEM. */
answer_t call_number_take(struct call *c);
void call_number_use(struct call *c, u32 fd, struct file *file, u32 flags);
void call_number_return(struct call *c, u32 fd);
/* Bytes copied (may be short when a page is absent: then call_need_user for the rest once progress
 * is recorded). */
size_t call_copy_in_partial(struct call *c, void *dst, vaddr_t user, size_t bytes);
size_t call_copy_out_partial(struct call *c, vaddr_t user, const void *src, size_t bytes);

/* --- for core --- */
/* Serves kinds until a final answer. `again` says how to run the handler again. Context: thread,
 * may sleep. */
answer_t call_slow(struct call *c, answer_t a);
/* The record of a new task, before it runs. */
void call_init_task(struct task *t);
void deferred_init(void);
/* Woken when a parked slot opens (core/evolve). */
extern struct waitable call_slots_opened;
/* Core's own calls (exec, write-back, kernel threads): a record linked to the task's current one.
 */
void call_begin(struct call *c, u32 flags);
void call_end(struct call *c);
/* Runs `expr` (which uses c) until its answer is final; the caller may sleep. */
/* Whatever a call left: pins, exclusions, paths, waits. */
void call_finish(struct call *c, answer_t a);
/* DO: core/call/do.c. Final answer, or ANSWER_MORE: run the handler again (op_result is set). */
answer_t call_perform(struct call *c);
#define call_run(c, expr)                                                                          \
	({                                                                                         \
		answer_t _a = (expr);                                                              \
		while (unlikely(answer_is_kind(_a))) {                                             \
			_a = call_serve(c, _a);                                                    \
			if (!answer_is_kind(_a))                                                   \
				break;                                                             \
			_a = (expr);                                                               \
		}                                                                                  \
		_a;                                                                                \
	})
void call_memory_free(struct call *c);
/* Serves one kind; returns ANSWER_MORE: run again; anything else is final. */
answer_t call_serve(struct call *c, answer_t a);
/* Until the slot is open: for what core calls outside a record's loop. 0, -ETIMEDOUT, or -EINTR as
 * the flags (WAITF_*) say. Context: thread, may sleep. */
int call_wait_open(const struct slot *slot, ktime_t until_ns, u32 wait_flags);
/* How many answers were WAIT(slot), for /ukfs. */
u32 call_slot_waits(void);
/* Why does this task wait: text for ukfs. */
int call_describe_wait(struct task *t, char *buf, size_t size);

/* Deferred calls: {slot, method, object}; core/call/deferred.c runs them in a core thread. */
enum deferred_op : u8 {
	DEFERRED_TTY_INPUT, /* slot: tty; object: struct tty */
	DEFERRED_TTY_OUTPUT,
	DEFERRED_TTY_HANGUP,
	DEFERRED_HWRNG,      /* object: struct component */
	DEFERRED_CONSOLE,    /* object: struct tty */
	DEFERRED_BLOCK_KICK, /* object: struct block_device */
	DEFERRED_INTERRUPT,  /* object: struct component_instance; argument: vector
				(core/object/component.c) */
	DEFERRED_FIRMWARE,   /* the interrupt of ACPI (core/firmware) */
};
struct deferred {
	struct list_node link;
	const struct slot *slot;
	enum deferred_op op;
	bool queued;
	struct object *object;
	u32 argument; /* queue number */
};
/* Queued once; again after it has begun to run. Context: any. */
void deferred_queue(struct deferred *d);
/* Not queued and not running after return. Context: thread. */
void deferred_cancel(struct deferred *d);
