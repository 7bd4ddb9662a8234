// SPDX-License-Identifier: Apache-2.0
/* replay_kit.h - what tests of replay/ share: made-up exchanges, and a server that does as told */
#pragma once

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replay/replay.h"

/* ---- exchanges ---- */

struct kit_exchange {
	uint64_t id, connection;
	const char *method, *target;
	const char *request_headers; /* lines with CRLF, or NULL */
	const char *request_body;
	unsigned status;             /* 0: no response, a reset */
	const char *headers;         /* of the response */
	const char *body;
	uint64_t anomalies;
	const char *replay_of;
	uint8_t protocol;            /* 0: HTTP/1 */
	const char *request_trailers, *trailers;
	unsigned grpc_status;        /* of gRPC */
	uint8_t reason;              /* other than NONE: the answer was not heard to its end */
	struct span children;
	unsigned close_code;         /* of a WebSocket */
};

struct kit_made {
	struct exchange x;
	char request_head[2048], response_head[2048];
};

static inline struct message kit_message(char *head, size_t cap, const char *line,
					 const char *headers, const char *body)
{
	size_t body_len = body ? strlen(body) : 0;
	int n = snprintf(head, cap, "%s\r\n%s\r\n", line, headers ? headers : "");

	assert(n > 0 && (size_t)n < cap);
	return (struct message){
		.head = span_of(head, (size_t)n),
		.body = span_of(body, body_len),
		.body_bytes = body_len,
		.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE | MESSAGE_LENGTH_KNOWN,
		.version = 11,
	};
}

static inline void kit_make(const struct kit_exchange *from, struct kit_made *to)
{
	char line[512];
	struct exchange *x = &to->x;

	*x = (struct exchange){
		.id = from->id,
		.start_ns = from->id,
		.connection = from->connection,
		.status = (uint16_t)from->status,
		.protocol = from->protocol ? from->protocol : PROTOCOL_HTTP1,
		.has_grpc_status = from->protocol == PROTOCOL_GRPC && from->status,
		.grpc_status = (uint16_t)from->grpc_status,
		.outcome = from->status >= 500   ? OUTCOME_SERVER_ERROR
			   : from->status >= 400 ? OUTCOME_CLIENT_ERROR
			   : from->status        ? OUTCOME_OK
						 : OUTCOME_RESET,
		.anomalies = from->anomalies,
		.method = span_str(from->method),
		.target = span_str(from->target),
		.path = span_str(from->target),
		.host = SPAN_LIT("shop.test"),
		.replay_of = span_str(from->replay_of),
		.dst = {.is_ipv4 = true, .address = {[10] = 0xff, 0xff, 10, 9, 8, 7}, .port = 80},
	};
	x->dst.who.service = SPAN_LIT("cart");
	x->reason = from->reason;
	x->children = from->children;
	x->close_code = (uint16_t)from->close_code;
	if (from->protocol == PROTOCOL_GRPC && from->grpc_status)
		x->outcome = OUTCOME_GRPC_ERROR;
	if (from->close_code == 1006)
		x->outcome = OUTCOME_RESET;
	(void)snprintf(line, sizeof(line),
		       from->protocol && from->protocol != PROTOCOL_WEBSOCKET ? "%s %s HTTP/2\r\n:scheme: http\r\n:authority: shop.test"
				      : "%s %s HTTP/1.1\r\nHost: shop.test",
		       from->method, from->target);
	x->request = kit_message(to->request_head, sizeof(to->request_head), line,
				 from->request_headers, from->request_body);
	x->request.version = from->protocol && from->protocol != PROTOCOL_WEBSOCKET ? 20 : 11;
	x->request.trailers = span_str(from->request_trailers);
	x->request.first_ns = x->request.last_ns = from->id;
	if (!from->status)
		return;
	(void)snprintf(line, sizeof(line), x->request.version == 20 ? "HTTP/2 %u" : "HTTP/1.1 %u Said",
		       from->status);
	x->response = kit_message(to->response_head, sizeof(to->response_head), line, from->headers,
				  from->body);
	x->response.version = x->request.version;
	x->response.trailers = span_str(from->trailers);
	x->response.content_type = message_header(&x->response, "content-type");
	if (from->reason && from->protocol != PROTOCOL_WEBSOCKET)
		x->response.flags = MESSAGE_PRESENT;
	x->response.first_ns = x->response.last_ns = from->id + 5 * NS_PER_MS;
}

