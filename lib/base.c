// SPDX-License-Identifier: Apache-2.0
#include "lib/base.h"

#define EACH(byte) ((byte)*UINT64_C(0x0101010101010101))

/* eight characters at once, capitals made small; the sums carry into bit 7 from 'A' on and behind 'Z' */
static uint64_t ascii_lower_8(uint64_t v)
{
	uint64_t low = v & EACH(0x7f);
	uint64_t is_capital =
		((low + EACH(0x80 - 'A')) ^ (low + EACH(0x7f - 'Z'))) & ~v & EACH(0x80);

	return v | is_capital >> 2;
}

static bool ieq_8(const uint8_t *a, const uint8_t *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x == y || ascii_lower_8(x) == ascii_lower_8(y);
}

/* up to seven characters, the same in any order for both sides that are compared */
static uint64_t load_few(const uint8_t *s, size_t len)
{
	uint32_t first, last;

	if (len < 4)
		return len ? (uint64_t)s[0] | (uint64_t)s[len / 2] << 8 | (uint64_t)s[len - 1] << 16
			   : 0;
	memcpy(&first, s, 4);
	memcpy(&last, s + len - 4, 4);
	return first | (uint64_t)last << 32;
}

static bool ieq(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (len < 8)
		return ascii_lower_8(load_few(a, len)) == ascii_lower_8(load_few(b, len));
	for (size_t i = 0; i + 8 < len; i += 8)
		if (!ieq_8(a + i, b + i))
			return false;
	return ieq_8(a + len - 8, b + len - 8); /* the rest, some of it again */
}

bool span_ieq(struct span a, struct span b)
{
	return a.len == b.len && ieq(a.ptr, b.ptr, a.len);
}

bool span_istarts(struct span s, struct span prefix)
{
	return s.len >= prefix.len && ieq(s.ptr, prefix.ptr, prefix.len);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
	for (; s.len && is_blank(s.ptr[0]); s.len--)
		s.ptr++;
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

size_t decimal(uint64_t v, char out[])
{
	char digits[DECIMAL_MAX];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(out, digits + i, sizeof(digits) - i);
	return sizeof(digits) - i;
}
