// SPDX-License-Identifier: Apache-2.0
/* client_link.h - one recorded connection of the client, and what all of them share; for client.c and client_link.c */
#pragma once

#include "replay/client.h"
#include "replay/transport.h"

#define CLIENT_SCRATCH_BYTES (256 * 1024)

enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_OPEN };

struct link {
	struct list node;   /* client::ready, else alone */
	struct list idle;   /* client::idle while open with nothing to do, else alone */
	struct list queue;  /* items that wait, in order */
	struct list flying; /* items sent, in order of their answers; the last may be under way */
	uint32_t number;    /* index into plan.links */
	uint64_t left;	    /* items still to come or to be answered */
	struct transport transport;
	struct http2_session *http2;	     /* open, and spoken; NULL for HTTP/1 */
	struct websocket_session *websocket; /* a conversation goes on; NULL: none */
	const char *why; /* for the result being handed out: a few words more; NULL: none */
	bool is_http2;	 /* as recorded: plan_link */
	uint8_t state;	 /* enum link_state */
	bool wants_out;	 /* epoll watches for writability */
	bool is_ending;	 /* nothing more is sent on this connection */
	bool was_open;	 /* it had a connection before */
	/* this connection may have gone stale: it was open before this request */
	bool is_used;
	size_t sent;		/* bytes of the item under way */
	struct item *under_way; /* last of flying while not wholly written */
	struct answer answer;
};

struct client {
	struct client_config config;
	struct client_stats stats;
	int epoll_fd, timer_fd;
	uint64_t timer_ns;   /* what timer_fd is set to; 0: it is not running */
	struct link **links; /* [plan.link_count], NULL while nothing is asked of it */
	struct tls *tls;     /* NULL: no target wants it */
	struct transport_socket spare[TARGET_MAX]; /* of client_probe() */
	uint64_t probed_ns;
	struct list ready;  /* links that wait for a slot */
	struct list idle;   /* open links with nothing to do, longest first */
	struct list flying; /* items by time of start */
	struct list turns;  /* items whose conversation waits for its time, soonest first */
	uint32_t in_flight, sockets, waiting;
	const struct item *submitted; /* by the present call of client_submit() */
	uint64_t now_ns;	      /* when the present event was seen */
	uint8_t *scratch;
};

/* link_connect() - Return: 0, or a negative errno with the link closed */
int link_connect(struct client *c, struct link *l);
void link_disconnect(struct client *c, struct link *l);
/* link_go() - send what the link may send now */
void link_go(struct client *c, struct link *l);
/* link_rest() - nothing to do: stand in line to be closed if room is needed, or be freed after the last item */
void link_rest(struct client *c, struct link *l);
/* link_event() - epoll says something about its socket */
void link_event(struct client *c, struct link *l, uint32_t events);
/* link_watch() - epoll tells when more can be written, or only what can be read */
void link_watch(struct client *c, struct link *l, bool wants_out);
/* link_body_max() - so much of an answer's body is kept */
size_t link_body_max(const struct item *item);
/* link_miss_of() - what the transport says went wrong with TLS, or @otherwise */
enum miss link_miss_of(const struct link *l, enum miss otherwise);
/* link_miss_of_end() - the connection has broken */
enum miss link_miss_of_end(const struct link *l);
/* link_finish() - hand out a result; @item is in no list any more. @answer: whole or in part; NULL: none */
void link_finish(struct client *c, struct link *l, struct item *item, const struct answer *answer,
		 enum miss miss, int error);
/* link_take_flying() - it flies no more */
void link_take_flying(struct client *c, struct link *l, struct item *item);
/* link_renew() - it went on: client_config.timeout_ns counts from now */
void link_renew(struct client *c, struct item *item);
/* client_wake_at() - its conversation has something to say then [ns, monotonic] */
void client_wake_at(struct client *c, struct item *item, uint64_t wake_ns);
/* link_requeue() - it flies no more, and goes again: before those recorded after it */
void link_requeue(struct client *c, struct link *l, struct item *item);
/* link_miss_first() - the first flying item has no answer */
void link_miss_first(struct client *c, struct link *l, enum miss miss, int error);
/* link_lose() - the connection is of no further use: flying items end with @miss or go again */
void link_lose(struct client *c, struct link *l, enum miss miss, int error);
