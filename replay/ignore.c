// SPDX-License-Identifier: Apache-2.0
#include "replay/ignore.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Header rules are asked for every header of every answer, so they are found by the name's length
 * and first letter: a table of 32 letters holds a chain each. There are few rules; a chain is one
 * or two long. A rule given by hand stands before the defaults.
 *
 * A path is kept as steps and matched backwards from the place in question to the root, because
 * the diff knows a place by its parents: a step matches or not; DEEP ("..") tries every ancestor.
 */

#define PATH_STEPS_MAX 32
#define RULES_MAX      1024

enum step_kind { STEP_KEY, STEP_INDEX, STEP_ANY, STEP_DEEP };

struct step {
	uint8_t kind;	 /* enum step_kind */
	struct span key; /* points into path.text */
	size_t index;
};

struct path {
	struct path *next;
	char *text;
	size_t count;
	struct step steps[PATH_STEPS_MAX];
};

struct header_rule {
	struct header_rule *next;
	char *name;
	size_t len;
	bool is_prefix;
	uint8_t how; /* enum ignore_how */
};

struct ignore {
	struct header_rule *headers[32]; /* by first letter */
	struct path *paths;
	size_t rule_count;
	bool has_status, has_body, has_headers, has_event_id;
};

struct default_rule {
	uint8_t how;
	const char *name;
};

static const struct default_rule defaults[] = {
#define IGNORE(HOW, name, why) {IGNORE_##HOW, name},
#include "replay/ignore.tbl.h"
#undef IGNORE
};

static size_t chain_of(struct span name)
{
	return name.len ? name.ptr[0] & 31U : 0;
}

static int add_header(struct ignore *g, const char *name, enum ignore_how how)
{
	struct header_rule *r = calloc(1, sizeof(*r));
	size_t chain = chain_of(span_str(name));

	if (!r)
		return -ENOMEM;
	r->name = strdup(name);
	if (!r->name) {
		free(r);
		return -ENOMEM;
	}
	r->len = strlen(name);
	r->is_prefix = r->len > 0 && name[r->len - 1] == '*';
	r->len -= r->is_prefix;
	r->how = (uint8_t)how;
	r->next = g->headers[chain];
	g->headers[chain] = r;
	return 0;
}

struct ignore *ignore_new(bool has_defaults)
{
	AUTO(ignore) g = calloc(1, sizeof(*g));

	for (size_t i = 0; g && has_defaults && i < COUNT_OF(defaults); i++)
		if (add_header(g, defaults[i].name, (enum ignore_how)defaults[i].how) < 0)
			return NULL;
	return TAKE(g);
}

static void free_headers(struct header_rule *r)
{
	while (r) {
		struct header_rule *next = r->next;

		free(r->name);
		free(r);
		r = next;
	}
}

void ignore_free(struct ignore *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < COUNT_OF(g->headers); i++)
		free_headers(g->headers[i]);
	while (g->paths) {
		struct path *next = g->paths->next;

		free(g->paths->text);
		free(g->paths);
		g->paths = next;
	}
	free(g);
}

/* ---- paths ---- */

static int take_bracket(struct span *rest, struct step *step)
{
	const uint8_t *end = memchr(rest->ptr, ']', rest->len);
	struct span in;

	if (!end)
		return -EINVAL;
	in = span_of(rest->ptr + 1, (size_t)(end - rest->ptr) - 1);
	*rest = span_from(*rest, in.len + 2);
	if (in.len == 1 && in.ptr[0] == '*') {
		step->kind = STEP_ANY;
		return 0;
	}
	if (in.len >= 2 && (in.ptr[0] == '\'' || in.ptr[0] == '"') &&
	    in.ptr[in.len - 1] == in.ptr[0]) {
		*step = (struct step){.kind = STEP_KEY, .key = span_of(in.ptr + 1, in.len - 2)};
		return 0;
	}
	if (in.len == 0 || in.len > 9)
		return -EINVAL;
	step->kind = STEP_INDEX;
	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] < '0' || in.ptr[i] > '9')
			return -EINVAL;
		step->index = step->index * 10 + (size_t)(in.ptr[i] - '0');
	}
	return 0;
}

static int take_name(struct span *rest, struct step *step)
{
	size_t n = 0;

	while (n < rest->len && rest->ptr[n] != '.' && rest->ptr[n] != '[')
		n++;
	if (n == 0)
		return -EINVAL;
	step->kind = n == 1 && rest->ptr[0] == '*' ? STEP_ANY : STEP_KEY;
	step->key = span_of(rest->ptr, n);
	*rest = span_from(*rest, n);
	return 0;
}

