// SPDX-License-Identifier: Apache-2.0
/* kube/reference.c, kube/offers.c, kube/backend.c, kube/channels.c, kube/upgrade.c: from what was typed to a pod's port */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kube/backend.h"
#include "kube/channels.h"
#include "kube/config.h"
#include "kube/upgrade.h"

/* ---- references ---- */

#define L32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L63 L32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	bool is_good;
	uint8_t kind, scheme;
	const char *name, *name_space;
	uint16_t port;
	const char *port_name;
} references[] = {
	{"svc/cart", true, KUBE_SERVICE, 0, "cart", "", 0, ""},
	{"service/cart.shop:8080", true, KUBE_SERVICE, 0, "cart", "shop", 8080, ""},
	{"services/cart.shop.svc", true, KUBE_SERVICE, 0, "cart", "shop", 0, ""},
	{"svc/cart.shop.svc.cluster.local:http", true, KUBE_SERVICE, 0, "cart", "shop", 0, "http"},
	{"svc+https/cart:443", true, KUBE_SERVICE, KUBE_SCHEME_HTTPS, "cart", "", 443, ""},
	{"svc+h2c/cart", true, KUBE_SERVICE, KUBE_SCHEME_HTTP, "cart", "", 0, ""},
	{"pod/cart-0", true, KUBE_POD, 0, "cart-0", "", 0, ""},
	{"po/a.b.c.shop:1", true, KUBE_POD, 0, "a.b.c", "shop", 1, ""},
	{"deploy/cart.shop", true, KUBE_DEPLOYMENT, 0, "cart", "shop", 0, ""},
	{"deployment+http/cart:65535", true, KUBE_DEPLOYMENT, KUBE_SCHEME_HTTP, "cart", "", 65535, ""},
	{"sts/db", true, KUBE_STATEFULSET, 0, "db", "", 0, ""},
	{"daemonset/agent.kube-system:metrics", true, KUBE_DAEMONSET, 0, "agent", "kube-system", 0, "metrics"},
	{"rs/cart-5d9", true, KUBE_REPLICASET, 0, "cart-5d9", "", 0, ""},
	{"job/load:80", true, KUBE_JOB, 0, "load", "", 80, ""},
	{"svc/" L63, true, KUBE_SERVICE, 0, L63, "", 0, ""},
	{"svc/1cart:8-a", true, KUBE_SERVICE, 0, "1cart", "", 0, "8-a"},
	{"svc/" L63 "a", false}, {"svc/", false}, {"", false}, {"/", false}, {"svc", false}, {"/cart", false},
	{"secret/cart", false}, {"SVC/cart", false}, {"svc+/cart", false}, {"svc+ftp/cart", false}, {"+https/cart", false},
	{"svc/Cart", false}, {"svc/cart.", false}, {"svc/.shop", false}, {"svc/cart..shop", false}, {"svc/cart.Shop", false},
	{"svc/cart.shop.", false}, {"svc/cart.shop.other", false}, {"svc/cart.shop.svc.", false},
	{"svc/cart:", false}, {"svc/cart:0", false}, {"svc/cart:65536", false}, {"svc/cart:4294967376", false},
	{"svc/cart:99999999999999999999", false}, {"svc/cart:-1", false}, {"svc/cart:80:81", false}, {"svc/cart: 80", false},
	{"svc/cart:http/x", false}, {"svc/cart:HTTP", false}, {"svc/cart:-http", false}, {"svc/cart:80 ", false},
	{"svc/../secrets", false}, {"pod/../../x", false}, {"pod/a/b", false}, {"pod/a%2fb", false}, {"pod/a?x=1", false},
	{"pod/a#b", false}, {"pod/a\nb", false}, {"pod/-a", false}, {"pod/a-", false}, {"pod/a b", false}, {"pod/\xc3\xa4", false},
	{"pod/" L63 "." L63 "." L63 "." L63 "." L63, false}, {"pod/a." L63 "a", false}, {"svc/cart:" L63 "a", false},
};

