#pragma once
/* Shared by the files of core/call only. */
#include <core/call.h>
/* Gives back the holds of frames at `level` and above. */
void call_release_holds(struct call *c, u32 level);
/* Takes the union of all wanted holds in order; may sleep. -EIO: they would have to be let go after
 * an effect. */
int call_take_holds(struct call *c);
/* A handler broke a rule of calls.md: debug kernels stop, others end the call by the error that
 * this gives. */
int call_violation(struct call *c, const char *what);
void call_unpin_pages(struct call *c);
void call_pin_all(struct call *c);
void call_check_effects(struct call *c, answer_t a);
/* The item was asked for and failed: its error, else 0. */
int call_need_error(const struct call *c, enum need_kind kind, const void *object, u64 index);
