// SPDX-License-Identifier: Apache-2.0
/*
 * show: one exchange, both sides
 *
 * Theory of operation
 *
 * For people: who, when and how it ended; then the request behind >, the response behind <, heads
 * as they were, bodies as far as they are text (JSON indented, its values untouched; content
 * codings undone) and in hex where not; gRPC messages, WebSocket messages and events one by one.
 * Everything passes cli/plain.h. For programs: --raw and the bodies are the recorded octets, unless
 * stdout is a terminal, which gets them escaped; --decoded undoes the content codings of a body.
 */
#include "cli/show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/plain.h"
#include "cli/source.h"
#include "lib/utf8.h"
#include "schema/content.h"
#include "schema/exchange_json.h"
#include "schema/message.h"
#include "store/format_curl.h"

#define HEX_MAX	    512	  /* bytes of a body shown in hex; --response-body gives all */
#define PRINT_BYTES 65536 /* printed when so many are collected */

enum show_form { SHOW_TEXT, SHOW_CURL, SHOW_HTTP, SHOW_JSON, SHOW_EXACT, SHOW_HAR };

struct show_args {
	struct source_args source;
	bool is_raw, wants_request_body, wants_response_body, is_decoded;
	unsigned form;
	const char *to, *proto;
};

static const struct option_row show_options[] = {
	{.name = "as",
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct show_args, form),
	 .value = "FORM",
	 .fallback = "text",
	 .choices = "text curl http json exact har",
	 .what = "for people, as a command, as plain messages, as JSON, as JSON with every byte, "
		 "or as HTTP Archive"},
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
	{.name = "decoded",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct show_args, is_decoded),
	 .what = "with --request-body or --response-body: its content codings undone (gzip, "
		 "deflate, br, zstd)"},
	{.name = "proto",
	 .kind = OPTION_TEXT,
	 OPTION_AT(struct show_args, proto),
	 .value = "FILE",
	 .what = "names for the fields of gRPC messages: a descriptor set, as protoc "
		 "--include_imports -o FILE writes it"},
	SOURCE_OPTIONS(struct show_args, source),
	{0},
};

void show_key(struct show *s, const char *key)
{
	screen_begin(&s->screen, &s->out, STYLE_DIM);
	buf_add_fmt(&s->out, "  %-11s", key);
	screen_end(&s->screen, &s->out, STYLE_DIM);
}

bool show_is_text(struct span s)
{
	size_t controls = 0;

	if (!utf8_is_valid(s) || memchr(s.ptr, '\0', s.len))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' && s.ptr[i] != '\n' && s.ptr[i] != '\r' && s.ptr[i] != '\t')
			controls++;
	return controls * 50 <= s.len;
}

void show_remark(struct show *s, const char *fmt, ...)
{
	char text[ERR_WHY_MAX + 64];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	screen_begin(&s->screen, &s->out, STYLE_DIM);
	buf_add_str(&s->out, "  (");
	(void)plain_add(&s->out, span_str(text), PLAIN_UNLIMITED);
	buf_add_char(&s->out, ')');
	screen_end(&s->screen, &s->out, STYLE_DIM);
	buf_add_char(&s->out, '\n');
}

static void show_hex(struct show *s, struct span octets, const char *option)
{
	plain_add_hex(&s->out, span_of(octets.ptr, MIN(octets.len, (size_t)HEX_MAX)), "  ");
	if (octets.len > HEX_MAX)
		show_remark(s, "%zu more bytes: --%s gives them all", octets.len - HEX_MAX, option);
}

void show_octets(struct show *s, struct span octets, const char *option)
{
	if (!show_is_text(octets))
		show_hex(s, octets, option);
	else if (!plain_add_json(&s->out, octets, "  "))
		plain_add_lines(&s->out, octets, "  ");
}

bool show_is_full(struct show *s)
{
	return s->out.len > PRINT_BYTES && cli_print(&s->out) < 0;
}

/* 1234567 -> "1,234,567" */
static const char *grouped(uint64_t n, char text[32])
{
	size_t at = 31;

	text[at] = '\0';
	for (unsigned digits = 0; n || digits == 0; n /= 10, digits++) {
		if (digits && digits % 3 == 0)
			text[--at] = ',';
		text[--at] = (char)('0' + n % 10);
	}
	return text + at;
}

/* what the reader sees is not quite what was on the wire: say so */
static void remark_decoding(struct show *s, const struct message *m, int undone, size_t decoded,
			    const struct err *e)
{
	AUTO_BUF codings = {0};
	char text[32];

	(void)plain_add(&codings, message_header(m, "Content-Encoding"), 100);
	if (undone > 0)
		show_remark(s, "decoded from %s, %s bytes on the wire", buf_cstr(&codings),
			    grouped(m->body.len, text));
	else if (undone == -ENOENT)
		show_remark(s, "%s: as it was on the wire", e->why);
	else if (undone < 0)
		show_remark(s, "%s; of %s bytes on the wire this could be decoded: %zu bytes",
			    e->why, grouped(m->body.len, text), decoded);
}

