// SPDX-License-Identifier: Apache-2.0
#include "replay/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "replay/request.h"

/* ---- schedule ---- */

struct timing {
	const char *name;
	struct schedule_config config;
	uint64_t recorded[5], due[5], period;
	uint64_t squeezed;
};

static const struct timing timings[] = {
	{"as recorded", {.speed = 1}, {1000, 1100, 1100, 1300, 2000}, {0, 100, 100, 300, 1000}, 1250, 0},
	{"four times as fast", {.speed = 4}, {1000, 1400, 1800, 2200, 2600}, {0, 100, 200, 300, 400}, 500, 0},
	{"flat out", {.speed = 0}, {1000, 5000, 9000, 9001, 9002}, {0, 0, 0, 0, 0}, 0, 0},
	{"at a rate", {.speed = 1, .rate_per_s = 1e7}, {5, 6, 7, 900, 901}, {0, 100, 200, 300, 400}, 500, 0},
	{"long silences shortened", {.speed = 1, .max_gap_ns = 50}, {0, 10, 500, 510, 900},
	 {0, 10, 60, 70, 120}, 150, 2},
	{"shortened, then faster", {.speed = 2, .max_gap_ns = 100}, {0, 1000, 2000, 3000, 4000},
	 {0, 50, 100, 150, 200}, 250, 4},
	{"a clock that steps back", {.speed = 1}, {1000, 1100, 900, 1200, 1300}, {0, 100, 100, 200, 300}, 375, 0},
};

static void requests_are_due_when_they_should_be(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(timings); i++) {
		const struct timing *t = &timings[i];
		struct schedule s = {.config = t->config};

		for (size_t k = 0; k < COUNT_OF(t->recorded); k++) {
			uint64_t due = schedule_next(&s, t->recorded[k]);

			if (due != t->due[k])
				fail_msg("%s: request %zu is due at %llu, not %llu", t->name, k,
					 (unsigned long long)due, (unsigned long long)t->due[k]);
		}
		assert_int_equal(schedule_period_ns(&s), t->period);
		assert_int_equal(s.squeezed, t->squeezed);
	}
}

/* ---- targets ---- */

struct url {
	const char *url;
	int want; /* 0 or a negative errno */
	const char *authority;
};

