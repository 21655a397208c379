#pragma once
/* Kernel log (core/trace/log.c). Records with level, time, text in one ring; /dev/kmsg and the
 * console drain it. Any context. */
#include <lib/types.h>
enum log_level {
	LOG_EMERG,
	LOG_ALERT,
	LOG_CRIT,
	LOG_ERR,
	LOG_WARNING,
	LOG_NOTICE,
	LOG_INFO,
	LOG_DEBUG
};
void log_printf(enum log_level level, const char *fmt, ...) __printf(2, 3);
#define log_err(...)   log_printf(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_printf(LOG_WARNING, __VA_ARGS__)
#define log_info(...)  log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)

/* Stops every CPU, prints reason, registers, symbolised backtrace; obeys panic=. Never returns. */
__noreturn void panic(const char *fmt, ...) __printf(1, 2);
/* Symbol of an address in the kernel or a module; returns "?" when unknown. name lives for ever.
 * Any context. */
const char *symbol_lookup(vaddr_t pc, u64 *offset, const char **module);
/* Address of a kernel symbol for the module loader; 0: none. */
vaddr_t symbol_address(const char *name);
void backtrace_print(enum log_level level, word_t frame_pointer);

/* BUG_ON traps in every build; KASSERT only in debug and asan kernels. */
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(cond))                                                                \
			panic("BUG: %s at %s:%d", #cond, __FILE_NAME__, __LINE__);                 \
	} while (0)
#if UMKA_DEBUG
#define KASSERT(cond) BUG_ON(!(cond))
#else
#define KASSERT(cond) ((void)sizeof(!(cond)))
#endif
