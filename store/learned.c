// SPDX-License-Identifier: Apache-2.0
#include "store/learned.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/route_rules.h"
#include "store/tape.h"

/*
 * Theory of operation. Rules are learned in memory and are few. Each tape gets all of them, so that
 * it can be read alone, and so that the next writer, which reads them, calls paths as this one did.
 * They go with the first batch of a tape, new ones with the batch in which they were learned: a
 * rule that is on no tape has named no exchange on one.
 */
#define SERVER_MAX 512 /* octets of a server's name; a longer one is cut */

struct learned {
	struct route_rules *rules; /* borrowed */
	struct tape *tape;
	sqlite3_stmt *insert;
	size_t written, pending; /* rules on the tape; with the batch that is being written */
};

struct learned *learned_new(struct route_rules *rules)
{
	struct learned *l = calloc(1, sizeof(*l));

	if (l)
		l->rules = rules;
	return l;
}

void learned_free(struct learned *l)
{
	if (!l)
		return;
	(void)sqlite3_finalize(l->insert);
	free(l);
}

static struct span text_at(sqlite3_stmt *st, int at)
{
	const void *text = sqlite3_column_blob(st, at);

	return span_of(text, text ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

int learned_read(struct learned *l, struct tape *t, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, "SELECT server, prefix FROM route_rule ORDER BY id", e);
	int step = SQLITE_ERROR, r = 0;

	while (st && r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		r = route_rules_add(l->rules, text_at(st, 0), text_at(st, 1));
	(void)sqlite3_finalize(st);
	if (r == -ENOMEM)
		return err_set(e, r, "tape %s: out of memory", tape_path(t));
	return r == -E2BIG || step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

int learned_begin_tape(struct learned *l, struct tape *t, struct err *e)
{
	(void)sqlite3_finalize(l->insert);
	l->insert = NULL;
	l->tape = t;
	l->written = l->pending = 0;
	if (!t)
		return 0;
	l->insert = tape_prepare(
		t, "INSERT OR REPLACE INTO route_rule (id, server, prefix) VALUES (?,?,?)", e);
	return l->insert ? 0 : tape_failed(t, e);
}

/* Add a text at @n, as much of it as there is room for. Return: where it ends. */
static size_t put(char out[SERVER_MAX], size_t n, struct span text)
{
	size_t len = MIN(text.len, SERVER_MAX - n);

	if (len)
		memcpy(out + n, text.ptr, len);
	return n + len;
}

/* Whose paths: the service with its namespace, else address and port. */
static struct span server_of(const struct endpoint *end, char out[SERVER_MAX])
{
	const struct identity *who = &end->who;
	size_t n;

	if (who->service.len) {
		n = put(out, 0, who->name_space);
		n = put(out, n, SPAN_LIT("/"));
		return span_of(out, put(out, n, who->service));
	}
	n = strlen(endpoint_text(end, out));
	out[n++] = ':';
	return span_of(out, n + decimal(end->port, out + n));
}

void learned_route(struct route_rules *rules, struct exchange *x)
{
	char server[SERVER_MAX];

	/* methods of a gRPC service are in its definition */
	if (x->protocol != PROTOCOL_GRPC && x->route.len)
		x->route = route_rules_learn(rules, server_of(&x->dst, server), x->route);
}

int learned_write(struct learned *l, struct err *e)
{
	size_t count = route_rules_count(l->rules);
	int r = 0;

	for (size_t i = l->written; i < count && r == 0; i++) {
		struct span server, prefix;

		route_rules_get(l->rules, i, &server, &prefix);
		(void)sqlite3_bind_int64(l->insert, 1, (int64_t)i + 1);
		(void)sqlite3_bind_text(l->insert, 2, (const char *)server.ptr, (int)server.len,
					SQLITE_STATIC);
		(void)sqlite3_bind_text(l->insert, 3, (const char *)prefix.ptr, (int)prefix.len,
					SQLITE_STATIC);
		r = sqlite3_step(l->insert) == SQLITE_DONE ? 0 : tape_failed(l->tape, e);
		(void)sqlite3_reset(l->insert);
	}
	l->pending = count;
	return r;
}

void learned_written(struct learned *l)
{
	l->written = l->pending;
}
