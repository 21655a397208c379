#pragma once
/* Readers of the kernel log: /dev/kmsg, syslog(2). */
#include <core/log.h>
#include <core/wait.h>
#define LOG_RING_BYTES (256 * 1024)
struct log_record {
	u64 number;
	ktime_t time_ns;
	u8 level;
	bool on_console; /* the console's level let it pass */
	u16 len;
	char text[513];
};
extern struct waitable log_waitable; /* EV_IN at each record */
/* "[seconds.microseconds] text\n" as the console shows it; its length. */
#define LOG_LINE_BYTES 576
u32 log_line(const struct log_record *r, char *out, size_t size);
void log_init(void);
u64 log_next_number(void);
/* The record *number or the oldest after it; advances *number. False: none yet. Any context. */
bool log_read(u64 *number, struct log_record *out);
/* Context: the panicking CPU, once, before it stops the others. From there on it logs without
 * waiting for who holds the log and wakes no reader. */
void log_panic_begin(void);
void log_write(enum log_level level, const char *text, size_t len);
