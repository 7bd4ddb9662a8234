// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/settings.h"
#include "schema/sql.h"
#include "store/directory.h"
#include "store/jobs.h"
#include "store/keeper.h"
#include "store/series.h"
#include "store/tape.h"
#include "store/writer.h"

/*
 * Theory of operation. A store is a directory of tapes, numbered as they are made:
 *
 *	tape-00000001.tape ... sealed    tape-00000007.tape being sealed    tape-00000008.tape
 *written └──────────────────── series ────────────────────────────────────┘  └─ writer, keeper ─┘
 *
 * store_add() packs into the writer's batch, store_commit() brings the batch onto the tape, then
 * sees whether the tape is full (rows, span, a part of the quota) and begins another; the full one
 * is sealed in a job. A tape is made when its first exchange comes, so no tape is empty.
 *
 * The quota is looked at before a batch is written: the oldest tapes go until the batch has room.
 * A tape may take an eighth of the quota at most, so there is always one to let go.
 *
 * ids are start_ns where that is free. It nearly always is and nearly always higher than all
 *before; only then nothing has to be looked up.
 *
 * In bulk (an import) tapes are written without log and sync under a name that nobody lists,
 *sealed, synced and only then named as tapes. What was recorded before is not touched.
 */
#define BATCH_BYTES_MAX (2u << 20)
#define BATCH_ROWS_MAX	4096
#define QUOTA_PARTS	8
#define COMMIT_EXTRA	(256u << 10) /* what a commit writes beside the batch, roughly */
#define SEALINGS_MAX	4

struct store {
	char *dir;
	int lock_fd;
	struct store_config config;
	struct jobs *jobs;
	struct writer *writer;
	struct series *series;
	uint64_t next_number;
	/* the tape that is written; tape NULL when there is none yet */
	struct tape *tape;
	struct keeper *keeper;
	uint64_t number;
	struct buf path;
	struct tape_summary summary; /* of what is committed */
	uint64_t highest_id;	     /* of what is committed or in the batch, on this tape */
	uint64_t tape_bytes;	     /* when last measured */
	uint64_t batch_first_id, batch_last_id;

	struct sealing *sealings[SEALINGS_MAX];
	struct store_stats stats;
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
		.tape_rows = default_tape_rows,
		.tape_span_ns = default_tape_span,
		.level = (int)default_compression,
	};
}

/* --- opening --- */

/* Note an older tape; it is sealed if its writer did not come to it. */
static int note_tape(struct store *s, uint64_t number, struct tape *t, struct err *e)
{
	struct tape_summary summary = {0};

	/* one that cannot be read keeps its place: it counts, and goes when it is the oldest */
	if (t && tape_summary(t, &summary, NULL) < 0)
		summary = (struct tape_summary){0};
	if (series_add(s->series, number, &summary) < 0)
		return err_set(e, -ENOMEM, "store %s: out of memory", s->dir);
	return 0;
}

static int begin_sealing(struct store *s, uint64_t number, bool is_bulk)
{
	AUTO_BUF path = {0}, part = {0};
	struct sealing **slot = s->sealings;

	while (slot < s->sealings + SEALINGS_MAX && *slot)
		slot++;
	if (slot == s->sealings + SEALINGS_MAX)
		return -EAGAIN;
	(void)directory_path(&path, s->dir, number, false);
	series_hold(s->series, number, true);
	if (is_bulk)
		*slot = sealing_start(s->jobs, directory_path(&part, s->dir, number, true),
				      buf_cstr(&path), number);
	else
		*slot = sealing_start(s->jobs, buf_cstr(&path), NULL, number);
	if (!*slot)
		series_hold(s->series, number, false);
	return *slot ? 0 : -ENOMEM;
}

