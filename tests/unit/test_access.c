// SPDX-License-Identifier: Apache-2.0
/*
 * Who may ask over TCP, and what they see. The proof that nothing of others shows: two stores, one with
 * everything and one with what a user may see and nothing else, give that user the same answers.
 */
#include "tests/unit/api_world.h"

#include "http-api/answers.h"
#include "http-api/kube_access.h"
#include "http-api/namespaces.h"
#include "lib/log.h"
#include "tests/unit/random_filter.h"

#define FILTER_COUNT 100
#define ROWS	     180
#define MINE	     "Authorization: Bearer of-a"

/* ---- an API server ---- */

/* TOKEN "of-NAMES": a user who may see each namespace whose letter is in NAMES; '*' all */
struct cluster {
	unsigned tokens, accesses;
	bool is_away;
};

static int review_token(void *ctx, struct span token, struct review_user **out, struct err *e)
{
	struct cluster *c = ctx;
	struct review_user *u;

	c->tokens++;
	if (c->is_away)
		return err_set(e, -EAGAIN, "the API server does not answer");
	if (!span_istarts(token, SPAN_LIT("of-")))
		return err_set(e, -EACCES, "bad");
	u = calloc(1, sizeof(*u));
	assert_non_null(u);
	u->refs = 1;
	u->name = strndup((const char *)token.ptr, token.len);
	u->spec = strdup("");
	*out = u;
	return 0;
}

static int review_access(void *ctx, const struct review_user *u, const struct review_question *q,
			 struct err *e)
{
	struct cluster *c = ctx;
	const char *names = u->name + 3;

	c->accesses++;
	if (c->is_away)
		return err_set(e, -EAGAIN, "the API server does not answer");
	if (q->path)
		return strchr(names, 'M') != NULL;
	if (!*q->name_space)
		return strchr(names, '*') != NULL;
	return strlen(q->name_space) == 1 && strchr(names, *q->name_space) != NULL;
}

static struct reviewer reviewer_of(struct cluster *c)
{
	return (struct reviewer){.token = review_token, .access = review_access, .ctx = c};
}

/* ---- two stores ---- */

struct pair {
	struct world all, mine;
	CURL *clients[2]; /* of all, of mine: their connections are used again */
	struct cluster cluster;
	struct random_source random;
	uint64_t own[ROWS], others[ROWS]; /* ids */
	size_t own_count, other_count;
};

static const char *const ends[] = {"a", "b", "c", ""};

static void name_end(struct random_source *r, struct endpoint *end)
{
	const char *ns = RANDOM_PICK(r, ends);

	end->who.name_space = span_str(ns);
	end->who.pod = span_str(*ns == 'a' ? "pod-a" : *ns == 'b' ? "pod-b" : "pod");
	end->who.service = span_str(*ns == 'b' ? "secret" : "cart");
}

static struct exchange random_exchange(struct random_source *r, unsigned number)
{
	struct exchange x = sample(START_NS + number * 700 * NS_PER_MS, number);

	name_end(r, &x.src);
	name_end(r, &x.dst);
	if (random_below(r, 3) == 0) { /* a regular expression gives up on it */
		x.path = x.target = x.route = SPAN_LIT("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
		if (span_eq(x.src.who.name_space, SPAN_LIT("a")) ||
		    span_eq(x.dst.who.name_space, SPAN_LIT("a")))
			x.path = x.target = x.route = SPAN_LIT("/api/cart/7?a=b");
	}
	x.request.body = random_below(r, 2) ? SPAN_LIT("{\"n\": 2, \"list\": [7]}")
					    : SPAN_LIT("out of stock");
	x.request.framing = (struct span){0};
	x.request.body_bytes = x.request.body.len;
	return x;
}

static bool is_mine(const struct exchange *x)
{
	return span_eq(x->src.who.name_space, SPAN_LIT("a")) ||
	       span_eq(x->dst.who.name_space, SPAN_LIT("a"));
}

static void open_world(struct world *w)
{
	struct store_config config = store_config_default();
	struct err e = {0};

	*w = (struct world){.dir = "/tmp/tapeloop-access.XXXXXX", .is_recording = true};
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->socket, sizeof(w->socket), "%.63s/api.sock", w->dir);
	config.tape_rows = 50; /* sealed ones too */
	if (store_open(w->dir, &config, &w->store, &e) < 0)
		fail_msg("%s", e.why);
}

