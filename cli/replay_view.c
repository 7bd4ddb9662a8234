// SPDX-License-Identifier: Apache-2.0
#include "cli/replay_view.h"

#include "cli/plain.h"
#include "cli/when.h"
#include "lib/id.h"
#include "replay/report.h"

#define VALUE_COLUMNS 60 /* of a value in a difference */
#define NOISE_ROWS    8	 /* frequent differences shown */

static const enum style verdict_styles[] = {
	[VERDICT_FIXED] = STYLE_GREEN,	 [VERDICT_SAME] = STYLE_PLAIN,
	[VERDICT_BROKEN] = STYLE_RED,	 [VERDICT_CHANGED] = STYLE_YELLOW,
	[VERDICT_NO_ANSWER] = STYLE_RED, [VERDICT_SKIPPED] = STYLE_DIM,
};

static void add_styled(const struct screen *s, struct buf *out, enum style style, const char *text)
{
	screen_begin(s, out, style);
	buf_add_str(out, text);
	screen_end(s, out, style);
}

static void add_request(struct buf *out, const struct exchange *x)
{
	char id[ID_TEXT_LEN + 1];

	buf_add_fmt(out, "%s  ", id_format(x->id, id));
	(void)plain_add(out, x->method, 16);
	buf_add_char(out, ' ');
	(void)plain_add(out, x->target, 100);
}

void replay_view_entry(const struct replay_view *v, struct buf *out, const struct plan *p,
		       const struct plan_entry *entry, const struct exchange *x)
{
	if (entry->skip != SKIP_NONE) {
		add_styled(&v->screen, out, STYLE_DIM, "   skipped  ");
		add_request(out, x);
		buf_add_fmt(out, "  %s\n", skip_name(entry->skip));
		return;
	}
	buf_add_fmt(out, "%+10.3fs  ", (double)entry->at_ns / (double)NS_PER_S);
	add_request(out, x);
	buf_add_fmt(out, "  connection %u to %s\n", entry->link,
		    p->targets->list[p->links[entry->link].target].shown);
}

static void add_skips(struct buf *out, const uint64_t skips[SKIP_COUNT], const char *indent)
{
	for (unsigned i = 0; i < SKIP_COUNT; i++)
		if (skips[i])
			buf_add_fmt(out, "%s%7llu %-11s %s\n", indent, (unsigned long long)skips[i],
				    skip_name(i), skip_what(i));
}

void replay_view_plan(const struct replay_view *v, struct buf *out, const struct plan *p)
{
	const struct targets *t = p->targets;

	(void)v;
	buf_add_fmt(out, "%llu of %zu exchanges to send, on %zu connections, in ",
		    (unsigned long long)p->send_count, p->count, p->link_count);
	when_duration(out, (uint64_t)p->schedule.at);
	if (p->schedule.squeezed) {
		buf_add_fmt(out, "; %llu silences shortened, ",
			    (unsigned long long)p->schedule.squeezed);
		when_duration(out, p->schedule.squeezed_ns);
		buf_add_str(out, " left out");
	}
	buf_add_char(out, '\n');
	if (p->rules.shards > 1)
		buf_add_fmt(
			out, "  shard %u of %u (from 0 on): %llu exchanges are of other shards\n",
			p->rules.shard, p->rules.shards, (unsigned long long)p->elsewhere_count);
	for (uint16_t i = 0; i < t->count; i++)
		buf_add_fmt(out, "  to %s%s%s%s%s%s\n", t->list[i].shown,
			    t->list[i].is_unverified ? " (NOT verified)" : "",
			    t->list[i].name[0] ? ": " : "", t->list[i].name,
			    *t->list[i].how ? ", " : "", t->list[i].how);
	if (p->at_recorded_count + p->in_namespace_count)
		buf_add_fmt(out,
			    "%llu to where they were recorded, %llu more into the namespace where "
			    "they were: asks first (--yes)\n",
			    (unsigned long long)p->at_recorded_count,
			    (unsigned long long)p->in_namespace_count);
	if (p->count > p->send_count)
		buf_add_str(out, "not sent:\n");
	add_skips(out, p->skipped, "  ");
}

/* ---- results ---- */

