// SPDX-License-Identifier: Apache-2.0
#include "daemon/names.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/node_name.h"
#include "daemon/tapkeeper.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/reflector.h"
#include "kube/register.h"
#include "lib/bell.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "record/record.h"

/*
 * Theory of operation. One thread runs all reflectors over one client. What they tell goes into the
 * register; a short while after a change a new census is made of it and given to the recorder. Changes come
 * in bursts, so the while is longer the longer making one takes: at most a tenth of a core goes there.
 *
 * While the API server is away the last census stays, made anew once with the moment at which it was
 * lost: what is recorded later is named as inferred.
 *
 * TapConfigs come over the same client (daemon/tapkeeper.c); their pods are counted in each new census.
 *
 * Jobs are asked for their metadata alone; of Deployments the names of ReplicaSets tell (kube/pod.c).
 * A resource that we may not list, or that is not served, leaves its part of the names empty.
 */
#define SETTLE_NS     (20 * NS_PER_MS) /* from a change to its census, when making one is cheap */
#define SETTLE_FACTOR 10
#define RUN_MAX_MS    1000
#define OTHERS_NS                                                                                  \
	(5 * NS_PER_S) /* pods wait so long for services and owners before they are told of */
#define OTHERS_LOOK_NS (50 * NS_PER_MS)
#define CATCH_UP_NS    (10 * NS_PER_S)
#define REMEMBER_MAX   10000
#define PARTIAL	       "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define PARTIAL_LIST   "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

struct watched {
	struct names *names;
	struct reflector *reflector;
	enum register_list list;
	uint64_t failures_before; /* when pods were last told of again */
};

/* in the order of enum register_list */
static const struct {
	const char *path, *accept, *accept_watch;
} resources[REGISTER_LIST_COUNT] = {
	[REGISTER_PODS] = {"/api/v1/pods", NULL, NULL},
	[REGISTER_SERVICES] = {"/api/v1/services", NULL, NULL},
	[REGISTER_OWNERS] = {"/apis/batch/v1/jobs", PARTIAL_LIST, PARTIAL},
	[REGISTER_SLICES] = {"/apis/discovery.k8s.io/v1/endpointslices", NULL, NULL},
};

/* What older servers have instead, one after the other: v1 is served from 1.21 on, v1beta1 until 1.24. */
static const char *const older_slices[] = {"/apis/discovery.k8s.io/v1beta1/endpointslices",
					   "/api/v1/endpoints"};

enum gauge {
	GAUGE_PODS,
	GAUGE_GONE,
	GAUGE_LIVE,
	GAUGE_LISTS,
	GAUGE_WATCHES,
	GAUGE_EXPIRED,
	GAUGE_FAILURES,
	GAUGE_EVENTS,
	GAUGE_TOKENS,
	GAUGE_COUNT
};
static const struct {
	const char *name, *type, *what;
} gauges[GAUGE_COUNT] = {
	[GAUGE_PODS] = {"kube_pods", "gauge", "Pods that are known."},
	[GAUGE_GONE] = {"kube_pods_gone", "gauge",
			"Pods that are gone and still known by their addresses."},
	[GAUGE_LIVE] = {"kube_live", "gauge", "1: pods are being watched; 0: names may be stale."},
	[GAUGE_LISTS] = {"kube_lists_total", "counter", "Pages of lists asked for."},
	[GAUGE_WATCHES] = {"kube_watches_total", "counter", "Watches begun."},
	[GAUGE_EXPIRED] = {"kube_expired_total", "counter",
			   "Lists and watches that had become too old (410)."},
	[GAUGE_FAILURES] = {"kube_failures_total", "counter",
			    "Requests that failed, objects that could not be read."},
	[GAUGE_EVENTS] = {"kube_events_total", "counter", "Objects heard of."},
	[GAUGE_TOKENS] = {"kube_token_reads_total", "counter", "Times that credentials were read."},
};

