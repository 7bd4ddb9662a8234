// SPDX-License-Identifier: Apache-2.0
/*
 * random_filter.h - random conditions of the whole language, by type: for test_filter_agrees.c
 *
 * What they name (headers, parameters, members of JSON) is what that test's exchanges have.
 */
#pragma once

#include "lib/buf.h"

struct random_source {
	uint64_t state; /* xorshift64 */
};

static inline uint64_t random_next(struct random_source *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state;
}

static inline size_t random_below(struct random_source *r, size_t n)
{
	return (size_t)(random_next(r) >> 11) % n;
}

#define RANDOM_PICK(r, array) ((array)[random_below(r, COUNT_OF(array))])

enum random_type {
	RANDOM_INT,
	RANDOM_TEXT,
	RANDOM_TIME,
	RANDOM_DURATION,
	RANDOM_JSON,
	RANDOM_TYPES
};

static const char *const random_leaves[RANDOM_TYPES][16] = {
	[RANDOM_INT] = {"status", "request.size", "response.size", "src.port", "sequence",
			"h2_error", "0", "1", "2", "500", "-7", "0x10", "size(path)",
			"anomalies.size()", "int(query.a)", "int(response.json.n)"},
	[RANDOM_TEXT] = {"path", "host", "dst.service", "src.pod", "method", "outcome", "reason",
			 "trace_id", "request.type", "route", "'cart'", "'\\u00e9'", "query['a']",
			 "query.q", "request.headers['x-user']", "string(status)"},
	[RANDOM_TIME] = {"time", "time", "time", "now()", "timestamp('2025-11-24T16:00:00.2Z')",
			 "timestamp(1764000000)", "time", "now()", "time", "time",
			 "timestamp(response.json.at)", "time", "time", "now()", "time", "time"},
	[RANDOM_DURATION] = {"latency", "latency", "grpc.timeout", "duration('1ms')",
			     "duration('0s')", "duration('3s')", "duration('1h')", "latency",
			     "latency", "latency", "duration(request.json.took)", "latency",
			     "latency", "latency", "latency", "latency"},
	[RANDOM_JSON] = {"response.json", "response.json.n", "response.json.items",
			 "response.json.items[0].n", "response.json.items[1]", "response.json['s']",
			 "response.json.list", "response.json.list[0]", "request.json.s",
			 "request.json.list", "response.json.nope", "response.json.yes",
			 "response.json.nothing", "response.json.f", "response.json.list[2]",
			 "request.json.n"},
};

static const char *const random_collections[] = {
	"response.json.items",
	"response.json.list",
	"request.json.list",
	"[1, 2, 500]",
	"['cart', '7', 'x']",
	"request.headers",
	"query",
	"anomalies",
	"response.json",
	"request.cookies",
	"[1, 'a', 2.5]",
	"response.trailers",
};

static void put_random_value(struct random_source *r, struct buf *out, enum random_type type,
			     unsigned depth);
static void put_random_condition(struct random_source *r, struct buf *out, unsigned depth);

static void put_random_arith(struct random_source *r, struct buf *out, enum random_type type,
			     unsigned depth)
{
	static const char *const signs[] = {" + ", " - ", " * ", " / ", " % "};
	enum random_type left = type, right = type;
	size_t sign = random_below(r, 5);

	if (type == RANDOM_TEXT)
		sign = 0;
	if (type == RANDOM_TIME || type == RANDOM_DURATION)
		sign %= 2;
	if (type == RANDOM_TIME)
		right = RANDOM_DURATION;
	if (type == RANDOM_DURATION && sign == 1 && random_below(r, 3) == 0)
		left = right = RANDOM_TIME;
	buf_add_char(out, '(');
	put_random_value(r, out, left, depth);
	buf_add_str(out, signs[sign]);
	/* a constant divisor of 0 would be refused */
	if (sign > 2)
		buf_add_str(out, random_below(r, 2) ? "3" : "status");
	else
		put_random_value(r, out, right, depth);
	buf_add_char(out, ')');
}

static void put_random_call(struct random_source *r, struct buf *out, enum random_type type,
			    unsigned depth)
{
	static const char *const texts[] = {".lowerAscii()", ".upperAscii()", ".trim()"};
	static const char *const parts[] = {".getHours()", ".getSeconds()", ".getMilliseconds()"};

	if (type == RANDOM_TEXT) {
		put_random_value(r, out, RANDOM_TEXT, depth);
		buf_add_str(out, RANDOM_PICK(r, texts));
	} else if (type == RANDOM_INT && random_below(r, 2)) {
		put_random_value(r, out, RANDOM_DURATION, depth);
		buf_add_str(out, RANDOM_PICK(r, parts));
	} else {
		put_random_condition(r, out, 0);
		buf_add_str(out, " ? ");
		put_random_value(r, out, type, depth);
		buf_add_str(out, " : ");
		put_random_value(r, out, type, depth);
	}
}

static void put_random_value(struct random_source *r, struct buf *out, enum random_type type,
			     unsigned depth)
{
	size_t kind = depth ? random_below(r, 4) : 3;

	if (type == RANDOM_JSON || kind > 1) {
		buf_add_str(out, RANDOM_PICK(r, random_leaves[type]));
	} else if (kind == 0) {
		put_random_arith(r, out, type, depth - 1);
	} else {
		buf_add_char(out, '(');
		put_random_call(r, out, type, depth - 1);
		buf_add_char(out, ')');
	}
}

