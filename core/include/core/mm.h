#pragma once
/*
 * Memory (core/mm): frames (buddy + policy), slab, memory objects with slot words, mappers, address
 * spaces, page cache. See architecture.md section 7 "One memory object".
 */
#include <lib/types.h>
#include <lib/list.h>
#include <lib/rbtree.h>
#include <core/object.h>
#include <core/call.h>
#include <core/frame.h>
#include <core/region.h>
#include <core/space_lock.h>
#include <arch/mmu.h>

/* --- frames --- */
struct frame *frame_of(paddr_t pa);
paddr_t frame_paddr(const struct frame *f);
#define FRAME_ALLOC_ZERO     1u
#define FRAME_ALLOC_ATOMIC   2u /* no reclaim, may use the reserve */
#define FRAME_ALLOC_OPTIONAL 4u /* fails rather than wait or touch the reserve: read-ahead */
struct frame *frame_alloc(u32 order, u32 flags, struct account *account); /* pins = 1; nullptr */
void frame_free(struct frame *f, u32 order);
void frame_pin(struct frame *f);
void frame_unpin(struct frame *f);
/* Contents are reached only between these (an addition on 64-bit). */
void *page_begin(struct frame *f);
void page_end(struct frame *f, void *p);
struct memory_stats {
	u64 total_pages, free_pages, cached_pages, anon_pages, mapped_pages, shmem_pages,
		slab_pages, slab_reclaimable_pages, dirty_pages, writeback_pages,
		kernel_stack_pages, pagetable_pages, available_pages, active_file, inactive_file,
		active_anon, inactive_anon, buffers_pages, committed_pages;
};
void mm_stats(struct memory_stats *out);
struct boot_info;
struct cpu;
void mm_boot_init(const struct boot_info *info);
/* Per-CPU caches of a CPU that is about to start. -ENOMEM. Before it, allocations there take the
 * slow path. */
int mm_cpu_init(struct cpu *cpu);
/* Kernel threads (write-back, reclaim), object caches of spaces: once tasks exist. */
void mm_threads_init(void);
/* Pages that can be had without waiting; for admission decisions. */
u64 mm_free_pages(void);
/* Boot memory that is no longer needed (initrd) becomes free. */
void mm_boot_free_range(paddr_t base, u64 bytes);

/* --- kernel memory --- */
/* Slab caches: per-CPU magazines. Name is for /proc/slabinfo. */
struct slab_cache;
struct slab_cache *slab_create(const char *name, size_t bytes, size_t align);
void *slab_alloc(struct slab_cache *c); /* not zeroed; nullptr */
void *slab_zalloc(struct slab_cache *c);
void slab_free(struct slab_cache *c, void *p);
struct slab_info { /* for /proc/slabinfo */
	const char *name;
	u32 object_bytes, objects_per_slab, pages_per_slab;
	u64 nr_slabs, nr_in_use;
};
bool slab_info_at(u32 i, struct slab_info *out); /* false: no more */
/* kmalloc sizes up to 128 MiB, or 4 MiB where the caller may not sleep; zeroed variant;
 * kfree(nullptr) is fine. Never waits. Above 8 KiB it leaves the reserve alone where the caller may
 * sleep, and the memory is a row of addresses, not of frames. Context: any not holding zone/slab
 * locks. */
void *kmalloc(size_t bytes) __attribute__((alloc_size(1)));
void *kzalloc(size_t bytes) __attribute__((alloc_size(1)));
void *kmalloc_array(size_t nr, size_t bytes);
/* For core's own operations and threads: waits for reclaim where there is none. nullptr: there is
 * none to be had. Context: thread, may sleep, no handler's. */
void *kmalloc_wait(size_t bytes) __attribute__((alloc_size(1)));
void *kzalloc_wait(size_t bytes) __attribute__((alloc_size(1)));
void kfree(const void *p);
/* rows=0: from now on there is no row of free frames for kmalloc, as in memory that was long in
 * use. */
