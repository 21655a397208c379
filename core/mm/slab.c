/*
 * Slab: objects of one size in blocks of frames, with a magazine per CPU (Bonwick, Adams 2001).
 *
 * Purpose: kernel objects below a page, and kmalloc. Vocabulary: slab: a block of frames cut into
 * objects; magazine: a CPU's stack of free objects; row: frames beside each other. Objects and
 * lifetimes: caches live for ever; a slab goes back to the zone when its last object is free and
 * another empty one is kept. Invariants: S1 all frames of a slab carry FRAME_SLAB and the cache, so
 * kfree finds both from any address; S2 a free object is in exactly one place: a slab's chain or
 * one magazine; S3 (debug) a free object holds POISON behind its link, its red zone REDZONE.
 *
 * Locks: the cache's lock (interrupts off) around its slabs; magazines need interrupts off only.
 * Context: any, also interrupts: never waits.
 *
 * Failure: nullptr when the zone has nothing, the reserve included. Nothing depends on rows: a slab
 * is as small as its objects allow where there is no longer row, and what is larger than a slab is
 * mapped of single frames (S4: without the reserve, and only where the caller may sleep).
 * Replacement: none (core). Cost: about 15 instructions from a magazine.
 */
#include "mm_priv.h"
#include <core/call.h>
#include <core/lock.h>

#define SLAB_ORDER_MAX  3u
#define SLAB_EMPTY_KEPT 1u
#define POISON          0x6b /* free */
#define FRESH           0x5a /* allocated, not written yet */
#define REDZONE         0xbbu
#if UMKA_ASAN
#define REDZONE_BYTES 32u
#elif UMKA_DEBUG
#define REDZONE_BYTES 8u
#else
#define REDZONE_BYTES 0u
#endif

struct slab_cache {
	const char *name;
	u32 object_bytes; /* as asked for */
	u32 stride;
	u32 order, per_slab;
	u32 id, magazine_size;
	struct spinlock lock;
	struct list_node partial
		guarded_by(&lock); /* slabs with free objects, struct frame.lru of their heads */
	u32 nr_empty guarded_by(&lock);
	u64 nr_slabs guarded_by(&lock);
	u64 nr_in_use guarded_by(&lock); /* those in magazines count as used */
};

static struct slab_cache caches[SLAB_CACHES_MAX];
static atomic32_t nr_caches;

/* --- objects --- */

#if UMKA_DEBUG
/* The byte pattern of a free object, but for its first word (the link). */
static void debug_freed(struct slab_cache *c, void *p)
{
	u8 *end = (u8 *)p + c->object_bytes;

	for (u32 i = 0; i < REDZONE_BYTES; i++)
		if (end[i] != REDZONE)
			panic("slab %s: object %p overrun, byte %u behind its end is %#x", c->name,
				p, i, end[i]);
	memset((u8 *)p + sizeof(void *), POISON, c->object_bytes - sizeof(void *));
}
/* Freed twice: two words of an object in use hardly ever both hold the pattern. */
static void debug_not_free(struct slab_cache *c, const void *p)
{
	const u64 *w = p, pattern = ~0ull / 255 * POISON;

	if (c->object_bytes >= 24 && w[1] == pattern && w[2] == pattern)
		panic("slab %s: object %p is freed twice", c->name, p);
}
static void debug_taken(struct slab_cache *c, const void *p)
{
	const u8 *b = p;

	for (u32 i = sizeof(void *); i < c->object_bytes; i++)
		if (b[i] != POISON)
			panic("slab %s: free object %p was written at byte %u: %#x", c->name, p, i,
				b[i]);
	memset((void *)p, FRESH, c->object_bytes);
}
static void debug_born(struct slab_cache *c, void *p)
{
	memset((u8 *)p + c->object_bytes, REDZONE, REDZONE_BYTES);
	memset((u8 *)p + sizeof(void *), POISON, c->object_bytes - sizeof(void *));
}
#else
static inline void debug_not_free(struct slab_cache *c, const void *p)
{
	(void)c;
	(void)p;
}
static inline void debug_freed(struct slab_cache *c, void *p)
{
	(void)c;
	(void)p;
}
static inline void debug_taken(struct slab_cache *c, const void *p)
{
	(void)c;
	(void)p;
}
static inline void debug_born(struct slab_cache *c, void *p)
{
	(void)c;
	(void)p;
}
#endif