static void put_random_comparison(struct random_source *r, struct buf *out, unsigned depth)
{
	static const char *const signs[] = {" == ", " != ", " < ", " <= ", " > ", " >= "};
	enum random_type left = (enum random_type)random_below(r, RANDOM_TYPES);
	enum random_type right = left == RANDOM_JSON ? (enum random_type)random_below(r, 2) : left;

	/* with an operation that is never folded: two constants are not compared */
	buf_add_str(out, left == RANDOM_TEXT  ? "(path + "
			 : left == RANDOM_INT ? "(status * 0 + "
					      : "(");
	put_random_value(r, out, left, depth);
	buf_add_char(out, ')');
	if (left == RANDOM_TIME)
		buf_add_str(out, " + latency");
	if (left == RANDOM_DURATION)
		buf_add_str(out, " + (time - time)");
	buf_add_str(out, RANDOM_PICK(r, signs));
	put_random_value(r, out, right, depth);
}

static void put_random_part(struct random_source *r, struct buf *out, unsigned depth)
{
	static const char *const patterns[] = {"^/",  "[0-9]+$", "(?i)CART", "^$",
					       "a|e", "(a+)+$",	 "\\xe9",    "^.{4}$"};
	static const char *const methods[] = {"startsWith", "endsWith", "contains"};

	buf_add_char(out, '(');
	put_random_value(r, out, RANDOM_TEXT, depth);
	if (random_below(r, 2)) {
		buf_add_fmt(out, " + '').%s(", RANDOM_PICK(r, methods));
		buf_add_str(
			out,
			RANDOM_PICK(r,
				    random_leaves[random_below(r, 4) ? RANDOM_TEXT : RANDOM_JSON]));
		buf_add_char(out, ')');
	} else {
		buf_add_fmt(out, " + '') %s r\"%s\"", random_below(r, 2) ? "=~" : "!~",
			    RANDOM_PICK(r, patterns));
	}
}

static void put_random_each(struct random_source *r, struct buf *out, unsigned depth)
{
	static const char *const bodies[] = {
		"v == 'x-user'",      "v == 2",		  "v.n > 1",
		"v != 'cart'",	      "string(v) == '7'", "path.contains(v)",
		"v in ['a', 'b', 1]", "size(v) > 1",	  "has(v.n)",
		"v > status",
	};
	static const char *const names[] = {"exists", "all", "exists_one"};
	const char *collection = RANDOM_PICK(r, random_collections);

	if (strstr(collection, "json") && depth && random_below(r, 3) == 0) {
		buf_add_fmt(out, "%s.%s(v, ", collection, RANDOM_PICK(r, names));
		put_random_condition(r, out, depth - 1);
		buf_add_char(out, ')');
	} else if (strstr(collection, "json")) {
		buf_add_fmt(out, "%s.%s(v, %s)", collection, RANDOM_PICK(r, names),
			    RANDOM_PICK(r, bodies));
	} else if (random_below(r, 2)) { /* types are known: only what fits any */
		buf_add_fmt(out, "%s.%s(v, v in ['7', 'a', 'redacted', 'x-user', 2, 500])",
			    collection, RANDOM_PICK(r, names));
	} else {
		buf_add_fmt(out, "size(%s) > %zu", collection, random_below(r, 4));
	}
}

static const char *const random_others[] = {
	"has(response.json.items)",
	"has(query.a)",
	"has(request.headers.x)",
	"'a' in query",
	"'s' in response.json",
	"7 in response.json.list",
	"status in response.json.list",
	"'sid' in request.cookies",
	"request.cookies.sid == 'abc'",
	"response.cookies['sid'] != 'new'",
	"response.trailers['grpc-status'] == '0'",
	"dst.labels.app == ''",
	"dst.labels['app'] == 'a'",
	"src.labels.app != 'a'",
	"!(dst.labels['app'] in ['a', 'b\xc3\xa9'])",
	"has(src.labels.app)",
	"'x-user' in dst.annotations",
	"src.annotations['x-user'].startsWith('7')",
	"dst.labels['app'].size() == 1",
	"text('STOCK')",
	"text('7')",
	"text('x-user: 7')",
	"!text('json')",
	"request.headers['x-user'].lowerAscii() != '7'",
	"request.headers['x-user'] =~ '^[78]$'",
	"request.headers['x-user'] + 'a' in ['7a', 'a']",
	"response.json.yes",
	"!response.json.yes",
	"response.json.nothing == null",
	"response.body =~ '\"n\": *[0-9]'",
	"src.ip =~ '^10[.]'",
	"id.size() == 13",
	"connection =~ '^0'",
	"latency.getSeconds() == 0",
	"time.getMinutes() == 0",
	"(failed() ? status >= 500 : status < 400)",
	"(status == 0 ? outcome == reason : path == route)",
	"query.a > path",
	"host + path == path + host",
	"response.json.f > 1.5",
	"request.size * 0.5 >= response.size",
};

static void put_random_condition(struct random_source *r, struct buf *out, unsigned depth)
{
	switch (random_below(r, 4)) {
	case 0: put_random_comparison(r, out, depth); break;
	case 1: put_random_part(r, out, depth); break;
	case 2: put_random_each(r, out, depth); break;
	default: buf_add_str(out, RANDOM_PICK(r, random_others)); break;
	}
}
