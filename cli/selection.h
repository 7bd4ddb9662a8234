// SPDX-License-Identifier: Apache-2.0
/* selection.h - the exchanges that operands [FILTER|ID...] and --since, --until name, oldest first
 */
#pragma once

#include "cli/source.h"

struct selection {
	struct source_query query; /* when ids is NULL */
	uint64_t *ids;		   /* in order, each once; owned */
	size_t id_count;
};

/**
 * selection_make() - all operands are ids, or there is one filter at most
 * @q: times and limit; they hold for a filter alone
 * @e: -EINVAL; what source_resolve() says
 */
int selection_make(const struct cli *cli, struct source *s, const struct query_args *q,
		   struct selection *out, struct err *e) MUST_USE;
void selection_fini(struct selection *sel);
/* selection_each() - with messages, as source_list(); stops by itself when interrupted */
int selection_each(const struct selection *sel, struct source *s, reader_exchange_fn *fn, void *ctx,
		   struct err *e) MUST_USE;