static void urls_are_read_or_refused_with_a_reason(void **state)
{
	static const struct url urls[] = {
		{"http://127.0.0.1:8080", 0, "127.0.0.1:8080"},
		{"http://127.0.0.1", 0, "127.0.0.1:80"},
		{"HTTP://127.0.0.1:1/", 0, "127.0.0.1:1"},
		{"127.0.0.1:99", 0, "127.0.0.1:99"},
		{"http://[::1]:8080", 0, "[::1]:8080"},
		{"http://[::1]", 0, "[::1]:80"},
		{"https://127.0.0.1", 0, "127.0.0.1:443"},
		{"HTTPS://[::1]:8443/", 0, "[::1]:8443"},
		{"ws://127.0.0.1", 0, "127.0.0.1:80"},
		{"wss://127.0.0.1", 0, "127.0.0.1:443"},
		{"unix:/run/x", -EPROTONOSUPPORT, NULL},
		{"ftp://127.0.0.1", -EINVAL, NULL},
		{"http://", -EINVAL, NULL},
		{"http://127.0.0.1:8080/path", -EINVAL, NULL},
		{"http://user@127.0.0.1", -EINVAL, NULL},
		{"http://127.0.0.1:0", -EINVAL, NULL},
		{"http://127.0.0.1:65536", -EINVAL, NULL},
		{"http://127.0.0.1:abc", -EINVAL, NULL},
		{"http://127.0.0.1:", -EINVAL, NULL},
		{"http://[::1", -EINVAL, NULL},
		{"http://no.such.host.invalid", -EHOSTUNREACH, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		struct targets t = {0};
		struct err e = {0};
		int r = target_add(&t, NULL, urls[i].url, &e);

		if (r != urls[i].want)
			fail_msg("%s: %d %s, not %d", urls[i].url, r, e.why, urls[i].want);
		if (r == 0)
			assert_string_equal(t.list[0].authority, urls[i].authority);
		else
			assert_non_null(strstr(e.why, urls[i].url));
	}
}

static void a_map_goes_before_the_target_for_all(void **state)
{
	struct targets t = {0};
	struct exchange x = {.host = SPAN_LIT("Pay.shop:8080")};

	(void)state;
	assert_int_equal(target_add(&t, NULL, "http://127.0.0.1:1", NULL), 0);
	assert_int_equal(target_add_map(&t, "cart=http://127.0.0.1:2", NULL), 0);
	assert_int_equal(target_add_map(&t, "pay.shop=http://127.0.0.1:3", NULL), 0);
	assert_int_equal(target_of(&t, &x), 2);
	x.dst.who.service = SPAN_LIT("cart");
	assert_int_equal(target_of(&t, &x), 1);
	x.dst.who.service = SPAN_LIT("Cart");
	x.host = SPAN_LIT("other");
	assert_int_equal(target_of(&t, &x), 0);
	x.dst.who.pod = SPAN_LIT("cart");
	assert_int_equal(target_of(&t, &x), 1);
	assert_int_equal(target_add_map(&t, "=http://127.0.0.1:3", NULL), -EINVAL);
	assert_int_equal(target_add_map(&t, "cart", NULL), -EINVAL);
}

static void where_it_was_recorded_is_recognised(void **state)
{
	struct targets t = {0};
	struct exchange x = {.dst = {.is_ipv4 = true, .port = 81,
				     .address = {[10] = 0xff, 0xff, 127, 0, 0, 1}}};

	(void)state;
	assert_int_equal(target_add(&t, NULL, "http://127.0.0.1:81", NULL), 0);
	assert_true(target_is_recorded(&t.list[0], &x));
	x.dst.port = 82;
	assert_false(target_is_recorded(&t.list[0], &x));
}

/* ---- the plan ---- */

struct judged {
	const char *name;
	const char *method, *target; /* NULL: "/" */
	uint64_t anomalies;
	uint32_t flags; /* of the request; 0: PRESENT and COMPLETE */
	uint8_t version, protocol, outcome;
	uint16_t status;
	const char *replay_of;
	bool allows_unsafe, allows_replayed;
	uint64_t said; /* by the client of a WebSocket */
	unsigned skip;
};

static const struct judged judgements[] = {
	{.name = "a GET", .method = "GET", .skip = SKIP_NONE},
	{.name = "HEAD", .method = "HEAD", .skip = SKIP_NONE},
	{.name = "OPTIONS", .method = "OPTIONS", .skip = SKIP_NONE},
	{.name = "POST", .method = "POST", .skip = SKIP_UNSAFE},
	{.name = "POST, allowed", .method = "POST", .allows_unsafe = true, .skip = SKIP_NONE},
	{.name = "PUT", .method = "PUT", .skip = SKIP_UNSAFE},
	{.name = "a method nobody knows", .method = "FROB", .skip = SKIP_UNSAFE},
	{.name = "get is not GET", .method = "get", .skip = SKIP_UNSAFE},
	{.name = "no request", .method = "", .skip = SKIP_NO_REQUEST},
	{.name = "a replay", .method = "GET", .replay_of = "A/B", .skip = SKIP_REPLAYED},
	{.name = "a replay by its id", .method = "GET", .replay_of = "A/B", .allows_replayed = true,
	 .skip = SKIP_NONE},
	{.name = "a hole", .method = "GET", .anomalies = ANOMALY_BIT(GAP_REQUEST), .skip = SKIP_GAP},
	{.name = "a hole by its flag", .method = "GET", .flags = MESSAGE_PRESENT | MESSAGE_HAS_GAP,
	 .skip = SKIP_GAP},
	{.name = "a cut body", .method = "GET", .anomalies = ANOMALY_BIT(BODY_CUT_REQUEST), .skip = SKIP_CUT},
	{.name = "a cut head", .method = "GET",
	 .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE | MESSAGE_HEAD_CUT, .skip = SKIP_CUT},
	{.name = "not to its end", .method = "GET", .flags = MESSAGE_PRESENT, .skip = SKIP_INCOMPLETE},
	{.name = "CONNECT", .method = "CONNECT", .allows_unsafe = true, .skip = SKIP_TUNNEL},
	{.name = "an upgrade", .method = "GET", .anomalies = ANOMALY_BIT(TUNNEL), .skip = SKIP_TUNNEL},
	{.name = "HTTP/0.9", .method = "GET", .version = 9, .skip = SKIP_PROTOCOL},
	{.name = "HTTP/2", .method = "GET", .protocol = PROTOCOL_HTTP2, .version = 20, .skip = SKIP_NONE},
	{.name = "HTTP/2 by Upgrade", .method = "GET", .protocol = PROTOCOL_HTTP2, .version = 11,
	 .skip = SKIP_PROTOCOL},
	{.name = "HTTP/2 without a path", .method = "GET", .target = "?", .protocol = PROTOCOL_HTTP2,
	 .version = 20, .skip = SKIP_MALFORMED},
	{.name = "HTTP/2 with a line end in a field", .method = "GET", .protocol = PROTOCOL_HTTP2,
	 .version = 20, .anomalies = ANOMALY_BIT(BAD_HEADER), .skip = SKIP_MALFORMED},
	{.name = "a WebSocket that only listens", .method = "GET", .protocol = PROTOCOL_WEBSOCKET, .skip = SKIP_NONE},
	{.name = "a WebSocket that says something", .method = "GET", .protocol = PROTOCOL_WEBSOCKET, .said = 2,
	 .skip = SKIP_UNSAFE},
	{.name = "a WebSocket that may", .method = "GET", .protocol = PROTOCOL_WEBSOCKET, .said = 2,
	 .allows_unsafe = true, .skip = SKIP_NONE},
	{.name = "a WebSocket with a hole in what it said", .method = "GET", .protocol = PROTOCOL_WEBSOCKET,
	 .anomalies = ANOMALY_BIT(GAP_REQUEST), .skip = SKIP_GAP},
	{.name = "fields that are not known", .method = "GET", .protocol = PROTOCOL_HTTP2,
	 .anomalies = ANOMALY_BIT(H2_PARTIAL), .skip = SKIP_UNKNOWN_FIELDS},
	{.name = "a method that is not known", .method = "", .protocol = PROTOCOL_HTTP2,
	 .anomalies = ANOMALY_BIT(H2_PARTIAL), .skip = SKIP_UNKNOWN_FIELDS},
	{.name = "continuation", .method = "GET", .anomalies = ANOMALY_BIT(CONTINUATION), .skip = SKIP_CONTINUATION},
	{.name = "pushed", .method = "GET", .anomalies = ANOMALY_BIT(PUSHED), .skip = SKIP_PUSHED},
	{.name = "gRPC", .method = "POST", .protocol = PROTOCOL_GRPC, .version = 20, .skip = SKIP_UNSAFE},
	{.name = "gRPC, allowed", .method = "POST", .protocol = PROTOCOL_GRPC, .version = 20,
	 .allows_unsafe = true, .skip = SKIP_NONE},
	{.name = "HTTP/2's CONNECT", .method = "CONNECT", .protocol = PROTOCOL_HTTP2, .version = 20,
	 .allows_unsafe = true, .skip = SKIP_TUNNEL},
	{.name = "an HTTP/2 head under the name of HTTP/1", .method = "GET", .version = 20,
	 .skip = SKIP_PROTOCOL},
	{.name = "an answer not seen", .method = "GET", .outcome = OUTCOME_INCOMPLETE,
	 .skip = SKIP_NO_RECORD},
	{.name = "an answer seen in part", .method = "GET", .outcome = OUTCOME_INCOMPLETE, .status = 200,
	 .skip = SKIP_NONE},
	{.name = "two ways to read its length", .method = "GET", .anomalies = ANOMALY_BIT(CL_AND_TE),
	 .skip = SKIP_NONE},
};

static void what_cannot_be_sent_as_recorded_is_not_sent(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(judgements); i++) {
		const struct judged *j = &judgements[i];
		struct plan_rules rules = {j->allows_unsafe, j->allows_replayed};
		struct exchange x = {
			.method = span_str(j->method),
			.target = span_str(j->target ? j->target : "/"),
			.protocol = j->protocol ? j->protocol : PROTOCOL_HTTP1,
			.anomalies = j->anomalies,
			.messages = {j->said},
			.outcome = j->outcome,
			.status = j->status,
			.replay_of = span_str(j->replay_of),
			.request = {.flags = j->flags ? j->flags : MESSAGE_PRESENT | MESSAGE_COMPLETE,
				    .version = j->version ? j->version : 11,
				    .head = SPAN_LIT("x")},
		};

		if (plan_judge(&rules, &x, true) != j->skip)
			fail_msg("%s: %s, not %s", j->name, skip_name(plan_judge(&rules, &x, true)),
				 skip_name(j->skip));
	}
}

