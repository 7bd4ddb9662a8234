// SPDX-License-Identifier: Apache-2.0
/*
 * exchange.h - a request with its response, or with the reason why there is none
 *
 * The one record that wire/ makes, store/ keeps, a filter judges, http-api/ and cli/ show and
 * replay/ sends again. All spans of one exchange point into memory that belongs to whoever handed
 * the exchange out, for as long as that function's comment says.
 */
#pragma once

#include "lib/base.h"

enum outcome {
#define OUTCOME(NAME, name, is_failed, what) OUTCOME_##NAME,
#include "schema/outcomes.tbl.h"
#undef OUTCOME
	OUTCOME_COUNT
};

enum reason {
#define REASON(NAME, name, what) REASON_##NAME,
#include "schema/outcomes.tbl.h"
#undef REASON
	REASON_COUNT
};

enum anomaly {
#define ANOMALY(NAME, name, what) ANOMALY_##NAME,
#include "schema/anomalies.tbl.h"
#undef ANOMALY
	ANOMALY_COUNT
};
_Static_assert(ANOMALY_COUNT <= 63, "anomalies are the bits of one positive SQLite integer");

/* Where a name came from, how sure it is. */
enum identity_source {
#define SOURCE(NAME, name, what) IDENTITY_##NAME,
#include "schema/identities.tbl.h"
#undef SOURCE
	IDENTITY_SOURCE_COUNT
};

enum identity_certainty {
#define CERTAINTY(NAME, name, what) CERTAINTY_##NAME,
#include "schema/identities.tbl.h"
#undef CERTAINTY
	CERTAINTY_COUNT
};

#define ANOMALY_BIT(NAME) (UINT64_C(1) << ANOMALY_##NAME)

/* Numbers are stored on tapes: append only. */
enum protocol {
	PROTOCOL_UNKNOWN,
	PROTOCOL_HTTP1, /* HTTP/1.0, HTTP/1.1; http_version says which */
	PROTOCOL_HTTP2,
	PROTOCOL_GRPC,
	PROTOCOL_WEBSOCKET,
	PROTOCOL_COUNT
};

enum message_flag {
	MESSAGE_PRESENT = 1 << 0,	  /* its start line was seen */
	MESSAGE_COMPLETE = 1 << 1,	  /* its end was seen and no byte of it is missing */
	MESSAGE_CHUNKED = 1 << 2,	  /* body came in chunks: see framing */
	MESSAGE_CLOSE_DELIMITED = 1 << 3, /* body ended with the connection (RFC 9112 6.3 rule 8) */
	/* body holds the first bytes only; body_bytes the true size */
	MESSAGE_BODY_CUT = 1 << 4,
	MESSAGE_HEAD_CUT = 1 << 5, /* head holds the first head_max bytes only */
	/* bytes are missing; body ends where the first hole begins */
	MESSAGE_HAS_GAP = 1 << 6,
	/* body_bytes is the whole body's size, seen or announced */
	MESSAGE_LENGTH_KNOWN = 1 << 7,
};
#define MESSAGE_FLAG_COUNT 8

/*
 * One HTTP message as it was on the wire. head + body with its chunk lines + trailers give back
 * the recorded bytes (redaction apart), which is what a replay sends.
 */
struct message {
	/* start line and header lines with their line ends and the empty line */
	struct span head;
	/* octets after de-chunking, content coding untouched; at most body_max */
	struct span body;
	/* chunked: the chunk-size lines, verbatim, with their line ends, incl. 0 */
	struct span framing;
	struct span trailers; /* chunked: trailer lines verbatim, without the final empty line */
	/* value of Content-Type, trimmed; ptr NULL when the header is absent */
	struct span content_type;
	/*
	 * octets of the body after de-chunking: all that were seen, or that its Content-Length promised
	 * when MESSAGE_LENGTH_KNOWN
	 */
	uint64_t body_bytes;
	uint64_t first_ns; /* wall time of its first byte; 0 if not MESSAGE_PRESENT */
	uint64_t last_ns;  /* wall time of its last byte seen */
	uint64_t server_first_ns,
		server_last_ns; /* the same at the server's end, where both ends were captured and
	                         the others are the client's; else 0 */
	uint32_t flags;		/* enum message_flag */
	/* HTTP version of its start line: 10, 11; 20 for HTTP/2; 0 unknown, 9 HTTP/0.9 */
	uint8_t version;
};

