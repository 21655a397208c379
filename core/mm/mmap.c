/* mmap, munmap, mprotect, brk: argument checks as mmap(2), mprotect(2), brk(2) and Linux 6.12 order
 * them. Theory in space.c. */
#include "space.h"
#include <core/slots.h>
#include <kabi/node.h>

#define CAP_SYS_RAWIO     17
#define READ_IMPLIES_EXEC 0x0400000u /* personality(2) */
#define MAP_KNOWN                                                                                  \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE |   \
		MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |             \
		MAP_HUGETLB | 0x40u /* x86: MAP_32BIT */)
#define ADDR_32BIT_END 0x80000000ul

static u32 prot_to_vm(u32 prot)
{
	return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
	       (prot & PROT_EXEC ? VM_EXEC : 0);
}

/* --- where --- */

static bool range_free(struct address_space *as, vaddr_t addr, size_t bytes)
{
	struct region *r = region_find(&as->regions, addr);
	vaddr_t limit = r ? r->start : USER_ADDR_END;

	if (r && r->flags & VM_GROWSDOWN && limit > STACK_GUARD_BYTES)
		limit -= STACK_GUARD_BYTES;
	return addr + bytes <= limit;
}

/* Top down from mmap_base, else anywhere above it. */
static vaddr_t find_gap(struct address_space *as, size_t bytes, u32 flags)
{
	vaddr_t at;

	if (flags & 0x40u && !(flags & MAP_FIXED))
		return region_gap_above(&as->regions, ADDR_32BIT_END / 2, ADDR_32BIT_END, bytes,
			PAGE_BYTES);
	at = region_gap_below(&as->regions, USER_ADDR_MIN, as->mmap_base, bytes, PAGE_BYTES);
	return at ? at
		  : region_gap_above(&as->regions, as->mmap_base, USER_ADDR_END, bytes, PAGE_BYTES);
}

/* Address for a new mapping, or -errno. */
static sword_t place(struct address_space *as, const struct mmap_args *a, size_t bytes)
	__requires(as->lock)
{
	vaddr_t addr = a->addr, at;

	if (bytes > USER_ADDR_END)
		return -ENOMEM;
	if (a->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (addr > USER_ADDR_END - bytes)
			return -ENOMEM;
		if (addr & ~PAGE_MASK)
			return -EINVAL;
		if (addr < USER_ADDR_MIN && !context_capable(current->context, CAP_SYS_RAWIO))
			return -EPERM;
		if (a->flags & MAP_FIXED_NOREPLACE) {
			struct region *r = region_find(&as->regions, addr);

			if (r && r->start < addr + bytes)
				return -EEXIST;
		}
		return (sword_t)addr;
	}
	addr = ALIGN_UP(addr, PAGE_BYTES);
	if (addr && addr < USER_ADDR_MIN)
		addr = USER_ADDR_MIN;
	if (addr && addr <= USER_ADDR_END - bytes && range_free(as, addr, bytes))
		return (sword_t)addr;
	at = find_gap(as, bytes, a->flags);
	return at ? (sword_t)at : -ENOMEM;
}

/* --- what --- */

struct mapping {
	u32 vm_flags;
	struct mmap_reply reply; /* object referenced */
	struct file *file;
};

/* Rights of a file mapping: mmap(2) EACCES, EPERM. */
static int file_flags(const struct mmap_args *a, struct mapping *m)
{
	struct file *f = a->file;
	bool shared = (a->flags & MAP_TYPE) != MAP_PRIVATE;

	if (shared && a->prot & PROT_WRITE && !file_writable(f))
		return -EACCES;
	if (!file_readable(f))
		return -EACCES;
	if (f->path.mount && f->path.mount->flags & MNT_NOEXEC) {
		if (a->prot & PROT_EXEC)
			return -EPERM;
		m->vm_flags &= ~VM_MAYEXEC;
	}
	if (shared) {
		m->vm_flags |= VM_SHARED;
		if (!file_writable(f))
			m->vm_flags &= ~VM_MAYWRITE;
	}
	return 0;
}

/* Asks the node for its object. Context: no lock. */
static int file_object(struct file *f, struct mapping *m)
{
	struct call *c = kmalloc(sizeof(*c));
	answer_t a;

	if (!c)
		return -ENOMEM;
	call_begin(c, CALLF_KERNEL);
	a = call_run(c, node_mmap(f->slot, c, f, &m->reply));
	call_end(c);
	kfree(c);
	return a < 0 ? (int)a : 0;
}

