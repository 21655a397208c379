/* madvise, msync, mlock, mincore: madvise(2), msync(2), mlock(2), mincore(2), and Linux 6.12 where
 * they are silent. */
#include <core/ucopy.h>
#include "space.h"

enum { /* asm-generic/mman-common.h */
	MADV_NORMAL = 0,
	MADV_RANDOM = 1,
	MADV_SEQUENTIAL = 2,
	MADV_WILLNEED = 3,
	MADV_DONTNEED = 4,
	MADV_FREE = 8,
	MADV_REMOVE = 9,
	MADV_DONTFORK = 10,
	MADV_DOFORK = 11,
	MADV_DONTDUMP = 16,
	MADV_DODUMP = 17,
	MADV_WIPEONFORK = 18,
	MADV_KEEPONFORK = 19,
	MADV_COLD = 20,
	MADV_PAGEOUT = 21,
	MADV_POPULATE_READ = 22,
	MADV_POPULATE_WRITE = 23,
	MADV_DONTNEED_LOCKED = 24,
};
#define MS_ASYNC      1u
#define MS_INVALIDATE 2u
#define MS_SYNC       4u
#define MCL_CURRENT   1u
#define MCL_FUTURE    2u
#define MCL_ONFAULT   4u
#define MLOCK_ONFAULT 1u

/* --- madvise --- */

static int advise_flags(struct region *r, s32 advice, u32 *flags)
{
	*flags = r->flags;
	switch (advice) {
	case MADV_NORMAL:
		*flags &= ~(VM_SEQ_READ | VM_RAND_READ);
		return 0;
	case MADV_RANDOM:
		*flags = (*flags & ~VM_SEQ_READ) | VM_RAND_READ;
		return 0;
	case MADV_SEQUENTIAL:
		*flags = (*flags & ~VM_RAND_READ) | VM_SEQ_READ;
		return 0;
	case MADV_DONTFORK:
		*flags |= VM_DONTFORK;
		return 0;
	case MADV_DOFORK:
		if (r->flags & VM_DEVICE)
			return -EINVAL;
		*flags &= ~VM_DONTFORK;
		return 0;
	case MADV_DONTDUMP:
		*flags |= VM_DONTDUMP;
		return 0;
	case MADV_DODUMP:
		if (r->flags & VM_DEVICE)
			return -EINVAL;
		*flags &= ~VM_DONTDUMP;
		return 0;
	case MADV_WIPEONFORK: /* private anonymous memory only */
		if (r->object || r->flags & VM_SHARED)
			return -EINVAL;
		*flags |= VM_WIPEONFORK;
		return 0;
	case MADV_KEEPONFORK:
		*flags &= ~VM_WIPEONFORK;
		return 0;
	default:
		return -EINVAL;
	}
}

static int advise_set_flags(struct address_space *as, struct region *r, vaddr_t start, vaddr_t end,
	s32 advice) __requires(as->lock)
{
	u32 flags;
	int error = advise_flags(r, advice, &flags);

	if (error || flags == r->flags)
		return error;
	error = regions_cut(as, start, end);
	if (error)
		return error == -ENOMEM ? -EAGAIN : error;
	r = region_find(&as->regions, start);
	r->flags = flags;
	region_merge(r);
	return 0;
}

/* Frees private pages; object pages only lose their translations. */
static int advise_discard(struct address_space *as, struct region *r, vaddr_t start, vaddr_t end,
	s32 advice)
{
	if (r->flags & VM_DEVICE || (r->flags & VM_LOCKED && advice != MADV_DONTNEED_LOCKED))
		return -EINVAL;
	if (advice == MADV_FREE && (r->object || r->flags & VM_SHARED))
		return -EINVAL;
	/* MADV_FREE may free at once: the man page promises nothing about when. */
	return space_zap(as, start, (end - start) >> PAGE_SHIFT) ? -EAGAIN : 0;
}