static int note_older(struct store *s, uint64_t number, struct err *e)
{
	AUTO(tape) t = NULL;
	AUTO_BUF path = {0};
	struct tape_summary summary = {.is_sealed = true};
	bool has_log, is_old;
	int r = tape_open(directory_path(&path, s->dir, number, false), TAPE_READ, &t, e);

	if (r == -EPROTONOSUPPORT || r == -ENOMEM)
		return r;
	r = note_tape(s, number, t, e);
	if (r < 0 || !t || tape_summary(t, &summary, NULL) < 0)
		return r;
	has_log = directory_has_log(buf_cstr(&path));
	is_old = tape_version(t) < SQL_VERSION; /* is read as it is */
	tape_close(TAKE(t));
	if (!is_old && (!summary.is_sealed || has_log))
		(void)begin_sealing(s, number, false); /* no room or memory: at the next start */
	return 0;
}

static int use_tape(struct store *s, uint64_t number, bool is_part, struct err *e)
{
	enum tape_mode mode = is_part ? TAPE_BULK : TAPE_APPEND;
	int r = tape_open(directory_path(&s->path, s->dir, number, is_part), mode, &s->tape, e);

	if (r == 0)
		r = tape_summary(s->tape, &s->summary, e);
	if (r == 0)
		r = writer_begin_tape(s->writer, s->tape, e);
	if (r == 0 && !is_part && !(s->keeper = keeper_new(s->jobs, buf_cstr(&s->path))))
		r = err_set(e, -ENOMEM, "store %s: out of memory", s->dir);
	if (r < 0) {
		(void)writer_begin_tape(s->writer, NULL, NULL);
		tape_close(TAKE(s->tape));
		return r;
	}
	s->number = number;
	s->highest_id = s->summary.last_id;
	s->tape_bytes = directory_file_bytes(buf_cstr(&s->path));
	return 0;
}

/* The newest tape is gone on with, unless it is sealed, of an older version, or this is an import.
 */
static int open_newest(struct store *s, uint64_t number, struct err *e)
{
	AUTO(tape) t = NULL;
	AUTO_BUF path = {0};
	struct tape_summary summary;
	bool is_old = false;
	int r = tape_open(directory_path(&path, s->dir, number, false), TAPE_READ, &t, e);

	if (r == 0)
		r = tape_summary(t, &summary, e);
	if (r == 0)
		is_old = tape_version(t) < SQL_VERSION;
	tape_close(TAKE(t));
	if (r == -ENOENT && !s->config.is_bulk) /* its writer ended before it made the tables */
		return use_tape(s, number, false, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || summary.is_sealed || is_old || s->config.is_bulk)
		return note_older(s, number, e);
	return use_tape(s, number, false, e);
}

static int open_tapes(struct store *s, struct err *e)
{
	struct tape_list l;
	int r;

	directory_tidy(s->dir);
	r = directory_list(s->dir, &l, e);
	if (r < 0)
		return r;
	s->next_number = l.count ? l.numbers[l.count - 1] + 1 : 1;
	for (size_t i = 0; i + 1 < l.count && r == 0; i++)
		r = note_older(s, l.numbers[i], e);
	if (r == 0 && l.count)
		r = open_newest(s, l.numbers[l.count - 1], e);
	tape_list_fini(&l);
	return r;
}

static int make_parts(struct store *s, const char *dir, const struct store_config *config)
{
	s->config = *config;
	s->dir = strdup(dir);
	s->jobs = jobs_new(config->run, config->run_ctx);
	s->writer = s->jobs ? writer_new(s->jobs, config->level) : NULL;
	s->series = s->dir ? series_new(dir) : NULL;
	return s->dir && s->jobs && s->writer && s->series ? 0 : -ENOMEM;
}

static void store_free(struct store *s)
{
	keeper_free(s->keeper);
	if (s->jobs)
		jobs_wait(s->jobs);
	writer_free(s->writer);
	tape_close(s->tape);
	for (size_t i = 0; i < SEALINGS_MAX; i++)
		if (s->sealings[i])
			(void)sealing_end(s->sealings[i], NULL);
	jobs_free(s->jobs);
	series_free(s->series);
	buf_fini(&s->path);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	free(s->dir);
	free(s);
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
		r = open_tapes(s, e);
	if (r < 0) {
		store_free(s);
		return r;
	}
	*s_out = s;
	return 0;
}

