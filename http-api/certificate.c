// SPDX-License-Identifier: Apache-2.0
#include "http-api/certificate.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * libmicrohttpd takes texts and says little about those that are wrong, so they are read and
 * matched here first. A certificate that we sign ourselves protects against who only listens; it
 * serves behind an API server, whose proxy to pods verifies none anyway.
 */

#define SELF_YEARS   10
#define SECONDS_YEAR (365L * 86400)

static int read_file(const char *what, const char *path, struct buf *out, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (!f)
		return err_set(e, -errno, "%s %s: %s", what, path, strerror(errno));
	do {
		out->len += n;
		n = buf_reserve(out, 4096) ? fread(out->ptr + out->len, 1, 4095, f) : 0;
	} while (n && out->len < CERTIFICATE_BYTES_MAX);
	(void)fclose(f);
	if (out->is_failed || out->len >= CERTIFICATE_BYTES_MAX)
		return err_set(e, -E2BIG, "%s %s: larger than %d bytes", what, path,
			       CERTIFICATE_BYTES_MAX);
	(void)buf_cstr(out);
	return 0;
}

static int check(const char *cert_path, const char *key_path, const struct certificate *c,
		 struct err *e)
{
	BIO *cert_bio = BIO_new_mem_buf(c->cert.ptr, (int)c->cert.len);
	BIO *key_bio = BIO_new_mem_buf(c->key.ptr, (int)c->key.len);
	X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL) : NULL;
	int r = 0;

	if (!cert)
		r = err_set(e, -EINVAL, "api.tls_cert %s: no certificate in PEM", cert_path);
	else if (!key)
		r = err_set(e, -EINVAL, "api.tls_key %s: no private key in PEM", key_path);
	else if (X509_check_private_key(cert, key) != 1)
		r = err_set(e, -EINVAL, "api.tls_key %s: it is not the key of %s", key_path,
			    cert_path);
	X509_free(cert);
	EVP_PKEY_free(key);
	(void)BIO_free(cert_bio);
	(void)BIO_free(key_bio);
	return r;
}

/* ---- made here ---- */

static bool add_names(X509 *x)
{
	char host[256] = "localhost", names[512];
	X509_EXTENSION *extension;
	bool is_added;

	(void)gethostname(host, sizeof(host) - 1);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
					 (const unsigned char *)"tapeloopd", -1, -1, 0);
	(void)snprintf(names, sizeof(names), "DNS:localhost,DNS:%s", host);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	is_added = extension && X509_add_ext(x, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return is_added && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1;
}

static bool fill(X509 *x, EVP_PKEY *key)
{
	uint32_t serial = 0;

	randombytes_buf(&serial, sizeof(serial));
	return X509_set_version(x, 2) == 1 &&
	       ASN1_INTEGER_set(X509_get_serialNumber(x), (long)(serial >> 1) + 1) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
	       X509_gmtime_adj(X509_getm_notAfter(x), SELF_YEARS * SECONDS_YEAR) &&
	       X509_set_pubkey(x, key) == 1 && add_names(x) && X509_sign(x, key, EVP_sha256()) > 0;
}

static void add_bio(struct buf *out, BIO *bio)
{
	char *text = NULL;
	long n = BIO_get_mem_data(bio, &text);

	if (n > 0)
		buf_add(out, text, (size_t)n);
	(void)buf_cstr(out);
}

static int make(struct certificate *out, struct err *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_secmem());
	bool is_made = key && x && cert_bio && key_bio && fill(x, key) &&
		       PEM_write_bio_X509(cert_bio, x) == 1 &&
		       PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1;

	if (is_made) {
		add_bio(&out->cert, cert_bio);
		add_bio(&out->key, key_bio);
	}
	X509_free(x);
	EVP_PKEY_free(key);
	(void)BIO_free(cert_bio);
	(void)BIO_free(key_bio);
	return is_made && !out->key.is_failed ? 0
					      : err_set(e, -EIO, "api: cannot make a certificate");
}

int certificate_load(const char *cert_path, const char *key_path, struct certificate *out,
		     struct err *e)
{
	struct certificate c = {0};
	int r;

	if (strcmp(cert_path, CERTIFICATE_SELF) == 0) {
		r = make(&c, e);
	} else {
		r = read_file("api.tls_cert", cert_path, &c.cert, e);
		if (r == 0)
			r = read_file("api.tls_key", key_path, &c.key, e);
		if (r == 0)
			r = check(cert_path, key_path, &c, e);
	}
	if (r < 0)
		certificate_fini(&c);
	else
		*out = c;
	return r;
}

void certificate_fini(struct certificate *c)
{
	if (c->key.ptr)
		sodium_memzero(c->key.ptr, c->key.cap);
	buf_fini(&c->cert);
	buf_fini(&c->key);
}
