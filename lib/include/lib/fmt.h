#pragma once
/* printf formatting without floating point: %d %i %u %x %X %o %c %s %p %% with l ll z h hh, width,
 * precision, '-', '0', '+', '#', ' ', '*'. Returns the length that the whole text needs. */
#include <lib/types.h>
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
