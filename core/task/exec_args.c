/*
 * Strings of a program's start: arguments, environment, its file name. Collected in core memory
 * (the old space goes before the new stack can be written), with execve(2)'s limits: 128 KiB for
 * one string, a quarter of the stack limit (at least 128 KiB, at most 6 MiB) for all with their
 * pointers.
 */
#include "exec.h"
#include <core/ucopy.h>

#define STRING_MAX 131072u
#define TOTAL_MIN  131072u
#define TOTAL_MAX  (6u << 20)

static size_t total_limit(void)
{
	u64 quarter = task_rlimit(current, RLIMIT_STACK) / 4;

	return (size_t)(quarter < TOTAL_MIN ? TOTAL_MIN : MIN(quarter, (u64)TOTAL_MAX));
}

void strings_free(struct exec_strings *s)
{
	kfree(s->data);
	kfree(s->offset);
	*s = (struct exec_strings){};
}

static bool grow(void **block, size_t old_bytes, size_t new_bytes)
{
	void *more = kmalloc_wait(new_bytes);

	if (!more)
		return false;
	if (old_bytes)
		memcpy(more, *block, old_bytes);
	kfree(*block);
	*block = more;
	return true;
}

/* Room for a string of at most `bytes`. */
static int reserve(struct exec_strings *s, size_t bytes)
{
	if (s->used + bytes > s->capacity) {
		size_t want = MAX(s->capacity * 2, ALIGN_UP(s->used + bytes, PAGE_BYTES));

		if (!grow((void **)&s->data, s->used, want))
			return -ENOMEM;
		s->capacity = want;
	}
	if (s->nr == s->nr_capacity) {
		u32 want = s->nr_capacity ? s->nr_capacity * 2 : 64;

		if (!grow((void **)&s->offset, s->nr * sizeof(u32), want * sizeof(u32)))
			return -ENOMEM;
		s->nr_capacity = want;
	}
	return 0;
}

static int commit(struct exec_strings *s, size_t bytes_with_end, size_t others)
{
	s->offset[s->nr++] = (u32)s->used;
	s->used += bytes_with_end;
	if (s->used + others + (size_t)s->nr * sizeof(vaddr_t) > total_limit())
		return -E2BIG;
	return 0;
}

int strings_add(struct exec_strings *s, const char *text)
{
	size_t bytes = strlen(text) + 1;
	int error;

	if (bytes > STRING_MAX)
		return -E2BIG;
	error = reserve(s, bytes);
	if (error)
		return error;
	memcpy(s->data + s->used, text, bytes);
	return commit(s, bytes, 0);
}

/* Starts small: most strings are short. */
static int add_user(struct exec_strings *s, vaddr_t user, size_t others)
{
	size_t room = 256;

	for (;;) {
		sword_t len;
		int error = reserve(s, room);

		if (error)
			return error;
		len = ucopy_string(s->data + s->used, user, room);
		if (len >= 0)
			return commit(s, (size_t)len + 1, others);
		if (len != -ENAMETOOLONG)
			return (int)len;
		if (room == STRING_MAX)
			return -E2BIG;
		room = MIN(room * 8, (size_t)STRING_MAX);
	}
}

/* The null-terminated array at `user`; 0: none (Linux takes argv 0 as empty). `others`: bytes
 * already counted elsewhere. */
int strings_from_user(struct exec_strings *s, vaddr_t user, size_t others)
{
	if (!user)
		return 0;
	for (;;) {
		vaddr_t at;
		int error;

		if (task_kill_pending(current))
			return -EINTR;
		if (ucopy_in(&at, user, sizeof(at)))
			return -EFAULT;
		if (!at)
			return 0;
		error = add_user(s, at, others);
		if (error)
			return error;
		user += sizeof(at);
	}
}

int strings_from_core(struct exec_strings *s, const char *const *list)
{
	int error = 0;

	for (; list && *list && !error; list++)
		error = strings_add(s, *list);
	return error;
}

/* A script: the interpreter, its argument and the script's path take the place of the first string.
 */
int strings_replace_first(struct exec_strings *s, const char *interpreter, const char *argument,
	const char *path)
{
	struct exec_strings fresh = {};
	int error = strings_add(&fresh, interpreter);

	if (!error && argument)
		error = strings_add(&fresh, argument);
	if (!error)
		error = strings_add(&fresh, path);
	for (u32 i = 1; i < s->nr && !error; i++)
		error = strings_add(&fresh, s->data + s->offset[i]);
	if (error) {
		strings_free(&fresh);
		return error;
	}
	strings_free(s);
	*s = fresh;
	return 0;
}