/* Punches the file or the shared memory behind the range: as fallocate(PUNCH_HOLE). */
static int advise_remove(struct region *r, vaddr_t start, vaddr_t end)
{
	struct memory_object *o = r->object;

	if (r->flags & VM_LOCKED || !o || o->kind == MEMORY_DEVICE)
		return -EINVAL;
	if ((r->flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return -EACCES;
	if (o->evictable) /* a file system's own work */
		return -EOPNOTSUPP;
	memory_object_drop_range(o, region_object_index(r, start), (end - start) >> PAGE_SHIFT);
	return 0;
}

static int advise_region(struct address_space *as, struct region *r, vaddr_t start, vaddr_t end,
	s32 advice) __requires(as->lock)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return advise_discard(as, r, start, end, advice);
	case MADV_REMOVE:
		return advise_remove(r, start, end);
	case MADV_COLD:
	case MADV_PAGEOUT:
		/* Nothing to swap to: only translations of file pages go, so that reclaim finds
		 * them idle. */
		if (r->flags & (VM_DEVICE | VM_LOCKED))
			return -EINVAL;
		if (r->object && r->object->evictable) {
			spin_lock(&as->page_lock);
			space_unmap_pages(as, start, (end - start) >> PAGE_SHIFT);
			spin_unlock(&as->page_lock);
		}
		return 0;
	default:
		return advise_set_flags(as, r, start, end, advice);
	}
}

/* Reads file pages of the range ahead; no lock over the I/O. */
static int advise_willneed(struct address_space *as, vaddr_t start, vaddr_t end)
{
	int result = 0;

	for (vaddr_t at = start; at < end;) {
		struct memory_object *o = nullptr;
		struct region *r;
		u64 index = 0, nr = 0;
		vaddr_t stop = end;

		space_lock_shared(&as->lock);
		r = region_find(&as->regions, at);
		if (!r || r->start > at) {
			result = -ENOMEM;
			stop = r ? MIN(r->start, end) : end;
		} else {
			stop = MIN(end, r->end);
			if (r->object && r->object->kind == MEMORY_FILE) {
				o = r->object;
				object_get(&o->obj);
				index = region_object_index(r, at);
				nr = (stop - at) >> PAGE_SHIFT;
			}
		}
		space_unlock_shared(&as->lock);
		if (o) {
			memory_object_read_ahead(o, index, nr);
			object_put(&o->obj);
		}
		at = stop;
	}
	return result;
}

static int advise_populate(struct address_space *as, vaddr_t start, vaddr_t end, bool write)
{
	for (vaddr_t va = start; va < end; va += PAGE_BYTES) {
		s32 signo, code;
		struct region *r;
		bool mapped, allowed;

		space_lock_shared(&as->lock);
		r = region_find(&as->regions, va);
		mapped = r && r->start <= va;
		allowed = mapped && !(r->flags & VM_DEVICE) &&
			  (write ? r->flags & VM_WRITE : r->flags & VM_ACCESS);
		space_unlock_shared(&as->lock);
		if (!mapped)
			return -ENOMEM;
		if (!allowed)
			return -EINVAL;
		if (space_fault(as, va, write ? TRAP_WRITE : TRAP_READ, &signo, &code))
			return signo == SIGBUS ? -EFAULT : -ENOMEM;
		if (task_kill_pending(current))
			return -EINTR;
	}
	return 0;
}

static bool advice_known(s32 advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_DONTNEED_LOCKED:
		return true;
	default: /* MERGEABLE, HUGEPAGE and friends: as a kernel built without KSM and THP */
		return false;
	}
}

