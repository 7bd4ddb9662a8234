// SPDX-License-Identifier: Apache-2.0
#include "daemon/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "daemon/gauges.h"
#include "daemon/health.h"
#include "daemon/interfaces.h"
#include "daemon/losses.h"
#include "daemon/memory.h"
#include "daemon/names.h"
#include "daemon/pods.h"
#include "daemon/privileges.h"
#include "http-api/api.h"
#include "http-api/listen.h"
#include "kube/review.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "node/cri.h"
#include "record/capture.h"
#include "record/downward.h"
#include "record/key.h"
#include "record/reception.h"
#include "record/record.h"

/*
 * Theory of operation. Everything starts in the order of its needs:
 *
 *	handles, opener (need privileges) ─► drop privileges ─► key, store, decoder ─► API ─► capture, pods
 *
 * and ends in the reverse order, but for the API, which is told of the last commit before it ends.
 * Threads are made after the privileges are gone, because capabilities belong to threads.
 */
#define API_CLIENTS_MAX 64
#define VIEW_WAIT_NS                                                                               \
	(500 * NS_PER_MS) /* node mode: both ends' handles were read within that, ten times over */
#define GUEST_BYTES ((size_t)4 << 20) /* what sidecars handed over, on its way to the store */
#define TAPCONFIGS_WAIT_NS                                                                         \
	(3 * NS_PER_S) /* so long recording waits to hear what is not to be recorded */

struct service {
	struct gauges gauges;
	struct chosen chosen;
	struct memory memory;
	struct health *health;
	struct capture *capture; /* the record's, once that has it */
	bool capture_is_lent;
	struct record *record;
	struct pods *pods;	      /* NULL: not in node mode */
	struct names *names;	      /* NULL: no API server is asked */
	struct kube_reviews *reviews; /* of the API's threads; NULL: api.auth is not kubernetes */
	struct reviewer reviewer;
	struct reception *reception; /* NULL: no sidecar hands over here */
	_Atomic(struct api *) api;   /* the recorder thread tells it of commits */
	size_t handle_count;	     /* without those of pods */
	_Atomic size_t handles_left;
	uint64_t beats_seen;
	struct losses losses;
};

/* Thread: recorder */
static void on_commit(void *ctx, const uint64_t *ids, size_t count)
{
	struct service *s = ctx;
	struct api *api = atomic_load(&s->api);

	if (api)
		api_committed(api, ids, count);
}

/* Thread: recorder */
static void on_state(void *ctx, const char *why)
{
	struct service *s = ctx;
	char text[HEALTH_WHY_MAX];

	if (why) {
		log_warn("store", "not recording, will try again: %s", why);
		(void)snprintf(text, sizeof(text), "store: %s", why);
	} else {
		log_info("store", "recording again");
	}
	health_set(s->health, why ? text : NULL);
}

/* Thread: recorder */
static void on_warning(void *ctx, const char *why)
{
	struct service *s = ctx;

	log_warn("store", "%s", why);
	health_note(s->health, why);
}

/* Thread: recorder */
static void on_store(void *ctx, const struct store_stats *stats)
{
	struct service *s = ctx;

	gauges_take_store(&s->gauges, stats);
}

/* Thread: capture */
static void on_lost(void *ctx, const char *why, size_t left)
{
	struct service *s = ctx;

	log_warn("capture", "%s; interfaces left: %zu", why, left);
	atomic_store(&s->handles_left, left);
}

/* Thread: capture */
static void on_back(void *ctx, const char *name, size_t left)
{
	struct service *s = ctx;

	log_info("capture", "interface %s: is back; interfaces: %zu", name, left);
	atomic_store(&s->handles_left, left);
}

/* Thread: any of the API */
static void give_counters(void *ctx, struct counters *sum_out)
{
	const struct service *s = ctx;

	record_counters(s->record, sum_out);
}

