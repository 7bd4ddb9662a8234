// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Options are read by the table of their command into a zeroed struct of the command's own, each at
 * its offset: first every fallback, as if it had been typed, then what was typed. Options and
 * operands may mix, for people add `--since 10m` at the end of the line. getopt_long() would need a
 * second table and cannot say what a value should have been.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/when.h"
#include "lib/nearest.h"

struct parser {
	const struct command *command;
	struct options *out;
	const char *const *argv; /* what is left */
	int argc;
	uint64_t now_ns;
	struct err *e;
};

static bool is_end(const struct option_row *row)
{
	return !row || !row->name;
}

/* a value's place in the args, whose layout the row's offset and kind describe */
static void *place(const struct parser *p, const struct option_row *row)
{
	return (char *)p->out->args + row->offset;
}

static int wrong(const struct parser *p, const struct option_row *row, const char *value,
		 const char *expected)
{
	return err_set(p->e, -EINVAL, "--%s: \"%s\" is not %s", row->name, value, expected);
}

static int read_count(const struct parser *p, const struct option_row *row, const char *value)
{
	uint64_t *to = place(p, row);
	char *end;

	errno = 0;
	*to = strtoull(value, &end, 10);
	if (errno || *end || value[0] < '0' || value[0] > '9')
		return wrong(p, row, value, "a whole number");
	return 0;
}

static int read_real(const struct parser *p, const struct option_row *row, const char *value)
{
	double *to = place(p, row);
	char *end;

	*to = strtod(value, &end);
	if (*end || end == value || !(*to >= 0 && *to < 1e18))
		return wrong(p, row, value, "a number, 0 or more");
	return 0;
}

static int read_choice(const struct parser *p, const struct option_row *row, const char *value)
{
	unsigned *to = place(p, row);
	size_t len = strlen(value);
	unsigned n = 0;

	for (const char *c = row->choices; *c; n++) {
		size_t word = strcspn(c, " ");

		if (word == len && memcmp(c, value, len) == 0) {
			*to = n;
			return 0;
		}
		c += word + (c[word] == ' ');
	}
	return err_set(p->e, -EINVAL, "--%s: \"%s\" is none of: %s", row->name, value,
		       row->choices);
}

static int add_text(const struct parser *p, const struct option_row *row, const char *value)
{
	struct texts *to = place(p, row);
	const char **items = realloc(to->items, (to->count + 1) * sizeof(*items));

	if (!items)
		return err_set(p->e, -ENOMEM, "--%s: out of memory", row->name);
	items[to->count++] = value;
	to->items = items;
	return 0;
}

static int read_value(const struct parser *p, const struct option_row *row, const char *value)
{
	struct span s = span_str(value);

	switch ((enum option_kind)row->kind) {
	case OPTION_FLAG: *(bool *)place(p, row) = true; return 0;
	case OPTION_TEXT: *(const char **)place(p, row) = value; return 0;
	case OPTION_TEXTS: return add_text(p, row, value);
	case OPTION_COUNT: return read_count(p, row, value);
	case OPTION_REAL: return read_real(p, row, value);
	case OPTION_CHOICE: return read_choice(p, row, value);
	case OPTION_DURATION:
		if (clock_parse_duration(s, place(p, row)) < 0)
			return wrong(p, row, value, "a duration such as 300ms, 10s or 1h30m");
		return 0;
	case OPTION_TIME:
		if (when_parse(s, p->now_ns, place(p, row)) < 0)
			return wrong(p, row, value,
				     "a time such as 10m (ago), 03:00, \"2026-11-22 03:00\" or "
				     "2026-11-22T03:00:00Z");
		return 0;
	}
	return 0;
}

static const struct option_row *find_long(const struct command *c, const char *name, size_t len)
{
	for (const struct option_row *row = c->options; !is_end(row); row++)
		if (strlen(row->name) == len && memcmp(row->name, name, len) == 0)
			return row;
	return NULL;
}

static const struct option_row *find_short(const struct command *c, char letter)
{
	for (const struct option_row *row = c->options; !is_end(row); row++)
		if (row->letter == letter)
			return row;
	return NULL;
}

#define OPTIONS_MAX 64

