#pragma once
/* The least of a TAP producer for host tests of lib/ (the code under test replaces libc's strings,
 * so cmocka stays out). */
#include <stdio.h>
#include <stdlib.h>
static int tap_nr, tap_failed;
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		bool _ok = (cond);                                                                 \
		printf("%sok %d - %s:%d %s\n", _ok ? "" : "not ", ++tap_nr, __func__, __LINE__,    \
			#cond);                                                                    \
		tap_failed += !_ok;                                                                \
	} while (0)
/* For conditions checked very often: silent unless it fails. */
#define CHECK_QUIET(cond)                                                                          \
	do {                                                                                       \
		if (!(cond))                                                                       \
			CHECK(cond);                                                               \
	} while (0)
#define TAP_END()                                                                                  \
	do {                                                                                       \
		printf("1..%d\n", tap_nr);                                                         \
		return tap_failed != 0;                                                            \
	} while (0)
