// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A line is an exchange, whichever part of docs/json.md it has. The exact part gives every byte. Of
 * the part "messages" the heads are put together from their lines (synthesised); a summary has no
 * messages and would be an exchange without bytes, so it is left out.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "schema/exchange_json.h"
#include "store/format_reader_kind.h"

struct jsonl {
	struct buf line; /* its beginning, from earlier pieces */
};

static bool recognises(struct span first)
{
	return first.len && first.ptr[0] == '{';
}

static bool has_messages(const struct exchange *x)
{
	return x->request.head.len || x->response.head.len;
}

static int take_line(struct format_reader *r, struct span line)
{
	struct foreign f = {.is_complete = true};
	struct err why = {0};
	void *memory;
	int result;

	r->entry++;
	line = span_trim(line);
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		return 0;
	if (exchange_from_json(line, &f.x, &memory, &why) < 0) {
		format_refuse(r, "line", &why);
		return 0;
	}
	if (!span_find(line, SPAN_LIT("\"head_base64\":")))
		f.x.anomalies |= ANOMALY_BIT(SYNTHESISED);
	if (has_messages(&f.x))
		result = r->fn(r->ctx, &f);
	else
		result = 0, r->flaws[FORMAT_FLAW_SUMMARY]++;
	free(memory);
	return result;
}

static int keep(struct format_reader *r, struct buf *b, struct span part, struct err *e)
{
	if (b->len + part.len > FORMAT_ENTRY_MAX)
		return err_set(e, -E2BIG, "line %llu is longer than %zu MiB",
			       (unsigned long long)r->entry + 1, FORMAT_ENTRY_MAX >> 20);
	buf_add_span(b, part);
	return b->is_failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}

static int feed(struct format_reader *r, struct span bytes, struct err *e)
{
	struct jsonl *j = r->state;
	int result = 0;

	while (bytes.len && result == 0) {
		const uint8_t *nl = memchr(bytes.ptr, '\n', bytes.len);
		struct span part = {bytes.ptr, nl ? (size_t)(nl - bytes.ptr) : bytes.len};

		bytes = span_from(bytes, part.len + 1);
		if (j->line.len || !nl)
			result = keep(r, &j->line, part, e);
		if (result == 0 && nl) {
			result = take_line(r, j->line.len ? buf_span(&j->line) : part);
			buf_clear(&j->line);
		}
	}
	return result;
}

/* a last line without its end is whole when it can be read */
static int end(struct format_reader *r, struct err *e)
{
	struct jsonl *j = r->state;
	uint64_t before = r->flaws[FORMAT_FLAW_UNREADABLE];
	int result = j->line.len ? take_line(r, buf_span(&j->line)) : 0;

	if (result == 0 && r->flaws[FORMAT_FLAW_UNREADABLE] > before)
		return err_set(e, -ENODATA, "ends in the middle of line %llu",
			       (unsigned long long)r->entry);
	return result;
}

static void fini(struct format_reader *r)
{
	struct jsonl *j = r->state;

	buf_fini(&j->line);
}

const struct format_reader_kind format_reader_jsonl = {
	.format = "jsonl",
	.state_bytes = sizeof(struct jsonl),
	.recognises = recognises,
	.feed = feed,
	.end = end,
	.fini = fini,
};
