// SPDX-License-Identifier: Apache-2.0
#include "store/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/directory.h"
#include "store/fulltext.h"
#include "store/jobs.h"
#include "store/rewrite.h"
#include "store/tape.h"

/*
 * Theory of operation. A commit is a write to the log and no more. After it a job syncs the log,
 * so a power cut costs what was committed since the last sync began: about a commit interval. When
 * the log is long the job moves its pages into the tape (a passive checkpoint: it waits for nobody
 * and holds up nobody), through a connection of its own. If the job before still runs, none is
 * started.
 *
 * Sealing builds the indexes in place, which the tape needs at once; then, where it pays, the tape
 * is written anew by a slow job (rewrite.c).
 *
 * The log is synced through a file descriptor of its own, which is safe: SQLite locks the -shm
 * file and the tape, never the log.
 */

struct keeper {
	struct jobs *jobs;
	char *path, *log_path;
	uint64_t log_bytes;	/* longer than that it is emptied */
	struct tape *tape;	/* the job's connection; opened at need */
	_Atomic unsigned users; /* the writer, and a job when one runs */
};

static char *with_ending(const char *path, const char *ending)
{
	char *name = NULL;

	return asprintf(&name, "%s%s", path, ending) < 0 ? NULL : name;
}

struct keeper *keeper_new(struct jobs *jobs, const char *path, uint64_t log_bytes)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->jobs = jobs;
	k->log_bytes = log_bytes;
	k->path = strdup(path);
	k->log_path = with_ending(path, "-wal");
	atomic_init(&k->users, 1);
	if (!k->path || !k->log_path) {
		keeper_free(k);
		return NULL;
	}
	return k;
}

static void unref(struct keeper *k)
{
	if (atomic_fetch_sub_explicit(&k->users, 1, memory_order_acq_rel) > 1)
		return;
	tape_close(k->tape);
	free(k->path);
	free(k->log_path);
	free(k);
}

void keeper_free(struct keeper *k)
{
	if (k)
		unref(k);
}

/* Return: length of the log [bytes]. */
static uint64_t sync_log(const struct keeper *k)
{
	int fd = open(k->log_path, O_RDONLY | O_CLOEXEC);
	off_t end;

	if (fd < 0)
		return 0;
	(void)fdatasync(fd);
	end = lseek(fd, 0, SEEK_END);
	(void)close(fd);
	return end > 0 ? (uint64_t)end : 0;
}

/* What fails here fails again at the next commit, which tells. */
static void keep(void *arg)
{
	struct keeper *k = arg;

	if (sync_log(k) > k->log_bytes &&
	    (k->tape || tape_open(k->path, TAPE_APPEND, &k->tape, NULL) == 0))
		(void)tape_checkpoint(k->tape, NULL);
	unref(k);
}

void keeper_after_commit(struct keeper *k)
{
	unsigned one = 1;

	if (!atomic_compare_exchange_strong_explicit(&k->users, &one, 2, memory_order_acq_rel,
						     memory_order_acquire))
		return;
	if (jobs_start(k->jobs, keep, k) < 0)
		unref(k);
}

/* --- sealing --- */

#define FINAL_LEVEL 6 /* zstd level of a tape's final form, where it is not higher anyway */

struct sealing {
	struct jobs *jobs;
	char *path, *to_path;
	uint64_t number;
	bool wants_fulltext;
	int level;	      /* of the final form; 0: none is made now */
	struct err why, left; /* why it failed; why it was left as it is */
	int result;
	atomic_bool is_cancelled;
	atomic_bool is_done;
};

static void sealing_free(struct sealing *s)
{
	free(s->path);
	free(s->to_path);
	free(s);
}

static int publish(const char *path, const char *to_path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || fsync(fd) < 0 || rename(path, to_path) < 0)
		r = err_set(e, -errno, "tape %s: %s", to_path, strerror(errno));
	else
		directory_sync_of(to_path);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int seal_in_place(const struct sealing *s, bool is_final, struct err *e)
{
	AUTO(tape) t = NULL;
	int r = tape_open(s->path, s->to_path ? TAPE_BULK : TAPE_APPEND, &t, e);

	if (r == 0)
		r = tape_seal(t, is_final, e);
	else if (r == -ESTALE) /* an older version: it is written anew */
		r = tape_open(s->path, TAPE_FOLD, &t, e);
	if (r < 0)
		return r;
	if (!s->to_path) {
		/* without it a search reads more, and finds the same: no reason to fail */
		if (s->wants_fulltext)
			(void)fulltext_build(s->path, NULL);
		r = tape_make_portable(t, e);
		return r == -EBUSY ? 0 : r; /* readers have it open: at the next start, then */
	}
	tape_close(TAKE(t));
	r = publish(s->path, s->to_path, e);
	if (r == 0 && s->wants_fulltext)
		(void)fulltext_build(s->to_path, NULL);
	return r;
}

static void set_done(struct sealing *s)
{
	atomic_store_explicit(&s->is_done, true, memory_order_release);
}

static bool goes_on(void *ctx)
{
	struct sealing *s = ctx;

	return !atomic_load_explicit(&s->is_cancelled, memory_order_relaxed);
}

/* Thread: a slow job's. What fails leaves the tape as it is: sealed. */
static void rewrite(void *arg)
{
	struct sealing *s = arg;
	struct rewrite_config config = {.level = s->level, .goes_on = goes_on, .ctx = s};

	if (goes_on(s) && rewrite_tape(s->path, &config, &s->left) < 0 &&
	    (s->left.code == -ECANCELED || s->left.code == -EBUSY))
		s->left = (struct err){0}; /* another time */
	else if (s->left.code == 0 && s->wants_fulltext)
		(void)fulltext_build(s->path, NULL); /* it was of the old file */
	set_done(s);
}

static void seal(void *arg)
{
	struct sealing *s = arg;
	int pays = rewrite_pays(s->path, &s->why);

	s->result = pays < 0 ? pays : seal_in_place(s, pays == 0, &s->why);
	if (s->result < 0 || pays == 0 || s->level == 0 || s->to_path ||
	    directory_has_log(s->path) || jobs_start_slow(s->jobs, rewrite, s) < 0)
		set_done(s);
}

struct sealing *sealing_start(struct jobs *jobs, const char *path, const char *to_path,
			      uint64_t number, int level, bool wants_fulltext)
{
	struct sealing *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->jobs = jobs;
	s->number = number;
	s->wants_fulltext = wants_fulltext;
	s->level = level ? MAX(level, FINAL_LEVEL) : 0;
	s->path = strdup(path);
	s->to_path = to_path ? strdup(to_path) : NULL;
	if (!s->path || (to_path && !s->to_path) || jobs_start(jobs, seal, s) < 0) {
		sealing_free(s);
		return NULL;
	}
	return s;
}

bool sealing_is_done(const struct sealing *s)
{
	return atomic_load_explicit(&s->is_done, memory_order_acquire);
}

uint64_t sealing_number(const struct sealing *s)
{
	return s->number;
}

void sealing_cancel(struct sealing *s)
{
	atomic_store_explicit(&s->is_cancelled, true, memory_order_relaxed);
}

int sealing_end(struct sealing *s, struct err *left, struct err *e)
{
	int r = s->result;

	if (r < 0)
		(void)err_set(e, r, "%s", s->why.why);
	if (left)
		*left = s->left;
	sealing_free(s);
	return r;
}
