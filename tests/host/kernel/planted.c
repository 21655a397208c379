/* Defects that must be reported: what shows that silence means something. */
#include "host_test.h"
#include <core/call.h>
#include <core/node.h>
#include <core/sched.h>
#include <core/slots.h>
#include <kabi/policy_page.h>
#include <kabi/slots.h>
#include <kabi/vfs.h>
#include <nucleus/slot.h>

#define SPINS 2000u

static volatile u32 sink;

HOST_PLANTED(planted_use_after_free)
{
	u32 *p = kmalloc(40);

	p[1] = 1;
	kfree(p);
	sink = p[1];
}

HOST_PLANTED(planted_overrun)
{
	u8 *p = kmalloc(40);

	for (u32 i = 0; i <= 40 + sink; i++)
		p[i] = 0;
	kfree(p);
}

HOST_PLANTED(planted_stack)
{
	u32 local[8] = {};
	volatile u32 i = 8;

	sink = ((volatile u32 *)local)[i];
}

/* vfs, a module, writes into a freed structure of its caller. */
HOST_PLANTED(planted_module)
{
	struct stat_info *info = kmalloc(sizeof(*info));
	struct call c;

	kfree(info);
	call_begin(&c, CALLF_KERNEL);
	call_run(&c, vfs_stat(SLOT(VFS), &c, -100, (word_t) "/", 0, info));
	call_end(&c);
}

/* Two threads on a CPU each, which begin at once. */
static atomic32_t nr_inside;

static void on_cpu(u32 cpu)
{
	u64 mask = 1ull << cpu;
	vaddr_t at = user_alloc(PAGE_BYTES);

	user_put(at, &mask, sizeof(mask));
	CHECK_EQ(sys(SYS_sched_setaffinity, 0, sizeof(mask), at), 0);
	atomic32_fetch_add(&nr_inside, 1);
	while (atomic32_load(&nr_inside) < 2)
		arch_cpu_relax();
}

static void two_threads(s32 (*fn)(void *))
{
	host_spawn(fn, (void *)0);
	host_spawn(fn, (void *)1);
	host_join();
}

/* A counter that two CPUs change with no lock, between no two calls that order anything. */
static u32 shared;

static s32 racer(void *arg)
{
	on_cpu((u32)(word_t)arg);
	for (u32 i = 0; i < SPINS; i++)
		shared++;
	return 0;
}

HOST_PLANTED(planted_race)
{
	two_threads(racer);
}

/* The page policy, a module, writes one choice from two CPUs. */
static struct page_choice choice;

static s32 chooser(void *arg)
{
	const struct policy_page_vtable *policy = slot_vtable(SLOT(POLICY_PAGE));
	const u64 tunables[POLICY_PAGE_NR_TUNABLES] = {24, 8};
	struct kabi_policy_ctx ctx = {POLICY_PAGE_NR_TUNABLES, 0, tunables};
	struct page_zone zone = {.total_frames = 1000, .free_frames = 500};

	on_cpu((u32)(word_t)arg);
	for (u32 i = 0; i < SPINS; i++)
		policy->choose(&ctx, &zone, 0, false, &choice);
	return 0;
}

HOST_PLANTED(planted_module_race)
{
	two_threads(chooser);
}
