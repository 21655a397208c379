/* The nucleus against a plain model of it, driven by the same random operations; and its edges.
 * TAP. */
#include <stdio.h>
#include <string.h>
#include <nucleus/cap.h>
#include <nucleus/slot.h>

static int nr_tests, nr_failed;

static void check(bool ok, const char *what)
{
	nr_tests++;
	nr_failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", nr_tests, what);
}

static u64 seed = 0x9e3779b97f4a7c15ull;

static u32 random_below(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 32) % n;
}

static void test_slot_edges(void)
{
	static const int parked = 1, first = 2, second = 3;

	check(!slot_create(NUCLEUS_NR_SLOTS, 1, &parked), "slot: id out of range is refused");
	check(!slot_create(5, 1, nullptr), "slot: a slot without a parked vtable is refused");
	check(slot_create(5, 1, &parked) && slot_is_parked(&nucleus.slots[5]),
		"slot: starts parked");
	check(!slot_create(5, 2, &parked), "slot: a slot in use is not created again");
	check(slot_swap(5, &parked, &first) && slot_vtable(&nucleus.slots[5]) == &first,
		"slot: swap");
	check(!slot_swap(5, &parked, &second) && slot_vtable(&nucleus.slots[5]) == &first,
		"slot: a swap from what is not there changes nothing");
	check(!slot_swap(5, &first, nullptr), "slot: no slot without a vtable");
	check(!slot_destroy(5), "slot: an open slot is not destroyed");
	check(slot_swap(5, &first, &parked) && slot_stamp(5) == 2,
		"slot: the stamp counts exchanges");
	check(slot_destroy(5) && !slot_swap(5, &parked, &first),
		"slot: a destroyed slot cannot be swapped");
	check(!slot_swap(NUCLEUS_NR_SLOTS, &parked, &first) && !slot_destroy(7) &&
			slot_stamp(NUCLEUS_NR_SLOTS) == 0,
		"slot: edges of the table");
}

/* The model: what should be true, written without cleverness. */
#define MODEL_GRANTS 512
struct model {
	u64 handle;
	int parent; /* index in the model, -1: root */
	u32 rights;
	void *object;
	bool revoked;
};
static struct model models[MODEL_GRANTS];
static int nr_models;

static bool model_lives(int i)
{
	for (; i >= 0; i = models[i].parent)
		if (models[i].revoked)
			return false;
	return true;
}

static int model_depth(int i)
{
	int depth = 0;

	for (; i >= 0; i = models[i].parent)
		depth++;
	return depth;
}

static bool may_grant(int parent, u32 rights)
{
	return parent < 0 || (model_lives(parent) && !(rights & ~models[parent].rights) &&
				     (models[parent].rights & CAP_RIGHT_GRANT) &&
				     model_depth(parent) < (int)CAP_DEPTH_MAX);
}

static bool model_grant(int parent)
{
	static int objects[64];
	u32 rights = random_below(64);
	void *object = &objects[random_below(64)];
	u64 handle = cap_grant_create(parent < 0 ? 0 : models[parent].handle, object, 9, rights);

	if ((handle != 0) != may_grant(parent, rights))
		return false;
	for (int j = 0; j < nr_models; j++)
		if (handle && models[j].handle == handle)
			return false; /* a handle is never given twice */
	if (handle)
		models[nr_models++] = (struct model){handle, parent, rights, object, false};
	return true;
}

static bool model_step(void)
{
	u32 action = random_below(10);
	int i = nr_models ? (int)random_below((u32)nr_models) : -1;

	if (action < 4 && nr_models < MODEL_GRANTS)
		return model_grant(random_below(3) ? i : -1);
	if (action < 5 && i >= 0 && random_below(3) == 0) {
		bool alone_revoked = models[i].revoked;

		models[i].revoked = true;
		return cap_revoke(models[i].handle) != alone_revoked;
	}
	if (i >= 0) {
		u32 rights = random_below(64);
		void *should = model_lives(i) && !(rights & ~models[i].rights) ? models[i].object
									       : nullptr;

		return cap_lookup(models[i].handle, rights) == should;
	}
	return true;
}

