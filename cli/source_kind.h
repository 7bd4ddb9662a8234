// SPDX-License-Identifier: Apache-2.0
/* source_kind.h - what each kind of source provides; for cli/source*.c alone */
#pragma once

#include "cli/source.h"

/* source_say_progress() - on a terminal: how far a long list has come */
void source_say_progress(uint64_t reached, uint64_t found);
/* source_say_limits() - that conditions were given up, when some were */
void source_say_limits(uint64_t gave_up);

struct source {
	const struct source_ops *ops;
	char name[512];
	char name_space[256]; /* only exchanges with an end in it; "" for all */
};

/* source.h says what each promises */
struct source_ops {
	void (*close)(struct source *s);
	int (*list)(struct source *s, const struct source_query *q, reader_exchange_fn *fn,
		    void *ctx, uint64_t *cursor_out, struct err *e);
	int (*get)(struct source *s, uint64_t id, reader_exchange_fn *fn, void *ctx, struct err *e);
	int (*resolve)(struct source *s, const char *text, uint64_t *id_out, struct err *e);
	int (*failures)(struct source *s, const struct source_query *q, uint64_t new_ns,
			reader_failure_fn *fn, void *ctx, struct err *e);
	int (*stats)(struct source *s, const struct source_query *q, const struct stats_query *by,
		     stats_row_fn *fn, void *ctx, struct stats_answer *answer, struct err *e);
	int (*tapes)(struct source *s, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		     struct err *e);
	int (*explain)(struct source *s, const struct source_query *q, struct buf *out,
		       struct err *e);
	int (*stream)(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
		      struct err *e);
	int (*counters)(struct source *s, struct counters *out, size_t *unknown_out, struct err *e);
	int (*health)(struct source *s, struct buf *why_out, struct err *e);
};

int source_api_open(const char *url, struct source **s_out, struct err *e) MUST_USE;
struct rest;
/* source_api_over() - of a daemon that @rest reaches: taken, in any case */
int source_api_over(struct rest *rest, const char *name, struct source **s_out,
		    struct err *e) MUST_USE;
int source_kube_open(const struct source_args *a, struct source **s_out, struct err *e) MUST_USE;
int source_store_open(const char *path, struct source **s_out, struct err *e) MUST_USE;
