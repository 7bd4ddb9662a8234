// SPDX-License-Identifier: Apache-2.0
#include "store/commons.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "store/tape.h"

/*
 * Theory of operation. Two tables of slots, chosen by the number's low bits: tapes count from 1, so
 * the numbers of a tape's busy kinds lie side by side. Rows of one slot form a chain. Nothing is
 * forgotten while an exchange is looked at, only between exchanges (commons_trim()), and then all.
 */
#define SLOTS	 1024
#define ROWS_MAX 4096

enum table { KIND, PEER, TABLE_COUNT };

static const char *const select_sql[] = {
	[KIND] = "SELECT dst, protocol, method, host, route, status, reason, anomalies, "
		 "request_type,"
		 " response_type, request_flags, response_flags, request_version, response_version,"
		 " h2_error, grpc_status, close_code, weight, error FROM kind WHERE id = ?",
	[PEER] = "SELECT ip, port, service, namespace, pod, workload, node, workload_kind, "
		 "container,"
		 " pod_uid, labels, annotations, source, certainty, since, until FROM peer WHERE "
		 "id = ?",
};

struct entry {
	struct entry *next;
	uint64_t number;
	union {
		struct kind_row kind;
		struct peer_row peer;
	};
	uint8_t texts[];
};

struct commons {
	struct tape *tape;
	sqlite3_stmt *st[TABLE_COUNT];
	size_t count;
	struct entry *slots[TABLE_COUNT][SLOTS];
};

struct commons *commons_new(struct tape *t, struct err *e)
{
	struct commons *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
		return NULL;
	}
	c->tape = t;
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		c->st[i] = tape_prepare(t, select_sql[i], e);
		if (!c->st[i]) {
			commons_free(c);
			return NULL;
		}
	}
	return c;
}

void commons_forget(struct commons *c)
{
	for (size_t i = 0; i < TABLE_COUNT * SLOTS; i++) {
		struct entry **slot = &c->slots[i / SLOTS][i % SLOTS];

		while (*slot) {
			struct entry *gone = *slot;

			*slot = gone->next;
			free(gone);
		}
	}
	c->count = 0;
}

void commons_free(struct commons *c)
{
	if (!c)
		return;
	commons_forget(c);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		(void)sqlite3_finalize(c->st[i]);
	free(c);
}

void commons_trim(struct commons *c)
{
	if (c->count > ROWS_MAX)
		commons_forget(c);
}

static struct span column(sqlite3_stmt *st, int at)
{
	const void *bytes = sqlite3_column_blob(st, at);

	return span_of(bytes, (size_t)sqlite3_column_bytes(st, at));
}

static size_t texts_bytes(sqlite3_stmt *st)
{
	size_t n = 0;

	for (int i = 0; i < sqlite3_column_count(st); i++)
		if (sqlite3_column_type(st, i) == SQLITE_TEXT)
			n += (size_t)sqlite3_column_bytes(st, i);
	return n;
}

/* A text of the row, copied behind the struct; what is no text is empty. */
static struct span keep(sqlite3_stmt *st, int at, uint8_t **to)
{
	struct span s = {*to, 0};

	if (sqlite3_column_type(st, at) != SQLITE_TEXT)
		return s;
	s.len = column(st, at).len;
	if (s.len)
		memcpy(*to, column(st, at).ptr, s.len);
	*to += s.len;
	return s;
}

static void fill_kind(sqlite3_stmt *st, struct entry *e)
{
	uint8_t *to = e->texts;

	e->kind = (struct kind_row){
		.number = e->number,
		.dst = (uint64_t)sqlite3_column_int64(st, 0),
		.protocol = (uint8_t)sqlite3_column_int(st, 1),
		.method = keep(st, 2, &to),
		.host = keep(st, 3, &to),
		.route = keep(st, 4, &to),
		.status = (uint16_t)sqlite3_column_int(st, 5),
		.reason = (uint8_t)sqlite3_column_int(st, 6),
		.anomalies = (uint64_t)sqlite3_column_int64(st, 7),
		.request_type = keep(st, 8, &to),
		.response_type = keep(st, 9, &to),
		.request_flags = (uint32_t)sqlite3_column_int64(st, 10),
		.response_flags = (uint32_t)sqlite3_column_int64(st, 11),
		.request_version = (uint8_t)sqlite3_column_int(st, 12),
		.response_version = (uint8_t)sqlite3_column_int(st, 13),
		.h2_error = (uint32_t)sqlite3_column_int64(st, 14),
		.grpc_status = (int32_t)MAX(sqlite3_column_int(st, 15), -1),
		.close_code = (uint16_t)sqlite3_column_int(st, 16),
		.weight = (uint32_t)sqlite3_column_int64(st, 17),
		.error = keep(st, 18, &to),
	};
}

