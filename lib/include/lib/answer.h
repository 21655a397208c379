#pragma once
/*
 * Answers (calls.md): one machine word, a value, -errno, or a kind in the unused part of the error
 * range, so that one unsigned compare finds the slow path. Operands lie in the call record, a
 * component's in its context.
 */
#include <lib/errno.h>
#include <lib/types.h>

typedef sword_t answer_t;
#define ANSWER_NEED      ((answer_t) - 4095)
#define ANSWER_WAIT      ((answer_t) - 4094)
#define ANSWER_DO        ((answer_t) - 4093)
#define ANSWER_MORE      ((answer_t) - 4092)
#define ANSWER_RUN       ((answer_t) - 4091)
/* The parked vtable's answer: WAIT until the slot is open again. Obeys kill and nothing else. */
#define ANSWER_WAIT_SLOT ((answer_t) - 4090)

static inline bool answer_is_kind(answer_t a)
{
	return (word_t)a - (word_t)-4095 <= 5;
}
/* A kind or -errno: anything but a value. */
static inline bool answer_is_error(answer_t a)
{
	return (word_t)a >= (word_t)-4095;
}