int space_madvise(struct address_space *as, vaddr_t addr, size_t bytes, s32 advice)
{
	size_t size = ALIGN_UP(bytes, PAGE_BYTES);
	vaddr_t end = addr + size;
	int result = 0;

	if (!advice_known(advice) || addr & ~PAGE_MASK || (bytes && !size) || end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	if (end > USER_ADDR_END)
		return -ENOMEM;
	if (advice == MADV_WILLNEED)
		return advise_willneed(as, addr, end);
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		return advise_populate(as, addr, end, advice == MADV_POPULATE_WRITE);
	space_lock(&as->lock);
	for (vaddr_t at = addr; at < end;) {
		struct region *r = region_find(&as->regions, at);
		vaddr_t stop;
		int error;

		if (!r || r->start > at) { /* holes are told at the end, the rest is done */
			result = -ENOMEM;
			if (!r || r->start >= end)
				break;
			at = r->start;
		}
		stop = MIN(end, r->end);
		error = advise_region(as, r, at, stop, advice);
		if (error) {
			result = error;
			break;
		}
		at = stop;
	}
	space_unlock(&as->lock);
	return result;
}

/* --- msync --- */

/* The file that MS_SYNC writes for a region; the caller puts it. Null: nothing to write. */
static struct file *msync_file(const struct region *r, u32 flags)
{
	if (!(flags & MS_SYNC) || !r->file || !(r->flags & VM_SHARED) || !r->object ||
		(r->object->kind != MEMORY_FILE && r->object->kind != MEMORY_BLOCK))
		return nullptr;
	file_get(r->file);
	return r->file;
}

int space_msync(struct address_space *as, vaddr_t addr, size_t bytes, u32 flags)
{
	size_t size = ALIGN_UP(bytes, PAGE_BYTES);
	vaddr_t end = addr + size;
	int result = 0;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || addr & ~PAGE_MASK ||
		(flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	if (end < addr || end > USER_ADDR_END)
		return -ENOMEM;
	for (vaddr_t at = addr; at < end;) {
		struct file *file;
		struct region *r;
		vaddr_t stop;

		space_lock_shared(&as->lock);
		r = region_find(&as->regions, at);
		if (!r || r->start >= end) {
			space_unlock_shared(&as->lock);
			return -ENOMEM;
		}
		if (r->start > at)
			result = -ENOMEM;
		stop = MIN(end, r->end);
		if (flags & MS_INVALIDATE && r->flags & VM_LOCKED) {
			space_unlock_shared(&as->lock);
			return -EBUSY;
		}
		file = msync_file(r, flags);
		space_unlock_shared(&as->lock);
		if (file) {
			int error = file_sync(file, FILE_SYNC_DATA, 0, ~0ull);

			file_put(file);
			if (error)
				return error;
		}
		at = stop;
	}
	return result;
}

/* --- mlock --- */

static int lock_range(struct address_space *as, vaddr_t start, vaddr_t end, bool lock)
	__requires(as->lock)
{
	for (vaddr_t at = start; at < end;) {
		struct region *r = region_find(&as->regions, at);
		vaddr_t stop;

		if (!r || r->start > at)
			return -ENOMEM;
		stop = MIN(end, r->end);
		if (lock != !!(r->flags & VM_LOCKED) && !(r->flags & VM_DEVICE)) {
			if (regions_cut(as, at, stop))
				return -ENOMEM;
			r = region_find(&as->regions, at);
			space_account_region(as, r, -1);
			r->flags = lock ? r->flags | VM_LOCKED : r->flags & ~VM_LOCKED;
			space_account_region(as, r, 1);
			region_merge(r);
		}
		at = stop;
	}
	return 0;
}

static u64 not_locked_pages(struct address_space *as, vaddr_t start, vaddr_t end)
{
	u64 nr = 0;

	for (struct region *r = region_find(&as->regions, start); r && r->start < end;
		r = region_next(r))
		if (!(r->flags & VM_LOCKED))
			nr += (MIN(end, r->end) - MAX(start, r->start)) >> PAGE_SHIFT;
	return nr;
}

int space_mlock(struct address_space *as, vaddr_t addr, size_t bytes, u32 flags, bool lock)
{
	vaddr_t start = addr & PAGE_MASK, end = ALIGN_UP(addr + bytes, PAGE_BYTES);
	u64 limit = task_rlimit(current, RLIMIT_MEMLOCK);
	bool free_hand = context_capable(current->context, CAP_IPC_LOCK);
	int error = 0;

	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	if (lock && !free_hand && !limit)
		return -EPERM;
	if (end < start || addr + bytes < addr)
		return -EINVAL;
	if (end == start)
		return 0;
	if (end > USER_ADDR_END)
		return -ENOMEM;
	space_lock(&as->lock);
	if (lock && !free_hand && limit != RLIM_INFINITY &&
		(as->locked_pages + not_locked_pages(as, start, end)) << PAGE_SHIFT > limit)
		error = -ENOMEM;
	else
		error = lock_range(as, start, end, lock);
	space_unlock(&as->lock);
	if (!error && lock && !(flags & MLOCK_ONFAULT))
		error = space_populate_range(as, start, end);
	return error;
}

static void lock_all_regions(struct address_space *as, bool lock) __requires(as->lock)
{
	for (struct region *r = region_find(&as->regions, 0); r; r = region_next(r)) {
		if (r->flags & VM_DEVICE)
			continue;
		space_account_region(as, r, -1);
		r->flags = lock ? r->flags | VM_LOCKED : r->flags & ~VM_LOCKED;
		space_account_region(as, r, 1);
	}
}

/* Errors are ignored, as on Linux. */
static void populate_all(struct address_space *as)
{
	vaddr_t start, end = 0;

	for (;;) {
		struct region *r;

		space_lock(&as->lock);
		r = region_find(&as->regions, end);
		if (r) {
			start = r->start;
			end = r->end;
		}
		space_unlock(&as->lock);
		if (!r)
			return;
		space_populate_range(as, start, end);
	}
}

int space_mlockall(struct address_space *as, u32 flags)
{
	u64 limit = task_rlimit(current, RLIMIT_MEMLOCK);

	if (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (flags && !context_capable(current->context, CAP_IPC_LOCK)) {
		if (!limit)
			return -EPERM;
		if (flags & MCL_CURRENT && limit != RLIM_INFINITY &&
			as->total_pages << PAGE_SHIFT > limit)
			return -ENOMEM;
	}
	space_lock(&as->lock);
	as->lock_future = flags & MCL_FUTURE;
	if (!flags || flags & MCL_CURRENT)
		lock_all_regions(as, flags);
	space_unlock(&as->lock);
	if (flags & MCL_CURRENT && !(flags & MCL_ONFAULT))
		populate_all(as);
	return 0;
}

/* --- mincore --- */

static u8 page_resident(struct address_space *as, struct region *r, vaddr_t va)
{
	struct arch_pte_info info;
	bool here;

	spin_lock(&as->page_lock);
	here = anon_get(as->anon.root, vpn_of(va)).word || arch_query(&as->arch, va, &info);
	if (!here && r->object && r->object->kind != MEMORY_DEVICE)
		here = slot_kind_of(object_word(r->object, region_object_index(r, va))) ==
		       SLOT_RESIDENT;
	spin_unlock(&as->page_lock);
	return here;
}

int space_mincore(struct address_space *as, vaddr_t addr, size_t bytes, vaddr_t vec)
{
	size_t nr = (bytes >> PAGE_SHIFT) + ((bytes & (PAGE_BYTES - 1)) != 0);
	u8 part[128];

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!user_range_ok(addr, bytes))
		return -ENOMEM;
	if (!user_range_ok(vec, nr))
		return -EFAULT;
	for (size_t done = 0; done < nr;) {
		size_t n = MIN(nr - done, sizeof(part));

		space_lock_shared(&as->lock);
		for (size_t i = 0; i < n; i++) {
			vaddr_t va = addr + ((done + i) << PAGE_SHIFT);
			struct region *r = region_find(&as->regions, va);

			if (!r || r->start > va) {
				space_unlock_shared(&as->lock);
				return -ENOMEM;
			}
			part[i] = page_resident(as, r, va);
		}
		space_unlock_shared(&as->lock);
		if (ucopy_out(vec + done, part, n))
			return -EFAULT;
		done += n;
	}
	return 0;
}
