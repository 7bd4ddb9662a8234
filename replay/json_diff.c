// SPDX-License-Identifier: Apache-2.0
#include "replay/json_diff.h"

#include <errno.h>
#include <stdlib.h>

#include "replay/diff_add.h"

/*
 * Both documents are walked together. A value whose text is the same in both is passed over whole,
 * without a look inside, so equal parts cost a memcmp. Members are sought first where the other
 * document has them: servers seldom reorder. When they do, the search goes once around the object;
 * steps of all searches of a document are limited, so that two hostile objects cannot make it
 * quadratic.
 *
 * Elements of arrays are compared by position: an element put in at the front makes all differ.
 * That is what the answer's reader would see; which elements belong together nobody can know.
 */

#define SEARCH_STEPS_MAX (1U << 20)

struct comparison {
	struct diff *diff;
	const struct ignore *rules;
	const struct json_scan *a, *b;
	bool has_rules;
	uint32_t steps; /* of searches for members */
};

static struct span text_of(const struct json_scan *s, uint32_t i)
{
	return json_token_text(s, &s->tokens[i]);
}

/* a member's name without its quotes; escapes are left in */
static struct span key_of(const struct json_scan *s, uint32_t i)
{
	struct span t = text_of(s, i);

	return span_of(t.ptr + 1, t.len - 2);
}

