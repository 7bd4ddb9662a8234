// SPDX-License-Identifier: Apache-2.0
/* replay: send recorded requests again, and say what came back differently */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/replay_view.h"
#include "cli/source.h"
#include "lib/id.h"
#include "lib/protobuf.h"
#include "replay/report.h"

/*
 * This file turns options into a replay_config, a selection into a replay_source, and results into
 * one of four outputs. Everything else is in replay/.
 */

enum form { FORM_TABLE, FORM_JSON, FORM_JSONL, FORM_JUNIT };
#define FORM_CHOICES "table json jsonl junit"

#define PROGRESS_NS  (200 * NS_PER_MS)
#define FILES_WANTED 8192
#define PRINT_BYTES  (64 * 1024)

struct replay_args {
	struct source_args source;
	struct query_args query;
	const char *to;
	struct texts maps, set_headers, del_headers, rewrite_paths, ignores;
	const char *speed;
	double rate;
	uint64_t concurrency, loops, details;
	uint64_t duration_ns, max_gap_ns, timeout_ns;
	const char *proto, *ca, *cert, *key, *server_name;
	bool is_insecure, has_target_host, has_no_defaults, allows_unsafe, is_dry, is_sure, spins;
	unsigned form;
};

static const struct option_row replay_options[] = {
	{.name = "to", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, to), .value = "URL",
	 .what = "where requests go: http://HOST:PORT, or https:// for TLS"},
	{.name = "map", .kind = OPTION_TEXTS, OPTION_AT(struct replay_args, maps), .value = "SERVICE=URL",
	 .what = "where requests to this service, pod or host go; may be given again"},
	{.name = "ca", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, ca), .value = "FILE",
	 .what = "certificates (PEM) that are trusted in the place of the system's"},
	{.name = "cert", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, cert), .value = "FILE",
	 .what = "our certificate (PEM), for targets that ask for one"},
	{.name = "key", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, key), .value = "FILE",
	 .what = "its key (PEM), when it is not in the same file"},
	{.name = "tls-server-name", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, server_name),
	 .value = "NAME", .what = "expect this name in the target's certificate, and ask for it (SNI)"},
	{.name = "insecure", .kind = OPTION_FLAG, OPTION_AT(struct replay_args, is_insecure),
	 .what = "do not verify the target's certificate"},
	SINCE_OPTIONS(struct replay_args, query),
	{.name = "limit", .letter = 'n', .kind = OPTION_COUNT,
	 OPTION_AT(struct replay_args, query.limit), .value = "COUNT", .fallback = "0",
	 .what = "the first so many of the selection; 0 for all"},
	{.name = "speed", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, speed), .value = "SPEED",
	 .fallback = "1x", .what = "1x: at the recorded times, 4x: four times as fast, max: flat out"},
	{.name = "rate", .kind = OPTION_REAL, OPTION_AT(struct replay_args, rate), .value = "PER_SECOND",
	 .fallback = "0", .what = "so many a second, evenly, instead of the recorded times"},
	{.name = "max-gap", .kind = OPTION_DURATION, OPTION_AT(struct replay_args, max_gap_ns),
	 .value = "DURATION", .fallback = "1s",
	 .what = "shorten longer silences of the recording to this; 0s: keep them"},
	{.name = "concurrency", .kind = OPTION_COUNT, OPTION_AT(struct replay_args, concurrency),
	 .value = "COUNT", .fallback = "256", .what = "requests in flight at most"},
	{.name = "loops", .kind = OPTION_COUNT, OPTION_AT(struct replay_args, loops), .value = "COUNT",
	 .fallback = "1", .what = "play the selection so many times"},
	{.name = "duration", .kind = OPTION_DURATION, OPTION_AT(struct replay_args, duration_ns),
	 .value = "DURATION", .fallback = "0s", .what = "send nothing new after this; 0s: no limit"},
	{.name = "timeout", .kind = OPTION_DURATION, OPTION_AT(struct replay_args, timeout_ns),
	 .value = "DURATION", .fallback = "30s",
	 .what = "for one request, from connecting to its answer's last byte"},
	{.name = "spin", .kind = OPTION_FLAG, OPTION_AT(struct replay_args, spins),
	 .what = "wait out the last 100 us before each send awake: on time to the microsecond, for a core"},
	{.name = "set-header", .kind = OPTION_TEXTS, OPTION_AT(struct replay_args, set_headers),
	 .value = "'NAME: VALUE'", .what = "set a header of each request; may be given again"},
	{.name = "del-header", .kind = OPTION_TEXTS, OPTION_AT(struct replay_args, del_headers),
	 .value = "NAME", .what = "leave a header out; may be given again"},
	{.name = "rewrite-path", .kind = OPTION_TEXTS, OPTION_AT(struct replay_args, rewrite_paths),
	 .value = "/FROM=/TO", .what = "paths that begin with FROM begin with TO; may be given again"},
	{.name = "rewrite-host", .kind = OPTION_FLAG, OPTION_AT(struct replay_args, has_target_host),
	 .what = "Host becomes that of the target; without it the recorded one is sent"},
	{.name = "ignore", .kind = OPTION_TEXTS, OPTION_AT(struct replay_args, ignores),
	 .value = "PLACE",
	 .what = "no difference: header:NAME, headers, body, status, event-id, or a JSON path like $.items[*].id"},
	{.name = "proto", .kind = OPTION_TEXT, OPTION_AT(struct replay_args, proto), .value = "FILE",
	 .what = "compare gRPC messages by the names of their fields: a descriptor set of protoc"},
	{.name = "no-default-ignores", .kind = OPTION_FLAG,
	 OPTION_AT(struct replay_args, has_no_defaults),
	 .what = "compare Date, trace ids, cookie values and their like, too"},
	{.name = "allow-unsafe", .kind = OPTION_FLAG, OPTION_AT(struct replay_args, allows_unsafe),
	 .what = "send methods that may change something (POST, PUT, DELETE, ...), too"},
	{.name = "yes", .letter = 'y', .kind = OPTION_FLAG, OPTION_AT(struct replay_args, is_sure),
	 .what = "do not ask when the target is where it was recorded"},
	{.name = "dry-run", .kind = OPTION_FLAG, OPTION_AT(struct replay_args, is_dry),
	 .what = "print the plan, send nothing"},
	{.name = "output", .letter = 'o', .kind = OPTION_CHOICE, OPTION_AT(struct replay_args, form),
	 .value = "FORM", .fallback = "table", .choices = FORM_CHOICES, .what = "how it is reported"},
	{.name = "details", .kind = OPTION_COUNT, OPTION_AT(struct replay_args, details),
	 .value = "COUNT", .fallback = "20",
	 .what = "exchanges that a table shows of each verdict; the others are counted"},
	SOURCE_OPTIONS(struct replay_args, source),
	{0},
};

