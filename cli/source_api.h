// SPDX-License-Identifier: Apache-2.0
/* source_api.h - what the files of the source over REST have in common, and nobody else needs */
#pragma once

#include "cli/rest.h"
#include "cli/source_kind.h"

struct api_source {
	struct source base;
	struct rest *rest;
};

static inline struct rest *rest_of(struct source *s)
{
	return CONTAINER_OF(s, struct api_source, base)->rest;
}

/* Each line an exchange, for the caller's function. */
struct api_receiver {
	reader_exchange_fn *fn;
	void *ctx;
	struct err *e;
	uint64_t count;
	uint64_t last_id;
};

/* api_receive() - the text of one exchange. Return: what fn returned; 1 after ^C; -EPROTO. */
int api_receive(void *ctx, struct span text);
void api_add_namespace(struct buf *path, const struct source *s);
/* api_failed() - what a request's end means to a source: says what is not said yet */
int api_failed(int r, struct err *e);
/* api_stream() - of struct source_ops */
int api_stream(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
	       struct err *e);
