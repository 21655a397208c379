/*
 * Unpacking of the initramfs into the root file system, as linux's
 * Documentation/driver-api/early-userspace/buffer-format.rst describes it: cpio archives of format
 * "newc" (070701, 070702), one after another, with zero bytes between them, each of them perhaps
 * compressed.
 *
 * All changes go through vfs with records of core's own, so the root may be any file system. The
 * input is hostile: every length is checked against what is left before it is used; a bad archive
 * ends with what was unpacked so far.
 */
#include <core/call.h>
#include <core/init.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/task.h>
#include <kabi/node.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>
#include <lib/string.h>

#define AT_CWD       -100
#define HEADER_BYTES 110u
#define PATH_BYTES   4096u
#define LINKS        256u

/* Page-aligned: call_path copies up to the end of a page. */
static char path[PATH_BYTES] __aligned(4096);
static char other[PATH_BYTES] __aligned(4096);

struct entry {
	u32 ino, mode, uid, gid, nlink, mtime, bytes, major, minor, rmajor, rminor, name_bytes;
	const char *name;
	const u8 *data;
};
struct link {
	struct link *next;
	u32 ino, major, minor, type;
	char name[];
};
struct unpack {
	const u8 *base;
	size_t bytes, at;
	struct link *links[LINKS];
	struct call *c;
	u32 nr_files, nr_errors;
};

/* Decompressors put themselves here (core/init/decompress.c): one compressed member at `in` ->
 * kmalloc'd or vmap'd output. 0, -ENOSYS (not a format that is built in), -EINVAL (corrupt). */
__attribute__((weak)) int decompress_member(const void *in, size_t bytes, void **out,
	size_t *out_bytes, size_t *used)
{
	(void)in;
	(void)bytes;
	(void)out;
	(void)out_bytes;
	(void)used;
	return -ENOSYS;
}
__attribute__((weak)) void decompress_free(void *out, size_t out_bytes)
{
	(void)out;
	(void)out_bytes;
}

/* Runs one vfs call in a record of its own. */
#define RUN(u, expr)                                                                               \
	({                                                                                         \
		struct call *c = (u)->c;                                                           \
		answer_t _r;                                                                       \
		call_begin(c, CALLF_KERNEL | CALLF_UNINTERRUPTIBLE);                               \
		_r = call_run(c, expr);                                                            \
		call_end(c);                                                                       \
		_r;                                                                                \
	})

static bool hex8(const u8 *p, u32 *out)
{
	u32 v = 0;

	for (u32 i = 0; i < 8; i++) {
		u32 d;

		if (p[i] >= '0' && p[i] <= '9')
			d = p[i] - '0';
		else if ((p[i] | 32) >= 'a' && (p[i] | 32) <= 'f')
			d = (p[i] | 32u) - 'a' + 10;
		else
			return false;
		v = v << 4 | d;
	}
	*out = v;
	return true;
}

static bool header_decode(const u8 *p, struct entry *e)
{
	u32 *const field[13] = {&e->ino, &e->mode, &e->uid, &e->gid, &e->nlink, &e->mtime,
		&e->bytes, &e->major, &e->minor, &e->rmajor, &e->rminor, &e->name_bytes};

	if (memcmp(p, "070701", 6) && memcmp(p, "070702", 6))
		return false;
	for (u32 i = 0; i < 12; i++)
		if (!hex8(p + 6 + i * 8, field[i]))
			return false;
	return true;
}

/* The entry at u->at, bounds checked; u->at moves past it. */
static int entry_next(struct unpack *u, struct entry *e)
{
	size_t at = u->at, end;

	if (u->bytes - at < HEADER_BYTES || !header_decode(u->base + at, e))
		return -EINVAL;
	if (!e->name_bytes || e->name_bytes > PATH_BYTES ||
		e->name_bytes > u->bytes - at - HEADER_BYTES)
		return -EINVAL;
	e->name = (const char *)u->base + at + HEADER_BYTES;
	if (e->name[e->name_bytes - 1])
		return -EINVAL;
	at = ALIGN_UP(at + HEADER_BYTES + e->name_bytes, (size_t)4);
	if (at > u->bytes || e->bytes > u->bytes - at)
		return -EINVAL;
	e->data = u->base + at;
	end = ALIGN_UP(at + e->bytes, (size_t)4);
	u->at = MIN(end, u->bytes);
	return 0;
}

