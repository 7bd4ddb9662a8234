// SPDX-License-Identifier: Apache-2.0
/* api_world.h - a store with exchanges, the API on its own sockets, and libcurl to ask it: for
 * test_api*.c */
#pragma once

#include "http-api/api.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "store/store.h"

#include <curl/curl.h>
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define EXCHANGE_COUNT 120
#define START_NS       UINT64_C(1764000000000000000)
#define WAIT_S	       20

struct world {
	char dir[64], socket[256];
	struct store *store;
	struct api *api;
	uint64_t next_ns;
	uint64_t ids[EXCHANGE_COUNT];
	_Atomic bool is_recording;
};

static struct world world = {.dir = "/tmp/tapeloop-api.XXXXXX", .next_ns = START_NS};

/* ---- what is in the store ---- */

static UNUSED struct exchange sample(uint64_t start_ns, unsigned number)
{
	bool is_bad = number % 10 == 3;
	struct exchange x = {
		.start_ns = start_ns,
		.connection = 1 + number / 8,
		.sequence = number % 8,
		.status = is_bad ? 500 : 200,
		.protocol = PROTOCOL_HTTP1,
		.outcome = is_bad ? OUTCOME_SERVER_ERROR : OUTCOME_OK,
		.src = {.address = {[10] = 0xff, 0xff, 10, 0, 0, 1}, .is_ipv4 = true, .port = 4000},
		.dst = {.address = {[10] = 0xff, 0xff, 10, 0, 0, 2}, .is_ipv4 = true, .port = 80},
		.method = SPAN_LIT("POST"),
		.target = SPAN_LIT("/api/cart"),
		.path = SPAN_LIT("/api/cart"),
		.route = SPAN_LIT("/api/cart"),
		.host = SPAN_LIT("cart"),
		.request = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE | MESSAGE_CHUNKED,
			    .head = SPAN_LIT("POST /api/cart HTTP/1.1\r\nHost: cart\r\n"
					     "Transfer-Encoding: chunked\r\n\r\n"),
			    .body = SPAN_LIT("hello\0you"),
			    .framing = SPAN_LIT("5\r\n4\r\n0\r\n"),
			    .content_type = SPAN_LIT("application/x-thing; v=1"),
			    .body_bytes = 9,
			    .first_ns = start_ns,
			    .last_ns = start_ns + 1000,
			    .version = 11},
		.response = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			     .head = SPAN_LIT("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
			     .body = SPAN_LIT("done"),
			     .body_bytes = 4,
			     .first_ns = start_ns + 2000,
			     .last_ns = start_ns + NS_PER_MS * (number + 1),
			     .version = 11},
	};

	x.dst.who.service = number % 2 ? SPAN_LIT("cart") : SPAN_LIT("shop");
	if (number % 10 == 7) {
		x.response = (struct message){0};
		x.status = 0;
		x.outcome = OUTCOME_RESET;
		x.reason = REASON_RESET_SERVER;
	}
	return x;
}

/* Return: its id, on the tape and published. */
static UNUSED uint64_t record_one(struct world *w, unsigned number)
{
	struct exchange x = sample(w->next_ns, number);
	struct err e = {0};

	w->next_ns += NS_PER_MS;
	if (store_add(w->store, &x, &e) < 0 || store_commit(w->store, &e) < 0)
		fail_msg("%s", e.why);
	if (w->api)
		api_committed(w->api, &x.id, 1);
	return x.id;
}

static UNUSED void give_counters(void *ctx, struct counters *sum)
{
	(void)ctx;
	counter_add(sum, COUNTER_PACKETS_IN, 7);
	counter_add(sum, COUNTER_PACKETS_DATA, 6);
}

static UNUSED bool give_health(void *ctx, char *why, size_t why_bytes)
{
	struct world *w = ctx;

	if (w->is_recording)
		return true;
	(void)snprintf(why, why_bytes, "disk full");
	return false;
}

static UNUSED void give_gauges(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_add_str(out, "tapeloop_extra 1\n");
}

static UNUSED struct api_config config_of(struct world *w)
{
	return (struct api_config){
		.store_dir = w->dir,
		.socket_path = w->socket,
		.listen = "127.0.0.1:0",
		.status_listen = "127.0.0.1:0",
		.counters = give_counters,
		.health = give_health,
		.gauges = give_gauges,
		.ctx = w,
	};
}

static UNUSED int set_up(void **state)
{
	struct world *w = &world;
	struct api_config config;
	struct store_config store = store_config_default();
	struct err e = {0};

	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->socket, sizeof(w->socket), "%.63s/run/api.sock", w->dir);
	w->is_recording = true;
	if (store_open(w->dir, &store, &w->store, &e) < 0)
		fail_msg("%s", e.why);
	for (unsigned i = 0; i < EXCHANGE_COUNT; i++)
		w->ids[i] = record_one(w, i);
	config = config_of(w);
	if (api_start(&config, &w->api, &e) < 0)
		fail_msg("%s", e.why);
	*state = w;
	return 0;
}

static UNUSED int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static UNUSED int tear_down(void **state)
{
	struct world *w = *state;
	struct err e;

	api_stop(w->api);
	(void)store_close(w->store, &e);
	return nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- asking ---- */

struct reply {
	long status;
	struct buf body, head;
};

static UNUSED size_t on_bytes(char *ptr, size_t size, size_t n, void *ctx)
{
	buf_add(ctx, ptr, size * n);
	return size * n;
}

struct ask {
	const char *path, *method, *header;
	bool by_tcp;
	bool by_status; /* the listener for anybody */
};

static UNUSED CURL *new_client(struct world *w, const struct ask *a, struct curl_slist **headers)
{
	CURL *c = curl_easy_init();
	AUTO_BUF url = {0};

	assert_non_null(c);
	buf_add_fmt(&url, "http://%s%s",
		    a->by_tcp      ? api_address(w->api)
		    : a->by_status ? api_status_address(w->api)
				   : "localhost",
		    a->path);
	*headers = a->header ? curl_slist_append(NULL, a->header) : NULL;
	assert_int_equal(curl_easy_setopt(c, CURLOPT_URL, buf_cstr(&url)), CURLE_OK);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	if (!a->by_tcp && !a->by_status)
		(void)curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, w->socket);
	if (a->method && strcmp(a->method, "HEAD") == 0)
		(void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else if (a->method)
		(void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, a->method);
	return c;
}

static UNUSED void ask(struct world *w, struct ask a, struct reply *r)
{
	struct curl_slist *headers;
	CURL *c = new_client(w, &a, &headers);
	CURLcode result;

	*r = (struct reply){0};
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &r->body);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, &r->head);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)WAIT_S);
	result = curl_easy_perform(c);
	if (result != CURLE_OK)
		fail_msg("%s: %s", a.path, curl_easy_strerror(result));
	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
	(void)buf_cstr(&r->body);
	(void)buf_cstr(&r->head);
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
}

static UNUSED void forget(struct reply *r)
{
	buf_fini(&r->body);
	buf_fini(&r->head);
}

static UNUSED const char *text_of(const struct buf *b)
{
	return b->ptr ? (const char *)b->ptr : "";
}

static UNUSED json_t *get_json(struct world *w, const char *path)
{
	struct reply r;
	json_error_t why;
	json_t *j;

	ask(w, (struct ask){.path = path}, &r);
	if (r.status != 200)
		fail_msg("%s: %ld %s", path, r.status, text_of(&r.body));
	j = json_loadb(text_of(&r.body), r.body.len, JSON_ALLOW_NUL, &why);
	if (!j)
		fail_msg("%s: %s", path, why.text);
	forget(&r);
	return j;
}
