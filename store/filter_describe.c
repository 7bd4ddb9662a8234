// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

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
	buf_add_fmt(out, "duration(\"%lli%s\")", (long long)(ns / units[i].ns), units[i].unit);
}

static void write_value(const struct node *n, const struct value *v, struct buf *out)
{
	char id[ID_TEXT_LEN + 1];
	enum field_type type = operand_type(&n->left);

	if (type == FIELD_TYPE_TEXT || type == FIELD_TYPE_NAME || n->op >= OP_STARTS) {
		filter_quote(v->text, out);
	} else if (type == FIELD_TYPE_TIME) {
		buf_add_str(out, "timestamp(\"");
		clock_format_utc(out, (uint64_t)v->number);
		buf_add_str(out, "\")");
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
	[OP_HAS] = " in ",
};

/* "redacted" in anomalies; of several bits, one of them */
static void write_has(const struct node *n, struct buf *out)
{
	const char *joint = "";

	if (n->left.kind == OPERAND_HEADER) {
		filter_quote(n->left.name, out);
		buf_add_fmt(out, " in %s.headers", n->left.is_response ? "response" : "request");
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

static void write_node(const struct node *n, struct buf *out)
{
	const char *joint = n->kind == NODE_AND ? " && " : " || ";

	if (n->kind == NODE_TEST) {
		write_test(n, out);
		return;
	}
	if (!n->first) {
		buf_add_str(out, n->kind == NODE_AND ? "true" : "false");
		return;
	}
	buf_add_str(out, n->kind == NODE_NOT ? "!(" : "(");
	for (const struct node *c = n->first; c; c = c->next) {
		write_node(c, out);
		if (c->next)
			buf_add_str(out, joint);
	}
	buf_add_char(out, ')');
}

void filter_describe(const struct filter *f, struct buf *out)
{
	write_node(f->root, out);
}
