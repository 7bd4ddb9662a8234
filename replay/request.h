// SPDX-License-Identifier: Apache-2.0
/*
 * request.h - a recorded request as the bytes that are sent: its own, the changes asked for, the mark
 *
 * Order, case, blanks and duplicates of headers, and chunk boundaries, stay as recorded.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "replay/target.h"
#include "schema/exchange.h"

#define REPLAY_HEADER	  "Tapeloop-Replay"
#define REQUEST_EDITS_MAX 32 /* of each kind */

/* "NAME: VALUE" to set, NAME to delete; FROM=TO for paths. Borrowed from the caller. */
struct request_edit {
	struct span name, value;
};

/* What is changed on the way. Zero-initialised: nothing. */
struct request_edits {
	struct request_edit set[REQUEST_EDITS_MAX], del[REQUEST_EDITS_MAX], path[REQUEST_EDITS_MAX];
	size_t set_count, del_count, path_count;
	bool has_target_host; /* Host becomes host:port of the target */
};

/**
 * request_set_header() - "NAME: VALUE": in the place of the first such header, else behind the last
 * header; any others of that name go
 * @text: borrowed for the life of @edits, as in all of these
 * @e:    -EINVAL not of that form, or a header that says where the message ends; -E2BIG too many
 */
int request_set_header(struct request_edits *edits, const char *text, struct err *e) MUST_USE;
/* request_del_header() - "NAME": all headers of that name go */
int request_del_header(struct request_edits *edits, const char *text, struct err *e) MUST_USE;
/* request_rewrite_path() - "/FROM=/TO": a path that begins with FROM begins with TO; the first that fits */
int request_rewrite_path(struct request_edits *edits, const char *text, struct err *e) MUST_USE;

/**
 * request_write() - append the request that is sent for @x
 * @out:    check out->is_failed
 * @run:    RUN in the mark Tapeloop-Replay: RUN/ID, which stands behind the last header; a mark
 *          that was recorded is replaced
 * @target: where it goes
 *
 * Return: false when the record does not hold a whole request; @out has then part of it.
 */
bool request_write(struct buf *out, const struct exchange *x, const char *run,
		   const struct request_edits *edits, const struct target *target) MUST_USE;
/* request_write_head() - the head alone, with changes and mark; for HTTP/2 in the text form that is recorded */
void request_write_head(struct buf *out, const struct exchange *x, const char *run,
			const struct request_edits *edits, const struct target *target);
/* request_is_ambiguous() - two readers may differ about where it ends (RFC 9112 6.3, 11.2) */
bool request_is_ambiguous(const struct exchange *x);
