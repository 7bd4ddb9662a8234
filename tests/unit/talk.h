// SPDX-License-Identifier: Apache-2.0
/*
 * talk.h - a conversation as text, fed to wire/conn.h in any pieces; exchanges come out as JSON lines
 *
 *   >>> GET / HTTP/1.1        the client sends this line and CRLF; lines in a row are one segment
 *   <<< HTTP/1.1 200 OK       the server
 *   >>| text                  the same without CRLF.  Escapes everywhere: \r \n \t \\ \xNN
 *   # comment
 *   @segment                  the next line begins a segment of its own
 *   @gap > N                  N bytes of that direction were not captured
 *   @fin >   @rst <   @overlap >   @end idle|evicted|reused|capture
 *   @wait 61s                 time goes on, and wire ticks
 *   @ack N, @ack none         what the next segment acknowledges; else all that was sent or lost before it
 *   @midstream  @unknown      no SYN was seen; it is not known who opened the connection
 *   @set body_max N, @set head_max N, @set part_messages N, @redact
 */
#pragma once

#include "lib/clock.h"
#include "lib/json.h"
#include "schema/child.h"
#include "wire/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- bytes that end at an unreadable page --- */

struct guard {
	uint8_t *memory;
	size_t bytes;
};

static inline struct guard guard_new(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct guard g = {.bytes = (bytes + page - 1) / page * page};

	g.memory = mmap(NULL, g.bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(g.memory != MAP_FAILED);
	assert(mprotect(g.memory + g.bytes, page, PROT_NONE) == 0);
	return g;
}

static inline void guard_free(struct guard *g)
{
	(void)munmap(g->memory, g->bytes + (size_t)sysconf(_SC_PAGESIZE));
}

static inline struct span guard_put(const struct guard *g, struct span s)
{
	uint8_t *at = g->memory + g->bytes - s.len;

	assert(s.len <= g->bytes);
	if (s.len)
		memcpy(at, s.ptr, s.len);
	return span_of(at, s.len);
}

/* --- cuts --- */

#define TALK_WHOLE 0
#define TALK_BYTES 1 /* every other number is the seed of random cuts */

static inline size_t talk_cut(uint64_t *seed, uint64_t how, size_t len)
{
	if (how == TALK_WHOLE || how == TALK_BYTES)
		return how == TALK_WHOLE ? len : 1;
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return MIN(len, (size_t)(*seed >> 40) % (*seed >> 63 ? 7 : 60) + 1);
}

/* --- exchanges as text --- */

static inline void talk_put_text(struct json *j, const char *key, struct span s)
{
	if (s.ptr)
		json_key_text(j, key, s);
	else
		json_key_str(j, key, NULL);
}

static inline void talk_put_message(struct json *j, const char *key, const struct message *m)
{
	static const char *const flags[] = {"present", "complete", "chunked",  "close_delimited",
					    "body_cut", "head_cut", "has_gap", "length_known"};

	json_key(j, key);
	json_object_begin(j);
	talk_put_text(j, "head", m->head);
	talk_put_text(j, "body", m->body);
	talk_put_text(j, "framing", m->framing);
	talk_put_text(j, "trailers", m->trailers);
	talk_put_text(j, "content_type", m->content_type);
	json_key_u64(j, "bytes", m->body_bytes);
	json_key_u64(j, "version", m->version);
	json_key(j, "flags");
	json_array_begin(j);
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		if (m->flags >> i & 1)
			json_str(j, flags[i]);
	json_array_end(j);
	json_object_end(j);
}

/* "> text hello"; times differ with the cuts */
static inline void talk_put_children(struct json *j, const struct exchange *x)
{
	struct span row = x->children;
	struct child c;

	json_key(j, "children");
	json_array_begin(j);
	while (child_next(&row, &c) == 1) {
		struct buf line = {0};

		buf_add_fmt(&line, "%c %s%s%s %llu ", c.is_from_server ? '<' : '>', child_kind_name(c.kind),
			    c.is_compressed ? " compressed" : "", c.has_gap ? " gap" : "",
			    (unsigned long long)c.bytes);
		buf_add_span(&line, c.payload);
		json_text(j, buf_span(&line));
		buf_fini(&line);
	}
	json_array_end(j);
	json_key_u64(j, "from_client", x->messages[0]);
	json_key_u64(j, "from_server", x->messages[1]);
}

static inline void talk_put_exchange(struct buf *out, const struct exchange *x)
{
	struct json j = json_to(out);

	json_object_begin(&j);
	talk_put_text(&j, "method", x->method);
	talk_put_text(&j, "target", x->target);
	talk_put_text(&j, "path", x->path);
	talk_put_text(&j, "route", x->route);
	talk_put_text(&j, "host", x->host);
	talk_put_text(&j, "trace_id", x->trace_id);
	talk_put_text(&j, "replay_of", x->replay_of);
	json_key_u64(&j, "status", x->status);
	json_key_u64(&j, "sequence", x->sequence);
	json_key_u64(&j, "client_port", x->src.port);
	json_key_str(&j, "protocol", protocol_name(x->protocol));
	json_key_u64(&j, "stream", x->stream);
	json_key_u64(&j, "h2_error", x->h2_error);
	if (x->has_grpc_status)
		json_key_u64(&j, "grpc_status", x->grpc_status);
	json_key_u64(&j, "grpc_requests", exchange_messages(x, PROTOCOL_GRPC, 0));
	json_key_u64(&j, "grpc_responses", exchange_messages(x, PROTOCOL_GRPC, 1));
	json_key_u64(&j, "grpc_timeout_ms", x->grpc_timeout_ns / NS_PER_MS);
	json_key_u64(&j, "close_code", x->close_code);
	talk_put_children(&j, x);
	json_key_str(&j, "outcome", outcome_name(x->outcome));
	json_key_str(&j, "reason", reason_name(x->reason));
	json_key(&j, "anomalies");
	json_array_begin(&j);
	for (unsigned i = 0; i < ANOMALY_COUNT; i++)
		if (x->anomalies >> i & 1)
			json_str(&j, anomaly_name(i));
	json_array_end(&j);
	talk_put_message(&j, "request", &x->request);
	talk_put_message(&j, "response", &x->response);
	json_object_end(&j);
	buf_add_char(out, '\n');
}

/* --- a run --- */

struct talk {
	struct wire *wire;
	struct conn conn;
	struct counters counters;
	struct guard guard;
	struct buf out;          /* one line an exchange */
	void *memory;
	size_t exchange_count;
	bool is_sink_full;
	uint64_t how, seed, now_ns;
	uint64_t sent[2];        /* or lost */
	uint64_t ack;            /* of the next segment; UINT64_MAX - 1: all */
	struct buf segment;      /* gathered lines */
	unsigned dir;
	bool is_over;
};

#define TALK_ACK_ALL (UINT64_MAX - 1)

static inline void *talk_reserve(void *ctx, size_t bytes)
{
	struct talk *t = ctx;

	free(t->memory);
	t->memory = t->is_sink_full ? NULL : malloc(bytes);
	return t->memory;
}

static inline void talk_commit(void *ctx, struct exchange *x)
{
	struct talk *t = ctx;

	t->exchange_count++;
	talk_put_exchange(&t->out, x);
}

static inline void talk_begin(struct talk *t, const struct wire_config *config, uint64_t how)
{
	struct wire_sink sink = {.ctx = t, .reserve = talk_reserve, .commit = talk_commit};

	*t = (struct talk){.how = how, .seed = how, .now_ns = NS_PER_S, .ack = TALK_ACK_ALL};
	t->guard = guard_new(1 << 20);
	t->wire = wire_new(config, &sink, &t->counters);
	assert(t->wire);
	t->conn = (struct conn){.wire = t->wire, .id = 1, .client = 0};
	t->conn.ends[0].port = 40000;
	t->conn.ends[1].port = 80;
	conn_open(&t->conn, t->now_ns);
}

static inline void talk_send(struct talk *t, unsigned dir, struct span bytes)
{
	uint64_t acked = t->ack == TALK_ACK_ALL ? t->sent[!dir] : t->ack;

	t->ack = TALK_ACK_ALL;
	t->now_ns += NS_PER_MS;
	while (bytes.len) {
		size_t n = talk_cut(&t->seed, t->how, bytes.len);

		if (conn_wants_data(&t->conn, dir))
			conn_data(&t->conn, dir, t->sent[dir], acked,
				  guard_put(&t->guard, span_of(bytes.ptr, n)), t->now_ns);
		t->sent[dir] += n;
		bytes = span_from(bytes, n);
	}
}

static inline void talk_flush_segment(struct talk *t)
{
	if (t->segment.len)
		talk_send(t, t->dir, buf_span(&t->segment));
	buf_clear(&t->segment);
}

static inline void talk_add_escaped(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], e = i + 1 < s.len ? s.ptr[i + 1] : 0;

		if (c != '\\') {
			buf_add_char(out, (char)c);
			continue;
		}
		i++;
		if (e == 'x' && i + 2 < s.len) {
			char hex[3] = {(char)s.ptr[i + 1], (char)s.ptr[i + 2], 0};

			buf_add_char(out, (char)strtoul(hex, NULL, 16));
			i += 2;
		} else {
			buf_add_char(out, e == 'r' ? '\r' : e == 'n' ? '\n' : e == 't' ? '\t' : (char)e);
		}
	}
}

