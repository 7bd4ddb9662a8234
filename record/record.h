// SPDX-License-Identifier: Apache-2.0
/*
 * record.h - packets to tape: sources, decoder, queue, recorder, as the daemon and `import` use
 * them
 *
 * capture thread: sources -> wire -> queue; recorder thread: queue -> identity -> filter -> store.
 */
#pragma once

#include "lib/err.h"
#include "record/sample.h"
#include "schema/counters.h"
#include "schema/settings.h"
#include "store/store.h"
#include "wire/wire.h"

struct record;
struct capture;	   /* record/capture.h: live handles */
struct identities; /* record/identity.h: immutable snapshot address -> who */

struct record_config {
	struct wire_config wire;
	struct store_config store;
	const char *store_dir; /* NULL: decode only; exchanges go to on_exchange alone */
	/* instead of a store: unix socket of a daemon that has one; NULL: none */
	const char *handover_to;
	/* an API server is asked: names may come later than their exchanges */
	bool awaits_names;
	size_t guest_bytes; /* queue of record_offer(); 0: nobody offers */
	size_t queue_bytes;
	uint64_t commit_interval_ns;
	const char *record_filter;   /* "" keeps all */
	struct sample_policy sample; /* of what the filter keeps; one_in 0 is 1 */
	/* recorder thread: each exchange, before it is stored; may be NULL. @x is borrowed. */
	void (*on_exchange)(void *ctx, const struct exchange *x);
	/* recorder thread: ids that are now on the tape; may be NULL */
	void (*on_commit)(void *ctx, const uint64_t *ids, size_t count);
	/* capture thread: an interface was lost (why), so many are left; may be NULL */
	void (*on_lost)(void *ctx, const char *why, size_t left);
	/* capture thread: an interface that was lost is captured again; may be NULL */
	void (*on_back)(void *ctx, const char *name, size_t left);
	/* recorder thread: the store failed (why) or works again (NULL); may be NULL */
	void (*on_state)(void *ctx, const char *why);
	/* recorder thread: something beside the recording went wrong (a tape is damaged, could not be
	 * sealed); may be NULL */
	void (*on_warning)(void *ctx, const char *why);
	/* recorder thread: how the store stands, each few seconds; may be NULL */
	void (*on_store)(void *ctx, const struct store_stats *stats);
	void *ctx;
	/* an exchange waits so long for its other view (record/views.h); 0: it has none */
	uint64_t view_wait_ns;
	bool waits_for_room; /* files: the capture thread waits for the recorder instead of dropping
			      */
	/* asked between packets of a file: should it end here? may be NULL */
	bool (*is_stopped)(void);
};

/* record_exchange_bytes_max() - the most that one exchange takes in the queue, which must be twice
 * as large */
size_t record_exchange_bytes_max(size_t head_max, size_t body_max);
/**
 * record_start() - make the decoder, open the store, start the recorder thread
 * @config: copied; its strings and what ctx points to must outlive record_stop()
 * @e:      what store_open() and filter_parse() say; -EINVAL when an exchange as large as head_max
 *          and body_max allow would never fit into the queue; -ENOMEM
 */
int record_start(const struct record_config *config, struct record **r_out, struct err *e) MUST_USE;
/**
 * record_file() - decode a pcap or pcapng file ("-": stdin) to its end, in the calling thread
 *
 * Connections go on from one file to the next: a capture may be cut into several.
 *
 * Return: 0; -ENODATA when the file ends in the middle of a packet; -EBADMSG no capture, or
 * damaged; others from opening it. What was readable was decoded in any case. -ECANCELED when
 * is_stopped() said so; -EIO when the store failed, which ends it at once.
 */
int record_file(struct record *r, const char *path, struct err *e) MUST_USE;
/* record_read() - the same for a file that file_begin() opened; borrowed */
struct file;
int record_read(struct record *r, struct file *f, struct err *e) MUST_USE;
/* record_run() - start the capture thread. @c moves in, in any case. */
int record_run(struct record *r, struct capture *c, struct err *e) MUST_USE;
/**
 * record_offer() - an exchange that somebody else has decoded and redacted
 * @x: copied; names that it bears stay where nobody is known here
 *
 * Thread: one, which is none of ours. Return: 0; -EAGAIN no room now; -E2BIG there never is.
 */
int record_offer(struct record *r, const struct exchange *x) MUST_USE;
/* record_beats() - grows ten times a second as long as the capture thread lives. Any thread. */
uint64_t record_beats(const struct record *r);
/* What is held at present, for gauges. */
struct record_levels {
	uint64_t queue_bytes, queue_count;
};
void record_levels(const struct record *r, struct record_levels *out); /* any thread */
/**
 * record_change() - what may change while it runs
 * @config:     redaction, limits of the store, commit interval and record filter are taken
 * @identities: moves in, in any case; NULL: nobody is known by name
 *
 * Each thread applies its part within 100 ms. Return: 0; -EINVAL a bad filter, -ENOMEM: all stays.
 */
int record_change(struct record *r, const struct record_config *config,
		  struct identities *identities, struct err *e) MUST_USE;
/* record_residents() - who lives in which network namespace, from now on. @all moves in. Any thread. */
struct residents; /* record/residents.h */
void record_residents(struct record *r, struct residents *all);
/* record_has_held() - are there handles that are not read yet? Then their views come late. Any thread. */
void record_has_held(struct record *r, bool has_held);
/* record_census() - who is who by the API server, from the next exchange on. It moves in. Thread: one. */
struct census;
void record_census(struct record *r, const struct census *c_taken);
/**
 * record_tapconfigs() - what TapConfigs ask for, from the next exchange on. Thread: any.
 * @all: referenced; together they replace what was there
 *
 * Return: 0; -ENOMEM: all stays.
 */
struct tapconfig;
int record_tapconfigs(struct record *r, struct tapconfig *const *all, size_t count) MUST_USE;
/**
 * record_stop() - end the capture, flush the decoder, drain the queue, commit, join
 *
 * The counters stay readable until record_free(); from now on all accounts balance exactly.
 *
 * Return: 0 or the store's last error.
 */
int record_stop(struct record *r, struct err *e);
/* after record_stop(), when no thread asks any more; accepts NULL */
void record_free(struct record *r);
void record_counters(const struct record *r, struct counters *sum_out); /* any thread */
