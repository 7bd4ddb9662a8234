// SPDX-License-Identifier: Apache-2.0
/*
 * filter_tree.h - what a filter is once it has been read: for store/filter_*.c only
 *
 * Lexer -> tokens -> parser -> tree of nodes; then filter_eval.c judges an exchange by it,
 * filter_sql.c writes it as SQL and filter_describe.c as text.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/fields.h"
#include "store/filter.h"

#define FILTER_TEXT_MAX	 8192 /* bytes of an expression */
#define FILTER_DEPTH_MAX 48   /* nested brackets and ! */
#define FILTER_NODE_MAX	 512  /* conditions and operators */
#define FILTER_LIST_MAX	 256  /* values in one [..] */

/* ---- tokens (filter_lex.c) ---- */

enum token_type {
	TOKEN_END,
	TOKEN_NAME,   /* a word, dots included: dst.service, path.startsWith */
	TOKEN_STRING, /* text: without quotes, escapes resolved */
	TOKEN_INT,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_LIST_OPEN,
	TOKEN_LIST_CLOSE,
	TOKEN_COMMA,
	TOKEN_DOT,
	TOKEN_MINUS,
	TOKEN_NOT,
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_IN,
	TOKEN_EQ,
	TOKEN_NE,
	TOKEN_LT,
	TOKEN_LE,
	TOKEN_GT,
	TOKEN_GE,
};

struct token {
	enum token_type type;
	size_t at;	  /* where it begins [bytes of the source] */
	struct span text; /* NAME: in the source; STRING: in filter::bytes */
	int64_t number;	  /* INT */
};

/**
 * filter_lex() - cut a source into tokens
 * @tokens: room for @source.len + 1 of them; the last is TOKEN_END
 * @bytes:  room for @source.len bytes: what the strings say
 *
 * Return: 0, or -EINVAL with the message that points at the character.
 */
int filter_lex(struct span source, struct token *tokens, uint8_t *bytes, struct err *e) MUST_USE;
/* filter_error() - "column N: sentence", the line and a caret. Return: @code. */
int filter_error(struct err *e, struct span source, size_t at, int code, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
/* filter_bare() - write a bare form (500, 5xx, /api/cart*, cart) as an expression. Return: it was
 * one. */
bool filter_bare(struct span source, struct buf *out);

/* ---- the tree ---- */

enum operand_kind { OPERAND_FIELD, OPERAND_HEADER, OPERAND_BODY };

/* The left side of a test: something of an exchange. */
struct operand {
	uint8_t kind;	  /* enum operand_kind */
	uint8_t field;	  /* enum field */
	bool is_response; /* HEADER, BODY: of which message */
	bool is_text;	  /* Loop's headers[":status"]: a number that is written in quotes */
	struct span name; /* HEADER: lives in filter::bytes */
};

struct value {
	struct span text;    /* TEXT, NAME, header, body; lives in filter::bytes */
	int64_t number;	     /* the others; FLAGS: the mask */
	uint8_t address[16]; /* ADDRESS, as struct endpoint has it */
	uint8_t prefix_bits; /* ADDRESS: how many of the 128 bits must agree */
	bool is_ipv4;
};

enum node_kind {
	NODE_AND,  /* of its children; none: true */
	NODE_OR,   /* of its children; none: false */
	NODE_NOT,  /* of its only child */
	NODE_TEST, /* left op values, or left op right */
};

enum test_op {
	OP_EQ, /* one of the values */
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_STARTS,
	OP_ENDS,
	OP_CONTAINS,
	OP_HAS,	   /* FLAGS: a bit of the mask is set; HEADER: it is there */
	OP_FAILED, /* no operand */
};

struct node {
	uint8_t kind;	/* enum node_kind */
	uint8_t op;	/* enum test_op */
	bool has_right; /* compares with .right instead of .values */
	struct operand left, right;
	struct value *values; /* in filter::values */
	size_t value_count;
	struct node *first, *last, *next; /* children, sibling */
};

struct filter {
	struct node *root;
	struct node *nodes; /* owned: all nodes */
	size_t node_count, node_max;
	struct value *values; /* owned: all values */
	size_t value_count;
	uint8_t *bytes; /* owned: all strings */
	bool wants_messages;
};

/* operand_type() - headers and bodies are TEXT */
static inline enum field_type operand_type(const struct operand *o)
{
	return o->kind == OPERAND_FIELD ? (enum field_type)field_rows[o->field].type
					: FIELD_TYPE_TEXT;
}

/* ---- literals and types (filter_type.c) ---- */

enum literal_type { LITERAL_TEXT, LITERAL_INT, LITERAL_TIME, LITERAL_DURATION, LITERAL_BOOL };

struct literal {
	enum literal_type type;
	size_t at;	  /* where it stands [bytes of the source] */
	struct span text; /* lives in filter::bytes */
	int64_t number;
};

/**
 * filter_convert() - a literal as a value of the type that @o has, for @op
 * @is_in: it stands behind `in`, where an address may be a CIDR
 * @source: for the message
 */
int filter_convert(const struct operand *o, enum test_op op, const struct literal *l, bool is_in,
		   struct span source, struct value *out, struct err *e) MUST_USE;
/* filter_can() - does @op make sense for @o? Otherwise -EINVAL and a message at @at. */
int filter_can(const struct operand *o, enum test_op op, struct span source, size_t at,
	       struct err *e) MUST_USE;
/* filter_operand_name() - as it is typed: status, request.headers["x"] */
void filter_operand_name(const struct operand *o, struct buf *out);
/* filter_field() - a field by name; the error suggests the nearest. Return: enum field or -EINVAL.
 */
int filter_field(struct span name, struct span source, size_t at, struct err *e) MUST_USE;
/* filter_anomalies() - "gap_request", or "gap" for all that begin so -> bits */
int filter_anomalies(const struct literal *l, struct span source, int64_t *mask_out,
		     struct err *e) MUST_USE;
/* filter_outcome() - failed("reset"): an outcome that counts as failed. Return: number or -EINVAL.
 */
int filter_outcome(const struct literal *l, struct span source, struct err *e) MUST_USE;
/* filter_quote() - @s as a string literal of the language */
void filter_quote(struct span s, struct buf *out);
