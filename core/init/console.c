/* What Linux's built-in initramfs holds (/dev, /dev/console, /root) and the first program's three
 * descriptors. */
#include <core/call.h>
#include <core/console.h>
#include <core/init.h>
#include <core/log.h>
#include <core/node.h>
#include <core/task.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>

#define AT_FDCWD (-100)

void init_default_files(void)
{
	struct call c;
	answer_t a;

	call_begin(&c, CALLF_KERNEL);
	a = call_run(&c, vfs_mkdir(SLOT(VFS), &c, AT_FDCWD, (word_t) "/dev", 0755));
	call_end(&c);
	call_begin(&c, CALLF_KERNEL);
	if (!a)
		a = call_run(&c, vfs_mknod(SLOT(VFS), &c, AT_FDCWD, (word_t) "/dev/console",
					 S_IFCHR | 0600, DEV_MAKE(5, 1)));
	call_end(&c);
	call_begin(&c, CALLF_KERNEL);
	if (!a)
		a = call_run(&c, vfs_mkdir(SLOT(VFS), &c, AT_FDCWD, (word_t) "/root", 0700));
	call_end(&c);
	if (a)
		log_warn("default files of the root: error %ld\n", -(long)a);
}

/* As Linux's console_on_rootfs: without a console init runs with no descriptors at all. */
void init_open_console(void)
{
	struct open_request request = {.kernel_path = "/dev/console"};
	struct call c;
	answer_t a;

	call_begin(&c, CALLF_KERNEL);
	a = call_run(&c,
		vfs_open_kernel(SLOT(VFS), &c, (word_t)request.kernel_path, O_RDWR, &request));
	call_end(&c);
	if (a < 0) {
		log_warn("Warning: unable to open an initial console.\n");
		return;
	}
	for (u32 fd = 0; fd < 3; fd++) {
		file_get(request.file);
		if (files_install(current->files, request.file, fd, false, 3) < 0)
			file_put(request.file);
	}
	file_put(request.file);
}
