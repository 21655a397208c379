#pragma once
/* Shared by the files of the net module. */
#include <core/socket.h>
#include <core/task.h>

#define AF_UNSPEC        0u
#define AF_UNIX          1u
#define SOCK_STREAM      1u
#define SOCK_DGRAM       2u
#define SOCK_SEQPACKET   5u
#define SOCK_TYPE_MASK   0xfu
#define MSG_PEEK         0x02u
#define MSG_TRUNC        0x20u
#define MSG_DONTWAIT     0x40u
#define MSG_WAITALL      0x100u
#define MSG_OOB          0x01u
#define MSG_CTRUNC       0x08u
#define MSG_NOSIGNAL     0x4000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define SOL_SOCKET       1u

static inline struct socket *socket_of(const struct file *f)
{
	return container_of((struct object *)f->obj.body, struct socket, obj);
}
/* unix(7), max_dgram_qlen: datagrams from others than its own peer. Under to's lock. */
static inline bool socket_queue_full(const struct socket *to, const struct socket *from)
{
	return to->type == SOCK_DGRAM && to->peer != from && to->nr_queued > SOCKET_DATAGRAMS_MAX;
}
/* The socket behind a descriptor; *error is -EBADF or -ENOTSOCK. */
struct socket *net_socket_of_fd(struct call *c, u32 fd, struct file **file, answer_t *error);
/* address.c: the socket that an address names, referenced. Keeps to path 0 of the record. */
answer_t address_in(struct call *c, u64 user, u32 bytes, char *name, u32 *len);
answer_t address_find(struct call *c, const char *name, u32 len, struct socket **out);
answer_t address_out(struct call *c, const struct socket *s, u64 user, u64 length_user);
/* The kernel-side form for recvmsg: fills at most `room` bytes at user, *used the true length. */
answer_t address_copy(struct call *c, const struct socket *s, u64 user, u32 room, u32 *used);
/* message.c */
answer_t message_send(struct call *c, struct file *file, struct socket_message *m, u32 flags);
answer_t message_receive(struct call *c, struct file *file, struct socket_message *m, u32 flags);
/* message.c: 0 when the call may go on to wait, with the socket's timeout (0: none) as deadline. */
answer_t socket_may_wait(struct call *c, ktime_t timeout_ns);
/* control.c: SCM_RIGHTS, SCM_CREDENTIALS */
answer_t control_in(struct call *c, const struct socket_message *m, struct socket_packet **out,
	u32 bytes);
answer_t control_out(struct call *c, struct socket *s, struct socket_packet *p,
	struct socket_message *m, u32 flags);
