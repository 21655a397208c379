/* Record-owned memory: what a handler must find unchanged in its next run and what does not fit
 * into a frame's progress. */
#include <core/call.h>
#include <core/log.h>
#include <core/mm.h>

void *call_memory(struct call *c, size_t bytes)
{
	if (c->memory) {
		/* A handler asks for the same in every run. */
		KASSERT(bytes <= c->memory_bytes);
		return c->memory;
	}
	c->memory = kzalloc(bytes);
	if (c->memory) {
		c->memory_bytes = bytes;
		c->dirty = true;
	}
	return c->memory;
}

void call_memory_free(struct call *c)
{
	kfree(c->memory);
	c->memory = nullptr;
	c->memory_bytes = 0;
}
