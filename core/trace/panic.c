/* Panic: stop the other CPUs, say why with a symbolised backtrace, obey panic=. Theory in log.c. */
#include <core/cmdline.h>
#include <core/console.h>
#include <core/log.h>
#include <core/log_ring.h>
#include <core/lock.h>
#include <core/time.h>
#include <core/task.h>
#include <lib/fmt.h>

static atomic32_t panicking;

void backtrace_print(enum log_level level, word_t frame_pointer)
{
	word_t pc[24];
	u32 nr = arch_backtrace(frame_pointer, pc, ARRAY_SIZE(pc));

	for (u32 i = 0; i < nr; i++) {
		u64 offset = 0;
		const char *module = nullptr;
		/* A return address may be the first byte of the next function: look at the call
		 * itself. */
		const char *name = symbol_lookup(pc[i] - 1, &offset, &module);

		log_printf(level, "  %#lx %s+%#llx%s%s%s\n", (unsigned long)pc[i], name,
			(unsigned long long)offset + 1, module ? " [" : "", module ? module : "",
			module ? "]" : "");
	}
}

__noreturn void panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	arch_irq_disable();
	lock_debug_disable();
	if (atomic32_exchange(&panicking, 1))
		arch_halt();
	log_panic_begin();
	arch_ipi_send(READ_ONCE(cpu_online_mask) & ~(1ull << arch_this_cpu()), ARCH_IPI_STOP);
	console_panic();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_printf(LOG_EMERG, "Kernel panic: %s\n", text);
	if (cpu_online_mask && current)
		log_printf(LOG_EMERG, "CPU %u, task %s\n", arch_this_cpu(), current->comm);
	backtrace_print(LOG_EMERG, 0);
	log_printf(LOG_EMERG, "---[ end Kernel panic: %s ]---\n", text);
	if (boot_parameters.panic_seconds_plus_1) {
		ktime_t until = arch_time_now_ns() +
				(ktime_t)(boot_parameters.panic_seconds_plus_1 - 1) * NSEC_PER_SEC;

		while (arch_time_now_ns() < until)
			arch_cpu_relax();
		arch_reboot();
	}
	arch_halt();
}
