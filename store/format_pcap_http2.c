// SPDX-License-Identifier: Apache-2.0
#include "store/format_pcap_http2.h"

/*
 * Theory of operation (RFC 9113, RFC 7541). A connection begins with the preface and empty SETTINGS
 *of both sides. Then the frames of its streams, as their exchanges come:
 *
 *	HEADERS [CONTINUATION...]  DATA...  [HEADERS with the trailers]  [RST_STREAM or GOAWAY]
 *
 * Fields are written as literals without indexing, names and values as they are (RFC 7541 6.2.2): a
 * block then depends on none before it, so streams may be laid over each other in any order. What
 *the start line of a recorded head says becomes pseudo-header fields again. END_STREAM stands where
 *the message is whole.
 */
#define FRAME_MAX 16384

enum {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST = 3,
	FRAME_SETTINGS = 4,
	FRAME_GOAWAY = 7,
	FRAME_CONTINUATION = 9
};
enum { FLAG_END_STREAM = 0x1, FLAG_ACK = 0x1, FLAG_END_HEADERS = 0x4 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

bool pcap_http2_can(const struct exchange *x)
{
	const uint64_t odd = ANOMALY_BIT(H2_PARTIAL) | ANOMALY_BIT(PUSHED) | ANOMALY_BIT(HEAD_CUT);
	bool is_request = x->request.version == 20 && x->request.flags & MESSAGE_PRESENT;
	bool is_response = x->response.version == 20 || !(x->response.flags & MESSAGE_PRESENT);

	return is_request && is_response && !(x->anomalies & odd);
}

static void put32(struct buf *out, uint32_t v)
{
	const uint8_t bytes[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				 (uint8_t)v};

	buf_add(out, bytes, sizeof(bytes));
}

static void put_frame(struct buf *out, unsigned type, unsigned flags, uint32_t stream,
		      struct span payload)
{
	put32(out, (uint32_t)payload.len << 8 | type);
	buf_add_char(out, (char)flags);
	put32(out, stream);
	buf_add_span(out, payload);
}

/* --- header blocks --- */

/* RFC 7541 5.1 with a prefix of 7 bits and no Huffman coding, then the string */
static void put_string(struct buf *out, struct span s)
{
	size_t n = s.len;

	if (n < 127) {
		buf_add_char(out, (char)n);
	} else {
		buf_add_char(out, 127);
		for (n -= 127; n >= 128; n >>= 7)
			buf_add_char(out, (char)((n & 127) | 128));
		buf_add_char(out, (char)n);
	}
	buf_add_span(out, s);
}

static void put_field(struct buf *out, struct span name, struct span value)
{
	buf_add_char(out, 0);
	put_string(out, name);
	put_string(out, value);
}

static void put_fields(struct buf *out, struct span lines, bool is_trailers)
{
	struct header_iter it = {.rest = lines, .is_trailers = is_trailers};

	while (header_next(&it))
		if (it.name.len)
			put_field(out, it.name, it.value);
}

/* extended CONNECT (RFC 8441) has a path; the plain one has its authority only (RFC 9113 8.5) */
static void put_pseudo(struct buf *out, const struct exchange *x, bool is_response)
{
	bool is_connect = span_eq(x->method, SPAN_LIT("CONNECT"));
	char status[8] = {0};

	if (is_response) {
		for (unsigned i = 0, n = x->status; i < 3; i++, n /= 10)
			status[2 - i] = (char)('0' + n % 10);
		put_field(out, SPAN_LIT(":status"), span_of(status, 3));
		return;
	}
	put_field(out, SPAN_LIT(":method"), x->method);
	if (!is_connect || message_header(&x->request, ":protocol").ptr)
		put_field(out, SPAN_LIT(":path"), x->target);
}

static void put_block(struct buf *out, uint32_t stream, struct span block, bool ends_stream)
{
	unsigned type = FRAME_HEADERS, flags = ends_stream ? FLAG_END_STREAM : 0;

	do {
		struct span part = {block.ptr, MIN(block.len, (size_t)FRAME_MAX)};

		block = span_from(block, part.len);
		put_frame(out, type, flags | (block.len ? 0 : FLAG_END_HEADERS), stream, part);
		type = FRAME_CONTINUATION;
		flags = 0;
	} while (block.len);
}

/* --- messages --- */

/* One message on its way out: its frames and their times. */
struct sending {
	struct pcap_tcp *tcp;
	struct pcap_flow *flow;
	const struct exchange *x;
	const struct message *m;
	uint32_t stream;
	bool is_response, is_whole;
	struct buf *room;
};

/* what stands in the room, at once: frames of other streams come before or behind it */
static void send_room(struct sending *s, uint64_t at_ns)
{
	s->tcp->is_failed |= s->room->is_failed;
	pcap_tcp_send(s->tcp, s->flow, s->is_response, buf_span(s->room), at_ns, at_ns);
	buf_clear(s->room);
}

static void send_block(struct sending *s, const struct buf *block, bool ends_stream, uint64_t at_ns)
{
	s->tcp->is_failed |= block->is_failed;
	put_block(s->room, s->stream, buf_span(block), ends_stream);
	send_room(s, at_ns);
}

/* the last frame at the message's last byte, the others on the way there */
static void send_body(struct sending *s, bool ends_stream)
{
	struct span body = s->m->body;
	uint64_t took_ns = s->m->last_ns > s->m->first_ns ? s->m->last_ns - s->m->first_ns : 0;
	size_t count = (body.len + FRAME_MAX - 1) / FRAME_MAX;

	if (count == 0 && ends_stream)
		count = 1;
	for (size_t i = 1; i <= count; i++) {
		struct span part = {body.ptr, MIN(body.len, (size_t)FRAME_MAX)};

		body = span_from(body, part.len);
		put_frame(s->room, FRAME_DATA, i == count && ends_stream ? FLAG_END_STREAM : 0,
			  s->stream, part);
		send_room(s, s->m->first_ns + took_ns / count * i + took_ns % count * i / count);
	}
}

static void send_message(struct sending *s)
{
	const struct message *m = s->m;
	bool has_trailers = m->trailers.len > 0;
	bool is_head_all =
		s->is_whole && !m->body.len && !has_trailers && m->last_ns <= m->first_ns;
	AUTO_BUF head = {0}, trailers = {0};

	put_pseudo(&head, s->x, s->is_response);
	put_fields(&head, m->head, false);
	send_block(s, &head, is_head_all, m->first_ns);
	if (!is_head_all)
		send_body(s, s->is_whole && !has_trailers);
	if (!has_trailers)
		return;
	put_fields(&trailers, m->trailers, true);
	send_block(s, &trailers, s->is_whole, MAX(m->last_ns, m->first_ns));
}

static void send_side(struct pcap_tcp *t, struct pcap_flow *f, const struct exchange *x,
		      uint32_t stream, bool is_response, struct buf *room)
{
	const struct message *m = is_response ? &x->response : &x->request;
	struct sending s = {t, f, x, m, stream, is_response, false, room};

	s.is_whole =
		(m->flags & MESSAGE_COMPLETE) && !(m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP));
	buf_clear(room);
	send_message(&s);
}