void mm_rows_forbid(void);
char *kstrdup(const char *s);
#if UMKA_DEBUG
/* Tests: the nth allocation that the calling task makes from now on fails (1: the next; 0: none).
 * The second: did it? */
void slab_fail_nth(u32 nth);
bool slab_has_failed(void);
#endif
/* Virtually contiguous: stacks (with a guard page below), MMIO, large tables. */
void *vmap_alloc(size_t bytes, enum mmu_prot prot);
void vmap_free(void *p, size_t bytes);
void *vmap_device(paddr_t pa, size_t bytes, enum mmu_prot extra);
void *vmap_memory(paddr_t pa,
	size_t bytes); /* cached: memory that is not the kernel's (firmware's) */
void *kernel_stack_alloc(void);
void kernel_stack_free(void *p);
/* Module memory near the kernel: writable until protected. */
void *module_memory_alloc(size_t bytes);
int module_memory_protect(void *p, size_t bytes, enum mmu_prot prot);
void module_memory_free(void *p, size_t bytes);

/* --- memory objects --- */
/* Slot word, one u64 per page: low 4 bits kind, rest operand. */
enum slot_kind : u8 {
	SLOT_EMPTY,
	SLOT_ZERO,
	SLOT_RESIDENT,
	SLOT_COMPRESSED,
	SLOT_SWAPPED,
	SLOT_REMOTE,
	SLOT_TRANSIT
};
enum memory_kind : u8 { MEMORY_ANON, MEMORY_SHMEM, MEMORY_FILE, MEMORY_DEVICE, MEMORY_BLOCK };
struct slot_node;
struct slot_tree { /* radix tree of slot words; core/mm/slots.c */
	struct slot_node *root;
};
struct inode;
struct block_device;
struct memory_object {
	struct object obj;
	enum memory_kind kind;
	bool evictable;         /* clean pages may be dropped: FILE and BLOCK */
	u64 size_bytes;         /* files: i_size; faults beyond it are SIGBUS */
	struct slot_tree slots; /* changed under obj.lock; lookups in grace sections */
	u64 nr_resident;
	struct spinlock mapper_lock;
	struct list_node mappers guarded_by(&mapper_lock); /* struct mapper.link */
	struct inode *inode;       /* MEMORY_FILE: pager is the inode's file system */
	struct block_device *bdev; /* MEMORY_BLOCK */
	paddr_t device_base;       /* MEMORY_DEVICE */
	u32 device_prot;           /* MEMORY_DEVICE: MMU_DEVICE, MMU_WRITECOMBINE or 0 */
	struct list_node dirty; /* on the list of objects with dirty pages; owns a reference of the
				   inode while it is */
	ktime_t dirty_since_ns;
	u64 nr_dirty, nr_writeback;
	atomic32_t nr_tail_clears; /* by write-back, of what lay behind the end; under obj.lock */
	struct waitable writeback_done;
	u32 write_error_seq; /* fsync error reporting */
	s32 write_error;
	bool write_error_told;  /* to somebody */
	u32 seals;              /* F_SEAL_* of memfd; F_SEAL_SEAL (1) on everything else */
	atomic32_t nr_writable; /* shared writable mappings: F_SEAL_WRITE waits for none */
	u64 readahead_next;     /* words of policy_readahead; races only cost a wrong window */
	u32 readahead_window;
};
#define SEAL_SEAL         1u
#define SEAL_SHRINK       2u
#define SEAL_GROW         4u
#define SEAL_WRITE        8u
#define SEAL_FUTURE_WRITE 16u
#define SEAL_EXEC         32u
static inline u64 memory_object_pages(const struct memory_object *o)
{
	return (READ_ONCE(o->size_bytes) + PAGE_BYTES - 1) >> PAGE_SHIFT;
}
struct memory_object *memory_object_create(enum memory_kind kind, u64 size_bytes,
	struct account *a);
/* A resident page, pinned, without waiting: nullptr when absent. Context: any thread context. */
struct frame *memory_page_try(struct memory_object *o, u64 index);
/* Same, but brings it in (pager: zero fill, file system map + block I/O). May sleep. err
 * pointer-free: *out, 0 or -errno. write: prepared for modification (reserved by the file system,
 * ENOSPC told here). */
