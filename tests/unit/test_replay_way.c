// SPDX-License-Identifier: Apache-2.0
/* replay/target.h: targets whose connections somebody else makes, and who stands behind a target */
#include "replay/replay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "replay_kit.h"

/* ---- a way that does as told ---- */

enum deed { SERVES, IS_UNREACHABLE, REFUSES, CANNOT_OPEN };

struct fake_line {
	int error;
	const char *why;
};

struct fake_way {
	struct target_way way;
	struct kit_server server; /* only its answers and its log */
	enum deed deeds[4];	  /* of the connections, in order; the last for all others */
	unsigned opened, closed, workers;
	pthread_t threads[4];
};

static void serve(struct fake_way *f, int fd)
{
	struct kit_worker *w = malloc(sizeof(*w));

	assert_non_null(w);
	*w = (struct kit_worker){&f->server, fd};
	assert_int_equal(pthread_create(&f->threads[f->workers++], NULL, kit_work, w), 0);
}

static int way_open(void *ctx, void **line_out)
{
	struct fake_way *f = ctx;
	enum deed deed = f->deeds[MIN(f->opened, 3U)];
	struct fake_line *line;
	int pair[2];

	f->opened++;
	if (deed == CANNOT_OPEN)
		return -EMFILE;
	line = calloc(1, sizeof(*line));
	assert_non_null(line);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	if (deed != IS_UNREACHABLE)
		assert_int_equal(write(pair[1], "", 1), 1);
	*line = deed == SERVES ? (struct fake_line){0}
		: deed == REFUSES ? (struct fake_line){-ECONNREFUSED, "pod a: nobody listens"}
				  : (struct fake_line){-EHOSTUNREACH, "pod a: gone"};
	if (deed == SERVES)
		serve(f, pair[1]);
	else
		(void)close(pair[1]);
	*line_out = line;
	return pair[0];
}

static int way_why(void *line, const char **detail_out)
{
	const struct fake_line *l = line;

	*detail_out = l->why;
	return l->error;
}

static unsigned closed_lines;

static void way_close(void *line)
{
	closed_lines++;
	free(line);
}

static bool answer_ok(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)request;
	(void)nth;
	kit_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	return true;
}

#define OK_HEAD "Content-Length: 2\r\n"

static const struct kit_exchange on_three_connections[] = {
	{.id = 1, .connection = 1, .method = "GET", .target = "/a", .status = 200, .headers = OK_HEAD, .body = "ok"},
	{.id = 2, .connection = 2, .method = "GET", .target = "/b", .status = 200, .headers = OK_HEAD, .body = "ok"},
	{.id = 3, .connection = 3, .method = "GET", .target = "/c", .status = 200, .headers = OK_HEAD, .body = "ok"},
};

static const struct {
	const char *name;
	enum deed deeds[4];
	int result;
	const char *why; /* part of the error */
	unsigned misses[3];
} cases[] = {
	{"all are served", {SERVES, SERVES, SERVES, SERVES}, 0, "", {MISS_NONE, MISS_NONE, MISS_NONE}},
	{"the first look finds nobody", {IS_UNREACHABLE}, -EHOSTUNREACH, "cannot be reached: pod a: gone", {0}},
	{"the first look is refused a moment later", {REFUSES}, -ECONNREFUSED, "cannot be reached: pod a: nobody listens", {0}},
	{"the first look cannot be taken", {CANNOT_OPEN}, -EMFILE, "cannot be reached: Too many open files", {0}},
	{"others are refused", {SERVES, REFUSES, REFUSES, REFUSES}, 0, "", {MISS_NONE, MISS_REFUSED, MISS_REFUSED}},
	{"others are gone", {SERVES, IS_UNREACHABLE, IS_UNREACHABLE, IS_UNREACHABLE}, 0, "", {MISS_NONE, MISS_UNREACHABLE, MISS_UNREACHABLE}},
	{"what was not sent goes again", {SERVES, REFUSES, SERVES, SERVES}, 0, "", {MISS_NONE, MISS_NONE, MISS_NONE}},
	{"others cannot be opened", {SERVES, CANNOT_OPEN, SERVES, SERVES}, 0, "", {MISS_NONE, MISS_UNREACHABLE, MISS_NONE}},
};

