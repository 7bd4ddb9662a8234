// SPDX-License-Identifier: Apache-2.0
#include "schema/child.h"
#include "schema/message.h"
#include "schema/settings.h"
#include "store/format_kind.h"
#include "store/format_pcap_http2.h"
#include "store/format_pcap_packet.h"
#include "store/format_pcap_tcp.h"

/*
 * Theory of operation. An exchange's messages become bytes on its connection, as they were on the
 * wire (schema/message.h); format_pcap_tcp.c makes packets of them. How the connection ended is
 * told by the exchange's reason: a reset, a close by one side, or silence until the request had
 * timed out. One that nobody saw end stays open.
 *
 * Messages of a WebSocket follow their handshake as one frame each (RFC 6455 5.2), the client's
 * with a mask of zeros. HTTP/2 is in format_pcap_http2.c.
 */
#define TIMED_OUT_NS (61 * NS_PER_S) /* exchange_timeout's default, and a second */

struct pcap {
	struct pcap_tcp tcp;
	struct buf room;
};

static void begin(struct format_writer *w, struct buf *out)
{
	(void)w;
	pcap_packet_begin(out);
}

/* --- HTTP/1 --- */

/* chunks that are announced, the last one not counted */
static uint64_t count_chunks(struct span framing)
{
	uint64_t n = 0;

	for (size_t i = 0; i < framing.len; i++)
		n += framing.ptr[i] == '\n';
	return n ? n - 1 : 0;
}

/* bytes of the message that were on the wire and are not in the @written ones */
static uint64_t missing_bytes(const struct message *m, uint64_t written)
{
	uint64_t whole = m->head.len + m->body_bytes;

	if (!(m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP | MESSAGE_HEAD_CUT)))
		return 0;
	if (m->flags & MESSAGE_CHUNKED)
		whole += m->framing.len + 2 * count_chunks(m->framing) + m->trailers.len + 2;
	return whole > written ? whole - written : 1;
}

static void send_http1(struct pcap *p, struct pcap_flow *f, const struct message *m,
		       bool is_response)
{
	uint64_t missing;

	if (!(m->flags & MESSAGE_PRESENT))
		return;
	buf_clear(&p->room);
	(void)message_write(m, &p->room);
	p->tcp.is_failed |= p->room.is_failed;
	pcap_tcp_send(&p->tcp, f, is_response, buf_span(&p->room), m->first_ns, m->last_ns);
	missing = missing_bytes(m, p->room.len);
	if (missing)
		pcap_tcp_lose(&p->tcp, f, is_response, missing, m->last_ns);
}

/*
 * A message that the capture missed while others followed leaves a hole of one byte: whoever reads
 * the packets then knows that it is missing, and pairs what follows as it was.
 */
static void send_pair(struct pcap *p, struct pcap_flow *f, const struct exchange *x)
{
	bool is_asked = x->request.flags & MESSAGE_PRESENT,
	     is_answered = x->response.flags & MESSAGE_PRESENT;

	if (!is_asked)
		pcap_tcp_lose(&p->tcp, f, false, 1, x->response.first_ns);
	send_http1(p, f, &x->request, false);
	send_http1(p, f, &x->response, true);
	if (!is_answered && x->reason == REASON_GAP)
		pcap_tcp_lose(&p->tcp, f, true, 1, x->request.last_ns);
}

/* --- WebSocket --- */

static void put_frame_head(struct buf *out, const struct child *c)
{
	unsigned mask = c->is_from_server ? 0 : 0x80;
	uint64_t n = c->bytes;

	buf_add_char(out, (char)(0x80 | (c->is_compressed ? 0x40 : 0) | c->kind));
	if (n < 126) {
		buf_add_char(out, (char)(mask | n));
	} else {
		unsigned bytes = n < 65536 ? 2 : 8;

		buf_add_char(out, (char)(mask | (bytes == 2 ? 126 : 127)));
		while (bytes--)
			buf_add_char(out, (char)(n >> 8 * bytes));
	}
	if (mask)
		buf_add(out, "\0\0\0\0", 4);
}

static void send_children(struct pcap *p, struct pcap_flow *f, const struct exchange *x)
{
	struct span row = x->children;
	struct child c;

	while (child_next(&row, &c) == 1) {
		buf_clear(&p->room);
		put_frame_head(&p->room, &c);
		buf_add_span(&p->room, c.payload);
		p->tcp.is_failed |= p->room.is_failed;
		pcap_tcp_send(&p->tcp, f, c.is_from_server, buf_span(&p->room), c.time_ns,
			      c.time_ns);
		if (c.bytes > c.payload.len)
			pcap_tcp_lose(&p->tcp, f, c.is_from_server, c.bytes - c.payload.len,
				      c.time_ns);
	}
}

