/* Credentials: who the caller is. A change makes a new context (core/context.h) and sets it; other
 * threads keep theirs, as on Linux. */
#include "abi.h"

#define ID_KEEP                   (~0u)
#define SECUREBIT_NO_SETUID_FIXUP 4u
#define SECUREBIT_KEEP_CAPS       16u

/* --- reading --- */
answer_t sys_getuid(struct call *c)
{
	return (answer_t)c->ctx->cred.uid.value;
}

answer_t sys_geteuid(struct call *c)
{
	return (answer_t)c->ctx->cred.euid.value;
}

answer_t sys_getgid(struct call *c)
{
	return (answer_t)c->ctx->cred.gid.value;
}

answer_t sys_getegid(struct call *c)
{
	return (answer_t)c->ctx->cred.egid.value;
}

static answer_t three_out(struct call *c, u32 real, u32 effective, u32 saved)
{
	abi_try(abi_copy_out(c, c->args[0], &real));
	abi_try(abi_copy_out(c, c->args[1], &effective));
	return abi_copy_out(c, c->args[2], &saved);
}

answer_t sys_getresuid(struct call *c)
{
	const struct credentials *cred = &c->ctx->cred;

	return three_out(c, cred->uid.value, cred->euid.value, cred->suid.value);
}

answer_t sys_getresgid(struct call *c)
{
	const struct credentials *cred = &c->ctx->cred;

	return three_out(c, cred->gid.value, cred->egid.value, cred->sgid.value);
}

/* --- changing --- */
static answer_t set_context(struct call *c, struct context *new)
{
	context_set(abi_task(c), new);
	return 0;
}

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void fix_capabilities(struct credentials *new, const struct credentials *old)
{
	bool had_root = !old->uid.value || !old->euid.value || !old->suid.value;
	bool has_root = !new->uid.value || !new->euid.value || !new->suid.value;

	if (old->securebits & SECUREBIT_NO_SETUID_FIXUP)
		return;
	if (had_root && !has_root) {
		if (!(old->securebits & SECUREBIT_KEEP_CAPS))
			new->cap_permitted = new->cap_effective = 0;
		new->cap_ambient = 0;
	}
	if (!old->euid.value && new->euid.value)
		new->cap_effective = 0;
	else if (old->euid.value && !new->euid.value)
		new->cap_effective = new->cap_permitted;
}

/* The four ids of a change, ID_KEEP for what stays; users and groups follow the same rules. */
struct ids {
	u32 real, effective, saved, fs;
};

static answer_t set_uids(struct call *c, const struct ids *ids)
{
	const struct credentials *old = &c->ctx->cred;
	struct context *new = context_clone(c->ctx);

	if (!new)
		return call_need_memory(c, sizeof(*new));
	new->cred.uid = KUID(ids->real);
	new->cred.euid = KUID(ids->effective);
	new->cred.suid = KUID(ids->saved);
	new->cred.fsuid = KUID(ids->fs);
	fix_capabilities(&new->cred, old);
	return set_context(c, new);
}

static answer_t set_gids(struct call *c, const struct ids *ids)
{
	struct context *new = context_clone(c->ctx);

	if (!new)
		return call_need_memory(c, sizeof(*new));
	new->cred.gid = KGID(ids->real);
	new->cred.egid = KGID(ids->effective);
	new->cred.sgid = KGID(ids->saved);
	new->cred.fsgid = KGID(ids->fs);
	return set_context(c, new);
}

static struct ids uids_of(const struct call *c)
{
	const struct credentials *cred = &c->ctx->cred;

	return (struct ids){cred->uid.value, cred->euid.value, cred->suid.value, cred->fsuid.value};
}

static struct ids gids_of(const struct call *c)
{
	const struct credentials *cred = &c->ctx->cred;

	return (struct ids){cred->gid.value, cred->egid.value, cred->sgid.value, cred->fsgid.value};
}

static bool is_one_of(u32 id, u32 a, u32 b, u32 d)
{
	return id == a || id == b || id == d;
}

/* setuid(2), setgid(2): with the capability all, else the effective id among real and saved. */
static answer_t change_one(struct ids *ids, u32 id, bool capable)
{
	if (id == ID_KEEP)
		return -EINVAL;
	if (capable)
		ids->real = ids->saved = id;
	else if (id != ids->real && id != ids->saved)
		return -EPERM;
	ids->effective = ids->fs = id;
	return 0;
}

static answer_t change_pair(struct ids *ids, u32 real, u32 effective, bool capable)
{
	struct ids old = *ids;

	if (real != ID_KEEP) {
		if (!capable && real != old.real && real != old.effective)
			return -EPERM;
		ids->real = real;
	}
	if (effective != ID_KEEP) {
		if (!capable && !is_one_of(effective, old.real, old.effective, old.saved))
			return -EPERM;
		ids->effective = effective;
	}
	if (real != ID_KEEP || (effective != ID_KEEP && effective != old.real))
		ids->saved = ids->effective;
	ids->fs = ids->effective;
	return 0;
}

