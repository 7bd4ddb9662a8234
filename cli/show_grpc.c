// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A gRPC body is messages one after another, each with its length and perhaps compressed by what
 * grpc-encoding names. With a descriptor set each is JSON by the method's types; without it, or
 * where the set does not know the method, fields by their numbers. What the recorder kept of a body
 * may end within a message: its beginning is shown, and said to be one.
 */
#include "cli/show.h"

#include "cli/plain.h"
#include "cli/when.h"
#include "lib/codec.h"
#include "schema/grpc.h"

#define MESSAGES_SHOWN_MAX 100	     /* of one body */
#define MESSAGE_BYTES_MAX  (4 << 20) /* what gRPC accepts unless told otherwise */
#define MESSAGE_RATIO_MAX  200
#define LINE_COLUMNS	   96 /* JSON that is no longer stays on one line */

/* a field of the end of a call: in the trailers, or in the head where there is nothing else */
static struct span end_field(const struct message *m, const char *name)
{
	struct header_iter it = {.rest = m->trailers, .is_trailers = true};

	while (m->trailers.len && header_next(&it))
		if (span_ieq(it.name, span_str(name)))
			return it.value;
	return message_header(m, name);
}

static void show_status(struct show *s, const struct exchange *x)
{
	const char *name = grpc_status_name(x->grpc_status);
	AUTO_BUF why = {0};

	show_key(s, "grpc");
	if (!x->has_grpc_status) {
		buf_add_str(&s->out, "no status was seen\n");
		return;
	}
	screen_begin(&s->screen, &s->out, x->grpc_status ? STYLE_RED : STYLE_GREEN);
	buf_add_fmt(&s->out, "%u %s", x->grpc_status, name ? name : "(none that is defined)");
	screen_end(&s->screen, &s->out, x->grpc_status ? STYLE_RED : STYLE_GREEN);
	grpc_message_decode(end_field(&x->response, "grpc-message"), &why);
	if (why.len) {
		buf_add_str(&s->out, ": ");
		(void)plain_add(&s->out, buf_span(&why), PLAIN_UNLIMITED);
	}
	buf_add_char(&s->out, '\n');
}

void show_grpc_facts(struct show *s, const struct exchange *x)
{
	if (x->protocol != PROTOCOL_GRPC)
		return;
	show_key(s, "call");
	(void)plain_add(&s->out, x->grpc_service.len ? x->grpc_service : SPAN_LIT("?"),
			PLAIN_UNLIMITED);
	buf_add_char(&s->out, '/');
	(void)plain_add(&s->out, x->grpc_method.len ? x->grpc_method : SPAN_LIT("?"),
			PLAIN_UNLIMITED);
	buf_add_fmt(&s->out, ", %llu message%s sent, %llu received",
		    (unsigned long long)x->messages[0], x->messages[0] == 1 ? "" : "s",
		    (unsigned long long)x->messages[1]);
	if (x->grpc_timeout_ns) {
		buf_add_str(&s->out, ", deadline ");
		when_duration(&s->out, x->grpc_timeout_ns);
	}
	buf_add_char(&s->out, '\n');
	show_status(s, x);
}

/* One body being shown. */
struct messages {
	struct show *show;
	const struct message *m;
	struct span type; /* full name, from the set; ptr NULL: not known */
	const char *option;
	struct buf room;
	uint64_t number;
};

/* Return: the message as its reader had it, as far as it can be read; what is wrong is remarked */
static struct span uncompressed(struct messages *all, const struct grpc_message *g)
{
	static const struct codec_limits limits = {MESSAGE_BYTES_MAX, MESSAGE_RATIO_MAX};
	struct span coding = message_header(all->m, "grpc-encoding");
	AUTO_BUF name = {0};
	struct err e = {0};
	int codec;

	if (!g->is_compressed)
		return g->bytes;
	(void)plain_add(&name, coding, 40);
	codec = codec_parse(coding);
	buf_clear(&all->room);
	if (codec < 0) {
		show_remark(all->show, "compressed by \"%s\", which is not known", buf_cstr(&name));
		return g->bytes;
	}
	if (codec_decode((enum codec)codec, g->bytes, &limits, &all->room, &e) < 0)
		show_remark(all->show, "decoded from %s as far as it goes: %s", buf_cstr(&name),
			    e.why);
	else
		show_remark(all->show, "decoded from %s, %zu bytes on the wire", buf_cstr(&name),
			    g->bytes.len);
	return buf_span(&all->room);
}

static void show_fields(struct messages *all, struct span bytes)
{
	struct show *s = all->show;
	AUTO_BUF text = {0};
	struct json j = json_to(&text);
	int r = all->type.ptr ? proto_json(s->protos, all->type, &j, bytes)
			      : proto_json_raw(&j, bytes);

	if (r < 0 && text.len <= 2) {
		show_octets(s, bytes, all->option);
		return;
	}
	if (text.len <= LINE_COLUMNS || !plain_add_json(&s->out, buf_span(&text), "  "))
		plain_add_lines(&s->out, buf_span(&text), "  ");
	if (r < 0)
		show_remark(s, "it goes on with bytes that are no field");
}

static bool is_json_call(const struct message *m)
{
	return span_istarts(m->content_type, SPAN_LIT("application/grpc+json"));
}

static void show_one(struct messages *all, const struct grpc_message *g)
{
	struct show *s = all->show;
	AUTO_BUF type = {0};
	struct span bytes;

	(void)plain_add(&type, all->type, 80);
	show_remark(s, "message %llu%s%s, %u bytes", (unsigned long long)++all->number,
		    type.len ? ": " : "", buf_cstr(&type), g->length);
	bytes = uncompressed(all, g);
	if (is_json_call(all->m))
		show_octets(s, bytes, all->option);
	else
		show_fields(all, bytes);
	if (g->bytes.len < g->length)
		show_remark(s, "%zu of its %u bytes were kept", g->bytes.len, g->length);
}

/* what the set says; that it says nothing is worth a line once, at the request */
static struct span type_of(struct show *s, const struct exchange *x, bool is_response)
{
	struct span type = {0};

	if (!s->protos)
		return type;
	type = proto_method_type(s->protos, x->grpc_service, x->grpc_method, is_response);
	if (!type.ptr)
		show_remark(s, "the descriptor set does not know this method: fields by number");
	return type;
}

void show_grpc_body(struct show *s, const struct exchange *x, bool is_response)
{
	struct messages all = {
		.show = s,
		.m = is_response ? &x->response : &x->request,
		.option = is_response ? "response-body" : "request-body",
	};
	struct span rest = all.m->body;
	struct grpc_message g;

	if (rest.len == 0)
		return;
	buf_add_char(&s->out, '\n');
	all.type = type_of(s, x, is_response);
	while (all.number < MESSAGES_SHOWN_MAX && !show_is_full(s) && grpc_next(&rest, &g))
		show_one(&all, &g);
	if (rest.len && all.number == MESSAGES_SHOWN_MAX)
		show_remark(s, "%zu more bytes of messages: --%s gives them all", rest.len,
			    all.option);
	else if (rest.len) {
		show_remark(s, "%zu bytes that are no message", rest.len);
		show_octets(s, rest, all.option);
	}
	buf_fini(&all.room);
}
