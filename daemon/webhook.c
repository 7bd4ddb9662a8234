// SPDX-License-Identifier: Apache-2.0
#include "daemon/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http-api/listen.h"
#include "kube/admission.h"
#include "lib/log.h"

/*
 * Theory of operation. The API server asks for each new pod of the namespaces that take part, and
 * waits a few seconds at most (timeoutSeconds), so an answer is made in the thread that read the
 * question, from what the question holds. There are two listeners: HTTPS for /mutate, plain HTTP for
 * probes and scrapers, which tell how many were decided and how.
 *
 * libmicrohttpd takes a certificate when it starts. When the files change (cert-manager, a Secret
 * that was rotated) a second server is started on the same socket before the first one ends, so no
 * question meets a closed door.
 *
 * A review longer than ADMISSION_BYTES_MAX is refused before it is read whole.
 */
#define THREADS	       2
#define CLIENTS_MAX    64
#define IDLE_TIMEOUT_S 30
#define PEM_MAX	       ((size_t)256 << 10)
#define MUTATE_PATH    "/mutate"

/* What became of a review, beside the decisions. */
enum refusal { REFUSAL_MALFORMED, REFUSAL_TOO_LONG, REFUSAL_FAILED, REFUSAL_COUNT };
static const char *const refusal_names[REFUSAL_COUNT] = {"malformed", "too_long", "failed"};

struct webhook {
	struct admission_config admission;
	const struct settings *settings; /* borrowed */
	struct MHD_Daemon *https, *status;
	int fd; /* ours; each server has a copy */
	char address[LISTEN_ADDRESS_MAX], status_address[LISTEN_ADDRESS_MAX];
	struct buf cert, key; /* PEM in use, with a NUL */
	_Atomic uint64_t decided[INJECTION_COUNT], refused[REFUSAL_COUNT];
};

/* One question. */
struct question {
	struct buf body;
	bool is_too_long;
};

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type,
			     struct buf *text)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(text->len, text->ptr, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *why)
{
	AUTO_BUF text = {0};

	buf_add_fmt(&text, "%s\n", why);
	return reply(c, status, "text/plain; charset=utf-8", &text);
}

/* ---- /mutate. Thread: libmicrohttpd's ---- */

static enum refusal refusal_of(int failed)
{
	return failed == -EBADMSG ? REFUSAL_MALFORMED
	       : failed == -E2BIG ? REFUSAL_TOO_LONG
				  : REFUSAL_FAILED;
}

static enum MHD_Result answer(struct webhook *w, struct MHD_Connection *c, struct question *q)
{
	static const unsigned statuses[REFUSAL_COUNT] = {
		MHD_HTTP_BAD_REQUEST, MHD_HTTP_CONTENT_TOO_LARGE, MHD_HTTP_INTERNAL_SERVER_ERROR};
	enum injection why = INJECTION_NOT_A_POD;
	AUTO_BUF text = {0};
	struct err e = {0};
	int failed = q->is_too_long
			     ? err_set(&e, -E2BIG, "longer than %zu bytes", ADMISSION_BYTES_MAX)
		     : q->body.is_failed
			     ? err_set(&e, -ENOMEM, "out of memory")
			     : admission_answer(&w->admission, buf_span(&q->body), &text, &why, &e);

	if (failed == 0) {
		atomic_fetch_add(&w->decided[why], 1);
		log_debug("webhook", "a pod: %s", injection_rows[why].what);
		return reply(c, MHD_HTTP_OK, "application/json", &text);
	}
	atomic_fetch_add(&w->refused[refusal_of(failed)], 1);
	log_warn("webhook", "a review is refused: %s", e.why);
	return say(c, statuses[refusal_of(failed)], e.why);
}

static void take_body(struct question *q, const char *bytes, size_t n)
{
	if (q->body.len + n > ADMISSION_BYTES_MAX)
		q->is_too_long = true;
	if (q->is_too_long)
		buf_fini(&q->body);
	else
		buf_add(&q->body, bytes, n);
}

static bool is_announced_too_long(struct MHD_Connection *c)
{
	const char *text =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text && strtoull(text, NULL, 10) > ADMISSION_BYTES_MAX;
}

