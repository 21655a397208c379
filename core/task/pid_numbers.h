#pragma once
/* Process numbers (pid_numbers.c): pure, tested on the host. */
#include <lib/types.h>
#include <lib/rbtree.h>
struct pid_number {
	struct rb_node in_ns;
	s32 number;
};
struct pid_numbers {
	struct rb_root root;
	s32 last, max;
	u32 nr;
};
#define PID_RESERVED 300 /* numbering restarts here, as on Linux */
bool pid_numbers_take(struct pid_numbers *p, struct pid_number *n,
	s32 wanted); /* wanted 0: the next; false: none free */
void pid_numbers_give_back(struct pid_numbers *p, struct pid_number *n);
struct pid_number *pid_numbers_find(const struct pid_numbers *p, s32 number);
struct pid_number *pid_numbers_next(const struct pid_numbers *p, s32 after);
