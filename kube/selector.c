// SPDX-License-Identifier: Apache-2.0
#include "kube/selector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json_scan.h"

/*
 * Theory of operation (Kubernetes API: meta/v1 LabelSelector). A matchLabels entry is the requirement In with one
 * value; all requirements are joined by "and". NotIn and DoesNotExist hold of a pod without the label.
 *
 * Keys and values have the letters that the API server lets labels have and no others, so neither is ever escaped in
 * the text that is searched, and one that could match nothing is refused rather than never true.
 */
#define KEY_MAX	  317 /* a DNS name of 253, a slash, a name of 63 */
#define VALUE_MAX 63
#define PLACE_MAX 192

enum op { OP_IN, OP_NOT_IN, OP_EXISTS, OP_MISSING, OP_COUNT };

static const struct {
	const char *name;
	bool has_values;
} ops[OP_COUNT] = {
	[OP_IN] = {"In", true},
	[OP_NOT_IN] = {"NotIn", true},
	[OP_EXISTS] = {"Exists", false},
	[OP_MISSING] = {"DoesNotExist", false},
};

struct requirement {
	struct span key;
	enum op op;
	size_t first, count; /* of its values */
};

/* All spans point into the object. */
struct selector {
	struct requirement terms[SELECTOR_TERMS_MAX];
	struct span values[SELECTOR_VALUES_MAX];
	size_t term_count, value_count;
};

/* One that is being read: where it stands, and what is wrong with it. */
struct reading {
	struct selector *s;
	const char *field;
	struct fault *f;
};

static int refuse(const struct reading *r, const char *what, size_t index, const char *why)
{
	char field[PLACE_MAX];

	if (index == SIZE_MAX)
		(void)snprintf(field, sizeof(field), "%s%s", r->field, what);
	else
		(void)snprintf(field, sizeof(field), "%s.matchExpressions[%zu]%s", r->field, index,
			       what);
	return fault_set(r->f, "InvalidSpec", field, "%s", why);
}

static bool is_label(struct span s, size_t max, bool is_key)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], small = c | 0x20;

		if (!((small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_' || c == '.' || (is_key && c == '/')))
			return false;
	}
	return s.len <= max && (s.len || !is_key);
}

static struct span text_of(const json_t *v)
{
	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v))
				 : (struct span){0};
}

static int add_value(struct reading *r, const json_t *v, size_t index)
{
	struct selector *s = r->s;

	if (!json_is_string(v) || !is_label(text_of(v), VALUE_MAX, false))
		return refuse(r, index == SIZE_MAX ? ".matchLabels" : ".values", index,
			      "a value is no label's: at most 63 letters, digits, - _ and .");
	if (s->value_count == SELECTOR_VALUES_MAX)
		return refuse(r, "", SIZE_MAX, "more than 256 values");
	s->values[s->value_count++] = text_of(v);
	s->terms[s->term_count - 1].count++;
	return 0;
}

static int add_term(struct reading *r, struct span key, enum op op, size_t index)
{
	struct selector *s = r->s;

	if (!is_label(key, KEY_MAX, true))
		return refuse(
			r, index == SIZE_MAX ? ".matchLabels" : ".key", index,
			"a key is no label's: letters, digits, - _ . and one / behind a domain");
	if (s->term_count == SELECTOR_TERMS_MAX)
		return refuse(r, "", SIZE_MAX, "more than 32 requirements");
	s->terms[s->term_count++] =
		(struct requirement){.key = key, .op = op, .first = s->value_count};
	return 0;
}

static int read_labels(struct reading *r, const json_t *labels)
{
	void *at = json_object_iter((json_t *)(uintptr_t)labels);
	int failed = 0;

	if (labels && !json_is_object(labels))
		return refuse(r, ".matchLabels", SIZE_MAX, "a map of labels is expected");
	for (; at && failed == 0; at = json_object_iter_next((json_t *)(uintptr_t)labels, at)) {
		failed = add_term(r, span_str(json_object_iter_key(at)), OP_IN, SIZE_MAX);
		if (failed == 0)
			failed = add_value(r, json_object_iter_value(at), SIZE_MAX);
	}
	return failed;
}