static answer_t change_three(struct ids *ids, u32 real, u32 effective, u32 saved, bool capable)
{
	struct ids old = *ids;
	u32 wanted[3] = {real, effective, saved};

	for (u32 i = 0; i < 3; i++)
		if (wanted[i] != ID_KEEP && !capable &&
			!is_one_of(wanted[i], old.real, old.effective, old.saved))
			return -EPERM;
	if (real != ID_KEEP)
		ids->real = real;
	if (effective != ID_KEEP)
		ids->effective = effective;
	if (saved != ID_KEEP)
		ids->saved = saved;
	ids->fs = ids->effective;
	return 0;
}

answer_t sys_setuid(struct call *c)
{
	struct ids ids = uids_of(c);

	abi_try(change_one(&ids, arg_uint(c, 0), context_capable(c->ctx, CAP_SETUID)));
	return set_uids(c, &ids);
}

answer_t sys_setgid(struct call *c)
{
	struct ids ids = gids_of(c);

	abi_try(change_one(&ids, arg_uint(c, 0), context_capable(c->ctx, CAP_SETGID)));
	return set_gids(c, &ids);
}

answer_t sys_setreuid(struct call *c)
{
	struct ids ids = uids_of(c);

	abi_try(change_pair(&ids, arg_uint(c, 0), arg_uint(c, 1),
		context_capable(c->ctx, CAP_SETUID)));
	return set_uids(c, &ids);
}

answer_t sys_setregid(struct call *c)
{
	struct ids ids = gids_of(c);

	abi_try(change_pair(&ids, arg_uint(c, 0), arg_uint(c, 1),
		context_capable(c->ctx, CAP_SETGID)));
	return set_gids(c, &ids);
}

answer_t sys_setresuid(struct call *c)
{
	struct ids ids = uids_of(c);

	abi_try(change_three(&ids, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2),
		context_capable(c->ctx, CAP_SETUID)));
	return set_uids(c, &ids);
}

answer_t sys_setresgid(struct call *c)
{
	struct ids ids = gids_of(c);

	abi_try(change_three(&ids, arg_uint(c, 0), arg_uint(c, 1), arg_uint(c, 2),
		context_capable(c->ctx, CAP_SETGID)));
	return set_gids(c, &ids);
}

/* setfsuid(2) and setfsgid(2) answer the old id, whether it changed or not. File capabilities
 * follow fsuid. */
#define CAPS_OF_FS                                                                                 \
	((1ull << CAP_CHOWN) | (1ull << CAP_DAC_OVERRIDE) | (1ull << CAP_DAC_READ_SEARCH) |        \
		(1ull << CAP_FOWNER) | (1ull << CAP_FSETID) | (1ull << CAP_LINUX_IMMUTABLE) |      \
		(1ull << CAP_MKNOD) | (1ull << 32 /* MAC_OVERRIDE */))

answer_t sys_setfsuid(struct call *c)
{
	const struct credentials *old = &c->ctx->cred;
	u32 id = arg_uint(c, 0), before = old->fsuid.value;
	struct context *new;

	if (id == ID_KEEP || id == before ||
		(!is_one_of(id, old->uid.value, old->euid.value, old->suid.value) &&
			!context_capable(c->ctx, CAP_SETUID)))
		return (answer_t)before;
	new = context_clone(c->ctx);
	if (!new)
		return (answer_t)before;
	new->cred.fsuid = KUID(id);
	if (!(old->securebits & SECUREBIT_NO_SETUID_FIXUP)) {
		if (!before)
			new->cred.cap_effective &= ~CAPS_OF_FS;
		else if (!id)
			new->cred.cap_effective |= new->cred.cap_permitted & CAPS_OF_FS;
	}
	set_context(c, new);
	return (answer_t)before;
}

answer_t sys_setfsgid(struct call *c)
{
	const struct credentials *old = &c->ctx->cred;
	u32 id = arg_uint(c, 0), before = old->fsgid.value;
	struct context *new;

	if (id == ID_KEEP || id == before ||
		(!is_one_of(id, old->gid.value, old->egid.value, old->sgid.value) &&
			!context_capable(c->ctx, CAP_SETGID)))
		return (answer_t)before;
	new = context_clone(c->ctx);
	if (!new)
		return (answer_t)before;
	new->cred.fsgid = KGID(id);
	set_context(c, new);
	return (answer_t)before;
}

/* --- groups --- */
#define GROUPS_MAX 65536u

answer_t sys_getgroups(struct call *c)
{
	const struct group_list *groups = c->ctx->cred.groups;
	u32 nr = groups ? groups->nr : 0;

	if (arg_int(c, 0) < 0)
		return -EINVAL;
	if (!arg_int(c, 0))
		return (answer_t)nr;
	if (arg_uint(c, 0) < nr)
		return -EINVAL;
	static_assert(sizeof(groups->gid[0]) == sizeof(u32));
	if (nr)
		abi_try(call_copy_out(c, c->args[1], groups->gid, nr * sizeof(u32)));
	return (answer_t)nr;
}

/* Core wants the list sorted. Insertion: lists are short, and a longest one of 65536 comes from
 * nobody but root. */