static void show_plain_body(struct show *s, const struct message *m, const char *option)
{
	AUTO_BUF room = {0};
	struct span body = m->body;
	struct err e = {0};
	int undone;

	if (body.len == 0)
		return;
	undone = content_decode(m, &room, &body, &e);
	buf_add_char(&s->out, '\n');
	remark_decoding(s, m, undone, body.len, &e);
	show_octets(s, body, option);
}

static void show_body(struct show *s, const struct exchange *x, bool is_response)
{
	const struct message *m = is_response ? &x->response : &x->request;

	if (x->protocol == PROTOCOL_GRPC)
		show_grpc_body(s, x, is_response);
	else if (is_response && show_has_events(x))
		show_children(s, x);
	else
		show_plain_body(s, m, is_response ? "response-body" : "request-body");
	if (m->flags & MESSAGE_BODY_CUT)
		show_remark(s, "the first %zu of %llu bytes were kept", m->body.len,
			    (unsigned long long)m->body_bytes);
}

/* fields that HPACK could not tell, for they refer to what was sent before the capture began */
static void remark_unknown(struct show *s, const struct message *m)
{
	if (m->head.len &&
	    (span_find(m->head, SPAN_LIT(":unknown: ")) || span_find(m->head, SPAN_LIT(": ?\r\n"))))
		show_remark(s,
			    ":unknown and ? stand for names and values that were said before the "
			    "capture began");
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

static void show_message(struct show *s, const struct exchange *x, bool is_response)
{
	const struct message *m = is_response ? &x->response : &x->request;
	char sign = is_response ? '<' : '>';

	buf_add_char(&s->out, '\n');
	if (!(m->flags & MESSAGE_PRESENT)) {
		show_remark(s, sign == '>' ? "no request was seen" : "no response");
		return;
	}
	show_lines(s, m->head, sign);
	if (x->anomalies & ANOMALY_BIT(H2_PARTIAL))
		remark_unknown(s, m);
	show_body(s, x, is_response);
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
	show_message(s, x, false);
	show_message(s, x, true);
	if (x->protocol == PROTOCOL_WEBSOCKET)
		show_children(s, x);
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

static void put_body(struct show *s, const struct message *m)
{
	AUTO_BUF room = {0};
	struct span body = m->body;
	struct err e = {0};

	if (s->args->is_decoded && content_decode(m, &room, &body, &e) < 0) {
		cli_note("The body is not decoded to its end: %s.", e.why);
		s->was_refused = true;
	}
	put_octets(s, body);
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
		put_body(s, &x->request);
	if (a->wants_response_body)
		put_body(s, &x->response);
	if (!a->is_raw && !a->wants_request_body && !a->wants_response_body) {
		switch ((enum show_form)a->form) {
		case SHOW_TEXT: show_text(s, x); break;
		case SHOW_CURL: format_curl(x, a->to, &s->out); break;
		case SHOW_HTTP: show_http(s, x); break;
		case SHOW_JSON: show_json(s, x, EXCHANGE_JSON_MESSAGES); break;
		case SHOW_EXACT: show_json(s, x, EXCHANGE_JSON_EXACT); break;
		case SHOW_HAR: format_add(s->har, x, &s->out); break;
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

/* Return: why these options make no sense together, or NULL */
static const char *wrong_together(const struct show_args *a)
{
	if (a->to && a->form != SHOW_CURL)
		return "--to goes with --as curl; `tapeloop replay` sends it";
	if (a->is_decoded && !a->wants_request_body && !a->wants_response_body)
		return "--decoded goes with --request-body or --response-body";
	if (a->proto && a->form != SHOW_TEXT)
		return "--proto goes with --as text";
	return NULL;
}

static int run_show(struct cli *cli)
{
	struct show s = {.args = cli->args, .screen = screen_of_stdout(), .now_ns = cli->now_ns};
	AUTO(source) source = NULL;
	AUTO(proto_set) protos = NULL;
	AUTO(format_writer) har = format_writer_new(format_find(SPAN_LIT("har")), NULL);
	struct err e = {0};
	int status = CLI_OK;
	const char *wrong = wrong_together(s.args);

	if (wrong)
		return cli_usage(cli, "%s", wrong);
	if (s.args->proto && proto_set_load(s.args->proto, &protos, &e) < 0) {
		e.code = -EIO; /* a file that is not there is no exchange that is not there */
		return cli_fail(cli, &e);
	}
	s.protos = protos;
	s.har = har;
	if (!har)
		return cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	if (source_open(&s.args->source, &source, &e) < 0)
		return cli_fail(cli, &e);
	for (int i = 0; i < cli->operand_count && !cli_is_interrupted(); i++) {
		int one = show_one(cli, source, &s, cli->operands[i]);

		status = MAX(status, one);
	}
	if (s.args->form == SHOW_HAR) {
		format_end(har, &s.out);
		(void)cli_print(&s.out);
	}
	hint(&s);
	buf_fini(&s.out);
	return s.was_refused ? MAX(status, CLI_FAILED) : status;
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
		    "tapeloop show 7K3QM --response-body > body.bin\tthe octets, as recorded\n"
		    "tapeloop show 7K3QM --proto shop.desc\tgRPC messages with the names of their "
		    "fields\n",
	.options = show_options,
	.args_bytes = sizeof(struct show_args),
	.run = run_show,
};
