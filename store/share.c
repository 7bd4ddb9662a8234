// SPDX-License-Identifier: Apache-2.0
#include "store/share.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "schema/sql.h"
#include "store/directory.h"
#include "store/jobs.h"
#include "store/keeper.h"
#include "store/tape.h"

/*
 * Theory of operation. Tapes are numbered as they are made:
 *
 *	tape-00000001.tape ... sealed    tape-00000007.tape being sealed    tape-00000008.tape
 *written └──────────────────── series ────────────────────────────────────┘  └─ writer, keeper ─┘
 *
 * A batch goes onto the newest; a tape that is full is ended, and sealed in a job. A tape is made
 * when its first exchange comes, so no tape is empty.
 *
 * In bulk (an import) tapes are written without log and sync under a name that nobody lists,
 * sealed, synced and only then named as tapes. What was recorded before is not touched.
 */
#define SEALINGS_MAX  4
#define LOG_BYTES_MAX (UINT64_C(4) << 20)
#define DAMAGE_MAX    4 /* tapes that are told of; more are damaged alike */

struct share {
	char *dir;
	struct jobs *jobs; /* borrowed */
	struct share_limits limits;
	int level; /* of zstd */
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
	bool is_awaited; /* names on the tape are expected: it is ended later */
	struct sealing *sealings[SEALINGS_MAX];
	struct err damage[DAMAGE_MAX]; /* not yet told */
	size_t damage_count;
};

struct share *share_new(const char *dir, struct jobs *jobs, struct route_rules *rules, int level)
{
	struct share *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->jobs = jobs;
	s->level = level;
	s->next_number = 1;
	s->dir = strdup(dir);
	s->writer = writer_new(jobs, rules, level);
	s->series = series_new(dir);
	if (!s->dir || !s->writer || !s->series) {
		share_free(s);
		return NULL;
	}
	return s;
}

void share_free(struct share *s)
{
	if (!s)
		return;
	keeper_free(s->keeper);
	writer_free(s->writer);
	tape_close(s->tape);
	for (size_t i = 0; i < SEALINGS_MAX; i++)
		if (s->sealings[i])
			(void)sealing_end(s->sealings[i], NULL, NULL);
	series_free(s->series);
	buf_fini(&s->path);
	free(s->dir);
	free(s);
}

void share_set_limits(struct share *s, const struct share_limits *limits)
{
	s->limits = *limits;
}

void share_set_level(struct share *s, int level)
{
	s->level = level;
	writer_set_level(s->writer, level);
}

/* --- opening --- */

static int no_memory(const struct share *s, struct err *e)
{
	return err_set(e, -ENOMEM, "store %s: out of memory", s->dir);
}

static int begin_sealing(struct share *s, uint64_t number, bool is_bulk)
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
				      buf_cstr(&path), number, 0, s->limits.has_fulltext);
	else
		*slot = sealing_start(s->jobs, buf_cstr(&path), NULL, number,
				      s->limits.is_bulk ? 0 : s->level, s->limits.has_fulltext);
	if (!*slot)
		series_hold(s->series, number, false);
	return *slot ? 0 : -ENOMEM;
}

/* A tape that cannot be read keeps its place: it counts, and goes when it is the oldest. */
static void note_damage(struct share *s, const struct err *why)
{
	if (s->damage_count == DAMAGE_MAX)
		return;
	(void)err_set(&s->damage[s->damage_count++], why->code, "left aside: %s", why->why);
}

/* Note an older tape; it is sealed if its writer did not come to it. */
static int note_older(struct share *s, uint64_t number, struct err *e)
{
	AUTO(tape) t = NULL;
	AUTO_BUF path = {0};
	struct tape_summary summary = {.is_sealed = true};
	bool has_log;
	struct err why = {0};
	int r = tape_open(directory_path(&path, s->dir, number, false), TAPE_READ, &t, &why);

	if (r == 0)
		r = tape_summary(t, &summary, &why);
	if (r == -EPROTONOSUPPORT || r == -ENOMEM)
		return err_set(e, r, "%s", why.why);
	if (r < 0)
		summary = (struct tape_summary){.is_sealed = true};
	if (series_add(s->series, number, &summary) < 0)
		return no_memory(s, e);
	has_log = directory_has_log(buf_cstr(&path));
	if (r == 0 && t && tape_version(t) == SQL_VERSION)
		(void)writer_learn(s->writer, t, NULL); /* damaged: routes are learned anew */
	tape_close(TAKE(t));
	if (r < 0) {
		note_damage(s, &why);
		return 0;
	}
	if (!summary.is_sealed || has_log || (!summary.is_final && !s->limits.is_bulk))
		(void)begin_sealing(s, number, false); /* no room or memory: at the next start */
	return 0;
}

