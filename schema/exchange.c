// SPDX-License-Identifier: Apache-2.0
#include "schema/exchange.h"

#include <arpa/inet.h>
#include <errno.h>

static const char *const outcome_names[] = {
#define OUTCOME(NAME, name, is_failed, what) name,
#include "schema/outcomes.tbl.h"
#undef OUTCOME
};

static const bool failed_outcomes[] = {
#define OUTCOME(NAME, name, is_failed, what) is_failed,
#include "schema/outcomes.tbl.h"
#undef OUTCOME
};

static const char *const reason_names[] = {
#define REASON(NAME, name, what) name,
#include "schema/outcomes.tbl.h"
#undef REASON
};

static const char *const anomaly_names[] = {
#define ANOMALY(NAME, name, what) name,
#include "schema/anomalies.tbl.h"
#undef ANOMALY
};

static const char *const source_names[] = {
#define SOURCE(NAME, name, what) name,
#include "schema/identities.tbl.h"
#undef SOURCE
};

static const char *const certainty_names[] = {
#define CERTAINTY(NAME, name, what) name,
#include "schema/identities.tbl.h"
#undef CERTAINTY
};

static const char *const h2_error_names[] = {
	"NO_ERROR",
	"PROTOCOL_ERROR",
	"INTERNAL_ERROR",
	"FLOW_CONTROL_ERROR",
	"SETTINGS_TIMEOUT",
	"STREAM_CLOSED",
	"FRAME_SIZE_ERROR",
	"REFUSED_STREAM",
	"CANCEL",
	"COMPRESSION_ERROR",
	"CONNECT_ERROR",
	"ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY",
	"HTTP_1_1_REQUIRED",
};

static const char *const protocol_names[] = {"unknown", "http1", "http2", "grpc", "websocket"};
_Static_assert(COUNT_OF(protocol_names) == PROTOCOL_COUNT, "a protocol without a name");

/* in order of the bits of enum message_flag */
static const char *const message_flag_names[] = {
	"present",  "complete", "chunked", "close_delimited",
	"body_cut", "head_cut", "has_gap", "length_known",
};
_Static_assert(COUNT_OF(message_flag_names) == MESSAGE_FLAG_COUNT, "a flag without a name");

static const char *name_of(const char *const *names, size_t count, unsigned i)
{
	return i < count ? names[i] : "?";
}

static int number_of(const char *const *names, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++)
		if (span_eq(name, span_str(names[i])))
			return (int)i;
	return -EINVAL;
}

const char *outcome_name(unsigned outcome)
{
	return name_of(outcome_names, COUNT_OF(outcome_names), outcome);
}

const char *reason_name(unsigned reason)
{
	return name_of(reason_names, COUNT_OF(reason_names), reason);
}

const char *anomaly_name(unsigned anomaly)
{
	return name_of(anomaly_names, COUNT_OF(anomaly_names), anomaly);
}

const char *protocol_name(unsigned protocol)
{
	return name_of(protocol_names, COUNT_OF(protocol_names), protocol);
}

const char *identity_source_name(unsigned source)
{
	return name_of(source_names, COUNT_OF(source_names), source);
}

const char *identity_certainty_name(unsigned certainty)
{
	return name_of(certainty_names, COUNT_OF(certainty_names), certainty);
}

int identity_source_parse(struct span name)
{
	return number_of(source_names, COUNT_OF(source_names), name);
}

int identity_certainty_parse(struct span name)
{
	return number_of(certainty_names, COUNT_OF(certainty_names), name);
}

const char *h2_error_name(unsigned code)
{
	return code < COUNT_OF(h2_error_names) ? h2_error_names[code] : NULL;
}

const char *message_flag_name(unsigned bit)
{
	return name_of(message_flag_names, COUNT_OF(message_flag_names), bit);
}

int outcome_parse(struct span name)
{
	return number_of(outcome_names, COUNT_OF(outcome_names), name);
}

