// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/route_rules.h"
#include "schema/settings.h"
#include "store/directory.h"
#include "store/jobs.h"
#include "store/learned.h"
#include "store/retention.h"
#include "store/share.h"

/*
 * Theory of operation. A store is a directory with two shares, each a series of tapes:
 *
 *	DIR/tape-00000001.tape ...             what did not fail
 *	DIR/failures/tape-00000001.tape ...    what failed: rarer, and kept longer
 *
 * so that letting go stays the removal of files, whatever lives longer. store_add() packs into the
 * batch of one of them, store_commit() brings both batches onto their tapes, then sees whether a
 * tape is full and begins another; the full one is sealed in a job.
 *
 * The quota is looked at before a batch is written: old tapes go until the batch has room
 * (retention.c). A tape may take a part of its share's at most, so there is always one to
 * let go.
 *
 * ids are start_ns where that is free. It nearly always is and nearly always higher than all
 * before; only then nothing has to be looked up.
 */
#define BATCH_BYTES_MAX (2u << 20)
#define BATCH_ROWS_MAX	4096
/* of the quota, of the failures' part: so many tapes. Each costs some 200 KiB beside its exchanges.
 */
#define QUOTA_PARTS    8
#define FAILURES_PARTS 4
#define WARNINGS_MAX   8	    /* that wait to be taken; more are of the same kind */
#define COMMIT_EXTRA   (256u << 10) /* what a commit writes beside the batch, roughly */

struct store {
	char *dir;
	int lock_fd;
	struct store_config config;
	struct jobs *jobs;
	struct route_rules *rules;
	struct share *shares[SHARE_COUNT];
	struct retention_limits limits;
	struct retention retention;
	struct steady_clock clock;
	struct err warnings[WARNINGS_MAX];
	size_t warning_count;
	size_t late_share; /* that is asked next about names */
};

/* the defaults of the settings, by name */
#define DEFAULT_BYTES(field, def)    UNUSED static const uint64_t default_##field = (uint64_t)(def);
#define DEFAULT_DURATION(field, def) DEFAULT_BYTES(field, def)
#define DEFAULT_COUNT(field, def)    DEFAULT_BYTES(field, def)
#define DEFAULT_BOOL(field, def)
#define DEFAULT_TEXT(field, def)
#define DEFAULT_LIST(field, def)
#define SETTING(field, key, TYPE, def, min, max, reload, what) DEFAULT_##TYPE(field, def)
#include "schema/settings.tbl.h"
#undef SETTING

struct store_config store_config_default(void)
{
	return (struct store_config){
		.bytes_max = default_store_max,
		.age_max_ns = default_age_max,
		.failures_percent = (unsigned)default_failures_share,
		.failures_age_max_ns = default_failures_age_max,
		.tape_rows = default_tape_rows,
		.tape_span_ns = default_tape_span,
		.level = (int)default_compression,
	};
}

/* --- opening --- */

/* Failures are rarer: a tape of theirs may span as much longer, or they would lie on countless
 * small ones. */
#define FAILURES_SPAN 24

