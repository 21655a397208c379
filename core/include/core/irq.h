#pragma once
/* Interrupts (core/irq): core masks and acknowledges; drivers get events in a core thread (deferred
 * calls). */
#include <lib/types.h>
#include <core/call.h>
enum irq_action : u8 { IRQ_DEFERRED, IRQ_CORE_SERIAL };
struct arch_line;
/* Reserves a core interrupt number. -ENOSPC. */
int irq_alloc(void);
/* The number of a wired line, bound; a line that is bound already is shared when it is
 * level-triggered alike. -ENOSPC, -EBUSY, -EINVAL. */
int irq_alloc_line(const struct arch_line *line);
/* Gives the number back (a shared line: once for each irq_alloc_line), without event d (or
 * nullptr). Thread. */
void irq_free(u32 irq, struct deferred *d);
/* On interrupt: mask when `level`, queue `d`; the driver's service irq_done unmasks. -EBUSY: too
 * many share it. Context: thread. */
int irq_attach(u32 irq, struct deferred *d, bool level);
u64 irq_count(u32 irq);
/* d has cleared its cause; a level line may interrupt again when all that share it have. */
void irq_unmask_line(u32 irq, struct deferred *d);
/* Runs fn on every CPU of mask (core functions only, closed use: flush, stop). Interrupts on. */
enum irq_call : u8 { IRQ_CALL_FLUSH, IRQ_CALL_GRACE, IRQ_CALL_MEMBARRIER };
void irq_call_cpus(u64 mask, enum irq_call op, void *arg);
