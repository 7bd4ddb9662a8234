// SPDX-License-Identifier: Apache-2.0
#include "store/filter_value.h"

#include "lib/clock.h"
#include "lib/id.h"
#include "store/filter_regex.h"

#include <math.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * An expression is evaluated from its leaves. There are no errors on the way: what does not exist
 * (a member of JSON, an element behind the end), what overflows and what has no such operation is
 * ABSENT, which is equal to nothing and not ordered; so a test over it is false, and its negation
 * true. The types that are known beforehand were checked when the filter was read.
 *
 * Numbers are 64 bits with sign, as SQLite has them; a larger one counts as the largest of them.
 *
 * Texts that are made up live in blocks that are kept from one exchange to the next.
 */

#define BLOCK_BYTES	16384
#define BODY_KEPT_BYTES (1u << 20) /* room for a decoded body that is kept for the next one */

struct text_block {
	struct text_block *next;
	size_t used, size;
	uint8_t bytes[];
};

void filter_scratch_begin(struct filter_scratch *s, const struct exchange *x,
			  const struct filter_columns *columns)
{
	s->x = x;
	s->columns = columns;
	for (int i = 0; i < 2; i++) {
		s->sides[i].is_read = s->sides[i].is_scanned = false;
		s->sides[i].body = (struct span){0};
		if (s->sides[i].room.cap > BODY_KEPT_BYTES)
			buf_fini(&s->sides[i].room);
	}
	/* the first block stays; what a large text took is given back */
	while (s->blocks && (s->blocks->next || s->blocks->size > BLOCK_BYTES)) {
		struct text_block *next = s->blocks->next;

		free(s->blocks);
		s->blocks = next;
	}
	if (s->blocks)
		s->blocks->used = 0;
	s->text_bytes = 0;
	s->work = 0;
	s->many = NULL;
	s->gave_up = 0;
}

struct filter_scratch *filter_scratch_new(void)
{
	struct filter_scratch *s = calloc(1, sizeof(*s));

	if (s)
		s->regex_room = filter_regex_room_new();
	if (s && !s->regex_room) {
		free(s);
		return NULL;
	}
	return s;
}

void filter_scratch_free(struct filter_scratch *s)
{
	if (!s)
		return;
	while (s->blocks) {
		struct text_block *next = s->blocks->next;

		free(s->blocks);
		s->blocks = next;
	}
	buf_fini(&s->sides[0].room);
	buf_fini(&s->sides[1].room);
	filter_regex_room_free(s->regex_room);
	free(s);
}

bool filter_work(struct filter_scratch *s, uint64_t bytes)
{
	s->work += bytes + 1;
	if (s->work <= FILTER_WORK_MAX)
		return true;
	s->gave_up++;
	return false;
}

uint8_t *filter_text_room(struct filter_scratch *s, size_t len)
{
	struct text_block *b = s->blocks;
	size_t size = MAX(len, (size_t)BLOCK_BYTES);

	s->text_bytes += len;
	if (s->text_bytes > FILTER_TEXTS_MAX) {
		s->gave_up++;
		return NULL;
	}
	if (!b || b->size - b->used < len) {
		b = malloc(sizeof(*b) + size);
		if (!b) {
			s->gave_up++;
			return NULL;
		}
		*b = (struct text_block){.next = s->blocks, .size = size};
		s->blocks = b;
	}
	b->used += len;
	return b->bytes + b->used - len;
}

/* ---- comparing ---- */

bool filter_order_holds(enum test_op op, int sign)
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
	case OP_FAILED:
	case OP_MATCHES: break;
	}
	return false;
}

/* bytewise, the shorter first: what SQLite's BINARY collation does */
static int compare_bytes(struct span a, struct span b)
{
	size_t n = MIN(a.len, b.len);
	int sign = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return sign ? sign : (a.len > b.len) - (a.len < b.len);
}

