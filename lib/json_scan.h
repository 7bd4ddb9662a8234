// SPDX-License-Identifier: Apache-2.0
/*
 * json_scan.h - find one value in a JSON text (RFC 8259) without making a tree
 *
 * For asking a body for one of its values: nothing is allocated, and of what lies beside the way
 * only quotes and brackets are looked at. So a text that is cut or damaged behind the value still
 * answers. jansson reads documents; this asks bytes of strangers for a path.
 */
#pragma once

#include "lib/buf.h"

enum json_scan_type {
	JSON_SCAN_ABSENT, /* there is no such value, or the text is no JSON on the way to it */
	JSON_SCAN_NULL,
	JSON_SCAN_BOOL,
	JSON_SCAN_INT, /* a number without fraction and exponent that 64 bits hold */
	JSON_SCAN_DOUBLE,
	JSON_SCAN_TEXT,
	JSON_SCAN_ARRAY,
	JSON_SCAN_OBJECT,
};

struct json_scan {
	uint8_t type;	    /* enum json_scan_type */
	bool has_escapes;   /* TEXT: json_scan_unescape() makes what it says */
	bool is_true;	    /* BOOL */
	struct span text;   /* in the source: TEXT without its quotes; ARRAY, OBJECT from their
			       bracket on */
	int64_t number;	    /* INT */
	double real;	    /* DOUBLE */
	struct span behind; /* in the source: what follows the value */
};

/* json_scan_value() - the value at the beginning of @source, blanks before it skipped */
struct json_scan json_scan_value(struct span source);
/* json_scan_member() - the first member of an object that has this name */
struct json_scan json_scan_member(const struct json_scan *object, struct span name);
/* json_scan_element() - element @index of an array, from 0 */
struct json_scan json_scan_element(const struct json_scan *array, uint64_t index);

/* Walk an array or an object: set .rest to its .text, call until false. */
struct json_scan_iter {
	struct span rest;
	struct json_scan key; /* TEXT in an object; ABSENT in an array */
	struct json_scan value;
	bool has_begun;
};
bool json_scan_next(struct json_scan_iter *it);

/*
 * json_scan_unescape() - write what a TEXT with escapes says: UTF-8, a lone surrogate as U+FFFD
 * @out: room for text.len bytes
 *
 * Return: bytes written.
 */
size_t json_scan_unescape(struct span text, uint8_t *out);