static void test_caps_against_model(void)
{
	bool same = true;

	for (int round = 0; round < 40 && same; round++) {
		nr_models = 0;
		for (int step = 0; step < 5000 && same; step++)
			same = model_step();
		for (int i = 0; i < nr_models; i++)
			(void)cap_revoke(models[i].handle);
	}
	check(same, "capability: 200,000 random operations agree with the model");
}

static void test_cap_edges(void)
{
	int object;
	u64 handle = cap_grant_create(0, &object, 7, CAP_RIGHTS_ALL), chain[CAP_DEPTH_MAX + 1];

	check(cap_lookup(0, 0) == nullptr, "capability: handle 0 names nothing");
	check(cap_lookup(handle + (1ull << 32), 0) == nullptr,
		"capability: a generation that is not yet");
	check(cap_lookup((handle & 0xffffffff00000000ull) | CAP_NR_GRANTS, 0) == nullptr,
		"capability: index beyond the table");
	check(cap_lookup(~0ull, 0) == nullptr, "capability: all ones");
	check(cap_object_id(handle) == 7, "capability: object id");
	chain[0] = handle;
	u32 depth = 1;

	for (; depth <= CAP_DEPTH_MAX; depth++) {
		chain[depth] = cap_grant_create(chain[depth - 1], &object, 7, CAP_RIGHTS_ALL);
		if (!chain[depth])
			break;
	}
	check(depth == CAP_DEPTH_MAX, "capability: grants are at most 16 deep");
	check(cap_lookup(chain[CAP_DEPTH_MAX - 1], CAP_RIGHTS_ALL) == &object,
		"capability: the deepest grant is found");
	word_t epoch = cap_epoch();

	check(cap_revoke(handle) && cap_epoch() != epoch, "capability: revoking moves the epoch");
	check(cap_lookup(chain[CAP_DEPTH_MAX - 1], 0) == nullptr,
		"capability: revoking the root ends the deepest");
	check(!cap_revoke(handle), "capability: revoked once");
	/* The generation near its end: the grant is not used again, so no handle ever comes back.
	 */
	u64 last = cap_grant_create(0, &object, 7, 0);

	atomic32_store(&nucleus_caps.grants[(u32)last].generation, 0xfffffffd);
	(void)cap_revoke(0xfffffffdull << 32 | (u32)last);
	u64 next = cap_grant_create(0, &object, 7, 0);

	check((u32)next != (u32)last,
		"capability: a grant whose generations are used up stays unused");
	u32 nr = 0;

	while (cap_grant_create(0, &object, 7, 0))
		nr++;
	check(nr > CAP_NR_GRANTS / 2 && nr < CAP_NR_GRANTS, "capability: a full table refuses");
}

static void test_roots(void)
{
	atomic32_t root = {CAP_ROOT_FIRST};
	word_t epoch = cap_epoch();

	check(cap_root_stands(&root, CAP_ROOT_FIRST) && !cap_root_stands(&root, CAP_ROOT_FIRST + 1),
		"root: stands at its generation and at no other");
	cap_root_revoke(&root);
	check(!cap_root_stands(&root, CAP_ROOT_FIRST) && cap_epoch() == epoch + 1,
		"root: revoking ends what was made before and moves the epoch");
	check(cap_root_stands(&root, atomic32_load(&root)), "root: what is made after it stands");
	atomic32_store(&root, CAP_ROOT_END - 1);
	cap_root_revoke(&root);
	check(!cap_root_stands(&root, CAP_ROOT_END) && !cap_root_stands(&root, CAP_ROOT_END - 1),
		"root: at the end of its generations it stands for nobody");
	cap_root_revoke(&root);
	check(atomic32_load(&root) == CAP_ROOT_END, "root: and it does not begin anew");
}

int main(void)
{
	test_slot_edges();
	test_caps_against_model();
	test_roots();
	test_cap_edges();
	printf("1..%d\n", nr_tests);
	return nr_failed != 0;
}
