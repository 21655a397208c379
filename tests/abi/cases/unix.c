/* unix.c: AF_UNIX sockets of all three types, descriptors and credentials over them. */
#define ABI_FAMILY "unix"
#include "../abi.h"
#include <sys/ioctl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static int pair[2];

static void make_pair(int type)
{
	OK(SYS(socketpair, AF_UNIX, type, 0, pair));
}

static socklen_t name_of(struct sockaddr_un *addr, const char *path)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (path[0] == '@') {
		memcpy(addr->sun_path + 1, path + 1, strlen(path) - 1);
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	strcpy(addr->sun_path, path);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static long send_to(long fd, const void *data, size_t size, int flags)
{
	return SYS(sendto, fd, data, size, flags, NULL, 0);
}

static long receive(long fd, void *data, size_t size, int flags)
{
	return SYS(recvfrom, fd, data, size, flags, NULL, NULL);
}

/* One byte with `nr` copies of a descriptor. */
static long send_copies(long sock, int fd, unsigned nr)
{
	union {
		char bytes[CMSG_SPACE(254 * sizeof(int))];
		struct cmsghdr head;
	} control = {};
	struct iovec io = {"x", 1};
	struct msghdr msg = {.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(nr * sizeof(int))};

	control.head = (struct cmsghdr){CMSG_LEN(nr * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	for (unsigned i = 0; i < nr; i++)
		memcpy(CMSG_DATA(&control.head) + i * sizeof(fd), &fd, sizeof(fd));
	return SYS(sendmsg, sock, &msg, 0);
}

static long send_fd(long sock, int fd)
{
	return send_copies(sock, fd, 1);
}

/* Receives one byte and a descriptor; -1 when there was none. */
static int receive_fd(long sock, int flags, int *msg_flags)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = {};
	char c;
	struct iovec io = {&c, 1};
	struct msghdr msg = {.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int fd = -1;

	EQ(SYS(recvmsg, sock, &msg, flags), 1);
	if (msg_flags)
		*msg_flags = msg.msg_flags;
	if (msg.msg_controllen >= CMSG_LEN(sizeof(int)) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

CASE(socketpair, "socketpair:SOCK_STREAM", "socketpair:SOCK_CLOEXEC", "socketpair:SOCK_NONBLOCK",
	"read:EAGAIN", "socketpair:EPROTONOSUPPORT", "socketpair:EFAULT", "read:socket end",
	"fstat:S_IFSOCK", "lseek:ESPIPE")
{
	struct stat st;
	char buf[8];

	make_pair(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
	EQ(SYS(fcntl, pair[0], F_GETFD), FD_CLOEXEC);
	EQ(SYS(fcntl, pair[1], F_GETFL), O_RDWR | O_NONBLOCK);
	ERR(SYS(read, pair[0], buf, 8), EAGAIN);
	EQ(SYS(write, pair[0], "abc", 3), 3);
	EQ(SYS(write, pair[0], "def", 3), 3);
	EQ(SYS(read, pair[1], buf, 4), 4); /* a stream: no bounds */
	EQ(SYS(write, pair[1], "zz", 2), 2);
	EQ(SYS(read, pair[0], buf, 8), 2);
	OK(SYS(fstat, pair[0], &st));
	T(S_ISSOCK(st.st_mode) && S_IFSOCK);
	ERR(SYS(lseek, pair[0], 0, SEEK_SET), ESPIPE);
	OK(SYS(close, pair[0]));
	EQ(SYS(read, pair[1], buf, 8), 2);
	EQ(SYS(read, pair[1], buf, 8), 0); /* socket end */
	ERR(SYS(socketpair, AF_UNIX, SOCK_STREAM, 5, pair), EPROTONOSUPPORT);
	ERR(SYS(socketpair, AF_UNIX, SOCK_STREAM, 0, (void *)-4096L), EFAULT);
}

CASE(socket_errors, "socket:EAFNOSUPPORT", "socket:EINVAL", "socket:ESOCKTNOSUPPORT",
	"listen:EOPNOTSUPP", "bind:ENOTSOCK", "accept4:EINVAL", "socket:AF_UNIX", "connect:EBADF",
	"listen:EINVAL")
{
	struct sockaddr_un a;
	long s = OK(SYS(socket, AF_UNIX, SOCK_DGRAM, 0));

	ERR(SYS(socket, 200, SOCK_STREAM, 0), EAFNOSUPPORT);
	ERR(SYS(socket, AF_UNIX, 99, 0), EINVAL);
	ERR(SYS(socket, AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	ERR(SYS(socket, AF_UNIX, SOCK_STREAM | 0x10, 0), EINVAL);
	ERR(SYS(listen, s, 5), EOPNOTSUPP);
	ERR(SYS(bind, 0, &a, name_of(&a, "x")), ENOTSOCK);
	s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	ERR(SYS(accept4, s, NULL, NULL, 0), EINVAL);
	ERR(SYS(listen, s, 5), EINVAL); /* no name yet */
	ERR(SYS(connect, 999, &a, name_of(&a, "x")), EBADF);
}

CASE(stream_server, "bind:path", "listen:backlog", "connect:stream", "accept4:SOCK_CLOEXEC",
	"getsockname:path", "getpeername:path", "bind:EADDRINUSE", "connect:ECONNREFUSED",
	"connect:ENOENT", "bind:EINVAL", "getpeername:ENOTCONN", "connect:EISCONN")
{
	struct sockaddr_un a, b;
	socklen_t len = name_of(&a, "sock"), got = sizeof(b);
	char buf[8];
	struct stat st;
	long s, c, d;

	s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	c = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	ERR(SYS(connect, c, &a, len), ENOENT);
	OK(SYS(bind, s, &a, len));
	OK(SYS(newfstatat, AT_FDCWD, "sock", &st, 0));
	EQ(st.st_mode, S_IFSOCK | 0755);
	len = name_of(&b, "other");
	ERR(SYS(bind, s, &b, len), EINVAL);
	len = name_of(&a, "sock");
	ERR(SYS(bind, c, &a, len), EADDRINUSE);
	ERR(SYS(connect, c, &a, len), ECONNREFUSED); /* bound, but nobody listens */
	OK(SYS(listen, s, 2));                       /* backlog */
	ERR(SYS(getpeername, c, &b, &got), ENOTCONN);
	OK(SYS(connect, c, &a, len));
	ERR(SYS(connect, c, &a, len), EISCONN);
	got = sizeof(b);
	d = OK(SYS(accept4, s, &b, &got, SOCK_CLOEXEC));
	EQ(got, 2); /* the client has no name */
	EQ(SYS(fcntl, d, F_GETFD), FD_CLOEXEC);
	got = sizeof(b);
	OK(SYS(getpeername, c, &b, &got));
	T(got == len && strcmp(b.sun_path, "sock") == 0);
	got = sizeof(b);
	OK(SYS(getsockname, d, &b, &got));
	T(got == len && strcmp(b.sun_path, "sock") == 0);
	EQ(SYS(write, c, "hi", 2), 2);
	EQ(SYS(read, d, buf, 8), 2);
	OK(SYS(close, s));
	c = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	ERR(SYS(connect, c, &a, len), ECONNREFUSED);
	OK(SYS(unlinkat, AT_FDCWD, "sock", 0));
}

CASE(abstract, "bind:abstract name", "connect:abstract name", "bind:autobind",
	"connect:ECONNREFUSED", "getsockname:abstract")
{
	struct sockaddr_un a, b;
	socklen_t len = name_of(&a, "@abi-case-abstract"), got = sizeof(b);
	sa_family_t family = AF_UNIX;
	long s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)),
	     c = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));

	ERR(SYS(connect, c, &a, len), ECONNREFUSED);
	OK(SYS(bind, s, &a, len)); /* abstract name: no file */
	OK(SYS(listen, s, 1));
	OK(SYS(connect, c, &a, len));
	ERR(SYS(connect, OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)), &a, len - 1), ECONNREFUSED);
	OK(SYS(getsockname, s, &b, &got));
	T(got == len && memcmp(a.sun_path, b.sun_path, len - 2) == 0);
	s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	OK(SYS(bind, s, &family, sizeof(family))); /* autobind: five hexadecimal digits */
	got = sizeof(b);
	OK(SYS(getsockname, s, &b, &got));
	EQ(got, 8);
	EQ(b.sun_path[0], 0);
}

CASE(accept_blocks, "accept:blocks", "accept4:EAGAIN", "accept4:SOCK_NONBLOCK",
	"connect:wakes accept", "connect:EAGAIN")
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, "s");
	long s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)), pid, c;

	OK(SYS(bind, s, &a, len));
	OK(SYS(listen, s, 0));
	pid = OK(abi_fork());
	if (pid == 0) {
		OK(SYS(accept, s, NULL, NULL)); /* blocks */
		_exit(4);
	}
	abi_await_state(pid, 'S');
	c = OK(SYS(socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	OK(SYS(connect, c, &a, len)); /* wakes accept */
	EQ(abi_wait(pid), 4 << 8);
	OK(SYS(fcntl, s, F_SETFL, O_NONBLOCK));
	ERR(SYS(accept4, s, NULL, NULL, 0), EAGAIN);
	/* A backlog of 0 holds one connection; the next one would wait. */
	OK(SYS(connect, OK(SYS(socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)), &a, len));
	ERR(SYS(connect, OK(SYS(socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)), &a, len),
		EAGAIN);
	c = OK(SYS(accept4, s, NULL, NULL, SOCK_NONBLOCK));
	EQ(SYS(fcntl, c, F_GETFL), O_RDWR | O_NONBLOCK);
}

CASE(datagram, "socketpair:SOCK_DGRAM", "sendto:datagram", "recvfrom:MSG_TRUNC",
	"recvfrom:MSG_PEEK", "recvfrom:MSG_DONTWAIT", "recvfrom:EAGAIN", "recvfrom:sender",
	"sendto:EMSGSIZE", "sendto:ENOTCONN", "sendto:ECONNREFUSED")
{
	static char big[300000];
	struct sockaddr_un a, b, from;
	socklen_t la = name_of(&a, "a"), lb = name_of(&b, "b"), got = sizeof(from);
	char buf[8];
	long x, y;

	make_pair(SOCK_DGRAM);
	EQ(send_to(pair[0], "12345", 5, 0), 5);
	EQ(send_to(pair[0], "6", 1, 0), 1);
	EQ(receive(pair[1], buf, 2, MSG_PEEK), 2);
	EQ(receive(pair[1], buf, 2, MSG_TRUNC), 5);
	EQ(receive(pair[1], buf, 8, 0), 1);
	ERR(receive(pair[1], buf, 8, MSG_DONTWAIT), EAGAIN);
	ERR(send_to(pair[0], big, sizeof(big), 0), EMSGSIZE);
	x = OK(SYS(socket, AF_UNIX, SOCK_DGRAM, 0));
	y = OK(SYS(socket, AF_UNIX, SOCK_DGRAM, 0));
	ERR(send_to(x, "x", 1, 0), ENOTCONN);
	OK(SYS(bind, x, &a, la));
	OK(SYS(bind, y, &b, lb));
	EQ(SYS(sendto, x, "to b", 4, 0, &b, lb), 4); /* datagram */
	EQ(SYS(recvfrom, y, buf, 8, 0, &from, &got), 4);
	T(got == la && strcmp(from.sun_path, "a") == 0); /* sender */
	OK(SYS(close, y));
	ERR(SYS(sendto, x, "to b", 4, 0, &b, lb), ECONNREFUSED);
}

CASE(seqpacket, "socketpair:SOCK_SEQPACKET", "recvfrom:message bounds", "recvmsg:MSG_EOR",
	"recvmsg:MSG_TRUNC")
{
	char buf[8];
	struct iovec io = {buf, 2};
	struct msghdr msg = {.msg_iov = &io, .msg_iovlen = 1};

	make_pair(SOCK_SEQPACKET);
	EQ(send_to(pair[0], "abc", 3, 0), 3);
	EQ(send_to(pair[0], "defg", 4, MSG_EOR), 4);
	EQ(send_to(pair[0], "hi", 2, 0), 2);
	EQ(receive(pair[1], buf, 8, 0), 3); /* message bounds */
	EQ(SYS(recvmsg, pair[1], &msg, 0), 2);
	EQ(msg.msg_flags & MSG_TRUNC, MSG_TRUNC);
	EQ(receive(pair[1], buf, 8, 0), 2);
	OK(SYS(close, pair[0]));
	EQ(receive(pair[1], buf, 8, 0), 0);
}

CASE(shutdown, "shutdown:SHUT_WR", "shutdown:SHUT_RD", "sendto:EPIPE", "sendto:MSG_NOSIGNAL",
	"shutdown:unconnected", "shutdown:EINVAL", "sendto:SIGPIPE", "shutdown:SHUT_RDWR")
{
	struct pollfd p;
	struct timespec now = {};
	char buf[8];
	int st;

	make_pair(SOCK_STREAM);
	EQ(SYS(write, pair[0], "x", 1), 1);
	OK(SYS(shutdown, pair[0], SHUT_WR));
	EQ(SYS(read, pair[1], buf, 8), 1);
	EQ(SYS(read, pair[1], buf, 8), 0);
	EQ(SYS(write, pair[1], "back", 4), 4);
	EQ(SYS(read, pair[0], buf, 8), 4);
	ERR(send_to(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	IN_CHILD(&st)
	{
		send_to(pair[0], "x", 1, 0);
	}
	T(WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
	make_pair(SOCK_STREAM);
	OK(SYS(shutdown, pair[0], SHUT_RD));
	EQ(SYS(read, pair[0], buf, 8), 0);
	ERR(send_to(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	OK(SYS(shutdown, pair[0], SHUT_RDWR));
	p = (struct pollfd){.fd = pair[1], .events = POLLIN};
	EQ(SYS(ppoll, &p, 1, &now, NULL, 8), 1);
	EQ(p.revents, POLLIN | POLLHUP);
	ERR(SYS(shutdown, pair[0], 9), EINVAL);
	EQ(SYS(shutdown, OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)), SHUT_RD),
		0); /* unconnected: no error */
}

CASE(scm_rights, "sendmsg:SCM_RIGHTS", "recvmsg:SCM_RIGHTS", "recvmsg:MSG_CMSG_CLOEXEC",
	"sendmsg:EBADF")
{
	char buf[8] = "";
	int pipe_fds[2], fd;

	make_pair(SOCK_STREAM);
	OK(SYS(pipe2, pipe_fds, 0));
	EQ(send_fd(pair[0], pipe_fds[1]), 1); /* SCM_RIGHTS */
	OK(SYS(close, pipe_fds[1]));          /* in flight it lives */
	CHILD_OK
	{
		fd = receive_fd(pair[1], MSG_CMSG_CLOEXEC, NULL); /* SCM_RIGHTS */
		T(fd >= 0);
		EQ(SYS(fcntl, fd, F_GETFD), FD_CLOEXEC);
		EQ(SYS(write, fd, "via", 3), 3);
	}
	EQ(SYS(read, pipe_fds[0], buf, 8), 3);
	EQ(SYS(read, pipe_fds[0], buf, 8), 0);
	ERR(send_fd(pair[0], 999), EBADF);
}

CASE(scm_dropped, "recvmsg:MSG_CTRUNC", "close:descriptors in flight", "sendmsg:cycle of sockets")
{
	char c;
	struct iovec io = {&c, 1};
	struct msghdr msg = {.msg_iov = &io, .msg_iovlen = 1};
	int fds[2];

	make_pair(SOCK_STREAM);
	OK(SYS(pipe2, fds, 0));
	EQ(send_fd(pair[0], fds[1]), 1);
	OK(SYS(close, fds[1]));
	EQ(SYS(recvmsg, pair[1], &msg, 0), 1); /* no room: it is dropped */
	EQ(msg.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
	EQ(SYS(read, fds[0], &c, 1), 0);
	/* One that is never received goes with the socket: descriptors in flight. */
	OK(SYS(pipe2, fds, 0));
	EQ(send_fd(pair[0], fds[1]), 1);
	OK(SYS(close, fds[1]));
	OK(SYS(close, pair[0]));
	OK(SYS(close, pair[1]));
	EQ(SYS(read, fds[0], &c, 1), 0);
	/* A cycle of sockets that nobody can reach must not stop the kernel. */
	make_pair(SOCK_STREAM);
	EQ(send_fd(pair[0], pair[1]), 1);
	EQ(send_fd(pair[1], pair[0]), 1);
	OK(SYS(close, pair[0]));
	OK(SYS(close, pair[1]));
}

/* How many descriptors come with one byte into a buffer for `room` of them; all are closed. */
static unsigned receive_copies(long sock, unsigned room, int *flags)
{
	union {
		char bytes[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr head;
	} control = {};
	char c;
	struct iovec io = {&c, 1};
	struct msghdr msg = {.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(room * sizeof(int))};
	unsigned nr;

	EQ(SYS(recvmsg, sock, &msg, 0), 1);
	EQ(control.head.cmsg_type, SCM_RIGHTS);
	nr = (unsigned)((control.head.cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (unsigned i = 0; i < nr; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(&control.head) + i * sizeof(fd), sizeof(fd));
		OK(SYS(close, fd));
	}
	*flags = msg.msg_flags;
	return nr;
}

CASE(scm_many, "sendmsg:EINVAL", "sendmsg:253 descriptors", "recvmsg:253 descriptors",
	"recvmsg:MSG_CTRUNC")
{
	int fds[2], flags;
	char c;

	OK(SYS(pipe2, fds, 0));
	make_pair(SOCK_STREAM);
	ERR(send_copies(pair[0], fds[1], 254), EINVAL); /* SCM_MAX_FD: unix(7) */
	EQ(send_copies(pair[0], fds[1], 253), 1);
	EQ(send_copies(pair[0], fds[1], 253), 1);
	OK(SYS(close, fds[1]));
	EQ(receive_copies(pair[1], 253, &flags), 253);
	EQ(flags & MSG_CTRUNC, 0);
	EQ(receive_copies(pair[1], 100, &flags), 100);
	EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
	EQ(SYS(read, fds[0], &c, 1), 0); /* none is left, given or not */
}

/* Any socket that goes makes the kernel look for circles; then the pipe's last writer is gone. */
static void expect_collected(int reader)
{
	struct pollfd p = {reader, POLLIN, 0};
	struct timespec some = {8, 0};
	int other[2];
	char c;

	OK(SYS(socketpair, AF_UNIX, SOCK_DGRAM, 0, other));
	OK(SYS(close, other[0]));
	OK(SYS(close, other[1]));
	EQ(SYS(ppoll, &p, 1, &some, NULL, 8), 1);
	EQ(SYS(read, reader, &c, 1), 0);
}

static int put_pipe(long sock)
{
	int fds[2];

	OK(SYS(pipe2, fds, 0));
	EQ(send_fd(sock, fds[1]), 1);
	OK(SYS(close, fds[1]));
	return fds[0];
}

CASE(scm_circle, "sendmsg:circle of descriptors", "close:circle of descriptors")
{
	for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
		int reader, two[2];

		if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
			continue;
		/* A socket in its own queue. */
		make_pair(type);
		reader = put_pipe(pair[0]);
		EQ(send_fd(pair[0], pair[1]), 1);
		OK(SYS(close, pair[0]));
		OK(SYS(close, pair[1]));
		expect_collected(reader);
		OK(SYS(close, reader));
		/* Two pairs, an end of each in the other's queue, twice. */
		make_pair(type);
		OK(SYS(socketpair, AF_UNIX, type, 0, two));
		reader = put_pipe(two[0]);
		EQ(send_fd(pair[0], two[1]), 1);
		EQ(send_fd(two[0], pair[1]), 1);
		EQ(send_fd(two[0], pair[1]), 1);
		for (int i = 0; i < 2; i++) {
			OK(SYS(close, pair[i]));
			OK(SYS(close, two[i]));
		}
		expect_collected(reader);
		OK(SYS(close, reader));
	}
}

CASE(scm_circle_pending, "sendmsg:circle through a connection not accepted",
	"connect:circle of descriptors", "close:circle of descriptors")
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, "listener");
	long s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)), c;
	int reader;

	OK(SYS(bind, s, &a, len));
	OK(SYS(listen, s, 2));
	c = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	OK(SYS(connect, c, &a, len));
	reader = put_pipe(c);
	EQ(send_fd(c, (int)s), 1);
	OK(SYS(close, s));
	OK(SYS(close, c));
	expect_collected(reader);
}

CASE(scm_in_flight_kept, "recvmsg:socket with data", "sendmsg:socket with data")
{
	int two[2], other[2], fd;
	char buf[8];

	make_pair(SOCK_STREAM);
	OK(SYS(socketpair, AF_UNIX, SOCK_STREAM, 0, two));
	EQ(send_to(two[0], "data", 4, 0), 4);
	EQ(send_fd(pair[0], two[1]), 1);
	OK(SYS(close, two[1])); /* in flight only, but within reach */
	for (int i = 0; i < 20; i++) {
		OK(SYS(socketpair, AF_UNIX, SOCK_DGRAM, 0, other));
		EQ(send_fd(other[0], other[1]), 1); /* garbage beside it */
		OK(SYS(close, other[0]));
		OK(SYS(close, other[1]));
	}
	abi_sleep_ms(50);
	fd = receive_fd(pair[1], 0, NULL);
	T(fd >= 0);
	EQ(receive(fd, buf, 8, 0), 4);
}

/* Sockets inside each other: the end of the outermost is that of all. */
CASE(scm_nested, "close:sockets in sockets", "sendmsg:sockets in sockets")
{
	int reader, inner;

	make_pair(SOCK_STREAM);
	reader = put_pipe(pair[0]);
	for (int i = 0; i < 200; i++) {
		OK(SYS(close, pair[0]));
		inner = pair[1];
		make_pair(SOCK_STREAM);
		EQ(send_fd(pair[0], inner), 1);
		OK(SYS(close, inner));
	}
	OK(SYS(close, pair[0]));
	OK(SYS(close, pair[1]));
	expect_collected(reader);
}

CASE(peercred, "getsockopt:SO_PEERCRED", "setsockopt:SO_PASSCRED", "recvmsg:SCM_CREDENTIALS",
	"getsockopt:SO_TYPE", "getsockopt:SO_DOMAIN", "getsockopt:SO_ERROR",
	"getsockopt:SO_ACCEPTCONN", "getsockopt:ENOPROTOOPT")
{
	struct ucred cred;
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr head;
	} control = {};
	char c;
	struct iovec io = {&c, 1};
	struct msghdr msg = {.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	socklen_t len = sizeof(cred);
	int v = 1;

	make_pair(SOCK_STREAM);
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
	T(cred.pid == SYS(getpid) && cred.uid == 0 && cred.gid == 0);
	OK(SYS(setsockopt, pair[1], SOL_SOCKET, SO_PASSCRED, &v, sizeof(v)));
	EQ(SYS(write, pair[0], "x", 1), 1);
	EQ(SYS(recvmsg, pair[1], &msg, 0), 1);
	EQ(control.head.cmsg_type, SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(&control.head), sizeof(cred));
	T(cred.pid == SYS(getpid) && cred.uid == 0);
	len = sizeof(v);
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_TYPE, &v, &len));
	EQ(v, SOCK_STREAM);
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_DOMAIN, &v, &len));
	EQ(v, AF_UNIX);
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_ERROR, &v, &len));
	EQ(v, 0);
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &len));
	EQ(v, 0);
	ERR(SYS(getsockopt, pair[0], SOL_SOCKET, 9999, &v, &len), ENOPROTOOPT);
}

