// SPDX-License-Identifier: Apache-2.0
#include "kube/census.h"

#include <stdlib.h>

#include "kube/census_parts.h"

/*
 * Theory of operation. A row says whose an address (and a port) was in a time. Rows are sorted by
 * address, port and time, and searched by halving; those of one address and port are a run, in which
 * there is one row in most cases, and several where an address was used again.
 *
 * An address with a port is asked first: a service's, a pod's where the port says more than the pod
 * alone (which container, which service), or that of a pod in the host's network, which shares its
 * address with the node. Then the address alone.
 *
 * Of several rows that may be meant, the one that is certain of that moment is it. If none or several
 * are, the answer is what they have in common. Each identity stands there in three forms, so that the
 * answer is always a pointer: as it is; inferred, for a time at which the API server was away; and
 * what all rows of the run have in common.
 *
 * Which service an address and a port serve is said by slices, and by selectors where no slice has the pod
 * (yet, or any more). Endpoints that are no pods have rows of their own: the service is all that is known there.
 *
 * Pods lend their texts; what is ours (names of services and owners) is kept in a list of strings.
 */
int census_compare_place(const struct census_row *a, const uint8_t address[16], uint16_t port)
{
	int sign = memcmp(a->address, address, 16);

	return sign ? sign : (a->port > port) - (a->port < port);
}

int census_compare_uids(struct span a, struct span b)
{
	size_t both = MIN(a.len, b.len);
	int sign = both ? memcmp(a.ptr, b.ptr, both) : 0;

	return sign ? sign : (a.len > b.len) - (a.len < b.len);
}

int census_compare_people(const void *a, const void *b)
{
	const struct census_person *x = a, *y = b;

	return census_compare_uids(x->who.pod_uid, y->who.pod_uid);
}

void census_free(const struct census *done)
{
	struct census *c = (struct census *)(uintptr_t)done;

	if (!c)
		return;
	for (size_t i = 0; i < c->person_count; i++)
		kube_pod_unref(c->people[i].pod);
	for (size_t i = 0; i < c->service_count; i++)
		kube_service_free(c->services[i]);
	for (size_t i = 0; i < c->text_count; i++)
		free(c->texts[i]);
	free(c->rows);
	free(c->people);
	free(c->places);
	free(c->services);
	free(c->texts);
	free(c);
}

static size_t run_begin(const struct census *c, const uint8_t address[16], uint16_t port)
{
	size_t low = 0, high = c->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (census_compare_place(&c->rows[middle], address, port) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct identity *find_in_run(const struct census *c, const uint8_t address[16],
					  uint16_t port, uint64_t time_ns)
{
	const struct census_row *sure = NULL, *some = NULL;
	size_t sure_count = 0, some_count = 0;

	for (size_t i = run_begin(c, address, port);
	     i < c->row_count && census_compare_place(&c->rows[i], address, port) == 0; i++) {
		const struct census_row *row = &c->rows[i];
		const struct tenure *t = &row->tenure;

		if (time_ns < t->since_ns || time_ns >= t->until_ns)
			continue;
		some = row;
		some_count++;
		if (time_ns < t->sure_since_ns || time_ns >= t->sure_until_ns)
			continue;
		sure = row;
		sure_count++;
	}
	if (some_count == 0)
		return NULL;
	if (some_count > 1 && sure_count != 1)
		return &some->common;
	some = sure ? sure : some;
	/* behind its sure end somebody else may have come and gone that nobody told of */
	return (c->lost_ns && time_ns > c->lost_ns) || time_ns >= some->tenure.sure_until_ns
		       ? &some->inferred
		       : &some->who;
}

const struct identity *census_find(const struct census *c, const struct endpoint *at,
				   uint64_t time_ns)
{
	const struct identity *who = NULL;

	if (!c)
		return NULL;
	if (at->port)
		who = find_in_run(c, at->address, at->port, time_ns);
	return who ? who : find_in_run(c, at->address, 0, time_ns);
}

/* The first of these times that is later than @after, if it is before @best. */
static uint64_t sooner(uint64_t best, uint64_t after, uint64_t time_ns)
{
	return time_ns > after ? MIN(best, time_ns) : best;
}

static uint64_t run_holds_until(const struct census *c, const uint8_t address[16], uint16_t port,
				uint64_t time_ns, uint64_t best)
{
	for (size_t i = run_begin(c, address, port);
	     i < c->row_count && census_compare_place(&c->rows[i], address, port) == 0; i++) {
		const struct tenure *t = &c->rows[i].tenure;

		best = sooner(best, time_ns, t->since_ns);
		best = sooner(best, time_ns, t->sure_since_ns);
		best = sooner(best, time_ns, t->sure_until_ns);
		best = sooner(best, time_ns, t->until_ns);
	}
	return best;
}

uint64_t census_holds_until(const struct census *c, const struct endpoint *at, uint64_t time_ns)
{
	uint64_t best = UINT64_MAX;

	if (!c)
		return best;
	if (c->lost_ns)
		best = sooner(best, time_ns, c->lost_ns + 1);
	if (at->port)
		best = run_holds_until(c, at->address, at->port, time_ns, best);
	return run_holds_until(c, at->address, 0, time_ns, best);
}

const struct identity *census_find_uid(const struct census *c, struct span uid)
{
	const struct census_person want = {.who.pod_uid = uid}, *p = NULL;

	if (c && uid.len && c->person_count)
		p = bsearch(&want, c->people, c->person_count, sizeof(want), census_compare_people);
	return p ? &p->who : NULL;
}

const struct kube_pod *census_next(const struct census *c, size_t *index)
{
	while (c && *index < c->person_count) {
		const struct census_person *p = &c->people[(*index)++];

		if (!p->is_gone)
			return p->pod;
	}
	return NULL;
}

bool census_is_lost(const struct census *c)
{
	return c && c->lost_ns;
}

uint64_t census_lost_ns(const struct census *c)
{
	return c ? c->lost_ns : 0;
}

size_t census_count(const struct census *c)
{
	return c ? c->here_count : 0;
}
