/* memory.c: mappings, protection, faults, shared memory and its files. */
#define ABI_FAMILY "memory"
#include "../abi.h"
#include <sys/socket.h>
#include <sys/uio.h>

#define PAGE 4096L
/* An address that is no user address with any number of page table levels. */
#if defined(__x86_64__)
#define NO_ADDRESS (1ul << 57)
#else
#define NO_ADDRESS (1ul << 55)
#endif

static char *map(void *at, size_t len, int prot, int flags, long fd, long off)
{
	return (char *)SYS(mmap, at, len, prot, flags, fd, off);
}

static char *anon(size_t len)
{
	char *p = map(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	OK(p);
	return p;
}

static long new_file(size_t size)
{
	long fd = OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600));

	OK(SYS(ftruncate, fd, size));
	return fd;
}

/* The signal that an access ends with; 0 when it works. */
static int fault_of(volatile char *p, bool write)
{
	struct {
		uint64_t soft, hard;
	} l = {0, 0};
	int st;

	SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL);
	IN_CHILD(&st)
	{
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return WIFSIGNALED(st) ? WTERMSIG(st) : 0;
}

CASE(anonymous, "mmap:MAP_ANONYMOUS", "mmap:MAP_PRIVATE", "munmap:unmaps", "mmap:zeroes",
	"mmap:PROT_READ")
{
	char *p = map(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	OK(p);
	EQ((long)p % PAGE, 0);
	for (long i = 0; i < 3 * PAGE; i++)
		EQ(p[i], 0); /* zeroes */
	memset(p, 1, 3 * PAGE);
	OK(SYS(munmap, p + PAGE, 1)); /* unmaps the whole page */
	EQ(fault_of(p + PAGE, false), SIGSEGV);
	EQ(fault_of(p, true), 0);
	EQ(fault_of(p + 2 * PAGE, true), 0);
	OK(SYS(munmap, p, 3 * PAGE)); /* holes are no error */
	p = map(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EQ(p[5], 0);
	EQ(fault_of(p, true), SIGSEGV);
}

CASE(errors, "mmap:EINVAL", "mmap:EBADF", "mmap:EACCES", "mmap:ENODEV", "mmap:ENOMEM",
	"munmap:EINVAL", "mmap:EOVERFLOW", "mmap:EOPNOTSUPP")
{
	long fd = new_file(PAGE), ro, dir, wo;
	int fds[2];

	ERR(map(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	ERR(map(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0),
		EINVAL); /* neither shared nor private */
	ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
	ERR(map((void *)(PAGE * 16 + 1), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0),
		EINVAL);
	ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
	ro = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	ERR(map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
	OK(map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0));
	wo = OK(SYS(openat, AT_FDCWD, "f", O_WRONLY));
	ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
	dir = OK(SYS(openat, AT_FDCWD, ".", O_RDONLY));
	ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
	OK(SYS(pipe2, fds, 0));
	ERR(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0), ENODEV);
	ERR(map(NULL, (size_t)1 << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	ERR(map(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE), EOVERFLOW);
	ERR(map(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
	ERR(SYS(munmap, 1, PAGE), EINVAL);
	ERR(SYS(munmap, PAGE * 16, 0), EINVAL);
	ERR(SYS(munmap, NO_ADDRESS, PAGE), EINVAL);
}

CASE(fixed, "mmap:MAP_FIXED", "mmap:MAP_FIXED_NOREPLACE", "mmap:EEXIST", "mmap:hint")
{
	char *p = anon(4 * PAGE), *q;

	memset(p, 7, 4 * PAGE);
	EQ(map(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		p + PAGE);
	T(p[0] == 7 && p[PAGE] == 0 && p[2 * PAGE] == 7);
	ERR(map(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
		EEXIST);
	OK(SYS(munmap, p, 4 * PAGE));
	EQ(map(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), p);
	q = map(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0); /* hint: taken, so elsewhere */
	OK(q);
	T(q != p);
}

CASE(low_address, "mmap:EPERM", "mmap:MAP_FIXED")
{
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(map((void *)0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EPERM);
}

CASE(protect, "mprotect:PROT_NONE", "mprotect:PROT_READ", "mprotect:splits", "mprotect:ENOMEM",
	"mprotect:EINVAL", "mprotect:EACCES", "mprotect:PROT_EXEC")
{
	char *p = anon(4 * PAGE), *m;
	long fd = new_file(PAGE), ro;

	memset(p, 7, 4 * PAGE);
	OK(SYS(mprotect, p + PAGE, PAGE, PROT_READ)); /* splits */
	OK(SYS(mprotect, p + 2 * PAGE, PAGE, PROT_NONE));
	EQ(fault_of(p, true), 0);
	EQ(fault_of(p + PAGE, false), 0);
	EQ(fault_of(p + PAGE, true), SIGSEGV);
	EQ(fault_of(p + 2 * PAGE, false), SIGSEGV);
	EQ(fault_of(p + 3 * PAGE, true), 0);
	OK(SYS(mprotect, p, 4 * PAGE, PROT_READ | PROT_WRITE));
	EQ(p[2 * PAGE], 7);
	OK(SYS(munmap, p + PAGE, PAGE));
	ERR(SYS(mprotect, p, 4 * PAGE, PROT_READ), ENOMEM);
	EQ(fault_of(p, true), SIGSEGV); /* what lies before the hole was changed */
	ERR(SYS(mprotect, p + 1, PAGE, PROT_READ), EINVAL);
	ERR(SYS(mprotect, p, PAGE, 0x40), EINVAL);
	ro = OK(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	m = map(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	OK(m);
	ERR(SYS(mprotect, m, PAGE, PROT_READ | PROT_WRITE), EACCES);
	(void)fd;
	/* Code is written, then made executable and run. */
#if defined(__x86_64__)
	memcpy(p + 2 * PAGE, "\xb8\x2a\0\0\0\xc3", 6);
#else
	memcpy(p + 2 * PAGE, "\x40\x05\x80\x52\xc0\x03\x5f\xd6", 8);
#endif
	__builtin___clear_cache(p + 2 * PAGE, p + 2 * PAGE + 8);
	int st;
	IN_CHILD(&st)
	{
		((int (*)(void))(uintptr_t)(p + 2 * PAGE))();
	}
	EQ(WTERMSIG(st), SIGSEGV); /* not executable yet */
	OK(SYS(mprotect, p + 2 * PAGE, PAGE, PROT_READ | PROT_EXEC));
	EQ(((int (*)(void))(uintptr_t)(p + 2 * PAGE))(), 42);
}

CASE(remap, "mremap:grows in place", "mremap:shrinks", "mremap:MREMAP_MAYMOVE",
	"mremap:MREMAP_FIXED", "mremap:ENOMEM", "mremap:EINVAL", "mremap:EFAULT",
	"mremap:MREMAP_DONTUNMAP")
{
	char *p = anon(4 * PAGE), *q, *target = anon(4 * PAGE);

	memset(p, 9, 4 * PAGE);
	EQ(SYS(mremap, p, 4 * PAGE, 2 * PAGE, 0), p); /* shrinks */
	EQ(fault_of(p + 2 * PAGE, false), SIGSEGV);
	EQ(SYS(mremap, p, 2 * PAGE, 3 * PAGE, 0), p); /* grows in place */
	EQ(p[2 * PAGE], 0);
	OK(map(p + 3 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ERR(SYS(mremap, p, 3 * PAGE, 4 * PAGE, 0), ENOMEM);
	q = (char *)OK(SYS(mremap, p, 3 * PAGE, 16 * PAGE, MREMAP_MAYMOVE));
	T(q != p && q[0] == 9 && q[2 * PAGE - 1] == 9 && q[15 * PAGE] == 0);
	EQ(fault_of(p, false), SIGSEGV);
	EQ(SYS(mremap, q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target), target);
	EQ(target[0], 9);
	ERR(SYS(mremap, q + 1, PAGE, PAGE, 0), EINVAL);
	ERR(SYS(mremap, target, PAGE, 0, 0), EINVAL);
	ERR(SYS(mremap, target, PAGE, PAGE, 0x80), EINVAL);
	ERR(SYS(mremap, target, PAGE, PAGE, MREMAP_FIXED, p), EINVAL);
	ERR(SYS(mremap, p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT); /* nothing is mapped there */
	q = (char *)OK(SYS(mremap, target, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	T(q[0] == 9 && target[0] == 0);
}

CASE(advice, "madvise:MADV_DONTNEED", "madvise:MADV_FREE", "madvise:EINVAL", "madvise:ENOMEM",
	"madvise:MADV_WILLNEED", "madvise:MADV_DONTFORK", "madvise:MADV_WIPEONFORK",
	"madvise:file page returns")
{
	char *p = anon(4 * PAGE), *m;
	long fd = new_file(PAGE);

	memset(p, 3, 4 * PAGE);
	OK(SYS(madvise, p, PAGE, MADV_DONTNEED));
	T(p[0] == 0 && p[PAGE] == 3);
	OK(SYS(madvise, p + PAGE, PAGE, MADV_FREE));
	T(p[PAGE] == 3 || p[PAGE] == 0);
	OK(SYS(madvise, p, 4 * PAGE, MADV_WILLNEED));
	ERR(SYS(madvise, p, PAGE, 12345), EINVAL);
	ERR(SYS(madvise, p + 1, PAGE, MADV_DONTNEED), EINVAL);
	EQ(SYS(madvise, p, 0, MADV_DONTNEED), 0);
	EQ(SYS(pwrite64, fd, "file", 4, 0), 4);
	m = map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	m[0] = 'X';
	OK(SYS(madvise, m, PAGE, MADV_DONTNEED));
	EQ(m[0], 'f'); /* file page returns */
	OK(SYS(madvise, p + 2 * PAGE, PAGE, MADV_DONTFORK));
	EQ(fault_of(p + 2 * PAGE, false), SIGSEGV);
	OK(SYS(madvise, p + 3 * PAGE, PAGE, MADV_WIPEONFORK));
	CHILD_OK
	{
		EQ(p[3 * PAGE], 0);
	}
	EQ(p[3 * PAGE], 3);
	OK(SYS(munmap, p + PAGE, PAGE));
	ERR(SYS(madvise, p, 2 * PAGE, MADV_DONTNEED), ENOMEM);
}

CASE(shared_file, "mmap:MAP_SHARED", "msync:MS_SYNC", "msync:ENOMEM", "msync:EINVAL",
	"msync:MS_ASYNC", "write:coherent with mapping", "pread64:coherent with mapping")
{
	char buf[8];
	long fd = new_file(2 * PAGE);
	char *p = map(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *q;

	OK(p);
	memcpy(p + 10, "mapped", 6);
	EQ(SYS(pread64, fd, buf, 6, 10), 6); /* coherent with mapping */
	T(memcmp(buf, "mapped", 6) == 0);
	EQ(SYS(write, fd, "written", 7), 7); /* coherent with mapping */
	T(memcmp(p, "written", 7) == 0);
	q = map(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	p[0] = 'W';
	EQ(q[0], 'W');
	OK(SYS(msync, p, 2 * PAGE, MS_SYNC));
	OK(SYS(msync, p, 2 * PAGE, MS_ASYNC));
	ERR(SYS(msync, p + 1, PAGE, MS_SYNC), EINVAL);
	ERR(SYS(msync, p, PAGE, 0x100), EINVAL);
	ERR(SYS(msync, p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	OK(SYS(munmap, p + PAGE, PAGE));
	ERR(SYS(msync, p, 2 * PAGE, MS_SYNC), ENOMEM);
	/* The mapping holds the file when descriptor and name are gone. */
	OK(SYS(close, fd));
	OK(SYS(unlinkat, AT_FDCWD, "f", 0));
	EQ(p[0], 'W');
	CHILD_OK
	{
		p[1] = 'C';
	}
	EQ(p[1], 'C');
}

CASE(private_file, "mmap:MAP_PRIVATE", "mmap:copy on write", "clone:copies mapping")
{
	char buf[4];
	long fd = new_file(PAGE);
	char *p = map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), *q = anon(PAGE);

	p[0] = 'p'; /* copy on write */
	EQ(SYS(pread64, fd, buf, 1, 0), 1);
	EQ(buf[0], 0);
	q[0] = 1;
	CHILD_OK
	{
		EQ(p[0], 'p');
		p[0] = 'c'; /* copies mapping */
		q[0] = 2;
		CHILD_OK
		{
			EQ(q[0], 2);
			q[0] = 3;
		}
		EQ(q[0], 2);
	}
	T(p[0] == 'p' && q[0] == 1);
}

CASE(beyond_end, "signal:SIGBUS beyond the end", "ftruncate:takes mapped pages away",
	"ftruncate:grows under mapping", "mmap:rest of last page")
{
	long fd = new_file(100);
	char *p = map(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char buf[200];

	p[50] = 1;
	p[200] = 1; /* rest of last page: not part of the file */
	EQ(SYS(pread64, fd, buf, 200, 0), 100);
	EQ(fault_of(p + PAGE, false), SIGBUS);
	OK(SYS(ftruncate, fd, 2 * PAGE)); /* grows under mapping */
	EQ(fault_of(p + PAGE, true), 0);
	p[PAGE] = 4;
	OK(SYS(ftruncate, fd, 10)); /* takes mapped pages away */
	EQ(fault_of(p + PAGE, false), SIGBUS);
	EQ(p[50], 0);
	/* A system call over such a page answers EFAULT. */
	ERR(SYS(write, fd, p + PAGE, 10), EFAULT);
}

CASE(shared_anonymous, "mmap:MAP_SHARED", "mmap:MAP_POPULATE", "mmap:MAP_NORESERVE",
	"mmap:shared with child")
{
	char *p = map(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	OK(p);
	CHILD_OK
	{
		p[PAGE] = 5; /* shared with child */
	}
	EQ(p[PAGE], 5);
	OK(map(NULL, 1l << 34, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0));
}

CASE(break, "brk:grows", "brk:shrinks", "brk:refused keeps", "prlimit64:RLIMIT_DATA")
{
	struct {
		uint64_t soft, hard;
	} l = {1 << 20, 1 << 20};
	long start = SYS(brk, 0);

	EQ(SYS(brk, start + 5 * PAGE), start + 5 * PAGE); /* grows */
	memset((char *)start, 1, 5 * PAGE);
	EQ(SYS(brk, start + PAGE), start + PAGE); /* shrinks */
	EQ(fault_of((char *)start + 3 * PAGE, false), SIGSEGV);
	EQ(SYS(brk, start + 2 * PAGE), start + 2 * PAGE);
	EQ(*(char *)(start + PAGE), 0);
	EQ(SYS(brk, 1), start + 2 * PAGE); /* refused keeps */
	OK(SYS(prlimit64, 0, RLIMIT_DATA, &l, NULL));
	EQ(SYS(brk, start + (64l << 20)), start + 2 * PAGE);
}

CASE(resident, "mincore:vector", "mincore:ENOMEM", "mincore:EINVAL", "mincore:EFAULT",
	"mlock:pages", "munlock:pages", "mlock:ENOMEM", "mlockall:MCL_CURRENT", "munlockall:all",
	"mlock2:MLOCK_ONFAULT", "mlockall:EINVAL", "mlock2:EINVAL")
{
	unsigned char vec[4] = {9, 9, 9, 9};
	char *p = anon(4 * PAGE);

	p[PAGE] = 1;
	OK(SYS(mincore, p, 4 * PAGE, vec));
	T((vec[0] & 1) == 0 && (vec[1] & 1) == 1); /* vector */
	OK(SYS(mlock, p, 4 * PAGE));               /* pages */
	OK(SYS(mincore, p, 4 * PAGE, vec));
	T((vec[0] & vec[1] & vec[2] & vec[3] & 1) == 1);
	OK(SYS(munlock, p, 4 * PAGE)); /* pages */
	OK(SYS(mlock2, p, PAGE, 1 /* MLOCK_ONFAULT */));
	ERR(SYS(mlock2, p, PAGE, 8), EINVAL);
	OK(SYS(mlockall, MCL_CURRENT));
	ERR(SYS(mlockall, 0x100), EINVAL);
	OK(SYS(munlockall)); /* all */
	ERR(SYS(mincore, p + 1, PAGE, vec), EINVAL);
	ERR(SYS(mincore, p, PAGE, (void *)-4096L), EFAULT);
	OK(SYS(munmap, p + PAGE, PAGE));
	ERR(SYS(mincore, p, 2 * PAGE, vec), ENOMEM);
	ERR(SYS(mlock, p, 2 * PAGE), ENOMEM);
}

CASE(lock_limit, "mlock:EPERM", "mlock:ENOMEM", "prlimit64:RLIMIT_MEMLOCK", "prlimit64:RLIMIT_AS",
	"mmap:ENOMEM")
{
	struct {
		uint64_t soft, hard;
	} l = {2 * PAGE, 2 * PAGE}, as = {64 << 20, 64 << 20};
	char *p = anon(4 * PAGE);

	OK(SYS(prlimit64, 0, RLIMIT_MEMLOCK, &l, NULL));
	OK(SYS(prlimit64, 0, RLIMIT_AS, &as, NULL));
	ERR(map(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	OK(SYS(setresuid, 1000, 1000, 1000));
	OK(SYS(mlock, p, 2 * PAGE));
	ERR(SYS(mlock, p, 4 * PAGE), ENOMEM);
	OK(SYS(munlock, p, 4 * PAGE));
	l.soft = l.hard = 0;
	OK(SYS(prlimit64, 0, RLIMIT_MEMLOCK, &l, NULL));
	ERR(SYS(mlock, p, PAGE), EPERM);
}

[[gnu::noinline]] static int use_stack(long bytes)
{
	volatile char *sp = (volatile char *)__builtin_frame_address(0);

	for (long i = 0; i < bytes; i += 4096)
		sp[-i - 256] = 1;
	return 3;
}

CASE(grows_down, "mmap:MAP_GROWSDOWN", "signal:stack grows", "prlimit64:RLIMIT_STACK")
{
	struct {
		uint64_t soft, hard;
	} l;
	int st;

	/* The stack of a process grows by use, up to its limit. */
	IN_CHILD(&st)
	{
		_exit(use_stack(4 << 20)); /* stack grows */
	}
	EQ(st, 3 << 8);
	OK(SYS(prlimit64, 0, RLIMIT_CORE, NULL, &l));
	l.soft = 0;
	OK(SYS(prlimit64, 0, RLIMIT_CORE, &l, NULL));
	OK(SYS(prlimit64, 0, RLIMIT_STACK, NULL, &l));
	l.soft = 256 << 10;
	OK(SYS(prlimit64, 0, RLIMIT_STACK, &l, NULL));
	IN_CHILD(&st)
	{
		use_stack(1 << 20);
	}
	EQ(WTERMSIG(st), SIGSEGV);
	OK(map(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN,
		-1, 0));
}

CASE(many_mappings, "mmap:many", "mprotect:many splits", "munmap:range of many")
{
	char *p = anon(2000 * PAGE);

	for (long i = 0; i < 2000; i += 2)
		OK(SYS(mprotect, p + i * PAGE, PAGE, PROT_READ)); /* many splits */
	for (long i = 0; i < 2000; i++) {
		if (i % 2)
			p[i * PAGE] = (char)i;
		EQ(p[i * PAGE], i % 2 ? (char)i : 0);
	}
	OK(SYS(mprotect, p, 2000 * PAGE, PROT_READ | PROT_WRITE));
	EQ(p[1999 * PAGE], (char)1999);
	OK(SYS(munmap, p, 2000 * PAGE));
	ERR(SYS(mincore, p, PAGE, p), ENOMEM);
}

CASE(process_access, "memfd_create:mapped", "mmap:MAP_SHARED", "fcntl:F_SEAL_WRITE", "fcntl:EBUSY",
	"mmap:EPERM", "mmap:ENOMEM")
{
	long fd = OK(SYS(memfd_create, "m", MFD_ALLOW_SEALING));
	char *p;

	OK(SYS(ftruncate, fd, PAGE));
	p = map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); /* mapped */
	OK(p);
	ERR(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	OK(SYS(munmap, p, PAGE));
	OK(SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE));
	ERR(map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	OK(map(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	/* Nothing below user space's end is left for this one. */
	ERR(map(NULL, NO_ADDRESS, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		ENOMEM);
}

CASE(kernel_addresses, "write:EFAULT", "read:EFAULT", "mmap:ENOMEM", "munmap:EINVAL",
	"mprotect:ENOMEM")
{
	static const unsigned long bad[] = {NO_ADDRESS, 0xffff800000000000, 0xffffffff80000000,
		-4096ul};
	int fds[2];

	OK(SYS(pipe2, fds, 0));
	EQ(SYS(write, fds[1], "0123456789", 10), 10);
	for (int i = 0; i < 4; i++) {
		ERR(SYS(write, fds[1], bad[i], 8), EFAULT);
		ERR(SYS(read, fds[0], bad[i], 8), EFAULT);
		ERR(map((void *)bad[i], PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			    -1, 0),
			ENOMEM);
		ERR(SYS(munmap, bad[i], PAGE), EINVAL);
		ERR(SYS(mprotect, bad[i], PAGE, PROT_READ), ENOMEM);
	}
}

/* --- calls with large buffers, in memory that has no free pages beside each other --- */

/* Names enough for several getdents64 with glibc's buffer of 32 KiB. */
static void list_large(const char *dir)
{
	static char buf[32768];
	long fd = OK(SYS(openat, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY)), got, seen = 0;

	while ((got = OK(SYS(getdents64, fd, buf, sizeof(buf)))) > 0)
		for (long at = 0; at < got; at += *(uint16_t *)(buf + at + 16))
			seen += buf[at + 19] == 'n';
	EQ(seen, 1200);
	OK(SYS(close, fd));
}

/* 600 descriptors of a pipe that nobody writes to: a wait set of 600. */
static void poll_many(long pipe_fd)
{
	static struct pollfd p[600];
	uint64_t nothing[2] = {0, 1000000};

	for (int i = 0; i < 600; i++)
		p[i] = (struct pollfd){.fd = (int)pipe_fd, .events = POLLIN};
	EQ(SYS(ppoll, p, 600, nothing, NULL, 8), 0);
}

/* Each byte in a page of its own that nobody has touched yet. */
static void vectors(void)
{
	static struct iovec v[1024];
	char *bytes = anon(1024 * PAGE);
	long fd = OK(SYS(openat, AT_FDCWD, "vector", O_RDWR | O_CREAT, 0600));

	for (int i = 0; i < 1024; i++)
		v[i] = (struct iovec){bytes + i * PAGE, 1};
	EQ(SYS(pwritev, fd, v, 1024, 0L, 0L), 1024);
	OK(SYS(munmap, bytes, 1024 * PAGE));
	bytes = anon(1024 * PAGE);
	for (int i = 0; i < 1024; i++)
		v[i].iov_base = bytes + i * PAGE;
	EQ(SYS(preadv, fd, v, 1024, 0L, 0L), 1024);
	OK(SYS(munmap, bytes, 1024 * PAGE));
	OK(SYS(close, fd));
}

/* Whole or not at all, from and to memory that nobody has touched yet. */
static void datagrams(void)
{
	static struct iovec v[100];
	char *data = anon(100 * PAGE);
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 1};
	uint64_t one;
	int s[2];

	OK(SYS(socketpair, AF_UNIX, SOCK_DGRAM, 0, s));
	v[0] = (struct iovec){data, 100000};
	EQ(SYS(sendmsg, s[0], &m, 0), 100000);
	v[0].iov_base = data + 40 * PAGE;
	EQ(SYS(recvmsg, s[1], &m, 0), 100000);
	OK(SYS(madvise, data, 100 * PAGE, MADV_DONTNEED));
	m.msg_iovlen = 100;
	for (int i = 0; i < 100; i++)
		v[i] = (struct iovec){data + i * PAGE, 10};
	EQ(SYS(sendmsg, s[0], &m, 0), 1000);
	OK(SYS(madvise, data, 100 * PAGE, MADV_DONTNEED));
	EQ(SYS(recvmsg, s[1], &m, 0), 1000); /* into untouched vectors */
	OK(SYS(close, s[0]));
	OK(SYS(close, s[1]));
	OK(SYS(madvise, data, 100 * PAGE, MADV_DONTNEED));
	s[0] = (int)OK(SYS(eventfd2, 0, 0));
	one = 1;
	EQ(SYS(write, s[0], &one, 8), 8);
	for (int i = 0; i < 8; i++)
		v[i].iov_len = 1;
	EQ(SYS(readv, s[0], v, 8), 8); /* eventfd into untouched vectors */
	OK(SYS(close, s[0]));
	OK(SYS(munmap, data, 100 * PAGE));
}

static void execute_large(void)
{
	static char text[100000], *argv[] = {abi_self, "--helper", "exit", "0", text, text, NULL},
				  *envp[] = {text, NULL};

	memset(text, 'x', sizeof(text) - 1);
	CHILD_OK
	{
		SYS(execve, abi_self, argv, envp);
		_exit(9);
	}
}

/* 300 regions: the text of /proc/self/maps is longer than what is read at once. */
static void map_many(void)
{
	char *p = anon(600 * PAGE);
	static char text[65536];
	long fd, got, all = 0;

	for (int i = 0; i < 300; i++)
		OK(SYS(mprotect, p + 2 * i * PAGE, PAGE, PROT_READ));
	fd = OK(SYS(openat, AT_FDCWD, "/proc/self/maps", O_RDONLY));
	while ((got = OK(SYS(read, fd, text, sizeof(text)))) > 0)
		all += got;
	T(all > 600 * 40);
	OK(SYS(close, fd));
	OK(SYS(munmap, p, 600 * PAGE));
}

static void large_calls(const char *dir, long pipe_fd)
{
	list_large(dir);
	poll_many(pipe_fd);
	vectors();
	datagrams();
	execute_large();
	map_many();
}

static long available_kib(void)
{
	char text[4096], *at;

	abi_slurp("/proc/meminfo", text, sizeof(text));
	at = strstr(text, "MemAvailable:");
	T(at != NULL);
	return atol(at + strlen("MemAvailable:"));
}

CASE(large_buffers, "getdents64:large buffer in little memory", "ppoll:many in little memory",
	"pwritev:many in little memory", "sendmsg:large in little memory",
	"execve:large in little memory", "read:long text in little memory",
	"recvmsg:into untouched vectors", "readv:eventfd into untouched vectors")
{
	long keep_kib = 48 * 1024, take_kib = available_kib() - keep_kib;
	char path[64], *p;
	int fds[2];

	OK(SYS(mkdirat, AT_FDCWD, "names", 0700));
	for (int i = 0; i < 1200; i++) {
		snprintf(path, sizeof(path), "names/name-of-a-file-that-is-long-%d", i);
		OK(SYS(close, OK(SYS(openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0600))));
	}
	OK(SYS(pipe2, fds, 0));
	large_calls("names", fds[0]);
	if (take_kib > 0) {
		/* What is left is short, and most of what is free of it lies in single pages. */
		p = anon((size_t)take_kib << 10);
		for (long i = 0; i < take_kib / 4; i++)
			p[i * PAGE] = 1;
		for (long i = 0; i < 8192 && i < take_kib / 4; i += 2)
			OK(SYS(munmap, p + i * PAGE, PAGE));
	}
	for (int i = 0; i < 3; i++) /* in little memory */
		large_calls("names", fds[0]);
}
