// SPDX-License-Identifier: Apache-2.0
#include "kube/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube/config.h"
#include "kube/credential.h"

/*
 * Theory of operation. HTTP/1.1 is asked for: a watch then has a connection of its own, and a stalled
 * one holds up no other. Dead peers are found by TCP keep-alive, since a watch may rightly be silent
 * for minutes. Redirects are not followed: they would take the credentials along.
 *
 * The status decides where octets go: those of a 2xx to the caller, all others into a bounded buffer
 * that is read as a Status object.
 */
#define PROBLEM_MAX  65536
#define CONNECT_MS   5000L
#define TIMEOUT_MS   30000
#define KEEPIDLE_S   20L
#define KEEPINTVL_S  5L
#define RETRY_MAX_MS 60000

/* ---- statuses ---- */

int kube_status_errno(long status)
{
	static const struct {
		long status;
		int error;
	} rows[] = {
		{400, -EINVAL}, {401, -EACCES}, {403, -EPERM},	{404, -ENOENT}, {409, -EEXIST},
		{410, -ESTALE}, {422, -EINVAL}, {429, -EAGAIN}, {503, -EAGAIN}, {504, -ETIMEDOUT},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].status == status)
			return rows[i].error;
	return -EPROTO;
}

/* One line for people out of what a server wrote. */
static void add_plain(struct buf *out, const char *text, size_t max)
{
	for (size_t i = 0; text[i] && i < max; i++)
		buf_add_char(out, (uint8_t)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
}

int kube_status_error(const json_t *status, const char *what, struct err *e)
{
	const char *message = json_string_value(json_object_get(status, "message"));
	long code = (long)json_integer_value(json_object_get(status, "code"));
	AUTO_BUF text = {0};

	add_plain(&text, message ? message : "no message", 400);
	return err_set(e, kube_status_errno(code), "%s: %ld: %s", what, code, buf_cstr(&text));
}

static int refuse_status(const struct kube_call *call, struct err *e)
{
	AUTO_BUF what = {0};
	AUTO_BUF said = {0};
	long status = call->answer.status;
	json_t *root = json_loadb((const char *)call->problem.ptr, call->problem.len, 0, NULL);
	const char *message = json_string_value(json_object_get(root, "message"));

	buf_add(&said, call->problem.ptr, MIN(call->problem.len, (size_t)300));
	add_plain(&what, message ? message : said.len ? buf_cstr(&said) : "no reason given", 300);
	json_decref(root);
	return err_set(e, kube_status_errno(status), "%s %s: %ld: %s", call->method, call->path,
		       status, buf_cstr(&what));
}

/* ---- what libcurl hands over ---- */

static void read_status(struct kube_call *call)
{
	if (call->answer.status == 0)
		(void)call->client->lib.curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE,
							  &call->answer.status);
}

static size_t on_body(char *ptr, size_t size, size_t count, void *ctx)
{
	struct kube_call *call = ctx;
	size_t n = size * count;

	read_status(call);
	if (call->answer.status < 200 || call->answer.status > 299) {
		buf_add(&call->problem, ptr,
			MIN(n, PROBLEM_MAX - MIN(call->problem.len, PROBLEM_MAX)));
		return n;
	}
	if (!call->data) {
		if (call->answer.body.len + n > call->answer_max)
			call->data_result = -E2BIG;
		else
			buf_add(&call->answer.body, ptr, n);
		if (call->answer.body.is_failed)
			call->data_result = -ENOMEM;
	} else if (n) {
		call->has_data = true;
		call->data_result = call->data(call->ctx, span_of(ptr, n));
	}
	return call->data_result ? 0 : n;
}

static size_t on_header(char *ptr, size_t size, size_t count, void *ctx)
{
	struct kube_call *call = ctx;
	struct span line = {(const uint8_t *)ptr, size * count}, name = SPAN_LIT("Retry-After:");

	if (span_istarts(line, SPAN_LIT("HTTP/")))
		call->answer.status = 0; /* of this answer: there may have been a proxy's, or 100 */
	if (call->header)
		call->header(call->ctx, line);
	if (span_istarts(line, name)) {
		struct span v = span_trim(span_from(line, name.len));
		uint64_t s = 0;

		for (size_t i = 0; i < v.len && v.ptr[i] >= '0' && v.ptr[i] <= '9' && s < 100000;
		     i++)
			s = s * 10 + (uint64_t)(v.ptr[i] - '0');
		call->answer.retry_after_ms = MIN(s * 1000, (uint64_t)RETRY_MAX_MS);
	}
	return line.len;
}

/* ---- one call ---- */