struct names {
	struct record *record; /* borrowed */
	struct kube_client *client;
	struct kube_register *people;
	struct tapkeeper *tapkeeper; /* NULL: TapConfigs are not asked for */
	char host[NODE_NAME_ROOM];
	int told_fd; /* eventfd: it has heard of them; -1: none */
	bool has_told;
	struct watched watched[REGISTER_LIST_COUNT];
	char *annotations; /* for the choice; owned */
	struct kube_pod_choice choice;
	pthread_t thread;
	bool has_thread;
	_Atomic bool is_stopping;
	_Atomic uint64_t gauges[GAUGE_COUNT];
	_Atomic uint64_t heard_ns; /* when the server last said anything [monotonic]; 0: never */
	/* thread names */
	uint64_t bad_objects;
	size_t older; /* of older_slices: the next one */
	/* since when pods are not watched [wall]; as the last census has it */
	uint64_t lost_ns, told_lost_ns;
	uint64_t settle_ns, changed_ns; /* monotonic; 0: nothing has changed */
	uint64_t back_ns;		/* when pods were last told of again [monotonic] */
	uint64_t lost_before_ns;	/* since when they had not been [wall] */
};

/* ---- what is heard ---- */

/* Up to when what is heard now is certain: a watch that is taken up again tells first of what happened meanwhile. */
static uint64_t known_ns(const struct names *n)
{
	bool is_catching_up = n->lost_before_ns && clock_mono_ns() - n->back_ns < CATCH_UP_NS;

	return is_catching_up ? n->lost_before_ns : clock_wall_ns();
}

static int take_pod(struct names *n, const json_t *object, bool is_gone, struct err *e)
{
	const struct kube_pod *pod;
	int r = kube_pod_parse(object, &n->choice, &pod, e);

	if (r < 0)
		return r;
	r = register_pod(n->people, kube_pod_ref(pod), clock_wall_ns());
	if (is_gone)
		register_pod_gone(n->people, pod->who.pod_uid, known_ns(n), clock_wall_ns());
	kube_pod_unref(pod);
	return r;
}

static int take_service(struct names *n, const json_t *object, bool is_gone, struct err *e)
{
	struct kube_service *s;
	int r = kube_service_parse(object, &s, e);

	if (r < 0)
		return r;
	if (!is_gone)
		return register_service(n->people, s);
	register_service_gone(n->people, s->uid);
	kube_service_free(s);
	return 0;
}

static struct span text_of(const json_t *object, const char *key)
{
	return span_str(json_string_value(json_object_get(object, key)));
}

static int take_owner(struct names *n, const json_t *object, bool is_gone, struct err *e)
{
	const json_t *meta = json_object_get(object, "metadata");
	const json_t *owners = json_object_get(meta, "ownerReferences"), *owner;
	struct span uid = text_of(meta, "uid");
	size_t i;
	int r = uid.len ? 0 : err_set(e, -EINVAL, "a job without UID");

	if (is_gone)
		register_owner_gone(n->people, uid);
	json_array_foreach(owners, i, owner) if (!is_gone && r == 0 &&
						 json_is_true(json_object_get(owner, "controller")))
		r = register_owner(n->people, uid, text_of(owner, "kind"), text_of(owner, "name"));
	return r;
}

static int take_slice(struct names *n, const json_t *object, bool is_gone, struct err *e)
{
	struct kube_slice *s;
	int r = kube_slice_parse(object, &s, e);

	if (r < 0)
		return r;
	if (!is_gone)
		return register_slice(n->people, s);
	register_slice_gone(n->people, s->uid);
	kube_slice_free(s);
	return 0;
}

typedef int take_fn(struct names *n, const json_t *object, bool is_gone, struct err *e);

static void on_event(void *ctx, enum reflector_event what, const json_t *object)
{
	static take_fn *const takers[] = {[REGISTER_PODS] = take_pod,
					  [REGISTER_SERVICES] = take_service,
					  [REGISTER_OWNERS] = take_owner,
					  [REGISTER_SLICES] = take_slice};
	struct watched *w = ctx;
	struct names *n = w->names;
	uint64_t now_ns = clock_wall_ns();
	struct err why = {0};

	if (what == REFLECTOR_BEGIN) {
		register_list_begin(n->people, w->list);
	} else if (what == REFLECTOR_END) {
		register_list_end(n->people, w->list, n->lost_ns ? n->lost_ns : now_ns, now_ns);
	} else if (takers[w->list](n, object, what == REFLECTOR_DELETED, &why) < 0) {
		n->bad_objects++;
		log_debug("kube", "%s: %s", resources[w->list].path, why.why);
	}
}

