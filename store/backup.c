// SPDX-License-Identifier: Apache-2.0
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "store/directory.h"
#include "store/tape.h"

/*
 * Theory of operation. SQLite's online backup copies page by page. It would begin anew each time
 * another process commits; so the connection it reads through holds a read transaction, and sees
 * one moment from the first page to the last. The writer goes on meanwhile, into its log.
 *
 * The copy is checked from its file, by a connection that has none of its pages yet.
 */
#define PAGES_AT_ONCE 32

struct backup {
	const char *from_path, *part;
	struct tape *from;
	sqlite3 *to;
};

static int failed(const struct backup *b, struct err *e)
{
	int code = b->to ? sqlite3_errcode(b->to) & 0xff : SQLITE_NOMEM;
	int error = code == SQLITE_FULL				      ? -ENOSPC
		    : code == SQLITE_CANTOPEN			      ? -EACCES
		    : code == SQLITE_NOMEM			      ? -ENOMEM
		    : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? -EBADMSG
								      : -EIO;

	return err_set(e, error, "backup %s: %s", b->part,
		       b->to ? sqlite3_errmsg(b->to) : "out of memory");
}

static int copy_pages(const struct backup *b, const struct backup_hooks *hooks, struct err *e)
{
	sqlite3_backup *copy = sqlite3_backup_init(b->to, "main", tape_db(b->from), "main");
	int step = SQLITE_OK;
	bool goes_on = true;

	if (!copy)
		return failed(b, e);
	while (goes_on && step == SQLITE_OK) {
		step = sqlite3_backup_step(copy, PAGES_AT_ONCE);
		if (hooks->progress)
			goes_on = hooks->progress(hooks->ctx,
						  (uint64_t)(sqlite3_backup_pagecount(copy) -
							     sqlite3_backup_remaining(copy)),
						  (uint64_t)sqlite3_backup_pagecount(copy));
	}
	(void)sqlite3_backup_finish(copy);
	if (step == SQLITE_DONE)
		return 0;
	return goes_on ? failed(b, e) : err_set(e, -ECANCELED, "interrupted");
}

/* One file, without a log: a copy has the mode of what was copied. */
static int end_log(const struct backup *b, struct err *e)
{
	return sqlite3_exec(b->to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : failed(b, e);
}

static int copy_tape(struct backup *b, const struct backup_hooks *hooks, struct err *e)
{
	int r = tape_open(b->from_path, TAPE_READ, &b->from, e);

	if (r == 0)
		r = tape_run(b->from, "BEGIN; SELECT count(*) FROM tape", e);
	if (r < 0)
		return r;
	if (sqlite3_open_v2(b->part, &b->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		return failed(b, e);
	r = copy_pages(b, hooks, e);
	return r == 0 ? end_log(b, e) : r;
}

static int check_copy(const char *part, struct err *e)
{
	AUTO(tape) t = NULL;
	sqlite3_stmt *st;
	int r = tape_open(part, TAPE_READ, &t, e);

	if (r < 0)
		return r;
	st = tape_prepare(t, "SELECT integrity_check FROM pragma_integrity_check(1)", e);
	if (!st || sqlite3_step(st) != SQLITE_ROW)
		r = tape_failed(t, e);
	else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		r = err_set(e, -EBADMSG, "backup %s: %s", part,
			    (const char *)sqlite3_column_text(st, 0));
	(void)sqlite3_finalize(st);
	return r;
}

static int publish(const char *part, const char *to, struct err *e)
{
	int fd = open(part, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || fsync(fd) < 0 || rename(part, to) < 0)
		r = err_set(e, -errno, "backup %s: %s", to, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return r;
}

int backup_tape(const char *from, const char *to, const struct backup_hooks *hooks, struct err *e)
{
	AUTO_BUF part = {0};
	struct backup b = {.from_path = from};
	int r;

	buf_add_fmt(&part, "%s.part", to);
	b.part = buf_cstr(&part);
	directory_unlink(b.part);
	r = copy_tape(&b, hooks, e);
	(void)sqlite3_close(b.to);
	tape_close(b.from);
	if (r == 0)
		r = check_copy(b.part, e);
	if (r == 0)
		r = publish(b.part, to, e);
	directory_unlink(b.part);
	return r;
}

static bool read_summary(const char *path, struct tape_summary *out)
{
	AUTO(tape) t = NULL;

	return tape_open(path, TAPE_READ, &t, NULL) == 0 && tape_summary(t, out, NULL) == 0;
}

bool backup_is_there(const char *from, const char *to)
{
	struct tape_summary a, b;

	return access(to, F_OK) == 0 && read_summary(from, &a) && read_summary(to, &b) &&
	       a.is_sealed && b.is_sealed && a.rows == b.rows && a.first_id == b.first_id &&
	       a.last_id == b.last_id && a.packed_bytes == b.packed_bytes &&
	       directory_main_bytes(from) == directory_main_bytes(to);
}
