// SPDX-License-Identifier: Apache-2.0
/* The API on a temporary store: each endpoint, its refusals, its sockets. */
#include "tests/unit/api_world.h"

#include "http-api/routes.h"
#include "schema/message.h"

#include <sys/socket.h>
#include <sys/un.h>

/* ---- answers ---- */

static const struct answer_case {
	struct ask ask;
	long status;
	const char *head; /* in the head; NULL: not looked at */
	const char *body; /* in the body */
} answer_cases[] = {
	{{.path = "/healthz"}, 200, "Content-Type: application/json\r\n", "\"status\":\"ok\""},
	{{.path = "/healthz"}, 200, "Cache-Control: no-store\r\n", "\"recording\":true"},
	{{.path = "/readyz"}, 200, NULL, "\"status\":\"ready\""},
	{{.path = "/healthz", .method = "HEAD"}, 200, "Content-Length: ", ""},
	{{.path = "/healthz", .method = "POST"}, 405, "Allow: GET, HEAD\r\n", "only GET and HEAD"},
	{{.path = "/healthz", .method = "DELETE"},
	 405,
	 "application/problem+json",
	 "\"status\":405"},
	{{.path = "/"}, 404, "application/problem+json", "\"title\":\"Not Found\""},
	{{.path = "/healthz/"}, 404, NULL, "no such path"},
	{{.path = "/api/v1/exchanges//request/body"}, 404, NULL, "no such path"},
	{{.path = "/healthz?x=1"}, 400, NULL, "\"parameter\":\"x\""},
	{{.path = "/healthz?filter=cart"}, 400, NULL, "there are: none"},
	{{.path = "/api/v1/exchanges?part=summary&part=exact"}, 400, NULL, "given twice"},
	{{.path = "/api/v1/exchanges?part=all"}, 400, NULL, "\"parameter\":\"part\""},
	{{.path = "/api/v1/exchanges?order=up"}, 400, NULL, "it is desc, or asc"},
	{{.path = "/api/v1/exchanges?limit=0"}, 400, NULL, "from 1 to 1000"},
	{{.path = "/api/v1/exchanges?limit=1001"}, 400, NULL, "\"parameter\":\"limit\""},
	{{.path = "/api/v1/exchanges?limit=99999999999999999999999"}, 400, NULL, "\"limit\""},
	{{.path = "/api/v1/exchanges?limit="}, 400, NULL, "\"limit\""},
	{{.path = "/api/v1/exchanges?limit=5x"}, 400, NULL, "\"limit\""},
	{{.path = "/api/v1/exchanges?since=yesterday"}, 400, NULL, "\"parameter\":\"since\""},
	{{.path = "/api/v1/exchanges?until="}, 400, NULL, "\"parameter\":\"until\""},
	{{.path = "/api/v1/exchanges?cursor=ABC"}, 400, NULL, "\"parameter\":\"cursor\""},
	{{.path = "/api/v1/exchanges?filter=%zz"}, 400, NULL, "two hexadecimal digits"},
	{{.path = "/api/v1/exchanges?filter=%4"}, 400, NULL, "two hexadecimal digits"},
	{{.path = "/api/v1/exchanges?filter=status+%3D+500"},
	 400,
	 NULL,
	 "column 8: 'equals' is written =="},
	{{.path = "/api/v1/exchanges?filter=%00"}, 400, NULL, "\"parameter\":\"filter\""},
	{{.path = "/api/v1/exchanges/U"}, 400, NULL, "\"parameter\":\"id\""},
	{{.path = "/api/v1/exchanges/0000000000001"}, 404, NULL, "\"parameter\":\"id\""},
	{{.path = "/api/v1/failures?order=asc"},
	 400,
	 NULL,
	 "there are: filter, namespace, since, until, new_since, limit"},
	{{.path = "/api/v1/stream", .method = "HEAD"},
	 200,
	 "Content-Type: text/event-stream\r\n",
	 ""},
	{{.path = "/api/v1/stream?filter=status"}, 400, NULL, "alone is no condition"},
	{{.path = "/metrics"}, 200, "text/plain; version=0.0.4", "tapeloop_packets_read_total 7\n"},
	{{.path = "/metrics"}, 200, NULL, "\ntapeloop_packets_total{reason=\"data\"} 6\n"},
	{{.path = "/metrics"}, 200, NULL, "\ntapeloop_account_balance{account=\"packets\"} 1\n"},
	{{.path = "/metrics"}, 200, NULL, "\n# TYPE tapeloop_requests_open gauge\n"},
	{{.path = "/metrics"}, 200, NULL, "\ntapeloop_recording 1\n"},
	{{.path = "/metrics"}, 200, NULL, "\ntapeloop_extra 1\n"},
	{{.path = "/healthz", .by_tcp = true}, 200, NULL, "\"ok\""},
	{{.path = "/healthz", .by_tcp = true, .header = "Host: LOCALHOST:80"}, 200, NULL, "\"ok\""},
	{{.path = "/healthz", .by_tcp = true, .header = "Host: [::1]"}, 200, NULL, "\"ok\""},
	{{.path = "/healthz", .by_tcp = true, .header = "Host: evil.example"},
	 421,
	 NULL,
	 "Host must be"},
	{{.path = "/healthz", .by_tcp = true, .header = "Host: localhost.evil.example"},
	 421,
	 NULL,
	 "Host"},
	{{.path = "/healthz", .by_tcp = true, .header = "Host: 127.0.0.1:80@evil"},
	 421,
	 NULL,
	 "Host"},
	{{.path = "/healthz", .by_tcp = true, .header = "Host:"}, 421, NULL, "Host must be"},
	{{.path = "/healthz", .header = "Host: evil.example"}, 200, NULL, "\"ok\""},
};

