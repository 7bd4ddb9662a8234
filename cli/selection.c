// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Theory of operation. Operands that look like ids (cli/source.h says how) are looked up one by
 * one; anything else is a filter, of which there may be one. What is recorded while a selection is
 * read is not part of it, so a command over a running daemon ends.
 */
static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int resolve(const struct cli *cli, struct source *s, struct selection *sel, struct err *e)
{
	size_t unique = 0;

	sel->ids = calloc((size_t)cli->operand_count, sizeof(*sel->ids));
	if (!sel->ids)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < cli->operand_count; i++) {
		int r = source_resolve(s, cli->operands[i], &sel->ids[i], e);

		if (r < 0)
			return r;
	}
	sel->id_count = (size_t)cli->operand_count;
	qsort(sel->ids, sel->id_count, sizeof(*sel->ids), by_id);
	for (size_t i = 0; i < sel->id_count; i++)
		if (unique == 0 || sel->ids[i] != sel->ids[unique - 1])
			sel->ids[unique++] = sel->ids[i];
	sel->id_count = unique;
	return 0;
}

int selection_make(const struct cli *cli, struct source *s, const struct query_args *q,
		   struct selection *out, struct err *e)
{
	bool are_ids = cli->operand_count > 0;

	*out = (struct selection){0};
	for (int i = 0; i < cli->operand_count; i++)
		are_ids &= source_is_id(cli->operands[i]);
	if (are_ids)
		return resolve(cli, s, out, e);
	if (cli->operand_count > 1)
		return err_set(e, -EINVAL, "expected one filter, or ids");
	out->query = (struct source_query){
		.filter = cli->operand_count ? cli->operands[0] : NULL,
		.since_ns = q->since_ns,
		.until_ns = q->until_ns ? q->until_ns : cli->now_ns,
		.limit = q->limit,
		.is_reverse = true,
		.wants_messages = true,
	};
	return 0;
}

void selection_fini(struct selection *sel)
{
	free(sel->ids);
	sel->ids = NULL;
}

int selection_each(const struct selection *sel, struct source *s, reader_exchange_fn *fn, void *ctx,
		   struct err *e)
{
	int r = 0;

	if (!sel->ids)
		return source_list(s, &sel->query, fn, ctx, NULL, e);
	for (size_t i = 0; i < sel->id_count && r == 0 && !cli_is_interrupted(); i++)
		r = source_get(s, sel->ids[i], fn, ctx, e);
	return MIN(r, 0);
}
