// SPDX-License-Identifier: Apache-2.0
/*
 * json_scan.h - a JSON text (RFC 8259) as a flat list of tokens that point into it
 *
 * No value is copied or converted: two documents can be compared where they lie, numbers digit by
 * digit. Memory is used again from one document to the next.
 */
#pragma once

#include "lib/base.h"

#define JSON_SCAN_DEPTH_MAX  256
#define JSON_SCAN_TOKENS_MAX (1U << 20)

enum json_scan_type {
	JSON_SCAN_NULL,
	JSON_SCAN_FALSE,
	JSON_SCAN_TRUE,
	JSON_SCAN_NUMBER,
	JSON_SCAN_STRING,
	JSON_SCAN_ARRAY,
	JSON_SCAN_OBJECT
};

struct json_token {
	uint32_t from, len; /* the value's text, quotes and brackets included */
	uint32_t next;	    /* index of the token behind this value and all it contains */
	uint8_t type;	    /* enum json_scan_type */
	bool has_escape;    /* a string with a backslash in it */
};

/*
 * tokens[0] is the whole; what it contains follows: elements of an array one after another,
 * members of an object as a string and its value.
 */
struct json_scan {
	const uint8_t *text; /* borrowed */
	struct json_token *tokens;
	uint32_t count, cap;
};

/**
 * json_scan() - read one document, blanks around it allowed
 * @s: zero-initialised, or used before
 *
 * Return: 0; -EBADMSG it is no JSON; -E2BIG over JSON_SCAN_DEPTH_MAX, JSON_SCAN_TOKENS_MAX or 4 GiB; -ENOMEM.
 */
int json_scan(struct json_scan *s, struct span text) MUST_USE;
void json_scan_fini(struct json_scan *s);

static inline struct span json_token_text(const struct json_scan *s, const struct json_token *t)
{
	return (struct span){s->text + t->from, t->len};
}
/* json_equal_strings(), json_equal_numbers() - equal as values: "\u0041" is "A", 1e1 is 10.0 */
bool json_equal_strings(struct span a, struct span b);
bool json_equal_numbers(struct span a, struct span b);
