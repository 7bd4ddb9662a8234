// SPDX-License-Identifier: Apache-2.0
#include "kube/register.h"

#include <errno.h>
#include <stdlib.h>

#include "kube/census_make.h"
#include "lib/array.h"

/*
 * Theory of operation. Four lists that are searched from end to end: changes come a few a second, and
 * there are some thousands of rows at most. A pod that is gone stays in the list with the end of its
 * tenure until it has been remembered long enough; when too many are, the first to go is the one that
 * ended first. Of a list that comes whole, what was not in it is gone.
 */
struct pod_row {
	const struct kube_pod *pod; /* a reference */
	struct tenure tenure;
	bool is_gone, is_listed;
};

struct service_row {
	struct kube_service *service; /* owned */
	bool is_listed;
};

struct slice_row {
	struct kube_slice *slice; /* owned */
	bool is_listed;
};

struct owner_row {
	char *uid, *kind, *name; /* owned */
	bool is_gone, is_listed;
};

struct kube_register {
	struct register_config config;
	struct pod_row *pods;
	size_t pod_count, pod_room;
	struct service_row *services;
	size_t service_count, service_room;
	struct slice_row *slices;
	size_t slice_count, slice_room;
	struct owner_row *owners;
	size_t owner_count, owner_room;
	size_t gone_count;
	bool is_changed;
};

struct kube_register *register_new(const struct register_config *config)
{
	struct kube_register *r = calloc(1, sizeof(*r));

	if (r)
		r->config = *config;
	return r;
}

static void free_owner(struct owner_row *o)
{
	free(o->uid);
	free(o->kind);
	free(o->name);
}

void register_free(struct kube_register *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->pod_count; i++)
		kube_pod_unref(r->pods[i].pod);
	for (size_t i = 0; i < r->service_count; i++)
		kube_service_free(r->services[i].service);
	for (size_t i = 0; i < r->slice_count; i++)
		kube_slice_free(r->slices[i].slice);
	for (size_t i = 0; i < r->owner_count; i++)
		free_owner(&r->owners[i]);
	free(r->slices);
	free(r->pods);
	free(r->services);
	free(r->owners);
	free(r);
}

/* ---- pods ---- */

static struct pod_row *find_pod(struct kube_register *r, struct span uid)
{
	for (size_t i = 0; i < r->pod_count; i++)
		if (span_eq(r->pods[i].pod->who.pod_uid, uid))
			return &r->pods[i];
	return NULL;
}

int register_pod(struct kube_register *r, const struct kube_pod *pod, uint64_t now_ns)
{
	struct pod_row *row = find_pod(r, pod->who.pod_uid);

	r->is_changed = true;
	if (row && !row->is_gone) {
		kube_pod_unref(row->pod);
		row->pod = pod;
		row->is_listed = true;
		tenure_update(&row->tenure, pod, now_ns);
		return 0;
	}
	if (row || !array_room((void **)&r->pods, &r->pod_room, r->pod_count, sizeof(*r->pods))) {
		kube_pod_unref(pod); /* gone is gone: UIDs are not used again */
		return row ? 0 : -ENOMEM;
	}
	row = &r->pods[r->pod_count++];
	*row = (struct pod_row){.pod = pod, .is_listed = true};
	tenure_begin(&row->tenure, pod, now_ns);
	return 0;
}

static void forget_pod(struct kube_register *r, size_t at)
{
	r->gone_count -= r->pods[at].is_gone;
	kube_pod_unref(r->pods[at].pod);
	r->pods[at] = r->pods[--r->pod_count];
	r->is_changed = true;
}

static void forget_the_first(struct kube_register *r)
{
	size_t first = SIZE_MAX;

	for (size_t i = 0; i < r->pod_count; i++)
		if (r->pods[i].is_gone &&
		    (first == SIZE_MAX ||
		     r->pods[i].tenure.until_ns < r->pods[first].tenure.until_ns))
			first = i;
	if (first != SIZE_MAX)
		forget_pod(r, first);
}