int reason_parse(struct span name)
{
	return number_of(reason_names, COUNT_OF(reason_names), name);
}

int anomaly_parse(struct span name)
{
	return number_of(anomaly_names, COUNT_OF(anomaly_names), name);
}

int protocol_parse(struct span name)
{
	return number_of(protocol_names, COUNT_OF(protocol_names), name);
}

int message_flag_parse(struct span name)
{
	return number_of(message_flag_names, COUNT_OF(message_flag_names), name);
}

void exchange_split_grpc(struct exchange *x)
{
	struct span rest = span_from(x->path, 1);
	const uint8_t *slash = span_chr(rest, '/');
	size_t n = slash ? (size_t)(slash - rest.ptr) : rest.len;

	x->grpc_service = x->grpc_method = (struct span){0};
	if (x->protocol != PROTOCOL_GRPC)
		return;
	x->grpc_service = (struct span){rest.ptr, n};
	x->grpc_method = span_from(rest, n + 1);
}

uint64_t exchange_messages(const struct exchange *x, enum protocol protocol, unsigned side)
{
	bool is_it = x->protocol == protocol ||
		     (protocol == PROTOCOL_HTTP1 && x->protocol == PROTOCOL_HTTP2);

	return is_it ? x->messages[side] : 0;
}

enum outcome outcome_of_status(unsigned status)
{
	if (status >= 500)
		return OUTCOME_SERVER_ERROR;
	return status >= 400 ? OUTCOME_CLIENT_ERROR : OUTCOME_OK;
}

bool exchange_is_failed(const struct exchange *x)
{
	return outcome_is_failed(x->outcome);
}

bool outcome_is_failed(unsigned outcome)
{
	return outcome < OUTCOME_COUNT && failed_outcomes[outcome];
}

/* inet_ntop() would print: that is a fortieth of what it costs to store an exchange. */
static const char *ipv4_text(const uint8_t address[4], char *out)
{
	size_t n = 0;

	for (int i = 0; i < 4; i++) {
		if (i)
			out[n++] = '.';
		n += decimal(address[i], out + n);
	}
	out[n] = '\0';
	return out;
}

const char *endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
	if (e->is_ipv4)
		return ipv4_text(e->address + 12, out);
	return inet_ntop(AF_INET6, e->address, out, ENDPOINT_TEXT_MAX);
}

struct span *identity_text(struct identity *who, size_t i)
{
	struct span *const texts[] = {
		&who->service, &who->name_space,    &who->pod,	     &who->workload,
		&who->node,    &who->workload_kind, &who->container, &who->pod_uid,
		&who->labels,  &who->annotations,
	};

	return i < COUNT_OF(texts) ? texts[i] : NULL;
}

struct span endpoint_service(const struct endpoint *e)
{
	return e->who.service.len ? e->who.service : e->who.pod;
}

/* every span of an exchange, so that size and copy cannot disagree */
// clang-format off
#define SPANS_OF_IDENTITY(x, S, side)                                                              \
	S((x)->side.who.service) S((x)->side.who.name_space) S((x)->side.who.pod)                  \
	S((x)->side.who.workload) S((x)->side.who.node) S((x)->side.who.workload_kind)             \
	S((x)->side.who.container) S((x)->side.who.pod_uid) S((x)->side.who.labels)                \
	S((x)->side.who.annotations)
#define SPANS_OF_MESSAGE(x, S, m)                                                                  \
	S((x)->m.head) S((x)->m.body) S((x)->m.framing) S((x)->m.trailers) S((x)->m.content_type)
#define SPANS_OF_EXCHANGE(x, S)                                                                    \
	SPANS_OF_IDENTITY(x, S, src) SPANS_OF_IDENTITY(x, S, dst)                                  \
	S((x)->method) S((x)->target) S((x)->host) S((x)->path) S((x)->route) S((x)->error) S((x)->trace_id)     \
	S((x)->replay_of) S((x)->grpc_service) S((x)->grpc_method) \
	S((x)->children) SPANS_OF_MESSAGE(x, S, request) SPANS_OF_MESSAGE(x, S, response)
