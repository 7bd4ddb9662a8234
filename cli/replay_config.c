// SPDX-License-Identifier: Apache-2.0
#include "cli/replay_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/replay_target.h"
#include "kube/reference.h"
#include "replay/diff.h"

/*
 * The table of options is what --help, the man page and completions are made of; each value that
 * has a grammar of its own is read by whoever knows it (targets, edits, rules).
 */

#define FORM_CHOICES "table json jsonl junit"

const struct option_row replay_options[] = {
	{.name = "to",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, to),
	 .value = "TARGET",
	 .hints = "http:// https:// svc/ pod/ deploy/ sts/ ds/",
	 .what = "where requests go: http://HOST:PORT, https:// for TLS; in a cluster "
		 "svc/NAME[.NS][:PORT], pod/... or deploy/..."},
	{.name = "map",
	 .kind = OPTION_TEXTS,
	 OPTION_AT(struct replay_args, maps),
	 .value = "SERVICE=TARGET",
	 .what = "where requests to this service, pod or host go, as --to; may be given again"},
	{.name = "via",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct replay_args, via),
	 .value = "WAY",
	 .fallback = "auto",
	 .choices = VIA_CHOICES,
	 .what = "how a target in a cluster is reached: at its address or forwarded by the API "
		 "server, by where we are or as said"},
	{.name = "ca",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, ca),
	 .value = "FILE",
	 .what = "certificates (PEM) that are trusted in the place of the system's"},
	{.name = "cert",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, cert),
	 .value = "FILE",
	 .what = "our certificate (PEM), for targets that ask for one"},
	{.name = "key",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, key),
	 .value = "FILE",
	 .what = "its key (PEM), when it is not in the same file"},
	{.name = "tls-server-name",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, server_name),
	 .value = "NAME",
	 .what = "expect this name in the target's certificate, and ask for it (SNI)"},
	{.name = "insecure",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, is_insecure),
	 .what = "do not verify the target's certificate"},
	SINCE_OPTIONS(struct replay_args, query),
	{.name = "limit",
	 .letter = 'n',
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct replay_args, query.limit),
	 .value = "COUNT",
	 .fallback = "0",
	 .what = "the first so many of the selection; 0 for all"},
	{.name = "speed",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, speed),
	 .value = "SPEED",
	 .fallback = "1x",
	 .what = "1x: at the recorded times, 4x: four times as fast, max: flat out"},
	{.name = "rate",
	 .kind = OPTION_REAL,
	 OPTION_AT(struct replay_args, rate),
	 .value = "PER_SECOND",
	 .fallback = "0",
	 .what = "so many a second, evenly, instead of the recorded times"},
	{.name = "max-gap",
	 .kind = OPTION_DURATION,
	 OPTION_AT(struct replay_args, max_gap_ns),
	 .value = "DURATION",
	 .fallback = "1s",
	 .what = "shorten longer silences of the recording to this; 0s: keep them"},
	{.name = "concurrency",
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct replay_args, concurrency),
	 .value = "COUNT",
	 .fallback = "256",
	 .what = "requests in flight at most"},
	{.name = "loops",
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct replay_args, loops),
	 .value = "COUNT",
	 .fallback = "1",
	 .what = "play the selection so many times"},
	{.name = "duration",
	 .kind = OPTION_DURATION,
	 OPTION_AT(struct replay_args, duration_ns),
	 .value = "DURATION",
	 .fallback = "0s",
	 .what = "send nothing new after this; 0s: no limit"},
	{.name = "timeout",
	 .kind = OPTION_DURATION,
	 OPTION_AT(struct replay_args, timeout_ns),
	 .value = "DURATION",
	 .fallback = "30s",
	 .what = "for one request, from connecting to its answer's last byte"},
	{.name = "spin",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, spins),
	 .what = "wait out the last 100 us before each send awake: on time to the microsecond, for "
		 "a core"},
	{.name = "set-header",
	 .kind = OPTION_TEXTS,
	 OPTION_AT(struct replay_args, set_headers),
	 .value = "'NAME: VALUE'",
	 .what = "set a header of each request; may be given again"},
	{.name = "del-header",
	 .kind = OPTION_TEXTS,
	 OPTION_AT(struct replay_args, del_headers),
	 .value = "NAME",
	 .what = "leave a header out; may be given again"},
	{.name = "rewrite-path",
	 .kind = OPTION_TEXTS,
	 OPTION_AT(struct replay_args, rewrite_paths),
	 .value = "/FROM=/TO",
	 .what = "paths that begin with FROM begin with TO; may be given again"},
	{.name = "rewrite-host",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, has_target_host),
	 .what = "Host becomes that of the target; without it the recorded one is sent"},
	{.name = "ignore",
	 .kind = OPTION_TEXTS,
	 OPTION_AT(struct replay_args, ignores),
	 .value = "PLACE",
	 .what = "no difference: header:NAME, headers, body, status, event-id, or a JSON path like "
		 "$.items[*].id"},
	{.name = "proto",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, proto),
	 .value = "FILE",
	 .what = "compare gRPC messages by the names of their fields: a descriptor set of protoc"},
	{.name = "no-default-ignores",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, has_no_defaults),
	 .what = "compare Date, trace ids, cookie values and their like, too"},
	{.name = "allow-unsafe",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, allows_unsafe),
	 .what = "send methods that may change something (POST, PUT, DELETE, ...), too"},
	{.name = "yes",
	 .letter = 'y',
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, is_sure),
	 .what = "do not ask when the target is where it was recorded"},
	{.name = "dry-run",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, is_dry),
	 .what = "print the plan, send nothing"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct replay_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = FORM_CHOICES,
	 .what = "how it is reported"},
	{.name = "details",
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct replay_args, details),
	 .value = "COUNT",
	 .fallback = "20",
	 .what = "exchanges that a table shows of each verdict; the others are counted"},
	{.name = "shard",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, shard),
	 .value = "I/N",
	 .what = "send the connections that are number I's of N (I from 0 on): N such replays send "
		 "all"},
	{.name = "exit-zero",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, exits_zero),
	 .what = "exit status 0 also when answers differ: the report says it"},
	{.name = "as-job",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, is_job),
	 .what = "print a Kubernetes Job that does this inside the cluster; send nothing"},
	{.name = "job-shards",
	 .kind = OPTION_COUNT,
	 OPTION_AT(struct replay_args, job_shards),
	 .value = "COUNT",
	 .fallback = "1",
	 .what = "for --as-job: so many pods share it (an Indexed Job)"},
	{.name = "job-image",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, job_image),
	 .value = "IMAGE",
	 .fallback = "localhost/tapeloop:" TAPELOOP_VERSION,
	 .what = "for --as-job: the image that has tapeloop"},
	{.name = "job-account",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, job_account),
	 .value = "NAME",
	 .fallback = "tapeloop-replay",
	 .what = "for --as-job: the ServiceAccount that may ask the daemons"},
	{.name = "job-claim",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct replay_args, job_claim),
	 .value = "NAME",
	 .what = "for --as-job: a PersistentVolumeClaim mounted at /tapes, for --store "
		 "/tapes/FILE"},
	SOURCE_OPTIONS(struct replay_args, source),
	{0},
};