static int seals_allow(const struct mapping *m, u32 prot)
{
	const struct memory_object *o = m->reply.object;

	if (!o || !(m->vm_flags & VM_SHARED) || !(o->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)))
		return 0;
	return prot & PROT_WRITE ? -EPERM : 1; /* 1: never writable */
}

static int mapping_of_file(const struct mmap_args *a, struct mapping *m)
{
	int r = file_flags(a, m);

	if (r)
		return r;
	r = file_object(a->file, m);
	if (r)
		return r;
	if (m->reply.zero_fill) { /* /dev/zero: anonymous memory */
		if (m->vm_flags & VM_SHARED && !m->reply.object)
			m->reply.object = memory_object_create(MEMORY_SHMEM,
				ALIGN_UP(a->bytes, PAGE_BYTES), &account_root);
		if (m->vm_flags & VM_SHARED && !m->reply.object)
			return -ENOMEM;
	} else if (!m->reply.object) {
		return -ENODEV;
	}
	if (m->reply.private_only && m->vm_flags & VM_SHARED)
		return -EINVAL;
	if (m->reply.object && m->reply.object->kind == MEMORY_DEVICE)
		m->vm_flags |= VM_DEVICE | VM_DONTDUMP;
	r = seals_allow(m, a->prot);
	if (r < 0)
		return r;
	if (r)
		m->vm_flags &= ~VM_MAYWRITE;
	m->file = a->file;
	return 0;
}

