// SPDX-License-Identifier: Apache-2.0
#include "daemon/tapkeeper_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/json_field.h"
#include "lib/log.h"
#include "record/record.h"
#include "record/tapconfigs.h"

/*
 * Theory of operation. A reflector tells what TapConfigs there are. Each new version of a spec is read at once; what comes
 * of all of them is given to the recorder as one snapshot, after each burst of events and not before a list is whole.
 *
 * A version that is not good leaves the one before in force: what this daemon had, else what the status has as
 * `applied`. Where there is none, the TapConfig asks for nothing, and because it is there nothing else of its namespace
 * is recorded on its behalf: whoever wrote it wanted less than all, and what was recorded cannot be taken back.
 *
 * What is in force is remembered for the next start (daemon/tapkeeper_cache.c).
 *
 * Too many are not applied: the oldest are, which is the same on every node. While the API server is away, or says 404
 * (no CustomResourceDefinition), the last snapshot stays.
 */
#define PATH "/apis/tapeloop.dev/v1alpha1/tapconfigs"
#define SOON_NS                                                                                    \
	(500 *                                                                                     \
	 NS_PER_MS) /* nodes say what they think of a new spec within that, one after the other */
#define NAME_MAX_BYTES 253

static const struct {
	const char *name, *type, *what;
} gauges[TAPKEEPER_GAUGE_COUNT] = {
	[TAPKEEPER_APPLIED] = {"tapconfigs", "gauge",
			       "TapConfigs whose newest version is applied."},
	[TAPKEEPER_REFUSED] = {"tapconfigs_refused", "gauge",
			       "TapConfigs whose newest version is not; their status says why."},
	[TAPKEEPER_LIVE] =
		{"tapconfigs_live", "gauge",
		 "1: TapConfigs are being watched; 0: what was last heard stays in force."},
	[TAPKEEPER_WRITES] = {"tapconfig_status_writes_total", "counter",
			      "Writes of a status that were taken."},
	[TAPKEEPER_CONFLICTS] = {"tapconfig_status_conflicts_total", "counter",
				 "Writes of a status that another node was faster with."},
	[TAPKEEPER_FAILURES] =
		{"tapconfig_failures_total", "counter",
		 "TapConfigs that could not be kept, writes of a status that failed."},
};

void tapkeeper_count(struct tapkeeper *k, enum tapkeeper_gauge which)
{
	atomic_fetch_add_explicit(&k->gauges[which], 1, memory_order_relaxed);
}

void tapkeeper_gauges(const struct tapkeeper *k, struct buf *out)
{
	for (size_t i = 0; i < TAPKEEPER_GAUGE_COUNT; i++)
		buf_add_fmt(
			out,
			"# HELP tapeloop_%s %s\n# TYPE tapeloop_%s %s\ntapeloop_%s %" PRIu64 "\n",
			gauges[i].name, gauges[i].what, gauges[i].name, gauges[i].type,
			gauges[i].name, atomic_load_explicit(&k->gauges[i], memory_order_relaxed));
}

uint64_t tapkeeper_random(struct tapkeeper *k, uint64_t below)
{
	k->random ^= k->random << 13; /* xorshift: to scatter, not to surprise */
	k->random ^= k->random >> 7;
	k->random ^= k->random << 17;
	return below ? k->random % below : 0;
}

const struct fault *tapentry_fault(const struct tapentry *e)
{
	if (e->spec_fault.err.code)
		return &e->spec_fault;
	return e->crowd_fault.err.code ? &e->crowd_fault : NULL;
}

/* ---- entries ---- */

static void free_entry(struct tapentry *e)
{
	if (!e)
		return;
	tapconfig_unref(e->good);
	tapconfig_counts_unref(e->counts);
	json_decref(e->good_spec);
	json_decref(e->spec);
	json_decref(e->status);
	free(e->name_space);
	free(e->name);
	free(e->uid);
	free(e->created);
	free(e->version);
	free(e);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s && strlen(s) <= NAME_MAX_BYTES ? s : "";
}

/* It becomes part of a path. */
static bool is_name(const char *s)
{
	return *s && *s != '.' && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0';
}

static struct tapentry *find_entry(const struct tapkeeper *k, const char *uid)
{
	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->entries[i]->uid, uid) == 0)
			return k->entries[i];
	return NULL;
}

static struct tapentry *add_entry(struct tapkeeper *k, const json_t *meta)
{
	struct tapentry *e = k->count < TAPKEEPER_TRACKED_MAX ? calloc(1, sizeof(*e)) : NULL;