static int unknown_option(const struct parser *p, const char *arg, size_t len)
{
	const char *names[OPTIONS_MAX + 2] = {"help"};
	const char *near;
	char word[64];
	size_t n = 1;

	for (const struct option_row *row = p->command->options; !is_end(row) && n < OPTIONS_MAX;
	     row++)
		names[n++] = row->name;
	(void)snprintf(word, sizeof(word), "%.*s", (int)len - 2, arg + 2);
	near = options_nearest(word, names);
	return err_set(p->e, -EINVAL, "no option %.*s%s%s%s", (int)len, arg,
		       near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* the value behind "=" or "-n", else the next argument */
static int take_value(struct parser *p, const struct option_row *row, const char *attached,
		      const char *arg)
{
	const char *value = attached;

	if (row->kind == OPTION_FLAG) {
		if (attached)
			return err_set(p->e, -EINVAL, "--%s takes no value", row->name);
		return read_value(p, row, "");
	}
	if (!value && p->argc > 0) {
		value = *p->argv++;
		p->argc--;
	}
	if (!value)
		return err_set(p->e, -EINVAL, "%s: its %s is missing", arg, row->value);
	return read_value(p, row, value);
}

static int take_long(struct parser *p, const char *arg)
{
	size_t len = strcspn(arg, "=");
	const struct option_row *row = find_long(p->command, arg + 2, len - 2);

	if (!row && strcmp(arg, "--help") == 0) {
		p->out->wants_help = true;
		return 0;
	}
	if (!row)
		return unknown_option(p, arg, len);
	return take_value(p, row, arg[len] ? arg + len + 1 : NULL, arg);
}

static int take_short(struct parser *p, const char *arg)
{
	for (const char *c = arg + 1; *c; c++) {
		const struct option_row *row = find_short(p->command, *c);

		if (!row && *c == 'h') {
			p->out->wants_help = true;
			continue;
		}
		if (!row)
			return err_set(p->e, -EINVAL, "no option -%c", *c);
		if (row->kind != OPTION_FLAG)
			return take_value(p, row, c[1] ? c + 1 : NULL, arg);
		(void)read_value(p, row, "");
	}
	return 0;
}

static int take_arguments(struct parser *p)
{
	bool is_over = false; /* after "--" */
	int r = 0;

	while (p->argc > 0 && r == 0) {
		const char *arg = *p->argv++;

		p->argc--;
		if (!is_over && strcmp(arg, "--") == 0)
			is_over = true;
		else if (!is_over && arg[0] == '-' && arg[1] == '-')
			r = take_long(p, arg);
		else if (!is_over && arg[0] == '-' && arg[1])
			r = take_short(p, arg);
		else
			p->out->operands[p->out->operand_count++] = arg;
	}
	return r;
}

static int check_operands(const struct parser *p)
{
	const struct command *c = p->command;
	int n = p->out->operand_count;

	if (n < c->operands_min)
		return err_set(p->e, -EINVAL, "what is missing: %s", c->operands);
	if (c->operands_max >= 0 && n > c->operands_max)
		return err_set(p->e, -EINVAL, "\"%s\" is too much: %s",
			       p->out->operands[c->operands_max],
			       c->operands_max == 0 ? "it takes options only"
						    : "put a filter with blanks in quotes");
	return 0;
}

int options_parse(const struct command *c, int argc, const char *const *argv, uint64_t now_ns,
		  struct options *out, struct err *e)
{
	struct parser p = {c, out, argv, argc, now_ns, e};
	int r;

	*out = (struct options){
		.args = calloc(1, c->args_bytes + 1),
		.operands = calloc((size_t)argc + 1, sizeof(*out->operands)),
	};
	if (!out->args || !out->operands)
		return err_set(e, -ENOMEM, "out of memory");
	for (const struct option_row *row = c->options; !is_end(row); row++)
		if (row->fallback && (r = read_value(&p, row, row->fallback)) < 0)
			return r;
	r = take_arguments(&p);
	if (r == 0 && !out->wants_help)
		r = check_operands(&p);
	return r;
}

void options_fini(struct options *o, const struct command *c)
{
	for (const struct option_row *row = c->options; o->args && !is_end(row); row++)
		if (row->kind == OPTION_TEXTS)
			free(((struct texts *)(void *)((char *)o->args + row->offset))->items);
	free(o->args);
	free(o->operands);
	*o = (struct options){0};
}

/* ---- written again ---- */

static void write_one(const struct option_row *row, const char *value, options_write_fn *fn,
		      void *ctx)
{
	AUTO_BUF text = {0};

	buf_add_fmt(&text, "--%s%s%s", row->name, row->kind == OPTION_FLAG ? "" : "=",
		    row->kind == OPTION_FLAG ? "" : value);
	fn(ctx, row->name, buf_cstr(&text));
}

static void write_choice(const struct option_row *row, unsigned n, options_write_fn *fn, void *ctx)
{
	const char *word = row->choices;
	char text[64];

	for (; n; n--)
		word += strcspn(word, " ") + 1;
	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(word, " "), word);
	write_one(row, text, fn, ctx);
}

static bool is_as_otherwise(const struct option_row *row, const void *value, const void *otherwise)
{
	static const size_t sizes[] = {
		[OPTION_FLAG] = sizeof(bool),
		[OPTION_TEXT] = sizeof(char *),
		[OPTION_TEXTS] = 0,
		[OPTION_COUNT] = sizeof(uint64_t),
		[OPTION_REAL] = sizeof(double),
		[OPTION_DURATION] = sizeof(uint64_t),
		[OPTION_TIME] = sizeof(uint64_t),
		[OPTION_CHOICE] = sizeof(unsigned),
	};

	if (row->kind == OPTION_TEXTS)
		return ((const struct texts *)value)->count == 0;
	return memcmp(value, otherwise, sizes[row->kind]) == 0; /* texts: the very fallback */
}

static void write_value(const struct option_row *row, const void *value, options_write_fn *fn,
			void *ctx)
{
	const struct texts *texts = value;
	AUTO_BUF text = {0};

	switch ((enum option_kind)row->kind) {
	case OPTION_FLAG: break;
	case OPTION_TEXT: write_one(row, *(const char *const *)value, fn, ctx); return;
	case OPTION_TEXTS:
		for (size_t i = 0; i < texts->count; i++)
			write_one(row, texts->items[i], fn, ctx);
		return;
	case OPTION_CHOICE: write_choice(row, *(const unsigned *)value, fn, ctx); return;
	case OPTION_REAL: buf_add_fmt(&text, "%.17g", *(const double *)value); break;
	case OPTION_COUNT: buf_add_u64(&text, *(const uint64_t *)value); break;
	case OPTION_DURATION:
		buf_add_fmt(&text, "%lluns", (unsigned long long)*(const uint64_t *)value);
		break;
	case OPTION_TIME: clock_format_utc(&text, *(const uint64_t *)value); break;
	}
	write_one(row, buf_cstr(&text), fn, ctx);
}

void options_write(const struct command *c, const void *args, options_write_fn *fn, void *ctx)
{
	struct options otherwise = {.args = calloc(1, c->args_bytes + 1)};
	struct parser p = {.command = c, .out = &otherwise};

	for (const struct option_row *row = c->options; otherwise.args && !is_end(row); row++) {
		const void *value = (const char *)args + row->offset;

		if (row->fallback)
			(void)read_value(&p, row, row->fallback);
		if (!is_as_otherwise(row, value, place(&p, row)))
			write_value(row, value, fn, ctx);
	}
	options_fini(&otherwise, c);
}

void options_left(const struct option_row *row, struct buf *out)
{
	if (row->letter)
		buf_add_fmt(out, "-%c, ", row->letter);
	else
		buf_add_str(out, "    ");
	buf_add_fmt(out, "--%s", row->name);
	if (row->value)
		buf_add_fmt(out, " %s", row->value);
}

#define HELP_WIDTH 90

/* The words of @text from column @column on, no line longer than HELP_WIDTH. */
static void wrap(struct buf *out, const char *text, size_t column, size_t indent)
{
	bool is_first = true;

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (!is_first && column + 1 + len > HELP_WIDTH) {
			buf_add_fmt(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!is_first) {
			buf_add_char(out, ' ');
			column++;
		}
		buf_add(out, text, len);
		column += len;
		is_first = text[len] == '\n';
		if (is_first) {
			buf_add_fmt(out, "\n%*s", (int)indent, "");
			column = indent;
		}
		text += len + (text[len] != '\0');
	}
	buf_add_char(out, '\n');
}

#define HELP_COLUMN 26

static void help_option(const struct option_row *row, struct buf *out)
{
	AUTO_BUF what = {0};
	size_t from = out->len, used;

	buf_add_str(out, "  ");
	options_left(row, out);
	used = out->len - from;
	if (used + 2 > HELP_COLUMN) {
		buf_add_fmt(out, "\n%*s", HELP_COLUMN, "");
		used = HELP_COLUMN;
	} else {
		buf_add_fmt(out, "%*s", (int)(HELP_COLUMN - used), "");
	}
	buf_add_str(&what, row->what);
	if (row->choices)
		buf_add_fmt(&what, ": %s", row->choices);
	if (row->fallback)
		buf_add_fmt(&what, " [%s]", row->fallback);
	wrap(out, buf_cstr(&what), HELP_COLUMN, HELP_COLUMN);
}

static void help_examples(const char *text, struct buf *out)
{
	buf_add_str(out, "\nExamples:\n");
	while (*text) {
		size_t line = strcspn(text, "\n"), command = strcspn(text, "\t\n");

		if (command < line)
			buf_add_fmt(out, "  # %.*s\n", (int)(line - command - 1),
				    text + command + 1);
		buf_add_fmt(out, "  %.*s\n", (int)command, text);
		text += line + (text[line] == '\n');
	}
}

void options_help(const struct command *c, struct buf *out)
{
	static const struct option_row help = {.name = "help", .letter = 'h', .what = "this text"};

	buf_add_fmt(out, "Usage: %s %s [OPTIONS]%s%s\n\n", cli_program(), c->name,
		    c->operands[0] ? " " : "", c->operands);
	wrap(out, c->summary, 0, 0);
	if (c->details) {
		buf_add_char(out, '\n');
		wrap(out, c->details, 0, 0);
	}
	buf_add_str(out, "\nOptions:\n");
	for (const struct option_row *row = c->options; !is_end(row); row++)
		help_option(row, out);
	help_option(&help, out);
	if (c->examples)
		help_examples(c->examples, out);
}

const char *options_nearest(const char *word, const char *const *names)
{
	size_t count = 0, len = strlen(word);

	/* the beginning of a name is what people type when they are in a hurry */
	for (; names[count]; count++)
		if (len > 1 && strncmp(names[count], word, len) == 0)
			return names[count];
	return nearest_name(span_str(word), names, count);
}
