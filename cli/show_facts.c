// SPDX-License-Identifier: Apache-2.0
/* what is known about an exchange besides its bytes: a line each, with a word before it */
#include "cli/show.h"

#include "cli/plain.h"
#include "cli/view.h"
#include "cli/when.h"
#include "lib/id.h"

static void add_plain(struct show *s, const char *before, struct span text)
{
	if (text.len == 0)
		return;
	buf_add_str(&s->out, before);
	(void)plain_add(&s->out, text, PLAIN_UNLIMITED);
}

static void show_end(struct show *s, const char *key, const struct endpoint *e)
{
	AUTO_BUF name = {0};
	char text[ENDPOINT_TEXT_MAX];

	show_key(s, key);
	if (endpoint_service(e).len) {
		view_end_name(&name, e, false);
		add_plain(s, "", buf_span(&name));
		add_plain(s, "  namespace ", e->who.name_space);
		if (e->who.service.len)
			add_plain(s, "  pod ", e->who.pod);
		add_plain(s, "  workload ", e->who.workload);
		if (e->who.workload.len)
			add_plain(s, ", a ", e->who.workload_kind);
		add_plain(s, "  node ", e->who.node);
		buf_add_str(&s->out, "  ");
	}
	buf_add_fmt(&s->out, e->is_ipv4 ? "%s:%u\n" : "[%s]:%u\n", endpoint_text(e, text), e->port);
}

/* what is known of a pod beside its name, and how that is known */
static void show_identity(struct show *s, const char *key, const struct identity *who)
{
	if (who->source == IDENTITY_NONE && who->certainty == CERTAINTY_UNKNOWN)
		return;
	show_key(s, key);
	buf_add_fmt(&s->out, "named by %s, %s", identity_source_name(who->source),
		    identity_certainty_name(who->certainty));
	add_plain(s, "  container ", who->container);
	add_plain(s, "  uid ", who->pod_uid);
	add_plain(s, "  labels ", who->labels);
	add_plain(s, "  annotations ", who->annotations);
	buf_add_char(&s->out, '\n');
}

static const char *const anomaly_sentences[] = {
#define ANOMALY(NAME, name, what) what,
#include "schema/anomalies.tbl.h"
#undef ANOMALY
};
static const char *const reason_sentences[] = {
#define REASON(NAME, name, what) what,
#include "schema/outcomes.tbl.h"
#undef REASON
};
static const char *const outcome_sentences[] = {
#define OUTCOME(NAME, name, is_failed, what) what,
#include "schema/outcomes.tbl.h"
#undef OUTCOME
};

static void show_outcome(struct show *s, const struct exchange *x)
{
	show_key(s, "outcome");
	screen_begin(&s->screen, &s->out, view_outcome_style(x->outcome));
	buf_add_str(&s->out, outcome_name(x->outcome));
	screen_end(&s->screen, &s->out, view_outcome_style(x->outcome));
	if (x->outcome < OUTCOME_COUNT)
		buf_add_fmt(&s->out, ": %s", outcome_sentences[x->outcome]);
	if (x->reason && x->reason < REASON_COUNT)
		buf_add_fmt(&s->out, " (%s: %s)", reason_name(x->reason),
			    reason_sentences[x->reason]);
	buf_add_char(&s->out, '\n');
}

static void show_anomalies(struct show *s, const struct exchange *x)
{
	for (unsigned i = 0; i < ANOMALY_COUNT; i++) {
		if (!(x->anomalies >> i & 1))
			continue;
		show_key(s, "note");
		buf_add_fmt(&s->out, "%s: %s\n", anomaly_name(i), anomaly_sentences[i]);
	}
}

/* a conversation that was recorded in parts: where the others are */
static void show_part(struct show *s, const struct exchange *x)
{
	bool is_later = x->anomalies & ANOMALY_BIT(CONTINUATION),
	     goes_on = x->reason == REASON_ONGOING;
	char id[ID_TEXT_LEN + 1];

	if (!is_later && !goes_on)
		return;
	show_key(s, "part");
	buf_add_fmt(&s->out, "%s; all: tapeloop ls 'connection == \"%s\" && sequence == %u'\n",
		    !is_later ? "the first of a conversation"
		    : goes_on ? "a later one of a conversation"
			      : "the last of a conversation",
		    id_format(x->connection, id), x->sequence);
}

static void show_stream(struct show *s, const struct exchange *x)
{
	const char *name = h2_error_name(x->h2_error);

	if (x->stream == 0)
		return;
	show_key(s, "stream");
	buf_add_u64(&s->out, x->stream);
	if (x->h2_error)
		buf_add_fmt(&s->out, ", ended with error %u %s", x->h2_error,
			    name ? name : "(not registered)");
	buf_add_char(&s->out, '\n');
}

/* What of its latency the server's end did not see: the network's, and proxies' between them. */
static uint64_t way_ns(const struct exchange *x)
{
	uint64_t all_ns = exchange_latency_ns(x), server_ns = exchange_server_latency_ns(x);

	return all_ns > server_ns ? all_ns - server_ns : 0;
}

void show_facts(struct show *s, const struct exchange *x)
{
	char id[ID_TEXT_LEN + 1];

	screen_begin(&s->screen, &s->out, STYLE_BOLD);
	buf_add_fmt(&s->out, "exchange %s", id_format(x->id, id));
	screen_end(&s->screen, &s->out, STYLE_BOLD);
	buf_add_char(&s->out, '\n');
	show_key(s, "time");
	when_full(&s->out, x->start_ns);
	buf_add_str(&s->out, "  (");
	when_ago(&s->out, x->start_ns, s->now_ns);
	buf_add_str(&s->out, ")\n");
	show_end(s, "from", &x->src);
	show_identity(s, "client", &x->src.who);
	show_end(s, "to", &x->dst);
	show_identity(s, "server", &x->dst.who);
	show_outcome(s, x);
	show_grpc_facts(s, x);
	show_children_facts(s, x);
	if (exchange_latency_ns(x)) {
		show_key(s, "latency");
		when_duration(&s->out, exchange_latency_ns(x));
		buf_add_char(&s->out, '\n');
	}
	if (exchange_server_latency_ns(x)) {
		show_key(s, "at server");
		when_duration(&s->out, exchange_server_latency_ns(x));
		buf_add_str(&s->out, ", the way there and back ");
		when_duration(&s->out, way_ns(x));
		buf_add_char(&s->out, '\n');
	}
	if (x->trace_id.len) {
		show_key(s, "trace");
		add_plain(s, "", x->trace_id);
		buf_add_char(&s->out, '\n');
	}
	show_key(s, "connection");
	buf_add_fmt(&s->out, "%s, exchange %u of it\n", id_format(x->connection, id),
		    x->sequence + 1);
	show_part(s, x);
	show_stream(s, x);
	if (x->replay_of.len) {
		show_key(s, "replay of");
		add_plain(s, "", x->replay_of);
		buf_add_char(&s->out, '\n');
	}
	show_anomalies(s, x);
}