/* The links lie in free, poisoned objects: not checked. */
static __no_sanitize void link_set(void *p, void *next)
{
	*(void **)p = next;
}
static __no_sanitize void *link_get(void *p)
{
	return *(void **)p;
}

/* Every frame of a slab knows the slab's order. */
static struct frame *slab_head(const void *p)
{
	paddr_t pa = arch_virt_to_phys(p);
	u32 order = frame_of(pa)->order;

	return frame_of(pa & ~(((paddr_t)PAGE_BYTES << order) - 1));
}

static u32 order_for(size_t bytes)
{
	u32 order = 0;

	while ((PAGE_BYTES << order) < bytes)
		order++;
	return order;
}

/* --- slabs --- */

static bool rows_forbidden; /* rows=0 */

void mm_rows_forbid(void)
{
	rows_forbidden = true;
}

static struct frame *row_alloc(u32 order, u32 flags)
{
	return unlikely(rows_forbidden) && order ? nullptr : frame_alloc(order, flags, nullptr);
}

static struct frame *slab_new(struct slab_cache *c)
{
	struct frame *head = row_alloc(c->order, FRAME_ALLOC_ATOMIC);
	u32 order = c->order, least = order_for(c->stride);
	void *chain = nullptr;
	u8 *base;

	if (unlikely(!head) && least < order) {
		order = least;
		head = row_alloc(order, FRAME_ALLOC_ATOMIC);
	}
	if (!head)
		return nullptr;
	base = page_begin(head);
	for (u32 i = (u32)((PAGE_BYTES << order) / c->stride); i-- > 0;) {
		void *p = base + (size_t)i * c->stride;

		debug_born(c, p);
		link_set(p, chain);
		chain = p;
	}
	asan_poison(base, PAGE_BYTES << order, ASAN_REDZONE);
	for (u32 i = 0; i < 1u << order; i++) {
		head[i].object = (void *)c;
		head[i].flags = FRAME_SLAB;
		head[i].order = (u8)order;
	}
	head->private_data = chain;
	head->index = 0;
	mm_count(&mm_counters.slab, 1 << order);
	return head;
}

static void slab_destroy(struct frame *head)
{
	u32 order = head->order;

	mm_count(&mm_counters.slab, -(1 << order));
	for (u32 i = 0; i < 1u << order; i++) {
		head[i].object = nullptr;
		head[i].flags = 0;
	}
	head->private_data = nullptr;
	frame_free(head, order);
}

static void *slab_pop(struct slab_cache *c, struct frame *head) __requires(c->lock)
{
	void *p = head->private_data;

	if (head->index++ == 0)
		c->nr_empty--;
	head->private_data = link_get(p);
	if (!head->private_data)
		list_del(&head->lru);
	c->nr_in_use++;
	return p;
}

/* Fills `out` with up to nr objects. Interrupts off. */
static u32 slab_take_many(struct slab_cache *c, void **out, u32 nr)
{
	u32 n = 0;

	spin_lock(&c->lock);
	while (n < nr) {
		struct frame *head;

		if (list_empty(&c->partial)) {
			spin_unlock(&c->lock);
			if (n)
				return n;
			head = slab_new(c);
			if (!head)
				return 0;
			spin_lock(&c->lock);
			list_add(&c->partial, &head->lru);
			c->nr_empty++;
			c->nr_slabs++;
			continue;
		}
		head = list_first_entry(&c->partial, struct frame, lru);
		out[n++] = slab_pop(c, head);
	}
	spin_unlock(&c->lock);
	return n;
}