	if (!e)
		return NULL;
	e->name_space = strdup(text_of(meta, "namespace"));
	e->name = strdup(text_of(meta, "name"));
	e->uid = strdup(text_of(meta, "uid"));
	e->created = strdup(text_of(meta, "creationTimestamp"));
	e->counts = tapconfig_counts_new();
	if (!e->name_space || !e->name || !e->uid || !e->created || !e->counts ||
	    !is_name(e->name_space) || !is_name(e->name) || !*e->uid ||
	    !array_room((void **)&k->entries, &k->room, k->count, sizeof(struct tapentry *))) {
		free_entry(e);
		return NULL;
	}
	k->entries[k->count++] = e;
	return e;
}

static void remove_entry(struct tapkeeper *k, size_t i)
{
	log_info("kube", "TapConfig %s/%s is gone", k->entries[i]->name_space, k->entries[i]->name);
	free_entry(k->entries[i]);
	k->entries[i] = k->entries[--k->count];
	k->is_changed = true;
}

/* ---- a version of a spec ---- */

static struct tapspec_retention retention_of(struct tapkeeper *k)
{
	return (struct tapspec_retention){atomic_load(&k->age_max_ns),
					  atomic_load(&k->failures_age_max_ns),
					  atomic_load(&k->quota_bytes)};
}

static int read_spec(struct tapkeeper *k, const struct tapentry *e, json_t *spec,
		     struct tapconfig **out, struct fault *f)
{
	const struct tapspec_retention retention = retention_of(k);
	struct tapspec *s = NULL;
	int failed = tapspec_parse(spec, &s, f);

	if (failed == 0)
		failed = tapspec_check_keep(s, &retention, f);
	if (failed < 0) {
		tapspec_free(s);
		return failed;
	}
	return tapconfig_new(s, e->name_space, e->counts, out, f);
}

static void set_good(struct tapentry *e, struct tapconfig *good, json_t *spec, uint64_t generation)
{
	tapconfig_unref(e->good);
	json_decref(e->good_spec);
	e->good = good;
	e->good_spec = json_incref(spec);
	e->good_generation = generation;
}

/* No version of it was good here: what others had, else nothing. */
static void go_on_with_older(struct tapkeeper *k, struct tapentry *e)
{
	uint64_t generation;
	json_t *spec = tapstatus_applied(e->status, &generation);
	struct tapconfig *good = NULL;

	if (spec && read_spec(k, e, spec, &good, NULL) == 0)
		set_good(e, good, spec, generation);
	else
		set_good(e, tapconfig_new_mute(e->name_space, e->counts), NULL, 0);
	json_decref(spec);
}

static void judge_spec(struct tapkeeper *k, struct tapentry *e)
{
	struct tapconfig *good = NULL;
	char why[sizeof(e->spec_fault)];

	e->spec_fault = (struct fault){0};
	if (read_spec(k, e, e->spec, &good, &e->spec_fault) == 0) {
		set_good(e, good, e->spec, e->generation);
		log_info("kube", "TapConfig %s/%s applies, generation=%" PRIu64, e->name_space,
			 e->name, e->generation);
	} else {
		if (!e->good)
			go_on_with_older(k, e);
		fault_text(&e->spec_fault, why, sizeof(why));
		log_warn("kube", "TapConfig %s/%s is not accepted: %s", e->name_space, e->name,
			 why);
	}
	k->is_changed = k->wants_census = true;
	e->due_ns = clock_mono_ns() + tapkeeper_random(k, SOON_NS);
}

void tapkeeper_take(struct tapkeeper *k, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");
	struct tapentry *e = find_entry(k, text_of(meta, "uid"));
	json_t *spec = json_object_get(object, "spec"), *status = json_object_get(object, "status");
	bool is_first = !e;

	if (!e && !(e = add_entry(k, meta))) {
		tapkeeper_count(k, TAPKEEPER_FAILURES);
		if (k->untracked++ == 0)
			log_warn("kube",
				 "a TapConfig cannot be kept: there are more than %d, or it has no "
				 "name, or no memory",
				 TAPKEEPER_TRACKED_MAX);
		return;
	}
	e->is_heard = true;
	free(e->version);
	e->version = strdup(text_of(meta, "resourceVersion"));
	json_decref(e->status);
	e->status = json_incref(status);
	if (!e->has_base && !k->is_recalling)
		e->counted_before = tapstatus_exchanges(status, k->config.node);
	e->has_base |= !k->is_recalling;
	e->generation = json_field_u64(meta, "generation");
	if (!is_first && json_equal(e->spec, spec) && e->spec_fault.err.code != -ENOMEM) {
		if (!e->spec_fault.err.code)
			e->good_generation = e->generation;
		return;
	}
	json_decref(e->spec);
	e->spec = json_incref(spec);
	judge_spec(k, e);
}

