// SPDX-License-Identifier: Apache-2.0
#include "kube/client.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube/call.h"
#include "kube/config.h"
#include "kube/credential.h"
#include "lib/clock.h"

/*
 * Theory of operation. Every request is a call (kube/call.h): an easy handle of libcurl in one multi
 * handle, which kube_client_run() drives, and which keeps connections and TLS sessions for the next
 * one. The waiting verbs begin a call and run until it is done.
 *
 * A 401 makes the credential be read again and the call start anew, once, provided that nothing of it
 * was handed out: a token is replaced while we hold the one before it.
 */

int kube_client_new(struct kube_config *config, struct kube_client **out, struct err *e)
{
	AUTO(kube_client) c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		kube_config_free(config);
		return err_set(e, -ENOMEM, "API server: out of memory");
	}
	c->config = config;
	list_init(&c->calls);
	r = libcurl_load(&c->lib, e);
	if (r < 0)
		return r;
	c->multi = c->lib.curl_multi_init();
	c->credential = kube_credential_new(config);
	if (!c->multi || !c->credential)
		return err_set(e, -ENOMEM, "%s: out of memory", config->server);
	*out = TAKE(c);
	return 0;
}

void kube_client_free(struct kube_client *c)
{
	struct list *first;

	if (!c)
		return;
	while ((first = list_first(&c->calls)))
		kube_call_cancel(CONTAINER_OF(first, struct kube_call, link));
	if (c->multi)
		(void)c->lib.curl_multi_cleanup(c->multi);
	kube_credential_free(c->credential);
	kube_config_free(c->config);
	free(c);
}

const struct kube_config *kube_client_config(const struct kube_client *c)
{
	return c->config;
}

int kube_client_token(struct kube_client *c, const char **out, struct err *e)
{
	int r = kube_credential_refresh(c->credential, clock_wall_ns(), e);

	*out = r < 0 ? NULL : kube_credential_token(c->credential);
	return r;
}

uint64_t kube_client_token_reads(const struct kube_client *c)
{
	return kube_credential_reads(c->credential);
}

void kube_answer_fini(struct kube_answer *a)
{
	buf_fini(&a->body);
	*a = (struct kube_answer){0};
}

/* ---- many at once ---- */

static int begin(struct kube_call *call, struct err *e)
{
	struct kube_client *c = call->client;
	int r = kube_credential_refresh(c->credential, clock_wall_ns(), e);

	if (r < 0)
		return r;
	if (!kube_call_show_credential(call) ||
	    c->lib.curl_multi_add_handle(c->multi, call->curl) != CURLM_OK)
		return err_set(e, -ENOMEM, "%s: out of memory", c->config->server);
	return 0;
}

int kube_call(struct kube_client *c, const struct kube_request *q, kube_data_fn *data,
	      kube_done_fn *done, void *ctx, struct kube_call **out, struct err *e)
{
	struct err why = {0};
	struct kube_call *call = kube_call_new(c, q, data, &why);
	int r = call ? begin(call, &why) : why.code;

	if (r < 0) {
		kube_call_free(call);
		return err_set(e, r, "%s", why.why);
	}
	call->done = done;
	call->ctx = ctx;
	list_append(&c->calls, &call->link);
	if (out)
		*out = call;
	return 0;
}

void kube_call_cancel(struct kube_call *call)
{
	if (!call)
		return;
	list_remove(&call->link);
	(void)call->client->lib.curl_multi_remove_handle(call->client->multi, call->curl);
	kube_call_free(call);
}

/* Return: it was begun anew. */
static bool try_again(struct kube_call *call)
{
	if (call->answer.status != 401 || call->was_retried || call->has_data ||
	    !kube_credential_refused(call->client->credential))
		return false;
	call->was_retried = true;
	call->answer.status = 0;
	buf_clear(&call->problem);
	return begin(call, NULL) == 0;
}

static void finish(struct kube_call *call, CURLcode code)
{
	struct err why = {0};
	int r;

	if (call->is_connection && code == CURLE_OK) { /* libcurl closes it with its removal */
		call->done(call->ctx, 0, &call->answer, &why);
		return;
	}
	(void)call->client->lib.curl_multi_remove_handle(call->client->multi, call->curl);
	if (code == CURLE_OK && call->answer.status == 0) /* no body: nobody looked yet */
		(void)call->client->lib.curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE,
							  &call->answer.status);
	if (code == CURLE_OK && try_again(call))
		return;
	r = kube_call_result(call, code, &why);
	if (call->problem.len) {
		buf_fini(&call->answer.body);
		call->answer.body = call->problem;
		call->problem = (struct buf){0};
	}
	list_remove(&call->link);
	call->done(call->ctx, r, &call->answer, &why);
	kube_call_free(call);
}

