// SPDX-License-Identifier: Apache-2.0
/*
 * client.h - one API server of Kubernetes: requests, answers, streams
 *
 * Two ways: the verbs (kube_get() and so on) wait for the answer; kube_call() starts a request whose
 * bytes and end come as callbacks from kube_client_run(), so that one thread may watch many things.
 * Paths are the API's own: "/api/v1/namespaces/shop/pods?limit=500"; those of the service proxy are
 * like any other. Proxies, TLS and credentials are as kube/config.h says.
 *
 * Thread: a client belongs to one; kube_client_wake() and kube_client_stop() from any.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"

struct kube_client;
struct kube_config;

#define KUBE_ANSWER_MAX (64 << 20) /* octets of an answer that is collected */

/* kube_client_new() - takes @config, in any case; connects to nobody yet. @e: -EIO no libcurl; -EINVAL
 * credentials that cannot be; -ENOMEM. */
int kube_client_new(struct kube_config *config_taken, struct kube_client **out,
		    struct err *e) MUST_USE;
/* calls that go on end without a callback; accepts NULL */
void kube_client_free(struct kube_client *c);
AUTO_DEFINE(kube_client, kube_client_free)
const struct kube_config *kube_client_config(const struct kube_client *c);
/*
 * kube_client_token() - the token that we show, refreshed; NULL when it is a certificate or a password
 * that says who we are. Lives until the next request.
 */
int kube_client_token(struct kube_client *c, const char **out, struct err *e) MUST_USE;
uint64_t kube_client_token_reads(const struct kube_client *c); /* how often credentials were read */

/* ---- waiting for an answer ---- */

/* What a server said. Zero it before the first use, kube_answer_fini() it in any case. */
struct kube_answer {
	long status;		 /* HTTP; 0: there was no answer */
	uint64_t retry_after_ms; /* it asked to be left alone for so long; 0: it did not */
	struct buf body;	 /* of what is no 2xx: its beginning */
};
void kube_answer_fini(struct kube_answer *a);

struct kube_request {
	const char *method;	    /* NULL: GET */
	const char *path;	    /* with its query; begins with a slash */
	const char *content_type;   /* of the body; NULL: application/json */
	const char *accept;	    /* NULL: application/json */
	const char *const *headers; /* further lines, up to NULL; may be NULL */
	struct span body;
	/* of the answer, each line; NULL: not wanted */
	void (*header)(void *ctx, struct span line);
	size_t answer_max;   /* octets; 0: KUBE_ANSWER_MAX */
	uint64_t timeout_ms; /* for all of it; 0: 30 s, none for streams */
	bool is_connection;  /* for kube_connect() */
};

/**
 * kube_fetch() - ask, and collect the answer
 * @a: cleared first; also of a failure: .status tells
 * @e: "GET https://10.96.0.1/api/v1/pods: 403: what the server's Status says"
 *
 * A token that is refused (401) is read again and the request made once more.
 *
 * Return: 0 for a 2xx; 400, 422 -EINVAL; 401 -EACCES; 403 -EPERM; 404 -ENOENT; 409 -EEXIST; 410
 * -ESTALE; 429 -EAGAIN; 503 -EAGAIN; 504 -ETIMEDOUT; other statuses -EPROTO. -ECONNREFUSED,
 * -EHOSTUNREACH, -ETIMEDOUT, -ECONNRESET nobody answered; -EKEYREJECTED a certificate is not
 * trusted; -E2BIG; -ECANCELED kube_client_stop().
 */
int kube_fetch(struct kube_client *c, const struct kube_request *q, struct kube_answer *a,
	       struct err *e) MUST_USE;

/* The verbs: as kube_fetch(), with JSON. *@out (may be NULL) is the caller's, to be json_decref()ed. */
int kube_get(struct kube_client *c, const char *path, json_t **out, struct err *e) MUST_USE;
int kube_create(struct kube_client *c, const char *path, const json_t *object, json_t **out,
		struct err *e) MUST_USE;
/* @type: "application/merge-patch+json", "application/json-patch+json", ... */
int kube_patch(struct kube_client *c, const char *path, const char *type, const json_t *patch,
	       json_t **out, struct err *e) MUST_USE;
