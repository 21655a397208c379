#pragma once
/* Interrupts (core/irq): core masks and acknowledges; drivers get events in a core thread (deferred
 * calls). */
#include <lib/types.h>
#include <core/call.h>
enum irq_action : u8 { IRQ_DEFERRED, IRQ_CORE_SERIAL };
/* Reserves a core interrupt number. -ENOSPC. */
int irq_alloc(void);
void irq_free(u32 irq);
/* On interrupt: mask when `level`, queue `d`; the driver's service irq_done unmasks. Context:
 * thread. */
int irq_attach(u32 irq, struct deferred *d, bool level);
void irq_detach(u32 irq);
u64 irq_count(u32 irq);
/* A level line whose cause is cleared: may interrupt again. */
void irq_unmask_line(u32 irq);
/* Runs fn on every CPU of mask (core functions only, closed use: flush, stop). Interrupts on. */
enum irq_call : u8 { IRQ_CALL_FLUSH, IRQ_CALL_GRACE, IRQ_CALL_MEMBARRIER };
void irq_call_cpus(u64 mask, enum irq_call op, void *arg);
