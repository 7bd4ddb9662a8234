// SPDX-License-Identifier: Apache-2.0
#include "replay/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 *   TCP connecting ---> (no TLS) OPEN
 *                  \--> handshake ---> certificate, host, ALPN all right ---> OPEN
 *
 * OpenSSL reads and writes through a BIO of ours. During the handshake it takes from the socket exactly what
 * it asks for. Once open, one recv() fetches all there is into tls->raw, and OpenSSL is fed from there until
 * it wants more than that: it keeps the beginning of a record that is not whole, and nothing decrypted is
 * ever left behind, so epoll's word about the socket is the whole truth.
 *
 * The end of TCP without close_notify may be an attacker's (RFC 8446 6.1): was_cut tells those for whom the end
 * of the connection means something. Writes use MSG_NOSIGNAL: no SIGPIPE.
 *
 * ALPN (RFC 7301): a recorded HTTP/2 needs "h2" chosen. HTTP/1.1 is also what a server without ALPN speaks.
 */

#define RECORD_MAX 16384	     /* RFC 8446 5.1 */
#define REFUSAL_NS (150 * NS_PER_MS) /* that a probe waits to hear that a tunnel has no other end */
_Static_assert(TLS_RAW_BYTES > RECORD_MAX, "a record fits");

static const struct {
	int error;
	uint8_t fault;
} certificate_faults[] = {
	{X509_V_ERR_CERT_HAS_EXPIRED, TRANSPORT_EXPIRED},
	{X509_V_ERR_CERT_NOT_YET_VALID, TRANSPORT_EXPIRED},
	{X509_V_ERR_HOSTNAME_MISMATCH, TRANSPORT_WRONG_HOST},
	{X509_V_ERR_IP_ADDRESS_MISMATCH, TRANSPORT_WRONG_HOST},
};

void transport_init(struct transport *t)
{
	*t = (struct transport){.fd = -1};
}

static int open_socket(const struct target *target)
{
	static const int on = 1;
	int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&target->address, target->address_bytes) < 0 &&
	    errno != EINPROGRESS) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

int transport_socket(const struct target *target, struct transport_socket *out)
{
	struct transport_socket s = {.way = target->way};

	s.fd = s.way ? s.way->open(s.way->ctx, &s.line) : open_socket(target);
	if (s.fd < 0)
		return s.fd;
	*out = s;
	return 0;
}

static void close_line(const struct target_way *way, void **line)
{
	if (*line)
		way->close(*line);
	*line = NULL;
}

void transport_socket_close(struct transport_socket *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	close_line(s->way, &s->line);
}

/* the end of a line that was not to be the end. Return: 0, or a negative errno */
static int line_error(const struct target_way *way, void *line, const char **detail_out)
{
	return line ? way->why(line, detail_out) : 0;
}

/* Return: 1 when it can be read or written, 0 when it was not in time, or a negative errno */
static int wait_for(int fd, short events, uint64_t timeout_ns)
{
	struct pollfd p = {.fd = fd, .events = events};
	int ready = poll(&p, 1, (int)MIN(timeout_ns / NS_PER_MS + 1, (uint64_t)INT32_MAX));

	return ready < 0 ? -errno : ready;
}

/*
 * A tunnel is there before the port behind it is asked: that nobody listens there shows a moment later,
 * if at all. When it shows too late it is the first request that finds out.
 */
static int probe_line(const struct transport_socket *s, uint64_t timeout_ns,
		      const char **detail_out)
{
	char octets[2];
	int r = wait_for(s->fd, POLLIN, timeout_ns);
	ssize_t n;

	if (r <= 0)
		return r == 0 ? -ETIMEDOUT : r;
	n = recv(s->fd, octets, 1, MSG_PEEK);
	if (n == 1 && wait_for(s->fd, POLLRDHUP, REFUSAL_NS) == 1)
		n = recv(s->fd, octets, sizeof(octets), MSG_PEEK) > 1 ? 1 : 0;
	if (n > 0)
		return 0;
	r = line_error(s->way, s->line, detail_out);
	return r ? r : -ECONNRESET;
}