static void references_are_read_as_kubectl_reads_them_and_nothing_else_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(references); i++) {
		struct kube_reference ref = {.port = 7};
		struct err e = {0};
		int r = kube_reference_parse(references[i].text, &ref, &e);

		if (!references[i].is_good) {
			if (r != -EINVAL || !e.why[0] || ref.port != 7) /* and @ref is untouched */
				fail_msg("'%s' was taken", references[i].text);
			continue;
		}
		if (r != 0)
			fail_msg("'%s': %s", references[i].text, e.why);
		assert_int_equal(ref.kind, references[i].kind);
		assert_int_equal(ref.scheme, references[i].scheme);
		assert_int_equal(ref.port, references[i].port);
		assert_string_equal(ref.name, references[i].name);
		assert_string_equal(ref.name_space, references[i].name_space);
		assert_string_equal(ref.port_name, references[i].port_name);
		assert_true(kube_reference_is(references[i].text));
	}
}

static void urls_and_hosts_are_no_references(void **state)
{
	static const char *const others[] = {"http://cart", "localhost:8080", "localhost", "localhost/", "10.0.0.7:80/",
					     "[::1]:80", "unix:/run/x", "", "/", "-x/y"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (kube_reference_is(others[i]))
			fail_msg("'%s' was taken for a reference", others[i]);
	assert_true(kube_reference_is("secret/cart")); /* meant as one: refused with words about kinds */
}

/* ---- ports ---- */

static json_t *json(const char *text)
{
	json_error_t why;
	json_t *j = json_loads(text, 0, &why);

	if (!j)
		fail_msg("%s: %s", text, why.text);
	return j;
}

#define WEB_ADMIN "{\"spec\":{\"ports\":[{\"name\":\"web\",\"port\":80,\"targetPort\":8080},{\"name\":\"admin\",\"port\":9090}," \
		  "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}]}}"

static const struct {
	const char *name, *service, *reference;
	uint16_t used[3];
	int result;
	uint16_t port;
	bool is_tls;
} choices[] = {
	{"the only one", "{\"spec\":{\"ports\":[{\"port\":8080}]}}", "svc/a", {0}, 0, 8080, false},
	{"by number", WEB_ADMIN, "svc/a:9090", {0}, 0, 9090, false},
	{"by name", WEB_ADMIN, "svc/a:web", {0}, 0, 80, false},
	{"UDP is none", WEB_ADMIN, "svc/a:53", {0}, -EINVAL, 0, false},
	{"no such number", WEB_ADMIN, "svc/a:8080", {0}, -EINVAL, 0, false},
	{"no such name", WEB_ADMIN, "svc/a:metrics", {0}, -EINVAL, 0, false},
	{"several", WEB_ADMIN, "svc/a", {0}, -ENOTUNIQ, 0, false},
	{"several, one was asked", WEB_ADMIN, "svc/a", {80}, 0, 80, false},
	{"several, one pod's was asked", WEB_ADMIN, "svc/a", {8080}, 0, 80, false},
	{"several, both were asked", WEB_ADMIN, "svc/a", {8080, 9090}, -ENOTUNIQ, 0, false},
	{"several, another was asked", WEB_ADMIN, "svc/a", {7}, -ENOTUNIQ, 0, false},
	{"none", "{\"spec\":{}}", "svc/a", {0}, -ENOTUNIQ, 0, false},
	{"https by name", "{\"spec\":{\"ports\":[{\"port\":8443,\"name\":\"https-web\"}]}}", "svc/a", {0}, 0, 8443, true},
	{"httpsx is a name of its own", "{\"spec\":{\"ports\":[{\"port\":80,\"name\":\"httpsx\"}]}}", "svc/a", {0}, 0, 80, false},
	{"https by appProtocol", "{\"spec\":{\"ports\":[{\"port\":1,\"appProtocol\":\"HTTPS\"}]}}", "svc/a", {0}, 0, 1, true},
	{"appProtocol over name", "{\"spec\":{\"ports\":[{\"port\":443,\"name\":\"https\",\"appProtocol\":\"http\"}]}}", "svc/a", {0}, 0, 443, false},
	{"h2c", "{\"spec\":{\"ports\":[{\"port\":443,\"appProtocol\":\"kubernetes.io/h2c\"}]}}", "svc/a", {0}, 0, 443, false},
	{"https by number", "{\"spec\":{\"ports\":[{\"port\":443}]}}", "svc/a", {0}, 0, 443, true},
	{"http by name at 443", "{\"spec\":{\"ports\":[{\"port\":443,\"name\":\"http\"}]}}", "svc/a", {0}, 0, 443, false},
	{"odd ports are passed over", "{\"spec\":{\"ports\":[{\"port\":0},{\"port\":70000},{\"port\":\"x\"},7,{\"port\":5}]}}", "svc/a", {0}, 0, 5, false},
};

static void a_port_is_the_named_the_only_or_the_one_that_was_asked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(choices); i++) {
		const struct kube_offer *offer = NULL;
		struct kube_offers offers;
		struct kube_reference ref;
		struct kube_ports used = {0};
		struct err e = {0};
		json_t *service = json(choices[i].service);
		int r;

		assert_int_equal(kube_reference_parse(choices[i].reference, &ref, &e), 0);
		for (size_t k = 0; k < 3; k++)
			kube_ports_add(&used, choices[i].used[k]);
		kube_offers_of(service, true, &offers);
		r = kube_offers_choose(&offers, &ref, &used, &offer, &e);
		if (r != choices[i].result || (r == 0 && (offer->port != choices[i].port || offer->is_tls != choices[i].is_tls)))
			fail_msg("%s: %d %s", choices[i].name, r, e.why);
		if (r == -ENOTUNIQ && offers.count)
			assert_non_null(strstr(e.why, "80 (web), 9090 (admin)"));
		json_decref(service);
	}
}

