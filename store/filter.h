// SPDX-License-Identifier: Apache-2.0
/*
 * filter.h - which exchanges: one language for recording, listing and replaying
 *
 * A subset of CEL over schema/fields.tbl.h. A parsed filter is immutable: any thread may use it.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/exchange.h"

struct filter;

/**
 * filter_parse() - read an expression, or one of the bare forms 500, 5xx, /api/cart*, cart
 * @text: UTF-8; empty selects everything
 * @e:    names the column [characters from 1] and shows the line with a caret under it
 *
 * Return: 0 with a filter to be freed by filter_free(); -EINVAL; -E2BIG too long or too deep;
 * -ENOMEM.
 */
int filter_parse(struct span text, struct filter **f_out, struct err *e) MUST_USE;
void filter_free(struct filter *f); /* accepts NULL */
AUTO_DEFINE(filter, filter_free)

/* filter_matches() - the answer for one exchange in memory, messages included */
bool filter_matches(const struct filter *f, const struct exchange *x);
/* filter_wants_messages() - it looks at heads or bodies: the exchange must come with them */
bool filter_wants_messages(const struct filter *f);

/* One bound parameter of the SQL: text (or BLOB) when text.ptr is set, else number. */
struct filter_param {
	struct span text; /* borrowed from the filter and from filter_sql.bytes */
	int64_t number;
	bool is_blob; /* text: bind it as BLOB */
};
struct filter_sql {
	struct buf where;	     /* a condition over SQL_FROM (schema/sql.h); "1" for all */
	struct filter_param *params; /* in order of the ? in where; owned */
	size_t param_count;
	uint8_t *bytes; /* what params were made up for the SQL; owned */
	bool is_exact;	/* false: rows that pass must still be judged by filter_matches() */
};
/* filter_to_sql() - never excludes a row that filter_matches() would take. Return: 0 or -ENOMEM. */
int filter_to_sql(const struct filter *f, struct filter_sql *out) MUST_USE;
void filter_sql_fini(struct filter_sql *s);
/* filter_describe() - the expression with all its brackets, for --explain and for tests */
void filter_describe(const struct filter *f, struct buf *out);