static void add(struct world *w, struct exchange x, uint64_t *id_out)
{
	struct err e = {0};

	if (store_add(w->store, &x, &e) < 0)
		fail_msg("%s", e.why);
	*id_out = x.id;
}

static void start(struct world *w, struct cluster *c)
{
	struct reviewer reviewer = reviewer_of(c);
	struct api_config config = config_of(w);
	struct err e = {0};

	if (store_commit(w->store, &e) < 0)
		fail_msg("%s", e.why);
	config.auth = API_AUTH_KUBERNETES;
	config.reviewer = &reviewer;
	config.tls_cert = "self-signed";
	config.access_keep_ns = 3600 * NS_PER_S;
	if (api_start(&config, &w->api, &e) < 0)
		fail_msg("%s", e.why);
}

static void fill(struct pair *p)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct exchange x = random_exchange(&p->random, i);
		uint64_t id, same;

		add(&p->all, x, &id);
		if (is_mine(&x)) {
			add(&p->mine, x, &same);
			assert_int_equal(id, same);
			p->own[p->own_count++] = id;
		} else {
			p->others[p->other_count++] = id;
		}
	}
	assert_true(p->own_count > 50 && p->other_count > 50);
}

static int set_up_pair(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	const char *seed = getenv("TAPELOOP_SEED");

	p->random.state = seed ? strtoull(seed, NULL, 0) : clock_wall_ns() | 1;
	print_message("TAPELOOP_SEED=%llu\n", (unsigned long long)p->random.state);
	open_world(&p->all);
	open_world(&p->mine);
	fill(p);
	start(&p->all, &p->cluster);
	start(&p->mine, &p->cluster);
	*state = p;
	return 0;
}

static int tear_down_pair(void **state)
{
	struct pair *p = *state;
	void *all = &p->all, *mine = &p->mine;
	int r;

	curl_easy_cleanup(p->clients[0]);
	curl_easy_cleanup(p->clients[1]);
	r = tear_down(&all) | tear_down(&mine);

	free(p);
	return r;
}

/* ---- asking by TLS, with a token ---- */

static CURL *client_of(struct pair *p, const struct world *w)
{
	CURL **c = &p->clients[w == &p->mine];

	if (!*c)
		*c = curl_easy_init();
	assert_non_null(*c);
	curl_easy_reset(*c);
	return *c;
}

static void ask_as(struct pair *p, struct world *w, const char *path, const char *header, struct reply *out)
{
	struct curl_slist *headers = header ? curl_slist_append(NULL, header) : NULL;
	CURL *c = client_of(p, w);
	AUTO_BUF url = {0};

	*out = (struct reply){0};
	buf_add_fmt(&url, "https://%s%s", api_address(w->api), path);
	(void)curl_easy_setopt(c, CURLOPT_URL, buf_cstr(&url));
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &out->body);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, &out->head);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)WAIT_S);
	assert_int_equal(curl_easy_perform(c), CURLE_OK);
	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &out->status);
	(void)buf_cstr(&out->body);
	(void)buf_cstr(&out->head);
	curl_slist_free_all(headers);
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_add_fmt(out, "%%%02X", (unsigned char)*text);
}

/* The value of a header in an answer; "" without. */
static const char *header_of(const struct reply *r, const char *name, char out[128])
{
	const char *at = strcasestr(text_of(&r->head), name);

	out[0] = '\0';
	if (at)
		(void)snprintf(out, 128, "%.*s", (int)MIN(strcspn(at, "\r\n"), (size_t)127), at);
	return out;
}

/* What is said must be equal, and what the headers say of it. */
static void expect_same(struct pair *p, const char *path)
{
	static const char *const names[] = {"Tapeloop-Next-Cursor:", "Tapeloop-Gave-Up:",
					    "Tapeloop-Damage:", "Tapeloop-Namespaces:",
					    "Content-Length:"};
	struct reply all, mine;
	char a[128], b[128];

	ask_as(p, &p->all, path, MINE, &all);
	ask_as(p, &p->mine, path, MINE, &mine);
	if (all.status != mine.status || !span_eq(buf_span(&all.body), buf_span(&mine.body)))
		fail_msg("%s: %ld %.2000s\n--- but of one's own alone\n%ld %.2000s", path,
			 all.status, text_of(&all.body), mine.status, text_of(&mine.body));
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_string_equal(header_of(&all, names[i], a), header_of(&mine, names[i], b));
	forget(&all);
	forget(&mine);
}

