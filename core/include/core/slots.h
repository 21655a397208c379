#pragma once
/* enum slot_id and SLOT(): generated from the contracts' `slots` lines (kabi/README.md). */
#include <kabi/slots.h>
