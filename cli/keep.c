// SPDX-License-Identifier: Apache-2.0
/*
 * keep: a selection in a portable tape, or its tapes pinned where they are
 *
 * Theory of operation
 *
 * A portable tape is written by the store's own writer, as a store of one tape in a directory
 * beside the file's name. When it is whole and sealed it says how it was made (store/about.h) and
 * takes the name; the directory goes. So it holds its dictionaries, kinds and peers, opens with
 * every command, and after a failure or ^C there is nothing. Ids stay what they were.
 *
 * Pinning copies nothing: every tape of a store that holds one of the selected exchanges is marked,
 * and retention passes it over.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/plain.h"
#include "cli/selection.h"
#include "lib/clock.h"
#include "store/about.h"
#include "store/directory.h"
#include "store/filter.h"
#include "store/store.h"

struct keep_args {
	struct source_args source;
	struct query_args query;
	const char *as, *note, *show;
	bool pins, unpins;
};

static const struct option_row keep_options[] = {
	{.name = "as",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct keep_args, as),
	 .value = "FILE.tape",
	 .what = "write them into this portable tape"},
	{.name = "note",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct keep_args, note),
	 .value = "TEXT",
	 .what = "what it is kept for; stands on the tape beside who made it, when and from what"},
	{.name = "show",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct keep_args, show),
	 .value = "FILE.tape",
	 .what = "what a portable tape says of its making; keeps nothing"},
	{.name = "pin",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct keep_args, pins),
	 .what = "with --store DIR: let retention never touch the tapes that hold them"},
	{.name = "unpin",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct keep_args, unpins),
	 .what = "with --store DIR: take that back"},
	SINCE_OPTIONS(struct keep_args, query),
	SOURCE_OPTIONS(struct keep_args, source),
	{0},
};

/* ---- a portable tape ---- */

struct keep {
	struct cli *cli;
	const struct keep_args *args;
	struct buf dir, tape; /* where it is made */
	struct store *store;
	uint64_t count;
	struct err *e;
};

static int make_directory(struct keep *k)
{
	buf_add_fmt(&k->dir, "%s.part-XXXXXX", k->args->as);
	(void)buf_cstr(&k->dir);
	if (k->dir.is_failed)
		return err_set(k->e, -ENOMEM, "out of memory");
	if (mkdtemp((char *)k->dir.ptr))
		return 0;
	/* a place that is not there is not 'nothing matched' */
	return err_set(k->e, errno == ENOENT ? -ENXIO : -errno, "%s: %s", k->args->as,
		       strerror(errno));
}

static int open_store(struct keep *k)
{
	struct store_config config = store_config_default();

	config.bytes_max = 0;
	config.age_max_ns = 0;
	config.failures_percent = 0; /* all on one tape */
	config.tape_rows = config.tape_span_ns = INT64_MAX;
	config.is_bulk = config.keeps_ids = true;
	return store_open(buf_cstr(&k->dir), &config, &k->store, k->e);
}

static int on_exchange(void *ctx, const struct exchange *x)
{
	struct keep *k = ctx;
	struct exchange copy = *x;

	k->count++;
	cli_progress("%llu exchanges", (unsigned long long)k->count);
	return store_add(k->store, &copy, k->e);
}

/* the one tape of the store that was closed */
static int find_tape(struct keep *k)
{
	struct tape_list list;
	int r = directory_list(buf_cstr(&k->dir), &list, k->e);

	if (r < 0)
		return r;
	if (list.count == 1)
		(void)directory_path(&k->tape, buf_cstr(&k->dir), list.numbers[0], false);
	r = list.count == 1
		    ? 0
		    : err_set(k->e, -EIO, "%s: %zu tapes were made", k->args->as, list.count);
	tape_list_fini(&list);
	return r;
}

/* user@host, as far as they have names */
static void add_maker(struct buf *out)
{
	const struct passwd *user = getpwuid(geteuid());
	char host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	if (user)
		buf_add_fmt(out, "%s@%s", user->pw_name, host);
	else
		buf_add_fmt(out, "%u@%s", geteuid(), host);
}

