// SPDX-License-Identifier: Apache-2.0
/* stream.h - /api/v1/stream: exchanges as they are recorded, as server-sent events */
#pragma once

#include "lib/err.h"
#include "store/filter.h"

struct MHD_Connection;
struct MHD_Response;
struct readers;
struct stream_hub;

#define STREAM_RECENT	   16384 /* ids remembered: who is further behind has lost some */
#define STREAM_CLIENTS_MAX 32
#define STREAM_SILENCE_NS                                                                          \
	(15 * NS_PER_S) /* after so long a comment goes out, to find who has gone */

/* stream_hub_new() - with its own thread, which wakes clients. @readers is borrowed. */
struct stream_hub *stream_hub_new(struct readers *readers) MUST_USE;
/* stream_hub_stop() - end all streams; call before MHD_stop_daemon(), which must not find any
 * asleep */
void stream_hub_stop(struct stream_hub *h);
void stream_hub_free(struct stream_hub *h); /* once no connection is left; accepts NULL */
AUTO_DEFINE(stream_hub, stream_hub_free)

/* stream_hub_publish() - ids that are now on the tape. Any thread; waits for no client. */
void stream_hub_publish(struct stream_hub *h, const uint64_t *ids, size_t count);
/* stream_hub_count() - clients connected */
unsigned stream_hub_count(struct stream_hub *h);

struct stream_request {
	struct filter *filter; /* taken, on success only; NULL: all */
	/* Last-Event-ID of a client that comes back; 0: what comes from now on */
	uint64_t last_id;
	bool is_last_known; /* it may be looked for */
	/* the filter hides what is of others: how much of that was lost is not told */
	bool is_scoped;
};
/**
 * stream_open() - a response that goes on for as long as the client listens
 *
 * Return: 0; -EAGAIN too many clients; -ENOMEM.
 */
int stream_open(struct stream_hub *h, struct MHD_Connection *c, const struct stream_request *q,
		struct MHD_Response **out, struct err *e) MUST_USE;
