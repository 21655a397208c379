#pragma once
/* Taking a path apart. Pure, tested on the host. */
#include <lib/types.h>

static inline u32 component_length(const char *p)
{
	u32 n = 0;

	while (p[n] && p[n] != '/')
		n++;
	return n;
}
/* Nothing but slashes follows: the component before is the last. */
static inline bool only_slashes(const char *p)
{
	while (*p == '/')
		p++;
	return !*p;
}
enum component { COMPONENT_NORMAL, COMPONENT_DOT, COMPONENT_DOTDOT };
static inline enum component component_kind(const char *p, u32 len)
{
	if (len > 2 || p[0] != '.' || (len == 2 && p[1] != '.'))
		return COMPONENT_NORMAL;
	return len == 1 ? COMPONENT_DOT : COMPONENT_DOTDOT;
}