static void add_difference(struct buf *out, const struct diff *d, const struct diff_item *item)
{
	static const char *const marks[] = {
		[DIFF_CHANGED] = "~", [DIFF_ADDED] = "+", [DIFF_REMOVED] = "-"};

	AUTO_BUF where = {0};

	report_where(&where, d, item);
	buf_add_fmt(out, "             %s ", marks[item->change]);
	(void)plain_add(out, buf_span(&where), VALUE_COLUMNS);
	buf_add_str(out, ": ");
	if (item->change != DIFF_ADDED)
		(void)plain_add(out, diff_text(d, item->recorded), VALUE_COLUMNS);
	if (item->change == DIFF_CHANGED)
		buf_add_str(out, " -> ");
	if (item->change != DIFF_REMOVED)
		(void)plain_add(out, diff_text(d, item->now), VALUE_COLUMNS);
	buf_add_char(out, '\n');
}

static void add_differences(struct buf *out, const struct diff *d)
{
	for (unsigned i = 0; i < d->kept; i++)
		if (d->items[i].kind != DIFF_STATUS)
			add_difference(out, d, &d->items[i]);
	if (d->count > d->kept)
		buf_add_fmt(out, "             and %llu more differences\n",
			    (unsigned long long)(d->count - d->kept));
	if (d->notes & DIFF_NOTE_PREFIX)
		buf_add_str(out, "             (bodies compared as far as they were kept)\n");
	if (d->notes & DIFF_NOTE_NOT_DECODED)
		buf_add_str(out, "             (a content coding could not be undone: compared as "
				 "on the wire)\n");
	if (d->notes & DIFF_NOTE_NO_RECORD)
		buf_add_str(out, "             (the recorded answer was not kept: only its status "
				 "was compared)\n");
}

static bool is_shown(struct replay_view *v, const struct replay_result *r)
{
	bool is_fine = (r->verdict == VERDICT_SAME && !r->is_still_failing) ||
		       r->verdict == VERDICT_SKIPPED;

	if (is_fine)
		return false;
	return v->shown[r->verdict]++ < v->details_max;
}

void replay_view_result(struct replay_view *v, struct buf *out, const struct replay_result *r)
{
	const char *word = r->is_still_failing && r->verdict != VERDICT_NO_ANSWER
				   ? "fails"
				   : verdict_name(r->verdict);
	enum style style = r->is_still_failing ? STYLE_RED : verdict_styles[r->verdict];

	if (!is_shown(v, r))
		return;
	screen_begin(&v->screen, out, style);
	buf_add_fmt(out, "%-10s", word);
	screen_end(&v->screen, out, style);
	buf_add_char(out, ' ');
	if (r->recorded->status)
		buf_add_fmt(out, "%3u", r->recorded->status);
	else
		buf_add_str(out, outcome_name(r->recorded->outcome));
	if (r->recorded->has_grpc_status)
		buf_add_fmt(out, " grpc %u", r->recorded->grpc_status);
	if (r->recorded->close_code)
		buf_add_fmt(out, " closed %u", r->recorded->close_code);
	buf_add_str(out, " -> ");
	if (r->status)
		buf_add_fmt(out, "%3u", r->status);
	else
		buf_add_str(out, miss_name(r->miss));
	if (r->grpc_status >= 0)
		buf_add_fmt(out, " grpc %d", r->grpc_status);
	if (r->conversation)
		buf_add_fmt(out, " closed %u", r->conversation->close_code);
	buf_add_str(out, "  ");
	add_request(out, r->recorded);
	buf_add_char(out, '\n');
	if (r->verdict == VERDICT_NO_ANSWER) {
		buf_add_str(out, "             ");
		report_why(out, r);
		buf_add_char(out, '\n');
	}
	if (r->diff && r->verdict != VERDICT_FIXED)
		add_differences(out, r->diff);
}

/* ---- the summary ---- */

static void add_verdict(const struct replay_view *v, struct buf *out, unsigned verdict,
			uint64_t count)
{
	enum style style = count ? verdict_styles[verdict] : STYLE_DIM;

	screen_begin(&v->screen, out, style);
	buf_add_fmt(out, "  %-10s %8llu", verdict_name(verdict), (unsigned long long)count);
	screen_end(&v->screen, out, style);
	if (count > v->details_max && v->shown[verdict] > v->details_max)
		buf_add_fmt(out, "   (%llu not shown above: --details)",
			    (unsigned long long)(v->shown[verdict] - v->details_max));
	buf_add_char(out, '\n');
}

static void add_misses(struct buf *out, const uint64_t misses[MISS_COUNT])
{
	for (unsigned i = 0; i < MISS_COUNT; i++)
		if (misses[i])
			buf_add_fmt(out, "    %7llu %-11s %s\n", (unsigned long long)misses[i],
				    miss_name(i), miss_what(i));
}

