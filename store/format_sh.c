// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A script for bash: some values need its $'...' (store/format_curl.c). It goes on after a command
 * that failed, as the recording did. Before each command stands which exchange it is and how that
 * ended, so that the output can be laid beside it.
 */
#include "lib/clock.h"
#include "lib/id.h"
#include "store/format_curl.h"
#include "store/format_kind.h"

static void begin(struct format_writer *w, struct buf *out)
{
	(void)w;
	buf_add_str(out, "#!/usr/bin/env bash\n"
			 "# Requests recorded by tapeloop, in their order, one after the other.\n");
}

static void comment(struct buf *out, const struct exchange *x)
{
	char id[ID_TEXT_LEN + 1];

	buf_add_fmt(out, "\n# %s ", id_format(x->id, id));
	clock_format_utc(out, x->start_ns);
	if (x->status)
		buf_add_fmt(out, ": %u\n", x->status);
	else
		buf_add_fmt(out, ": %s\n",
			    x->reason ? reason_name(x->reason) : outcome_name(x->outcome));
}

static bool add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	if (!(x->request.flags & MESSAGE_PRESENT)) {
		format_lose(w, FORMAT_LOSS_NO_REQUEST);
		return false;
	}
	if (x->response.flags & MESSAGE_PRESENT)
		format_lose(w, FORMAT_LOSS_RESPONSES);
	if (x->request.flags & MESSAGE_BODY_CUT)
		format_lose(w, FORMAT_LOSS_BODY_CUT);
	if (x->protocol == PROTOCOL_WEBSOCKET)
		format_lose(w, FORMAT_LOSS_CHILDREN);
	comment(out, x);
	format_curl(x, w->to, out);
	return true;
}

const struct format_kind format_kind_sh = {.wants_messages = true, .begin = begin, .add = add};
