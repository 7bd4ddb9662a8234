// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "daemon/tapkeeper_internal.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * Theory of operation. What is to be said of each TapConfig is looked at when it is due: soon after its spec changed,
 * else once in a period. One write is under way at a time, and ten are begun in a second at most, so a node costs the
 * API server little whatever people do to their TapConfigs. A status that says already what we would say is left alone:
 * that is what keeps a hundred nodes from writing the same verdict.
 *
 * A write that another was faster with (409) is done again after a wait that doubles: by then the watch has brought
 * what that one wrote. One that is forbidden is told once and tried again much later.
 */
#define SPACING_NS	(100 * NS_PER_MS)
#define AGAIN_MIN_NS	(200 * NS_PER_MS)
#define AGAIN_DOUBLINGS 7
#define FORBIDDEN_NS	(300 * NS_PER_S)

static bool has_node(void *ctx, const char *name)
{
	const struct tapkeeper *k = ctx;

	return json_object_get(k->node_names, name) != NULL;
}

static struct tapreport report_of(struct tapkeeper *k, const struct tapentry *e)
{
	return (struct tapreport){
		.node = k->config.node,
		.generation = e->generation,
		.fault = tapentry_fault(e),
		.applied = e->good_spec,
		.applied_generation = e->good_generation,
		.pods = e->pods,
		.exchanges = e->counted_before +
			     atomic_load_explicit(&e->counts->recorded, memory_order_relaxed),
		.has_node = k->node_names ? has_node : NULL,
		.ctx = k,
	};
}

static struct tapentry *written_entry(const struct tapkeeper *k)
{
	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->entries[i]->uid, k->writing_uid) == 0)
			return k->entries[i];
	return NULL;
}

/* Not before, so that all nodes that lost do not come back together. */
static uint64_t wait_after_conflict(struct tapkeeper *k, struct tapentry *e)
{
	uint64_t most = AGAIN_MIN_NS << MIN(e->lost_count, (unsigned)AGAIN_DOUBLINGS);

	e->lost_count++;
	return most / 2 + tapkeeper_random(k, most / 2);
}

static void take_failure(struct tapkeeper *k, struct tapentry *e, int result, const struct err *why,
			 uint64_t now_ns)
{
	bool is_gone = result == -ENOENT; /* the watch will tell */

	tapkeeper_count(k, result == -EEXIST ? TAPKEEPER_CONFLICTS : TAPKEEPER_FAILURES);
	if (result == -EEXIST)
		e->due_ns = now_ns + wait_after_conflict(k, e);
	else
		e->due_ns = now_ns + (result == -EPERM ? FORBIDDEN_NS : k->config.period_ns);
	if (result != -EEXIST && !is_gone)
		log_warn("kube", "the status of TapConfig %s/%s cannot be written: %s",
			 e->name_space, e->name, why->why);
}

static void on_written(void *ctx, int result, struct kube_answer *a, const struct err *why)
{
	struct tapkeeper *k = ctx;
	struct tapentry *e = written_entry(k);
	uint64_t now_ns = clock_mono_ns();

	(void)a; /* the watch brings it, in order with what others write */
	k->call = NULL;
	if (result == 0)
		tapkeeper_count(k, TAPKEEPER_WRITES);
	if (e && result == 0) {
		e->lost_count = 0;
		e->wrote_ns = now_ns;
		e->due_ns = now_ns + k->config.period_ns;
	} else if (e) {
		take_failure(k, e, result, why, now_ns);
	}
}

static int begin_write(struct tapkeeper *k, struct tapentry *e)
{
	const struct tapreport report = report_of(k, e);
	json_t *patch =
		tapstatus_patch(e->status, e->version ? e->version : "", &report, clock_wall_ns());
	char *body = patch ? json_dumps(patch, JSON_COMPACT) : NULL;
	AUTO_BUF path = {0};
	struct kube_request q = {.method = "PATCH", .content_type = "application/merge-patch+json"};
	int failed = -ENOMEM;

	buf_add_fmt(&path, "/apis/tapeloop.dev/v1alpha1/namespaces/%s/tapconfigs/%s/status",
		    e->name_space, e->name);
	q.path = buf_cstr(&path);
	q.body = span_str(body);
	free(k->writing_uid);
	k->writing_uid = strdup(e->uid);
	if (body && k->writing_uid && !path.is_failed)
		failed = kube_call(k->config.client, &q, NULL, on_written, k, &k->call, NULL);
	free(body);
	json_decref(patch);
	return failed;
}

/* What is due: looked at, and written when it must be. */
static void look(struct tapkeeper *k, struct tapentry *e, uint64_t now_ns)
{
	const struct tapreport report = report_of(k, e);
	enum tapstatus_need need = tapstatus_need(e->status, &report);

	e->due_ns = now_ns + k->config.period_ns;
	if (need == TAPSTATUS_FINE || k->is_listing || !e->has_base)
		return;
	k->next_write_ns = now_ns + SPACING_NS;
	if (begin_write(k, e) < 0)
		tapkeeper_count(k, TAPKEEPER_FAILURES);
}

uint64_t tapkeeper_write(struct tapkeeper *k, uint64_t now_ns)
{
	uint64_t due_ns = UINT64_MAX;

	for (size_t i = 0; i < k->count; i++) {
		struct tapentry *e = k->entries[i];

		if (!k->call && !k->wants_census && now_ns >= k->next_write_ns &&
		    now_ns >= e->due_ns)
			look(k, e, now_ns);
		due_ns = MIN(due_ns, e->due_ns);
	}
	if (k->call || k->wants_census || due_ns == UINT64_MAX)
		return UINT64_MAX; /* what is awaited wakes us */
	due_ns = MAX(due_ns, k->next_write_ns);
	return due_ns > now_ns ? due_ns - now_ns : 0;
}

void tapkeeper_write_fini(struct tapkeeper *k)
{
	kube_call_cancel(k->call);
	free(k->writing_uid);
}