int transport_probe(const struct transport_socket *s, uint64_t timeout_ns, const char **detail_out)
{
	int error = 0, r;
	socklen_t len = sizeof(error);

	*detail_out = NULL;
	if (s->line)
		return probe_line(s, timeout_ns, detail_out);
	r = wait_for(s->fd, POLLOUT, timeout_ns);
	if (r <= 0)
		return r == 0 ? -ETIMEDOUT : r;
	(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

/* ---- what OpenSSL reads and writes ---- */

static int bytes_write(BIO *bio, const char *from, int len)
{
	struct transport *t = BIO_get_data(bio);
	ssize_t n = send(t->fd, from, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	else if (n < 0)
		t->error = errno;
	return (int)n;
}

static int bytes_read(BIO *bio, char *to, int room)
{
	struct transport *t = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (t->is_fed) {
		n = (ssize_t)MIN((size_t)room, t->raw.len);
		if (n == 0) {
			BIO_set_retry_read(bio);
			return -1;
		}
		memcpy(to, t->raw.ptr, (size_t)n);
		t->raw = span_from(t->raw, (size_t)n);
		return (int)n;
	}
	n = recv(t->fd, to, (size_t)room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	else if (n < 0)
		t->error = errno;
	return (int)n;
}

static long bytes_control(BIO *bio, int what, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return what == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bytes_method(struct tls *tls)
{
	BIO_METHOD *m = tls->bytes;

	if (m)
		return m;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
	if (!m || !BIO_meth_set_write(m, bytes_write) || !BIO_meth_set_read(m, bytes_read) ||
	    !BIO_meth_set_ctrl(m, bytes_control)) {
		BIO_meth_free(m);
		return NULL;
	}
	tls->bytes = m;
	return m;
}

/* Return: 1, the session is ours now */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct transport *t = SSL_get_app_data(ssl);

	if (t->target >= t->tls->session_count)
		return 0;
	SSL_SESSION_free(t->tls->sessions[t->target]);
	t->tls->sessions[t->target] = session;
	return 1;
}

/* ---- the handshake ---- */

static bool expect_host(SSL *ssl, const char *name)
{
	uint8_t address[16];
	bool is_address =
		inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;

	if (is_address) /* RFC 6066 3: no SNI */
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* OpenSSL's macro SSL_set_tlsext_host_name() drops a const */
	return SSL_set1_host(ssl, name) == 1 &&
	       SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			(void *)(uintptr_t)name) == 1;
}

static bool offer_protocol(SSL *ssl, bool wants_http2)
{
	static const uint8_t h2[] = "\2h2", http1[] = "\10http/1.1";

	return wants_http2 ? SSL_set_alpn_protos(ssl, h2, sizeof(h2) - 1) == 0
			   : SSL_set_alpn_protos(ssl, http1, sizeof(http1) - 1) == 0;
}

static int begin_tls(struct transport *t, const struct target *target)
{
	struct tls *tls = t->tls;
	BIO_METHOD *method = bytes_method(tls);
	BIO *bio = method ? BIO_new(method) : NULL;

	t->ssl = bio ? SSL_new(tls->context) : NULL;
	if (!t->ssl) {
		(void)BIO_free(bio);
		return -ENOMEM;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	(void)SSL_set_app_data(t->ssl, t);
	SSL_CTX_sess_set_new_cb(tls->context, keep_session);
	SSL_set_connect_state(t->ssl);
	if (!expect_host(t->ssl, tls->server_name ? tls->server_name : target->host) ||
	    !offer_protocol(t->ssl, t->wants_http2))
		return -ENOMEM;
	if (t->target < tls->session_count && tls->sessions[t->target])
		(void)SSL_set_session(t->ssl, tls->sessions[t->target]);
	return 0;
}

int transport_begin(struct transport *t, struct transport_socket *socket, struct tls *tls,
		    const struct target *target, size_t index, bool wants_http2)
{
	int r;

	*t = (struct transport){.fd = socket->fd,
				.way = socket->way,
				.line = socket->line,
				.tls = tls,
				.target = index,
				.wants_http2 = wants_http2};
	*socket = (struct transport_socket){.fd = -1};
	r = tls ? begin_tls(t, target) : 0;
	if (r < 0)
		transport_close(t);
	return r;
}

static enum transport_state fail(struct transport *t, enum transport_fault fault,
				 const char *detail)
{
	t->fault = (uint8_t)fault;
	t->detail = detail;
	return TRANSPORT_FAILED;
}

static enum transport_state refuse_certificate(struct transport *t, long verified)
{
	const char *text = X509_verify_cert_error_string(verified);

	for (size_t i = 0; i < COUNT_OF(certificate_faults); i++)
		if (certificate_faults[i].error == verified)
			return fail(t, certificate_faults[i].fault, text);
	return fail(t, TRANSPORT_UNTRUSTED, text);
}

static enum transport_state fail_handshake(struct transport *t)
{
	unsigned long error = ERR_peek_last_error();
	long verified = SSL_get_verify_result(t->ssl);

	if (t->error)
		return fail(t, TRANSPORT_TLS, "the target broke off the TLS handshake");
	if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		return refuse_certificate(t, verified);
	if (ERR_GET_REASON(error) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
		return fail(t, TRANSPORT_ALPN, "the target refuses the protocol");
	if (error == 0 || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return fail(t, TRANSPORT_TLS, "the target closed within the TLS handshake");
	return fail(t, TRANSPORT_TLS, ERR_reason_error_string(error));
}

static enum transport_state check_protocol(struct transport *t)
{
	const unsigned char *name;
	unsigned len;
	struct span chosen;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	chosen = span_of(name, len);
	if (t->wants_http2 ? span_eq(chosen, SPAN_LIT("h2"))
			   : len == 0 || span_eq(chosen, SPAN_LIT("http/1.1")))
		return TRANSPORT_OPEN;
	if (len == 0)
		return fail(t, TRANSPORT_ALPN,
			    "HTTP/2 was recorded, and the target chose no protocol");
	return fail(t, TRANSPORT_ALPN,
		    t->wants_http2
			    ? "HTTP/2 was recorded, and the target chose another protocol"
			    : "HTTP/1.1 was recorded, and the target chose another protocol");
}

static enum transport_state shake_hands(struct transport *t)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	if (r == 1) {
		t->is_resumed = SSL_session_reused(t->ssl) == 1;
		return check_protocol(t);
	}
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ: return TRANSPORT_WAITS_IN;
	case SSL_ERROR_WANT_WRITE: return TRANSPORT_WAITS_OUT;
	default: return fail_handshake(t);
	}
}

/* its octet, or its end */
static enum transport_state hear_line(struct transport *t)
{
	char octet;
	ssize_t n = recv(t->fd, &octet, 1, 0);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return TRANSPORT_WAITS_IN;
	if (n <= 0) {
		r = line_error(t->way, t->line, &t->detail);
		t->error = r ? -r : ECONNRESET;
		return TRANSPORT_FAILED;
	}
	t->is_connected = true;
	return t->tls ? shake_hands(t) : TRANSPORT_OPEN;
}

enum transport_state transport_advance(struct transport *t)
{
	socklen_t len = sizeof(t->error);

	if (!t->is_connected && t->line)
		return hear_line(t);
	if (!t->is_connected) {
		(void)getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &t->error, &len);
		if (t->error)
			return TRANSPORT_FAILED;
		t->is_connected = true;
	}
	return t->tls ? shake_hands(t) : TRANSPORT_OPEN;
}

/* ---- open ---- */

static ssize_t send_tls(struct transport *t, struct span bytes)
{
	size_t done = 0;
	int r = 1;

	ERR_clear_error();
	while (done < bytes.len && r > 0) {
		r = SSL_write(t->ssl, bytes.ptr + done,
			      (int)MIN(bytes.len - done, (size_t)INT32_MAX));
		if (r > 0)
			done += (size_t)r;
	}
	if (done || r > 0)
		return (ssize_t)done;
	if (SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	return t->error ? -t->error : -EPIPE;
}

ssize_t transport_send(struct transport *t, struct span bytes)
{
	ssize_t n;

	if (t->tls)
		return send_tls(t, bytes);
	n = send(t->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EINTR ? -EAGAIN : -errno;
}

/* what OpenSSL says after the last of the bytes that could be had */
static ssize_t end_of_read(struct transport *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ: return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: t->has_ended = true; return 0;
	default:
		t->has_ended = true;
		(void)fail(t, TRANSPORT_TLS, ERR_reason_error_string(ERR_peek_last_error()));
		return -EPROTO;
	}
}

static ssize_t decrypt(struct transport *t, uint8_t *to, size_t room)
{
	size_t got = 0;
	ssize_t end;
	int r;

	ERR_clear_error();
	t->is_fed = true;
	do {
		r = SSL_read(t->ssl, to + got, (int)(room - got));
		if (r > 0)
			got += (size_t)r;
	} while (r > 0 && got < room);
	t->is_fed = false;
	end = r > 0 ? 0 : end_of_read(t, r);
	return got ? (ssize_t)got : end;
}

ssize_t transport_recv(struct transport *t, uint8_t *to, size_t room)
{
	bool is_tls = t->tls != NULL;
	ssize_t n;

	if (t->has_ended)
		return t->fault ? -EPROTO : 0;
	n = recv(t->fd, is_tls ? t->tls->raw : to, is_tls ? TLS_RAW_BYTES : room, 0);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0 && (t->error = -line_error(t->way, t->line, &t->detail)) > 0)
		return -t->error;
	if (!is_tls || n == 0) {
		t->was_cut = is_tls;
		return n;
	}
	t->raw = span_of(t->tls->raw, (size_t)n);
	return decrypt(t, to, room);
}

void transport_close(struct transport *t)
{
	if (t->ssl) {
		if (t->fault == TRANSPORT_NO_FAULT && t->is_connected &&
		    SSL_is_init_finished(t->ssl))
			(void)SSL_shutdown(t->ssl); /* close_notify, if it can go at once */
		SSL_free(t->ssl);
		t->ssl = NULL;
	}
	if (t->fd >= 0)
		(void)close(t->fd);
	t->fd = -1;
	close_line(t->way, &t->line);
	t->is_connected = false;
}
