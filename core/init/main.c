/*
 * Boot: from the port's hand-over to the first program.
 *
 * Order (each step may use those before it): per-CPU data, command line, log | memory | symbols,
 * slots, objects | tasks, time, scheduler | other CPUs | in the init thread: core threads, modules,
 * root file system, initramfs, devices | exec of the first program.
 *
 * Failure: what cannot work without (memory, modules of the root, a first program) ends in a panic
 * that names the cause.
 *
 * Locks: none: one thread on one CPU until the others are started, then the init thread. Objects:
 * the port's boot_info, kept as a copy. Replacement: never. Cost: once.
 */
#include <core/call.h>
#include <core/cmdline.h>
#include <core/cpu.h>
#include <core/evolve.h>
#include <core/firmware.h>
#include <core/fs_call.h>
#include <core/init.h>
#include <core/log.h>
#include <core/log_ring.h>
#include <core/mm.h>
#include <core/node.h>
#include <core/pci.h>
#include <core/plant.h>
#include <core/sched.h>
#include <core/symbols.h>
#include <core/socket.h>
#include <core/task.h>
#include <core/time.h>
#include <lib/cpio.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <arch/mmu.h>
#include <arch/test.h>

struct cpu *cpu_data[NR_CPUS_MAX];
u64 cpu_online_mask;
static struct cpu boot_cpu;
static struct boot_info boot;
static u32 nr_present = 1;
static paddr_t memory_end = ~(paddr_t)0; /* mem=: what lies behind is not used */

const struct boot_info *init_boot_info(void)
{
	return &boot;
}

u32 cpu_nr_online(void)
{
	return (u32)__builtin_popcountll(READ_ONCE(cpu_online_mask));
}

u32 cpu_nr_present(void)
{
	return nr_present;
}

static void load_symbols(void)
{
	const void *blob = arch_phys_to_virt(boot.blob.base);
	struct cpio_entry e;

	if (boot.blob.size_bytes && cpio_find(blob, (size_t)boot.blob.size_bytes, "kernel.sym", &e))
		symbols_init((const char *)e.data, (size_t)e.size_bytes, boot.kaslr_slide_bytes);
	else
		log_warn("no symbols in the kernel image\n");
}

static void start_cpus(void)
{
	u32 present = MIN(arch_nr_cpus_present(), (u32)NR_CPUS_MAX);

	nr_present = MIN(present, boot_parameters.max_cpus);
	for (u32 i = 1; i < nr_present; i++) {
		struct cpu *c = kzalloc(sizeof(*c));
		struct task *idle;

		if (!c)
			break;
		c->index = i;
		cpu_data[i] = c;
		if (mm_cpu_init(c))
			break;
		idle = task_create_idle(i);
		if (!idle)
			break;
		sched_init_cpu(i, idle);
		if (arch_cpu_start(i, idle, (u8 *)idle->stack + KERNEL_STACK_BYTES))
			log_warn("CPU %u does not start\n", i);
	}
	log_info("%u of %u CPUs online\n", cpu_nr_online(), present);
}

__noreturn void core_secondary_main(u32 cpu)
{
	arch_cpu_data_set(cpu_data[cpu]);
	time_init_cpu(cpu);
	shared_fetch_or(&cpu_online_mask, 1ull << cpu);
	sched_idle_loop();
}

static void mount_first_root(void)
{
	struct superblock *sb = nullptr;
	struct mount_ns *ns;
	struct call c;
	answer_t a;

	call_begin(&c, CALLF_KERNEL);
	a = fs_mount(&c, "tmpfs", "rootfs", 0, "mode=755", &sb);
	call_end(&c);
	if (a)
		panic("cannot mount the first root file system: error %ld", -(long)a);
	if (mount_root(sb, &ns))
		panic("no memory for the first mount namespace");
	init_set_root(ns->root, ns);
}

static void unpack_initrd(void)
{
	if (!boot.initrd.size_bytes)
		return;
	if (initramfs_unpack(arch_phys_to_virt(boot.initrd.base), (size_t)boot.initrd.size_bytes))
		log_err("initramfs unpacking failed\n"); /* Linux goes on too: what was unpacked is
							    there */
	if (boot.initrd.base < memory_end)
		mm_boot_free_range(boot.initrd.base,
			MIN(boot.initrd.size_bytes, (u64)(memory_end - boot.initrd.base)));
}