/* --- hard links: the first entry of an inode number is made, later ones are links to it --- */
static struct link **link_bucket(struct unpack *u, const struct entry *e)
{
	return &u->links[(e->ino ^ e->major << 3 ^ e->minor) % LINKS];
}
static struct link *link_find(struct unpack *u, const struct entry *e)
{
	for (struct link *l = *link_bucket(u, e); l; l = l->next)
		if (l->ino == e->ino && l->major == e->major && l->minor == e->minor &&
			l->type == S_TYPE(e->mode))
			return l;
	return nullptr;
}
static void link_remember(struct unpack *u, const struct entry *e)
{
	size_t n = strlen(e->name) + 1;
	struct link *l = kmalloc(sizeof(*l) + n);

	if (!l)
		return; /* the link becomes a file of its own */
	l->ino = e->ino;
	l->major = e->major;
	l->minor = e->minor;
	l->type = S_TYPE(e->mode);
	memcpy(l->name, e->name, n);
	l->next = *link_bucket(u, e);
	*link_bucket(u, e) = l;
}
static void links_forget(struct unpack *u)
{
	for (u32 i = 0; i < LINKS; i++)
		while (u->links[i]) {
			struct link *l = u->links[i];

			u->links[i] = l->next;
			kfree(l);
		}
}

static void put_path(char *to, const char *name)
{
	memset(to, 0, PATH_BYTES);
	to[0] = '/';
	strlcpy(to + 1, name, PATH_BYTES - 1);
}

/* --- making --- */
static answer_t write_all(struct unpack *u, struct file *f, const u8 *data, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		struct uspan span = {(vaddr_t)data + done, bytes - done};
		struct uio io = {.spans = &span, .nr = 1, .kernel = true, .total = bytes - done};
		answer_t a = RUN(u, node_write(f->slot, c, f, &io));

		if (a <= 0)
			return a ? a : -EIO;
		done += (size_t)a;
	}
	return 0;
}

static answer_t make_file(struct unpack *u, const struct entry *e, bool fresh)
{
	struct open_request request = {.kernel_path = path, .mode = e->mode & 07777};
	answer_t a =
		RUN(u, vfs_open_kernel(SLOT(VFS), c, 0,
			       O_WRONLY | (fresh ? O_CREAT | O_TRUNC : 0) | O_LARGEFILE, &request));

	if (a < 0)
		return a;
	a = write_all(u, request.file, e->data, e->bytes);
	file_put(request.file);
	return a;
}

static answer_t make_symlink(struct unpack *u, const struct entry *e)
{
	if (e->bytes >= PATH_BYTES)
		return -ENAMETOOLONG;
	memset(other, 0, PATH_BYTES);
	memcpy(other, e->data, e->bytes);
	return RUN(u, vfs_symlink(SLOT(VFS), c, (u64)(vaddr_t)other, AT_CWD, (u64)(vaddr_t)path));
}

static answer_t make_node(struct unpack *u, const struct entry *e)
{
	u64 p = (u64)(vaddr_t)path;
	answer_t a;

	switch (S_TYPE(e->mode)) {
	case S_IFREG:
		return make_file(u, e, true);
	case S_IFDIR:
		a = RUN(u, vfs_mkdir(SLOT(VFS), c, AT_CWD, p, e->mode & 07777));
		return a == -EEXIST ? 0 : a;
	case S_IFLNK:
		return make_symlink(u, e);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return RUN(u, vfs_mknod(SLOT(VFS), c, AT_CWD, p, e->mode,
				      DEV_MAKE(e->rmajor, e->rminor)));
	default:
		return -EINVAL;
	}
}

/* What an earlier archive left under the name, unless a directory meets a directory. */
static void clean_path(struct unpack *u, const struct entry *e)
{
	u64 p = (u64)(vaddr_t)path;

	if (S_TYPE(e->mode) == S_IFDIR)
		return;
	if (RUN(u, vfs_unlink(SLOT(VFS), c, AT_CWD, p, 0)) == -EISDIR)
		(void)RUN(u, vfs_unlink(SLOT(VFS), c, AT_CWD, p, 0x200));
}

#define SYMLINK_NOFOLLOW 0x100 /* AT_SYMLINK_NOFOLLOW, as the personality passes it on */

static void set_owner(struct unpack *u, const struct entry *e)
{
	(void)RUN(u, vfs_chown(SLOT(VFS), c, AT_CWD, (u64)(vaddr_t)path, e->uid, e->gid,
			     SYMLINK_NOFOLLOW));
}

static void set_times(struct unpack *u, const struct entry *e)
{
	s64 seconds = (s64)e->mtime;

	(void)RUN(u, vfs_utimes_set(SLOT(VFS), c, AT_CWD, (u64)(vaddr_t)path, seconds, 0, seconds,
			     0, SYMLINK_NOFOLLOW));
}

static void set_attributes(struct unpack *u, const struct entry *e)
{
	if (e->uid || e->gid)
		set_owner(u, e);
	if (S_TYPE(e->mode) != S_IFLNK)
		(void)RUN(u,
			vfs_chmod(SLOT(VFS), c, AT_CWD, (u64)(vaddr_t)path, e->mode & 07777, 0));
	set_times(u, e);
}

