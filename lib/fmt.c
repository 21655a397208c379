/* printf formatting without floating point (lib/fmt.h). */
#include <lib/fmt.h>
#include <lib/string.h>

struct fmt_out {
	char *buf;
	size_t size, len;
};
struct fmt_spec {
	bool left, zero, plus, space, alternate, upper;
	s32 width, precision; /* precision -1: none given */
	u8 size;              /* bytes of the integer argument */
};

static void put(struct fmt_out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct fmt_out *o, char c, s32 n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct fmt_out *o, const struct fmt_spec *s, const char *text, size_t len)
{
	s32 fill = s->width > (s32)len ? s->width - (s32)len : 0;

	if (!s->left)
		pad(o, ' ', fill);
	for (size_t i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', fill);
}

static void put_number(struct fmt_out *o, const struct fmt_spec *s, u64 value, u32 base,
	const char *prefix)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24]; /* 64 bits in octal: 22 */
	s32 n = 0, zeros, fill, prefix_len = (s32)strlen(prefix);

	for (; value; value /= base)
		text[n++] = digits[value % base];
	zeros = s->precision < 0 ? (n == 0) : (s->precision > n ? s->precision - n : 0);
	fill = s->width - n - zeros - prefix_len;
	if (s->zero && !s->left && s->precision < 0 && fill > 0) {
		zeros += fill;
		fill = 0;
	}
	if (!s->left)
		pad(o, ' ', fill);
	while (*prefix)
		put(o, *prefix++);
	pad(o, '0', zeros);
	while (n > 0)
		put(o, text[--n]);
	if (s->left)
		pad(o, ' ', fill);
}

static void put_signed(struct fmt_out *o, const struct fmt_spec *s, s64 value)
{
	u64 magnitude = value < 0 ? 0 - (u64)value : (u64)value;

	put_number(o, s, magnitude, 10, value < 0 ? "-" : s->plus ? "+" : s->space ? " " : "");
}

static const char *parse_number(const char *f, s32 *out)
{
	s32 n = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		if (n < 100000)
			n = n * 10 + (*f - '0');
	*out = n;
	return f;
}

static const char *parse_flags(const char *f, struct fmt_spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			s->left = true;
			break;
		case '0':
			s->zero = true;
			break;
		case '+':
			s->plus = true;
			break;
		case ' ':
			s->space = true;
			break;
		case '#':
			s->alternate = true;
			break;
		default:
			return f;
		}
	}
}

static const char *parse_size(const char *f, struct fmt_spec *s)
{
	s->size = sizeof(int);
	switch (*f) {
	case 'h':
		s->size = f[1] == 'h' ? 1 : 2;
		return f + (s->size == 1 ? 2 : 1);
	case 'l':
		s->size = f[1] == 'l' ? sizeof(long long) : sizeof(long);
		return f + (f[1] == 'l' ? 2 : 1);
	case 'j':
		s->size = 8;
		return f + 1;
	case 'z':
	case 't':
		s->size = sizeof(size_t);
		return f + 1;
	default:
		return f;
	}
}

static u64 narrow(u64 value, u8 size)
{
	return size == 8 ? value : value & (((u64)1 << (8 * size)) - 1);
}

static s64 sign_extend(u64 value, u8 size)
{
	u32 shift = 64 - 8 * (u32)size;

	return (s64)(value << shift) >> shift;
}

/* A wrapper, because va_list is an array on some targets and cannot be passed by address from a
 * parameter. */
struct fmt_args {
	va_list ap;
};

static u64 take_integer(struct fmt_args *a, u8 size)
{
	if (size > sizeof(int))
		return size == 8 ? va_arg(a->ap, unsigned long long) : va_arg(a->ap, unsigned long);
	return va_arg(a->ap, unsigned int);
}

static void convert(struct fmt_out *o, struct fmt_spec *s, char c, struct fmt_args *a)
{
	const char *text;
	char one;
	u64 v;

	switch (c) {
	case 'd':
	case 'i':
		put_signed(o, s, sign_extend(take_integer(a, s->size), s->size));
		return;
	case 'u':
		put_number(o, s, narrow(take_integer(a, s->size), s->size), 10, "");
		return;
	case 'X':
		s->upper = true;
		[[fallthrough]];
	case 'x':
		v = narrow(take_integer(a, s->size), s->size);
		put_number(o, s, v, 16, s->alternate && v ? (s->upper ? "0X" : "0x") : "");
		return;
	case 'o':
		v = narrow(take_integer(a, s->size), s->size);
		put_number(o, s, v, 8, s->alternate && v ? "0" : "");
		return;
	case 'p':
		put_number(o, s, (word_t)va_arg(a->ap, void *), 16, "0x");
		return;
	case 'c':
		one = (char)va_arg(a->ap, int);
		put_text(o, s, &one, 1);
		return;
	case 's':
		text = va_arg(a->ap, const char *);
		if (!text)
			text = "(null)";
		put_text(o, s, text,
			s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision));
		return;
	default:
		put(o, '%');
		if (c && c != '%')
			put(o, c);
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct fmt_out o = {buf, size, 0};
	struct fmt_args args;

	va_copy(args.ap, ap);
	for (; *fmt; fmt++) {
		struct fmt_spec s = {.precision = -1};

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_flags(fmt + 1, &s);
		if (*fmt == '*') {
			s.width = va_arg(args.ap, int);
			if (s.width < 0) {
				s.left = true;
				s.width = -s.width;
			}
			fmt++;
		} else {
			fmt = parse_number(fmt, &s.width);
		}
		if (*fmt == '.') {
			if (fmt[1] == '*') {
				s.precision = va_arg(args.ap, int);
				fmt += 2;
			} else {
				fmt = parse_number(fmt + 1, &s.precision);
			}
		}
		fmt = parse_size(fmt, &s);
		convert(&o, &s, *fmt, &args);
		if (!*fmt)
			break;
	}
	va_end(args.ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
