/*
 * Page faults. The fault looks at the region under space->lock; what can be done without waiting
 * for I/O is done there, otherwise the page is brought in with no lock held and the fault starts
 * again (the page is then found, or the region has changed). Theory in space.c.
 */
#include "space.h"

#define FAULT_AROUND_FILE      16u /* pages, aligned */
#define FAULT_AROUND_ANON      8u
#define FAULT_TRIES_MAX        64u
#define MEMORY_FOR_FAULT_BYTES 65536u

/* What a fault needs before it can go on: an object page, prepared for a write or not. */
struct fault {
	struct address_space *as;
	struct region *region;
	vaddr_t va; /* page aligned */
	u32 access;
	struct memory_object *want; /* a reference */
	u64 want_index;
	struct frame *have; /* a pinned page of `have_object` at have_index from the try before */
	struct memory_object *have_object;
	u64 have_index;
	bool have_prepared, major;
};

static void fault_drop_have(struct fault *f)
{
	if (f->have)
		frame_unpin(f->have);
	if (f->have_object)
		object_put(&f->have_object->obj);
	f->have = nullptr;
	f->have_object = nullptr;
	f->have_prepared = false;
}

/* Before a page becomes executable: instruction caches may hold what was there before. */
static void code_sync(struct frame *frame)
{
	void *p;

	if (frame_flags(frame) & FRAME_CODE)
		return;
	p = page_begin(frame);
	arch_sync_code((vaddr_t)p, PAGE_BYTES);
	page_end(frame, p);
	frame_flag_set(frame, FRAME_CODE);
}

/* --- private pages --- */

/* One translation; va had none, or one to the same frame. */
static int map_private(struct fault *f, vaddr_t va, struct frame *frame, bool writable)
	__requires(f->as->page_lock)
{
	return arch_map(&f->as->arch, va, frame_paddr(frame), 1,
		region_prot(f->region->flags, writable));
}

/* Translations to neighbours that are in the tree already: after fork a child gets its pages this
 * way. */
static void map_private_around(struct fault *f) __requires(f->as->page_lock)
{
	vaddr_t start = ALIGN_DOWN(f->va, FAULT_AROUND_ANON * PAGE_BYTES);
	vaddr_t end = MIN(start + FAULT_AROUND_ANON * PAGE_BYTES, f->region->end);

	for (vaddr_t va = MAX(start, f->region->start); va < end; va += PAGE_BYTES) {
		struct arch_pte_info info;
		struct anon_word w;

		if (va == f->va)
			continue;
		w = anon_get(f->as->anon.root, vpn_of(va));
		if (!w.word || arch_query(&f->as->arch, va, &info))
			continue;
		if (map_private(f, va, word_frame(w.word), false))
			return;
	}
}

/* Is the private page ours alone? (anon.c A2) */
static bool private_alone(struct anon_word w)
{
	return w.exclusive && atomic32_load_seq(&word_frame(w.word)->pins) == 1;
}

/* The new frame becomes the private page at va, whatever was mapped there before. Consumes the
 * caller's pin on success. */
static int private_install(struct fault *f, struct frame *frame) __requires(f->as->page_lock)
{
	u64 vpn = vpn_of(f->va), old;
	u64 *slot = anon_own(&f->as->anon.root, vpn);
	struct arch_pte_info info;

	if (!slot)
		return -ENOMEM;
	if (arch_query(&f->as->arch, f->va, &info))
		space_unmap_pages(f->as, f->va, 1);
	if (f->region->flags & VM_EXEC)
		code_sync(frame);
	old = *slot;
	*slot = frame_word(frame);
	mm_count(&mm_counters.anon, 1);
	if (old) {
		anon_word_put(old);
	} else {
		anon_used(&f->as->anon.root, vpn, 1);
		rss_count(&f->as->rss_anon, 1);
	}
	/* Without a table the page stays in the tree and the access faults once more. */
	return map_private(f, f->va, frame, true);
}

/* The first private page at va; -EAGAIN: another thread was faster. */
static int private_first(struct fault *f, struct frame *frame)
{
	int r = -EAGAIN;

	spin_lock(&f->as->page_lock);
	if (likely(!anon_get(f->as->anon.root, vpn_of(f->va)).word))
		r = private_install(f, frame);
	spin_unlock(&f->as->page_lock);
	return r;
}

