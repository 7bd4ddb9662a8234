// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * One libcurl handle, used again and again, so that pages travel over one connection. The status
 * decides, before the first byte of the body, where that goes: to the caller (2xx) or, as far as
 * PROBLEM_MAX, into a buffer that is read as problem+json (RFC 9457) once the answer is whole. A
 * progress callback ends a transfer when the reader presses ^C.
 *
 * Behind an API server the same questions go through its proxy (kube/client.h). What is refused there
 * comes as a Status object, what the daemon refuses as its problem: each is told as who said it.
 *
 * A sidecar listens on its pod's loopback. Whenever libcurl would connect, it gets a connection that
 * leads there (cli/pod_link.h); the rest is as with any daemon.
 */
#include "cli/rest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/pod_link.h"
#include "kube/client.h"
#include "lib/libcurl.h"

#define PROBLEM_MAX    65536
#define CONNECT_MS     5000L
#define SILENCE_S      60L
#define CURSOR_HEADER  "Tapeloop-Next-Cursor:"
#define GAVE_UP_HEADER "Tapeloop-Gave-Up:"
#define DAMAGE_HEADER  "Tapeloop-Damage:"
#define KUBE_WAIT_MS   200 /* between two looks whether ^C came */
#define KUBE_ANSWER_MS 300000

struct rest {
	struct libcurl lib;
	CURL *curl;
	char *base; /* "http://localhost", "http://127.0.0.1:7700" */
	char *name; /* as given: for messages */
	const struct rest_get *get;
	struct buf problem;
	int fn_result;
	long status;
	char cursor[32];
	uint64_t gave_up;
	struct kube_client *kube;    /* borrowed; NULL: libcurl asks by itself */
	struct pod_link *pod;	     /* on whose loopback it is asked; NULL: on none */
	struct kube_client *stopper; /* borrowed; with pod: when it is stopped, so are we */
	struct err pod_why;	     /* why it could not be reached */
	const char *token; /* borrowed: of the environment, or for a daemon in a cluster */
	char damage[ERR_WHY_MAX];
	char why[CURL_ERROR_SIZE];
};

static bool set_address(struct rest *c, const char *url)
{
	if (strncmp(url, "unix:", 5) == 0 && url[5]) {
		c->base = strdup("http://localhost");
		return c->base && c->lib.curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH,
							  url + 5) == CURLE_OK;
	}
	if ((strncmp(url, "http://", 7) == 0 && url[7]) ||
	    (strncmp(url, "https://", 8) == 0 && url[8])) {
		size_t len = strlen(url);

		c->token = getenv("TAPELOOP_TOKEN");
		c->base = strndup(url, url[len - 1] == '/' ? len - 1 : len);
		return c->base != NULL;
	}
	return false;
}

