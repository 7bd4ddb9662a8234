// SPDX-License-Identifier: Apache-2.0
/*
 * diff.h - what differs between a recorded answer and a new one: status, headers, body
 *
 * Reads no clock and does no I/O. Thread: any, one at a time.
 */
#pragma once

#include "lib/buf.h"
#include "replay/ignore.h"
#include "schema/exchange.h"

#define DIFF_ITEMS_MAX 16  /* kept of one pair; more are counted */
#define DIFF_VALUE_MAX 160 /* bytes shown of a value */

enum diff_kind { DIFF_STATUS, DIFF_HEADER, DIFF_JSON, DIFF_BODY, DIFF_MESSAGE, DIFF_KIND_COUNT };
enum diff_change { DIFF_CHANGED, DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGE_COUNT };

const char *diff_kind_name(unsigned kind);     /* "status", "header", "json", "body", "message" */
const char *diff_change_name(unsigned change); /* "changed", "added", "removed" */

/* A piece of diff.text. */
struct diff_at {
	uint32_t from, len;
};

struct diff_item {
	uint8_t kind;	      /* enum diff_kind */
	uint8_t change;	      /* enum diff_change */
	struct diff_at where; /* header's name; JSON path; "body"; "message", or what of it */
	uint64_t message;     /* it is in this message or event of the server, from 1; 0: in none */
	/* at most DIFF_VALUE_MAX bytes of the values; empty if there is none */
	struct diff_at recorded, now;
};

enum diff_note {
	/* bodies were compared as far as both were kept, and by size */
	DIFF_NOTE_PREFIX = 1 << 0,
	/* the recorded answer has no whole head: only the status was compared */
	DIFF_NOTE_NO_RECORD = 1 << 1,
	/* said to be JSON, but one of them is not: compared as bytes */
	DIFF_NOTE_NOT_JSON = 1 << 2,
	/* a content coding could not be undone: compared as on the wire */
	DIFF_NOTE_NOT_DECODED = 1 << 3,
};

struct proto_set; /* lib/protobuf.h */
struct answer;	  /* replay/answer.h */

/* Zero-initialised it is empty; used again for the next pair. */
struct diff {
	struct diff_item items[DIFF_ITEMS_MAX];
	unsigned kept;	/* of items */
	uint64_t count; /* differences found; 0: equal by the rules */
	uint32_t notes; /* bits of enum diff_note */
	/* set by the caller: names of the fields of gRPC messages; NULL: numbers */
	const struct proto_set *protos;
	/* set by the caller: the new answer was not heard to its end, as the recorded one */
	bool is_left;
	struct buf text;
	uint64_t message;	    /* private: that is being compared */
	struct json_scan *scans[2]; /* private: working memory for JSON */
	struct buf decoded[2];	    /* private: bodies without their content codings */
};

void diff_fini(struct diff *d);
/**
 * diff_answers() - compare
 * @d:        filled in anew
 * @rules:    what makes no difference
 * @recorded: its response and status
 * @status:   of the new answer
 * @now:      the new answer
 */
void diff_answers(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		  uint16_t status, const struct message *now);

/* diff_conversation() - after diff_answers() has compared the handshakes: what was said, in which turn, and how it ended */
void diff_conversation(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		       const struct answer *now);

static inline struct span diff_text(const struct diff *d, struct diff_at at)
{
	return (struct span){d->text.ptr ? d->text.ptr + at.from : NULL, at.len};
}