static bool is_plain_key(struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		uint8_t c = key.ptr[i];

		if (!(c == '_' || c >= 0x80 || (c >= '0' && c <= '9') ||
		      ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')))
			return false;
	}
	return key.len > 0;
}

static void add_place(struct buf *out, const struct ignore_place *p)
{
	if (!p->parent) {
		buf_add_char(out, '$');
		return;
	}
	add_place(out, p->parent);
	if (!p->key.ptr) {
		buf_add_fmt(out, "[%zu]", p->index);
	} else if (is_plain_key(p->key)) {
		buf_add_char(out, '.');
		buf_add_span(out, p->key);
	} else {
		buf_add_str(out, "[\"");
		buf_add_span(out, p->key);
		buf_add_str(out, "\"]");
	}
}

static void report(struct comparison *c, const struct ignore_place *place, enum diff_change change,
		   struct span a, struct span b)
{
	AUTO_BUF where = {0};

	if (c->has_rules && ignore_place(c->rules, place))
		return;
	if (diff_has_room(c->diff))
		add_place(&where, place);
	diff_add(c->diff, DIFF_JSON, change, buf_span(&where), a, b);
}

static bool is_container(const struct json_token *t)
{
	return t->type == JSON_SCAN_ARRAY || t->type == JSON_SCAN_OBJECT;
}

static bool equal_scalars(const struct comparison *c, uint32_t ia, uint32_t ib)
{
	const struct json_token *a = &c->a->tokens[ia], *b = &c->b->tokens[ib];

	if (a->type != b->type)
		return false;
	if (a->type == JSON_SCAN_NUMBER)
		return json_equal_numbers(text_of(c->a, ia), text_of(c->b, ib));
	if (a->type == JSON_SCAN_STRING)
		return (a->has_escape || b->has_escape) &&
		       json_equal_strings(text_of(c->a, ia), text_of(c->b, ib));
	return true; /* null, true, false: the type is the value */
}

static void compare(struct comparison *c, const struct ignore_place *place, uint32_t ia,
		    uint32_t ib);

static void compare_arrays(struct comparison *c, const struct ignore_place *place, uint32_t ia,
			   uint32_t ib)
{
	uint32_t a = ia + 1, a_end = c->a->tokens[ia].next;
	uint32_t b = ib + 1, b_end = c->b->tokens[ib].next;

	for (size_t i = 0; a < a_end || b < b_end; i++) {
		struct ignore_place at = {.parent = place, .index = i};

		if (a < a_end && b < b_end)
			compare(c, &at, a, b);
		else if (a < a_end)
			report(c, &at, DIFF_REMOVED, text_of(c->a, a), (struct span){0});
		else
			report(c, &at, DIFF_ADDED, (struct span){0}, text_of(c->b, b));
		a = a < a_end ? c->a->tokens[a].next : a;
		b = b < b_end ? c->b->tokens[b].next : b;
	}
}

static bool equal_keys(const struct json_scan *a, uint32_t ia, const struct json_scan *b,
		       uint32_t ib)
{
	if (span_eq(text_of(a, ia), text_of(b, ib)))
		return true;
	return (a->tokens[ia].has_escape || b->tokens[ib].has_escape) &&
	       json_equal_strings(text_of(a, ia), text_of(b, ib));
}

/*
 * The member of @s's object @object that is called as member @wanted of @from, looked for from
 * member @hint on and once around. Return: its index, or 0 when there is none (0 is the whole).
 */
static uint32_t find_member(struct comparison *c, const struct json_scan *s, uint32_t object,
			    uint32_t hint, const struct json_scan *from, uint32_t wanted)
{
	uint32_t first = object + 1, end = s->tokens[object].next;
	uint32_t at = hint < end ? hint : first;

	if (first == end)
		return 0;
	for (uint32_t start = at;;) {
		if (equal_keys(s, at, from, wanted))
			return at;
		if (++c->steps > SEARCH_STEPS_MAX)
			return 0;
		at = s->tokens[at + 1].next;
		if (at == end)
			at = first;
		if (at == start)
			return 0;
	}
}

/* members of @a in @b: those in both are compared, those not are removed */
static bool compare_members(struct comparison *c, const struct ignore_place *place, uint32_t ia,
			    uint32_t ib)
{
	uint32_t hint = ib + 1;
	bool is_in_step = true;

	for (uint32_t a = ia + 1; a < c->a->tokens[ia].next; a = c->a->tokens[a + 1].next) {
		struct ignore_place at = {.parent = place, .key = key_of(c->a, a)};
		uint32_t b = find_member(c, c->b, ib, hint, c->a, a);

		is_in_step &= b == hint;
		if (b) {
			compare(c, &at, a + 1, b + 1);
			hint = c->b->tokens[b + 1].next;
		} else {
			report(c, &at, DIFF_REMOVED, text_of(c->a, a + 1), (struct span){0});
		}
	}
	return is_in_step && hint == c->b->tokens[ib].next;
}

static void compare_objects(struct comparison *c, const struct ignore_place *place, uint32_t ia,
			    uint32_t ib)
{
	uint32_t hint = ia + 1;

	if (compare_members(c, place, ia, ib))
		return; /* one after another and to the end: none was added */
	for (uint32_t b = ib + 1; b < c->b->tokens[ib].next; b = c->b->tokens[b + 1].next) {
		struct ignore_place at = {.parent = place, .key = key_of(c->b, b)};
		uint32_t a = find_member(c, c->a, ia, hint, c->b, b);

		if (a)
			hint = c->a->tokens[a + 1].next;
		else
			report(c, &at, DIFF_ADDED, (struct span){0}, text_of(c->b, b + 1));
	}
}

static void compare(struct comparison *c, const struct ignore_place *place, uint32_t ia,
		    uint32_t ib)
{
	const struct json_token *a = &c->a->tokens[ia], *b = &c->b->tokens[ib];
	struct span text_a = text_of(c->a, ia), text_b = text_of(c->b, ib);

	if (span_eq(text_a, text_b))
		return;
	if (c->has_rules && ignore_place(c->rules, place))
		return;
	if (is_container(a) && a->type == b->type) {
		if (a->type == JSON_SCAN_ARRAY)
			compare_arrays(c, place, ia, ib);
		else
			compare_objects(c, place, ia, ib);
		return;
	}
	if (is_container(a) || !equal_scalars(c, ia, ib))
		report(c, place, DIFF_CHANGED, text_a, text_b);
}

int json_diff(struct diff *d, const struct ignore *rules, const struct json_scan *a,
	      const struct json_scan *b)
{
	struct comparison c = {
		.diff = d, .rules = rules, .a = a, .b = b, .has_rules = ignore_has_paths(rules)};
	struct ignore_place root = {0};

	compare(&c, &root, 0, 0);
	return c.steps > SEARCH_STEPS_MAX ? -E2BIG : 0;
}
