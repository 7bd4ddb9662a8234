// SPDX-License-Identifier: Apache-2.0
/* TLS towards servers that hold to it in every way, and that do not */
#include "replay/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include "replay_kit.h"

#define OK "HTTP/1.1 200 OK\r\n"

/* one connection at a time; what it does with a request stands in the path */
struct tls_server {
	int fd;
	uint16_t port;
	atomic_bool is_mute, leaves; /* before the handshake; set before the first connection */
	SSL_CTX *context;
	pthread_t thread;
	char ca[64]; /* a file: the certificate, which is its own authority */
};

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");

	assert(X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
	assert(X509_gmtime_adj(X509_getm_notBefore(x), -60) && X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"kit", -1, -1, 0) == 1);
	assert(X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1);
	assert(names && X509_add_ext(x, names, -1) == 1 && X509_sign(x, key, EVP_sha256()) > 0);
	X509_EXTENSION_free(names);
	return x;
}

static void make_context(struct tls_server *s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make_certificate(key);
	FILE *f;
	int fd;

	(void)snprintf(s->ca, sizeof(s->ca), "/tmp/test_replay_tls.XXXXXX");
	fd = mkstemp(s->ca);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	assert(f && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
	s->context = SSL_CTX_new(TLS_server_method());
	assert(s->context && SSL_CTX_use_certificate(s->context, x) == 1 && SSL_CTX_use_PrivateKey(s->context, key) == 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void write_all(SSL *ssl, const char *text, bool is_slow)
{
	size_t len = strlen(text), step = is_slow ? 1 : len;

	for (size_t at = 0; at < len; at += step)
		if (SSL_write(ssl, text + at, (int)MIN(step, len - at)) <= 0)
			return;
}

/* Return: true to go on with this connection */
static bool answer(SSL *ssl, int fd, const char *request)
{
	bool is_slow = strstr(request, "/bytes") != NULL;

	if (strstr(request, "/noise")) {
		(void)!send(fd, "\x17\x03\x03\x00\x05noise", 10, MSG_NOSIGNAL);
		return false;
	}
	if (strstr(request, "/cut") || strstr(request, "/bye")) {
		write_all(ssl, OK "\r\nok", false);
		if (strstr(request, "/bye"))
			(void)SSL_shutdown(ssl);
		return false;
	}
	write_all(ssl, OK "Content-Length: 2\r\n\r\nok", is_slow);
	return true;
}

static void serve(struct tls_server *s, int fd)
{
	SSL *ssl = SSL_new(s->context);
	char request[4096];
	int n;

	assert(ssl && SSL_set_fd(ssl, fd) == 1);
	if (SSL_accept(ssl) == 1)
		while ((n = SSL_read(ssl, request, sizeof(request) - 1)) > 0) {
			request[n] = '\0';
			if (!answer(ssl, fd, request))
				break;
		}
	ERR_clear_error();
	SSL_free(ssl);
	(void)shutdown(fd, SHUT_WR);
	while (recv(fd, request, sizeof(request), 0) > 0)
		;
}

static void *run(void *arg)
{
	struct tls_server *s = arg;
	char rest[64];
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		while (s->is_mute && recv(fd, rest, sizeof(rest), 0) > 0)
			;
		if (!s->is_mute && !s->leaves)
			serve(s, fd);
		(void)close(fd);
	}
	return NULL;
}

static struct tls_server *start(void)
{
	struct tls_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	assert(s);
	(void)signal(SIGPIPE, SIG_IGN); /* of the server: OpenSSL's own BIO writes without MSG_NOSIGNAL */
	make_context(s);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->fd, 64) == 0);
	assert(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
	s->port = ntohs(a.sin_port);
	assert(pthread_create(&s->thread, NULL, run, s) == 0);
	return s;
}

static void stop(struct tls_server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->fd);
	(void)unlink(s->ca);
	SSL_CTX_free(s->context);
	free(s);
}

static struct kit_run *run_towards(struct tls_server *s, const struct kit_exchange *list, size_t count)
{
	struct kit_run *k = kit_run_new(list, count, s->port);
	char url[64];

	k->config.targets.count = 0;
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", s->port);
	assert(target_add(&k->config.targets, NULL, url, &k->err) == 0);
	k->config.tls.ca_file = s->ca;
	k->config.timeout_ns = 2 * NS_PER_S;
	return k;
}

struct behaviour {
	const char *path;
	unsigned verdict, miss;
};

static void every_way_to_end_is_told_for_what_it_is(void **state)
{
	static const struct behaviour behaviours[] = {
		{"/whole", VERDICT_SAME, 0},
		{"/bytes", VERDICT_SAME, 0},
		{"/bye", VERDICT_SAME, 0},
		{"/cut", VERDICT_NO_ANSWER, MISS_CLOSED_EARLY}, /* nobody knows whether that was all */
		{"/noise", VERDICT_NO_ANSWER, MISS_TLS_FAILED},
	};
	struct tls_server *s = start();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(behaviours); i++) {
		const struct kit_exchange list[] = {
			{.id = 1, .connection = 1, .method = "GET", .target = behaviours[i].path, .status = 200, .body = "ok"},
			{.id = 2, .connection = 1, .method = "GET", .target = "/whole", .status = 200, .body = "ok"},
		};
		struct kit_run *k = run_towards(s, list, 2);
		const struct kit_result *r;

		kit_play(k);
		assert_int_equal(k->r, 0);
		r = kit_find(k, 1);
		if (r->verdict != behaviours[i].verdict || r->miss != behaviours[i].miss)
			fail_msg("%s: %s %s", behaviours[i].path, verdict_name(r->verdict), miss_name(r->miss));
		assert_int_equal(kit_find(k, 2)->verdict, VERDICT_SAME);
		assert_int_equal(k->summary->client.tls_handshakes, k->summary->client.connections);
		kit_run_free(k);
	}
	stop(s);
}

static void large_bodies_pass_both_ways(void **state)
{
	struct tls_server *s = start();
	char *big = malloc(300001), length[64];
	struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "POST", .target = "/whole", .status = 200, .body = "ok", .request_headers = length}};
	struct kit_run *k;

	(void)state;
	memset(big, 'x', 300000);
	big[300000] = '\0';
	(void)snprintf(length, sizeof(length), "Content-Length: 300000\r\n");
	list[0].request_body = big;
	k = run_towards(s, list, 1);
	k->config.rules.allows_unsafe = true;
	kit_play(k);
	/* the server answers what it has read first: early, and the rest of the request is not awaited */
	assert_int_equal(kit_find(k, 1)->verdict, VERDICT_SAME);
	kit_run_free(k);
	stop(s);
	free(big);
}

static void a_handshake_that_does_not_come_about_is_told(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/whole", .status = 200, .body = "ok"},
		{.id = 2, .connection = 1, .method = "GET", .target = "/whole", .status = 200, .body = "ok"},
	};

	(void)state;
	for (unsigned is_mute = 0; is_mute < 2; is_mute++) {
		struct tls_server *s = start();
		struct kit_run *k = run_towards(s, list, 2);

		atomic_store(&s->is_mute, is_mute == 1);
		atomic_store(&s->leaves, is_mute == 0);
		k->config.timeout_ns = 200 * NS_PER_MS;
		kit_play(k);
		assert_int_equal(k->r, 0);
		assert_int_equal(k->summary->misses[MISS_TLS_FAILED], 2);
		assert_int_equal(k->summary->sent, 0);
		kit_run_free(k);
		stop(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_end_is_told_for_what_it_is),
		cmocka_unit_test(large_bodies_pass_both_ways),
		cmocka_unit_test(a_handshake_that_does_not_come_about_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
