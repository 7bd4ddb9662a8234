// SPDX-License-Identifier: Apache-2.0
#include "daemon/tapcache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"

/*
 * Theory of operation. Written beside and moved into its place. It is not made durable against a loss of power: then an
 * older one, or none, is read, and the API server has the last word as soon as it is there. It holds specs, no
 * secrets; whoever can write it can write the tapes.
 */
static int path_of(const char *dir, const char *suffix, char *out, size_t bytes)
{
	int n = snprintf(out, bytes, "%s/" TAPCACHE_NAME "%s", dir, suffix);

	return n < 0 || (size_t)n >= bytes ? -ENAMETOOLONG : 0;
}

static int read_all(int fd, struct buf *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > TAPCACHE_BYTES_MAX)
		return -EBADMSG;
	for (;;) {
		uint8_t piece[16384];
		ssize_t n = read(fd, piece, sizeof(piece));

		if (n < 0)
			return -errno;
		if (n == 0)
			return out->is_failed ? -ENOMEM : 0;
		if (out->len + (size_t)n > TAPCACHE_BYTES_MAX)
			return -EBADMSG;
		buf_add(out, piece, (size_t)n);
	}
}

int tapcache_read(const char *dir, json_t **out, struct err *e)
{
	char path[4096];
	AUTO_BUF text = {0};
	int failed = path_of(dir, "", path, sizeof(path)), fd;
	json_t *list;

	if (failed < 0)
		return err_set(e, failed, "%s: %s", dir, strerror(-failed));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	failed = read_all(fd, &text);
	(void)close(fd);
	if (failed < 0)
		return err_set(e, failed, "%s: %s", path, strerror(-failed));
	list = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	if (!json_is_array(list)) {
		json_decref(list);
		return err_set(e, -EBADMSG, "%s: no list in JSON", path);
	}
	*out = list;
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int tapcache_write(const char *dir, const json_t *list, struct err *e)
{
	char path[4096], fresh[4096];
	char *text = json_dumps(list, JSON_COMPACT);
	int failed = text ? path_of(dir, "", path, sizeof(path)) : -ENOMEM, fd;

	if (failed == 0)
		failed = path_of(dir, ".new", fresh, sizeof(fresh));
	if (failed == 0) {
		fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		failed = fd < 0 ? -errno : write_all(fd, text, strlen(text));
		if (fd >= 0 && close(fd) < 0 && failed == 0)
			failed = -errno;
		if (failed == 0 && rename(fresh, path) < 0)
			failed = -errno;
		if (failed < 0)
			(void)unlink(fresh);
	}
	free(text);
	return failed < 0 ? err_set(e, failed, "%s/" TAPCACHE_NAME ": %s", dir, strerror(-failed))
			  : 0;
}
