// SPDX-License-Identifier: Apache-2.0
/* replay: send recorded requests again, and say what came back differently */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/job.h"
#include "cli/replay_config.h"
#include "cli/replay_target.h"
#include "cli/replay_view.h"
#include "kube/backend.h"
#include "lib/protobuf.h"
#include "replay/report.h"

/*
 * This file turns options into a replay_config, a selection into a replay_source, and results into
 * one of four outputs. Everything else is in replay/.
 */

#define PROGRESS_NS  (200 * NS_PER_MS)
#define FILES_WANTED 8192
#define PRINT_BYTES  (64 * 1024)

struct session {
	struct cli *cli;
	const struct replay_args *args;
	struct source *source;
	struct source_query query;
	uint64_t *ids; /* in order; NULL: the query selects */
	size_t id_count;
	struct replay_config config;
	struct replay_reach *reach; /* NULL: no target is in a cluster */
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

/* ---- targets in a cluster ---- */

struct gathering {
	const struct targets *targets;
	uint16_t target;
	struct kube_ports *ports;
};

static int gather_port(void *ctx, const struct exchange *x)
{
	struct gathering *g = ctx;

	if (target_of(g->targets, x) == g->target)
		kube_ports_add(g->ports, x->dst.port);
	return 0;
}

static int selected_ports(void *ctx, uint16_t target, struct kube_ports *out, struct err *e)
{
	struct session *s = ctx;
	struct gathering g = {.targets = &s->config.targets, .target = target, .ports = out};

	return s->ids ? list_ids(s, false, gather_port, &g, e)
		      : list_query(s, false, gather_port, &g, e);
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
	switch ((enum replay_form)s->args->form) {
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

/* the last members of the report's object, or of its last line */
static void end_json(struct session *s)
{
	struct json j = json_to(&s->out);

	json_key(&j, "summary");
	report_summary_json(&j, &s->summary, &s->noise);
	replay_reach_json(s->reach, &s->config.targets, &j);
	buf_add_str(&s->out, "}\n");
}

static void print_end(struct session *s)
{
	noise_sort(&s->noise);
	switch ((enum replay_form)s->args->form) {
	case FORM_TABLE:
		replay_view_summary(&s->view, &s->out, s->run, &s->summary, &s->noise);
		replay_reach_summary(s->reach, &s->config.targets, &s->out);
		break;
	case FORM_JSON:
		buf_add_str(&s->out, "],\n");
		end_json(s);
		break;
	case FORM_JSONL:
		buf_add_char(&s->out, '{');
		end_json(s);
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
		return cli_usage(s->cli,
				 "--dry-run has no JUnit report: use -o table, json or jsonl");
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

	if (p->at_recorded_count + p->in_namespace_count == 0 || s->args->is_sure)
		return CLI_OK;
	if (p->at_recorded_count)
		cli_note("%llu of the requests would go to the very server they were recorded from",
			 (unsigned long long)p->at_recorded_count);
	if (p->in_namespace_count)
		cli_note("%llu of the requests would go into the very namespace they were recorded "
			 "in",
			 (unsigned long long)p->in_namespace_count);
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
		cli_note("--insecure: certificates of targets are NOT verified; anybody may be "
			 "answering");
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
	return cli_finish(replay_fails(&s->summary) && !s->args->exits_zero ? CLI_DIFFERS : CLI_OK);
}

/* --kubeconfig and --context may be for a target in a cluster alone */
static int open_source(const struct session *s, struct source **out, struct err *e)
{
	struct source_args a = s->args->source;

	if (s->reach && !a.kube.is_on)
		a.kube = (struct kube_args){0};
	return source_open(&a, out, e);
}

static void mark_unverified(struct session *s)
{
	struct targets *t = &s->config.targets;

	for (uint16_t i = 0; i < t->count; i++)
		t->list[i].is_unverified = s->args->is_insecure && t->list[i].is_tls;
}

static int replay_session(struct session *s)
{
	struct replay_source from = {.ctx = s};
	AUTO(ignore) rules = NULL;
	AUTO(proto_set) protos = NULL;
	AUTO(source) source = NULL;
	struct err e = {0};
	int r = replay_config_read(s->args, s->cli->now_ns, s->run, &s->config, &s->reach, &e);

	if (r == 0)
		r = replay_config_ignores(s->args, &rules, &e);
	if (r == 0 && s->args->proto)
		r = proto_set_load(s->args->proto, &protos, &e);
	if (r < 0)
		return cli_fail(s->cli, &e);
	if (s->config.targets.count == 0)
		return cli_usage(
			s->cli,
			"where to? --to http://HOST:PORT, --to svc/NAME or --map SERVICE=...");
	s->config.ignore = rules;
	s->config.protos = protos;
	r = open_source(s, &source, &e);
	s->source = source;
	if (r == 0)
		r = select_exchanges(s, &e);
	if (r == 0 && s->reach)
		r = replay_reach_find(s->reach, s->args, &s->config.targets, selected_ports, s, &e);
	mark_unverified(s);
	if (r < 0)
		return cli_fail(s->cli, &e);
	from.list = s->ids ? list_ids : list_query;
	return s->args->is_dry ? dry_run(s, &from, &e) : wet_run(s, &from, &e);
}

static int print_job(struct session *s)
{
	const struct job job = {.image = s->args->job_image,
				.account = s->args->job_account,
				.claim = s->args->job_claim,
				.shards = s->args->job_shards,
				.source = &s->args->source,
				.query = &s->args->query,
				.to = s->args->to,
				.maps = &s->args->maps};
	struct err e = {0};
	int r = s->args->to || s->args->maps.count
			? job_write(&job, s->cli, &s->out, &e)
			: err_set(&e, -EINVAL, "where to? --to svc/NAME or --map SERVICE=svc/NAME");

	if (r < 0)
		return cli_fail(s->cli, &e);
	print(s, 0);
	return cli_finish(CLI_OK);
}

static int run_replay(struct cli *cli)
{
	struct session *s = calloc(1, sizeof(*s)); /* histograms: too much for the stack */
	int status;

	if (!s)
		return CLI_FAILED;
	s->cli = cli;
	s->args = cli->args;
	s->view =
		(struct replay_view){.screen = screen_of_stdout(), .details_max = s->args->details};
	status = s->args->is_job ? print_job(s) : replay_session(s);
	junit_close(s->junit);
	replay_reach_free(s->reach);
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
	.details = "Exchanges of one recorded connection are sent in order on one connection; what "
		   "was "
		   "concurrent is concurrent. The schedule is open-loop: a slow target does not "
		   "slow it "
		   "down, it shows as lateness. Methods that are not safe (RFC 9110 9.2.1) are not "
		   "sent "
		   "unless --allow-unsafe. Every request carries Tapeloop-Replay: RUN/ID, and what "
		   "carries it is not selected by a filter.\n\n"
		   "Each exchange gets a verdict: fixed (failed, does not any more), same, broken "
		   "(was "
		   "fine, fails now), changed, no_answer or skipped. Failing is what failed() "
		   "says: 5xx "
		   "and missing answers. Exit status: 0 when all is fixed or the same and nothing "
		   "fails; "
		   "1 when something differs, fails or stays without an answer, or nothing was "
		   "sent; 3 "
		   "when the target cannot be reached.",
	.examples =
		"tapeloop replay 'failed() && dst.service == \"cart\"' --since 1h --to "
		"http://localhost:8080\t"
		"do the failures of the last hour still fail?\n"
		"tapeloop replay 01K2Z --to http://localhost:8080 -o json\tone exchange, as JSON\n"
		"tapeloop --kube -n shop replay 'failed()' --since 1h --to "
		"svc/cart-fixed.staging\tagainst a service of the cluster\n"
		"tapeloop replay --since 10m --to http://staging:80 --rate 500 --duration 1m\t"
		"recorded traffic as a load\n"
		"tapeloop --kube replay --to svc/cart --as-job --job-shards 4 | kubectl apply -f "
		"-\t"
		"inside the cluster, by four pods",
	.options = replay_options,
	.args_bytes = sizeof(struct replay_args),
	.run = run_replay,
};
