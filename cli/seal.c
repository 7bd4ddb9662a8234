// SPDX-License-Identifier: Apache-2.0
/*
 * seal: bring the tapes of a store that nobody writes into their final form
 *
 * Theory of operation
 *
 * The daemon does this by itself, a tape at a time, where it pays. This is for stores made by
 * imports and for tapes of older versions. The store's lock is held, so no writer is disturbed;
 * readers go on with what they have open.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/store_option.h"
#include "store/directory.h"
#include "store/rewrite.h"
#include "store/tape.h"

struct seal_args {
	const char *store;
	unsigned long long level;
	bool has_all;
};

static const struct option_row seal_options[] = {
	STORE_OPTION(struct seal_args, store),
	{.name = "level",
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct seal_args, level),
	 .value = "N",
	 .fallback = "6",
	 .what = "zstd level, 1 to 19: higher is smaller and slower"},
	{.name = "all",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct seal_args, has_all),
	 .what = "also the tapes that are in their final form"},
	{0},
};

struct seal_run {
	const struct seal_args *args;
	uint64_t tapes, was_bytes, bytes;
	bool has_failed;
};

static bool goes_on(void *ctx)
{
	(void)ctx;
	return !cli_is_interrupted();
}

/* What its writer left open is closed first: indexes, and the log folded in. */
static int close_tape(const char *path, bool *is_final, struct err *e)
{
	AUTO(tape) t = NULL;
	struct tape_summary sum = {0};
	int r = tape_open(path, TAPE_APPEND, &t, e);

	if (r == -ESTALE)
		r = tape_open(path, TAPE_FOLD, &t, e);
	else if (r == 0)
		r = tape_summary(t, &sum, e);
	*is_final = sum.is_final;
	return r < 0 ? r : tape_make_portable(t, e);
}

static int seal_one(void *ctx, const char *path, bool is_failures, struct err *e)
{
	struct seal_run *s = ctx;
	struct rewrite_config config = {.level = (int)s->args->level, .goes_on = goes_on};
	uint64_t was = directory_main_bytes(path);
	bool is_final;
	int r = close_tape(path, &is_final, e);

	(void)is_failures;
	if (r == 0 && is_final && !s->args->has_all)
		return 0;
	cli_progress("%s", path);
	if (r == 0)
		r = rewrite_tape(path, &config, e);
	cli_progress_end();
	if (r == -ECANCELED)
		return r;
	if (r < 0) {
		cli_note("tapeloop seal: %s", e->why);
		s->has_failed = true;
		return 0;
	}
	s->tapes++;
	s->was_bytes += was;
	s->bytes += directory_main_bytes(path);
	return 0;
}

static int run(struct cli *cli)
{
	const struct seal_args *args = cli->args;
	const char *store = store_option(args->store);
	struct seal_run s = {.args = args};
	struct err e = {0};
	AUTO_BUF out = {0};
	int lock = -1, r;

	if (!store)
		return cli_usage(cli, "say which store: --store PATH");
	if (args->level < 1 || args->level > 19)
		return cli_usage(cli, "--level is from 1 to 19");
	if (access(store, F_OK) < 0)
		r = err_set(&e, -errno, "store %s: %s", store, strerror(errno));
	else
		r = directory_lock(store, &lock, &e);
	if (r == 0)
		r = directory_each_tape(store, seal_one, &s, &e);
	if (lock >= 0)
		(void)close(lock);
	buf_add_fmt(&out, "%" PRIu64 " tapes sealed, %" PRIu64 " bytes, were %" PRIu64 "\n",
		    s.tapes, s.bytes, s.was_bytes);
	(void)cli_print(&out);
	if (r < 0)
		(void)cli_fail(cli, &e);
	return r < 0 || s.has_failed ? CLI_FAILED : CLI_OK;
}

const struct command command_seal = {
	.name = "seal",
	.operands = "",
	.summary = "bring the tapes of a store into their final form",
	.details =
		"Writes each tape anew: full blocks, compressed harder, indexes, statistics; "
		"checks "
		"every byte of it, and only then puts it in the old one's place. The daemon does "
		"this by itself where it pays; an import leaves it to this command or to the next "
		"daemon. No writer may be running; readers may.",
	.examples = "tapeloop seal --store tapes/\tafter an import\n"
		    "tapeloop seal --store tapes/ --level 19 --all\tas small as it gets\n",
	.options = seal_options,
	.args_bytes = sizeof(struct seal_args),
	.run = run,
};