/* ---- pods ---- */

static void pods_of_endpoints_are_those_that_are_ready_with_the_ports_of_their_subset(void **state)
{
	struct kube_backend b = {.reference = {.kind = KUBE_SERVICE}, .port = 80, .port_name = "web"};
	json_t *endpoints = json(
		"{\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"a\"}},"
		"{\"ip\":\"10.0.0.2\"},{\"ip\":\"nonsense\",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"b\"}},"
		"{\"ip\":\"10.0.0.3\",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"../secrets\"}}],"
		"\"notReadyAddresses\":[{\"ip\":\"10.0.0.9\"}],\"ports\":[{\"name\":\"admin\",\"port\":1},{\"name\":\"web\",\"port\":8080}]},"
		"{\"addresses\":[{\"ip\":\"fd00::1\",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"c\"}}],\"ports\":[{\"name\":\"web\",\"port\":8081}]},"
		"{\"addresses\":[{\"ip\":\"10.0.0.4\",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"d\"}}],\"ports\":[{\"name\":\"other\",\"port\":1}]}]}");

	(void)state;
	assert_int_equal(kube_backend_update(&b, endpoints), 0);
	assert_int_equal(b.pod_count, 3);
	assert_string_equal(b.pods[0].name, "a");
	assert_int_equal(b.pods[0].port, 8080);
	assert_string_equal(b.pods[1].name, "");
	assert_string_equal(b.pods[2].name, "c");
	assert_int_equal(b.pods[2].port, 8081);
	assert_int_equal(b.unready_count, 1);
	json_decref(endpoints);
	endpoints = json("{}");
	assert_int_equal(kube_backend_update(&b, endpoints), 0);
	assert_int_equal(b.pod_count, 0);
	json_decref(endpoints);
	kube_backend_fini(&b);
}

#define READY "\"conditions\":[{\"type\":\"Initialized\",\"status\":\"False\"},{\"type\":\"Ready\",\"status\":\"True\"}]"

static void pods_of_a_workload_are_those_that_are_ready_now(void **state)
{
	struct kube_backend b = {.reference = {.kind = KUBE_DEPLOYMENT}, .port = 8080, .port_name = "http"};
	json_t *list = json(
		"{\"items\":["
		"{\"metadata\":{\"name\":\"a\"},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\"," READY "}},"
		"{\"metadata\":{\"name\":\"b\",\"deletionTimestamp\":\"2026-11-22T03:00:00Z\"},\"status\":{\"podIP\":\"10.0.0.2\"," READY "}},"
		"{\"metadata\":{\"name\":\"c\"},\"status\":{\"phase\":\"Succeeded\",\"podIP\":\"10.0.0.3\"," READY "}},"
		"{\"metadata\":{\"name\":\"d\"},\"status\":{\"podIP\":\"10.0.0.4\"}},"
		"{\"metadata\":{\"name\":\"e\"},\"spec\":{\"containers\":[{\"ports\":[{\"name\":\"http\",\"containerPort\":9}]}]},"
		"\"status\":{\"podIP\":\"10.0.0.5\"," READY "}},7,{}]}");

	(void)state;
	assert_int_equal(kube_backend_update(&b, list), 0);
	assert_int_equal(b.pod_count, 2);
	assert_string_equal(b.pods[0].name, "a");
	assert_int_equal(b.pods[0].port, 8080);
	assert_string_equal(b.pods[1].name, "e");
	assert_int_equal(b.pods[1].port, 9); /* its own number of the port with that name */
	assert_int_equal(b.unready_count, 4);
	json_decref(list);
	kube_backend_fini(&b);
}

