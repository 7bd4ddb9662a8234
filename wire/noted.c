// SPDX-License-Identifier: Apache-2.0
#include "wire/noted.h"

/*
 * Theory of operation
 *
 * Names are looked up by their length, so that most of them cost nothing more, and compared eight letters at
 * a time. A name's number is then its row in a table of readers. Only places are noted, so the head may be
 * copied afterwards and the notes still hold.
 *
 * Of headers that come several times: Content-Length must say the same each time (RFC 9112 6.3 rule 5), Host
 * must not come again at all (RFC 9112 3.2), of Content-Type the first counts; trace ids have ranks.
 */

#define NAME_LEN_MAX 17
#define NAMES_MAX    3 /* of one length */

struct name_row {
	const char *name; /* as http1_name_eq() wants it */
	enum noted which;
};

static const struct name_row names[NAME_LEN_MAX + 1][NAMES_MAX] = {
	[2] = {{"b3", NOTED_B3}},
	[4] = {{"host", NOTED_HOST}},
	[10] = {{"connection", NOTED_CONNECTION}, {":authority", NOTED_AUTHORITY}},
	[11] = {{"traceparent", NOTED_TRACEPARENT}},
	[12] = {{"content-type", NOTED_CONTENT_TYPE},
		{"x-request-id", NOTED_REQUEST_ID},
		{"x-b3-traceid", NOTED_B3_TRACE}},
	[14] = {{"content-length", NOTED_CONTENT_LENGTH}},
	[15] = {{"tapeloop-replay", NOTED_REPLAY}},
	[17] = {{"transfer-encoding", NOTED_TRANSFER_ENCODING}},
};

/* where a trace id was found: the higher one wins */
enum trace_rank { TRACE_NONE, TRACE_REQUEST_ID, TRACE_B3, TRACE_PARENT };

enum noted noted_find(struct span name)
{
	if (name.len > NAME_LEN_MAX)
		return NOTED_NONE;
	for (size_t i = 0; i < NAMES_MAX && names[name.len][i].name; i++)
		if (http1_name_eq(name.ptr, (const uint8_t *)names[name.len][i].name, name.len))
			return names[name.len][i].which;
	return NOTED_NONE;
}

struct span noted_name(enum noted which)
{
	for (size_t len = 0; len <= NAME_LEN_MAX; len++)
		for (size_t i = 0; i < NAMES_MAX && names[len][i].name; i++)
			if (names[len][i].which == which)
				return span_str(names[len][i].name);
	return (struct span){0};
}

/* --- lists (RFC 9110 5.6.1) --- */

/* next_token() - cut the first element off a comma-separated list */
static struct span next_token(struct span *list)
{
	const uint8_t *comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
	size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
	struct span token = {list->ptr, len};

	*list = span_from(*list, len + 1);
	return noted_trim(token);
}

static bool is_token(struct span s, const char *lower)
{
	return s.len == strlen(lower) && http1_name_eq(s.ptr, (const uint8_t *)lower, s.len);
}

bool noted_has_token(struct span list, const char *token)
{
	while (list.len)
		if (is_token(next_token(&list), token))
			return true;
	return false;
}

/* --- the length of the body --- */

/* a decimal number and nothing else; false when it is none or does not fit */
static bool take_number(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	*out = n;
	return true;
}

static void read_content_length(struct http1_head *h, struct http1_at at, struct span value)
{
	bool had_one = h->framing == HTTP1_LENGTH;

	(void)at;
	h->has_length = true;
	if (LIKELY(!had_one && h->framing == HTTP1_UNFRAMED &&
		   take_number(value, &h->content_length))) {
		h->framing = HTTP1_LENGTH;
		return;
	}
	do {
		uint64_t n;

		if (!take_number(next_token(&value), &n)) {
			h->anomalies |= ANOMALY_BIT(CL_INVALID);
			h->framing = HTTP1_BAD_LENGTH;
			return;
		}
		if (had_one && n != h->content_length) {
			h->anomalies |= ANOMALY_BIT(CL_CONFLICT);
			h->framing = HTTP1_BAD_LENGTH;
			return;
		}
		had_one = true;
		h->content_length = n;
	} while (value.len);
	if (h->framing != HTTP1_BAD_LENGTH)
		h->framing = HTTP1_LENGTH;
}

