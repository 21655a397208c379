#pragma once
/* What dt.c uses of libfdt (dependencies.md section 2: built from the pinned sources, which are not
 * in the tree). */
#include <lib/types.h>

int fdt_check_header(const void *fdt);
const void *fdt_getprop(const void *fdt, int node, const char *name, int *bytes);
int fdt_parent_offset(const void *fdt, int node);
int fdt_next_node(const void *fdt, int node, int *depth);
int fdt_first_subnode(const void *fdt, int node);
int fdt_next_subnode(const void *fdt, int node);
int fdt_path_offset(const void *fdt, const char *path);
int fdt_path_offset_namelen(const void *fdt, const char *path, int bytes);
int fdt_node_check_compatible(const void *fdt, int node, const char *compatible);
int fdt_node_offset_by_phandle(const void *fdt, u32 phandle);
int fdt_num_mem_rsv(const void *fdt);
int fdt_get_mem_rsv(const void *fdt, int index, u64 *base, u64 *bytes);

static inline u32 fdt_totalsize(const void *fdt)
{
	const u8 *p = (const u8 *)fdt + 4;

	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

#define fdt_for_each_subnode(node, fdt, parent)                                                    \
	for (node = fdt_first_subnode(fdt, parent); node >= 0; node = fdt_next_subnode(fdt, node))
