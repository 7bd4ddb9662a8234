// SPDX-License-Identifier: Apache-2.0
/*
 * http1_watch.h - header names that mean something: those of wire/noted.h, and those whose values are secrets
 *
 * Found by one look: nearly all other names fail a test of their length and three letters. Written by its
 * owner only, while it is made. Thread: any.
 */
#pragma once

#include "lib/base.h"

/* eight letters at once: of the characters that names are made of, only letters have bit 6 */
static inline bool http1_name_eq_8(const uint8_t *s, const uint8_t *lower)
{
	uint64_t a, b;

	memcpy(&a, s, 8);
	memcpy(&b, lower, 8);
	return (a | (b & UINT64_C(0x4040404040404040)) >> 1) == b;
}

/* http1_name_eq() - do @len letters at @s, in any case, equal those at @lower, which are a-z, 0-9, : - and / only? */
static inline bool http1_name_eq(const uint8_t *s, const uint8_t *lower, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8)
		if (!http1_name_eq_8(s + i, lower + i))
			return false;
	if (i == len)
		return true;
	if (i)
		/* the rest, some of it again */
		return http1_name_eq_8(s + len - 8, lower + len - 8);
	for (; i < len; i++)
		if ((s[i] | (lower[i] & 0x40) >> 1) != lower[i])
			return false;
	return true;
}

/* A name, what is noted of it and by which rule its value is a secret. */
struct http1_name {
	struct span text; /* lower case, of whoever added it */
	uint8_t noted;	  /* enum noted; NOTED_NONE: nothing */
	uint8_t rule;	  /* given to http1_watch_add(); 0: none */
	bool is_plain;	  /* made of the characters that http1_name_eq() takes */
	uint16_t next;	  /* 1 + the row that shares its slot; 0: none */
};

#define HTTP1_WATCH_SLOTS    1024 /* power of two */
#define HTTP1_WATCH_ROWS_MIN 16	  /* those of wire/noted.h */

struct http1_watch {
	struct http1_name *rows; /* the owner's memory */
	size_t count, max;
	/* 1 + the row that begins the slot's chain; 0: no name is there */
	uint16_t first[HTTP1_WATCH_SLOTS];
};

/* http1_watch_init() - the names of wire/noted.h; @rows: the caller's memory for @max >= HTTP1_WATCH_ROWS_MIN names */
void http1_watch_init(struct http1_watch *w, struct http1_name *rows, size_t max);
/* http1_watch_add() - a name in lower case, borrowed, and its rule; one that is there takes the new rule */
void http1_watch_add(struct http1_watch *w, struct span name, uint8_t rule);
/* http1_watch_slow() - http1_watch_find() for a name that shares the slot of one that is there */
const struct http1_name *http1_watch_slow(const struct http1_watch *w, struct span name,
					  size_t slot);

/*
 * Of the length and of first, middle and last letter in any case; @name is not empty. The factors are such that
 * no header met every day shares a slot with one that means something.
 */
static inline size_t http1_watch_slot(struct span name)
{
	size_t a = name.ptr[0] & 31u, b = name.ptr[name.len / 2] & 31u,
	       c = name.ptr[name.len - 1] & 31u;

	return (name.len * 296 + a * 165 + b * 783 - c * 8) % HTTP1_WATCH_SLOTS;
}

/* http1_watch_find() - the row of a name in any case; NULL: it means nothing. @name is not empty */
static inline const struct http1_name *http1_watch_find(const struct http1_watch *w,
							struct span name)
{
	size_t slot = http1_watch_slot(name);

	return LIKELY(w->first[slot] == 0) ? NULL : http1_watch_slow(w, name, slot);
}

/* http1_is_noted_watched() - http1_is_watched() of a name of wire/noted.h, which is not NOTED_NONE: their rows stand first */
static inline bool http1_is_noted_watched(const struct http1_watch *w, unsigned noted)
{
	return w && w->rows[noted - 1].rule;
}

/* http1_is_watched() - @name has a rule; @w may be NULL, @name empty */
static inline bool http1_is_watched(const struct http1_watch *w, struct span name)
{
	const struct http1_name *row = w && name.len ? http1_watch_find(w, name) : NULL;

	return row && row->rule;
}