static struct exchange a_get(uint64_t id, uint64_t connection)
{
	return (struct exchange){.id = id, .start_ns = id, .connection = connection,
				 .protocol = PROTOCOL_HTTP1, .method = SPAN_LIT("GET"), .status = 200};
}

static void thousands_of_connections_are_told_apart(void **state)
{
	struct targets t = {0};
	struct schedule_config speed = {.speed = 1};
	struct plan_rules rules = {0};
	struct plan p;

	(void)state;
	assert_int_equal(target_add(&t, NULL, "http://127.0.0.1:1", NULL), 0);
	plan_init(&p, &speed, &rules, &t);
	for (uint64_t i = 0; i < 30000; i++) {
		struct exchange x = a_get(i + 1, 1 + i * 7919 % 10000);

		assert_int_equal(plan_add(&p, &x, NULL), 0);
	}
	assert_int_equal(p.link_count, 10000);
	for (size_t i = 0; i < p.link_count; i++)
		assert_int_equal(p.links[i].count, 3);
	assert_int_equal(p.links[p.entries[12345].link].connection, 1 + 12345 * UINT64_C(7919) % 10000);
	plan_fini(&p);
}

static void shards_share_connections_and_keep_the_times_of_the_whole(void **state)
{
	enum { SHARDS = 3, COUNT = 3000 };
	static uint64_t due[2][COUNT]; /* by the shards, by the whole */
	struct targets t = {0};
	struct schedule_config speed = {.speed = 1, .max_gap_ns = 10};
	unsigned seen = 0;

	(void)state;
	assert_int_equal(target_add(&t, NULL, "http://127.0.0.1:1", NULL), 0);
	for (uint32_t shard = 0; shard <= SHARDS; shard++) { /* the last one: all of it */
		struct plan_rules rules = {.shard = shard, .shards = shard == SHARDS ? 0 : SHARDS};
		struct plan p;

		plan_init(&p, &speed, &rules, &t);
		for (uint64_t i = 0; i < COUNT; i++) {
			struct exchange x = a_get(i + 1, i % 7 ? 1 + i % 40 : 0);

			x.start_ns = i * i;
			assert_int_equal(plan_add(&p, &x, NULL), 0);
		}
		assert_int_equal(p.count + p.elsewhere_count, COUNT);
		assert_true(shard == SHARDS || p.count > COUNT / 10);
		for (size_t i = 0; i < p.count; i++)
			due[shard == SHARDS][p.entries[i].id - 1] = p.entries[i].at_ns + 1;
		for (size_t i = 0; i < p.link_count; i++) { /* all of a connection is in one shard */
			struct exchange x = a_get(1, p.links[i].connection);

			assert_true(p.links[i].connection == 0 || plan_is_ours(&rules, &x));
		}
		seen += (unsigned)p.count;
		assert_int_equal(schedule_period_ns(&p.schedule) > 0, true);
		plan_fini(&p);
	}
	assert_int_equal(seen, 2 * COUNT);
	assert_memory_equal(due[0], due[1], sizeof(due[0]));
}