static void add_percentiles(struct buf *out, const char *name, const struct histogram *h)
{
	static const double percents[] = {50, 90, 99};

	if (h->count == 0)
		return;
	buf_add_fmt(out, "  %-10s", name);
	for (size_t i = 0; i < COUNT_OF(percents); i++) {
		AUTO_BUF text = {0};

		when_duration(&text, histogram_percentile(h, percents[i]));
		buf_add_fmt(out, " %9s", buf_cstr(&text));
	}
	{
		AUTO_BUF text = {0};

		when_duration(&text, h->max);
		buf_add_fmt(out, " %9s\n", buf_cstr(&text));
	}
}

static void add_noise(const struct replay_view *v, struct buf *out, const struct noise *noise)
{
	bool has_title = false;

	for (size_t i = 0; i < MIN(noise->count, (size_t)NOISE_ROWS); i++) {
		if (noise->rows[i].count < 2)
			break;
		if (!has_title)
			add_styled(&v->screen, out, STYLE_BOLD,
				   "differs most often (--ignore 'PLACE' leaves it out)\n");
		has_title = true;
		buf_add_fmt(out, "  %8llu  ", (unsigned long long)noise->rows[i].count);
		(void)plain_add(out, span_str(noise->rows[i].where), VALUE_COLUMNS);
		buf_add_char(out, '\n');
	}
}

static void add_traffic(struct buf *out, const struct replay_summary *s)
{
	double seconds = (double)s->duration_ns / (double)NS_PER_S;

	buf_add_fmt(out, "%llu requests in ", (unsigned long long)s->sent);
	when_duration(out, s->duration_ns);
	buf_add_fmt(out, ", %.1f/s, %llu bytes out, %llu in, %llu connections",
		    seconds > 0 ? (double)s->sent / seconds : 0.0,
		    (unsigned long long)s->client.bytes_out, (unsigned long long)s->client.bytes_in,
		    (unsigned long long)s->client.connections);
	if (s->client.reconnects)
		buf_add_fmt(out, " (%llu anew)", (unsigned long long)s->client.reconnects);
	if (s->client.tls_handshakes)
		buf_add_fmt(out, ", %llu TLS handshakes (%llu resumed)",
			    (unsigned long long)s->client.tls_handshakes,
			    (unsigned long long)s->client.tls_resumed);
	buf_add_char(out, '\n');
	if (s->client.retries)
		buf_add_fmt(out,
			    "%llu safe requests were sent again because their connection had been "
			    "closed\n",
			    (unsigned long long)s->client.retries);
	if (s->redacted)
		buf_add_fmt(out,
			    "%llu were sent with tags in the place of credentials (--set-header "
			    "gives real ones)\n",
			    (unsigned long long)s->redacted);
	if (s->client.held)
		buf_add_fmt(out, "%llu times a request waited because --concurrency was reached\n",
			    (unsigned long long)s->client.held);
	if (s->late.count > s->late_own.count) {
		buf_add_fmt(out,
			    "%llu were due before the answer ahead of them on their connection; "
			    "the others' lateness: p99 ",
			    (unsigned long long)(s->late.count - s->late_own.count));
		when_duration(out, histogram_percentile(&s->late_own, 99));
		buf_add_char(out, '\n');
	}
	if (s->not_reached)
		buf_add_fmt(out, "%llu of the plan were not reached%s\n",
			    (unsigned long long)s->not_reached,
			    s->is_interrupted ? ": interrupted" : " in --duration");
}

void replay_view_summary(const struct replay_view *v, struct buf *out, const char *run,
			 const struct replay_summary *s, const struct noise *noise)
{
	add_styled(&v->screen, out, STYLE_BOLD, "replay ");
	add_styled(&v->screen, out, STYLE_BOLD, run);
	buf_add_char(out, '\n');
	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		add_verdict(v, out, i, s->verdicts[i]);
		if (i == VERDICT_NO_ANSWER)
			add_misses(out, s->misses);
	}
	add_skips(out, s->skips, "    ");
	if (s->still_failing) {
		screen_begin(&v->screen, out, STYLE_RED);
		buf_add_fmt(out, "  still failing %5llu", (unsigned long long)s->still_failing);
		screen_end(&v->screen, out, STYLE_RED);
		buf_add_char(out, '\n');
	}
	if (s->now.count + s->late.count)
		buf_add_str(out, "                   p50       p90       p99       max\n");
	add_percentiles(out, "recorded", &s->recorded);
	add_percentiles(out, "now", &s->now);
	add_percentiles(out, "lateness", &s->late);
	add_noise(v, out, noise);
	add_traffic(out, s);
}
