// SPDX-License-Identifier: Apache-2.0
/*
 * show: one exchange, both sides
 *
 * Theory of operation
 *
 * For people: who, when and how it ended; then the request behind >, the response behind <, heads
 * as they were, bodies as far as they are text (JSON indented, its values untouched; content
 * codings undone) and in hex where not. Everything passes cli/plain.h. For programs: --raw and the
 * bodies are the recorded octets, unless stdout is a terminal, which gets them escaped.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/plain.h"
#include "cli/source.h"
#include "cli/view.h"
#include "cli/when.h"
#include "lib/id.h"
#include "lib/utf8.h"
#include "schema/content.h"
#include "schema/message.h"
#include "store/format_curl.h"

#define HEX_MAX 512 /* bytes of a body shown in hex; --response-body gives all */

enum show_form { SHOW_TEXT, SHOW_CURL, SHOW_HTTP, SHOW_JSON, SHOW_EXACT };

struct show_args {
	struct source_args source;
	bool is_raw, wants_request_body, wants_response_body;
	unsigned form;
	const char *to;
};

static const struct option_row show_options[] = {
	{.name = "as",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct show_args, form),
	 .value = "FORM",
	 .fallback = "text",
	 .choices = "text curl http json exact",
	 .what = "for people, as a command, as plain messages, as JSON, or as JSON with every "
		 "byte"},
	{.name = "to",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct show_args, to),
	 .value = "URL",
	 .what = "with --as curl: where the command sends it, such as http://localhost:8080"},
	{.name = "raw",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct show_args, is_raw),
	 .what = "the bytes of request and response as recorded, and nothing else"},
	{.name = "request-body",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct show_args, wants_request_body),
	 .what = "the request's body alone, as recorded (without chunk lines)"},
	{.name = "response-body",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct show_args, wants_response_body),
	 .what = "the response's body alone, as recorded (without chunk lines)"},
	SOURCE_OPTIONS(struct show_args, source),
	{0},
};

struct show {
	const struct show_args *args;
	struct screen screen;
	uint64_t now_ns;
	struct buf out;
	uint64_t count;
	bool was_escaped;
};

static void line(struct show *s, const char *key)
{
	screen_begin(&s->screen, &s->out, STYLE_DIM);
	buf_add_fmt(&s->out, "  %-11s", key);
	screen_end(&s->screen, &s->out, STYLE_DIM);
}

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

	line(s, key);
	if (endpoint_service(e).len) {
		view_end_name(&name, e, false);
		add_plain(s, "", buf_span(&name));
		add_plain(s, "  namespace ", e->who.name_space);
		if (e->who.service.len)
			add_plain(s, "  pod ", e->who.pod);
		add_plain(s, "  workload ", e->who.workload);
		add_plain(s, "  node ", e->who.node);
		buf_add_str(&s->out, "  ");
	}
	buf_add_fmt(&s->out, e->is_ipv4 ? "%s:%u\n" : "[%s]:%u\n", endpoint_text(e, text), e->port);
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
	line(s, "outcome");
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
		line(s, "note");
		buf_add_fmt(&s->out, "%s: %s\n", anomaly_name(i), anomaly_sentences[i]);
	}
}

static void show_facts(struct show *s, const struct exchange *x)
{
	char id[ID_TEXT_LEN + 1];

	screen_begin(&s->screen, &s->out, STYLE_BOLD);
	buf_add_fmt(&s->out, "exchange %s", id_format(x->id, id));
	screen_end(&s->screen, &s->out, STYLE_BOLD);
	buf_add_char(&s->out, '\n');
	line(s, "time");
	when_full(&s->out, x->start_ns);
	buf_add_str(&s->out, "  (");
	when_ago(&s->out, x->start_ns, s->now_ns);
	buf_add_str(&s->out, ")\n");
	show_end(s, "from", &x->src);
	show_end(s, "to", &x->dst);
	show_outcome(s, x);
	if (exchange_latency_ns(x)) {
		line(s, "latency");
		when_duration(&s->out, exchange_latency_ns(x));
		buf_add_char(&s->out, '\n');
	}
	if (x->trace_id.len) {
		line(s, "trace");
		add_plain(s, "", x->trace_id);
		buf_add_char(&s->out, '\n');
	}
	line(s, "connection");
	buf_add_fmt(&s->out, "%s, exchange %u of it\n", id_format(x->connection, id),
		    x->sequence + 1);
	if (x->replay_of.len) {
		line(s, "replay of");
		add_plain(s, "", x->replay_of);
		buf_add_char(&s->out, '\n');
	}
	show_anomalies(s, x);
}

