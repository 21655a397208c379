/*
 * The vDSO of a process: one read-only data page that core keeps current, and the port's image
 * above it, shared by all processes as a device object over frames that are never freed. The image
 * is copied once at boot, so that its frames belong to nobody else.
 */
#include <core/log.h>
#include <core/mm.h>
#include <arch/vdso_data.h>
#include <lib/string.h>
#include <arch/time.h>
#include "time_internal.h"

static struct vdso_data *vdso_page; /* nullptr: before vdso_init */
static struct memory_object *vdso_object;
static struct arch_vdso vdso_image;

/* Caller serialises (wall_lock, or boot). */
void vdso_update(void)
{
	struct vdso_data *d = vdso_page;
	struct arch_clock_params p;

	if (!d)
		return;
	arch_clock_params(&p);
	shared_store_seq(&d->seq, d->seq + 1);
	d->base_cycles = p.base_cycles;
	d->mult = p.mult;
	d->shift = (u32)p.shift;
	d->wall_offset_ns = time_wall_offset_ns();
	d->boot_offset_ns = 0;
	d->nr_cpus = cpu_nr_online();
	d->resolution_ns = 1;
	WRITE_ONCE(d->mode, p.vdso_mode);
	shared_store_seq(&d->seq, d->seq + 1);
}

void vdso_init(void)
{
	u32 order = 0;
	struct frame *f;
	size_t pages;
	u8 *base;

	vdso_image = arch_vdso_image();
	if (!vdso_image.bytes)
		return;
	pages = 1 + DIV_ROUND_UP(vdso_image.bytes, PAGE_BYTES);
	while (((size_t)1 << order) < pages)
		order++;
	f = frame_alloc(order, FRAME_ALLOC_ZERO, &account_root);
	if (!f)
		panic("no memory for the vDSO");
	base = page_begin(f);
	memcpy(base + PAGE_BYTES, vdso_image.image, vdso_image.bytes);
	vdso_object = memory_object_create(MEMORY_DEVICE, pages * PAGE_BYTES, &account_root);
	if (!vdso_object)
		panic("no memory for the vDSO");
	vdso_object->device_base = frame_paddr(f);
	vdso_page = (struct vdso_data *)base;
	vdso_update();
}

int vdso_map(struct address_space *as)
{
	size_t bytes = ALIGN_UP(vdso_image.bytes, PAGE_BYTES);
	struct mmap_args probe = {.bytes = bytes + PAGE_BYTES, .prot = 0, .flags = 0x22};
	sword_t at;
	int error;

	as->vdso = 0;
	if (!vdso_object)
		return 0;
	/* finds room as mmap would, then puts the two parts there */
	at = space_mmap(as, &probe);
	if (at < 0)
		return (int)at;
	error = space_munmap(as, (vaddr_t)at, bytes + PAGE_BYTES);
	if (!error)
		error = space_map_object(as, (vaddr_t)at, PAGE_BYTES,
			VM_READ | VM_MAYREAD | VM_DONTDUMP | VM_SHARED, vdso_object, 0, "[vvar]");
	if (!error)
		error = space_map_object(as, (vaddr_t)at + PAGE_BYTES, bytes,
			VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC | VM_VDSO | VM_SHARED,
			vdso_object, 1, "[vdso]");
	if (!error)
		as->vdso = (vaddr_t)at + PAGE_BYTES;
	return error;
}

vaddr_t vdso_sigreturn(const struct address_space *as)
{
	return as->vdso && vdso_image.sigreturn_offset ? as->vdso + vdso_image.sigreturn_offset : 0;
}
