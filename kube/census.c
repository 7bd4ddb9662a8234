// SPDX-License-Identifier: Apache-2.0
#include "kube/census.h"

#include <stdlib.h>

#include "kube/census_make.h"
#include "lib/array.h"

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
struct row {
	uint8_t address[16];
	uint16_t port; /* 0: any */
	struct tenure tenure;
	struct identity who, inferred, common;
};

struct person {
	const struct kube_pod *pod; /* a reference */
	struct identity who;
	bool is_gone;
};

/* An endpoint of a slice, while the census is made. */
struct place {
	const struct kube_endpoint *at; /* the slice's */
	struct span service, name_space;
	uint64_t created_ns;
};

struct census {
	uint64_t lost_ns; /* since when the API server is away; 0: it is there */
	struct row *rows;
	size_t row_count, row_room;
	struct person *people; /* finished: by UID */
	size_t person_count, person_room, here_count;
	struct kube_service **services; /* owned */
	size_t service_count, service_room;
	struct place *places; /* by UID of their pods once there is one pod */
	size_t place_count, place_room, loose_count; /* loose: of no pod */
	bool has_order;
	char **texts; /* owned */
	size_t text_count, text_room;
};

struct census *census_new(uint64_t lost_ns)
{
	struct census *c = calloc(1, sizeof(*c));