struct session {
	struct cli *cli;
	const struct replay_args *args;
	struct source *source;
	struct source_query query;
	uint64_t *ids;         /* in order; NULL: the query selects */
	size_t id_count;
	struct replay_config config;
	struct plan plan;
	char run[ID_TEXT_LEN + 1];
	struct replay_summary summary;
	struct noise noise;
	struct replay_view view;
	struct junit *junit;
	struct buf out;
	bool has_results;
	uint64_t results, shown_ns;
	int print_error;
};

/* ---- options ---- */

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

static int each(const struct texts *texts, struct session *s,
		int (*fn)(struct session *s, const char *text, struct err *e), struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < texts->count && r == 0; i++)
		r = fn(s, texts->items[i], e);
	return r;
}

static int take_map(struct session *s, const char *text, struct err *e)
{
	return target_add_map(&s->config.targets, text, e);
}

static int take_set_header(struct session *s, const char *text, struct err *e)
{
	return request_set_header(&s->config.edits, text, e);
}

static int take_del_header(struct session *s, const char *text, struct err *e)
{
	return request_del_header(&s->config.edits, text, e);
}

static int take_path(struct session *s, const char *text, struct err *e)
{
	return request_rewrite_path(&s->config.edits, text, e);
}

static int read_ignores(struct session *s, struct ignore **rules_out, struct err *e)
{
	AUTO(ignore) rules = ignore_new(!s->args->has_no_defaults);
	int r = rules ? 0 : err_set(e, -ENOMEM, "out of memory");

	for (size_t i = 0; i < s->args->ignores.count && r == 0; i++)
		r = ignore_add(rules, s->args->ignores.items[i], e);
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

static int read_config(struct session *s, struct err *e)
{
	const struct replay_args *a = s->args;
	struct replay_config *c = &s->config;
	int r = check_numbers(a, e);

	replay_config_default(c);
	c->run = id_format(s->cli->now_ns, s->run);
	c->concurrency = (uint32_t)MIN(a->concurrency, UINT32_MAX);
	c->loops = (uint32_t)MIN(a->loops, UINT32_MAX);
	c->duration_ns = a->duration_ns;
	c->timeout_ns = a->timeout_ns;
	c->schedule.rate_per_s = a->rate;
	c->schedule.max_gap_ns = a->max_gap_ns;
	c->rules.allows_unsafe = a->allows_unsafe;
	c->edits.has_target_host = a->has_target_host;
	c->spins = a->spins;
	c->tls = (struct tls_config){.ca_file = a->ca, .cert_file = a->cert, .key_file = a->key,
				     .server_name = a->server_name, .is_insecure = a->is_insecure};
	c->is_stopped = cli_is_interrupted;
	if (r == 0)
		r = read_speed(a->speed, &c->schedule.speed, e);
	if (r == 0)
		r = each(&a->set_headers, s, take_set_header, e);
	if (r == 0)
		r = each(&a->del_headers, s, take_del_header, e);
	if (r == 0)
		r = each(&a->rewrite_paths, s, take_path, e);
	if (r == 0 && a->to)
		r = target_add(&c->targets, NULL, a->to, e);
	if (r == 0)
		r = each(&a->maps, s, take_map, e);
	for (uint16_t i = 0; i < c->targets.count; i++)
		c->targets.list[i].is_unverified = a->is_insecure && c->targets.list[i].is_tls;
	return r;
}

/* ---- the selection ---- */

static int list_query(void *ctx, bool wants_messages, replay_exchange_fn *fn, void *fn_ctx,
		      struct err *e)
{
	struct session *s = ctx;
	struct source_query q = s->query;

	q.wants_messages = wants_messages;
	return source_list(s->source, &q, fn, fn_ctx, NULL, e);
}

/* what fn returned is what source_get() returns */
static int list_ids(void *ctx, bool wants_messages, replay_exchange_fn *fn, void *fn_ctx,
		    struct err *e)
{
	struct session *s = ctx;

	(void)wants_messages;
	for (size_t i = 0; i < s->id_count; i++) {
		int r = source_get(s->source, s->ids[i], fn, fn_ctx, e);

		if (r == -ENOENT)
			continue; /* the loader tells of it */
		if (r != 0)
			return MIN(r, 0);
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const uint64_t *ia = a, *ib = b;

	return (*ia > *ib) - (*ia < *ib);
}

static int resolve_ids(struct session *s, struct err *e)
{
	size_t unique = 0;

	s->ids = calloc((size_t)s->cli->operand_count, sizeof(*s->ids));
	if (!s->ids)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < s->cli->operand_count; i++) {
		int r = source_resolve(s->source, s->cli->operands[i], &s->ids[s->id_count++], e);

		if (r < 0)
			return r;
	}
	qsort(s->ids, s->id_count, sizeof(*s->ids), by_id);
	for (size_t i = 0; i < s->id_count; i++)
		if (unique == 0 || s->ids[i] != s->ids[unique - 1])
			s->ids[unique++] = s->ids[i];
	s->id_count = unique;
	s->config.rules.allows_replayed = true; /* named one by one: by no accident */
	return 0;
}

/* operands: one filter, or ids */
static int select_exchanges(struct session *s, struct err *e)
{
	bool are_ids = s->cli->operand_count > 0;

	for (int i = 0; i < s->cli->operand_count; i++)
		are_ids &= source_is_id(s->cli->operands[i]);
	if (are_ids)
		return resolve_ids(s, e);
	if (s->cli->operand_count > 1)
		return err_set(e, -EINVAL, "expected one filter, or ids");
	s->query = (struct source_query){
		.filter = s->cli->operand_count ? s->cli->operands[0] : "",
		.since_ns = s->args->query.since_ns,
		/* what is recorded from now on (this replay itself, too) is not part of it */
		.until_ns = s->args->query.until_ns ? s->args->query.until_ns : s->cli->now_ns,
		.limit = s->args->query.limit,
		.is_reverse = true,
	};
	return 0;
}

/* ---- output ---- */

static void print(struct session *s, size_t more_than)
{
	int r;

	if (s->out.len <= more_than || s->print_error)
		return;
	r = cli_print(&s->out);
	if (r < 0)
		s->print_error = r;
}

static void on_entry(void *ctx, const struct plan *plan, const struct plan_entry *entry,
		     const struct exchange *x)
{
	struct session *s = ctx;
	struct json j = json_to(&s->out);

	if (s->args->form == FORM_TABLE) {
		if (plan->count <= s->args->details)
			replay_view_entry(&s->view, &s->out, plan, entry, x);
	} else if (s->args->form != FORM_JUNIT) {
		if (s->args->form == FORM_JSON)
			buf_add_str(&s->out, s->has_results ? ",\n" : "");
		report_entry_json(&j, plan, entry, x);
		buf_add_str(&s->out, s->args->form == FORM_JSONL ? "\n" : "");
		s->has_results = true;
	}
	print(s, PRINT_BYTES);
}

static void show_progress(struct session *s)
{
	uint64_t now_ns = clock_mono_ns();

	if (now_ns - s->shown_ns < PROGRESS_NS)
		return;
	s->shown_ns = now_ns;
	cli_progress("%llu of %llu", (unsigned long long)s->results,
		     (unsigned long long)s->plan.count * s->config.loops);
}

static void on_result(void *ctx, const struct replay_result *result)
{
	struct session *s = ctx;
	struct json j = json_to(&s->out);

	s->results++;
	if (result->diff && result->verdict != VERDICT_FIXED)
		noise_add(&s->noise, result->diff);
	switch ((enum form)s->args->form) {
	case FORM_TABLE: replay_view_result(&s->view, &s->out, result); break;
	case FORM_JSON:
		buf_add_str(&s->out, s->has_results ? ",\n" : "");
		report_result_json(&j, result);
		break;
	case FORM_JSONL:
		report_result_json(&j, result);
		buf_add_char(&s->out, '\n');
		break;
	case FORM_JUNIT:
		if (!s->print_error)
			s->print_error = junit_add(s->junit, result);
		break;
	}
	s->has_results = true;
	print(s, s->view.screen.is_terminal ? 0 : PRINT_BYTES);
	show_progress(s);
}

static void begin_json(struct session *s)
{
	struct json j = json_to(&s->out);

	json_object_begin(&j);
	json_key_str(&j, "run", s->run);
	if (!s->args->is_dry) {
		json_key(&j, "plan");
		report_plan_json(&j, &s->plan);
	}
	json_key(&j, s->args->is_dry ? "exchanges" : "results");
	buf_add_str(&s->out, "[\n");
}

static void print_end(struct session *s)
{
	struct json j = json_to(&s->out);

	noise_sort(&s->noise);
	switch ((enum form)s->args->form) {
	case FORM_TABLE:
		replay_view_summary(&s->view, &s->out, s->run, &s->summary, &s->noise);
		break;
	case FORM_JSON:
		buf_add_str(&s->out, "],\n\"summary\":");
		report_summary_json(&j, &s->summary, &s->noise);
		buf_add_str(&s->out, "}\n");
		break;
	case FORM_JSONL:
		buf_add_str(&s->out, "{\"summary\":");
		report_summary_json(&j, &s->summary, &s->noise);
		buf_add_str(&s->out, "}\n");
		break;
	case FORM_JUNIT:
		if (!s->print_error)
			s->print_error = junit_write(s->junit, s->run, &s->summary, cli_print);
		break;
	}
	print(s, 0);
}

/* ---- the two ways ---- */

static int dry_run(struct session *s, const struct replay_source *source, struct err *e)
{
	struct json j = json_to(&s->out);
	int r;

	if (s->args->form == FORM_JUNIT)
		return cli_usage(s->cli, "--dry-run has no JUnit report: use -o table, json or jsonl");
	if (s->args->form == FORM_JSON)
		begin_json(s);
	r = replay_plan(&s->config, source, &s->plan, on_entry, s, e);
	if (r < 0)
		return cli_fail(s->cli, e);
	if (s->args->form == FORM_TABLE && s->plan.count > s->args->details)
		buf_add_fmt(&s->out, "... and %llu more: --details\n",
			    (unsigned long long)(s->plan.count - s->args->details));
	if (s->args->form == FORM_TABLE) {
		replay_view_plan(&s->view, &s->out, &s->plan);
	} else {
		buf_add_str(&s->out, s->args->form == FORM_JSON ? "],\n\"plan\":" : "{\"plan\":");
		report_plan_json(&j, &s->plan);
		buf_add_str(&s->out, "}\n");
	}
	print(s, 0);
	return cli_finish(s->plan.send_count ? CLI_OK : CLI_DIFFERS);
}

/* Return: CLI_OK to go on */
static int confirm(struct session *s)
{
	const struct plan *p = &s->plan;
	int answer;

	if (p->at_recorded_count == 0 || s->args->is_sure)
		return CLI_OK;
	cli_note("%llu of the requests would go to the very server they were recorded from",
		 (unsigned long long)p->at_recorded_count);
	if (!isatty(STDIN_FILENO))
		return cli_usage(s->cli, "the target is where it was recorded: --yes allows that");
	(void)fputs("Send them? [y/N] ", stderr);
	answer = getchar();
	if (answer == 'y' || answer == 'Y')
		return CLI_OK;
	cli_note("nothing was sent");
	return CLI_USAGE;
}

/* many recorded connections are many sockets */
static void allow_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= FILES_WANTED)
		return;
	files.rlim_cur = MIN((rlim_t)FILES_WANTED, files.rlim_max);
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static int wet_run(struct session *s, const struct replay_source *source, struct err *e)
{
	int r = replay_plan(&s->config, source, &s->plan, NULL, NULL, e);
	int status;

	if (r < 0)
		return cli_fail(s->cli, e);
	if (s->plan.count == 0) {
		cli_note("nothing matched in %s", source_name(s->source));
		return CLI_DIFFERS;
	}
	status = confirm(s);
	if (status != CLI_OK)
		return status;
	if (s->args->form == FORM_JUNIT && junit_open(&s->junit, e) < 0)
		return cli_fail(s->cli, e);
	allow_files();
	if (s->args->is_insecure)
		cli_note("--insecure: certificates of targets are NOT verified; anybody may be answering");
	if (s->args->form == FORM_JSON)
		begin_json(s);
	r = replay_run(&s->config, source, &s->plan, on_result, s, &s->summary, e);
	cli_progress_end();
	if (r < 0 && s->summary.sent == 0)
		return cli_fail(s->cli, e); /* nothing was sent: no half report on stdout */
	print_end(s);
	if (r < 0)
		return cli_fail(s->cli, e);
	if (s->print_error && s->print_error != -EPIPE) {
		(void)err_set(e, s->print_error, "the report could not be written: %s",
			      strerror(-s->print_error));
		return cli_fail(s->cli, e);
	}
	return cli_finish(replay_fails(&s->summary) ? CLI_DIFFERS : CLI_OK);
}

