// SPDX-License-Identifier: Apache-2.0
/*
 * client.h - send requests over many connections at once and hand out their answers
 *
 * A client of HTTP/1 and HTTP/2 on epoll, each link as it was recorded. Order is kept inside a link (a recorded connection); what is on
 * different links is concurrent. Thread: replay. It reads the monotonic clock.
 */
#pragma once

#include "replay/answer.h"
#include "replay/item.h"
#include "replay/plan.h"

enum miss {
#define MISS(NAME, name, what) MISS_##NAME,
#include "replay/verdicts.tbl.h"
#undef MISS
	MISS_COUNT
};

const char *miss_name(unsigned miss);
const char *miss_what(unsigned miss); /* one sentence */

/* How a request ended. */
struct client_result {
	struct item *item;	     /* the callback owns it now */
	const struct answer *answer; /* whole; NULL when there is none. Borrowed for the call. */
	uint8_t miss;		     /* enum miss: why there is none */
	int error;		     /* errno behind it, 0 if none */
	uint32_t h2_error;	     /* code of RST_STREAM behind it (RFC 9113 7), 0 if none */
	/* a few words more about miss, NULL if there are none; they last */
	const char *detail;
	uint64_t answer_bytes; /* what came of it all the same */
};
typedef void client_result_fn(void *ctx, const struct client_result *result);

struct client_config {
	const struct targets *targets; /* borrowed */
	const struct plan *plan;       /* borrowed: its links */
	/* borrowed for client_open(); used where a target wants TLS */
	const struct tls_config *tls;
	/* a link is closed after its last exchange of the last loop */
	uint32_t loops;
	uint32_t concurrency; /* requests in flight at most */
	/* idle connections beyond this are closed, longest idle first */
	uint32_t sockets_max;
	/*
	 * from a request's start to its answer's last byte; of a conversation, from one message to the
	 * next
	 */
	uint64_t timeout_ns;
	/* of the turns of a conversation; speed 0: they wait for the server alone */
	struct schedule_config schedule;
	client_result_fn *on_result; /* called from client_submit() and client_run() */
	void *ctx;
};

struct client_stats {
	uint64_t connections; /* made */
	/* of those, because the target (or sockets_max) had closed the one before */
	uint64_t reconnects;
	/* requests sent again: safe ones on a reused connection that was dead */
	uint64_t retries;
	uint64_t tls_handshakes; /* that succeeded */
	uint64_t tls_resumed;	 /* of those, with a session of an earlier one */
	uint64_t unasked;	 /* times bytes came that answer no request */
	uint64_t bytes_out, bytes_in;
	uint64_t held; /* requests that had to wait because concurrency was reached */
	uint32_t in_flight_max;
};

struct client;
struct tls_config; /* replay/tls.h */

/* client_open() - @e: also what tls_new() finds wrong */
int client_open(const struct client_config *config, struct client **c_out, struct err *e) MUST_USE;
void client_close(struct client *c); /* frees items without a word: client_cancel() first */
AUTO_DEFINE(client, client_close)

/*
 * client_probe() - one connection to each target, kept for the first link that goes there
 * @e: which target, and why not: -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH ...
 */
int client_probe(struct client *c, struct err *e) MUST_USE;
/* client_wake_on() - client_run() returns when @fd becomes readable, too (edge-triggered: it is not read) */
int client_wake_on(struct client *c, int fd, struct err *e) MUST_USE;
/* client_prepare() - the link will be needed soon: connect it if it is not connected */
void client_prepare(struct client *c, uint32_t link);
/* client_submit() - @item is due: takes it; sent at once, or when its link and concurrency allow */
void client_submit(struct client *c, struct item *item);
/* client_skip() - an item of @link will not be submitted: the link closes one exchange earlier */
void client_skip(struct client *c, uint32_t link);
/**
 * client_run() - wait for something to happen, once, and handle it
 * @until_ns: monotonic; return then at the latest (0: do not wait)
 */
void client_run(struct client *c, uint64_t until_ns);
/* client_is_idle() - nothing waits and nothing is in flight */
bool client_is_idle(const struct client *c);
/* client_drop_waiting() - hand out what was not sent yet as interrupted; in flight goes on */
void client_drop_waiting(struct client *c);
/* client_cancel() - hand out everything as interrupted */
void client_cancel(struct client *c);
const struct client_stats *client_stats(const struct client *c);