static uint64_t times(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static void set_limits(struct store *s)
{
	const struct store_config *c = &s->config;
	uint64_t bytes[SHARE_COUNT] = {
		[SHARE_REST] = c->bytes_max / QUOTA_PARTS,
		[SHARE_FAILURES] =
			c->bytes_max / 100 * MAX(c->failures_percent, 1) / FAILURES_PARTS,
	};

	s->limits = (struct retention_limits){
		.bytes_max = c->bytes_max,
		.failures_percent = c->failures_percent,
		.age_max_ns = c->age_max_ns,
		.failures_age_max_ns = c->failures_age_max_ns,
	};
	for (size_t i = 0; i < SHARE_COUNT; i++)
		share_set_limits(
			s->shares[i],
			&(struct share_limits){
				.tape_rows = c->tape_rows,
				.tape_span_ns = i == SHARE_FAILURES
							? times(c->tape_span_ns, FAILURES_SPAN)
							: c->tape_span_ns,
				.tape_bytes = bytes[i],
				.has_fulltext = c->has_fulltext,
				.is_bulk = c->is_bulk,
			});
}

static int make_parts(struct store *s, const char *dir, const struct store_config *config)
{
	AUTO_BUF failures = {0};

	s->config = *config;
	s->dir = strdup(dir);
	s->jobs = jobs_new(config->run, config->run_ctx);
	s->rules = route_rules_new();
	if (!s->dir || !s->jobs || !s->rules)
		return -ENOMEM;
	s->shares[SHARE_REST] = share_new(dir, s->jobs, s->rules, config->level);
	s->shares[SHARE_FAILURES] =
		share_new(directory_failures(&failures, dir), s->jobs, s->rules, config->level);
	if (!s->shares[SHARE_REST] || !s->shares[SHARE_FAILURES])
		return -ENOMEM;
	s->retention = (struct retention){.shares = s->shares, .limits = &s->limits};
	set_limits(s);
	return 0;
}

static void store_free(struct store *s)
{
	for (size_t i = 0; i < SHARE_COUNT; i++)
		if (s->shares[i])
			share_hurry(s->shares[i]);
	if (s->jobs)
		jobs_wait(s->jobs);
	for (size_t i = 0; i < SHARE_COUNT; i++)
		share_free(s->shares[i]);
	jobs_free(s->jobs);
	route_rules_free(s->rules);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	free(s->dir);
	free(s);
}

/* What else lies in the directory counts too: leftovers, keys, files of others. */
static void measure_others(struct store *s)
{
	AUTO_BUF failures = {0};
	uint64_t all =
		directory_bytes(s->dir) + directory_bytes(directory_failures(&failures, s->dir));
	uint64_t tapes;

	for (size_t i = 0; i < SHARE_COUNT; i++)
		share_measure(s->shares[i]);
	s->retention.other_bytes = 0;
	tapes = retention_bytes(&s->retention);
	s->retention.other_bytes = all > tapes ? all - tapes : 0;
}

/* --- what is done beside --- */

/* It is no failure of the commit: what was added is kept. */
static void warn(struct store *s, const struct err *why)
{
	if (s->warning_count < WARNINGS_MAX)
		s->warnings[s->warning_count++] = *why;
}

static void collect(struct store *s)
{
	for (size_t i = 0; i < SHARE_COUNT; i++) {
		struct err why = {0};

		if (share_collect(s->shares[i], &why) < 0)
			warn(s, &why);
		while (share_take_damage(s->shares[i], &why))
			warn(s, &why);
	}
}

static int open_shares(struct store *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < SHARE_COUNT && r == 0; i++)
		r = share_open(s->shares[i], e);
	if (r == 0) {
		measure_others(s);
		collect(s); /* tapes that cannot be read */
	}
	return r;
}

int store_open(const char *dir, const struct store_config *config, struct store **s_out,
	       struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "store %s: out of memory", dir);
	s->lock_fd = -1;
	r = make_parts(s, dir, config);
	if (r < 0)
		(void)err_set(e, r, "store %s: out of memory", dir);
	if (r == 0)
		r = directory_lock(dir, &s->lock_fd, e);
	if (r == 0)
		r = open_shares(s, e);
	if (r < 0) {
		store_free(s);
		return r;
	}
	*s_out = s;
	return 0;
}

/* --- room --- */

static int make_room(struct store *s, uint64_t more, struct err *e)
{
	struct err why = {0};
	int r = retention_make_room(&s->retention, more, &why);

	return r < 0 ? err_set(e, r, "store %s: %s", s->dir, why.why) : 0;
}

/* --- adding --- */

static bool id_is_taken(struct store *s, uint64_t id)
{
	return share_has_id(s->shares[SHARE_REST], id) ||
	       share_has_id(s->shares[SHARE_FAILURES], id);
}