static enum MHD_Result on_review(void *ctx, struct MHD_Connection *c, const char *url,
				 const char *method, const char *version, const char *upload,
				 size_t *upload_bytes, void **con_cls)
{
	struct question *q = *con_cls;

	(void)version;
	if (!q) {
		*con_cls = q = calloc(1, sizeof(*q));
		if (q)
			q->is_too_long = is_announced_too_long(c);
		return q ? MHD_YES : MHD_NO;
	}
	if (*upload_bytes) {
		take_body(q, upload, *upload_bytes);
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(url, MUTATE_PATH) != 0)
		return say(c, MHD_HTTP_NOT_FOUND, "only " MUTATE_PATH " is here");
	if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only POST");
	return answer(ctx, c, q);
}

static void on_done(void *ctx, struct MHD_Connection *c, void **con_cls,
		    enum MHD_RequestTerminationCode how)
{
	struct question *q = *con_cls;

	(void)ctx, (void)c, (void)how;
	if (q)
		buf_fini(&q->body);
	free(q);
	*con_cls = NULL;
}

/* ---- probes and scrapers. Thread: libmicrohttpd's ---- */

static void write_metrics(struct webhook *w, struct buf *out)
{
	static const char head[] =
		"# HELP tapeloop_webhook_reviews_total Admission reviews, by what became of them.\n"
		"# TYPE tapeloop_webhook_reviews_total counter\n";

	buf_add_str(out, head);
	for (size_t i = 0; i < INJECTION_COUNT; i++)
		buf_add_fmt(out, "tapeloop_webhook_reviews_total{reason=\"%s\"} %" PRIu64 "\n",
			    injection_rows[i].name, atomic_load(&w->decided[i]));
	for (size_t i = 0; i < REFUSAL_COUNT; i++)
		buf_add_fmt(out, "tapeloop_webhook_reviews_total{reason=\"%s\"} %" PRIu64 "\n",
			    refusal_names[i], atomic_load(&w->refused[i]));
}

static enum MHD_Result on_status(void *ctx, struct MHD_Connection *c, const char *url,
				 const char *method, const char *version, const char *upload,
				 size_t *upload_bytes, void **con_cls)
{
	AUTO_BUF text = {0};

	(void)method, (void)version, (void)upload, (void)con_cls;
	*upload_bytes = 0;
	if (strcmp(url, "/metrics") == 0) {
		write_metrics(ctx, &text);
		return reply(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
	}
	if (strcmp(url, "/healthz") == 0 || strcmp(url, "/readyz") == 0)
		return say(c, MHD_HTTP_OK, "ok");
	return say(c, MHD_HTTP_NOT_FOUND, "only /healthz, /readyz and /metrics are here");
}

/* ---- start, renew, stop ---- */

static int read_pem(const char *setting, const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return err_set(e, -errno, "%s %s: %s", setting, path, strerror(errno));
	while (out->len < PEM_MAX && buf_reserve(out, 4096) &&
	       (n = read(fd, out->ptr + out->len, 4096)) > 0)
		out->len += (size_t)n;
	(void)close(fd);
	buf_add_char(out, '\0');
	return n == 0 && !out->is_failed
		       ? 0
		       : err_set(e, -EIO, "%s %s: cannot be read whole", setting, path);
}

static int read_pair(const struct settings *s, struct buf *cert, struct buf *key, struct err *e)
{
	int failed = read_pem("webhook.cert", s->webhook_cert, cert, e);

	return failed < 0 ? failed : read_pem("webhook.key", s->webhook_key, key, e);
}

static void on_log(void *ctx, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_log(void *ctx, const char *fmt, va_list ap)
{
	char line[256];

	(void)ctx;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("webhook", "libmicrohttpd: %s", line);
}

/* a server of its own on a copy of our socket */
static struct MHD_Daemon *serve(struct webhook *w, const struct buf *cert, const struct buf *key)
{
	int fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
	struct MHD_Daemon *d = NULL;

	if (fd >= 0)
		d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_USE_ITC |
					     MHD_USE_ERROR_LOG,
				     0, NULL, NULL, on_review, w, MHD_OPTION_EXTERNAL_LOGGER,
				     on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_HTTPS_MEM_CERT, (const char *)cert->ptr,
				     MHD_OPTION_HTTPS_MEM_KEY, (const char *)key->ptr,
				     MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
				     MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
	if (!d && fd >= 0)
		(void)close(fd);
	return d;
}

static int start_https(struct webhook *w, struct err *e)
{
	const struct settings *s = w->settings;
	int failed = read_pair(s, &w->cert, &w->key, e);

	if (failed < 0)
		return failed;
	w->fd = listen_anywhere("webhook.listen", s->webhook_listen, w->address, e);
	if (w->fd < 0)
		return w->fd;
	w->https = serve(w, &w->cert, &w->key);
	return w->https ? 0
			: err_set(e, -EINVAL, "webhook.cert %s, webhook.key %s: no such pair",
				  s->webhook_cert, s->webhook_key);
}

static int start_status(struct webhook *w, struct err *e)
{
	int fd;

	if (!*w->settings->api_status_listen)
		return 0;
	fd = listen_anywhere("api.status_listen", w->settings->api_status_listen, w->status_address,
			     e);
	if (fd < 0)
		return fd;
	w->status = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL,
				     NULL, on_status, w, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned)CLIENTS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_END);
	if (w->status)
		return 0;
	(void)close(fd);
	return err_set(e, -EIO, "api.status_listen: libmicrohttpd does not start");
}