/* --- sealing and room --- */

/* Take note of what jobs have finished. Return: the first failure. */
static int collect_sealings(struct store *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < SEALINGS_MAX; i++) {
		struct sealing *done = s->sealings[i];
		struct err why = {0};
		uint64_t number;

		if (!done || !sealing_is_done(done))
			continue;
		number = sealing_number(done);
		s->sealings[i] = NULL;
		if (sealing_end(done, &why) < 0 && r == 0)
			r = err_set(e, why.code, "%s", why.why);
		series_hold(s->series, number, false);
		series_measure(s->series, number);
	}
	return r;
}

static int end_tape(struct store *s, struct err *e)
{
	uint64_t number = s->number;
	int r;

	if (!s->tape)
		return 0;
	r = series_add(s->series, number, &s->summary);
	if (r < 0)
		return err_set(e, r, "store %s: out of memory", s->dir);
	(void)writer_begin_tape(s->writer, NULL, NULL);
	tape_close(TAKE(s->tape));
	keeper_free(TAKE(s->keeper));
	s->tape_bytes = 0;
	s->summary = (struct tape_summary){0};
	(void)begin_sealing(s, number, s->config.is_bulk); /* not possible now: later, see below */
	number = s->config.is_bulk ? 0 : series_unfinished(s->series);
	if (number)
		(void)begin_sealing(s, number, false);
	return 0;
}

static uint64_t total_bytes(const struct store *s)
{
	return series_bytes(s->series) + s->tape_bytes;
}

/* Let old tapes go until @more bytes have room. */
static int make_room(struct store *s, uint64_t more, struct err *e)
{
	if (s->tape)
		s->tape_bytes = directory_file_bytes(buf_cstr(&s->path));
	while (s->config.bytes_max && total_bytes(s) + more > s->config.bytes_max) {
		int64_t rows = series_retire(s->series);

		if (rows < 0)
			return err_set(e, -ENOSPC,
				       "store %s: its quota of %" PRIu64 " bytes is used up",
				       s->dir, s->config.bytes_max);
		s->stats.retired_tapes++;
		s->stats.retired_exchanges += (uint64_t)rows;
	}
	return 0;
}

static bool tape_is_full(const struct store *s)
{
	const struct tape_summary *sum = &s->summary;

	if (sum->rows >= s->config.tape_rows)
		return true;
	if (s->config.bytes_max && s->tape_bytes > s->config.bytes_max / QUOTA_PARTS)
		return true;
	/* an import may jump in time as it likes: its tapes are full by rows alone */
	return !s->config.is_bulk && sum->rows &&
	       sum->last_id - sum->first_id >= s->config.tape_span_ns;
}

/* --- adding --- */

static bool id_is_taken(struct store *s, uint64_t id)
{
	return writer_has_id(s->writer, id) ||
	       (s->tape && id <= s->highest_id && writer_tape_has_id(s->writer, id)) ||
	       series_has_id(s->series, id);
}

static uint64_t free_id(struct store *s, uint64_t start_ns)
{
	uint64_t id = MAX(start_ns, 1);

	/* a time beyond what SQLite's integers hold (the year 2262): it is moved, and kept in
	 * `moved` */
	if (id > (uint64_t)INT64_MAX / 2)
		id = (uint64_t)INT64_MAX / 2;
	while (id_is_taken(s, id))
		id++;
	return id;
}

static void note_batch(struct store *s, const struct exchange *x)
{
	if (writer_batch_rows(s->writer) == 1)
		s->batch_first_id = s->batch_last_id = x->id;
	s->batch_first_id = MIN(s->batch_first_id, x->id);
	s->batch_last_id = MAX(s->batch_last_id, x->id);
	s->highest_id = MAX(s->highest_id, x->id);
}

