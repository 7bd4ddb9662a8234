// SPDX-License-Identifier: Apache-2.0
/*
 * reader.h - ask a store: list, one, groups of failures
 *
 * A reader belongs to one thread; it sees what was committed, beside a running writer.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/exchange.h"

struct reader;
struct filter;

/**
 * reader_open() - open a directory of tapes, or one tape file, for reading
 * @e: -ENOENT no such thing; -EPROTONOSUPPORT made by a newer version; -EBADMSG no tape, or damaged
 */
int reader_open(const char *path, struct reader **r_out, struct err *e) MUST_USE;
void reader_close(struct reader *r); /* accepts NULL */
AUTO_DEFINE(reader, reader_close)
/*
 * reader_limit_ns() - a query that runs longer ends with -ETIMEDOUT; 0 = no limit
 * @now_ns: a clock, since store/ has none: clock_mono_ns
 */
void reader_limit_ns(struct reader *r, uint64_t ns, uint64_t (*now_ns)(void));

/*
 * reader_restrict() - whoever asks next may see only what @scope selects: a filter without
 * conditions that filter_restrict() has narrowed; NULL: all. Borrowed.
 *
 * reader_get() and reader_resolve() then know no other exchange. What takes a query refuses one
 * (-EACCES) whose filter is not restricted, so that no caller can forget to.
 */
void reader_restrict(struct reader *r, const struct filter *scope);

struct query {
	const struct filter *filter; /* NULL: all */
	uint64_t since_ns;	     /* start_ns >= since_ns; 0 = from the beginning */
	uint64_t until_ns;	     /* start_ns < until_ns; 0 = to the end */
	uint64_t cursor;	     /* continue behind this id; 0 = from the start */
	uint64_t limit;		     /* exchanges at most; 0 = all */
	bool is_reverse;	     /* oldest first; default newest first */
	bool wants_messages;	     /* heads and bodies too (costs a decompression each) */
};

/* What a list did: how it went, and where to go on when it ran out of time. */
struct reader_effort {
	uint64_t seen;	   /* rows that SQLite looked at; counted for an explanation only */
	uint64_t read;	   /* rows that its conditions let through */
	uint64_t judged;   /* of these, by the rest of the filter */
	uint64_t selected; /* exchanges handed out */
	uint64_t reached;  /* all before this id, as the list goes, was looked at; 0: nothing yet */
};

/* exchange_fn - @x is borrowed for the call. Return: 0 to go on, 1 to stop, or a negative errno. */
typedef int reader_exchange_fn(void *ctx, const struct exchange *x);

/**
 * reader_list() - the exchanges a query selects, in order of time, each once
 * @cursor_out: where to go on (query.cursor of the next page); 0 when there are no more. May be
 * NULL.
 */
int reader_list(struct reader *r, const struct query *q, reader_exchange_fn *fn, void *ctx,
		uint64_t *cursor_out, struct err *e) MUST_USE;
/*
 * reader_effort() - of the last list, also of one that failed: after -ETIMEDOUT .reached, when it
 * is not 0, is the cursor of a query that goes on
 */
const struct reader_effort *reader_effort(const struct reader *r);
/* reader_get() - one exchange with its messages. Return: 0, or -ENOENT. */
int reader_get(struct reader *r, uint64_t id, reader_exchange_fn *fn, void *ctx,
	       struct err *e) MUST_USE;
/* reader_resolve() - a typed id or a unique ending of one -> id. -ENOENT none, -ENOTUNIQ several.
 */
int reader_resolve(struct reader *r, struct span text, uint64_t *id_out, struct err *e) MUST_USE;

#define FAILURE_POINTS 30
/* One kind of failure: equal in everything but time, and in which of several unknown addresses asked. */
struct failure {
	struct span src_service; /* service, else pod, else address; "*": several addresses */
	struct span dst_service; /* service, else pod, else address */
	struct span src_namespace, dst_namespace;
	struct span method, route; /* "*": of kinds for which there was no room */
	struct span error;	   /* what it says of itself: schema/fingerprint.h */
	uint16_t status;
	uint8_t outcome, reason;
	int16_t grpc_status; /* -1: none */
	uint16_t close_code; /* of a WebSocket; 0: none */
	uint64_t count;
	uint64_t first_ns, last_ns;
	uint64_t exemplar; /* id of the newest */
	/* how many in each step of the time asked for, the first from points_ns on */
	uint64_t points_ns, step_ns;
	size_t point_count;
	uint64_t points[FAILURE_POINTS];
};
/* failure_texts() - all its texts, which make a kind together with its numbers */
#define FAILURE_TEXTS 7
void failure_texts(struct failure *f, struct span *out[FAILURE_TEXTS]);
/* failure_fn - @f is borrowed for the call. Return as reader_exchange_fn. */
typedef int reader_failure_fn(void *ctx, const struct failure *f);
/**
 * reader_failures() - the kinds of failures that a query selects, most frequent first
 * @q:      its filter and times apply, limit counts kinds
 * @new_ns: kinds that were not seen before this time, from q->since_ns on; 0: all
 */
int reader_failures(struct reader *r, const struct query *q, uint64_t new_ns, reader_failure_fn *fn,
		    void *ctx, struct err *e) MUST_USE;

/* What queries had to leave out because it could not be read. */
struct reader_damage {
	uint64_t tapes, exchanges;
	struct err why; /* the first of it, with its place */
};
/*
 * reader_take_damage() - since it was last asked. A damaged tape in a directory ends no query: it
 * is read as far as it goes.
 *
 * Return: false: nothing was left out, @out is untouched.
 */
bool reader_take_damage(struct reader *r, struct reader_damage *out);

struct tape_info {
	const char *path; /* borrowed for the call */
	uint64_t rows, bytes, first_ns, last_ns;
	bool is_sealed;
	bool is_pinned;
	bool is_of_failures; /* of the share of failures */
	/* why it cannot be read: all but path and bytes is unknown; else NULL */
	const char *damage;
};
/*
 * reader_namespaces() - the namespaces that ends of exchanges are in, some of them several times. Those of
 * tapes that no longer change are told once in the reader's life: ask again and again, and add up.
 * @fn: returns 0 to go on, or a negative errno
 */
int reader_namespaces(struct reader *r, int (*fn)(void *ctx, struct span name), void *ctx,
		      struct err *e) MUST_USE;
int reader_tapes(struct reader *r, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		 struct err *e) MUST_USE;
/* ---- how a query is carried out (read_explain.c) ---- */

struct explanation {
	size_t tapes;
	struct buf sql, kinds_sql; /* kinds_sql: empty when no kind is asked for */
	struct buf parameters;	   /* of the filter, for people */
	struct buf residual;	   /* what is checked of each row besides; empty: nothing */
	struct buf plan;	   /* SQLite's, a line each */
	bool reads_messages;
	bool is_whole; /* false: it ran out of time */
	/* tapes, plan and rows looked at are not told: they depend on what others do */
	bool hides_store;
	struct reader_effort effort;
};
/* reader_explain() - carry a query out, hand nothing on, and say how; free by explanation_fini() */
int reader_explain(struct reader *r, const struct query *q, struct explanation *out,
		   struct err *e) MUST_USE;
void explanation_fini(struct explanation *x);
void explanation_text(const struct explanation *x, struct buf *out); /* for people */
struct json;
void explanation_json(const struct explanation *x, struct json *j); /* one object */