/* Thread: any of the API */
static bool give_health(void *ctx, char *why_out, size_t why_bytes)
{
	struct service *s = ctx;

	return health_get(s->health, why_out, why_bytes);
}

/* Thread: any of the API */
static void give_gauges(void *ctx, struct buf *out)
{
	struct service *s = ctx;
	const struct gauged of = {
		.record = s->record,
		.reception = s->reception,
		.pods = s->pods,
		.names = s->names,
		.interfaces = atomic_load(&s->handles_left),
		.memory_max = s->chosen.values.memory_max,
		.store_max = s->chosen.values.store_max,
	};

	gauges_put(&s->gauges, &of, out);
}

static bool wants_pods(const struct settings *v)
{
	if (strcmp(v->kube_pods, "auto") == 0)
		return cri_has_socket(v->kube_cri_socket);
	return strcmp(v->kube_pods, "true") == 0;
}

static int open_pods(struct service *s, struct err *e)
{
	const struct settings *v = &s->chosen.values;
	const struct pods_config config = {
		.directories = (const char *const *)v->kube_netns_dirs.items,
		.cri_socket = v->kube_cri_socket,
		.select = v->kube_select,
		.handover = v->handover_socket,
		.node = v->kube_node,
		.bpf = v->filter_bpf,
		.snaplen = v->snaplen,
		.poll_ns = v->poll,
		.identify_ns = v->kube_identify,
		.buffer_bytes = v->kube_buffer,
		.ring_bytes = v->kube_ring,
		.rings_bytes = v->kube_rings,
	};

	return wants_pods(v) ? pods_open(&config, &s->pods, e) : 0;
}

static int open_handles(struct service *s, struct err *e)
{
	const struct settings *v = &s->chosen.values;
	struct interfaces which;
	struct capture_config config;
	int failed = open_pods(s, e);

	if (failed == 0)
		failed = interfaces_of(v, s->pods, &which, e);
	if (failed < 0)
		return failed;
	s->handle_count = which.count;
	atomic_store(&s->handles_left, which.count);
	failed = memory_divide(v, which.count, s->pods ? v->kube_rings : 0, &s->memory, e);
	config = (struct capture_config){
		.pods = s->pods ? pods_capture(s->pods) : (struct capture_pods){0},
		.interfaces = which.items,
		.count = which.count,
		.bpf = v->filter_bpf,
		.buffer_bytes = s->memory.ring_bytes,
		.snaplen = v->snaplen,
		.poll_ns = v->poll,
	};
	if (failed == 0)
		failed = capture_open(&config, &s->capture, e);
	interfaces_fini(&which);
	return failed;
}

/* From the settings, what the pipeline wants to know. */
static struct record_config config_of(struct service *s, const struct settings *v)
{
	struct record_config c = {
		.wire = wire_config_default(),
		.store = store_config_default(),
		.store_dir = *v->handover_to ? NULL : v->store,
		.handover_to = *v->handover_to ? v->handover_to : NULL,
		.guest_bytes = *v->handover_socket ? GUEST_BYTES : 0,
		.queue_bytes = s->memory.queue_bytes,
		.commit_interval_ns = v->commit_interval,
		.record_filter = v->record,
		.awaits_names = names_are_wanted(v),
		.view_wait_ns = s->pods ? VIEW_WAIT_NS : 0,
		.on_commit = on_commit,
		.on_state = on_state,
		.on_warning = on_warning,
		.on_store = on_store,
		.on_lost = on_lost,
		.on_back = on_back,
		.ctx = s,
	};

