// SPDX-License-Identifier: Apache-2.0
/*
 * filter_value.h - one exchange that is being judged, and the values that are calculated of it
 *
 * For store/filter_*.c only. A scratch belongs to one thread and is used for one exchange after the
 * other; what it has grown to is kept, so that judging allocates nothing as a rule.
 */
#pragma once

#include "lib/json_scan.h"
#include "store/filter_tree.h"

/*
 * What judging one exchange may cost: bytes that are looked at by calculated tests, and bytes of
 * texts that are made up (unescaped, in lower case, joined). Behind it a test is given up: false,
 * and counted.
 */
#define FILTER_WORK_MAX	 (UINT64_C(128) << 20)
#define FILTER_TEXTS_MAX (16u << 20)

struct value_of {
	uint8_t type;		 /* enum value_type */
	bool is_json;		 /* LIST, MAP: .text is their JSON */
	int64_t number;		 /* BOOL, INT, TIME, DURATION; LIST of anomalies: the bits */
	double real;		 /* DOUBLE */
	struct span text;	 /* TEXT */
	const struct expr *expr; /* LIST, MAP that are no JSON: which */
};

/* Values of columns, in place of an exchange: when SQLite asks. */
#define FILTER_COLUMNS_MAX 8
struct filter_columns {
	uint8_t fields[FILTER_COLUMNS_MAX]; /* enum field */
	struct field_value values[FILTER_COLUMNS_MAX];
	size_t count;
};

struct text_block; /* made-up texts */

struct filter_scratch {
	const struct exchange *x; /* NULL: columns */
	const struct filter_columns *columns;
	struct side {
		struct buf room;
		struct span body;
		struct json_scan json;
		bool is_read, is_scanned;
	} sides[2]; /* request, response */
	struct value_of vars[FILTER_VARS_MAX];
	const struct operand *many; /* whose line is .line for the moment */
	struct span line;
	struct text_block *blocks;
	size_t text_bytes;
	uint64_t work; /* bytes looked at */
	struct filter_regex_room *regex_room;
	uint64_t gave_up;
};

/* filter_scratch_begin() - for the next exchange, or the next columns */
void filter_scratch_begin(struct filter_scratch *s, const struct exchange *x,
			  const struct filter_columns *columns);
/* filter_work() - count bytes that are looked at. Return: false: too many, the test is given up. */
bool filter_work(struct filter_scratch *s, uint64_t bytes);
/* filter_text_room() - room for a text that lives until the next exchange; NULL: no more */
uint8_t *filter_text_room(struct filter_scratch *s, size_t len);

/* ---- operands (filter_operand.c) ---- */

struct field_value filter_field_of(struct filter_scratch *s, enum field field);
struct span filter_body_of(struct filter_scratch *s, bool is_response);
/* Walk the lines that have an operand's name; without one, all: set .operand, call until false. */
struct operand_iter {
	const struct operand *operand;
	bool has_begun, is_any_name;
	struct header_iter header;
	struct span rest;	    /* of a query or a cookie */
	struct json_scan_iter json; /* of labels */
	struct span name, value;
};
bool filter_operand_next(struct filter_scratch *s, struct operand_iter *it);
/* filter_operand_text() - the first line, or the one that stands for all; empty when there is none
 */
struct span filter_operand_text(struct filter_scratch *s, const struct operand *o);

/* ---- expressions (filter_value.c) ---- */

struct value_of filter_value(struct filter_scratch *s, const struct expr *e);
/* filter_compare() - Return: whether a op b holds; false when the two cannot be compared */
bool filter_compare(enum test_op op, const struct value_of *a, const struct value_of *b);
bool filter_text_holds(enum test_op op, struct span s, struct span want);
bool filter_order_holds(enum test_op op, int sign);
/* filter_arith() - Return: ABSENT on overflow, division by 0, or types that have no such operation
 */
struct value_of filter_arith(struct filter_scratch *s, enum arith_op op, const struct value_of *a,
			     const struct value_of *b);
/* filter_arith_type() - what it will give; ANY: it depends; ABSENT: there is no such operation */
enum value_type filter_arith_type(enum arith_op op, enum value_type a, enum value_type b);
struct value_of filter_literal_value(const struct literal *l);

/* Walk a LIST, or the names of a MAP: set .of, call until false. */
struct value_iter {
	const struct value_of *of;
	size_t index;
	struct json_scan_iter json;
	struct operand_iter operand;
	struct value_of item;
};
bool filter_value_next(struct filter_scratch *s, struct value_iter *it);

/* ---- functions (filter_call.c) ---- */

typedef struct value_of filter_call_fn(struct filter_scratch *s, const struct value_of *v,
				       int what);
struct filter_function {
	const char *name;
	uint8_t gives; /* enum value_type */
	filter_call_fn *call;
	int what;
	uint16_t takes; /* bits 1 << enum value_type */
	bool is_method; /* x.name() */
	bool is_global; /* name(x) */
	const char *example;
};
extern const struct filter_function filter_functions[];
extern const size_t filter_function_count;
struct value_of filter_call(struct filter_scratch *s, unsigned function, const struct value_of *a);

/* ---- conditions (filter_eval.c) ---- */

bool filter_node_holds(struct filter_scratch *s, const struct node *n);

/* ---- SQL (filter_function.c) ---- */

/*
 * filter_node_columns() - the fields that a calculated condition depends on, when columns say all
 * of it Return: how many, at least 1; 0: it needs messages, or other things that are in no column
 */
size_t filter_node_columns(const struct node *n, uint8_t fields[FILTER_COLUMNS_MAX]);
