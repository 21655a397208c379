#pragma once
/* exec's own (exec.c, exec_args.c, exec_image.c). */
#include "task_internal.h"
#include "elf.h"

struct exec_strings {
	char *data;
	u32 *offset; /* of each string in data */
	size_t used, capacity;
	u32 nr, nr_capacity;
};
void strings_free(struct exec_strings *s);
int strings_add(struct exec_strings *s, const char *text);
int strings_from_user(struct exec_strings *s, vaddr_t user, size_t others);
int strings_from_core(struct exec_strings *s, const char *const *list);
int strings_replace_first(struct exec_strings *s, const char *interpreter, const char *argument,
	const char *path);

enum exec_random : u8 {
	EXEC_RANDOM_SEED,
	EXEC_RANDOM_SEED_2,
	EXEC_RANDOM_IMAGE,
	EXEC_RANDOM_MMAP,
	EXEC_RANDOM_BRK,
	EXEC_RANDOM_STACK,
	EXEC_RANDOM_STRINGS,
	EXEC_RANDOM_NR
};
struct exec_state {
	struct file *file;   /* the image that will run, referenced, writes denied */
	struct file *interp; /* PT_INTERP's, or nullptr */
	struct elf_image *image, *interp_image;
	struct exec_strings argv, envp;
	char *path;              /* as given: AT_EXECFN, comm */
	char *name;              /* for comm: path of the script, not of its interpreter */
	struct credentials cred; /* new ones */
	bool secure;
	u32 depth;           /* of #! */
	bool path_is_closed; /* /dev/fd/N of a close-on-exec descriptor: no script can be read
				through it */
	/* set by the loading */
	struct address_space *space;
	vaddr_t load_bias, interp_base, entry, stack_top;
	u64 random[EXEC_RANDOM_NR]; /* AT_RANDOM's 16 bytes, then one word for each place */
};
int exec_read(struct file *f, u64 offset, void *buf, size_t bytes); /* 0, -EIO (short), -errno */
int exec_parse(struct file *f, struct elf_image **out);
/* After the point of no return: fills current's (new, empty) space. */
int exec_load(struct exec_state *x);
int exec_build_stack(struct exec_state *x, vaddr_t *sp);