static void slab_put_many(struct slab_cache *c, void **objects, u32 nr)
{
	struct list_node dead;

	list_init(&dead);
	spin_lock(&c->lock);
	for (u32 i = 0; i < nr; i++) {
		struct frame *head = slab_head(objects[i]);

		if (!head->private_data)
			list_add(&c->partial, &head->lru);
		link_set(objects[i], head->private_data);
		head->private_data = objects[i];
		c->nr_in_use--;
		if (--head->index)
			continue;
		if (c->nr_empty < SLAB_EMPTY_KEPT) {
			c->nr_empty++;
			continue;
		}
		list_del(&head->lru);
		c->nr_slabs--;
		list_add(&dead, &head->lru);
	}
	spin_unlock(&c->lock);
	for (struct list_node *n; (n = list_pop(&dead));)
		slab_destroy(list_entry(n, struct frame, lru));
}

/* --- the front --- */

static void *magazine_take(struct slab_cache *c)
{
	word_t irq = arch_irq_save();
	struct mm_cpu *cpu = mm_this_cpu();
	void *p = nullptr;

	if (likely(cpu)) {
		struct slab_magazine *m = &cpu->magazines[c->id];

		if (unlikely(!m->nr))
			m->nr = slab_take_many(c, m->object, MAX(c->magazine_size / 2, 1u));
		if (likely(m->nr))
			p = m->object[--m->nr];
	} else {
		slab_take_many(c, &p, 1);
	}
	arch_irq_restore(irq);
	return p;
}

static void magazine_put(struct slab_cache *c, void *p)
{
	word_t irq = arch_irq_save();
	struct mm_cpu *cpu = mm_this_cpu();

	if (likely(cpu)) {
		struct slab_magazine *m = &cpu->magazines[c->id];

		if (unlikely(m->nr >= c->magazine_size)) {
			u32 half = m->nr / 2;

			slab_put_many(c, m->object, m->nr - half);
			memmove(m->object, m->object + m->nr - half, half * sizeof(void *));
			m->nr = half;
		}
		m->object[m->nr++] = p;
	} else {
		slab_put_many(c, &p, 1);
	}
	arch_irq_restore(irq);
}

#if UMKA_DEBUG
static struct {
	const struct task *task;
	u32 left;
} failing; /* changed by that task only */

void slab_fail_nth(u32 nth)
{
	failing.left = nth;
	WRITE_ONCE(failing.task, nth ? current : nullptr);
}

bool slab_has_failed(void)
{
	return !READ_ONCE(failing.task);
}

static bool fails_now(void)
{
	if (likely(READ_ONCE(failing.task) != current) || this_cpu()->irq_depth || --failing.left)
		return false;
	WRITE_ONCE(failing.task, nullptr);
	return true;
}
#else
static bool fails_now(void)
{
	return false;
}
#endif

void *slab_alloc(struct slab_cache *c)
{
	void *p;

	if (fails_now() || call_memory_fails((word_t)c + (word_t)__builtin_return_address(0)))
		return nullptr;
	p = magazine_take(c);

	if (unlikely(!p))
		return nullptr;
	asan_unpoison(p, c->object_bytes);
	/* slab_free called all of it freed: an overflow of what is used again is none of that */
	asan_poison((u8 *)p + c->object_bytes, c->stride - c->object_bytes, ASAN_REDZONE);
	debug_taken(c, p);
	return p;
}

void *slab_zalloc(struct slab_cache *c)
{
	void *p = slab_alloc(c);

	return p ? memset(p, 0, c->object_bytes) : nullptr;
}

#if UMKA_ASAN
/*
 * Quarantine: a freed object waits, poisoned, behind QUARANTINE_OBJECTS others, so that a late use
 * of it is a report and not a surprise in somebody else's object.
 */
#define QUARANTINE_OBJECTS 2048u
static struct {
	struct spinlock lock;
	u32 at;
	struct {
		struct slab_cache *cache;
		void *object;
	} entry[QUARANTINE_OBJECTS];
} quarantine = {.lock = SPINLOCK_INIT(LOCK_LEVEL_SLAB)};

