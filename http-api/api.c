// SPDX-License-Identifier: Apache-2.0
#include "http-api/api.h"

#include "http-api/access.h"
#include "http-api/certificate.h"
#include "http-api/listen.h"
#include "http-api/openapi.h"
#include "http-api/request.h"
#include "http-api/server.h"
#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Two listeners, a unix socket and TCP (perhaps under TLS), each with a few threads of
 * libmicrohttpd (its own epoll; its external loop stalls, and a thread for each connection halves
 * the rate). A third may listen where probes and scrapers come from: it answers what says nothing of what
 * was recorded, and nothing else. A question to the store is answered in the thread that read it: a slow one holds up
 * the connections of that thread, while new connections go to the others.
 *
 * A request passes: Host (TCP without tokens: a page of the web that had its name point here is
 * refused), length, route, method, token, parameters, access, handler. All answers are made in
 * http-api/request.c.
 *
 * libmicrohttpd logs in sentences of its own; they go to debug, because peers cause most of them.
 */

#define THREADS_EACH   2
#define IDLE_TIMEOUT_S 30
#define CONNECTION_MEMORY                                                                          \
	((size_t)16 << 10) /* holds the request line, the headers and the answer's */
#define QUERY_LIMIT_NS (5 * NS_PER_S)
#define CLIENTS_MAX    64

struct listener {
	struct MHD_Daemon *daemon;
	struct server *server;
	bool is_tcp;
	bool is_status; /* what anybody may know, and nothing else */
};

struct api {
	struct server server;
	struct listener unix_listener, tcp_listener, status_listener;
	struct listen_unix socket;
	char address[LISTEN_ADDRESS_MAX], status_address[LISTEN_ADDRESS_MAX];
	/* owned copies, which server.config points at */
	char *store_dir, *socket_path, *listen, *status_listen;
	struct certificate certificate;
	struct buf openapi;
};

/* ---- one request ---- */

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
	struct listener *l = ctx;
	struct request *q = request_new(l->server, uri);

	if (q) {
		q->connection = connection;
		q->is_tcp = l->is_tcp;
		q->is_status = l->is_status;
	}
	return q;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode how)
{
	(void)ctx, (void)connection, (void)how;
	request_free(*con_cls);
	*con_cls = NULL;
}

/* localhost, 127.0.0.1, [::1], with or without a port (RFC 9110 7.2) */
static bool is_host_ours(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; host && i < COUNT_OF(names); i++) {
		size_t n = strlen(names[i]);

		if (strncasecmp(host, names[i], n) == 0 && (!host[n] || host[n] == ':'))
			return strspn(host + n, ":0123456789") == strlen(host + n);
	}
	return false;
}

/* says nothing of what was recorded */
static bool is_open(const struct route *r)
{
	return r->answer == get_metrics || r->answer == get_health || r->answer == get_readiness;
}

static bool may_come_in(struct request *q, const char *method)
{
	const char *host =
		MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	q->is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	q->route = routes_find(q->path, &q->id);
	if (q->is_tcp && q->server->config.auth == API_AUTH_NONE && !is_host_ours(host))
		request_problem(q, MHD_HTTP_MISDIRECTED_REQUEST, NULL,
				"Host must be localhost, 127.0.0.1 or [::1]");
	else if (strlen(q->uri) > REQUEST_URI_MAX)
		request_problem(q, MHD_HTTP_URI_TOO_LONG, NULL, "longer than %d bytes",
				REQUEST_URI_MAX);
	else if (!q->route || (q->is_status && !is_open(q->route)))
		request_problem(q, MHD_HTTP_NOT_FOUND, NULL,
				q->is_status ? "only /healthz, /readyz and /metrics are here"
					     : "no such path; /openapi.json lists those there are");
	else if (!q->is_head && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		request_problem(q, MHD_HTTP_METHOD_NOT_ALLOWED, NULL, "only GET and HEAD");
	else
		return true;
	if (q->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		request_header(q, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	return false;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **con_cls)
{
	struct request *q = *con_cls;

	(void)ctx, (void)connection, (void)url, (void)version, (void)upload;
	if (!q)
		return MHD_NO;
	if (!q->has_begun) { /* the head alone: answering here would close the connection */
		q->has_begun = true;
		return MHD_YES;
	}
	if (*upload_bytes) {
		q->body_bytes += *upload_bytes;
		*upload_bytes = 0;
		return q->body_bytes > REQUEST_BODY_MAX ? MHD_NO : MHD_YES;
	}
	if (may_come_in(q, method) && access_has_token(q) &&
	    request_read_params(q, clock_wall_ns()) && access_admit(q))
		q->route->answer(q);
	return request_send(q) ? MHD_YES : MHD_NO;
}

static void on_log(void *ctx, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_log(void *ctx, const char *fmt, va_list ap)
{
	char line[256];

	(void)ctx;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("api", "libmicrohttpd: %s", line);
}

/* ---- listeners ---- */

/* TLS 1.2 and later, without what is broken in 1.2 */
#define TLS_PRIORITIES                                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"        \
	"+CHACHA20-POLY1305:-RSA:%SERVER_PRECEDENCE"

/* @certificate: NULL: without TLS */
static int start_listener(struct listener *l, struct server *s, int fd,
			  const struct certificate *certificate, struct err *e)
{
	unsigned clients = s->config.clients_max ? s->config.clients_max : CLIENTS_MAX;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, certificate ? certificate->cert.ptr : NULL},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, certificate ? certificate->key.ptr : NULL},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};

	l->server = s;
	l->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			(certificate ? MHD_USE_TLS : 0U),
		0, NULL, NULL, on_request, NULL,
		/* first, or what fails before it goes to stderr */
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS_EACH, MHD_OPTION_CONNECTION_LIMIT,
		MAX(clients, (unsigned)THREADS_EACH), MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, l, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
		NULL, MHD_OPTION_ARRAY, certificate ? tls : &tls[COUNT_OF(tls) - 1],
		MHD_OPTION_END);
	if (l->daemon)
		return 0;
	(void)close(fd);
	return err_set(e, -EIO, "api: libmicrohttpd does not start");
}