	if (c)
		c->lost_ns = lost_ns;
	return c;
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

/* ---- making ---- */

static bool keep_text(struct census *c, struct span from, struct span *out)
{
	char *text;

	*out = (struct span){0};
	if (!from.len)
		return true;
	if (!array_room((void **)&c->texts, &c->text_room, c->text_count, sizeof(*c->texts)))
		return false;
	text = strndup((const char *)from.ptr, from.len);
	if (!text)
		return false;
	c->texts[c->text_count++] = text;
	*out = span_of(text, from.len);
	return true;
}

static bool add_row(struct census *c, const uint8_t address[16], uint16_t port,
		    const struct tenure *t, const struct identity *who)
{
	struct row *row;

	if (!array_room((void **)&c->rows, &c->row_room, c->row_count, sizeof(*c->rows)))
		return false;
	row = &c->rows[c->row_count++];
	*row = (struct row){.port = port, .tenure = *t, .who = *who};
	memcpy(row->address, address, sizeof(row->address));
	return true;
}

/* ---- services ---- */

static struct kube_service *copy_service(const struct kube_service *from, struct census *c)
{
	struct kube_service *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	*s = *from;
	if (!keep_text(c, from->name, &s->name) ||
	    !keep_text(c, from->name_space, &s->name_space) ||
	    !keep_text(c, from->selector, &s->selector)) {
		free(s);
		return NULL;
	}
	for (size_t i = 0; i < s->port_count; i++)
		if (!keep_text(c, from->ports[i].target_name, &s->ports[i].target_name)) {
			free(s);
			return NULL;
		}
	return s;
}

bool census_add_service(struct census *c, const struct kube_service *from)
{
	struct kube_service *s;
	struct tenure always = {from->created_ns, from->created_ns, UINT64_MAX, UINT64_MAX};
	struct identity who = {.source = IDENTITY_API, .certainty = CERTAINTY_CERTAIN};
	bool is_good = true;

	if (!array_room((void **)&c->services, &c->service_room, c->service_count,
			sizeof(struct kube_service *)) ||
	    !(s = copy_service(from, c)))
		return false;
	c->services[c->service_count++] = s;
	who.service = s->name;
	who.name_space = s->name_space;
	for (size_t i = 0; i < s->address_count && is_good; i++)
		is_good = add_row(c, s->addresses[i], 0, &always, &who);
	return is_good;
}

/* ---- slices ---- */

bool census_add_slice(struct census *c, const struct kube_slice *s)
{
	struct place place = {.created_ns = s->created_ns};

	if (!keep_text(c, s->service, &place.service) ||
	    !keep_text(c, s->name_space, &place.name_space))
		return false;
	for (size_t i = 0; i < s->endpoint_count; i++) {
		if (!array_room((void **)&c->places, &c->place_room, c->place_count,
				sizeof(*c->places)))
			return false;
		place.at = &s->endpoints[i];
		c->loose_count += place.at->pod_uid.len == 0;
		c->places[c->place_count++] = place;
	}
	return true;
}

static int compare_uids(struct span a, struct span b)
{
	size_t both = MIN(a.len, b.len);
	int sign = both ? memcmp(a.ptr, b.ptr, both) : 0;

	return sign ? sign : (a.len > b.len) - (a.len < b.len);
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return compare_uids(x->at->pod_uid, y->at->pod_uid);
}

static void order_places(struct census *c)
{
	if (!c->has_order && c->place_count)
		qsort(c->places, c->place_count, sizeof(*c->places), compare_places);
	c->has_order = true;
}

/* The first of a pod; those of no pod stand before all. */
static size_t first_place(const struct census *c, struct span uid)
{
	size_t low = c->loose_count, high = c->place_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_uids(c->places[middle].at->pod_uid, uid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_address(const struct kube_pod *pod, const uint8_t address[16])
{
	for (size_t i = 0; i < pod->address_count && !pod->is_host_network; i++)
		if (memcmp(pod->addresses[i], address, 16) == 0)
			return true;
	return false;
}

/* Walk where a pod is an endpoint: by its UID, or by its address where nobody said whose that is. Start with 0. */
static const struct place *next_place(struct census *c, const struct kube_pod *pod, size_t *at)
{
	order_places(c);
	for (; *at < c->loose_count; ++*at)
		if (has_address(pod, c->places[*at].at->address) &&
		    span_eq(c->places[*at].name_space, pod->who.name_space))
			return &c->places[(*at)++];
	if (*at == c->loose_count)
		*at = MAX(first_place(c, pod->who.pod_uid), c->loose_count);
	if (*at < c->place_count && span_eq(c->places[*at].at->pod_uid, pod->who.pod_uid))
		return &c->places[(*at)++];
	return NULL;
}

static bool place_has_port(const struct place *p, uint16_t port)
{
	for (size_t i = 0; i < p->at->port_count; i++)
		if (p->at->ports[i] == port)
			return true;
	return port == 0;
}

/* Endpoints outside of the cluster, or on a node by themselves. */
static bool add_loose_places(struct census *c)
{
	bool is_good = true;

	order_places(c);
	for (size_t i = 0; i < c->loose_count && is_good; i++) {
		const struct place *p = &c->places[i];
		struct tenure always = {p->created_ns, p->created_ns, UINT64_MAX, UINT64_MAX};
		struct identity who = {.service = p->service,
				       .name_space = p->name_space,
				       .source = IDENTITY_API,
				       .certainty = CERTAINTY_CERTAIN};
		bool is_pods = false;

		for (size_t k = 0; k < c->person_count && !is_pods; k++)
			is_pods = has_address(c->people[k].pod, p->at->address);
		for (size_t k = 0; k < p->at->port_count && is_good && !is_pods; k++)
			is_good = add_row(c, p->at->address, p->at->ports[k], &always, &who);
	}
	return is_good;
}

/* ---- pods ---- */

/* The service whose name is the workload's says most; else the first by name. */
static bool is_better(struct span name, struct span than, const struct identity *who)
{
	int sign;

	if (!than.len || span_eq(name, who->workload))
		return true;
	sign = memcmp(name.ptr, than.ptr, MIN(name.len, than.len));
	return !span_eq(than, who->workload) && (sign ? sign < 0 : name.len < than.len);
}

static struct span selected_service(const struct census *c, const struct kube_pod *pod,
				    const struct identity *who, uint16_t port)
{
	struct span best = {0};

	for (size_t i = 0; i < c->service_count; i++) {
		const struct kube_service *s = c->services[i];
		bool has_port = port == 0;

		if (!kube_service_selects(s, pod))
			continue;
		for (size_t k = 0; k < s->port_count && !has_port; k++)
			has_port = kube_service_target(&s->ports[k], pod) == port;
		if (has_port && is_better(s->name, best, who))
			best = s->name;
	}
	return best;
}

/* What answers under a port of a pod; port 0: any. */
static struct span service_of(struct census *c, const struct kube_pod *pod,
			      const struct identity *who, uint16_t port)
{
	const struct place *at;
	struct span best = {0};

	for (size_t i = 0; (at = next_place(c, pod, &i));)
		if (place_has_port(at, port) && is_better(at->service, best, who))
			best = at->service;
	return best.len ? best : selected_service(c, pod, who, port);
}

static struct span only_container(const struct kube_pod *pod)
{
	struct span name = {0};

	for (size_t i = 0; i < pod->container_count; i++) {
		if (pod->containers[i].is_init)
			continue;
		if (name.len)
			return (struct span){0};
		name = pod->containers[i].name;
	}
	return name;
}

/* A port of a pod: a row where it says more than the pod alone. */
static bool add_port_row(struct census *c, const struct census_pod *p, const struct identity *who,
			 const struct kube_container_port *q, enum identity_certainty on_host)
{
	const struct kube_pod *pod = p->pod;
	struct span service = service_of(c, pod, who, q->port);
	struct identity at = *who;
	bool is_good = true;

	at.container = q->container;
	at.service = service.len ? service : who->service;
	for (size_t k = 0; k < pod->address_count && is_good && !pod->is_host_network; k++)
		if (!span_eq(at.container, who->container) || !span_eq(at.service, who->service))
			is_good = add_row(c, pod->addresses[k], q->port, &p->tenure, &at);
	if (!pod->has_host_address || !(pod->is_host_network || q->host_port))
		return is_good;
	at.certainty = (uint8_t)on_host;
	return is_good && add_row(c, pod->host_address,
				  pod->is_host_network ? q->port : q->host_port, &p->tenure, &at);
}

static bool declares(const struct kube_pod *pod, uint16_t port)
{
	for (size_t i = 0; i < pod->port_count; i++)
		if (pod->ports[i].port == port)
			return true;
	return false;
}

/* Was the port of place @at, number @k, met before on the walk? */
static bool was_met(struct census *c, const struct kube_pod *pod, const struct place *at, size_t k)
{
	const struct place *before;

	for (size_t i = 0; i < k; i++)
		if (at->at->ports[i] == at->at->ports[k])
			return true;
	for (size_t i = 0; (before = next_place(c, pod, &i)) && before != at;)
		if (place_has_port(before, at->at->ports[k]))
			return true;
	return false;
}

/* Ports that only slices know of: containers need not declare theirs. */
static bool add_slice_ports(struct census *c, const struct census_pod *p,
			    const struct identity *who)
{
	const struct place *at;
	bool is_good = true;

	for (size_t i = 0; is_good && (at = next_place(c, p->pod, &i));)
		for (size_t k = 0; k < at->at->port_count && is_good; k++) {
			struct kube_container_port q = {.port = at->at->ports[k],
							.container = who->container};

			if (!declares(p->pod, q.port) && !was_met(c, p->pod, at, k))
				is_good = add_port_row(c, p, who, &q, CERTAINTY_CERTAIN);
		}
	return is_good;
}

/* In the host's network something else may listen there. */
static bool add_port_rows(struct census *c, const struct census_pod *p, const struct identity *who)
{
	bool is_good = true;

	for (size_t i = 0; i < p->pod->port_count && is_good; i++)
		is_good = add_port_row(c, p, who, &p->pod->ports[i], CERTAINTY_INFERRED);
	return is_good && add_slice_ports(c, p, who);
}

/* The node's own address: once for each of its pods, of which one is kept in the end. */
static bool add_node(struct census *c, const struct kube_pod *pod)
{
	const struct tenure always = {0, 0, UINT64_MAX, UINT64_MAX};
	struct identity who = {
		.node = pod->who.node, .source = IDENTITY_API, .certainty = CERTAINTY_CERTAIN};

	if (!pod->has_host_address || !pod->who.node.len)
		return true;
	return add_row(c, pod->host_address, 0, &always, &who);
}

bool census_add_pod(struct census *c, const struct census_pod *p)
{
	const struct kube_pod *pod = p->pod;
	struct person *person;
	bool is_good = true;

	if (!array_room((void **)&c->people, &c->person_room, c->person_count, sizeof(*c->people)))
		return false;
	person = &c->people[c->person_count++];
	*person = (struct person){.pod = kube_pod_ref(pod), .who = pod->who, .is_gone = p->is_gone};
	c->here_count += !p->is_gone;
	if (p->workload.len)
		is_good = keep_text(c, p->workload, &person->who.workload) &&
			  keep_text(c, p->workload_kind, &person->who.workload_kind);
	person->who.container = only_container(pod);
	person->who.service = service_of(c, pod, &person->who, 0);
	for (size_t i = 0; i < pod->address_count && is_good && !pod->is_host_network; i++)
		is_good = add_row(c, pod->addresses[i], 0, &p->tenure, &person->who);
	return is_good && add_port_rows(c, p, &person->who) && add_node(c, pod);
}

/* ---- the end of making ---- */

static int compare_place(const struct row *a, const uint8_t address[16], uint16_t port)
{
	int sign = memcmp(a->address, address, 16);

	return sign ? sign : (a->port > port) - (a->port < port);
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int sign = compare_place(x, y->address, y->port);

	if (sign)
		return sign;
	return (x->tenure.since_ns > y->tenure.since_ns) -
	       (x->tenure.since_ns < y->tenure.since_ns);
}

/* What both say stays. */
static void narrow(struct identity *to, const struct identity *with)
{
	struct identity other = *with;
	struct span *text;

	for (size_t i = 0; (text = identity_text(to, i)); i++)
		if (!span_eq(*text, *identity_text(&other, i)))
			*text = (struct span){0};
}

static void finish_run(struct row *rows, size_t count)
{
	struct identity common = rows[0].who;

	for (size_t i = 1; i < count; i++)
		narrow(&common, &rows[i].who);
	common.certainty = CERTAINTY_AMBIGUOUS;
	for (size_t i = 0; i < count; i++) {
		rows[i].common = common;
		rows[i].inferred = rows[i].who;
		rows[i].inferred.certainty = CERTAINTY_INFERRED;
	}
}

static bool is_node(const struct row *row)
{
	return row->port == 0 && row->who.node.len && !row->who.pod.len && !row->who.service.len;
}

/* Rows of nodes hold always, so that those of one stand side by side. */
static void drop_repeated_nodes(struct census *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->row_count; i++)
		if (!kept || !is_node(&c->rows[i]) || !is_node(&c->rows[kept - 1]) ||
		    compare_place(&c->rows[kept - 1], c->rows[i].address, 0) != 0)
			c->rows[kept++] = c->rows[i];
	c->row_count = kept;
}

static int compare_people(const void *a, const void *b)
{
	const struct person *x = a, *y = b;

	return compare_uids(x->who.pod_uid, y->who.pod_uid);
}

bool census_finish(struct census *c)
{
	size_t end;

	if (!add_loose_places(c))
		return false;
	free(c->places);
	c->places = NULL;
	c->place_count = c->loose_count = 0;
	if (c->row_count)
		qsort(c->rows, c->row_count, sizeof(*c->rows), compare_rows);
	if (c->person_count)
		qsort(c->people, c->person_count, sizeof(*c->people), compare_people);
	drop_repeated_nodes(c);
	for (size_t i = 0; i < c->row_count; i = end) {
		for (end = i + 1; end < c->row_count; end++)
			if (compare_place(&c->rows[end], c->rows[i].address, c->rows[i].port) != 0)
				break;
		finish_run(&c->rows[i], end - i);
	}
	return true;
}

/* ---- asking ---- */

static size_t run_begin(const struct census *c, const uint8_t address[16], uint16_t port)
{
	size_t low = 0, high = c->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_place(&c->rows[middle], address, port) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct identity *find_in_run(const struct census *c, const uint8_t address[16],
					  uint16_t port, uint64_t time_ns)
{
	const struct row *sure = NULL, *some = NULL;
	size_t sure_count = 0, some_count = 0;

	for (size_t i = run_begin(c, address, port);
	     i < c->row_count && compare_place(&c->rows[i], address, port) == 0; i++) {
		const struct row *row = &c->rows[i];
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
	     i < c->row_count && compare_place(&c->rows[i], address, port) == 0; i++) {
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
	const struct person want = {.who.pod_uid = uid}, *p = NULL;

	if (c && uid.len && c->person_count)
		p = bsearch(&want, c->people, c->person_count, sizeof(want), compare_people);
	return p ? &p->who : NULL;
}

const struct kube_pod *census_next(const struct census *c, size_t *index)
{
	while (c && *index < c->person_count) {
		const struct person *p = &c->people[(*index)++];

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
