// SPDX-License-Identifier: Apache-2.0
#include "store/series.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "store/directory.h"

/*
 * Theory of operation. Tapes are retired in the order in which they were made, which a clock that
 * is set back does not change. What a tape takes on disk is measured when it changes, so the sum
 * is known without looking.
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

int64_t series_retire(struct series *s)
{
	AUTO_BUF path = {0};
	struct member *m = s->members, *end = s->members + s->count;
	int64_t rows;

	while (m < end && m->is_held)
		m++;
	if (m == end)
		return -ENOENT;
	rows = (int64_t)m->summary.rows;
	close_member(m);
	directory_unlink(directory_path(&path, s->dir, m->number, false));
	s->bytes -= m->bytes;
	s->count--;
	memmove(m, m + 1, (size_t)(end - m - 1) * sizeof(*m));
	return rows;
}
