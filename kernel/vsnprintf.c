// SPDX-License-Identifier: MIT
/*
 * snprintf(): text from a format.
 *
 * Why it exists: every message, table and name of a thread is made here, also in a panic and before
 * there is memory; so it needs none, takes no lock, and any context may call it.
 * Differs from C: no floats, no %n; an unknown conversion is printed as it stands; %p is "0x...".
 * See also: printk.c.
 */
#include <printk.h>
#include <string.h>

/* The text so far. len counts what a buffer without end would hold. */
struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	bool left, zero, alt, plus, space;
	int width;
	int precision; /* -1: none given */
	unsigned int size; /* bytes of the argument */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_n(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *sp, const char *s, size_t n)
{
	int pad = sp->width - (int)n;

	if (!sp->left)
		put_n(o, ' ', pad);
	for (size_t i = 0; i < n; i++)
		put(o, s[i]);
	if (sp->left)
		put_n(o, ' ', pad);
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
	if (!s)
		s = "(null)";
	put_text(o, sp, s, sp->precision >= 0 ? strnlen(s, (size_t)sp->precision) : strlen(s));
}

/* Writes the digits of v backwards, ending at end; returns where they begin. */
static char *digits_of(char *end, u64 v, unsigned int base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	for (; v; v /= base)
		*--end = digits[v % base];
	return end;
}

/* prefix is a sign, "0x" or nothing; zero-padding goes between it and the digits. */
static void put_number(struct out *o, const struct spec *sp, u64 v, unsigned int base, bool upper,
		       const char *prefix)
{
	char tmp[24];
	char *end = tmp + sizeof(tmp), *s = digits_of(end, v, base, upper);
	int n = (int)(end - s), prefix_len = (int)strlen(prefix);
	int want = sp->precision >= 0 ? sp->precision : 1;
	int zeros, pad;

	if (sp->zero && !sp->left && sp->precision < 0)
		want = max(want, sp->width - prefix_len);
	zeros = max(want - n, 0);
	pad = sp->width - prefix_len - zeros - n;
	if (!sp->left)
		put_n(o, ' ', pad);
	while (*prefix)
		put(o, *prefix++);
	put_n(o, '0', zeros);
	while (s < end)
		put(o, *s++);
	if (sp->left)
		put_n(o, ' ', pad);
}

static void put_signed(struct out *o, const struct spec *sp, s64 v)
{
	const char *sign = v < 0 ? "-" : sp->plus ? "+" : sp->space ? " " : "";

	put_number(o, sp, v < 0 ? 0 - (u64)v : (u64)v, 10, false, sign);
}

static const char *parse_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			sp->left = true;
			break;
		case '0':
			sp->zero = true;
			break;
		case '#':
			sp->alt = true;
			break;
		case '+':
			sp->plus = true;
			break;
		case ' ':
			sp->space = true;
			break;
		default:
			return f;
		}
	}
}

#define NUMBER_MAX 4096 /* width and precision beyond it are cut */

static const char *parse_number(const char *f, int *n)
{
	for (*n = 0; *f >= '0' && *f <= '9'; f++)
		*n = min(*n * 10 + (*f - '0'), NUMBER_MAX);
	return f;
}

static const char *parse_size(const char *f, struct spec *sp)
{
	unsigned int l = 0, h = 0;

	sp->size = sizeof(int);
	for (;; f++) {
		if (*f == 'l')
			l++;
		else if (*f == 'h')
			h++;
		else if (*f == 'z' || *f == 't' || *f == 'j')
			l = 2;
		else
			break;
	}
	if (l)
		sp->size = sizeof(long long);
	else if (h)
		sp->size = h == 1 ? sizeof(short) : sizeof(char);
	return f;
}

/* Every integer is passed as an int, or as 8 bytes; the narrow ones are cut to size here. */
static s64 arg_signed(const struct spec *sp, va_list *ap)
{
	if (sp->size == sizeof(long long))
		return va_arg(*ap, long long);
	int v = va_arg(*ap, int);
	return sp->size == sizeof(int) ? v : sp->size == sizeof(short) ? (short)v : (s8)v;
}

static u64 arg_unsigned(const struct spec *sp, va_list *ap)
{
	u64 v = (u64)arg_signed(sp, ap);

	return sp->size == sizeof(long long) ? v : v & (BIT(8 * sp->size) - 1);
}

static const char *parse_spec(const char *f, struct spec *sp, va_list *ap)
{
	*sp = (struct spec){ .precision = -1 };
	f = parse_flags(f, sp);
	if (*f == '*') {
		sp->width = va_arg(*ap, int);
		f++;
	} else {
		f = parse_number(f, &sp->width);
	}
	if (sp->width < 0) {
		sp->left = true;
		sp->width = sp->width < -NUMBER_MAX ? NUMBER_MAX : -sp->width;
	}
	sp->width = min(sp->width, NUMBER_MAX);
	if (*f == '.' && f[1] == '*') {
		sp->precision = min(max(va_arg(*ap, int), -1), NUMBER_MAX);
		f += 2;
	} else if (*f == '.') {
		f = parse_number(f + 1, &sp->precision);
	}
	return parse_size(f, sp);
}

/* Prints one conversion; false if it is none. */
static bool convert(struct out *o, const struct spec *sp, char c, va_list *ap)
{
	char ch;
	u64 v;

	switch (c) {
	case 'd':
	case 'i':
		put_signed(o, sp, arg_signed(sp, ap));
		return true;
	case 'u':
		put_number(o, sp, arg_unsigned(sp, ap), 10, false, "");
		return true;
	case 'x':
	case 'X':
		v = arg_unsigned(sp, ap);
		put_number(o, sp, v, 16, c == 'X', sp->alt && v ? (c == 'X' ? "0X" : "0x") : "");
		return true;
	case 'p':
		put_number(o, sp, (u64)va_arg(*ap, void *), 16, false, "0x");
		return true;
	case 's':
		put_string(o, sp, va_arg(*ap, const char *));
		return true;
	case 'c':
		ch = (char)va_arg(*ap, int);
		put_text(o, sp, &ch, 1);
		return true;
	case '%':
		put(o, '%');
		return true;
	default:
		return false;
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	va_list args;

	va_copy(args, ap);
	while (*fmt) {
		const char *start = fmt;
		struct spec sp;

		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		fmt = parse_spec(fmt + 1, &sp, &args);
		if (*fmt && convert(&o, &sp, *fmt, &args)) {
			fmt++;
			continue;
		}
		while (start < fmt)
			put(&o, *start++);
	}
	va_end(args);
	if (size)
		buf[min(o.len, size - 1)] = 0;
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
