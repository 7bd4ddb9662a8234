// SPDX-License-Identifier: Apache-2.0
/* stats: how many, how large, how slow, by any fields and over time */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "cli/source.h"
#include "cli/spark.h"
#include "cli/view.h"
#include "cli/when.h"
#include "lib/csv.h"
#include "store/stats_json.h"

enum stats_form { STATS_TABLE, STATS_WIDE, STATS_JSON, STATS_JSONL, STATS_CSV };

struct stats_args {
	struct source_args source;
	struct query_args query;
	const char *by;
	uint64_t every_ns;
	unsigned form;
	bool wants_explain;
};

static const struct option_row stats_options[] = {
	{.name = "by",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct stats_args, by),
	 .value = "FIELDS",
	 .fallback = "dst.service,status",
	 .what = "one line for each value of these fields, with commas between; \"\" for all as "
		 "one"},
	{.name = "every",
	 .kind = OPTION_DURATION,
	 OPTION_AT(struct stats_args, every_ns),
	 .value = "SPAN",
	 .what = "a line for each such interval: 1m, 10m, 1h"},
	SINCE_OPTIONS(struct stats_args, query),
	{.name = "limit",
	 .letter = 'n',
	 .kind = OPTION_COUNT,
	 .offset = offsetof(struct stats_args, query.limit),
	 .value = "COUNT",
	 .fallback = "50",
	 .what = "groups at most, those with most exchanges; 0 for all"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct stats_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = "table wide json jsonl csv",
	 .what = "how they are shown"},
	{.name = "explain",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct stats_args, wants_explain),
	 .what = "also say what it was counted from, and why"},
	SOURCE_OPTIONS(struct stats_args, source),
	{0},
};

/* What each row has behind its fields. */
enum { ONLY_WIDE = 1, NOT_EVERY = 2 };
static const struct {
	struct table_column column;
	unsigned when;
} figures[] = {
	{{.title = "COUNT", .is_right = true}, 0},
	{{.title = "RATE", .is_right = true, .drop = 2}, 0},
	{{.title = "FAILED", .is_right = true}, 0},
	{{.title = "P50", .is_right = true}, 0},
	{{.title = "P90", .is_right = true}, ONLY_WIDE},
	{{.title = "P95", .is_right = true}, ONLY_WIDE},
	{{.title = "P99", .is_right = true}, 0},
	{{.title = "MAX", .is_right = true, .drop = 3}, 0},
	{{.title = "IN", .is_right = true}, ONLY_WIDE},
	{{.title = "OUT", .is_right = true}, ONLY_WIDE},
	{{.title = "OVER TIME", .drop = 1}, NOT_EVERY},
};
#define COLUMNS_MAX (1 + STATS_BY_MAX + COUNT_OF(figures))

struct stats {
	struct cli *cli;
	enum stats_form form;
	struct screen screen;
	struct stats_query query;
	struct query select; /* limit alone: whoever answers makes the rest */
	struct stats_answer answer;
	struct table_column columns[COLUMNS_MAX];
	char titles[STATS_BY_MAX][32];
	size_t column_count;
	struct table *table;
	bool is_ascii;
	uint64_t row_count;
	struct buf out;
};

static bool is_shown(const struct stats *s, size_t figure)
{
	if (figures[figure].when == ONLY_WIDE)
		return s->form == STATS_WIDE;
	return figures[figure].when != NOT_EVERY || s->query.every_ns == 0;
}

static void make_columns(struct stats *s)
{
	if (s->query.every_ns)
		s->columns[s->column_count++] = (struct table_column){.title = "TIME"};
	for (size_t i = 0; i < s->query.by_count; i++) {
		const char *name = field_rows[s->query.by[i]].name;
		size_t n = 0;

		for (; name[n] && n + 1 < sizeof(s->titles[i]); n++)
			s->titles[i][n] = (char)toupper((unsigned char)name[n]);
		s->titles[i][n] = '\0';
		s->columns[s->column_count++] =
			(struct table_column){.title = s->titles[i], .min = 8};
	}
	for (size_t i = 0; i < COUNT_OF(figures); i++)
		if (is_shown(s, i))
			s->columns[s->column_count++] = figures[i].column;
}

/* --- a row of the table --- */

/* A rate of less than one in a second is one in a minute or an hour. */
static void cell_rate(struct stats *s, const struct stats_row *row)
{
	static const struct {
		double seconds;
		const char *unit;
	} units[] = {{1, "s"}, {60, "m"}, {3600, "h"}};
	uint64_t span =
		s->query.every_ns ? s->query.every_ns : s->answer.until_ns - s->answer.since_ns;
	double rate = (double)row->count / ((double)MAX(span, 1) / (double)NS_PER_S);
	size_t i = 0;

	while (i + 1 < COUNT_OF(units) && rate * units[i].seconds < 1)
		i++;
	rate *= units[i].seconds;
	table_cell_fmt(s->table, STYLE_PLAIN, rate < 10 ? "%.1f/%s" : "%.0f/%s", rate,
		       units[i].unit);
}

