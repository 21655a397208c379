/* Mounting, file-system types, statfs, sync. Theory in fs_call.c. */
#include <core/block_cache.h>
#include <core/evolve.h>
#include <core/fs_type.h>
#include <core/log.h>
#include <core/task.h>
#include <kabi/slots.h>
#include <kabi/view.h>
#include <lib/string.h>
#include "delta.h"
#include "node_priv.h"

#define COMMIT_SECONDS 5u /* ext4(5): commit=5 */

/* Views: name in /proc/filesystems and its slot. */
static const struct view_type {
	const char *name;
	enum slot_id slot;
	u64 magic; /* linux/magic.h */
	u32 flags;
} view_types[] = {
	{"proc", SLOT_VIEW_PROC, 0x9fa0, SB_VOLATILE},
	{"sysfs", SLOT_VIEW_SYS, 0x62656572, SB_VOLATILE},
	{"ukfs", SLOT_VIEW_UKFS, 0x756b6673, SB_VOLATILE},
	{"devtmpfs", SLOT_VIEW_DEVTMPFS, 0x01021994, SB_VOLATILE},
	{"devpts", SLOT_VIEW_DEVPTS, 0x1cd1, SB_VOLATILE},
	{"cgroup2", SLOT_VIEW_CGROUP, 0x63677270, SB_VOLATILE},
};

static const struct view_type *view_type_find(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(view_types); i++)
		if (!strcmp(view_types[i].name, name) && slot_stamp(view_types[i].slot))
			return &view_types[i];
	return nullptr;
}

bool fs_type_at(u32 n, const char **name, bool *nodev)
{
	for (u32 i = 0; i < ARRAY_SIZE(view_types); i++)
		if (slot_stamp(view_types[i].slot) && n-- == 0) {
			*name = view_types[i].name;
			*nodev = true;
			return true;
		}
	for (struct module *m = module_next(nullptr); m; m = module_next(m))
		for (u32 i = 0; i < m->nr_matches; i++)
			if (m->matches[i].bus == KABI_BUS_NONE && n-- == 0) {
				*name = m->matches[i].compatible;
				*nodev = !(m->matches[i].class_mask & KABI_FILESYSTEM_ON_DEVICE);
				return true;
			}
	return false;
}

__attribute__((weak)) answer_t fs_device_open(struct call *c, const char *source, u32 sb_flags,
	struct superblock *sb, struct superblock **other)
{
	return -ENOTBLK;
}
__attribute__((weak)) void fs_device_close(struct superblock *sb)
{
}
__attribute__((weak)) answer_t fs_device_flush(struct superblock *sb)
{
	return 0;
}

static answer_t view_mount_type(struct call *c, const struct view_type *t, u32 sb_flags,
	const char *options, struct superblock **out)
{
	struct superblock *sb = superblock_new(t->name, sb_flags | t->flags);
	answer_t a;

	if (!sb)
		return -ENOMEM;
	sb->view = &nucleus.slots[t->slot];
	sb->magic = t->magic;
	sb->block_bytes = PAGE_BYTES;
	sb->name_max = 255;
	sb->pid_ns = c->ctx->pid_ns;
	strlcpy(sb->options, options, sizeof(sb->options));
	a = fs_view_mount(c, sb);
	if (a) {
		superblock_put(sb);
		return a;
	}
	superblock_born(sb);
	*out = sb;
	return 0;
}

/* Every mount of a component's type is an instance with a slot of its own. */
static struct superblock *component_superblock(struct module *m, const char *type, u32 sb_flags,
	const struct module_vtable *vt)
{
	struct superblock *sb;

	for (u32 i = 0; i < m->nr_matches;
		i++) /* the caller's text goes away, the module's stays */
		if (!strcmp(m->matches[i].compatible, type))
			type = m->matches[i].compatible;
	sb = superblock_new(type, sb_flags);

	if (!sb)
		return nullptr;
	sb->fs = instance_slot_create(vt->contract, m->unit);
	if (!sb->fs || !slot_open(sb->fs, vt->vtable)) {
		superblock_put(sb);
		return nullptr;
	}
	sb->handle = sb->obj.id;
	return sb;
}

