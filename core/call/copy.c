/* User copies of handlers: they never fault in (task->fault_disabled), a short copy becomes
 * NEED(user range). Theory in entry.c. */
#include <core/call.h>
#include <core/mm.h>
#include <core/task.h>
#include <core/call_priv.h>
#include <arch/ucopy.h>
#include <lib/string.h>

#define PATH_BYTES_MAX     4096
#define STRING_PIECE_BYTES 64u

static u32 rerun_every; /* rerun=N on the command line; 0: off */
static atomic32_t rerun_count, rerun_injected;

void call_rerun_set(u32 every)
{
	rerun_every = every;
}

void call_rerun_count(u32 *every, u32 *injected)
{
	*every = rerun_every;
	*injected = atomic32_load(&rerun_injected);
}

static bool inject(struct call *c, u64 what, u32 every, atomic32_t *count)
{
	u64 bit = 1ull << (what * 0x9e3779b97f4a7c15ull >> 58);
	if (c->injected & bit || atomic32_fetch_add(count, 1) % every)
		return false;
	c->injected |= bit;
	c->injected_now = true;
	atomic32_fetch_add(&rerun_injected, 1);
	c->dirty = true;
	if (c->runs) /* core made this run end, not the handler */
		c->runs--;
	return true;
}

bool call_rerun_inject(struct call *c, u64 what)
{
	return unlikely(rerun_every) && inject(c, what, rerun_every, &rerun_count);
}

static u32 memfail_every; /* memfail=N on the command line; 0: off */

void call_memfail_set(u32 every)
{
	memfail_every = every;
}

#if UMKA_DEBUG
static atomic32_t memfail_count;

bool call_memory_fails(word_t what)
{
	struct task *t = current;

	if (likely(!memfail_every) || !t || !t->in_module || !t->call_now || this_cpu()->irq_depth)
		return false;
	return inject(t->call_now, what, memfail_every, &memfail_count);
}
#endif

struct frame *call_page(struct call *c, struct memory_object *o, u64 index)
{
	if (unlikely(call_rerun_inject(c, (word_t)o + index)))
		return nullptr;
	return memory_page_try(o, index);
}

static inline void no_fault_begin(void)
{
	current->fault_disabled++;
	barrier();
}
static inline void no_fault_end(void)
{
	barrier();
	current->fault_disabled--;
}

size_t call_copy_in_partial(struct call *c, void *dst, vaddr_t user, size_t bytes)
{
	size_t left;

	if (unlikely(c->flags & CALLF_KERNEL)) {
		memcpy(dst, (const void *)user, bytes);
		return bytes;
	}
	if (unlikely(!user_range_ok(user, bytes)))
		return 0;
	if (unlikely(call_rerun_inject(c, user)))
		return 0;
	no_fault_begin();
	left = arch_copy_from_user(dst, (const void __user *)user, bytes);
	no_fault_end();
	return bytes - left;
}

size_t call_copy_out_partial(struct call *c, vaddr_t user, const void *src, size_t bytes)
{
	size_t left;

	if (unlikely(c->flags & CALLF_KERNEL)) {
		memcpy((void *)user, src, bytes);
		return bytes;
	}
	if (unlikely(!user_range_ok(user, bytes)))
		return 0;
	if (unlikely(call_rerun_inject(c, user)))
		return 0;
	no_fault_begin();
	left = arch_copy_to_user((void __user *)user, src, bytes);
	no_fault_end();
	return bytes - left;
}

answer_t call_copy_in(struct call *c, void *dst, vaddr_t user, size_t bytes)
{
	if (unlikely(!(c->flags & CALLF_KERNEL) && !user_range_ok(user, bytes)))
		return -EFAULT;
	if (likely(call_copy_in_partial(c, dst, user, bytes) == bytes))
		return 0;
	return call_need_user(c, (struct uspan){user, bytes}, false);
}