static uint64_t free_id(struct store *s, uint64_t wanted)
{
	uint64_t id = MAX(wanted, 1);

	/* a time beyond what SQLite's integers hold (the year 2262): it is moved, and kept in
	 * `moved` */
	if (id > (uint64_t)INT64_MAX / 2)
		id = (uint64_t)INT64_MAX / 2;
	while (id_is_taken(s, id))
		id++;
	return id;
}

static int write_batch(struct store *s, struct share *share, struct err *e)
{
	size_t bytes = writer_batch_bytes(share_writer(share));
	int r;

	if (writer_batch_rows(share_writer(share)) == 0)
		return 0;
	r = make_room(s, bytes + COMMIT_EXTRA, e);
	return r == 0 ? share_write(share, e) : r;
}

/* What was written stays written, when the other share fails. */
static int write_batches(struct store *s, struct err *e)
{
	int r = write_batch(s, s->shares[SHARE_FAILURES], e);

	return r == 0 ? write_batch(s, s->shares[SHARE_REST], e) : r;
}

static bool batch_is_full(const struct store *s)
{
	uint64_t rows = 0, bytes = 0;

	for (size_t i = 0; i < SHARE_COUNT; i++) {
		rows += writer_batch_rows(share_writer(s->shares[i]));
		bytes += writer_batch_bytes(share_writer(s->shares[i]));
	}
	return rows >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX;
}

static int need_tape(struct store *s, struct share *share, struct err *e)
{
	int r;

	if (share_has_tape(share))
		return 0;
	r = make_room(s, COMMIT_EXTRA, e);
	return r == 0 ? share_begin_tape(share, e) : r;
}

static struct share *share_of(struct store *s, const struct exchange *x)
{
	bool is_apart = s->config.failures_percent > 0 && exchange_is_failed(x);

	return s->shares[is_apart ? SHARE_FAILURES : SHARE_REST];
}

void store_route(struct store *s, struct exchange *x)
{
	learned_route(s->rules, x);
}

int store_add(struct store *s, struct exchange *x, struct err *e)
{
	uint64_t was = x->id;
	struct share *share = share_of(s, x);
	int r = need_tape(s, share, e);

	if (r == 0 && batch_is_full(s))
		r = store_commit(s, e);
	if (r == 0)
		r = need_tape(s, share, e);
	if (r < 0)
		return r;
	x->id = free_id(s, s->config.keeps_ids ? MAX(x->id, x->start_ns) : x->start_ns);
	r = share_add(share, x, e);
	if (r < 0)
		x->id = was;
	return r;
}

/* Sealing may write a tape anew beside itself. Without the room for it the tape goes on. */
static int end_full_tapes(struct store *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < SHARE_COUNT && r == 0; i++)
		if (share_tape_is_full(s->shares[i]) &&
		    make_room(s, share_tape_bytes(s->shares[i]), NULL) == 0)
			r = share_end_tape(s->shares[i], e);
	return r;
}

int store_commit(struct store *s, struct err *e)
{
	int r = write_batches(s, e);

	if (r < 0)
		return r;
	collect(s);
	return end_full_tapes(s, e);
}

int store_name_late(struct store *s, const struct late_config *c, struct late_result *out,
		    struct err *e)
{
	int r;

	*out = (struct late_result){0};
	r = share_name_late(s->shares[s->late_share], c, out, e);
	if (r < 0 || out->has_more)
		return r;
	s->late_share = (s->late_share + 1) % SHARE_COUNT;
	out->has_more = s->late_share != 0;
	return 0;
}

static uint64_t newest_ns(const struct store *s)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < SHARE_COUNT; i++) {
		uint64_t last = share_tape_last_id(s->shares[i]);

		newest = MAX(newest, MAX(last, series_last_id(share_series(s->shares[i]))));
	}
	return newest;
}

