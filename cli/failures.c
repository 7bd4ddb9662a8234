// SPDX-License-Identifier: Apache-2.0
/* failures: what failed, one line for each kind */
#include <errno.h>
#include <stdio.h>

#include "cli/source.h"
#include "cli/spark.h"
#include "cli/view.h"
#include "cli/when.h"
#include "lib/id.h"
#include "store/failure_json.h"

enum failures_form { FAILURES_TABLE, FAILURES_WIDE, FAILURES_JSON, FAILURES_JSONL };

struct failures_args {
	struct source_args source;
	struct query_args query;
	uint64_t new_since_ns;
	unsigned form;
	bool wants_status;
};

static const struct option_row failures_options[] = {
	SINCE_OPTIONS(struct failures_args, query),
	{.name = "new-since",
	 .kind = OPTION_TIME,
	 OPTION_AT(struct failures_args, new_since_ns),
	 .value = "TIME",
	 .what = "only kinds that were not seen before this time: 1h (ago); --since says how far "
		 "to look "
		 "back"},
	{.name = "limit",
	 .letter = 'n',
	 .kind = OPTION_COUNT,
	 .offset = offsetof(struct failures_args, query.limit),
	 .value = "COUNT",
	 .fallback = "50",
	 .what = "kinds at most; 0 for all"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct failures_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = "table wide json jsonl",
	 .what = "how they are shown"},
	{.name = "exit-status",
	 .letter = 'e',
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct failures_args, wants_status),
	 .what = "exit with 1 when there is any failure: for scripts and alarms"},
	SOURCE_OPTIONS(struct failures_args, source),
	{0},
};

static const struct table_column table_columns[] = {
	{.title = "COUNT", .is_right = true},
	{.title = "FIRST", .is_right = true, .drop = 2},
	{.title = "LAST", .is_right = true},
	{.title = "FROM", .min = 8, .drop = 1},
	{.title = "TO", .min = 8},
	{.title = "METHOD", .min = 4},
	{.title = "ROUTE", .min = 12},
	{.title = "WHY"},
	{.title = "ERROR", .min = 12, .drop = 3},
	{.title = "OVER TIME", .drop = 4},
	{.title = "EXAMPLE"},
};

static const struct table_column wide_columns[] = {
	{.title = "COUNT", .is_right = true},
	{.title = "FIRST"},
	{.title = "LAST"},
	{.title = "FROM"},
	{.title = "TO"},
	{.title = "METHOD"},
	{.title = "ROUTE"},
	{.title = "STATUS", .is_right = true},
	{.title = "OUTCOME"},
	{.title = "REASON"},
	{.title = "ERROR"},
	{.title = "OVER TIME"},
	{.title = "EXAMPLE"},
};

struct failures {
	struct cli *cli;
	enum failures_form form;
	struct screen screen;
	struct table *table;
	bool is_ascii;
	struct buf out;
	uint64_t count;
	char newest[ID_TEXT_LEN + 1]; /* exemplar of the first, most frequent kind */
};

static void cell_time(struct failures *f, uint64_t ns)
{
	AUTO_BUF text = {0};

	if (f->form == FAILURES_TABLE)
		when_ago(&text, ns, f->cli->now_ns);
	else
		when_local(&text, ns, f->cli->now_ns);
	table_cell(f->table, buf_span(&text), STYLE_PLAIN);
}

static void cell_side(struct failures *f, struct span service, struct span name_space)
{
	AUTO_BUF text = {0};

	if (f->form == FAILURES_WIDE && name_space.len) {
		buf_add_span(&text, name_space);
		buf_add_char(&text, '/');
	}
	buf_add_span(&text, service);
	table_cell(f->table, buf_span(&text), STYLE_PLAIN);
}

static struct exchange exchange_of(const struct failure *x)
{
	return (struct exchange){
		.status = x->status,
		.outcome = x->outcome,
		.reason = x->reason,
		.has_grpc_status = x->grpc_status >= 0,
		.grpc_status = (uint16_t)MAX(x->grpc_status, 0),
		.close_code = x->close_code,
	};
}

static void cell_status(struct failures *f, const struct failure *x)
{
	struct exchange as = exchange_of(x);
	enum style style;
	char text[VIEW_STATUS_MAX];

	table_cell(f->table, x->status ? view_status(&as, true, text, &style) : SPAN_LIT("0"),
		   STYLE_PLAIN);
}

/* one word in the table: the status when there is one, else the reason */
static void cell_why(struct failures *f, const struct failure *x)
{
	struct exchange as = exchange_of(x);
	enum style style;
	char text[VIEW_STATUS_MAX];
	struct span why = view_status(&as, true, text, &style);

	if (x->status && x->reason)
		table_cell_fmt(f->table, style, "%s %s", text, reason_name(x->reason));
	else
		table_cell(f->table, why, style);
}

static void cell_rate(struct failures *f, const struct failure *x)
{
	AUTO_BUF text = {0};

	spark_add(&text, x->points, x->point_count, f->is_ascii);
	table_cell(f->table, buf_span(&text), STYLE_CYAN);
}