bool filter_text_holds(enum test_op op, struct span s, struct span want)
{
	if (op < OP_STARTS)
		return filter_order_holds(op, compare_bytes(s, want));
	if (want.len > s.len)
		return false;
	if (op == OP_STARTS)
		return span_eq(span_of(s.ptr, want.len), want);
	if (op == OP_ENDS)
		return span_eq(span_from(s, s.len - want.len), want) || want.len == 0;
	return want.len == 0 || span_find(s, want);
}

/* A whole number and one with a fraction, without losing what either cannot say. */
static int compare_mixed(int64_t a, double b)
{
	int64_t whole;

	if (b >= 9223372036854775808.0)
		return -1;
	if (b < -9223372036854775808.0)
		return 1;
	whole = (int64_t)b;
	if (a != whole)
		return a < whole ? -1 : 1;
	return ((double)whole < b) ? -1 : (double)whole > b;
}

static bool is_number(const struct value_of *v)
{
	return v->type == VALUE_INT || v->type == VALUE_DOUBLE;
}

static int compare_numbers(const struct value_of *a, const struct value_of *b)
{
	if (a->type == VALUE_DOUBLE && b->type == VALUE_DOUBLE)
		return (a->real > b->real) - (a->real < b->real);
	if (a->type == VALUE_DOUBLE)
		return -compare_mixed(b->number, a->real);
	if (b->type == VALUE_DOUBLE)
		return compare_mixed(a->number, b->real);
	return (a->number > b->number) - (a->number < b->number);
}

bool filter_compare(enum test_op op, const struct value_of *a, const struct value_of *b)
{
	if (a->type == VALUE_TEXT && b->type == VALUE_TEXT)
		return filter_text_holds(op, a->text, b->text);
	if (is_number(a) && is_number(b))
		return filter_order_holds(op, compare_numbers(a, b));
	if (a->type != b->type)
		return false;
	switch ((enum value_type)a->type) {
	case VALUE_NULL: return op == OP_EQ;
	case VALUE_BOOL: return op == OP_EQ && a->number == b->number;
	case VALUE_TIME:
	case VALUE_DURATION:
		return filter_order_holds(op, (a->number > b->number) - (a->number < b->number));
	case VALUE_ABSENT:
	case VALUE_INT:
	case VALUE_DOUBLE:
	case VALUE_TEXT:
	case VALUE_LIST:
	case VALUE_MAP:
	case VALUE_ANY: break;
	}
	return false;
}

/* ---- arithmetic ---- */

static const struct value_of absent = {.type = VALUE_ABSENT};

static struct value_of arith_double(enum arith_op op, double a, double b)
{
	struct value_of v = {.type = VALUE_DOUBLE};

	switch (op) {
	case ARITH_ADD: v.real = a + b; break;
	case ARITH_SUB: v.real = a - b; break;
	case ARITH_MUL: v.real = a * b; break;
	case ARITH_DIV: v.real = a / b; break;
	case ARITH_MOD: return absent;
	}
	return isfinite(v.real) ? v : absent;
}

static struct value_of arith_int(enum arith_op op, int64_t a, int64_t b, enum value_type type)
{
	struct value_of v = {.type = (uint8_t)type};
	bool is_over = false;

	switch (op) {
	case ARITH_ADD: is_over = __builtin_add_overflow(a, b, &v.number); break;
	case ARITH_SUB: is_over = __builtin_sub_overflow(a, b, &v.number); break;
	case ARITH_MUL: is_over = __builtin_mul_overflow(a, b, &v.number); break;
	case ARITH_DIV:
	case ARITH_MOD:
		if (b == 0 || (a == INT64_MIN && b == -1))
			return absent;
		v.number = op == ARITH_DIV ? a / b : a % b;
		break;
	}
	return is_over ? absent : v;
}

static struct value_of join(struct filter_scratch *s, struct span a, struct span b)
{
	uint8_t *to = s ? filter_text_room(s, a.len + b.len) : NULL;

