// SPDX-License-Identifier: Apache-2.0
/*
 * tls.h - TLS towards the targets: whom we trust, who we are, and what earlier connections agreed on
 *
 * One for all connections of a client. What speaks through it is replay/transport.h. Thread: replay.
 */
#pragma once

#include "lib/err.h"

#include <openssl/ssl.h>

#define TLS_RAW_BYTES (64 * 1024) /* received at once */

/* All texts are borrowed for tls_new(); NULL where not given. */
struct tls_config {
	const char *ca_file;   /* PEM: trusted in the place of the system's store */
	const char *cert_file; /* PEM: our certificate, with the chain behind it */
	const char *key_file;  /* PEM: its key; NULL: it is in cert_file, too */
	/* asked for (SNI) and expected in the certificate, in the place of the target's */
	const char *server_name;
	bool is_insecure; /* any certificate will do */
};

struct tls {
	SSL_CTX *context;
	BIO_METHOD *bytes;	/* replay/transport.c */
	SSL_SESSION **sessions; /* the newest of each target; NULL: none yet */
	size_t session_count;
	uint8_t raw[TLS_RAW_BYTES]; /* as received, while it is being decrypted */
	char *server_name;	    /* NULL: each target's own */
};

/**
 * tls_new() - read certificates and keys
 * @targets: sessions are kept for so many
 * @e:       -ENOENT, -EACCES a file; -EBADMSG it is no certificate or key, or they do not fit together; -ENOMEM
 *
 * Return: 0 with *@tls_out owned by the caller, free with tls_free().
 */
int tls_new(const struct tls_config *config, size_t targets, struct tls **tls_out,
	    struct err *e) MUST_USE;
void tls_free(struct tls *tls); /* accepts NULL; connections that use it are closed before */
AUTO_DEFINE(tls, tls_free)
