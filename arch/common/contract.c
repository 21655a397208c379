/* The port contract alone: compiled without core's include path, so that none of its headers can
 * depend on more than lib (docs/decisions/0006-ports-call-core.md). */
#include <arch/boot.h>
#include <arch/context.h>
#include <arch/cpu.h>
#include <arch/elf.h>
#include <arch/irq.h>
#include <arch/mmu.h>
#include <arch/time.h>
#include <arch/trap.h>
#include <arch/ucopy.h>
#include <arch/vdso_data.h>
