// SPDX-License-Identifier: Apache-2.0
/* base64.h - read what lib/json.h's json_base64() writes (RFC 4648 section 4) */
#pragma once

#include "lib/base.h"

/* base64_decoded_max() - bytes that @len characters decode to, at most */
static inline size_t base64_decoded_max(size_t len)
{
	return len / 4 * 3;
}

/**
 * base64_decode() - padding is demanded, nothing else may stand in it
 * @to: base64_decoded_max(@s.len) bytes
 *
 * Return: false when it is no base64; @len_out is then untouched.
 */
bool base64_decode(struct span s, uint8_t *to, size_t *len_out) MUST_USE;
