/*
 * crowd DEVICE SECONDS WORKERS MEBIBYTES [SEED]: many processes work on one ext4 mount at once.
 * Each has files of its own, whose every page it knows, and all work on one shared tree of small
 * files. Then the device is unmounted, mounted again, and every page is looked at. Exit status 0:
 * all was as written. (The caller runs e2fsck on the device.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#define PAGE        4096u
#define FILES       4u
#define MAX_WORKERS 32u
#define DIRS        6u
#define NAMES       40u

struct model { /* what a file must hold: 0 for a page of zeros, else what it was filled with */
	uint64_t size;
	uint32_t pages[];
};

static uint64_t seed;
static uint32_t max_pages, worker;
static char *models;

static struct model *model_of(uint32_t who, uint32_t file)
{
	return (void *)(models + (size_t)(who * FILES + file) *
					 (sizeof(struct model) + max_pages * sizeof(uint32_t)));
}

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

static void die(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "crowd: worker %u: ", worker);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, " (%s)\n", strerror(errno));
	exit(1);
}

static void fill(uint32_t *page, uint32_t stamp, uint64_t index)
{
	for (uint32_t i = 0; i < PAGE / 4; i++)
		page[i] = stamp ? stamp * 2654435761u + i + (uint32_t)index * 7 : 0;
}

static void file_name(char *out, uint32_t who, uint32_t file)
{
	sprintf(out, "/m/own-%u-%u", who, file);
}

static void check_page(const void *have, uint32_t who, uint32_t file, uint64_t index,
	uint64_t bytes)
{
	uint32_t want[PAGE / 4];

	fill(want, model_of(who, file)->pages[index], index);
	for (uint64_t i = 0; i < bytes; i++)
		if (((const uint8_t *)have)[i] != ((uint8_t *)want)[i])
			die("file %u-%u page %llu byte %llu: has %02x, want %02x (stamp %u)", who,
				file, (unsigned long long)index, (unsigned long long)i,
				((const uint8_t *)have)[i], ((uint8_t *)want)[i],
				model_of(who, file)->pages[index]);
}

static void check_file(uint32_t who, uint32_t file, int fd, uint64_t first, uint64_t nr)
{
	struct model *m = model_of(who, file);
	uint8_t page[PAGE];
	struct stat st;

	if (fstat(fd, &st))
		die("fstat");
	if ((uint64_t)st.st_size != m->size)
		die("file %u-%u: size %llu, want %llu", who, file, (unsigned long long)st.st_size,
			(unsigned long long)m->size);
	for (uint64_t i = first; i < first + nr && i * PAGE < m->size; i++) {
		uint64_t want = m->size - i * PAGE < PAGE ? m->size - i * PAGE : PAGE;
		ssize_t n = pread(fd, page, PAGE, (off_t)(i * PAGE));

		if (n != (ssize_t)want)
			die("file %u-%u page %llu: read %zd, want %llu", who, file,
				(unsigned long long)i, n, (unsigned long long)want);
		check_page(page, who, file, i, want);
	}
}

static void full(const char *what)
{
	if (errno != ENOSPC)
		die("%s", what);
	usleep(1000);
}

static void grow_to(struct model *m, uint64_t end)
{
	if (end > m->size)
		m->size = end;
}

static void write_pages(struct model *m, int fd, uint64_t first, uint64_t nr)
{
	uint32_t page[PAGE / 4], stamp = (uint32_t)rnd(1u << 30) + 1;

	for (uint64_t i = first; i < first + nr && i < max_pages; i++) {
		fill(page, stamp, i);
		if (pwrite(fd, page, PAGE, (off_t)(i * PAGE)) != PAGE) {
			full("write");
			return;
		}
		m->pages[i] = stamp;
		grow_to(m, (i + 1) * PAGE);
	}
}

static void map_pages(struct model *m, int fd, uint64_t first, uint64_t nr)
{
	uint32_t stamp = (uint32_t)rnd(1u << 30) + 1;
	uint8_t *map;

	if ((first + nr) * PAGE > m->size)
		return;
	map = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(first * PAGE));
	if (map == MAP_FAILED)
		die("mmap");
	for (uint64_t i = 0; i < nr; i++) {
		if (m->pages[first + i] == 0)
			continue; /* a hole: without room the store would be a SIGBUS */
		fill((void *)(map + i * PAGE), stamp, first + i);
		m->pages[first + i] = stamp;
	}
	if (rnd(3) == 0 && msync(map, nr * PAGE, MS_SYNC))
		die("msync");
	munmap(map, nr * PAGE);
}

static void cut(struct model *m, int fd)
{
	uint64_t size = rnd(2) ? rnd(max_pages) * PAGE : m->size / 2 / PAGE * PAGE;

	if (ftruncate(fd, (off_t)size)) {
		full("ftruncate");
		return;
	}
	for (uint64_t i = size / PAGE; i < max_pages; i++)
		m->pages[i] = 0;
	m->size = size;
}

static void punch(struct model *m, int fd, uint64_t first, uint64_t nr)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(first * PAGE),
		    (off_t)(nr * PAGE))) {
		full("punch");
		return;
	}
	for (uint64_t i = first; i < first + nr && i < max_pages; i++)
		m->pages[i] = 0;
}