struct kit_source {
	const struct kit_exchange *list;
	size_t count;
	size_t gone_after; /* second time: only so many are still there; 0: all */
	unsigned calls;
};

static inline int kit_list(void *ctx, bool wants_messages, replay_exchange_fn *fn, void *fn_ctx,
			   struct err *e)
{
	struct kit_source *s = ctx;
	size_t count = s->calls++ > 0 && s->gone_after ? s->gone_after : s->count;

	(void)e;
	for (size_t i = 0; i < count; i++) {
		struct kit_made made;
		int r;

		kit_make(&s->list[i], &made);
		if (!wants_messages)
			made.x.request = made.x.response = (struct message){0};
		r = fn(fn_ctx, &made.x);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return 0;
}

/* ---- the server ---- */

#define KIT_CONNECTIONS 64

struct kit_server;
/* Answer one request (NUL behind it). Return: true to go on, false to close the connection. */
typedef bool kit_answer_fn(struct kit_server *s, int fd, char *request, unsigned nth);

struct kit_server {
	int fd;
	uint16_t port;
	kit_answer_fn *answer;
	pthread_t thread;
	pthread_t workers[KIT_CONNECTIONS];
	atomic_uint connections, requests;
	pthread_mutex_t mutex;
	char log[65536]; /* requests as they came, under mutex */
	atomic_uint in_flight, in_flight_max;
	void *ctx;
};

struct kit_worker {
	struct kit_server *s;
	int fd;
};

/* the request that this thread answers counts as in flight; cleared by kit_begin_answer() */
static _Thread_local bool kit_is_in_flight;

/* kit_begin_answer() - before the answer's last bytes: whoever has them may send the next request at once */
static inline void kit_begin_answer(struct kit_server *s)
{
	if (kit_is_in_flight)
		atomic_fetch_sub(&s->in_flight, 1);
	kit_is_in_flight = false;
}

static inline void kit_say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* how long is the first request in @text? 0: not whole */
static inline size_t kit_request_len(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "content-length:");
	size_t n, body = 0;

	if (!end)
		return 0;
	n = (size_t)(end - text) + 4;
	if (strcasestr(text, "transfer-encoding: chunked")) {
		end = strstr(text + n, "\r\n0\r\n\r\n");
		if (!end && strncmp(text + n, "0\r\n\r\n", 5) != 0)
			return 0;
		return end ? (size_t)(end - text) + 7 : n + 5;
	}
	if (length && length < end)
		body = (size_t)strtoul(length + 15, NULL, 10);
	return strlen(text) >= n + body ? n + body : 0;
}

static inline void kit_log(struct kit_server *s, const char *text, size_t len)
{
	size_t used;

	(void)pthread_mutex_lock(&s->mutex);
	used = strlen(s->log);
	if (used + len + 2 < sizeof(s->log)) {
		memcpy(s->log + used, text, len);
		memcpy(s->log + used + len, "\n", 2);
	}
	(void)pthread_mutex_unlock(&s->mutex);
}

static inline void *kit_work(void *arg)
{
	struct kit_worker w = *(struct kit_worker *)arg;
	char text[16384] = "";
	size_t have = 0, len;
	unsigned nth = 0;
	ssize_t n;

	free(arg);
	for (;;) {
		while ((len = kit_request_len(text)) > 0) {
			char rest[sizeof(text)], one[sizeof(text)];
			unsigned now = atomic_fetch_add(&w.s->in_flight, 1) + 1;
			unsigned max = atomic_load(&w.s->in_flight_max);

			kit_is_in_flight = true;
			while (now > max && !atomic_compare_exchange_weak(&w.s->in_flight_max, &max, now))
				;
			memcpy(rest, text + len, have - len + 1);
			memcpy(one, text, len);
			one[len] = '\0';
			kit_log(w.s, one, len);
			atomic_fetch_add(&w.s->requests, 1);
			if (!w.s->answer(w.s, w.fd, one, nth++)) {
				kit_begin_answer(w.s);
				goto out;
			}
			kit_begin_answer(w.s);
			have -= len;
			memcpy(text, rest, have + 1);
		}
		n = recv(w.fd, text + have, sizeof(text) - 1 - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
		text[have] = '\0';
	}
out:
	(void)close(w.fd);
	return NULL;
}

static inline void *kit_accept(void *arg)
{
	struct kit_server *s = arg;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		struct kit_worker *w;
		unsigned i = atomic_load(&s->connections);

		if (fd < 0)
			return NULL;
		assert(i < KIT_CONNECTIONS);
		w = malloc(sizeof(*w));
		assert(w);
		*w = (struct kit_worker){s, fd};
		atomic_store(&s->connections, i + 1); /* before its first answer */
		assert(pthread_create(&s->workers[i], NULL, kit_work, w) == 0);
	}
}