/* ---- channels ---- */

static const struct {
	const char *name;
	struct span bytes;
	const char *data, *error, *why; /* why: it is broken */
	bool is_open, has_ended;
} talks[] = {
#define T(s) {(const uint8_t *)("" s), sizeof(s) - 1}
#define OPENING "\x82\x03\x00\x90\x1f\x82\x03\x01\x90\x1f"
	{"the port's number on both channels", T(OPENING), "", "", NULL, true, false},
	{"one of them", T("\x82\x03\x00\x90\x1f"), "", "", NULL, false, false},
	{"data", T(OPENING "\x82\x06\x00hello"), "hello", "", NULL, true, false},
	{"data behind the number in one frame", T("\x82\x08\x00\x90\x1fhello"), "hello", "", NULL, false, false},
	{"the number in pieces", T("\x82\x02\x00\x90\x82\x03\x00\x1f!"), "!", "", NULL, false, false},
	{"a message in frames", T(OPENING "\x02\x03\x00he\x00\x02ll\x80\x01o"), "hello", "", NULL, true, false},
	{"a ping within a message", T(OPENING "\x02\x03\x00he\x89\x01x\x80\x03llo"), "hello", "", NULL, true, false},
	{"an error", T(OPENING "\x82\x05\x01oh!!"), "", "oh!!", NULL, true, false},
	{"a close frame", T(OPENING "\x82\x02\x00x\x88\x02\x03\xe8" "after"), "x", "", NULL, true, true},
	{"an empty message", T(OPENING "\x82\x00\x82\x02\x00x"), "x", "", NULL, true, false},
	{"an empty piece of data", T(OPENING "\x82\x01\x00\x82\x02\x00x"), "x", "", NULL, true, false},
	{"another channel", T(OPENING "\x82\x02\x02x"), "", "", "a channel that was not asked for", true, false},
	{"a masked frame", T("\x82\x83....abc"), "", "", "the API server masks its frames", false, false},
	{"a compressed frame", T("\xc2\x03\x00\x01\x02"), "", "", "the API server compresses what nobody asked it to", false, false},
	{"a text", T("\x81\x03\x00\x01\x02"), "", "", "a WebSocket message that is not binary", false, false},
	{"a continuation of nothing", T("\x80\x03\x00\x01\x02"), "", "", "a WebSocket message within another", false, false},
	{"a message within another", T("\x02\x03\x00\x01\x02\x82\x01\x00"), "", "", "a WebSocket message within another", false, false},
	{"a reserved opcode", T("\x83\x00"), "", "", "no frame of a WebSocket looks like this", false, false},
	{"a long ping", T("\x89\x7e\x01\x00"), "", "", "no frame of a WebSocket looks like this", false, false},
#undef T
};

static void hear(const struct span *bytes, size_t step, struct kube_channels *c, struct buf *data, bool *has_ended,
		 bool *is_broken)
{
	for (size_t at = 0; at < bytes->len && !*has_ended && !*is_broken; at += step) {
		struct span rest = span_of(bytes->ptr + at, MIN(step, bytes->len - at)), piece = {0};
		enum kube_channels_event event;

		while ((event = kube_channels_read(c, &rest, &piece)) == KUBE_CHANNELS_DATA)
			buf_add_span(data, piece);
		*has_ended = event == KUBE_CHANNELS_END;
		*is_broken = event == KUBE_CHANNELS_BROKEN;
	}
}

static void channels_are_told_apart_whole_and_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(talks); i++)
		for (size_t step = 1; step <= talks[i].bytes.len; step++) {
			struct kube_channels c = {0};
			AUTO_BUF data = {0};
			bool has_ended = false, is_broken = false;

			hear(&talks[i].bytes, step, &c, &data, &has_ended, &is_broken);
			if (is_broken != (talks[i].why != NULL) || has_ended != talks[i].has_ended ||
			    kube_channels_is_open(&c) != talks[i].is_open)
				fail_msg("%s, by %zu: %s", talks[i].name, step, c.why ? c.why : "");
			assert_string_equal(buf_cstr(&data), talks[i].data);
			assert_string_equal(buf_cstr(&c.error), talks[i].error);
			if (talks[i].why)
				assert_string_equal(c.why, talks[i].why);
			kube_channels_fini(&c);
		}
}

