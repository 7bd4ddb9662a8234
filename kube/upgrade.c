// SPDX-License-Identifier: Apache-2.0
#include "kube/upgrade.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "kube/config.h"

/*
 * Theory of operation
 *
 * libcurl makes the connection (proxies, TLS, certificates) and hands it over before any request; the request
 * is written here, since libcurl speaks no other protocol behind a 101.
 *
 * A 101 must prove that it answers this request (Sec-WebSocket-Accept) and take the subprotocol. Anything
 * else is a refusal, whose body is awaited by its length, its last chunk or its end, and read as a Status object
 * if it is one. The chunked coding is not undone: an object in one chunk is found by its first brace.
 */

static void add_basic(struct buf *out, const struct kube_config *config)
{
	AUTO_BUF pair = {0};

	buf_add_fmt(&pair, "%s:%s", config->username, config->password ? config->password : "");
	buf_add_str(out, "Authorization: Basic ");
	if (!pair.is_failed && buf_reserve(out, pair.len * 4 / 3 + 8))
		out->len += (size_t)EVP_EncodeBlock(out->ptr + out->len, pair.ptr, (int)pair.len);
	buf_add_str(out, "\r\n");
	if (pair.ptr)
		explicit_bzero(pair.ptr, pair.len);
}

static void add_credential(struct buf *out, const struct kube_config *config, const char *token)
{
	if (token)
		buf_add_fmt(out, "Authorization: Bearer %s\r\n", token);
	else if (config->username)
		add_basic(out, config);
}

void kube_upgrade_ask(const char *url, const struct kube_config *config, const char *token,
		      const char *key, const char *protocol, struct buf *out)
{
	const char *host = strstr(url, "://"), *path;

	host = host ? host + 3 : url;
	path = host + strcspn(host, "/");
	buf_add_fmt(out,
		    "GET %s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: tapeloop/" TAPELOOP_VERSION "\r\n"
		    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n",
		    *path ? path : "/", (int)(path - host), host, key, protocol);
	add_credential(out, config, token);
	buf_add_str(out, "\r\n");
}

/* ---- the answer ---- */

/* the value of the header that is found last; empty: none */
static struct span header(struct span head, struct span name)
{
	struct span value = {0};

	while (head.len) {
		const uint8_t *end = memchr(head.ptr, '\n', head.len);
		struct span line = span_of(head.ptr, end ? (size_t)(end - head.ptr) : head.len);

		head = span_from(head, line.len + 1);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len > name.len && line.ptr[name.len] == ':' && span_istarts(line, name))
			value = span_trim(span_from(line, name.len + 1));
	}
	return value;
}

static bool read_status(struct span head, long *out)
{
	long status = 0;

	if (head.len < 12 || memcmp(head.ptr, "HTTP/1.", 7) != 0 || head.ptr[8] != ' ')
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (head.ptr[i] < '0' || head.ptr[i] > '9')
			return false;
		status = status * 10 + (head.ptr[i] - '0');
	}
	*out = status;
	return status >= 100;
}

static bool is_whole(struct span head, struct span body, bool is_end)
{
	struct span length = header(head, SPAN_LIT("Content-Length"));
	size_t n = 0;

	if (is_end || body.len >= KUBE_UPGRADE_HEAD_MAX)
		return true;
	if (!length.len)
		return body.len >= 5 && memcmp(body.ptr + body.len - 5, "0\r\n\r\n", 5) == 0;
	for (size_t i = 0; i < length.len && n < KUBE_UPGRADE_HEAD_MAX; i++)
		if (length.ptr[i] >= '0' && length.ptr[i] <= '9')
			n = n * 10 + (size_t)(length.ptr[i] - '0');
	return body.len >= n;
}

static void set_message(struct kube_upgrade *out, struct span text)
{
	size_t n = 0;

	text = span_trim(text);
	for (size_t i = 0; i < text.len && n + 1 < sizeof(out->message); i++)
		out->message[n++] =
			text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? ' ' : (char)text.ptr[i];
	out->message[n] = '\0';
}

static void read_refusal(struct kube_upgrade *out, struct span body)
{
	const uint8_t *brace = span_chr(body, '{');
	json_t *status =
		brace ? json_loadb((const char *)brace, body.len - (size_t)(brace - body.ptr),
				   JSON_DISABLE_EOF_CHECK, NULL)
		      : NULL;
	const char *message = json_string_value(json_object_get(status, "message"));

	set_message(out, message    ? span_str(message)
			 : body.len ? body
				    : SPAN_LIT("no reason given"));
	json_decref(status);
}

static enum kube_upgrade_state check_upgrade(struct span head, const char *key,
					     const char *protocol, struct kube_upgrade *out)
{
	AUTO_BUF accept = {0};

	ws_accept_of(span_str(key), &accept);
	if (accept.is_failed ||
	    !span_eq(header(head, SPAN_LIT("Sec-WebSocket-Accept")), buf_span(&accept))) {
		set_message(out,
			    SPAN_LIT("what answers the WebSocket's request is not the API server"));
		return KUBE_UPGRADE_BROKEN;
	}
	if (!span_eq(header(head, SPAN_LIT("Sec-WebSocket-Protocol")), span_str(protocol))) {
		set_message(out,
			    SPAN_LIT("the API server does not take the WebSocket's subprotocol"));
		return KUBE_UPGRADE_BROKEN;
	}
	return KUBE_UPGRADE_DONE;
}

enum kube_upgrade_state kube_upgrade_read(struct span bytes, bool is_end, const char *key,
					  const char *protocol, struct kube_upgrade *out)
{
	const uint8_t *blank = span_find(bytes, SPAN_LIT("\r\n\r\n"));
	struct span head;

	*out = (struct kube_upgrade){0};
	if (!blank && !is_end && bytes.len < KUBE_UPGRADE_HEAD_MAX)
		return KUBE_UPGRADE_MORE;
	head = blank ? span_of(bytes.ptr, (size_t)(blank - bytes.ptr)) : bytes;
	if (!blank || !read_status(head, &out->status)) {
		set_message(out, bytes.len ? SPAN_LIT("the answer is not HTTP/1.1")
					   : SPAN_LIT("the API server closed the connection "
						      "without an answer"));
		return KUBE_UPGRADE_BROKEN;
	}
	out->used = head.len + 4;
	if (out->status == 101)
		return check_upgrade(head, key, protocol, out);
	if (!is_whole(head, span_from(bytes, out->used), is_end))
		return KUBE_UPGRADE_MORE;
	read_refusal(out, span_from(bytes, out->used));
	return KUBE_UPGRADE_REFUSED;
}
