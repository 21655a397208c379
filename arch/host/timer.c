/* What programs and vDSO would see of time: nothing, since there are none. The clock and the timer
 * are in irq.c and os.c. */
#include <arch/time.h>
#include "host.h"

void arch_clock_params(struct arch_clock_params *out)
{
	*out = (struct arch_clock_params){};
}
struct arch_vdso arch_vdso_image(void)
{
	return (struct arch_vdso){};
}
/* The same in every run. */
s64 arch_wall_clock_seconds(void)
{
	return 1800000000;
}
