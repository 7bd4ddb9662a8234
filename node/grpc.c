// SPDX-License-Identifier: Apache-2.0
#include "node/grpc.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"

/*
 * Theory of operation. gRPC over HTTP/2 (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md): a POST whose body is
 * one message behind five octets, a flag for compression, which we do not offer, and its length; the
 * status comes in the trailers. nghttp2 makes and reads the frames (RFC 9113); here are the socket, which
 * does not block, and the deadline.
 *
 *	connect ─► preface, SETTINGS ─► call: HEADERS, DATA ─► poll: send, receive ... ─► stream closed
 *
 * One stream at a time. Whatever goes wrong on the way ends the connection; the next call makes a new one.
 */
#define PREFIX_BYTES 5
#define READ_BYTES   16384
#define WINDOW_BYTES (1 << 20)

struct grpc {
	struct sockaddr_un address;
	int fd; /* -1: not connected */
	nghttp2_session *session;
	/* the call under way */
	struct span unsent;
	struct buf prefixed; /* the request with its prefix */
	struct buf *answer;
	char message[256]; /* grpc-message */
	int status;	   /* grpc-status; -1 none yet */
	int http_status;
	bool is_closed, is_too_long;
};

struct grpc *grpc_new(const char *socket_path)
{
	struct grpc *g =
		strlen(socket_path) < sizeof(g->address.sun_path) ? calloc(1, sizeof(*g)) : NULL;

	if (!g)
		return NULL;
	g->fd = -1;
	g->address.sun_family = AF_UNIX;
	(void)snprintf(g->address.sun_path, sizeof(g->address.sun_path), "%s", socket_path);
	return g;
}

static void disconnect(struct grpc *g)
{
	nghttp2_session_del(g->session);
	g->session = NULL;
	if (g->fd >= 0)
		(void)close(g->fd);
	g->fd = -1;
}

void grpc_free(struct grpc *g)
{
	if (!g)
		return;
	disconnect(g);
	buf_fini(&g->prefixed);
	free(g);
}

/* --- what nghttp2 calls --- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *ctx)
{
	struct grpc *g = ctx;
	struct span is = span_of(name, name_len);
	char number[8] = "";

	(void)session;
	(void)frame;
	(void)flags;
	if (value_len < sizeof(number))
		memcpy(number, value, value_len);
	if (span_eq(is, SPAN_LIT("grpc-status")))
		g->status = atoi(number);
	else if (span_eq(is, SPAN_LIT(":status")))
		g->http_status = atoi(number);
	else if (span_eq(is, SPAN_LIT("grpc-message")))
		(void)snprintf(g->message, sizeof(g->message), "%.*s",
			       (int)MIN(value_len, sizeof(g->message) - 1), (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t len, void *ctx)
{
	struct grpc *g = ctx;

	(void)session;
	(void)flags;
	(void)stream;
	if (g->answer->len + len > GRPC_ANSWER_MAX + PREFIX_BYTES) {
		g->is_too_long = true;
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	buf_add(g->answer, bytes, len);
	return g->answer->is_failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *ctx)
{
	struct grpc *g = ctx;

	(void)session;
	(void)stream;
	(void)code;
	g->is_closed = true;
	return 0;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *bytes, size_t len, int flags,
		       void *ctx)
{
	struct grpc *g = ctx;
	ssize_t n = send(g->fd, bytes, len, MSG_NOSIGNAL);

	(void)session;
	(void)flags;
	if (n >= 0)
		return n;
	return errno == EAGAIN ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static ssize_t give_request(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room,
			    uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct grpc *g = ctx;
	size_t n = MIN(room, g->unsent.len);

	(void)session;
	(void)stream;
	(void)source;
	memcpy(out, g->unsent.ptr, n);
	g->unsent = span_from(g->unsent, n);
	if (g->unsent.len == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* --- the connection --- */

static int new_session(struct grpc *g)
{
	const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES};
	nghttp2_session_callbacks *calls;
	int failed;

	if (nghttp2_session_callbacks_new(&calls) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_send_callback(calls, on_send);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
	failed = nghttp2_session_client_new(&g->session, calls, g);
	nghttp2_session_callbacks_del(calls);
	if (failed == 0)
		failed = nghttp2_submit_settings(g->session, NGHTTP2_FLAG_NONE, &window, 1);
	return failed ? -ENOMEM : 0;
}

static int connect_it(struct grpc *g, struct err *e)
{
	int failed;

	g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->fd < 0 ||
	    connect(g->fd, (const struct sockaddr *)&g->address, sizeof(g->address)) < 0)
		failed = err_set(e, -errno, "%s: %s", g->address.sun_path, strerror(errno));
	else
		failed = new_session(g) < 0
				 ? err_set(e, -ENOMEM, "%s: out of memory", g->address.sun_path)
				 : 0;
	if (failed < 0)
		disconnect(g);
	return failed;
}

