// SPDX-License-Identifier: Apache-2.0
/*
 * export: a selection in a format of others
 *
 * Theory of operation
 *
 * Exchanges come oldest first, from a store or a daemon, and go through the format's writer
 * (store/format.h) into a file that is there whole or not at all. Nothing is held but the exchange
 * at hand. What the format could not keep is said at the end, with counts.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/selection.h"
#include "store/format.h"

#define FLUSH_BYTES 65536

static const char form_choices[] = "auto"
#define FORMAT(name, text, endings, media, what) " " text
#include "store/formats.tbl.h"
#undef FORMAT
	;

struct export_args {
	struct source_args source;
	struct query_args query;
	const char *output, *to;
	unsigned form; /* 0: by the file's name; else position in the table of formats, from 1 */
};

static const struct option_row export_options[] = {
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct export_args, output),
	 .value = "FILE",
	 .fallback = "-",
	 .what = "where to; - is stdout; a name that ends in .gz is compressed"},
	{.name = "as",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct export_args, form),
	 .value = "FORM",
	 .fallback = "auto",
	 .choices = form_choices,
	 .what = "the format; auto: by the ending of FILE"},
	{.name = "to",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct export_args, to),
	 .value = "URL",
	 .what = "with --as sh: where the commands send to, such as http://localhost:8080"},
	SINCE_OPTIONS(struct export_args, query),
	{.name = "limit",
	 .letter = 'n',
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct export_args, query.limit),
	 .value = "COUNT",
	 .what = "exchanges at most, the oldest"},
	SOURCE_OPTIONS(struct export_args, source),
	{0},
};

struct export
{
	struct output *output;
	struct format_writer *writer;
	struct buf out;
	struct err *e;
	uint64_t seen;
	bool is_closed; /* nobody reads any more */
};

static int flush(struct export *ex)
{
	int r = output_write(ex->output, &ex->out, ex->e);

	ex->is_closed |= r > 0;
	return r;
}

static int on_exchange(void *ctx, const struct exchange *x)
{
	struct export *ex = ctx;

	format_add(ex->writer, x, &ex->out);
	ex->seen++;
	cli_progress("%llu exchanges", (unsigned long long)ex->seen);
	return ex->out.len >= FLUSH_BYTES || ex->out.is_failed ? flush(ex) : 0;
}

static void note_losses(const struct export *ex)
{
	for (int i = 0; i < FORMAT_LOSS_COUNT; i++) {
		const char *what;
		uint64_t n = format_lost(ex->writer, (enum format_loss)i, &what);

		if (n)
			cli_note("%llu of %llu exchanges: %s.", (unsigned long long)n,
				 (unsigned long long)ex->seen, what);
	}
}

static int write_all(struct export *ex, const struct selection *sel, struct source *s)
{
	int r = selection_each(sel, s, on_exchange, ex, ex->e);

	if (r == 0 && cli_is_interrupted())
		return err_set(ex->e, -ECANCELED, "interrupted");
	if (r < 0 || ex->is_closed)
		return r;
	format_end(ex->writer, &ex->out);
	r = flush(ex);
	return MIN(r, 0);
}

/* Return: exit status */
static int finish(struct cli *cli, struct export *ex, const char *path)
{
	if (ex->seen == 0 && cli->operand_count) {
		cli_note("Nothing matches: nothing is written.");
		return CLI_DIFFERS;
	}
	if (output_finish(TAKE(ex->output), ex->e) < 0)
		return cli_fail(cli, ex->e);
	if (strcmp(path, "-") != 0)
		cli_note("%llu exchanges written to %s",
			 (unsigned long long)format_count(ex->writer), path);
	note_losses(ex);
	return CLI_OK;
}

static const struct format *choose_format(struct cli *cli, const struct export_args *a)
{
	const struct format *f = a->form ? format_at(a->form - 1) : format_of_path(a->output);

	if (!f)
		(void)cli_usage(cli, "\"%s\" names no format: --as FORM does (%s)", a->output,
				form_choices + 5);
	else if (a->to && strcmp(format_name(f), "sh") != 0)
		(void)cli_usage(cli, "--to goes with --as sh; `tapeloop replay` sends it");
	else
		return f;
	return NULL;
}

static int export(struct cli *cli, struct source *s, const struct format *f)
{
	const struct export_args *a = cli->args;
	AUTO(format_writer) writer = format_writer_new(f, a->to);
	AUTO(output) output = NULL;
	struct selection sel = {0};
	struct err e = {0};
	struct export ex = {.writer = writer, .e = &e};
	int status, r = writer ? 0 : err_set(&e, -ENOMEM, "out of memory");

	if (r == 0)
		r = selection_make(cli, s, &a->query, &sel, &e);
	if (r == 0)
		r = output_open(a->output, &output, &e);
	ex.output = TAKE(output);
	if (r == 0)
		r = write_all(&ex, &sel, s);
	status = r < 0 ? cli_fail(cli, &e) : ex.is_closed ? CLI_OK : finish(cli, &ex, a->output);
	output_discard(ex.output);
	selection_fini(&sel);
	buf_fini(&ex.out);
	return status;
}

static int run_export(struct cli *cli)
{
	const struct export_args *a = cli->args;
	const struct format *f = choose_format(cli, a);
	AUTO(source) s = NULL;
	struct err e = {0};

	if (!f)
		return CLI_USAGE;
	if (source_open(&a->source, &s, &e) < 0)
		return cli_fail(cli, &e);
	return export(cli, s, f);
}

const struct command command_export = {
	.name = "export",
	.operands = "[FILTER|ID...]",
	.operands_max = -1,
	.summary = "write a selection as HAR, .gor, pcap, JSON lines, CSV or curl commands",
	.details =
		"Oldest first. The format comes from FILE's ending (.har .gor .jsonl .pcap .csv "
		".sh, "
		"and .gz behind it) or from --as. FILE is there whole or, after a failure or ^C, "
		"not at all. What the format cannot keep is said at the end, with counts; "
		"docs/formats.md says what each keeps. With operands that nothing matches the exit "
		"status is 1.",
	.examples = "tapeloop export 'dst.service == \"cart\"' --since 1h -o cart.har\tfor a "
		    "browser's developer tools\n"
		    "tapeloop export 5xx -o errors.gor.gz\tfor GoReplay\n"
		    "tapeloop export 7K3QM X2T9A -o two.sh --to http://localhost:8080\tas curl "
		    "commands\n",
	.options = export_options,
	.args_bytes = sizeof(struct export_args),
	.run = run_export,
};
