// SPDX-License-Identifier: Apache-2.0
/*
 * route_rules.h - positions of paths that vary, learned from the traffic: /users/ann -> /users/{}
 *
 * What a single path tells (numbers, UUIDs) wire/route.h has replaced before. Memory is bounded.
 * Thread: one.
 */
#pragma once

#include "lib/base.h"

struct route_rules;

#define ROUTE_RULES_WORDS     128  /* different words at one position make it a variable one */
#define ROUTE_RULES_MAX	      1024 /* rules; no more are learned then */
#define ROUTE_RULES_POSITIONS 1024 /* positions observed at once; then all is observed anew */

struct route_rules *route_rules_new(void) MUST_USE; /* NULL: no memory */
void route_rules_free(struct route_rules *r);	    /* accepts NULL */
AUTO_DEFINE(route_rules, route_rules_free)

/**
 * route_rules_learn() - the route of a path by what was learned, and learn from it
 * @server: whose paths they are: a position varies for one server at a time
 * @route:  as route_of() wrote it; one that does not begin with a slash is left alone
 *
 * Return: @route where nothing varies, else a text in @r, until the next call.
 */
struct span route_rules_learn(struct route_rules *r, struct span server, struct span route);
/* route_rules_apply() - likewise, learning nothing */
struct span route_rules_apply(struct route_rules *r, struct span server, struct span route);

/* A rule: of @server's paths the segment behind @prefix ("/users/") is {}. In order of learning. */
size_t route_rules_count(const struct route_rules *r);
void route_rules_get(const struct route_rules *r, size_t which, struct span *server,
		     struct span *prefix);
/* route_rules_add() - one that was learned before. Return: 0, -ENOMEM, -E2BIG when there is no room
 */
int route_rules_add(struct route_rules *r, struct span server, struct span prefix) MUST_USE;