static bool read_address(const char *text, struct endpoint *end)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (text && inet_pton(AF_INET, text, end->address + 12) == 1) {
		memcpy(end->address, mapped, sizeof(mapped));
		end->is_ipv4 = true;
		return true;
	}
	return text && inet_pton(AF_INET6, text, end->address) == 1;
}

static bool fill_peer(sqlite3_stmt *st, struct entry *e)
{
	uint8_t *to = e->texts;
	struct endpoint *end = &e->peer.end;

	e->peer.number = e->number;
	end->port = (uint16_t)sqlite3_column_int(st, 1);
	end->who.service = keep(st, 2, &to);
	end->who.name_space = keep(st, 3, &to);
	end->who.pod = keep(st, 4, &to);
	end->who.workload = keep(st, 5, &to);
	end->who.node = keep(st, 6, &to);
	end->who.workload_kind = keep(st, 7, &to);
	end->who.container = keep(st, 8, &to);
	end->who.pod_uid = keep(st, 9, &to);
	end->who.labels = keep(st, 10, &to);
	end->who.annotations = keep(st, 11, &to);
	end->who.source = (uint8_t)sqlite3_column_int(st, 12);
	end->who.certainty = (uint8_t)sqlite3_column_int(st, 13);
	end->who.since_ns = (uint64_t)sqlite3_column_int64(st, 14);
	end->who.until_ns = (uint64_t)sqlite3_column_int64(st, 15);
	return sqlite3_column_type(st, 0) == SQLITE_TEXT &&
	       read_address((const char *)sqlite3_column_text(st, 0), end);
}

static struct entry *read_row(struct commons *c, enum table which, uint64_t number, struct err *e)
{
	sqlite3_stmt *st = c->st[which];
	struct entry *entry = calloc(1, sizeof(*entry) + texts_bytes(st));

	if (!entry) {
		(void)err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(c->tape));
		return NULL;
	}
	entry->number = number;
	if (which == KIND) {
		fill_kind(st, entry);
	} else if (!fill_peer(st, entry)) {
		(void)err_set(e, -EBADMSG, "tape %s: damaged: peer %" PRIu64 " has no address",
			      tape_path(c->tape), number);
		free(entry);
		return NULL;
	}
	return entry;
}

static struct entry *fetch(struct commons *c, enum table which, uint64_t number, struct err *e)
{
	static const char *const names[] = {[KIND] = "kind", [PEER] = "peer"};
	sqlite3_stmt *st = c->st[which];
	struct entry *entry = NULL;
	int step;

	(void)sqlite3_bind_int64(st, 1, (int64_t)number);
	step = sqlite3_step(st);
	if (step == SQLITE_ROW)
		entry = read_row(c, which, number, e);
	else if (step == SQLITE_DONE)
		(void)err_set(e, -EBADMSG, "tape %s: damaged: no %s %" PRIu64, tape_path(c->tape),
			      names[which], number);
	else
		(void)tape_failed(c->tape, e);
	(void)sqlite3_reset(st);
	return entry;
}

static struct entry *get(struct commons *c, enum table which, uint64_t number, struct err *e)
{
	struct entry **slot = &c->slots[which][number % SLOTS], *entry = *slot;

	while (entry && entry->number != number)
		entry = entry->next;
	if (entry)
		return entry;
	entry = fetch(c, which, number, e);
	if (!entry)
		return NULL;
	entry->next = *slot;
	*slot = entry;
	c->count++;
	return entry;
}

const struct kind_row *commons_kind(struct commons *c, uint64_t number, struct err *e)
{
	struct entry *entry = get(c, KIND, number, e);

	return entry ? &entry->kind : NULL;
}

const struct peer_row *commons_peer(struct commons *c, uint64_t number, struct err *e)
{
	struct entry *entry = get(c, PEER, number, e);

	return entry ? &entry->peer : NULL;
}
