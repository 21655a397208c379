/* Regions: creation, splitting, merging, removal. The space's mutex is held; start and end change
 * under the page lock too, and a mapper changes under its object's mapper lock, because reclaim and
 * truncation read them there. Theory in space.c. */
#include "space.h"

static struct slab_cache *region_cache;

void regions_boot_init(void)
{
	region_cache = slab_create("region", sizeof(struct region), sizeof(word_t));
}

struct region *region_new(struct address_space *as, vaddr_t start, vaddr_t end, u32 flags)
{
	struct region *r = slab_zalloc(region_cache);

	if (!r)
		return nullptr;
	r->space = as;
	r->start = start;
	r->end = end;
	r->flags = flags;
	list_init(&r->mapper.link);
	return r;
}

static void mapper_fill(struct region *r)
{
	r->mapper.kind = MAPPER_SPACE;
	r->mapper.space = r->space;
	r->mapper.base = r->start;
	r->mapper.first_page = r->object_page;
	r->mapper.nr_pages = region_pages(r);
}

void space_account_region(struct address_space *as, const struct region *r, s64 sign)
{
	u64 pages = region_pages(r) * (u64)sign;

	as->total_pages += pages;
	if (r->flags & VM_LOCKED)
		as->locked_pages += pages;
	if (r->flags & VM_STACK)
		as->stack_pages += pages;
	else if (r->flags & VM_EXEC && !(r->flags & VM_WRITE))
		as->exec_pages += pages;
	else if (r->flags & VM_WRITE && region_private(r))
		as->data_pages += pages;
	if (region_private(r) && r->flags & VM_WRITE && !(r->flags & VM_NORESERVE))
		mm_count(&mm_counters.committed, (sword_t)pages);
}

static bool shared_writable(const struct region *r)
{
	return r->object && r->flags & VM_SHARED && r->flags & VM_MAYWRITE;
}

/* References and the tree, without merging. */
static void region_link(struct region *r)
{
	struct address_space *as = r->space;

	if (r->object) {
		object_get(&r->object->obj);
		if (shared_writable(r))
			atomic32_fetch_add(&r->object->nr_writable, 1);
		mapper_fill(r);
		mapper_add(r->object, &r->mapper);
	}
	if (r->file)
		file_get(r->file);
	region_insert(&as->regions, r);
	as->nr_regions++;
	space_account_region(as, r, 1);
}

struct region *region_attach(struct region *r)
{
	region_link(r);
	return region_merge(r);
}

/* Drops what the region holds and the region itself. */
static void region_free(struct region *r)
{
	if (r->object) {
		if (shared_writable(r))
			atomic32_fetch_sub(&r->object->nr_writable, 1);
		mapper_remove(r->object, &r->mapper);
		object_put(&r->object->obj);
	}
	if (r->file)
		file_put(r->file);
	slab_free(region_cache, r);
}

void region_detach(struct region *r)
{
	struct address_space *as = r->space;

	space_account_region(as, r, -1);
	region_remove(&as->regions, r);
	as->nr_regions--;
	if (as->last_region == r)
		as->last_region = nullptr;
	region_free(r);
}

/* WHY no analysis: the mapper lock is taken only for regions of objects. */
void region_set_bounds(struct region *r, vaddr_t start, vaddr_t end) __no_lock_analysis
{
	struct memory_object *o = r->object;

	if (o)
		spin_lock(&o->mapper_lock);
	spin_lock(&r->space->page_lock);
	if (o) {
		/* unsigned wrap-around is right for both directions */
		r->object_page += (u64)(((sword_t)start - (sword_t)r->start) >> PAGE_SHIFT);
		r->mapper.first_page = r->object_page;
		r->mapper.base = start;
		r->mapper.nr_pages = (end - start) >> PAGE_SHIFT;
	}
	r->start = start;
	r->end = end;
	spin_unlock(&r->space->page_lock);
	if (o)
		spin_unlock(&o->mapper_lock);
	region_resized(r);
}

struct region *region_split(struct region *r, vaddr_t at)
{
	struct address_space *as = r->space;
	struct region *upper = region_new(as, at, r->end, r->flags);

