// SPDX-License-Identifier: Apache-2.0
/* api.h - the REST API over a unix socket and loopback, its state for probes and scrapers; threads of its own */
#pragma once

#include "lib/err.h"
#include "schema/counters.h"

struct api;
struct buf;
struct reviewer;

enum api_auth { API_AUTH_NONE, API_AUTH_KUBERNETES, API_AUTH_TOKEN_FILE };
/* api_auth_parse() - "none", "kubernetes", "token-file". Return: enum api_auth or -EINVAL. */
int api_auth_parse(const char *name);

struct api_config {
	const char *store_dir;
	const char *socket_path; /* "" for none; mode 0660 */
	/* "127.0.0.1:7700"; "" for none. Where others can reach it: TLS and tokens, or -EINVAL. */
	const char *listen;
	/* PEM files, or http-api/certificate.h's word; "" for none */
	const char *tls_cert, *tls_key;
	enum api_auth auth;		 /* of TCP; the unix socket is trusted */
	const char *token_file;		 /* API_AUTH_TOKEN_FILE */
	const struct reviewer *reviewer; /* API_AUTH_KUBERNETES; copied, its ctx is borrowed */
	uint64_t access_keep_ns;	 /* how long its answers count; 0: 30 s */
	/* "" for none; ":7701" all addresses: /metrics, /healthz and /readyz alone, for anybody */
	const char *status_listen;
	uint64_t query_limit_ns; /* a query that runs longer answers 504; 0: 5 s */
	unsigned clients_max;	 /* connections of each listener; 0: 64 */
	/* any thread: what /metrics and /healthz say */
	void (*counters)(void *ctx, struct counters *sum_out);
	/* @why_out: "" when all is well, else one sentence. Return: true when recording */
	bool (*health)(void *ctx, char *why_out, size_t why_bytes);
	/* more gauges for /metrics: append lines in the Prometheus text format; may be NULL */
	void (*gauges)(void *ctx, struct buf *out);
	void *ctx;
};

/**
 * api_start() - listen and answer, in threads of its own
 * @config: texts are copied
 * @e: -EADDRINUSE somebody answers there already; -EINVAL an address that others can reach, or
 * none; -EACCES and others as bind(2)
 */
int api_start(const struct api_config *config, struct api **a_out, struct err *e) MUST_USE;
/* api_stop() - ends streams, closes sockets, removes the socket file. NULL is fine. */
void api_stop(struct api *a);
/* api_committed() - ids that are now on the tape: /stream sends them. Recorder thread; never
 * blocks. */
void api_committed(struct api *a, const uint64_t *ids, size_t count);
/* api_address() - "127.0.0.1:7700" as bound (port 0 resolved); "" without one */
const char *api_address(const struct api *a);
const char *api_status_address(const struct api *a); /* the same of status_listen */
