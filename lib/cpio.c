#include <lib/cpio.h>
#include <lib/errno.h>
#include <lib/string.h>

#define CPIO_HEADER_BYTES 110u
#define CPIO_NR_FIELDS    13

/* cpio(5): eight hexadecimal digits, either case. */
static bool read_field(const u8 *text, u32 *out)
{
	u32 value = 0;

	for (int i = 0; i < 8; i++) {
		u8 c = text[i];
		u32 digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10;
		else
			return false;
		value = value << 4 | digit;
	}
	*out = value;
	return true;
}

int cpio_next(struct cpio_reader *r, struct cpio_entry *out)
{
	u32 field[CPIO_NR_FIELDS];
	size_t at = r->at;

	if (at == r->size)
		return 0;
	if (r->size - at < CPIO_HEADER_BYTES)
		return -EINVAL;
	if (memcmp(r->data + at, "07070", 5) != 0 ||
		(r->data[at + 5] != '1' && r->data[at + 5] != '2'))
		return -EINVAL;
	for (int i = 0; i < CPIO_NR_FIELDS; i++)
		if (!read_field(r->data + at + 6 + 8 * i, &field[i]))
			return -EINVAL;
	u32 data_bytes = field[6], name_bytes = field[11];

	at += CPIO_HEADER_BYTES;
	if (name_bytes == 0 || name_bytes > r->size - at || r->data[at + name_bytes - 1] != '\0')
		return -EINVAL;
	*out = (struct cpio_entry){
		.name = (const char *)r->data + at,
		.size_bytes = data_bytes,
		.ino = field[0],
		.mode = field[1],
		.uid = field[2],
		.gid = field[3],
		.nlink = field[4],
		.mtime = field[5],
		.dev_major = field[7],
		.dev_minor = field[8],
		.rdev_major = field[9],
		.rdev_minor = field[10],
	};
	at = MIN(ALIGN_UP(at + name_bytes, (size_t)4), r->size);
	if (data_bytes > r->size - at)
		return -EINVAL;
	out->data = r->data + at;
	r->at = MIN(ALIGN_UP(at + data_bytes, (size_t)4), r->size);
	return strcmp(out->name, "TRAILER!!!") != 0;
}

bool cpio_find(const void *archive, size_t size, const char *name, struct cpio_entry *out)
{
	struct cpio_reader reader = {archive, size, 0};

	while (cpio_next(&reader, out) == 1)
		if (strcmp(out->name, name) == 0)
			return true;
	return false;
}