CASE(buffers, "getsockopt:SO_SNDBUF", "sendto:EAGAIN", "sendto:MSG_DONTWAIT",
	"setsockopt:SO_SNDBUF", "ioctl:FIONREAD", "setsockopt:SO_RCVTIMEO", "recvfrom:EAGAIN")
{
	struct timeval tv = {0, 50000};
	static char buf[4096];
	socklen_t len = sizeof(int);
	int v = 0, n = 0;
	long t;

	make_pair(SOCK_STREAM);
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_SNDBUF, &v, &len));
	T(v > 4096);
	v = 20000;
	OK(SYS(setsockopt, pair[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	OK(SYS(getsockopt, pair[0], SOL_SOCKET, SO_SNDBUF, &v, &len));
	EQ(v, 40000); /* doubled, as socket(7) says */
	for (n = 0; n < 1000 && send_to(pair[0], buf, 1000, MSG_DONTWAIT) > 0; n++)
		;
	T(n > 0 && n < 1000);
	ERR(send_to(pair[0], buf, 1000, MSG_DONTWAIT), EAGAIN);
	OK(SYS(ioctl, pair[1], FIONREAD, &v));
	T(v >= n * 1000 - 1000 && v > 0);
	make_pair(SOCK_STREAM);
	OK(SYS(setsockopt, pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	t = abi_now_ms();
	ERR(receive(pair[0], buf, 1, 0), EAGAIN);
	T(abi_now_ms() - t >= 45);
}

/* What a receiver's SO_RCVBUF does on AF_UNIX: nothing. Streams and pairs are limited by the
 * sender's SO_SNDBUF, a datagram socket also by max_dgram_qlen, for all but its own peer. */
CASE(receive_buffer, "setsockopt:SO_RCVBUF", "getsockopt:SO_RCVBUF", "sendto:EAGAIN",
	"sendto:queue of datagrams", "sendto:not the receiver's buffer")
{
	struct sockaddr_un a;
	static char buf[8192];
	socklen_t len = sizeof(int), name = name_of(&a, "@queue");
	long s = OK(SYS(socket, AF_UNIX, SOCK_DGRAM, 0)), from;
	struct pollfd p = {0, POLLOUT, 0};
	struct timespec none = {0, 0};
	int v = 1;

	for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
		if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
			continue;
		make_pair(type);
		v = 1;
		OK(SYS(setsockopt, pair[1], SOL_SOCKET, SO_RCVBUF, &v, sizeof(v)));
		OK(SYS(getsockopt, pair[1], SOL_SOCKET, SO_RCVBUF, &v, &len));
		T(v > 1 && v < 8192);
		for (int i = 0; i < 13; i++) /* not the receiver's buffer, and its own peer */
			EQ(send_to(pair[0], buf, sizeof(buf), MSG_DONTWAIT), 8192);
	}
	OK(SYS(bind, s, &a, name));
	from = OK(SYS(socket, AF_UNIX, SOCK_DGRAM, 0));
	OK(SYS(connect, from, &a, name));
	for (int i = 0; i < 11; i++) /* queue of datagrams: one more than it says */
		EQ(send_to(from, "x", 1, MSG_DONTWAIT), 1);
	ERR(send_to(from, "x", 1, MSG_DONTWAIT), EAGAIN);
	p.fd = (int)from;
	EQ(SYS(ppoll, &p, 1, &none, NULL, 8), 0);
	EQ(receive(s, buf, 8, 0), 1);
	EQ(send_to(from, "x", 1, MSG_DONTWAIT), 1);
}

/* One connection has one accepter, however many wait. */
CASE(accept_shared, "accept4:many accepters", "connect:many accepters")
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, "@shared");
	long s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)), pids[4];
	char got = 0;

	OK(SYS(bind, s, &a, len));
	OK(SYS(listen, s, 64));
	for (int i = 0; i < 4; i++) {
		pids[i] = OK(abi_fork());
		if (pids[i] == 0)
			for (;;) {
				long d = OK(SYS(accept4, s, NULL, NULL, 0));
				char stop;

				if (SYS(read, d, &stop, 1) == 1 && stop)
					_exit(0);
				SYS(write, d, "x", 1);
				OK(SYS(close, d));
			}
	}
	for (int i = 0; i < 300; i++) {
		long c = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));

		OK(SYS(connect, c, &a, len));
		EQ(SYS(write, c, "", 1), 1);
		EQ(SYS(read, c, &got, 1), 1);
		EQ(SYS(read, c, &got, 1), 0);
		OK(SYS(close, c));
	}
	for (int i = 0; i < 4; i++) {
		long c = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));

		OK(SYS(connect, c, &a, len));
		EQ(SYS(write, c, "q", 1), 1);
	}
	for (int i = 0; i < 4; i++)
		abi_wait_ok(pids[i], __FILE__, __LINE__);
}