/* The server is there again: the other lists need not wait for their turn. */
static void come_back(struct names *n)
{
	n->back_ns = clock_mono_ns();
	n->lost_before_ns = n->lost_ns;
	for (size_t i = 0; i < REGISTER_LIST_COUNT; i++) {
		struct reflector_counts c;

		reflector_counts(n->watched[i].reflector, &c);
		n->watched[i].failures_before = c.failures;
		reflector_hurry(n->watched[i].reflector);
	}
}

/* The server does not know the resource: it is asked for what came before. */
static void ask_older(struct watched *w)
{
	struct names *n = w->names;
	struct reflector_counts c;

	if (w->list != REGISTER_SLICES || n->older == COUNT_OF(older_slices))
		return;
	reflector_counts(w->reflector, &c);
	w->failures_before = c.failures; /* it is still to come */
	reflector_change_path(w->reflector, older_slices[n->older++]);
}

static void on_state(void *ctx, bool is_live, const struct err *why)
{
	struct watched *w = ctx;
	struct names *n = w->names;
	bool was_lost = n->lost_ns != 0;

	if (w->list != REGISTER_PODS) {
		if (why)
			log_info("kube", "%s: %s", resources[w->list].path, why->why);
		if (why && why->code == -ENOENT)
			ask_older(w);
		return;
	}
	if (is_live && was_lost)
		log_info("kube", "names are being told by the API server again");
	else if (!is_live && !was_lost)
		log_warn("kube", "names may be stale, will try again: %s", why ? why->why : "?");
	if (is_live && (was_lost || !n->back_ns))
		come_back(n);
	if (is_live)
		n->lost_ns = 0;
	else if (!was_lost)
		n->lost_ns = clock_wall_ns();
}

/* ---- the census ---- */

static void publish(struct names *n, uint64_t now_ns)
{
	uint64_t wall_ns = clock_wall_ns();
	const struct census *c = register_census(n->people, n->lost_ns, wall_ns);

	n->changed_ns = 0;
	n->settle_ns = MAX(SETTLE_NS, (clock_mono_ns() - now_ns) * SETTLE_FACTOR);
	if (!c)
		return; /* out of memory: the one before goes on until the next change */
	n->told_lost_ns = n->lost_ns;
	atomic_store_explicit(&n->gauges[GAUGE_PODS], census_count(c), memory_order_relaxed);
	atomic_store_explicit(&n->gauges[GAUGE_GONE], register_gone_count(n->people),
			      memory_order_relaxed);
	if (n->tapkeeper)
		tapkeeper_census(n->tapkeeper, c);
	record_census(n->record, c);
}

/* Have all lists come that will? What a census says for certain is put onto the tape for good. */
static bool others_are_there(const struct names *n)
{
	for (size_t i = 0; i < REGISTER_LIST_COUNT; i++) {
		struct reflector_counts c;

		reflector_counts(n->watched[i].reflector, &c);
		if (!c.is_live && (c.is_synced || c.failures == n->watched[i].failures_before))
			return false;
	}
	return true;
}

/* Return: how long until a census is due [ns]; UINT64_MAX: nothing has changed. */
static uint64_t publish_in_time(struct names *n, uint64_t now_ns)
{
	bool is_wanted = n->tapkeeper && tapkeeper_wants_census(n->tapkeeper);

	if (!register_is_changed(n->people) && n->lost_ns == n->told_lost_ns && !is_wanted)
		return UINT64_MAX;
	if (!n->lost_ns && now_ns < n->back_ns + OTHERS_NS && !others_are_there(n))
		return OTHERS_LOOK_NS;
	if (!n->changed_ns)
		n->changed_ns = now_ns;
	if (now_ns - n->changed_ns < n->settle_ns)
		return n->settle_ns - (now_ns - n->changed_ns);
	publish(n, now_ns);
	return UINT64_MAX;
}

