// SPDX-License-Identifier: Apache-2.0
#include "replay/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A context of OpenSSL's for all connections: TLS 1.2 and later, no renegotiation, the system's store of
 * trusted certificates or the operator's file in its place. Verification is on unless it was turned off by name.
 *
 * Sessions are kept here and not in OpenSSL's cache, which is the server's: the newest of each target
 * (RFC 8446 4.6.1) is offered by the next connection to it, which makes the handshake cheaper on both sides.
 */

static const char *why(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "unknown error";
}

/* a file is there and can be read: OpenSSL's own words for that are hard to read */
static int check_file(const char *what, const char *path, struct err *e)
{
	if (access(path, R_OK) < 0)
		return err_set(e, -errno, "%s %s: %s", what, path, strerror(errno));
	return 0;
}

static int trust(struct tls *tls, const struct tls_config *config, struct err *e)
{
	int r;

	if (!config->ca_file) {
		if (SSL_CTX_set_default_verify_paths(tls->context) != 1)
			return err_set(e, -EBADMSG, "the system's trusted certificates: %s", why());
		return 0;
	}
	r = check_file("--ca", config->ca_file, e);
	if (r == 0 && SSL_CTX_load_verify_file(tls->context, config->ca_file) != 1)
		r = err_set(e, -EBADMSG, "--ca %s: no certificates in PEM: %s", config->ca_file,
			    why());
	return r;
}

static int identify(struct tls *tls, const struct tls_config *config, struct err *e)
{
	const char *key = config->key_file ? config->key_file : config->cert_file;
	int r;

	if (!config->cert_file)
		return config->key_file ? err_set(e, -EINVAL, "--key without --cert") : 0;
	r = check_file("--cert", config->cert_file, e);
	if (r == 0)
		r = check_file("--key", key, e);
	if (r < 0)
		return r;
	if (SSL_CTX_use_certificate_chain_file(tls->context, config->cert_file) != 1)
		return err_set(e, -EBADMSG, "--cert %s: no certificate in PEM: %s",
			       config->cert_file, why());
	if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(tls->context) != 1)
		return err_set(e, -EBADMSG, "--key %s: no key of the certificate %s: %s", key,
			       config->cert_file, why());
	return 0;
}

static int make_context(struct tls *tls, const struct tls_config *config, struct err *e)
{
	tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls->context || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1)
		return err_set(e, -ENOMEM, "TLS cannot be used: %s", why());
	(void)SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
						     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
						     SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(tls->context,
					     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_set_verify(tls->context, config->is_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
			   NULL);
	return 0;
}

int tls_new(const struct tls_config *config, size_t targets, struct tls **tls_out, struct err *e)
{
	AUTO(tls) tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return err_set(e, -ENOMEM, "out of memory");
	tls->sessions = calloc(MAX(targets, (size_t)1), sizeof(*tls->sessions));
	tls->session_count = targets;
	if (config->server_name)
		tls->server_name = strdup(config->server_name);
	if (!tls->sessions || (config->server_name && !tls->server_name))
		return err_set(e, -ENOMEM, "out of memory");
	ERR_clear_error();
	r = make_context(tls, config, e);
	if (r == 0 && !config->is_insecure)
		r = trust(tls, config, e);
	if (r == 0)
		r = identify(tls, config, e);
	if (r == 0)
		*tls_out = TAKE(tls);
	return r;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	for (size_t i = 0; tls->sessions && i < tls->session_count; i++)
		SSL_SESSION_free(tls->sessions[i]);
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->bytes);
	free(tls->sessions);
	free(tls->server_name);
	free(tls);
}