static void put_filter(struct random_source *r, struct buf *out)
{
	static const char *const prying[] = {
		"src.namespace == 'b'",
		"dst.namespace != 'a'",
		"!(src.namespace == 'a') && !(dst.namespace == 'a')",
		"dst.pod.contains('b') || true",
		"dst.service == 'secret'",
		"path =~ '(a+)+$'",
		"path !~ '(a+)+$'",
		"true || false",
		"!failed()",
		"failed()",
		"src.namespace == '' || dst.namespace == ''",
		"src.namespace > 'a'",
		"string(status) + path =~ '(.*a)+$' || status > 0",
		"text('stock')",
	};
	AUTO_BUF one = {0};

	buf_add_str(&one, RANDOM_PICK(r, prying));
	for (size_t i = random_below(r, 3); i; i--) {
		buf_add_str(&one, random_below(r, 2) ? " && (" : " || (");
		put_random_condition(r, &one, 1);
		buf_add_char(&one, ')');
	}
	add_escaped(out, buf_cstr(&one));
}

static const char *const questions[] = {
	"/api/v1/exchanges?limit=1000&filter=",
	"/api/v1/exchanges?limit=7&order=asc&part=messages&filter=",
	"/api/v1/failures?until=2100-01-01T00:00:00Z&since=2025-11-24T16:00:00Z&filter=",
	"/api/v1/stats?until=2025-11-24T18:00:00Z&filter=",
	"/api/v1/stats?until=2025-11-24T18:00:00Z&every=1m&by=dst.namespace,route&filter=",
	"/api/v1/stats?until=2025-11-24T18:00:00Z&by=path,src.pod&filter=",
	"/api/v1/export?as=jsonl&filter=",
	"/api/v1/export?as=har&filter=",
};

static void no_filter_shows_anything_of_other_namespaces(void **state)
{
	struct pair *p = *state;

	for (size_t i = 0; i < FILTER_COUNT; i++) {
		AUTO_BUF filter = {0};

		put_filter(&p->random, &filter);
		for (size_t k = 0; k < COUNT_OF(questions); k++) {
			AUTO_BUF path = {0};

			buf_add_str(&path, questions[k]);
			buf_add_span(&path, buf_span(&filter));
			expect_same(p, buf_cstr(&path));
		}
	}
}

static void pages_begin_at_any_cursor_and_show_no_more(void **state)
{
	struct pair *p = *state;
	char id[ID_TEXT_LEN + 1], path[256];

	for (size_t i = 0; i < p->other_count; i += 5) {
		(void)snprintf(path, sizeof(path), "/api/v1/exchanges?limit=5&cursor=%s&order=%s",
			       id_format(p->others[i], id), i % 2 ? "asc" : "desc");
		expect_same(p, path);
	}
}

static void an_id_of_another_namespace_is_as_unknown_as_one_that_never_was(void **state)
{
	static const char *const parts[] = {"",		      "?part=exact",   "/request/body",
					    "/response/body", "/request/raw", "/response/raw"};
	struct pair *p = *state;
	char id[ID_TEXT_LEN + 1], path[256];

	for (size_t i = 0; i < p->other_count; i += 3)
		for (size_t k = 0; k < COUNT_OF(parts); k++) {
			struct reply r, never;

			(void)snprintf(path, sizeof(path), "/api/v1/exchanges/%s%s",
				       id_format(p->others[i], id), parts[k]);
			ask_as(p, &p->all, path, MINE, &r);
			ask_as(p, &p->mine, path, MINE, &never);
			assert_int_equal(r.status, 404);
			assert_int_equal(never.status, 404);
			assert_int_equal(r.body.len, never.body.len);
			forget(&r);
			forget(&never);
		}
}

static void an_ending_is_looked_for_among_what_may_be_seen(void **state)
{
	struct pair *p = *state;
	char id[ID_TEXT_LEN + 1], path[256];

	for (size_t i = 0; i < p->own_count; i += 2)
		for (size_t letters = 1; letters <= ID_TEXT_LEN; letters += 2) {
			(void)snprintf(path, sizeof(path), "/api/v1/exchanges/%s",
				       id_format(p->own[i], id) + ID_TEXT_LEN - letters);
			expect_same(p, path);
		}
}

