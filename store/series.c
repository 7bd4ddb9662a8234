// SPDX-License-Identifier: Apache-2.0
#include "store/series.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "store/directory.h"

/*
 * Theory of operation. Tapes are retired in the order in which they were made, which a clock that
 * is set back does not change. A tape that is pinned or that a job works on is passed over. What a
 * tape takes on disk is measured when it changes, so the sum is known without looking.
 *
 * By age a tape goes when its newest exchange is too old. Where its times lie in the future, since
 * the clock was wrong when it was made, it goes with the first tape after it that is too old.
 *
 * An id that lies in the window of an older tape (a slow answer that comes after the tape was
 * changed, a clock set back, a capture imported twice) is looked up there. The tape is opened for
 * that and stays open, with a small cache; few are, since windows of neighbours overlap and others
 * hardly ever.
 */
#define OPEN_MAX 16

struct member {
	uint64_t number, bytes;
	struct tape_summary summary;
	bool is_held;
	bool has_log;	   /* somebody had it open when it was to become one file */
	struct tape *tape; /* opened to look up ids */
	sqlite3_stmt *has;
};

struct series {
	char *dir;
	struct member *members; /* in order of number */
	size_t count, room;
	uint64_t bytes;
};

struct series *series_new(const char *dir)
{
	struct series *s = calloc(1, sizeof(*s));

	if (s && !(s->dir = strdup(dir))) {
		free(s);
		return NULL;
	}
	return s;
}

static void close_member(struct member *m)
{
	(void)sqlite3_finalize(m->has);
	tape_close(m->tape);
	m->has = NULL;
	m->tape = NULL;
}

void series_free(struct series *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		close_member(&s->members[i]);
	free(s->members);
	free(s->dir);
	free(s);
}

static struct member *find(struct series *s, uint64_t number)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->members[i].number == number)
			return &s->members[i];
	return NULL;
}

int series_add(struct series *s, uint64_t number, const struct tape_summary *summary)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		struct member *grown = realloc(s->members, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->members = grown;
		s->room = room;
	}
	s->members[s->count++] = (struct member){.number = number, .summary = *summary};
	series_measure(s, number);
	return 0;
}

void series_measure(struct series *s, uint64_t number)
{
	struct member *m = find(s, number);
	AUTO_BUF path = {0};

	if (!m)
		return;
	s->bytes -= m->bytes;
	m->bytes = directory_file_bytes(directory_path(&path, s->dir, number, false));
	m->has_log = directory_has_log(buf_cstr(&path));
	s->bytes += m->bytes;
}

void series_measure_held(struct series *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->members[i].is_held)
			series_measure(s, s->members[i].number);
}

uint64_t series_pinned_bytes(const struct series *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		AUTO_BUF path = {0};

		if (directory_is_pinned(directory_path(&path, s->dir, s->members[i].number, false)))
			sum += s->members[i].bytes;
	}
	return sum;
}

void series_hold(struct series *s, uint64_t number, bool is_held)
{
	struct member *m = find(s, number);

	if (m)
		m->is_held = is_held;
	if (m && is_held)
		close_member(m); /* a job wants it for itself */
}

uint64_t series_unfinished(const struct series *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->members[i].has_log && !s->members[i].is_held)
			return s->members[i].number;
	return 0;
}

uint64_t series_last_id(const struct series *s)
{
	uint64_t last = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->members[i].summary.rows)
			last = MAX(last, s->members[i].summary.last_id);
	return last;
}

uint64_t series_count(const struct series *s)
{
	return s->count;
}

uint64_t series_bytes(const struct series *s)
{
	return s->bytes;
}

static void close_others(struct series *s, const struct member *keep)
{
	size_t open = 0;

	for (size_t i = s->count; i-- > 0;)
		if (s->members[i].tape && &s->members[i] != keep && ++open >= OPEN_MAX)
			close_member(&s->members[i]);
}

static bool open_member(struct series *s, struct member *m)
{
	AUTO_BUF path = {0};

	if (m->has)
		return true;
	close_others(s, m);
	if (tape_open(directory_path(&path, s->dir, m->number, false), TAPE_READ, &m->tape, NULL) <
	    0)
		return false;
	if (tape_run(m->tape, "PRAGMA cache_size = -128", NULL) < 0)
		return false;
	/* one transaction for all: without it each look-up locks the file and asks whether it has
	 * changed, eight system calls. Nobody writes it while we have it open. */
	if (tape_run(m->tape, "BEGIN", NULL) < 0)
		return false;
	m->has = tape_prepare(m->tape, "SELECT 1 FROM exchange WHERE id = ?", NULL);
	return m->has != NULL;
}

static bool member_has(struct series *s, struct member *m, uint64_t id)
{
	bool has;

	if (!open_member(s, m))
		return false;
	(void)sqlite3_bind_int64(m->has, 1, (int64_t)id);
	has = sqlite3_step(m->has) == SQLITE_ROW;
	(void)sqlite3_reset(m->has);
	return has;
}

bool series_has_id(struct series *s, uint64_t id)
{
	for (size_t i = s->count; i-- > 0;) {
		struct member *m = &s->members[i];

		if (m->summary.rows && id >= m->summary.first_id && id <= m->summary.last_id &&
		    member_has(s, m, id))
			return true;
	}
	return false;
}

static bool may_go(const struct series *s, const struct member *m)
{
	AUTO_BUF path = {0};

	return !m->is_held && !directory_is_pinned(directory_path(&path, s->dir, m->number, false));
}

static int64_t remove_member(struct series *s, struct member *m)
{
	AUTO_BUF path = {0};
	int64_t rows = (int64_t)m->summary.rows;

	close_member(m);
	directory_unlink(directory_path(&path, s->dir, m->number, false));
	s->bytes -= m->bytes;
	s->count--;
	memmove(m, m + 1, (size_t)(s->members + s->count - m) * sizeof(*m));
	return rows;
}

int64_t series_retire(struct series *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (may_go(s, &s->members[i]))
			return remove_member(s, &s->members[i]);
	return -ENOENT;
}

static bool is_older(const struct member *m, uint64_t before_ns)
{
	return m->summary.rows && m->summary.last_id < before_ns;
}

/* Is it from a time that has not come yet, although a tape made after it is too old? */
static bool is_from_wrong_clock(const struct series *s, size_t at, uint64_t before_ns,
				uint64_t now_ns)
{
	if (s->members[at].summary.rows == 0 || s->members[at].summary.last_id <= now_ns)
		return false;
	for (size_t i = at + 1; i < s->count; i++)
		if (is_older(&s->members[i], before_ns))
			return true;
	return false;
}

int64_t series_retire_older(struct series *s, uint64_t before_ns, uint64_t now_ns)
{
	for (size_t i = 0; i < s->count; i++) {
		struct member *m = &s->members[i];

		if ((is_older(m, before_ns) || is_from_wrong_clock(s, i, before_ns, now_ns)) &&
		    may_go(s, m))
			return remove_member(s, m);
	}
	return -ENOENT;
}
