#pragma once
/* What Linux's copy of ACPICA tells Linux's leak detector. */
static inline void kmemleak_not_leak(const void *p)
{
	(void)p;
}