static void read_transfer_encoding(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)at;
	while (value.len) {
		struct span coding = next_token(&value);

		if (coding.len == 0 || is_token(coding, "identity"))
			continue;
		h->has_coding = true;
		h->is_chunked = is_token(coding, "chunked");
	}
}

void noted_settle(struct http1_head *h)
{
	if (!h->has_coding)
		return;
	if (h->has_length)
		h->anomalies |= ANOMALY_BIT(CL_AND_TE);
	if (!h->is_chunked)
		h->anomalies |= ANOMALY_BIT(TE_UNKNOWN);
	h->framing = h->is_chunked ? HTTP1_CHUNKED : HTTP1_UNKNOWN_TE;
}

/* --- fields --- */

static void read_connection(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)at;
	if (LIKELY(is_token(value, "keep-alive"))) {
		h->has_keep_alive = true;
		return;
	}
	while (value.len) {
		struct span option = next_token(&value);

		h->has_close |= is_token(option, "close");
		h->has_keep_alive |= is_token(option, "keep-alive");
	}
}

static void note_trace(struct http1_head *h, enum trace_rank rank, struct http1_at at)
{
	if (rank <= h->trace_rank || at.len == 0)
		return;
	h->trace_rank = (uint8_t)rank;
	h->trace_id = at;
}

static uint32_t until_dash(struct span s)
{
	const uint8_t *dash = span_chr(s, '-');

	return (uint32_t)(dash ? (size_t)(dash - s.ptr) : s.len);
}

/* version-id-parent-flags (W3C Trace Context) */
static void read_traceparent(struct http1_head *h, struct http1_at at, struct span value)
{
	if (value.len >= 35)
		note_trace(h, TRACE_PARENT,
			   (struct http1_at){at.from + 3, until_dash(span_from(value, 3))});
}

/* id-span-sampled-parent, or the id alone */
static void read_b3(struct http1_head *h, struct http1_at at, struct span value)
{
	note_trace(h, TRACE_B3, (struct http1_at){at.from, until_dash(value)});
}

static void read_request_id(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)value;
	note_trace(h, TRACE_REQUEST_ID, at);
}

static void read_authority(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)value;
	h->host = at;
}

static void read_host(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)value;
	if (h->host.from)
		h->anomalies |= ANOMALY_BIT(DUPLICATE_HOST);
	else
		h->host = at;
}

static void read_content_type(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)value;
	if (!h->content_type.from)
		h->content_type = at;
}

static void read_replay(struct http1_head *h, struct http1_at at, struct span value)
{
	(void)value;
	h->replay_of = at;
}

typedef void read_fn(struct http1_head *h, struct http1_at at, struct span value);

static read_fn *const readers[NOTED_COUNT] = {
	[NOTED_AUTHORITY] = read_authority,
	[NOTED_B3] = read_b3,
	[NOTED_B3_TRACE] = read_b3,
	[NOTED_CONNECTION] = read_connection,
	[NOTED_CONTENT_LENGTH] = read_content_length,
	[NOTED_CONTENT_TYPE] = read_content_type,
	[NOTED_HOST] = read_host,
	[NOTED_REPLAY] = read_replay,
	[NOTED_REQUEST_ID] = read_request_id,
	[NOTED_TRACEPARENT] = read_traceparent,
	[NOTED_TRANSFER_ENCODING] = read_transfer_encoding,
};

void noted_read(struct http1_head *h, enum noted which, struct http1_at at, struct span value)
{
	readers[which](h, at, value);
}
