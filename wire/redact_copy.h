// SPDX-License-Identifier: Apache-2.0
/*
 * redact_copy.h - a head that is being copied with its secrets replaced; between the files of redaction
 *
 * Each redact_*() puts all of what it is given at the copy's end, in order. Thread: capture.
 */
#pragma once

#include "wire/redactor.h"

struct redact_copy {
	const struct redactor *r;
	uint8_t *out; /* NULL: only measured */
	size_t room;  /* at out */
	size_t len;
	size_t count;		       /* secrets so far */
	const uint8_t *from;	       /* of the head that is copied */
	const struct http1_head *info; /* positions in it; NULL: of no interest */
	struct http1_head *moved;      /* positions in the copy */
	bool is_unmovable;	       /* a tag covers one of them */
	bool is_in_query;	       /* a ? was passed in this URL */
	bool is_among_text;	       /* a URL ends at a blank, a quote or a bracket */
};

/* redact_put() - bytes that stay as they are */
static inline void redact_put(struct redact_copy *c, const uint8_t *from, const uint8_t *to)
{
	size_t n = (size_t)(to - from);

	if (c->len + n > c->room)
		c->out = NULL;
	if (c->out && n)
		memcpy(c->out + c->len, from, n);
	c->len += n;
}

/* redact_secret() - a tag in its place, unless it is one already, or empty */
void redact_secret(struct redact_copy *c, struct span secret);
/* redact_value() - a header's value */
void redact_value(struct redact_copy *c, enum redact_form form, struct span value);
/* redact_url() - a request target, or a URL that is all of a value */
void redact_url(struct redact_copy *c, struct span url);
/* redact_authority() - user:password@host, in a Host header or as the target of CONNECT */
void redact_authority(struct redact_copy *c, struct span s);