static void each_request_has_its_answer(void **state)
{
	for (size_t i = 0; i < COUNT_OF(answer_cases); i++) {
		const struct answer_case *c = &answer_cases[i];
		struct reply r;

		ask(*state, c->ask, &r);
		if (r.status != c->status || (c->head && !strstr(text_of(&r.head), c->head)) ||
		    !strstr(text_of(&r.body), c->body))
			fail_msg("%s %s: want %ld '%s' '%s', got %s%s", c->ask.path,
				 c->ask.header ? c->ask.header : "", c->status,
				 c->head ? c->head : "", c->body, text_of(&r.head),
				 text_of(&r.body));
		if (c->ask.method && strcmp(c->ask.method, "HEAD") == 0)
			assert_int_equal(r.body.len, 0);
		forget(&r);
	}
}

static void a_url_that_is_too_long_is_refused(void **state)
{
	AUTO_BUF path = {0};
	struct reply r;

	buf_add_str(&path, "/api/v1/exchanges?filter=");
	while (path.len < 7900)
		buf_add_char(&path, 'a');
	ask(*state, (struct ask){.path = buf_cstr(&path)}, &r);
	assert_int_equal(r.status, 200); /* a service of that name: nothing */
	forget(&r);
	while (path.len < 8100)
		buf_add_char(&path, 'a');
	ask(*state, (struct ask){.path = buf_cstr(&path)}, &r);
	assert_int_equal(r.status, 414);
	assert_non_null(strstr(text_of(&r.body), "longer than 8000 bytes"));
	forget(&r);
	while (path.len < 40000)
		buf_add_char(&path, 'a');
	ask(*state, (struct ask){.path = buf_cstr(&path)}, &r);
	assert_int_equal(r.status, 414); /* of libmicrohttpd: more than a connection's memory */
	forget(&r);
}

static void health_says_why_recording_has_stopped(void **state)
{
	struct world *w = *state;
	struct reply r;

	w->is_recording = false;
	ask(w, (struct ask){.path = "/healthz"}, &r);
	w->is_recording = true;
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(text_of(&r.body), "\"status\":\"stopped\""));
	assert_non_null(strstr(text_of(&r.body), "\"why\":\"disk full\""));
	forget(&r);
}

static void every_metric_has_help_and_type_before_it(void **state)
{
	struct reply r;
	char *save = NULL, typed[128] = "";
	unsigned samples = 0;

	ask(*state, (struct ask){.path = "/metrics"}, &r);
	for (char *l = strtok_r((char *)r.body.ptr, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save)) {
		size_t n = strcspn(l, "{ ");

		if (sscanf(l, "# TYPE %127s", typed) == 1 || l[0] == '#' ||
		    strncmp(l, "tapeloop_extra", n) == 0)
			continue;
		if (strlen(typed) != n || strncmp(typed, l, n) != 0)
			fail_msg("%s stands behind the type of %s", l, typed);
		samples++;
	}
	assert_true(samples >= COUNTER_COUNT);
	forget(&r);
}

/* ---- exchanges ---- */

static const char *id_in(const json_t *exchange)
{
	return json_string_value(json_object_get(exchange, "id"));
}

