#pragma once
/* Boot (core/init). */
#include <arch/boot.h>
/* The boot_info that the port handed over, kept. */
const struct boot_info *init_boot_info(void);
/* newc archive(s), possibly compressed, into the root. 0, or -EINVAL with the reason logged.
 * Thread. */
int initramfs_unpack(const void *data, size_t bytes);
/* Buses: platform devices, PCI, virtio (core/device): fills the device table and binds
 * components. Thread. */
void devices_probe(void);
/* What Linux's built-in initramfs holds: /dev, /dev/console, /root. Thread. */
void init_default_files(void);
/* The first program's descriptors 0, 1 and 2; without a console it has none. Thread. */
void init_open_console(void);
struct mount;
struct mount_ns;
/* Root and cwd of the first context. Thread, before there are others. */
void init_set_root(struct mount *m, struct mount_ns *ns);
/* root= and its friends; panics with the cause. Thread. */
void root_mount(void);
/*
 * Decompressors (core/init/decompress.c; without it every format is unknown): one compressed member
 * at `in`. 0 with *out and *used (bytes of the member), -ENOSYS (no format that is built in),
 * -EINVAL (corrupt). Context: thread. Owns: *out is the caller's until decompress_free.
 */
int decompress_member(const void *in, size_t bytes, void **out, size_t *out_bytes, size_t *used);
void decompress_free(void *out, size_t out_bytes);