static int read_speed(const char *text, double *speed_out, struct err *e)
{
	char *end;
	double v;

	if (strcmp(text, "max") == 0) {
		*speed_out = 0;
		return 0;
	}
	v = strtod(text, &end);
	if (end == text || (*end && strcmp(end, "x") != 0) || !(v >= 0.001 && v <= 1e6))
		return err_set(e, -EINVAL, "speed %s: expected 1x, 0.5x, 4x or max", text);
	*speed_out = v;
	return 0;
}

/* "2/8": the third of eight */
static int read_shard(const char *text, struct plan_rules *rules, struct err *e)
{
	unsigned shard = 0, shards = 0;
	int end = 0;

	if (sscanf(text, "%5u/%5u%n", &shard, &shards, &end) != 2 || text[end] || shard >= shards)
		return err_set(e, -EINVAL, "shard %s: expected I/N, I from 0 to N - 1", text);
	rules->shard = shard;
	rules->shards = shards;
	return 0;
}

static int each(const struct texts *texts, struct replay_config *c,
		int (*fn)(struct replay_config *c, const char *text, struct err *e), struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < texts->count && r == 0; i++)
		r = fn(c, texts->items[i], e);
	return r;
}

static int take_set_header(struct replay_config *c, const char *text, struct err *e)
{
	return request_set_header(&c->edits, text, e);
}