static void exchanges_without_a_connection_have_one_each(void **state)
{
	struct targets t = {0};
	struct schedule_config speed = {.speed = 1};
	struct plan_rules rules = {0};
	struct exchange x = a_get(5, 0);
	struct err e;
	struct plan p;

	(void)state;
	assert_int_equal(target_add(&t, NULL, "http://127.0.0.1:1", NULL), 0);
	plan_init(&p, &speed, &rules, &t);
	assert_int_equal(plan_add(&p, &x, &e), 0);
	x.id = 6;
	assert_int_equal(plan_add(&p, &x, &e), 0);
	assert_int_equal(p.link_count, 2);
	assert_int_equal(plan_add(&p, &x, &e), -EINVAL); /* the same id again */
	plan_fini(&p);
}

static void without_a_target_it_is_skipped_with_that_reason(void **state)
{
	struct targets t = {0};
	struct schedule_config speed = {.speed = 1};
	struct plan_rules rules = {0};
	struct exchange x = a_get(5, 1);
	struct plan p;

	(void)state;
	assert_int_equal(target_add_map(&t, "pay=http://127.0.0.1:1", NULL), 0);
	plan_init(&p, &speed, &rules, &t);
	assert_int_equal(plan_add(&p, &x, NULL), 0);
	assert_int_equal(p.skipped[SKIP_NO_TARGET], 1);
	assert_int_equal(p.send_count, 0);
	plan_fini(&p);
}

