// SPDX-License-Identifier: Apache-2.0
/*
 * json.h - write JSON (RFC 8259) straight into a buffer: no tree, no allocation per value
 *
 * No name here is one of jansson's (which reads JSON for us): a program linked with both would
 * otherwise have ours called from inside that library.
 */
#pragma once

#include "lib/buf.h"

struct json {
	struct buf *out;  /* borrowed; check out->is_failed at the end */
	bool needs_comma; /* something stands before us at this level */
};

static inline struct json json_to(struct buf *out)
{
	return (struct json){.out = out};
}

void json_object_begin(struct json *j); /* { */
void json_object_end(struct json *j);	/* } */
void json_array_begin(struct json *j);	/* [ */
void json_array_end(struct json *j);	/* ] */
void json_key(struct json *j, const char *key);
void json_key_span(struct json *j, struct span key); /* written as json_text() writes */
/*
 * Text from the wire need not be UTF-8. A byte that is not part of valid UTF-8 is written as the
 * four characters \xNN, so that every document is valid and the byte stays readable.
 */
void json_text(struct json *j, struct span s);
void json_str(struct json *j, const char *s); /* NULL gives null */
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_double(struct json *j, double v);	  /* six significant digits; null if not finite */
void json_double_exact(struct json *j, double v); /* as many digits as reading it back takes */
void json_bool(struct json *j, bool v);
void json_none(struct json *j);
/* RFC 3339 as lib/clock.h writes it; 0 gives null */
void json_time(struct json *j, uint64_t wall_ns);
void json_base64(struct json *j, struct span s); /* RFC 4648 section 4, with padding */

/* key and value in one call */
void json_key_text(struct json *j, const char *key, struct span s);
void json_key_str(struct json *j, const char *key, const char *s);
void json_key_u64(struct json *j, const char *key, uint64_t v);
/* json_key_counts() - an array of @n numbers */
void json_key_counts(struct json *j, const char *key, const uint64_t *values, size_t n);
void json_key_bool(struct json *j, const char *key, bool v);