static void a_way_makes_connections_and_tells_why_there_are_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fake_way *f = calloc(1, sizeof(*f));
		struct kit_run *k = kit_run_new(on_three_connections, 3, 1);

		assert_non_null(f);
		f->server.answer = answer_ok;
		assert_int_equal(pthread_mutex_init(&f->server.mutex, NULL), 0);
		memcpy(f->deeds, cases[i].deeds, sizeof(f->deeds));
		f->way = (struct target_way){way_open, way_why, way_close, f};
		k->config.targets.list[0].way = &f->way;
		k->config.concurrency = 1; /* connections are opened in order */
		closed_lines = 0;
		kit_play(k);
		if (k->r != cases[i].result || !strstr(k->err.why, cases[i].why))
			fail_msg("%s: %d %s", cases[i].name, k->r, k->err.why);
		assert_int_equal(k->count, cases[i].result ? 0 : 3);
		for (size_t n = 0; n < k->count; n++)
			if (k->results[n].miss != cases[i].misses[k->results[n].id - 1])
				fail_msg("%s: exchange %u: %s", cases[i].name, (unsigned)k->results[n].id,
					 miss_name(k->results[n].miss));
		for (unsigned n = 0; n < f->workers; n++)
			(void)pthread_join(f->threads[n], NULL);
		for (unsigned n = 0, lines = 0; n < f->opened; n++) {
			lines += f->deeds[MIN(n, 3U)] != CANNOT_OPEN;
			if (n + 1 == f->opened)
				assert_int_equal(closed_lines, lines); /* each once */
		}
		(void)pthread_mutex_destroy(&f->server.mutex);
		kit_run_free(k);
		free(f);
	}
}

/* ---- who stands behind a target ---- */

static void a_target_is_where_it_was_recorded_by_any_address_behind_it_or_by_its_namespace(void **state)
{
	static const struct target_place places[] = {
		{.address = {[10] = 0xff, 0xff, 10, 96, 0, 7}, .port = 8080},
		{.address = {[10] = 0xff, 0xff, 10, 9, 8, 7}, .port = 80},
	};
	struct exchange x = {.dst = {.is_ipv4 = true, .address = {[10] = 0xff, 0xff, 10, 9, 8, 7}, .port = 80}};
	struct target t = {.places = places, .place_count = 1};

	(void)state;
	assert_false(target_is_recorded(&t, &x));
	t.place_count = 2;
	assert_true(target_is_recorded(&t, &x));
	x.dst.port = 81;
	assert_false(target_is_recorded(&t, &x));
	assert_false(target_shares_namespace(&t, &x)); /* nobody knows either */
	x.dst.who.name_space = SPAN_LIT("shop");
	assert_false(target_shares_namespace(&t, &x));
	(void)snprintf(t.name_space, sizeof(t.name_space), "shop");
	assert_true(target_shares_namespace(&t, &x));
	x.dst.who.name_space = SPAN_LIT("shop-2");
	assert_false(target_shares_namespace(&t, &x));
}

static void places_for_later_are_as_many_as_targets(void **state)
{
	struct targets *t = calloc(1, sizeof(*t));
	struct err e = {0};

	(void)state;
	for (unsigned i = 0; i < TARGET_MAX; i++)
		assert_non_null(target_add_later(t, "cart", &e));
	assert_null(target_add_later(t, "cart", &e));
	assert_int_equal(e.code, -E2BIG);
	assert_int_equal(t->count, TARGET_MAX);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_way_makes_connections_and_tells_why_there_are_none),
		cmocka_unit_test(a_target_is_where_it_was_recorded_by_any_address_behind_it_or_by_its_namespace),
		cmocka_unit_test(places_for_later_are_as_many_as_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
