// SPDX-License-Identifier: Apache-2.0
#include "wire/huffman.h"

#include <endian.h>
#include <errno.h>

/*
 * Theory of operation
 *
 * The next bits stand at the top of a register. The first 8 of them say which symbol it is, if its code is
 * no longer than that, as nearly all in text are. Longer codes are canonical: those of one length are consecutive
 * numbers, so the first length whose codes end behind the bits at hand is theirs.
 */

#define EOS	    256
#define PADDING_MAX 7

/* the symbol below, the bits of its code above; 0 bits: the code is longer */
static const uint16_t prefixes[256] = {
#define PREFIX(symbol, bits) (bits) << 8 | (symbol),
#include "wire/huffman.tbl.h"
#undef PREFIX
};

static const struct {
	uint64_t end; /* of the codes of this length, as the top of 32 bits */
	uint8_t bits;
	uint8_t first; /* in symbols */
} lengths[] = {
#define LONG(bits, end, first) {end, bits, first},
#include "wire/huffman.tbl.h"
#undef LONG
};

static const uint16_t symbols[] = {
#define SYMBOL(n) n,
#include "wire/huffman.tbl.h"
#undef SYMBOL
};

/* Bits that were read and not used up. */
struct bits {
	uint64_t top; /* they stand at its top; zeros below */
	unsigned count;
	struct span rest;
};

static inline void refill(struct bits *b)
{
	if (LIKELY(b->rest.len >= 8)) {
		unsigned bytes = (63 - b->count) >> 3;
		uint64_t more;

		memcpy(&more, b->rest.ptr, 8);
		/* what is shifted in beyond `count` is shifted in again next time: it is the same */
		b->top |= be64toh(more) >> b->count;
		b->count += bytes * 8;
		b->rest = (struct span){b->rest.ptr + bytes, b->rest.len - bytes};
		return;
	}
	while (b->count <= 56 && b->rest.len) {
		b->top |= (uint64_t)b->rest.ptr[0] << (56 - b->count);
		b->count += 8;
		b->rest = span_from(b->rest, 1);
	}
}

/* Return: a symbol, EOS, or -1: the bits end within its code */
static int long_symbol(struct bits *b)
{
	uint64_t code = b->top >> 32, begin = 0;

	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		unsigned n = lengths[i].bits;

		if (code >= lengths[i].end)
			continue;
		if (n > b->count)
			return -1;
		/* where codes of this length begin: at the end of the shorter ones, or of those of 8 bits */
		begin = i ? lengths[i - 1].end : UINT64_C(0xfe000000);
		b->top <<= n;
		b->count -= n;
		return symbols[lengths[i].first + ((code - begin) >> (32 - n))];
	}
	return EOS;
}

static bool is_padding(const struct bits *b)
{
	return b->count <= PADDING_MAX &&
	       (b->count == 0 || b->top >> (64 - b->count) == (UINT64_C(1) << b->count) - 1);
}

/* Symbols of up to 8 bits, as long as so many are at hand. */
static inline uint8_t *take_short(struct bits *b, uint8_t *to)
{
	uint64_t top = b->top;
	unsigned count = b->count;

	while (count >= 8) {
		unsigned found = prefixes[top >> 56];

		if (UNLIKELY(found == 0))
			break;
		*to++ = (uint8_t)found;
		top <<= found >> 8;
		count -= found >> 8;
	}
	b->top = top;
	b->count = count;
	return to;
}

int64_t huffman_decode(struct span in, uint8_t *out)
{
	struct bits b = {.rest = in};
	uint8_t *to = out;

	for (;;) {
		unsigned found;
		int symbol;

		if (b.count < 32)
			refill(&b);
		to = take_short(&b, to);
		if (b.rest.len && b.count < 32)
			continue;
		found = prefixes[b.top >> 56];
		if (found && found >> 8 <= b.count) {
			*to++ = (uint8_t)found;
			b.top <<= found >> 8;
			b.count -= found >> 8;
			continue;
		}
		symbol = found || b.count == 0 ? -1 : long_symbol(&b);
		if (symbol == EOS)
			return -EBADMSG;
		if (symbol < 0)
			return is_padding(&b) ? to - out : -EBADMSG;
		*to++ = (uint8_t)symbol;
	}
}
