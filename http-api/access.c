// SPDX-License-Identifier: Apache-2.0
#include "http-api/access.h"

#include "http-api/kube_access.h"
#include "http-api/namespaces.h"
#include "http-api/request.h"
#include "http-api/server.h"
#include "http-api/token_file.h"
#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * The unix socket is trusted: its mode says who may open it. TCP is, too, unless api.auth demands
 * tokens (RFC 6750). A token gives a grant; the grant narrows the request's filter before any
 * handler sees it, and the reader that the handler borrows refuses what is not narrowed
 * (store/reader.h). So no handler decides what may be seen.
 *
 * What is of all namespaces together (counters, metrics, tapes) is for who may see all, or may
 * `get /metrics`; what tells nothing is open, for probes.
 */

struct access {
	enum api_auth auth;
	struct token_file *tokens;     /* owned */
	struct namespaces *namespaces; /* owned */
	struct kube_access *kube;      /* owned */
};

static int open_tokens(struct access *a, const struct api_config *config, struct err *e)
{
	if (!config->token_file || !*config->token_file)
		return err_set(e, -EINVAL, "api.auth token-file: api.token_file names the file");
	return token_file_open(config->token_file, &a->tokens, e);
}

static int open_kube(struct access *a, const struct api_config *config, struct err *e)
{
	if (!config->reviewer)
		return err_set(e, -EINVAL, "api.auth kubernetes: no API server is known");
	a->namespaces = namespaces_new(config->store_dir);
	if (a->namespaces)
		a->kube = kube_access_new(config->reviewer, a->namespaces,
					  config->access_keep_ns ? config->access_keep_ns
								 : ACCESS_KEEP_NS);
	return a->kube ? 0 : err_set(e, -ENOMEM, "api: out of memory");
}

int access_new(const struct api_config *config, struct access **a_out, struct err *e)
{
	struct access *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return err_set(e, -ENOMEM, "api: out of memory");
	a->auth = config->auth;
	if (a->auth == API_AUTH_TOKEN_FILE)
		r = open_tokens(a, config, e);
	else if (a->auth == API_AUTH_KUBERNETES)
		r = open_kube(a, config, e);
	if (r < 0)
		access_free(a);
	else
		*a_out = a;
	return r;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	kube_access_free(a->kube);
	namespaces_free(a->namespaces);
	token_file_close(a->tokens);
	free(a);
}

/* ---- the token ---- */

static bool needs_token(const struct request *q)
{
	return q->is_tcp && q->server->access->auth != API_AUTH_NONE;
}

/* Authorization: Bearer TOKEN (RFC 6750 2.1), or the token in a header of ours */
static struct span token_of(const struct request *q)
{
	const char *own =
		MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, ACCESS_TOKEN_HEADER);
	const char *value = MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND,
							MHD_HTTP_HEADER_AUTHORIZATION);
	struct span s = span_str(value ? value : "");

	if (own)
		return span_trim(span_str(own));
	if (!span_istarts(s, SPAN_LIT("Bearer ")))
		return (struct span){0};
	return span_trim(span_from(s, strlen("Bearer ")));
}

static void refuse_token(struct request *q, const char *error, const char *why)
{
	request_problem(q, MHD_HTTP_UNAUTHORIZED, NULL, "%s", why);
	request_header(q, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"tapeloop\"%s", error);
}

bool access_has_token(struct request *q)
{
	if (!needs_token(q) || q->route->access == ROUTE_OPEN || token_of(q).len)
		return true;
	refuse_token(q, "", "a token is needed: Authorization: Bearer TOKEN");
	return false;
}

/* ---- the grant ---- */

static const struct {
	int error;
	unsigned status;
} refusals[] = {
	{-EPERM, MHD_HTTP_FORBIDDEN},
	{-E2BIG, MHD_HTTP_BAD_REQUEST},
	{-EAGAIN, MHD_HTTP_SERVICE_UNAVAILABLE},
	{-ENOMEM, MHD_HTTP_SERVICE_UNAVAILABLE},
};

static void refuse(struct request *q, int error, const struct err *e)
{
	unsigned status = MHD_HTTP_INTERNAL_SERVER_ERROR;

	for (size_t i = 0; i < COUNT_OF(refusals); i++)
		if (refusals[i].error == error)
			status = refusals[i].status;
	if (error == -EACCES)
		refuse_token(q, ", error=\"invalid_token\"", e->why);
	else
		request_problem(q, status, error == -E2BIG ? "namespace" : NULL, "%s", e->why);
}

static bool find_grant(struct request *q)
{
	struct access *a = q->server->access;
	struct err e = {0};
	struct grant_question question = {
		.token = token_of(q),
		.name_space = q->name_space,
		.wants_daemon = q->route->access == ROUTE_DAEMON,
		.now_ns = clock_mono_ns(),
	};
	int r = a->tokens ? token_file_grant(a->tokens, &question, &q->grant, &e)
			  : kube_access_grant(a->kube, &question, &q->grant, &e);

	if (r < 0)
		refuse(q, r, &e);
	else if (question.wants_daemon && !q->grant.sees_daemon)
		request_problem(q, MHD_HTTP_FORBIDDEN, NULL,
				"this is of all namespaces together: %s may see some of them",
				q->grant.name);
	else
		return true;
	return false;
}

/* ---- what it narrows ---- */

static int narrow(struct filter **f, const struct request *q)
{
	const struct name_list *names = &q->grant.namespaces;
	struct span *spans = calloc(names->count + 1, sizeof(*spans));
	int r = spans ? 0 : -ENOMEM;

	if (r == 0 && !*f)
		r = filter_parse(SPAN_LIT(""), f, NULL);
	for (size_t i = 0; i < names->count && r == 0; i++)
		spans[i] = span_str(names->all[i]);
	if (r == 0 && q->name_space.len)
		r = filter_restrict(*f, &q->name_space, 1);
	else if (r == 0)
		r = filter_restrict(*f, spans, names->count);
	free(spans);
	return r;
}

static bool narrow_all(struct request *q)
{
	if (q->grant.sees_all && q->name_space.len == 0)
		return true;
	if (narrow(&q->filter, q) == 0 && narrow(&q->scope, q) == 0)
		return true;
	request_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "out of memory");
	return false;
}

/* Whoever reads messages is written down; what they read is not. */
static void audit(const struct request *q)
{
	bool reads_messages =
		q->route->access == ROUTE_MESSAGES || q->part != EXCHANGE_JSON_SUMMARY;

	if (reads_messages)
		log_info("audit", "messages are read who=%s path=%.*s", q->grant.name,
			 (int)q->path.len, (const char *)q->path.ptr);
}

bool access_admit(struct request *q)
{
	if (needs_token(q)) {
		if (q->route->access == ROUTE_OPEN)
			return true;
		if (!find_grant(q))
			return false;
		if (!q->grant.sees_all)
			request_header(q, "Tapeloop-Namespaces", "%zu", q->grant.namespaces.count);
		audit(q);
	} else {
		q->grant.sees_all = q->grant.sees_daemon = true;
		q->grant.role = GRANT_ADMIN;
	}
	return narrow_all(q);
}