	if (!to)
		return absent;
	if (a.len)
		memcpy(to, a.ptr, a.len);
	if (b.len)
		memcpy(to + a.len, b.ptr, b.len);
	return (struct value_of){.type = VALUE_TEXT, .text = span_of(to, a.len + b.len)};
}

static double as_double(const struct value_of *v)
{
	return v->type == VALUE_DOUBLE ? v->real : (double)v->number;
}

/* times and durations: what the result is; ABSENT: there is no such operation */
static enum value_type time_type(enum arith_op op, enum value_type a, enum value_type b)
{
	bool is_sum = op == ARITH_ADD || op == ARITH_SUB;

	if (a == VALUE_TIME && b == VALUE_TIME && op == ARITH_SUB)
		return VALUE_DURATION;
	if (a == VALUE_TIME && b == VALUE_DURATION && is_sum)
		return VALUE_TIME;
	if (a == VALUE_DURATION && b == VALUE_TIME && op == ARITH_ADD)
		return VALUE_TIME;
	if (a == VALUE_DURATION && b == VALUE_DURATION && is_sum)
		return VALUE_DURATION;
	if (a == VALUE_DURATION && b == VALUE_INT && (op == ARITH_MUL || op == ARITH_DIV))
		return VALUE_DURATION;
	if (a == VALUE_INT && b == VALUE_DURATION && op == ARITH_MUL)
		return VALUE_DURATION;
	return VALUE_ABSENT;
}

enum value_type filter_arith_type(enum arith_op op, enum value_type a, enum value_type b)
{
	bool a_is_number = a == VALUE_INT || a == VALUE_DOUBLE;
	bool b_is_number = b == VALUE_INT || b == VALUE_DOUBLE;

	if (a == VALUE_ANY || b == VALUE_ANY)
		return VALUE_ANY;
	if (a == VALUE_INT && b == VALUE_INT)
		return VALUE_INT;
	if (a_is_number && b_is_number)
		return op == ARITH_MOD ? VALUE_ABSENT : VALUE_DOUBLE;
	if (a == VALUE_TEXT && b == VALUE_TEXT)
		return op == ARITH_ADD ? VALUE_TEXT : VALUE_ABSENT;
	return time_type(op, a, b);
}

struct value_of filter_arith(struct filter_scratch *s, enum arith_op op, const struct value_of *a,
			     const struct value_of *b)
{
	enum value_type type = filter_arith_type(op, a->type, b->type);

	if (type == VALUE_TEXT)
		return join(s, a->text, b->text);
	if (type == VALUE_DOUBLE)
		return arith_double(op, as_double(a), as_double(b));
	if (type == VALUE_ABSENT || type == VALUE_ANY)
		return absent;
	return arith_int(op, a->number, b->number, type);
}

/* ---- leaves ---- */

struct value_of filter_literal_value(const struct literal *l)
{
	static const uint8_t types[] = {
		[LITERAL_TEXT] = VALUE_TEXT, [LITERAL_INT] = VALUE_INT,
		[LITERAL_TIME] = VALUE_TIME, [LITERAL_DURATION] = VALUE_DURATION,
		[LITERAL_BOOL] = VALUE_BOOL, [LITERAL_DOUBLE] = VALUE_DOUBLE,
		[LITERAL_NULL] = VALUE_NULL,
	};

	return (struct value_of){
		.type = types[l->type], .text = l->text, .number = l->number, .real = l->real};
}

static struct value_of made_text(struct filter_scratch *s, const char *text)
{
	size_t n = strlen(text);
	uint8_t *to = filter_text_room(s, n);

	if (!to)
		return absent;
	memcpy(to, text, n);
	return (struct value_of){.type = VALUE_TEXT, .text = span_of(to, n)};
}