static void object_retire(struct slab_cache *c, void *p)
{
	word_t irq = spin_lock_irqsave(&quarantine.lock);
	u32 i = quarantine.at++ % QUARANTINE_OBJECTS;
	struct slab_cache *old_cache = quarantine.entry[i].cache;
	void *old = quarantine.entry[i].object;

	quarantine.entry[i].cache = c;
	quarantine.entry[i].object = p;
	spin_unlock_irqrestore(&quarantine.lock, irq);
	if (old)
		magazine_put(old_cache, old);
}
#else
static inline void object_retire(struct slab_cache *c, void *p)
{
	magazine_put(c, p);
}
#endif

void slab_free(struct slab_cache *c, void *p)
{
	if (!p)
		return;
	KASSERT(slab_head(p) && (void *)slab_head(p)->object == c);
	debug_not_free(c, p);
	asan_unpoison(p, c->stride); /* the debug patterns reach behind the object */
	debug_freed(c, p);
	asan_poison(p, c->stride, ASAN_FREE);
	object_retire(c, p);
}

static void cache_setup(struct slab_cache *c, u32 id, const char *name, size_t bytes, size_t align)
{
	bytes = ALIGN_UP(MAX(bytes, sizeof(void *)), sizeof(void *));
	align = MAX(align, sizeof(void *));
	c->name = name;
	c->id = id;
	c->object_bytes = (u32)bytes;
	c->stride = (u32)ALIGN_UP(bytes + REDZONE_BYTES, align);
	while (c->order < SLAB_ORDER_MAX && (PAGE_BYTES << c->order) / c->stride < 8)
		c->order++;
	c->per_slab = (u32)((PAGE_BYTES << c->order) / c->stride);
	c->magazine_size = bytes <= 512 ? SLAB_MAGAZINE_MAX : bytes <= 2048 ? 12 : 4;
	spin_init(&c->lock, LOCK_LEVEL_SLAB);
	list_init(&c->partial);
	BUG_ON(c->per_slab == 0);
}

struct slab_cache *slab_create(const char *name, size_t bytes, size_t align)
{
	u32 id = atomic32_fetch_add(&nr_caches, 1);

	BUG_ON(id >= SLAB_CACHES_MAX);
	cache_setup(&caches[id], id, name, bytes, align);
	return &caches[id];
}

bool slab_info_at(u32 i, struct slab_info *out)
{
	struct slab_cache *c = &caches[i];
	word_t irq;

	if (i >= atomic32_load(&nr_caches) || i >= SLAB_CACHES_MAX)
		return false;
	irq = spin_lock_irqsave(&c->lock);
	*out = (struct slab_info){c->name, c->object_bytes, c->per_slab, 1u << c->order,
		c->nr_slabs, c->nr_in_use};
	spin_unlock_irqrestore(&c->lock, irq);
	return true;
}

/* --- kmalloc: classes 1, 1.5, 2, 3, 4, 6, ... up to 8 KiB; above that whole blocks of frames ---
 */

#define KMALLOC_WAITS 16u
#define KMALLOC_SMALL 1024u
static const u16 class_bytes[] = {8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
	1536, 2048, 3072, 4096, 8192};
static const char *const class_names[] = {"kmalloc-8", "kmalloc-16", "kmalloc-24", "kmalloc-32",
	"kmalloc-48", "kmalloc-64", "kmalloc-96", "kmalloc-128", "kmalloc-192", "kmalloc-256",
	"kmalloc-384", "kmalloc-512", "kmalloc-768", "kmalloc-1k", "kmalloc-1.5k", "kmalloc-2k",
	"kmalloc-3k", "kmalloc-4k", "kmalloc-8k"};
static u8 small_class[KMALLOC_SMALL / 8 + 1];