int rest_open(const char *url, struct rest **c_out, struct err *e)
{
	struct rest *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	if (libcurl_load(&c->lib, e) < 0) {
		free(c);
		return -EIO;
	}
	c->curl = c->lib.curl_easy_init();
	c->name = strdup(url);
	if (!c->curl || !c->name) {
		rest_close(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	if (!set_address(c, url)) {
		rest_close(c);
		return err_set(
			e, -EINVAL,
			"\"%s\" is no address of an API: unix:PATH, http://127.0.0.1:PORT or "
			"https://HOST:PORT",
			url);
	}
	*c_out = c;
	return 0;
}

int rest_open_kube(struct kube_client *client, const char *base, const char *token,
		   const char *name, struct rest **c_out, struct err *e)
{
	struct rest *c = calloc(1, sizeof(*c));

	if (!c || !(c->base = strdup(base)) || !(c->name = strdup(name))) {
		rest_close(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->kube = client;
	c->token = token;
	*c_out = c;
	return 0;
}

int rest_open_pod(const struct kube_args *a, struct kube_client *client, const char *name_space,
		  const char *pod, int port, const char *name, struct rest **c_out, struct err *e)
{
	struct rest *c;
	char url[64];
	int r;

	/* one address: one connection */
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
	r = rest_open(url, &c, e);
	if (r < 0)
		return r;
	free(c->name);
	c->name = strdup(name);
	c->token = NULL; /* it is not for pods */
	c->stopper = client;
	c->pod = pod_link_new(a, name_space, pod, port);
	if (!c->name || !c->pod) {
		rest_close(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	*c_out = c;
	return 0;
}

void rest_close(struct rest *c)
{
	if (!c)
		return;
	if (c->curl)
		c->lib.curl_easy_cleanup(c->curl);
	pod_link_close(c->pod);
	buf_fini(&c->problem);
	free(c->base);
	free(c->name);
	free(c);
}

static size_t on_body(char *ptr, size_t size, size_t count, void *ctx)
{
	struct rest *c = ctx;
	size_t n = size * count;

	if (c->status < 200 || c->status > 299) {
		buf_add(&c->problem, ptr, MIN(n, PROBLEM_MAX - c->problem.len));
		return n;
	}
	c->fn_result = c->get->fn(c->get->ctx, span_of(ptr, n));
	return c->fn_result ? 0 : n;
}

static uint64_t number_of(struct span digits)
{
	uint64_t n = 0;

	for (size_t i = 0; i < digits.len && digits.ptr[i] >= '0' && digits.ptr[i] <= '9'; i++)
		n = n > UINT64_MAX / 16 ? n : n * 10 + (uint64_t)(digits.ptr[i] - '0');
	return n;
}

static void keep_value(struct span line, size_t name_len, char *to, size_t to_bytes)
{
	struct span v = span_trim(span_from(line, name_len));

	while (v.len && (v.ptr[v.len - 1] == '\n' || v.ptr[v.len - 1] == '\r'))
		v.len--;
	(void)snprintf(to, to_bytes, "%.*s", (int)v.len, (const char *)v.ptr);
}

static void read_header(struct rest *c, struct span line)
{
	if (span_istarts(line, SPAN_LIT(CURSOR_HEADER)))
		keep_value(line, strlen(CURSOR_HEADER), c->cursor, sizeof(c->cursor));
	if (span_istarts(line, SPAN_LIT(DAMAGE_HEADER)))
		keep_value(line, strlen(DAMAGE_HEADER), c->damage, sizeof(c->damage));
	if (span_istarts(line, SPAN_LIT(GAVE_UP_HEADER)))
		c->gave_up = number_of(span_trim(span_from(line, strlen(GAVE_UP_HEADER))));
}

static size_t on_header(char *ptr, size_t size, size_t count, void *ctx)
{
	struct rest *c = ctx;

	(void)c->lib.curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
	read_header(c, span_of(ptr, size * count));
	return size * count;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t f)
{
	const struct rest *c = ctx;

	(void)a, (void)b, (void)d, (void)f;
	return cli_is_interrupted() || (c->stopper && kube_client_is_stopped(c->stopper));
}

struct status_row {
	long status;
	int code;
};

static const struct status_row statuses[] = {
	{400, -EINVAL},	  {401, -EACCES}, {403, -EPERM},     {404, -ENOENT},
	{409, -ENOTUNIQ}, {503, -EAGAIN}, {504, -ETIMEDOUT},
};

static int code_of(long status)
{
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].code;
	return -EPROTO;
}

/* RFC 9457: detail says it best, else title; /healthz says why */
static int read_problem(struct rest *c, struct err *e)
{
	json_t *root = json_loadb((const char *)c->problem.ptr, c->problem.len, 0, NULL);
	const char *why = json_string_value(json_object_get(root, "detail"));
	int code = code_of(c->status);

	if (!why)
		why = json_string_value(json_object_get(root, "why"));
	if (!why)
		why = json_string_value(json_object_get(root, "title"));
	if (why)
		(void)err_set(e, code, "%s", why);
	else
		(void)err_set(e, code == -ENOENT ? -EPROTO : code,
			      "%s answers with status %ld and no reason", c->name, c->status);
	json_decref(root);
	return e ? e->code : code;
}

static int transport_failed(const struct rest *c, CURLcode code, struct err *e)
{
	const char *why = c->why[0] ? c->why : c->lib.curl_easy_strerror(code);
	long os_error = 0;

	if (c->pod_why.code < 0)
		return err_set(e, -ECONNREFUSED, "%s", c->pod_why.why);
	switch ((int)code) {
	case CURLE_ABORTED_BY_CALLBACK: return err_set(e, -ECANCELED, "interrupted");
	case CURLE_COULDNT_CONNECT:
		(void)c->lib.curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os_error);
		return err_set(
			e, -ECONNREFUSED,
			"no daemon answers at %s: %s (`tapeloop doctor` looks for the reason; "
			"--api and --store name another place)",
			c->name, os_error ? strerror((int)os_error) : why);
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(e, -ECONNREFUSED, "no daemon answers at %s: %s", c->name, why);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, -ETIMEDOUT, "%s does not answer: %s", c->name, why);
	default: return err_set(e, -EIO, "the answer of %s broke off: %s", c->name, why);
	}
}

static struct curl_slist *headers_of(const struct rest *c, const struct rest_get *get)
{
	struct curl_slist *list;
	AUTO_BUF token = {0};
	char line[128];

	(void)snprintf(line, sizeof(line), "Accept: %s",
		       get->accept ? get->accept : "application/json");
	list = c->lib.curl_slist_append(NULL, line);
	buf_add_fmt(&token, "Authorization: Bearer %s", c->token ? c->token : "");
	if (c->token)
		list = c->lib.curl_slist_append(list, buf_cstr(&token));
	if (get->last_event && get->last_event[0]) {
		(void)snprintf(line, sizeof(line), "Last-Event-ID: %s", get->last_event);
		list = c->lib.curl_slist_append(list, line);
	}
	return list;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *at)
{
	struct rest *c = ctx;

	(void)purpose;
	return pod_link_socket(c->pod, at, &c->pod_why);
}

static int on_connected(void *ctx, char *their, char *our, int their_port, int our_port)
{
	(void)their, (void)our, (void)their_port, (void)our_port;
	return pod_link_connected(((struct rest *)ctx)->pod) == 0 ? CURL_PREREQFUNC_OK
								  : CURL_PREREQFUNC_ABORT;
}

static void set_pod(struct rest *c)
{
	if (!c->pod)
		return;
	(void)c->lib.curl_easy_setopt(c->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)c->lib.curl_easy_setopt(c->curl, CURLOPT_OPENSOCKETDATA, c);
	(void)c->lib.curl_easy_setopt(c->curl, CURLOPT_PREREQFUNCTION, on_connected);
	(void)c->lib.curl_easy_setopt(c->curl, CURLOPT_PREREQDATA, c);
}

static void set_options(struct rest *c, const char *url, struct curl_slist *headers)
{
	CURL *h = c->curl;

	(void)c->lib.curl_easy_setopt(h, CURLOPT_URL, url);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_PROXY, "");
	if (getenv("TAPELOOP_CA"))
		(void)c->lib.curl_easy_setopt(h, CURLOPT_CAINFO, getenv("TAPELOOP_CA"));
	(void)c->lib.curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, c->get->is_stream ? 0L : 1L);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME,
				      c->get->is_stream ? 0L : SILENCE_S);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_XFERINFODATA, c);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	(void)c->lib.curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
	set_pod(c);
}