static int read_values(struct reading *r, enum op op, const json_t *values, size_t index)
{
	const json_t *v;
	size_t i;

	if (values && !json_is_array(values))
		return refuse(r, ".values", index, "a list is expected");
	if (ops[op].has_values != (json_array_size(values) > 0))
		return refuse(r, ".values", index,
			      ops[op].has_values ? "In and NotIn need values"
						 : "Exists and DoesNotExist take no values");
	json_array_foreach(values, i, v)
	{
		int failed = add_value(r, v, index);

		if (failed < 0)
			return failed;
	}
	return 0;
}

static int read_expression(struct reading *r, const json_t *e, size_t index)
{
	static const char *const known[] = {"key", "operator", "values"};
	struct span name = text_of(json_object_get(e, "operator"));
	size_t op = 0, found = 0;
	int failed;

	for (size_t i = 0; i < COUNT_OF(known); i++)
		found += json_object_get(e, known[i]) != NULL;
	if (!json_is_object(e) || found != json_object_size(e))
		return refuse(r, "", index,
			      "key, operator and values are expected, and nothing else");
	while (op < OP_COUNT && !span_eq(name, span_str(ops[op].name)))
		op++;
	if (op == OP_COUNT)
		return refuse(r, ".operator", index,
			      "In, NotIn, Exists or DoesNotExist is expected");
	failed = add_term(r, text_of(json_object_get(e, "key")), (enum op)op, index);
	return failed < 0 ? failed
			  : read_values(r, (enum op)op, json_object_get(e, "values"), index);
}

static int read_expressions(struct reading *r, const json_t *list)
{
	const json_t *e;
	size_t i;

	if (list && !json_is_array(list))
		return refuse(r, ".matchExpressions", SIZE_MAX, "a list is expected");
	json_array_foreach(list, i, e)
	{
		int failed = read_expression(r, e, i);

		if (failed < 0)
			return failed;
	}
	return 0;
}

int selector_parse(const json_t *object, const char *field, struct selector **out, struct fault *f)
{
	AUTO(selector) s = calloc(1, sizeof(*s));
	struct reading r = {s, field, f};
	const json_t *labels = json_object_get(object, "matchLabels"),
		     *list = json_object_get(object, "matchExpressions");
	int failed;

	if (!s)
		return fault_no_memory(f);
	if (!json_is_object(object) ||
	    json_object_size(object) != (size_t) !!labels + (size_t) !!list)
		return refuse(&r, "", SIZE_MAX,
			      "matchLabels and matchExpressions are expected, and nothing else");
	failed = read_labels(&r, labels);
	if (failed == 0)
		failed = read_expressions(&r, list);
	if (failed == 0)
		*out = TAKE(s);
	return failed;
}

void selector_free(struct selector *s)
{
	free(s);
}

static bool has_value(const struct selector *s, const struct requirement *t, struct span value)
{
	for (size_t i = 0; i < t->count; i++)
		if (span_eq(s->values[t->first + i], value))
			return true;
	return false;
}

static bool term_holds(const struct selector *s, const struct requirement *t,
		       const struct json_scan *labels)
{
	struct json_scan label = json_scan_member(labels, t->key);
	bool is_there = label.type == JSON_SCAN_TEXT;

	if (t->op == OP_EXISTS || t->op == OP_MISSING)
		return is_there == (t->op == OP_EXISTS);
	return (is_there && has_value(s, t, label.text)) == (t->op == OP_IN);
}

bool selector_holds(const struct selector *s, struct span labels)
{
	struct json_scan root = json_scan_value(labels);

	for (size_t i = 0; i < s->term_count; i++)
		if (!term_holds(s, &s->terms[i], &root))
			return false;
	return true;
}

bool selector_is_empty(const struct selector *s)
{
	return !s || s->term_count == 0;
}
