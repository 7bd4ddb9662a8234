// SPDX-License-Identifier: Apache-2.0
/*
 * fsck: is a store sound, tape by tape; --repair
 *
 * Theory of operation
 *
 * Every tape is looked at by store/check.h, beside a daemon that writes. --repair needs the store
 * for itself, as its only writer: each tape in which something was found is moved to the directory
 * `damaged` and what can be read of it written anew. What was left over by a crash is removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/plain.h"
#include "cli/store_option.h"
#include "lib/json.h"
#include "store/check.h"
#include "store/directory.h"
#include "store/repair.h"

struct fsck_args {
	const char *store;
	bool is_repairing;
	unsigned form; /* 0 text, 1 json */
};

static const struct option_row fsck_options[] = {
	STORE_OPTION(struct fsck_args, store),
	{.name = "repair",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct fsck_args, is_repairing),
	 .what = "move damaged tapes to DIR/damaged and write anew what can be read; no daemon may "
		 "run"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct fsck_args, form),
	 .value = "FORM",
	 .fallback = "text",
	 .choices = "text json",
	 .what = "how it is shown"},
	{0},
};

struct fsck {
	struct cli *cli;
	const struct fsck_args *args;
	const char *path; /* the tape that is looked at */
	struct buf out;
	struct json j; /* form json */
	uint64_t tapes, exchanges, findings, damaged_tapes;
	int status;
};

static void begin_tape(struct fsck *f, const char *path)
{
	f->path = path;
	if (f->args->form == 0)
		return;
	json_object_begin(&f->j);
	json_key_str(&f->j, "tape", path);
	json_key(&f->j, "findings");
	json_array_begin(&f->j);
}

static void on_found(void *ctx, const struct check_finding *found)
{
	struct fsck *f = ctx;

	if (f->args->form == 1) {
		json_object_begin(&f->j);
		json_key_str(&f->j, "place", check_place_name(found->place));
		json_key_u64(&f->j, "number", found->id);
		json_key_str(&f->j, "what", found->what);
		json_object_end(&f->j);
		return;
	}
	cli_progress_end();
	(void)plain_add(&f->out, span_str(f->path), PLAIN_UNLIMITED);
	buf_add_fmt(&f->out, ": %s", check_place_name(found->place));
	if (found->id && found->place != CHECK_EXCHANGE)
		buf_add_fmt(&f->out, " %" PRIu64, found->id);
	buf_add_str(&f->out, ": ");
	(void)plain_add(&f->out, span_str(found->what), PLAIN_UNLIMITED);
	buf_add_char(&f->out, '\n');
	(void)cli_print(&f->out);
}

static bool on_progress(void *ctx, uint64_t done, uint64_t all)
{
	const struct fsck *f = ctx;

	cli_progress("%s: %" PRIu64 " of %" PRIu64 " exchanges", f->path, done, all);
	return !cli_is_interrupted();
}

static void end_tape(struct fsck *f, const struct check_result *result)
{
	f->tapes++;
	f->exchanges += result->exchanges;
	f->findings += result->findings;
	f->damaged_tapes += result->findings > 0;
	if (f->args->form == 0)
		return;
	json_array_end(&f->j);
	json_key_u64(&f->j, "exchanges", result->exchanges);
	json_key_u64(&f->j, "damaged_exchanges", result->damaged_exchanges);
	json_key_u64(&f->j, "blocks", result->blocks);
	json_key_bool(&f->j, "is_readable", result->is_readable);
}

static int say_repaired(struct fsck *f, const struct repair_result *done)
{
	if (f->args->form == 1) {
		json_key_u64(&f->j, "saved", done->saved);
		json_key_u64(&f->j, "lost", done->lost);
		return 0;
	}
	(void)plain_add(&f->out, span_str(f->path), PLAIN_UNLIMITED);
	buf_add_fmt(&f->out,
		    ": repaired: %" PRIu64 " exchanges saved, %" PRIu64
		    " lost; the old one is in damaged/\n",
		    done->saved, done->lost);
	return cli_print(&f->out);
}

static int repair(struct fsck *f, struct err *e)
{
	struct repair_result done;
	int r = repair_tape(f->path, &done, e);

	return r < 0 ? r : MIN(say_repaired(f, &done), 0);
}