/* Text that people read: valid UTF-8 with hardly a control in it. */
static bool is_text(struct span s)
{
	size_t controls = 0;

	if (!utf8_is_valid(s) || memchr(s.ptr, '\0', s.len))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' && s.ptr[i] != '\n' && s.ptr[i] != '\r' && s.ptr[i] != '\t')
			controls++;
	return controls * 50 <= s.len;
}

static void show_remark(struct show *s, const char *text)
{
	screen_begin(&s->screen, &s->out, STYLE_DIM);
	buf_add_fmt(&s->out, "  (%s)", text);
	screen_end(&s->screen, &s->out, STYLE_DIM);
	buf_add_char(&s->out, '\n');
}

static void show_bytes(struct show *s, struct span body, const char *option)
{
	char remark[128];

	plain_add_hex(&s->out, span_of(body.ptr, MIN(body.len, (size_t)HEX_MAX)), "  ");
	if (body.len <= HEX_MAX)
		return;
	(void)snprintf(remark, sizeof(remark), "%zu more bytes: --%s gives them all",
		       body.len - HEX_MAX, option);
	show_remark(s, remark);
}

/* what the reader sees is not quite what was on the wire: say so */
static void remark_decoding(struct show *s, const struct message *m, int undone,
			    const struct err *e)
{
	AUTO_BUF text = {0};

	if (undone == 0)
		return;
	if (undone > 0)
		buf_add_str(&text, "decoded from ");
	(void)plain_add(&text,
			undone > 0 ? message_header(m, "Content-Encoding") : span_str(e->why), 100);
	show_remark(s, buf_cstr(&text));
}

static void show_body(struct show *s, const struct message *m, const char *option)
{
	AUTO_BUF room = {0};
	struct span body = m->body;
	struct err e = {0};
	char remark[128];
	int undone;

	if (body.len == 0)
		return;
	undone = content_decode(m, &room, &body, &e);
	buf_add_char(&s->out, '\n');
	remark_decoding(s, m, undone, &e);
	if (!is_text(body))
		show_bytes(s, body, option);
	else if (!plain_add_json(&s->out, body, "  "))
		plain_add_lines(&s->out, body, "  ");
	if (m->flags & MESSAGE_BODY_CUT) {
		(void)snprintf(remark, sizeof(remark), "the first %zu of %llu bytes were kept",
			       m->body.len, (unsigned long long)m->body_bytes);
		show_remark(s, remark);
	}
}

static void show_lines(struct show *s, struct span lines, char sign)
{
	AUTO_BUF text = {0};
	const uint8_t *p;
	char prefix[] = {sign, ' ', '\0'};

	plain_add_lines(&text, lines, "");
	for (p = text.ptr; p < text.ptr + text.len;) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(text.ptr + text.len - p));
		size_t n = nl ? (size_t)(nl - p) : (size_t)(text.ptr + text.len - p);

		if (n) {
			screen_begin(&s->screen, &s->out, STYLE_CYAN);
			buf_add_str(&s->out, prefix);
			screen_end(&s->screen, &s->out, STYLE_CYAN);
			buf_add(&s->out, p, n);
			buf_add_char(&s->out, '\n');
		}
		p += n + 1;
	}
}

static void show_message(struct show *s, const struct message *m, char sign, const char *option)
{
	buf_add_char(&s->out, '\n');
	if (!(m->flags & MESSAGE_PRESENT)) {
		show_remark(s, sign == '>' ? "no request was seen" : "no response");
		return;
	}
	show_lines(s, m->head, sign);
	show_body(s, m, option);
	if (!(m->flags & MESSAGE_COMPLETE))
		show_remark(s, m->flags & MESSAGE_HAS_GAP ? "bytes are missing"
							  : "it ends here: the rest never came");
	if (m->trailers.len) {
		buf_add_char(&s->out, '\n');
		show_lines(s, m->trailers, sign);
	}
}

static void show_text(struct show *s, const struct exchange *x)
{
	if (s->count)
		buf_add_char(&s->out, '\n');
	show_facts(s, x);
	show_message(s, &x->request, '>', "request-body");
	show_message(s, &x->response, '<', "response-body");
}

/* octets as they are; a terminal gets them made safe */
static void put_octets(struct show *s, struct span octets)
{
	if (!s->screen.is_terminal) {
		buf_add_span(&s->out, octets);
		return;
	}
	plain_add_lines(&s->out, octets, "");
	s->was_escaped = true;
}