static inline void talk_line_of(struct talk *t, unsigned dir, struct span text, bool has_end)
{
	if (dir != t->dir)
		talk_flush_segment(t);
	t->dir = dir;
	talk_add_escaped(&t->segment, text);
	if (has_end)
		buf_add_str(&t->segment, "\r\n");
}

static inline void talk_end(struct talk *t, unsigned dir, enum conn_end how)
{
	conn_end(&t->conn, dir, how, t->now_ns);
	t->is_over |= how != CONN_END_FIN;
}

static inline void talk_set(struct wire_config *c, const char *what, uint64_t n)
{
	if (strcmp(what, "body_max") == 0)
		c->body_max = n;
	else if (strcmp(what, "head_max") == 0)
		c->head_max = n;
	else if (strcmp(what, "part_messages") == 0)
		c->part_messages = n;
	else
		assert(false && "a setting that talk.h knows");
}

static inline void talk_directive(struct talk *t, const char *line)
{
	char side = 0, word[32] = "";
	unsigned long long n = 0;
	uint64_t ns;

	talk_flush_segment(t);
	t->now_ns += NS_PER_MS;
	if (sscanf(line, "@gap %c %llu", &side, &n) == 2) {
		conn_gap(&t->conn, side == '<', t->sent[side == '<'], n, t->now_ns);
		t->sent[side == '<'] += n;
	} else if (sscanf(line, "@fin %c", &side) == 1) {
		talk_end(t, side == '<', CONN_END_FIN);
	} else if (sscanf(line, "@rst %c", &side) == 1) {
		talk_end(t, side == '<', CONN_END_RST);
	} else if (sscanf(line, "@overlap %c", &side) == 1) {
		conn_overlap(&t->conn, side == '<');
	} else if (sscanf(line, "@end %31s", word) == 1) {
		talk_end(t, 0, strcmp(word, "idle") == 0      ? CONN_END_IDLE
			       : strcmp(word, "evicted") == 0 ? CONN_END_EVICTED
			       : strcmp(word, "reused") == 0  ? CONN_END_REUSED
							      : CONN_END_CAPTURE);
	} else if (sscanf(line, "@wait %31s", word) == 1) {
		assert(clock_parse_duration(span_str(word), &ns) == 0);
		t->now_ns += ns;
		conn_tick(t->wire, t->now_ns);
	} else if (sscanf(line, "@ack %llu", &n) == 1) {
		t->ack = n;
	} else if (strcmp(line, "@ack none") == 0) {
		t->ack = UINT64_MAX;
	} else if (strcmp(line, "@midstream") == 0) {
		t->conn.is_midstream = true;
		t->conn.client = -1;
	} else if (strcmp(line, "@unknown") == 0) {
		t->conn.client = -1;
	} else if (sscanf(line, "@set %31s %llu", word, &n) == 2) {
		talk_set(&t->wire->config, word, n);
	} else if (strcmp(line, "@redact") == 0) {
		assert(wire_set_redaction(t->wire, true, NULL, NULL) == 0);
	} else {
		assert(strcmp(line, "@segment") == 0);
	}
}