/* The private page exists. */
static int fault_private_present(struct fault *f, struct anon_word w)
{
	bool write = f->access & TRAP_WRITE, around;
	struct arch_pte_info info;
	struct frame *copy;
	void *from, *to;
	int r;

	spin_lock(&f->as->page_lock);
	w = anon_get(f->as->anon.root, vpn_of(f->va));
	around = !arch_query(&f->as->arch, f->va, &info);
	if (!w.word || (!around && info.writable)) {
		spin_unlock(&f->as->page_lock);
		return w.word ? 0 : -EAGAIN; /* served by another thread; or gone with the end of
						the file below */
	}
	if (!write || private_alone(w)) {
		r = map_private(f, f->va, word_frame(w.word), private_alone(w));
		if (!r && around)
			map_private_around(f);
		spin_unlock(&f->as->page_lock);
		return r;
	}
	spin_unlock(&f->as->page_lock);
	copy = frame_alloc(0, 0, f->as->obj.account);
	if (!copy)
		return -ENOMEM;
	spin_lock(&f->as->page_lock);
	w = anon_get(f->as->anon.root, vpn_of(f->va));
	if (!w.word || private_alone(w) ||
		(arch_query(&f->as->arch, f->va, &info) && info.writable)) {
		r = -EAGAIN; /* another thread was here meanwhile, and may be writing to its copy:
				look again */
	} else {
		from = page_begin(word_frame(w.word));
		to = page_begin(copy);
		memcpy(to, from, PAGE_BYTES);
		page_end(copy, to);
		page_end(word_frame(w.word), from);
		r = private_install(f, copy);
		if (!r && around)
			map_private_around(f);
	}
	spin_unlock(&f->as->page_lock);
	if (r)
		frame_unpin(copy);
	return r;
}

static int fault_anonymous(struct fault *f)
{
	struct anon_word w;
	struct frame *frame;
	int r;

	spin_lock(&f->as->page_lock);
	w = anon_get(f->as->anon.root, vpn_of(f->va));
	if (!w.word && !(f->access & TRAP_WRITE)) {
		r = map_private(f, f->va, mm_zero_frame, false);
		spin_unlock(&f->as->page_lock);
		return r;
	}
	spin_unlock(&f->as->page_lock);
	if (w.word)
		return fault_private_present(f, w);
	frame = frame_alloc(0, FRAME_ALLOC_ZERO, f->as->obj.account);
	if (!frame)
		return -ENOMEM;
	r = private_first(f, frame);
	if (r)
		frame_unpin(frame);
	return r;
}

/* --- object pages --- */

/* P1, O3: counted first, then the word is looked at again. -EAGAIN: the page has left the object.
 */
static int map_object_page(struct fault *f, vaddr_t va, struct memory_object *o, u64 index,
	struct frame *frame, bool writable) __requires(f->as->page_lock)
{
	struct arch_pte_info info;
	bool counted = false;
	int r;

	if (f->region->flags & VM_EXEC)
		code_sync(frame);
	if (arch_query(&f->as->arch, va, &info)) {
		if (info.paddr != frame_paddr(frame))
			space_unmap_pages(f->as, va, 1);
		else
			counted = true;
	}
	if (!counted && atomic32_fetch_add(&frame->mapcount, 1) == 0)
		mm_count(&mm_counters.mapped, 1);
	if (unlikely(object_word(o, index) != frame_word(frame)))
		r = -EAGAIN;
	else
		r = arch_map(&f->as->arch, va, frame_paddr(frame), 1,
			region_prot(f->region->flags, writable));
	if (counted)
		return r;
	if (unlikely(r)) {
		if (atomic32_fetch_sub(&frame->mapcount, 1) == 1)
			mm_count(&mm_counters.mapped, -1);
		return r;
	}
	if (o->evictable)
		rss_count(&f->as->rss_file, 1);
	else
		rss_count(&f->as->rss_shmem, 1);
	return 0;
}

