// SPDX-License-Identifier: Apache-2.0
/* table.h - rows in columns that fit the terminal */
#pragma once

#include "lib/buf.h"

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_RED,
	STYLE_GREEN,
	STYLE_YELLOW,
	STYLE_CYAN,
	STYLE_COUNT
};

/* What stdout is. */
struct screen {
	size_t columns; /* 0: no limit, because it is no terminal or was asked so */
	bool is_terminal;
	bool has_colour; /* a terminal, NO_COLOR unset or empty, TERM not dumb */
};
struct screen screen_of_stdout(void);
/* screen_begin(), screen_end() - around text in a style; nothing without colours */
void screen_begin(const struct screen *s, struct buf *out, enum style style);
void screen_end(const struct screen *s, struct buf *out, enum style style);

struct table_column {
	const char *title;
	bool is_right;	/* numbers: the units under each other */
	uint16_t min;	/* columns it may be narrowed to; 0: never */
	uint8_t drop;	/* left out on narrow screens, the highest first; 0: never */
	uint16_t usual; /* columns to expect, where rows are printed one by one (tail) */
};

struct table;

/**
 * table_new() - a table without rows; @columns is borrowed, @screen copied
 *
 * Widths are decided by the first TABLE_BATCH rows; what is wider in later ones is cut on a
 * terminal and moves the rest of its row elsewhere.
 */
#define TABLE_BATCH 200
struct table *table_new(const struct table_column *columns, size_t column_count,
			const struct screen *screen) MUST_USE;
void table_free(struct table *t); /* accepts NULL */
AUTO_DEFINE(table, table_free)
/* table_expect() - rows will be printed one by one: make columns at least as wide as usual */
void table_expect(struct table *t);
/* table_cell() - the next cell; @text is copied and escaped as plain_add() does */
void table_cell(struct table *t, struct span text, enum style style);
void table_cell_fmt(struct table *t, enum style style, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* table_is_due() - enough rows were collected to decide the widths: print */
bool table_is_due(const struct table *t);
/* table_print() - the rows so far, the title before the first */
void table_print(struct table *t, struct buf *out);
bool table_is_failed(const struct table *t); /* out of memory: rows are missing */
