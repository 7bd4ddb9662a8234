// SPDX-License-Identifier: Apache-2.0
#include "http-api/token_file.h"

#include "lib/array.h"
#include "lib/buf.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Only hashes of tokens stay in memory, and a token is compared with all of them in constant time,
 * so neither a dump of us nor a clock tells one. The file is looked at with each request (a stat)
 * and read when it is another or has changed: a token is withdrawn by removing its line.
 */

#define HASH_BYTES crypto_hash_sha256_BYTES
#define HASH_WORD  "sha256:"

struct row {
	uint8_t hash[HASH_BYTES];
	struct grant grant;
};

struct rows {
	struct row *all; /* owned */
	size_t count, room;
};

struct token_file {
	char *path;
	pthread_mutex_t lock;
	struct rows rows;
	struct stat seen;
};

static void rows_fini(struct rows *r)
{
	for (size_t i = 0; i < r->count; i++)
		grant_fini(&r->all[i].grant);
	free(r->all);
	*r = (struct rows){0};
}

/* ---- a line ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span take_word(struct span *line)
{
	size_t from = 0, to;

	while (from < line->len && is_blank(line->ptr[from]))
		from++;
	for (to = from; to < line->len && !is_blank(line->ptr[to]); to++)
		;
	struct span word = {line->ptr + from, to - from};

	*line = span_from(*line, to);
	return word;
}

static int read_hash(struct span token, uint8_t out[HASH_BYTES])
{
	size_t n = 0, word = strlen(HASH_WORD);

	if (!span_istarts(token, SPAN_LIT(HASH_WORD)))
		return crypto_hash_sha256(out, token.ptr, token.len);
	if (sodium_hex2bin(out, HASH_BYTES, (const char *)token.ptr + word, token.len - word, NULL,
			   &n, NULL) < 0)
		return -1;
	return n == HASH_BYTES ? 0 : -1;
}

static int read_role(struct span word)
{
	static const char *const names[GRANT_ROLE_COUNT] = {"read", "replay", "admin"};

	for (int i = 0; i < GRANT_ROLE_COUNT; i++)
		if (span_eq(word, span_str(names[i])))
			return i;
	return -EINVAL;
}

static int read_namespaces(struct span list, struct grant *g)
{
	int r = 0;

	g->sees_all = g->sees_daemon = span_eq(list, SPAN_LIT("*"));
	while (list.len && r == 0 && !g->sees_all) {
		const uint8_t *comma = memchr(list.ptr, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.ptr) : list.len;

		if (n)
			r = name_list_add(&g->namespaces, span_of(list.ptr, n));
		list = span_from(list, n + 1);
	}
	return r < 0 || g->sees_all || g->namespaces.count ? r : -EINVAL;
}

/* Return: 0, or the errno; @why_out says which word is wrong. */
static int read_row(struct span line, struct row *out, const char **why_out)
{
	struct span token = take_word(&line), name = take_word(&line);
	struct span role = take_word(&line), namespaces = take_word(&line);
	int r = read_role(role);

	*why_out = "expected TOKEN NAME ROLE NAMESPACES";
	if (namespaces.len == 0 || take_word(&line).len)
		return -EINVAL;
	*why_out = "a role is read, replay or admin";
	if (r < 0)
		return r;
	out->grant.role = (enum grant_role)r;
	*why_out = HASH_WORD " is followed by 64 hexadecimal digits";
	if (read_hash(token, out->hash) < 0)
		return -EINVAL;
	memcpy(out->grant.name, name.ptr, MIN(name.len, sizeof(out->grant.name) - 1));
	*why_out = "namespaces are a list with commas, or *";
	return read_namespaces(namespaces, &out->grant);
}

static int add_line(struct rows *rows, struct span line, const char **why_out)
{
	void *all = rows->all;
	struct row row = {0};
	int r;

	line = span_trim(line);
	if (line.len == 0 || line.ptr[0] == '#' || (line.len == 1 && line.ptr[0] == '\r'))
		return 0;
	r = read_row(line, &row, why_out);
	if (r == 0 && !array_room(&all, &rows->room, rows->count, sizeof(*rows->all))) {
		*why_out = "out of memory";
		r = -ENOMEM;
	}
	if (r < 0) {
		grant_fini(&row.grant);
		return r;
	}
	rows->all = all;
	rows->all[rows->count++] = row;
	return 0;
}

/* ---- the file ---- */

