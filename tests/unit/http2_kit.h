// SPDX-License-Identifier: Apache-2.0
/* http2_kit.h - a server of HTTP/2 (libnghttp2's) for tests: what it does stands in the path */
#pragma once

#include <nghttp2/nghttp2.h>

#include "lib/buf.h"
#include "replay_kit.h"

#define KIT2_STREAMS 64

struct kit2_stream {
	int32_t id;
	char path[128];
	struct buf text;        /* fields, body and trailers as they came: what is logged */
	struct buf body;
	const char *answer, *trailer_name, *trailer_value;
	size_t answer_len, answered;
	bool has_more;          /* no END_STREAM behind the body */
};

struct kit2_server {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_t workers[KIT_CONNECTIONS];
	unsigned worker_count;
	atomic_uint connections;
	atomic_uint once;          /* paths that end in -once did their thing */
	uint32_t streams_max;      /* SETTINGS_MAX_CONCURRENT_STREAMS; 0: none said */
	pthread_mutex_t mutex;
	char log[262144];
	char *big;
};

struct kit2_conn {
	struct kit2_server *server;
	int fd;
	nghttp2_session *ng;
	struct kit2_stream *streams[KIT2_STREAMS];
	size_t count;
	struct kit2_stream *waiting; /* /both: for the other one */
	bool closes;
};

#define KIT2_BIG_BYTES (3U << 20)

static inline ssize_t kit2_read(nghttp2_session *ng, int32_t id, uint8_t *to, size_t max,
				uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct kit2_stream *s = source->ptr;
	size_t n = MIN(max, s->answer_len - s->answered);

	(void)ctx;
	if (n)
		memcpy(to, s->answer + s->answered, n);
	s->answered += n;
	if (s->answered < s->answer_len)
		return (ssize_t)n;
	if (s->has_more)
		return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->trailer_name) {
		nghttp2_nv nv = {(uint8_t *)(uintptr_t)s->trailer_name,
				 (uint8_t *)(uintptr_t)s->trailer_value, strlen(s->trailer_name),
				 strlen(s->trailer_value), 0};

		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		assert(nghttp2_submit_trailer(ng, id, &nv, 1) == 0);
	}
	return (ssize_t)n;
}

static inline void kit2_answer(struct kit2_conn *c, struct kit2_stream *s, const char *status,
			       const char *name, const char *value)
{
	nghttp2_nv nv[] = {
		{(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t)status, 7, 3, 0},
		{(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0},
	};
	nghttp2_data_provider body = {.source.ptr = s, .read_callback = kit2_read};

	assert(nghttp2_submit_response(c->ng, s->id, nv, 2,
				       s->answer || s->trailer_name ? &body : NULL) == 0);
}

static inline void kit2_text(struct kit2_conn *c, struct kit2_stream *s, const char *text, size_t len)
{
	s->answer = text;
	s->answer_len = len;
	kit2_answer(c, s, "200", "content-type", "text/plain");
}

static inline void kit2_act(struct kit2_conn *c, struct kit2_stream *s)
{
	nghttp2_nv hint = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "103", 7, 3, 0};
	bool is_first = strstr(s->path, "-once") && atomic_fetch_add(&c->server->once, 1) == 0;
	const char *p = s->path;

	if (strstr(p, "-once") && !is_first)
		p = "/ok";
	if (strncmp(p, "/echo", 5) == 0) {
		kit2_text(c, s, (const char *)s->body.ptr, s->body.len);
	} else if (strncmp(p, "/grpc", 5) == 0) {
		s->trailer_name = "grpc-status";
		s->trailer_value = p[5] == '9' ? "9" : "0";
		kit2_answer(c, s, "200", "content-type", "application/grpc");
	} else if (strncmp(p, "/only", 5) == 0) {
		kit2_answer(c, s, "200", "grpc-status", "9");
	} else if (strncmp(p, "/reset", 6) == 0) {
		(void)nghttp2_submit_rst_stream(c->ng, 0, s->id, NGHTTP2_ENHANCE_YOUR_CALM);
	} else if (strncmp(p, "/refuse", 7) == 0) {
		(void)nghttp2_submit_rst_stream(c->ng, 0, s->id, NGHTTP2_REFUSED_STREAM);
	} else if (strncmp(p, "/goaway", 7) == 0) {
		(void)nghttp2_submit_goaway(c->ng, 0, MAX(s->id - 2, 0), NGHTTP2_NO_ERROR, NULL, 0);
	} else if (strncmp(p, "/last", 5) == 0) {
		kit2_text(c, s, "last", 4);
		(void)nghttp2_submit_goaway(c->ng, 0, s->id, NGHTTP2_NO_ERROR, NULL, 0);
	} else if (strncmp(p, "/close", 6) == 0) {
		c->closes = true;
	} else if (strncmp(p, "/half", 5) == 0) {
		s->has_more = c->closes = true;
		kit2_text(c, s, "half", 4);
	} else if (strncmp(p, "/hint", 5) == 0) {
		assert(nghttp2_submit_headers(c->ng, 0, s->id, NULL, &hint, 1, NULL) == 0);
		kit2_text(c, s, "after", 5);
	} else if (strncmp(p, "/big", 4) == 0) {
		kit2_text(c, s, c->server->big, KIT2_BIG_BYTES);
	} else if (strncmp(p, "/both", 5) == 0 && !c->waiting) {
		c->waiting = s;
	} else if (strncmp(p, "/both", 5) == 0) {
		kit2_text(c, s, "b", 1);
		kit2_text(c, c->waiting, "b", 1);
	} else if (strncmp(p, "/hang", 5) != 0) {
		kit2_text(c, s, "hello", 5);
	}
}