void kube_call_free(struct kube_call *call)
{
	const struct libcurl *lib;

	if (!call)
		return;
	lib = &call->client->lib;
	if (call->curl)
		lib->curl_easy_cleanup(call->curl);
	lib->curl_slist_free_all(call->headers);
	lib->curl_slist_free_all(call->connect_to);
	kube_answer_fini(&call->answer);
	buf_fini(&call->problem);
	free(call->method);
	free(call->path);
	free(call->url);
	free(call->body);
	free(call);
}

static bool add_header(struct kube_call *call, const char *name, const char *value)
{
	struct curl_slist *more;
	char *line;

	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	more = call->client->lib.curl_slist_append(call->headers, line);
	explicit_bzero(line, strlen(line));
	free(line);
	if (more)
		call->headers = more;
	return more != NULL;
}

static bool add_headers(struct kube_call *call, const struct kube_request *q)
{
	bool is_good = add_header(call, "Accept", q->accept ? q->accept : "application/json");

	if (q->body.ptr)
		is_good &= add_header(call, "Content-Type",
				      q->content_type ? q->content_type : "application/json") &&
			   add_header(call, "Expect", "");
	for (const char *const *h = q->headers; h && *h && is_good; h++) {
		struct curl_slist *more = call->client->lib.curl_slist_append(call->headers, *h);

		is_good = more != NULL;
		call->headers = more ? more : call->headers;
	}
	return is_good;
}

#define SET(option, value)                                                                         \
	(call->client->lib.curl_easy_setopt(call->curl, (option), (value)) == CURLE_OK)

static bool set_text(struct kube_call *call, CURLoption option, const char *text)
{
	return !text || SET(option, text);
}

static bool set_blob(struct kube_call *call, CURLoption option, const char *pem)
{
	/* libcurl does not write to what it copies */
	struct curl_blob blob = {.data = (void *)(uintptr_t)pem,
				 .len = pem ? strlen(pem) : 0,
				 .flags = CURL_BLOB_COPY};

	return !pem || SET(option, &blob);
}

static bool set_trust(struct kube_call *call)
{
	const struct kube_config *c = call->client->config;

	return SET(CURLOPT_SSL_VERIFYPEER, c->is_insecure ? 0L : 1L) &&
	       SET(CURLOPT_SSL_VERIFYHOST, c->is_insecure ? 0L : 2L) &&
	       (c->ca_data ? set_blob(call, CURLOPT_CAINFO_BLOB, c->ca_data)
			   : set_text(call, CURLOPT_CAINFO, c->ca_file)) &&
	       (!call->connect_to || SET(CURLOPT_CONNECT_TO, call->connect_to));
}

/* libcurl sends the token in the header Authorization, and to this host alone. */
bool kube_call_show_credential(struct kube_call *call)
{
	const struct kube_config *c = call->client->config;
	const struct kube_credential *cr = call->client->credential;
	const char *token = kube_credential_token(cr);
	const char *cert = kube_credential_cert(cr), *key = kube_credential_key(cr);
	bool is_good = (cert ? set_blob(call, CURLOPT_SSLCERT_BLOB, cert)
			     : set_text(call, CURLOPT_SSLCERT, c->cert_file)) &&
		       (key ? set_blob(call, CURLOPT_SSLKEY_BLOB, key)
			    : set_text(call, CURLOPT_SSLKEY, c->key_file));

	if (token)
		return is_good && SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) &&
		       SET(CURLOPT_XOAUTH2_BEARER, token);
	if (!c->username)
		return is_good;
	return is_good && SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) &&
	       SET(CURLOPT_USERNAME, c->username) &&
	       SET(CURLOPT_PASSWORD, c->password ? c->password : "");
}

static bool set_request(struct kube_call *call, const struct kube_request *q)
{
	bool is_get = strcmp(call->method, "GET") == 0;
	uint64_t timeout = q->timeout_ms ? q->timeout_ms : call->data ? 0 : TIMEOUT_MS;
	bool is_good = SET(CURLOPT_URL, call->url) && SET(CURLOPT_HTTPHEADER, call->headers) &&
		       SET(CURLOPT_TIMEOUT_MS, (long)MIN(timeout, (uint64_t)INT32_MAX));

	if (q->is_connection) /* a tunnel through proxies in any case: we speak with the API server */
		return is_good && SET(CURLOPT_CONNECT_ONLY, 1L) && SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
	if (q->body.ptr)
		is_good &= SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len) &&
			   SET(CURLOPT_POSTFIELDS, call->body);
	return is_good && (is_get || SET(CURLOPT_CUSTOMREQUEST, call->method));
}