int memory_page_get(struct memory_object *o, u64 index, bool write, struct frame **out);
/* A page that will be overwritten whole [offset 0, PAGE): need not be read. */
int memory_page_get_overwrite(struct memory_object *o, u64 index, struct frame **out);
void memory_page_mark_dirty(struct memory_object *o, struct frame *f);
/* Truncation: drops pages past new_size (mappers invalidated), zeroes the tail of the last page. */
void memory_object_truncate(struct memory_object *o, u64 new_size);
void memory_object_drop_range(struct memory_object *o, u64 first,
	u64 nr); /* punch, invalidate clean cache */
/* Drops what is clean of [first, first+nr), mapped or not. -EBUSY: a page is left (dirty, in use).
 * May sleep. */
int memory_object_invalidate(struct memory_object *o, u64 first, u64 nr);
/* Starts/waits write-back of dirty pages of [first, first+nr); -errno of the first failure. May
 * sleep. */
int memory_object_sync(struct memory_object *o, u64 first, u64 nr);
/* Punches [offset, offset+bytes): whole pages go, edges are zeroed; mappers see it. */
void memory_object_zero_range(struct memory_object *o, u64 offset, u64 bytes);
u64 memory_object_next_data(struct memory_object *o,
	u64 from_page); /* SEEK_DATA for shmem; ~0 none */
/* The file ends: off the list of what is written back. Context: thread. */
void memory_object_forget_dirty(struct memory_object *o);
void mm_drop_caches(void);
/* Some page of [first, last] is under write-back. */
bool memory_object_writeback(struct memory_object *o, u64 first, u64 last);
/* Waits until no page of [first, first+nr) is under write-back. 0. May sleep. */
int memory_object_wait_writeback(struct memory_object *o, u64 first, u64 nr);
/* Starts reading [index, +nr) of a file in, without waiting for it (madvise, readahead(2),
 * fadvise). */
void memory_object_read_ahead(struct memory_object *o, u64 index, u64 nr);
struct superblock;
/* Writes back every dirty object of a mounted file system and waits; the first error. May sleep. */
int mm_sync_superblock(struct superblock *sb);
/* NEED(memory): frees until `bytes` can be had; -ENOMEM. May sleep. */
int mm_reclaim_for(size_t bytes);

/* --- address spaces --- */
struct address_space {
	struct object obj;
	struct space_lock lock; /* regions: exclusive to change them, shared to look and to fault */
	struct spinlock page_lock; /* page tables and rss */
	struct rb_root regions;
	struct region *last_region; /* where space_find looks first */
	struct slot_tree anon; /* private pages by virtual page number, shared copy-on-write over
				  fork (anon.c); page_lock */
	struct arch_space arch;
	u32 nr_regions;
	refcount_t users; /* tasks; the object's references keep the struct only */
	vaddr_t mmap_base, brk_start, brk, stack_start, arg_start, arg_end, env_start, env_end,
		code_start, code_end, data_start, data_end, vdso;
	u64 total_pages, locked_pages, data_pages, stack_pages, exec_pages;
	u64 rss_anon, rss_file, rss_shmem; /* page_lock; read without it, with READ_ONCE */
	u64 rss_peak;                      /* pages.c, space_rss */
	u32 lock_future;                   /* mlockall(MCL_FUTURE): VM_LOCKED for new regions */
	bool randomize;
	struct file *exe; /* reference */
	u64 auxv[64];
	u64 cpu_mask; /* CPUs that may have translations */
	u64 membarrier_state;
};
/* Resident pages. Context: any; the numbers move unless the page lock is held. */
static inline u64 space_rss_pages(const struct address_space *as)
{
	return READ_ONCE(as->rss_anon) + READ_ONCE(as->rss_file) + READ_ONCE(as->rss_shmem);
}
struct address_space *space_create(void);
struct address_space *space_fork(struct address_space *from, int *error); /* current's */
void space_get(struct address_space *as);
void space_put(struct address_space *as); /* last user unmaps everything */
struct mmap_args {
	vaddr_t addr;
	size_t bytes;
	u32 prot;  /* Linux PROT_* (1 read 2 write 4 exec) */
	u32 flags; /* Linux MAP_* generic values: SHARED 1, PRIVATE 2, SHARED_VALIDATE 3, FIXED
		      0x10, ANONYMOUS 0x20, GROWSDOWN 0x100, DENYWRITE.., LOCKED 0x2000, NORESERVE
		      0x4000, POPULATE 0x8000, STACK 0x20000, FIXED_NOREPLACE 0x100000 */
	struct file *file; /* borrowed; nullptr anonymous */
	u64 offset_bytes;
};
sword_t space_mmap(struct address_space *as, const struct mmap_args *a); /* address or -errno */
int space_munmap(struct address_space *as, vaddr_t addr, size_t bytes);
int space_mprotect(struct address_space *as, vaddr_t addr, size_t bytes, u32 prot);
sword_t space_mremap(struct address_space *as, vaddr_t old, size_t old_bytes, size_t new_bytes,
	u32 flags, vaddr_t new_addr);
