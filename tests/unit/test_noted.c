// SPDX-License-Identifier: Apache-2.0
#include "wire/noted.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct line {
	const char *name, *value;
};

/* What a head of these lines is known by afterwards; places as their text. */
struct noted_case {
	struct line lines[3];
	const char *host, *type, *trace, *replay;
	uint64_t length, anomalies;
	enum http1_framing framing;
	bool has_close, has_keep_alive;
};

static const struct noted_case cases[] = {
	{{{"Accept", "host"}}},
	{{{"HOST", "a:80"}}, .host = "a:80"},
	{{{"host", "a"}, {"Host", "b"}}, .host = "a", .anomalies = ANOMALY_BIT(DUPLICATE_HOST)},
	{{{":authority", "cart.shop"}}, .host = "cart.shop"},
	{{{"Content-Type", "text/plain"}, {"content-type", "text/html"}}, .type = "text/plain"},
	{{{"tapeloop-Replay", "7/ID"}}, .replay = "7/ID"},
	{{{"Content-Length", "17"}}, .framing = HTTP1_LENGTH, .length = 17},
	{{{"Content-Length", "17, 17"}, {"content-length", "17"}}, .framing = HTTP1_LENGTH, .length = 17},
	{{{"Content-Length", "17"}, {"Content-Length", "18"}}, .framing = HTTP1_BAD_LENGTH, .length = 17,
	 .anomalies = ANOMALY_BIT(CL_CONFLICT)},
	{{{"Content-Length", "+1"}, {"Content-Length", "1"}}, .framing = HTTP1_BAD_LENGTH, .length = 1,
	 .anomalies = ANOMALY_BIT(CL_INVALID)},
	{{{"Content-Length", ""}}, .framing = HTTP1_BAD_LENGTH, .anomalies = ANOMALY_BIT(CL_INVALID)},
	{{{"Content-Length", "9223372036854775808"}}, .framing = HTTP1_BAD_LENGTH,
	 .anomalies = ANOMALY_BIT(CL_INVALID)},
	{{{"Transfer-Encoding", "gzip ,\r\n Chunked"}}, .framing = HTTP1_CHUNKED},
	{{{"Transfer-Encoding", "identity"}, {"Content-Length", "3"}}, .framing = HTTP1_LENGTH, .length = 3},
	{{{"Transfer-Encoding", "chunked"}, {"Content-Length", "3"}}, .framing = HTTP1_CHUNKED, .length = 3,
	 .anomalies = ANOMALY_BIT(CL_AND_TE)},
	{{{"Transfer-Encoding", "chunked, gzip"}}, .framing = HTTP1_UNKNOWN_TE, .anomalies = ANOMALY_BIT(TE_UNKNOWN)},
	{{{"Connection", "Keep-Alive"}}, .has_keep_alive = true},
	{{{"Connection", "x, CLOSE"}, {"connection", "upgrade,keep-alive"}}, .has_close = true, .has_keep_alive = true},
	{{{"X-Request-Id", "r1"}, {"X-B3-TraceId", "b1"}}, .trace = "b1"},
	{{{"b3", "b1-s1-1"}, {"X-Request-Id", "r1"}}, .trace = "b1"},
	{{{"X-Request-Id", ""}, {"X-Request-Id", "r-2"}}, .trace = "r-2"},
	{{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, {"b3", "b1-s1"}},
	 .trace = "0af7651916cd43dd8448eb211c80319c"},
	{{{"traceparent", "00-short"}, {"x-request-id", "r"}}, .trace = "r"},
};

static void is_text(struct span got, const char *want)
{
	assert_int_equal(got.len, want ? strlen(want) : 0);
	if (want)
		assert_memory_equal(got.ptr, want, got.len);
}

static void each_header_is_noted_as_its_rfc_has_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct noted_case *c = &cases[i];
		char text[256] = "GET / HTTP/1.1\r\n";
		struct http1_head h = {0};
		size_t n = strlen(text);

		for (size_t k = 0; k < COUNT_OF(c->lines) && c->lines[k].name; k++) {
			struct span value = span_str(c->lines[k].value);
			struct http1_at at = {(uint32_t)n, (uint32_t)value.len};
			enum noted which = noted_find(span_str(c->lines[k].name));

			memcpy(text + n, value.ptr, value.len);
			n += value.len;
			if (which != NOTED_NONE)
				noted_read(&h, which, at, value);
		}
		noted_settle(&h);
		is_text(http1_span(span_of(text, n), h.host), c->host);
		is_text(http1_span(span_of(text, n), h.content_type), c->type);
		is_text(http1_span(span_of(text, n), h.trace_id), c->trace);
		is_text(http1_span(span_of(text, n), h.replay_of), c->replay);
		assert_int_equal(h.framing, c->framing);
		assert_int_equal(h.content_length, c->length);
		assert_int_equal(h.anomalies, c->anomalies);
		assert_int_equal(h.has_close, c->has_close);
		assert_int_equal(h.has_keep_alive, c->has_keep_alive);
	}
}

static void only_whole_names_are_known(void **state)
{
	static const char *const others[] = {"",	"h",	  "hosts",	   "hos",   "xontent-length",
					     "content_length", "content-typf", "b4", "x-request-ie", "transfer-encodinh",
					     "a-name-longer-than-all-of-them"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_int_equal(noted_find(span_str(others[i])), NOTED_NONE);
}

static void a_list_has_an_element_in_any_case_and_no_part_of_one(void **state)
{
	(void)state;
	assert_true(noted_has_token(span_str("HTTP/2.0, h2C ,x"), "h2c"));
	assert_true(noted_has_token(span_str("WebSocket"), "websocket"));
	assert_false(noted_has_token(span_str("h2c2,xh2c"), "h2c"));
	assert_false(noted_has_token(span_str(""), "h2c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_header_is_noted_as_its_rfc_has_it),
		cmocka_unit_test(only_whole_names_are_known),
		cmocka_unit_test(a_list_has_an_element_in_any_case_and_no_part_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
