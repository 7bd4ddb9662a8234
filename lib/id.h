// SPDX-License-Identifier: Apache-2.0
/* id.h - exchange ids as people see them: 13 letters of Crockford base32, time-ordered as text */
#pragma once

#include "lib/base.h"

#define ID_TEXT_LEN 13

/* id_format() - into @out, NUL-terminated. Return: @out. */
const char *id_format(uint64_t id, char out[ID_TEXT_LEN + 1]);
/*
 * id_parse() - a whole id or its ending: any case; O reads as 0, I and L as 1 (Crockford)
 * @ending_bits_out: how many low bits the letters give (5 a letter; 64 for a whole id)
 *
 * Return: 0, or -EINVAL when a letter is none of the alphabet or there are 0 or more than 13.
 */
int id_parse(struct span text, uint64_t *id_out, unsigned *ending_bits_out) MUST_USE;
