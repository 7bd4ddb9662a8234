// SPDX-License-Identifier: Apache-2.0
/* fuzz_filter.c - any text: refused with a column, or read, described, read again, judged and
 * translated */
#include "store/filter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct exchange sample = {
	.status = 503,
	.outcome = OUTCOME_SERVER_ERROR,
	.path = SPAN_LIT("/a"),
	.request = {.flags = MESSAGE_PRESENT,
		    .head = SPAN_LIT("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")},
	.response = {.body = SPAN_LIT("body")},
};

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static struct filter *parse_or_refuse(struct span text)
{
	struct filter *f = NULL;
	struct err e = {0};

	if (filter_parse(text, &f, &e) == 0)
		return f;
	require(!f && e.code < 0 && strstr(e.why, "column "));
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(filter) f = parse_or_refuse(span_of(data, size));
	AUTO_BUF once = {0};
	struct filter_sql sql;
	bool matches;

	if (!f)
		return 0;
	matches = filter_matches(f, &sample);
	filter_describe(f, &once);
	/* all brackets are written, so what was at a limit may now be behind it */
	AUTO(filter) again = size < 500 ? parse_or_refuse(buf_span(&once)) : NULL;
	if (again)
		require(filter_matches(again, &sample) == matches);
	require(filter_to_sql(f, &sql) == 0);
	require(!sql.is_exact || !filter_wants_messages(f) || sql.where.len > 0);
	filter_sql_fini(&sql);
	return 0;
}
