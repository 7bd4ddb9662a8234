// SPDX-License-Identifier: Apache-2.0
#include "http-api/stream.h"

#include "http-api/readers.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "lib/list.h"
#include "schema/exchange_json.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * Server-sent events (WHATWG HTML 9.2). The recorder publishes the ids it has committed into a ring
 * that counts all it ever saw; a client is a position in that count. libmicrohttpd asks a client
 * for more bytes in its own thread: there the exchanges behind the position are read back from the
 * tape, judged by the filter and written. When there is nothing, the connection is suspended, and
 * the hub's thread resumes it when ids come or when it has been silent for too long.
 *
 *	recorder --ids--> ring --wake--> hub thread --resume--> MHD thread: read, judge, write
 *
 * Nobody waits for a slow client: the ring runs over its position, and it is told how many it lost
 * (event: lost). The ring holds ids only, so a client costs no memory but its pending text.
 *
 * Two facts about libmicrohttpd shape this: a suspended connection neither times out nor notices
 * that its client has gone, hence the comments after a silence; and stopping it with suspended
 * connections is an error, hence stream_hub_stop(). Suspending and resuming happen under the hub's
 * lock, against the style guide, because "nothing new" and "asleep" must be one step: a wake
 * between the two would be lost. libmicrohttpd calls nothing of ours while it holds its own lock.
 */

#define BATCH_MAX 64 /* ids looked at for one piece of text */
#define RETRY_MS  2000

struct client {
	struct list link; /* stream_hub::clients */
	struct stream_hub *hub;
	struct MHD_Connection *connection;
	struct filter *filter; /* owned; NULL: all */
	bool is_scoped;	       /* struct stream_request */
	bool is_suspended;     /* under the hub's lock */
	/* MHD's thread */
	uint64_t position; /* in the count of all ids */
	uint64_t sent_ns;  /* monotonic; under the hub's lock */
	struct buf pending;
	size_t pending_sent;
};

struct stream_hub {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct readers *readers;
	struct list clients;
	unsigned client_count;
	bool has_new, is_stopping, has_thread;
	uint64_t count; /* ids ever published */
	uint64_t recent[STREAM_RECENT];
};

/* ---- the hub's thread ---- */

/* Under the lock: wake who has something to send, or all when there are new ids. */
static void resume_clients(struct stream_hub *h, bool all)
{
	uint64_t now = clock_mono_ns();

	for (struct list *l = h->clients.next; l != &h->clients; l = l->next) {
		struct client *c = CONTAINER_OF(l, struct client, link);

		if (!c->is_suspended || (!all && now - c->sent_ns < STREAM_SILENCE_NS))
			continue;
		c->is_suspended = false;
		MHD_resume_connection(c->connection);
	}
}

/* Return: ETIMEDOUT after a second without a wake. */
static int wait_a_while(struct stream_hub *h)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	return pthread_cond_timedwait(&h->wake, &h->lock, &until);
}