static bool finish_some(struct kube_client *c)
{
	bool has_finished = false;
	int left;
	CURLMsg *m;

	while ((m = c->lib.curl_multi_info_read(c->multi, &left))) {
		char *private = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)c->lib.curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		has_finished = true;
		finish((struct kube_call *)(void *)private, m->data.result);
	}
	return has_finished;
}

int kube_client_run(struct kube_client *c, int timeout_ms)
{
	return kube_client_run_beside(c, -1, timeout_ms);
}

int kube_client_run_beside(struct kube_client *c, int fd, int timeout_ms)
{
	struct curl_waitfd beside = {.fd = fd, .events = CURL_WAIT_POLLIN};
	int running;

	if (atomic_load_explicit(&c->is_stopped, memory_order_acquire))
		return -ECANCELED;
	(void)c->lib.curl_multi_perform(c->multi, &running);
	if (finish_some(c))
		return 0;
	(void)c->lib.curl_multi_poll(c->multi, &beside, fd >= 0, MAX(timeout_ms, 0), NULL);
	(void)c->lib.curl_multi_perform(c->multi, &running);
	(void)finish_some(c);
	return atomic_load_explicit(&c->is_stopped, memory_order_acquire) ? -ECANCELED : 0;
}

void kube_client_wake(struct kube_client *c)
{
	(void)c->lib.curl_multi_wakeup(c->multi);
}

void kube_client_stop(struct kube_client *c)
{
	atomic_store_explicit(&c->is_stopped, true, memory_order_release);
	kube_client_wake(c);
}

bool kube_client_is_stopped(const struct kube_client *c)
{
	return atomic_load_explicit(&c->is_stopped, memory_order_acquire);
}

/* ---- connections ---- */

int kube_connect(struct kube_client *c, const char *path, kube_done_fn *done, void *ctx,
		 struct kube_call **out, struct err *e)
{
	const struct kube_request q = {.path = path, .is_connection = true};

	return kube_call(c, &q, NULL, done, ctx, out, e);
}

const char *kube_call_url(const struct kube_call *call)
{
	return call->url;
}

int kube_call_socket(const struct kube_call *call)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	(void)call->client->lib.curl_easy_getinfo(call->curl, CURLINFO_ACTIVESOCKET, &fd);
	return fd;
}

static ssize_t moved(CURLcode code, size_t n)
{
	return code == CURLE_OK ? (ssize_t)n : code == CURLE_AGAIN ? -EAGAIN : -EIO;
}

ssize_t kube_call_send(struct kube_call *call, struct span bytes)
{
	size_t n = 0;
	CURLcode code = call->client->lib.curl_easy_send(call->curl, bytes.ptr, bytes.len, &n);

	return moved(code, n);
}

ssize_t kube_call_recv(struct kube_call *call, void *to, size_t room)
{
	size_t n = 0;
	CURLcode code = call->client->lib.curl_easy_recv(call->curl, to, room, &n);

	return moved(code, n);
}

/* ---- waiting for an answer ---- */

struct waiting {
	struct kube_answer *answer;
	struct err *e;
	int result;
	bool is_done;
};

static void on_done(void *ctx, int result, struct kube_answer *a, const struct err *e)
{
	struct waiting *w = ctx;

	w->result = result;
	w->is_done = true;
	*w->answer = *a;
	*a = (struct kube_answer){0};
	if (w->e && result)
		*w->e = *e;
}

/* What @fn returns need not be an errno, and its call must not know of the one that waits. */
struct streaming {
	struct waiting waiting;
	kube_data_fn *fn;
	void *ctx;
};

static int on_data(void *ctx, struct span bytes)
{
	struct streaming *s = ctx;

	return s->fn(s->ctx, bytes);
}

int kube_stream(struct kube_client *c, const struct kube_request *q, kube_data_fn *fn, void *ctx,
		struct kube_answer *a, struct err *e)
{
	struct streaming s = {.waiting = {.answer = a, .e = e}, .fn = fn, .ctx = ctx};
	struct kube_call *call;
	int r;

