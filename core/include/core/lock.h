#pragma once
/*
 * Locks (core/sync). Spinlocks: short, preemption off; _irqsave where an interrupt takes the lock
 * too. Mutexes: core code only (never replaceable code), may sleep. Every lock has a level; taking
 * a level not above what this task/CPU holds is an inversion, caught at run time in debug kernels.
 * Take locks as &object->lock (Clang's analysis, style.md 5.1).
 */
#include <lib/types.h>
#include <lib/atomic.h>
#include <core/cpu.h>

/* Order: a lock may be taken while holding only locks of smaller level. */
enum lock_level : u8 {
	LOCK_LEVEL_NONE = 0,        /* no check (boot, tests) */
	LOCK_LEVEL_MUTEX_TASK = 10, /* mutexes first: they may sleep */
	LOCK_LEVEL_MUTEX_SPACE = 20,
	LOCK_LEVEL_MUTEX_OBJECT = 30,
	LOCK_LEVEL_NAMESPACE = 50,
	LOCK_LEVEL_NAME = 60,        /* name cache, inode fields */
	LOCK_LEVEL_NAME_CHILD = 62,  /* a child while the parent is held */
	LOCK_LEVEL_INODE = 64,       /* inode fields, alias lists */
	LOCK_LEVEL_NAME_HASH = 66,   /* name, inode and mount hash buckets */
	LOCK_LEVEL_NODE = 70,        /* pipe, socket, tty, epoll bodies */
	LOCK_LEVEL_NODE_NESTED = 75, /* second node of a pair, in address order */
	LOCK_LEVEL_FILES = 80,       /* descriptor tables */
	/* Memory: held with interrupts on, so below all that an interrupt takes. */
	LOCK_LEVEL_MAPPERS = 82, /* who maps a memory object */
	LOCK_LEVEL_SPACE = 83,   /* address-space page tables */
	LOCK_LEVEL_MEMOBJ = 84,
	LOCK_LEVEL_LRU = 85,       /* reclaim lists, lists of dirty objects */
	LOCK_LEVEL_VMAP = 86,      /* kernel address ranges and their page tables */
	LOCK_LEVEL_TASK_LIST = 88, /* families, pid numbers */
	LOCK_LEVEL_TASK = 90,      /* task, thread group, signals */
	LOCK_LEVEL_SIGNAL_ACTION = 92,
	LOCK_LEVEL_USER = 94,      /* counts per user */
	LOCK_LEVEL_FIRMWARE = 100, /* ACPICA's: in the order in which it makes them */
	LOCK_LEVEL_FIRMWARE_WORK = 108,
	LOCK_LEVEL_BLOCK = 115,
	LOCK_LEVEL_FUTEX = 118,
	LOCK_LEVEL_WAITABLE = 120,
	LOCK_LEVEL_TIMER = 130,
	LOCK_LEVEL_RUNQUEUE = 140,
	LOCK_LEVEL_IRQ = 150,
	LOCK_LEVEL_SLAB = 160,
	LOCK_LEVEL_ZONE = 170,
	LOCK_LEVEL_KERNEL_SPACE = 175,
	LOCK_LEVEL_LOG = 200,
};

struct __lock_type("spinlock") spinlock {
	atomic32_t word; /* 0 free, 1 held */
	u8 level;
	u8 holder; /* debug: CPU + 1 */
};
#define SPINLOCK_INIT(lvl) {.level = (lvl)}
static inline void spin_init(struct spinlock *l, enum lock_level level)
{
	*l = (struct spinlock){.level = level};
}

static inline void preempt_disable(void)
{
	*arch_preempt_count_ptr() += 1;
	barrier();
}
void preempt_schedule(void); /* core/sched: switch now if needed; called when the count reaches 0 */
static inline void preempt_enable(void)
{
	barrier();
	*arch_preempt_count_ptr() -= 1;
	if (unlikely(READ_ONCE(this_cpu()->need_resched)) && *arch_preempt_count_ptr() == 0)
		preempt_schedule();
}
static inline void preempt_enable_no_resched(void)
{
	barrier();
	*arch_preempt_count_ptr() -= 1;
}