static void a_page_is_newest_first_and_50_long(void **state)
{
	struct world *w = *state;
	json_t *j = get_json(w, "/api/v1/exchanges"), *list = json_object_get(j, "exchanges");
	char id[ID_TEXT_LEN + 1];

	assert_int_equal(json_array_size(list), 50);
	assert_string_equal(id_in(json_array_get(list, 0)),
			    id_format(w->ids[EXCHANGE_COUNT - 1], id));
	assert_string_equal(json_string_value(json_object_get(j, "next_cursor")),
			    id_in(json_array_get(list, 49)));
	json_decref(j);
}

/* all pages of a query; Return: how many exchanges, each checked to follow the one before */
static size_t walk_pages(struct world *w, const char *query, bool is_ascending)
{
	char path[512], cursor[32] = "", last[32] = "";
	size_t count = 0;

	do {
		json_t *j, *list;

		(void)snprintf(path, sizeof(path), "/api/v1/exchanges?%s%s%s", query,
			       cursor[0] ? "&cursor=" : "", cursor);
		j = get_json(w, path);
		list = json_object_get(j, "exchanges");
		for (size_t i = 0; i < json_array_size(list); i++, count++) {
			const char *id = id_in(json_array_get(list, i));

			assert_true(!last[0] || (strcmp(id, last) > 0) == is_ascending);
			(void)snprintf(last, sizeof(last), "%s", id);
		}
		cursor[0] = '\0';
		if (json_is_string(json_object_get(j, "next_cursor")))
			(void)snprintf(cursor, sizeof(cursor), "%s",
				       json_string_value(json_object_get(j, "next_cursor")));
		json_decref(j);
	} while (cursor[0]);
	return count;
}

static void pages_join_in_both_orders(void **state)
{
	struct world *w = *state;

	assert_int_equal(walk_pages(w, "limit=7", false), EXCHANGE_COUNT);
	assert_int_equal(walk_pages(w, "limit=7&order=asc&part=exact", true), EXCHANGE_COUNT);
	assert_int_equal(walk_pages(w, "limit=1000", false), EXCHANGE_COUNT);
	assert_int_equal(walk_pages(w, "limit=5&filter=failed()", false), 24);
	assert_int_equal(walk_pages(w, "limit=5&filter=failed(%22reset%22)", false), 12);
	assert_int_equal(walk_pages(w,
				    "limit=3&filter=dst.service+%3D%3D+%22shop%22+%26%26+failed()",
				    false),
			 0);
	assert_int_equal(walk_pages(w, "limit=3&filter=cart", false), EXCHANGE_COUNT / 2);
}

static void times_bound_a_page(void **state)
{
	struct world *w = *state;
	AUTO_BUF query = {0};

	buf_add_str(&query, "since=");
	clock_format_utc(&query, START_NS + 10 * NS_PER_MS);
	buf_add_str(&query, "&until=");
	clock_format_utc(&query, START_NS + 20 * NS_PER_MS);
	assert_int_equal(walk_pages(w, buf_cstr(&query), false), 10);
	assert_int_equal(walk_pages(w, "since=1m", false), 0); /* all of it is long ago */
	assert_int_equal(walk_pages(w, "until=1m", false), EXCHANGE_COUNT);
}

static void ndjson_is_one_exchange_a_line(void **state)
{
	struct world *w = *state;
	struct reply r;
	size_t lines = 0;
	char *save = NULL;

	ask(w,
	    (struct ask){.path = "/api/v1/exchanges?limit=10",
			 .header = "Accept: application/x-ndjson"},
	    &r);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(text_of(&r.head), "Content-Type: application/x-ndjson\r\n"));
	assert_non_null(strstr(text_of(&r.head), "Tapeloop-Next-Cursor: "));
	for (char *l = strtok_r((char *)r.body.ptr, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save), lines++) {
		json_t *j = json_loads(l, 0, NULL);

		assert_non_null(id_in(j));
		json_decref(j);
	}
	assert_int_equal(lines, 10);
	forget(&r);
}

