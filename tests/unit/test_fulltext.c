// SPDX-License-Identifier: Apache-2.0
/* With the index of texts a search gives what it gives without, and reads less. */
#include "store/filter.h"
#include "store/fulltext.h"
#include "tests/unit/store_kit.h"

#define COUNT 1500

/* Words that come in a few exchanges, some next to bytes that are no text, and one in each. */
static struct exchange worded(uint64_t i, char *room, size_t room_bytes)
{
	struct exchange x = {
		.start_ns = START + i * NS_PER_MS,
		.connection = 1,
		.status = 200,
		.protocol = PROTOCOL_HTTP1,
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/a"),
		.path = SPAN_LIT("/a"),
		.route = SPAN_LIT("/a"),
		.request = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			    .head = SPAN_LIT("GET /a HTTP/1.1\r\nX-Every: One\r\n\r\n")},
		.response = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			     .head = SPAN_LIT("HTTP/1.1 200 OK\r\n\r\n")},
	};
	int n = snprintf(room, room_bytes, "number %llu %s %s%c%c%s", (unsigned long long)i,
			 i % 400 == 7 ? "Out Of Stock" : "in store", i == 1200 ? "needle" : "hay",
			 i % 2 ? '\0' : '\xc3', i % 3 ? '\xff' : '\'', i == 300 ? "split" : "");

	x.response.body = span_of(room, (size_t)n);
	x.response.body_bytes = (uint64_t)n;
	x.request.first_ns = x.response.first_ns = x.response.last_ns = x.start_ns;
	if (i == 900)
		x.request.head = SPAN_LIT("GET /a HTTP/1.1\r\nX-Rare: Gem\r\n\r\n");
	return x;
}

static void fill(const char *dir, bool has_fulltext)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct err e = {0};
	char room[128];

	config.tape_rows = 1000; /* one sealed, one growing */
	config.has_fulltext = has_fulltext;
	s = open_store(dir, &config);
	for (uint64_t i = 0; i < COUNT; i++) {
		struct exchange x = worded(i, room, sizeof(room));

		if (store_add(s, &x, &e) < 0 || (i % 100 == 99 && store_commit(s, &e) < 0))
			fail_msg("%s", e.why);
	}
	if (store_commit(s, &e) < 0)
		fail_msg("%s", e.why);
	close_store(s);
}

struct found {
	uint64_t ids[COUNT];
	size_t count;
	uint64_t read;
};

static int note(void *ctx, const struct exchange *x)
{
	struct found *f = ctx;

	assert_true(f->count < COUNT);
	f->ids[f->count++] = x->id;
	return 0;
}

static void search(const char *dir, const char *text, bool is_reverse, uint64_t limit,
		   struct found *out)
{
	struct reader *r = open_reader(dir);
	AUTO(filter) f = NULL;
	struct query q = {.is_reverse = is_reverse, .limit = limit};
	struct err e = {0};

	if (filter_parse(span_str(text), &f, &e) < 0)
		fail_msg("%s", e.why);
	q.filter = f;
	out->count = 0;
	out->read = 0;
	do {
		if (reader_list(r, &q, note, out, &q.cursor, &e) < 0)
			fail_msg("%s: %s", text, e.why);
		out->read += reader_effort(r)->read;
	} while (q.cursor);
	reader_close(r);
}

static const struct {
	const char *filter;
	size_t count;
	bool is_narrower;
} cases[] = {
	{"text('out of stock')", 4, true},
	{"text('OUT of') && text('number 7')", 1, true},
	{"text('needle')", 1, true},
	{"text('x-rare: gem')", 1, true},
	{"text('no such thing')", 0, true},
	{"text('x-every')", COUNT - 1, false},
	{"text('split') || text('needle')", 2, false},
	{"!text('x-every')", 1, false},
	{"text('7')", 419, false},
	{"text(b'hay\\x00\\xff')", 500, false},
	{"text(b'\\xffsplit')", 0, true},
	{"status == 200 && text('needle')", 1, true},
};

static void a_search_finds_the_same_with_the_index_and_reads_less(void **state)
{
	static struct found plain, indexed, pages;
	char with[96];

	(void)snprintf(with, sizeof(with), "%s/with", (const char *)*state);
	fill(*state, false);
	fill(with, true);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		for (int is_reverse = 0; is_reverse < 2; is_reverse++) {
			search(*state, cases[i].filter, is_reverse, 0, &plain);
			search(with, cases[i].filter, is_reverse, 0, &indexed);
			search(with, cases[i].filter, is_reverse, 3, &pages);
			if (plain.count != indexed.count || pages.count != plain.count ||
			    memcmp(plain.ids, indexed.ids, plain.count * sizeof(*plain.ids)) != 0 ||
			    memcmp(plain.ids, pages.ids, plain.count * sizeof(*plain.ids)) != 0)
				fail_msg("%s: %zu without, %zu with, %zu in pages", cases[i].filter,
					 plain.count, indexed.count, pages.count);
			if (cases[i].count != 419)
				assert_int_equal(plain.count, cases[i].count);
			if (cases[i].is_narrower && indexed.read * 2 > plain.read + COUNT / 2)
				fail_msg("%s: reads %llu of %llu", cases[i].filter,
					 (unsigned long long)indexed.read,
					 (unsigned long long)plain.read);
		}
	}
}

static void an_index_is_built_once_and_survives(void **state)
{
	struct found found;
	char path[128];
	struct err e = {0};

	fill(*state, true);
	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", (const char *)*state);
	assert_int_equal(fulltext_build(path, &e), 0); /* there already */
	search(*state, "text('needle')", false, 0, &found);
	assert_int_equal(found.count, 1);
	assert_true(fulltext_build("/nonexistent.tape", &e) < 0);
	assert_true(strlen(e.why) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_search_finds_the_same_with_the_index_and_reads_less, make_directory,
			remove_directory),
		cmocka_unit_test_setup_teardown(an_index_is_built_once_and_survives, make_directory,
						remove_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
