// SPDX-License-Identifier: Apache-2.0
#include "store/filter_regex.h"
#include "store/filter_value.h"

#include "lib/id.h"

#include <stdatomic.h>

/*
 * Theory of operation
 *
 * The tree is walked as it stands. Tests of one operand with constants were typed and converted
 * when the filter was read, so there is nothing to go wrong in them; what is calculated has its
 * rules in filter_value.c. Two rules that the SQL must share:
 *
 * - Numbers are compared as SQLite has them: 64 bits with sign. What is larger counts as the
 *   largest of them.
 * - A header may come several times. A test holds when it holds for one of its lines; a header
 *   that is absent counts as empty. != is the negation of ==: true when no line is equal.
 *
 * All of it together may look at FILTER_WORK_MAX bytes of an exchange; a test beyond is given up,
 * which is counted and never silent.
 */
#define REGEX_WORK 4096 /* bytes that a search counts as, beside its text's */

static int64_t signed_number(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static bool number_holds(enum test_op op, int64_t a, int64_t b)
{
	return filter_order_holds(op, (a > b) - (a < b));
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
		if (filter_text_holds(n->op, s, n->values[i].text))
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

		if (filter_order_holds(n->op, (id > want) - (id < want)))
			return true;
	}
	return false;
}

static bool field_test(const struct node *n, struct filter_scratch *s)
{
	struct field_value v = filter_field_of(s, n->left.field);

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
	case FIELD_TYPE_MAP: break; /* its entries are operands, it is none */
	}
	return false;
}

/* field op field, of one type */
static bool pair_test(const struct node *n, struct filter_scratch *s)
{
	struct field_value a = filter_field_of(s, n->left.field);
	struct field_value b = filter_field_of(s, n->right.field);

	switch ((enum field_type)field_rows[n->left.field].type) {
	case FIELD_TYPE_ADDRESS:
		return a.endpoint->is_ipv4 == b.endpoint->is_ipv4 &&
		       memcmp(a.endpoint->address, b.endpoint->address, 16) == 0;
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_NAME: return filter_text_holds(n->op, a.text, b.text);
	case FIELD_TYPE_ID:
		return filter_order_holds(n->op, (a.number > b.number) - (a.number < b.number));
	case FIELD_TYPE_INT:
	case FIELD_TYPE_TIME:
	case FIELD_TYPE_DURATION:
	case FIELD_TYPE_BOOL:
	case FIELD_TYPE_MAP:
	case FIELD_TYPE_FLAGS: break;
	}
	return number_holds(n->op, signed_number(a.number), signed_number(b.number));
}

/* ---- texts of messages, and what has a name ---- */

static bool text_test(const struct node *n, struct filter_scratch *s, struct span text)
{
	if (!filter_work(s, text.len))
		return false;
	if (n->has_right)
		return filter_text_holds(n->op, text, filter_operand_text(s, &n->right));
	return any_text(n, text);
}

static bool named_test(const struct node *n, struct filter_scratch *s)
{
	struct operand_iter it = {.operand = &n->left};
	bool is_there = false;

	while (filter_operand_next(s, &it)) {
		is_there = true;
		if (n->op == OP_HAS || text_test(n, s, it.value))
			return true;
	}
	return !is_there && n->op != OP_HAS && text_test(n, s, (struct span){0});
}

static bool failed(struct filter_scratch *s)
{
	struct exchange x = {0};
	int outcome;

	if (s->x)
		return exchange_is_failed(s->x);
	outcome = outcome_parse(filter_field_of(s, FIELD_OUTCOME).text);
	x.outcome = (uint8_t)MAX(outcome, 0);
	return exchange_is_failed(&x);
}

static bool test_holds(const struct node *n, struct filter_scratch *s)
{
	if (n->op == OP_FAILED)
		return failed(s);
	if (operand_is_named(&n->left))
		return named_test(n, s);
	if (n->left.kind == OPERAND_BODY || (n->has_right && n->right.kind != OPERAND_FIELD))
		return text_test(n, s, filter_operand_text(s, &n->left));
	return n->has_right ? pair_test(n, s) : field_test(n, s);
}

/* ---- what is calculated ---- */

static bool matches(struct filter_scratch *s, const struct filter_regex *r,
		    const struct value_of *v)
{
	int found;

	if (v->type != VALUE_TEXT || !filter_work(s, v->text.len + REGEX_WORK))
		return false;
	found = filter_regex_search(r, s->regex_room, v->text);
	s->gave_up += found < 0;
	return found > 0;
}

static bool compare_once(const struct node *n, struct filter_scratch *s)
{
	struct value_of a = filter_value(s, n->a), b;

	if (n->op == OP_MATCHES)
		return matches(s, n->regex, &a);
	b = filter_value(s, n->b);
	return filter_work(s, a.text.len) && filter_compare(n->op, &a, &b);
}

static bool in_once(const struct node *n, struct filter_scratch *s)
{
	struct value_of a = filter_value(s, n->a), b = filter_value(s, n->b);
	struct value_iter it = {.of = &b};

	while (filter_value_next(s, &it))
		if (filter_compare(OP_EQ, &a, &it.item))
			return true;
	return false;
}

static bool once(const struct node *n, struct filter_scratch *s)
{
	return n->kind == NODE_IN ? in_once(n, s) : compare_once(n, s);
}

/* A header may have several lines: it holds when it holds for one; none count as one that is empty.
 */
