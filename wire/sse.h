// SPDX-License-Identifier: Apache-2.0
/*
 * sse.h - where events end in a text/event-stream (HTML Living Standard 9.2.6)
 *
 * An event ends with an empty line; lines end in LF, CR or CRLF. Works on whatever pieces the body
 * comes in; keeps no byte.
 */
#pragma once

#include "lib/base.h"

/* Zero-initialised it stands at the beginning of a body. */
struct sse_walker {
	bool has_cr;	  /* the last byte was CR: an LF now belongs to it */
	bool is_in_line;  /* the current line has bytes */
	bool is_in_event; /* the current event has lines that are no comment */
	bool is_comment;  /* the current line begins with a colon */
};

/**
 * sse_walk() - up to the end of the next event
 * @bytes:     what is used up is taken from its beginning
 * @piece_out: the bytes taken: they belong to the current event, its end line included
 *
 * Return: true when an event ends here; false when @bytes are used up. Comments and empty lines
 * alone make no event (keep-alives).
 */
bool sse_walk(struct sse_walker *w, struct span *bytes, struct span *piece_out);