	c.wire.memory_max = s->memory.wire_bytes;
	c.wire.flows_max = v->flows_max;
	c.wire.body_max = v->body_max;
	c.wire.head_max = v->head_max;
	c.wire.exchange_timeout_ns = v->exchange_timeout;
	c.wire.flow_timeout_ns = v->flow_timeout;
	c.wire.part_interval_ns = v->part_interval;
	c.wire.part_messages = v->part_messages;
	c.wire.is_redacting = v->redact;
	c.wire.redact_headers = (const char *const *)v->redact_headers.items;
	c.wire.redact_params = (const char *const *)v->redact_params.items;
	c.store.bytes_max = v->store_max;
	c.sample = (struct sample_policy){
		.one_in = v->sample_one_in,
		.services = (const char *const *)v->sample_services.items,
		.rate_max = v->sample_rate_max,
		.first = v->sample_first,
	};
	c.store.age_max_ns = v->age_max;
	c.store.failures_percent = (unsigned)v->failures_share;
	c.store.failures_age_max_ns = v->failures_age_max;
	c.store.tape_rows = v->tape_rows;
	c.store.tape_span_ns = v->tape_span;
	c.store.level = (int)v->compression;
	c.store.has_fulltext = v->fulltext;
	return c;
}

/* all that is known without asking anybody; @out is untouched on failure */
static int who_is_where(const struct service *s, const struct settings *v, struct identities **out,
			struct err *e)
{
	AUTO(identities) who = NULL;
	int failed = capture_identities(s->capture, v->identities, &who, e);

	if (failed == 0 && *v->kube_downward)
		failed = downward_identify(who, v->kube_downward, e);
	if (failed == 0)
		*out = TAKE(who);
	return failed;
}

/* Tags are keyed by the store's key; who keeps no store has one of his own until he ends. */
static int load_key(const char *dir, uint8_t *key, size_t key_bytes, struct err *e)
{
	if (dir)
		return key_load(dir, key, e);
	return getrandom(key, key_bytes, 0) == (ssize_t)key_bytes
		       ? 0
		       : err_set(e, -EIO, "no random bytes: %s", strerror(errno));
}

static int start_record(struct service *s, struct err *e)
{
	struct record_config config = config_of(s, &s->chosen.values);
	struct identities *who = NULL;
	int failed = load_key(config.store_dir, config.wire.redact_key,
			      sizeof(config.wire.redact_key), e);

	if (failed == 0 && getrandom(&config.wire.hash_seed, sizeof(config.wire.hash_seed), 0) < 0)
		failed = err_set(e, -errno, "no random bytes: %s", strerror(errno));
	if (failed == 0)
		failed = record_start(&config, &s->record, e);
	explicit_bzero(config.wire.redact_key, sizeof(config.wire.redact_key));
	if (failed == 0)
		failed = who_is_where(s, &s->chosen.values, &who, e);
	if (failed == 0)
		failed = record_change(s->record, &config, who, e);
	return failed;
}

/* The socket's directory, which systemd makes and a hand start may lack. */
static void make_directory_of(const char *path)
{
	char dir[4096];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return;
	*slash = '\0';
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		/* the API will say why */
		log_debug("api", "cannot make %s: %s", dir, strerror(errno));
}

/* Whom the cluster knows is asked of its API server. */
static int start_reviews(struct service *s, struct err *e)
{
	int r;

	if (api_auth_parse(s->chosen.values.api_auth) != API_AUTH_KUBERNETES)
		return 0;
	r = kube_reviews_new(s->chosen.values.kube_config, NULL, &s->reviews, e);
	if (r < 0)
		return err_wrap(e, "api.auth kubernetes");
	s->reviewer = kube_reviews_reviewer(s->reviews);
	return 0;
}

static int start_api(struct service *s, struct err *e)
{
	const struct settings *v = &s->chosen.values;
	const struct api_config config = {
		.reviewer = &s->reviewer,
		.store_dir = v->store,
		.socket_path = v->api_socket,
		.listen = v->api_listen,
		.tls_cert = v->api_tls_cert,
		.tls_key = v->api_tls_key,
		.auth = (enum api_auth)MAX(api_auth_parse(v->api_auth), 0), /* was checked */
		.token_file = v->api_token_file,
		.access_keep_ns = v->api_access_keep,
		.status_listen = v->api_status_listen,
		.query_limit_ns = v->api_query_max,
		.clients_max = API_CLIENTS_MAX,
		.counters = give_counters,
		.health = give_health,
		.gauges = give_gauges,
		.ctx = s,
	};
	struct api *api = NULL;
	int failed;

	if (!*v->api_socket && !*v->api_listen && !*v->api_status_listen)
		return 0;
	if (*v->api_socket)
		make_directory_of(v->api_socket);
	failed = start_reviews(s, e);
	if (failed < 0)
		return failed;
	failed = api_start(&config, &api, e);
	if (failed == 0)
		atomic_store(&s->api, api);
	return failed;
}

