// SPDX-License-Identifier: Apache-2.0
/*
 * completion: what a shell may offer behind `tapeloop`, from the tables of commands and options
 *
 * Theory of operation
 *
 * One writer for each shell walks the same tables. Choices are offered as such, --store and import
 * complete file names, show and replay the ids of the newest exchanges (asked for at that moment,
 * in silence when no one answers).
 */
#include <stdio.h>

#include "cli/options.h"

#define LIST_IDS "tapeloop ls -o id -n 20 2>/dev/null"

static bool takes_ids(const struct command *c)
{
	return strstr(c->operands, "ID") != NULL;
}

static bool takes_files(const struct command *c)
{
	return strstr(c->operands, "FILE") != NULL;
}

static bool is_file(const struct option_row *row)
{
	return row->value && (strstr(row->value, "FILE") || strstr(row->value, "PATH") ||
			      strstr(row->value, "DIR"));
}

static void command_names_to(struct buf *out)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			buf_add_fmt(out, "%s%s", c == commands ? "" : " ", (*c)->name);
}

/* ---- bash ---- */

static void bash_values(struct buf *out, const struct command *c)
{
	for (const struct option_row *row = c->options; row && row->name; row++) {
		if (row->kind == OPTION_FLAG)
			continue;
		buf_add_fmt(out, "\t%s:--%s", c->name, row->name);
		if (row->letter)
			buf_add_fmt(out, "|%s:-%c", c->name, row->letter);
		if (row->choices)
			buf_add_fmt(out, ") COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n",
				    row->choices);
		else if (row->hints)
			buf_add_fmt(out,
				    ") compopt -o nospace 2>/dev/null; COMPREPLY=($(compgen -W "
				    "'%s' -- \"$cur\")) ;;\n",
				    row->hints);
		else if (is_file(row))
			buf_add_str(out, ") COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n");
		else
			buf_add_str(out, ") return ;;\n");
	}
}

static void bash_options(struct buf *out, const struct command *c)
{
	buf_add_fmt(out, "\t%s)\n\t\tcase $cur in\n\t\t-*) COMPREPLY=($(compgen -W '", c->name);
	for (const struct option_row *row = c->options; row && row->name; row++)
		buf_add_fmt(out, "--%s ", row->name);
	buf_add_str(out, "--help' -- \"$cur\")) ;;\n");
	if (takes_files(c))
		buf_add_str(out, "\t\t*) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n");
	else if (takes_ids(c))
		buf_add_str(out, "\t\t*) COMPREPLY=($(compgen -W \"$(" LIST_IDS
				 ")\" -- \"$cur\")) ;;\n");
	else if (strcmp(c->name, "completion") == 0)
		buf_add_str(out,
			    "\t\t*) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")) ;;\n");
	buf_add_str(out, "\t\tesac ;;\n");
}

static void bash(struct buf *out)
{
	buf_add_str(out, "# bash completion for tapeloop; made by `tapeloop completion bash`\n"
			 "_tapeloop() {\n"
			 "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
			 "\tCOMPREPLY=()\n"
			 "\tif ((COMP_CWORD == 1)); then\n"
			 "\t\tCOMPREPLY=($(compgen -W '");
	command_names_to(out);
	buf_add_str(out, " help --help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n"
			 "\tcase ${COMP_WORDS[1]}:$prev in\n");
	for (const struct command *const *c = commands; *c; c++)
		bash_values(out, *c);
	buf_add_str(out, "\tesac\n\t((${#COMPREPLY[@]})) && return\n\tcase ${COMP_WORDS[1]} in\n");
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			bash_options(out, *c);
	buf_add_str(out, "\tesac\n}\ncomplete -F _tapeloop tapeloop\n");
}

/* ---- zsh ---- */

/* inside '…' of an _arguments spec */
static void zsh_text(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			buf_add_str(out, "'\\''");
		else if (strchr("[]:\\", *s))
			buf_add_fmt(out, "\\%c", *s);
		else
			buf_add_char(out, *s);
	}
}

static void zsh_value(struct buf *out, const struct option_row *row)
{
	if (row->kind == OPTION_FLAG)
		return;
	buf_add_fmt(out, ":%s:", row->value);
	if (row->choices || row->hints)
		buf_add_fmt(out, "(%s)", row->choices ? row->choices : row->hints);
	else if (is_file(row))
		buf_add_str(out, "_files");
	else
		buf_add_char(out, ' ');
}

static void zsh_option(struct buf *out, const struct option_row *row, bool is_short)
{
	buf_add_fmt(out, " \\\n\t\t\t%s'", row->kind == OPTION_TEXTS ? "'*'" : "");
	if (is_short)
		buf_add_fmt(out, "-%c%s[", row->letter, row->kind == OPTION_FLAG ? "" : "+");
	else
		buf_add_fmt(out, "--%s%s[", row->name, row->kind == OPTION_FLAG ? "" : "=");
	zsh_text(out, row->what);
	buf_add_char(out, ']');
	zsh_value(out, row);
	buf_add_char(out, '\'');
}