static void set_gauges(struct names *n)
{
	uint64_t sum[GAUGE_COUNT] = {[GAUGE_TOKENS] = kube_client_token_reads(n->client),
				     [GAUGE_FAILURES] = n->bad_objects};
	uint64_t heard_ns = 0;

	for (size_t i = 0; i < REGISTER_LIST_COUNT; i++) {
		struct reflector_counts c;

		reflector_counts(n->watched[i].reflector, &c);
		sum[GAUGE_LISTS] += c.lists;
		sum[GAUGE_WATCHES] += c.watches;
		sum[GAUGE_EXPIRED] += c.expired;
		sum[GAUGE_FAILURES] += c.failures;
		sum[GAUGE_EVENTS] += c.events;
		heard_ns = MAX(heard_ns, c.heard_ns);
		if (i == REGISTER_PODS)
			sum[GAUGE_LIVE] = c.is_live;
	}
	for (size_t i = GAUGE_LIVE; i < GAUGE_COUNT; i++)
		atomic_store_explicit(&n->gauges[i], sum[i], memory_order_relaxed);
	atomic_store_explicit(&n->heard_ns, heard_ns, memory_order_relaxed);
}

void names_gauges(struct names *n, struct buf *out)
{
	uint64_t heard_ns = atomic_load_explicit(&n->heard_ns, memory_order_relaxed);

	for (size_t i = 0; i < GAUGE_COUNT; i++)
		buf_add_fmt(
			out,
			"# HELP tapeloop_%s %s\n# TYPE tapeloop_%s %s\ntapeloop_%s %" PRIu64 "\n",
			gauges[i].name, gauges[i].what, gauges[i].name, gauges[i].type,
			gauges[i].name, atomic_load_explicit(&n->gauges[i], memory_order_relaxed));
	if (n->tapkeeper)
		tapkeeper_gauges(n->tapkeeper, out);
	if (heard_ns)
		buf_add_fmt(out,
			    "# HELP tapeloop_kube_silence_seconds Since the API server last said "
			    "anything.\n"
			    "# TYPE tapeloop_kube_silence_seconds gauge\n"
			    "tapeloop_kube_silence_seconds %.1f\n",
			    (double)(clock_mono_ns() - heard_ns) / (double)NS_PER_S);
}

/* ---- the thread ---- */

static uint64_t tick_tapconfigs(struct names *n, uint64_t now_ns)
{
	uint64_t nap_ns = n->tapkeeper ? tapkeeper_tick(n->tapkeeper, now_ns) : UINT64_MAX;

	if (n->tapkeeper && !n->has_told && tapkeeper_is_told(n->tapkeeper)) {
		n->has_told = true;
		bell_ring(n->told_fd);
	}
	return nap_ns;
}

static void *run(void *arg)
{
	struct names *n = arg;

	while (!atomic_load(&n->is_stopping)) {
		uint64_t now_ns = clock_mono_ns(), nap_ns = RUN_MAX_MS * NS_PER_MS;

		for (size_t i = 0; i < REGISTER_LIST_COUNT; i++)
			nap_ns = MIN(nap_ns, reflector_tick(n->watched[i].reflector, now_ns));
		nap_ns = MIN(nap_ns, tick_tapconfigs(n, now_ns));
		nap_ns = MIN(nap_ns, publish_in_time(n, now_ns));
		if (kube_client_run(n->client, (int)(nap_ns / NS_PER_MS) + 1) < 0)
			break;
		set_gauges(n);
	}
	return NULL;
}

bool names_are_wanted(const struct settings *s)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");

	if (strcmp(s->kube_enabled, "auto") == 0)
		return (host && *host) || *s->kube_config;
	return strcmp(s->kube_enabled, "true") == 0;
}

static char *join(const struct setting_list *list)
{
	AUTO_BUF all = {0};

	for (size_t i = 0; i < list->count; i++)
		buf_add_fmt(&all, "%s%s", i ? "," : "", list->items[i]);
	return strdup(buf_cstr(&all));
}