int webhook_start(const struct settings *s, struct webhook **w_out, struct err *e)
{
	struct webhook *w = calloc(1, sizeof(*w));
	int failed;

	if (!w)
		return err_set(e, -ENOMEM, "webhook: out of memory");
	w->settings = s;
	w->fd = -1;
	w->admission = (struct admission_config){
		.image = s->webhook_image,
		.pull_policy = s->webhook_pull_policy,
		.memory_limit = s->webhook_memory_limit,
		.settings = s->webhook_settings,
		.handover = s->webhook_handover,
		.own_namespace = s->webhook_own_namespace,
		.is_native = s->webhook_native,
	};
	failed = *s->webhook_image
			 ? start_https(w, e)
			 : err_set(e, -EINVAL, "webhook.image: which image is the sidecar's?");
	if (failed == 0)
		failed = start_status(w, e);
	if (failed < 0) {
		webhook_stop(w);
		return failed;
	}
	*w_out = w;
	return 0;
}

void webhook_stop(struct webhook *w)
{
	if (!w)
		return;
	if (w->https)
		MHD_stop_daemon(w->https);
	if (w->status)
		MHD_stop_daemon(w->status);
	if (w->fd >= 0)
		(void)close(w->fd);
	buf_fini(&w->cert);
	buf_fini(&w->key);
	free(w);
}

const char *webhook_address(const struct webhook *w)
{
	return w->address;
}

const char *webhook_status_address(const struct webhook *w)
{
	return w->status_address;
}

static bool is_same(const struct buf *a, const struct buf *b)
{
	return span_eq(buf_span(a), buf_span(b));
}

static void take_pair(struct webhook *w, struct buf *cert, struct buf *key)
{
	const struct buf old_cert = w->cert, old_key = w->key;

	w->cert = *cert;
	w->key = *key;
	*cert = old_cert;
	*key = old_key;
}

/* End a server but not the socket: stopping it would shut down all copies. */
static void retire(struct MHD_Daemon *d)
{
	int fd = MHD_quiesce_daemon(d);

	MHD_stop_daemon(d);
	if (fd >= 0)
		(void)close(fd);
}

int webhook_renew(struct webhook *w, struct err *e)
{
	AUTO_BUF cert = {0};
	AUTO_BUF key = {0};
	struct MHD_Daemon *fresh;
	int failed = read_pair(w->settings, &cert, &key, e);

	if (failed < 0 || (is_same(&cert, &w->cert) && is_same(&key, &w->key)))
		return failed;
	fresh = serve(w, &cert, &key);
	if (!fresh)
		return err_set(e, -EINVAL, "webhook.cert %s, webhook.key %s: no such pair",
			       w->settings->webhook_cert, w->settings->webhook_key);
	retire(w->https);
	w->https = fresh;
	take_pair(w, &cert, &key);
	return 1;
}