static void add_row(struct failures *f, const struct failure *x)
{
	char id[ID_TEXT_LEN + 1];

	table_cell_fmt(f->table, STYLE_BOLD, "%llu", (unsigned long long)x->count);
	cell_time(f, x->first_ns);
	cell_time(f, x->last_ns);
	cell_side(f, x->src_service, x->src_namespace);
	cell_side(f, x->dst_service, x->dst_namespace);
	table_cell(f->table, x->method, STYLE_PLAIN);
	table_cell(f->table, x->route, STYLE_PLAIN);
	if (f->form == FAILURES_TABLE) {
		cell_why(f, x);
	} else {
		cell_status(f, x);
		table_cell(f->table, span_str(outcome_name(x->outcome)), STYLE_RED);
		table_cell(f->table, span_str(reason_name(x->reason)), STYLE_PLAIN);
	}
	table_cell(f->table, x->error, STYLE_PLAIN);
	cell_rate(f, x);
	table_cell(f->table, span_str(id_format(x->exemplar, id)), STYLE_CYAN);
}

static int on_failure(void *ctx, const struct failure *x)
{
	struct failures *f = ctx;
	struct json j = json_to(&f->out);

	if (f->table)
		add_row(f, x);
	else if (f->form == FAILURES_JSON)
		buf_add_str(&f->out, f->count ? ",\n" : "{\"failures\":[\n");
	if (!f->table)
		failure_to_json(&j, x);
	if (f->form == FAILURES_JSONL)
		buf_add_char(&f->out, '\n');
	if (f->count++ == 0)
		(void)id_format(x->exemplar, f->newest);
	return 0;
}

static void print(struct failures *f)
{
	if (f->table && f->count)
		table_print(f->table, &f->out);
	if (f->form == FAILURES_JSON)
		buf_add_str(&f->out, f->count ? "\n]}\n" : "{\"failures\":[]}\n");
	(void)cli_print(&f->out);
}

static void hint(const struct failures *f, const struct failures_args *a)
{
	if (f->count == 0)
		cli_note("No %sfailures%s.", a->new_since_ns ? "new kinds of " : "",
			 a->query.since_ns || a->query.until_ns ? " in that time" : " recorded");
	else if (f->screen.is_terminal && f->table)
		cli_note("\n`tapeloop show %s` shows the newest of the first kind; `tapeloop ls "
			 "'failed()'` lists them one by one.",
			 f->newest);
}

static int ask(struct failures *f, const struct failures_args *a, struct err *e)
{
	AUTO(source) s = NULL;
	struct source_query q = {
		.filter = f->cli->operand_count ? f->cli->operands[0] : NULL,
		.since_ns = a->query.since_ns,
		.until_ns = a->query.until_ns,
		.limit = a->query.limit,
	};
	int r = source_open(&a->source, &s, e);

	return r < 0 ? r : source_failures(s, &q, a->new_since_ns, on_failure, f, e);
}

static int run_failures(struct cli *cli)
{
	const struct failures_args *a = cli->args;
	struct failures f = {.cli = cli,
			     .form = a->form,
			     .screen = screen_of_stdout(),
			     .is_ascii = spark_is_ascii()};
	bool is_wide = f.form == FAILURES_WIDE;
	struct err e = {0};
	int status = CLI_OK;

	if (is_wide)
		f.screen.columns = 0;
	if (is_wide || f.form == FAILURES_TABLE)
		f.table = table_new(is_wide ? wide_columns : table_columns,
				    is_wide ? COUNT_OF(wide_columns) : COUNT_OF(table_columns),
				    &f.screen);
	if (!f.table && (is_wide || f.form == FAILURES_TABLE)) {
		status = cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	} else if (ask(&f, a, &e) < 0) {
		if (f.count)
			print(&f); /* as far as it could be read */
		status = cli_fail(cli, &e);
	} else {
		print(&f);
		hint(&f, a);
		status = f.count && a->wants_status ? CLI_DIFFERS : CLI_OK;
	}
	table_free(f.table);
	buf_fini(&f.out);
	return status;
}

const struct command command_failures = {
	.name = "failures",
	.operands = "[FILTER]",
	.operands_max = 1,
	.summary = "list what failed, one line for each kind",
	.details =
		"Exchanges that failed (server errors, resets, time-outs, missing answers) are one "
		"kind "
		"when they agree in both ends, method, route, status (of gRPC and of a closed "
		"WebSocket too), reason, and in what they say with its numbers, ids and names left "
		"out "
		"(ERROR). The most frequent "
		"come first; EXAMPLE is the id of the newest of its kind.",
	.examples = "tapeloop failures --since 1h\tthe last hour\n"
		    "tapeloop failures --new-since 1h\twhat has begun to fail in the last hour\n"
		    "tapeloop failures 'dst.service == \"cart\"' -e && deploy\tonly if nothing "
		    "failed\n",
	.options = failures_options,
	.args_bytes = sizeof(struct failures_args),
	.run = run_failures,
};
