// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

#include "lib/id.h"
#include "schema/content.h"

/*
 * Theory of operation
 *
 * The tree is walked as it stands; everything was typed and converted when it was read, so there
 * is nothing to go wrong here. Two rules that the SQL must share:
 *
 * - Numbers are compared as SQLite has them: 64 bits with sign. What is larger counts as the
 *   largest of them.
 * - A header may come several times. A test holds when it holds for one of its lines; a header
 *   that is absent counts as empty. != is the negation of ==: true when no line is equal.
 *
 * A body is what its reader saw: content codings are undone once for each exchange, within the
 * limits of schema/content.h. Of a body that does not decode to its end, what was read before
 * counts; where nothing was, the octets of the wire.
 */

/* one exchange that is being judged, and its bodies once a test has asked for them */
struct judged {
	const struct exchange *x;
	struct side {
		struct buf room;
		struct span body;
		bool is_read;
	} sides[2]; /* request, response */
};

static int64_t signed_number(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static bool order_holds(enum test_op op, int sign)
{
	switch (op) {
	case OP_EQ: return sign == 0;
	case OP_LT: return sign < 0;
	case OP_LE: return sign <= 0;
	case OP_GT: return sign > 0;
	case OP_GE: return sign >= 0;
	case OP_STARTS:
	case OP_ENDS:
	case OP_CONTAINS:
	case OP_HAS:
	case OP_FAILED: break;
	}
	return false;
}

static bool number_holds(enum test_op op, int64_t a, int64_t b)
{
	return order_holds(op, (a > b) - (a < b));
}

/* bytewise, the shorter first: what SQLite's BINARY collation does */
static int compare_bytes(struct span a, struct span b)
{
	size_t n = MIN(a.len, b.len);
	int sign = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return sign ? sign : (a.len > b.len) - (a.len < b.len);
}

static bool text_holds(enum test_op op, struct span s, struct span want)
{
	if (op < OP_STARTS)
		return order_holds(op, compare_bytes(s, want));
	if (want.len > s.len)
		return false;
	if (op == OP_STARTS)
		return span_eq(span_of(s.ptr, want.len), want);
	if (op == OP_ENDS)
		return span_eq(span_from(s, s.len - want.len), want) || want.len == 0;
	return want.len == 0 || memmem(s.ptr, s.len, want.ptr, want.len);
}

static bool address_holds(const struct endpoint *e, const struct value *v)
{
	unsigned whole = v->prefix_bits / 8, rest = v->prefix_bits % 8;

	if (e->is_ipv4 != v->is_ipv4 || memcmp(e->address, v->address, whole) != 0)
		return false;
	return rest == 0 || (e->address[whole] ^ v->address[whole]) >> (8 - rest) == 0;
}

static bool any_text(const struct node *n, struct span s)
{
	for (size_t i = 0; i < n->value_count; i++)
		if (text_holds(n->op, s, n->values[i].text))
			return true;
	return false;
}

static bool any_number(const struct node *n, int64_t number)
{
	for (size_t i = 0; i < n->value_count; i++)
		if (number_holds(n->op, number, n->values[i].number))
			return true;
	return false;
}

static bool address_test(const struct node *n, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	if (n->op != OP_EQ)
		return any_text(n, span_str(endpoint_text(e, text)));
	for (size_t i = 0; i < n->value_count; i++)
		if (address_holds(e, &n->values[i]))
			return true;
	return false;
}

static bool id_test(const struct node *n, uint64_t id)
{
	char text[ID_TEXT_LEN + 1];

	if (n->op >= OP_STARTS)
		return any_text(n, span_str(id_format(id, text)));
	for (size_t i = 0; i < n->value_count; i++) {
		uint64_t want = (uint64_t)n->values[i].number;

		if (order_holds(n->op, (id > want) - (id < want)))
			return true;
	}
	return false;
}

static bool field_test(const struct node *n, const struct exchange *x)
{
	struct field_value v = field_get(x, n->left.field);

	switch ((enum field_type)field_rows[n->left.field].type) {
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_NAME: return any_text(n, v.text);
	case FIELD_TYPE_INT:
	case FIELD_TYPE_TIME:
	case FIELD_TYPE_DURATION:
	case FIELD_TYPE_BOOL: return any_number(n, signed_number(v.number));
	case FIELD_TYPE_ADDRESS: return address_test(n, v.endpoint);
	case FIELD_TYPE_ID: return id_test(n, v.number);
	case FIELD_TYPE_FLAGS: return (v.number & (uint64_t)n->values[0].number) != 0;
	}
	return false;
}

/* field op field, of one type */
static bool pair_test(const struct node *n, const struct exchange *x)
{
	struct field_value a = field_get(x, n->left.field), b = field_get(x, n->right.field);

	switch ((enum field_type)field_rows[n->left.field].type) {
	case FIELD_TYPE_ADDRESS:
		return a.endpoint->is_ipv4 == b.endpoint->is_ipv4 &&
		       memcmp(a.endpoint->address, b.endpoint->address, 16) == 0;
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_NAME: return text_holds(n->op, a.text, b.text);
	case FIELD_TYPE_ID:
		return order_holds(n->op, (a.number > b.number) - (a.number < b.number));
	case FIELD_TYPE_INT:
	case FIELD_TYPE_TIME:
	case FIELD_TYPE_DURATION:
	case FIELD_TYPE_BOOL:
	case FIELD_TYPE_FLAGS: break;
	}
	return number_holds(n->op, signed_number(a.number), signed_number(b.number));
}

/* ---- messages ---- */

static const struct message *message_of(const struct operand *o, const struct exchange *x)
{
	return o->is_response ? &x->response : &x->request;
}

static struct span body_of(const struct operand *o, struct judged *j)
{
	struct side *side = &j->sides[o->is_response];
	const struct message *m = message_of(o, j->x);

	if (!side->is_read && content_decode(m, &side->room, &side->body, NULL) < 0 &&
	    side->body.len == 0)
		side->body = m->body;
	side->is_read = true;
	return side->body;
}

static struct span text_of(const struct operand *o, struct judged *j)
{
	if (o->kind == OPERAND_BODY)
		return body_of(o, j);
	return field_get(j->x, o->field).text;
}

static bool text_test(const struct node *n, struct judged *j, struct span s)
{
	if (n->has_right)
		return text_holds(n->op, s, text_of(&n->right, j));
	return any_text(n, s);
}

static bool header_test(const struct node *n, struct judged *j)
{
	struct header_iter it = {.rest = message_of(&n->left, j->x)->head};
	bool is_there = false;

	while (header_next(&it)) {
		if (!span_ieq(it.name, n->left.name))
			continue;
		is_there = true;
		if (n->op == OP_HAS || text_test(n, j, it.value))
			return true;
	}
	return !is_there && n->op != OP_HAS && text_test(n, j, (struct span){0});
}

/* ---- the tree ---- */

static bool test_holds(const struct node *n, struct judged *j)
{
	if (n->op == OP_FAILED)
		return exchange_is_failed(j->x);
	if (n->left.kind == OPERAND_HEADER)
		return header_test(n, j);
	if (n->left.kind == OPERAND_BODY || (n->has_right && n->right.kind == OPERAND_BODY))
		return text_test(n, j, text_of(&n->left, j));
	return n->has_right ? pair_test(n, j->x) : field_test(n, j->x);
}

static bool node_holds(const struct node *n, struct judged *j)
{
	if (n->kind == NODE_TEST)
		return test_holds(n, j);
	if (n->kind == NODE_NOT)
		return !node_holds(n->first, j);
	for (const struct node *c = n->first; c; c = c->next)
		if (node_holds(c, j) != (n->kind == NODE_AND))
			return n->kind == NODE_OR;
	return n->kind == NODE_AND;
}

bool filter_matches(const struct filter *f, const struct exchange *x)
{
	struct judged j = {.x = x};
	bool holds = node_holds(f->root, &j);

	buf_fini(&j.sides[0].room);
	buf_fini(&j.sides[1].room);
	return holds;
}

bool filter_wants_messages(const struct filter *f)
{
	return f->wants_messages;
}
