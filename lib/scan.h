// SPDX-License-Identifier: Apache-2.0
/*
 * scan.h - where a character stands among 64, as the bits of one word; without a branch for each
 *
 * Bit i stands for byte i. With SSE2, which every x86-64 has, 16 bytes are compared at once, else 8.
 */
#pragma once

#include "lib/base.h"

#ifdef __SSE2__
#include <emmintrin.h>
#else
#include <endian.h>
#endif

#define SCAN_BYTES 64

/* Two characters looked for in one pass. */
struct scan {
	uint64_t first, second; /* where each stands */
};

#ifdef __SSE2__

static inline uint64_t scan_mask_16(__m128i bytes, __m128i wanted)
{
	return (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));
}

/* scan_two() - the @first and @second characters in the 64 bytes at @at */
static inline struct scan scan_two(const uint8_t *at, char first, char second)
{
	__m128i wanted = _mm_set1_epi8(first), other = _mm_set1_epi8(second);
	const __m128i *from = (const __m128i *)(const void *)at;
	__m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
	__m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);

	return (struct scan){
		scan_mask_16(a, wanted) | scan_mask_16(b, wanted) << 16 |
			scan_mask_16(c, wanted) << 32 | scan_mask_16(d, wanted) << 48,
		scan_mask_16(a, other) | scan_mask_16(b, other) << 16 |
			scan_mask_16(c, other) << 32 | scan_mask_16(d, other) << 48,
	};
}

#else

/* bit 7 of each byte that equals @c, gathered into 8 bits */
static inline uint64_t scan_mask_8(uint64_t bytes, uint8_t c)
{
	const uint64_t each = UINT64_C(0x0101010101010101), low = each * 0x7f;
	uint64_t differ = bytes ^ c * each;

	differ = ~(((differ & low) + low) | differ | low); /* 0x80 where nothing differs, else 0 */
	return (differ >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline struct scan scan_two(const uint8_t *at, char first, char second)
{
	struct scan s = {0};

	for (unsigned i = 0; i < SCAN_BYTES; i += 8) {
		uint64_t bytes;

		memcpy(&bytes, at + i, 8);
		bytes = le64toh(bytes);
		s.first |= scan_mask_8(bytes, (uint8_t)first) << i;
		s.second |= scan_mask_8(bytes, (uint8_t)second) << i;
	}
	return s;
}

#endif

/* scan_tail() - the same for the last @left < 64 bytes of @in; bits behind them are 0 */
static inline struct scan scan_tail(struct span in, size_t left, char first, char second)
{
	uint8_t padded[SCAN_BYTES] = {0};
	struct scan s;

	if (in.len < SCAN_BYTES) {
		if (left)
			memcpy(padded, in.ptr + in.len - left, left);
		s = scan_two(padded, first, second);
		return (struct scan){s.first & ((UINT64_C(1) << left) - 1),
				     s.second & ((UINT64_C(1) << left) - 1)};
	}
	s = scan_two(in.ptr + in.len - SCAN_BYTES, first, second);
	return left ? (struct scan){s.first >> (SCAN_BYTES - left), s.second >> (SCAN_BYTES - left)}
		    : (struct scan){0};
}
