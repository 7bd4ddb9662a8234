// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Two kinds of source behind one table of functions: source_api.c and source_store.c. A filter is
 * parsed here in both cases, so that a mistake in it looks the same and costs no journey.
 */
#include "cli/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/source_kind.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "schema/settings.h"
#include "store/filter.h"

/* api.socket's default */
static const char *default_socket(void)
{
#define SETTING(field, key, TYPE, def, min, max, reload, what) SETTING_##TYPE(field, def)
#define SETTING_BYTES(field, def)
#define SETTING_DURATION(field, def)
#define SETTING_COUNT(field, def)
#define SETTING_BOOL(field, def)
#define SETTING_LIST(field, def)
#define SETTING_TEXT(field, def) static const char UNUSED of_##field[] = def;
#include "schema/settings.tbl.h"
#undef SETTING
	return of_api_socket;
}

static int open_default(struct source **s_out, struct err *e)
{
	char url[512];

	(void)snprintf(url, sizeof(url), "unix:%s", default_socket());
	return source_api_open(url, s_out, e);
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] ? v : NULL;
}

static int open_source(const struct source_args *a, struct source **s_out, struct err *e)
{
	if ((a->api != NULL) + (a->store != NULL) + a->kube.is_on > 1)
		return err_set(e, -EINVAL, "--api, --store and --kube: one of them");
	if (!a->kube.is_on && (a->kube.context || a->kube.kubeconfig))
		return err_set(e, -EINVAL, "--context and --kubeconfig go with --kube");
	if (a->kube.is_on)
		return source_kube_open(a, s_out, e);
	if (a->api)
		return source_api_open(a->api, s_out, e);
	if (a->store)
		return source_store_open(a->store, s_out, e);
	if (env("TAPELOOP_API"))
		return source_api_open(env("TAPELOOP_API"), s_out, e);
	if (env("TAPELOOP_STORE"))
		return source_store_open(env("TAPELOOP_STORE"), s_out, e);
	return open_default(s_out, e);
}

int source_open(const struct source_args *a, struct source **s_out, struct err *e)
{
	const char *only = a->name_space ? a->name_space : "";
	int r;

	if (strlen(only) >= sizeof((*s_out)->name_space))
		return err_set(e, -EINVAL, "--namespace: no namespace has so long a name");
	r = open_source(a, s_out, e);
	if (r == 0)
		(void)snprintf((*s_out)->name_space, sizeof((*s_out)->name_space), "%s", only);
	return r;
}

void source_close(struct source *s)
{
	if (s)
		s->ops->close(s);
}

const char *source_name(const struct source *s)
{
	return s->name;
}

void source_say_progress(uint64_t reached, uint64_t found)
{
	AUTO_BUF when = {0};

	clock_format_utc(&when, reached);
	cli_progress("looked at exchanges up to %.19sZ, %llu found; ^C ends it", buf_cstr(&when),
		     (unsigned long long)found);
}

void source_say_limits(uint64_t gave_up)
{
	if (gave_up)
		cli_note("%llu conditions reached a limit and counted as false: a regular "
			 "expression's "
			 "steps, or the size of a body (tapeloop-filter(7)).",
			 (unsigned long long)gave_up);
}

static int check_filter(const char *text, struct err *e)
{
	AUTO(filter) f = NULL;

	return text && text[0] ? filter_parse_at(span_str(text), clock_wall_ns(), &f, e) : 0;
}

int source_list(struct source *s, const struct source_query *q, reader_exchange_fn *fn, void *ctx,
		uint64_t *cursor_out, struct err *e)
{
	int r = check_filter(q->filter, e);

	return r < 0 ? r : s->ops->list(s, q, fn, ctx, cursor_out, e);
}

int source_get(struct source *s, uint64_t id, reader_exchange_fn *fn, void *ctx, struct err *e)
{
	return s->ops->get(s, id, fn, ctx, e);
}

int source_resolve(struct source *s, const char *text, uint64_t *id_out, struct err *e)
{
	uint64_t id;
	unsigned bits;

	if (id_parse(span_str(text), &id, &bits) < 0)
		return err_set(e, -EINVAL, "\"%s\" is no id: 13 letters, or the last few of them",
			       text);
	return s->ops->resolve(s, text, id_out, e);
}

bool source_is_id(const char *operand)
{
	uint64_t id;
	unsigned bits;

	if (strlen(operand) < 4 || id_parse(span_str(operand), &id, &bits) < 0)
		return false;
	for (const char *c = operand; *c; c++)
		if (*c >= 'a' && *c <= 'z')
			return false;
	return true;
}

int source_failures(struct source *s, const struct source_query *q, uint64_t new_ns,
		    reader_failure_fn *fn, void *ctx, struct err *e)
{
	return s->ops->failures(s, q, new_ns, fn, ctx, e);
}

int source_stats(struct source *s, const struct source_query *q, const struct stats_query *by,
		 stats_row_fn *fn, void *ctx, struct stats_answer *answer, struct err *e)
{
	return s->ops->stats(s, q, by, fn, ctx, answer, e);
}

int source_tapes(struct source *s, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		 struct err *e)
{
	return s->ops->tapes(s, fn, ctx, e);
}

int source_explain(struct source *s, const struct source_query *q, struct buf *out, struct err *e)
{
	int r = check_filter(q->filter, e);

	return r < 0 ? r : s->ops->explain(s, q, out, e);
}

int source_stream(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
		  struct err *e)
{
	int r = check_filter(filter, e);

	return r < 0 ? r : s->ops->stream(s, filter, fn, ctx, e);
}

int source_counters(struct source *s, struct counters *out, size_t *unknown_out, struct err *e)
{
	return s->ops->counters(s, out, unknown_out, e);
}

int source_health(struct source *s, struct buf *why_out, struct err *e)
{
	return s->ops->health(s, why_out, e);
}