	if (!upper)
		return nullptr;
	upper->object = r->object;
	upper->file = r->file;
	upper->name = r->name;
	upper->object_page = r->object ? region_object_index(r, at) : 0;
	space_account_region(as, r, -1);
	region_set_bounds(r, r->start, at);
	space_account_region(as, r, 1);
	region_link(upper);
	return upper;
}

int regions_cut(struct address_space *as, vaddr_t start, vaddr_t end)
{
	struct region *r = region_find(&as->regions, start);

	if (r && r->start < start) {
		if (as->nr_regions >= REGIONS_MAX || !region_split(r, start))
			return -ENOMEM;
	}
	r = region_find(&as->regions, end - 1);
	if (r && r->start < end && r->end > end) {
		if (as->nr_regions >= REGIONS_MAX || !region_split(r, end))
			return -ENOMEM;
	}
	return 0;
}

static bool mergeable(const struct region *a, const struct region *b)
{
	return a && b && a->end == b->start && a->flags == b->flags && a->object == b->object &&
	       a->file == b->file && a->name == b->name &&
	       (!a->object || a->object_page + region_pages(a) == b->object_page) &&
	       !(a->flags & VM_GROWSDOWN) && (!a->object || a->object->kind != MEMORY_DEVICE);
}

/* a takes in b. */
static struct region *join(struct region *a, struct region *b)
{
	vaddr_t end = b->end;
	struct address_space *as = a->space;

	space_account_region(as, a, -1);
	region_detach(b);
	region_set_bounds(a, a->start, end);
	space_account_region(as, a, 1);
	return a;
}

struct region *region_merge(struct region *r)
{
	struct region *prev = region_prev(r), *next = region_next(r);

	if (mergeable(r, next))
		r = join(r, next);
	if (mergeable(prev, r))
		r = join(prev, r);
	return r;
}

int space_unmap_locked(struct address_space *as, vaddr_t start, vaddr_t end)
{
	struct region *r = region_find(&as->regions, start), *next;
	int error;

	if (!r || r->start >= end)
		return 0;
	error = regions_cut(as, start, end);
	if (error)
		return error;
	error = space_zap(as, start, (end - start) >> PAGE_SHIFT);
	if (error)
		return error;
	for (r = region_find(&as->regions, start); r && r->start < end; r = next) {
		next = region_next(r);
		region_detach(r);
	}
	spin_lock(&as->page_lock);
	r = region_find(&as->regions, start);
	/* Tables are shared with the neighbours: only what lies between them can be empty. */
	if (end - start >= 512 * PAGE_BYTES)
		arch_prune(&as->arch, start, end);
	spin_unlock(&as->page_lock);
	return 0;
}

int space_may_expand(struct address_space *as, u64 pages, u32 flags)
{
	u64 bytes = pages << PAGE_SHIFT;
	struct task *t = current;

	if ((as->total_pages << PAGE_SHIFT) + bytes > task_rlimit(t, RLIMIT_AS) &&
		task_rlimit(t, RLIMIT_AS) != RLIM_INFINITY)
		return -ENOMEM;
	if (flags & VM_WRITE && !(flags & (VM_SHARED | VM_STACK)) &&
		task_rlimit(t, RLIMIT_DATA) != RLIM_INFINITY &&
		(as->data_pages << PAGE_SHIFT) + bytes > task_rlimit(t, RLIMIT_DATA))
		return -ENOMEM;
	if (flags & VM_LOCKED && !context_capable(t->context, CAP_IPC_LOCK) &&
		task_rlimit(t, RLIMIT_MEMLOCK) != RLIM_INFINITY &&
		(as->locked_pages << PAGE_SHIFT) + bytes > task_rlimit(t, RLIMIT_MEMLOCK))
		return -EAGAIN;
	/* Heuristic overcommit: only what can never be had is refused (vm.overcommit_memory 0). */
	if (flags & VM_WRITE && !(flags & (VM_SHARED | VM_NORESERVE)) &&
		pages > mm_zone.total_frames)
		return -ENOMEM;
	return 0;
}
