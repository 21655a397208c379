#pragma once
/* Every contract this kernel was built with; the array itself is generated. */
#include <kabi/base.h>

extern const struct kabi_contract *const kabi_contracts[];
extern const u32 nr_kabi_contracts;

/* Index = slot id. */
struct kabi_fixed_slot {
	const char *name; /* "" for a contract with one slot */
	const struct kabi_contract *contract;
};
extern const struct kabi_fixed_slot kabi_fixed_slots[];
extern const u32 nr_kabi_fixed_slots;