/* --- what stands around them --- */

static void begin_side(struct pcap_tcp *t, struct pcap_flow *f, bool is_server, uint64_t at_ns,
		       struct buf *room)
{
	buf_clear(room);
	if (!is_server)
		buf_add_str(room, preface);
	put_frame(room, FRAME_SETTINGS, 0, 0, (struct span){0});
	if (is_server)
		put_frame(room, FRAME_SETTINGS, FLAG_ACK, 0, (struct span){0});
	pcap_tcp_send(t, f, is_server, buf_span(room), at_ns, at_ns);
}

/* how the stream ended, if not with its messages */
static void send_ending(struct pcap_tcp *t, struct pcap_flow *f, const struct exchange *x,
			uint32_t stream, struct buf *room)
{
	uint64_t at_ns = MAX(x->request.last_ns, x->response.last_ns);
	bool is_server = x->reason != REASON_RESET_CLIENT;
	AUTO_BUF payload = {0};

	buf_clear(room);
	if (x->reason == REASON_RESET_CLIENT || x->reason == REASON_RESET_SERVER) {
		put32(&payload, x->h2_error);
		put_frame(room, FRAME_RST, 0, stream, buf_span(&payload));
	} else if (x->reason == REASON_GOAWAY) {
		put32(&payload, stream > 2 ? stream - 2 : 0);
		put32(&payload, x->h2_error);
		put_frame(room, FRAME_GOAWAY, 0, 0, buf_span(&payload));
	} else {
		return;
	}
	pcap_tcp_send(t, f, is_server, buf_span(room), at_ns, at_ns);
}

/* streams of a client are odd and rise (RFC 9113 5.1.1) */
static uint32_t stream_of(struct pcap_notes *n, const struct exchange *x)
{
	uint32_t stream = x->stream % 2 && x->stream > n->last_stream
				  ? x->stream
				  : n->last_stream + 2 - (n->last_stream + 1) % 2;

	n->last_stream = stream;
	return stream;
}

void pcap_http2_send(struct pcap_tcp *t, struct pcap_flow *f, const struct exchange *x,
		     struct buf *room)
{
	struct pcap_notes *n = pcap_flow_notes(f);
	uint32_t stream = stream_of(n, x);

	if (!n->is_http2) {
		begin_side(t, f, false, x->request.first_ns, room);
		begin_side(t, f, true, x->request.first_ns, room);
	}
	n->is_http2 = true;
	send_side(t, f, x, stream, false, room);
	if (x->response.flags & MESSAGE_PRESENT)
		send_side(t, f, x, stream, true, room);
	send_ending(t, f, x, stream, room);
}