static void add_operands(struct buf *out, const struct cli *cli)
{
	for (int i = 0; i < cli->operand_count; i++)
		buf_add_fmt(out, "%s%s", i ? " " : "", cli->operands[i]);
}

static int write_about(struct keep *k, const char *from)
{
	AUTO_BUF made = {0}, by = {0}, filter = {0}, since = {0}, until = {0}, count = {0};
	const struct query_args *q = &k->args->query;
	struct about rows[8];
	size_t n = 0;

	clock_format_utc(&made, k->cli->now_ns);
	add_maker(&by);
	add_operands(&filter, k->cli);
	buf_add_u64(&count, k->count);
	if (k->args->note)
		rows[n++] = (struct about){"note", span_str(k->args->note)};
	rows[n++] = (struct about){"made", buf_span(&made)};
	rows[n++] = (struct about){"by", buf_span(&by)};
	rows[n++] = (struct about){"from", span_str(from)};
	if (filter.len)
		rows[n++] = (struct about){"filter", buf_span(&filter)};
	if (q->since_ns) {
		clock_format_utc(&since, q->since_ns);
		rows[n++] = (struct about){"since", buf_span(&since)};
	}
	if (q->until_ns) {
		clock_format_utc(&until, q->until_ns);
		rows[n++] = (struct about){"until", buf_span(&until)};
	}
	rows[n++] = (struct about){"exchanges", buf_span(&count)};
	return about_write(buf_cstr(&k->tape), rows, n, k->e);
}

static int copy(struct keep *k, struct source *s)
{
	struct selection sel;
	int r = selection_make(k->cli, s, &k->args->query, &sel, k->e), closed;

	if (r == 0)
		r = make_directory(k);
	if (r == 0)
		r = open_store(k);
	if (r == 0)
		r = selection_each(&sel, s, on_exchange, k, k->e);
	if (r == 0 && cli_is_interrupted())
		r = err_set(k->e, -ECANCELED, "interrupted");
	if (r < 0 && k->store)
		(void)store_discard(k->store);
	closed = store_close(TAKE(k->store), r < 0 ? NULL : k->e);
	selection_fini(&sel);
	return r < 0 ? r : closed;
}

/* what is whole gets its name */
static int finish(struct keep *k, const char *from)
{
	int r = find_tape(k);

	if (r == 0)
		r = write_about(k, from);
	if (r == 0 &&
	    chmod(buf_cstr(&k->tape), 0600) < 0) /* other people's data: its owner hands it on */
		r = err_set(k->e, -errno, "%s: %s", k->args->as, strerror(errno));
	if (r == 0 && rename(buf_cstr(&k->tape), k->args->as) < 0)
		r = err_set(k->e, -errno, "%s: %s", k->args->as, strerror(errno));
	return r;
}

static void remove_directory(struct keep *k)
{
	if (k->dir.len)
		directory_remove(buf_cstr(&k->dir));
}

static int keep_as(struct cli *cli, struct source *s)
{
	struct err e = {0};
	struct keep k = {.cli = cli, .args = cli->args, .e = &e};
	int status = CLI_OK, r = copy(&k, s);

	if (r == 0 && k.count == 0) {
		cli_note("Nothing matches: nothing is kept.");
		status = CLI_DIFFERS;
	} else if (r == 0) {
		r = finish(&k, source_name(s));
	}
	if (r < 0)
		status = cli_fail(cli, &e);
	else if (k.count)
		cli_note("%llu exchanges kept in %s", (unsigned long long)k.count, k.args->as);
	remove_directory(&k);
	buf_fini(&k.dir);
	buf_fini(&k.tape);
	return status;
}

/* ---- what a tape says ---- */

static void show_row(void *ctx, const struct about *row)
{
	struct buf *out = ctx;

	buf_add_fmt(out, "%-10s ", row->name);
	(void)plain_add(out, row->value, PLAIN_UNLIMITED);
	buf_add_char(out, '\n');
}

static int show(struct cli *cli, const char *path)
{
	AUTO_BUF out = {0};
	struct err e = {0};

	if (about_read(path, show_row, &out, &e) < 0) {
		e.code = e.code == -ENOENT ? -ENXIO : e.code;
		return cli_fail(cli, &e);
	}
	if (out.len == 0)
		cli_note("%s says nothing: it was recorded, not kept.", path);
	return cli_print(&out) < 0 ? CLI_FAILED : CLI_OK;
}

