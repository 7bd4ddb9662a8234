// SPDX-License-Identifier: Apache-2.0
/* varint.h - numbers in as few bytes as they need: seven bits a byte, lowest first (LEB128) */
#pragma once

#include "lib/buf.h"

#define VARINT_MAX 10

static inline void varint_add(struct buf *out, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	buf_add(out, bytes, n);
}

/* small differences of either sign become small numbers; wraps, so every pair has a difference */
static inline void varint_add_difference(struct buf *out, uint64_t v, uint64_t from)
{
	uint64_t d = v - from;

	varint_add(out, d << 1 ^ (uint64_t)((int64_t)d >> 63));
}

/* varint_take() - read one off the front of @in. Return: false (@out untouched) when @in ends early
 * or lies. */
static inline bool varint_take(struct span *in, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < in->len && i < VARINT_MAX; i++) {
		v |= (uint64_t)(in->ptr[i] & 0x7f) << (7 * i);
		if (in->ptr[i] < 0x80) {
			*in = span_from(*in, i + 1);
			*out = v;
			return true;
		}
	}
	return false;
}

static inline bool varint_take_difference(struct span *in, uint64_t from, uint64_t *out)
{
	uint64_t z;

	if (!varint_take(in, &z))
		return false;
	*out = from + (z >> 1 ^ (0 - (z & 1)));
	return true;
}