static void one_exchange_is_found_by_its_ending(void **state)
{
	struct world *w = *state;
	char id[ID_TEXT_LEN + 1], path[128];
	json_t *j;
	struct reply r;

	(void)id_format(w->ids[5], id);
	(void)snprintf(path, sizeof(path), "/api/v1/exchanges/%s?part=messages", id + 7);
	j = get_json(w, path);
	assert_string_equal(id_in(j), id);
	assert_non_null(json_object_get(json_object_get(j, "request"), "headers"));
	json_decref(j);
	/* START_NS + n ms: all ids have an even last letter or so; one letter is never unique here
	 */
	(void)snprintf(path, sizeof(path), "/api/v1/exchanges/%s", id + ID_TEXT_LEN - 1);
	ask(w, (struct ask){.path = path}, &r);
	assert_int_equal(r.status, 409);
	assert_non_null(strstr(text_of(&r.body), "\"parameter\":\"id\""));
	forget(&r);
}

static void ask_part(struct world *w, unsigned number, const char *part, struct reply *r)
{
	char id[ID_TEXT_LEN + 1], path[128];

	(void)snprintf(path, sizeof(path), "/api/v1/exchanges/%s/%s", id_format(w->ids[number], id),
		       part);
	ask(w, (struct ask){.path = path}, r);
}

static void bodies_are_the_recorded_octets(void **state)
{
	struct world *w = *state;
	struct exchange x = sample(START_NS, 0);
	AUTO_BUF raw = {0};
	struct reply r;

	ask_part(w, 0, "request/body", &r);
	assert_int_equal(r.status, 200);
	assert_true(span_eq(buf_span(&r.body), x.request.body));
	assert_non_null(strstr(text_of(&r.head), "Content-Type: application/x-thing; v=1\r\n"));
	assert_non_null(strstr(text_of(&r.head), "Content-Disposition: attachment; filename="));
	assert_non_null(strstr(text_of(&r.head), "X-Content-Type-Options: nosniff"));
	forget(&r);
	ask_part(w, 0, "response/body", &r);
	assert_true(span_eq(buf_span(&r.body), x.response.body));
	assert_non_null(strstr(text_of(&r.head), "Content-Type: application/octet-stream\r\n"));
	forget(&r);
	assert_true(message_write(&x.request, &raw));
	ask_part(w, 0, "request/raw", &r);
	assert_true(span_eq(buf_span(&r.body), buf_span(&raw)));
	assert_null(strstr(text_of(&r.head), "Tapeloop-Incomplete"));
	forget(&r);
	ask_part(w, 7, "response/raw", &r);
	assert_int_equal(r.status, 404);
	assert_non_null(strstr(text_of(&r.body), "this exchange has no response"));
	forget(&r);
}

static void failures_are_grouped_and_tapes_listed(void **state)
{
	json_t *j = get_json(*state, "/api/v1/failures"), *list = json_object_get(j, "failures");

	assert_int_equal(json_array_size(list), 2); /* 500 and reset, of one service */
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "count")), 12);
	json_decref(j);
	j = get_json(*state, "/api/v1/failures?limit=1");
	assert_int_equal(json_array_size(json_object_get(j, "failures")), 1);
	json_decref(j);
	j = get_json(*state, "/api/v1/tapes");
	list = json_object_get(j, "tapes");
	assert_true(json_array_size(list) >= 1);
	assert_true(json_integer_value(json_object_get(json_array_get(list, 0), "rows")) > 0);
	json_decref(j);
	j = get_json(*state, "/api/v1/counters");
	assert_int_equal(json_array_size(json_object_get(j, "counters")), COUNTER_COUNT);
	assert_int_equal(json_array_size(json_object_get(j, "accounts")), COUNTER_ACCOUNT_COUNT);
	json_decref(j);
}

/* ---- the description ---- */

/* names of the query parameters of an operation, references followed */
static unsigned params_of(const json_t *api, const json_t *operation)
{
	const json_t *p;
	unsigned bits = 0;
	size_t i;

	json_array_foreach(json_object_get(operation, "parameters"), i, p)
	{
		const char *ref = json_string_value(json_object_get(p, "$ref"));
		const json_t *all =
			json_object_get(json_object_get(api, "components"), "parameters");
		const json_t *found = ref ? json_object_get(all, strrchr(ref, '/') + 1) : p;
		unsigned k = 0;

		assert_non_null(found);
		if (strcmp(json_string_value(json_object_get(found, "in")), "query") != 0)
			continue;
		while (k < PARAM_COUNT && strcmp(param_rows[k].name,
						 json_string_value(json_object_get(found, "name"))))
			k++;
		assert_true(k < PARAM_COUNT);
		bits |= 1U << k;
	}
	return bits;
}

