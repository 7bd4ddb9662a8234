// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	const char *body;
	unsigned events;
} cases[] = {
	{"data: a\n\n", 1},
	{"data: a\r\n\r\ndata: b\r\n\r\n", 2},
	{"data: a\r\rdata: b\r\r", 2},
	{"data: a\n\r\n", 1},
	{"event: x\nid: 7\ndata: a\ndata: b\n\ndata", 1},
	{": keep-alive\n\n: keep-alive\n\n", 0},
	{": note\ndata: a\n\n", 1},
	{"\n\n\ndata: a\n\n\n\n", 1},
	{"data: not ended\n", 0},
	{"data\n\n", 1},
};

static unsigned count_events(const char *body, size_t step)
{
	struct sse_walker w = {0};
	struct span all = span_str(body), piece;
	unsigned events = 0;
	size_t taken = 0;

	for (size_t at = 0; at < all.len; at += step) {
		struct span bytes = span_of(all.ptr + at, MIN(step, all.len - at));

		while (bytes.len) {
			events += sse_walk(&w, &bytes, &piece);
			taken += piece.len;
		}
	}
	assert_int_equal(taken, all.len);
	return events;
}

static void events_end_with_an_empty_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (size_t step = 1; step <= 8; step++)
			assert_int_equal(count_events(cases[i].body, step), cases[i].events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_end_with_an_empty_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