/* ---- through an API server ---- */

struct kube_get {
	struct rest *rest;
	struct err *e;
	int result;
	bool is_done;
};

static void on_kube_header(void *ctx, struct span line)
{
	read_header(((struct kube_get *)ctx)->rest, line);
}

static int on_kube_data(void *ctx, struct span bytes)
{
	struct rest *c = ((struct kube_get *)ctx)->rest;

	c->fn_result = c->get->fn(c->get->ctx, bytes);
	return c->fn_result;
}

/* What the API server refuses is no answer of the daemon's: not found there is not "no such exchange". */
static int refused_on_the_way(struct rest *c, const char *message, struct err *e)
{
	int code = c->status == 403 ? -EPERM : c->status == 401 ? -EACCES : -ECONNREFUSED;

	return err_set(e, code, "%s: the API server says: %s", c->name, message);
}

static void on_kube_done(void *ctx, int result, struct kube_answer *a, const struct err *e)
{
	struct kube_get *g = ctx;
	struct rest *c = g->rest;
	json_t *root = NULL;
	const char *kind, *message;

	g->is_done = true;
	c->status = a->status;
	if (result == 0 || c->fn_result) {
		g->result = c->fn_result;
		return;
	}
	if (a->status >= 300)
		root = json_loadb((const char *)a->body.ptr, a->body.len, 0, NULL);
	kind = json_string_value(json_object_get(root, "kind"));
	message = json_string_value(json_object_get(root, "message"));
	if (kind && strcmp(kind, "Status") == 0)
		g->result = refused_on_the_way(c, message ? message : "no reason", g->e);
	else if (a->status >= 300) {
		buf_add_span(&c->problem, buf_span(&a->body));
		g->result = read_problem(c, g->e);
	} else {
		g->result = err_set(g->e, a->status ? -EIO : result, "%s: %s", c->name, e->why);
	}
	json_decref(root);
}

