// SPDX-License-Identifier: Apache-2.0
/*
 * import: captures and files of exchanges into a store, or decoded only
 *
 * Theory of operation
 *
 * A file's first bytes say what it is. For captures the same pipeline as in the daemon, with files
 * in place of the interfaces: into a store through the queue and the recorder thread, which the
 * decoder waits for; or decoded only, in this one thread. For HAR, .gor, JSON lines and tapes
 * record/intake.h. JSON lines are written by whichever thread has the exchange; the other does not
 * touch the output meanwhile.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "record/intake.h"
#include "record/key.h"
#include "schema/exchange_json.h"

#define IMPORT_MEMORY                                                                              \
	((size_t)64                                                                                \
	 << 20) /* of the decoder: what one capture holds open at a time                \
			    */
#define IMPORT_QUEUE ((size_t)16 << 20)
#define OUTPUT_FLUSH (64 * 1024) /* bytes of JSON lines written at once */

enum output { OUTPUT_AUTO, OUTPUT_NONE, OUTPUT_JSONL };

struct import_args {
	const char *store, *filter;
	bool is_decode_only, has_stats, is_raw;
	unsigned output; /* enum output */
	unsigned part;	 /* enum exchange_json_part */
};

static const struct option_row import_options[] = {
	{.name = "store",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct import_args, store),
	 .value = "DIR",
	 .what = "keep the exchanges in this directory of tapes"},
	{.name = "decode-only",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct import_args, is_decode_only),
	 .what = "keep nothing: for looking, comparing and measuring"},
	{.name = "filter",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct import_args, filter),
	 .value = "FILTER",
	 .what = "only the exchanges that it selects"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct import_args, output),
	 .value = "FORM",
	 .fallback = "auto",
	 .choices = "auto none jsonl",
	 .what = "print exchanges as JSON lines, or not; auto: when nothing is kept"},
	{.name = "part",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct import_args, part),
	 .value = "PART",
	 .fallback = "summary",
	 .choices = "summary messages exact",
	 .what = "how much of an exchange is printed"},
	{.name = "no-redact",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct import_args, is_raw),
	 .what = "leave credentials as they are"},
	{.name = "stats",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct import_args, has_stats),
	 .what = "at the end, all counters and the balance of each account as JSON on stderr"},
	{0},
};

struct import {
	struct cli *cli;
	const struct import_args *args;
	struct record_config config;
	struct record *record; /* one of the two, or none */
	struct intake *intake;
	struct counters sum; /* of those that were stopped */
	bool has_refused;    /* entries were left out */
	struct buf out;	     /* JSON lines not yet written */
	bool is_output_closed;
};

/* Thread: recorder, or the only one. */
static void print_exchange(void *ctx, const struct exchange *x)
{
	struct import *im = ctx;
	struct json j = json_to(&im->out);

	if (im->is_output_closed)
		return;
	exchange_to_json(&j, x, (enum exchange_json_part)im->args->part);
	buf_add_char(&im->out, '\n');
	if (im->out.len >= OUTPUT_FLUSH)
		im->is_output_closed = cli_print(&im->out) < 0;
}

static void print_stats(const struct counters *sum, uint64_t begun_ns)
{
	AUTO_BUF text = {0};
	struct json j = json_to(&text);

	json_object_begin(&j);
	counters_to_json(&j, sum);
	json_key_u64(&j, "cpu_ns", clock_cpu_ns());
	json_key_u64(&j, "wall_ns", clock_mono_ns() - begun_ns);
	json_object_end(&j);
	cli_note("%s", buf_cstr(&text));
}

static int configure(struct import *im, struct err *e)
{
	struct record_config *c = &im->config;
	bool prints = im->args->output == OUTPUT_JSONL ||
		      (im->args->output == OUTPUT_AUTO && im->args->is_decode_only);

	*c = (struct record_config){
		.wire = wire_config_default(),
		.store = store_config_default(),
		.store_dir = im->args->store,
		.queue_bytes = IMPORT_QUEUE,
		.commit_interval_ns = NS_PER_S,
		.record_filter = im->args->filter ? im->args->filter : "",
		.on_exchange = prints ? print_exchange : NULL,
		.ctx = im,
		.waits_for_room = true,
		.is_stopped = cli_is_interrupted,
	};
	c->wire.memory_max = IMPORT_MEMORY;
	c->wire.part_interval_ns = 0; /* a file is read to its end: nothing under way can be lost */
	c->wire.is_redacting = !im->args->is_raw;
	c->store.is_bulk = true;
	return key_load(c->store_dir, c->wire.redact_key, e);
}

/* --- one file --- */

