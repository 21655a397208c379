/*
 * damage DEVICE FIRST ROUNDS [plant]: each round damages one structure of the ext4 image on the
 * device (fs/ext4/test/damage.h), mounts it, walks and changes what can be reached, unmounts it and
 * puts the image back. Calls may fail in any way; the kernel must go on, and the image as it was
 * must mount at the end. `plant`: the image as it was is damaged too, which must be seen.
 *
 * What a round does depends on its number and on paths only, not on the order of entries or on what
 * calls answer: two kernels' lines "SEED CALL PATH ERRNO" can be compared.
 */
#define _GNU_SOURCE
#include "../../fs/ext4/test/damage.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define VISITS_MAX  500u
#define ENTRIES_MAX 600u
#define DEPTH_MAX   12

static uint8_t *pristine, *damaged;
static uint64_t bytes, seed;
static uint32_t visits, errors;
static struct damage d;

/* Errors that an undamaged image gives too are none. */
static void note(const char *call, const char *path, long r)
{
	switch (r < 0 ? errno : 0) {
	case 0:
	case ENODATA:
	case EEXIST:
	case ENOTEMPTY:
	case EPERM: /* user attributes of links and FIFOs */
	case EISDIR:
	case ENOTDIR:
	case ENXIO: /* a FIFO without a reader */
		return;
	default:
		errors++;
		printf("%llu %s %s %s\n", (unsigned long long)seed, call, path,
			strerrorname_np(errno));
	}
}

/* A number below `below` for this round, path and purpose. */
static uint64_t pick(const char *path, uint64_t purpose, uint64_t below)
{
	uint64_t h = (seed * 64 + purpose) * 0x9e3779b97f4a7c15ull;

	for (; *path; path++)
		h = (h ^ (uint8_t)*path) * 0x100000001b3ull;
	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull;
	return (h >> 16) % below;
}

static void put(int fd, const uint8_t *from, const uint8_t *before)
{
	for (uint64_t at = 0; at < bytes; at += 4096)
		if ((!before || memcmp(from + at, before + at, 4096)) &&
			pwrite(fd, from + at, 4096, (off_t)at) != 4096) {
			perror("damage: write");
			_exit(2);
		}
	if (fsync(fd))
		perror("damage: fsync");
}

static void touch_file(const char *path)
{
	static char block[8192];
	int fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);

	note("open", path, fd);
	if (fd < 0)
		return;
	for (int i = 0; i < 40; i++) {
		ssize_t n = pread(fd, block, sizeof(block), (off_t)i * 40000);

		note("read", path, n);
		if (n <= 0)
			break;
	}
	note("write", path, pwrite(fd, block, 5000, (off_t)pick(path, 1, 500000)));
	if (pick(path, 2, 3) == 0)
		note("truncate", path, ftruncate(fd, (off_t)pick(path, 3, 300000)));
	if (pick(path, 4, 3) == 0)
		note("fallocate", path,
			fallocate(fd, (int)pick(path, 5, 2) * 3, (off_t)pick(path, 6, 300000),
				20000));
	if (pick(path, 7, 3) == 0)
		note("fsync", path, fsync(fd));
	close(fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The entries by name. */
static uint32_t entries(const char *path, char **names)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	uint32_t nr = 0;

	note("opendir", path, dir ? 0 : -1);
	if (!dir)
		return 0;
	while (errno = 0, nr < ENTRIES_MAX && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[nr++] = strdup(e->d_name);
	note("readdir", path, errno ? -1 : 0);
	closedir(dir);
	qsort(names, nr, sizeof(*names), by_name);
	return nr;
}

static void visit(const char *path, int depth);
static void visit_directory(const char *path, int depth)
{
	char below[4400], other[4400], **names = calloc(ENTRIES_MAX, sizeof(*names));
	uint32_t nr = entries(path, names);

	snprintf(other, sizeof(other), "%.4096s/renamed", path);
	for (uint32_t i = 0; i < nr; i++) {
		snprintf(below, sizeof(below), "%.4096s/%.255s", path, names[i]);
		free(names[i]);
		visit(below, depth + 1);
		if (pick(below, 8, 8) != 0)
			continue;
		if (pick(below, 9, 2))
			note("rename", below, rename(below, other));
		else
			note("unlink", below, unlink(below));
	}
	free(names);
	snprintf(below, sizeof(below), "%.4096s/fresh", path);
	note("mkdir", below, mkdir(below, 0755));
	snprintf(below, sizeof(below), "%.4096s/fresh-file", path);
	note("mknod", below, mknod(below, S_IFREG | 0600, 0));
}

static void visit(const char *path, int depth)
{
	char text[1100];
	struct stat st = {};

	if (visits++ > VISITS_MAX)
		return;
	note("lstat", path, lstat(path, &st));
	note("listxattr", path, llistxattr(path, text, sizeof(text)));
	note("getxattr", path, lgetxattr(path, "user.large", text, sizeof(text)));
	note("setxattr", path, lsetxattr(path, "user.small", "changed", 7, 0));
	if (S_ISLNK(st.st_mode))
		note("readlink", path, readlink(path, text, sizeof(text)));
	if (S_ISREG(st.st_mode))
		touch_file(path);
	if (S_ISDIR(st.st_mode) && depth <= DEPTH_MAX)
		visit_directory(path, depth);
}

static bool round_of(const char *device, int fd, uint64_t number)
{
	enum damage_kind kind = DAMAGE_SUPER;
	struct statfs s;
	int r;

	seed = number;
	memcpy(damaged, pristine, bytes);
	if (seed)
		kind = damage_one(&d, damaged, seed);
	put(fd, damaged, pristine);
	visits = errors = 0;
	r = mount(device, "/m", "ext4", 0, NULL);
	note("mount", "/m", r);
	if (!r) {
		visit("/m", 0);
		note("statfs", "/m", statfs("/m", &s));
		sync();
		if (umount("/m") && umount2("/m", MNT_DETACH))
			perror("damage: umount");
	}
	printf("round %llu: %s: mount %s, %u visits, %u errors\n", (unsigned long long)seed,
		seed ? damage_names[kind] : "nothing", r ? "refused" : "ok", visits, errors);
	fflush(stdout);
	put(fd, pristine, NULL);
	return !r && !errors;
}

int main(int argc, char **argv)
{
	uint64_t first, rounds;
	int fd;

	if (argc < 4)
		return 2;
	first = strtoull(argv[2], NULL, 0);
	rounds = strtoull(argv[3], NULL, 0);
	fd = open(argv[1], O_RDWR);
	bytes = (uint64_t)lseek(fd, 0, SEEK_END);
	pristine = malloc(bytes);
	damaged = malloc(bytes);
	if (fd < 0 || !pristine || !damaged || pread(fd, pristine, bytes, 0) != (ssize_t)bytes) {
		perror("damage: device");
		return 2;
	}
	setvbuf(stdout, NULL, _IOFBF,
		4 << 20); /* a round's lines in one piece, between the kernel's */
	mkdir("/m", 0755);
	damage_begin(&d, pristine, bytes);
	if (argc > 4) { /* the root directory's first block is away */
		memset(pristine + d.target[DAMAGE_DIR][0].at, 0, d.block_bytes);
		put(fd, pristine, NULL);
	}
	if (!round_of(argv[1], fd, 0))
		return 1;
	for (uint64_t i = 0; i < rounds; i++)
		round_of(argv[1], fd, first + i);
	return !round_of(argv[1], fd, 0);
}
