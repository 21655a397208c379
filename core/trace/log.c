/*
 * Kernel log (log.c), where it is shown (console.c), panic (panic.c), symbols (symbols.c).
 *
 * Purpose: records of level, time and text in one ring that survives everything but a reset;
 * /dev/kmsg, syslog(2) and the console read it.
 *
 * Objects: LOG_RING_BYTES of text, a record each with its 64-bit number. Invariants: LOG-I1 records
 * are written whole under log_lock; LOG-I2 a reader that fell behind is told how many it lost.
 * Locks: log_lock is the last level of all: anybody may log. A panic stops the other CPUs where
 * they are, also inside it, or came from inside it itself: the panicking CPU waits for it a bounded
 * time and then goes on without (LOG-I1 may break for the record that was being written).
 *
 * Failure: when the ring is full the oldest go. Replacement: none. Cost: one format into a stack
 * buffer, one copy.
 */
#include <core/cmdline.h>
#include <core/console.h>
#include <core/log.h>
#include <core/log_ring.h>
#include <core/lock.h>
#include <core/time.h>
#include <core/wait.h>
#include <lib/fmt.h>
#include <lib/string.h>

#define RECORDS        4096
#define LINE_BYTES_MAX 512

struct record {
	u64 number;
	ktime_t time_ns;
	u32 offset;
	u16 len;
	u8 level;
	bool on_console;
};
static struct spinlock log_lock = SPINLOCK_INIT(LOCK_LEVEL_LOG);
static char ring[LOG_RING_BYTES];
static struct record records[RECORDS];
static u64 next_number; /* of the record to come; READ_ONCE by readers */
static u64 first_number;
static u32 ring_head;
struct waitable log_waitable;
static bool log_waitable_ready;

#define PANIC_WAIT_NS (100 * NSEC_PER_MSEC)
static bool panic_begun, lock_lost;

void log_panic_begin(void)
{
	WRITE_ONCE(panic_begun, true);
}

/* False: a panic goes on without the lock. */
static bool lock_ring(word_t *irq) __no_lock_analysis
{
	ktime_t until;

	if (likely(!READ_ONCE(panic_begun))) {
		*irq = spin_lock_irqsave(&log_lock);
		return true;
	}
	*irq = arch_irq_save();
	for (until = arch_time_now_ns() + PANIC_WAIT_NS; !lock_lost; arch_cpu_relax()) {
		if (spin_trylock(&log_lock))
			return true;
		lock_lost = arch_time_now_ns() >= until;
	}
	return false;
}

static void unlock_ring(bool held, word_t irq) __no_lock_analysis
{
	if (likely(held))
		spin_unlock_irqrestore(&log_lock, irq);
	else
		arch_irq_restore(irq);
}

static void drop_overwritten(u32 offset, u32 len)
{
	while (first_number < next_number) {
		struct record *r = &records[first_number % RECORDS];

		if (next_number - first_number < RECORDS &&
			(r->offset >= offset + len || r->offset + r->len <= offset))
			break;
		first_number++;
	}
}

static void append(enum log_level level, ktime_t now, const char *text, u32 len, bool shown)
{
	struct record *r;

	if (ring_head + len > LOG_RING_BYTES)
		ring_head = 0;
	drop_overwritten(ring_head, len);
	memcpy(ring + ring_head, text, len);
	r = &records[next_number % RECORDS];
	*r = (struct record){next_number, arch_time_now_ns(), ring_head, (u16)len, (u8)level,
		shown};
	ring_head += len;
	next_number++;
}

static int stamp(char *out, size_t size, ktime_t now)
{
	return snprintf(out, size, "[%5lld.%06lld] ", (long long)(now / NSEC_PER_SEC),
		(long long)(now % NSEC_PER_SEC / NSEC_PER_USEC));
}

u32 log_line(const struct log_record *r, char *out, size_t size)
{
	int n = stamp(out, size, r->time_ns);
	size_t room = size - (size_t)n - 1, len = MIN((size_t)r->len, room);

	memcpy(out + n, r->text, len);
	out[(size_t)n + len] = '\n';
	return (u32)((size_t)n + len + 1);
}

void log_write(enum log_level level, const char *text, size_t len)
{
	/* programs' records have a facility above */
	bool shown = ((u32)level & 7u) < boot_parameters.loglevel;
	bool interrupts_off = !arch_irq_enabled();
	ktime_t now = arch_time_now_ns();
	char time[48];
	word_t irq;
	bool held;

	while (len && text[len - 1] == '\n')
		len--;
	len = MIN(len, (size_t)LINE_BYTES_MAX);
	held = lock_ring(&irq);
	append(level, now, text, (u32)len, shown);
	if (shown) {
		console_write(time, (size_t)stamp(time, sizeof(time), now));
		console_write(text, len);
		console_write("\n", 1);
	}
	unlock_ring(held, irq);
	if (unlikely(READ_ONCE(panic_begun)))
		return; /* nobody is left to read it */
	if (log_waitable_ready)
		waitable_wake(&log_waitable, EV_IN, 0);
	if (shown)
		console_kick(interrupts_off);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
	char text[LINE_BYTES_MAX];
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = (size_t)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	log_write(level, text, len);
}

void log_init(void)
{
	waitable_init(&log_waitable);
	log_waitable_ready = true;
}

u64 log_next_number(void)
{
	return READ_ONCE(next_number);
}

bool log_read(u64 *number, struct log_record *out)
{
	word_t irq;
	bool held = lock_ring(&irq), found = false;

	if (*number < first_number)
		*number = first_number;
	if (*number < next_number) {
		struct record *r = &records[*number % RECORDS];

		out->number = r->number;
		out->time_ns = r->time_ns;
		out->level = r->level;
		out->on_console = r->on_console;
		out->len = r->len;
		memcpy(out->text, ring + r->offset, r->len);
		out->text[r->len] = 0;
		(*number)++;
		found = true;
	}
	unlock_ring(held, irq);
	return found;
}
