// SPDX-License-Identifier: Apache-2.0
#include "kube/census_make.h"

#include <stdlib.h>

#include "kube/census_parts.h"
#include "lib/array.h"

/*
 * Theory of operation. Services and slices are only looked up in while pods are added; each pod gives
 * a row for each of its addresses, and one for each port by which more can be said. At the end rows are
 * put in order, and each run of one address and port is told what its rows have in common.
 */
struct census *census_new(uint64_t lost_ns)
{
	struct census *c = calloc(1, sizeof(*c));

	if (c)
		c->lost_ns = lost_ns;
	return c;
}

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
	struct census_row *row;

	if (!array_room((void **)&c->rows, &c->row_room, c->row_count, sizeof(*c->rows)))
		return false;
	row = &c->rows[c->row_count++];
	*row = (struct census_row){.port = port, .tenure = *t, .who = *who};
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
	struct census_place place = {.created_ns = s->created_ns};

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

static int compare_places(const void *a, const void *b)
{
	const struct census_place *x = a, *y = b;

	return census_compare_uids(x->at->pod_uid, y->at->pod_uid);
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

		if (census_compare_uids(c->places[middle].at->pod_uid, uid) < 0)
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
static const struct census_place *next_place(struct census *c, const struct kube_pod *pod,
					     size_t *at)
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

static bool place_has_port(const struct census_place *p, uint16_t port)
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
		const struct census_place *p = &c->places[i];
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
	const struct census_place *at;
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
static bool was_met(struct census *c, const struct kube_pod *pod, const struct census_place *at,
		    size_t k)
{
	const struct census_place *before;

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
	const struct census_place *at;
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
	struct census_person *person;
	bool is_good = true;

	if (!array_room((void **)&c->people, &c->person_room, c->person_count, sizeof(*c->people)))
		return false;
	person = &c->people[c->person_count++];
	*person = (struct census_person){
		.pod = kube_pod_ref(pod), .who = pod->who, .is_gone = p->is_gone};
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

static int compare_rows(const void *a, const void *b)
{
	const struct census_row *x = a, *y = b;
	int sign = census_compare_place(x, y->address, y->port);

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

static void finish_run(struct census_row *rows, size_t count)
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

static bool is_node(const struct census_row *row)
{
	return row->port == 0 && row->who.node.len && !row->who.pod.len && !row->who.service.len;
}

/* Rows of nodes hold always, so that those of one stand side by side. */
static void drop_repeated_nodes(struct census *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->row_count; i++)
		if (!kept || !is_node(&c->rows[i]) || !is_node(&c->rows[kept - 1]) ||
		    census_compare_place(&c->rows[kept - 1], c->rows[i].address, 0) != 0)
			c->rows[kept++] = c->rows[i];
	c->row_count = kept;
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
		qsort(c->people, c->person_count, sizeof(*c->people), census_compare_people);
	drop_repeated_nodes(c);
	for (size_t i = 0; i < c->row_count; i = end) {
		for (end = i + 1; end < c->row_count; end++)
			if (census_compare_place(&c->rows[end], c->rows[i].address,
						 c->rows[i].port) != 0)
				break;
		finish_run(&c->rows[i], end - i);
	}
	return true;
}
