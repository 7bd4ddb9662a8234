// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * One object a line, the exact part of docs/json.md. Nothing is lost on the way there and back.
 */
#include "schema/exchange_json.h"
#include "store/format_kind.h"

static bool add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	struct json j = json_to(out);

	(void)w;
	exchange_to_json(&j, x, EXCHANGE_JSON_EXACT);
	buf_add_char(out, '\n');
	return true;
}

const struct format_kind format_kind_jsonl = {.wants_messages = true, .add = add};