static inline struct kit_server *kit_start(kit_answer_fn *answer)
{
	struct kit_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	assert(s);
	s->answer = answer;
	(void)pthread_mutex_init(&s->mutex, NULL);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->fd, 64) == 0);
	assert(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
	s->port = ntohs(a.sin_port);
	assert(pthread_create(&s->thread, NULL, kit_accept, s) == 0);
	return s;
}

static inline void kit_stop(struct kit_server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < atomic_load(&s->connections); i++)
		(void)pthread_join(s->workers[i], NULL);
	(void)close(s->fd);
	(void)pthread_mutex_destroy(&s->mutex);
	free(s);
}

/* ---- a whole replay ---- */

#define KIT_RESULTS 256

struct kit_result {
	uint64_t id;
	uint32_t loop;
	unsigned verdict, skip, miss, status;
	bool is_still_failing, was_retried;
	uint64_t due_ns, late_ns, differences;
	char first_where[64];
	unsigned close_code;
	bool is_left;
};

struct kit_run {
	struct replay_config config;
	struct kit_source source;
	struct plan plan;
	struct replay_summary *summary;
	struct kit_result results[KIT_RESULTS]; /* in order of arrival */
	size_t count;
	struct err err;
	int r;
};

static inline void kit_on_result(void *ctx, const struct replay_result *from)
{
	struct kit_run *k = ctx;
	struct kit_result *to = &k->results[k->count++];

	assert(k->count < KIT_RESULTS);
	*to = (struct kit_result){
		.id = from->recorded->id,
		.loop = from->loop,
		.verdict = from->verdict,
		.skip = from->skip,
		.miss = from->miss,
		.status = from->status,
		.is_still_failing = from->is_still_failing,
		.was_retried = from->was_retried,
		.due_ns = from->due_ns,
		.late_ns = from->late_ns,
		.close_code = from->conversation ? from->conversation->close_code : 0,
		.is_left = from->is_left,
		.differences = from->diff ? from->diff->count : 0,
	};
	if (from->diff && from->diff->kept) {
		struct span where = diff_text(from->diff, from->diff->items[0].where);

		(void)snprintf(to->first_where, sizeof(to->first_where), "%.*s", (int)where.len,
			       (const char *)where.ptr);
	}
}

/* flat out towards @port; change k->config before kit_play() */
static inline struct kit_run *kit_run_new(const struct kit_exchange *list, size_t count, uint16_t port)
{
	struct kit_run *k = calloc(1, sizeof(*k));
	char url[64];

	assert(k);
	k->summary = calloc(1, sizeof(*k->summary));
	assert(k->summary);
	replay_config_default(&k->config);
	k->config.run = "0RUN";
	k->config.schedule.speed = 0;
	k->config.timeout_ns = 5 * NS_PER_S;
	k->config.ignore = ignore_new(true);
	assert(k->config.ignore);
	k->source = (struct kit_source){.list = list, .count = count};
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
	assert(target_add(&k->config.targets, NULL, url, &k->err) == 0);
	return k;
}

static inline void kit_play(struct kit_run *k)
{
	struct replay_source source = {.ctx = &k->source, .list = kit_list};

	k->r = replay_plan(&k->config, &source, &k->plan, NULL, NULL, &k->err);
	if (k->r == 0)
		k->r = replay_run(&k->config, &source, &k->plan, kit_on_result, k, k->summary, &k->err);
}

static inline void kit_run_free(struct kit_run *k)
{
	/* the config borrows it for the run; the kit made it */
	ignore_free((struct ignore *)(uintptr_t)k->config.ignore);
	plan_fini(&k->plan);
	free(k->summary);
	free(k);
}

static inline const struct kit_result *kit_find(const struct kit_run *k, uint64_t id)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->results[i].id == id)
			return &k->results[i];
	return NULL;
}