void spin_lock_contended(struct spinlock *l);
#if UMKA_DEBUG
void lock_debug_acquire(struct spinlock *l); /* after taking: level order, holder */
void lock_debug_release(struct spinlock *l);
#else
static inline void lock_debug_acquire(struct spinlock *l)
{
	(void)l;
}
static inline void lock_debug_release(struct spinlock *l)
{
	(void)l;
}
#endif
/* WHY no analysis in the bodies below: they are the lock. */
static inline void spin_lock(struct spinlock *l) __acquires(*l) __no_lock_analysis
{
	preempt_disable();
	if (unlikely(atomic32_exchange(&l->word, 1)))
		spin_lock_contended(l);
	lock_debug_acquire(l);
}
static inline void spin_unlock(struct spinlock *l) __releases(*l) __no_lock_analysis
{
	lock_debug_release(l);
	atomic32_store_release(&l->word, 0);
	preempt_enable();
}
static inline bool spin_trylock(struct spinlock *l) __try_acquires(true, *l) __no_lock_analysis
{
	preempt_disable();
	if (atomic32_exchange(&l->word, 1)) {
		preempt_enable();
		return false;
	}
	lock_debug_acquire(l);
	return true;
}
static inline word_t spin_lock_irqsave(struct spinlock *l) __acquires(*l) __no_lock_analysis
{
	word_t state = arch_irq_save();

	preempt_disable();
	if (unlikely(atomic32_exchange(&l->word, 1)))
		spin_lock_contended(l);
	lock_debug_acquire(l);
	return state;
}
static inline void spin_unlock_irqrestore(struct spinlock *l, word_t state)
	__releases(*l) __no_lock_analysis
{
	lock_debug_release(l);
	atomic32_store_release(&l->word, 0);
	arch_irq_restore(state);
	preempt_enable();
}
/* Debug kernels: panics unless held by this CPU. */
#if UMKA_DEBUG
void spin_assert_held(const struct spinlock *l) TSA(assert_capability(*l));
#else
static inline void spin_assert_held(const struct spinlock *l)
	TSA(assert_capability(*l)) __no_lock_analysis
{
	(void)l;
}
#endif

/* Sleeping lock for core operations; owner inheritance through core/wait. */
#include <lib/list.h>
struct __lock_type("mutex") mutex {
	struct spinlock lock;
	struct task *owner;
	struct list_node waiters;
	u8 level;
};
void mutex_init(struct mutex *m, enum lock_level level);
void mutex_lock(struct mutex *m) __acquires(*m);
bool mutex_trylock(struct mutex *m) __try_acquires(true, *m);
void mutex_unlock(struct mutex *m) __releases(*m);
/* Tells the analysis that a caller holds it. */
static inline void mutex_assert_held(const struct mutex *m)
	TSA(assert_capability(*m)) __no_lock_analysis
{
	(void)m;
}

#if UMKA_DEBUG
/* core/irq, around the work of an interrupt. */
u32 lock_debug_interrupt_begin(void);
void lock_debug_interrupt_end(u32 before);
u32 lock_debug_depth(void);    /* spinlocks that this CPU holds: core/sched checks at a switch */
void lock_debug_disable(void); /* panic path */
#else
static inline u32 lock_debug_interrupt_begin(void)
{
	return 0;
}
static inline void lock_debug_interrupt_end(u32 before)
{
	(void)before;
}
static inline void lock_debug_disable(void)
{
}
#endif

/* core/sched calls it at each switch and when idle ends, core/irq at interrupts that came from user
 * mode. */
static inline void grace_quiescent(void)
{
	struct cpu *c = this_cpu();

	/* Release: whoever sees the new count may free what this CPU's read sections have read. The
	 * sections to come must not read before the count can be seen: an exchange of another word
	 * follows before the first of them (a store and the loads behind it may change places
	 * otherwise, on x86 too). */
	shared_store_release(&c->quiescent, c->quiescent + 1);
}
/* The same where no lock is taken next. */
static inline void grace_quiescent_fenced(void)
{
	grace_quiescent();
	atomic32_exchange(&this_cpu()->grace_fence, 0);
}
void grace_init(void);
/* Grace periods (core/sync/grace.c): a read section is a region with preemption off. */
static inline void grace_read_begin(void)
{
	preempt_disable();
}
static inline void grace_read_end(void)
{
	preempt_enable();
}
enum grace_action : u8 { GRACE_SLAB_FREE, GRACE_OBJECT_FREE, GRACE_FRAME_FREE, GRACE_WAKE };
struct grace_head {
	struct grace_head *next;
	u64 period;
	void *object;
	enum grace_action action;
};
/* Frees/wakes `object` after every CPU has left the read sections of now. Any context. */
void grace_defer(struct grace_head *h, enum grace_action action, void *object);
/* Waits for a grace period. Context: thread, may sleep. */
void grace_wait(void);
