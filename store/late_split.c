// SPDX-License-Identifier: Apache-2.0
#include "store/late_split.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "store/late_counts.h"
#include "store/tape.h"

/*
 * Theory of operation. An exchange names its client by src and its server by kind.dst. For each part
 * but the first there is a new peer and, where the peer is a server, a copy of each of its kinds; the
 * exchanges that began in the part's time are pointed there. Numbers go on from the highest, so that
 * what was made here is told by its number alone: whoever numbers rows must look again afterwards.
 *
 * Exchanges are found by their time, of which id is at most tape.moved_max later: no index leads from
 * a peer to its exchanges, but the time is a short while.
 */
/* exchanges that began in [?2, ?3) and name peer ?1 */
#define OF_PEER                                                                                    \
	"exchange.id >= ?2 AND exchange.id < ?3 + (SELECT moved_max FROM tape) AND"                \
	" exchange.id - exchange.moved >= ?2 AND exchange.id - exchange.moved < ?3 AND"            \
	" (exchange.src = ?1 OR exchange.kind IN (SELECT id FROM kind WHERE dst = ?1))"

static const char rename_sql[] =
	"UPDATE peer SET service = ?, namespace = ?, pod = ?, workload = ?, node = ?, "
	"workload_kind = ?,"
	" container = ?, pod_uid = ?, labels = ?, annotations = ?, source = ?, certainty = ?"
	" WHERE id = ?";
static const char while_sql[] = "UPDATE peer SET since = ?, until = ? WHERE id = ?";
static const char span_sql[] = "SELECT min(exchange.id - exchange.moved), max(exchange.id -"
			       " exchange.moved) FROM exchange WHERE " OF_PEER;
static const char copy_peer_sql[] =
	"INSERT INTO peer SELECT (SELECT max(id) + 1 FROM peer), ip, port, service, namespace, pod,"
	" workload, node, workload_kind, container, pod_uid, labels, annotations, source, "
	"certainty,"
	" since, until FROM peer WHERE id = ?";
static const char copy_kind_sql[] =
	"INSERT INTO kind SELECT (SELECT max(id) + 1 FROM kind), ?2, protocol, method, host, route,"
	" status, reason, anomalies, request_type, response_type, request_flags, response_flags,"
	" request_version, response_version, h2_error, grpc_status, close_code, weight, error"
	" FROM kind WHERE id = ?1";
static const char kinds_sql[] = "SELECT id FROM kind WHERE dst = ?";
static const char move_src_sql[] =
	"UPDATE exchange SET src = ?4 WHERE exchange.src = ?1 AND " OF_PEER;
static int write_names(struct tape *t, uint64_t peer, const struct identity *who, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, rename_sql, e);
	struct identity copy = *who;
	struct span *text;
	int at = 1, step;

	if (!st)
		return tape_failed(t, e);
	for (size_t i = 0; (text = identity_text(&copy, i)); i++)
		(void)sqlite3_bind_text(st, at++, text->len ? (const char *)text->ptr : "",
					(int)text->len, SQLITE_STATIC);
	(void)sqlite3_bind_int(st, at++, who->source);
	(void)sqlite3_bind_int(st, at++, who->certainty);
	(void)sqlite3_bind_int64(st, at, (int64_t)peer);
	step = sqlite3_step(st);
	(void)sqlite3_finalize(st);
	return step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

int late_rename(struct tape *t, uint64_t peer, const struct late_part *part, struct err *e)
{
	const uint64_t times[] = {part->is_final ? 0 : part->from_ns,
				  part->is_final ? 0 : part->until_ns, peer};
	int r = part->who ? write_names(t, peer, part->who, e) : 0;

	return r == 0 ? tape_run_with(t, while_sql, times, 3, e) : r;
}

