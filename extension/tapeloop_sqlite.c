// SPDX-License-Identifier: Apache-2.0
/*
 * tapeloop_sqlite - an extension for SQLite that shows the messages of a tape
 *
 *	sqlite3 tape-00000001.tape
 *	sqlite> .load tapeloop_sqlite
 *	sqlite> SELECT id, response_body(id) FROM exchange LIMIT 1;
 *
 * Theory of operation
 *
 * The messages lie in compressed blocks, which SQL cannot take apart. The functions open the same
 * file a second time, for reading, with the reader that all of tapeloop uses, when one of them is
 * called first; so they know tapes of every version, and check what they read. Bodies are as they
 * were on the wire: without chunks, with their content coding. What is not there is NULL.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "lib/json.h"
#include "store/read_tape.h"

int sqlite3_tapeloopsqlite_init(sqlite3 *db, char **why, const void *api);

/* What all functions of one connection share. */
struct shown {
	unsigned users; /* functions */
	struct read_tape *tape;
	struct unpacker *unpacker;
	struct read_room room;
	struct batch row;
};

enum part {
	REQUEST_HEAD,
	REQUEST_HEADERS,
	REQUEST_BODY,
	RESPONSE_HEAD,
	RESPONSE_HEADERS,
	RESPONSE_BODY
};

struct function {
	const char *name;
	enum part part;
};
static const struct function functions[] = {
	{"request_head", REQUEST_HEAD},		{"request_headers", REQUEST_HEADERS},
	{"request_body", REQUEST_BODY},		{"response_head", RESPONSE_HEAD},
	{"response_headers", RESPONSE_HEADERS}, {"response_body", RESPONSE_BODY},
};

/* One registered function: what it shows, of whose. */
struct bound {
	enum part part;
	struct shown *shown;
};

static void unbind(void *arg)
{
	struct bound *b = arg;
	struct shown *s = b->shown;

	free(b);
	if (--s->users)
		return;
	read_tape_close(s->tape);
	unpacker_free(s->unpacker);
	read_room_fini(&s->room);
	batch_fini(&s->row);
	free(s);
}

static int open_tape(struct shown *s, sqlite3 *db, struct err *e)
{
	const char *path = sqlite3_db_filename(db, "main");

	if (s->tape)
		return 0;
	if (!path || !*path)
		return err_set(e, -ENOENT, "no tape is open");
	if (!s->unpacker && !(s->unpacker = unpacker_new()))
		return err_set(e, -ENOMEM, "out of memory");
	return read_tape_open(path, &s->tape, e);
}

static int read_exchange(struct shown *s, uint64_t id, struct exchange *x, struct err *e)
{
	int r;

	batch_clear(&s->row);
	r = read_tape_get(s->tape, id, &s->row, e);
	return r < 0 ? r
		     : read_tape_exchange(s->tape, &s->row, s->row.rows, true, s->unpacker,
					  &s->room, x, e);
}

/* [["Host","cart"], ...]: names may come twice, and their order means something */
static void give_headers(sqlite3_context *to, const struct message *m)
{
	struct header_iter it = {.rest = m->head, .is_http2 = m->version == 20};
	AUTO_BUF text = {0};
	struct json j = json_to(&text);

	json_array_begin(&j);
	while (header_next(&it)) {
		json_array_begin(&j);
		json_text(&j, it.name);
		json_text(&j, it.value);
		json_array_end(&j);
	}
	json_array_end(&j);
	if (text.is_failed)
		sqlite3_result_error_nomem(to);
	else
		sqlite3_result_text64(to, (const char *)text.ptr, text.len, SQLITE_TRANSIENT,
				      SQLITE_UTF8);
}

static void give(sqlite3_context *to, const struct exchange *x, enum part part)
{
	const struct message *m = part >= RESPONSE_HEAD ? &x->response : &x->request;
	bool is_body = part == REQUEST_BODY || part == RESPONSE_BODY;
	struct span s = is_body ? m->body : m->head;

	if (!(m->flags & MESSAGE_PRESENT))
		sqlite3_result_null(to);
	else if (part == REQUEST_HEADERS || part == RESPONSE_HEADERS)
		give_headers(to, m);
	else if (is_body)
		sqlite3_result_blob64(to, s.len ? (const void *)s.ptr : "", s.len,
				      SQLITE_TRANSIENT);
	else
		sqlite3_result_text64(to, s.len ? (const char *)s.ptr : "", s.len, SQLITE_TRANSIENT,
				      SQLITE_UTF8);
}

static void show(sqlite3_context *to, int argc, sqlite3_value **argv)
{
	const struct bound *b = sqlite3_user_data(to);
	struct exchange x;
	struct err e = {0};
	int r = open_tape(b->shown, sqlite3_context_db_handle(to), &e);

	(void)argc;
	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return;
	if (r == 0)
		r = read_exchange(b->shown, (uint64_t)sqlite3_value_int64(argv[0]), &x, &e);
	if (r == 0)
		give(to, &x, b->part);
	else if (r != -ENOENT || !b->shown->tape)
		sqlite3_result_error(to, *e.why ? e.why : "out of memory", -1);
}

__attribute__((visibility("default"))) int sqlite3_tapeloopsqlite_init(sqlite3 *db, char **why,
								       const void *api)
{
	struct shown *s = calloc(1, sizeof(*s));
	int r = s ? SQLITE_OK : SQLITE_NOMEM;

	(void)why, (void)api; /* the program that loads us has the same library */
	for (size_t i = 0; i < COUNT_OF(functions) && r == SQLITE_OK; i++) {
		struct bound *b = malloc(sizeof(*b));

		if (!b)
			return SQLITE_NOMEM;
		*b = (struct bound){functions[i].part, s};
		s->users++;
		r = sqlite3_create_function_v2(db, functions[i].name, 1,
					       SQLITE_UTF8 | SQLITE_DIRECTONLY, b, show, NULL, NULL,
					       unbind);
	}
	return r;
}