/* ---- pins ---- */

struct pins {
	const struct cli *cli;
	const struct keep_args *args;
	struct err *e;
	uint64_t tapes;
	bool has_failed;
};

static int note_found(void *ctx, const struct exchange *x)
{
	(void)x;
	*(bool *)ctx = true;
	return 1;
}

/* does the tape hold one of the selection? */
static int holds(const struct pins *p, const char *path, bool *found)
{
	const struct source_args only = {.store = path};
	AUTO(source) s = NULL;
	struct selection sel = {0};
	int r = source_open(&only, &s, p->e);

	if (r == 0)
		r = selection_make(p->cli, s, &p->args->query, &sel, p->e);
	if (r == 0) {
		sel.query.wants_messages = false;
		r = selection_each(&sel, s, note_found, found, p->e);
	}
	selection_fini(&sel);
	return r == -ENOENT ? 0 : r; /* ids of another tape */
}

static int pin_tape(void *ctx, const struct tape_info *t)
{
	struct pins *p = ctx;
	bool found = false;
	int r = holds(p, t->path, &found);

	if (r == 0 && found)
		r = directory_pin(t->path, p->args->pins, p->e);
	p->tapes += r == 0 && found;
	return r;
}

static int pin(struct cli *cli, struct source *s)
{
	struct err e = {0};
	struct pins p = {.cli = cli, .args = cli->args, .e = &e};

	if (source_tapes(s, pin_tape, &p, &e) < 0)
		return cli_fail(cli, &e);
	if (p.tapes == 0) {
		cli_note("Nothing matches: no tape is touched.");
		return CLI_DIFFERS;
	}
	cli_note("%llu tapes %s.", (unsigned long long)p.tapes,
		 p.args->pins ? "pinned" : "unpinned");
	return CLI_OK;
}

/* Return: why these options make no sense together, or NULL */
static const char *wrong_together(const struct keep_args *a)
{
	int ways = (a->as != NULL) + (a->show != NULL) + a->pins + a->unpins;

	if (ways != 1)
		return "say one of --as FILE.tape, --pin, --unpin, --show FILE.tape";
	if (a->note && !a->as)
		return "--note goes with --as";
	if ((a->pins || a->unpins) && !a->source.store)
		return "--pin and --unpin need --store DIR: pins are files beside the tapes";
	return NULL;
}

static int run_keep(struct cli *cli)
{
	const struct keep_args *a = cli->args;
	const char *wrong = wrong_together(a);
	AUTO(source) s = NULL;
	struct err e = {0};

	if (wrong)
		return cli_usage(cli, "%s", wrong);
	if (a->show)
		return show(cli, a->show);
	if (source_open(&a->source, &s, &e) < 0)
		return cli_fail(cli, &e);
	return a->as ? keep_as(cli, s) : pin(cli, s);
}

const struct command command_keep = {
	.name = "keep",
	.operands = "[FILTER|ID...]",
	.operands_max = -1,
	.summary = "copy a selection into a portable tape, or pin its tapes",
	.details =
		"A portable tape is one file with everything needed inside; every command opens it "
		"with --store FILE.tape, `tapeloop import` puts it into a store, retention never "
		"touches it. Ids stay what they were. It says who made it, when, from which store "
		"and selection, and the note: --show. FILE.tape is there whole or, after a failure "
		"or ^C, not at all.\n"
		"--pin copies nothing: whole tapes that hold one of the selected exchanges stay, "
		"and count towards the quota. With a selection that is empty the exit status is 1.",
	.examples = "tapeloop keep 'failed() && dst.service == \"cart\"' --as "
		    "incident-42.tape --note 'checkout down'\tfor the ticket\n"
		    "tapeloop replay --store incident-42.tape --to http://localhost:8080\tagainst "
		    "the fix\n"
		    "tapeloop keep --store /var/lib/tapeloop --pin --since 03:00 --until "
		    "04:00\tuntil it is looked at\n",
	.options = keep_options,
	.args_bytes = sizeof(struct keep_args),
	.run = run_keep,
};