static int take_del_header(struct replay_config *c, const char *text, struct err *e)
{
	return request_del_header(&c->edits, text, e);
}

static int take_path(struct replay_config *c, const char *text, struct err *e)
{
	return request_rewrite_path(&c->edits, text, e);
}

int replay_config_ignores(const struct replay_args *a, struct ignore **rules_out, struct err *e)
{
	AUTO(ignore) rules = ignore_new(!a->has_no_defaults);
	int r = rules ? 0 : err_set(e, -ENOMEM, "out of memory");

	for (size_t i = 0; i < a->ignores.count && r == 0; i++)
		r = ignore_add(rules, a->ignores.items[i], e);
	if (r == 0)
		*rules_out = TAKE(rules);
	return r;
}

static int check_numbers(const struct replay_args *a, struct err *e)
{
	if (a->concurrency == 0 || a->concurrency > 65536)
		return err_set(e, -EINVAL, "concurrency: expected 1 to 65536");
	if (a->loops == 0 || a->loops > UINT32_MAX)
		return err_set(e, -EINVAL, "loops: expected 1 to %u", UINT32_MAX);
	if (a->timeout_ns < NS_PER_MS)
		return err_set(e, -EINVAL, "timeout: expected 1ms or more");
	if (a->rate > 0 && (a->rate < 1e-6 || a->rate > 1e7))
		return err_set(e, -EINVAL, "rate: expected 0.000001 to 10000000 a second");
	return 0;
}

/* "cart=svc/cart-fixed", "cart=http://..." */
static int take_map(struct replay_config *c, const char *map, struct replay_reach **reach,
		    struct err *e)
{
	const char *eq = strchr(map, '=');
	char name[TARGET_TEXT_MAX];

	if (!eq || eq == map || (size_t)(eq - map) >= sizeof(name) || !kube_reference_is(eq + 1))
		return target_add_map(&c->targets, map, e);
	(void)snprintf(name, sizeof(name), "%.*s", (int)(eq - map), map);
	return replay_reach_add(reach, &c->targets, name, eq + 1, e);
}

static int take_targets(const struct replay_args *a, struct replay_config *c,
			struct replay_reach **reach, struct err *e)
{
	int r = 0;

	if (a->to)
		r = kube_reference_is(a->to) ? replay_reach_add(reach, &c->targets, NULL, a->to, e)
					     : target_add(&c->targets, NULL, a->to, e);
	for (size_t i = 0; i < a->maps.count && r == 0; i++)
		r = take_map(c, a->maps.items[i], reach, e);
	return r;
}

int replay_config_read(const struct replay_args *a, uint64_t now_ns, char run[ID_TEXT_LEN + 1],
		       struct replay_config *c, struct replay_reach **reach, struct err *e)
{
	int r = check_numbers(a, e);

	replay_config_default(c);
	c->run = id_format(now_ns, run);
	c->concurrency = (uint32_t)MIN(a->concurrency, UINT32_MAX);
	c->loops = (uint32_t)MIN(a->loops, UINT32_MAX);
	c->duration_ns = a->duration_ns;
	c->timeout_ns = a->timeout_ns;
	c->schedule.rate_per_s = a->rate;
	c->schedule.max_gap_ns = a->max_gap_ns;
	c->rules.allows_unsafe = a->allows_unsafe;
	c->edits.has_target_host = a->has_target_host;
	c->spins = a->spins;
	c->tls = (struct tls_config){.ca_file = a->ca,
				     .cert_file = a->cert,
				     .key_file = a->key,
				     .server_name = a->server_name,
				     .is_insecure = a->is_insecure};
	c->is_stopped = cli_is_interrupted;
	if (r == 0 && a->shard)
		r = read_shard(a->shard, &c->rules, e);
	if (r == 0)
		r = read_speed(a->speed, &c->schedule.speed, e);
	if (r == 0)
		r = each(&a->set_headers, c, take_set_header, e);
	if (r == 0)
		r = each(&a->del_headers, c, take_del_header, e);
	if (r == 0)
		r = each(&a->rewrite_paths, c, take_path, e);
	if (r == 0)
		r = take_targets(a, c, reach, e);
	return r;
}
