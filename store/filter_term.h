// SPDX-License-Identifier: Apache-2.0
/*
 * filter_term.h - what a rule of the grammar yields, and how terms become conditions
 *
 * For filter_parse.c, which knows the grammar, and filter_term.c, which knows what goes together.
 * Every int is 0, or -EINVAL / -E2BIG with a message that points at the term that is wrong; nodes
 * live in the filter and are freed with it.
 */
#pragma once

#include "store/filter_tree.h"

#include <errno.h>

enum term_kind {
	TERM_CONDITION,
	TERM_OPERAND,
	TERM_LITERAL,
	TERM_LIST,
	TERM_AFFIX,
	TERM_NAMES, /* request.headers, query, ...: without a name yet */
	TERM_VALUE, /* something that is calculated */
};

struct term {
	enum term_kind kind;
	size_t at;
	struct node *node;	/* CONDITION */
	struct expr *expr;	/* VALUE */
	struct operand operand; /* OPERAND; NAMES: of which message */
	struct literal literal; /* LITERAL, AFFIX: its text */
	enum test_op affix;	/* AFFIX: OP_STARTS for prefix(), OP_ENDS for suffix() */
	struct literal *items;	/* LIST: in filter::literals */
	size_t item_count;
};

struct parser {
	struct span source;
	const struct token *next;
	struct filter *f;
	struct variable {
		struct span name;
		uint8_t type; /* enum value_type */
	} vars[FILTER_VARS_MAX];
	unsigned var_count;
	unsigned depth;
	uint64_t now_ns; /* 0: there is no now() */
	struct err *e;
};

#define FAIL(p, at, ...) filter_error((p)->e, (p)->source, at, -EINVAL, __VA_ARGS__)

/* term_new_node(), term_new_test() - NULL: the filter has too many; answer with term_too_big() */
struct node *term_new_node(struct parser *p, enum node_kind kind);
struct node *term_new_test(struct parser *p, const struct operand *left, enum test_op op);
/* term_flipped() - the operator when its sides change places: < for > */
enum test_op term_flipped(enum test_op op);
void term_add_child(struct node *parent, struct node *child);
void term_add_value(struct parser *p, struct node *n, struct value v);
int term_too_big(struct parser *p, size_t at);

/* term_set() - @out is the condition @n (NULL: there were too many) */
int term_set(struct parser *p, struct term *out, size_t at, struct node *n);
int term_not(struct parser *p, struct term *out, size_t at, struct node *child);
/* term_test() - operand op literal; @op_at: where the operator stands */
int term_test(struct parser *p, struct term *out, const struct term *left, enum test_op op,
	      size_t op_at, const struct literal *l);
/* term_part() - as term_test() for startsWith, endsWith, contains */
int term_part(struct parser *p, struct term *out, const struct term *left, enum test_op op,
	      size_t op_at, const struct literal *l);
/* term_compare() - left op right, whatever the two are; may swap them */
int term_compare(struct parser *p, struct term *out, struct term *left, enum test_op op,
		 size_t op_at, struct term *right);
/* term_in() - left in right */
int term_in(struct parser *p, struct term *out, struct term *left, size_t op_at,
	    struct term *right);
/* term_as_condition() - @t must be true or false: a condition, a BOOL field or constant */
int term_as_condition(struct parser *p, struct term *t);

/* ---- what is calculated (filter_expr.c) ---- */

/* term_calculates() - is @t, or must be, an expression? */
bool term_calculates(const struct term *t);
/* term_value() - @t as an expression, in t->expr */
int term_value(struct parser *p, struct term *t);
const char *term_type_noun(unsigned type);
int term_arith(struct parser *p, struct term *out, struct term *left, enum arith_op op,
	       size_t op_at, struct term *right);
int term_negative(struct parser *p, struct term *t);
int term_call(struct parser *p, struct term *t, unsigned function, size_t at);
/* term_select() - t.name; term_index() - t[index] */
int term_select(struct parser *p, struct term *t, struct span name, size_t at);
int term_index(struct parser *p, struct term *t, struct term *index);
int term_json(struct parser *p, struct term *out, size_t at, bool is_response);
int term_variable(struct parser *p, struct term *out, size_t at, unsigned slot);
/* term_calculated() - left op right, one of them calculated */
int term_calculated(struct parser *p, struct term *out, struct term *left, enum test_op op,
		    size_t op_at, struct term *right);
int term_calculated_in(struct parser *p, struct term *out, struct term *left, struct term *right);
/* term_matches() - left =~ pattern */
int term_matches(struct parser *p, struct term *out, struct term *left, size_t op_at,
		 const struct term *pattern);
int term_has(struct parser *p, struct term *t);
int term_if(struct parser *p, struct term *condition, struct term *a, struct term *b);
/* term_each_type() - may one go through @t? Its variable has this type; negative: no, @e says so */
int term_each_type(struct parser *p, struct term *t, size_t at, const char *name);

/* ---- words (filter_word.c) ---- */

int parse_expression(struct parser *p, struct term *out); /* filter_parse.c */
int parse_primary(struct parser *p, struct term *out);
/* parse_members() - .name, .method(..) and [index] behind @t */
int parse_members(struct parser *p, struct term *t);

/* ---- functions, and what words share (filter_special.c) ---- */

bool token_is_word(const struct token *t, const char *word);
bool term_is_text(const struct term *t); /* a constant text */
int term_set_literal(struct term *out, size_t at, struct literal l);
int parse_expect(struct parser *p, enum token_type type, const char *sentence);
int parse_enter(struct parser *p, size_t at);		/* one deeper; leave by p->depth-- */
int parse_argument(struct parser *p, struct term *out); /* "(" expression ")" */
/* parse_function() - a call of what has no dot in its name; @t is that name, p->next its bracket */
int parse_function(struct parser *p, struct term *out, const struct token *t);
