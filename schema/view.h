// SPDX-License-Identifier: Apache-2.0
/*
 * view.h - two records of one exchange, seen at the client's end and at the server's: known as such, and joined
 *
 * On one node record/views.c joins them as they come; those of two nodes are joined by who asks both.
 */
#pragma once

#include "schema/exchange.h"

#define VIEW_APART_NS NS_PER_S /* between two views of one request */

/* view_matches() - could both be views of one exchange? Where they were captured is the caller's business. */
bool view_matches(const struct exchange *a, const struct exchange *b);
/* view_is_better() - was more of it seen? */
bool view_is_better(const struct exchange *x, const struct exchange *than);
/**
 * view_join() - one exchange with the times of both ends, each end as its own view has it
 * @keep: @client or @server, whose messages, id and start are kept; changed
 *
 * Return: @keep, which borrows from both.
 */
struct exchange *view_join(struct exchange *keep, const struct exchange *client,
			   const struct exchange *server);