static void a_ping_is_answered_and_data_goes_out_masked_on_its_channel(void **state)
{
	struct kube_channels c = {0};
	struct span in = SPAN_LIT("\x89\x04ping"), piece, out;
	struct ws_walker walker = {0};
	uint8_t text[8] = {0};

	(void)state;
	assert_int_equal(kube_channels_read(&c, &in, &piece), KUBE_CHANNELS_MORE);
	kube_channels_write(SPAN_LIT("hello"), &c.reply);
	out = buf_span(&c.reply);
	assert_int_equal(ws_walk(&walker, &out, &piece), WS_BEGIN);
	assert_true(walker.frame.opcode == WS_PONG && walker.frame.is_masked);
	assert_int_equal(ws_walk(&walker, &out, &piece), WS_PAYLOAD);
	ws_unmask(&walker.frame, 0, piece, text);
	assert_memory_equal(text, "ping", 4);
	assert_int_equal(ws_walk(&walker, &out, &piece), WS_END);
	assert_int_equal(ws_walk(&walker, &out, &piece), WS_BEGIN);
	assert_true(walker.frame.opcode == WS_BINARY && walker.frame.is_masked && walker.frame.length == 6);
	assert_int_equal(ws_walk(&walker, &out, &piece), WS_PAYLOAD);
	ws_unmask(&walker.frame, 0, piece, text);
	assert_memory_equal(text, "\0hello", 6);
	kube_channels_fini(&c);
}

static void what_went_wrong_is_kept_to_a_limit(void **state)
{
	static const uint8_t head[] = {0x82, 0x7e, 0x10, 0x03, 1, 0, 0};
	struct kube_channels c = {0};
	struct span in = span_of(head, sizeof(head)), piece;
	uint8_t text[4096];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(kube_channels_read(&c, &in, &piece), KUBE_CHANNELS_MORE);
	in = span_of(text, sizeof(text));
	assert_int_equal(kube_channels_read(&c, &in, &piece), KUBE_CHANNELS_MORE);
	assert_int_equal(c.error.len, KUBE_CHANNELS_ERROR_MAX);
	kube_channels_fini(&c);
}

/* ---- upgrades ---- */

#define KEY	  "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3 */
#define ACCEPT	  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static const struct {
	const char *name, *bytes;
	bool is_end;
	enum kube_upgrade_state state;
	long status;
	const char *message;
} upgrades[] = {
	{"accepted", SWITCHING "Sec-WebSocket-Accept: " ACCEPT "\r\nsec-websocket-protocol: v4\r\n\r\nrest", false, KUBE_UPGRADE_DONE, 101, ""},
	{"half a head", SWITCHING, false, KUBE_UPGRADE_MORE, 0, ""},
	{"nothing", "", false, KUBE_UPGRADE_MORE, 0, ""},
	{"nothing, and the end", "", true, KUBE_UPGRADE_BROKEN, 0, "the API server closed the connection without an answer"},
	{"another key's", SWITCHING "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: v4\r\n\r\n", false, KUBE_UPGRADE_BROKEN, 101,
	 "what answers the WebSocket's request is not the API server"},
	{"no subprotocol", SWITCHING "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n", false, KUBE_UPGRADE_BROKEN, 101,
	 "the API server does not take the WebSocket's subprotocol"},
	{"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", false, KUBE_UPGRADE_BROKEN, 0, "the answer is not HTTP/1.1"},
	{"a status of letters", "HTTP/1.1 2x0 OK\r\n\r\n", false, KUBE_UPGRADE_BROKEN, 0, "the answer is not HTTP/1.1"},
	{"a Status", "HTTP/1.1 403 Forbidden\r\nContent-Length: 37\r\n\r\n{\"message\":\"ann may not\",\"code\":403} ", false,
	 KUBE_UPGRADE_REFUSED, 403, "ann may not"},
	{"half a Status", "HTTP/1.1 403 Forbidden\r\nContent-Length: 36\r\n\r\n{\"message\":", false, KUBE_UPGRADE_MORE, 403, ""},
	{"half a Status, and the end", "HTTP/1.1 403 Forbidden\r\nContent-Length: 36\r\n\r\n{\"message\":", true, KUBE_UPGRADE_REFUSED, 403,
	 "{\"message\":"},
	{"a Status in a chunk", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{\"message\":\"no pod b\"}\r\n0\r\n\r\n", false,
	 KUBE_UPGRADE_REFUSED, 404, "no pod b"},
	{"a text with controls", "HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\na\x1b[2Jb", false, KUBE_UPGRADE_REFUSED, 500, "a [2Jb"},
	{"no body", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false, KUBE_UPGRADE_REFUSED, 503, "no reason given"},
	{"a length of letters", "HTTP/1.1 503 No\r\nContent-Length: zz\r\n\r\n", false, KUBE_UPGRADE_REFUSED, 503, "no reason given"},
};

static void an_upgrade_is_accepted_or_refused_in_the_servers_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(upgrades); i++) {
		struct kube_upgrade u;
		enum kube_upgrade_state got =
			kube_upgrade_read(span_str(upgrades[i].bytes), upgrades[i].is_end, KEY, "v4", &u);

		if (got != upgrades[i].state || u.status != upgrades[i].status)
			fail_msg("%s: state %d, status %ld, %s", upgrades[i].name, got, u.status, u.message);
		assert_string_equal(u.message, upgrades[i].message);
		if (got == KUBE_UPGRADE_DONE)
			assert_string_equal(upgrades[i].bytes + u.used, "rest");
	}
}

