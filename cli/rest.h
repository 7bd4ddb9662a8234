// SPDX-License-Identifier: Apache-2.0
/* rest.h - GET from the REST API over a unix socket, TCP, or the proxy of a Kubernetes API server */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct rest;

/*
 * rest_open() - @url: "unix:PATH", "http://HOST:PORT" or "https://HOST:PORT"; over TCP with the token in
 * $TAPELOOP_TOKEN, if there is one, and https with the authorities in the file $TAPELOOP_CA
 *
 * Return: 0; -EINVAL another form; -EIO no libcurl; -ENOMEM.
 */
int rest_open(const char *url, struct rest **c_out, struct err *e) MUST_USE;
struct kube_client;
/**
 * rest_open_kube() - a daemon behind an API server
 * @client: borrowed; other rests may have it, too
 * @base:   of the proxy: "/api/v1/namespaces/NS/pods/https:NAME:7700/proxy"
 * @token:  borrowed: who we are, for the daemon; the API server keeps what is for itself
 * @name:   for messages: "node-1"
 */
int rest_open_kube(struct kube_client *client, const char *base, const char *token,
		   const char *name, struct rest **c_out, struct err *e) MUST_USE;
struct kube_args;
/**
 * rest_open_pod() - an API on the loopback of a pod, which asks for no token: who may port-forward to that
 * pod is the API server's to say
 * @a:      borrowed: how that is found
 * @client: borrowed: kube_client_stop() of it ends what is asked here, too
 * @name:   for messages: "shop/cart-0"
 */
int rest_open_pod(const struct kube_args *a, struct kube_client *client, const char *name_space,
		  const char *pod, int port, const char *name, struct rest **c_out,
		  struct err *e) MUST_USE;
void rest_close(struct rest *c); /* accepts NULL */

/* rest_data_fn - the next bytes of an answer, borrowed. Return: 0 to go on, else the get ends with
 * it. */
typedef int rest_data_fn(void *ctx, struct span bytes);

struct rest_get {
	const char *path;	/* "/api/v1/exchanges?limit=50" */
	const char *accept;	/* NULL: application/json */
	const char *last_event; /* for streams: Last-Event-ID; NULL or "" for none */
	bool is_stream;		/* silence is no failure */
	rest_data_fn *fn;	/* given only what belongs to a 2xx answer */
	void *ctx;
};

/**
 * rest_get() - ask, and hand the answer on as it comes
 * @e: a problem+json answer's detail; or what kept the daemon from answering
 *
 * Return: 0; what @fn returned (positive too); 400 -EINVAL, 401 -EACCES, 403 -EPERM, 404 -ENOENT, 409 -ENOTUNIQ, 503
 * -EAGAIN, 504 -ETIMEDOUT, other statuses -EPROTO; -ECONNREFUSED nobody answers there; -ECANCELED
 * interrupted; -EIO the answer broke off.
 */
int rest_get(struct rest *c, const struct rest_get *get, struct err *e) MUST_USE;
/* rest_next_cursor() - Tapeloop-Next-Cursor of the last answer; "" without one */
const char *rest_next_cursor(const struct rest *c);
/* rest_damage() - Tapeloop-Damage of the last answer: what could not be read and is not in it; ""
 * without */
const char *rest_damage(const struct rest *c);
/* rest_gave_up() - Tapeloop-Gave-Up of the last answer; 0 without one */
uint64_t rest_gave_up(const struct rest *c);
/* rest_status() - HTTP status of the last answer; 0 when there was none */
long rest_status(const struct rest *c);
/* rest_add_param() - "?key=value" or "&key=value", percent-encoded, to the path in @out */
void rest_add_param(struct buf *out, const char *key, const char *value);
