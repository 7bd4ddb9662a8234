// SPDX-License-Identifier: Apache-2.0
/* utf8.h - is it UTF-8, and how wide does it look */
#pragma once

#include "lib/base.h"

/* utf8_len() - bytes of the sequence at @p (RFC 3629: no overlong forms, no surrogates); 0: invalid
 */
size_t utf8_len(const uint8_t *p, size_t left);
bool utf8_is_valid(struct span s);
/* utf8_rune() - the code point of a valid sequence of @len bytes */
uint32_t utf8_rune(const uint8_t *p, size_t len);
/*
 * utf8_width() - columns that a code point takes on a terminal: 0, 1 or 2; -1 for one that must not
 * reach a terminal (controls, direction marks). Wide ranges after Unicode's East Asian Width; the
 * locale is not asked, so that output does not depend on it.
 */
int utf8_width(uint32_t rune);
/* utf8_put() - write a code point up to U+10FFFF. Return: bytes written, 1 to 4. */
size_t utf8_put(uint32_t rune, uint8_t out[4]);
