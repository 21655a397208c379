/*
 * Descriptor tables. Invariants: FILES-I1 table and capacity only grow; a bit of open_map is set
 * while the entry is taken: with a file, or by a handler's run that will give it one. FILES-I2
 * changes are made under obj.lock; readers of a shared table read without it in a grace section
 * (capacity before table, both released by growth) and take a reference that may fail. The old
 * table is freed after a grace period. Locks: LOCK_LEVEL_FILES.
 */
#include <lib/bitmap.h>
#include <lib/string.h>
#include <core/call.h>
#include <core/log.h>
#include <core/task.h>
#include <kabi/node.h>
#include "node_priv.h"

#define FILES_INITIAL 64u
#define FILES_MAX     (1u << 20) /* fs.nr_open */

struct table_memory {
	struct grace_head grace;
	struct descriptor entry[];
};

static struct descriptor *table_alloc(u32 capacity, bool wait)
{
	size_t bytes = sizeof(struct table_memory) + (size_t)capacity * sizeof(struct descriptor);
	struct table_memory *m = wait ? kzalloc_wait(bytes) : kzalloc(bytes);

	return m ? m->entry : nullptr;
}
static void table_free(struct descriptor *t)
{
	struct table_memory *m = container_of(t, struct table_memory, entry[0]);

	grace_defer(&m->grace, GRACE_SLAB_FREE, m);
}

static struct files *files_new(u32 capacity)
{
	struct files *f = kzalloc(sizeof(*f));

	if (!f)
		return nullptr;
	object_init(&f->obj, OBJECT_FILES, LOCK_LEVEL_FILES, &account_root);
	f->table = table_alloc(capacity, true);
	f->open_map = kzalloc_wait(BITMAP_WORDS(capacity) * sizeof(word_t));
	f->capacity = capacity;
	if (!f->table || !f->open_map) {
		if (f->table)
			table_free(f->table);
		kfree(f->open_map);
		kfree(f);
		return nullptr;
	}
	return f;
}
struct files *files_create(void)
{
	return files_new(FILES_INITIAL);
}

/* Makes room for descriptor fd. -ENOMEM. Locks: obj.lock, let go while memory is taken. */
static int files_grow(struct files *f, u32 fd) __requires(f->obj.lock)
{
	while (fd >= f->capacity) {
		u32 old_capacity = f->capacity, capacity = old_capacity;
		struct descriptor *table;
		word_t *map;

		while (capacity <= fd)
			capacity *= 2;
		spin_unlock(&f->obj.lock);
		table = table_alloc(capacity, false);
		map = kzalloc(BITMAP_WORDS(capacity) * sizeof(word_t));
		spin_lock(&f->obj.lock);
		if (!table || !map || f->capacity != old_capacity) {
			kfree(map);
			if (table)
				table_free(table);
			if (f->capacity != old_capacity)
				continue;
			return -ENOMEM;
		}
		memcpy(table, f->table, (size_t)old_capacity * sizeof(*table));
		memcpy(map, f->open_map, BITMAP_WORDS(old_capacity) * sizeof(word_t));
		kfree(f->open_map);
		f->open_map = map;
		table_free(f->table);
		ptr_store_release(&f->table, table);
		ptr_store_release(&f->capacity, capacity);
	}
	return 0;
}

static sword_t number_take(struct files *f, u32 min, u64 limit) __requires(f->obj.lock)
{
	sword_t fd;

	do {
		u32 from = MAX(min, f->next_hint);

		fd = from < f->capacity ? (sword_t)bitmap_next_zero(f->open_map, f->capacity, from)
					: (sword_t)from;
		if ((u64)fd >= MIN(limit, (u64)FILES_MAX)) {
			fd = -EMFILE;
			break;
		}
		if (fd < f->capacity)
			break;
		if (files_grow(f, (u32)fd))
			fd = -ENOMEM;
	} while (fd >= 0);
	if (fd >= 0) {
		bitmap_set(f->open_map, (size_t)fd);
		if (min <= f->next_hint)
			f->next_hint = (u32)fd + 1;
	}
	return fd;
}

static void number_use(struct files *f, u32 fd, struct file *file, bool cloexec)
	__requires(f->obj.lock)
{
	call_effect_here();
	f->table[fd].cloexec = cloexec;
	ptr_store_release(&f->table[fd].file, file);
}

sword_t files_install(struct files *f, struct file *file, u32 min, bool cloexec, u64 limit)
{
	sword_t fd;

	spin_lock(&f->obj.lock);
	fd = number_take(f, min, limit);
	if (fd >= 0)
		number_use(f, (u32)fd, file, cloexec);
	spin_unlock(&f->obj.lock);
	return fd;
}

sword_t files_number_take(struct files *f, u64 limit)
{
	sword_t fd;

	spin_lock(&f->obj.lock);
	fd = number_take(f, 0, limit);
	spin_unlock(&f->obj.lock);
	return fd;
}

void files_number_use(struct files *f, u32 fd, struct file *file, bool cloexec)
{
	spin_lock(&f->obj.lock);
	number_use(f, fd, file, cloexec);
	spin_unlock(&f->obj.lock);
}

void files_number_return(struct files *f, u32 fd)
{
	spin_lock(&f->obj.lock);
	bitmap_clear(f->open_map, fd);
	if (fd < f->next_hint)
		f->next_hint = fd;
	spin_unlock(&f->obj.lock);
}

