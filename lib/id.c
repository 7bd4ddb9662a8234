// SPDX-License-Identifier: Apache-2.0
#include "lib/id.h"

#include <errno.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const char *id_format(uint64_t id, char out[ID_TEXT_LEN + 1])
{
	out[ID_TEXT_LEN] = '\0';
	for (int i = ID_TEXT_LEN - 1; i >= 0; i--) {
		out[i] = alphabet[id & 31];
		id >>= 5;
	}
	return out;
}

static int letter_value(uint8_t c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c & ~0x20);
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	at = c ? memchr(alphabet, c, sizeof(alphabet) - 1) : NULL;
	return at ? (int)(at - alphabet) : -EINVAL;
}

int id_parse(struct span text, uint64_t *id_out, unsigned *ending_bits_out)
{
	uint64_t id = 0;

	if (text.len == 0 || text.len > ID_TEXT_LEN)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		int v = letter_value(text.ptr[i]);

		if (v < 0 || (text.len == ID_TEXT_LEN && i == 0 && v > 15))
			return -EINVAL;
		id = id << 5 | (uint64_t)v;
	}
	*id_out = id;
	*ending_bits_out = MIN((unsigned)text.len * 5, 64U);
	return 0;
}