static int mapping_anonymous(const struct mmap_args *a, struct mapping *m)
{
	switch (a->flags & MAP_TYPE) {
	case MAP_PRIVATE:
		return 0;
	case MAP_SHARED:
		if (a->flags & MAP_GROWSDOWN)
			return -EINVAL;
		m->vm_flags |= VM_SHARED;
		m->reply.object = memory_object_create(MEMORY_SHMEM, ALIGN_UP(a->bytes, PAGE_BYTES),
			&account_root);
		return m->reply.object ? 0 : -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int mapping_of(const struct mmap_args *a, struct mapping *m)
{
	u32 type = a->flags & MAP_TYPE, prot = a->prot;
	int r;

	if (a->flags & MAP_HUGETLB) /* no huge page pool: as a Linux without HUGETLBFS */
		return -EINVAL;
	if (prot & PROT_READ && current->context->personality & READ_IMPLIES_EXEC &&
		!(a->file && a->file->path.mount && a->file->path.mount->flags & MNT_NOEXEC))
		prot |= PROT_EXEC;
	m->vm_flags = prot_to_vm(prot) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	if (a->flags & MAP_GROWSDOWN)
		m->vm_flags |= VM_GROWSDOWN;
	if (a->flags & MAP_NORESERVE)
		m->vm_flags |= VM_NORESERVE;
	if (a->flags & MAP_LOCKED || current->space->lock_future)
		m->vm_flags |= VM_LOCKED;
	if (!a->file)
		return mapping_anonymous(a, m);
	if (type == MAP_SHARED_VALIDATE && a->flags & ~(MAP_KNOWN | MAP_FIXED_NOREPLACE))
		return -EOPNOTSUPP;
	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (a->flags & MAP_GROWSDOWN)
		return -EINVAL;
	r = mapping_of_file(a, m);
	return r;
}

static sword_t map_locked(struct address_space *as, const struct mmap_args *a, struct mapping *m,
	size_t bytes) __requires(as->lock)
{
	sword_t at = place(as, a, bytes);
	struct region *r;
	int error;

	if (at < 0)
		return at;
	if (as->nr_regions > REGIONS_MAX)
		return -ENOMEM;
	error = space_may_expand(as, bytes >> PAGE_SHIFT, m->vm_flags);
	if (error)
		return error;
	error = space_unmap_locked(as, (vaddr_t)at, (vaddr_t)at + bytes);
	if (error)
		return error;
	r = region_new(as, (vaddr_t)at, (vaddr_t)at + bytes, m->vm_flags);
	if (!r)
		return -ENOMEM;
	r->object = m->reply.object;
	r->object_page = m->reply.object ? m->reply.first_page +
						   (a->file ? a->offset_bytes >> PAGE_SHIFT : 0)
					 : 0;
	r->file = m->file;
	region_attach(r);
	return at;
}

sword_t space_mmap(struct address_space *as, const struct mmap_args *a)
{
	struct mapping m = {};
	size_t bytes = ALIGN_UP(a->bytes, PAGE_BYTES);
	u64 end;
	sword_t at;
	int r;

	if (!a->bytes || a->offset_bytes & (PAGE_BYTES - 1))
		return -EINVAL;
	if (!bytes)
		return -ENOMEM;
	if (!checked_add(a->offset_bytes, (u64)bytes, &end))
		return -EOVERFLOW;
	r = mapping_of(a, &m);
	if (!r) {
		space_lock(&as->lock);
		at = map_locked(as, a, &m, bytes);
		space_unlock(&as->lock);
	} else {
		at = r;
	}
	if (m.reply.object)
		object_put(&m.reply.object->obj); /* the region has its own */
	if (at >= 0 && (m.vm_flags & VM_LOCKED ||
			       (a->flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE))
		space_populate_range(as, (vaddr_t)at, (vaddr_t)at + bytes);
	return at;
}

int space_munmap(struct address_space *as, vaddr_t addr, size_t bytes)
{
	size_t size = ALIGN_UP(bytes, PAGE_BYTES);
	int r;

	if (addr & ~PAGE_MASK || !size || !user_range_ok(addr, size))
		return -EINVAL;
	space_lock(&as->lock);
	r = space_unmap_locked(as, addr, addr + size);
	space_unlock(&as->lock);
	return r;
}

/* --- exec's own mappings: fixed, over whatever is there --- */

static int map_fixed(struct address_space *as, vaddr_t addr, size_t bytes, struct region proto)
{
	size_t size = ALIGN_UP(bytes, PAGE_BYTES);
	struct region *r;
	int error;

	if (addr & ~PAGE_MASK || !size || !user_range_ok(addr, size))
		return -EINVAL;
	space_lock(&as->lock);
	error = space_may_expand(as, size >> PAGE_SHIFT, proto.flags);
	if (!error)
		error = space_unmap_locked(as, addr, addr + size);
	r = error ? nullptr : region_new(as, addr, addr + size, proto.flags);
	if (!error && !r)
		error = -ENOMEM;
	if (r) {
		r->object = proto.object;
		r->object_page = proto.object_page;
		r->file = proto.file;
		r->name = proto.name;
		region_attach(r);
	}
	space_unlock(&as->lock);
	return error;
}

int space_map_file(struct address_space *as, vaddr_t addr, size_t bytes, u32 vm_flags,
	struct file *file, u64 offset_bytes)
{
	struct mapping m = {};
	int r = file_object(file, &m);

	if (r)
		return r;
	if (!m.reply.object)
		return -ENODEV;
	r = map_fixed(as, addr, bytes,
		(struct region){.flags = vm_flags,
			.object = m.reply.object,
			.file = file,
			.object_page = m.reply.first_page + (offset_bytes >> PAGE_SHIFT)});
	object_put(&m.reply.object->obj);
	return r;
}

int space_map_anon(struct address_space *as, vaddr_t addr, size_t bytes, u32 vm_flags,
	const char *name)
{
	return map_fixed(as, addr, bytes, (struct region){.flags = vm_flags, .name = name});
}

int space_map_object(struct address_space *as, vaddr_t addr, size_t bytes, u32 vm_flags,
	struct memory_object *o, u64 first_page, const char *name)
{
	return map_fixed(as, addr, bytes,
		(struct region){.flags = vm_flags,
			.object = o,
			.object_page = first_page,
			.name = name});
}

/* --- mprotect --- */

static int protect_region(struct region *r, u32 access)
{
	struct address_space *as = r->space;
	u32 flags = (r->flags & ~VM_ACCESS) | access;

	/* Write rights come back by faults, which know whose the pages are (P2). */
	space_account_region(as, r, -1);
	spin_lock(&as->page_lock);
	r->flags = flags;
	arch_protect(&as->arch, r->start, region_pages(r), region_prot(flags, false));
	arch_flush(&as->arch, r->start, region_pages(r));
	spin_unlock(&as->page_lock);
	space_account_region(as, r, 1);
	return 0;
}

static bool region_may(const struct region *r, u32 access)
{
	u32 may = (r->flags & VM_MAYREAD ? VM_READ : 0) | (r->flags & VM_MAYWRITE ? VM_WRITE : 0) |
		  (r->flags & VM_MAYEXEC ? VM_EXEC : 0);

	return !(access & VM_ACCESS & ~may);
}

static int protect_range(struct address_space *as, vaddr_t start, vaddr_t end, u32 access)
	__requires(as->lock)
{
	vaddr_t at = start;

	while (at < end) {
		struct region *r = region_find(&as->regions, at);
		vaddr_t stop;
		int error;

		if (!r || r->start > at)
			return -ENOMEM;
		if (!region_may(r, access))
			return -EACCES;
		stop = MIN(end, r->end);
		if ((r->flags & VM_ACCESS) != access) {
			if (access & VM_WRITE && !(r->flags & VM_WRITE) && region_private(r)) {
				error = space_may_expand(as, 0, access);
				if (error)
					return error;
			}
			error = regions_cut(as, at, stop);
			if (error)
				return error;
			r = region_find(&as->regions, at);
			protect_region(r, access);
			region_merge(r);
		}
		at = stop;
	}
	return 0;
}

int space_mprotect(struct address_space *as, vaddr_t addr, size_t bytes, u32 prot)
{
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	size_t size = ALIGN_UP(bytes, PAGE_BYTES);
	struct region *r;
	vaddr_t start = addr;
	int error = 0;

	prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || addr & ~PAGE_MASK)
		return -EINVAL;
	if (!bytes)
		return 0;
	if (!size || addr + size <= addr)
		return -ENOMEM;
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | 8u /* PROT_SEM */))
		return -EINVAL;
	if (prot & PROT_READ && current->context->personality & READ_IMPLIES_EXEC)
		prot |= PROT_EXEC;
	if (addr + size > USER_ADDR_END)
		return -ENOMEM;
	space_lock(&as->lock);
	r = region_find(&as->regions, addr);
	if (grows & PROT_GROWSDOWN) {
		if (!r || r->start >= addr + size)
			error = -ENOMEM;
		else if (!(r->flags & VM_GROWSDOWN))
			error = -EINVAL;
		else
			start = r->start;
	} else if (grows) {
		error = -EINVAL;
	}
	if (!error)
		error = protect_range(as, start, addr + size, prot_to_vm(prot));
	space_unlock(&as->lock);
	return error;
}

