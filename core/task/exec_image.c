/* Loading a validated image into the new space, and the first stack (System V ABI, "Process
 * Initialization"; getauxval(3)). */
#include "exec.h"
#include <core/random.h>
#include <arch/elf.h>

u32 task_randomize_va_space = 2;

#define ADDR_NO_RANDOMIZE    0x0040000u

#define AT_NULL              0
#define AT_PHDR              3
#define AT_PHENT             4
#define AT_PHNUM             5
#define AT_PAGESZ            6
#define AT_BASE              7
#define AT_FLAGS             8
#define AT_ENTRY             9
#define AT_UID               11
#define AT_EUID              12
#define AT_GID               13
#define AT_EGID              14
#define AT_PLATFORM          15
#define AT_HWCAP             16
#define AT_CLKTCK            17
#define AT_SECURE            23
#define AT_RANDOM            25
#define AT_HWCAP2            26
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN        28
#define AT_EXECFN            31
#define AT_SYSINFO_EHDR      33
#define AT_MINSIGSTKSZ       51
#define RSEQ_FEATURE_BYTES   28
#define RSEQ_ALIGN           32

static bool randomize(void)
{
	return task_randomize_va_space && !(current->context->personality & ADDR_NO_RANDOMIZE);
}

/* What is random and how far apart things lie, in a wide address space and in one of 32 bits
 * (Linux: mmap_rnd_bits, STACK_RND_MASK). */
#define ADDRESSES_WIDE     ((u64)USER_ADDR_END >> 32 != 0)
#define RANDOM_BITS        (ADDRESSES_WIDE ? 28u : 8u)
#define RANDOM_BITS_STACK  (ADDRESSES_WIDE ? 22u : 11u)
#define STACK_RANDOM_BYTES ((u64)PAGE_BYTES << RANDOM_BITS_STACK)
#define IMAGE_SPARE_BYTES  (ADDRESSES_WIDE ? 1ull << 36 : 1ull << 28)

/* A random number of pages, from the words that exec_load drew in one piece. */
static u64 random_pages(const struct exec_state *x, enum exec_random which, u32 bits)
{
	return randomize() ? (x->random[which] & ((1ull << bits) - 1)) << PAGE_SHIFT : 0;
}