static void map_object_around(struct fault *f, struct memory_object *o) __requires(f->as->page_lock)
{
	struct region *r = f->region;
	vaddr_t start = MAX(ALIGN_DOWN(f->va, FAULT_AROUND_FILE * PAGE_BYTES), r->start);
	vaddr_t end = MIN(ALIGN_DOWN(f->va, FAULT_AROUND_FILE * PAGE_BYTES) +
				  FAULT_AROUND_FILE * PAGE_BYTES,
		r->end);
	u64 nr_pages = memory_object_pages(o);

	for (vaddr_t va = start; va < end; va += PAGE_BYTES) {
		u64 index = region_object_index(r, va), word;
		struct arch_pte_info info;
		struct frame *frame;

		if (index >= nr_pages)
			break;
		word = object_word(o, index);
		if (slot_kind_of(word) != SLOT_RESIDENT || va == f->va ||
			arch_query(&f->as->arch, va, &info))
			continue;
		frame = word_frame(word);
		if (!(frame_flags(frame) & FRAME_UPTODATE) ||
			(region_private(r) && anon_get(f->as->anon.root, vpn_of(va)).word))
			continue;
		/* the spinlock is a grace section: the frame may change hands but map_object_page
		 * notices */
		if (map_object_page(f, va, o, index, frame, r->flags & VM_SHARED && !o->evictable))
			break;
	}
}

/* The object page for this fault, pinned; -EAGAIN: f->want says what to bring in first. */
static int object_page(struct fault *f, struct memory_object *o, u64 index, bool prepared,
	struct frame **out)
{
	if (f->have && f->have_object == o && f->have_index == index &&
		(f->have_prepared || !prepared) && f->have->object == o) {
		frame_pin(f->have);
		*out = f->have;
		return 0;
	}
	if (!prepared) {
		*out = memory_page_try(o, index);
		if (*out)
			return 0;
	}
	object_get(&o->obj);
	f->want = o;
	f->want_index = index;
	return -EAGAIN;
}

static int fault_device(struct fault *f, struct memory_object *o, u64 index)
{
	paddr_t pa = o->device_base + (index << PAGE_SHIFT);
	int r;

	spin_lock(&f->as->page_lock);
	r = arch_map(&f->as->arch, f->va, pa, 1,
		(enum mmu_prot)(region_prot(f->region->flags, true) | o->device_prot));
	spin_unlock(&f->as->page_lock);
	return r;
}

/* First write to a private file page. */
static int fault_copy_object(struct fault *f, struct frame *page)
{
	struct frame *copy = frame_alloc(0, 0, f->as->obj.account);
	void *from, *to;
	int r;

	if (!copy)
		return -ENOMEM;
	from = page_begin(page);
	to = page_begin(copy);
	memcpy(to, from, PAGE_BYTES);
	page_end(copy, to);
	page_end(page, from);
	r = private_first(f, copy);
	if (r)
		frame_unpin(copy);
	return r;
}

/* The object's page itself: a read, or a write to a shared mapping. */
static int fault_map_object(struct fault *f, struct memory_object *o, u64 index, struct frame *page)
{
	bool write = f->access & TRAP_WRITE, shared = f->region->flags & VM_SHARED;
	bool writable = shared && (write || !o->evictable);
	int r;

	spin_lock(&f->as->page_lock);
	if (write)
		memory_page_mark_dirty(o, page);
	if (!shared && anon_get(f->as->anon.root, vpn_of(f->va)).word)
		r = -EAGAIN; /* another thread has made its private copy */
	else
		r = map_object_page(f, f->va, o, index, page, writable);
	if (!r && !write)
		map_object_around(f, o);
	spin_unlock(&f->as->page_lock);
	if (!r && write && o->inode && o->kind == MEMORY_FILE)
		inode_touch(o->inode, INODE_MTIME | INODE_CTIME);
	return r;
}

static int fault_object(struct fault *f)
{
	struct region *region = f->region;
	struct memory_object *o = region->object;
	u64 index = region_object_index(region, f->va);
	bool write = f->access & TRAP_WRITE, shared = region->flags & VM_SHARED;
	struct anon_word w = {};
	struct frame *page;
	int r;

	if (o->kind == MEMORY_DEVICE)
		return index < memory_object_pages(o) ? fault_device(f, o, index) : -ENXIO;
	if (index >= memory_object_pages(o))
		return -ENXIO;
	if (!shared) {
		spin_lock(&f->as->page_lock);
		w = anon_get(f->as->anon.root, vpn_of(f->va));
		spin_unlock(&f->as->page_lock);
		if (w.word)
			return fault_private_present(f, w);
	}
	r = object_page(f, o, index, write && shared && o->evictable, &page);
	if (r)
		return r;
	if (write && !shared)
		r = fault_copy_object(f, page);
	else
		r = fault_map_object(f, o, index, page);
	frame_unpin(page);
	return r;
}

