// SPDX-License-Identifier: Apache-2.0
/* read_list.h - a query as SQL, and its answer merged from all tapes. @e is never NULL. */
#pragma once

#include "store/filter.h"
#include "store/read_set.h"

/* A query made ready: the same for every tape. */
struct plan {
	const struct query *q;
	struct filter_sql filter;
	const char *extra;   /* one more condition; NULL: none */
	bool is_all;	     /* the filter's SQL excludes nothing: no need of kinds and peers */
	bool wants_messages; /* of the caller or the filter */
	bool needs_residual; /* filter_matches() has the last word */
};

/* plan_init() - @extra: SQL that lives as long as the plan, or NULL */
int plan_init(struct plan *p, const struct query *q, const char *extra, struct err *e) MUST_USE;
void plan_fini(struct plan *p);
/* plan_where() - append " WHERE ...": the ids, the times, the filter */
void plan_where(const struct plan *p, struct buf *sql);
/*
 * plan_bind() - bind what plan_where() needs, from parameter @at on
 * @after, @before: ids exclusive
 *
 * Return: the next free parameter.
 */
int plan_bind(const struct plan *p, struct sqlite3_stmt *st, int at, uint64_t after,
	      uint64_t before);
/* plan_window() - which ids can be meant on a tape, exclusive. Return: false when there are none.
 */
bool plan_window(const struct plan *p, const struct tape_summary *sum, uint64_t *after,
		 uint64_t *before);

#define PLAN_KINDS_MAX 48 /* kinds that are followed one by one on a sealed tape */
/**
 * plan_kinds() - which kinds of a tape may match
 * @numbers: filled in
 *
 * Return: how many; PLAN_KINDS_MAX + 1: too many to follow, or all: read everything; negative
 * errno.
 */
int plan_kinds(const struct plan *p, struct tape *t, uint64_t numbers[PLAN_KINDS_MAX],
	       struct err *e) MUST_USE;
/* plan_kinds_sql() - what plan_kinds() asks */
void plan_kinds_sql(const struct plan *p, const char *select, struct buf *sql);

/* read_list() - as reader_list(), with the plan made */
int read_list(struct reader *r, const struct plan *p, reader_exchange_fn *fn, void *ctx,
	      uint64_t *cursor_out, struct err *e) MUST_USE;
