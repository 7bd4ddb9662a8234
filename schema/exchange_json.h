// SPDX-License-Identifier: Apache-2.0
/*
 * exchange_json.h - the stable JSON form of an exchange, the same from REST and the command line
 *
 * Documented in docs/json.md. Summary: the fields of schema/fields.tbl.h, dotted names nested.
 * Whole: also "request"/"response" with headers, trailers and body.
 */
#pragma once

#include "lib/err.h"
#include "lib/json.h"
#include "schema/exchange.h"

enum exchange_json_part {
	EXCHANGE_JSON_SUMMARY, /* fields only */
	/* headers, trailers; bodies as text where valid UTF-8, else base64 */
	EXCHANGE_JSON_MESSAGES,
	/* messages as base64 of their bytes: what exchange_from_json() reads */
	EXCHANGE_JSON_EXACT,
};

/* exchange_to_json() - one object */
void exchange_to_json(struct json *j, const struct exchange *x, enum exchange_json_part part);
/**
 * exchange_from_json() - read what exchange_to_json() wrote (any part; EXACT gives the bytes back)
 * @text:  one JSON object
 * @x_out: its spans live in *@memory_out
 * @memory_out: to be freed by the caller with free()
 */
int exchange_from_json(struct span text, struct exchange *x_out, void **memory_out,
		       struct err *e) MUST_USE;
