/* Texts about a process that read its memory or take its space's mutex: made by core, which may
 * sleep; a view asks for them by DO_DESCRIBE and is run again with the text in the record. Formats:
 * proc(5). */
#include <core/call.h>
#include <core/describe.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/ucopy.h>
#include <core/task.h>
#include <lib/string.h>

#define DESCRIBE_TRIES 8u         /* each with more memory */
#define AREA_BYTES_MAX (1u << 20) /* of argv or the environment */

static void region_line(struct text *out, const struct region_info *r, char *path,
	size_t path_bytes, const struct path_ref *root)
{
	u32 dev = r->file && r->file->inode ? r->file->inode->sb->dev : 0;
	size_t before = out->len;
	const char *name = r->name;

	text_printf(out, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long)r->start,
		(unsigned long)r->end, r->flags & VM_READ ? 'r' : '-',
		r->flags & VM_WRITE ? 'w' : '-', r->flags & VM_EXEC ? 'x' : '-',
		r->flags & VM_SHARED ? 's' : 'p', (unsigned long long)r->offset_bytes,
		DEV_MAJOR(dev), DEV_MINOR(dev),
		(unsigned long long)(r->file && r->file->inode ? r->file->inode->ino : 0));
	if (r->file)
		name = path_text(&r->file->path, root, path, path_bytes);
	if (name) {
		while (out->len < before + 73)
			text_putc(out, ' ');
		text_write(out, name, strlen(name));
	}
	text_putc(out, '\n');
}

static void smaps_lines(struct text *out, const struct region_info *r, const char *size_line)
{
	u64 k = PAGE_BYTES / 1024;

	if (size_line)
		text_printf(out,
			"Size:           %8llu kB\nKernelPageSize: %8llu kB\nMMUPageSize:    %8llu "
			"kB\n",
			(unsigned long long)((r->end - r->start) / 1024), (unsigned long long)k,
			(unsigned long long)k);
	text_printf(out, "Rss:            %8llu kB\nPss:            %8llu kB\n",
		(unsigned long long)(r->rss_pages * k), (unsigned long long)(r->pss_bytes / 1024));
	text_printf(out,
		"Shared_Clean:   %8llu kB\nShared_Dirty:   %8llu kB\nPrivate_Clean:  %8llu "
		"kB\nPrivate_Dirty:  %8llu kB\n",
		(unsigned long long)(r->shared_clean_pages * k),
		(unsigned long long)(r->shared_dirty_pages * k),
		(unsigned long long)(r->private_clean_pages * k),
		(unsigned long long)(r->private_dirty_pages * k));
	text_printf(out,
		"Referenced:     %8llu kB\nAnonymous:      %8llu kB\nSwap:           %8u "
		"kB\nSwapPss:        %8u kB\nLocked:         %8u kB\n",
		(unsigned long long)(r->rss_pages * k), (unsigned long long)(r->anon_pages * k), 0u,
		0u, 0u);
}

static int describe_regions(struct text *out, enum describe what, struct address_space *as,
	const struct path_ref *root)
{
	bool want_pages = what != DESCRIBE_MAPS;
	struct region_info r, sum = {};
	char *path = kmalloc_wait(PAGE_BYTES);

	if (!path)
		return -ENOMEM;
	for (vaddr_t at = 0; space_region_next(as, at, want_pages, &r); at = r.end) {
		if (what == DESCRIBE_SMAPS_ROLLUP) {
			sum.start = sum.end ? sum.start : r.start;
			sum.end = r.end;
			sum.rss_pages += r.rss_pages;
			sum.pss_bytes += r.pss_bytes;
			sum.private_clean_pages += r.private_clean_pages;
			sum.private_dirty_pages += r.private_dirty_pages;
			sum.shared_clean_pages += r.shared_clean_pages;
			sum.shared_dirty_pages += r.shared_dirty_pages;
			sum.anon_pages += r.anon_pages;
		} else {
			region_line(out, &r, path, PAGE_BYTES, root);
			if (what == DESCRIBE_SMAPS)
				smaps_lines(out, &r, "");
		}
		if (r.file)
			file_put(r.file);
	}
	if (what == DESCRIBE_SMAPS_ROLLUP) {
		sum.name = "[rollup]";
		region_line(out, &sum, path, PAGE_BYTES, root);
		smaps_lines(out, &sum, nullptr);
	}
	kfree(path);
	return 0;
}

