// SPDX-License-Identifier: Apache-2.0
#include "store/filter_regex.h"
#include "store/filter_value.h"

#include "lib/clock.h"
#include "lib/id.h"

#include <arpa/inet.h>

/*
 * Theory of operation
 *
 * The tree as an expression with all its brackets. What it writes is read again as the same
 * filter: a test parses every description anew.
 */

static void write_address(const struct value *v, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	unsigned bits = v->is_ipv4 ? v->prefix_bits - 96U : v->prefix_bits;

	(void)inet_ntop(v->is_ipv4 ? AF_INET : AF_INET6, v->address + (v->is_ipv4 ? 12 : 0), text,
			sizeof(text));
	if (v->prefix_bits == 128)
		buf_add_fmt(out, "\"%s\"", text);
	else
		buf_add_fmt(out, "\"%s/%u\"", text, bits);
}

/* in the largest unit that loses nothing */
static void write_duration(int64_t ns, struct buf *out)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
		     {"ms", 1000000},	   {"us", 1000},       {"ns", 1}};
	size_t i = 0;

	while (ns % units[i].ns)
		i++;
	buf_add_fmt(out, "%sduration(\"%llu%s\")", ns < 0 ? "-" : "",
		    (unsigned long long)(ns < 0 ? -(uint64_t)ns : (uint64_t)ns) /
			    (unsigned long long)units[i].ns,
		    units[i].unit);
}

static void write_time(int64_t ns, struct buf *out)
{
	/* before 1970 there is no text for it */
	buf_add_str(out, "timestamp(\"");
	clock_format_utc(out, ns < 0 ? 0 : (uint64_t)ns);
	buf_add_str(out, "\")");
	if (ns < 0) {
		buf_add_str(out, " + ");
		write_duration(ns, out);
	}
}

static void write_double(double d, struct buf *out)
{
	size_t at = out->len;

	buf_add_fmt(out, "%.17g", d);
	if (out->len > at && !memchr(out->ptr + at, '.', out->len - at) &&
	    !memchr(out->ptr + at, 'e', out->len - at))
		buf_add_str(out, ".0");
}

static void write_value(const struct node *n, const struct value *v, struct buf *out)
{
	char id[ID_TEXT_LEN + 1];
	enum field_type type = operand_type(&n->left);

	if (type == FIELD_TYPE_TEXT || type == FIELD_TYPE_NAME || n->op >= OP_STARTS) {
		filter_quote(v->text, out);
	} else if (type == FIELD_TYPE_TIME) {
		write_time(v->number, out);
	} else if (type == FIELD_TYPE_DURATION) {
		write_duration(v->number, out);
	} else if (type == FIELD_TYPE_ADDRESS) {
		write_address(v, out);
	} else if (type == FIELD_TYPE_ID) {
		buf_add_fmt(out, "\"%s\"", id_format((uint64_t)v->number, id));
	} else if (type == FIELD_TYPE_BOOL) {
		buf_add_str(out, v->number ? "true" : "false");
	} else {
		buf_add_fmt(out, "%lli", (long long)v->number);
	}
}

static void write_list(const struct node *n, struct buf *out)
{
	buf_add_str(out, " in [");
	for (size_t i = 0; i < n->value_count; i++) {
		if (i)
			buf_add_str(out, ", ");
		write_value(n, &n->values[i], out);
	}
	buf_add_char(out, ']');
}

static const char *const signs[] = {
	[OP_EQ] = " == ",	  [OP_LT] = " < ",
	[OP_LE] = " <= ",	  [OP_GT] = " > ",
	[OP_GE] = " >= ",	  [OP_STARTS] = ".startsWith(",
	[OP_ENDS] = ".endsWith(", [OP_CONTAINS] = ".contains(",
	[OP_HAS] = " in ",	  [OP_MATCHES] = " =~ ",
};

