// SPDX-License-Identifier: Apache-2.0
/* ls: the exchanges that a filter selects */
#include <errno.h>

#include "cli/source.h"
#include "cli/view.h"
#include "lib/id.h"
#include "store/filter.h"

struct ls_args {
	struct source_args source;
	struct query_args query;
	bool is_reverse, wants_explain;
	unsigned form, part;
	const char *cursor, *text;
};

static const struct option_row ls_options[] = {
	SINCE_OPTIONS(struct ls_args, query),
	{.name = "limit",
	 .letter = 'n',
	 .kind = OPTION_COUNT,
	 .offset = offsetof(struct ls_args, query.limit),
	 .value = "COUNT",
	 .fallback = "50",
	 .what = "exchanges at most; 0 for all"},
	{.name = "reverse",
	 .letter = 'r',
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct ls_args, is_reverse),
	 .what = "oldest first"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct ls_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = VIEW_CHOICES,
	 .what = "how they are shown"},
	{.name = "part",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct ls_args, part),
	 .value = "PART",
	 .fallback = "summary",
	 .choices = VIEW_PARTS,
	 .what = "how much of each stands in JSON: its fields, also headers and bodies, or every "
		 "byte"},
	{.name = "cursor",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct ls_args, cursor),
	 .value = "ID",
	 .what = "go on behind this exchange (next_cursor of -o json)"},
	{.name = "text",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct ls_args, text),
	 .value = "TEXT",
	 .what = "only those with TEXT in their heads or decoded bodies, in any case: short for a "
		 "filter "
		 "&& text(\"TEXT\"), which other commands take"},
	{.name = "explain",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct ls_args, wants_explain),
	 .what = "show the SQL of the query and what is checked besides; list nothing"},
	SOURCE_OPTIONS(struct ls_args, source),
	{0},
};

static int explain(struct cli *cli, struct source *s, const struct source_query *q)
{
	AUTO_BUF text = {0};
	struct err e = {0};

	if (source_explain(s, q, &text, &e) < 0)
		return cli_fail(cli, &e);
	if (text.len && text.ptr[text.len - 1] != '\n')
		buf_add_char(&text, '\n');
	(void)cli_print(&text);
	return CLI_OK;
}

static int on_exchange(void *ctx, const struct exchange *x)
{
	return view_add(ctx, x);
}

/* why there is nothing to see, and what to try */
static void note_nothing(struct source *s, const struct source_query *q)
{
	bool is_whole = !q->filter && !q->since_ns && !q->until_ns && !q->cursor;

	if (is_whole)
		cli_note("The %s holds no exchange yet.", source_name(s));
	else
		cli_note("Nothing matches. `tapeloop ls` without filter and times shows the "
			 "newest.");
}

static int list(struct cli *cli, struct source *s, const struct source_query *q)
{
	const struct ls_args *a = cli->args;
	struct screen screen = screen_of_stdout();
	AUTO(view) v = view_new(a->form, a->part, &screen, cli->now_ns);
	struct err e = {0};
	uint64_t next = 0;
	int r;

	if (!v)
		return cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	r = source_list(s, q, on_exchange, v, &next, &e);
	if (r < 0) {
		(void)view_flush(v);
		return cli_fail(cli, &e);
	}
	view_end(v, next);
	if (view_count(v) == 0)
		note_nothing(s, q);
	return view_count(v) == 0 && q->filter ? CLI_DIFFERS : CLI_OK;
}

/* The filter with && text("...") behind it: a short form must be spelled out for that. */
static int add_text(const struct cli *cli, const char *filter, const char *text, struct buf *out,
		    struct err *e)
{
	AUTO(filter) f = NULL;
	int r = filter_parse_at(span_str(filter ? filter : ""), cli->now_ns, &f, e);

	if (r < 0)
		return r;
	filter_describe(f, out);
	buf_add_str(out, " && text(");
	filter_quote(span_str(text), out);
	buf_add_char(out, ')');
	return 0;
}

static int run_ls(struct cli *cli)
{
	const struct ls_args *a = cli->args;
	AUTO_BUF filter = {0};
	struct source_query q = {
		.filter = cli->operand_count ? cli->operands[0] : NULL,
		.since_ns = a->query.since_ns,
		.until_ns = a->query.until_ns,
		.limit = a->query.limit,
		.is_reverse = a->is_reverse,
		.wants_messages = view_wants_messages(a->form, a->part),
	};
	AUTO(source) s = NULL;
	struct err e = {0};
	unsigned bits;

	if (a->cursor && (id_parse(span_str(a->cursor), &q.cursor, &bits) < 0 || bits != 64))
		return cli_usage(cli, "--cursor: \"%s\" is no whole id", a->cursor);
	if (a->text && add_text(cli, q.filter, a->text, &filter, &e) < 0)
		return cli_fail(cli, &e);
	if (a->text)
		q.filter = buf_cstr(&filter);
	if (source_open(&a->source, &s, &e) < 0)
		return cli_fail(cli, &e);
	return a->wants_explain ? explain(cli, s, &q) : list(cli, s, &q);
}

const struct command command_ls = {
	.name = "ls",
	.operands = "[FILTER]",
	.operands_max = 1,
	.summary = "list exchanges, the newest first",
	.details =
		"FILTER is an expression such as 'status >= 500 && dst.service == \"cart\"' (see "
		"tapeloop-filter(7)), or short: 500, 5xx, /api/cart*, cart. In the table a missing "
		"answer's reason stands for the status. With a FILTER that nothing matches the "
		"exit "
		"status is 1.",
	.examples = "tapeloop ls 'failed()' --since 10m\twhat failed in the last ten minutes\n"
		    "tapeloop ls cart --since 1h --text 'out of stock'\twhere it stands in a head "
		    "or a body\n"
		    "tapeloop ls 5xx -o id | xargs tapeloop show\teach of the newest in full\n"
		    "tapeloop ls 'latency > duration(\"1s\")' -n 0 -o jsonl | jq .target\tfor "
		    "other tools\n",
	.options = ls_options,
	.args_bytes = sizeof(struct ls_args),
	.run = run_ls,
};