static void end_pod(struct kube_register *r, struct pod_row *row, uint64_t known_ns,
		    uint64_t now_ns)
{
	if (row->is_gone)
		return;
	tenure_end(&row->tenure, row->pod, known_ns, now_ns);
	row->is_gone = true;
	r->is_changed = true;
	if (++r->gone_count > r->config.remember_max)
		forget_the_first(r);
}

void register_pod_gone(struct kube_register *r, struct span uid, uint64_t known_ns, uint64_t now_ns)
{
	struct pod_row *row = find_pod(r, uid);

	if (row)
		end_pod(r, row, known_ns, now_ns);
}

/* ---- services and owners ---- */

static void drop_service(struct kube_register *r, size_t at)
{
	kube_service_free(r->services[at].service);
	r->services[at] = r->services[--r->service_count];
	r->is_changed = true;
}

static size_t find_service(const struct kube_register *r, struct span uid)
{
	for (size_t i = 0; i < r->service_count; i++)
		if (span_eq(r->services[i].service->uid, uid))
			return i;
	return SIZE_MAX;
}

int register_service(struct kube_register *r, struct kube_service *service)
{
	size_t at = find_service(r, service->uid);

	if (at != SIZE_MAX)
		drop_service(r, at);
	if (!array_room((void **)&r->services, &r->service_room, r->service_count,
			sizeof(*r->services))) {
		kube_service_free(service);
		return -ENOMEM;
	}
	r->services[r->service_count++] = (struct service_row){service, true};
	r->is_changed = true;
	return 0;
}

void register_service_gone(struct kube_register *r, struct span uid)
{
	size_t at = find_service(r, uid);

	if (at != SIZE_MAX)
		drop_service(r, at);
}

static void drop_slice(struct kube_register *r, size_t at)
{
	kube_slice_free(r->slices[at].slice);
	r->slices[at] = r->slices[--r->slice_count];
	r->is_changed = true;
}

static size_t find_slice(const struct kube_register *r, struct span uid)
{
	for (size_t i = 0; i < r->slice_count; i++)
		if (span_eq(r->slices[i].slice->uid, uid))
			return i;
	return SIZE_MAX;
}

int register_slice(struct kube_register *r, struct kube_slice *slice)
{
	size_t at = find_slice(r, slice->uid);

	if (at != SIZE_MAX)
		drop_slice(r, at);
	if (!array_room((void **)&r->slices, &r->slice_room, r->slice_count, sizeof(*r->slices))) {
		kube_slice_free(slice);
		return -ENOMEM;
	}
	r->slices[r->slice_count++] = (struct slice_row){slice, true};
	r->is_changed = true;
	return 0;
}

void register_slice_gone(struct kube_register *r, struct span uid)
{
	size_t at = find_slice(r, uid);

	if (at != SIZE_MAX)
		drop_slice(r, at);
}

static void drop_owner(struct kube_register *r, size_t at)
{
	free_owner(&r->owners[at]);
	r->owners[at] = r->owners[--r->owner_count];
	r->is_changed = true;
}

static size_t find_owner(const struct kube_register *r, struct span uid)
{
	for (size_t i = 0; i < r->owner_count; i++)
		if (span_eq(span_str(r->owners[i].uid), uid))
			return i;
	return SIZE_MAX;
}

static char *copy(struct span s)
{
	return strndup(s.len ? (const char *)s.ptr : "", s.len);
}

int register_owner(struct kube_register *r, struct span uid, struct span kind, struct span name)
{
	struct owner_row row = {copy(uid), copy(kind), copy(name), false, true};
	size_t at = find_owner(r, uid);

	if (at != SIZE_MAX)
		drop_owner(r, at);
	if (!row.uid || !row.kind || !row.name ||
	    !array_room((void **)&r->owners, &r->owner_room, r->owner_count, sizeof(*r->owners))) {
		free_owner(&row);
		return -ENOMEM;
	}
	r->owners[r->owner_count++] = row;
	r->is_changed = true;
	return 0;
}

