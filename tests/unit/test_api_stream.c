// SPDX-License-Identifier: Apache-2.0
/* The stream of the API: what is recorded is sent, what is lost is said, and a stop ends it. */
#include "tests/unit/api_world.h"

#include <pthread.h>

/* ---- the stream ---- */

struct listener {
	struct world *w;
	struct ask ask;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct buf text;
	bool is_done;
	_Atomic bool has_ended;
	CURLcode result;
};

static size_t on_event(char *ptr, size_t size, size_t n, void *ctx)
{
	struct listener *l = ctx;
	bool is_done;

	(void)pthread_mutex_lock(&l->lock);
	buf_add(&l->text, ptr, size * n);
	is_done = l->is_done;
	(void)pthread_cond_signal(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
	return is_done ? 0 : size * n;
}

static void *listen_to_stream(void *arg)
{
	struct listener *l = arg;
	struct curl_slist *headers;
	CURL *c = new_client(l->w, &l->ask, &headers);

	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_event);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, l);
	l->result = curl_easy_perform(c);
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	(void)pthread_mutex_lock(&l->lock);
	l->has_ended = true;
	(void)pthread_cond_signal(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* Wait until the stream said @what; fails after a while. */
static void wait_for(struct listener *l, const char *what)
{
	struct timespec until;
	bool is_there = false;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	(void)pthread_mutex_lock(&l->lock);
	while (!(is_there = strstr(buf_cstr(&l->text), what)) && !l->has_ended)
		if (pthread_cond_timedwait(&l->changed, &l->lock, &until) == ETIMEDOUT)
			break;
	(void)pthread_mutex_unlock(&l->lock);
	if (!is_there)
		fail_msg("the stream never said %s, but: %s", what, buf_cstr(&l->text));
}

static void start_listening(struct listener *l, struct world *w, struct ask a)
{
	*l = (struct listener){.w = w, .ask = a};
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_cond_init(&l->changed, NULL);
	assert_int_equal(pthread_create(&l->thread, NULL, listen_to_stream, l), 0);
	wait_for(l, "retry: "); /* it is followed from here on */
}

/* Hang up at the next event, which the caller makes happen. */
static void stop_listening(struct listener *l)
{
	(void)pthread_mutex_lock(&l->lock);
	l->is_done = true;
	(void)pthread_mutex_unlock(&l->lock);
	while (!l->has_ended) {
		(void)record_one(l->w, 3);
		(void)usleep(1000);
	}
	(void)pthread_join(l->thread, NULL);
	buf_fini(&l->text);
}

static void expect_event(struct listener *l, uint64_t id)
{
	char text[ID_TEXT_LEN + 1];
	AUTO_BUF want = {0};

	buf_add_fmt(&want, "id: %s\nevent: exchange\ndata: {", id_format(id, text));
	wait_for(l, buf_cstr(&want));
}

static void the_stream_sends_what_is_recorded_and_fits(void **state)
{
	struct world *w = *state;
	struct listener all, failed;
	uint64_t good, bad;
	char id[ID_TEXT_LEN + 1];

	start_listening(&all, w, (struct ask){.path = "/api/v1/stream"});
	start_listening(&failed, w,
			(struct ask){.path = "/api/v1/stream?filter=5xx", .by_tcp = true});
	good = record_one(w, 0);
	bad = record_one(w, 3);
	expect_event(&all, good);
	expect_event(&all, bad);
	expect_event(&failed, bad);
	(void)pthread_mutex_lock(&failed.lock);
	assert_null(strstr(buf_cstr(&failed.text), id_format(good, id)));
	(void)pthread_mutex_unlock(&failed.lock);
	stop_listening(&failed);
	stop_listening(&all);
}

static void a_client_that_comes_back_goes_on_where_it_was(void **state)
{
	struct world *w = *state;
	uint64_t first = record_one(w, 0), second = record_one(w, 1), third = record_one(w, 2);
	char id[ID_TEXT_LEN + 1], header[64];
	struct listener l;

	(void)snprintf(header, sizeof(header), "Last-Event-ID: %s", id_format(first, id));
	start_listening(&l, w, (struct ask){.path = "/api/v1/stream", .header = header});
	expect_event(&l, second);
	expect_event(&l, third);
	stop_listening(&l);
	start_listening(
		&l, w,
		(struct ask){.path = "/api/v1/stream", .header = "Last-Event-ID: 0000000000001"});
	wait_for(&l, "event: lost\ndata: {\"count\":null,\"after\":\"0000000000001\"}");
	stop_listening(&l);
}

static void who_is_too_slow_is_told_how_many_it_lost(void **state)
{
	struct world *w = *state;
	uint64_t gone[64];
	struct listener l;

	for (size_t i = 0; i < COUNT_OF(gone); i++)
		gone[i] = 1 + i; /* ids that no tape has: as if retired before they were read */
	start_listening(&l, w, (struct ask){.path = "/api/v1/stream"});
	api_committed(w->api, gone, COUNT_OF(gone));
	wait_for(&l, "event: lost\ndata: {\"count\":");
	stop_listening(&l);
}

/* Who has hung up is noticed at the next write. */
static void wait_until_nobody_listens(struct world *w)
{
	bool is_empty = false;

	for (int i = 0; i < WAIT_S * 100 && !is_empty; i++) {
		struct reply r;

		(void)record_one(w, 0);
		(void)usleep(10000);
		ask(w, (struct ask){.path = "/metrics"}, &r);
		is_empty = strstr(text_of(&r.body), "\ntapeloop_stream_clients 0\n");
		forget(&r);
	}
	assert_true(is_empty);
}

static void only_so_many_may_follow(void **state)
{
	struct world *w = *state;
	static struct listener l[32];
	struct reply r;

	wait_until_nobody_listens(w);
	for (size_t i = 0; i < COUNT_OF(l); i++)
		start_listening(&l[i], w, (struct ask){.path = "/api/v1/stream", .by_tcp = i % 2});
	ask(w, (struct ask){.path = "/api/v1/stream"}, &r);
	assert_int_equal(r.status, 503);
	forget(&r);
	for (size_t i = 0; i < COUNT_OF(l); i++)
		stop_listening(&l[i]);
	wait_until_nobody_listens(w);
}

static void a_stop_ends_the_streams_and_removes_the_socket(void **state)
{
	struct world *w = *state;
	struct api_config config = config_of(w);
	struct listener l;
	struct stat st;
	struct err e;

	assert_int_equal(stat(w->socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	start_listening(&l, w, (struct ask){.path = "/api/v1/stream"});
	api_stop(w->api);
	(void)pthread_join(l.thread, NULL);
	assert_int_equal(l.result, CURLE_OK); /* ended in order, not cut */
	buf_fini(&l.text);
	assert_int_equal(stat(w->socket, &st), -1);
	w->api = NULL;
	if (api_start(&config, &w->api, &e) < 0)
		fail_msg("%s", e.why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stream_sends_what_is_recorded_and_fits),
		cmocka_unit_test(a_client_that_comes_back_goes_on_where_it_was),
		cmocka_unit_test(who_is_too_slow_is_told_how_many_it_lost),
		cmocka_unit_test(only_so_many_may_follow),
		cmocka_unit_test(a_stop_ends_the_streams_and_removes_the_socket),
	};
	int failed;

	(void)curl_global_init(CURL_GLOBAL_ALL);
	failed = cmocka_run_group_tests(tests, set_up, tear_down);
	curl_global_cleanup();
	return failed;
}