int late_span_of(struct tape *t, uint64_t peer, uint64_t since_ns, uint64_t until_ns,
		 struct late_span *out, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, span_sql, e);
	int step = SQLITE_ERROR;

	*out = (struct late_span){.first_ns = 1};
	if (st) {
		(void)sqlite3_bind_int64(st, 1, (int64_t)peer);
		(void)sqlite3_bind_int64(st, 2, (int64_t)since_ns);
		(void)sqlite3_bind_int64(st, 3, (int64_t)until_ns);
		step = sqlite3_step(st);
	}
	if (step == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER)
		*out = (struct late_span){(uint64_t)sqlite3_column_int64(st, 0),
					  (uint64_t)sqlite3_column_int64(st, 1)};
	(void)sqlite3_finalize(st);
	return step == SQLITE_ROW ? 0 : tape_failed(t, e);
}

/* Return: the number of the copy; 0 with @e set. */
static uint64_t copy_row(struct tape *t, const char *sql, const uint64_t *numbers, int count,
			 struct err *e)
{
	if (tape_run_with(t, sql, numbers, count, e) < 0)
		return 0;
	return (uint64_t)sqlite3_last_insert_rowid(tape_db(t));
}

/* @map: {"kind": copy, ...} */
static int copy_kinds(struct tape *t, uint64_t peer, uint64_t to, struct buf *map, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, kinds_sql, e);
	int step = SQLITE_ERROR;
	bool is_good = st != NULL;

	if (st)
		(void)sqlite3_bind_int64(st, 1, (int64_t)peer);
	buf_add_char(map, '{');
	while (is_good && (step = sqlite3_step(st)) == SQLITE_ROW) {
		uint64_t numbers[] = {(uint64_t)sqlite3_column_int64(st, 0), to};
		uint64_t copy = copy_row(t, copy_kind_sql, numbers, 2, e);

		buf_add_fmt(map, "%s\"%llu\":%llu", map->len > 1 ? "," : "",
			    (unsigned long long)numbers[0], (unsigned long long)copy);
		is_good = copy != 0;
	}
	buf_add_char(map, '}');
	(void)sqlite3_finalize(st);
	if (map->is_failed)
		return err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
	return is_good && step == SQLITE_DONE ? 0 : tape_failed(t, e);
}

/* @map: of digits, and what holds them together */
static int move_kinds(struct tape *t, const uint64_t *numbers, const char *map, struct err *e)
{
	AUTO_BUF sql = {0};

	buf_add_fmt(&sql,
		    "UPDATE exchange SET kind = (SELECT value FROM json_each('%s') WHERE"
		    " CAST(key AS INTEGER) = exchange.kind) WHERE exchange.kind IN"
		    " (SELECT CAST(key AS INTEGER) FROM json_each('%s')) AND " OF_PEER,
		    map, map);
	return tape_run_with(t, buf_cstr(&sql), numbers, 3, e);
}

static int move_part(struct tape *t, uint64_t peer, const struct late_part *part, struct err *e)
{
	const uint64_t to = copy_row(t, copy_peer_sql, &peer, 1, e);
	const uint64_t numbers[] = {peer, part->from_ns, part->until_ns, to};
	AUTO_BUF map = {0};
	int r = to ? copy_kinds(t, peer, to, &map, e) : tape_failed(t, e);

	if (r == 0)
		r = tape_run_with(t, move_src_sql, numbers, 4, e);
	if (r == 0 && map.len > 2)
		r = move_kinds(t, numbers, buf_cstr(&map), e);
	return r == 0 ? late_rename(t, to, part, e) : r;
}

int late_split(struct tape *t, uint64_t peer, const struct late_part *parts, size_t count,
	       struct err *e)
{
	struct late_counts counts = {
		.peer = peer, .since_ns = parts[0].from_ns, .until_ns = parts[count - 1].until_ns};
	int r = late_counts_begin(t, &counts, e);

	for (size_t i = 1; i < count && r == 0; i++)
		r = move_part(t, peer, &parts[i], e);
	if (r == 0)
		r = late_rename(t, peer, &parts[0], e);
	return r == 0 ? late_counts_end(t, &counts, e) : r;
}