static bool for_any_line(const struct node *n, struct filter_scratch *s)
{
	struct operand_iter it = {.operand = n->many};
	bool is_there = false, holds = false;

	while (!holds && filter_operand_next(s, &it)) {
		is_there = true;
		s->many = n->many;
		s->line = it.value;
		holds = once(n, s);
	}
	s->many = NULL;
	return holds || (!is_there && once(n, s));
}

static unsigned count_holding(const struct node *n, struct filter_scratch *s, unsigned enough,
			      bool is_wanted)
{
	struct value_of all = filter_value(s, n->a);
	struct value_iter it = {.of = &all};
	unsigned count = 0;

	while (count < enough && filter_value_next(s, &it)) {
		s->vars[n->slot] = it.item;
		count += filter_node_holds(s, n->first) == is_wanted;
	}
	return count;
}

static bool all_hold(const struct node *n, struct filter_scratch *s)
{
	struct value_of all = filter_value(s, n->a);

	/* of what is no list nothing holds, not even that all do */
	return (all.type == VALUE_LIST || all.type == VALUE_MAP) &&
	       count_holding(n, s, 1, false) == 0;
}

/* ---- text("...") ---- */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* @want is in lower case already */
static bool has_text(struct filter_scratch *s, struct span text, struct span want)
{
	if (want.len > text.len || !filter_work(s, text.len))
		return false;
	for (size_t i = 0; i + want.len <= text.len; i++) {
		size_t n = 0;

		while (n < want.len && lower(text.ptr[i + n]) == want.ptr[n])
			n++;
		if (n == want.len)
			return true;
	}
	return false;
}

static bool found_in(struct filter_scratch *s, struct span want, bool is_response)
{
	const struct message *m = is_response ? &s->x->response : &s->x->request;

	return has_text(s, m->head, want) || has_text(s, m->trailers, want) ||
	       has_text(s, filter_body_of(s, is_response), want);
}

static bool search(const struct node *n, struct filter_scratch *s)
{
	struct span want = n->values[0].text;

	return s->x && (found_in(s, want, false) || found_in(s, want, true) ||
			has_text(s, s->x->children, want));
}

/* ---- the tree ---- */

static bool joined_hold(const struct node *n, struct filter_scratch *s)
{
	for (const struct node *c = n->first; c; c = c->next)
		if (filter_node_holds(s, c) != (n->kind == NODE_AND))
			return n->kind == NODE_OR;
	return n->kind == NODE_AND;
}

bool filter_node_holds(struct filter_scratch *s, const struct node *n)
{
	switch ((enum node_kind)n->kind) {
	case NODE_AND:
	case NODE_OR: return joined_hold(n, s);
	case NODE_NOT: return !filter_node_holds(s, n->first);
	case NODE_TEST: return test_holds(n, s);
	case NODE_COMPARE:
	case NODE_IN: return n->many ? for_any_line(n, s) : once(n, s);
	case NODE_EXISTS: return count_holding(n, s, 1, true) == 1;
	case NODE_ONE: return count_holding(n, s, 2, true) == 1;
	case NODE_ALL: return all_hold(n, s);
	case NODE_IF:
		return filter_node_holds(s,
					 filter_node_holds(s, n->first) ? n->first->next : n->last);
	case NODE_PRESENT: return filter_value(s, n->a).type != VALUE_ABSENT;
	case NODE_SEARCH: return search(n, s);
	}
	return false;
}

bool filter_judge(const struct filter *f, struct filter_scratch *s, const struct exchange *x)
{
	bool holds;

	filter_scratch_begin(s, x, NULL);
	holds = filter_node_holds(s, f->root);
	if (UNLIKELY(s->gave_up))
		(void)atomic_fetch_add_explicit(f->gave_up, s->gave_up, memory_order_relaxed);
	return holds;
}

bool filter_matches(const struct filter *f, const struct exchange *x)
{
	AUTO(filter_scratch) s = filter_scratch_new();

	return s && filter_judge(f, s, x);
}

uint64_t filter_gave_up(const struct filter *f)
{
	return atomic_load_explicit(f->gave_up, memory_order_relaxed);
}

static void note_texts(const struct node *n, struct span *out, size_t max, size_t *count)
{
	if (n->kind == NODE_SEARCH && *count < max)
		out[(*count)++] = n->values[0].text;
	for (const struct node *c = n->kind == NODE_AND ? n->first : NULL; c; c = c->next)
		note_texts(c, out, max, count);
}

size_t filter_texts(const struct filter *f, struct span *out, size_t max)
{
	size_t count = 0;

	note_texts(f->root, out, max, &count);
	return count;
}

static bool names_traces(const struct node *n, size_t max)
{
	if (n->kind != NODE_TEST || n->op != OP_EQ || n->has_right || n->value_count == 0 ||
	    n->value_count > max || n->left.kind != OPERAND_FIELD ||
	    n->left.field != FIELD_TRACE_ID)
		return false;
	for (size_t i = 0; i < n->value_count; i++)
		if (n->values[i].text.len == 0)
			return false;
	return true;
}

static const struct node *find_traces(const struct node *n, size_t max)
{
	const struct node *found = names_traces(n, max) ? n : NULL;

	for (const struct node *c = n->kind == NODE_AND ? n->first : NULL; c && !found; c = c->next)
		found = find_traces(c, max);
	return found;
}

size_t filter_traces(const struct filter *f, struct span *out, size_t max)
{
	const struct node *n = find_traces(f->root, max);

	for (size_t i = 0; n && i < n->value_count; i++)
		out[i] = n->values[i].text;
	return n ? n->value_count : 0;
}

bool filter_wants_messages(const struct filter *f)
{
	return f->wants_messages;
}