/* --- brk(2), the system call: answers the break that holds afterwards, never an error --- */

static bool brk_grow(struct address_space *as, vaddr_t from, vaddr_t to) __requires(as->lock)
{
	u32 flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_HEAP |
		    (as->lock_future ? VM_LOCKED : 0);
	struct region *r;

	if (!range_free(as, from, to - from) || as->nr_regions > REGIONS_MAX ||
		space_may_expand(as, (to - from) >> PAGE_SHIFT, flags))
		return false;
	r = region_below(&as->regions, from);
	if (r && r->end == from && r->flags == flags && !r->object && r->name &&
		r->name[0] == '[') {
		space_account_region(as, r, -1);
		region_set_bounds(r, r->start, to);
		space_account_region(as, r, 1);
		return true;
	}
	r = region_new(as, from, to, flags);
	if (!r)
		return false;
	r->name = "[heap]";
	region_attach(r);
	return true;
}

sword_t space_brk(struct address_space *as, vaddr_t brk)
{
	vaddr_t old_end, new_end, old;
	bool grown = false;
	sword_t result;

	space_lock(&as->lock);
	old = as->brk;
	old_end = ALIGN_UP(as->brk, PAGE_BYTES);
	new_end = ALIGN_UP(brk, PAGE_BYTES);
	if (brk < as->brk_start || brk >= USER_ADDR_END)
		goto out;
	if (task_rlimit(current, RLIMIT_DATA) != RLIM_INFINITY &&
		brk - as->brk_start + (as->data_end - as->data_start) >
			task_rlimit(current, RLIMIT_DATA))
		goto out;
	if (new_end > old_end) {
		if (!brk_grow(as, old_end, new_end))
			goto out;
		grown = true;
	} else if (new_end < old_end && space_unmap_locked(as, new_end, old_end)) {
		goto out;
	}
	as->brk = brk;
out:
	result = (sword_t)as->brk;
	space_unlock(&as->lock);
	if (grown && as->lock_future)
		space_populate_range(as, ALIGN_UP(old, PAGE_BYTES), new_end);
	return result;
}
