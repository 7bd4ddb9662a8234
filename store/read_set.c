// SPDX-License-Identifier: Apache-2.0
#include "store/read_set.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/directory.h"
#include "store/filter.h"

/*
 * Theory of operation. Tapes come and go while we read. Each query begins with a look at the
 * directory: known tapes keep what is known of them, others are forgotten. A tape that goes after
 * that look is simply not there any more: its exchanges are retired. One that is open stays
 * readable until it is closed.
 *
 * The last used tapes are kept open: opening one costs more than asking it. Of these the few last
 * used keep what they have read, the others rest: a file and its prepared statements, and no more.
 * One that was seen growing is asked again each time; once sealed it is opened anew, so that our
 * connection does not keep its log alive.
 */
#define OPEN_MAX       32
#define AWAKE_MAX      4
#define PROGRESS_STEPS 10000 /* of SQLite's machine between two looks at the clock */

static void forget_tape(struct seen_tape *t)
{
	read_tape_close(t->open);
	free(t->path);
	*t = (struct seen_tape){0};
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* By its name too: the number of an inode may be given anew, to a tape of the other share. */
static struct seen_tape *find(struct reader *r, const char *path, uint64_t inode)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->tapes[i].path && r->tapes[i].inode == inode &&
		    strcmp(r->tapes[i].path, path) == 0)
			return &r->tapes[i];
	return NULL;
}

/* What is known of tape @number, moved out of the old list, or the beginning of it. */
static bool meet(struct reader *r, uint64_t number, const char *path, struct seen_tape *out)
{
	uint64_t inode = inode_of(path);
	struct seen_tape *known = find(r, path, inode);

	if (known) {
		*out = *known;
		*known = (struct seen_tape){0};
		return true;
	}
	*out = (struct seen_tape){.number = number, .inode = inode, .path = strdup(path)};
	return out->path != NULL;
}

static void replace(struct reader *r, struct seen_tape *tapes, size_t count)
{
	for (size_t i = 0; i < r->count; i++)
		forget_tape(&r->tapes[i]);
	free(r->tapes);
	r->tapes = tapes;
	r->count = count;
}

/* The directories of a store: the rest's tapes and the failures'. */
struct listing {
	const char *dir;
	struct tape_list tapes;
};

static int list_shares(const struct reader *r, struct buf *failures, struct listing l[2],
		       struct err *e)
{
	struct err why = {0};
	int failed;

	l[0] = (struct listing){.dir = r->path};
	l[1] = (struct listing){.dir = directory_failures(failures, r->path)};
	failed = directory_list(l[0].dir, &l[0].tapes, e);
	if (failed < 0)
		return failed;
	failed = directory_list(l[1].dir, &l[1].tapes, &why);
	if (failed == 0 || failed == -ENOENT)
		return 0;
	tape_list_fini(&l[0].tapes);
	return err_set(e, failed, "%s", why.why);
}

static int refresh(struct reader *r, const struct listing l[2], struct err *e)
{
	AUTO_BUF path = {0};
	struct seen_tape *tapes = calloc(l[0].tapes.count + l[1].tapes.count + 1, sizeof(*tapes));
	bool is_whole = tapes != NULL;
	size_t n = 0;

	for (size_t d = 0; d < 2; d++)
		for (size_t i = 0; i < l[d].tapes.count && is_whole; i++)
			is_whole =
				meet(r, l[d].tapes.numbers[i],
				     directory_path(&path, l[d].dir, l[d].tapes.numbers[i], false),
				     &tapes[n++]);
	for (size_t i = l[0].tapes.count; i < n; i++)
		tapes[i].is_failures = true;
	if (tapes)
		replace(r, tapes, n);
	return is_whole ? 0 : err_set(e, -ENOMEM, "store %s: out of memory", r->path);
}

static int refresh_directory(struct reader *r, struct err *e)
{
	AUTO_BUF failures = {0};
	struct listing l[2];
	int failed = list_shares(r, &failures, l, e);

	if (failed < 0)
		return failed;
	failed = refresh(r, l, e);
	tape_list_fini(&l[0].tapes);
	tape_list_fini(&l[1].tapes);
	return failed;
}

int read_set_refresh(struct reader *r, struct err *e)
{
	r->deadline_ns = r->limit_ns && r->now_ns ? r->now_ns() + r->limit_ns : 0;
	if (r->is_file && r->count)
		return 0;
	if (r->is_file) {
		r->tapes = calloc(1, sizeof(*r->tapes));
		if (!r->tapes || !meet(r, 1, r->path, r->tapes))
			return err_set(e, -ENOMEM, "tape %s: out of memory", r->path);
		r->count = 1;
		return 0;
	}
	return refresh_directory(r, e);
}

