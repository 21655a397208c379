/* root=: the real root file system, mounted over the initramfs root as Linux's prepare_namespace does. */
#include <core/call.h>
#include <core/cmdline.h>
#include <core/fs_call.h>
#include <core/init.h>
#include <core/log.h>
#include <core/node.h>
#include <core/task.h>
#include <core/time.h>
#include <core/wait.h>

#define ROOT_WAIT_NS (100 * NSEC_PER_MSEC)

void root_mount(void)
{
	const char *type = boot_parameters.rootfstype ? boot_parameters.rootfstype : "ext4";
	const char *options = boot_parameters.rootflags ? boot_parameters.rootflags : "";
	u32 flags = boot_parameters.read_write ? 0 : SB_RDONLY;
	struct superblock *sb = nullptr;
	answer_t a;

	for (;;) {
		struct call c;

		call_begin(&c, CALLF_KERNEL);
		a = fs_mount(&c, type, boot_parameters.root, flags, options, &sb);
		call_end(&c);
		if (!boot_parameters.rootwait || (a != -ENOENT && a != -ENODEV && a != -ENXIO))
			break;
		wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake), time_monotonic_ns() + ROOT_WAIT_NS, 0);
	}
	if (a)
		panic("VFS: Unable to mount root fs \"%s\" (type %s): error %ld", boot_parameters.root, type, -(long)a);
	if (mount_root_switch(sb))
		panic("no memory for the root mount");
}