static void *wake_clients(void *arg)
{
	struct stream_hub *h = arg;

	(void)pthread_mutex_lock(&h->lock);
	while (!h->is_stopping) {
		if (!h->has_new)
			(void)wait_a_while(h);
		resume_clients(h, h->has_new);
		h->has_new = false;
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* ---- one client, in MHD's thread ---- */

/* What lies behind the position: ids to send, and how many are gone. Return: how many ids. */
static size_t take_ids(struct client *c, uint64_t *ids, uint64_t *lost_out)
{
	struct stream_hub *h = c->hub;
	uint64_t oldest = h->count > STREAM_RECENT ? h->count - STREAM_RECENT : 0;
	size_t n = 0;

	*lost_out = c->position < oldest ? oldest - c->position : 0;
	c->position += *lost_out;
	while (c->position < h->count && n < BATCH_MAX)
		ids[n++] = h->recent[c->position++ % STREAM_RECENT];
	return n;
}

static int write_exchange(void *ctx, const struct exchange *x)
{
	struct client *c = ctx;
	struct json j = json_to(&c->pending);
	char id[ID_TEXT_LEN + 1];

	if (c->filter && !filter_matches(c->filter, x))
		return 0;
	buf_add_fmt(&c->pending, "id: %s\nevent: exchange\ndata: ", id_format(x->id, id));
	exchange_to_json(&j, x, EXCHANGE_JSON_SUMMARY);
	buf_add_str(&c->pending, "\n\n");
	return 0;
}

/* Return: how many could not be read back (retired since, or the store failed). */
static uint64_t write_exchanges(struct client *c, const uint64_t *ids, size_t count)
{
	struct reader *r;
	uint64_t lost = 0;
	int result = 0;

	if (count == 0)
		return 0;
	if (readers_borrow(c->hub->readers, NULL, &r, NULL) < 0)
		return count;
	for (size_t i = 0; i < count; i++) {
		int one = reader_get(r, ids[i], write_exchange, c, NULL);

		lost += one < 0;
		if (one < 0 && one != -ENOENT)
			result = one;
	}
	readers_return(c->hub->readers, r, result);
	return lost;
}

static void write_pending(struct client *c, const uint64_t *ids, size_t count, uint64_t lost)
{
	lost += write_exchanges(c, ids, count);
	if (lost && c->is_scoped) /* perhaps none that they may see */
		buf_add_str(&c->pending, "event: lost\ndata: {\"count\":null}\n\n");
	else if (lost)
		buf_add_fmt(&c->pending, "event: lost\ndata: {\"count\":%llu}\n\n",
			    (unsigned long long)lost);
}

/*
 * The next text for the client. Return: false when there is none and the connection sleeps.
 * Under the lock: what is new; outside of it: reading and writing.
 */
static bool fill(struct client *c)
{
	struct stream_hub *h = c->hub;
	uint64_t ids[BATCH_MAX], lost, now = clock_mono_ns();
	size_t count;
	bool is_silent;

	buf_clear(&c->pending);
	c->pending_sent = 0;
	(void)pthread_mutex_lock(&h->lock);
	count = take_ids(c, ids, &lost);
	is_silent = now - c->sent_ns >= STREAM_SILENCE_NS;
	if (count == 0 && !lost && !is_silent && !h->is_stopping) {
		c->is_suspended = true;
		MHD_suspend_connection(c->connection);
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (count == 0 && !lost && !is_silent)
		return false;
	write_pending(c, ids, count, lost);
	if (c->pending.len == 0 && is_silent)
		buf_add_str(&c->pending, ": still here\n\n");
	return true;
}

static ssize_t send_some(struct client *c, char *out, size_t room)
{
	size_t n = MIN(room, c->pending.len - c->pending_sent);

	memcpy(out, c->pending.ptr + c->pending_sent, n);
	c->pending_sent += n;
	(void)pthread_mutex_lock(&c->hub->lock);
	c->sent_ns = clock_mono_ns();
	(void)pthread_mutex_unlock(&c->hub->lock);
	return (ssize_t)n;
}

static bool is_stopping(struct stream_hub *h)
{
	bool yes;

	(void)pthread_mutex_lock(&h->lock);
	yes = h->is_stopping;
	(void)pthread_mutex_unlock(&h->lock);
	return yes;
}

/* MHD_ContentReaderCallback. 0: nothing now, and the connection is suspended. */
static ssize_t read_stream(void *ctx, uint64_t pos, char *out, size_t room)
{
	struct client *c = ctx;

	(void)pos;
	for (;;) {
		if (is_stopping(c->hub))
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (c->pending.is_failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (c->pending_sent < c->pending.len)
			return send_some(c, out, room);
		if (!fill(c))
			return is_stopping(c->hub) ? MHD_CONTENT_READER_END_OF_STREAM : 0;
	}
}

/* MHD_ContentReaderFreeCallback */
static void free_client(void *ctx)
{
	struct client *c = ctx;

	(void)pthread_mutex_lock(&c->hub->lock);
	list_remove(&c->link);
	c->hub->client_count--;
	(void)pthread_cond_broadcast(&c->hub->wake);
	(void)pthread_mutex_unlock(&c->hub->lock);
	filter_free(c->filter);
	buf_fini(&c->pending);
	free(c);
}

/* Where a client goes on that has seen @last_id. Return: false when that is no longer known. */
static bool find_position(const struct stream_hub *h, uint64_t last_id, uint64_t *position_out)
{
	uint64_t oldest = h->count > STREAM_RECENT ? h->count - STREAM_RECENT : 0;

	for (uint64_t i = h->count; i > oldest; i--) {
		if (h->recent[(i - 1) % STREAM_RECENT] == last_id) {
			*position_out = i;
			return true;
		}
	}
	return false;
}

/* Under the lock. */
static void begin(struct client *c, const struct stream_request *q)
{
	struct stream_hub *h = c->hub;
	uint64_t last_id = q->last_id;
	char id[ID_TEXT_LEN + 1];

	c->position = h->count;
	c->sent_ns = clock_mono_ns();
	buf_add_fmt(&c->pending, "retry: %d\n\n", RETRY_MS);
	if (last_id && !(q->is_last_known && find_position(h, last_id, &c->position)))
		buf_add_fmt(&c->pending, "event: lost\ndata: {\"count\":null,\"after\":\"%s\"}\n\n",
			    id_format(last_id, id));
	list_append(&h->clients, &c->link);
	h->client_count++;
}

int stream_open(struct stream_hub *h, struct MHD_Connection *connection,
		const struct stream_request *q, struct MHD_Response **out, struct err *e)
{
	struct client *c = calloc(1, sizeof(*c));
	bool is_full;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->hub = h;
	c->connection = connection;
	c->is_scoped = q->is_scoped;
	(void)pthread_mutex_lock(&h->lock);
	is_full = h->client_count >= STREAM_CLIENTS_MAX;
	if (!is_full)
		begin(c, q);
	(void)pthread_mutex_unlock(&h->lock);
	if (is_full) {
		free(c);
		return err_set(e, -EAGAIN, "%d clients follow the stream already",
			       STREAM_CLIENTS_MAX);
	}
	*out = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, c,
						 free_client);
	if (!*out) {
		free_client(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->filter = q->filter;
	return 0;
}

/* ---- the hub ---- */

struct stream_hub *stream_hub_new(struct readers *readers)
{
	struct stream_hub *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;

	if (!h)
		return NULL;
	h->readers = readers;
	list_init(&h->clients);
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&h->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	h->has_thread = pthread_create(&h->thread, NULL, wake_clients, h) == 0;
	if (!h->has_thread) {
		stream_hub_free(h);
		return NULL;
	}
	return h;
}

void stream_hub_stop(struct stream_hub *h)
{
	(void)pthread_mutex_lock(&h->lock);
	h->is_stopping = true;
	resume_clients(h, true);
	(void)pthread_cond_broadcast(&h->wake);
	(void)pthread_mutex_unlock(&h->lock);
	if (h->has_thread)
		(void)pthread_join(h->thread, NULL);
	h->has_thread = false;
	/* let them read the end of their streams; who does not read now is cut off */
	(void)pthread_mutex_lock(&h->lock);
	while (h->client_count && wait_a_while(h) != ETIMEDOUT)
		;
	(void)pthread_mutex_unlock(&h->lock);
}

void stream_hub_free(struct stream_hub *h)
{
	if (!h)
		return;
	if (h->has_thread)
		stream_hub_stop(h);
	(void)pthread_cond_destroy(&h->wake);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

void stream_hub_publish(struct stream_hub *h, const uint64_t *ids, size_t count)
{
	(void)pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < count; i++)
		h->recent[h->count++ % STREAM_RECENT] = ids[i];
	h->has_new = true;
	(void)pthread_cond_signal(&h->wake);
	(void)pthread_mutex_unlock(&h->lock);
}

unsigned stream_hub_count(struct stream_hub *h)
{
	unsigned n;

	(void)pthread_mutex_lock(&h->lock);
	n = h->client_count;
	(void)pthread_mutex_unlock(&h->lock);
	return n;
}