static void zsh_command(struct buf *out, const struct command *c)
{
	buf_add_fmt(out, "\t%s)\n\t\t_arguments", c->name);
	for (const struct option_row *row = c->options; row && row->name; row++) {
		zsh_option(out, row, false);
		if (row->letter)
			zsh_option(out, row, true);
	}
	buf_add_str(out, " \\\n\t\t\t'--help[what there is, in short]'");
	if (takes_files(c))
		buf_add_str(out, " \\\n\t\t\t'*:file:_files'");
	else if (takes_ids(c))
		buf_add_str(out, " \\\n\t\t\t'*:id:($(" LIST_IDS "))'");
	else if (strcmp(c->name, "completion") == 0)
		buf_add_str(out, " \\\n\t\t\t'1:shell:(bash zsh fish)'");
	buf_add_str(out, "\n\t\t;;\n");
}

static void zsh(struct buf *out)
{
	buf_add_str(out, "#compdef tapeloop\n# made by `tapeloop completion zsh`\n_tapeloop() {\n"
			 "\tif ((CURRENT == 2)); then\n\t\tlocal -a commands=(\n");
	for (const struct command *const *c = commands; *c; c++) {
		if ((*c)->is_hidden)
			continue;
		buf_add_fmt(out, "\t\t\t'%s:", (*c)->name);
		zsh_text(out, (*c)->summary);
		buf_add_str(out, "'\n");
	}
	buf_add_str(out, "\t\t)\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
			 "\tlocal command=$words[2]\n\tshift words\n\t((CURRENT--))\n"
			 "\tcase $command in\n");
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			zsh_command(out, *c);
	buf_add_str(out, "\tesac\n}\n[[ $funcstack[1] = _tapeloop ]] && _tapeloop \"$@\" || "
			 "compdef _tapeloop tapeloop\n");
}

/* ---- fish ---- */

static void fish_text(struct buf *out, const char *s)
{
	buf_add_char(out, '\'');
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *s);
	}
	buf_add_char(out, '\'');
}

static void fish_option(struct buf *out, const struct command *c, const struct option_row *row)
{
	buf_add_fmt(out, "complete -c tapeloop -n '__fish_seen_subcommand_from %s' -l %s", c->name,
		    row->name);
	if (row->letter)
		buf_add_fmt(out, " -s %c", row->letter);
	if (row->choices || row->hints)
		buf_add_fmt(out, " -x -a '%s'", row->choices ? row->choices : row->hints);
	else if (row->kind != OPTION_FLAG)
		buf_add_str(out, is_file(row) ? " -r -F" : " -x");
	buf_add_str(out, " -d ");
	fish_text(out, row->what);
	buf_add_char(out, '\n');
}

static void fish_command(struct buf *out, const struct command *c)
{
	buf_add_fmt(out, "complete -c tapeloop -f -n __fish_use_subcommand -a %s -d ", c->name);
	fish_text(out, c->summary);
	buf_add_char(out, '\n');
	for (const struct option_row *row = c->options; row && row->name; row++)
		fish_option(out, c, row);
	buf_add_fmt(out, "complete -c tapeloop -n '__fish_seen_subcommand_from %s'", c->name);
	if (takes_files(c))
		buf_add_str(out, " -F\n");
	else if (takes_ids(c))
		buf_add_str(out, " -f -a '(" LIST_IDS ")'\n");
	else if (strcmp(c->name, "completion") == 0)
		buf_add_str(out, " -f -a 'bash zsh fish'\n");
	else
		buf_add_str(out, " -f\n");
}

static void fish(struct buf *out)
{
	buf_add_str(out, "# fish completion for tapeloop; made by `tapeloop completion fish`\n");
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			fish_command(out, *c);
}

static const struct {
	const char *name;
	void (*write)(struct buf *out);
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

static int run_completion(struct cli *cli)
{
	AUTO_BUF out = {0};

	for (size_t i = 0; i < COUNT_OF(shells); i++)
		if (strcmp(cli->operands[0], shells[i].name) == 0) {
			shells[i].write(&out);
			(void)cli_print(&out);
			return CLI_OK;
		}
	return cli_usage(cli, "no completions for \"%s\": bash, zsh, fish", cli->operands[0]);
}

const struct command command_completion = {
	.name = "completion",
	.operands = "SHELL",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "print completions for bash, zsh or fish",
	.details = "`make install` puts them where the shells look; for one session: "
		   "eval \"$(tapeloop completion bash)\".",
	.run = run_completion,
};