/* ---- the request's bytes ---- */

struct edited {
	const char *name;
	const char *head, *body, *framing, *trailers;
	const char *set[3], *del[3], *path[3];
	bool has_target_host;
	const char *replay_of;
	const char *want;
};

#define MARK "Tapeloop-Replay: R/0000000000007\r\n"

static const struct edited edits[] = {
	{.name = "as recorded", .head = "GET / HTTP/1.1\r\nHost: a\r\nx:1\r\nX:  2 \r\n\r\n",
	 .want = "GET / HTTP/1.1\r\nHost: a\r\nx:1\r\nX:  2 \r\n" MARK "\r\n"},
	{.name = "bare LF stays", .head = "GET / HTTP/1.0\nA: b\n\n",
	 .want = "GET / HTTP/1.0\nA: b\nTapeloop-Replay: R/0000000000007\n\n"},
	{.name = "no header at all", .head = "GET / HTTP/1.0\r\n\r\n", .want = "GET / HTTP/1.0\r\n" MARK "\r\n"},
	{.name = "a body", .head = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", .body = "abc",
	 .want = "POST / HTTP/1.1\r\nContent-Length: 3\r\n" MARK "\r\nabc"},
	{.name = "chunks with their lines and trailers",
	 .head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", .body = "abcde",
	 .framing = "002;x=y\r\n3\r\n0\r\n", .trailers = "T: 1\r\n",
	 .want = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" MARK
		 "\r\n002;x=y\r\nab\r\n3\r\ncde\r\n0\r\nT: 1\r\n\r\n"},
	{.name = "a header set in its place", .head = "GET / HTTP/1.1\r\na: 1\r\nB: 2\r\nA: 3\r\n\r\n",
	 .set = {"A: new"}, .want = "GET / HTTP/1.1\r\nA: new\r\nB: 2\r\n" MARK "\r\n"},
	{.name = "a header that was not there", .head = "GET / HTTP/1.1\r\nB: 2\r\n\r\n",
	 .set = {"A:new"}, .want = "GET / HTTP/1.1\r\nB: 2\r\nA: new\r\n" MARK "\r\n"},
	{.name = "a header deleted", .head = "GET / HTTP/1.1\r\nB: 2\r\nC: 3\r\nb: 4\r\n\r\n", .del = {"B"},
	 .want = "GET / HTTP/1.1\r\nC: 3\r\n" MARK "\r\n"},
	{.name = "a folded header is one", .head = "GET / HTTP/1.1\r\nB: 2\r\n  more\r\nC: 3\r\n\r\n",
	 .del = {"B"}, .want = "GET / HTTP/1.1\r\nC: 3\r\n" MARK "\r\n"},
	{.name = "the beginning of a path", .head = "GET /api/v1/x?p=/api HTTP/1.1\r\n\r\n",
	 .path = {"/nope=/no", "/api/v1=/v2", "/api=/never"},
	 .want = "GET /v2/x?p=/api HTTP/1.1\r\n" MARK "\r\n"},
	{.name = "the path of an absolute form", .head = "GET http://h:1/api/x HTTP/1.1\r\n\r\n",
	 .path = {"/api=/v2"}, .want = "GET http://h:1/v2/x HTTP/1.1\r\n" MARK "\r\n"},
	{.name = "the target's host", .head = "GET / HTTP/1.1\r\nhost: shop\r\nA: b\r\n\r\n",
	 .has_target_host = true, .want = "GET / HTTP/1.1\r\nhost: 127.0.0.1:9\r\nA: b\r\n" MARK "\r\n"},
	{.name = "the target's host in an absolute form", .head = "GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n",
	 .has_target_host = true, .want = "GET http://127.0.0.1:9/x HTTP/1.1\r\nHost: 127.0.0.1:9\r\n" MARK "\r\n"},
	{.name = "the asterisk form", .head = "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	 .has_target_host = true, .path = {"/=/x"}, .want = "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:9\r\n" MARK "\r\n"},
	{.name = "an older mark is replaced", .head = "GET / HTTP/1.1\r\ntapeloop-replay: O/1\r\nA: b\r\n\r\n",
	 .replay_of = "O/1", .want = "GET / HTTP/1.1\r\nA: b\r\n" MARK "\r\n"},
};

static void a_request_changes_where_asked_and_nowhere_else(void **state)
{
	struct targets t = {0};

	(void)state;
	assert_int_equal(target_add(&t, NULL, "http://127.0.0.1:9", NULL), 0);
	for (size_t i = 0; i < COUNT_OF(edits); i++) {
		const struct edited *d = &edits[i];
		struct request_edits to = {.has_target_host = d->has_target_host};
		AUTO_BUF out = {0};
		struct exchange x = {
			.id = 7,
			.replay_of = span_str(d->replay_of),
			.request = {.head = span_str(d->head),
				    .body = span_str(d->body),
				    .framing = span_str(d->framing),
				    .trailers = span_str(d->trailers),
				    .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE |
					     (d->framing ? (uint32_t)MESSAGE_CHUNKED : 0)},
		};

		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(d->set[k] ? request_set_header(&to, d->set[k], NULL) : 0, 0);
			assert_int_equal(d->del[k] ? request_del_header(&to, d->del[k], NULL) : 0, 0);
			assert_int_equal(d->path[k] ? request_rewrite_path(&to, d->path[k], NULL) : 0, 0);
		}
		assert_true(request_write(&out, &x, "R", &to, &t.list[0]));
		if (strcmp(buf_cstr(&out), d->want) != 0)
			fail_msg("%s:\n%s\nnot\n%s", d->name, buf_cstr(&out), d->want);
	}
}

