#pragma once
/*
 * The narrow way between the port and the C library: os.c includes the library's headers, every
 * other file the kernel's, and both this one. Freestanding headers only. Prefix os_: what os.c
 * gives to the port; kernel_: what it calls.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_IRQ_RESCHEDULE = 1, OS_IRQ_CALL = 2, OS_IRQ_STOP = 4 };
enum { OS_READ = 1, OS_WRITE = 2, OS_EXEC = 4 };

/* What the command line said, and where os.c has put things. */
struct os_config {
	uint32_t nr_cpus;
	uint64_t memory_bytes, blob_offset, blob_bytes;
	uint64_t seed;
	void *disk; /* a file in memory, for tests; nullptr: none */
	uint64_t disk_bytes;
	const char *command_line;
};
extern struct os_config os_config;

/* --- memory: one file, mapped whole at the base of the direct map --- */
void os_map(uint64_t va, uint64_t offset, size_t bytes, uint32_t rights);
void os_protect(uint64_t va, size_t bytes, uint32_t rights);
/* Reserves: no access. */
void os_unmap(uint64_t va, size_t bytes);
/* Bytes NOT copied. */
size_t os_read_nofault(void *dst, const void *src, size_t bytes);

/* --- CPUs --- */
void os_cpu_set(void *cpu);
void *os_cpu(void);
/* This thread's stack. */
void os_stack(uint64_t *bottom, size_t *bytes);
/* A thread that runs kernel_secondary(cpu). False: none to be had. */
bool os_cpu_start(uint32_t cpu);
void os_yield(void);

/* --- time and interrupts --- */
int64_t os_now(void);
void os_advance(int64_t ns);
void os_timer_set(uint32_t cpu, int64_t deadline_ns);
/* True when the timer of `cpu` is due; it is off then. */
bool os_timer_take(uint32_t cpu);
void os_interrupt(uint32_t cpu, uint32_t bits);
/* Bits that wait, and clears them. os_interrupts_wait: true when the next two would bring
 * something. */
uint32_t os_interrupts_take(uint32_t cpu);
bool os_interrupts_wait(uint32_t cpu);
/*
 * Waits until an interrupt waits for `cpu`. When all CPUs wait, the clock jumps to the first
 * deadline; when there is none, nothing can ever happen again: kernel_stuck() is called on one CPU.
 */
void os_idle(uint32_t cpu);

/* --- the end --- */
void os_write(int fd, const char *text, size_t bytes);
_Noreturn void os_exit(int status);
_Noreturn void os_stop(void); /* this thread, for ever */

void kernel_boot(void);
void kernel_secondary(uint32_t cpu);
void kernel_stuck(void);