// clang-format on

size_t exchange_bytes(const struct exchange *x)
{
	size_t n = sizeof(*x);

#define ADD(s) n += (s).len;
	SPANS_OF_EXCHANGE(x, ADD)
#undef ADD
	return n;
}

static struct span copy_span(struct span s, uint8_t **to)
{
	struct span copy = {*to, s.len};

	if (!s.ptr)
		return s;
	if (s.len)
		memcpy(*to, s.ptr, s.len);
	*to += s.len;
	return copy;
}

struct exchange *exchange_copy(const struct exchange *x, void *memory)
{
	struct exchange *copy = memory;
	uint8_t *to = (uint8_t *)memory + sizeof(*copy);

	*copy = *x;
#define COPY(s) s = copy_span(s, &to);
	SPANS_OF_EXCHANGE(copy, COPY)
#undef COPY
	return copy;
}

/* Length of the line at the beginning of @s, its line end included; all of it without one. */
static size_t line_bytes(struct span s)
{
	const uint8_t *nl = span_chr(s, '\n');

	return nl ? (size_t)(nl - s.ptr) + 1 : s.len;
}

static struct span without_line_end(struct span line)
{
	if (line.len && line.ptr[line.len - 1] == '\n')
		line.len--;
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* The first colon of a pseudo-header field belongs to its name (RFC 9113 8.3). */
static const uint8_t *colon_of(struct span line, bool is_http2)
{
	size_t from = is_http2 && line.len && line.ptr[0] == ':';

	return memchr(line.ptr + from, ':', line.len - from);
}

static bool is_http2_head(struct span head)
{
	struct span version = SPAN_LIT(" HTTP/2"),
		    line = without_line_end((struct span){head.ptr, line_bytes(head)});

	if (span_istarts(line, SPAN_LIT("HTTP/2 ")))
		return true;
	return line.len >= version.len && span_eq(span_from(line, line.len - version.len), version);
}

bool header_next(struct header_iter *it)
{
	size_t n;
	const uint8_t *colon;
	struct span text;

	if (!it->has_begun) {
		it->has_begun = true;
		it->is_http2 = it->is_trailers || is_http2_head(it->rest);
		if (!it->is_trailers)
			it->rest = span_from(it->rest, line_bytes(it->rest));
	}
	n = line_bytes(it->rest);
	text = without_line_end((struct span){it->rest.ptr, n});
	if (text.len == 0)
		return false;
	/* obs-fold: a line that begins with a blank continues this one (RFC 9112 5.2) */
	while (n < it->rest.len && (it->rest.ptr[n] == ' ' || it->rest.ptr[n] == '\t'))
		n += line_bytes(span_from(it->rest, n));
	it->line = (struct span){it->rest.ptr, n};
	text = without_line_end(it->line);
	it->rest = span_from(it->rest, n);
	colon = colon_of(text, it->is_http2);
	if (!colon) {
		it->name = (struct span){0};
		it->value = text;
		return true;
	}
	it->name = span_trim(span_of(text.ptr, (size_t)(colon - text.ptr)));
	/* an empty value points to where it would be: absent and empty differ */
	it->value = span_trim(span_of(colon + 1, (size_t)(text.ptr + text.len - colon) - 1));
	return true;
}

struct span message_header(const struct message *m, const char *name)
{
	struct header_iter it = {.rest = m->head};
	struct span want = span_str(name);

	while (header_next(&it))
		if (span_ieq(it.name, want))
			return it.value;
	return (struct span){0};
}

struct span message_start_line(const struct message *m)
{
	return without_line_end((struct span){m->head.ptr, line_bytes(m->head)});
}