static int receive(struct grpc *g)
{
	uint8_t bytes[READ_BYTES];
	ssize_t n = recv(g->fd, bytes, sizeof(bytes), 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	return nghttp2_session_mem_recv(g->session, bytes, (size_t)n) < 0 ? -EPROTO : 0;
}

static int wait_for(const struct grpc *g, uint64_t until_ns)
{
	uint64_t now_ns = clock_mono_ns();
	struct pollfd p = {.fd = g->fd, .events = POLLIN};

	if (now_ns >= until_ns)
		return -ETIMEDOUT;
	if (nghttp2_session_want_write(g->session))
		p.events |= POLLOUT;
	return poll(&p, 1, (int)((until_ns - now_ns) / NS_PER_MS + 1)) < 0 && errno != EINTR
		       ? -errno
		       : 0;
}

static int exchange(struct grpc *g, uint64_t until_ns)
{
	int failed = nghttp2_session_send(g->session) == 0 ? 0 : -ECONNRESET;

	while (failed == 0 && !g->is_closed) {
		failed = wait_for(g, until_ns);
		if (failed == 0)
			failed = receive(g);
		if (failed == 0 && nghttp2_session_send(g->session) != 0)
			failed = -ECONNRESET;
	}
	return g->is_too_long ? -E2BIG : failed;
}

/* --- the call --- */

#define HEADER(n, v)                                                                               \
	{                                                                                          \
		(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v),        \
			NGHTTP2_NV_FLAG_NONE                                                       \
	}

static int submit(struct grpc *g, const char *method, struct span request)
{
	const nghttp2_nv headers[] = {
		HEADER(":method", "POST"),
		HEADER(":scheme", "http"),
		HEADER(":path", method),
		HEADER(":authority", "localhost"),
		HEADER("te", "trailers"),
		HEADER("content-type", "application/grpc"),
		HEADER("user-agent", "tapeloopd/" TAPELOOP_VERSION),
	};
	const uint8_t prefix[PREFIX_BYTES] = {0, (uint8_t)(request.len >> 24),
					      (uint8_t)(request.len >> 16),
					      (uint8_t)(request.len >> 8), (uint8_t)request.len};
	const nghttp2_data_provider body = {.read_callback = give_request};

	buf_clear(&g->prefixed);
	buf_add(&g->prefixed, prefix, sizeof(prefix));
	buf_add_span(&g->prefixed, request);
	if (g->prefixed.is_failed)
		return -ENOMEM;
	g->unsent = buf_span(&g->prefixed);
	g->status = -1;
	g->http_status = 0;
	g->message[0] = '\0';
	g->is_closed = g->is_too_long = false;
	return nghttp2_submit_request(g->session, NULL, headers, COUNT_OF(headers), &body, NULL) < 0
		       ? -EPROTO
		       : 0;
}

/* The message without its prefix. */
static int unwrap(struct grpc *g, struct err *e)
{
	const uint8_t *p = g->answer->ptr;
	size_t len;

	if (g->status > 0)
		return err_set(e, -EREMOTEIO, "%s: status %d: %s", g->address.sun_path, g->status,
			       g->message);
	len = g->answer->len < PREFIX_BYTES
		      ? 0
		      : ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4]);
	if (g->status < 0 || g->answer->len < PREFIX_BYTES || p[0] != 0 ||
	    len != g->answer->len - PREFIX_BYTES)
		return err_set(e, -EPROTO, "%s: no gRPC answer (HTTP status %d)",
			       g->address.sun_path, g->http_status);
	memmove(g->answer->ptr, p + PREFIX_BYTES, len);
	g->answer->len = len;
	return 0;
}

int grpc_call(struct grpc *g, const char *method, struct span request, uint64_t timeout_ns,
	      struct buf *answer, int *status_out, struct err *e)
{
	uint64_t until_ns = clock_mono_ns() + timeout_ns;
	int failed = g->session ? 0 : connect_it(g, e);

	if (status_out)
		*status_out = -1;
	if (failed < 0)
		return failed;
	buf_clear(answer);
	g->answer = answer;
	failed = submit(g, method, request);
	if (failed == 0)
		failed = exchange(g, until_ns);
	g->answer = NULL;
	if (failed < 0) {
		disconnect(g);
		return err_set(e, failed, "%s: %s: %s", g->address.sun_path, method,
			       strerror(-failed));
	}
	g->answer = answer;
	failed = unwrap(g, e);
	g->answer = NULL;
	if (status_out)
		*status_out = g->status;
	return failed;
}
