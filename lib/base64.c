// SPDX-License-Identifier: Apache-2.0
#include "lib/base64.h"

static int sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct span s, uint8_t *to, size_t *len_out)
{
	size_t pad = 0, n = 0;

	if (s.len % 4)
		return false;
	while (pad < 2 && pad < s.len && s.ptr[s.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < s.len; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int six = i + k >= s.len - pad ? 0 : sextet(s.ptr[i + k]);

			if (six < 0)
				return false;
			v = v << 6 | (uint32_t)six;
		}
		to[n++] = (uint8_t)(v >> 16);
		to[n++] = (uint8_t)(v >> 8);
		to[n++] = (uint8_t)v;
	}
	*len_out = n - pad;
	return true;
}