static struct value_of field_value_of(struct filter_scratch *s, enum field field)
{
	struct field_value v = filter_field_of(s, field);
	int64_t number = v.number > INT64_MAX ? INT64_MAX : (int64_t)v.number;
	char text[ENDPOINT_TEXT_MAX];

	switch ((enum field_type)field_rows[field].type) {
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_NAME: return (struct value_of){.type = VALUE_TEXT, .text = v.text};
	case FIELD_TYPE_INT: return (struct value_of){.type = VALUE_INT, .number = number};
	case FIELD_TYPE_TIME: return (struct value_of){.type = VALUE_TIME, .number = number};
	case FIELD_TYPE_DURATION:
		return (struct value_of){.type = VALUE_DURATION, .number = number};
	case FIELD_TYPE_BOOL: return (struct value_of){.type = VALUE_BOOL, .number = number};
	case FIELD_TYPE_FLAGS: return (struct value_of){.type = VALUE_LIST, .number = number};
	case FIELD_TYPE_MAP: break; /* its entries are operands, it is none */
	case FIELD_TYPE_ID: return made_text(s, id_format(v.number, text));
	case FIELD_TYPE_ADDRESS:
		return v.endpoint ? made_text(s, endpoint_text(v.endpoint, text))
				  : (struct value_of){.type = VALUE_TEXT, .text = v.text};
	}
	return absent;
}

static struct value_of json_value(struct filter_scratch *s, const struct json_scan *j)
{
	static const uint8_t types[] = {
		[JSON_SCAN_ABSENT] = VALUE_ABSENT, [JSON_SCAN_NULL] = VALUE_NULL,
		[JSON_SCAN_BOOL] = VALUE_BOOL,	   [JSON_SCAN_INT] = VALUE_INT,
		[JSON_SCAN_DOUBLE] = VALUE_DOUBLE, [JSON_SCAN_TEXT] = VALUE_TEXT,
		[JSON_SCAN_ARRAY] = VALUE_LIST,	   [JSON_SCAN_OBJECT] = VALUE_MAP,
	};
	struct value_of v = {.type = types[j->type],
			     .is_json = j->type >= JSON_SCAN_ARRAY,
			     .number = j->type == JSON_SCAN_BOOL ? j->is_true : j->number,
			     .real = j->real,
			     .text = j->text};
	uint8_t *to;

	if (j->type != JSON_SCAN_TEXT || !j->has_escapes)
		return v;
	to = filter_text_room(s, j->text.len);
	if (!to)
		return absent;
	v.text = span_of(to, json_scan_unescape(j->text, to));
	return v;
}

static struct value_of body_as_json(struct filter_scratch *s, bool is_response)
{
	struct side *side = &s->sides[is_response];
	struct span body = filter_body_of(s, is_response);

	if (!side->is_scanned && filter_work(s, body.len))
		side->json = json_scan_value(body);
	else if (!side->is_scanned)
		side->json = (struct json_scan){0};
	side->is_scanned = true;
	return json_value(s, &side->json);
}

/* ---- steps ---- */

static struct value_of member_of(struct filter_scratch *s, const struct value_of *of,
				 struct span name)
{
	struct json_scan object = {.type = JSON_SCAN_OBJECT, .text = of->text}, found;

	if (of->type != VALUE_MAP || !of->is_json || !filter_work(s, of->text.len))
		return absent;
	found = json_scan_member(&object, name);
	return json_value(s, &found);
}

static struct value_of element_of(struct filter_scratch *s, const struct value_of *of,
				  int64_t index)
{
	struct json_scan array = {.type = JSON_SCAN_ARRAY, .text = of->text}, found;

	if (of->type != VALUE_LIST || index < 0)
		return absent;
	if (!of->is_json && of->expr)
		return (uint64_t)index < of->expr->item_count
			       ? filter_literal_value(&of->expr->items[index])
			       : absent;
	if (!of->is_json || !filter_work(s, of->text.len))
		return absent;
	found = json_scan_element(&array, (uint64_t)index);
	return json_value(s, &found);
}

