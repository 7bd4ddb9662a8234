// SPDX-License-Identifier: Apache-2.0
#include "store/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/route_rules.h"
#include "schema/settings.h"
#include "store/directory.h"
#include "store/jobs.h"
#include "store/read_tape.h"
#include "store/writer.h"

/*
 * Theory of operation. Rows are read by the table alone, so a damaged index does no harm: forward
 * from the first until a page cannot be read, then backward from the last. What stands between two
 * damaged pages is lost. Each exchange that can be read with its messages goes onto a new tape,
 *which is sealed and synced under another name (.part). Then:
 *
 *	link old -> damaged/old     (the old one has two names)
 *	rename .part -> old         (one step: readers see the one or the other)
 *
 * so the old tape never has no name, and a crash at any point leaves a store that opens.
 */
#define BATCH_ROWS 2000

struct repair {
	const char *path;
	struct read_tape *from;
	struct tape *to;
	struct writer *writer;
	struct unpacker *unpacker;
	struct read_room room;
	struct repair_result *result;
	uint64_t rows;		    /* as the old tape says */
	uint64_t first_id, last_id; /* read from there: forward to first_id, backward to last_id */
};

static const char *part_of(struct buf *out, const char *path)
{
	buf_clear(out);
	buf_add_fmt(out, "%s.part", path);
	return buf_cstr(out);
}

static int save_row(struct repair *p, const struct batch *b, struct err *e)
{
	struct exchange x;
	struct err why = {0};
	int r = read_tape_exchange(p->from, b, b->rows, true, p->unpacker, &p->room, &x, &why);

	if (r == -ENOMEM)
		return err_set(e, r, "%s", why.why);
	if (r < 0) {
		p->result->lost++;
		return 0;
	}
	r = writer_add(p->writer, &x, e);
	if (r == 0)
		p->result->saved++;
	if (r == 0 && writer_batch_rows(p->writer) >= BATCH_ROWS)
		r = writer_write(p->writer, e);
	return r;
}

/* Until the end or a page that cannot be read. Return: 0, or why nothing more can be written. */
static int save_rows(struct repair *p, sqlite3_stmt *st, uint64_t *reached, struct err *e)
{
	struct batch b = {0};
	int r = 0;

	while (r == 0 && sqlite3_step(st) == SQLITE_ROW) {
		batch_clear(&b);
		r = read_tape_row(st, true, &b);
		if (r < 0)
			r = err_set(e, r, "tape %s: out of memory", p->path);
		else
			*reached = b.rows->id;
		if (r == 0)
			r = save_row(p, &b, e);
	}
	batch_fini(&b);
	return r;
}

static int save_part(struct repair *p, const char *sql, uint64_t after, uint64_t *reached,
		     struct err *e)
{
	sqlite3_stmt *st = tape_prepare(read_tape_tape(p->from), sql, NULL);
	int r;

	if (!st)
		return 0; /* its tables cannot be read */
	(void)sqlite3_bind_int64(st, 1, (int64_t)after);
	r = save_rows(p, st, reached, e);
	(void)sqlite3_finalize(st);
	return r;
}

static int save_all(struct repair *p, struct err *e)
{
	uint64_t last = 0;
	int r = save_part(p, "SELECT " READ_COLUMNS " FROM exchange WHERE id > ? ORDER BY id", 0,
			  &p->first_id, e);

	if (r == 0)
		r = save_part(p,
			      "SELECT " READ_COLUMNS " FROM exchange WHERE id > ? ORDER BY id DESC",
			      p->first_id, &last, e);
	return r == 0 ? writer_write(p->writer, e) : r;
}

static int sync_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || fsync(fd) < 0)
		r = err_set(e, -errno, "tape %s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int write_anew(struct repair *p, const char *part, struct err *e)
{
	int r = tape_open(part, TAPE_BULK, &p->to, e);

	if (r == 0)
		r = writer_begin_tape(p->writer, p->to, e);
	if (r == 0)
		r = save_all(p, e);
	(void)writer_begin_tape(p->writer, NULL, NULL);
	if (r == 0)
		r = tape_seal(p->to, false, e);
	tape_close(TAKE(p->to));
	return r == 0 ? sync_file(part, e) : r;
}

static int salvage(struct repair *p, const char *part, struct err *e)
{
	struct jobs *jobs = jobs_new(NULL, NULL);
	AUTO(route_rules) rules = route_rules_new();
	struct tape_summary summary = {0};
	struct err why = {0};
	int r;

	if (read_tape_open(p->path, &p->from, &why) < 0) {
		jobs_free(jobs);
		return 0; /* nothing can be read */
	}
	if (read_tape_summary(p->from, &summary, &why) == 0)
		p->rows = summary.rows;
	p->unpacker = unpacker_new();
	p->writer = jobs && rules ? writer_new(jobs, rules, 3) : NULL;
	if (p->writer) /* what can be read of them */
		(void)writer_learn(p->writer, read_tape_tape(p->from), NULL);
	r = p->unpacker && p->writer ? write_anew(p, part, e)
				     : err_set(e, -ENOMEM, "tape %s: out of memory", p->path);
	writer_free(p->writer);
	unpacker_free(p->unpacker);
	read_room_fini(&p->room);
	read_tape_close(p->from);
	jobs_free(jobs);
	return r;
}

/* A second name in DIR/damaged, for the tape and for its log. */
static int link_aside(const char *path, const char *ending, struct err *e)
{
	AUTO_BUF from = {0}, dir = {0}, to = {0};
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) + 1 : 0;

	buf_add_fmt(&from, "%s%s", path, ending);
	buf_add_fmt(&dir, "%.*sdamaged", (int)n, path);
	if (mkdir(buf_cstr(&dir), 0750) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %s", buf_cstr(&dir), strerror(errno));
	buf_add_fmt(&to, "%s/%s%s", buf_cstr(&dir), path + n, ending);
	(void)unlink(buf_cstr(&to)); /* from a repair that was cut off */
	if (link(buf_cstr(&from), buf_cstr(&to)) < 0 && (errno != ENOENT || !*ending))
		return err_set(e, -errno, "%s: %s", buf_cstr(&to), strerror(errno));
	directory_sync(buf_cstr(&dir));
	return 0;
}

static void unlink_companion(const char *path, const char *ending)
{
	AUTO_BUF name = {0};

	buf_add_fmt(&name, "%s%s", path, ending);
	(void)unlink(buf_cstr(&name));
}

/* The old log goes first: it must not be taken for the new tape's. */
static int put_in_place(const char *path, const char *part, bool has_any, struct err *e)
{
	int r = link_aside(path, "", e);

	if (r == 0)
		r = link_aside(path, "-wal", e);
	if (r < 0)
		return r;
	unlink_companion(path, "-wal");
	unlink_companion(path, "-shm");
	if (has_any ? rename(part, path) < 0 : unlink(path) < 0)
		return err_set(e, -errno, "tape %s: %s", path, strerror(errno));
	directory_sync_of(path);
	return 0;
}

int repair_tape(const char *path, struct repair_result *out, struct err *e)
{
	AUTO_BUF part = {0};
	struct repair p = {.path = path, .result = out};
	int r;

	*out = (struct repair_result){0};
	(void)unlink(part_of(&part, path));
	r = salvage(&p, buf_cstr(&part), e);
	if (r == 0 && p.rows > out->saved)
		out->lost = p.rows - out->saved;
	if (r == 0)
		r = put_in_place(path, buf_cstr(&part), out->saved > 0, e);
	(void)unlink(buf_cstr(&part));
	out->is_renewed = r == 0 && out->saved > 0;
	return r;
}