/* tmpfs(5): without size= and nr_inodes= half of the machine's pages. */
static void take_memory_limits(struct superblock *sb, const struct fs_mount_info *info)
{
	u32 percent = info->memory_percent ? info->memory_percent : 50;
	struct memory_stats m;

	if (sb->total_blocks && sb->total_inodes)
		return;
	mm_stats(&m);
	if (!sb->total_blocks)
		sb->total_blocks = sb->free_blocks = MAX((u64)1, m.total_pages * percent / 100);
	if (!sb->total_inodes)
		sb->total_inodes = sb->free_inodes = m.total_pages / 2;
}

static void take_mount_info(struct superblock *sb, const struct fs_mount_info *info)
{
	if (info->features & FS_FEATURES_NAMES_RESIDENT)
		sb->flags |= SB_NAMES_RESIDENT;
	sb->flags |= info->mount_flags & SB_RDONLY;
	sb->block_bytes = info->block_bytes;
	sb->magic = info->magic;
	sb->max_file_bytes = MIN(info->max_file_bytes, (u64)INT64_MAX);
	sb->total_blocks = info->total_blocks;
	sb->free_blocks = info->free_blocks;
	sb->reserved_blocks = info->reserved_blocks;
	sb->total_inodes = info->total_inodes;
	sb->free_inodes = info->free_inodes;
	sb->overhead_blocks = MIN(info->overhead_blocks, info->total_blocks);
	sb->held_blocks = info->held_blocks;
	sb->reserved_uid = KUID(info->reserved_uid);
	sb->reserved_gid = KGID(info->reserved_gid);
	sb->commit_period_ns =
		(u64)(info->commit_seconds ? info->commit_seconds : COMMIT_SECONDS) * NSEC_PER_SEC;
	if (sb->flags & SB_NAMES_RESIDENT)
		take_memory_limits(sb, info);
	sb->name_max = MIN(info->name_max, 255u);
	sb->next_ino = info->next_ino;
}

static bool mount_info_valid(const struct fs_mount_info *info)
{
	return info->block_bytes >= 512 && info->block_bytes <= PAGE_BYTES &&
	       !(info->block_bytes & (info->block_bytes - 1)) && info->name_max &&
	       info->free_blocks <= info->total_blocks && info->free_inodes <= info->total_inodes;
}

static answer_t mount_with_blocks(struct call *c, struct superblock *sb, const char *options,
	u32 block_bytes, struct fs_mount_info *info, struct fs_inode *root)
{
	struct fs_invoke v;
	answer_t a;

	if (sb->bdev) {
		block_cache_destroy(sb);
		if (!block_cache_create(sb, block_bytes))
			return -ENOMEM;
		sb->block_bytes = block_bytes;
		sb->total_blocks = sb->device_bytes / block_bytes;
	}
	a = call_run(c,
		(a = fs_invoke_begin(&v, c, sb))
			? a
			: fs_invoke_end(&v, filesystem_mount(sb->fs, &v.ctx, options,
						    (u32)strlen(options), sb->flags & 15u,
						    sb->device_bytes, block_bytes, info, root)));
	if (!a && (!mount_info_valid(info) || S_TYPE(root->mode) != S_IFDIR))
		return -EINVAL;
	return a;
}

/* The mount is a core operation: it waits for the component's blocks here, with a record of its own
 * inside c's caller. A file system on a device finds its block size in a superblock that it reads
 * by kilobytes, and is called once more with blocks of that size. */
static answer_t component_mount(struct call *c, struct superblock *sb, const char *options,
	struct fs_mount_info *info, struct fs_inode *root)
{
	u32 block_bytes = sb->bdev ? 1024 : sb->block_bytes;

