// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * RFC 4180: a row of names, then a row for each exchange, lines end in CRLF. The columns are the
 * fields of schema/fields.tbl.h in their order; values look as in JSON (docs/json.md), a set as
 * words with blanks between. A value is quoted where it must be. Bytes that are no UTF-8 are
 * written \xNN.
 */
#include "lib/clock.h"
#include "lib/id.h"
#include "lib/utf8.h"
#include "schema/fields.h"
#include "store/format_kind.h"

static void put_text(struct buf *out, struct span s)
{
	while (s.len) {
		size_t n = utf8_len(s.ptr, s.len);

		if (n == 0)
			buf_add_fmt(out, "\\x%02x", s.ptr[0]);
		else if (s.ptr[0] == '"')
			buf_add_str(out, "\"\"");
		else
			buf_add(out, s.ptr, n);
		s = span_from(s, MAX(n, (size_t)1));
	}
}

static bool needs_quotes(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' || s.ptr[i] == '"' || s.ptr[i] == ',' || s.ptr[i] >= 0x7f)
			return true;
	return s.len && (s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ');
}

static void put_cell(struct buf *out, struct span s)
{
	bool is_quoted = needs_quotes(s);

	if (is_quoted)
		buf_add_char(out, '"');
	put_text(out, s);
	if (is_quoted)
		buf_add_char(out, '"');
}

static void put_anomalies(struct buf *out, uint64_t bits)
{
	const char *before = "";

	for (unsigned i = 0; i < ANOMALY_COUNT; i++) {
		if (!(bits >> i & 1))
			continue;
		buf_add_fmt(out, "%s%s", before, anomaly_name(i));
		before = " ";
	}
}

static void put_value(struct buf *out, enum field_type type, struct field_value v)
{
	char text[MAX(ENDPOINT_TEXT_MAX, ID_TEXT_LEN + 1)];

	switch (type) {
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_NAME: put_cell(out, v.text); break;
	case FIELD_TYPE_INT:
	case FIELD_TYPE_DURATION: buf_add_u64(out, v.number); break;
	case FIELD_TYPE_TIME: clock_format_utc(out, v.number); break;
	case FIELD_TYPE_ADDRESS: buf_add_str(out, endpoint_text(v.endpoint, text)); break;
	case FIELD_TYPE_ID: buf_add_str(out, id_format(v.number, text)); break;
	case FIELD_TYPE_FLAGS: put_anomalies(out, v.number); break;
	case FIELD_TYPE_BOOL: buf_add_str(out, v.number ? "true" : "false"); break;
	}
}

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
		if (i)
			buf_add_char(out, ',');
		put_value(out, (enum field_type)field_rows[i].type, field_get(x, (enum field)i));
	}
	buf_add_str(out, "\r\n");
	if (x->request.body_bytes || x->response.body_bytes)
		format_lose(w, FORMAT_LOSS_BODIES);
	return true;
}

const struct format_kind format_kind_csv = {.begin = begin, .add = add};
