/*
 * Address spaces.
 *
 * Purpose: what a task can reach. Vocabulary: region: a range with one set of rights and one
 * backing (a VMA); private page: a page that only this space (and its fork relatives) sees,
 * recorded in space->anon by virtual page number; shared page: one of a memory object; resident
 * set: private pages in the tree plus translations to object pages.
 *
 * Objects and lifetimes: `users` counts tasks: the last one unmaps everything; references keep the
 * struct and the page tables (readers in /proc). A region holds its object and file.
 *
 * Invariants: P1 a translation to an object page is counted in its mapcount; one to a private page
 * or the zero page is counted nowhere. P2 a writable translation is to a private page that is ours
 * alone (anon.c A2), or to an object page of a shared writable region that is dirty, or to shared
 * memory. P3 a word leaves a tree only after its translations have been removed and flushed. P4
 * region borders are page aligned; neighbours that differ in nothing are one region.
 *
 * Locks: space->lock: regions, shared by faults (core/space_lock.h). It is not held over I/O: a
 * fault that must wait lets go, waits, and looks again. space->page_lock: page tables, private
 * tree, resident counts. Order: lock, object->mapper_lock, page_lock, object lock.
 *
 * Failure: -ENOMEM with everything as it was, munmap of a shared private node excepted (it says so
 * and may be repeated).
 *
 * Replacement: core. Cost: docs/baseline: fork write-protects and shares one root, exit frees what
 * is its own.
 */
#include "space.h"

struct frame *mm_zero_frame;

void mm_spaces_init(void)
{
	regions_boot_init();
	mm_zero_frame = frame_alloc(0, FRAME_ALLOC_ZERO | FRAME_ALLOC_ATOMIC, nullptr);
	if (!mm_zero_frame)
		panic("no memory for the zero page");
	frame_flag_set(mm_zero_frame, FRAME_RESERVED);
}

struct address_space *space_create(void)
{
	struct address_space *as = kzalloc(sizeof(*as));

	if (!as)
		return nullptr;
	if (arch_space_init(&as->arch)) {
		kfree(as);
		return nullptr;
	}
	object_init(&as->obj, OBJECT_SPACE, LOCK_LEVEL_NODE, &account_root);
	space_lock_init(&as->lock);
	spin_init(&as->page_lock, LOCK_LEVEL_SPACE);
	refcount_set(&as->users, 1);
	as->mmap_base = USER_ADDR_END - (128ul << 20);
	return as;
}

void space_get(struct address_space *as)
{
	refcount_inc(&as->users);
}

/* Nobody runs here any more; only reclaim and truncation may still come through the mappers. */
static void space_empty(struct address_space *as)
{
	struct unmap u = {.kind = UNMAP_SPACE, .space = as};
	struct region *r, *next;
	struct slot_node *anon;

	space_lock(&as->lock);
	spin_lock(&as->page_lock);
	for (r = region_find(&as->regions, 0); r; r = region_next(r))
		arch_unmap(&as->arch, r->start, region_pages(r), &u);
	arch_flush(&as->arch, 0, USER_ADDR_END >> PAGE_SHIFT);
	anon = as->anon.root;
	as->anon.root = nullptr;
	WRITE_ONCE(as->rss_anon, 0);
	spin_unlock(&as->page_lock);
	anon_drop(anon);
	for (r = region_find(&as->regions, 0); r; r = next) {
		next = region_next(r);
		region_detach(r);
	}
	space_unlock(&as->lock);
}

void space_put(struct address_space *as)
{
	if (!refcount_dec_and_test(&as->users))
		return;
	if (this_cpu()->space == &as->arch) /* a kernel thread kept it; we are not in it */
		sched_switch_space();
	space_empty(as);
	if (as->exe) {
		inode_allow_write(as->exe->inode);
		file_put(as->exe);
	}
	as->exe = nullptr;
	object_put(&as->obj);
}

void object_release_space(struct object *obj)
{
	struct address_space *as = container_of(obj, struct address_space, obj);

	arch_space_destroy(&as->arch);
	object_free(obj);
}

struct region *space_find(struct address_space *as, vaddr_t addr)
{
	struct region *r = READ_ONCE(as->last_region); /* a hint; regions do not go while the lock
							  is held, shared or not */