static int start_reception(struct service *s, struct err *e)
{
	struct reception_config config = {.record = s->record};
	const char *path = s->chosen.values.handover_socket;
	struct listen_unix socket;
	int failed;

	if (!*path)
		return 0;
	failed = listen_unix(path, &socket, e);
	if (failed < 0)
		return err_wrap(e, "handover.socket");
	config.fd = socket.fd;
	return reception_start(&config, &s->reception, e);
}

static int start_all(struct service *s, struct err *e)
{
	int failed = privileges_raise(e);

	if (failed == 0)
		failed = open_handles(s, e);
	if (failed == 0)
		failed = privileges_drop(e);
	if (failed == 0)
		failed = start_record(s, e);
	if (failed == 0 && names_are_wanted(&s->chosen.values))
		failed = names_start(&s->chosen.values, s->record, &s->names, e);
	if (failed == 0 && s->names)
		names_await_tapconfigs(s->names, TAPCONFIGS_WAIT_NS);
	if (failed == 0)
		failed = start_reception(s, e);
	if (failed == 0)
		failed = start_api(s, e);
	if (failed < 0)
		return failed;
	s->capture_is_lent = true;
	failed = record_run(s->record, s->capture, e);
	if (failed == 0 && s->pods)
		failed = pods_start(s->pods, s->capture, s->record, e);
	return failed;
}

static void say_start(const struct service *s)
{
	const struct settings *v = &s->chosen.values;
	struct api *api = atomic_load(&s->api);

	log_info("daemon",
		 "recording interfaces=%zu ring=%zu KiB queue=%zu KiB decoder=%zu KiB "
		 "store=%s socket=%s listen=%s",
		 s->handle_count, s->memory.ring_bytes / 1024, s->memory.queue_bytes / 1024,
		 s->memory.wire_bytes / 1024, v->store, v->api_socket, api ? api_address(api) : "");
	if (s->pods)
		log_info("daemon",
			 "capturing the pods of this node, but for those that kube.select leaves "
			 "out: %s",
			 v->kube_select);
	if (s->handle_count && s->memory.ring_bytes < v->buffer)
		log_info("daemon",
			 "capture.buffer is %zu KiB instead of %" PRIu64
			 " so that %zu interfaces fit into memory_max",
			 s->memory.ring_bytes / 1024, v->buffer / 1024, s->handle_count);
}

static void free_service(struct service *s)
{
	if (!s->capture_is_lent)
		capture_free(s->capture);
	pods_free(s->pods);
	health_free(s->health);
	chosen_fini(&s->chosen);
	free(s);
}

int service_start(struct chosen *chosen, struct service **s_out, struct err *e)
{
	struct service *s = calloc(1, sizeof(*s));
	int failed;

	if (!s || !(s->health = health_new())) {
		free(s);
		return err_set(e, -ENOMEM, "out of memory");
	}
	s->chosen = *chosen;
	failed = start_all(s, e);
	if (failed < 0) {
		s->chosen = (struct chosen){0}; /* stays the caller's */
		(void)service_stop(s, NULL);
		return failed;
	}
	*chosen = (struct chosen){0};
	say_start(s);
	*s_out = s;
	return 0;
}