/* Contents by page of the file's memory object. */
int exec_read(struct file *f, u64 offset, void *buf, size_t bytes)
{
	struct memory_object *pages = f->inode ? f->inode->pages : nullptr;
	u64 end;

	if (!pages || !checked_add(offset, bytes, &end) || end > inode_size(f->inode))
		return -EIO;
	while (bytes) {
		size_t in_page = (size_t)offset & (PAGE_BYTES - 1),
		       n = MIN(bytes, PAGE_BYTES - in_page);
		struct frame *frame;
		u8 *p;
		int error = memory_page_get(pages, offset >> PAGE_SHIFT, false, &frame);

		if (error)
			return error;
		p = page_begin(frame);
		memcpy(buf, p + in_page, n);
		page_end(frame, p);
		frame_unpin(frame);
		buf = (u8 *)buf + n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

int exec_parse(struct file *f, struct elf_image **out)
{
	struct elf_limits limits = {ARCH_ELF_MACHINE, PAGE_BYTES, USER_ADDR_MIN, USER_ADDR_END,
		inode_size(f->inode)};
	u8 header[ELF_HEADER_BYTES];
	struct elf_image *image;
	void *phdrs = nullptr;
	int error;

	*out = nullptr;
	if (limits.file_bytes < sizeof(header))
		return -ENOEXEC;
	image = kmalloc_wait(sizeof(*image));
	if (!image)
		return -ENOMEM;
	error = exec_read(f, 0, header, sizeof(header));
	if (!error)
		error = elf_parse_header(header, sizeof(header), &limits, image);
	if (!error) {
		phdrs = kmalloc_wait((size_t)image->nr_phdrs * ELF_PHDR_BYTES);
		error = phdrs ? exec_read(f, image->phdr_offset, phdrs,
					(size_t)image->nr_phdrs * ELF_PHDR_BYTES)
			      : -ENOMEM;
	}
	if (!error)
		error = elf_parse_segments(phdrs, &limits, image);
	kfree(phdrs);
	if (error)
		kfree(image);
	else
		*out = image;
	return error;
}

static u32 segment_flags(const struct elf_segment *s)
{
	u32 flags = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

	/* no architecture of ours has execute-only pages that programs rely on: readable as on
	 * Linux with a read flag only */
	if (s->read)
		flags |= VM_READ;
	if (s->write)
		flags |= VM_WRITE;
	if (s->exec)
		flags |= VM_EXEC;
	return flags;
}

/* The part of the last file page behind the file's bytes must read as zero. */
static int clear_tail(vaddr_t from, const struct elf_segment *s, struct address_space *as)
{
	size_t bytes = ALIGN_UP(from, PAGE_BYTES) - from;

	if (!bytes || s->memory_bytes == s->file_bytes)
		return 0;
	if (s->write)
		return ucopy_clear(from, bytes);
	/* not writable yet not backed by the file: only a strange linker makes that. Linux fails
	 * quietly; so do we */
	(void)as;
	return 0;
}

static int map_segment(struct exec_state *x, struct file *f, const struct elf_segment *s, u64 bias)
{
	/* elf.c and the place of the image keep all of it below USER_ADDR_END. */
	vaddr_t at = (vaddr_t)(s->vaddr + bias), start = ALIGN_DOWN(at, PAGE_BYTES);
	vaddr_t file_end = at + (vaddr_t)s->file_bytes, memory_end = at + (vaddr_t)s->memory_bytes;
	vaddr_t file_map_end = ALIGN_UP(file_end, PAGE_BYTES),
		end = ALIGN_UP(memory_end, PAGE_BYTES);
	u32 flags = segment_flags(s);
	int error = 0;

	if (s->file_bytes) {
		error = space_map_file(x->space, start, file_map_end - start, flags, f,
			ALIGN_DOWN(s->file_offset, PAGE_BYTES));
		if (!error)
			error = clear_tail(file_end, s, x->space);
	} else {
		file_map_end = start;
	}
	if (!error && end > file_map_end)
		error = space_map_anon(x->space, file_map_end, end - file_map_end, flags, nullptr);
	return error;
}

static int map_image(struct exec_state *x, struct file *f, const struct elf_image *image, u64 bias)
{
	for (u32 i = 0; i < image->nr_segments; i++) {
		int error = map_segment(x, f, &image->segments[i], bias);

		if (error)
			return error;
	}
	return 0;
}

/* Two thirds up the user range, as Linux places position-independent programs (ELF_ET_DYN_BASE). */
static u64 pie_bias(const struct exec_state *x, const struct elf_image *image)
{
	u64 base = USER_ADDR_END / 3 * 2 + random_pages(x, EXEC_RANDOM_IMAGE, RANDOM_BITS);
	u64 size = image->end - image->start;

	if (base + size > USER_ADDR_END - IMAGE_SPARE_BYTES)
		base = USER_ADDR_END / 3 * 2;
	return ALIGN_DOWN(base, image->align) - image->start;
}

/* Below the stack and its room to grow (at least 128 MiB, at most 5/6 of the range), as mmap_base
 * on Linux. */
static void place_mmap_base(const struct exec_state *x, struct address_space *as)
{
	u64 gap = task_rlimit(current, RLIMIT_STACK), most = USER_ADDR_END / 6 * 5;

	gap = gap < (128ull << 20) ? 128ull << 20 : MIN(gap, most);
	gap += (1ull << 22) + STACK_RANDOM_BYTES; /* guard, and the stack's own randomisation */
	if (gap > most)
		gap = most;
	as->mmap_base = (vaddr_t)ALIGN_DOWN(USER_ADDR_END - gap -
						    random_pages(x, EXEC_RANDOM_MMAP, RANDOM_BITS),
		PAGE_BYTES);
}

static int load_interp(struct exec_state *x)
{
	const struct elf_image *image = x->interp_image;
	struct mmap_args probe = {.bytes = (size_t)(image->end - image->start),
		.flags = 0x22 /* private, anonymous */};
	sword_t at;
	u64 bias = 0;
	int error;

	if (image->position_independent) {
		probe.bytes += image->align;
		at = space_mmap(x->space, &probe);
		if (at < 0)
			return (int)at;
		error = space_munmap(x->space, (vaddr_t)at, probe.bytes);
		if (error)
			return error;
		/* at the top of the room found: mappings grow down from there */
		bias = ALIGN_DOWN((u64)at + probe.bytes - (image->end - image->start),
			       image->align) -
		       image->start;
	}
	error = map_image(x, x->interp, image, bias);
	x->interp_base = (vaddr_t)(bias + image->start);
	x->entry = (vaddr_t)(image->entry + bias);
	return error;
}

static int place_brk(struct exec_state *x, u64 bias)
{
	struct address_space *as = x->space;
	u64 brk = ALIGN_UP(x->image->brk + bias, PAGE_BYTES);

	brk += task_randomize_va_space > 1 ? random_pages(x, EXEC_RANDOM_BRK, 13) : 0;
	as->brk_start = as->brk = (vaddr_t)brk;
	return 0;
}

static int map_stack(struct exec_state *x)
{
	u64 top = USER_ADDR_END - random_pages(x, EXEC_RANDOM_STACK, RANDOM_BITS_STACK),
	    bytes = 132ull << 10, limit = task_rlimit(current, RLIMIT_STACK);
	u64 strings = x->argv.used + x->envp.used +
		      (x->argv.nr + x->envp.nr + 64) * sizeof(vaddr_t) + 2 * PAGE_BYTES;
	u32 flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN |
		    VM_STACK;

	bytes = ALIGN_UP(MAX(bytes, strings), PAGE_BYTES);
	if (strings > limit)
		return -E2BIG;
	if (x->image->stack_flags_seen && x->image->stack_exec)
		flags |= VM_EXEC;
	x->stack_top = (vaddr_t)top;
	x->space->stack_start = (vaddr_t)top;
	return space_map_anon(x->space, (vaddr_t)(top - bytes), (size_t)bytes, flags, "[stack]");
}

int exec_load(struct exec_state *x)
{
	struct address_space *as = x->space;
	struct elf_image *image = x->image;
	u64 bias = 0;
	int error;

	random_bytes(x->random, sizeof(x->random));
	place_mmap_base(x, as);
	error = map_stack(x);
	if (error)
		return error;
	if (image->position_independent)
		bias = pie_bias(x, image);
	x->load_bias = (vaddr_t)bias;
	x->entry = (vaddr_t)(image->entry + bias);
	error = map_image(x, x->file, image, bias);
	if (error)
		return error;
	as->code_start = (vaddr_t)(image->code_start + bias);
	as->code_end = (vaddr_t)(image->code_end + bias);
	as->data_start = (vaddr_t)(image->data_start + bias);
	as->data_end = (vaddr_t)(image->data_end + bias);
	error = place_brk(x, bias);
	if (!error && x->interp_image)
		error = load_interp(x);
	if (!error)
		error = vdso_map(as);
	return error;
}

struct stack_writer {
	vaddr_t sp;
	int error;
};

static vaddr_t push(struct stack_writer *w, const void *data, size_t bytes)
{
	w->sp -= bytes;
	if (!w->error)
		w->error = ucopy_out(w->sp, data, bytes);
	return w->sp;
}

struct auxv {
	u64 *words;
	u32 nr;
};

static void aux(struct auxv *a, u64 type, u64 value)
{
	a->words[a->nr++] = type;
	a->words[a->nr++] = value;
}

static void fill_auxv(struct exec_state *x, struct auxv *a, vaddr_t execfn, vaddr_t random,
	vaddr_t platform)
{
	const struct credentials *c = &x->cred;

	if (x->space->vdso)
		aux(a, AT_SYSINFO_EHDR, x->space->vdso);
	aux(a, AT_MINSIGSTKSZ, arch_minsigstksz());
	aux(a, AT_HWCAP, arch_elf_hwcap());
	aux(a, AT_PAGESZ, PAGE_BYTES);
	aux(a, AT_CLKTCK, 100);
	aux(a, AT_PHDR, x->image->phdr_vaddr ? x->image->phdr_vaddr + x->load_bias : 0);
	aux(a, AT_PHENT, ELF_PHDR_BYTES);
	aux(a, AT_PHNUM, x->image->nr_phdrs);
	aux(a, AT_BASE, x->interp_base);
	aux(a, AT_FLAGS, 0);
	aux(a, AT_ENTRY, x->image->entry + x->load_bias);
	aux(a, AT_UID, c->uid.value);
	aux(a, AT_EUID, c->euid.value);
	aux(a, AT_GID, c->gid.value);
	aux(a, AT_EGID, c->egid.value);
	aux(a, AT_SECURE, x->secure);
	aux(a, AT_RANDOM, random);
	aux(a, AT_HWCAP2, arch_elf_hwcap2());
	aux(a, AT_EXECFN, execfn);
	aux(a, AT_PLATFORM, platform);
	aux(a, AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_BYTES);
	aux(a, AT_RSEQ_ALIGN, RSEQ_ALIGN);
	aux(a, AT_NULL, 0);
}

/* Pointers to n strings that lie at `base` in their collected layout. */
static void push_pointers(struct stack_writer *w, const struct exec_strings *s, vaddr_t base,
	vaddr_t *at)
{
	for (u32 i = 0; i < s->nr && !w->error; i++) {
		vaddr_t p = base + s->offset[i];

		w->error = ucopy_out(*at, &p, sizeof(p));
		*at += sizeof(p);
	}
	{
		vaddr_t end = 0;

		if (!w->error)
			w->error = ucopy_out(*at, &end, sizeof(end));
		*at += sizeof(end);
	}
}

int exec_build_stack(struct exec_state *x, vaddr_t *sp)
{
	struct address_space *as = x->space;
	struct stack_writer w = {.sp = x->stack_top};
	struct auxv a = {.words = as->auxv};
	vaddr_t zero = 0, execfn, env, arg, random, platform, at, argc = x->argv.nr;

	push(&w, &zero, sizeof(zero));
	execfn = push(&w, x->name, strlen(x->name) + 1);
	env = push(&w, x->envp.data, x->envp.used);
	as->env_end = execfn;
	as->env_start = as->arg_end = env;
	arg = push(&w, x->argv.data, x->argv.used);
	as->arg_start = arg;
	w.sp -= (vaddr_t)(random_pages(x, EXEC_RANDOM_STRINGS, 9) >> PAGE_SHIFT) * 16;
	w.sp = ALIGN_DOWN(w.sp, (vaddr_t)16);
	platform = push(&w, ARCH_ELF_PLATFORM, sizeof(ARCH_ELF_PLATFORM));
	random = push(&w, &x->random[EXEC_RANDOM_SEED], 16);
	fill_auxv(x, &a, execfn, random, platform);
	w.sp = ALIGN_DOWN(w.sp, (vaddr_t)16);
	w.sp -= (1 + x->argv.nr + 1 + x->envp.nr + 1) * sizeof(vaddr_t) + a.nr * sizeof(vaddr_t);
	w.sp = ALIGN_DOWN(w.sp, (vaddr_t)16);
	at = w.sp;
	if (!w.error)
		w.error = ucopy_out(at, &argc, sizeof(argc));
	at += sizeof(argc);
	push_pointers(&w, &x->argv, arg, &at);
	push_pointers(&w, &x->envp, env, &at);
	for (u32 i = 0; i < a.nr && !w.error; i++) {
		word_t v = (word_t)a.words[i];

		w.error = ucopy_out(at, &v, sizeof(v));
		at += sizeof(v);
	}
	*sp = w.sp;
	return w.error;
}
