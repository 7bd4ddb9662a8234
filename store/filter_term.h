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

enum term_kind { TERM_CONDITION, TERM_OPERAND, TERM_LITERAL, TERM_LIST, TERM_AFFIX, TERM_HEADERS };

struct term {
	enum term_kind kind;
	size_t at;
	struct node *node;	/* CONDITION */
	struct operand operand; /* OPERAND; HEADERS: which message */
	struct literal literal; /* LITERAL, AFFIX: its text */
	enum test_op affix;	/* AFFIX: OP_STARTS for prefix(), OP_ENDS for suffix() */
	struct literal *items;	/* LIST: in parser::literals */
	size_t item_count;
};

struct parser {
	struct span source;
	const struct token *next;
	struct filter *f;
	struct literal *literals; /* room for all items of all lists */
	size_t literal_count;
	unsigned depth;
	struct err *e;
};

#define FAIL(p, at, ...) filter_error((p)->e, (p)->source, at, -EINVAL, __VA_ARGS__)

/* term_new_node(), term_new_test() - NULL: the filter has too many; answer with term_too_big() */
struct node *term_new_node(struct parser *p, enum node_kind kind);
struct node *term_new_test(struct parser *p, const struct operand *left, enum test_op op);
void term_add_child(struct node *parent, struct node *child);
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
int term_in(struct parser *p, struct term *out, const struct term *left, size_t op_at,
	    const struct term *right);
/* term_as_condition() - @t must be true or false: a condition, a BOOL field or constant */
int term_as_condition(struct parser *p, struct term *t);