/* ---- what is heard ---- */

static void take_gone(struct tapkeeper *k, const json_t *object)
{
	const char *uid = text_of(json_object_get(object, "metadata"), "uid");

	for (size_t i = k->count; i-- > 0;)
		if (strcmp(k->entries[i]->uid, uid) == 0)
			remove_entry(k, i);
}

static void begin_list(struct tapkeeper *k)
{
	k->is_listing = true;
	for (size_t i = 0; i < k->count; i++)
		k->entries[i]->is_heard = false;
}

static void end_list(struct tapkeeper *k)
{
	for (size_t i = k->count; i-- > 0;)
		if (!k->entries[i]->is_heard)
			remove_entry(k, i);
	k->is_listing = false;
	k->is_changed = true; /* also of none: somebody may wait for it */
}

static void on_event(void *ctx, enum reflector_event what, const json_t *object)
{
	struct tapkeeper *k = ctx;

	if (what == REFLECTOR_BEGIN)
		begin_list(k);
	else if (what == REFLECTOR_END)
		end_list(k);
	else if (what == REFLECTOR_DELETED)
		take_gone(k, object);
	else
		tapkeeper_take(k, object);
}

static void on_state(void *ctx, bool is_live, const struct err *why)
{
	struct tapkeeper *k = ctx;

	atomic_store_explicit(&k->gauges[TAPKEEPER_LIVE], is_live, memory_order_relaxed);
	if (!is_live && !k->was_said) {
		if (why && why->code == -ENOENT)
			log_info("kube",
				 "this cluster has no TapConfigs (their CustomResourceDefinition "
				 "is not installed); will look again");
		else
			log_warn("kube",
				 "TapConfigs are not being told, what was last heard stays in "
				 "force: %s",
				 why ? why->why : "?");
	}
	if (is_live && k->was_said)
		log_info("kube", "TapConfigs are being told");
	k->was_said = !is_live;
	if (!is_live)
		atomic_store(&k->is_told, true);
}

/* ---- the snapshot ---- */

/* The oldest first, so that every node leaves out the same ones. */
static int compare_entries(const void *a, const void *b)
{
	const struct tapentry *x = *(struct tapentry *const *)a, *y = *(struct tapentry *const *)b;
	int sign = strcmp(x->created, y->created);

	if (sign == 0)
		sign = strcmp(x->name_space, y->name_space);
	return sign ? sign : strcmp(x->name, y->name);
}

static size_t count_before(const struct tapkeeper *k, size_t i)
{
	size_t n = 0;

	for (size_t other = 0; other < i; other++)
		n += strcmp(k->entries[other]->name_space, k->entries[i]->name_space) == 0;
	return n;
}

static void judge_crowd(struct tapkeeper *k, size_t i)
{
	struct tapentry *e = k->entries[i];
	bool was = e->crowd_fault.err.code;

	e->crowd_fault = (struct fault){0};
	if (i >= TAPKEEPER_MAX)
		(void)fault_set(&e->crowd_fault, "TooMany", "",
				"is not applied: there are %d older TapConfigs in this cluster",
				TAPKEEPER_MAX);
	else if (count_before(k, i) >= TAPCONFIGS_PER_NAMESPACE_MAX)
		(void)fault_set(&e->crowd_fault, "TooMany", "",
				"is not applied: there are %d older TapConfigs in this namespace",
				TAPCONFIGS_PER_NAMESPACE_MAX);
	if (was != (e->crowd_fault.err.code != 0))
		e->due_ns = clock_mono_ns() + tapkeeper_random(k, SOON_NS);
}

static void set_gauges(struct tapkeeper *k)
{
	uint64_t refused = 0;

	for (size_t i = 0; i < k->count; i++)
		refused += tapentry_fault(k->entries[i]) != NULL;
	atomic_store_explicit(&k->gauges[TAPKEEPER_APPLIED], k->count - refused,
			      memory_order_relaxed);
	atomic_store_explicit(&k->gauges[TAPKEEPER_REFUSED], refused, memory_order_relaxed);
}

