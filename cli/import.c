// SPDX-License-Identifier: Apache-2.0
/*
 * import: capture files into a store, or decoded only
 *
 * Theory of operation
 *
 * The same pipeline as in the daemon, with files in place of the interfaces: into a store through
 * the queue and the recorder thread, which the decoder waits for; or decoded only, in this one
 * thread. JSON lines are written by whichever thread has the exchange; the other does not touch
 * the output meanwhile.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "record/key.h"
#include "record/record.h"
#include "schema/exchange_json.h"

#define IMPORT_MEMORY                                                                              \
	((size_t)64 << 20) /* of the decoder: what one capture holds open at a time                \
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
	struct buf out; /* JSON lines not yet written */
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

/* All files, one after the other, even when one is bad. Return: exit status. */
static int read_files(const struct import *im, struct record *r)
{
	int status = CLI_OK;

	for (int i = 0; i < im->cli->operand_count; i++) {
		struct err e = {0};
		int failed = record_file(r, im->cli->operands[i], &e);

		if (failed == 0)
			continue;
		if (failed == -ENODATA) {
			cli_note("tapeloop import: warning: %s", e.why);
			continue;
		}
		cli_note("tapeloop import: %s", e.why);
		status = CLI_FAILED;
		if (failed == -ECANCELED || failed == -EIO)
			break;
	}
	return status;
}

static int configure(struct import *im, struct record_config *c, struct err *e)
{
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

static int run(struct cli *cli)
{
	struct import im = {.cli = cli, .args = cli->args};
	uint64_t begun_ns = clock_mono_ns();
	struct record_config config;
	struct record *r = NULL;
	struct counters sum;
	struct err e = {0};
	int status;

	if (!im.args->store == !im.args->is_decode_only)
		return cli_usage(cli, "say either --store DIR or --decode-only");
	if (configure(&im, &config, &e) < 0 || record_start(&config, &r, &e) < 0)
		return cli_fail(cli, &e);
	status = read_files(&im, r);
	if (record_stop(r, &e) < 0) {
		cli_note("tapeloop import: %s", e.why);
		status = CLI_FAILED;
	}
	record_counters(r, &sum);
	record_free(r);
	if (im.out.len && !im.is_output_closed)
		im.is_output_closed = cli_print(&im.out) < 0;
	buf_fini(&im.out);
	if (im.args->has_stats)
		print_stats(&sum, begun_ns);
	return status;
}

const struct command command_import = {
	.name = "import",
	.operands = "FILE...",
	.operands_min = 1,
	.operands_max = -1,
	.summary = "decode capture files, into a store or as JSON",
	.details =
		"Reads pcap and pcapng files; - is standard input. Connections go on from one "
		"file to the next, so a capture that was cut into several is one.\n"
		"A file that ends in the middle of a packet gives a warning; one that is no "
		"capture, or damaged, the exit status 3. What could be read is kept in any case.",
	.examples = "tapeloop import --store tapes/ yesterday.pcap\tkeep what it holds\n"
		    "tcpdump -w - tcp | tapeloop import --decode-only -\tlook without keeping\n",
	.options = import_options,
	.args_bytes = sizeof(struct import_args),
	.run = run,
};