	for (u32 round = 0; round < 2; round++) {
		answer_t a = mount_with_blocks(c, sb, options, block_bytes, info, root);

		if (a || !sb->bdev || info->block_bytes == block_bytes)
			return a;
		block_bytes = info->block_bytes;
	}
	return -EINVAL;
}

/* One more mount of a mounted device, as Linux's get_tree_bdev has it: the same type, and writable
 * or not as it is. The options are parsed, and change nothing. */
static answer_t mount_shared(struct call *c, struct superblock *sb, const char *type, u32 sb_flags,
	const char *options)
{
	struct fs_invoke v;

	if (strcmp(sb->type_name, type) || (sb->flags ^ sb_flags) & SB_RDONLY)
		return -EBUSY;
	return call_run(c,
		fs_invoke_begin(&v, c, sb)
			?: fs_invoke_end(&v, filesystem_remount(sb->fs, &v.ctx, options,
						     (u32)strlen(options), sb->flags & 15u)));
}

answer_t fs_mount(struct call *c, const char *type, const char *source, u32 sb_flags,
	const char *options, struct superblock **out)
{
	const struct view_type *view = view_type_find(type);
	const struct module_match want = {.bus = KABI_BUS_NONE, .compatible = type};
	struct module *m = view ? nullptr : module_match(&want, nullptr);
	const struct module_vtable *vt = m ? module_vtable_find(m, "filesystem") : nullptr;
	struct fs_mount_info info = {};
	struct fs_inode root = {};
	struct superblock *sb, *other = nullptr;
	answer_t a;

	if (view)
		return view_mount_type(c, view, sb_flags, options, out);
	if (!vt)
		return -ENODEV;
	sb = component_superblock(m, type, sb_flags, vt);
	if (!sb)
		return -ENOMEM;
	for (u32 i = 0; i < m->nr_matches; i++)
		if (m->matches[i].class_mask & KABI_FILESYSTEM_ON_DEVICE) {
			a = fs_device_open(c, source, sb_flags, sb, &other);
			if (a || other)
				goto fail;
			sb->answer_bytes = MAX(m->memory.answer_bytes, (u32)PAGE_BYTES);
			break;
		}
	strlcpy(sb->options, options, sizeof(sb->options));
	a = component_mount(c, sb, options, &info, &root);
	if (a)
		goto fail;
	take_mount_info(sb, &info);
	if (sb_names_resident(sb))
		root.atime = root.mtime = root.ctime = root.btime =
			(struct fs_time){.seconds = inode_now().sec};
	sb->root = fs_inode_make(sb, &root);
	if (!sb->root) {
		a = -ENOMEM;
		goto fail;
	}
	if (sb->block_cache)
		commit_thread_join();
	superblock_born(sb);
	*out = sb;
	return 0;
fail:
	block_cache_destroy(sb);
	fs_device_close(sb);
	superblock_put_wait(sb);
	if (!other)
		return a;
	a = mount_shared(c, other, type, sb_flags, options);
	if (a)
		superblock_put_wait(other);
	else
		*out = other;
	return a;
}

void mount_request_free(struct mount_request *r)
{
	path_put(&r->at);
	kfree(r->type);
	kfree(r->source);
	kfree(r->options);
	kfree(r);
}

answer_t fs_mount_perform(struct mount_request *r)
{
	struct superblock *sb = nullptr;
	struct call *c = kmalloc(sizeof(*c));
	struct mount *m;
	struct name *root;
	answer_t a = -ENOMEM;

	if (c) {
		call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);
		a = fs_mount(c, r->type, r->source, r->sb_flags, r->options, &sb);
		call_end(c);
		kfree(c);
	}
	if (a >= 0) {
		root = superblock_root_name(sb);
		m = root ? mount_new(sb, root, r->mount_flags, r->source) : nullptr;
		if (root)
			name_put(root);
		superblock_put(sb); /* the mount's now, or nobody's */
		if (!m)
			a = -ENOMEM;
		else if (r->at.mount->sb == sb && r->at.name == r->at.mount->root)
			a = -EBUSY; /* the same on itself: mount(2) */
		else
			a = mount_attach(m, &r->at);
		if (m)
			mount_put(m);
	}
	mount_request_free(r);
	return a;
}