static void write_root(const struct operand *o, struct buf *out)
{
	for (size_t i = 0; i < FILTER_ROOT_COUNT; i++) {
		const struct filter_root *r = &filter_roots[i];

		if (r->kind == o->kind && r->is_response == o->is_response && !r->is_json) {
			buf_add_str(out, r->word);
			return;
		}
	}
}

/* "redacted" in anomalies; of several bits, one of them */
static void write_has(const struct node *n, struct buf *out)
{
	const char *joint = "";

	if (operand_is_named(&n->left)) {
		filter_quote(n->left.name, out);
		buf_add_str(out, " in ");
		write_root(&n->left, out);
		return;
	}
	if (n->values[0].number == (INT64_C(1) << ANOMALY_COUNT) - 1) {
		buf_add_str(out, "anomalies != []");
		return;
	}
	buf_add_char(out, '(');
	for (unsigned i = 0; i < ANOMALY_COUNT; i++) {
		if (!(n->values[0].number >> i & 1))
			continue;
		buf_add_fmt(out, "%s\"%s\" in anomalies", joint, anomaly_name(i));
		joint = " || ";
	}
	buf_add_char(out, ')');
}

static bool is_list(const struct node *n)
{
	bool is_range = n->value_count && operand_type(&n->left) == FIELD_TYPE_ADDRESS &&
			n->values[0].prefix_bits != 128;

	return n->op == OP_EQ && !n->has_right && (n->value_count > 1 || is_range);
}

static void write_test(const struct node *n, struct buf *out)
{
	if (n->op == OP_FAILED) {
		buf_add_str(out, "failed()");
		return;
	}
	if (n->op == OP_HAS) {
		write_has(n, out);
		return;
	}
	filter_operand_name(&n->left, out);
	if (is_list(n)) {
		write_list(n, out);
		return;
	}
	buf_add_str(out, signs[n->op]);
	if (n->has_right)
		filter_operand_name(&n->right, out);
	else
		write_value(n, &n->values[0], out);
	if (n->op >= OP_STARTS)
		buf_add_char(out, ')');
}

/* ---- what is calculated ---- */

static void write_node(const struct node *n, struct buf *out);
static void write_expr(const struct expr *x, struct buf *out);

static void write_literal(const struct literal *l, struct buf *out)
{
	switch (l->type) {
	case LITERAL_TEXT: filter_quote(l->text, out); break;
	case LITERAL_INT: buf_add_fmt(out, "%lli", (long long)l->number); break;
	case LITERAL_TIME: write_time(l->number, out); break;
	case LITERAL_DURATION: write_duration(l->number, out); break;
	case LITERAL_BOOL: buf_add_str(out, l->number ? "true" : "false"); break;
	case LITERAL_DOUBLE: write_double(l->real, out); break;
	case LITERAL_NULL: buf_add_str(out, "null"); break;
	}
}

static void write_items(const struct expr *x, struct buf *out)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < x->item_count; i++) {
		buf_add_str(out, i ? ", " : "");
		write_literal(&x->items[i], out);
	}
	buf_add_char(out, ']');
}

static void write_call(const struct expr *x, struct buf *out)
{
	const struct filter_function *f = &filter_functions[x->op];

	if (f->is_global)
		buf_add_fmt(out, "%s(", f->name);
	write_expr(x->a, out);
	if (f->is_global)
		buf_add_char(out, ')');
	else
		buf_add_fmt(out, ".%s()", f->name);
}

static void write_if(const struct expr *x, struct buf *out)
{
	buf_add_char(out, '(');
	write_node(x->condition, out);
	buf_add_str(out, " ? ");
	write_expr(x->a, out);
	buf_add_str(out, " : ");
	write_expr(x->b, out);
	buf_add_char(out, ')');
}

