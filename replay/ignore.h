// SPDX-License-Identifier: Apache-2.0
/* ignore.h - what makes no difference: the rules of --ignore, and a table of defaults */
#pragma once

#include "lib/err.h"

struct ignore;

/* How far a header is compared. */
enum ignore_how {
	IGNORE_NOTHING, /* presence and values */
	IGNORE_VALUE,	/* presence alone: a Date must be there, whatever it says */
	IGNORE_COOKIE,	/* Set-Cookie: cookies by name and attributes, not by value */
	/* compared only where there is no body to compare (HEAD): Content-Length */
	IGNORE_WITH_BODY,
	IGNORE_ALL, /* may also come or go */
};

/* ignore_new() - with or without the defaults of replay/ignore.tbl.h. Return: NULL when out of memory. */
struct ignore *ignore_new(bool has_defaults) MUST_USE;
void ignore_free(struct ignore *g);
AUTO_DEFINE(ignore, ignore_free)
/**
 * ignore_add() - one --ignore: "header:NAME", "headers", "body", "status", "event-id", or a path into JSON:
 * $.items[3].price, $.items[*].id, $.a.*, $..id (at any depth)
 *
 * What lies below an ignored path is ignored with it. Return: 0; -EINVAL no such rule; -ENOMEM.
 */
int ignore_add(struct ignore *g, const char *rule, struct err *e) MUST_USE;

enum ignore_how ignore_header(const struct ignore *g, struct span name);
bool ignore_status(const struct ignore *g);
bool ignore_body(const struct ignore *g); /* and all messages and events */
bool ignore_event_id(const struct ignore *g);
bool ignore_has_paths(const struct ignore *g);

/* A place in a JSON document: from the root outwards, as a chain on the caller's stack. */
struct ignore_place {
	const struct ignore_place *parent; /* NULL at the root, which is $ */
	struct span key;		   /* name of a member; ptr NULL: element of an array */
	size_t index;
};
/* ignore_place() - a rule names this very place (what lies above it was asked before) */
bool ignore_place(const struct ignore *g, const struct ignore_place *place);
