#pragma once
/*
 * Hardware random sources (core/device/hwrng.c): instances of entropy_driver components, the random
 * generator's input from them, and what /dev/hwrng reads.
 */
#include <lib/types.h>
#include <core/node.h>
#define HWRNG_RDEV DEV_MAKE(10, 183) /* Linux's Documentation/admin-guide/devices.txt: misc */

struct component;
struct entropy_info;
struct waitable;
/* A driver has attached; its lock is held. 0, -ENOMEM. */
int hwrng_added(struct component *co, const struct entropy_info *info);
/* The device's interrupt; the driver's lock is held. */
void hwrng_interrupt(struct component *co, u32 queue);
/* Asks the device for more (deferred call). */
void hwrng_request(struct component *co);
/* /dev/hwrng, when a driver of the class is loaded. Once. */
void hwrng_boot_init(void);

/* Bytes of the current source, each given out once. 0: none yet, hwrng_waitable (EV_IN) tells;
 * -ENODEV: there is no source; -EIO: it failed. Context: thread, no lock held. */
answer_t hwrng_take(void *out, size_t bytes);
extern struct waitable hwrng_waitable;
/* Name of the source number n as Linux writes it ("virtio_rng.0"); false: there are fewer. */
bool hwrng_name(u32 n, char *name, size_t size);
/* Asks for fresh input to the generator if the last is old: whoever gives out random numbers
 * calls it. Context: thread, no lock held. */
void hwrng_feed_if_due(void);