/* --- how it ended --- */

static uint64_t last_ns(const struct exchange *x)
{
	return MAX(x->request.last_ns, x->response.last_ns);
}

static void end_connection(struct pcap *p, struct pcap_flow *f, const struct exchange *x)
{
	bool is_closed_by_server = (x->response.flags & MESSAGE_CLOSE_DELIMITED) &&
				   (x->response.flags & MESSAGE_COMPLETE);

	switch ((enum reason)x->reason) {
	case REASON_RESET_CLIENT: pcap_tcp_end(&p->tcp, f, PCAP_RST_CLIENT, last_ns(x)); return;
	case REASON_RESET_SERVER: pcap_tcp_end(&p->tcp, f, PCAP_RST_SERVER, last_ns(x)); return;
	case REASON_CLOSED: pcap_tcp_end(&p->tcp, f, PCAP_FIN_SERVER, last_ns(x)); return;
	case REASON_CLIENT_CLOSED: pcap_tcp_end(&p->tcp, f, PCAP_FIN_CLIENT, last_ns(x)); return;
	case REASON_TIMED_OUT:
		pcap_tcp_end(&p->tcp, f, PCAP_FIN_CLIENT, last_ns(x) + TIMED_OUT_NS);
		return;
	case REASON_NONE:
		if (is_closed_by_server)
			pcap_tcp_end(&p->tcp, f, PCAP_FIN_SERVER, last_ns(x));
		return;
	case REASON_CAPTURE_END:
	case REASON_ONGOING:
	case REASON_GAP:
	case REASON_ONE_SIDED:
	case REASON_NO_REQUEST:
	case REASON_EVICTED:
	case REASON_PARSE_ERROR:
	case REASON_UNKNOWN_STATUS:
	case REASON_GOAWAY:
	case REASON_COUNT: break;
	}
	pcap_flow_notes(f)->is_unfinished = true;
}

/* a reset of a stream is a frame; the others are the connection's own */
static void end_http2(struct pcap *p, struct pcap_flow *f, const struct exchange *x)
{
	if (x->reason != REASON_RESET_CLIENT && x->reason != REASON_RESET_SERVER &&
	    x->reason != REASON_NONE)
		end_connection(p, f, x);
}

static bool is_http2(const struct exchange *x)
{
	return x->request.version == 20 || x->response.version == 20;
}

/* Return: false when it is no exchange that can be written */
static bool can_write(struct format_writer *w, const struct exchange *x)
{
	if (is_http2(x) && !pcap_http2_can(x)) {
		format_lose(w, FORMAT_LOSS_HTTP2_ODD);
		return false;
	}
	if (!((x->request.flags | x->response.flags) & MESSAGE_PRESENT))
		return false;
	if ((x->anomalies & ANOMALY_BIT(CONTINUATION)) && x->protocol != PROTOCOL_WEBSOCKET) {
		format_lose(w, FORMAT_LOSS_PARTS);
		return false;
	}
	if (x->src.port == 0 || x->dst.port == 0)
		format_lose(w, FORMAT_LOSS_ADDRESS);
	if ((x->request.flags | x->response.flags) &
	    (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP | MESSAGE_HEAD_CUT))
		format_lose(w, FORMAT_LOSS_HOLES);
	return true;
}

static bool add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	struct pcap *p = w->state;
	struct pcap_flow *f;

	if (!can_write(w, x))
		return false;
	pcap_tcp_advance(&p->tcp, x->start_ns, out);
	f = pcap_tcp_flow(&p->tcp, x, is_http2(x) || !(x->anomalies & ANOMALY_BIT(MIDSTREAM)), out);
	if (f && is_http2(x)) {
		pcap_http2_send(&p->tcp, f, x, &p->room);
		end_http2(p, f, x);
	} else if (f) {
		if (!(x->anomalies & ANOMALY_BIT(CONTINUATION)))
			send_pair(p, f, x);
		if (x->protocol == PROTOCOL_WEBSOCKET)
			send_children(p, f, x);
		end_connection(p, f, x);
	}
	out->is_failed |= p->tcp.is_failed;
	return true;
}

static void end(struct format_writer *w, struct buf *out)
{
	struct pcap *p = w->state;

	pcap_tcp_finish(&p->tcp, out);
	w->lost[FORMAT_LOSS_LATE] = p->tcp.late_count;
}

static void fini(struct format_writer *w)
{
	struct pcap *p = w->state;

	pcap_tcp_fini(&p->tcp);
	buf_fini(&p->room);
}

const struct format_kind format_kind_pcap = {
	.state_bytes = sizeof(struct pcap),
	.wants_messages = true,
	.begin = begin,
	.add = add,
	.end = end,
	.fini = fini,
};
