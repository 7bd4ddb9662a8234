// SPDX-License-Identifier: Apache-2.0
#include "kube/tapspec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"

/*
 * Theory of operation. A spec is a tree of few objects. Each has its table of members: what reads it, and thereby what
 * is known; a member that is in no table ends the reading. The CustomResourceDefinition checks the types, too, but it
 * lets unknown fields through on purpose: an API server that pruned them would hide a misspelt `redact`.
 */
#define PLACE_MAX  96
#define ONE_IN_MAX 1000000
#define RATE_MAX   1000000

struct reading {
	struct tapspec *s;
	struct fault *f;
};

typedef int member_fn(struct reading *r, const json_t *v, const char *field);
struct member {
	const char *name;
	member_fn *read;
};

#define INVALID "InvalidSpec"

/* ---- parts ---- */

static int read_object(struct reading *r, const json_t *object, const char *field,
		       const struct member *members, size_t count)
{
	void *at = json_object_iter((json_t *)(uintptr_t)object);
	char inner[PLACE_MAX];
	int failed = 0;

	if (!json_is_object(object))
		return fault_set(r->f, INVALID, field, "an object is expected");
	for (; at && failed == 0; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
		size_t i = 0;

		while (i < count && strcmp(members[i].name, json_object_iter_key(at)) != 0)
			i++;
		(void)snprintf(inner, sizeof(inner), "%s.%s", field, json_object_iter_key(at));
		failed = i < count ? members[i].read(r, json_object_iter_value(at), inner)
				   : fault_set(r->f, "UnknownField", inner,
					       "no such field, so nothing would come of it");
	}
	return failed;
}

static int read_number(struct reading *r, const json_t *v, const char *field, uint64_t max,
		       uint64_t *out)
{
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : 0;

	if (n < 1 || (uint64_t)n > max)
		return fault_set(r->f, INVALID, field, "a number from 1 to %" PRIu64 " is expected",
				 max);
	*out = (uint64_t)n;
	return 0;
}

static int read_duration(struct reading *r, const json_t *v, const char *field, uint64_t *out)
{
	struct span text = json_is_string(v) ? span_str(json_string_value(v)) : (struct span){0};

	if (clock_parse_duration(text, out) < 0 || *out == 0)
		return fault_set(r->f, INVALID, field, "a duration is expected: 12h, 7d");
	return 0;
}

static bool is_token(const char *s)
{
	for (; *s; s++) { /* RFC 9110 5.6.2 */
		bool is_plain =
			(*s >= '0' && *s <= '9') || ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z');

		if (!is_plain && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	}
	return true;
}

/* Parameters are compared as they are decoded; what separates them is in none. */
static bool is_param(const char *s)
{
	for (; *s; s++)
		if ((uint8_t)*s <= ' ' || strchr("&=;#?", *s))
			return false;
	return true;
}

static int read_names(struct reading *r, const json_t *list, const char *field,
		      bool (*is_good)(const char *), const char **out)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > TAPSPEC_NAMES_MAX)
		return fault_set(r->f, INVALID, field, "a list of at most %d names is expected",
				 TAPSPEC_NAMES_MAX);
	json_array_foreach(list, i, v)
	{
		const char *name = json_string_value(v);
		char inner[FAULT_FIELD_MAX];

		(void)snprintf(inner, sizeof(inner), "%s[%zu]", field, i);
		if (!name || !*name || strlen(name) > TAPSPEC_NAME_BYTES || !is_good(name))
			return fault_set(r->f, INVALID, inner,
					 "a name of at most %d letters is expected",
					 TAPSPEC_NAME_BYTES);
		out[i] = name;
	}
	return 0;
}

/* ---- members ---- */

static int read_select(struct reading *r, const json_t *v, const char *field)
{
	return selector_parse(v, field, &r->s->select, r->f);
}

static int read_match(struct reading *r, const json_t *list, const char *field)
{
	struct tapspec *s = r->s;
	size_t bytes = 0, i;
	const json_t *v;

	if (!json_is_array(list) || json_array_size(list) < 1 ||
	    json_array_size(list) > TAPSPEC_MATCH_MAX)
		return fault_set(r->f, INVALID, field, "a list of 1 to %d expressions is expected",
				 TAPSPEC_MATCH_MAX);
	json_array_foreach(list, i, v)
	{
		char inner[FAULT_FIELD_MAX];

		(void)snprintf(inner, sizeof(inner), "%s[%zu]", field, i);
		if (!json_is_string(v) || json_string_length(v) == 0)
			return fault_set(
				r->f, INVALID, inner,
				"an expression is expected; to record all, leave match out");
		bytes += json_string_length(v);
		if (bytes > TAPSPEC_MATCH_BYTES)
			return fault_set(r->f, INVALID, inner,
					 "all expressions together have more than %d bytes",
					 TAPSPEC_MATCH_BYTES);
		s->match[s->match_count++] = json_string_value(v);
	}
	return 0;
}

static int read_one_in(struct reading *r, const json_t *v, const char *field)
{
	return read_number(r, v, field, ONE_IN_MAX, &r->s->one_in);
}

static int read_rate(struct reading *r, const json_t *v, const char *field)
{
	return read_number(r, v, field, RATE_MAX, &r->s->rate_max);
}

