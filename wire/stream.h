// SPDX-License-Identifier: Apache-2.0
/*
 * stream.h - one direction of a TCP connection: segments in any order become bytes in order
 *
 * Holes are waited for, then declared. Offsets count from 0 at the stream's first byte and are exact
 * across holes and sequence wrap. Thread: capture.
 */
#pragma once

#include "schema/counters.h"
#include "wire/held.h"

/* Embedded in a flow; begin with stream_init(). Only wire/stream.c writes it, but for is_ignoring and was_end_told. */
struct stream {
	uint64_t next;	       /* offset of the next byte to deliver */
	uint64_t acked;	       /* the other side has acknowledged the bytes before this offset */
	uint64_t acked_before; /* what acked was at the last stream_check() */
	uint64_t end;	       /* offset of the FIN; UINT64_MAX while none was seen */
	struct held held;      /* segments behind a hole */
	uint32_t base;	       /* sequence number of offset 0 */
	uint8_t dir;
	bool has_base;
	bool is_certain;   /* base is the SYN's; else it is the first number seen */
	bool is_beginning; /* what is held may have come before the true beginning */
	bool has_acks;	   /* the other side's packets are captured, too */
	bool is_ignoring;  /* nobody wants the bytes: only follow the numbers */
	bool was_end_told; /* the owner's note: that it ended was passed on */
	/* how often stream_check() found bytes acknowledged but nothing behind them */
	uint8_t tail_checks;
};

/* Whom a stream serves. All functions get the stream; who embeds it knows the rest. */
struct stream_host {
	/* the next bytes, in order; see conn_data() */
	void (*data)(struct stream *s, uint64_t offset, uint64_t acked, struct span bytes,
		     uint64_t ts_ns);
	/* @len bytes at @offset will not come */
	void (*gap)(struct stream *s, uint64_t offset, uint64_t len, uint64_t ts_ns);
	/* bytes came twice with different content */
	void (*overlap)(struct stream *s);
	/* a block for held segments, or NULL */
	void *(*take_block)(struct stream *s);
	struct pool *pool;	   /* where blocks go back to */
	struct counters *counters; /* the bytes account, apart from BYTES_IN */
	size_t held_max;	   /* bytes held before a hole is declared at once */
};

#define STREAM_HELD_COUNT_MAX 4096		/* pieces held, likewise */
#define STREAM_CHECK_NS	      (100 * NS_PER_MS) /* at least so long between two checks of a stream */
#define STREAM_SILENT_NS      (3 * NS_PER_S) /* how long a hole stays open while nobody acknowledges */
#define STREAM_PATIENCE_NS    (30 * NS_PER_S) /* and in any case */
#define STREAM_TAIL_CHECKS    5		/* checks before bytes that nothing follows are missed */
#define STREAM_WINDOW	      (1 << 20) /* how far beyond what was seen a control segment is believed */

struct stream_segment {
	uint32_t seq;	   /* of the first byte */
	struct span bytes; /* borrowed */
	size_t missing;	   /* bytes behind them that the capture cut off */
	uint64_t acked;	   /* see conn_data() */
	uint64_t ts_ns;	   /* of the packet */
	uint64_t now_ns;   /* newest packet time */
};

enum stream_verdict {
	STREAM_NEW, /* at least one byte was new */
	STREAM_OLD, /* all were there already */
};

void stream_init(struct stream *s, unsigned dir);
/* stream_start() - @seq is the number of the first byte; it was the SYN's if @is_certain */
void stream_start(struct stream *s, uint32_t seq, bool is_certain);
/* stream_offset() - of sequence number @seq, the nearest to what comes next; the stream has a base */
static inline int64_t stream_offset(const struct stream *s, uint32_t seq)
{
	uint32_t next_seq = s->base + (uint32_t)s->next;

	return (int64_t)s->next + (int32_t)(seq - next_seq);
}

/* stream_feed() - a segment with bytes; the stream has a base */
enum stream_verdict stream_feed(struct stream *s, const struct stream_host *h,
				const struct stream_segment *seg) HOT;
/**
 * stream_ack() - the other side acknowledged up to @seq
 *
 * Return: as an offset; UINT64_MAX when that cannot be true.
 */
uint64_t stream_ack(struct stream *s, uint32_t seq) HOT;
/* stream_begin() - is_beginning: nothing from before will come, deliver what is held */
void stream_begin(struct stream *s, const struct stream_host *h);
/* stream_fin() - a FIN with that sequence number was seen */
void stream_fin(struct stream *s, uint32_t seq);
/* stream_can_reset() - is that a sequence number that a RST of this direction may have? */
bool stream_can_reset(const struct stream *s, uint32_t seq);
/* stream_has_ended() - all bytes before the FIN are delivered */
static inline bool stream_has_ended(const struct stream *s)
{
	return s->next >= s->end;
}

/* stream_waits() - is there a hole? Then call stream_check() every STREAM_CHECK_NS. */
static inline bool stream_waits(const struct stream *s)
{
	return s->held.first || s->acked > s->next;
}

/* stream_check() - declare the holes that were waited for long enough */
void stream_check(struct stream *s, const struct stream_host *h, uint64_t now_ns);
/* stream_finish() - nothing more will come: declare all holes, deliver what is held */
void stream_finish(struct stream *s, const struct stream_host *h);
/* stream_drop() - forget what is held, undelivered, and count it as @why */
void stream_drop(struct stream *s, const struct stream_host *h, enum counter why);
