/*
 * A family of spaces that fork, write, unmap and exit at random, against one array a space. A
 * "frame" is a counter of holders, so that a lost or doubled pin is seen; invariant A2 is checked
 * at every write.
 */
#include <stdlib.h>
#include "../anon.c"
#include "../slots.c"
#include "../../../lib/test/tap.h"

static int nr_nodes;
struct slot_node *slot_node_alloc(void)
{
	struct slot_node *n = calloc(1, sizeof(*n));

	refcount_set(&n->refs, 1);
	nr_nodes++;
	return n;
}
void slot_node_free(struct slot_node *n)
{
	nr_nodes--;
	free(n);
}
void slot_node_free_later(struct slot_node *n)
{
	slot_node_free(n);
}

#define FRAMES 200000u
static u32 pins[FRAMES], next_frame = 1;
void anon_word_get(u64 word)
{
	pins[slot_operand(word)]++;
}
void anon_word_put(u64 word)
{
	CHECK_QUIET(pins[slot_operand(word)] > 0);
	pins[slot_operand(word)]--;
}

#define SPACES 12u
#define PAGES  600u
static struct space {
	struct slot_node *root;
	u64 model[PAGES];
	bool live;
	s64 rss;
} spaces[SPACES];

static u64 place(u32 page)
{
	return page < 200 ? page : page < 400 ? 0x555555000ull + page : 0x7ffff0000ull + page;
}

/* How many live spaces have this word in their model. */
static u32 holders(u64 word)
{
	u32 n = 0;

	for (u32 s = 0; s < SPACES; s++)
		for (u32 p = 0; spaces[s].live && p < PAGES; p++)
			n += spaces[s].model[p] == word;
	return n;
}

static void write_page(struct space *s, u32 page)
{
	struct anon_word w = anon_get(s->root, place(page));
	u64 *slot;

	CHECK_QUIET(w.word == s->model[page]);
	if (w.word && w.exclusive && pins[slot_operand(w.word)] == 1) {
		CHECK_QUIET(holders(w.word) == 1); /* A2: in place only when nobody else sees it */
		return;
	}
	slot = anon_own(&s->root, place(page));
	CHECK_QUIET(*slot == w.word);
	s->model[page] = slot_make(2, next_frame);
	pins[next_frame++] = 1;
	*slot = s->model[page];
	if (w.word)
		anon_word_put(w.word);
	else
		anon_used(&s->root, place(page), 1), s->rss++;
	CHECK_QUIET(anon_get(s->root, place(page)).word == s->model[page] &&
		    anon_get(s->root, place(page)).exclusive);
}

static void unmap(struct space *s, u32 first, u32 last)
{
	s64 gone = 0, said;

	if (place(last) - place(first) != last - first)
		return;
	for (u32 p = first; p <= last; p++) {
		gone += s->model[p] != 0;
		s->model[p] = 0;
	}
	said = anon_clear(&s->root, place(first), place(last));
	CHECK_QUIET(said == gone);
	s->rss -= gone;
}

static void end(struct space *s)
{
	anon_drop(s->root);
	for (u32 p = 0; p < PAGES; p++)
		s->model[p] = 0;
	*s = (struct space){};
}

static void check(struct space *s)
{
	s64 rss = 0;

	for (u32 p = 0; p < PAGES; p++) {
		CHECK_QUIET(anon_get(s->root, place(p)).word == s->model[p]);
		if (s->model[p]) {
			rss++;
			CHECK_QUIET(pins[slot_operand(s->model[p])] >= 1);
		}
	}
	CHECK_QUIET(rss == s->rss);
}

int main(void)
{
	u32 rnd = 11;

	spaces[0].live = true;
	for (u32 step = 0; step < 60000; step++) {
		struct space *s;
		u32 what;

		rnd = rnd * 1664525 + 1013904223;
		s = &spaces[(rnd >> 8) % SPACES];
		what = (rnd >> 16) % 100;
		if (!s->live) {
			struct space *parent = &spaces[(rnd >> 20) % SPACES];

			if (!parent->live || what > 30)
				continue;
			*s = *parent;
			s->root = anon_share(parent->root);
		} else if (what < 2 && s != &spaces[0]) {
			end(s);
		} else if (what < 6) {
			u32 first = (rnd >> 18) % PAGES, last = first + (rnd >> 27) * 4;

			unmap(s, first, last < PAGES ? last : PAGES - 1);
		} else {
			write_page(s, (rnd >> 15) % PAGES);
		}
		if (step % 200 == 0)
			check(s->live ? s : &spaces[0]);
	}
	for (u32 i = 0; i < SPACES; i++) {
		if (spaces[i].live)
			check(&spaces[i]);
		end(&spaces[i]);
	}
	CHECK(nr_nodes == 0);
	for (u32 i = 0; i < next_frame; i++)
		CHECK_QUIET(pins[i] == 0);
	CHECK(tap_failed == 0);
	TAP_END();
}