int files_install_at(struct files *f, struct file *file, u32 fd, bool cloexec,
	struct file **replaced)
{
	int error = 0;

	*replaced = nullptr;
	if (fd >= FILES_MAX)
		return -EBADF;
	spin_lock(&f->obj.lock);
	error = files_grow(f, fd);
	if (!error && !f->table[fd].file && bitmap_test(f->open_map, fd))
		error = -EBUSY; /* dup(2): it is being opened */
	if (!error) {
		call_effect_here();
		*replaced = f->table[fd].file;
		bitmap_set(f->open_map, fd);
		f->table[fd].cloexec = cloexec;
		ptr_store_release(&f->table[fd].file, file);
	}
	spin_unlock(&f->obj.lock);
	return error;
}

struct file *files_get(struct files *f, u32 fd)
{
	struct file *file = nullptr;

	grace_read_begin();
	for (;;) {
		u32 capacity = shared_load_acquire(&f->capacity);

		if (fd >= capacity)
			break;
		file = ptr_load_acquire(&ptr_load_acquire(&f->table)[fd].file);
		if (!file || object_get_live(&file->obj))
			break;
	}
	grace_read_end();
	return file;
}

struct file *files_remove(struct files *f, u32 fd)
{
	struct file *file = nullptr;

	spin_lock(&f->obj.lock);
	if (fd < f->capacity) {
		file = f->table[fd].file;
		if (file) {
			call_effect_here();
			ptr_store_release(&f->table[fd].file, (struct file *)nullptr);
			bitmap_clear(f->open_map, fd);
			if (fd < f->next_hint)
				f->next_hint = fd;
		}
	}
	spin_unlock(&f->obj.lock);
	if (file)
		file_closing(file, f);
	return file;
}

bool files_cloexec_get(struct files *f, u32 fd)
{
	bool on;

	spin_lock(&f->obj.lock);
	on = fd < f->capacity && f->table[fd].cloexec;
	spin_unlock(&f->obj.lock);
	return on;
}
int files_cloexec_set(struct files *f, u32 fd, bool on)
{
	int error = -EBADF;

	spin_lock(&f->obj.lock);
	if (fd < f->capacity && f->table[fd].file) {
		call_effect_here();
		f->table[fd].cloexec = on;
		error = 0;
	}
	spin_unlock(&f->obj.lock);
	return error;
}

s32 files_next_open(struct files *f, u32 from)
{
	size_t fd;

	spin_lock(&f->obj.lock);
	fd = from < f->capacity ? bitmap_next_set(f->open_map, f->capacity, from) : f->capacity;
	while (fd < f->capacity && !f->table[fd].file)
		fd = bitmap_next_set(f->open_map, f->capacity, fd + 1);
	if (fd >= f->capacity)
		fd = (size_t)-1;
	spin_unlock(&f->obj.lock);
	return fd == (size_t)-1 ? -1 : (s32)fd;
}

struct files *files_clone(struct files *from, u32 up_to)
{
	struct files *to = nullptr;
	u32 capacity, first_free = up_to;

	for (;;) {
		capacity = READ_ONCE(from->capacity);
		to = files_new(capacity);
		if (!to)
			return nullptr;
		spin_lock(&from->obj.lock);
		if (from->capacity == capacity)
			break;
		spin_unlock(&from->obj.lock);
		object_put(&to->obj);
	}
	for (size_t fd = 0;
		(fd = bitmap_next_set(from->open_map, capacity, fd)) < capacity && fd < up_to;
		fd++) {
		if (!from->table[fd].file) {
			first_free = MIN(first_free, (u32)fd);
			continue;
		}
		to->table[fd] = from->table[fd];
		file_get(to->table[fd].file);
		bitmap_set(to->open_map, fd);
	}
	to->next_hint = MIN(from->next_hint, first_free);
	spin_unlock(&from->obj.lock);
	return to;
}

/* Flush and the reference, outside any lock. Context: thread. */
static void descriptor_close(struct file *file)
{
	const struct node_vtable *vtable = slot_vtable(file->slot);

	if (unlikely(vtable->flush)) {
		struct call *c = kmalloc(sizeof(*c));

		if (c) {
			call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
			(void)call_run(c, node_flush(file->slot, c, file));
			call_end(c);
			kfree(c);
		}
	}
	file_put(file);
}

void files_put(struct files *f)
{
	if (refcount_dec_and_test(&f->obj.refs))
		files_release(f);
}
void files_release(struct files *f)
{
	for (size_t fd = 0; (fd = bitmap_next_set(f->open_map, f->capacity, fd)) < f->capacity;
		fd++) {
		struct file *file = f->table[fd].file;

		f->table[fd].file = nullptr;
		if (file) {
			file_closing(file, f);
			descriptor_close(file);
		}
	}
	table_free(f->table);
	kfree(f->open_map);
	kfree(f);
}

void files_close_on_exec(struct files *f)
{
	s32 fd = -1;

	while ((fd = files_next_open(f, (u32)(fd + 1))) >= 0)
		if (files_cloexec_get(f, (u32)fd)) {
			struct file *file = files_remove(f, (u32)fd);

			if (file)
				descriptor_close(file);
		}
}