static void routes_and_openapi_agree(void **state)
{
	json_t *api = get_json(*state, "/openapi.json"), *paths = json_object_get(api, "paths");

	assert_int_equal(json_object_size(paths), route_count);
	for (size_t i = 0; i < route_count; i++) {
		const json_t *get = json_object_get(json_object_get(paths, routes[i].path), "get");

		if (!get)
			fail_msg("openapi.yaml lacks %s", routes[i].path);
		assert_string_equal(json_string_value(json_object_get(get, "summary")),
				    routes[i].what);
		if (params_of(api, get) != routes[i].params)
			fail_msg("%s: other parameters", routes[i].path);
	}
	json_decref(api);
}

static void check_references(const json_t *api, const json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	json_array_foreach(j, i, v) check_references(api, v);
	if (!json_is_object(j))
		return;
	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		char path[128], *save = NULL;
		const json_t *at = api;

		if (strcmp(key, "$ref") != 0) {
			check_references(api, v);
			continue;
		}
		(void)snprintf(path, sizeof(path), "%s", json_string_value(v) + 2);
		for (char *part = strtok_r(path, "/", &save); part;
		     part = strtok_r(NULL, "/", &save))
			at = json_object_get(at, part);
		if (!at)
			fail_msg("openapi.yaml: %s leads nowhere", json_string_value(v));
	}
}

static void references_in_openapi_lead_somewhere(void **state)
{
	json_t *api = get_json(*state, "/openapi.json");

	check_references(api, api);
	json_decref(api);
}

/* ---- start and stop ---- */

static void leave_a_stale_socket(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(fd);
}

static void sockets_in_the_way(void **state)
{
	struct world *w = *state;
	struct api_config config = config_of(w);
	struct api *other = NULL;
	char path[100];
	struct err e = {0};

	assert_int_equal(api_start(&config, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.why, "another process answers there"));
	(void)snprintf(path, sizeof(path), "%s/stale.sock", w->dir);
	leave_a_stale_socket(path);
	config.socket_path = path;
	config.listen = "";
	if (api_start(&config, &other, &e) < 0)
		fail_msg("%s", e.why);
	assert_string_equal(api_address(other), "");
	api_stop(other);
	config.socket_path = w->dir;
	assert_int_equal(api_start(&config, &other, &e), -EEXIST);
	config.socket_path = "";
	config.listen = api_address(w->api);
	assert_int_equal(api_start(&config, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.why, "Address already in use"));
}

