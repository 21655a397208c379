/*
 * Random numbers. Purpose: getrandom(2), /dev/urandom, AT_RANDOM, address-space layout.
 * A 256-bit key; each request takes a fresh key from the first block (fast key erasure), so a later
 * leak tells nothing of earlier output. Input (CPU instruction, virtio-rng, interrupt times) is
 * mixed into the key by encrypting with it. Seeded when 256 bits are credited.
 *
 * Interrupt times come by a ring for each CPU (lib/ring.h): the CPU produces in interrupt context,
 * without a lock; the next request on any CPU takes what is there. They are credited with nothing:
 * how much of them nobody can know was not measured. A full ring drops the sample.
 *
 * Locks: random_lock; it is the consumer's side of every ring too. Cost: one block per 32 bytes, a
 * counter read and two stores per interrupt. Failure: without any source the time counter is the
 * only input.
 */
#include <core/cpu.h>
#include <core/lock.h>
#include <core/log.h>
#include <core/random.h>
#include <core/time.h>
#include <lib/chacha.h>
#include <lib/ring.h>
#include <lib/string.h>

static struct spinlock random_lock = SPINLOCK_INIT(LOCK_LEVEL_SLAB - 1);
static u32 key[8] guarded_by(&random_lock);
static u32 credited guarded_by(&random_lock);
static u64 requests guarded_by(&random_lock);
static bool started guarded_by(&random_lock);

#define SAMPLES 16u
struct sample {
	u32 cycles, irq;
};
struct sampler {
	struct ring samples, taker; /* the CPU's end, and the generator's: under random_lock */
	_Alignas(RING_LINE_BYTES) u8 memory[3 * RING_LINE_BYTES + SAMPLES * sizeof(struct sample)];
};
static struct sampler samplers[NR_CPUS_MAX];
static atomic32_t sampling; /* the rings are attached */
static u32 next_sampler guarded_by(&random_lock);

static void mix_locked(const void *data, size_t bytes, u32 bits) __requires(random_lock)
{
	const u8 *p = data;

	while (bytes) {
		u32 state[CHACHA_WORDS], out[CHACHA_WORDS], nonce[3] = {};
		u8 chunk[32] = {};
		size_t n = MIN(bytes, sizeof(chunk));

		memcpy(chunk, p, n);
		for (u32 i = 0; i < 8; i++) {
			u32 w;

			memcpy(&w, chunk + 4 * i, 4);
			key[i] ^= w;
		}
		nonce[0] = (u32)arch_cycles();
		chacha20_state(state, key, ~0u, nonce);
		chacha20_block(state, out);
		memcpy(key, out, sizeof(key));
		p += n;
		bytes -= n;
	}
	credited = MIN(credited + bits, 256u);
}

static void start_locked(void) __requires(random_lock)
{
	u8 seed[32] = {};
	size_t n = arch_entropy(seed, sizeof(seed));
	u64 cycles = arch_cycles();
	struct ring_layout layout = ring_native(sizeof(struct sample));

	mix_locked(seed, n, (u32)n * 8);
	mix_locked(&cycles, sizeof(cycles), 0);
	for (u32 i = 0; i < NR_CPUS_MAX; i++) {
		struct sampler *s = &samplers[i];

		layout.asleep = 0; /* who takes looks by itself */
		BUG_ON(ring_attach(&s->samples, &layout, s->memory, sizeof(s->memory), SAMPLES,
			       true) ||
			ring_attach(&s->taker, &layout, s->memory, sizeof(s->memory), SAMPLES,
				false));
	}
	atomic32_store_release(&sampling, 1);
	started = true;
}

void random_interrupt(u32 irq)
{
	struct sample now = {(u32)arch_cycles(), irq};

	if (likely(atomic32_load_acquire(&sampling)))
		ring_put(&samplers[arch_this_cpu()].samples, &now);
}

/* What one CPU has seen of interrupts: another one's each time. */
static void take_samples_locked(void) __requires(random_lock)
{
	struct ring *from = &samplers[next_sampler++ % MAX(cpu_nr_present(), 1u)].taker;
	struct sample got[SAMPLES];
	u32 nr = 0;

	while (nr < SAMPLES && ring_take(from, &got[nr]) == 1)
		nr++;
	mix_locked(got, nr * sizeof(got[0]), 0);
}

void random_mix(const void *data, size_t bytes, u32 bits)
{
	word_t irq = spin_lock_irqsave(&random_lock);

	if (!started)
		start_locked();
	mix_locked(data, bytes, bits);
	spin_unlock_irqrestore(&random_lock, irq);
}

void random_bytes(void *out, size_t bytes)
{
	u32 mine[8], state[CHACHA_WORDS], block[CHACHA_WORDS], nonce[3];
	word_t irq = spin_lock_irqsave(&random_lock);
	u8 *p = out;

	if (!started)
		start_locked();
	take_samples_locked();
	requests++;
	nonce[0] = (u32)requests;
	nonce[1] = (u32)(requests >> 32);
	nonce[2] = (u32)arch_cycles();
	chacha20_state(state, key, 0, nonce);
	chacha20_block(state, block);
	memcpy(key, block, sizeof(key));
	memcpy(mine, block + 8, sizeof(mine));
	spin_unlock_irqrestore(&random_lock, irq);
	for (u32 counter = 0; bytes; counter++) {
		size_t n = MIN(bytes, sizeof(block));

		chacha20_state(state, mine, counter, nonce);
		chacha20_block(state, block);
		memcpy(p, block, n);
		p += n;
		bytes -= n;
	}
}

void random_boot_id(u8 out[16])
{
	static u8 id[16];
	static bool made;
	u8 fresh[16];
	word_t irq;

	random_bytes(fresh, sizeof(fresh));
	irq = spin_lock_irqsave(&random_lock);
	if (!made)
		memcpy(id, fresh, sizeof(id));
	made = true;
	memcpy(out, id, sizeof(id));
	spin_unlock_irqrestore(&random_lock, irq);
}
