#pragma once
/* Metadata blocks of a superblock (core/node/block_cache.c): read-only for the component, changed by deltas only. */
#include <core/node.h>
/* Brings blocks [first, first+nr) of the file system's size in. 0 or -EIO, -ENOMEM. May sleep. */
int block_cache_read(struct superblock *sb, u64 first, u64 nr);
