// SPDX-License-Identifier: Apache-2.0
#include "store/fulltext.h"

#include "store/filter_value.h"
#include "store/reader.h"
#include "store/tape.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * text("...") finds parts of words, in any bytes, so the index is of trigrams: all sequences of
 * three bytes, A to Z as a to z. What was measured (100,000 exchanges of 2.6 KB, 20 MB on the
 * tape): FTS5 with its trigram tokenizer and detail=none, a document for each 32 exchanges, takes
 * 47 s of CPU and 60 MB. A posting list says more than is needed here, since whatever the index
 * finds is judged again. So a run of RUN_EXCHANGES exchanges that follow each other has a signature
 * instead: a bitmap, with a bit set for the hash of each trigram in it, and halved (one half OR'd
 * onto the other) while less than a quarter of it would be set: 7 s of CPU, most of it for reading
 * and decoding, and 4 MB for that tape. A text of n bytes may be in a run when the bits of its n -
 * 2 trigrams are set there; a question reads all signatures of a tape, and the runs that they
 * leave.
 *
 * It is written in one transaction: a tape has all of it or nothing. The table is not part of the
 * schema's versions: a tape without it is whole.
 */
#define RUN_EXCHANGES 128
#define BITS_MAX      (1u << 20) /* of a signature while it is made */
#define BITS_MIN      (1u << 10)
#define FILL_MAX      4	 /* a quarter of the bits */
#define TRIGRAMS_MAX  48 /* of one question; more would not make it narrower */

static const char make_sql[] = "CREATE TABLE fulltext (first INTEGER PRIMARY KEY,"
			       " last INTEGER NOT NULL, bits BLOB NOT NULL) STRICT";

struct builder {
	struct tape *tape; /* writes */
	sqlite3_stmt *add;
	struct filter_scratch *scratch;
	uint64_t *bits; /* BITS_MAX of them */
	uint64_t first, last;
	unsigned count;
	struct err *e;
};

/* ---- signatures ---- */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* of three bytes, the last of them lowest; below BITS_MAX, smaller signatures take its low bits */
static uint32_t hash_of(uint32_t trigram)
{
	return (trigram & 0xffffff) * UINT32_C(0x9e3779b1) >> 12;
}

static void add_part(struct builder *b, struct span part)
{
	uint32_t trigram = 0;

	for (size_t i = 0; i < part.len; i++) {
		uint32_t h;

		trigram = trigram << 8 | lower(part.ptr[i]);
		h = hash_of(trigram);
		if (i >= 2)
			b->bits[h / 64] |= UINT64_C(1) << h % 64;
	}
}

static size_t count_set(const uint64_t *bits, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size / 64; i++)
		n += (size_t)__builtin_popcountll(bits[i]);
	return n;
}

/* Return: how many bits are left. */
static size_t fold(uint64_t *bits)
{
	size_t size = BITS_MAX;

	while (size > BITS_MIN && count_set(bits, size) < size / 2 / FILL_MAX) {
		size /= 2;
		for (size_t i = 0; i < size / 64; i++)
			bits[i] |= bits[size / 64 + i];
	}
	return size;
}

/* ---- building ---- */

static int step_once(struct builder *b, sqlite3_stmt *st)
{
	int r = sqlite3_step(st) == SQLITE_DONE ? 0 : tape_failed(b->tape, b->e);

	(void)sqlite3_reset(st);
	return r;
}

static int end_run(struct builder *b)
{
	size_t size;
	int r;

	if (b->count == 0)
		return 0;
	size = fold(b->bits);
	(void)sqlite3_bind_int64(b->add, 1, (int64_t)b->first);
	(void)sqlite3_bind_int64(b->add, 2, (int64_t)b->last);
	(void)sqlite3_bind_blob(b->add, 3, b->bits, (int)(size / 8), SQLITE_STATIC);
	r = step_once(b, b->add);
	memset(b->bits, 0, BITS_MAX / 8);
	b->count = 0;
	return r;
}

/* what filter_eval.c searches */
static int add_exchange(void *ctx, const struct exchange *x)
{
	struct builder *b = ctx;

	filter_scratch_begin(b->scratch, x, NULL);
	for (int is_response = 0; is_response < 2; is_response++) {
		const struct message *m = is_response ? &x->response : &x->request;

		add_part(b, m->head);
		add_part(b, m->trailers);
		add_part(b, filter_body_of(b->scratch, is_response));
	}
	add_part(b, x->children);
	b->first = b->count ? b->first : x->id;
	b->last = x->id;
	b->count++;
	return b->count == RUN_EXCHANGES ? end_run(b) : 0;
}

