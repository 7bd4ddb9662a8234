// SPDX-License-Identifier: Apache-2.0
#include "record/views.h"

#include <stdlib.h>

#include "schema/view.h"

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

static bool are_views_of_one(const struct exchange *a, const struct exchange *b)
{
	return a->netns != b->netns && view_matches(a, b);
}

static bool is_clients(const struct exchange *x, const struct exchange *other)
{
	if (x->request.first_ns != other->request.first_ns)
		return x->request.first_ns < other->request.first_ns;
	return x->response.last_ns >= other->response.last_ns; /* no request was seen */
}

static void merge(struct place *a, struct place *b)
{
	struct exchange *client = is_clients(a->x, b->x) ? a->x : b->x;
	struct exchange *server = client == a->x ? b->x : a->x;
	uint64_t start_ns = MIN(client->start_ns, server->start_ns);
	struct exchange *kept =
		view_join(view_is_better(server, client) ? server : client, client, server);

	kept->start_ns = start_ns;

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
