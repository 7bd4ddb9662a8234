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
/* filter_parse_at() - likewise, for a question that is asked now: now() is @now_ns; without it,
 * refused */
int filter_parse_at(struct span text, uint64_t now_ns, struct filter **f_out,
		    struct err *e) MUST_USE;
/**
 * filter_restrict() - from now on it takes only exchanges with one end in one of @namespaces
 * @f: not shared yet, not restricted yet
 * @namespaces: copied; with none of them nothing is taken
 *
 * What it looks at besides is judged of such exchanges alone, so nothing of any other shows: not in
 * its answer, not in filter_gave_up(). Return: 0 or -ENOMEM, and @f is as before.
 */
int filter_restrict(struct filter *f, const struct span *namespaces, size_t count) MUST_USE;
bool filter_is_restricted(const struct filter *f);
void filter_free(struct filter *f); /* accepts NULL */
AUTO_DEFINE(filter, filter_free)

/*
 * A scratch is what judging needs beside the filter; it belongs to one thread and is used again and
 * again, so that judging allocates nothing as a rule.
 */
struct filter_scratch;
struct filter_scratch *filter_scratch_new(void) MUST_USE; /* NULL: no memory */
void filter_scratch_free(struct filter_scratch *s);	  /* accepts NULL */
AUTO_DEFINE(filter_scratch, filter_scratch_free)

/* filter_judge() - the answer for one exchange in memory, messages included */
bool filter_judge(const struct filter *f, struct filter_scratch *s, const struct exchange *x);
/* filter_matches() - likewise, with a scratch of its own; false without memory */
bool filter_matches(const struct filter *f, const struct exchange *x);
/*
 * filter_gave_up() - tests that reached a limit (a regular expression's steps, the work for one
 * exchange) since the filter was read; such a test counts as false. Any thread.
 */
uint64_t filter_gave_up(const struct filter *f);
/* filter_wants_messages() - it looks at heads or bodies: the exchange must come with them */
bool filter_wants_messages(const struct filter *f);

/* One bound parameter of the SQL: text (or BLOB) when text.ptr is set, a node, else number. */
struct filter_param {
	struct span text; /* borrowed from the filter and from filter_sql.bytes */
	int64_t number;
	bool is_blob;				  /* text: bind it as BLOB */
	const struct filter_condition *condition; /* a calculated condition, bound as a pointer */
};
struct filter_sql {
	struct buf where;	     /* a condition over SQL_FROM (schema/sql.h); "1" for all */
	struct filter_param *params; /* in order of the ? in where; owned */
	size_t param_count;
	uint8_t *bytes;			     /* what params were made up for the SQL; owned */
	struct filter_condition *conditions; /* owned; params point into it */
	size_t condition_count;
	bool is_exact; /* false: rows that pass must still be judged by filter_matches() */
};
/* filter_to_sql() - never excludes a row that filter_matches() would take. Return: 0 or -ENOMEM. */
int filter_to_sql(const struct filter *f, struct filter_sql *out) MUST_USE;
void filter_sql_fini(struct filter_sql *s);
/*
 * filter_sql_bind() - bind all parameters, from number @at on; @s must outlive the statement's
 * steps Return: the next free parameter.
 */
struct sqlite3_stmt;
int filter_sql_bind(const struct filter_sql *s, struct sqlite3_stmt *st, int at);
/* filter_sql_register() - make known to a connection the function that the SQL may call. Return: 0
 * or -ENOMEM. */
struct sqlite3;
int filter_sql_register(struct sqlite3 *db) MUST_USE;
/* filter_describe() - the expression with all its brackets, for --explain and for tests */
void filter_describe(const struct filter *f, struct buf *out);
/* filter_texts() - what it takes as text("..."), in lower case, whatever else holds. Return: how many, @max at most. */
size_t filter_texts(const struct filter *f, struct span *out, size_t max);
/* filter_traces() - the trace ids of which one is taken, whatever else holds; none is empty. Return: how many; 0: any, or more
 * than @max. */
size_t filter_traces(const struct filter *f, struct span *out, size_t max);
/* filter_quote() - @s as a string literal of the language */
void filter_quote(struct span s, struct buf *out);