sword_t space_brk(struct address_space *as, vaddr_t brk);
int space_madvise(struct address_space *as, vaddr_t addr, size_t bytes, s32 advice);
int space_msync(struct address_space *as, vaddr_t addr, size_t bytes, u32 flags);
int space_mlock(struct address_space *as, vaddr_t addr, size_t bytes, u32 flags, bool lock);
int space_mlockall(struct address_space *as, u32 flags);
int space_mincore(struct address_space *as, vaddr_t addr, size_t bytes, vaddr_t vec);
/* exec: a region with given object (file mapping of a segment), fixed. */
int space_map_file(struct address_space *as, vaddr_t addr, size_t bytes, u32 vm_flags,
	struct file *file, u64 offset_bytes);
int space_map_anon(struct address_space *as, vaddr_t addr, size_t bytes, u32 vm_flags,
	const char *name);
int space_map_object(struct address_space *as, vaddr_t addr, size_t bytes, u32 vm_flags,
	struct memory_object *o, u64 first_page, const char *name);
struct region *space_find(struct address_space *as,
	vaddr_t addr); /* lock held: region with addr < end */
/* Fault on current's space: 0, or -EFAULT with *signo, *code (SIGSEGV MAPERR 1/ACCERR 2, SIGBUS
 * ADRERR 2). May sleep. */
int space_fault(struct address_space *as, vaddr_t addr, u32 trap_access, s32 *signo, s32 *code);
/* Faults in a user range for a copy; 0 or -EFAULT. */
int space_populate(struct address_space *as, vaddr_t addr, size_t bytes, bool write);
/* Identity of a futex word: shared -> object + offset, private -> space + address. -EFAULT. */
struct futex_key {
	void *a;
	u64 b;
	bool shared;
};
int space_futex_key(struct address_space *as, vaddr_t addr, bool shared, struct futex_key *out);
void futex_key_put(struct futex_key *k);
/* --- for /proc/PID/{maps,smaps,statm}, core dumps --- */
struct region_info {
	vaddr_t start, end;
	u32 flags;
	u64 offset_bytes;
	struct file *file; /* referenced: file_put */
	const char *name;
	/* filled when wanted */
	u64 rss_pages, pss_bytes, private_clean_pages, private_dirty_pages, shared_clean_pages,
		shared_dirty_pages, anon_pages;
};
/* The first region that ends above `from`; false: none. Context: thread, may sleep. */
bool space_region_next(struct address_space *as, vaddr_t from, bool want_pages,
	struct region_info *out);
/* A page of another space, brought in and pinned: ptrace, /proc/PID/mem, core dumps. force: also
 * where the protection forbids it (breakpoints), on a private copy. -EFAULT, -ENOMEM. May sleep. */
int space_page_get(struct address_space *as, vaddr_t addr, bool write, bool force,
	struct frame **out);
/* Text-file-busy accounting: core/node/inode.c inode_deny_write. */
