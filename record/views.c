// SPDX-License-Identifier: Apache-2.0
#include "record/views.h"

#include <stdlib.h>

/*
 * Theory of operation. The places form a ring that runs parallel to the queue: number n lies in
 * place n modulo PLACES. Exchanges are found by their wire_key, which address translation on the way
 * (a service's address becomes a pod's) leaves alone. A bucket has the number of the newest of its
 * exchanges, each place the number of the one before; a chain ends at a number that was released
 * already, so nothing is ever taken out of it.
 *
 * Packets have one clock, and a request passes the client's end before the server's: that tells
 * which view is whose. The one of which more was seen keeps its messages, and is recorded when its
 * turn comes; the other is skipped. Where the client's end sent it to another address than the
 * server's got it, that one is kept as `asked`.
 *
 * A pod that nobody knows yet is not read (daemon/pods_handles.c); what its peers say waits for its view
 * longer, so that both become one. Who fills the queue meanwhile does not wait.
 */
#define PLACES	    8192 /* exchanges that wait */
#define BUCKETS	    8192
#define LATE_NS_MAX (10 * NS_PER_S) /* that one waits for a view that is held up */
#define APART_NS_MAX NS_PER_S /* between two views of one request */

enum state { WAITS, IS_READY, IS_TOLD };

struct place {
	struct exchange *x;
	uint64_t until_ns; /* it waits */
	uint64_t before;   /* number of another one in its bucket */
	uint8_t state;
};

struct views {
	uint64_t wait_ns;
	uint64_t late_ns;	   /* until then views come that were held up */
	uint64_t first, next;	   /* numbers, from 1 on */
	uint64_t buckets[BUCKETS]; /* numbers; those below first are none */
	struct place places[PLACES];
};

struct views *views_new(uint64_t wait_ns)
{
	struct views *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->wait_ns = wait_ns;
	v->first = v->next = 1;
	return v;
}

void views_free(struct views *v)
{
	free(v);
}

static struct place *place_of(struct views *v, uint64_t number)
{
	return &v->places[number % PLACES];
}

static const struct place *oldest(const struct views *v)
{
	return &v->places[v->first % PLACES];
}

bool views_are_full(const struct views *v)
{
	return v->next - v->first == PLACES;
}

static bool is_near(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= APART_NS_MAX;
}

/* Parts of one exchange have one key; those that hold as many messages are views of one part. */
static bool is_same_part(const struct exchange *a, const struct exchange *b)
{
	uint64_t is_later = a->anomalies & ANOMALY_BIT(CONTINUATION);

	if (is_later != (b->anomalies & ANOMALY_BIT(CONTINUATION)))
		return false;
	return !is_later ||
	       (a->messages[0] == b->messages[0] && a->messages[1] == b->messages[1]);
}

static bool are_views_of_one(const struct exchange *a, const struct exchange *b)
{
	return a->wire_key == b->wire_key && a->netns != b->netns && a->stream == b->stream &&
	       is_near(a->start_ns, b->start_ns) && span_eq(a->method, b->method) &&
	       span_eq(a->target, b->target) &&
	       (a->status == b->status || !a->status || !b->status) && is_same_part(a, b);
}

static bool is_clients(const struct exchange *x, const struct exchange *other)
{
	if (x->request.first_ns != other->request.first_ns)
		return x->request.first_ns < other->request.first_ns;
	return x->response.last_ns >= other->response.last_ns; /* no request was seen */
}

static unsigned worth_of(const struct message *m)
{
	return (m->flags & MESSAGE_PRESENT ? 1U : 0) + (m->flags & MESSAGE_COMPLETE ? 2U : 0);
}

static bool is_better(const struct exchange *x, const struct exchange *than)
{
	return worth_of(&x->request) + worth_of(&x->response) >
	       worth_of(&than->request) + worth_of(&than->response);
}

static void join_times(struct message *m, struct message client, struct message server)
{
	bool is_clients_known = client.flags & MESSAGE_PRESENT;

	m->first_ns = is_clients_known ? client.first_ns : server.first_ns;
	m->last_ns = is_clients_known ? client.last_ns : server.last_ns;
	m->server_first_ns = server.first_ns;
	m->server_last_ns = server.last_ns;
}

static bool is_same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* @keep is one of the two. Return: it. */
static struct exchange *join(struct exchange *keep, const struct exchange *c,
			     const struct exchange *s)
{
	const struct exchange client = *c, server = *s;

	join_times(&keep->request, client.request, server.request);
	join_times(&keep->response, client.response, server.response);
	if (!is_same_end(&client.dst, &server.dst)) {
		keep->asked = (struct asked){.port = client.dst.port,
					     .is_ipv4 = client.dst.is_ipv4,
					     .is_known = true};
		memcpy(keep->asked.address, client.dst.address, sizeof(keep->asked.address));
	}
	keep->start_ns = MIN(client.start_ns, server.start_ns);
	keep->connection = client.connection;
	keep->sequence = client.sequence;
	keep->src = client.src;
	keep->dst = server.dst;
	keep->netns = client.netns;
	keep->server_netns = server.netns;
	return keep;
}

static void merge(struct place *a, struct place *b)
{
	struct exchange *client = is_clients(a->x, b->x) ? a->x : b->x;
	struct exchange *server = client == a->x ? b->x : a->x;
	struct exchange *kept = join(is_better(server, client) ? server : client, client, server);

	a->state = a->x == kept ? IS_READY : IS_TOLD;
	b->state = b->x == kept ? IS_READY : IS_TOLD;
}

/* It never left its pod, or nobody knows where it was captured. */
static bool has_one_view(const struct exchange *x)
{
	return x->netns == 0 || x->wire_key == 0 ||
	       memcmp(x->src.address, x->dst.address, sizeof(x->src.address)) == 0;
}

void views_add(struct views *v, struct exchange *x, uint64_t now_ns)
{
	uint64_t number = v->next++;
	uint64_t *bucket = &v->buckets[(x->wire_key * UINT64_C(0x9e3779b97f4a7c15)) >> 51];
	struct place *p = place_of(v, number);

	*p = (struct place){.x = x, .until_ns = now_ns + v->wait_ns};
	if (has_one_view(x)) {
		p->state = IS_READY;
		return;
	}
	p->before = *bucket;
	for (uint64_t n = p->before; n >= v->first; n = place_of(v, n)->before) {
		struct place *other = place_of(v, n);

		if (other->state == WAITS && are_views_of_one(other->x, x)) {
			merge(other, p);
			break;
		}
	}
	*bucket = number;
}

uint64_t views_wait_ns(const struct views *v, uint64_t now_ns)
{
	const struct place *p = oldest(v);

	uint64_t until_ns = MAX(p->until_ns, MIN(v->late_ns, p->until_ns + LATE_NS_MAX));

	return p->state == WAITS && until_ns > now_ns ? until_ns - now_ns : 0;
}

void views_expect_late(struct views *v, uint64_t until_ns)
{
	v->late_ns = until_ns;
}

bool views_is_told(const struct views *v)
{
	return oldest(v)->state == IS_TOLD;
}

void views_release(struct views *v)
{
	v->first++;
}