static void counts_of(struct superblock *sb, struct fs_statfs *out, s64 blocks, s64 inodes)
{
	spin_lock(&sb->obj.lock);
	out->blocks_free = sb->free_blocks + (u64)MAX(blocks, (s64)0);
	out->files_free = sb->free_inodes + (u64)MAX(inodes, (s64)0);
	spin_unlock(&sb->obj.lock);
}

/* Core's own counts. What the commit in flight and the next let go counts as free. */
static void usage_of_core(struct superblock *sb, struct fs_statfs *out)
{
	struct block_cache *cache = sb->block_cache;
	u64 used = (u64)atomic_word_load(&sb->used_pages),
	    delayed = (u64)atomic_word_load(&sb->delayed_blocks);

	out->blocks = sb->total_blocks;
	out->files = sb->total_inodes;
	if (!cache) {
		counts_of(sb, out, 0, 0);
		if (sb->flags & SB_NAMES_RESIDENT && sb->total_blocks)
			out->blocks_free = sb->total_blocks - MIN(used, sb->total_blocks);
		out->blocks_available = out->blocks_free;
		return;
	}
	spin_lock(&cache->lock);
	counts_of(sb, out, cache->open.deferred_blocks + cache->committing_blocks,
		cache->open.deferred_inodes + cache->committing_inodes);
	spin_unlock(&cache->lock);
	out->blocks -= sb->overhead_blocks;
	out->blocks_free -= MIN(delayed, out->blocks_free);
	out->blocks_available =
		out->blocks_free - MIN(sb->reserved_blocks + sb->held_blocks, out->blocks_free);
}

answer_t fs_statfs(struct call *c, struct superblock *sb, struct fs_statfs *out)
{
	struct fs_usage u = {};
	struct fs_invoke v;
	answer_t a;

	*out = (struct fs_statfs){.type = sb->magic,
		.block_bytes = sb->block_bytes,
		.name_max = sb->name_max,
		.flags = sb->flags & 15,
		.fsid = sb->dev};
	if (sb->view)
		return 0;
	a = fs_invoke_begin(&v, c, sb);
	if (a)
		return a;
	a = fs_invoke_end(&v, filesystem_usage(sb->fs, &v.ctx, &u));
	if (answer_is_error(a))
		return a;
	usage_of_core(sb, out);
	if (u.total_blocks) {
		out->blocks = u.total_blocks;
		out->blocks_free = u.free_blocks;
		out->blocks_available = u.available_blocks;
		out->files = u.total_inodes;
		out->files_free = u.free_inodes;
	}
	return 0;
}

answer_t fs_remount(struct call *c, struct superblock *sb, u32 sb_flags, const char *options)
{
	struct fs_invoke v;
	answer_t a = 0;

	if (sb->fs && sb->block_cache && sb_flags & SB_RDONLY && !(sb->flags & SB_RDONLY)) {
		/* Nothing writes any more: all goes to the disk, the file system is marked clean.
		 * Asked for as a need: it sleeps. */
		if (!((struct block_cache *)sb->block_cache)->clean ||
			!list_empty(&sb->dirty_inodes))
			return call_need_blocks(c, sb, BLOCK_CACHE_CLEAN, 1);
	}
	if (sb->fs) {
		a = fs_invoke_begin(&v, c, sb);
		if (!a)
			a = fs_invoke_end(&v, filesystem_remount(sb->fs, &v.ctx, options,
						      (u32)strlen(options), sb_flags));
	}
	if (a)
		return a;
	spin_lock(&sb->obj.lock);
	sb->flags = (sb->flags & ~15u) | (sb_flags & 15u);
	spin_unlock(&sb->obj.lock);
	return 0;
}