static bool try_exec(const char *path)
{
	const char *argv[ARRAY_SIZE(boot_parameters.user) + 2] = {path};
	const char *envp[ARRAY_SIZE(boot_parameters.user_env) + 3] = {"HOME=/", "TERM=linux"};
	struct exec_args args = {.kernel_path = path,
		.kernel_argv = argv,
		.kernel_envp = envp,
		.dirfd = -100};
	int r;

	for (u32 i = 0; i < boot_parameters.nr_user; i++)
		argv[i + 1] = boot_parameters.user[i];
	for (u32 i = 0; i < boot_parameters.nr_user_env; i++)
		envp[i + 2] = boot_parameters.user_env[i];
	r = task_exec(&args);
	if (!r)
		return true;
	if (r != -ENOENT)
		log_err("cannot run %s: error %d\n", path, -r);
	return false;
}

/* As Linux's kernel_init: rdinit from the initramfs when it is there, else root= is mounted and
 * init= or the usual four are tried. */
static void run_first_program(void)
{
	static const char *const usual[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
	const char *rdinit = boot_parameters.rdinit ? boot_parameters.rdinit : "/init";

	if (boot.initrd.size_bytes && try_exec(rdinit))
		return;
	if (!boot_parameters.root)
		panic("No root file system: no root= on the command line, and no %s that runs in "
		      "the initramfs.",
			rdinit);
	root_mount();
	if (boot_parameters.init) {
		if (try_exec(boot_parameters.init))
			return;
		panic("Requested init %s failed.", boot_parameters.init);
	}
	for (u32 i = 0; i < ARRAY_SIZE(usual); i++)
		if (try_exec(usual[i]))
			return;
	panic("No working init found. Pass init= or an initrd with /init.");
}

/* Becomes process 1: returns to user mode when it ends. */
static void init_thread(void *arg)
{
	grace_init();
	deferred_init();
	socket_collector_init();
	mm_threads_init();
	if (evolve_boot_modules(&boot))
		log_warn("some modules were refused\n");
	park_boot();
	node_boot_init();
	mount_first_root();
	init_default_files();
	unpack_initrd();
	pci_boot_init();
	firmware_start();
	devices_probe();
	init_open_console();
	plant_here(PLANT_PLACE_CORE);
	if (boot_parameters.arch_test)
		arch_test_main();
	log_info("first program at %lld us\n", (long long)(time_monotonic_ns() / NSEC_PER_USEC));
	call_memfail_set(boot_parameters.memfail); /* who unpacks the first files cannot go on */
	if (boot_parameters.no_rows)
		mm_rows_forbid();
	run_first_program();
}

/* mem=: what lies so many bytes or more above the first memory stays unused, but for what the port
 * itself put there (the image, an initramfs). kernel-parameters.txt, "mem=": on x86 the end of the
 * addresses, elsewhere the total; the two are one where memory begins at 0 or has no hole. */
static void limit_memory(struct boot_info *info, u64 bytes)
{
	u64 end = info->mem[0].base + bytes;

	if (!bytes || end < bytes)
		return;
	end = ALIGN_DOWN(end, (u64)PAGE_BYTES);
	memory_end = (paddr_t)end;
	for (u32 i = 0; i < info->nr_mem; i++) {
		struct boot_mem *m = &info->mem[i];

		if (m->kind != BOOT_MEM_USABLE || m->base + m->size_bytes <= end)
			continue;
		if (m->base >= end)
			m->kind = BOOT_MEM_RESERVED;
		else
			m->size_bytes = end - m->base;
	}
}

__noreturn void core_main(struct boot_info *info)
{
	struct task *boot_task;

	boot = *info;
	cpu_data[0] = &boot_cpu;
	arch_cpu_data_set(&boot_cpu);
	cmdline_parse(boot.command_line);
	call_rerun_set(boot_parameters.rerun);
	log_printf(LOG_NOTICE, "UmkaOS, loaded by %s, kernel at slide %#llx\n",
		boot.loader ? boot.loader : "?", (unsigned long long)boot.kaslr_slide_bytes);
	log_info("Command line: %s\n", boot_command_line);
	limit_memory(&boot, boot_parameters.mem_bytes);
	mm_boot_init(&boot);
	log_init();
	load_symbols();
	evolve_init();
	waitable_init(&call_slots_opened);
	time_init();
	boot_task = task_boot();
	arch_current_set(boot_task);
	sched_init_cpu(0, boot_task);
	time_init_cpu(0);
	cpu_online_mask = 1;
	arch_irq_enable();
	start_cpus();
	if (!task_start_init(init_thread, nullptr))
		panic("no memory for the first task");
	sched_idle_loop();
}
