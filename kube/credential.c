// SPDX-License-Identifier: Apache-2.0
#include "kube/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kube/config.h"
#include "kube/exec.h"

/*
 * Theory of operation. A service account's token is a file behind a symbolic link that the kubelet
 * exchanges (..data), so device, inode, size and time of change of what the path leads to tell
 * whether it is another one. It is replaced long before it expires; a server that refuses it anyway
 * makes it be read once more, whatever the file's times say.
 */
#define TOKEN_MAX	65536
#define EXPIRES_EARLY_S 10 /* an answer of a plugin is not used for its last seconds */

struct kube_credential {
	const struct kube_config *config; /* borrowed */
	char *file_token;
	struct stat seen; /* of the token's file */
	bool has_seen;
	struct kube_exec_answer exec;
	bool has_exec;
	bool was_refused; /* what we have, by the server */
	uint64_t reads;
};

struct kube_credential *kube_credential_new(const struct kube_config *c)
{
	struct kube_credential *cr = calloc(1, sizeof(*cr));

	if (cr)
		cr->config = c;
	return cr;
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void kube_credential_free(struct kube_credential *cr)
{
	if (!cr)
		return;
	wipe(cr->file_token);
	kube_exec_answer_fini(&cr->exec);
	free(cr);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Return: bytes, blanks at the end cut off; or a negative errno. */
static ssize_t read_token(int fd, char *text)
{
	ssize_t n = 0, got;

	while (n < TOKEN_MAX && (got = read(fd, text + n, (size_t)(TOKEN_MAX - n))) != 0) {
		if (got < 0 && errno != EINTR)
			return -errno;
		n += MAX(got, 0);
	}
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		n--;
	return n == TOKEN_MAX ? -E2BIG : n;
}

/* A header's value: nothing in it may end it (RFC 6750 2.1). */
static bool is_token(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return n > 0;
}

static int take_file(struct kube_credential *cr, int fd, const struct stat *st, struct err *e)
{
	const char *path = cr->config->token_file;
	char *text = malloc(TOKEN_MAX + 1);
	ssize_t n = text ? read_token(fd, text) : -ENOMEM;

	if (n < 0 || !is_token(text, (size_t)n)) {
		free(text);
		return n < 0 ? err_set(e, (int)n, "%s: %s", path, strerror((int)-n))
			     : err_set(e, -EINVAL, "%s: expected a token", path);
	}
	text[n] = '\0';
	wipe(cr->file_token);
	cr->file_token = text;
	cr->seen = *st;
	cr->has_seen = true;
	cr->was_refused = false;
	cr->reads++;
	return 0;
}

/* While it is being exchanged there may be none: then the one we have goes on. */
static int refresh_file(struct kube_credential *cr, struct err *e)
{
	const char *path = cr->config->token_file;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return cr->file_token ? 0 : err_set(e, r, "%s: %s", path, strerror(-r));
	}
	if (!cr->has_seen || cr->was_refused || !is_same_file(&st, &cr->seen))
		r = take_file(cr, fd, &st, e);
	(void)close(fd);
	return r < 0 && cr->file_token ? 0 : r;
}

static int refresh_exec(struct kube_credential *cr, uint64_t now_ns, struct err *e)
{
	struct kube_exec_answer fresh = {0};
	uint64_t ends = cr->exec.expires_ns;
	int r;

	if (cr->has_exec && !cr->was_refused &&
	    (ends == 0 || now_ns + EXPIRES_EARLY_S * NS_PER_S < ends))
		return 0;
	r = kube_exec_run(cr->config, &fresh, e);
	if (r < 0)
		return r;
	kube_exec_answer_fini(&cr->exec);
	cr->exec = fresh;
	cr->has_exec = true;
	cr->was_refused = false;
	cr->reads++;
	if (cr->exec.token && !is_token(cr->exec.token, strlen(cr->exec.token)))
		return err_set(e, -EPROTO, "%s: its token is none", cr->config->exec.command);
	return 0;
}

int kube_credential_refresh(struct kube_credential *cr, uint64_t now_ns, struct err *e)
{
	const struct kube_config *c = cr->config;

	/* as kubectl has it: a file wins over a token, both over a plugin */
	if (c->token_file)
		return refresh_file(cr, e);
	return c->exec.command && !c->token ? refresh_exec(cr, now_ns, e) : 0;
}

bool kube_credential_refused(struct kube_credential *cr)
{
	bool was = cr->was_refused;

	cr->was_refused = true;
	return !was && (cr->config->token_file || (cr->config->exec.command && !cr->config->token));
}

const char *kube_credential_token(const struct kube_credential *cr)
{
	if (cr->config->token_file)
		return cr->file_token;
	return cr->config->token ? cr->config->token : cr->exec.token;
}

const char *kube_credential_cert(const struct kube_credential *cr)
{
	return cr->exec.cert ? cr->exec.cert : cr->config->cert_data;
}

const char *kube_credential_key(const struct kube_credential *cr)
{
	return cr->exec.key ? cr->exec.key : cr->config->key_data;
}

uint64_t kube_credential_reads(const struct kube_credential *cr)
{
	return cr->reads;
}
