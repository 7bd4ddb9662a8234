// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Cells are escaped when they come and kept as text in one buffer, so that widths are those of what
 * will be seen. At the first print each column gets the width of its widest cell; on a terminal,
 * columns are then left out (drop) until the narrowest form fits, and the widest of those that may
 * shrink gives way, a column at a time, until the whole fits. Numbers stand right. The last column
 * is never padded, so that lines have no blanks at their end.
 */
#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/plain.h"

#define GAP	    2
#define COLUMNS_MAX 32
#define CELL_MAX    4096 /* columns of a cell, terminal or not */

static const char *const style_codes[STYLE_COUNT] = {
	"", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[36m",
};

struct cell {
	size_t from, len; /* in table.text */
	size_t columns;
	enum style style;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct screen screen;
	struct buf text;
	struct cell *cells;
	size_t cell_count, cell_cap;
	size_t widths[COLUMNS_MAX];
	bool is_left_out[COLUMNS_MAX];
	bool is_fitted;
	bool has_more; /* rows to come that cannot be looked at now */
	bool is_failed;
};

struct screen screen_of_stdout(void)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct screen s = {.is_terminal = isatty(STDOUT_FILENO)};
	struct winsize w;

	if (!s.is_terminal)
		return s;
	s.columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
	s.has_colour = !(no_colour && no_colour[0]) && !(term && strcmp(term, "dumb") == 0);
	return s;
}

void screen_begin(const struct screen *s, struct buf *out, enum style style)
{
	if (s->has_colour)
		buf_add_str(out, style_codes[style]);
}

void screen_end(const struct screen *s, struct buf *out, enum style style)
{
	if (s->has_colour && style != STYLE_PLAIN)
		buf_add_str(out, "\033[0m");
}

struct table *table_new(const struct table_column *columns, size_t column_count,
			const struct screen *screen)
{
	struct table *t = column_count <= COLUMNS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->columns = columns;
	t->column_count = column_count;
	t->screen = *screen;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	buf_fini(&t->text);
	free(t->cells);
	free(t);
}

void table_expect(struct table *t)
{
	t->has_more = true;
}

static bool room_for_cell(struct table *t)
{
	size_t cap = t->cell_cap ? t->cell_cap * 2 : 256;
	struct cell *cells;

	if (t->cell_count < t->cell_cap)
		return true;
	cells = realloc(t->cells, cap * sizeof(*cells));
	if (!cells)
		return false;
	t->cells = cells;
	t->cell_cap = cap;
	return true;
}

void table_cell(struct table *t, struct span text, enum style style)
{
	struct cell *c;

	if (!room_for_cell(t)) {
		t->is_failed = true;
		return;
	}
	c = &t->cells[t->cell_count++];
	*c = (struct cell){.from = t->text.len, .style = style};
	c->columns = plain_add(&t->text, text, CELL_MAX);
	c->len = t->text.len - c->from;
}

void table_cell_fmt(struct table *t, enum style style, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_cell(t, span_str(text), style);
}

bool table_is_due(const struct table *t)
{
	return t->is_fitted || t->cell_count >= TABLE_BATCH * t->column_count;
}

bool table_is_failed(const struct table *t)
{
	return t->is_failed || t->text.is_failed;
}

static void natural_widths(struct table *t)
{
	for (size_t i = 0; i < t->column_count; i++)
		t->widths[i] = MAX(strlen(t->columns[i].title),
				   t->has_more ? t->columns[i].usual : (size_t)0);
	for (size_t i = 0; i < t->cell_count; i++)
		t->widths[i % t->column_count] =
			MAX(t->widths[i % t->column_count], t->cells[i].columns);
}

/* columns of a line; of its narrowest form with @is_narrow */
static size_t line_columns(const struct table *t, bool is_narrow)
{
	size_t sum = 0;

	for (size_t i = 0; i < t->column_count; i++) {
		size_t min = t->columns[i].min;

		if (!t->is_left_out[i])
			sum += GAP + (is_narrow && min ? MIN(min, t->widths[i]) : t->widths[i]);
	}
	return sum > GAP ? sum - GAP : 0;
}

/* leave out the column with the highest drop. Return: false when none may go. */
static bool leave_one_out(struct table *t)
{
	size_t best = t->column_count;

	for (size_t i = 0; i < t->column_count; i++)
		if (!t->is_left_out[i] && t->columns[i].drop &&
		    (best == t->column_count || t->columns[i].drop > t->columns[best].drop))
			best = i;
	if (best == t->column_count)
		return false;
	t->is_left_out[best] = true;
	return true;
}

static bool shrink_widest(struct table *t)
{
	size_t best = t->column_count;

	for (size_t i = 0; i < t->column_count; i++)
		if (!t->is_left_out[i] && t->columns[i].min && t->widths[i] > t->columns[i].min &&
		    (best == t->column_count || t->widths[i] > t->widths[best]))
			best = i;
	if (best == t->column_count)
		return false;
	t->widths[best]--;
	return true;
}

static void fit(struct table *t)
{
	natural_widths(t);
	t->is_fitted = true;
	if (t->screen.columns == 0)
		return;
	while (line_columns(t, true) > t->screen.columns && leave_one_out(t))
		;
	while (line_columns(t, false) > t->screen.columns && shrink_widest(t))
		;
}

static bool is_last(const struct table *t, size_t column)
{
	for (size_t i = column + 1; i < t->column_count; i++)
		if (!t->is_left_out[i])
			return false;
	return true;
}

static void add_blanks(struct buf *out, size_t n)
{
	buf_add_fmt(out, "%*s", (int)n, "");
}

static void print_cell(const struct table *t, struct buf *out, size_t column, struct span text,
		       size_t columns, enum style style)
{
	size_t width = t->widths[column];
	size_t used;

	if (t->is_left_out[column])
		return;
	if (t->columns[column].is_right && columns < width)
		add_blanks(out, width - columns);
	screen_begin(&t->screen, out, style);
	used = plain_add(out, text, t->screen.columns ? width : PLAIN_UNLIMITED);
	screen_end(&t->screen, out, style);
	if (is_last(t, column))
		return;
	if (!t->columns[column].is_right && used < width)
		add_blanks(out, width - used);
	add_blanks(out, GAP);
}

static void print_title(const struct table *t, struct buf *out)
{
	for (size_t i = 0; i < t->column_count; i++) {
		struct span title = span_str(t->columns[i].title);

		print_cell(t, out, i, title, title.len, STYLE_BOLD);
	}
	buf_add_char(out, '\n');
}

void table_print(struct table *t, struct buf *out)
{
	if (t->cell_count == 0)
		return;
	if (!t->is_fitted) {
		fit(t);
		print_title(t, out);
	}
	for (size_t i = 0; i < t->cell_count; i++) {
		const struct cell *c = &t->cells[i];

		print_cell(t, out, i % t->column_count, span_of(t->text.ptr + c->from, c->len),
			   c->columns, c->style);
		if (i % t->column_count == t->column_count - 1)
			buf_add_char(out, '\n');
	}
	t->cell_count = 0;
	buf_clear(&t->text);
}