/* Core's own changes of inodes go into the transaction by encode_inode; data first, as ordered mode
 * has it. */
static answer_t sync_inode(struct call *c, struct inode *i)
{
	struct fs_invoke v;
	struct fs_inode f;
	answer_t a = fs_invoke_begin(&v, c, i->sb);

	if (a)
		return a;
	fs_inode_view(&v, i, &f);
	return fs_invoke_end(&v, filesystem_encode_inode(i->sb->fs, &v.ctx, &f));
}

static u32 inodes_dirty(struct superblock *sb)
{
	struct inode *i;
	u32 nr = 0;

	spin_lock(&sb->obj.lock);
	list_for_each_entry (i, &sb->dirty_inodes, dirty_link)
		nr++;
	spin_unlock(&sb->obj.lock);
	return nr;
}

static answer_t sync_contents(struct inode *i)
{
	struct memory_object *o = inode_own_pages(i);

	return o ? memory_object_sync(o, 0, ~0ull) : 0;
}

/* fsync(2): the file's data, then its inode, then all metadata that waits (one transaction for
 * all). Other files' data stays where it is. Context: thread, may sleep. */
answer_t fs_sync_inode(struct call *c, struct inode *i)
{
	struct superblock *sb = i->sb;
	u64 flushes;
	answer_t a;

	if (!sb->fs || sb_names_resident(sb) || sb->flags & SB_RDONLY)
		return 0;
	a = sync_contents(i);
	flushes = transaction_flushes(sb); /* those that begin from here on hold the data */
	if (!a && inode_take_own_dirty(i)) {
		if (!i->dead)
			a = call_run(c, sync_inode(c, i));
		if (a)
			inode_mark_dirty(i);
		inode_put_background(i);
	}
	return a ? a : transaction_flush(sb, flushes);
}

/* Context: thread, may sleep (DO_SYNC_*, unmount): so it serves the component's needs itself. */
answer_t fs_sync(struct call *c, struct superblock *sb, bool wait)
{
	answer_t first_error = 0;
	struct inode *i;

	if (!sb->fs || sb_names_resident(sb) || sb->flags & SB_RDONLY)
		return 0;
	/* Bounded: what becomes dirty meanwhile is the next one's. */
	for (u32 left = inodes_dirty(sb); left && (i = inode_take_dirty(sb)); left--) {
		answer_t a = sync_contents(i);

		if (!a && !i->dead)
			a = call_run(c, sync_inode(c, i));
		if (a && !first_error)
			first_error = a;
		inode_put_background(i);
	}
	if (wait) {
		answer_t a = transaction_commit(sb, false);

		if (a && !first_error)
			first_error = a;
	}
	return first_error;
}

void fs_unmount(struct superblock *sb)
{
	struct fs_invoke v;
	struct call c;
	answer_t a;

	if (!sb->fs)
		return;
	call_begin(&c, CALLF_KERNEL);
	/* Writing back drops the last references of inodes without a name; their end writes again.
	 */
	do {
		reaper_drain();
		a = fs_sync(&c, sb, true);
	} while (superblock_wait_inodes(sb) && !a && inodes_dirty(sb));
	if (!sb_names_resident(sb) && !(sb->flags & SB_RDONLY))
		a = call_run(&c, (a = fs_invoke_begin(&v, &c, sb))
					 ? a
					 : fs_invoke_end(&v, filesystem_unmount(sb->fs, &v.ctx)));
	call_end(&c);
	if (!a)
		a = transaction_commit(sb, true);
	if (a)
		log_err("%s: unmount left errors (%ld): the file system needs a check\n",
			sb->type_name, -(long)a);
	block_cache_destroy(sb);
	fs_device_close(sb);
	if (slot_close(sb->fs)) {
		grace_wait();
		instance_slot_destroy(sb->fs);
	}
	sb->fs = nullptr;
}