static int make_reflectors(struct names *n, struct err *e)
{
	for (size_t i = 0; i < REGISTER_LIST_COUNT; i++) {
		struct watched *w = &n->watched[i];
		struct reflector_config config = {.path = resources[i].path,
						  .accept = resources[i].accept,
						  .accept_watch = resources[i].accept_watch,
						  .event = on_event,
						  .state = on_state,
						  .ctx = w};
		uint64_t seed = 0;

		(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
		*w = (struct watched){.names = n, .list = (enum register_list)i};
		w->reflector = reflector_new(n->client, &config, seed);
		if (!w->reflector)
			return err_set(e, -ENOMEM, "names: out of memory");
	}
	return 0;
}

static struct tapspec_retention retention_of(const struct settings *s)
{
	return (struct tapspec_retention){
		.age_max_ns = s->age_max,
		.failures_age_max_ns = s->failures_share ? s->failures_age_max : s->age_max,
		.quota_bytes = s->store_max};
}

static int make_tapkeeper(struct names *n, const struct settings *s, struct err *e)
{
	const struct tapkeeper_config config = {.client = n->client,
						.record = n->record,
						.node = node_name(s->kube_node, n->host),
						.dir = *s->handover_to ? NULL : s->store,
						.retention = retention_of(s),
						.period_ns = s->kube_tapconfig_period};

	if (!s->kube_tapconfigs)
		return 0;
	n->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->tapkeeper = tapkeeper_new(&config);
	return n->tapkeeper && n->told_fd >= 0
		       ? 0
		       : err_set(e, -ENOMEM, "names: out of memory or file descriptors");
}

static int make_parts(struct names *n, const struct settings *s, struct err *e)
{
	const struct register_config config = {.remember_ns = s->kube_remember,
					       .remember_max = REMEMBER_MAX};
	struct kube_config *where = NULL;
	int r = kube_config_find(s->kube_config, NULL, &where, e);

	if (r == 0)
		r = kube_client_new(where, &n->client, e);
	if (r < 0)
		return err_wrap(e, "kube.enabled");
	n->people = register_new(&config);
	n->annotations = join(&s->kube_annotations);
	n->choice.annotations = n->annotations;
	if (!n->people || !n->annotations)
		return err_set(e, -ENOMEM, "names: out of memory");
	r = make_reflectors(n, e);
	return r < 0 ? r : make_tapkeeper(n, s, e);
}

int names_start(const struct settings *s, struct record *record, struct names **out, struct err *e)
{
	struct names *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return err_set(e, -ENOMEM, "names: out of memory");
	n->record = record;
	n->told_fd = -1;
	r = make_parts(n, s, e);
	if (r == 0) {
		r = -pthread_create(&n->thread, NULL, run, n);
		n->has_thread = r == 0;
		if (r < 0)
			(void)err_set(e, r, "names: %s", strerror(-r));
	}
	if (r < 0) {
		names_stop(n);
		return r;
	}
	(void)pthread_setname_np(n->thread, "names");
	*out = n;
	return 0;
}

void names_await_tapconfigs(const struct names *n, uint64_t most_ns)
{
	struct pollfd p = {.fd = n->told_fd, .events = POLLIN};

	if (n->tapkeeper && poll(&p, 1, (int)(most_ns / NS_PER_MS)) == 0)
		log_warn("kube", "the API server has not told of TapConfigs yet: recording begins "
				 "with those of the last run, if any");
}

void names_change(struct names *n, const struct settings *s)
{
	const struct tapspec_retention retention = retention_of(s);

	if (n->tapkeeper)
		tapkeeper_set_retention(n->tapkeeper, &retention);
	kube_client_wake(n->client);
}

void names_stop(struct names *n)
{
	if (!n)
		return;
	atomic_store(&n->is_stopping, true);
	if (n->has_thread) {
		kube_client_stop(n->client);
		(void)pthread_join(n->thread, NULL);
	}
	for (size_t i = 0; i < REGISTER_LIST_COUNT; i++)
		reflector_free(n->watched[i].reflector);
	tapkeeper_free(n->tapkeeper);
	if (n->told_fd >= 0)
		(void)close(n->told_fd);
	kube_client_free(n->client);
	register_free(n->people);
	free(n->annotations);
	free(n);
}