static bool set_transfer(struct kube_call *call)
{
	return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_ERRORBUFFER, call->why) &&
	       SET(CURLOPT_PROTOCOLS_STR, "http,https") && SET(CURLOPT_FOLLOWLOCATION, 0L) &&
	       SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) && SET(CURLOPT_TCP_KEEPALIVE, 1L) &&
	       SET(CURLOPT_TCP_KEEPIDLE, KEEPIDLE_S) && SET(CURLOPT_TCP_KEEPINTVL, KEEPINTVL_S) &&
	       SET(CURLOPT_USERAGENT, "tapeloop/" TAPELOOP_VERSION) &&
	       set_text(call, CURLOPT_PROXY, call->client->config->proxy_url) &&
	       SET(CURLOPT_WRITEFUNCTION, on_body) && SET(CURLOPT_WRITEDATA, call) &&
	       SET(CURLOPT_HEADERFUNCTION, on_header) && SET(CURLOPT_HEADERDATA, call) &&
	       SET(CURLOPT_PRIVATE, call);
}

#undef SET

/*
 * tls-server-name: libcurl checks the certificate against the URL's host, so that becomes the name,
 * and it is told where to connect instead.
 */
static bool make_url(struct kube_call *call)
{
	const struct kube_config *c = call->client->config;
	const char *host = strstr(c->server, "://"), *rest, *port;
	char *line = NULL;

	if (!c->tls_server_name || !host)
		return asprintf(&call->url, "%s%s", c->server, call->path) >= 0;
	host += 3;
	rest = host + strcspn(host, "/");
	port = memrchr(host, ':', (size_t)(rest - host));
	if (port && memchr(port, ']', (size_t)(rest - port)))
		port = NULL; /* of an IPv6 address */
	if (asprintf(&call->url, "https://%s%.*s%s%s", c->tls_server_name,
		     port ? (int)(rest - port) : 0, port ? port : "", rest, call->path) < 0 ||
	    asprintf(&line, "::%.*s%s", (int)(rest - host), host, port ? "" : ":443") < 0)
		return false;
	call->connect_to = call->client->lib.curl_slist_append(NULL, line);
	free(line);
	return call->connect_to != NULL;
}

static bool copy_request(struct kube_call *call, const struct kube_request *q)
{
	call->method = strdup(q->method ? q->method : "GET");
	call->path = strdup(q->path);
	call->answer_max = q->answer_max ? q->answer_max : KUBE_ANSWER_MAX;
	if (q->body.ptr) {
		call->body = malloc(q->body.len + 1);
		if (call->body && q->body.len)
			memcpy(call->body, q->body.ptr, q->body.len);
	}
	return call->method && call->path && (!q->body.ptr || call->body) && make_url(call);
}

struct kube_call *kube_call_new(struct kube_client *c, const struct kube_request *q,
				kube_data_fn *data, struct err *e)
{
	struct kube_call *call = calloc(1, sizeof(*call));

	if (call) {
		call->client = c;
		call->data = data;
		call->header = q->header;
		call->is_connection = q->is_connection;
		list_init(&call->link);
		call->curl = c->lib.curl_easy_init();
	}
	if (call && call->curl && copy_request(call, q) && add_headers(call, q) &&
	    set_transfer(call) && set_trust(call) && set_request(call, q))
		return call;
	kube_call_free(call);
	(void)err_set(e, -ENOMEM, "%s: out of memory, or libcurl refuses the request",
		      c->config->server);
	return NULL;
}

static int transfer_errno(CURLcode code)
{
	static const struct {
		CURLcode code;
		int error;
	} rows[] = {
		{CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH},
		{CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH},
		{CURLE_COULDNT_CONNECT, -ECONNREFUSED},
		{CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
		{CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED},
		{CURLE_SSL_CACERT_BADFILE, -EKEYREJECTED},
		{CURLE_SSL_CERTPROBLEM, -EKEYREJECTED},
		{CURLE_OUT_OF_MEMORY, -ENOMEM},
		{CURLE_URL_MALFORMAT, -EINVAL},
		{CURLE_UNSUPPORTED_PROTOCOL, -EINVAL},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].code == code)
			return rows[i].error;
	return -ECONNRESET;
}

int kube_call_result(const struct kube_call *call, CURLcode code, struct err *e)
{
	const char *server = call->client->config->server;
	long status = call->answer.status;

	if (call->data_result == -E2BIG && !call->data)
		return err_set(e, -E2BIG, "%s %s: the answer is longer than %zu octets",
			       call->method, call->path, call->answer_max);
	if (call->data_result)
		return err_set(e, call->data_result, "%s %s: ended", call->method, call->path);
	if (code != CURLE_OK)
		return err_set(e, transfer_errno(code), "%s: %s", server,
			       call->why[0] ? call->why
					    : call->client->lib.curl_easy_strerror(code));
	if (call->is_connection)
		return 0;
	return status >= 200 && status <= 299 ? 0 : refuse_status(call, e);
}