static bool has_pods(const struct kube_register *r, const struct owner_row *owner)
{
	for (size_t i = 0; i < r->pod_count; i++)
		if (span_eq(r->pods[i].pod->owner_uid, span_str(owner->uid)))
			return true;
	return false;
}

/* Its pods may be remembered for longer than the Job: who owns them is kept as long as one is. */
void register_owner_gone(struct kube_register *r, struct span uid)
{
	size_t at = find_owner(r, uid);

	if (at == SIZE_MAX)
		return;
	r->owners[at].is_gone = true;
	if (!has_pods(r, &r->owners[at]))
		drop_owner(r, at);
}

static void forget_old(struct kube_register *r, uint64_t now_ns)
{
	for (size_t i = r->pod_count; i-- > 0;)
		if (r->pods[i].is_gone &&
		    r->pods[i].tenure.until_ns + r->config.remember_ns < now_ns)
			forget_pod(r, i);
	for (size_t i = r->owner_count; i-- > 0;)
		if (r->owners[i].is_gone && !has_pods(r, &r->owners[i]))
			drop_owner(r, i);
}

/* ---- whole lists ---- */

void register_list_begin(struct kube_register *r, enum register_list which)
{
	for (size_t i = 0; which == REGISTER_PODS && i < r->pod_count; i++)
		r->pods[i].is_listed = false;
	for (size_t i = 0; which == REGISTER_SERVICES && i < r->service_count; i++)
		r->services[i].is_listed = false;
	for (size_t i = 0; which == REGISTER_OWNERS && i < r->owner_count; i++)
		r->owners[i].is_listed = false;
	for (size_t i = 0; which == REGISTER_SLICES && i < r->slice_count; i++)
		r->slices[i].is_listed = false;
}

void register_list_end(struct kube_register *r, enum register_list which, uint64_t known_ns,
		       uint64_t now_ns)
{
	for (size_t i = 0; which == REGISTER_PODS && i < r->pod_count; i++)
		if (!r->pods[i].is_listed)
			end_pod(r, &r->pods[i], known_ns, now_ns);
	for (size_t i = r->service_count; which == REGISTER_SERVICES && i-- > 0;)
		if (!r->services[i].is_listed)
			drop_service(r, i);
	for (size_t i = r->slice_count; which == REGISTER_SLICES && i-- > 0;)
		if (!r->slices[i].is_listed)
			drop_slice(r, i);
	for (size_t i = r->owner_count; which == REGISTER_OWNERS && i-- > 0;)
		if (!r->owners[i].is_listed)
			register_owner_gone(r, span_str(r->owners[i].uid));
}

/* ---- the census ---- */

bool register_is_changed(const struct kube_register *r)
{
	return r->is_changed;
}

size_t register_gone_count(const struct kube_register *r)
{
	return r->gone_count;
}

const struct census *register_census(struct kube_register *r, uint64_t lost_ns, uint64_t now_ns)
{
	struct census *c = census_new(lost_ns);
	bool is_good = c != NULL;

	forget_old(r, now_ns);
	for (size_t i = 0; i < r->service_count && is_good; i++)
		is_good = census_add_service(c, r->services[i].service);
	for (size_t i = 0; i < r->slice_count && is_good; i++)
		is_good = census_add_slice(c, r->slices[i].slice);
	for (size_t i = 0; i < r->pod_count && is_good; i++) {
		struct pod_row *row = &r->pods[i];
		size_t owner =
			row->pod->owner_uid.len ? find_owner(r, row->pod->owner_uid) : SIZE_MAX;
		struct census_pod p = {
			.pod = row->pod, .tenure = row->tenure, .is_gone = row->is_gone};

		if (owner != SIZE_MAX) {
			p.workload = span_str(r->owners[owner].name);
			p.workload_kind = span_str(r->owners[owner].kind);
		}
		is_good = census_add_pod(c, &p);
	}
	if (is_good)
		is_good = census_finish(c);
	if (!is_good) {
		census_free(c);
		return NULL;
	}
	r->is_changed = false;
	return c;
}