bool read_set_is_late(const struct reader *r)
{
	return r->deadline_ns && r->now_ns() > r->deadline_ns;
}

static int is_late(void *reader)
{
	return read_set_is_late(reader);
}

static void count_seen(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct reader *r = sqlite3_user_data(context);

	(void)count, (void)values;
	r->effort.seen++;
	sqlite3_result_int(context, 1);
}

static int register_functions(struct reader *r, sqlite3 *db)
{
	if (sqlite3_create_function(db, "reader_seen", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, r,
				    count_seen, NULL, NULL) != SQLITE_OK)
		return -ENOMEM;
	return filter_sql_register(db);
}

static void close_oldest(struct reader *r, const struct seen_tape *keep)
{
	struct seen_tape *oldest = NULL;
	size_t open = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct seen_tape *t = &r->tapes[i];

		open += t->open != NULL;
		/* one that was used in this turn may be in the middle of a list */
		if (t->open && t != keep && t->used != r->turn &&
		    (!oldest || t->used < oldest->used))
			oldest = t;
	}
	if (oldest && open >= OPEN_MAX) {
		read_tape_close(oldest->open);
		oldest->open = NULL;
	}
}

/* One more is about to be asked. */
static void put_to_rest(struct reader *r, const struct seen_tape *keep)
{
	struct seen_tape *oldest = NULL;
	size_t awake = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct seen_tape *t = &r->tapes[i];

		if (!t->open || t->is_resting || t == keep)
			continue;
		awake++;
		if (t->used != r->turn && (!oldest || t->used < oldest->used))
			oldest = t;
	}
	if (oldest && awake >= AWAKE_MAX) {
		read_tape_rest(oldest->open);
		oldest->is_resting = true;
	}
}

int read_set_left_out(struct reader *r, bool is_whole_tape, int failed, const struct err *e)
{
	if (failed != -EBADMSG && failed != -EIO && failed != -EACCES)
		return failed;
	if (r->damage.why.code == 0)
		r->damage.why = *e;
	if (is_whole_tape)
		r->damage.tapes++;
	else
		r->damage.exchanges++;
	return 0;
}

/* One tape of many; the only one must be readable. */
static int skip_damaged(struct reader *r, int failed, const struct err *e)
{
	if (failed >= 0 || failed == -ENOENT || r->is_file)
		return failed;
	failed = read_set_left_out(r, true, failed, e);
	return failed == 0 ? -ENOENT : failed;
}

int read_set_open(struct reader *r, struct seen_tape *t, struct err *e)
{
	int failed;

	if (!t->open || t->is_resting)
		put_to_rest(r, t);
	t->used = r->turn;
	t->is_resting = false;
	if (t->open)
		return 0;
	close_oldest(r, t);
	failed = skip_damaged(r, read_tape_open(t->path, &t->open, e), e);
	if (failed == 0 && register_functions(r, tape_db(read_tape_tape(t->open))) < 0)
		return err_set(e, -ENOMEM, "tape %s: out of memory", t->path);
	if (failed == 0)
		sqlite3_progress_handler(tape_db(read_tape_tape(t->open)), PROGRESS_STEPS, is_late,
					 r);
	return failed;
}

int read_set_summary(struct reader *r, struct seen_tape *t, struct err *e)
{
	bool was_growing = t->open && t->has_summary && !t->summary.is_sealed;
	int failed;

	if (t->has_summary && t->summary.is_sealed)
		return 0;
	failed = read_set_open(r, t, e);
	if (failed == 0)
		failed = skip_damaged(r, read_tape_summary(t->open, &t->summary, e), e);
	if (failed < 0)
		return failed;
	t->has_summary = true;
	if (was_growing && t->summary.is_sealed) {
		read_tape_close(t->open);
		t->open = NULL;
	}
	return 0;
}

int read_set_permits(const struct reader *r, const struct query *q, struct err *e)
{
	if (!r->scope || (q->filter && filter_is_restricted(q->filter)))
		return 0;
	return err_set(e, -EACCES, "this query is not restricted to what may be seen");
}

int read_set_bounds(struct reader *r, uint64_t *first_ns, uint64_t *last_ns, struct err *e)
{
	int failed = read_set_refresh(r, e);

	*first_ns = UINT64_MAX;
	*last_ns = 0;
	r->turn++;
	for (size_t i = 0; i < r->count && failed == 0; i++) {
		const struct tape_summary *sum = &r->tapes[i].summary;

		failed = read_set_summary(r, &r->tapes[i], e);
		if (failed == 0 && sum->rows) {
			*first_ns =
				MIN(*first_ns, sum->first_id - MIN(sum->moved_max, sum->first_id));
			*last_ns = MAX(*last_ns, sum->last_id);
		}
		failed = failed == -ENOENT ? 0 : failed;
	}
	return failed;
}