static void show_raw(struct show *s, const struct exchange *x)
{
	AUTO_BUF bytes = {0};

	(void)message_write(&x->request, &bytes);
	(void)message_write(&x->response, &bytes);
	put_octets(s, buf_span(&bytes));
	s->out.is_failed |= bytes.is_failed;
}

static void show_http(struct show *s, const struct exchange *x)
{
	put_octets(s, x->request.head);
	put_octets(s, x->request.body);
	if (x->request.body.len && x->request.body.ptr[x->request.body.len - 1] != '\n')
		put_octets(s, SPAN_LIT("\n"));
	put_octets(s, x->response.head);
	put_octets(s, x->response.body);
	if (x->response.body.len && x->response.body.ptr[x->response.body.len - 1] != '\n')
		put_octets(s, SPAN_LIT("\n"));
}

static void show_json(struct show *s, const struct exchange *x, enum exchange_json_part part)
{
	struct json j = json_to(&s->out);

	exchange_to_json(&j, x, part);
	buf_add_char(&s->out, '\n');
}

static int on_exchange(void *ctx, const struct exchange *x)
{
	struct show *s = ctx;
	const struct show_args *a = s->args;

	if (a->is_raw)
		show_raw(s, x);
	if (a->wants_request_body)
		put_octets(s, x->request.body);
	if (a->wants_response_body)
		put_octets(s, x->response.body);
	if (!a->is_raw && !a->wants_request_body && !a->wants_response_body) {
		switch ((enum show_form)a->form) {
		case SHOW_TEXT: show_text(s, x); break;
		case SHOW_CURL: format_curl(x, a->to, &s->out); break;
		case SHOW_HTTP: show_http(s, x); break;
		case SHOW_JSON: show_json(s, x, EXCHANGE_JSON_MESSAGES); break;
		case SHOW_EXACT: show_json(s, x, EXCHANGE_JSON_EXACT); break;
		}
	}
	s->count++;
	return cli_print(&s->out) < 0;
}

static int show_one(struct cli *cli, struct source *source, struct show *s, const char *text)
{
	struct err e = {0};
	uint64_t id;
	int r = source_resolve(source, text, &id, &e);

	if (r == 0)
		r = source_get(source, id, on_exchange, s, &e);
	return r < 0 ? cli_fail(cli, &e) : CLI_OK;
}

/* what to do with it: said once, to a person */
static void hint(const struct show *s)
{
	bool is_text = s->args->form == SHOW_TEXT && !s->args->is_raw &&
		       !s->args->wants_request_body && !s->args->wants_response_body;

	if (s->was_escaped)
		cli_note("Escaped for the terminal; redirect it to have the very bytes.");
	else if (is_text && s->screen.is_terminal && s->count == 1)
		cli_note("\n`--as curl` makes a command of it; `tapeloop replay ID --to "
			 "http://localhost:8080` sends it and compares.");
}

static int run_show(struct cli *cli)
{
	struct show s = {.args = cli->args, .screen = screen_of_stdout(), .now_ns = cli->now_ns};
	AUTO(source) source = NULL;
	struct err e = {0};
	int status = CLI_OK;

	if (s.args->to && s.args->form != SHOW_CURL)
		return cli_usage(cli, "--to goes with --as curl; `tapeloop replay` sends it");
	if (source_open(&s.args->source, &source, &e) < 0)
		return cli_fail(cli, &e);
	for (int i = 0; i < cli->operand_count && !cli_is_interrupted(); i++) {
		int one = show_one(cli, source, &s, cli->operands[i]);

		status = MAX(status, one);
	}
	hint(&s);
	buf_fini(&s.out);
	return status;
}

const struct command command_show = {
	.name = "show",
	.operands = "ID...",
	.operands_min = 1,
	.operands_max = -1,
	.summary = "show exchanges with both sides, byte for byte",
	.details =
		"ID is an exchange's id or any ending of it that no other has. Credentials were "
		"masked "
		"when the exchange was recorded. An ID that is not there makes the exit status 1.",
	.examples = "tapeloop show 7K3QM\tan ending of its id is enough\n"
		    "tapeloop show 7K3QM --as curl --to http://localhost:8080\tas a command\n"
		    "tapeloop show 7K3QM --response-body > body.bin\tthe octets, as recorded\n",
	.options = show_options,
	.args_bytes = sizeof(struct show_args),
	.run = run_show,
};
