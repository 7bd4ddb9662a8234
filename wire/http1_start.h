// SPDX-License-Identifier: Apache-2.0
/* http1_start.h - the first line of an HTTP/1 message. Thread: any. */
#pragma once

#include "wire/http1_head.h"

static inline bool http1_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static inline bool http1_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

#define HTTP1_BLANKS_MAX 4  /* behind the version of a request line */
#define HTTP1_METHOD_MAX 32 /* letters; longer words begin no request */

/**
 * http1_start_parse() - read a start line
 * @line:   without its line end; where the head begins
 * @is_cut: it is only the beginning of one: a request line is then read as far as it goes
 * @h:      version, method_len, target, is_head, is_connect or status are filled in
 *
 * Return: false when it is none; @h is then undefined.
 */
bool http1_start_parse(enum http1_kind kind, struct span line, bool is_cut,
		       struct http1_head *h) MUST_USE;
/* http1_version_at() - "HTTP/1.1" in the 8 bytes at @s, in any case: 11; 0 when it is not that */
uint8_t http1_version_at(const uint8_t *s);
/* http1_is_method_char() - may stand in a method (token of RFC 9110 5.6.2) */
bool http1_is_method_char(uint8_t c);
