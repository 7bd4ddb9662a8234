// SPDX-License-Identifier: Apache-2.0
/* tail: exchanges as they are recorded */
#include <errno.h>

#include "cli/source.h"
#include "cli/view.h"

struct tail_args {
	struct source_args source;
	uint64_t limit;
	unsigned form, part;
};

static const struct option_row tail_options[] = {
	{.name = "limit",
	 .letter = 'n',
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct tail_args, limit),
	 .value = "COUNT",
	 .fallback = "0",
	 .what = "stop after so many; 0: go on until ^C"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct tail_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = "table wide jsonl curl id",
	 .what = "how they are shown"},
	{.name = "part",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct tail_args, part),
	 .value = "PART",
	 .fallback = "summary",
	 .choices = VIEW_PARTS,
	 .what = "how much of each stands in JSON: its fields, also headers and bodies, or every "
		 "byte"},
	SOURCE_OPTIONS(struct tail_args, source),
	{0},
};

static const enum view_form tail_forms[] = {VIEW_TABLE, VIEW_WIDE, VIEW_JSONL, VIEW_CURL, VIEW_ID};

struct tail {
	struct cli *cli;
	struct source *source; /* for what a summary does not have */
	struct view *view;
	uint64_t limit;
	bool wants_messages;
};

/* nobody waits for a table to fill: each exchange is shown at once */
static int show(void *ctx, const struct exchange *x)
{
	struct tail *t = ctx;

	return view_add(t->view, x) || view_flush(t->view) ? 1 : 0;
}

static int on_exchange(void *ctx, const struct exchange *x)
{
	struct tail *t = ctx;
	struct err e = {0};
	int r;

	if (t->wants_messages)
		r = source_get(t->source, x->id, show, t, &e);
	else
		r = show(t, x);
	if (r < 0)
		cli_note("tapeloop tail: %s", e.why);
	return r > 0 || (t->limit && view_count(t->view) >= t->limit) ? 1 : 0;
}

static int run_tail(struct cli *cli)
{
	const struct tail_args *a = cli->args;
	enum view_form form = tail_forms[a->form];
	struct screen screen = screen_of_stdout();
	AUTO(source) s = NULL;
	AUTO(source) messages = NULL;
	AUTO(view) v = view_new(form, a->part, &screen, cli->now_ns);
	struct tail t = {.cli = cli, .view = v, .limit = a->limit};
	struct err e = {0};
	int r;

	if (!v)
		return cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	view_expect_more(v);
	t.wants_messages = view_wants_messages(form, a->part);
	/* a source answers one question at a time: the stream is one, messages another */
	if (source_open(&a->source, &s, &e) < 0 ||
	    (t.wants_messages && source_open(&a->source, &messages, &e) < 0))
		return cli_fail(cli, &e);
	t.source = messages;
	if (screen.is_terminal)
		cli_note("Waiting for exchanges from the %s; ^C ends.", source_name(s));
	r = source_stream(s, cli->operand_count ? cli->operands[0] : NULL, on_exchange, &t, &e);
	view_end(v, 0);
	return r < 0 ? cli_fail(cli, &e) : CLI_OK;
}

const struct command command_tail = {
	.name = "tail",
	.operands = "[FILTER]",
	.operands_max = 1,
	.summary = "show exchanges as they are recorded",
	.details = "Goes on until ^C, or until COUNT were shown. An exchange appears when it is "
		   "complete "
		   "and on the tape, about a second after its answer.",
	.examples = "tapeloop tail 'failed()'\tfailures as they happen\n"
		    "tapeloop tail 'dst.service == \"cart\"' -n 1 -o curl\tthe next request as a "
		    "command\n",
	.options = tail_options,
	.args_bytes = sizeof(struct tail_args),
	.run = run_tail,
};