static int read_whole(const char *path, struct stat *st, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, st) < 0) {
		int r = err_set(e, -errno, "%s: %s", path, strerror(errno));

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	do {
		out->len += (size_t)n;
		if (!buf_reserve(out, 4096))
			break;
		n = read(fd, out->ptr + out->len, 4096);
	} while (n > 0 && out->len <= TOKEN_FILE_BYTES_MAX);
	(void)close(fd);
	if (n < 0 || out->is_failed)
		return err_set(e, n < 0 ? -EIO : -ENOMEM, "%s: cannot be read", path);
	if (out->len > TOKEN_FILE_BYTES_MAX)
		return err_set(e, -E2BIG, "%s: more than %d bytes", path, TOKEN_FILE_BYTES_MAX);
	if (st->st_mode & (S_IROTH | S_IWOTH))
		return err_set(e, -EACCES, "%s: others may read it or write to it: chmod o= %s",
			       path, path);
	return 0;
}

static int read_rows(const char *path, struct rows *rows, struct stat *st, struct err *e)
{
	AUTO_BUF text = {0};
	int r = read_whole(path, st, &text, e);
	struct span rest = buf_span(&text);

	for (unsigned number = 1; r == 0 && rest.len; number++) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
		const char *why = "";

		r = add_line(rows, span_of(rest.ptr, n), &why);
		if (r < 0)
			(void)err_set(e, r, "%s: line %u: %s", path, number, why);
		rest = span_from(rest, n + 1);
	}
	if (text.ptr)
		sodium_memzero(text.ptr, text.cap);
	return r;
}

static bool has_changed(const struct stat *a, const struct stat *b)
{
	return a->st_ino != b->st_ino || a->st_dev != b->st_dev || a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

/* Under the lock. */
static void read_again(struct token_file *f)
{
	struct rows rows = {0};
	struct stat st = {0};
	struct err e = {0};

	if (stat(f->path, &st) == 0 && !has_changed(&st, &f->seen))
		return;
	if (read_rows(f->path, &rows, &st, &e) < 0) {
		rows_fini(&rows);
		if (has_changed(&st, &f->seen))
			log_warn("api", "api.token_file: %s; those read before still count", e.why);
		f->seen = st;
		return;
	}
	rows_fini(&f->rows);
	f->rows = rows;
	f->seen = st;
	log_info("api", "api.token_file %s: %zu tokens", f->path, rows.count);
}

int token_file_open(const char *path, struct token_file **f_out, struct err *e)
{
	AUTO(token_file) f = calloc(1, sizeof(*f));
	int r;

	if (!f || !(f->path = strdup(path)) || sodium_init() < 0)
		return err_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&f->lock, NULL);
	r = read_rows(path, &f->rows, &f->seen, e);
	if (r == 0)
		*f_out = TAKE(f);
	return r;
}

void token_file_close(struct token_file *f)
{
	if (!f)
		return;
	rows_fini(&f->rows);
	(void)pthread_mutex_destroy(&f->lock);
	free(f->path);
	free(f);
}

/* ---- a question ---- */

static const struct row *find(const struct rows *rows, struct span token)
{
	const struct row *found = NULL;
	uint8_t hash[HASH_BYTES];

	(void)crypto_hash_sha256(hash, token.ptr, token.len);
	for (size_t i = 0; i < rows->count; i++)
		if (sodium_memcmp(hash, rows->all[i].hash, HASH_BYTES) == 0)
			found = &rows->all[i];
	return found;
}

static int copy_grant(const struct grant *from, const struct grant_question *q, struct grant *out,
		      struct err *e)
{
	int r = 0;

	memcpy(out->name, from->name, sizeof(out->name));
	out->role = from->role;
	out->sees_all = from->sees_all;
	out->sees_daemon = from->sees_daemon;
	if (q->name_space.len && !from->sees_all &&
	    !name_list_has(&from->namespaces, q->name_space))
		return err_set(e, -EPERM, "%s may not see namespace %.*s", from->name,
			       (int)MIN(q->name_space.len, (size_t)64),
			       (const char *)q->name_space.ptr);
	for (size_t i = 0; i < from->namespaces.count && r == 0; i++)
		r = name_list_add(&out->namespaces, span_str(from->namespaces.all[i]));
	return r < 0 ? err_set(e, r, "out of memory") : 0;
}

int token_file_grant(struct token_file *f, const struct grant_question *q, struct grant *out,
		     struct err *e)
{
	const struct row *row;
	int r;

	(void)pthread_mutex_lock(&f->lock);
	read_again(f);
	row = find(&f->rows, q->token);
	r = row ? copy_grant(&row->grant, q, out, e)
		: err_set(e, -EACCES, "this token is not known");
	(void)pthread_mutex_unlock(&f->lock);
	return r;
}
