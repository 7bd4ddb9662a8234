// SPDX-License-Identifier: Apache-2.0
#include "record/tapconfig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation. Expressions are read when a TapConfig comes and not when something of it is used: only who
 * reads them can say whether they are any, and that is to be told at once. The filter's refusal is one text with the
 * place before it and the line below; who reads a status wants place and reason apart.
 */

struct tapconfig_counts *tapconfig_counts_new(void)
{
	struct tapconfig_counts *c = calloc(1, sizeof(*c));

	if (c)
		atomic_store(&c->references, 1);
	return c;
}

struct tapconfig_counts *tapconfig_counts_ref(struct tapconfig_counts *c)
{
	atomic_fetch_add(&c->references, 1);
	return c;
}

void tapconfig_counts_unref(struct tapconfig_counts *c)
{
	if (c && atomic_fetch_sub(&c->references, 1) == 1)
		free(c);
}

static void free_tapconfig(struct tapconfig *t)
{
	for (size_t i = 0; i < t->filter_count; i++)
		filter_free(t->filters[i]);
	tapspec_free(t->spec);
	tapconfig_counts_unref(t->counts);
	free(t->name_space);
	free(t);
}

struct tapconfig *tapconfig_new_mute(const char *name_space, struct tapconfig_counts *counts)
{
	struct tapconfig *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	atomic_store(&t->references, 1);
	t->counts = tapconfig_counts_ref(counts);
	t->name_space = strdup(name_space);
	if (!t->name_space) {
		free_tapconfig(t);
		return NULL;
	}
	return t;
}

/* "line 2, column 7: no such field", and the line itself below */
static int refuse_expression(const struct err *e, size_t index, struct fault *f)
{
	char field[FAULT_FIELD_MAX];
	size_t line = 1, column = 0;
	const char *why = e->why;
	int n = 0;

	if (e->code == -ENOMEM)
		return fault_no_memory(f);
	if ((sscanf(why, "line %zu, column %zu: %n", &line, &column, &n) == 2 && n) ||
	    (sscanf(why, "column %zu: %n", &column, &n) == 1 && n))
		why += n;
	(void)snprintf(field, sizeof(field), "spec.match[%zu]", index);
	(void)fault_set(f, "InvalidExpression", field, "%.*s", (int)strcspn(why, "\n"), why);
	if (f && column) {
		f->line = line;
		f->column = column;
	}
	return -EINVAL;
}

int tapconfig_new(struct tapspec *spec, const char *name_space, struct tapconfig_counts *counts,
		  struct tapconfig **out, struct fault *f)
{
	struct tapconfig *t = tapconfig_new_mute(name_space, counts);
	int failed = 0;

	if (!t) {
		tapspec_free(spec);
		return fault_no_memory(f);
	}
	t->spec = spec;
	for (size_t i = 0; i < spec->match_count && failed == 0; i++) {
		struct err e = {0};

		failed = filter_parse(span_str(spec->match[i]), &t->filters[i], &e);
		if (failed < 0)
			failed = refuse_expression(&e, i, f);
		else
			t->filter_count++;
	}
	if (failed < 0) {
		free_tapconfig(t);
		return failed;
	}
	*out = t;
	return 0;
}

struct tapconfig *tapconfig_ref(struct tapconfig *t)
{
	atomic_fetch_add(&t->references, 1);
	return t;
}

void tapconfig_unref(struct tapconfig *t)
{
	if (t && atomic_fetch_sub(&t->references, 1) == 1)
		free_tapconfig(t);
}

bool tapconfig_selects(const struct tapconfig *t, const struct identity *who)
{
	if (!t->spec)
		return false;
	if (selector_is_empty(t->spec->select))
		return true;
	return (who->pod.len || who->pod_uid.len) && selector_holds(t->spec->select, who->labels);
}

bool tapconfig_asks(const struct tapconfig *t, struct filter_scratch *s, const struct exchange *x,
		    uint64_t *gave_up)
{
	bool holds = t->filter_count == 0;

	if (!t->spec || !t->spec->is_asking)
		return false;
	for (size_t i = 0; i < t->filter_count && !holds; i++) {
		uint64_t before = filter_gave_up(t->filters[i]);

		holds = filter_judge(t->filters[i], s, x);
		*gave_up += filter_gave_up(t->filters[i]) - before;
	}
	return holds;
}