answer_t call_copy_out(struct call *c, vaddr_t user, const void *src, size_t bytes)
{
	if (unlikely(!(c->flags & CALLF_KERNEL) && !user_range_ok(user, bytes)))
		return -EFAULT;
	if (likely(call_copy_out_partial(c, user, src, bytes) == bytes))
		return 0;
	return call_need_user(c, (struct uspan){user, bytes}, true);
}

/* How much of a string to copy: of core's own ones, whose end may be the end of memory, no more
 * than there is. */
static inline size_t string_piece(const struct call *c, vaddr_t user, size_t bytes)
{
	return unlikely(c->flags & CALLF_KERNEL)
		       ? MIN(bytes, strnlen((const char *)user, bytes) + 1)
		       : bytes;
}

answer_t call_copy_string(struct call *c, char *dst, vaddr_t user, size_t size)
{
	size_t done = 0;

	/* In aligned pieces: most strings are short, and one may end just before an unmapped page.
	 */
	while (done < size) {
		size_t room = MIN(size - done,
			(size_t)(STRING_PIECE_BYTES - ((user + done) & (STRING_PIECE_BYTES - 1))));
		size_t chunk = string_piece(c, user + done, room);
		const char *end;
		answer_t a = call_copy_in(c, dst + done, user + done, chunk);

		if (unlikely(a))
			return a;
		end = memchr(dst + done, 0, chunk);
		if (end)
			return end - dst;
		done += chunk;
	}
	return -ENAMETOOLONG;
}

/* A short path into the record itself: its length, or -1 when it is longer or not there. */
static answer_t path_inline(struct call *c, u32 which, vaddr_t user)
{
	char *to = c->path_inline[which];
	size_t bytes = string_piece(c, user,
		MIN((size_t)CALL_PATH_INLINE_BYTES,
			(size_t)(PAGE_BYTES - (user & (PAGE_BYTES - 1)))));
	const char *end;

	/* Not past the page of the first byte: the string may end just before an unmapped one. */
	if (unlikely(call_copy_in_partial(c, to, user, bytes) != bytes))
		return -1;
	end = memchr(to, 0, bytes);
	if (unlikely(!end))
		return -1;
	c->inline_paths |= (u8)(1u << which);
	c->path_len[which] = (u32)(end - to);
	return end - to;
}

answer_t call_path(struct call *c, u32 which, vaddr_t user, const char **out)
{
	char *copy;
	answer_t a;

	if (c->inline_paths >> which & 1) {
		*out = c->path_inline[which];
		return c->path_len[which];
	}
	if (c->paths[which]) {
		*out = c->paths[which];
		return c->path_len[which];
	}
	if (which < CALL_PATHS_INLINE) {
		a = path_inline(c, which, user);
		if (likely(a >= 0)) {
			*out = c->path_inline[which];
			return a;
		}
	}
	copy = kmalloc(PATH_BYTES_MAX);
	if (!copy)
		return call_need_memory(c, PATH_BYTES_MAX);
	a = call_copy_string(c, copy, user, PATH_BYTES_MAX);
	if (a < 0) {
		kfree(copy);
		return a;
	}
	/* Its beginning stays in the record, for who asks what this call waits for: this copy goes
	 * when the call ends, whoever is reading. */
	if (which < CALL_PATHS_INLINE)
		memcpy(c->path_inline[which], copy, MIN((size_t)a, (size_t)CALL_PATH_INLINE_BYTES));
	c->paths[which] = copy;
	c->path_len[which] = (u32)a;
	c->dirty = true;
	*out = copy;
	return a;
}

answer_t call_path_set(struct call *c, u32 which, const char *text, u32 len)
{
	char *copy;

	if (c->paths[which])
		return 0;
	copy = kmalloc(len + 1);
	if (!copy)
		return call_need_memory(c, len + 1);
	memcpy(copy, text, len);
	copy[len] = 0;
	c->paths[which] = copy;
	c->path_len[which] = (u32)strlen(copy);
	c->dirty = true;
	return 0;
}