static void an_explanation_tells_nothing_of_the_whole_store(void **state)
{
	struct pair *p = *state;
	struct reply r;

	ask_as(p, &p->all, "/api/v1/explain?limit=10&filter=secret", MINE, &r);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(text_of(&r.body), "\"tapes\":null"));
	assert_non_null(strstr(text_of(&r.body), "\"plan\":[]"));
	assert_non_null(strstr(text_of(&r.body), "\"rows_looked_at\":null"));
	forget(&r);
	ask_as(p, &p->all, "/api/v1/explain?limit=10&filter=secret", "Authorization: Bearer of-*", &r);
	assert_null(strstr(text_of(&r.body), "\"rows_looked_at\":null"));
	forget(&r);
}

/* ---- who may ask ---- */

static const struct ask_case {
	const char *path, *header;
	long status;
	const char *head, *body;
} ask_cases[] = {
	{"/api/v1/exchanges", NULL, 401, "WWW-Authenticate: Bearer realm=\"tapeloop\"\r\n",
	 "a token is needed"},
	{"/api/v1/exchanges", "Authorization: Basic b2YtYQ==", 401, NULL, "a token is needed"},
	{"/api/v1/exchanges", "Authorization: Bearer wrong", 401, "error=\"invalid_token\"",
	 "does not know this token"},
	{"/api/v1/exchanges?limit=1", "Authorization: bearer of-*", 200, NULL, "\"exchanges\":"},
	{"/api/v1/exchanges?limit=1", "X-Tapeloop-Token: of-b", 200, "Tapeloop-Namespaces: 1\r\n",
	 "\"b\""},
	{"/api/v1/exchanges", "X-Tapeloop-Token: of-", 200, "Tapeloop-Namespaces: 0\r\n",
	 "{\"exchanges\":[],\"next_cursor\":null}"},
	{"/api/v1/exchanges?namespace=b", MINE, 403, NULL,
	 "of-a may not \\\"get pods/tapes\\\" (group tapeloop.dev) in namespace b"},
	{"/api/v1/exchanges?namespace=nowhere", MINE, 403, NULL, "in namespace nowhere"},
	{"/api/v1/exchanges?namespace=a", MINE, 200, NULL, "\"exchanges\":"},
	{"/api/v1/exchanges?namespace=", MINE, 400, NULL, "\"parameter\":\"namespace\""},
	{"/api/v1/counters", MINE, 403, NULL, "of all namespaces together"},
	{"/api/v1/tapes", MINE, 403, NULL, "of all namespaces together"},
	{"/metrics", MINE, 403, NULL, "of all namespaces together"},
	{"/metrics", NULL, 401, NULL, ""},
	{"/metrics", "Authorization: Bearer of-M", 200, NULL, "tapeloop_packets_read_total"},
	{"/api/v1/tapes", "Authorization: Bearer of-*", 200, NULL, "\"path\":"},
	{"/healthz", NULL, 200, NULL, "\"ok\""},
	{"/readyz", NULL, 200, NULL, "{\"status\":\"ready\"}"},
	{"/openapi.json", NULL, 200, NULL, "\"openapi\""},
	{"/nowhere", NULL, 404, NULL, "no such path"},
};

static void tcp_answers_to_tokens(void **state)
{
	struct pair *p = *state;

	for (size_t i = 0; i < COUNT_OF(ask_cases); i++) {
		const struct ask_case *c = &ask_cases[i];
		struct reply r;

		ask_as(p, &p->all, c->path, c->header, &r);
		if (r.status != c->status || !strstr(text_of(&r.body), c->body) ||
		    (c->head && !strcasestr(text_of(&r.head), c->head)))
			fail_msg("%s %s: %ld %s%s", c->path, c->header ? c->header : "", r.status,
				 text_of(&r.head), text_of(&r.body));
		forget(&r);
	}
}

