#pragma once
/* Instances of components (core/object/component.c): binding to devices, interrupt events, calls into them. */
#include <core/call.h>
struct deferred;
/* Runs an interrupt event of a component in record c. */
void component_interrupt(struct call *c, struct deferred *d);
