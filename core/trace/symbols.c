/* Kernel symbols: the text of llvm-nm -n that travels in the image's blob ("kernel.sym"), indexed
 * at boot. Theory in log.c. */
#include <core/log.h>
#include <core/evolve.h>
#include <core/mm.h>
#include <core/symbols.h>
#include <lib/string.h>

struct symbol {
	vaddr_t address;
	const char *name; /* in the copy of the text, terminated */
	u32 hash;         /* of the name: look-ups by name compare this first */
};
static struct symbol *symbols;
static u32 nr_symbols;
extern const char kernel_text_start[], kernel_text_end[];

static vaddr_t parse_hex(const char *p, u32 digits)
{
	vaddr_t v = 0;

	for (u32 i = 0; i < digits; i++)
		v = v << 4 | (vaddr_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return v;
}

static u32 name_hash32(const char *name)
{
	u32 h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (u8)*name) * 16777619u;
	return h;
}

void symbols_init(const char *text, size_t bytes, u64 slide)
{
	char *copy = kmalloc(bytes + 1);
	u32 lines = 0, digits = 2 * sizeof(vaddr_t);

	if (!copy)
		return;
	memcpy(copy, text, bytes);
	copy[bytes] = 0;
	for (size_t i = 0; i < bytes; i++)
		lines += copy[i] == '\n';
	symbols = kmalloc_array(lines, sizeof(*symbols));
	if (!symbols) {
		kfree(copy);
		return;
	}
	for (char *p = copy; *p;) {
		char *end = strchr(p, '\n');

		if (!end)
			break;
		*end = 0;
		if ((size_t)(end - p) > digits + 3)
			symbols[nr_symbols++] =
				(struct symbol){parse_hex(p, digits) + (vaddr_t)slide,
					p + digits + 3, name_hash32(p + digits + 3)};
		p = end + 1;
	}
}

const char *symbol_lookup(vaddr_t pc, u64 *offset, const char **module)
{
	u32 lo = 0, hi = nr_symbols;
	const char *name;

	*module = nullptr;
	name = module_symbol(pc, offset, module);
	if (name)
		return name;
	if (pc < (vaddr_t)kernel_text_start || pc >= (vaddr_t)kernel_text_end)
		return "?";
	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (symbols[mid].address <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return "?";
	*offset = pc - symbols[lo - 1].address;
	return symbols[lo - 1].name;
}

/* Linear, at boot only: about a thousand look-ups. Hidden symbols are local after the link, so
 * nothing tells them from static ones; the packer (tools/image/mkblob.py) refuses names that a
 * module wants and that core has twice. */
vaddr_t symbol_address(const char *name)
{
	u32 hash = name_hash32(name);

	for (u32 i = 0; i < nr_symbols; i++)
		if (symbols[i].hash == hash && !strcmp(symbols[i].name, name))
			return symbols[i].address;
	return 0;
}