static void cell_failed(struct stats *s, const struct stats_row *row)
{
	double percent = row->count ? 100.0 * (double)row->failed / (double)row->count : 0;
	bool is_small = percent > 0 && percent < 0.01;

	if (row->failed == 0)
		table_cell(s->table, SPAN_LIT("-"), STYLE_DIM);
	else
		table_cell_fmt(s->table, STYLE_RED,
			       is_small	      ? "<%.2f%%"
			       : percent < 10 ? "%.2f%%"
					      : "%.0f%%",
			       is_small ? 0.01 : percent);
}

static void cell_duration(struct stats *s, const struct stats_row *row, uint64_t ns)
{
	AUTO_BUF text = {0};

	if (row->latency_count)
		when_duration(&text, ns);
	else
		buf_add_char(&text, '-');
	table_cell(s->table, buf_span(&text), STYLE_PLAIN);
}

static void cell_size(struct stats *s, uint64_t bytes)
{
	AUTO_BUF text = {0};

	view_size(&text, bytes);
	table_cell(s->table, buf_span(&text), STYLE_PLAIN);
}

static void add_row(struct stats *s, const struct stats_row *row)
{
	const bool is_wide = s->form == STATS_WIDE;
	AUTO_BUF text = {0};

	if (s->query.every_ns) {
		when_local(&text, row->at_ns, s->cli->now_ns);
		table_cell(s->table, buf_span(&text), STYLE_PLAIN);
	}
	for (size_t i = 0; i < s->query.by_count; i++)
		table_cell(s->table, row->by[i].len ? row->by[i] : SPAN_LIT("-"), STYLE_PLAIN);
	table_cell_fmt(s->table, STYLE_BOLD, "%llu", (unsigned long long)row->count);
	cell_rate(s, row);
	cell_failed(s, row);
	cell_duration(s, row, row->p50_ns);
	if (is_wide) {
		cell_duration(s, row, row->p90_ns);
		cell_duration(s, row, row->p95_ns);
	}
	cell_duration(s, row, row->p99_ns);
	cell_duration(s, row, row->max_ns);
	if (is_wide) {
		cell_size(s, row->request_bytes);
		cell_size(s, row->response_bytes);
	}
	if (s->query.every_ns == 0) {
		buf_clear(&text);
		spark_add(&text, row->points, row->point_count, s->is_ascii);
		table_cell(s->table, buf_span(&text), STYLE_CYAN);
	}
}

/* --- CSV --- */

static void csv_head(struct stats *s)
{
	if (s->query.every_ns)
		buf_add_str(&s->out, "time,");
	for (size_t i = 0; i < s->query.by_count; i++)
		buf_add_fmt(&s->out, "%s,", field_rows[s->query.by[i]].name);
	buf_add_str(&s->out,
		    "count,failed,request_bytes,response_bytes,answered,p50_ns,p90_ns,p95_ns,"
		    "p99_ns,max_ns\r\n");
}

static void csv_row(struct stats *s, const struct stats_row *row)
{
	const uint64_t numbers[] = {row->count,		 row->failed,	     row->request_bytes,
				    row->response_bytes, row->latency_count, row->p50_ns,
				    row->p90_ns,	 row->p95_ns,	     row->p99_ns,
				    row->max_ns};

	if (s->query.every_ns) {
		clock_format_utc(&s->out, row->at_ns);
		buf_add_char(&s->out, ',');
	}
	for (size_t i = 0; i < s->query.by_count; i++) {
		csv_cell(&s->out, row->by[i]);
		buf_add_char(&s->out, ',');
	}
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		buf_add_u64(&s->out, numbers[i]);
		buf_add_str(&s->out, i + 1 < COUNT_OF(numbers) ? "," : "\r\n");
	}
}

/* --- all of it --- */

static int on_row(void *ctx, const struct stats_row *row)
{
	struct stats *s = ctx;
	struct json j = json_to(&s->out);

	if (s->table)
		add_row(s, row);
	else if (s->form == STATS_CSV)
		csv_row(s, row);
	else if (s->form == STATS_JSON && s->row_count)
		buf_add_str(&s->out, ",\n");
	if (s->form == STATS_JSON || s->form == STATS_JSONL)
		stats_row_to_json(&j, &s->query, row);
	if (s->form == STATS_JSONL)
		buf_add_char(&s->out, '\n');
	s->row_count++;
	return cli_is_interrupted() ? 1 : 0;
}

static void print(struct stats *s)
{
	struct json j = {.out = &s->out, .needs_comma = true};

	if (s->table && s->row_count)
		table_print(s->table, &s->out);
	if (s->form == STATS_JSON) {
		buf_add_str(&s->out, "\n]");
		stats_answer_to_json(&j, &s->answer);
		buf_add_str(&s->out, "}\n");
	}
	(void)cli_print(&s->out);
}

