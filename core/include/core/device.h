#pragma once
/* Devices (core/object/device.c): the table that buses fill, components are matched against, and
 * /sys and devtmpfs render. */
#include <lib/types.h>
#include <lib/list.h>
#include <core/object.h>
enum device_bus : u8 { DEVICE_PLATFORM, DEVICE_PCI, DEVICE_VIRTIO, DEVICE_VIRTUAL };
struct device_resource {
	paddr_t base;
	u64 size_bytes;
	bool io_ports, prefetchable;
	void *mapped;
};
struct device {
	struct object obj;
	struct device *parent;
	struct list_node all, children, sibling;
	enum device_bus bus;
	char name[32];       /* "0000:00:02.0", "serial0" */
	char compatible[32]; /* "pci:1af4:1042", "virtio:2", "ns16550a" */
	u16 vendor, product, subvendor, subproduct;
	u32 class_code;
	struct device_resource res[8];
	u32 nr_res;
	u32 line; /* ~0u none */
	bool line_level, line_active_low;
	u16 segment;
	u8 bus_nr, devfn;
	struct component *instance; /* bound to it, or nullptr */
	/* device node in /dev: S_IFCHR or S_IFBLK, 0 none */
	u32 node_mode;
	u32 node_dev;
	char node_name[32];
	char class_name[16]; /* "block", "tty", "mem", "misc" */
	u64 size_bytes;      /* block devices */
};
struct device *device_create(enum device_bus bus, const char *name, struct device *parent);
void device_add(struct device *d); /* visible; matched with components; a node in /dev appears */
void device_remove(struct device *d);
struct device *device_next(struct device *after);      /* referenced; drops `after`'s reference */
struct device *device_by_node(u32 mode_type, u32 dev); /* referenced */
u64 device_event_count(void);
struct waitable;
extern struct waitable device_changed; /* EV_IN at each change of the table */
