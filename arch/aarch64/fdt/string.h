#pragma once
/* For libfdt: lib's functions under their usual names. */
#include <lib/string.h>