static int replay_session(struct session *s)
{
	struct replay_source from = {.ctx = s};
	AUTO(ignore) rules = NULL;
	AUTO(proto_set) protos = NULL;
	AUTO(source) source = NULL;
	struct err e = {0};
	int r = read_config(s, &e);

	if (r == 0)
		r = read_ignores(s, &rules, &e);
	if (r == 0 && s->args->proto)
		r = proto_set_load(s->args->proto, &protos, &e);
	if (r < 0)
		return cli_fail(s->cli, &e);
	if (s->config.targets.count == 0)
		return cli_usage(s->cli, "where to? --to http://HOST:PORT or --map SERVICE=URL");
	s->config.ignore = rules;
	s->config.protos = protos;
	r = source_open(&s->args->source, &source, &e);
	s->source = source;
	if (r == 0)
		r = select_exchanges(s, &e);
	if (r < 0)
		return cli_fail(s->cli, &e);
	from.list = s->ids ? list_ids : list_query;
	return s->args->is_dry ? dry_run(s, &from, &e) : wet_run(s, &from, &e);
}

static int run_replay(struct cli *cli)
{
	struct session *s = calloc(1, sizeof(*s)); /* histograms: too much for the stack */
	int status;

	if (!s)
		return CLI_FAILED;
	s->cli = cli;
	s->args = cli->args;
	s->view = (struct replay_view){.screen = screen_of_stdout(), .details_max = s->args->details};
	status = replay_session(s);
	junit_close(s->junit);
	plan_fini(&s->plan);
	buf_fini(&s->out);
	free(s->ids);
	free(s);
	return status;
}