static void write_expr(const struct expr *x, struct buf *out)
{
	static const char arith_signs[] = "+-*/%";

	switch ((enum expr_kind)x->kind) {
	case EXPR_LITERAL: write_literal(&x->literal, out); break;
	case EXPR_OPERAND: filter_operand_name(&x->operand, out); break;
	case EXPR_NAMES: write_root(&x->operand, out); break;
	case EXPR_LIST: write_items(x, out); break;
	case EXPR_JSON:
		buf_add_str(out, x->operand.is_response ? "response.json" : "request.json");
		break;
	case EXPR_VAR: buf_add_span(out, x->literal.text); break;
	case EXPR_CALL: write_call(x, out); break;
	case EXPR_IF: write_if(x, out); break;
	case EXPR_SELECT:
		write_expr(x->a, out);
		buf_add_char(out, '[');
		filter_quote(x->literal.text, out);
		buf_add_char(out, ']');
		break;
	case EXPR_INDEX:
		write_expr(x->a, out);
		buf_add_char(out, '[');
		write_expr(x->b, out);
		buf_add_char(out, ']');
		break;
	case EXPR_ARITH:
		buf_add_char(out, '(');
		write_expr(x->a, out);
		buf_add_fmt(out, " %c ", arith_signs[x->op]);
		write_expr(x->b, out);
		buf_add_char(out, ')');
		break;
	}
}

static void write_compare(const struct node *n, struct buf *out)
{
	write_expr(n->a, out);
	buf_add_str(out, signs[n->op]);
	if (n->regex)
		filter_quote(filter_regex_text(n->regex), out);
	else
		write_expr(n->b, out);
	if (n->op >= OP_STARTS && n->op <= OP_CONTAINS)
		buf_add_char(out, ')');
}

static void write_each(const struct node *n, struct buf *out)
{
	static const char *const names[] = {
		[NODE_EXISTS] = "exists", [NODE_ALL] = "all", [NODE_ONE] = "exists_one"};

	write_expr(n->a, out);
	buf_add_fmt(out, ".%s(", names[n->kind]);
	buf_add_span(out, n->values[0].text);
	buf_add_str(out, ", ");
	write_node(n->first, out);
	buf_add_char(out, ')');
}

/* ---- the tree ---- */

static void write_children(const struct node *n, struct buf *out)
{
	static const char *const joints[] = {
		[NODE_AND] = " && ", [NODE_OR] = " || ", [NODE_IF] = " ? "};
	const char *joint = n->kind <= NODE_OR || n->kind == NODE_IF ? joints[n->kind] : "";

	buf_add_str(out, n->kind == NODE_NOT ? "!(" : "(");
	for (const struct node *c = n->first; c; c = c->next) {
		write_node(c, out);
		if (c->next)
			buf_add_str(out, joint);
		joint = n->kind == NODE_IF ? " : " : joint;
	}
	buf_add_char(out, ')');
}

static void write_in(const struct node *n, struct buf *out)
{
	write_expr(n->a, out);
	buf_add_str(out, " in ");
	write_expr(n->b, out);
}

static void write_node(const struct node *n, struct buf *out)
{
	switch ((enum node_kind)n->kind) {
	case NODE_TEST: write_test(n, out); break;
	case NODE_COMPARE: write_compare(n, out); break;
	case NODE_IN: write_in(n, out); break;
	case NODE_EXISTS:
	case NODE_ALL:
	case NODE_ONE: write_each(n, out); break;
	case NODE_PRESENT:
		buf_add_str(out, "has(");
		write_expr(n->a, out);
		buf_add_char(out, ')');
		break;
	case NODE_SEARCH:
		buf_add_str(out, "text(");
		filter_quote(n->values[0].text, out);
		buf_add_char(out, ')');
		break;
	case NODE_AND:
	case NODE_OR:
	case NODE_NOT:
	case NODE_IF:
		if (n->first)
			write_children(n, out);
		else
			buf_add_str(out, n->kind == NODE_AND ? "true" : "false");
		break;
	}
}

void filter_describe(const struct filter *f, struct buf *out)
{
	write_node(f->root, out);
}