/* Small where tapes must be small, since it counts. */
static uint64_t log_bytes_max(const struct share *s)
{
	return s->limits.tape_bytes ? MIN(LOG_BYTES_MAX, s->limits.tape_bytes / 2) : LOG_BYTES_MAX;
}

/* What its log still holds back will make it grow while the log stays as long as it is. */
static void measure_tape(struct share *s)
{
	uint64_t main = s->tape ? directory_main_bytes(buf_cstr(&s->path)) : 0;
	uint64_t committed = s->tape ? tape_bytes(s->tape) : 0;

	s->tape_bytes = s->tape ? directory_file_bytes(buf_cstr(&s->path)) : 0;
	if (committed > main)
		s->tape_bytes += committed - main;
}

static int use_tape(struct share *s, uint64_t number, bool is_part, struct err *e)
{
	enum tape_mode mode = is_part ? TAPE_BULK : TAPE_APPEND;
	int r = tape_open(directory_path(&s->path, s->dir, number, is_part), mode, &s->tape, e);

	if (r == 0)
		r = tape_summary(s->tape, &s->summary, e);
	if (r == 0)
		r = writer_begin_tape(s->writer, s->tape, e);
	if (r == 0 && !is_part &&
	    !(s->keeper = keeper_new(s->jobs, buf_cstr(&s->path), log_bytes_max(s))))
		r = no_memory(s, e);
	if (r < 0) {
		(void)writer_begin_tape(s->writer, NULL, NULL);
		tape_close(TAKE(s->tape));
		return r;
	}
	s->number = number;
	s->highest_id = s->summary.last_id;
	measure_tape(s);
	return 0;
}

/*
 * The newest tape is gone on with, unless it is sealed, of an older version, this is an import, or
 * it cannot be read: then another one is begun.
 */
static int open_newest(struct share *s, uint64_t number, struct err *e)
{
	AUTO(tape) t = NULL;
	AUTO_BUF path = {0};
	struct tape_summary summary = {.is_sealed = true};
	int r = tape_open(directory_path(&path, s->dir, number, false), TAPE_READ, &t, e);
	bool is_unmade = r == -ENOENT; /* its writer ended before it made the tables */

	if (r == 0 && (tape_summary(t, &summary, NULL) < 0 || tape_version(t) < SQL_VERSION))
		summary.is_sealed = true; /* or as good as that: nothing is added to it */
	if (r == 0 && tape_version(t) == SQL_VERSION)
		(void)writer_learn(s->writer, t, NULL);
	tape_close(TAKE(t));
	if (s->limits.is_bulk || (summary.is_sealed && !is_unmade))
		return note_older(s, number, e);
	r = use_tape(s, number, false, e);
	return r == -EBADMSG ? note_older(s, number, e) : r;
}

int share_open(struct share *s, struct err *e)
{
	struct tape_list l;
	int r;

	directory_tidy(s->dir);
	r = directory_list(s->dir, &l, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	s->next_number = l.count ? l.numbers[l.count - 1] + 1 : 1;
	for (size_t i = 0; i + 1 < l.count && r == 0; i++)
		r = note_older(s, l.numbers[i], e);
	if (r == 0 && l.count)
		r = open_newest(s, l.numbers[l.count - 1], e);
	tape_list_fini(&l);
	return r;
}

/* --- from tape to tape --- */

bool share_has_tape(const struct share *s)
{
	return s->tape != NULL;
}

int share_begin_tape(struct share *s, struct err *e)
{
	int r;

	if (mkdir(s->dir, 0750) < 0 && errno != EEXIST)
		return err_set(e, -errno, "store %s: %s", s->dir, strerror(errno));
	r = use_tape(s, s->next_number, s->limits.is_bulk, e);
	if (r == 0)
		s->next_number++;
	return r;
}

/* A tape that is ended gets no names any more: while they are awaited it goes on for as much again. */
bool share_tape_is_full(const struct share *s)
{
	const struct tape_summary *sum = &s->summary;
	uint64_t rows = s->limits.tape_rows, span = s->limits.tape_span_ns;

	if (!s->tape)
		return false;
	if (s->is_awaited) {
		rows = rows > UINT64_MAX / 2 ? rows : 2 * rows;
		span = span > UINT64_MAX / 2 ? span : 2 * span;
	}
	if (sum->rows >= rows)
		return true;
	/* without its log, which a few small commits make long */
	if (s->limits.tape_bytes && tape_bytes(s->tape) > s->limits.tape_bytes)
		return true;
	/* an import may jump in time as it likes: its tapes are full by rows alone */
	return !s->limits.is_bulk && sum->rows && sum->last_id - sum->first_id >= span;
}

uint64_t share_tape_last_id(const struct share *s)
{
	return s->tape && s->summary.rows ? s->summary.last_id : 0;
}

bool share_take_damage(struct share *s, struct err *out)
{
	if (s->damage_count == 0)
		return false;
	*out = s->damage[--s->damage_count];
	return true;
}

int share_collect(struct share *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < SEALINGS_MAX; i++) {
		struct sealing *done = s->sealings[i];
		struct err why = {0}, left = {0};
		uint64_t number;

		if (!done || !sealing_is_done(done))
			continue;
		number = sealing_number(done);
		s->sealings[i] = NULL;
		if (sealing_end(done, &left, &why) < 0 && r == 0)
			r = err_set(e, why.code, "%s", why.why);
		if (left.code)
			note_damage(s, &left);
		series_hold(s->series, number, false);
		series_measure(s->series, number);
	}
	return r;
}