static void edits_that_would_lie_about_the_message_are_refused(void **state)
{
	static const char *const sets[] = {"A", ": b", "A b: c", "A: b\r\nC: d", "Content-Length: 3",
					   "transfer-encoding: chunked", "Tapeloop-Replay: x"};
	static const char *const dels[] = {"", "A:", "content-length", "a b"};
	static const char *const paths[] = {"", "/a", "a=b", "/a=b", "s#a#b#", "/a=/b c", "/a=/b?c"};
	struct request_edits to = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sets); i++)
		assert_int_equal(request_set_header(&to, sets[i], &e), -EINVAL);
	for (size_t i = 0; i < COUNT_OF(dels); i++)
		assert_int_equal(request_del_header(&to, dels[i], &e), -EINVAL);
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		assert_int_equal(request_rewrite_path(&to, paths[i], &e), -EINVAL);
	assert_int_equal(to.set_count + to.del_count + to.path_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_due_when_they_should_be),
		cmocka_unit_test(urls_are_read_or_refused_with_a_reason),
		cmocka_unit_test(a_map_goes_before_the_target_for_all),
		cmocka_unit_test(where_it_was_recorded_is_recognised),
		cmocka_unit_test(what_cannot_be_sent_as_recorded_is_not_sent),
		cmocka_unit_test(thousands_of_connections_are_told_apart),
		cmocka_unit_test(shards_share_connections_and_keep_the_times_of_the_whole),
		cmocka_unit_test(exchanges_without_a_connection_have_one_each),
		cmocka_unit_test(without_a_target_it_is_skipped_with_that_reason),
		cmocka_unit_test(a_request_changes_where_asked_and_nowhere_else),
		cmocka_unit_test(edits_that_would_lie_about_the_message_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