/* The store has one writer: who reads captures and who reads exchanges take turns. */
static int stop_all(struct import *im, struct err *e)
{
	int r = 0;

	if (im->record) {
		struct counters sum;

		r = record_stop(im->record, e);
		record_counters(im->record, &sum);
		counters_sum(&im->sum, &sum);
		record_free(TAKE(im->record));
	}
	if (im->intake) {
		struct counters sum;

		r = intake_stop(im->intake, e);
		intake_counters(im->intake, &sum);
		counters_sum(&im->sum, &sum);
		intake_free(TAKE(im->intake));
	}
	return r;
}

static int read_capture(struct import *im, struct file *f, struct err *e)
{
	int r = im->intake ? stop_all(im, e) : 0;

	if (r == 0 && !im->record)
		r = record_start(&im->config, &im->record, e);
	return r < 0 ? r : record_read(im->record, f, e);
}

static void note_report(const struct file *f, const struct intake_report *report)
{
	if (report->note[0])
		cli_note("%s: %s", file_name(f), report->note);
	if (report->first_error[0])
		cli_note("tapeloop import: %s: %s", file_name(f), report->first_error);
	for (const struct intake_flaw *flaw = report->flaws; flaw->count; flaw++)
		cli_note("%s: %llu entries: %s.", file_name(f), (unsigned long long)flaw->count,
			 flaw->what);
}

static int read_exchanges(struct import *im, struct file *f, struct err *e)
{
	struct intake_report report = {0};
	int r = im->record ? stop_all(im, e) : 0;

	if (r == 0 && !im->intake)
		r = intake_start(&im->config, &im->intake, e);
	if (r < 0)
		return r;
	r = intake_read(im->intake, f, &report, e);
	note_report(f, &report);
	im->has_refused |= report.first_error[0] != '\0';
	return r;
}

static int read_file(struct import *im, const char *path, struct err *e)
{
	AUTO(file) f = NULL;
	int r = file_begin(path, &f, e);

	if (r < 0)
		return r;
	if (file_first(f).len == 0)
		return err_set(e, -EBADMSG, "%s: it is empty", file_name(f));
	return file_is_capture(f) ? read_capture(im, f, e) : read_exchanges(im, f, e);
}

/* All files, one after the other, even when one is bad. Return: exit status. */
static int read_files(struct import *im)
{
	int status = CLI_OK;

	for (int i = 0; i < im->cli->operand_count; i++) {
		struct err e = {0};
		int failed = read_file(im, im->cli->operands[i], &e);

		if (failed == 0)
			continue;
		if (failed == -ENODATA) {
			cli_note("tapeloop import: warning: %s", e.why);
			continue;
		}
		cli_note("tapeloop import: %s", e.why);
		status = failed == -EINVAL ? CLI_USAGE : CLI_FAILED;
		if (failed == -ECANCELED || failed == -EIO)
			break;
	}
	return im->has_refused ? MAX(status, CLI_FAILED) : status;
}

/* Where the store and the filter are wrong, nothing is read. */
static int check(struct import *im, struct err *e)
{
	int r = configure(im, e);

	return r < 0 ? r : record_start(&im->config, &im->record, e);
}

static int run(struct cli *cli)
{
	struct import im = {.cli = cli, .args = cli->args};
	uint64_t begun_ns = clock_mono_ns();
	struct err e = {0};
	int status;

	if (!im.args->store == !im.args->is_decode_only)
		return cli_usage(cli, "say either --store DIR or --decode-only");
	if (check(&im, &e) < 0)
		return cli_fail(cli, &e);
	status = read_files(&im);
	if (stop_all(&im, &e) < 0) {
		cli_note("tapeloop import: %s", e.why);
		status = CLI_FAILED;
	}
	if (im.out.len && !im.is_output_closed)
		im.is_output_closed = cli_print(&im.out) < 0;
	buf_fini(&im.out);
	if (im.args->has_stats)
		print_stats(&im.sum, begun_ns);
	return status;
}

const struct command command_import = {
	.name = "import",
	.operands = "FILE...",
	.operands_min = 1,
	.operands_max = -1,
	.summary = "read captures, HAR, .gor, JSON lines and tapes, into a store or as JSON",
	.details =
		"What a file is tells its content: pcap and pcapng, HAR of browsers and proxies, "
		"GoReplay's .gor, JSON lines of `tapeloop export`, each of the last three also "
		"compressed by gzip; a tape; - is standard input. Connections go on from one "
		"capture to the next, so one that was cut into several is one. Credentials are "
		"masked as when recording. What a file does not tell is said, with counts, and "
		"marked in the exchange's anomalies (synthesised).\n"
		"A file that ends in the middle gives a warning; one that is none of these, or "
		"damaged, the exit status 3. What could be read is kept in any case.",
	.examples =
		"tapeloop import --store tapes/ yesterday.pcap\tkeep what it holds\n"
		"tapeloop import --store tapes/ session.har errors.gor.gz\twhat others recorded\n"
		"tcpdump -w - tcp | tapeloop import --decode-only -\tlook without keeping\n",
	.options = import_options,
	.args_bytes = sizeof(struct import_args),
	.run = run,
};
