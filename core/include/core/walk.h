#pragma once
/*
 * Path walks of one call that must survive a rerun (core/node/walk.c). A walk that never waits
 * lives on the handler's stack; when the call answers a kind, vfs moves its walks here and hangs
 * the object on the frame, so that the next run goes on where this one stood and sees what it had
 * resolved. The frame's end drops all references.
 */
#include <core/node.h>

enum walk_state : u8 { WALK_FRESH, WALK_RUNNING, WALK_RESOLVED };
enum walk_last : u8 { WALK_LAST_NORMAL, WALK_LAST_DOT, WALK_LAST_DOTDOT, WALK_LAST_ROOT };
struct walk {
	struct path_ref
		at; /* position; at the end the result (or the parent); referenced when `owned` */
	struct path_ref root; /* RESOLVE_BENEATH, RESOLVE_IN_ROOT: the start; else the context's
				 root. Referenced when `owned` */
	enum walk_state state;
	enum walk_last last_type;
	bool owned, trailing_slash, no_fast;
	u8 nr_links;
	u32 flags;           /* vfs's WALK_* */
	struct inode *inode; /* result: kept by `at` or by the descriptor's file */
	const char *rest;    /* what is left to walk, in `buffer` or in the call's path string */
	char *buffer;        /* kmalloc'd: text of links followed by the rest */
	const char *last;    /* WALK_PARENT: last component, in the same string */
	u32 last_len;
};
#define WALKS_PER_CALL 2
struct walk_set {
	struct object obj;
	struct walk walk[WALKS_PER_CALL];
	struct file *file;    /* an open in its second half (FIFO without a peer); owned */
	struct name *name[2]; /* last components looked up under exclusion; owned */
	u32 phase;
	bool created;
};
struct walk_set *walk_set_new(void); /* nullptr: no memory */
/* Drops what a walk owns. */
void walk_drop(struct walk *w);

/* Open files that a waiting call's wait set stands on, when its descriptor table is shared (poll,
 * select): kept by the frame. */
struct file_set {
	struct object obj; /* OBJECT_WALK, schema FILE_SET_SCHEMA */
	u32 nr, capacity;
	struct file **file;
};
#define FILE_SET_SCHEMA 2u
/* Keeps a reference of f until the set of this frame is cleared or the frame ends. 0 or -ENOMEM. */
int call_keep_file(struct call *c, struct file *f);
void call_clear_files(struct call *c);
