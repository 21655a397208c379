/* root=: the real root file system, mounted over the initramfs root as Linux's prepare_namespace
 * does. */
#include <core/call.h>
#include <core/cmdline.h>
#include <core/fs_call.h>
#include <core/init.h>
#include <core/log.h>
#include <core/node.h>
#include <core/task.h>
#include <core/time.h>
#include <core/wait.h>

/* Root and cwd of the init task become the top of m; its children inherit them. */
void init_set_root(struct mount *m, struct mount_ns *ns)
{
	struct fs_context *fs = current->context->fs;
	struct path_ref path = {m, m->root}, old_root, old_cwd;

	path_get(&path);
	path_get(&path);
	spin_lock(&fs->obj.lock);
	old_root = fs->root;
	old_cwd = fs->cwd;
	fs->root = fs->cwd = path;
	spin_unlock(&fs->obj.lock);
	current->context->mount_ns = ns; /* the boot context: nobody else has it yet */
	path_put(&old_root);
	path_put(&old_cwd);
}

int mount_root_switch(struct superblock *sb)
{
	struct mount_ns *ns = current->context->mount_ns;
	struct path_ref at = {ns->root, ns->root->root};
	struct name *top = name_new_root(sb->root);
	struct mount *m = top ? mount_new(sb, top, MNT_RELATIME, boot_parameters.root) : nullptr;
	int r = m ? mount_attach(m, &at) : -ENOMEM;

	if (!r)
		init_set_root(m, ns);
	if (top)
		name_put(top);
	return r;
}

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
		wait_sleep(&current->wake, EV_ANY, waitable_seq(&current->wake),
			time_monotonic_ns() + ROOT_WAIT_NS, 0);
	}
	if (a)
		panic("VFS: Unable to mount root fs \"%s\" (type %s): error %ld",
			boot_parameters.root, type, -(long)a);
	if (mount_root_switch(sb))
		panic("no memory for the root mount");
}