static void close_tape(struct share *s)
{
	keeper_free(TAKE(s->keeper));
	(void)writer_begin_tape(s->writer, NULL, NULL);
	tape_close(TAKE(s->tape));
}

int share_end_tape(struct share *s, struct err *e)
{
	uint64_t number = s->number;

	if (!s->tape)
		return 0;
	if (series_add(s->series, number, &s->summary) < 0)
		return no_memory(s, e);
	close_tape(s);
	s->tape_bytes = 0;
	s->is_awaited = false;
	s->summary = (struct tape_summary){0};
	(void)begin_sealing(s, number, s->limits.is_bulk); /* not possible now: later, see below */
	number = s->limits.is_bulk ? 0 : series_unfinished(s->series);
	if (number)
		(void)begin_sealing(s, number, false);
	return 0;
}

void share_hurry(struct share *s)
{
	for (size_t i = 0; i < SEALINGS_MAX; i++)
		if (s->sealings[i])
			sealing_cancel(s->sealings[i]);
}

void share_finish(struct share *s)
{
	keeper_free(TAKE(s->keeper));
	(void)writer_begin_tape(s->writer, NULL, NULL);
	if (s->tape)
		(void)tape_make_portable(s->tape, NULL); /* in use: the log stays beside it */
	tape_close(TAKE(s->tape));
}

/* --- adding --- */

int share_add(struct share *s, const struct exchange *x, struct err *e)
{
	int r = writer_add(s->writer, x, e);

	if (r < 0)
		return r;
	if (writer_batch_rows(s->writer) == 1)
		s->batch_first_id = s->batch_last_id = x->id;
	s->batch_first_id = MIN(s->batch_first_id, x->id);
	s->batch_last_id = MAX(s->batch_last_id, x->id);
	s->highest_id = MAX(s->highest_id, x->id);
	return 0;
}

/* On success the summary follows. */
int share_write(struct share *s, struct err *e)
{
	size_t rows = writer_batch_rows(s->writer);
	struct tape_summary *sum = &s->summary;
	int r;

	if (rows == 0)
		return 0;
	r = writer_write(s->writer, e);
	if (r < 0)
		return r;
	sum->first_id = sum->rows ? MIN(sum->first_id, s->batch_first_id) : s->batch_first_id;
	sum->last_id = MAX(sum->last_id, s->batch_last_id);
	sum->rows += rows;
	measure_tape(s);
	if (s->keeper)
		keeper_after_commit(s->keeper);
	return 0;
}

int share_name_late(struct share *s, const struct late_config *c, struct late_result *out,
		    struct err *e)
{
	struct late_result found = {0};
	int r = writer_name_late(s->writer, c, &found, e);

	if (r < 0)
		return r;
	s->is_awaited = c->is_away && (found.waiting || found.has_more);
	out->named += found.named;
	out->never += found.never;
	out->waiting += found.waiting;
	out->has_more |= found.has_more;
	return 0;
}

/* The tape is asked for what may be committed there only: between commits that takes locks on its file. */
bool share_has_id(struct share *s, uint64_t id)
{
	return (s->tape && id <= s->highest_id &&
		(writer_has_id(s->writer, id) ||
		 (id <= s->summary.last_id && writer_tape_has_id(s->writer, id)))) ||
	       series_has_id(s->series, id);
}

/* --- what there is --- */

struct writer *share_writer(const struct share *s)
{
	return s->writer;
}

struct series *share_series(const struct share *s)
{
	return s->series;
}

uint64_t share_bytes(const struct share *s)
{
	return series_bytes(s->series) + s->tape_bytes;
}

void share_measure(struct share *s)
{
	measure_tape(s);
	series_measure_held(s->series);
}

uint64_t share_tape_bytes(const struct share *s)
{
	return s->tape_bytes;
}

uint64_t share_tape_count(const struct share *s)
{
	return series_count(s->series) + (s->tape ? 1 : 0);
}