static struct value_of index_of(struct filter_scratch *s, const struct expr *e)
{
	struct value_of of = filter_value(s, e->a), index = filter_value(s, e->b);

	if (index.type == VALUE_TEXT)
		return member_of(s, &of, index.text);
	return index.type == VALUE_INT ? element_of(s, &of, index.number) : absent;
}

static struct value_of operand_value(struct filter_scratch *s, const struct operand *o)
{
	if (o->kind == OPERAND_FIELD)
		return field_value_of(s, o->field);
	return (struct value_of){.type = VALUE_TEXT, .text = filter_operand_text(s, o)};
}

static struct value_of arith_value(struct filter_scratch *s, const struct expr *e)
{
	struct value_of a = filter_value(s, e->a), b = filter_value(s, e->b);

	return filter_arith(s, e->op, &a, &b);
}

struct value_of filter_value(struct filter_scratch *s, const struct expr *e)
{
	struct value_of a;

	switch ((enum expr_kind)e->kind) {
	case EXPR_LITERAL: return filter_literal_value(&e->literal);
	case EXPR_OPERAND: return operand_value(s, &e->operand);
	case EXPR_NAMES: return (struct value_of){.type = VALUE_MAP, .expr = e};
	case EXPR_LIST: return (struct value_of){.type = VALUE_LIST, .expr = e};
	case EXPR_JSON: return body_as_json(s, e->operand.is_response);
	case EXPR_SELECT: a = filter_value(s, e->a); return member_of(s, &a, e->literal.text);
	case EXPR_INDEX: return index_of(s, e);
	case EXPR_VAR: return s->vars[e->op];
	case EXPR_ARITH: return arith_value(s, e);
	case EXPR_CALL: a = filter_value(s, e->a); return filter_call(s, e->op, &a);
	case EXPR_IF: return filter_value(s, filter_node_holds(s, e->condition) ? e->a : e->b);
	}
	return absent;
}

/* ---- one after the other ---- */

static bool next_json(struct filter_scratch *s, struct value_iter *it)
{
	if (it->index == 0) {
		if (!filter_work(s, it->of->text.len))
			return false;
		it->json.rest = it->of->text;
	}
	if (!filter_work(s, 64) || !json_scan_next(&it->json))
		return false;
	it->item = json_value(s, it->of->type == VALUE_MAP ? &it->json.key : &it->json.value);
	return true;
}

static bool next_anomaly(struct value_iter *it, size_t *index)
{
	while (*index < ANOMALY_COUNT && !(it->of->number >> *index & 1))
		++*index;
	if (*index == ANOMALY_COUNT)
		return false;
	it->item = (struct value_of){.type = VALUE_TEXT,
				     .text = span_str(anomaly_name((unsigned)*index))};
	return true;
}

static bool next_name(struct filter_scratch *s, struct value_iter *it)
{
	it->operand.operand = &it->of->expr->operand;
	it->operand.is_any_name = true;
	if (!filter_work(s, 64) || !filter_operand_next(s, &it->operand))
		return false;
	it->item = (struct value_of){.type = VALUE_TEXT, .text = it->operand.name};
	return true;
}

bool filter_value_next(struct filter_scratch *s, struct value_iter *it)
{
	const struct value_of *of = it->of;
	bool is_there = false;

	if (of->type != VALUE_LIST && of->type != VALUE_MAP)
		return false;
	if (of->is_json)
		is_there = next_json(s, it);
	else if (of->type == VALUE_MAP)
		is_there = next_name(s, it);
	else if (!of->expr)
		is_there = next_anomaly(it, &it->index);
	else if (it->index < of->expr->item_count)
		it->item = filter_literal_value(&of->expr->items[it->index]), is_there = true;
	it->index++;
	return is_there;
}
