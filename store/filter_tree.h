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
#define FILTER_EXPR_MAX	 1024 /* operands and operations that are calculated */
#define FILTER_VARS_MAX	 4    /* exists() and all() inside each other */
#define FILTER_REGEX_MAX 16   /* regular expressions */

/* ---- tokens (filter_lex.c) ---- */

enum token_type {
	TOKEN_END,
	TOKEN_NAME,   /* a word, dots included: dst.service, path.startsWith */
	TOKEN_STRING, /* text: without quotes, escapes resolved */
	TOKEN_INT,
	TOKEN_DOUBLE,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_LIST_OPEN,
	TOKEN_LIST_CLOSE,
	TOKEN_COMMA,
	TOKEN_DOT,
	TOKEN_PLUS,
	TOKEN_MINUS,
	TOKEN_TIMES,
	TOKEN_OVER,
	TOKEN_MODULO,
	TOKEN_QUESTION,
	TOKEN_COLON,
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
	TOKEN_MATCH,	 /* =~ */
	TOKEN_NOT_MATCH, /* !~ */
};

struct token {
	enum token_type type;
	size_t at;	  /* where it begins [bytes of the source] */
	struct span text; /* NAME: in the source; STRING: in filter::bytes */
	int64_t number;	  /* INT */
	double real;	  /* DOUBLE */
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

enum operand_kind {
	OPERAND_FIELD,
	OPERAND_HEADER,
	OPERAND_TRAILER,
	OPERAND_QUERY,	    /* a parameter of the target */
	OPERAND_COOKIE,	    /* of Cookie, or of Set-Cookie */
	OPERAND_LABEL,	    /* of the client's pod, or of the server's: is_response */
	OPERAND_ANNOTATION, /* likewise */
	OPERAND_BODY,
};

/* The left side of a test: something of an exchange. */
struct operand {
	uint8_t kind;	  /* enum operand_kind */
	uint8_t field;	  /* enum field */
	bool is_response; /* of which message, or end */
	bool is_text;	  /* Loop's headers[":status"]: a number that is written in quotes */
	struct span name; /* HEADER to ANNOTATION: lives in filter::bytes */
};

/* operand_is_named() - one of several with a name; there may be none, or many of one name */
static inline bool operand_is_named(const struct operand *o)
{
	return o->kind >= OPERAND_HEADER && o->kind <= OPERAND_ANNOTATION;
}

/* operand_is_map() - an entry of one of the maps that an end has */
static inline bool operand_is_map(const struct operand *o)
{
	return o->kind == OPERAND_LABEL || o->kind == OPERAND_ANNOTATION;
}

static inline enum field operand_map_field(const struct operand *o)
{
	if (o->kind == OPERAND_LABEL)
		return o->is_response ? FIELD_DST_LABELS : FIELD_SRC_LABELS;
	return o->is_response ? FIELD_DST_ANNOTATIONS : FIELD_SRC_ANNOTATIONS;
}

/* operand_needs_messages() - columns do not say it */
static inline bool operand_needs_messages(const struct operand *o)
{
	return o->kind != OPERAND_FIELD && o->kind != OPERAND_QUERY && !operand_is_map(o);
}

struct value {
	struct span text;    /* TEXT, NAME, header, body; lives in filter::bytes */
	int64_t number;	     /* the others; FLAGS: the mask */
	uint8_t address[16]; /* ADDRESS, as struct endpoint has it */
	uint8_t prefix_bits; /* ADDRESS: how many of the 128 bits must agree */
	bool is_ipv4;
};

enum node_kind {
	NODE_AND,     /* of its children; none: true */
	NODE_OR,      /* of its children; none: false */
	NODE_NOT,     /* of its only child */
	NODE_TEST,    /* left op values, or left op right */
	NODE_COMPARE, /* a op b, calculated */
	NODE_IN,      /* a is one of b */
	NODE_EXISTS,  /* its child holds for one of a, which is variable .slot (values[0].text)
			 meanwhile */
	NODE_ALL,     /* ... for each */
	NODE_ONE,     /* ... for exactly one */
	NODE_IF,      /* its first child ? the second : the third */
	NODE_PRESENT, /* has(a) */
	NODE_SEARCH,  /* text("..."): values[0].text somewhere in heads and bodies */
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
	OP_HAS,	    /* FLAGS: a bit of the mask is set; a named operand: it is there */
	OP_FAILED,  /* no operand */
	OP_MATCHES, /* COMPARE only: a against node::regex */
};

struct node {
	uint8_t kind;	/* enum node_kind */
	uint8_t op;	/* enum test_op */
	bool has_right; /* compares with .right instead of .values */
	struct operand left, right;
	struct value *values; /* in filter::values */
	size_t value_count;
	struct node *first, *last, *next; /* children, sibling */
	struct expr *a, *b;		  /* COMPARE, IN, EXISTS, ALL, ONE, PRESENT */
	const struct operand *many;	  /* COMPARE, IN: one of its names' lines makes it hold */
	struct filter_regex *regex;	  /* OP_MATCHES: in filter::regexes */
	uint8_t slot;
};

/* ---- what is calculated (filter_expr.c builds, filter_value.c evaluates) ---- */

enum value_type {
	VALUE_ABSENT, /* nothing is equal to it, smaller or larger */
	VALUE_NULL,   /* JSON's */
	VALUE_BOOL,
	VALUE_INT,
	VALUE_DOUBLE,
	VALUE_TEXT,
	VALUE_TIME,
	VALUE_DURATION,
	VALUE_LIST,
	VALUE_MAP,
	VALUE_ANY, /* known only when it is there: JSON */
};

enum expr_kind {
	EXPR_LITERAL,
	EXPR_OPERAND, /* a field of type FLAGS is the list of its names */
	EXPR_NAMES,   /* the names of headers, parameters, cookies; operand without its name */
	EXPR_LIST,    /* items */
	EXPR_JSON,    /* the body of a message as JSON */
	EXPR_SELECT,  /* member literal.text of a */
	EXPR_INDEX,   /* element or member b of a */
	EXPR_VAR,     /* variable .op */
	EXPR_ARITH,   /* a op b */
	EXPR_CALL,    /* function .op of a */
	EXPR_IF,      /* condition ? a : b */
};

enum arith_op { ARITH_ADD, ARITH_SUB, ARITH_MUL, ARITH_DIV, ARITH_MOD };

enum literal_type {
	LITERAL_TEXT,
	LITERAL_INT,
	LITERAL_TIME,
	LITERAL_DURATION,
	LITERAL_BOOL,
	LITERAL_DOUBLE,
	LITERAL_NULL,
};

struct literal {
	enum literal_type type;
	size_t at;	  /* where it stands [bytes of the source] */
	struct span text; /* lives in filter::bytes */
	int64_t number;
	double real; /* DOUBLE */
};

struct expr {
	uint8_t kind; /* enum expr_kind */
	uint8_t type; /* enum value_type: what it will be */
	uint8_t op;   /* enum arith_op, number of a function, slot of a variable */
	struct expr *a, *b;
	struct node *condition;
	struct operand operand; /* OPERAND, NAMES; JSON: is_response */
	struct literal literal; /* LITERAL; SELECT: the name; VAR: its name */
	struct literal *items;	/* LIST: in filter::literals */
	size_t item_count;
};

/* What filter_restrict() puts before all else (filter_restrict.c). */
struct restriction {
	struct node both, either, src, dst; /* both: either && the rest; either: src || dst */
	struct value *values;		    /* owned: names of namespaces, for src and dst */
	size_t value_count;
	uint8_t *bytes; /* owned: what values say */
};

struct filter {
	struct node *root;
	struct node *nodes; /* owned: all nodes */
	size_t node_count, node_max;
	struct value *values; /* owned: all values */
	size_t value_count;
	struct expr *exprs; /* owned: all that is calculated */
	size_t expr_count, expr_max;
	struct literal *literals; /* owned: the items of all lists */
	size_t literal_count;
	struct filter_regex *regexes[FILTER_REGEX_MAX]; /* owned */
	size_t regex_count;
	_Atomic uint64_t *gave_up; /* owned: tests that reached a limit */
	uint8_t *bytes;		   /* owned: the source, and what its strings say */
	struct restriction *only;  /* owned; NULL: none */
	bool wants_messages;
};

/* restriction_free() - accepts NULL */
void restriction_free(struct restriction *o);

/* What stands before a name or a [: words that are no fields. */
struct filter_root {
	const char *word;
	uint8_t kind; /* enum operand_kind */
	bool is_response, is_json;
};
#define FILTER_ROOT_COUNT 17
extern const struct filter_root filter_roots[FILTER_ROOT_COUNT];

/* operand_type() - headers and bodies are TEXT */
static inline enum field_type operand_type(const struct operand *o)
{
	return o->kind == OPERAND_FIELD ? (enum field_type)field_rows[o->field].type
					: FIELD_TYPE_TEXT;
}

/* filter_order_by_cost() - what is cheap to judge first: columns, then heads, then bodies
 * (filter_cost.c) */
void filter_order_by_cost(struct node *n);

/* ---- literals and types (filter_type.c) ---- */

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
/* filter_refuse_name() - "no WHAT NAME; did you mean ...?" from the names of @names. Return:
 * -EINVAL. */
int filter_refuse_name(const char *what, struct span name, const char *const *names, size_t count,
		       struct span source, size_t at, struct err *e);
