// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * RFC 4180: a row of names, then a row for each exchange, lines end in CRLF. The columns are the
 * fields of schema/fields.tbl.h in their order; values look as in JSON (docs/json.md), a set as
 * words with blanks between. A value is quoted where it must be. Bytes that are no UTF-8 are
 * written \xNN.
 */
#include "lib/csv.h"
#include "schema/fields.h"
#include "store/format_kind.h"

static void begin(struct format_writer *w, struct buf *out)
{
	(void)w;
	for (int i = 0; i < FIELD_COUNT; i++) {
		const char *unit = field_rows[i].type == FIELD_TYPE_DURATION ? "_ns" : "";

		buf_add_fmt(out, "%s%s%s", i ? "," : "", field_rows[i].name, unit);
	}
	buf_add_str(out, "\r\n");
}

static bool add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	for (int i = 0; i < FIELD_COUNT; i++) {
		AUTO_BUF text = {0};

		field_add_text((enum field)i, field_get(x, (enum field)i), &text);
		if (i)
			buf_add_char(out, ',');
		csv_cell(out, buf_span(&text));
	}
	buf_add_str(out, "\r\n");
	if (x->request.body_bytes || x->response.body_bytes)
		format_lose(w, FORMAT_LOSS_BODIES);
	return true;
}

const struct format_kind format_kind_csv = {.begin = begin, .add = add};
