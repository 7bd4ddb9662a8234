// SPDX-License-Identifier: Apache-2.0
/*
 * tapes: the files of a store, with what is on them and what may go
 *
 * Theory of operation
 *
 * A daemon or a store is asked for its tapes, the newest first. --pin and --unpin make and remove
 * the file beside a tape that retention looks for, so they need the store's directory, not the
 * daemon.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/view.h"
#include "cli/when.h"
#include "lib/json.h"
#include "store/directory.h"

struct tapes_args {
	struct source_args source;
	bool is_pinning, is_unpinning;
	unsigned form; /* 0 table, 1 json */
};

static const struct option_row tapes_options[] = {
	{.name = "pin",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct tapes_args, is_pinning),
	 .what = "the named tapes are never removed by retention"},
	{.name = "unpin",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct tapes_args, is_unpinning),
	 .what = "the named tapes may go again"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct tapes_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = "table json",
	 .what = "how it is shown"},
	SOURCE_OPTIONS(struct tapes_args, source),
	{0},
};

static const struct table_column columns[] = {
	{.title = "FIRST"},
	{.title = "LAST"},
	{.title = "EXCHANGES", .is_right = true},
	{.title = "SIZE", .is_right = true},
	{.title = "STATE"},
	{.title = "TAPE"},
};

struct tapes {
	struct cli *cli;
	struct table *table; /* NULL: JSON */
	struct buf out;
	struct json j;
	uint64_t damaged;
};

static void cell_time(struct tapes *l, uint64_t ns)
{
	AUTO_BUF text = {0};

	if (ns)
		when_local(&text, ns, l->cli->now_ns);
	else
		buf_add_char(&text, '-');
	table_cell(l->table, buf_span(&text), STYLE_PLAIN);
}

static void add_row(struct tapes *l, const struct tape_info *t)
{
	AUTO_BUF size = {0}, state = {0};

	cell_time(l, t->rows ? t->first_ns : 0);
	cell_time(l, t->rows ? t->last_ns : 0);
	table_cell_fmt(l->table, STYLE_PLAIN, "%llu", (unsigned long long)t->rows);
	view_size(&size, t->bytes);
	table_cell(l->table, buf_span(&size), STYLE_PLAIN);
	buf_add_str(&state, t->damage ? "damaged" : t->is_sealed ? "sealed" : "written");
	if (t->is_pinned)
		buf_add_str(&state, ", pinned");
	table_cell(l->table, buf_span(&state), t->damage ? STYLE_RED : STYLE_PLAIN);
	table_cell(l->table, span_str(t->path), STYLE_PLAIN);
}

static void add_json(struct tapes *l, const struct tape_info *t)
{
	json_object_begin(&l->j);
	json_key_str(&l->j, "path", t->path);
	json_key_u64(&l->j, "rows", t->rows);
	json_key_u64(&l->j, "bytes", t->bytes);
	json_key(&l->j, "first");
	json_time(&l->j, t->rows ? t->first_ns : 0);
	json_key(&l->j, "last");
	json_time(&l->j, t->rows ? t->last_ns : 0);
	json_key_bool(&l->j, "sealed", t->is_sealed);
	json_key_bool(&l->j, "failures", t->is_of_failures);
	json_key_bool(&l->j, "pinned", t->is_pinned);
	json_key_str(&l->j, "damage", t->damage);
	json_object_end(&l->j);
}

static int on_tape(void *ctx, const struct tape_info *t)
{
	struct tapes *l = ctx;

	l->damaged += t->damage != NULL;
	if (l->table)
		add_row(l, t);
	else
		add_json(l, t);
	return 0;
}

static void print(struct tapes *l)
{
	if (l->table) {
		table_print(l->table, &l->out);
	} else {
		json_array_end(&l->j);
		json_object_end(&l->j);
		buf_add_char(&l->out, '\n');
	}
	(void)cli_print(&l->out);
}

static int list(struct cli *cli)
{
	const struct tapes_args *a = cli->args;
	struct screen screen = screen_of_stdout();
	struct tapes l = {.cli = cli};
	AUTO(table) t = a->form == 0 ? table_new(columns, COUNT_OF(columns), &screen) : NULL;
	AUTO(source) s = NULL;
	struct err e = {0};
	int r;

	if (a->form == 0 && !t)
		return cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	l.table = t;
	l.j = json_to(&l.out);
	if (!t) {
		json_object_begin(&l.j);
		json_key(&l.j, "tapes");
		json_array_begin(&l.j);
	}
	r = source_open(&a->source, &s, &e);
	if (r == 0)
		r = source_tapes(s, on_tape, &l, &e);
	if (r == 0)
		print(&l);
	buf_fini(&l.out);
	if (r < 0)
		return cli_fail(cli, &e);
	return l.damaged ? CLI_FAILED : CLI_OK;
}

static int pin(struct cli *cli, bool is_pinned)
{
	int status = CLI_OK;

	for (int i = 0; i < cli->operand_count; i++) {
		struct err e = {0};

		if (directory_pin(cli->operands[i], is_pinned, &e) < 0) {
			(void)cli_fail(cli, &e);
			status = CLI_FAILED;
		}
	}
	return status;
}

static int run(struct cli *cli)
{
	const struct tapes_args *a = cli->args;
	bool is_changing = a->is_pinning || a->is_unpinning;

	if (a->is_pinning && a->is_unpinning)
		return cli_usage(cli, "--pin or --unpin, not both");
	if (is_changing && cli->operand_count == 0)
		return cli_usage(cli, "say which tapes: files of the store");
	if (!is_changing && cli->operand_count)
		return cli_usage(
			cli,
			"tapes are named for --pin and --unpin; --store PATH says of which store");
	return is_changing ? pin(cli, a->is_pinning) : list(cli);
}

const struct command command_tapes = {
	.name = "tapes",
	.operands = "[TAPE...]",
	.operands_max = -1,
	.summary = "list the tapes of a store: times, sizes, state; pin them",
	.details = "A tape is a file of the store: written, or sealed and never changed again. "
		   "Retention removes "
		   "the oldest ones, failures' later than the rest, and never a pinned one. The "
		   "exit status is 3 "
		   "when a tape cannot be read; `tapeloop fsck` then says more.",
	.examples = "tapeloop tapes --store /var/lib/tapeloop\tlist\n"
		    "tapeloop tapes --pin /var/lib/tapeloop/tape-00000042.tape\tkeep this one\n",
	.options = tapes_options,
	.args_bytes = sizeof(struct tapes_args),
	.run = run,
};