void slab_boot_init(void)
{
	u32 class = 0;

	static_assert(ARRAY_SIZE(class_bytes) == ARRAY_SIZE(class_names));
	for (u32 i = 0; i < ARRAY_SIZE(class_bytes); i++) {
		/* A power of two is aligned to itself: DMA buffers and pages of small devices rely
		 * on it. */
		u32 bytes = class_bytes[i], align = (bytes & (bytes - 1)) == 0 && !REDZONE_BYTES
							    ? MIN(bytes, (u32)PAGE_BYTES)
							    : 8;

		slab_create(class_names[i], bytes, align);
	}
	for (u32 i = 0; i <= KMALLOC_SMALL / 8; i++) {
		while (class_bytes[class] < i * 8)
			class ++;
		small_class[i] = (u8) class;
	}
}

static struct slab_cache *class_of(size_t bytes)
{
	u32 i;

	if (likely(bytes <= KMALLOC_SMALL))
		return &caches[small_class[(bytes + 7) / 8]];
	for (i = 14; class_bytes[i] < bytes; i++)
		;
	return &caches[i];
}

/* A row of frames; where there is none, frames of any place in a row of addresses. */
static void *big_alloc(size_t bytes)
{
	bool sleeps = mm_may_sleep();
	u32 order = order_for(bytes);
	struct frame *f = nullptr;

	if (call_memory_fails(bytes))
		return nullptr;
	if (order < BUDDY_ORDERS)
		f = row_alloc(order, sleeps ? FRAME_ALLOC_OPTIONAL : FRAME_ALLOC_ATOMIC);
	if (f) {
		mm_count(&mm_counters.slab, 1 << order);
		return page_begin(f);
	}
	return sleeps && bytes <= KMALLOC_BYTES_MAX ? vmap_alloc_optional(bytes) : nullptr;
}

/* Not in the direct map. Its translations go from all CPUs, which not every caller can wait for. */
static void big_free(const void *p)
{
	BUG_ON(!vmap_is_general(p));
	if (mm_may_sleep())
		vmap_free((void *)p, 0);
	else
		grace_defer((struct grace_head *)p, GRACE_SLAB_FREE, (void *)p);
}

void *kmalloc(size_t bytes)
{
	if (likely(bytes <= KMALLOC_SLAB_MAX)) {
		struct slab_cache *c = class_of(bytes);
		void *p = slab_alloc(c);

		/* Two pages beside each other are a row too. */
		if (unlikely(!p) && c->stride > PAGE_BYTES)
			return big_alloc(bytes);
		if (p && UMKA_ASAN) {
			size_t open = ALIGN_UP(bytes, 8ul);

			asan_unpoison(p, bytes);
			asan_poison((u8 *)p + open, c->object_bytes - open, ASAN_REDZONE);
		}
		return p;
	}
	return big_alloc(bytes);
}

void *kzalloc(size_t bytes)
{
	void *p = kmalloc(bytes);

	return p ? memset(p, 0, bytes) : nullptr;
}

void *kmalloc_wait(size_t bytes)
{
	void *p = kmalloc(bytes);

	for (u32 i = 0; unlikely(!p) && i < KMALLOC_WAITS && !mm_reclaim_for(bytes); i++)
		p = kmalloc(bytes);
	return p;
}

void *kzalloc_wait(size_t bytes)
{
	void *p = kmalloc_wait(bytes);

	return p ? memset(p, 0, bytes) : nullptr;
}

void *kmalloc_array(size_t nr, size_t bytes)
{
	size_t total;

	return checked_mul(nr, bytes, &total) ? kmalloc(total) : nullptr;
}

void kfree(const void *p)
{
	struct frame *f;

	if (!p)
		return;
	f = frame_of(arch_virt_to_phys(p));
	if (unlikely(!f)) {
		big_free(p);
		return;
	}
	if (likely(f->flags & FRAME_SLAB)) {
		slab_free((struct slab_cache *)(void *)f->object, (void *)p);
		return;
	}
	BUG_ON(!IS_ALIGNED((vaddr_t)p, PAGE_BYTES) || atomic32_load(&f->pins) == 0);
	mm_count(&mm_counters.slab, -(1 << f->order));
	frame_free(f, f->order);
}

char *kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = kmalloc(n);

	return p ? memcpy(p, s, n) : nullptr;
}
