// SPDX-License-Identifier: Apache-2.0
/* request_facts.h - what an exchange says of its request, from the head that was parsed. Thread:
 * any */
#pragma once

#include "wire/http1_head.h"
#include "wire/route.h"

/* request_facts() - method, target, host, path and so on as spans of x->request.head, which @info
 * describes; the route is the path */
void request_facts(struct exchange *x, const struct http1_head *info);

/* The route of a request, where it is known before its head lies where it will stay. */
struct request_route {
	uint8_t text[ROUTE_BYTES_MAX];
	size_t len;
	bool is_path; /* nothing in it is variable */
};
void request_route_of(struct request_route *r, const struct http1_head *info, struct span head);
