// SPDX-License-Identifier: Apache-2.0
/* read_list.h - a query as SQL, and its answer merged from all tapes. @e is never NULL. */
#pragma once

#include "store/filter.h"
#include "store/fulltext.h"
#include "store/read_set.h"

#define READ_PLAN_TRACES_MAX 16

/* A query made ready: the same for every tape. */
struct read_plan {
	const struct query *q;
	struct filter_sql filter;
	const char *extra;   /* one more condition; NULL: none */
	bool is_all;	     /* the filter's SQL excludes nothing: no need of kinds and peers */
	bool wants_messages; /* of the caller or the filter */
	bool needs_residual; /* filter_judge() has the last word */
	struct span texts[FULLTEXT_TERMS_MAX]; /* of the filter: that an index may know */
	size_t text_count;
	struct span traces[READ_PLAN_TRACES_MAX]; /* of the filter: likewise */
	size_t trace_count;
	struct buf *explains; /* NULL, or where SQLite's plan goes; rows are then counted */
};

/* read_plan_init() - @extra: SQL that lives as long as the plan, or NULL */
int read_plan_init(struct read_plan *p, const struct query *q, const char *extra,
		   struct err *e) MUST_USE;
void read_plan_fini(struct read_plan *p);
/* read_plan_where() - append " WHERE ...": the ids, the times, the filter */
void read_plan_where(const struct read_plan *p, struct buf *sql);
/*
 * read_plan_bind() - bind what read_plan_where() needs, from parameter @at on
 * @after, @before: ids exclusive
 *
 * Return: the next free parameter.
 */
int read_plan_bind(const struct read_plan *p, struct sqlite3_stmt *st, int at, uint64_t after,
		   uint64_t before);
/* read_plan_window() - which ids can be meant on a tape, exclusive. Return: false when there are
 * none.
 */
bool read_plan_window(const struct read_plan *p, const struct tape_summary *sum, uint64_t *after,
		      uint64_t *before);

/*
 * read_plan_names_only() - is the filter's SQL all of it, and does it name no other columns?
 * @allowed: names with their tables, or "table." for all of a table; ends with NULL
 */
bool read_plan_names_only(const struct read_plan *p, const char *const *allowed);

#define READ_PLAN_KINDS_MAX 48 /* kinds that are followed one by one on a sealed tape */
/**
 * read_plan_kinds() - which kinds of a tape may match
 * @numbers: filled in
 *
 * Return: how many; READ_PLAN_KINDS_MAX + 1: too many to follow, or all: read everything; negative
 * errno.
 */
int read_plan_kinds(const struct read_plan *p, struct tape *t,
		    uint64_t numbers[READ_PLAN_KINDS_MAX], struct err *e) MUST_USE;
/* read_plan_kinds_sql() - what read_plan_kinds() asks */
void read_plan_kinds_sql(const struct read_plan *p, const char *select, struct buf *sql);

/*
 * read_list_sql() - the statement for a tape, or for one kind of it
 * @common_kinds: of the tape; NULL: not for one kind
 */
void read_list_sql(const struct read_plan *p, const char *common_kinds, struct buf *sql);
/* read_explain_plan() - add SQLite's plan of @sql to p->explains, once for each form */
int read_explain_plan(const struct read_plan *p, struct tape *t, const char *form, const char *sql,
		      struct err *e) MUST_USE;
/* read_list() - as reader_list(), with the plan made */
int read_list(struct reader *r, const struct read_plan *p, reader_exchange_fn *fn, void *ctx,
	      uint64_t *cursor_out, struct err *e) MUST_USE;