static inline void talk_take_line(struct talk *t, char *line)
{
	if (line[0] == '@') {
		talk_directive(t, line);
	} else if (strncmp(line, ">>", 2) == 0 || strncmp(line, "<<", 2) == 0) {
		const char *text = line[3] == ' ' ? line + 4 : line + 3;

		talk_line_of(t, line[0] == '<', span_str(text), line[2] != '|');
	} else {
		assert(line[0] == '#' || line[0] == 0);
	}
}

/* the capture ends: everything pending comes out */
static inline void talk_finish(struct talk *t)
{
	talk_flush_segment(t);
	if (!t->is_over)
		conn_end(&t->conn, 0, CONN_END_CAPTURE, t->now_ns);
	conn_close(&t->conn);
}

static inline void talk_free(struct talk *t)
{
	free(t->memory);
	buf_fini(&t->out);
	buf_fini(&t->segment);
	guard_free(&t->guard);
	wire_free(t->wire);
}

/* The whole of @text through one connection. */
static inline void talk_run(struct talk *t, const char *text, uint64_t how)
{
	struct wire_config config = wire_config_default();
	char *copy = strdup(text), *rest = copy, *line;

	config.is_redacting = false;
	config.memory_max = 8 << 20;
	config.flows_max = 64;
	talk_begin(t, &config, how);
	while ((line = strsep(&rest, "\n")))
		talk_take_line(t, line);
	free(copy);
	talk_finish(t);
}