	if (r && addr >= r->start && addr < r->end)
		return r;
	r = region_find(&as->regions, addr);
	if (r)
		WRITE_ONCE(as->last_region, r);
	return r;
}

/* --- fork --- */

static void copy_fields(struct address_space *to, const struct address_space *from)
{
	to->mmap_base = from->mmap_base;
	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->stack_start = from->stack_start;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->data_start = from->data_start;
	to->data_end = from->data_end;
	to->vdso = from->vdso;
	to->randomize = from->randomize;
	memcpy(to->auxv, from->auxv, sizeof(to->auxv));
	to->exe = from->exe;
	if (to->exe) {
		inode_deny_write(to->exe->inode); /* denied already by `from`: only counts */
		file_get(to->exe);
	}
}

static struct region *region_clone(struct address_space *to, const struct region *r)
{
	/* mlock(2): memory locks are not inherited. */
	struct region *copy = region_new(to, r->start, r->end, r->flags & ~VM_LOCKED);

	if (!copy)
		return nullptr;
	copy->object = r->object;
	copy->object_page = r->object_page;
	copy->file = r->file;
	copy->name = r->name;
	return copy;
}

/* Which private pages the child does not get. */
static int fork_clear(struct address_space *to, const struct region *r)
{
	s64 gone = anon_clear(&to->anon.root, vpn_of(r->start), vpn_of(r->end) - 1);

	if (gone < 0)
		return -ENOMEM;
	rss_count(&to->rss_anon, -gone);
	return 0;
}

static int fork_regions(struct address_space *to, struct address_space *from) __requires(to->lock)
{
	for (struct region *r = region_find(&from->regions, 0); r; r = region_next(r)) {
		struct region *copy;

		if (r->flags & (VM_DONTFORK | VM_WIPEONFORK) && fork_clear(to, r))
			return -ENOMEM;
		if (r->flags & VM_DONTFORK)
			continue;
		copy = region_clone(to, r);
		if (!copy)
			return -ENOMEM;
		region_attach(copy);
	}
	return 0;
}

/* The trees become one family; write rights to private pages go (anon.c A3). The child's
 * translations come by its faults. */
static void fork_pages(struct address_space *to, struct address_space *from)
{
	bool any = false;

	spin_lock(&from->page_lock);
	for (struct region *r = region_find(&from->regions, 0); r; r = region_next(r)) {
		if (!region_private(r) || !(r->flags & VM_WRITE))
			continue;
		arch_protect(&from->arch, r->start, region_pages(r), region_prot(r->flags, false));
		any = true;
	}
	if (any)
		arch_flush(&from->arch, 0, USER_ADDR_END >> PAGE_SHIFT);
	to->anon.root = anon_share(from->anon.root);
	to->rss_anon = from->rss_anon;
	spin_unlock(&from->page_lock);
}

struct address_space *space_fork(struct address_space *from, int *error)
{
	struct address_space *to = space_create();

	*error = -ENOMEM;
	if (!to)
		return nullptr;
	space_lock(&from->lock);
	copy_fields(to, from);
	fork_pages(to, from);
	space_lock(&to->lock);
	*error = fork_regions(to, from);
	space_unlock(&to->lock);
	space_unlock(&from->lock);
	space_rss(to);
	if (*error) {
		space_put(to);
		return nullptr;
	}
	return to;
}

/* --- futex words --- */

int space_futex_key(struct address_space *as, vaddr_t addr, bool shared, struct futex_key *out)
{
	struct region *r;
	int error = 0;

	if (!user_range_ok(addr, sizeof(u32)))
		return -EFAULT;
	*out = (struct futex_key){.a = as, .b = addr};
	if (!shared)
		return 0;
	space_lock_shared(&as->lock);
	r = space_find(as, addr);
	if (!r || addr < r->start) {
		error = -EFAULT;
	} else if (r->object && r->flags & VM_SHARED) {
		object_get(&r->object->obj);
		*out = (struct futex_key){r->object,
			r->object_page * PAGE_BYTES + (addr - r->start), true};
	}
	space_unlock_shared(&as->lock);
	return error;
}

void futex_key_put(struct futex_key *k)
{
	if (k->shared)
		object_put(&((struct memory_object *)k->a)->obj);
	k->shared = false;
}
