// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/cli.h"

/*
 * Theory of operation. A temporary file in the same directory, synced and then renamed: who looks
 * at the name sees the old file, or the new one whole. What is no ordinary file (a pipe,
 * /dev/stderr) is written as it is. Files are readable by their owner alone: recordings are other
 * people's data.
 */
#define ZIP_BYTES   65536
#define GZIP_WINDOW (15 + 16) /* zlib's way to ask for a gzip header */

struct output {
	char *path, *part; /* part NULL: written in place */
	int fd;		   /* -1: stdout */
	bool is_zipped;
	z_stream zip;
	struct buf zipped;
};

void output_discard(struct output *o)
{
	if (!o)
		return;
	if (o->fd >= 0)
		(void)close(o->fd);
	if (o->part)
		(void)unlink(o->part);
	if (o->is_zipped)
		(void)deflateEnd(&o->zip);
	buf_fini(&o->zipped);
	free(o->path);
	free(o->part);
	free(o);
}

static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int open_file(struct output *o, struct err *e)
{
	if (strcmp(o->path, "-") == 0)
		return 0;
	if (is_special(o->path)) {
		o->fd = open(o->path, O_WRONLY | O_CLOEXEC);
	} else {
		if (asprintf(&o->part, "%s.part-XXXXXX", o->path) < 0) {
			o->part = NULL;
			return err_set(e, -ENOMEM, "out of memory");
		}
		o->fd = mkostemp(o->part, O_CLOEXEC);
	}
	if (o->fd >= 0)
		return 0;
	free(TAKE(o->part));
	/* no file is not 'nothing matched' */
	return err_set(e, errno == ENOENT ? -ENXIO : -errno, "%s: %s", o->path, strerror(errno));
}

static bool is_gz(const char *path)
{
	size_t n = strlen(path);

	return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

int output_open(const char *path, struct output **o_out, struct err *e)
{
	AUTO(output) o = calloc(1, sizeof(*o));
	int r;

	if (!o || !(o->path = strdup(path)))
		return err_set(e, -ENOMEM, "out of memory");
	o->fd = -1;
	if (is_gz(path)) {
		if (deflateInit2(&o->zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
				 Z_DEFAULT_STRATEGY) != Z_OK)
			return err_set(e, -ENOMEM, "out of memory");
		o->is_zipped = true;
	}
	r = open_file(o, e);
	if (r < 0)
		return r;
	*o_out = TAKE(o);
	return 0;
}

static int write_out(struct output *o, struct buf *b, struct err *e)
{
	size_t done = 0;

	if (b->is_failed)
		return err_set(e, -ENOMEM, "out of memory");
	if (o->fd < 0) {
		int r = cli_print(b);

		return r == -EPIPE ? 1 : r < 0 ? err_set(e, r, "stdout: %s", strerror(-r)) : 0;
	}
	while (done < b->len) {
		ssize_t n = write(o->fd, b->ptr + done, b->len - done);

		if (n < 0 && errno == EPIPE)
			return 1;
		if (n < 0 && errno != EINTR)
			return err_set(e, -errno, "%s: %s", o->path, strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	buf_clear(b);
	return 0;
}

/* @flush: Z_NO_FLUSH, or Z_FINISH for the last time */
static int zip(struct output *o, struct buf *b, int flush, struct err *e)
{
	int r = 0, state = Z_OK;

	o->zip.next_in = b->ptr;
	for (size_t left = b->len; r == 0 && state == Z_OK;) {
		uInt piece = (uInt)MIN(left, (size_t)1 << 30);

		if (!buf_reserve(&o->zipped, ZIP_BYTES))
			return err_set(e, -ENOMEM, "out of memory");
		o->zip.avail_in = piece;
		o->zip.next_out = o->zipped.ptr + o->zipped.len;
		o->zip.avail_out = ZIP_BYTES;
		state = deflate(&o->zip, left == piece ? flush : Z_NO_FLUSH);
		left -= piece - o->zip.avail_in;
		o->zipped.len += ZIP_BYTES - o->zip.avail_out;
		if (left == 0 && o->zip.avail_out && flush == Z_NO_FLUSH)
			state = Z_STREAM_END;
		r = write_out(o, &o->zipped, e);
	}
	buf_clear(b);
	return r;
}

int output_write(struct output *o, struct buf *b, struct err *e)
{
	if (b->is_failed)
		return err_set(e, -ENOMEM, "out of memory");
	return o->is_zipped ? zip(o, b, Z_NO_FLUSH, e) : write_out(o, b, e);
}

/* Return: 0, or why it did not get its name */
static int rename_part(struct output *o, struct err *e)
{
	if (o->fd < 0 || !o->part)
		return 0;
	if (fsync(o->fd) < 0 || rename(o->part, o->path) < 0)
		return err_set(e, -errno, "%s: %s", o->path, strerror(errno));
	free(TAKE(o->part));
	return 0;
}

int output_finish(struct output *o, struct err *e)
{
	struct buf none = {0};
	int r = o->is_zipped ? zip(o, &none, Z_FINISH, e) : 0;

	if (r == 0)
		r = rename_part(o, e);
	output_discard(o);
	return MIN(r, 0);
}