/* Once all threads have ended the accounts are exact: what does not balance is a fault of ours. */
static void say_end(const struct counters *sum)
{
	log_info("daemon", "requests seen=%" PRIu64 " exchanges stored=%" PRIu64,
		 counter_get(sum, COUNTER_REQUESTS_IN), counter_get(sum, COUNTER_EXCHANGES_STORED));
	for (int i = 0; i < COUNTER_ACCOUNT_COUNT; i++) {
		int64_t balance = counters_balance(sum, (enum counter_account)i);

		if (balance)
			log_warn("daemon", "the account of %s is off by %" PRId64,
				 counter_account_names[i], balance);
	}
	for (int i = 0; i < COUNTER_COUNT; i++)
		if (counter_get(sum, (enum counter)i))
			log_debug("counters", "%s %s=%" PRIu64, counter_rows[i].metric,
				  counter_rows[i].label, counter_get(sum, (enum counter)i));
}

/* The API may still be asked for counters until it has ended. */
int service_stop(struct service *s, struct err *e)
{
	struct counters sum;
	int failed = 0;

	if (!s)
		return 0;
	pods_stop(s->pods);
	reception_finish(s->reception);
	if (s->record)
		failed = record_stop(s->record, e);
	if (s->capture_is_lent) {
		record_counters(s->record, &sum);
		say_end(&sum);
	}
	api_stop(atomic_exchange(&s->api, NULL));
	reception_stop(s->reception);
	names_stop(s->names);
	kube_reviews_free(s->reviews);
	s->reviews = NULL;
	record_free(s->record);
	free_service(s);
	return failed;
}

/* Say what is new, and what a reload cannot change. */
static void compare(const struct service *s, const struct chosen *fresh)
{
	for (enum setting i = 0; i < SETTING_COUNT; i++) {
		if (setting_equals(&s->chosen.values, &fresh->values, i))
			continue;
		log_info("settings", "%s %s", setting_rows[i].key,
			 setting_rows[i].is_live ? "is new" : "is new, but needs a restart");
	}
}

static void take_live(struct service *s, struct chosen *fresh)
{
	for (enum setting i = 0; i < SETTING_COUNT; i++)
		if (setting_rows[i].is_live)
			setting_swap(&s->chosen.values, &fresh->values, i);
}

int service_change(struct service *s, struct chosen *fresh, struct err *e)
{
	struct record_config config = config_of(s, &fresh->values);
	struct identities *who = NULL;
	enum log_level level;
	int failed = who_is_where(s, &fresh->values, &who, e);

	compare(s, fresh);
	if (failed == 0)
		failed = record_change(s->record, &config, who, e);
	if (failed == 0 && s->pods)
		failed = pods_select(s->pods, fresh->values.kube_select, e);
	if (failed < 0)
		return failed;
	take_live(s, fresh);
	if (s->names)
		names_change(s->names, &s->chosen.values);
	if (log_level_parse(s->chosen.values.log_level, &level) == 0)
		__atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
	return 0;
}

void service_tick(struct service *s)
{
	struct counters sum;

	record_counters(s->record, &sum);
	losses_say(&s->losses, &sum, clock_mono_ns());
}

bool service_is_alive(struct service *s)
{
	uint64_t beats = record_beats(s->record);
	bool is_alive = beats != s->beats_seen;

	s->beats_seen = beats;
	return is_alive;
}

bool service_is_useless(struct service *s)
{
	if (s->pods)
		return pods_has_failed(s->pods);
	return atomic_load(&s->handles_left) == 0;
}

void service_status(struct service *s, struct buf *out)
{
	struct counters sum;
	char why[HEALTH_WHY_MAX];

	record_counters(s->record, &sum);
	if (!health_get(s->health, why, sizeof(why)))
		buf_add_fmt(out, "not recording: %s; ", why);
	buf_add_fmt(out, "%" PRIu64 " exchanges stored, %" PRIu64 " connections open",
		    counter_get(&sum, COUNTER_EXCHANGES_STORED),
		    counter_get(&sum, COUNTER_CONNECTIONS_OPEN));
}