static int describe_area(struct text *out, struct address_space *as, vaddr_t start, vaddr_t end)
{
	u8 chunk[256];

	if (end <= start || end - start > AREA_BYTES_MAX)
		return 0;
	while (start < end) {
		sword_t n = ucopy_remote_in(as, chunk, start,
			MIN((size_t)(end - start), sizeof(chunk)));

		if (n <= 0)
			break;
		text_write(out, (const char *)chunk, (size_t)n);
		start += (vaddr_t)n;
	}
	return 0;
}

/* The task's space, held; nullptr: kernel thread or gone. */
static struct address_space *space_of(struct task *t)
{
	struct address_space *as;

	grace_read_begin();
	as = ptr_load_acquire(&t->space);
	if (as && !refcount_inc_not_zero(&as->users))
		as = nullptr;
	grace_read_end();
	return as;
}

static int describe_space(struct text *out, enum describe what, struct address_space *as,
	const struct path_ref *root)
{
	switch (what) {
	case DESCRIBE_MAPS:
	case DESCRIBE_SMAPS:
	case DESCRIBE_SMAPS_ROLLUP:
		return describe_regions(out, what, as, root);
	case DESCRIBE_CMDLINE:
		return describe_area(out, as, as->arg_start, as->arg_end);
	case DESCRIBE_ENVIRON:
		return describe_area(out, as, as->env_start, as->env_end);
	}
	return 0;
}

int describe_perform(struct call *c, enum describe what, struct task *t)
{
	struct text *out = c->described ? c->described : kzalloc_wait(sizeof(*out));
	struct address_space *as;
	struct path_ref root;
	size_t wanted;
	int r;

	if (!out)
		return -ENOMEM;
	c->described = out;
	c->dirty = true;
	as = space_of(t);
	if (!as)
		return 0;
	spin_lock(&c->ctx->fs->obj.lock);
	root = c->ctx->fs->root;
	path_get(&root);
	spin_unlock(&c->ctx->fs->obj.lock);
	for (u32 i = 0; i < DESCRIBE_TRIES; i++) {
		r = describe_space(out, what, as, &root);
		if (!out->failed)
			break;
		wanted = 2 * out->cap + PAGE_BYTES;
		text_free(out);
		r = -ENOMEM;
		if (mm_reclaim_for(wanted))
			break;
	}
	path_put(&root);
	space_put(as);
	return r;
}

answer_t describe_into(struct call *c, enum describe what, struct task *t, struct text *out)
{
	answer_t r;

	if (!c->op_done) {
		r = call_pin_object(c, &t->obj);
		if (r)
			return r;
		c->op_args[0] = what;
		c->op_args[1] = (word_t)t;
		return call_do(c, DO_DESCRIBE, true);
	}
	if (c->op_result < 0)
		return c->op_result;
	if (c->described)
		text_write(out, c->described->data, c->described->len);
	return 0;
}

/* Another task's descriptor table, referenced; nullptr: it has none (any more). */
static struct files *files_of(struct task *t)
{
	struct files *f;

	grace_read_begin();
	f = ptr_load_acquire(&t->files);
	if (f && !object_get_live(&f->obj))
		f = nullptr;
	grace_read_end();
	return f;
}

struct file *task_file_get(struct task *t, u32 fd)
{
	struct files *files = files_of(t);
	struct file *f = files ? files_get(files, fd) : nullptr;

	if (files)
		files_put(files);
	return f;
}

s32 task_next_open(struct task *t, u32 from)
{
	struct files *files = files_of(t);
	s32 fd = files ? files_next_open(files, from) : -1;

	if (files)
		files_put(files);
	return fd;
}

bool task_cloexec(struct task *t, u32 fd)
{
	struct files *files = files_of(t);
	bool on = files && files_cloexec_get(files, fd);

	if (files)
		files_put(files);
	return on;
}