static inline struct kit2_stream *kit2_stream(struct kit2_conn *c, int32_t id)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->streams[i]->id == id)
			return c->streams[i];
	assert(c->count < KIT2_STREAMS);
	c->streams[c->count] = calloc(1, sizeof(struct kit2_stream));
	assert(c->streams[c->count]);
	c->streams[c->count]->id = id;
	return c->streams[c->count++];
}

static inline int kit2_field(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
			     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			     void *ctx)
{
	struct kit2_stream *s = kit2_stream(ctx, frame->hd.stream_id);

	(void)ng;
	(void)flags;
	if (span_eq(span_of(name, name_len), SPAN_LIT(":path")))
		(void)snprintf(s->path, sizeof(s->path), "%.*s", (int)value_len, (const char *)value);
	buf_add(&s->text, name, name_len);
	buf_add_str(&s->text, ": ");
	buf_add(&s->text, value, value_len);
	buf_add_str(&s->text, "\n");
	return 0;
}

static inline int kit2_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
			    size_t len, void *ctx)
{
	struct kit2_stream *s = kit2_stream(ctx, id);

	(void)ng;
	(void)flags;
	buf_add(&s->body, data, len);
	if (len < 1000) {
		buf_add_str(&s->text, "(");
		buf_add(&s->text, data, len);
		buf_add_str(&s->text, ")\n");
	}
	return 0;
}

static inline int kit2_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct kit2_conn *c = ctx;
	bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	struct kit2_stream *s;

	(void)ng;
	if (!is_message || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s = kit2_stream(c, frame->hd.stream_id);
	(void)pthread_mutex_lock(&c->server->mutex);
	if (strlen(c->server->log) + s->text.len + 2 < sizeof(c->server->log))
		(void)strcat(strcat(c->server->log, buf_cstr(&s->text)), "\n");
	(void)pthread_mutex_unlock(&c->server->mutex);
	kit2_act(c, s);
	return 0;
}

static inline bool kit2_flush(struct kit2_conn *c)
{
	const uint8_t *bytes;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->ng, &bytes)) > 0) {
		for (ssize_t at = 0, sent; at < n; at += sent) {
			sent = send(c->fd, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
			if (sent <= 0)
				return false;
		}
	}
	return n == 0 && !c->closes;
}

static inline void kit2_session(struct kit2_conn *c)
{
	nghttp2_session_callbacks *on;
	nghttp2_settings_entry limit = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->server->streams_max};

	assert(nghttp2_session_callbacks_new(&on) == 0);
	nghttp2_session_callbacks_set_on_header_callback(on, kit2_field);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(on, kit2_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(on, kit2_frame);
	assert(nghttp2_session_server_new(&c->ng, on, c) == 0);
	nghttp2_session_callbacks_del(on);
	assert(nghttp2_submit_settings(c->ng, 0, &limit, c->server->streams_max ? 1 : 0) == 0);
}

static inline void *kit2_work(void *arg)
{
	struct kit2_conn *c = arg;
	uint8_t bytes[16384];
	ssize_t n;

	kit2_session(c);
	while (kit2_flush(c) && (n = recv(c->fd, bytes, sizeof(bytes), 0)) > 0)
		if (nghttp2_session_mem_recv(c->ng, bytes, (size_t)n) < 0)
			break;
	nghttp2_session_del(c->ng);
	/* closing with octets unread would be a reset (RFC 9112 9.6 knows the trouble) */
	(void)shutdown(c->fd, SHUT_WR);
	while (recv(c->fd, bytes, sizeof(bytes), 0) > 0)
		;
	(void)close(c->fd);
	for (size_t i = 0; i < c->count; i++) {
		buf_fini(&c->streams[i]->text);
		buf_fini(&c->streams[i]->body);
		free(c->streams[i]);
	}
	free(c);
	return NULL;
}

static inline void *kit2_accept(void *arg)
{
	struct kit2_server *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct kit2_conn *c = calloc(1, sizeof(*c));

		assert(c && s->worker_count < KIT_CONNECTIONS);
		c->server = s;
		c->fd = fd;
		atomic_fetch_add(&s->connections, 1);
		assert(pthread_create(&s->workers[s->worker_count++], NULL, kit2_work, c) == 0);
	}
	return NULL;
}

static inline struct kit2_server *kit2_start(uint32_t streams_max)
{
	struct kit2_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	assert(s);
	s->streams_max = streams_max;
	s->big = malloc(KIT2_BIG_BYTES);
	assert(s->big);
	memset(s->big, 'x', KIT2_BIG_BYTES);
	(void)pthread_mutex_init(&s->mutex, NULL);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->fd, 64) == 0);
	assert(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
	s->port = ntohs(a.sin_port);
	assert(pthread_create(&s->thread, NULL, kit2_accept, s) == 0);
	return s;
}

static inline void kit2_stop(struct kit2_server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->worker_count; i++)
		(void)pthread_join(s->workers[i], NULL);
	(void)close(s->fd);
	(void)pthread_mutex_destroy(&s->mutex);
	free(s->big);
	free(s);
}
