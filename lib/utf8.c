// SPDX-License-Identifier: Apache-2.0
#include "lib/utf8.h"

size_t utf8_len(const uint8_t *p, size_t left)
{
	uint32_t c = p[0];

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf && left >= 2 && (p[1] & 0xc0) == 0x80)
		return 2;
	if (c >= 0xe0 && c <= 0xef && left >= 3 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
		if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4 && left >= 4 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
	    (p[3] & 0xc0) == 0x80) {
		if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

bool utf8_is_valid(struct span s)
{
	size_t i = 0;

	while (i < s.len) {
		size_t n;

		if (LIKELY(s.ptr[i] < 0x80)) {
			i++;
			continue;
		}
		n = utf8_len(s.ptr + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

uint32_t utf8_rune(const uint8_t *p, size_t len)
{
	switch (len) {
	case 2: return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	case 3: return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	case 4:
		return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
		       (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
	default: return p[0];
	}
}

struct range {
	uint32_t first, last;
	int8_t width;
};

/* in order; what stands in none of them is one column wide */
// clang-format off
static const struct range ranges[] = {
	{0x0000, 0x001f, -1},   /* C0 controls: ESC begins terminal sequences */
	{0x007f, 0x009f, -1},   /* DEL and C1 controls: CSI in one byte */
	{0x00ad, 0x00ad, -1},   /* soft hyphen: shown or not as the terminal likes */
	{0x0300, 0x036f, 0},    /* combining marks */
	{0x0483, 0x0489, 0},
	{0x0591, 0x05bd, 0},
	{0x061c, 0x061c, -1},   /* Arabic letter mark */
	{0x064b, 0x065f, 0},
	{0x1100, 0x115f, 2},    /* Hangul Jamo initials */
	{0x1ab0, 0x1aff, 0},
	{0x1dc0, 0x1dff, 0},
	{0x200b, 0x200f, -1},   /* zero width and direction marks: they hide or reorder text */
	{0x2028, 0x202e, -1},   /* line separators, embeddings and overrides */
	{0x2060, 0x206f, -1},
	{0x20d0, 0x20ff, 0},
	{0x231a, 0x231b, 2},
	{0x23e9, 0x23ec, 2},
	{0x2e80, 0x303e, 2},    /* CJK radicals to punctuation */
	{0x3041, 0x33ff, 2},
	{0x3400, 0x4dbf, 2},
	{0x4e00, 0xa4cf, 2},
	{0xa960, 0xa97f, 2},
	{0xac00, 0xd7a3, 2},    /* Hangul syllables */
	{0xe000, 0xf8ff, 1},
	{0xf900, 0xfaff, 2},
	{0xfe00, 0xfe0f, 0},    /* variation selectors */
	{0xfe20, 0xfe2f, 0},
	{0xfe30, 0xfe6f, 2},
	{0xfeff, 0xfeff, -1},   /* byte order mark */
	{0xff00, 0xff60, 2},    /* full-width forms */
	{0xffe0, 0xffe6, 2},
	{0xfff9, 0xfffb, -1},
	{0x1f300, 0x1f64f, 2},  /* pictures */
	{0x1f680, 0x1f6ff, 2},
	{0x1f900, 0x1f9ff, 2},
	{0x20000, 0x3fffd, 2},
	{0xe0000, 0xe0fff, -1}, /* tags: invisible text */
};
// clang-format on

int utf8_width(uint32_t rune)
{
	size_t low = 0, high = COUNT_OF(ranges);

	if (rune >= 0x20 && rune < 0x7f)
		return 1;
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (rune > ranges[mid].last)
			low = mid + 1;
		else if (rune < ranges[mid].first)
			high = mid;
		else
			return ranges[mid].width;
	}
	return 1;
}

size_t utf8_put(uint32_t rune, uint8_t out[4])
{
	size_t n = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
	static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; rune >>= 6)
		out[i] = (uint8_t)(0x80 | (rune & 0x3f));
	out[0] = (uint8_t)(marks[n] | rune);
	return n;
}