static int start_unix(struct api *a, struct err *e)
{
	int r;

	if (!a->socket_path[0])
		return 0;
	r = listen_unix(a->socket_path, &a->socket, e);
	return r < 0 ? r : start_listener(&a->unix_listener, &a->server, a->socket.fd, NULL, e);
}

static int start_tcp(struct api *a, struct err *e)
{
	const struct api_config *c = &a->server.config;
	bool has_tls = c->tls_cert && *c->tls_cert;
	int fd, r = 0;

	if (!a->listen[0])
		return 0;
	if (has_tls)
		r = certificate_load(c->tls_cert, c->tls_key ? c->tls_key : "", &a->certificate, e);
	if (r < 0)
		return r;
	fd = listen_tcp(a->listen, has_tls && c->auth != API_AUTH_NONE, a->address, e);
	if (fd < 0)
		return fd;
	a->tcp_listener.is_tcp = true;
	return start_listener(&a->tcp_listener, &a->server, fd, has_tls ? &a->certificate : NULL,
			      e);
}

static int start_status(struct api *a, struct err *e)
{
	int fd;

	if (!a->status_listen[0])
		return 0;
	fd = listen_anywhere("api.status_listen", a->status_listen, a->status_address, e);
	a->status_listener.is_status = true;
	return fd < 0 ? fd : start_listener(&a->status_listener, &a->server, fd, NULL, e);
}

/* ---- start and stop ---- */

static int set_up(struct api *a, const struct api_config *config, struct err *e)
{
	struct server *s = &a->server;

	a->socket.fd = -1;
	a->store_dir = strdup(config->store_dir);
	a->socket_path = strdup(config->socket_path ? config->socket_path : "");
	a->listen = strdup(config->listen ? config->listen : "");
	a->status_listen = strdup(config->status_listen ? config->status_listen : "");
	if (!a->store_dir || !a->socket_path || !a->listen || !a->status_listen)
		return err_set(e, -ENOMEM, "api: out of memory");
	s->config = *config;
	s->config.store_dir = a->store_dir;
	s->config.socket_path = a->socket_path;
	s->config.listen = a->listen;
	s->config.status_listen = a->status_listen;
	s->readers = readers_new(a->store_dir,
				 config->query_limit_ns ? config->query_limit_ns : QUERY_LIMIT_NS);
	s->stream = s->readers ? stream_hub_new(s->readers) : NULL;
	if (!s->stream)
		return err_set(e, -ENOMEM, "api: out of memory");
	return access_new(&s->config, &s->access, e);
}

int api_auth_parse(const char *name)
{
	static const char *const names[] = {"none", "kubernetes", "token-file"};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

int api_start(const struct api_config *config, struct api **a_out, struct err *e)
{
	struct api *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_set(e, -ENOMEM, "api: out of memory");
	r = set_up(a, config, e);
	if (r == 0)
		r = openapi_json(&a->openapi, e);
	a->server.openapi = (const char *)a->openapi.ptr;
	a->server.openapi_bytes = a->openapi.len;
	if (r == 0)
		r = start_unix(a, e);
	if (r == 0)
		r = start_tcp(a, e);
	if (r == 0)
		r = start_status(a, e);
	if (r < 0) {
		api_stop(a);
		return r;
	}
	*a_out = a;
	return 0;
}

void api_stop(struct api *a)
{
	if (!a)
		return;
	if (a->server.stream)
		stream_hub_stop(a->server.stream);
	if (a->unix_listener.daemon)
		MHD_stop_daemon(a->unix_listener.daemon);
	if (a->tcp_listener.daemon)
		MHD_stop_daemon(a->tcp_listener.daemon);
	if (a->status_listener.daemon)
		MHD_stop_daemon(a->status_listener.daemon);
	if (a->socket.fd >= 0)
		listen_unix_remove(a->socket_path, &a->socket);
	stream_hub_free(a->server.stream);
	readers_free(a->server.readers);
	access_free(a->server.access);
	certificate_fini(&a->certificate);
	buf_fini(&a->openapi);
	free(a->store_dir);
	free(a->socket_path);
	free(a->listen);
	free(a->status_listen);
	free(a);
}

void api_committed(struct api *a, const uint64_t *ids, size_t count)
{
	stream_hub_publish(a->server.stream, ids, count);
}

const char *api_address(const struct api *a)
{
	return a->address;
}

const char *api_status_address(const struct api *a)
{
	return a->status_address;
}
