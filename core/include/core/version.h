#pragma once
/* What uname(2), /proc/version and /proc/sys/kernel say. */
#define KERNEL_OSTYPE  "Linux"
#define KERNEL_RELEASE "6.12.0-umka"
#define KERNEL_VERSION "#1 UmkaOS SMP PREEMPT"