static int read_first(struct reading *r, const json_t *v, const char *field)
{
	return read_number(r, v, field, RATE_MAX, &r->s->first);
}

static int read_sample(struct reading *r, const json_t *v, const char *field)
{
	static const struct member members[] = {{"oneIn", read_one_in},
						{"ratePerSecond", read_rate},
						{"firstPerMinute", read_first}};
	int failed = read_object(r, v, field, members, COUNT_OF(members));

	if (failed == 0 && r->s->one_in <= 1 && !r->s->rate_max && r->s->first)
		failed = fault_set(r->f, INVALID, field,
				   "firstPerMinute says what is recorded beside oneIn or "
				   "ratePerSecond; alone it "
				   "leaves nothing out");
	return failed;
}

static int read_max_age(struct reading *r, const json_t *v, const char *field)
{
	return read_duration(r, v, field, &r->s->keep_max_ns);
}

static int read_min_age(struct reading *r, const json_t *v, const char *field)
{
	return read_duration(r, v, field, &r->s->keep_min_ns);
}

static int read_share(struct reading *r, const json_t *v, const char *field)
{
	(void)v;
	return fault_set(r->f, "NotApplicable", field,
			 "a namespace cannot have a share of the store: tapes hold exchanges of "
			 "all namespaces and go as a whole; "
			 "failures have one (store.failures_share of the node)");
}

static int read_keep(struct reading *r, const json_t *v, const char *field)
{
	static const struct member members[] = {
		{"maxAge", read_max_age}, {"minAge", read_min_age}, {"share", read_share}};

	return read_object(r, v, field, members, COUNT_OF(members));
}

static int read_headers(struct reading *r, const json_t *v, const char *field)
{
	return read_names(r, v, field, is_token, r->s->headers);
}

static int read_params(struct reading *r, const json_t *v, const char *field)
{
	return read_names(r, v, field, is_param, r->s->params);
}

static int read_redact(struct reading *r, const json_t *v, const char *field)
{
	static const struct member members[] = {{"headers", read_headers}, {"params", read_params}};

	return read_object(r, v, field, members, COUNT_OF(members));
}

/* ---- the whole ---- */

int tapspec_parse(json_t *spec, struct tapspec **out, struct fault *f)
{
	static const struct member members[] = {{"select", read_select},
						{"match", read_match},
						{"sample", read_sample},
						{"keep", read_keep},
						{"redact", read_redact}};
	AUTO(tapspec) s = calloc(1, sizeof(*s));
	struct reading r = {s, f};
	int failed;

	if (!s)
		return fault_no_memory(f);
	s->one_in = 1;
	s->text = json_incref(spec);
	failed = spec ? read_object(&r, spec, "spec", members, COUNT_OF(members))
		      : fault_set(f, INVALID, "spec",
				  "is missing; {} records every exchange of the namespace");
	if (failed < 0)
		return failed;
	s->is_asking = !tapspec_masks(s) || s->match_count || json_object_get(spec, "sample");
	*out = TAKE(s);
	return 0;
}

void tapspec_free(struct tapspec *s)
{
	if (!s)
		return;
	selector_free(s->select);
	json_decref(s->text);
	free(s);
}

bool tapspec_masks(const struct tapspec *s)
{
	return s->headers[0] || s->params[0];
}

/* ---- keep ---- */

static void say_age(uint64_t ns, char *out, size_t bytes)
{
	uint64_t seconds = ns / NS_PER_S;

	if (ns == 0)
		(void)snprintf(out, bytes, "as long as there is room");
	else if (seconds % 3600)
		(void)snprintf(out, bytes, "%" PRIu64 "s", seconds);
	else
		(void)snprintf(out, bytes, "%" PRIu64 "h", seconds / 3600);
}

static int refuse_keep(const char *field, const char *wish, const struct tapspec_retention *node,
		       struct fault *f)
{
	char age[64], failures[64];

	say_age(node->age_max_ns, age, sizeof(age));
	say_age(node->failures_age_max_ns, failures, sizeof(failures));
	return fault_set(f, "NotApplicable", field,
			 "cannot be %s here: tapes hold exchanges of all namespaces and go as a "
			 "whole; the node keeps them %s "
			 "(store.age_max), failures %s (store.failures_age_max)%s",
			 wish, age, failures,
			 node->quota_bytes ? ", and no longer than its quota lasts (store.max)"
					   : "");
}

/* Is it let go by then? */
static bool ends_by(uint64_t age_ns, uint64_t max_ns)
{
	return age_ns && age_ns <= max_ns;
}

int tapspec_check_keep(const struct tapspec *s, const struct tapspec_retention *node,
		       struct fault *f)
{
	bool is_short = ends_by(node->age_max_ns, s->keep_max_ns) &&
			ends_by(node->failures_age_max_ns, s->keep_max_ns);
	bool is_long = !node->quota_bytes &&
		       (!node->age_max_ns || node->age_max_ns >= s->keep_min_ns) &&
		       (!node->failures_age_max_ns || node->failures_age_max_ns >= s->keep_min_ns);

	if (s->keep_max_ns && !is_short)
		return refuse_keep("spec.keep.maxAge", "kept", node, f);
	if (s->keep_min_ns && !is_long)
		return refuse_keep("spec.keep.minAge", "promised", node, f);
	return 0;
}