int kube_put(struct kube_client *c, const char *path, const json_t *object, json_t **out,
	     struct err *e) MUST_USE;
int kube_delete(struct kube_client *c, const char *path, json_t **out, struct err *e) MUST_USE;

/* ---- streams ---- */

/* The next octets of a 2xx answer. Return: 0 to go on; else the call ends with it. */
typedef int kube_data_fn(void *ctx, struct span bytes);
/* kube_lines_fn - a line without its end; borrowed */
typedef int kube_line_fn(void *ctx, struct span line);

/* kube_stream() - like kube_fetch(), but a 2xx answer's octets go to @fn as they come. Return: also what @fn returned. */
int kube_stream(struct kube_client *c, const struct kube_request *q, kube_data_fn *fn, void *ctx,
		struct kube_answer *a, struct err *e) MUST_USE;
/* kube_watch() - a stream of JSON lines, until its end. A line longer than 4 MiB: -E2BIG. */
int kube_watch(struct kube_client *c, const char *path, kube_line_fn *fn, void *ctx,
	       struct err *e) MUST_USE;

/* ---- many at once ---- */

struct kube_call;
/* @result: 0 or as kube_fetch() returns; @a and @e are borrowed. The call is gone afterwards. */
typedef void kube_done_fn(void *ctx, int result, struct kube_answer *a, const struct err *e);

/**
 * kube_call() - begin a request
 * @q:    copied, its body too
 * @data: octets of a 2xx answer as they come; NULL: collected in the answer
 *
 * The callbacks are called from kube_client_run(). @done may begin and cancel calls, @data must not.
 */
int kube_call(struct kube_client *c, const struct kube_request *q, kube_data_fn *data,
	      kube_done_fn *done, void *ctx, struct kube_call **out, struct err *e) MUST_USE;
void kube_call_cancel(struct kube_call *call); /* without callback; accepts NULL */

/**
 * kube_client_run() - wait for whatever comes, and hand it out
 * @timeout_ms: at most so long, when nothing comes
 *
 * Return: 0, or -ECANCELED after kube_client_stop().
 */
int kube_client_run(struct kube_client *c, int timeout_ms) MUST_USE;
void kube_client_wake(struct kube_client *c); /* kube_client_run() returns; any thread */
void kube_client_stop(struct kube_client *c); /* it and all calls end soon; any thread */
bool kube_client_is_stopped(const struct kube_client *c); /* any thread */

/* ---- connections ---- */

/**
 * kube_connect() - only connect: what is said on it is the caller's (kube/upgrade.h)
 * @path: of the request that will be made
 * @done: at 0 the call lives on as a connection, until kube_call_cancel(); else it is gone
 *
 * Proxies, TLS and certificates are as for requests; what else says who we are the caller shows.
 */
int kube_connect(struct kube_client *c, const char *path, kube_done_fn *done, void *ctx,
		 struct kube_call **out, struct err *e) MUST_USE;
/* of a connection; its URL and its socket (to wait on alone) */
const char *kube_call_url(const struct kube_call *call);
int kube_call_socket(const struct kube_call *call);
/* Return: how many octets; 0 at the end (of receiving); -EAGAIN, -EIO. What did not go is offered again, from the same place. */
ssize_t kube_call_send(struct kube_call *call, struct span bytes);
ssize_t kube_call_recv(struct kube_call *call, void *to, size_t room);
/* kube_client_run_beside() - kube_client_run(), which returns when @fd (-1: none) can be read, too */
int kube_client_run_beside(struct kube_client *c, int fd, int timeout_ms) MUST_USE;

/* ---- lines ---- */

/* Cuts a stream into lines; zero it, kube_lines_fini() it. */
struct kube_lines {
	struct buf held; /* the beginning of a line */
};
#define KUBE_LINE_MAX (4 << 20)
/* Return: 0; -E2BIG; what @fn returned when that is not 0. Empty lines are passed over. */
int kube_lines_add(struct kube_lines *l, struct span bytes, kube_line_fn *fn, void *ctx);
void kube_lines_fini(struct kube_lines *l);

/* kube_status_error() - what a Status object says: its message, or else @otherwise, as @e; and its code as errno */
int kube_status_error(const json_t *status, const char *what, struct err *e);
int kube_status_errno(long http_status);