static void the_unix_socket_is_trusted(void **state)
{
	struct pair *p = *state;
	struct reply r;

	ask(&p->all, (struct ask){.path = "/api/v1/tapes"}, &r);
	assert_int_equal(r.status, 200);
	forget(&r);
	ask(&p->all, (struct ask){.path = "/api/v1/exchanges?limit=1000&namespace=b"}, &r);
	assert_int_equal(r.status, 200);
	assert_null(strstr(text_of(&r.body), "Tapeloop-Namespaces"));
	forget(&r);
}

/* ---- the stream ---- */

struct follower {
	struct pair *pair;
	struct buf text;
	bool is_told; /* the API: one more was recorded */
	uint64_t last;
};

static size_t on_stream(char *ptr, size_t size, size_t n, void *ctx)
{
	struct follower *f = ctx;
	char id[ID_TEXT_LEN + 1];

	buf_add(&f->text, ptr, size * n);
	if (!f->is_told) { /* connected: now publish all, the last of them mine */
		f->is_told = true;
		api_committed(f->pair->all.api, f->pair->others, f->pair->other_count);
		api_committed(f->pair->all.api, f->pair->own, f->pair->own_count);
	}
	return strstr(buf_cstr(&f->text), id_format(f->last, id)) ? 0 : size * n;
}

static void a_stream_carries_what_may_be_seen_and_nothing_else(void **state)
{
	struct pair *p = *state;
	struct follower f = {.pair = p, .last = p->own[p->own_count - 1]};
	struct curl_slist *headers = curl_slist_append(NULL, MINE);
	CURL *c = curl_easy_init();
	char url[256], id[ID_TEXT_LEN + 1];

	(void)snprintf(url, sizeof(url), "https://%s/api/v1/stream", api_address(p->all.api));
	(void)curl_easy_setopt(c, CURLOPT_URL, url);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_stream);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &f);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)WAIT_S);
	assert_int_equal(curl_easy_perform(c), CURLE_WRITE_ERROR); /* we had enough */
	for (size_t i = 0; i < p->own_count; i++)
		assert_non_null(strstr(buf_cstr(&f.text), id_format(p->own[i], id)));
	for (size_t i = 0; i < p->other_count; i++)
		assert_null(strstr(buf_cstr(&f.text), id_format(p->others[i], id)));
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	buf_fini(&f.text);
}

/* ---- what is remembered ---- */

static void answers_are_kept_for_their_time_and_no_longer(void **state)
{
	struct answers *a = answers_new(8);
	uint8_t keys[64][ANSWER_KEY_BYTES] = {{0}};
	struct answer got = {0};
	size_t known = 0;

	(void)state;
	assert_non_null(a);
	answers_keep(a, keys[0], &(struct answer){.is_yes = true}, 100, 200);
	assert_true(answers_find(a, keys[0], 199, &got) && got.is_yes);
	assert_false(answers_find(a, keys[0], 200, &got));
	answers_keep(a, keys[0], &(struct answer){.is_yes = false}, 200, 300);
	assert_true(answers_find(a, keys[0], 201, &got) && !got.is_yes);
	for (uint8_t i = 1; i < 64; i++) {
		keys[i][0] = keys[i][9] = i;
		answers_keep(a, keys[i], &(struct answer){.is_yes = true}, 200, 300U + i);
	}
	for (size_t i = 0; i < 64; i++)
		known += answers_find(a, keys[i], 250, &got);
	assert_int_equal(known, 8);
	assert_true(answers_find(a, keys[63], 250, &got));
	answers_free(a);
}

static void grant_of(struct kube_access *k, const char *token, uint64_t now_ns, int want,
		     size_t namespaces)
{
	struct grant g = {0};
	struct err e = {0};
	struct grant_question q = {.token = span_str(token), .now_ns = now_ns};

	assert_int_equal(kube_access_grant(k, &q, &g, &e), want);
	assert_int_equal(g.namespaces.count, namespaces);
	grant_fini(&g);
}