static void sort_groups(struct group_list *groups)
{
	for (u32 i = 1; i < groups->nr; i++) {
		kgid_t id = groups->gid[i];
		u32 at = i;

		for (; at && groups->gid[at - 1].value > id.value; at--)
			groups->gid[at] = groups->gid[at - 1];
		groups->gid[at] = id;
	}
}

answer_t sys_setgroups(struct call *c)
{
	u32 nr = arg_uint(c, 0);
	struct group_list *groups;
	struct context *new;
	answer_t a;

	if (!context_capable(c->ctx, CAP_SETGID))
		return -EPERM;
	if (nr > GROUPS_MAX)
		return -EINVAL;
	groups = group_list_new(nr);
	if (!groups)
		return call_need_memory(c, sizeof(*groups) + nr * sizeof(groups->gid[0]));
	a = call_copy_in(c, groups->gid, c->args[1], nr * sizeof(groups->gid[0]));
	new = a ? nullptr : context_clone(c->ctx);
	if (!new) {
		group_list_put(groups);
		return a ? a : call_need_memory(c, sizeof(*new));
	}
	sort_groups(groups);
	group_list_put(new->cred.groups);
	new->cred.groups = groups;
	return set_context(c, new);
}

/* --- capabilities --- */
#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

/* 32-bit sets of version 1, 64-bit ones of 2 and 3. An unknown version is answered with ours
 * (capget(2)). */
static answer_t cap_header(struct call *c, struct user_cap_header *h, u32 *words)
{
	const u32 ours = CAP_VERSION_3;

	abi_try(abi_copy_in(c, h, c->args[0]));
	if (h->version == CAP_VERSION_1) {
		*words = 1;
		return 0;
	}
	*words = 2;
	if (h->version == CAP_VERSION_2 || h->version == CAP_VERSION_3)
		return 0;
	abi_try(call_copy_out(c, c->args[0], &ours, sizeof(ours)));
	return -EINVAL;
}

/* Another task's: its context may be replaced meanwhile, and stays for a grace period. */
static struct credentials credentials_of(const struct task *t)
{
	struct credentials cred;

	grace_read_begin();
	cred = READ_ONCE(t->context)->cred;
	grace_read_end();
	return cred;
}

answer_t sys_capget(struct call *c)
{
	struct user_cap_header h;
	struct user_cap_data data[2];
	struct credentials cred;
	struct task *t;
	u32 words;
	answer_t a = cap_header(c, &h, &words);

	if (a)
		return a == -EINVAL && !c->args[1] ? 0 : a;
	if (!c->args[1])
		return 0;
	if (h.pid < 0)
		return -EINVAL;
	t = abi_target_task(c, h.pid);
	if (!t)
		return -ESRCH;
	cred = credentials_of(t);
	abi_task_put(t);
	for (u32 i = 0; i < 2; i++)
		data[i] = (struct user_cap_data){(u32)(cred.cap_effective >> 32 * i),
			(u32)(cred.cap_permitted >> 32 * i), (u32)(cred.cap_inheritable >> 32 * i)};
	return call_copy_out(c, c->args[1], data, words * sizeof(data[0]));
}

static bool subset(u64 set, u64 of)
{
	return !(set & ~of);
}

answer_t sys_capset(struct call *c)
{
	const struct credentials *old = &c->ctx->cred;
	struct user_cap_header h;
	struct user_cap_data data[2] = {};
	u64 effective, permitted, inheritable;
	struct context *new;
	u32 words;

	abi_try(cap_header(c, &h, &words));
	if (h.pid && h.pid != task_pid_nr(abi_task(c)))
		return -EPERM;
	abi_try(call_copy_in(c, data, c->args[1], words * sizeof(data[0])));
	effective = (data[0].effective | (u64)data[1].effective << 32) & CAP_ALL;
	permitted = (data[0].permitted | (u64)data[1].permitted << 32) & CAP_ALL;
	inheritable = (data[0].inheritable | (u64)data[1].inheritable << 32) & CAP_ALL;
	if (!subset(inheritable, old->cap_inheritable | old->cap_bounding) ||
		(!context_capable(c->ctx, CAP_SETPCAP) &&
			!subset(inheritable, old->cap_inheritable | old->cap_permitted)) ||
		!subset(permitted, old->cap_permitted) || !subset(effective, permitted))
		return -EPERM;
	new = context_clone(c->ctx);
	if (!new)
		return call_need_memory(c, sizeof(*new));
	new->cred.cap_effective = effective;
	new->cred.cap_permitted = permitted;
	new->cred.cap_inheritable = inheritable;
	new->cred.cap_ambient &= permitted &inheritable;
	return set_context(c, new);
}

/* personality(2): of the execution domains only Linux's own with its flags. */
answer_t sys_personality(struct call *c)
{
	u32 wanted = arg_uint(c, 0), old = c->ctx->personality;
	struct context *new;

	if (wanted == 0xffffffffu || wanted == old)
		return (answer_t)old;
	new = context_clone(c->ctx);
	if (!new)
		return call_need_memory(c, sizeof(*new));
	new->personality = wanted;
	set_context(c, new);
	return (answer_t)old;
}