/* The batch onto the tape; on success the summary follows. */
static int write_batch(struct store *s, struct err *e)
{
	size_t rows = writer_batch_rows(s->writer);
	struct tape_summary *sum = &s->summary;
	int r;

	if (rows == 0)
		return 0;
	r = make_room(s, writer_batch_bytes(s->writer) + COMMIT_EXTRA, e);
	if (r == 0)
		r = writer_write(s->writer, e);
	if (r < 0)
		return r;
	sum->first_id = sum->rows ? MIN(sum->first_id, s->batch_first_id) : s->batch_first_id;
	sum->last_id = MAX(sum->last_id, s->batch_last_id);
	sum->rows += rows;
	s->tape_bytes = directory_file_bytes(buf_cstr(&s->path));
	if (s->keeper)
		keeper_after_commit(s->keeper);
	return 0;
}

static bool batch_is_full(const struct store *s)
{
	return writer_batch_rows(s->writer) >= BATCH_ROWS_MAX ||
	       writer_batch_bytes(s->writer) >= BATCH_BYTES_MAX;
}

/* A tape to write to. Return: 0 */
static int need_tape(struct store *s, struct err *e)
{
	int r;

	if (s->tape)
		return 0;
	r = make_room(s, COMMIT_EXTRA, e);
	if (r == 0)
		r = use_tape(s, s->next_number, s->config.is_bulk, e);
	if (r == 0)
		s->next_number++;
	return r;
}

int store_add(struct store *s, struct exchange *x, struct err *e)
{
	uint64_t was = x->id;
	int r = need_tape(s, e);

	if (r == 0 && batch_is_full(s))
		r = store_commit(s, e);
	if (r == 0)
		r = need_tape(s, e);
	if (r < 0)
		return r;
	x->id = free_id(s, x->start_ns);
	r = writer_add(s->writer, x, e);
	if (r < 0) {
		x->id = was;
		return r;
	}
	note_batch(s, x);
	return 0;
}

int store_commit(struct store *s, struct err *e)
{
	int r = write_batch(s, e);

	if (r == 0)
		r = collect_sealings(s, e);
	if (r == 0 && s->tape && tape_is_full(s))
		r = end_tape(s, e);
	return r;
}

uint64_t store_discard(struct store *s)
{
	return writer_discard(s->writer);
}

int store_close(struct store *s, struct err *e)
{
	int r, end;

	if (!s)
		return 0;
	r = write_batch(s, e);
	if (s->config.is_bulk) {
		end = end_tape(s, r < 0 ? NULL : e);
		r = r < 0 ? r : end;
	}
	jobs_wait(s->jobs);
	end = collect_sealings(s, r < 0 ? NULL : e);
	r = r < 0 ? r : end;
	keeper_free(TAKE(s->keeper));
	(void)writer_begin_tape(s->writer, NULL, NULL);
	if (s->tape)
		(void)tape_make_portable(s->tape, NULL); /* in use: the log stays beside it */
	store_free(s);
	return r;
}

void store_stats(const struct store *s, struct store_stats *out)
{
	struct writer_totals totals = writer_totals(s->writer);

	*out = s->stats;
	out->tape_count = series_count(s->series) + (s->tape ? 1 : 0);
	out->bytes = total_bytes(s);
	out->exchange_count = totals.exchanges;
	out->raw_bytes = totals.raw_bytes;
	out->packed_bytes = totals.packed_bytes;
	out->dictionary_count = writer_dictionaries(s->writer);
}

void store_set_limits(struct store *s, const struct store_config *config)
{
	s->config.bytes_max = config->bytes_max;
	s->config.tape_rows = config->tape_rows;
	s->config.tape_span_ns = config->tape_span_ns;
	if (s->config.level != config->level)
		writer_set_level(s->writer, config->level);
	s->config.level = config->level;
}