/* What was written before the other end closed is read before the end is. */
CASE(last_words, "read:data before the end", "close:right after data")
{
	pthread_t t;
	char got;

	T(pthread_create(&t, NULL, abi_last_words, (void *)5000l) == 0);
	for (int i = 0; i < 5000; i++) {
		make_pair(i & 1 ? SOCK_STREAM : SOCK_SEQPACKET);
		abi_last_words_fd = pair[1];        /* right after data */
		EQ(SYS(read, pair[0], &got, 1), 1); /* data before the end */
		EQ(SYS(read, pair[0], &got, 1), 0);
		OK(SYS(close, pair[0]));
	}
	T(pthread_join(t, NULL) == 0);
}

CASE(waitall, "recvfrom:MSG_WAITALL", "recvfrom:ECONNRESET", "writev:socket", "readv:socket")
{
	char buf[16], left[4], right[4];
	struct iovec out[2] = {{"abcd", 4}, {"efgh", 4}}, in[2] = {{left, 4}, {right, 4}};
	long pid;

	make_pair(SOCK_STREAM);
	pid = OK(abi_fork());
	if (pid == 0) {
		EQ(receive(pair[1], buf, 8, MSG_WAITALL), 8);
		EQ(SYS(readv, pair[1], in, 2), 8); /* socket */
		T(memcmp(right, "efgh", 4) == 0);
		_exit(0);
	}
	EQ(SYS(write, pair[0], "1234", 4), 4);
	abi_sleep_ms(30);
	EQ(SYS(write, pair[0], "5678", 4), 4);
	EQ(SYS(writev, pair[0], out, 2), 8); /* socket */
	EQ(abi_wait(pid), 0);
	make_pair(SOCK_STREAM);
	EQ(SYS(write, pair[0], "unread", 6), 6);
	OK(SYS(close, pair[1]));
	/* The peer went away with bytes unread. */
	ERR(receive(pair[0], buf, 8, 0), ECONNRESET);
	EQ(receive(pair[0], buf, 8, 0), 0);
}

