#pragma once
/* Every contract this kernel was built with; the array itself is generated. */
#include <kabi/base.h>

extern const struct kabi_contract *const kabi_contracts[];
extern const u32 nr_kabi_contracts;