/* --- the fault --- */

bool region_grow(struct region *r, vaddr_t addr)
{
	struct address_space *as = r->space;
	struct region *prev = region_prev(r);
	vaddr_t start = addr & PAGE_MASK;
	u64 pages;

	if (!(r->flags & VM_GROWSDOWN) || start < USER_ADDR_MIN)
		return false;
	if (r->end - start > task_rlimit(current, RLIMIT_STACK))
		return false;
	if (prev && prev->end > start)
		return false;
	if (prev && prev->flags & VM_ACCESS && !(prev->flags & VM_GROWSDOWN) &&
		start - prev->end < STACK_GUARD_BYTES)
		return false;
	pages = (r->start - start) >> PAGE_SHIFT;
	if (space_may_expand(as, pages, r->flags))
		return false;
	space_account_region(as, r, -1);
	region_set_bounds(r, start, r->end);
	space_account_region(as, r, 1);
	return true;
}

static bool access_allowed(u32 vm_flags, u32 access)
{
	if (access & TRAP_WRITE)
		return vm_flags & VM_WRITE;
	if (access & TRAP_EXEC)
		return vm_flags & VM_EXEC;
	return vm_flags & VM_ACCESS;
}

/* 0, -EAGAIN (f->want: bring it in; none: look again), -EFAULT no region, -EACCES, -ENXIO behind
 * the end, -ENOMEM. */
static int fault_locked(struct fault *f, vaddr_t addr, bool force)
	TSA(requires_shared_capability(f->as->lock))
{
	struct region *r = space_find(f->as, addr);

	if (!r || addr < r->start)
		return -EFAULT;
	f->region = r;
	if (!access_allowed(r->flags, f->access) &&
		!(force && (region_private(r) || !(f->access & TRAP_WRITE))))
		return -EACCES;
	f->va = addr & PAGE_MASK;
	return r->object ? fault_object(f) : fault_anonymous(f);
}

/* A stack region above addr comes down to it; false: there is none, or it may not. */
static bool fault_grow(struct address_space *as, vaddr_t addr)
{
	struct region *r;
	bool ok;

	space_lock(&as->lock);
	r = space_find(as, addr);
	ok = r && (addr >= r->start || region_grow(r, addr));
	space_unlock(&as->lock);
	return ok;
}

/* With no lock held. */
static int fault_bring(struct fault *f, bool write)
{
	int r;

	fault_drop_have(f);
	f->have_object = f->want;
	f->have_index = f->want_index;
	f->want = nullptr;
	f->major = f->have_object->evictable;
	r = memory_page_get(f->have_object, f->have_index, write, &f->have);
	f->have_prepared = write && !r;
	if (r)
		f->have = nullptr;
	return r == -ENOMEM ? -ENOMEM : r ? -EIO : 0;
}

static int fault_run(struct address_space *as, vaddr_t addr, u32 access, bool force)
{
	struct fault f = {.as = as, .access = access};
	int r = -EFAULT;

	for (u32 i = 0; i < FAULT_TRIES_MAX; i++) {
		bool write;

		space_lock_shared(&f.as->lock);
		r = fault_locked(&f, addr, force);
		write = f.access & TRAP_WRITE && f.region && f.region->flags & VM_SHARED;
		space_unlock_shared(&f.as->lock);
		if (r == -EFAULT && fault_grow(as, addr))
			continue;
		if (r == -ENOMEM && !mm_reclaim_for(MEMORY_FOR_FAULT_BYTES) &&
			!task_kill_pending(current))
			continue;
		if (r != -EAGAIN)
			break;
		if (f.want) {
			r = fault_bring(&f, write);
			if (r)
				break;
		}
		if (task_kill_pending(current)) {
			r = -EINTR;
			break;
		}
	}
	fault_drop_have(&f);
	space_rss(as);
	if (!r && as == current->space) {
		if (f.major)
			usage_count(&current->usage.major_faults, 1);
		else
			usage_count(&current->usage.minor_faults, 1);
	}
	return r;
}

