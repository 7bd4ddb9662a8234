// SPDX-License-Identifier: Apache-2.0
#include "lib/base.h"

static uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool span_ieq(struct span a, struct span b)
{
	return a.len == b.len && span_istarts(a, b);
}

bool span_istarts(struct span s, struct span prefix)
{
	if (s.len < prefix.len)
		return false;
	if (prefix.len && s.ptr[0] == prefix.ptr[0] && memcmp(s.ptr, prefix.ptr, prefix.len) == 0)
		return true;
	for (size_t i = 0; i < prefix.len; i++)
		if (s.ptr[i] != prefix.ptr[i] && ascii_lower(s.ptr[i]) != ascii_lower(prefix.ptr[i]))
			return false;
	return true;
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