static void note_losses(const struct stats_losses *l)
{
	unsigned long long exchanges = l->queue_full + l->memory + l->store_full + l->store_error;

	if (l->packets || exchanges)
		cli_note("The recorder has lost %llu packets and %llu exchanges since it began: "
			 "`tapeloop"
			 " doctor` says why.",
			 (unsigned long long)l->packets, exchanges);
}

/* What the figures leave out, and with --explain where they come from. */
static void notes(const struct stats *s, const struct stats_args *a)
{
	const struct stats_answer *n = &s->answer;
	AUTO_BUF when = {0};

	if (s->row_count == 0)
		cli_note("Nothing%s.",
			 a->query.since_ns || a->query.until_ns ? " in that time" : "");
	if (a->wants_explain && n->until_ns)
		cli_note("From %s%s%s.",
			 n->is_rollup ? "what the tapes counted for each minute" : "each exchange",
			 n->is_rollup ? "" : ": ", n->is_rollup ? "" : n->why);
	if (n->is_sampled)
		cli_note("Sampled: an exchange counts for as many as it stands for (weight).");
	if (n->removed)
		cli_note("%llu of what was counted is no longer on the tapes.",
			 (unsigned long long)n->removed);
	if (n->failures_only_until_ns) {
		when_local(&when, n->failures_only_until_ns, s->cli->now_ns);
		cli_note("Before %s only failures are still there.", buf_cstr(&when));
	}
	note_losses(&n->lost);
	if (n->has_others)
		cli_note("There are more than %d groups: the others are counted as \"*\".",
			 STATS_GROUPS_MAX);
	else if (s->query.every_ns == 0 && n->group_count > s->row_count && s->row_count)
		cli_note("%llu more groups: --limit 0 shows all.",
			 (unsigned long long)(n->group_count - s->row_count));
}

static int ask(struct stats *s, const struct stats_args *a, struct err *e)
{
	AUTO(source) source = NULL;
	struct source_query q = {
		.filter = s->cli->operand_count ? s->cli->operands[0] : NULL,
		.since_ns = a->query.since_ns,
		.until_ns = a->query.until_ns,
		.limit = a->query.limit,
	};
	int r = stats_parse_by(span_str(a->by), &s->query, e);

	if (r < 0)
		return err_wrap(e, "--by");
	s->query.every_ns = a->every_ns;
	make_columns(s);
	if (s->form == STATS_TABLE || s->form == STATS_WIDE)
		s->table = table_new(s->columns, s->column_count, &s->screen);
	if (!s->table && s->form <= STATS_WIDE)
		return err_set(e, -ENOMEM, "out of memory");
	if (s->form == STATS_CSV)
		csv_head(s);
	if (s->form == STATS_JSON)
		buf_add_str(&s->out, "{\"stats\":[\n");
	r = source_open(&a->source, &source, e);
	return r < 0 ? r : source_stats(source, &q, &s->query, on_row, s, &s->answer, e);
}

static int run_stats(struct cli *cli)
{
	const struct stats_args *a = cli->args;
	struct stats *s = calloc(1, sizeof(*s));
	struct err e = {0};
	int status = CLI_OK;

	if (!s)
		return cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	s->cli = cli;
	s->form = a->form;
	s->screen = screen_of_stdout();
	s->is_ascii = spark_is_ascii();
	if (s->form == STATS_WIDE)
		s->screen.columns = 0;
	if (ask(s, a, &e) < 0) {
		status = cli_fail(cli, &e);
	} else {
		print(s);
		notes(s, a);
	}
	table_free(s->table);
	buf_fini(&s->out);
	free(s);
	return status;
}

const struct command command_stats = {
	.name = "stats",
	.operands = "[FILTER]",
	.operands_max = 1,
	.summary = "count exchanges by any fields: rates, latencies, failures",
	.details = "The tapes count, for each minute, what passed by service, route, status and "
		   "the like, "
		   "with a histogram of latencies, so that an hour or a day is answered at once; "
		   "other "
		   "fields and filters are counted exchange by exchange (--explain says which it "
		   "was). "
		   "Whole minutes are counted. Percentiles are off by 1.6 % at most, the maximum "
		   "is exact; "
		   "an exchange without an answer has no latency.",
	.examples = "tapeloop stats --since 1h\tby service and status, the last hour\n"
		    "tapeloop stats 'dst.service == \"cart\"' --by route --since 1d\tits slowest "
		    "routes\n"
		    "tapeloop stats --by dst.service --every 1m -o csv\tfor a spreadsheet\n",
	.options = stats_options,
	.args_bytes = sizeof(struct stats_args),
	.run = run_stats,
};