static int get_by_kube(struct rest *c, struct err *e)
{
	const struct rest_get *get = c->get;
	struct kube_get g = {.rest = c, .e = e};
	struct kube_call *call;
	AUTO_BUF path = {0}, token = {0}, last = {0};
	const char *headers[3] = {NULL};
	struct kube_request q = {
		.accept = get->accept,
		.headers = headers,
		.header = on_kube_header,
		.timeout_ms = get->is_stream ? 0 : KUBE_ANSWER_MS,
	};
	int r;

	buf_add_fmt(&path, "%s%s", c->base, get->path);
	buf_add_fmt(&token, "X-Tapeloop-Token: %s", c->token);
	buf_add_fmt(&last, "Last-Event-ID: %s", get->last_event ? get->last_event : "");
	q.path = buf_cstr(&path);
	headers[0] = buf_cstr(&token);
	headers[1] = get->last_event && get->last_event[0] ? buf_cstr(&last) : NULL;
	r = kube_call(c->kube, &q, on_kube_data, on_kube_done, &g, &call, e);
	while (r == 0 && !g.is_done && !cli_is_interrupted())
		r = kube_client_run(c->kube, KUBE_WAIT_MS);
	if (g.is_done)
		return g.result;
	if (r == 0 || r == -ECANCELED)
		kube_call_cancel(call);
	return r < 0 ? r : err_set(e, -ECANCELED, "interrupted");
}

int rest_get(struct rest *c, const struct rest_get *get, struct err *e)
{
	struct curl_slist *headers;
	AUTO_BUF url = {0};
	CURLcode code;

	c->get = get;
	c->fn_result = 0;
	c->status = 0;
	c->cursor[0] = c->damage[0] = c->why[0] = '\0';
	c->gave_up = 0;
	c->pod_why = (struct err){0};
	buf_clear(&c->problem);
	if (c->kube)
		return get_by_kube(c, e);
	headers = headers_of(c, get);
	buf_add_fmt(&url, "%s%s", c->base, get->path);
	set_options(c, buf_cstr(&url), headers);
	code = c->lib.curl_easy_perform(c->curl);
	c->lib.curl_slist_free_all(headers);
	if (c->fn_result)
		return c->fn_result;
	if (code != CURLE_OK)
		return transport_failed(c, code, e);
	if (c->status < 200 || c->status > 299)
		return read_problem(c, e);
	return 0;
}

const char *rest_damage(const struct rest *c)
{
	return c->damage;
}

uint64_t rest_gave_up(const struct rest *c)
{
	return c->gave_up;
}

const char *rest_next_cursor(const struct rest *c)
{
	return c->cursor;
}

long rest_status(const struct rest *c)
{
	return c->status;
}

void rest_add_param(struct buf *out, const char *key, const char *value)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	buf_add_fmt(out, "%c%s=", strchr(buf_cstr(out), '?') ? '&' : '?', key);
	for (; *value; value++) {
		if (strchr(plain, *value))
			buf_add_char(out, *value);
		else
			buf_add_fmt(out, "%%%02X", (unsigned char)*value);
	}
}
