// SPDX-License-Identifier: Apache-2.0
/* routes.h - which function answers which path */
#pragma once

#include "lib/base.h"

struct request;

enum param {
#define PARAM(NAME, name, what) PARAM_INDEX_##NAME,
#include "http-api/routes.tbl.h"
#undef PARAM
	PARAM_COUNT
};

enum param_bit {
#define PARAM(NAME, name, what) PARAM_##NAME = 1 << PARAM_INDEX_##NAME,
#include "http-api/routes.tbl.h"
#undef PARAM
};

struct param_row {
	const char *name, *what;
};
extern const struct param_row param_rows[PARAM_COUNT];

/* route_fn - answer a request: what it does not answer itself, it has filled in
 * (http-api/request.h) */
typedef void route_fn(struct request *q);

/* who may ask, where tokens are demanded (http-api/access.c) */
enum route_access {
	ROUTE_OPEN,	/* anybody: it tells nothing */
	ROUTE_SCOPED,	/* each what they may see */
	ROUTE_MESSAGES, /* likewise, and it is written to the log that they did */
	ROUTE_DAEMON,	/* who may see all, or `get /metrics` */
};

struct route {
	const char *path; /* "/api/v1/exchanges/{id}" */
	const char *what;
	route_fn *answer;
	enum route_access access;
	unsigned params; /* enum param_bit */
};
#define ROUTE(function, path, access, params, what) route_fn function;
#include "http-api/routes.tbl.h"
#undef ROUTE
extern const struct route routes[];
extern const size_t route_count;

/**
 * routes_find() - the route of a path
 * @path:   percent-encoded as received, without query
 * @id_out: what stands for {id}; empty without. Borrowed from @path.
 *
 * Return: NULL when there is none.
 */
const struct route *routes_find(struct span path, struct span *id_out);