/* Return: false without memory: the snapshot before stays. */
static bool publish(struct tapkeeper *k)
{
	struct tapconfig **all = calloc(k->count + 1, sizeof(struct tapconfig *));
	size_t n = 0;
	int failed;

	if (!all)
		return false;
	if (k->count)
		qsort(k->entries, k->count, sizeof(struct tapentry *), compare_entries);
	for (size_t i = 0; i < k->count; i++) {
		judge_crowd(k, i);
		if (!k->entries[i]->crowd_fault.err.code && k->entries[i]->good)
			all[n++] = k->entries[i]->good;
	}
	failed = record_tapconfigs(k->config.record, all, n);
	free(all);
	set_gauges(k);
	if (failed == 0)
		tapkeeper_remember(k);
	return failed == 0;
}

/* Did the settings change that `keep` is held against? */
static void look_at_settings(struct tapkeeper *k)
{
	struct tapspec_retention now = retention_of(k), *was = &k->config.retention;

	if (now.age_max_ns == was->age_max_ns &&
	    now.failures_age_max_ns == was->failures_age_max_ns &&
	    now.quota_bytes == was->quota_bytes)
		return;
	*was = now;
	for (size_t i = 0; i < k->count; i++)
		judge_spec(k, k->entries[i]);
}

uint64_t tapkeeper_tick(struct tapkeeper *k, uint64_t now_ns)
{
	uint64_t nap_ns = reflector_tick(k->reflector, now_ns);

	look_at_settings(k);
	if (k->is_changed && !k->is_listing) {
		k->is_changed = !publish(k);
		atomic_store(&k->is_told, true);
	}
	return MIN(nap_ns, tapkeeper_write(k, now_ns));
}

/* ---- pods ---- */

bool tapkeeper_wants_census(const struct tapkeeper *k)
{
	return k->wants_census;
}

static void count_pod(struct tapkeeper *k, const struct kube_pod *pod)
{
	char node[NAME_MAX_BYTES + 1];

	if (pod->who.node.len > NAME_MAX_BYTES || pod->has_ended)
		return;
	memcpy(node, pod->who.node.len ? pod->who.node.ptr : (const uint8_t *)"",
	       pod->who.node.len);
	node[pod->who.node.len] = '\0';
	if (k->node_names && !json_object_get(k->node_names, node))
		json_object_set_new(k->node_names, node, json_true());
	if (strcmp(node, k->config.node) != 0)
		return;
	for (size_t i = 0; i < k->count; i++) {
		struct tapentry *e = k->entries[i];

		if (e->good && span_eq(pod->who.name_space, span_str(e->name_space)))
			e->pods += tapconfig_selects(e->good, &pod->who);
	}
}

void tapkeeper_census(struct tapkeeper *k, const struct census *c)
{
	const struct kube_pod *pod;
	size_t at = 0;

	k->wants_census = false;
	if (k->count == 0)
		return;
	json_decref(k->node_names);
	k->node_names = census_is_lost(c) ? NULL : json_object();
	for (size_t i = 0; i < k->count; i++)
		k->entries[i]->pods = 0;
	while ((pod = census_next(c, &at)))
		count_pod(k, pod);
}

/* ---- beginning and end ---- */

struct tapkeeper *tapkeeper_new(const struct tapkeeper_config *config)
{
	struct tapkeeper *k = calloc(1, sizeof(*k));
	struct reflector_config watch = {
		.path = PATH, .event = on_event, .state = on_state, .ctx = k};

	if (!k)
		return NULL;
	k->config = *config;
	tapkeeper_set_retention(k, &config->retention);
	(void)!getrandom(&k->random, sizeof(k->random), GRND_NONBLOCK);
	k->random |= 1;
	k->reflector = reflector_new(config->client, &watch, tapkeeper_random(k, UINT64_MAX));
	if (!k->reflector) {
		free(k);
		return NULL;
	}
	tapkeeper_recall(k);
	if (k->count)
		k->is_changed = !publish(k);
	return k;
}

void tapkeeper_free(struct tapkeeper *k)
{
	if (!k)
		return;
	reflector_free(k->reflector);
	tapkeeper_write_fini(k);
	for (size_t i = 0; i < k->count; i++)
		free_entry(k->entries[i]);
	json_decref(k->node_names);
	json_decref(k->remembered);
	free(k->entries);
	free(k);
}

bool tapkeeper_is_told(const struct tapkeeper *k)
{
	return atomic_load(&k->is_told);
}

void tapkeeper_set_retention(struct tapkeeper *k, const struct tapspec_retention *r)
{
	atomic_store(&k->age_max_ns, r->age_max_ns);
	atomic_store(&k->failures_age_max_ns, r->failures_age_max_ns);
	atomic_store(&k->quota_bytes, r->quota_bytes);
}