static int check_one(void *ctx, const char *path, bool is_failures, struct err *e)
{
	struct fsck *f = ctx;
	const struct check_hooks hooks = {on_found, on_progress, f};
	struct check_result result;
	int r;

	(void)is_failures;
	begin_tape(f, path);
	r = check_tape(path, &hooks, &result, e);
	end_tape(f, &result);
	if (r == 0 && result.findings && f->args->is_repairing)
		r = repair(f, e);
	if (f->args->form == 1)
		json_object_end(&f->j);
	if (r == -ENOENT && !f->args->is_repairing)
		return 0; /* retired meanwhile */
	return r;
}

static int lock_store(const char *path, bool is_file, int *fd, struct err *e)
{
	char *copy = strdup(path);
	int r;

	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	r = directory_lock(is_file ? dirname(copy) : copy, fd, e);
	free(copy);
	return r;
}

static int check_store(struct fsck *f, const char *path, struct err *e)
{
	struct stat st;
	bool is_file;
	int fd = -1, r = 0;

	if (stat(path, &st) < 0)
		return err_set(e, -EIO, "store %s: %s", path, strerror(errno));
	is_file = !S_ISDIR(st.st_mode);
	if (f->args->is_repairing)
		r = lock_store(path, is_file, &fd, e);
	if (r == 0 && f->args->is_repairing && !is_file)
		directory_tidy_all(path);
	if (r == 0)
		r = is_file ? check_one(f, path, false, e)
			    : directory_each_tape(path, check_one, f, e);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static void say_end(struct fsck *f)
{
	cli_progress_end();
	if (f->args->form == 1) {
		json_array_end(&f->j);
		json_key_u64(&f->j, "exchanges", f->exchanges);
		json_key_u64(&f->j, "findings", f->findings);
		json_object_end(&f->j);
		buf_add_char(&f->out, '\n');
	} else {
		buf_add_fmt(&f->out, "%" PRIu64 " %s, %" PRIu64 " exchanges, %" PRIu64 " findings",
			    f->tapes, f->tapes == 1 ? "tape" : "tapes", f->exchanges, f->findings);
		if (f->damaged_tapes)
			buf_add_fmt(&f->out, " on %" PRIu64 " of them", f->damaged_tapes);
		buf_add_char(&f->out, '\n');
	}
	(void)cli_print(&f->out);
}

static int run(struct cli *cli)
{
	struct fsck f = {.cli = cli, .args = cli->args};
	const char *path = store_option(f.args->store);
	struct err e = {0};
	int r;

	if (!path)
		return cli_usage(cli, "say which store: --store PATH");
	if (f.args->form == 1) {
		f.j = json_to(&f.out);
		json_object_begin(&f.j);
		json_key(&f.j, "tapes");
		json_array_begin(&f.j);
	}
	r = check_store(&f, path, &e);
	if (r == 0 || f.tapes)
		say_end(&f);
	buf_fini(&f.out);
	if (r < 0) {
		(void)cli_fail(cli, &e);
		return CLI_FAILED;
	}
	return f.findings ? CLI_DIFFERS : CLI_OK;
}

const struct command command_fsck = {
	.name = "fsck",
	.operands = "",
	.summary = "is a store sound: every page, checksum and exchange",
	.details = "Looks at every tape, also beside a daemon that writes: SQLite's own integrity "
		   "check, rows that "
		   "name what is not there, what a tape says of itself, missing indexes, the "
		   "checksum of each "
		   "block, and each exchange with its messages. What is found is said with its "
		   "place. The exit "
		   "status is 0 when all is well, 1 when something was found, 3 when it could not "
		   "be done.\n"
		   "With --repair each tape in which something was found is moved to the directory "
		   "damaged beside "
		   "it, and what can be read of it is written to a new one of the same name.",
	.examples = "tapeloop fsck --store /var/lib/tapeloop\tlook\n"
		    "tapeloop fsck --store /var/lib/tapeloop --repair\tafter stopping tapeloopd\n",
	.options = fsck_options,
	.args_bytes = sizeof(struct fsck_args),
	.run = run,
};