/* Who it was: as known at the moment of the exchange. Empty spans where not known. */
struct identity {
	struct span service; /* what answers under this address */
	struct span name_space;
	struct span pod;
	struct span workload;
	struct span node;
	struct span workload_kind; /* Deployment, StatefulSet, DaemonSet, Job, CronJob, ... */
	struct span container;	   /* whose port it is, or whose process */
	struct span pod_uid;
	/* of the pod, and chosen annotations: schema/labels.h; "" for none */
	struct span labels;
	struct span annotations;
	/* While nobody is known: the row of the tape is this one's of [since, until) alone, so that a name
	   that is learned later is given to no other time; 0 where no name is expected any more. */
	uint64_t since_ns, until_ns;
	uint8_t source;	   /* enum identity_source */
	uint8_t certainty; /* enum identity_certainty */
};

struct endpoint {
	uint8_t address[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
	bool is_ipv4;
	struct identity who;
};

/* Where a client sent its request, when that is not where it arrived: the address of a service. */
struct asked {
	uint8_t address[16]; /* as in struct endpoint */
	uint16_t port;
	bool is_ipv4;
	bool is_known;
};

struct exchange {
	/* time-ordered, unique in a store: start_ns, moved on if taken; 0 = none yet */
	uint64_t id;
	uint64_t start_ns; /* request's first byte; response's where no request was seen */
	/* equal for all exchanges of one TCP connection, unique in a store */
	uint64_t connection;
	uint32_t sequence; /* position of the request in its connection, from 0 */
	/* whose share of memory and queue it takes; 0 nobody's; not on the tape */
	uint16_t share;
	/* inode of the network namespace where it was captured; 0 unknown; not on the tape */
	uint32_t netns;
	/* both ends were captured: netns is the client's, this the server's; else 0; not on the tape */
	uint32_t server_netns;
	/* likewise; not on the tape: a service's name is dst.who.service then */
	struct asked asked;
	/* equal for one exchange wherever on its way it is captured; 0: none, or nobody else has it */
	uint64_t wire_key;
	uint16_t status;     /* of the final response; 0 = no response */
	uint8_t protocol;    /* enum protocol */
	uint8_t outcome;     /* enum outcome */
	uint8_t reason;	     /* enum reason */
	uint64_t anomalies;  /* bits 1 << enum anomaly */
	struct endpoint src; /* the client */
	struct endpoint dst; /* the server */
	struct span method;  /* as on the wire; empty where no request was seen */
	struct span target;  /* as on the wire (RFC 9112 3.2), redacted */
	struct span host;    /* Host header, with its port if it has one; ptr NULL when absent */
	struct span path;    /* target's path without query; authority for CONNECT */
	struct span route;   /* path with its variable parts as {} */
	/* what it says of its failure, variable parts as {}: schema/fingerprint.h */
	struct span error;
	struct span trace_id;  /* from traceparent, b3 or x-request-id; empty if none */
	struct span replay_of; /* RUN/ID from Tapeloop-Replay; empty when it is not a replay */
	struct span grpc_service, grpc_method; /* parts of path: exchange_split_grpc() */
	/* WebSocket messages or server-sent events: read with schema/child.h */
	struct span children;
	/*
	 * inside the bodies or the conversation, kept or not: gRPC messages, WebSocket messages, events;
	 * sent by the client, by the server
	 */
	uint64_t messages[2];
	uint32_t stream; /* HTTP/2 stream; 0 otherwise */
	/* code of RST_STREAM or GOAWAY that ended it (RFC 9113 7); 0 otherwise */
	uint32_t h2_error;
	uint64_t grpc_timeout_ns; /* deadline that the client named; 0 = none */
	uint16_t grpc_status;	  /* 0 also where there is none: see has_grpc_status */
	/* of a WebSocket (RFC 6455 7.4); 1006 when it ended without a close frame; 0 otherwise */
	uint16_t close_code;
	bool has_grpc_status;
	/* how many exchanges it stands for, where others like it were left out; 0: 1 */
	uint32_t weight;
	struct message request;
	struct message response;
};

/* exchange_latency_ns() - request's first byte to response's last byte; 0 without a response */
static inline uint64_t exchange_latency_ns(const struct exchange *x)
{
	if (!(x->response.flags & MESSAGE_PRESENT) || !(x->request.flags & MESSAGE_PRESENT) ||
	    x->response.last_ns < x->request.first_ns)
		return 0;
	return x->response.last_ns - x->request.first_ns;
}

/* exchange_is_seen_twice() - both ends of its connection were captured */
static inline bool exchange_is_seen_twice(const struct exchange *x)
{
	return x->request.server_first_ns || x->response.server_first_ns;
}

/* exchange_server_latency_ns() - the same as the server's end saw it; 0 unless both ends were captured */
static inline uint64_t exchange_server_latency_ns(const struct exchange *x)
{
	if (!x->request.server_first_ns || x->response.server_last_ns < x->request.server_first_ns)
		return 0;
	return x->response.server_last_ns - x->request.server_first_ns;
}

/* exchange_split_grpc() - set grpc_service and grpc_method from the path /service/method; empty unless it is gRPC */
void exchange_split_grpc(struct exchange *x);
/* exchange_messages() - x->messages[@side] if the protocol is that one (HTTP/1 stands for HTTP/2 too), else 0 */
uint64_t exchange_messages(const struct exchange *x, enum protocol protocol, unsigned side);

bool exchange_is_failed(const struct exchange *x); /* what failed() in a filter says */
enum outcome outcome_of_status(unsigned status);   /* of a whole answer: by the hundreds */
bool outcome_is_failed(unsigned outcome);

const char *outcome_name(unsigned outcome); /* "server_error"; "?" when out of range */
const char *reason_name(unsigned reason);
const char *anomaly_name(unsigned anomaly);
const char *protocol_name(unsigned protocol); /* "http1", "http2", "grpc", "websocket" */
const char *message_flag_name(unsigned bit);  /* "present" for bit 0 */
/* "CANCEL" for 8 (RFC 9113 7); NULL for one that is not registered */
const char *h2_error_name(unsigned code);
const char *identity_source_name(unsigned source);	 /* "api" */
const char *identity_certainty_name(unsigned certainty); /* "certain" */
int identity_source_parse(struct span name);		 /* number, or -EINVAL */
int identity_certainty_parse(struct span name);
int outcome_parse(struct span name); /* number, or -EINVAL */
int reason_parse(struct span name);
int anomaly_parse(struct span name);
int protocol_parse(struct span name);
int message_flag_parse(struct span name); /* bit number, or -EINVAL */

/* "10.0.0.1", "::1" (RFC 5952): text of an address, into @out[46]. Return: @out. */
#define ENDPOINT_TEXT_MAX 46
const char *endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);
/* identity_text() - its texts by number: service, name_space, pod, workload, node, workload_kind, container,
 * pod_uid, labels, annotations; NULL behind the last */
