#pragma once
/* Sockets (core/net/socket.c): bodies and queues; behaviour is net/. Family AF_UNIX. Every field
 * under obj.lock but where stated. */
#include <core/call.h>
#include <core/node.h>
#include <core/object.h>

#define SOCKET_PACKET_BYTES_MAX 32768u
#define SOCKET_QUEUE_BYTES      212992u /* Linux's net.core.wmem_default */
#define SOCKET_FDS_MAX          253u    /* SCM_MAX_FD, unix(7) */
#define SOCKET_DATAGRAMS_MAX    10u     /* net.unix.max_dgram_qlen */
#define SOCKET_NAME_MAX         108u
enum socket_state : u8 { SOCKET_FREE, SOCKET_LISTENING, SOCKET_CONNECTED, SOCKET_DISCONNECTED };
struct socket_credentials {
	s32 pid;
	u32 uid, gid;
};
struct socket_packet {
	struct list_node link;
	u32 bytes, offset;
	struct socket_credentials cred;
	struct socket *from; /* datagram: sender's name; a reference or nullptr */
	bool flies;          /* a socket is among the files, and counted in flight */
	u32 nr_fds;          /* these two: a queue's lock while it is queued */
	struct file **fds;   /* references */
	u8 data[];
};
struct socket {
	struct object obj;
	u32 type; /* 1 stream, 2 datagram, 5 seqpacket */
	enum socket_state state;
	bool shut_read, shut_write, pass_credentials, peer_gone;
	ktime_t send_timeout_ns, receive_timeout_ns; /* 0: none */
	u32 send_bytes,
		receive_bytes; /* SO_SNDBUF, SO_RCVBUF: as socket(7), twice what was asked */
	s32 error;             /* SO_ERROR: reported once */
	u32 backlog, nr_pending;
	struct list_node pending, pending_link; /* connections not yet accepted; a reference each */
	struct list_node queue;                 /* struct socket_packet */
	u64 queued_bytes;
	u32 nr_queued;
	struct socket *peer; /* a reference */
	struct socket_credentials mine, peer_cred;
	char name[SOCKET_NAME_MAX + 1]; /* as in sun_path; abstract names begin with 0 */
	u32 name_len;                   /* 0: none */
	struct list_node abstract_link;
	struct inode *inode; /* bound to a path: a reference */
	struct waitable wait;
	/* core/net/collect.c, under its lock */
	struct list_node flying_link, scan_link;
	struct file *flying_file; /* borrowed: while nr_flying, which counts references to it */
	u32 nr_flying, scan_count;
	u8 scan;
};
struct socket *socket_new(u32 type, const struct call *c); /* refs 1; nullptr */
struct socket_packet *socket_packet_new(u32 bytes, u32 nr_fds);
void socket_packet_free(struct socket_packet *p); /* drops files; thread context */
/* Descriptors in flight (core/net/collect.c). A packet's files count from before it is queued until
 * it has left. */
void socket_packet_fly(struct socket_packet *p);
/* Of a packet in s's queue: its files were given away, and the rest of it carries none. */
void socket_packet_drop_files(struct socket *s, struct socket_packet *p);
/* After references were taken to files of a packet that is queued still. */
void socket_packet_taken(const struct socket_packet *p);
/* A socket went: are there circles of others? */
void socket_collect_later(void);
/* The thread that looks; once, at boot. */
void socket_collector_init(void);
/* Abstract names. 0 or -EADDRINUSE. */
int socket_name_abstract(struct socket *s, const char *name, u32 len);
struct socket *socket_find_abstract(const char *name, u32 len); /* referenced */
/* The socket bound to an inode, referenced. */
struct socket *socket_of_inode(struct inode *i);
int socket_bind_inode(struct socket *s, struct inode *i); /* -EADDRINUSE */
void socket_close(struct socket *s);                      /* its last file went */
