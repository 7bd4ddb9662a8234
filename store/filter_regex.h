// SPDX-License-Identifier: Apache-2.0
/*
 * filter_regex.h - regular expressions with limits (PCRE2)
 *
 * A pattern is searched for anywhere in a text, as RE2 and CEL do; ^ and $ are the text's ends.
 * Texts are bytes of strangers: what is no UTF-8 in them matches nothing but does not stop the
 * search.
 */
#pragma once

#include "lib/err.h"

#define FILTER_REGEX_BYTES_MAX 1024   /* of a pattern */
#define FILTER_REGEX_STEPS_MAX 200000 /* matching steps in one text; then it is given up */
#define FILTER_REGEX_DEPTH_MAX 10000  /* of backtracking, where there is no compiled code */
#define FILTER_REGEX_HEAP_KIB  4096

struct filter_regex;	  /* immutable: any thread may use it */
struct filter_regex_room; /* what one search needs; of one thread */

/**
 * filter_regex_new() - compile a pattern
 * @at_out: on failure where in the pattern [bytes]
 * @e:      -EINVAL what PCRE2 says; -E2BIG longer than FILTER_REGEX_BYTES_MAX; -ENOMEM
 */
int filter_regex_new(struct span pattern, struct filter_regex **out, size_t *at_out,
		     struct err *e) MUST_USE;
void filter_regex_free(struct filter_regex *r); /* accepts NULL */
struct span filter_regex_text(const struct filter_regex *r);

struct filter_regex_room *filter_regex_room_new(void) MUST_USE; /* NULL: no memory */
void filter_regex_room_free(struct filter_regex_room *room);	/* accepts NULL */

/* filter_regex_search() - Return: 1 found, 0 not, -E2BIG given up at a limit, -ENOMEM. */
int filter_regex_search(const struct filter_regex *r, struct filter_regex_room *room,
			struct span text);
