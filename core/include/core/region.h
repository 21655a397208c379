#pragma once
/* Regions of an address space (VMAs) and mappers of memory objects: data only (core/mm.h has the
 * operations). */
#include <lib/types.h>
#include <lib/list.h>
#include <lib/rbtree.h>
struct address_space;
struct memory_object;
struct file;

enum mapper_kind : u8 { MAPPER_SPACE, MAPPER_WINDOW, MAPPER_IOMMU };
struct mapper {
	struct list_node link; /* object->mappers, object->mapper_lock */
	enum mapper_kind kind;
	u64 first_page, nr_pages; /* part of the object that it may have mapped */
	struct address_space *space;
	vaddr_t base;
};

#define VM_READ       1u
#define VM_WRITE      2u
#define VM_EXEC       4u
#define VM_SHARED     8u
#define VM_GROWSDOWN  16u
#define VM_LOCKED     32u
#define VM_MAYREAD    64u
#define VM_MAYWRITE   128u
#define VM_MAYEXEC    256u
#define VM_DONTFORK   512u
#define VM_NORESERVE  1024u
#define VM_STACK      2048u
#define VM_HEAP       4096u
#define VM_VDSO       8192u
#define VM_WIPEONFORK 16384u
#define VM_DONTDUMP   32768u
#define VM_SEQ_READ   0x10000u
#define VM_RAND_READ  0x20000u
#define VM_DEVICE     0x40000u /* device memory: no frames, no copies */
#define VM_NOHUGEPAGE 0x80000u
struct region { /* a VMA; guarded by space->lock, changed under space->page_lock too */
	struct rb_min_node node; /* own: ~(gap between the region before and this one) */
	vaddr_t start, end;
	u32 flags;
	struct memory_object *object; /* a reference; nullptr: private anonymous */
	u64 object_page;              /* page of object at start */
	struct file *file;            /* for /proc/PID/maps, reference */
	struct mapper mapper;
	struct address_space *space;
	const char *name; /* [heap] and the like, static */
};
