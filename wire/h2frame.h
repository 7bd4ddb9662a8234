// SPDX-License-Identifier: Apache-2.0
/*
 * h2frame.h - walk the frames of one direction of an HTTP/2 connection (RFC 9113 section 4)
 *
 * Works on whatever pieces the stream comes in; keeps no payload. Thread: capture.
 */
#pragma once

#include "lib/base.h"

enum h2_type {
	H2_DATA,
	H2_HEADERS,
	H2_PRIORITY,
	H2_RST_STREAM,
	H2_SETTINGS,
	H2_PUSH_PROMISE,
	H2_PING,
	H2_GOAWAY,
	H2_WINDOW_UPDATE,
	H2_CONTINUATION,
	H2_TYPE_COUNT, /* frames of other types are skipped (RFC 9113 4.1) */
};

enum h2_flag {
	H2_FLAG_END_STREAM = 0x1,
	H2_FLAG_ACK = 0x1,
	H2_FLAG_END_HEADERS = 0x4,
	H2_FLAG_PADDED = 0x8,
	H2_FLAG_PRIORITY = 0x20,
};

#define H2_FRAME_HEAD_BYTES 9
#define H2_PREFACE	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 3.4 */
#define H2_PREFACE_BYTES    24

struct h2_frame {
	uint32_t length; /* payload, padding included */
	uint32_t stream;
	uint8_t type;  /* enum h2_type, or any other number */
	uint8_t flags; /* enum h2_flag */
};

/* What h2_walk() found. */
enum h2_event {
	H2_NEED_MORE, /* all bytes are used up */
	H2_BEGIN,     /* a frame begins: walker.frame */
	H2_PAYLOAD,   /* a piece of its payload, without padding and priority fields: *piece_out */
	H2_END,	      /* the frame ends */
	H2_BROKEN,    /* no frame can look like this: find the next with h2_find() */
};

/* The state of one direction. Zero-initialised it expects a frame head. */
struct h2_walker {
	struct h2_frame frame;
	uint8_t head[H2_FRAME_HEAD_BYTES];
	uint8_t head_bytes;  /* of head, so far */
	uint8_t state;	     /* enum walker_state in h2frame.c */
	uint8_t skip;	     /* bytes of the priority fields yet to come */
	uint8_t pad;	     /* bytes of padding at the end of the payload */
	uint32_t left;	     /* bytes of the payload yet to come, padding included */
	uint32_t length_max; /* largest payload taken; 0 = the protocol's limit of 2^24-1 */
};

/**
 * h2_walk() - the next event in @bytes
 * @bytes:     what is used up is taken from its beginning
 * @piece_out: set on H2_PAYLOAD; lies in @bytes
 */
enum h2_event h2_walk(struct h2_walker *w, struct span *bytes, struct span *piece_out);

/**
 * h2_walk_whole() - begin, payload and end of a frame at once, where it lies in @bytes as a whole
 *
 * Return: true: walker.frame and *payload_out are set; false: nothing has changed, call h2_walk().
 */
bool h2_walk_whole(struct h2_walker *w, struct span *bytes, struct span *payload_out);

/**
 * h2_skip() - @len bytes are missing from the stream
 *
 * Return: true when they all lie inside the payload of the frame being walked, which goes on behind
 * them; false when frames may be lost: find the next with h2_find() [walker reset].
 */
bool h2_skip(struct h2_walker *w, uint64_t len);

/* h2_frame_read() - decode a frame head of 9 bytes */
struct h2_frame h2_frame_read(const uint8_t head[H2_FRAME_HEAD_BYTES]);
/* h2_frame_is_plausible() - its type, flags, length and stream go together (RFC 9113 section 6) */
bool h2_frame_is_plausible(const struct h2_frame *f);