static void only_this_machine_may_ask(void **state)
{
	static const struct {
		const char *listen, *says;
	} cases[] = {
		{"0.0.0.0:0", "only loopback addresses; others need TLS"},
		{"[::]:0", "only loopback addresses"},
		{"192.0.2.1:7700", "only loopback addresses"},
		{":7700", "write 127.0.0.1:7700"},
		{"127.0.0.1", "write 127.0.0.1:7700"},
		{"127.0.0.1:", "write 127.0.0.1:7700"},
		{"127.0.0.1:65536", "write 127.0.0.1:7700"},
		{"127.0.0.1:80x", "write 127.0.0.1:7700"},
		{"shop:80", "no address"},
		{"[127.0.0.1]:80", "no address"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct api_config config = config_of(*state);
		struct api *a = NULL;
		struct err e = {0};

		config.socket_path = "";
		config.listen = cases[i].listen;
		assert_int_equal(api_start(&config, &a, &e), -EINVAL);
		if (!strstr(e.why, cases[i].says))
			fail_msg("%s: %s", cases[i].listen, e.why);
	}
}

static void anybody_may_ask_how_it_is_and_nothing_else(void **state)
{
	static const struct {
		struct ask ask;
		long status;
	} cases[] = {
		{{.path = "/healthz", .by_status = true, .header = "Host: 10.77.0.3:7701"}, 200},
		{{.path = "/readyz", .by_status = true, .header = "Host: node-1"}, 200},
		{{.path = "/metrics", .by_status = true}, 200},
		{{.path = "/api/v1/exchanges", .by_status = true}, 404},
		{{.path = "/api/v1/stream", .by_status = true}, 404},
		{{.path = "/api/v1/counters", .by_status = true}, 404},
		{{.path = "/healthz", .by_status = true, .method = "POST"}, 405},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct reply r;

		ask(*state, cases[i].ask, &r);
		if (r.status != cases[i].status)
			fail_msg("%s: %ld", cases[i].ask.path, r.status);
		forget(&r);
	}
}

static void the_listener_for_anybody_takes_all_addresses(void **state)
{
	struct api_config config = config_of(*state);
	struct api *a = NULL;
	struct err e = {0};

	config.socket_path = config.listen = "";
	config.status_listen = ":0";
	if (api_start(&config, &a, &e) < 0)
		fail_msg("%s", e.why);
	assert_true(strncmp(api_status_address(a), "[::]:", 5) == 0 ||
		    strncmp(api_status_address(a), "0.0.0.0:", 8) == 0);
	api_stop(TAKE(a));
	config.status_listen = "here";
	assert_int_equal(api_start(&config, &a, &e), -EINVAL);
	assert_non_null(strstr(e.why, "api.status_listen here: write 127.0.0.1:7700"));
}

static void a_question_that_takes_too_long_is_given_up(void **state)
{
	struct world other = **(struct world **)state;
	struct api_config config;
	struct err e = {0};
	struct reply r;

	for (unsigned i = 0; i < 5000;
	     i++) { /* the clock is looked at every so many steps of SQL */
		struct exchange x = sample(START_NS + NS_PER_S + i, i);

		assert_int_equal(store_add(other.store, &x, &e), 0);
	}
	assert_int_equal(store_commit(other.store, &e), 0);
	(void)snprintf(other.socket, sizeof(other.socket), "%.63s/slow.sock", other.dir);
	other.api = NULL;
	config = config_of(&other);
	config.listen = "";
	config.query_limit_ns = 1;
	if (api_start(&config, &other.api, &e) < 0)
		fail_msg("%s", e.why);
	ask(&other,
	    (struct ask){.path = "/api/v1/exchanges?filter=response.body.contains(%22no%22)"}, &r);
	assert_int_equal(r.status, 504);
	assert_non_null(strstr(text_of(&r.head), "application/problem+json"));
	forget(&r);
	/* and the reader that gave up serves the next one */
	ask(&other, (struct ask){.path = "/healthz"}, &r);
	assert_int_equal(r.status, 200);
	forget(&r);
	api_stop(other.api);
}

static void without_a_store_it_is_alive_but_not_ready(void **state)
{
	struct world other = **(struct world **)state;
	struct api_config config;
	struct err e = {0};
	struct reply r;

	(void)snprintf(other.socket, sizeof(other.socket), "%s/none.sock", other.dir);
	other.api = NULL;
	config = config_of(&other);
	config.store_dir = "/nonexistent/tapes";
	config.listen = "";
	if (api_start(&config, &other.api, &e) < 0)
		fail_msg("%s", e.why);
	ask(&other, (struct ask){.path = "/healthz"}, &r);
	assert_int_equal(r.status, 200);
	forget(&r);
	ask(&other, (struct ask){.path = "/readyz"}, &r);
	assert_int_equal(r.status, 503);
	forget(&r);
	ask(&other, (struct ask){.path = "/api/v1/exchanges"}, &r);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(text_of(&r.body), "/nonexistent/tapes"));
	forget(&r);
	api_stop(other.api);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_has_its_answer),
		cmocka_unit_test(a_url_that_is_too_long_is_refused),
		cmocka_unit_test(health_says_why_recording_has_stopped),
		cmocka_unit_test(every_metric_has_help_and_type_before_it),
		cmocka_unit_test(a_page_is_newest_first_and_50_long),
		cmocka_unit_test(pages_join_in_both_orders),
		cmocka_unit_test(times_bound_a_page),
		cmocka_unit_test(ndjson_is_one_exchange_a_line),
		cmocka_unit_test(one_exchange_is_found_by_its_ending),
		cmocka_unit_test(bodies_are_the_recorded_octets),
		cmocka_unit_test(failures_are_grouped_and_tapes_listed),
		cmocka_unit_test(routes_and_openapi_agree),
		cmocka_unit_test(references_in_openapi_lead_somewhere),
		cmocka_unit_test(sockets_in_the_way),
		cmocka_unit_test(only_this_machine_may_ask),
		cmocka_unit_test(anybody_may_ask_how_it_is_and_nothing_else),
		cmocka_unit_test(the_listener_for_anybody_takes_all_addresses),
		cmocka_unit_test(without_a_store_it_is_alive_but_not_ready),
		cmocka_unit_test(a_question_that_takes_too_long_is_given_up),
	};
	int failed;

	(void)curl_global_init(CURL_GLOBAL_ALL);
	failed = cmocka_run_group_tests(tests, set_up, tear_down);
	curl_global_cleanup();
	return failed;
}