static int take_step(struct span *rest, struct path *p)
{
	struct step *step = &p->steps[p->count++];

	*step = (struct step){0};
	if (rest->ptr[0] == '[')
		return take_bracket(rest, step);
	if (rest->ptr[0] != '.')
		return -EINVAL;
	*rest = span_from(*rest, 1);
	if (rest->len && rest->ptr[0] == '.') {
		step->kind = STEP_DEEP;
		*rest = span_from(*rest, 1);
		if (p->count == PATH_STEPS_MAX)
			return -EINVAL;
		step = &p->steps[p->count++];
		*step = (struct step){0};
		if (rest->len && rest->ptr[0] == '[')
			return take_bracket(rest, step);
	}
	return take_name(rest, step);
}

static int read_path(struct path *p)
{
	struct span rest = span_from(span_str(p->text), 1);

	while (rest.len > 0)
		if (p->count == PATH_STEPS_MAX || take_step(&rest, p) < 0)
			return -EINVAL;
	return 0;
}

static int add_path(struct ignore *g, const char *rule, struct err *e)
{
	struct path *p = calloc(1, sizeof(*p));
	int r;

	if (p)
		p->text = strdup(rule);
	r = !p || !p->text ? -ENOMEM : read_path(p);
	if (r < 0) {
		free(p ? p->text : NULL);
		free(p);
		return r == -ENOMEM ? err_set(e, r, "out of memory")
				    : err_set(e, r,
					      "ignore %s: expected a path like $.items[*].id, "
					      "$..id or $['a b']",
					      rule);
	}
	p->next = g->paths;
	g->paths = p;
	return 0;
}

static bool is_header_name(const char *name)
{
	return name[0] != '\0' && strpbrk(name, " \t:\r\n") == NULL;
}

int ignore_add(struct ignore *g, const char *rule, struct err *e)
{
	if (g->rule_count++ == RULES_MAX)
		return err_set(e, -E2BIG, "ignore %s: at most %d rules", rule, RULES_MAX);
	if (rule[0] == '$')
		return add_path(g, rule, e);
	if (strncasecmp(rule, "header:", 7) == 0 && is_header_name(rule + 7))
		return add_header(g, rule + 7, IGNORE_ALL) < 0
			       ? err_set(e, -ENOMEM, "out of memory")
			       : 0;
	g->has_status |= strcmp(rule, "status") == 0;
	g->has_body |= strcmp(rule, "body") == 0;
	g->has_event_id |= strcmp(rule, "event-id") == 0;
	g->has_headers |= strcmp(rule, "headers") == 0;
	if (strcmp(rule, "status") != 0 && strcmp(rule, "body") != 0 &&
	    strcmp(rule, "headers") != 0 && strcmp(rule, "event-id") != 0)
		return err_set(e, -EINVAL,
			       "ignore %s: expected header:NAME, headers, body, status, event-id "
			       "or a path like $.id",
			       rule);
	return 0;
}

enum ignore_how ignore_header(const struct ignore *g, struct span name)
{
	if (g->has_headers)
		return IGNORE_ALL;
	for (const struct header_rule *r = g->headers[chain_of(name)]; r; r = r->next)
		if ((r->is_prefix ? name.len >= r->len : name.len == r->len) &&
		    strncasecmp((const char *)name.ptr, r->name, r->len) == 0)
			return (enum ignore_how)r->how;
	return IGNORE_NOTHING;
}

bool ignore_status(const struct ignore *g)
{
	return g->has_status;
}

bool ignore_body(const struct ignore *g)
{
	return g->has_body;
}

bool ignore_event_id(const struct ignore *g)
{
	return g->has_event_id;
}

bool ignore_has_paths(const struct ignore *g)
{
	return g->paths != NULL;
}

static bool step_fits(const struct step *step, const struct ignore_place *place)
{
	if (!place->parent)
		return false;
	if (step->kind == STEP_ANY)
		return true;
	if (step->kind == STEP_KEY)
		return place->key.ptr && span_eq(step->key, place->key);
	return step->kind == STEP_INDEX && !place->key.ptr && place->index == step->index;
}

/* do the first @count steps lead from the root to @place? */
static bool path_fits(const struct path *p, size_t count, const struct ignore_place *place)
{
	while (count > 0 && p->steps[count - 1].kind != STEP_DEEP) {
		if (!step_fits(&p->steps[count - 1], place))
			return false;
		place = place->parent;
		count--;
	}
	if (count == 0)
		return place->parent == NULL;
	for (; place; place = place->parent)
		if (path_fits(p, count - 1, place))
			return true;
	return false;
}

bool ignore_place(const struct ignore *g, const struct ignore_place *place)
{
	for (const struct path *p = g->paths; p; p = p->next)
		if (path_fits(p, p->count, place))
			return true;
	return false;
}
