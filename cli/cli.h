// SPDX-License-Identifier: Apache-2.0
/*
 * cli.h - what every subcommand of `tapeloop` shares
 *
 * A subcommand is one file with one `const struct command command_NAME`, and one row in
 * cli/commands.tbl.h. Parsing, --help, man pages, completions and the exit status for misuse come
 * from its table of options. Thread: main.
 */
#pragma once

#include "lib/clock.h"
#include "lib/err.h"

#define CLI_OK 0 /* done, nothing wrong */
#define CLI_DIFFERS                                                                                \
	1	     /* the answer is 'differs', 'fails' or 'nothing matched' where that matters  \
		       */
#define CLI_USAGE  2 /* used wrongly */
#define CLI_FAILED 3 /* could not do it */

enum option_kind {
	OPTION_FLAG,	 /* bool; takes no value */
	OPTION_TEXT,	 /* const char *; NULL unless given; borrowed from argv */
	OPTION_TEXTS,	 /* struct texts: may be given again and again */
	OPTION_COUNT,	 /* uint64_t */
	OPTION_REAL,	 /* double, not negative */
	OPTION_DURATION, /* uint64_t [ns]: "300ms" */
	OPTION_TIME,	 /* uint64_t [ns since 1970]: as when_parse() reads it; 0 unless given */
	OPTION_CHOICE,	 /* unsigned: position in choices, from 0 */
};

struct texts {
	const char **items; /* owned by the parser; borrowed from argv */
	size_t count;
};

struct option_row {
	const char *name;     /* without --; the table ends with a row without a name */
	char letter;	      /* 'n' for -n; 0 for none */
	uint8_t kind;	      /* enum option_kind */
	size_t offset;	      /* of the value in the command's args */
	const char *value;    /* how --help calls it: "TIME"; NULL for flags */
	const char *fallback; /* value when it is not given, as text; NULL: zero of its kind */
	const char *choices;  /* CHOICE: "table wide json"; else NULL */
	const char *hints;    /* of a TEXT: how values begin, for shells: "svc/ pod/"; NULL: none */
	const char *what;     /* one sentence, small first letter, no full stop */
};

/* OPTION(struct ls_args, since, ...) fills in where the value goes */
#define OPTION_AT(args, member) .offset = offsetof(args, member)

struct cli {
	const struct command *command;
	const void *args;  /* the command's args, filled in */
	int operand_count; /* what is left besides options */
	const char *const *operands;
	uint64_t now_ns; /* wall time at start */
};

struct command {
	const char *name;
	const char *operands;		  /* "[FILTER]"; "" for none */
	int operands_min, operands_max;	  /* -1: any number */
	const char *summary;		  /* one line for `tapeloop --help` */
	const char *details;		  /* paragraphs for --help and the man page */
	const char *examples;		  /* lines "command<TAB>what it does"; NULL for none */
	const struct option_row *options; /* NULL for none */
	size_t args_bytes;		  /* sizeof the args; zeroed before parsing */
	bool is_hidden;			  /* not listed in --help */
	/* Return: exit status, CLI_*. What it prints goes to stdout, what it says to stderr. */
	int (*run)(struct cli *cli);
};

#define COMMAND(name) extern const struct command command_##name;
#include "cli/commands.tbl.h"
#undef COMMAND
extern const struct command *const commands[]; /* in the order of --help; ends with NULL */
extern const char *const command_names[];      /* the same */

/* cli_called() - what we are called as a plugin: "kubectl tapeloop"; @name is kept. Once, at start. */
void cli_called(const char *name);
const char *cli_program(void); /* "tapeloop", or that */

/* cli_fail() - "tapeloop ls: why" on stderr. Return: CLI_USAGE for -EINVAL, CLI_DIFFERS for -ENOENT
   and -ENOTUNIQ, else CLI_FAILED. */
int cli_fail(const struct cli *cli, const struct err *e);
/* cli_usage() - the same for wrong use, with a pointer to --help. Return: CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* cli_note() - a line for the reader on stderr */
void cli_note(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* cli_is_interrupted() - SIGINT or SIGTERM came: stop at the next exchange, print what there is */
bool cli_is_interrupted(void);
/*
 * cli_print() - @b to stdout, and empty it
 *
 * Return: 0; -EPIPE when nobody reads any more (stop; it is no error); -errno. The failure is
 * remembered for cli_finish(), so a last print need not look.
 */
int cli_print(struct buf *b);
/* cli_finish() - flush stdout; @status, or CLI_FAILED when what was printed did not arrive (disk
 * full) */
int cli_finish(int status);

/* cli_progress() - on a terminal's stderr, over itself, at most ten times a second */
void cli_progress(const char *fmt, ...) PRINTF_LIKE(1, 2);
void cli_progress_end(void); /* wipe it; notes and failures do so themselves */
void cli_catch_signals(void);