static answer_t entry_make(struct unpack *u, const struct entry *e)
{
	struct link *first = nullptr;
	answer_t a;

	put_path(path, e->name);
	if (S_TYPE(e->mode) != S_IFDIR && e->nlink > 1)
		first = link_find(u, e);
	clean_path(u, e);
	if (first) {
		put_path(other, first->name);
		a = RUN(u, vfs_link(SLOT(VFS), c, AT_CWD, (u64)(vaddr_t)other, AT_CWD,
				   (u64)(vaddr_t)path, 0));
		/* The data of a linked file comes with any one of its names. */
		if (a == 0 && e->bytes && S_TYPE(e->mode) == S_IFREG)
			a = make_file(u, e, false);
		return a;
	}
	a = make_node(u, e);
	if (a == 0) {
		set_attributes(u, e);
		if (S_TYPE(e->mode) != S_IFDIR && e->nlink > 1)
			link_remember(u, e);
	}
	return a;
}

/* One archive, to its trailer or the end. */
static int unpack_archive(struct unpack *u)
{
	for (;;) {
		struct entry e = {};
		answer_t a;
		int error;

		while (u->at < u->bytes && !u->base[u->at])
			u->at++;
		if (u->at == u->bytes)
			return 0;
		if (u->bytes - u->at < 6 || memcmp(u->base + u->at, "0707", 4))
			return 0; /* the caller looks what this is */
		error = entry_next(u, &e);
		if (error) {
			log_err("initramfs: bad cpio entry at byte %zu\n", u->at);
			return error;
		}
		if (!strcmp(e.name, "TRAILER!!!")) {
			links_forget(u);
			continue;
		}
		a = entry_make(u, &e);
		u->nr_files++;
		if (a < 0) {
			u->nr_errors++;
			log_err("initramfs: %s: error %d\n", e.name, (int)-a);
		}
		cond_resched();
	}
}

static int unpack_all(struct unpack *u, u32 depth);
static int unpack_member(struct unpack *u, const void *data, size_t bytes, u32 depth)
{
	struct unpack *inner = kzalloc(sizeof(*inner));
	int error;

	if (!inner)
		return -ENOMEM;
	inner->base = data;
	inner->bytes = bytes;
	inner->c = u->c;
	error = unpack_all(inner, depth + 1);
	links_forget(inner);
	u->nr_files += inner->nr_files;
	kfree(inner);
	return error;
}

/* How what begins with these bytes was compressed, built in here or not; nullptr: not known. */
static const char *method_of(const u8 *p, size_t bytes)
{
	static const struct {
		const char *name;
		u8 bytes, magic[6];
	} methods[] = {{"gzip", 2, {0x1f, 0x8b}}, {"xz", 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
		{"zstd", 4, {0x28, 0xb5, 0x2f, 0xfd}}, {"bzip2", 3, {'B', 'Z', 'h'}},
		{"lzma", 3, {0x5d, 0, 0}}, {"lzo", 4, {0x89, 'L', 'Z', 'O'}},
		{"lz4", 4, {0x02, 0x21, 0x4c, 0x18}}};

	for (u32 i = 0; i < ARRAY_SIZE(methods); i++)
		if (bytes >= methods[i].bytes && !memcmp(p, methods[i].magic, methods[i].bytes))
			return methods[i].name;
	return nullptr;
}

static void tell_member(int error, const u8 *p, size_t bytes, size_t at)
{
	const char *method = method_of(p, bytes);

	if (!method)
		log_err("initramfs: neither a cpio archive nor a known compression at byte %zu\n",
			at);
	else if (error == -ENOSYS)
		log_err("initramfs: %s compression at byte %zu is not built in\n", method, at);
	else if (error == -ENOMEM)
		log_err("initramfs: no memory to unpack the %s data at byte %zu\n", method, at);
	else
		log_err("initramfs: corrupt %s data at byte %zu\n", method, at);
}

static int unpack_all(struct unpack *u, u32 depth)
{
	while (u->at < u->bytes) {
		size_t before = u->at, used = 0, out_bytes = 0;
		void *out = nullptr;
		int error = unpack_archive(u);

		if (error || u->at == u->bytes)
			return error;
		if (u->at != before && memcmp(u->base + u->at, "0707", 4) == 0)
			continue;
		error = depth ? -EINVAL
			      : decompress_member(u->base + u->at, u->bytes - u->at, &out,
					&out_bytes, &used);
		if (error) {
			tell_member(error, u->base + u->at, u->bytes - u->at, u->at);
			return error;
		}
		error = unpack_member(u, out, out_bytes, depth);
		decompress_free(out, out_bytes);
		if (error)
			return error;
		u->at += MAX(used, (size_t)1);
	}
	return 0;
}

int initramfs_unpack(const void *data, size_t bytes)
{
	struct unpack *u = kzalloc(sizeof(*u));
	int error;

	if (!u)
		return -ENOMEM;
	u->base = data;
	u->bytes = bytes;
	u->c = kmalloc(sizeof(*u->c));
	error = u->c ? unpack_all(u, 0) : -ENOMEM;
	if (u->c)
		log_info("initramfs: %u entries unpacked\n", u->nr_files);
	links_forget(u);
	kfree(u->c);
	kfree(u);
	return error;
}