static int index_all(struct builder *b, const char *path)
{
	struct query all = {.is_reverse = true, .wants_messages = true};
	struct reader *r = NULL;
	int failed = reader_open(path, &r, b->e);

	if (failed == 0)
		failed = reader_list(r, &all, add_exchange, b, NULL, b->e);
	reader_close(r);
	return failed < 0 ? failed : end_run(b);
}

static int prepare(struct builder *b)
{
	b->add = tape_prepare(b->tape, "INSERT INTO fulltext VALUES (?, ?, ?)", b->e);
	if (!b->add)
		return b->e->code;
	b->scratch = filter_scratch_new();
	b->bits = calloc(BITS_MAX / 64, sizeof(*b->bits));
	if (!b->scratch || !b->bits)
		return err_set(b->e, -ENOMEM, "tape %s: out of memory", tape_path(b->tape));
	return 0;
}

static int build(struct builder *b, const char *path)
{
	int r = tape_run(b->tape, "BEGIN IMMEDIATE", b->e);

	if (r < 0)
		return r;
	r = tape_run(b->tape, make_sql, b->e);
	if (r == 0)
		r = prepare(b);
	if (r == 0)
		r = index_all(b, path);
	(void)sqlite3_finalize(b->add);
	filter_scratch_free(b->scratch);
	free(b->bits);
	if (r == 0)
		r = tape_run(b->tape, "COMMIT", b->e);
	if (r < 0)
		(void)sqlite3_exec(tape_db(b->tape), "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* Return: 1, 0, or a negative errno. */
int fulltext_has(struct tape *t, struct err *e)
{
	sqlite3_stmt *st =
		tape_prepare(t, "SELECT 1 FROM sqlite_schema WHERE name = 'fulltext'", e);
	int step;

	if (!st)
		return e->code;
	step = sqlite3_step(st);
	(void)sqlite3_finalize(st);
	return step == SQLITE_ROW ? 1 : step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

int fulltext_build(const char *path, struct err *e)
{
	struct err why = {0};
	AUTO(tape) t = NULL;
	int r, there = 0;

	if (access(path, F_OK) < 0) /* or opening it would make it */
		return err_set(e, -errno, "tape %s: %s", path, strerror(errno));
	r = tape_open(path, TAPE_APPEND, &t, &why);
	if (r == 0)
		there = r = fulltext_has(t, &why);
	if (r == 0) {
		struct builder b = {.tape = t, .e = &why};

		r = build(&b, path);
	}
	if (r < 0)
		return err_set(e, r, "%s", why.why);
	if (!there)
		(void)tape_make_portable(t, &why); /* whoever has it open makes it so later */
	return 0;
}

/* ---- asking it ---- */

struct question {
	uint32_t hashes[TRIGRAMS_MAX];
	size_t count;
};

static void ask_for(struct question *q, struct span term)
{
	uint32_t trigram = 0;

	for (size_t i = 0; i < term.len && q->count < TRIGRAMS_MAX; i++) {
		trigram = trigram << 8 | lower(term.ptr[i]);
		if (i >= 2)
			q->hashes[q->count++] = hash_of(trigram);
	}
}

static bool may_have(const struct question *q, struct span bits)
{
	size_t mask = 8 * bits.len - 1;

	if (bits.len < BITS_MIN / 8 || (bits.len & (bits.len - 1)) != 0)
		return true; /* none of ours: look at the exchanges */
	for (size_t i = 0; i < q->count; i++) {
		size_t h = q->hashes[i] & mask;

		/* 64 bits at a time were written, lowest byte first */
		if (!(bits.ptr[h / 8] >> h % 8 & 1))
			return false;
	}
	return true;
}

static int read_ranges(struct tape *t, sqlite3_stmt *st, const struct question *q,
		       struct id_ranges *out, struct err *e)
{
	int step;

	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		struct span bits = span_of(sqlite3_column_blob(st, 2), 0);

		bits.len = (size_t)sqlite3_column_bytes(st, 2);
		if (may_have(q, bits) && !id_ranges_add(out, (uint64_t)sqlite3_column_int64(st, 0),
							(uint64_t)sqlite3_column_int64(st, 1)))
			return err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
	}
	return step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

int fulltext_find(struct tape *t, const struct span *terms, size_t count, struct id_ranges *out,
		  struct err *e)
{
	struct id_ranges found = {0};
	struct question q = {.count = 0};
	sqlite3_stmt *st;
	int r = 0;

	for (size_t i = 0; i < count; i++)
		ask_for(&q, terms[i]);
	if (q.count)
		r = fulltext_has(t, e);
	if (r <= 0)
		return r;
	st = tape_prepare(t, "SELECT first, last, bits FROM fulltext ORDER BY first", e);
	if (!st)
		return e->code;
	r = read_ranges(t, st, &q, &found, e);
	(void)sqlite3_finalize(st);
	if (r < 0) {
		id_ranges_fini(&found);
		return r;
	}
	*out = found;
	return 1;
}