	kube_answer_fini(a);
	r = kube_call(c, q, fn ? on_data : NULL, on_done, &s, &call, e);
	if (r < 0)
		return r;
	while (r == 0 && !s.waiting.is_done)
		r = kube_client_run(c, 1000);
	if (s.waiting.is_done)
		return s.waiting.result;
	kube_call_cancel(call);
	return err_set(e, r, "%s: interrupted", c->config->server);
}

int kube_fetch(struct kube_client *c, const struct kube_request *q, struct kube_answer *a,
	       struct err *e)
{
	return kube_stream(c, q, NULL, NULL, a, e);
}

static int parse_answer(const struct kube_request *q, const struct kube_answer *a, json_t **out,
			struct err *e)
{
	json_error_t why;
	json_t *root;

	if (!out)
		return 0;
	root = json_loadb((const char *)a->body.ptr, a->body.len, 0, &why);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(e, -EPROTO, "%s %s: the answer is no JSON object: %s",
			       q->method ? q->method : "GET", q->path, why.text);
	}
	*out = root;
	return 0;
}

static int verb(struct kube_client *c, const char *method, const char *path, const char *type,
		const json_t *object, json_t **out, struct err *e)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	struct kube_request q = {
		.method = method, .path = path, .content_type = type, .body = span_str(text)};
	struct kube_answer a = {0};
	int r = object && !text ? err_set(e, -ENOMEM, "%s: out of memory", path)
				: kube_fetch(c, &q, &a, e);

	if (r == 0)
		r = parse_answer(&q, &a, out, e);
	kube_answer_fini(&a);
	free(text);
	return r;
}

int kube_get(struct kube_client *c, const char *path, json_t **out, struct err *e)
{
	return verb(c, "GET", path, NULL, NULL, out, e);
}

int kube_create(struct kube_client *c, const char *path, const json_t *object, json_t **out,
		struct err *e)
{
	return verb(c, "POST", path, NULL, object, out, e);
}

int kube_patch(struct kube_client *c, const char *path, const char *type, const json_t *patch,
	       json_t **out, struct err *e)
{
	return verb(c, "PATCH", path, type, patch, out, e);
}

int kube_put(struct kube_client *c, const char *path, const json_t *object, json_t **out,
	     struct err *e)
{
	return verb(c, "PUT", path, NULL, object, out, e);
}

int kube_delete(struct kube_client *c, const char *path, json_t **out, struct err *e)
{
	return verb(c, "DELETE", path, NULL, NULL, out, e);
}

/* ---- lines ---- */

int kube_lines_add(struct kube_lines *l, struct span bytes, kube_line_fn *fn, void *ctx)
{
	int r = 0;

	while (bytes.len && r == 0) {
		const uint8_t *end = memchr(bytes.ptr, '\n', bytes.len);
		struct span line = {bytes.ptr, end ? (size_t)(end - bytes.ptr) : bytes.len};

		if (l->held.len + line.len > KUBE_LINE_MAX)
			return -E2BIG;
		if (l->held.len || !end)
			buf_add_span(&l->held, line);
		if (l->held.is_failed)
			return -ENOMEM;
		if (!end)
			return 0;
		bytes = span_from(bytes, line.len + 1);
		if (l->held.len)
			line = buf_span(&l->held);
		if (line.len)
			r = fn(ctx, line);
		buf_clear(&l->held);
	}
	return r;
}

void kube_lines_fini(struct kube_lines *l)
{
	buf_fini(&l->held);
}

struct watching {
	struct kube_lines lines;
	kube_line_fn *fn;
	void *ctx;
};

static int add_lines(void *ctx, struct span bytes)
{
	struct watching *w = ctx;

	return kube_lines_add(&w->lines, bytes, w->fn, w->ctx);
}

int kube_watch(struct kube_client *c, const char *path, kube_line_fn *fn, void *ctx, struct err *e)
{
	struct kube_request q = {.path = path};
	struct watching w = {.fn = fn, .ctx = ctx};
	struct kube_answer a = {0};
	int r = kube_stream(c, &q, add_lines, &w, &a, e);

	if (r == 0 && w.lines.held.len) /* a last line without its end */
		r = fn(ctx, buf_span(&w.lines.held));
	kube_lines_fini(&w.lines);
	kube_answer_fini(&a);
	return r;
}