static void the_api_server_is_asked_once_in_a_while(void **state)
{
	struct pair *p = *state;
	struct cluster c = {0};
	struct reviewer reviewer = reviewer_of(&c);
	struct namespaces *n = namespaces_new(p->all.dir);
	struct kube_access *k = kube_access_new(&reviewer, n, 30 * NS_PER_S);
	uint64_t t = 1000 * NS_PER_S;

	for (int i = 0; i < 5; i++)
		grant_of(k, "of-ab", t + (uint64_t)i * NS_PER_S, 0, 2);
	assert_int_equal(c.tokens, 1);
	assert_int_equal(c.accesses, 4); /* all, a, b, c */
	for (int i = 0; i < 5; i++)
		grant_of(k, "bad", t, -EACCES, 0);
	assert_int_equal(c.tokens, 2);
	grant_of(k, "bad", t + 6 * NS_PER_S, -EACCES, 0); /* bad ones are forgotten sooner */
	assert_int_equal(c.tokens, 3);
	c.is_away = true;
	grant_of(k, "of-ab", t + 29 * NS_PER_S, 0, 2);
	grant_of(k, "of-ab", t + 31 * NS_PER_S, -EAGAIN, 0); /* and nothing is shown */
	grant_of(k, "of-c", t, -EAGAIN, 0);
	c.is_away = false;
	grant_of(k, "of-ab", t + 32 * NS_PER_S, 0, 2);
	for (unsigned i = 0; i < 1000; i++) { /* a flood of bad ones pushes out no good one */
		char token[32];

		(void)snprintf(token, sizeof(token), "bad%u", i);
		grant_of(k, token, t + 33 * NS_PER_S, -EACCES, 0);
	}
	c.tokens = c.accesses = 0;
	grant_of(k, "of-ab", t + 34 * NS_PER_S, 0, 2);
	assert_int_equal(c.tokens + c.accesses, 0);
	kube_access_free(k);
	namespaces_free(n);
}

/* ---- where it listens ---- */

static const struct listen_case {
	const char *listen, *cert;
	enum api_auth auth;
	int want;
} listen_cases[] = {
	{"127.0.0.1:0", "", API_AUTH_NONE, 0},
	{"127.0.0.1:0", "", API_AUTH_KUBERNETES, 0},
	{"0.0.0.0:0", "", API_AUTH_NONE, -EINVAL},
	{"0.0.0.0:0", "self-signed", API_AUTH_NONE, -EINVAL},
	{"0.0.0.0:0", "", API_AUTH_KUBERNETES, -EINVAL},
	{"0.0.0.0:0", "self-signed", API_AUTH_KUBERNETES, 0},
	{"[::]:0", "", API_AUTH_KUBERNETES, -EINVAL},
	{"127.0.0.1:0", "/nowhere.pem", API_AUTH_NONE, -ENOENT},
	{"127.0.0.1:0", "/etc/hostname", API_AUTH_NONE, -EINVAL},
};

static void others_reach_it_by_tls_and_tokens_only(void **state)
{
	struct pair *p = *state;
	struct reviewer reviewer = reviewer_of(&p->cluster);

	for (size_t i = 0; i < COUNT_OF(listen_cases); i++) {
		struct api_config config = config_of(&p->all);
		struct api *a = NULL;
		struct err e = {0};

		config.socket_path = "";
		config.listen = listen_cases[i].listen;
		config.tls_cert = listen_cases[i].cert;
		config.tls_key = listen_cases[i].cert;
		config.auth = listen_cases[i].auth;
		config.reviewer = &reviewer;
		if (api_start(&config, &a, &e) != listen_cases[i].want)
			fail_msg("case %zu: %s", i, e.why);
		api_stop(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_answers_to_tokens),
		cmocka_unit_test(the_unix_socket_is_trusted),
		cmocka_unit_test(no_filter_shows_anything_of_other_namespaces),
		cmocka_unit_test(pages_begin_at_any_cursor_and_show_no_more),
		cmocka_unit_test(an_id_of_another_namespace_is_as_unknown_as_one_that_never_was),
		cmocka_unit_test(an_ending_is_looked_for_among_what_may_be_seen),
		cmocka_unit_test(an_explanation_tells_nothing_of_the_whole_store),
		cmocka_unit_test(a_stream_carries_what_may_be_seen_and_nothing_else),
		cmocka_unit_test(answers_are_kept_for_their_time_and_no_longer),
		cmocka_unit_test(the_api_server_is_asked_once_in_a_while),
		cmocka_unit_test(others_reach_it_by_tls_and_tokens_only),
	};

	(void)curl_global_init(CURL_GLOBAL_ALL);
	log_level = LOG_LEVEL_WARN; /* who read messages is not of interest here */
	return cmocka_run_group_tests(tests, set_up_pair, tear_down_pair);
}
