#pragma once
/* Texts about a process that may need to wait (core/task/describe.c): DO_DESCRIBE with op_args
 * {enum describe, struct task *}; the text is the record's (c->described) until the call ends.
 * Formats: proc(5). */
#include <core/fs_call.h>
#include <core/task.h>
enum describe : u8 {
	DESCRIBE_MAPS,
	DESCRIBE_SMAPS,
	DESCRIBE_SMAPS_ROLLUP,
	DESCRIBE_CMDLINE,
	DESCRIBE_ENVIRON
};
/* For a view's handler: the text, appended to `out`; 0, or the answer to give. */
answer_t describe_into(struct call *c, enum describe what, struct task *t, struct text *out);
int describe_perform(struct call *c, enum describe what, struct task *t);
