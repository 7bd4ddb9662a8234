// SPDX-License-Identifier: Apache-2.0
#include "record/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

/*
 * Theory of operation. Bytes are read in pieces; what begins with gzip's two bytes goes through
 * zlib, one member after another, anything else passes as it is. Memory is two pieces, whatever
 * comes out.
 */
#define GZIP_WINDOW (15 + 16) /* zlib's way to ask for a gzip header */

struct gunzip {
	struct file *file;	   /* borrowed */
	bool is_zipped, is_inside; /* a member has begun and not ended */
	z_stream zip;
	uint8_t in[GUNZIP_PIECE_BYTES], out[GUNZIP_PIECE_BYTES];
};

struct gunzip *gunzip_new(struct file *f)
{
	struct gunzip *g = calloc(1, sizeof(*g));
	struct span first = file_first(f);

	if (!g)
		return NULL;
	g->file = f;
	g->is_zipped = first.len > 2 && first.ptr[0] == 0x1f && first.ptr[1] == 0x8b;
	if (g->is_zipped && inflateInit2(&g->zip, GZIP_WINDOW) != Z_OK) {
		free(g);
		return NULL;
	}
	return g;
}

void gunzip_free(struct gunzip *g)
{
	if (!g)
		return;
	if (g->is_zipped)
		(void)inflateEnd(&g->zip);
	free(g);
}

static int read_piece(struct gunzip *g, size_t *n_out, struct err *e)
{
	ssize_t n = file_read(g->file, g->in, sizeof(g->in));

	if (n < 0)
		return err_set(e, -errno, "%s", strerror(errno));
	*n_out = (size_t)n;
	return 0;
}

/* Return: 1 when there is more to inflate; 0 at the end of the file */
static int need_input(struct gunzip *g, struct err *e)
{
	size_t n = 0;
	int r = g->zip.avail_in ? 0 : read_piece(g, &n, e);

	if (r < 0 || g->zip.avail_in)
		return r < 0 ? r : 1;
	g->zip.next_in = g->in;
	g->zip.avail_in = (uInt)n;
	if (n == 0 && g->is_inside)
		return err_set(e, -ENODATA, "ends in the middle of its gzip data");
	return n > 0;
}

static int inflate_some(struct gunzip *g, struct span *out, struct err *e)
{
	g->zip.next_out = g->out;
	g->zip.avail_out = sizeof(g->out);
	while (g->zip.avail_out == sizeof(g->out)) {
		int state, r = need_input(g, e);

		if (r <= 0)
			return r;
		g->is_inside = true;
		state = inflate(&g->zip, Z_NO_FLUSH);
		if (state == Z_STREAM_END) {
			g->is_inside = false;
			(void)inflateReset(&g->zip);
		} else if (state != Z_OK && state != Z_BUF_ERROR) {
			return err_set(e, -EBADMSG, "its gzip data is damaged: %s",
				       g->zip.msg ? g->zip.msg : "?");
		}
	}
	*out = span_of(g->out, sizeof(g->out) - g->zip.avail_out);
	return 0;
}

int gunzip_next(struct gunzip *g, struct span *out, struct err *e)
{
	size_t n = 0;
	int r;

	*out = (struct span){0};
	if (g->is_zipped)
		return inflate_some(g, out, e);
	r = read_piece(g, &n, e);
	*out = span_of(g->in, n);
	return r;
}