static void a_head_without_an_end_is_given_up(void **state)
{
	char *bytes = malloc(KUBE_UPGRADE_HEAD_MAX);
	struct kube_upgrade u;

	(void)state;
	memset(bytes, 'x', KUBE_UPGRADE_HEAD_MAX);
	memcpy(bytes, "HTTP/1.1 101 ", 13);
	assert_int_equal(kube_upgrade_read(span_of(bytes, KUBE_UPGRADE_HEAD_MAX - 1), false, KEY, "v4", &u), KUBE_UPGRADE_MORE);
	assert_int_equal(kube_upgrade_read(span_of(bytes, KUBE_UPGRADE_HEAD_MAX), false, KEY, "v4", &u), KUBE_UPGRADE_BROKEN);
	free(bytes);
}

static void the_request_shows_who_we_are(void **state)
{
	char user[] = "ann", password[] = "s3cret";
	const struct kube_config basic = {.username = user, .password = password}, plain = {0};
	AUTO_BUF out = {0};

	(void)state;
	kube_upgrade_ask("https://10.0.0.1:6443/prefix/api/v1/x?ports=80", &plain, "the-token", KEY, "v4", &out);
	assert_non_null(strstr(buf_cstr(&out), "GET /prefix/api/v1/x?ports=80 HTTP/1.1\r\nHost: 10.0.0.1:6443\r\n"));
	assert_non_null(strstr(buf_cstr(&out), "\r\nAuthorization: Bearer the-token\r\n"));
	assert_non_null(strstr(buf_cstr(&out), "\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Protocol: v4\r\n"));
	buf_clear(&out);
	kube_upgrade_ask("https://h/x", &basic, NULL, KEY, "v4", &out);
	assert_non_null(strstr(buf_cstr(&out), "\r\nAuthorization: Basic YW5uOnMzY3JldA==\r\n\r\n"));
	buf_clear(&out);
	kube_upgrade_ask("https://h", &plain, NULL, KEY, "v4", &out); /* a certificate says it */
	assert_null(strstr(buf_cstr(&out), "Authorization"));
	assert_non_null(strstr(buf_cstr(&out), "GET / HTTP/1.1\r\nHost: h\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_read_as_kubectl_reads_them_and_nothing_else_is),
		cmocka_unit_test(urls_and_hosts_are_no_references),
		cmocka_unit_test(a_port_is_the_named_the_only_or_the_one_that_was_asked),
		cmocka_unit_test(pods_of_endpoints_are_those_that_are_ready_with_the_ports_of_their_subset),
		cmocka_unit_test(pods_of_a_workload_are_those_that_are_ready_now),
		cmocka_unit_test(channels_are_told_apart_whole_and_octet_by_octet),
		cmocka_unit_test(a_ping_is_answered_and_data_goes_out_masked_on_its_channel),
		cmocka_unit_test(what_went_wrong_is_kept_to_a_limit),
		cmocka_unit_test(an_upgrade_is_accepted_or_refused_in_the_servers_words),
		cmocka_unit_test(a_head_without_an_end_is_given_up),
		cmocka_unit_test(the_request_shows_who_we_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
