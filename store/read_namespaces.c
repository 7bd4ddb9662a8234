// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sqlite3.h>

#include "lib/clock.h"
#include "store/read_set.h"

/*
 * Theory of operation. Each tape has a table of the ends of its exchanges, which is small: one row
 * for a pod or an address. A name may still be written to it when a pod is known late, so a tape is
 * asked until it is sealed and an hour older than the newest exchange.
 */
#define SETTLED_NS (3600 * NS_PER_S)

static int tell(struct seen_tape *t, int (*fn)(void *ctx, struct span name), void *ctx,
		struct err *e)
{
	struct tape *tape = read_tape_tape(t->open);
	sqlite3_stmt *st =
		tape_prepare(tape, "SELECT DISTINCT namespace FROM peer WHERE namespace <> ''", e);
	int step = SQLITE_ERROR, r = 0;

	if (!st)
		return e->code;
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		r = fn(ctx,
		       span_of(sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
	(void)sqlite3_finalize(st);
	return r < 0 ? r : step == SQLITE_DONE ? 0 : tape_failed(tape, e);
}

static int tell_tape(struct reader *r, struct seen_tape *t, uint64_t last_ns,
		     int (*fn)(void *ctx, struct span name), void *ctx, struct err *e)
{
	int failed = t->has_told_namespaces ? -ENOENT : read_set_summary(r, t, e);

	r->turn++;
	if (failed == 0)
		failed = read_set_open(r, t, e);
	if (failed == 0)
		failed = read_set_left_out(r, true, tell(t, fn, ctx, e), e);
	if (failed == 0 && t->summary.is_sealed && t->summary.last_id + SETTLED_NS < last_ns)
		t->has_told_namespaces = true;
	return failed == -ENOENT ? 0 : failed;
}

int reader_namespaces(struct reader *r, int (*fn)(void *ctx, struct span name), void *ctx,
		      struct err *e)
{
	struct err why = {0};
	uint64_t first, last;
	int failed = read_set_bounds(r, &first, &last, &why);

	for (size_t i = 0; i < r->count && failed == 0; i++)
		failed = tell_tape(r, &r->tapes[i], last, fn, ctx, &why);
	return failed < 0 ? err_set(e, failed, "%s", *why.why ? why.why : strerror(-failed)) : 0;
}