const struct command command_replay = {
	.name = "replay",
	.operands = "[FILTER | ID...]",
	.operands_min = 0,
	.operands_max = -1,
	.summary = "send recorded requests again and say what came back differently",
	.details =
		"Exchanges of one recorded connection are sent in order on one connection; what was "
		"concurrent is concurrent. The schedule is open-loop: a slow target does not slow it "
		"down, it shows as lateness. Methods that are not safe (RFC 9110 9.2.1) are not sent "
		"unless --allow-unsafe. Every request carries Tapeloop-Replay: RUN/ID, and what "
		"carries it is not selected by a filter.\n\n"
		"Each exchange gets a verdict: fixed (failed, does not any more), same, broken (was "
		"fine, fails now), changed, no_answer or skipped. Failing is what failed() says: 5xx "
		"and missing answers. Exit status: 0 when all is fixed or the same and nothing fails; "
		"1 when something differs, fails or stays without an answer, or nothing was sent; 3 "
		"when the target cannot be reached.",
	.examples = "tapeloop replay 'failed() && dst.service == \"cart\"' --since 1h --to http://localhost:8080\t"
		    "do the failures of the last hour still fail?\n"
		    "tapeloop replay 01K2Z --to http://localhost:8080 -o json\tone exchange, as JSON\n"
		    "tapeloop replay --since 10m --to http://staging:80 --rate 500 --duration 1m\t"
		    "recorded traffic as a load",
	.options = replay_options,
	.args_bytes = sizeof(struct replay_args),
	.run = run_replay,
};