static void own_step(int *fds)
{
	uint32_t file = (uint32_t)rnd(FILES);
	struct model *m = model_of(worker, file);
	uint64_t first = rnd(max_pages), nr = 1 + rnd(40);
	char name[64], other[64];
	int fd = fds[file];

	switch (rnd(16)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		write_pages(m, fd, first, nr);
		break;
	case 6:
	case 7:
	case 8:
		check_file(worker, file, fd, first, nr);
		break;
	case 9:
	case 10:
		map_pages(m, fd, first, nr);
		break;
	case 11:
		if (rnd(20) == 0)
			cut(m, fd);
		break;
	case 12:
		if (first + nr <= max_pages)
			punch(m, fd, first, nr);
		break;
	case 13:
		if (fsync(fd) && errno != ENOSPC)
			die("fsync");
		break;
	case 14:
		if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(first * PAGE), (off_t)(nr * PAGE)))
			full("fallocate");
		break;
	default:
		file_name(name, worker, file);
		sprintf(other, "%s.moved", name);
		if (rename(name, other) || rename(other, name))
			full("rename");
		break;
	}
}

/* Everybody's: any answer that Linux may give is good, e2fsck judges. */
static void shared_step(void)
{
	char a[64], b[64], text[300];
	int fd;

	sprintf(a, "/m/d%llu/a-name-that-takes-room-%llu", (unsigned long long)rnd(DIRS),
		(unsigned long long)rnd(NAMES));
	sprintf(b, "/m/d%llu/a-name-that-takes-room-%llu", (unsigned long long)rnd(DIRS),
		(unsigned long long)rnd(NAMES));
	switch (rnd(10)) {
	case 0:
	case 1:
	case 2:
		fd = open(a, O_RDWR | O_CREAT | (rnd(2) ? O_TRUNC : 0), 0644);
		if (fd < 0)
			break;
		memset(text, 'x', sizeof(text));
		if (pwrite(fd, text, sizeof(text), (off_t)rnd(30000)) < 0 && errno != ENOSPC)
			die("shared write");
		if (rnd(20) == 0)
			unlink(a); /* open without a name */
		close(fd);
		break;
	case 3:
	case 4:
		unlink(a);
		break;
	case 5:
	case 6:
		rename(a, b);
		break;
	case 7:
		if (link(a, b) == 0)
			break;
		memset(text, 't', sizeof(text));
		text[40 + rnd(200)] = 0;
		symlink(text, a);
		break;
	case 8:
		if (mkdir(a, 0755))
			rmdir(a);
		break;
	default: {
		DIR *d;

		sprintf(a, "/m/d%llu", (unsigned long long)rnd(DIRS));
		d = opendir(a);
		while (d && readdir(d))
			;
		if (d)
			closedir(d);
	}
	}
}

static void work(time_t end)
{
	int fds[FILES];
	char name[64];

	for (uint32_t f = 0; f < FILES; f++) {
		file_name(name, worker, f);
		fds[f] = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fds[f] < 0)
			die("%s", name);
		write_pages(model_of(worker, f), fds[f], 0, max_pages);
	}
	for (uint64_t i = 0; time(NULL) < end; i++) {
		if (worker % 2 || i % 4)
			own_step(fds);
		else
			for (uint32_t k = 0; k < 20; k++)
				shared_step();
	}
	for (uint32_t f = 0; f < FILES; f++)
		close(fds[f]);
	exit(0);
}

static void check_all(uint32_t workers)
{
	char name[64];

	for (uint32_t w = 0; w < workers; w++)
		for (uint32_t f = 0; f < FILES; f++) {
			int fd;

			file_name(name, w, f);
			fd = open(name, O_RDONLY);
			if (fd < 0)
				die("%s", name);
			check_file(w, f, fd, 0, max_pages);
			close(fd);
		}
}

int main(int argc, char **argv)
{
	uint32_t workers = argc > 3 ? (uint32_t)atoi(argv[3]) : 8, bad = 0;
	uint64_t first_seed = argc > 5 ? strtoull(argv[5], NULL, 0) : 1;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 20);
	size_t bytes;
	int status;

	if (argc < 5 || workers > MAX_WORKERS)
		return 2;
	max_pages = (uint32_t)((uint64_t)atoi(argv[4]) * 256 / (workers * FILES));
	bytes = (size_t)workers * FILES * (sizeof(struct model) + max_pages * sizeof(uint32_t));
	models = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mkdir("/m", 0755);
	if (models == MAP_FAILED || mount(argv[1], "/m", "ext4", 0, NULL))
		die("mount");
	for (uint32_t i = 0; i < DIRS; i++) {
		char name[64];

		sprintf(name, "/m/d%u", i);
		mkdir(name, 0755);
	}
	for (worker = 0; worker < workers; worker++)
		if (fork() == 0) {
			seed = (first_seed * 1000003 + worker) * 0x9e3779b97f4a7c15ull | 1;
			work(end);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	if (bad)
		return 1;
	if (umount("/m"))
		die("umount");
	if (mount(argv[1], "/m", "ext4", 0, NULL))
		die("second mount");
	check_all(workers);
	if (umount("/m"))
		die("second umount");
	printf("crowd: %u workers, all as written\n", workers);
	return 0;
}