struct span *identity_text(struct identity *who, size_t i);
/* endpoint_service() - who.service, else who.pod, else empty */
struct span endpoint_service(const struct endpoint *e);

/**
 * exchange_bytes() - how much memory exchange_copy() needs [bytes]
 */
size_t exchange_bytes(const struct exchange *x);
/**
 * exchange_copy() - copy an exchange and all its spans into one piece of memory
 * @memory: at least exchange_bytes(@x) bytes, aligned for struct exchange
 *
 * Return: the copy, at the beginning of @memory; free @memory to free it.
 */
struct exchange *exchange_copy(const struct exchange *x, void *memory);

/*
 * Walk the header lines of a head (start line skipped) or of trailers. Set .rest to the bytes,
 * .is_trailers for trailers, call until false. Name and value are trimmed; obs-fold lines come
 * with the value as one span, line ends included. Lines without a colon come with an empty name.
 */
struct header_iter {
	struct span rest;
	bool is_trailers;
	bool has_begun;
	bool is_http2; /* names may begin with a colon */
	struct span name, value;
	struct span line; /* the whole line with its line end */
};
bool header_next(struct header_iter *it);
/* message_header() - first header of that name (any case) in the head; ptr NULL when absent */
struct span message_header(const struct message *m, const char *name);
/* message_start_line() - the head's first line without its line end */
struct span message_start_line(const struct message *m);
