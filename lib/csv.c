// SPDX-License-Identifier: Apache-2.0
#include "lib/csv.h"

#include "lib/utf8.h"

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

void csv_cell(struct buf *out, struct span s)
{
	bool is_quoted = needs_quotes(s);

	if (is_quoted)
		buf_add_char(out, '"');
	put_text(out, s);
	if (is_quoted)
		buf_add_char(out, '"');
}
