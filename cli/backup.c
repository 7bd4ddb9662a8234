// SPDX-License-Identifier: Apache-2.0
/*
 * backup: copy a store, tape by tape, while it is written
 *
 * Theory of operation
 *
 * Each tape is copied by store/backup.h as it is at one moment. The tapes are listed first: what is
 * retired before its turn is left out, what is begun later belongs to the next backup. A sealed
 * tape that is there already is not copied again, so a second backup to the same place costs
 * little.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/store_option.h"
#include "store/backup.h"
#include "store/directory.h"

struct backup_args {
	const char *store, *to;
};

static const struct option_row backup_options[] = {
	STORE_OPTION(struct backup_args, store),
	{.name = "to",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct backup_args, to),
	 .value = "PATH",
	 .what = "the directory that becomes the copy, made if need be; a file, where one tape is "
		 "copied"},
	{0},
};

struct backup_run {
	const char *to, *path;
	uint64_t copied, kept, bytes;
};

static bool on_progress(void *ctx, uint64_t done, uint64_t all)
{
	const struct backup_run *b = ctx;

	cli_progress("%s: %" PRIu64 "%%", b->path, all ? done * 100 / all : 100);
	return !cli_is_interrupted();
}

static int copy_to(struct backup_run *b, const char *from, const char *to, struct err *e)
{
	const struct backup_hooks hooks = {on_progress, b};
	int r;

	b->path = from;
	if (backup_is_there(from, to)) {
		b->kept++;
		return 0;
	}
	r = backup_tape(from, to, &hooks, e);
	if (r == -ENOENT)
		return 0; /* retired meanwhile */
	if (r < 0)
		return r;
	b->copied++;
	b->bytes += directory_main_bytes(to);
	return 0;
}

static int make_directory(const char *path, struct err *e)
{
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return err_set(e, -errno, "backup %s: %s", path, strerror(errno));
	return 0;
}

static int copy_one(void *ctx, const char *path, bool is_failures, struct err *e)
{
	struct backup_run *b = ctx;
	AUTO_BUF dir = {0}, to = {0};
	const char *slash = strrchr(path, '/');
	int r;

	if (is_failures)
		(void)directory_failures(&dir, b->to);
	else
		buf_add_str(&dir, b->to);
	r = make_directory(buf_cstr(&dir), e);
	if (r < 0)
		return r;
	buf_add_fmt(&to, "%s/%s", buf_cstr(&dir), slash ? slash + 1 : path);
	r = copy_to(b, path, buf_cstr(&to), e);
	directory_sync(buf_cstr(&dir));
	return r;
}

static int copy_store(struct backup_run *b, const char *store, struct err *e)
{
	struct stat st;
	int r;

	if (stat(store, &st) < 0)
		return err_set(e, -EIO, "store %s: %s", store, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		r = make_directory(b->to, e);
		return r == 0 ? directory_each_tape(store, copy_one, b, e) : r;
	}
	if (stat(b->to, &st) == 0 && S_ISDIR(st.st_mode))
		return copy_one(b, store, false, e);
	return copy_to(b, store, b->to, e);
}

static int run(struct cli *cli)
{
	const struct backup_args *args = cli->args;
	struct backup_run b = {.to = args->to};
	const char *store = store_option(args->store);
	AUTO_BUF out = {0};
	struct err e = {0};
	int r;

	if (!store)
		return cli_usage(cli, "say which store: --store PATH");
	if (!args->to || !*args->to)
		return cli_usage(cli, "say where to: --to PATH");
	r = copy_store(&b, store, &e);
	cli_progress_end();
	buf_add_fmt(&out, "%" PRIu64 " tapes copied, %" PRIu64 " bytes", b.copied, b.bytes);
	if (b.kept)
		buf_add_fmt(&out, "; %" PRIu64 " were there already", b.kept);
	buf_add_char(&out, '\n');
	(void)cli_print(&out);
	if (r < 0)
		(void)cli_fail(cli, &e);
	return r < 0 ? CLI_FAILED : CLI_OK;
}

const struct command command_backup = {
	.name = "backup",
	.operands = "",
	.summary = "copy a store while it is written",
	.details = "Copies tape by tape with SQLite's online backup: each copy is its tape at one "
		   "moment, with all "
		   "that was committed by then, checked, synced, and one file without a log. The "
		   "daemon goes on "
		   "meanwhile. Sealed tapes that the place holds already are not copied again. The "
		   "copy is a store "
		   "like any other.",
	.examples =
		"tapeloop backup --store /var/lib/tapeloop --to /mnt/backup\ta directory of tapes\n"
		"tapeloop backup --store t/tape-00000007.tape --to seven.tape\tone tape\n",
	.options = backup_options,
	.args_bytes = sizeof(struct backup_args),
	.run = run,
};
