// SPDX-License-Identifier: Apache-2.0
#include "http-api/request.h"
#include "http-api/server.h"

#include "lib/clock.h"
#include "store/format.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A selection as a file of another tool's format, chunk by chunk: libmicrohttpd asks for bytes, and
 * a piece of the selection is read, oldest first, and written when the last one is sent. So memory
 * holds one piece whatever the selection's length, a slow client holds no reader, and a store that
 * is being written is read where it stands. The first piece is made before the answer begins: what
 * is wrong with the question is still a problem then. What the format could not keep follows the
 * file as trailer fields, Tapeloop-Lost: COUNT SENTENCE. A failure further on breaks the connection
 * off.
 */
#define PIECE_EXCHANGES 256
#define PIECE_BYTES	((size_t)1 << 20)

struct export
{
	struct readers *readers; /* borrowed */
	struct filter *filter;	 /* owned; NULL: all */
	struct query query;
	struct format_writer *writer;
	struct MHD_Response *response; /* borrowed: it owns this */
	struct buf out;
	size_t sent; /* of out */
	uint64_t last_id;
	bool is_full, is_over, is_scoped;
};

static void export_free(void *ctx)
{
	struct export *ex = ctx;

	if (!ex)
		return;
	filter_free(ex->filter);
	format_writer_free(ex->writer);
	buf_fini(&ex->out);
	free(ex);
}

static int write_exchange(void *ctx, const struct exchange *x)
{
	struct export *ex = ctx;

	format_add(ex->writer, x, &ex->out);
	ex->last_id = x->id;
	ex->is_full = ex->out.len >= PIECE_BYTES;
	if (ex->out.is_failed)
		return -ENOMEM;
	return ex->is_full;
}

static void add_losses(struct export *ex)
{
	char text[160];

	for (int i = 0; i < FORMAT_LOSS_COUNT && ex->response; i++) {
		const char *what;
		uint64_t n = format_lost(ex->writer, (enum format_loss)i, &what);

		(void)snprintf(text, sizeof(text), "%llu %s", (unsigned long long)n, what);
		if (n)
			(void)MHD_add_response_footer(ex->response, "Tapeloop-Lost", text);
	}
}

/* the next piece into out, which is empty. Return: 0 or a negative errno. */
static int make_piece(struct export *ex, struct err *e)
{
	struct reader *r;
	uint64_t cursor = 0;
	int result = readers_borrow(ex->readers, ex->is_scoped ? ex->filter : NULL, &r, e);

	if (result < 0)
		return result;
	ex->is_full = false;
	result = reader_list(r, &ex->query, write_exchange, ex, &cursor, e);
	readers_return(ex->readers, r, result);
	if (result < 0)
		return result;
	ex->query.cursor = ex->is_full ? ex->last_id : cursor;
	if (!ex->query.cursor) {
		format_end(ex->writer, &ex->out);
		ex->is_over = true;
		add_losses(ex);
	}
	return ex->out.is_failed ? -ENOMEM : 0;
}

/* MHD_ContentReaderCallback */
static ssize_t read_export(void *ctx, uint64_t pos, char *to, size_t room)
{
	struct export *ex = ctx;
	size_t n;

	(void)pos;
	while (ex->sent == ex->out.len) {
		if (ex->is_over)
			return MHD_CONTENT_READER_END_OF_STREAM;
		buf_clear(&ex->out);
		ex->sent = 0;
		if (make_piece(ex, NULL) < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = MIN(room, ex->out.len - ex->sent);
	memcpy(to, ex->out.ptr + ex->sent, n);
	ex->sent += n;
	return (ssize_t)n;
}

static struct export *export_new(struct request *q)
{
	struct export *ex = calloc(1, sizeof(*ex));

	if (!ex)
		return NULL;
	ex->readers = q->server->readers;
	ex->is_scoped = q->scope != NULL;
	ex->filter = TAKE(q->filter);
	ex->writer = format_writer_new(q->format, NULL);
	ex->query = (struct query){
		.filter = ex->filter,
		.since_ns = q->since_ns,
		/* what is recorded from now on is not part of it, so it ends */
		.until_ns = q->until_ns ? q->until_ns : clock_wall_ns(),
		.limit = PIECE_EXCHANGES,
		.is_reverse = true,
		.wants_messages = format_wants_messages(q->format),
	};
	if (ex->writer)
		return ex;
	export_free(ex);
	return NULL;
}

static int begin(struct request *q, struct err *e)
{
	struct export *ex = export_new(q);
	int r = ex ? make_piece(ex, e) : err_set(e, -ENOMEM, "out of memory");

	if (r == 0)
		q->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536,
								read_export, ex, export_free);
	if (r == 0 && q->response) {
		ex->response = q->response;
		if (ex->is_over)
			add_losses(ex);
		return 0;
	}
	export_free(ex);
	return r < 0 ? r : err_set(e, -ENOMEM, "out of memory");
}

void get_export(struct request *q)
{
	struct err e = {0};
	int r;

	if (!q->format) {
		request_problem(q, MHD_HTTP_BAD_REQUEST, "as", "as= names the format");
		return;
	}
	(void)request_json(q);
	r = q->is_head ? 0 : begin(q, &e);
	if (r < 0) {
		request_failed(q, r, NULL, &e);
		return;
	}
	q->content_type = format_media_type(q->format);
	request_header(q, MHD_HTTP_HEADER_CONTENT_DISPOSITION,
		       "attachment; filename=\"tapeloop.%s\"", format_name(q->format));
}
