// SPDX-License-Identifier: Apache-2.0
/*
 * source.h - where a subcommand asks: a daemon over its REST API, or a store opened directly
 *
 * The answers are identical; what only one of them can tell says so with -ENOTSUP. Which one:
 * --api and --store; else $TAPELOOP_API; else $TAPELOOP_STORE; else the daemon's socket.
 * Thread: main.
 */
#pragma once

#include "cli/cli.h"
#include "schema/counters.h"
#include "store/reader.h"
#include "store/stats.h"

struct source;

/* The daemons of a cluster, through its API server (cli/source_kube.c). */
struct kube_args {
	bool is_on;
	const char *kubeconfig, *context; /* NULL: as kubectl finds them */
};

struct source_args {
	const char *api;	/* "unix:PATH", "http://127.0.0.1:7700" */
	const char *store;	/* directory of tapes, or one tape */
	const char *name_space; /* only exchanges with an end in it; NULL: all */
	struct kube_args kube;
};

/* rows for a command's table of options: SOURCE_OPTIONS(struct ls_args, source) */
#define SOURCE_OPTIONS(args, member)                                                               \
	{.name = "api",                                                                            \
	 .kind = OPTION_TEXT,                                                                      \
	 .offset = offsetof(args, member.api),                                                     \
	 .value = "URL",                                                                           \
	 .what = "ask the daemon there: unix:PATH or http://127.0.0.1:PORT"},                      \
		{.name = "kube",                                                                   \
		 .kind = OPTION_FLAG,                                                              \
		 .offset = offsetof(args, member.kube.is_on),                                      \
		 .what = "ask all daemons of a Kubernetes cluster, with your own rights there"},   \
		{.name = "namespace",                                                              \
		 .kind = OPTION_TEXT,                                                              \
		 .offset = offsetof(args, member.name_space),                                      \
		 .value = "NAME",                                                                  \
		 .what = "only exchanges with an end in this namespace; before the command also "  \
			 "-n"},                                                                    \
		{.name = "context",                                                                \
		 .kind = OPTION_TEXT,                                                              \
		 .offset = offsetof(args, member.kube.context),                                    \
		 .value = "NAME",                                                                  \
		 .what = "for --kube: this context of the kubeconfig"},                            \
		{.name = "kubeconfig",                                                             \
		 .kind = OPTION_TEXT,                                                              \
		 .offset = offsetof(args, member.kube.kubeconfig),                                 \
		 .value = "FILE",                                                                  \
		 .what = "for --kube: this kubeconfig"},                                           \
	{                                                                                          \
		.name = "store", .kind = OPTION_TEXT, .offset = offsetof(args, member.store),      \
		.value = "PATH",                                                                   \
		.what = "open this directory of tapes, or this .tape file, without a daemon"       \
	}

/* for commands that select by filter and time: SINCE_OPTIONS(struct ls_args, query) */
struct query_args {
	uint64_t since_ns, until_ns; /* 0: not given */
	uint64_t limit;		     /* 0: all */
};
#define SINCE_OPTIONS(args, member)                                                                \
	{.name = "since",                                                                          \
	 .kind = OPTION_TIME,                                                                      \
	 .offset = offsetof(args, member.since_ns),                                                \
	 .value = "TIME",                                                                          \
	 .what = "not older than this: 10m (ago), 03:00, \"2026-11-22 03:00\", RFC 3339"},         \
	{                                                                                          \
		.name = "until", .kind = OPTION_TIME, .offset = offsetof(args, member.until_ns),   \
		.value = "TIME", .what = "older than this"                                         \
	}

/**
 * source_open() - choose and open the place to ask
 * @e: what was tried and what to do
 *
 * Return: 0; -ENOENT is turned into -ENXIO here, for it is no 'nothing matched'.
 */
int source_open(const struct source_args *a, struct source **s_out, struct err *e) MUST_USE;
void source_close(struct source *s); /* accepts NULL */
AUTO_DEFINE(source, source_close)
/* source_name() - "store /var/lib/tapeloop", "daemon at unix:/run/tapeloop/api.sock" */
const char *source_name(const struct source *s);

struct source_query {
	const char *filter;	     /* text; NULL or "" for all */
	uint64_t since_ns, until_ns; /* 0: no limit */
	uint64_t limit;		     /* exchanges at most; 0: all */
	uint64_t cursor;	     /* go on behind this id; 0: from the start */
	bool is_reverse;	     /* oldest first, as recorded */
	bool wants_messages;	     /* heads and bodies, byte for byte */
};

/**
 * source_list() - the exchanges a query selects
 * @fn:         its exchange is borrowed for the call; return 0 to go on, 1 to stop, or a negative errno
 * @cursor_out: where to go on; 0 when there are no more. May be NULL.
 *
 * Stops by itself when cli_is_interrupted(). Return: 0; -EINVAL a wrong filter (@e shows the line
 * with a caret); what @fn returned when negative.
 */
int source_list(struct source *s, const struct source_query *q, reader_exchange_fn *fn, void *ctx,
		uint64_t *cursor_out, struct err *e) MUST_USE;
/* source_get() - one exchange with its messages. Return: 0, -ENOENT, or what @fn returned. */
int source_get(struct source *s, uint64_t id, reader_exchange_fn *fn, void *ctx,
	       struct err *e) MUST_USE;
/* source_resolve() - an id or a unique ending of one. -ENOENT none, -ENOTUNIQ several. */
int source_resolve(struct source *s, const char *text, uint64_t *id_out, struct err *e) MUST_USE;
/*
 * source_is_id() - does an operand look like an id (or its ending) rather than like a filter? Ids
 * are printed in capitals: 4 to 13 capital letters and digits of Crockford's alphabet.
 */
bool source_is_id(const char *operand);
/*
 * source_failures() - kinds of failures, most frequent first; the query's limit counts kinds
 * @new_ns: those not seen before this time; 0: all
 */
int source_failures(struct source *s, const struct source_query *q, uint64_t new_ns,
		    reader_failure_fn *fn, void *ctx, struct err *e) MUST_USE;
/*
 * source_stats() - counts by fields; the query's limit counts groups
 * @by:     its fields and interval; select is not looked at
 * @answer: filled in before the first call of @fn
 */
int source_stats(struct source *s, const struct source_query *q, const struct stats_query *by,
		 stats_row_fn *fn, void *ctx, struct stats_answer *answer, struct err *e) MUST_USE;
int source_tapes(struct source *s, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		 struct err *e) MUST_USE;
/* source_explain() - the SQL and the residual check of a query. A daemon: -ENOTSUP. */
int source_explain(struct source *s, const struct source_query *q, struct buf *out,
		   struct err *e) MUST_USE;
/* source_stream() - exchanges (summaries) as they are recorded, until @fn stops it or it is interrupted */
int source_stream(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
		  struct err *e) MUST_USE;
/*
 * source_counters() - what the running daemon counted. A store: -ENOTSUP.
 * @unknown_out: counters that this program does not know (a newer daemon)
 */
int source_counters(struct source *s, struct counters *out, size_t *unknown_out,
		    struct err *e) MUST_USE;
/* source_health() - Return: 1 recording (@why_out: what is not well, or empty); 0 not recording, and
   why; -ENOTSUP for a store; -errno. */
int source_health(struct source *s, struct buf *why_out, struct err *e) MUST_USE;
