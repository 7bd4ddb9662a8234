// SPDX-License-Identifier: Apache-2.0
/* options.h - argv by the table of a command, and --help from the same table */
#pragma once

#include "cli/cli.h"

struct options {
	void *args;	       /* owned; command->args_bytes */
	const char **operands; /* owned; borrowed strings */
	int operand_count;
	bool wants_help;
};

/**
 * options_parse() - read the arguments behind the subcommand's name
 * @argv: "--name=value", "--name value", "-n5", "-n 5"; options and operands may mix; "--" ends options
 * @e:    names the argument and says what was expected
 *
 * Return: 0, -EINVAL or -ENOMEM. Free with options_fini() in each case.
 */
int options_parse(const struct command *c, int argc, const char *const *argv, uint64_t now_ns,
		  struct options *out, struct err *e) MUST_USE;
/* options_write_fn - one option as it would be typed: "--limit=5"; @name without -- */
typedef void options_write_fn(void *ctx, const char *name, const char *text);
/* options_write() - what was given, or differs from what holds otherwise, in the order of the table */
void options_write(const struct command *c, const void *args, options_write_fn *fn, void *ctx);
void options_fini(struct options *o, const struct command *c);
/* options_help() - the help of one command */
void options_help(const struct command *c, struct buf *out);
/* options_left() - "-n, --limit COUNT" of a row */
void options_left(const struct option_row *row, struct buf *out);
/* options_nearest() - which of @names (ends with NULL) was meant by @word; NULL when none is near */
const char *options_nearest(const char *word, const char *const *names);