CASE(mmsg, "sendmmsg:count", "recvmmsg:count", "recvmmsg:MSG_WAITFORONE")
{
	char a[4], b[4];
	struct iovec out[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{a, 4}, {b, 4}};
	struct mmsghdr send[2] = {}, recv[2] = {};

	for (int i = 0; i < 2; i++) {
		send[i].msg_hdr.msg_iov = out + i;
		recv[i].msg_hdr.msg_iov = in + i;
		send[i].msg_hdr.msg_iovlen = recv[i].msg_hdr.msg_iovlen = 1;
	}
	make_pair(SOCK_DGRAM);
	EQ(SYS(sendmmsg, pair[0], send, 2, 0), 2); /* count */
	T(send[0].msg_len == 2 && send[1].msg_len == 3);
	EQ(SYS(recvmmsg, pair[1], recv, 2, 0, NULL), 2);
	T(recv[0].msg_len == 2 && recv[1].msg_len == 3 && b[2] == 'e');
	EQ(SYS(sendmmsg, pair[0], send, 1, 0), 1);
	EQ(SYS(recvmmsg, pair[1], recv, 2, MSG_WAITFORONE, NULL), 1);
}

CASE(connect_permission, "connect:EACCES", "connect:EPROTOTYPE", "bind:EACCES", "connect:ENOTDIR")
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, "s");
	long s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0)), d;

	OK(SYS(bind, s, &a, len));
	OK(SYS(listen, s, 1));
	d = OK(SYS(socket, AF_UNIX, SOCK_DGRAM, 0));
	ERR(SYS(connect, d, &a, len), EPROTOTYPE);
	len = name_of(&a, "s/x");
	ERR(SYS(connect, d, &a, len), ENOTDIR);
	len = name_of(&a, "s");
	OK(SYS(fchmodat, AT_FDCWD, "s", 0600));
	OK(SYS(setresuid, 1000, 1000, 1000));
	s = OK(SYS(socket, AF_UNIX, SOCK_STREAM, 0));
	ERR(SYS(connect, s, &a, len), EACCES);
	len = name_of(&a, "mine");
	ERR(SYS(bind, s, &a, len), EACCES);
}