int space_fault(struct address_space *as, vaddr_t addr, u32 trap_access, s32 *signo, s32 *code)
{
	int r;

	if (addr >= USER_ADDR_END) {
		*signo = SIGSEGV;
		*code = 1;
		return -EFAULT;
	}
	r = fault_run(as, addr, trap_access, false);
	switch (r) {
	case 0:
	case -EINTR: /* killed meanwhile: the signal is waiting */
		return 0;
	case -EACCES:
		*signo = SIGSEGV;
		*code = 2; /* SEGV_ACCERR */
		break;
	case -ENXIO:
	case -EIO:
		*signo = SIGBUS;
		*code = 2; /* BUS_ADRERR */
		break;
	case -ENOMEM:
		*signo = SIGKILL;
		*code = SI_KERNEL;
		break;
	default:
		*signo = SIGSEGV;
		*code = 1; /* SEGV_MAPERR */
	}
	return -EFAULT;
}

static bool translation_serves(struct address_space *as, vaddr_t va, bool write)
{
	struct arch_pte_info info;
	bool ok;

	spin_lock(&as->page_lock);
	ok = arch_query(&as->arch, va, &info) && info.user && info.present &&
	     (info.writable || !write);
	spin_unlock(&as->page_lock);
	return ok;
}

int space_populate(struct address_space *as, vaddr_t addr, size_t bytes, bool write)
{
	s32 signo, code;

	if (!user_range_ok(addr, bytes))
		return -EFAULT;
	if (!bytes)
		return 0;
	for (vaddr_t va = addr & PAGE_MASK; va < addr + bytes; va += PAGE_BYTES) {
		/* A translation without any right (PROT_NONE) is not readable; the fault finds out.
		 */
		if (write && translation_serves(as, va, true))
			continue;
		if (space_fault(as, va, write ? TRAP_WRITE : TRAP_READ, &signo, &code))
			return -EFAULT;
		if (task_kill_pending(current))
			return -EFAULT;
	}
	return 0;
}

/* MAP_POPULATE, mlock: as far as it goes. */
int space_populate_range(struct address_space *as, vaddr_t start, vaddr_t end)
{
	for (vaddr_t va = start; va < end; va += PAGE_BYTES) {
		struct region *r;
		u32 flags = 0;
		int error;

		space_lock_shared(&as->lock);
		r = space_find(as, va);
		if (r && va >= r->start)
			flags = r->flags;
		space_unlock_shared(&as->lock);
		if (!flags)
			return -ENOMEM;
		if (!(flags & VM_ACCESS))
			continue;
		error = fault_run(as, va,
			flags & VM_WRITE && (!(flags & VM_SHARED)) ? TRAP_WRITE : TRAP_READ, false);
		if (error)
			return error == -EINTR ? -EINTR : -ENOMEM;
	}
	return 0;
}

/* --- other tasks' memory --- */

static struct frame *frame_at(struct address_space *as, vaddr_t va, bool write)
{
	struct arch_pte_info info;
	struct frame *f = nullptr;

	spin_lock(&as->page_lock);
	if (arch_query(&as->arch, va, &info)) {
		struct region *r = region_find(&as->regions, va);
		struct anon_word w = anon_get(as->anon.root, vpn_of(va));
		bool own = w.word && private_alone(w);

		f = frame_of(info.paddr);
		if (write && !info.writable && !own)
			f = nullptr;
		if (!r || (r->object && r->object->kind == MEMORY_DEVICE))
			f = nullptr;
		if (f)
			frame_pin(f);
	}
	spin_unlock(&as->page_lock);
	return f;
}

int space_page_get(struct address_space *as, vaddr_t addr, bool write, bool force,
	struct frame **out)
{
	if (!user_range_ok(addr, 1))
		return -EFAULT;
	for (u32 i = 0; i < 8; i++) {
		int r;

		*out = frame_at(as, addr & PAGE_MASK, write);
		if (*out)
			return 0;
		r = fault_run(as, addr, write ? TRAP_WRITE : TRAP_READ, force);
		if (r)
			return r == -ENOMEM ? -ENOMEM : -EFAULT;
	}
	return -EFAULT;
}
