// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * tapeloop COMMAND [OPTIONS] [OPERANDS]: find the row of the command, let its table read the
 * arguments, run it. What is not a command is answered with the nearest one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/filter_help.h"
#include "cli/leading.h"
#include "cli/options.h"

static void overall_help(struct buf *out)
{
	buf_add_fmt(out, "Usage: %s ", cli_program());
	buf_add_str(out, "COMMAND [OPTIONS] [ARGUMENTS]\n\n"
			 "Ask a tapeloop recorder what it saw, and play traffic back.\n\n"
			 "Commands:\n");
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			buf_add_fmt(out, "  %-11s %s\n", (*c)->name, (*c)->summary);
	buf_add_str(
		out,
		"\n"
		"`tapeloop COMMAND --help` explains one, `tapeloop help filter` what FILTER "
		"is. The daemon's socket is asked "
		"unless --api URL or\n"
		"--store PATH (or $TAPELOOP_API, $TAPELOOP_STORE) name another place, or --kube "
		"all of a cluster's:\n"
		"`tapeloop --kube [-n NAMESPACE] [--context NAME] COMMAND`, or `kubectl tapeloop "
		"COMMAND`.\n"
		"\n"
		"Exit status: 0 done, nothing wrong; 1 differs, fails or nothing matched; "
		"2 used wrongly;\n"
		"3 could not do it.\n");
}

static const struct command *find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int unknown(const char *word)
{
	const char *near = options_nearest(word, command_names);

	(void)fprintf(stderr, "tapeloop: no command \"%s\".", word);
	if (near)
		(void)fprintf(stderr, " Did you mean `tapeloop %s`?\n", near);
	else
		(void)fprintf(stderr, " `tapeloop --help` lists them.\n");
	return CLI_USAGE;
}

static int run(const struct command *c, int argc, const char *const *argv)
{
	struct cli cli = {.command = c, .now_ns = clock_wall_ns()};
	struct options o;
	struct err e = {0};
	AUTO_BUF help = {0};
	int status;

	if (options_parse(c, argc, argv, cli.now_ns, &o, &e) < 0) {
		status = cli_usage(&cli, "%s", e.why);
	} else if (o.wants_help) {
		options_help(c, &help);
		(void)cli_print(&help);
		status = CLI_OK;
	} else {
		cli.args = o.args;
		cli.operands = o.operands;
		cli.operand_count = o.operand_count;
		status = c->run(&cli);
	}
	options_fini(&o, c);
	return cli_finish(status);
}

static int print_help(void (*write)(struct buf *out))
{
	AUTO_BUF help = {0};

	write(&help);
	(void)cli_print(&help);
	return cli_finish(CLI_OK);
}

static int run_words(int argc, const char *const *argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct command *c = find(word);

	cli_catch_signals();
	if (c)
		return run(c, argc - 2, argv + 2);
	if (strcmp(word, "--version") == 0) {
		(void)puts("tapeloop " TAPELOOP_VERSION);
		return CLI_OK;
	}
	if (strcmp(word, "help") == 0 && argc > 2 && find(argv[2]))
		return run(find(argv[2]), 1, (const char *const[]){"--help"});
	if (strcmp(word, "help") == 0 && argc > 2 && strcmp(argv[2], "filter") == 0)
		return print_help(filter_help);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return print_help(overall_help);
	if (argc < 2) {
		(void)fputs("tapeloop: which command? `tapeloop --help` lists them.\n", stderr);
		return CLI_USAGE;
	}
	return unknown(word);
}

int main(int argc, char **argv)
{
	bool is_plugin = argc > 0 && leading_is_plugin(argv[0]);
	int count = 0, status;
	const char **words = leading_move(argc, (const char *const *)argv, is_plugin, &count);

	if (!words) {
		(void)fputs("tapeloop: out of memory\n", stderr);
		return CLI_FAILED;
	}
	if (is_plugin)
		cli_called("kubectl tapeloop");
	status = run_words(count, words);
	free(words);
	return status;
}