/* A tape to which nothing comes any more is ended, or it would never be too old. */
static void end_old_tapes(struct store *s, uint64_t wall_ns)
{
	const uint64_t age_max_ns[SHARE_COUNT] = {
		[SHARE_REST] = s->limits.age_max_ns,
		[SHARE_FAILURES] = s->limits.failures_age_max_ns,
	};

	for (size_t i = 0; i < SHARE_COUNT; i++) {
		uint64_t last = share_tape_last_id(s->shares[i]);
		bool is_idle = writer_batch_rows(share_writer(s->shares[i])) == 0;
		struct err why = {0};

		if (last && is_idle && age_max_ns[i] && wall_ns > age_max_ns[i] &&
		    last < wall_ns - age_max_ns[i] && share_end_tape(s->shares[i], &why) < 0)
			warn(s, &why);
	}
}

void store_tick(struct store *s, uint64_t wall_ns, uint64_t mono_ns)
{
	collect(s);
	measure_others(s);
	if (steady_clock_look(&s->clock, wall_ns, mono_ns, newest_ns(s))) {
		end_old_tapes(s, wall_ns);
		collect(s);
		retention_by_age(&s->retention, wall_ns);
	}
	if (retention_make_room(&s->retention, 0, NULL) < 0)
		return; /* the next commit says why not */
}

bool store_take_warning(struct store *s, struct err *out)
{
	if (s->warning_count == 0)
		return false;
	*out = s->warnings[0];
	s->warning_count--;
	memmove(s->warnings, s->warnings + 1, s->warning_count * sizeof(s->warnings[0]));
	return true;
}

uint64_t store_discard(struct store *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SHARE_COUNT; i++)
		n += writer_discard(share_writer(s->shares[i]));
	return n;
}

/* --- the end --- */

static int end_bulk_tapes(struct store *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < SHARE_COUNT && s->config.is_bulk; i++) {
		int end = share_end_tape(s->shares[i], r < 0 ? NULL : e);

		r = r < 0 ? r : end;
	}
	return r;
}

static int finish_sealings(struct store *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < SHARE_COUNT; i++)
		share_hurry(s->shares[i]);
	jobs_wait(s->jobs);
	for (size_t i = 0; i < SHARE_COUNT; i++) {
		int end = share_collect(s->shares[i], r < 0 ? NULL : e);

		r = r < 0 ? r : end;
		share_finish(s->shares[i]);
	}
	return r;
}

int store_close(struct store *s, struct err *e)
{
	int r, end;

	if (!s)
		return 0;
	r = write_batches(s, e);
	end = end_bulk_tapes(s, r < 0 ? NULL : e);
	r = r < 0 ? r : end;
	end = finish_sealings(s, r < 0 ? NULL : e);
	r = r < 0 ? r : end;
	store_free(s);
	return r;
}

void store_stats(const struct store *s, struct store_stats *out)
{
	*out = (struct store_stats){
		.bytes = retention_bytes(&s->retention),
		.retired_tapes = s->retention.retired_tapes,
		.retired_exchanges = s->retention.retired_exchanges,
	};
	for (size_t i = 0; i < SHARE_COUNT; i++) {
		struct writer_totals totals = writer_totals(share_writer(s->shares[i]));

		out->tape_count += share_tape_count(s->shares[i]);
		out->pinned_bytes += series_pinned_bytes(share_series(s->shares[i]));
		out->exchange_count += totals.exchanges;
		out->raw_bytes += totals.raw_bytes;
		out->packed_bytes += totals.packed_bytes;
		out->dictionary_count += writer_dictionaries(share_writer(s->shares[i]));
	}
	out->failures_bytes = share_bytes(s->shares[SHARE_FAILURES]);
}

void store_set_limits(struct store *s, const struct store_config *config)
{
	s->config.bytes_max = config->bytes_max;
	s->config.age_max_ns = config->age_max_ns;
	s->config.failures_percent = config->failures_percent;
	s->config.failures_age_max_ns = config->failures_age_max_ns;
	s->config.tape_rows = config->tape_rows;
	s->config.tape_span_ns = config->tape_span_ns;
	for (size_t i = 0; i < SHARE_COUNT && s->config.level != config->level; i++)
		share_set_level(s->shares[i], config->level);
	s->config.level = config->level;
	set_limits(s);
}
