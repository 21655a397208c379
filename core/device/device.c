/*
 * Devices (device.c), PCI (pci.c), component instances (component.c), services for components
 * (services.c).
 *
 * Purpose: the table of devices that buses fill, that components are bound to and that /sys and
 * devtmpfs render.
 *
 * Objects and lifetimes: a device lives from device_add to device_remove, and longer while
 * referenced; a component instance holds its device.
 *
 * Invariants: DEV-I1 every device on the list has a name unique on its bus; DEV-I2 a component
 * touches only its own device's registers, configuration space and interrupts: every service
 * compares the handle with the instance's device.
 *
 * Locks: devices_lock for the list; a component's mutex around every call into it.
 *
 * Failure and recovery: a driver that refuses a device leaves it unbound. Replacement: instances
 * have slots of their own.
 */
#include <core/component.h>
#include <core/block.h>
#include <core/device.h>
#include <core/devnodes.h>
#include <core/hwrng.h>
#include <core/init.h>
#include <core/log.h>
#include <core/mm.h>
#include <core/pci.h>
#include <core/tty.h>
#include <core/wait.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/irq.h>

static struct spinlock devices_lock = SPINLOCK_INIT(LOCK_LEVEL_NAMESPACE);
static struct list_node devices = LIST_INIT(devices);
static u64 device_events; /* READ_ONCE */
struct waitable device_changed;

struct device *device_create(enum device_bus bus, const char *name, struct device *parent)
{
	struct device *d = kzalloc(sizeof(*d));

	if (!d)
		return nullptr;
	object_init(&d->obj, OBJECT_DEVICE, LOCK_LEVEL_NAMESPACE + 1, &account_root);
	list_init(&d->all);
	list_init(&d->children);
	list_init(&d->sibling);
	d->bus = bus;
	d->line = ~0u;
	d->parent = parent;
	strlcpy(d->name, name, sizeof(d->name));
	return d;
}

void device_add(struct device *d)
{
	spin_lock(&devices_lock);
	object_get(&d->obj);
	list_add_tail(&devices, &d->all);
	if (d->parent)
		list_add_tail(&d->parent->children, &d->sibling);
	device_events++;
	spin_unlock(&devices_lock);
	if (d->node_mode)
		devnode_add_device(d->node_name, d->node_mode, d->node_dev);
	waitable_wake(&device_changed, EV_IN, 0);
}

void device_remove(struct device *d)
{
	bool was;

	spin_lock(&devices_lock);
	was = list_linked(&d->all);
	list_del(&d->all);
	list_del(&d->sibling);
	device_events++;
	spin_unlock(&devices_lock);
	if (was && d->node_mode)
		devnode_remove_device(d->node_name);
	waitable_wake(&device_changed, EV_IN, 0);
	if (was)
		object_put(&d->obj);
}

struct device *device_next(struct device *after)
{
	struct device *next = nullptr;
	struct list_node *n;

	spin_lock(&devices_lock);
	n = after && list_linked(&after->all) ? after->all.next : devices.next;
	if (!(after && !list_linked(&after->all)) && n != &devices) {
		next = list_entry(n, struct device, all);
		object_get(&next->obj);
	}
	spin_unlock(&devices_lock);
	if (after)
		object_put(&after->obj);
	return next;
}

struct device *device_by_node(u32 mode_type, u32 dev)
{
	struct device *d;

	spin_lock(&devices_lock);
	list_for_each_entry (d, &devices, all)
		if (d->node_dev == dev && (d->node_mode & 0170000u) == mode_type) {
			object_get(&d->obj);
			spin_unlock(&devices_lock);
			return d;
		}
	spin_unlock(&devices_lock);
	return nullptr;
}

u64 device_event_count(void)
{
	return READ_ONCE(device_events);
}

static void add_platform_devices(void)
{
	struct arch_platform_device found[16];
	u32 nr = arch_platform_devices(found, ARRAY_SIZE(found));

	for (u32 i = 0; i < nr; i++) {
		char name[32];
		struct device *d;

		snprintf(name, sizeof(name), "%s.%llx", found[i].compatible,
			(unsigned long long)found[i].base);
		d = device_create(DEVICE_PLATFORM, name, nullptr);
		if (!d)
			return;
		strlcpy(d->compatible, found[i].compatible, sizeof(d->compatible));
		d->res[0] = (struct device_resource){.base = found[i].base,
			.size_bytes = found[i].size_bytes,
			.io_ports = found[i].io_ports};
		d->nr_res = 1;
		d->line = found[i].line;
		d->line_level = found[i].line_level;
		d->line_active_low = found[i].line_active_low;
		device_add(d);
		component_bind(d);
		object_put(&d->obj);
	}
}

/* Memory devices (Linux's Documentation/admin-guide/devices.txt, major 1); behaviour is the node
 * contract's slot `char`. */
static void add_memory_devices(void)
{
	static const struct {
		const char *name;
		u32 mode, minor;
	} nodes[] = {{"null", 0666, 3}, {"zero", 0666, 5}, {"full", 0666, 7}, {"random", 0666, 8},
		{"urandom", 0666, 9}, {"kmsg", 0644, 11}};

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++) {
		struct device *d = device_create(DEVICE_VIRTUAL, nodes[i].name, nullptr);

		if (!d)
			return;
		d->node_mode = S_IFCHR | nodes[i].mode;
		d->node_dev = DEV_MAKE(1, nodes[i].minor);
		strlcpy(d->node_name, nodes[i].name, sizeof(d->node_name));
		strlcpy(d->class_name, "mem", sizeof(d->class_name));
		device_add(d);
		object_put(&d->obj);
	}
}

/* Once, in the init thread. */
void devices_probe(void)
{
	waitable_init(&device_changed);
	add_memory_devices();
	hwrng_boot_init();
	tty_boot_init();
	add_platform_devices();
	pci_probe();
	block_scan_partitions();
}
