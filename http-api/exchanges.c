// SPDX-License-Identifier: Apache-2.0
#include "http-api/request.h"
#include "http-api/server.h"

#include "lib/clock.h"
#include "lib/id.h"
#include "schema/message.h"
#include "store/filter.h"
#include "store/failure_json.h"
#include "store/stats_json.h"

#include <errno.h>
#include <microhttpd.h>

/*
 * Theory of operation
 *
 * A page is written while the reader walks the tape and is sent whole, so that a failure in its
 * middle can still become a problem. It ends at its limit, or early when it has PAGE_BYTES_MAX:
 * the cursor says where to go on either way. The cursor is the id of the last exchange written,
 * and ids do not move, so pages neither repeat nor miss anything while the recorder writes.
 */

#define PAGE_BYTES_MAX (4 << 20)

struct page {
	struct request *q;
	struct json json;
	uint64_t last_id;
	bool is_full;
};

static int write_item(void *ctx, const struct exchange *x)
{
	struct page *p = ctx;

	exchange_to_json(&p->json, x, p->q->part);
	if (p->q->is_ndjson) {
		buf_add_char(&p->q->body, '\n');
		p->json = json_to(&p->q->body);
	}
	p->last_id = x->id;
	p->is_full = p->q->body.len >= PAGE_BYTES_MAX;
	if (p->q->body.is_failed)
		return -ENOMEM;
	return p->is_full ? 1 : 0;
}

/*
 * Counts reach to the last exchange unless an end is given; when that was is nothing to who may not
 * see it.
 */
static struct query query_of(const struct request *q)
{
	return (struct query){
		.filter = q->filter,
		.since_ns = q->since_ns,
		.until_ns = q->until_ns || request_is_trusted(q) ? q->until_ns : clock_wall_ns(),
		.cursor = q->cursor,
		.limit = q->limit,
		.is_reverse = q->is_reverse,
		.wants_messages = q->part != EXCHANGE_JSON_SUMMARY,
	};
}

static bool accepts(const struct request *q, const char *type)
{
	const char *accept =
		MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return accept && strstr(accept, type);
}

static void end_page(struct page *p, uint64_t cursor)
{
	char id[ID_TEXT_LEN + 1];

	if (cursor)
		request_header(p->q, "Tapeloop-Next-Cursor", "%s", id_format(cursor, id));
	if (p->q->is_ndjson)
		return;
	json_array_end(&p->json);
	json_key_str(&p->json, "next_cursor", cursor ? id_format(cursor, id) : NULL);
	json_object_end(&p->json);
}

/* Conditions that were given up count as false: whoever reads the page must know. */
static void say_limits(struct request *q, const struct reader_effort *effort)
{
	if (q->filter && filter_gave_up(q->filter))
		request_header(q, "Tapeloop-Gave-Up", "%llu",
			       (unsigned long long)filter_gave_up(q->filter));
	request_header(q, "Tapeloop-Rows-Read", "%llu", (unsigned long long)effort->read);
}

void list_exchanges(struct request *q)
{
	struct page p = {.q = q};
	struct query query = query_of(q);
	struct reader *r = request_borrow(q);
	struct err e = {0};
	uint64_t cursor = 0;
	int result;

	if (!r)
		return;
	q->is_ndjson = accepts(q, "application/x-ndjson");
	p.json = request_json(q);
	if (q->is_ndjson) {
		q->content_type = "application/x-ndjson";
	} else {
		json_object_begin(&p.json);
		json_key(&p.json, "exchanges");
		json_array_begin(&p.json);
	}
	result = reader_list(r, &query, write_item, &p, &cursor, &e);
	if (result == -ETIMEDOUT) {
		cursor = reader_effort(r)->reached;
		/* what was found is a page, if a short one */
		result = p.last_id && cursor ? 0 : result;
	}
	say_limits(q, reader_effort(r));
	request_return(q, r, result);
	if (result < 0)
		request_out_of_time(q, result, cursor, &e);
	else
		end_page(&p, p.is_full ? p.last_id : cursor);
}

void explain_query(struct request *q)
{
	struct query query = query_of(q);
	struct explanation x = {0};
	struct reader *r = request_borrow(q);
	struct err e = {0};
	struct json j;
	int result;

	if (!r)
		return;
	result = reader_explain(r, &query, &x, &e);
	request_return(q, r, result);
	j = request_json(q);
	if (result < 0) {
		request_failed(q, result, NULL, &e);
		explanation_fini(&x);
		return;
	}
	x.hides_store = !request_is_trusted(q);
	if (accepts(q, "text/plain")) {
		q->content_type = "text/plain; charset=utf-8";
		explanation_text(&x, &q->body);
	} else {
		explanation_json(&x, &j);
	}
	explanation_fini(&x);
}

/* ---- one exchange ---- */

/* Without the name of the store, for those who may not see all of it. */
static void no_exchange(struct request *q, int error, const struct err *e)
{
	if (!request_is_trusted(q) && error == -ENOENT)
		request_problem(q, MHD_HTTP_NOT_FOUND, "id", "no exchange that you may see has it");
	else if (!request_is_trusted(q) && error == -ENOTUNIQ)
		request_problem(q, MHD_HTTP_CONFLICT, "id",
				"several exchanges that you may see end so");
	else
		request_failed(q, error, "id", e);
}

/* The exchange that {id} names, for @fn; answers the problem when there is none. */
static void with_exchange(struct request *q, reader_exchange_fn *fn)
{
	struct reader *r = request_borrow(q);
	struct err e = {0};
	uint64_t id = 0;
	int result;

	if (!r)
		return;
	result = reader_resolve(r, q->id, &id, &e);
	if (result == 0)
		result = reader_get(r, id, fn, q, &e);
	request_return(q, r, result);
	if (result < 0)
		no_exchange(q, result, &e);
}

static int write_one(void *ctx, const struct exchange *x)
{
	struct request *q = ctx;
	struct json j = request_json(q);

	exchange_to_json(&j, x, q->part);
	return 0;
}

void get_exchange(struct request *q)
{
	with_exchange(q, write_one);
}

/* ---- its bytes ---- */

/* the recorded type is only a header while the request lives: it must be copied */
static void set_type(struct request *q, struct span type)
{
	if (type.len && type.len < sizeof(q->headers[0].value) && !memchr(type.ptr, 0, type.len))
		request_header(q, MHD_HTTP_HEADER_CONTENT_TYPE, "%.*s", (int)type.len,
			       (const char *)type.ptr);
	else
		q->content_type = "application/octet-stream";
}

/* Octets of strangers: never shown by a browser as a page of ours. */
static void begin_octets(struct request *q, const struct exchange *x, const char *side,
			 const char *what)
{
	char id[ID_TEXT_LEN + 1];

	buf_clear(&q->body);
	q->status = MHD_HTTP_OK;
	q->content_type = NULL;
	request_header(q, MHD_HTTP_HEADER_CONTENT_DISPOSITION, "attachment; filename=\"%s-%s.%s\"",
		       id_format(x->id, id), side, what);
	request_header(q, "Content-Security-Policy", "sandbox; default-src 'none'");
}

static bool is_there(struct request *q, const struct message *m, const char *side)
{
	if (m->flags & MESSAGE_PRESENT)
		return true;
	request_problem(q, MHD_HTTP_NOT_FOUND, NULL, "this exchange has no %s", side);
	return false;
}

static int write_body(struct request *q, const struct exchange *x, const struct message *m,
		      const char *side)
{
	if (!is_there(q, m, side))
		return 0;
	begin_octets(q, x, side, "body");
	set_type(q, m->content_type);
	if (m->body_bytes != m->body.len)
		request_header(q, "Tapeloop-Body-Bytes", "%llu", (unsigned long long)m->body_bytes);
	buf_add_span(&q->body, m->body);
	return 0;
}

static int write_request_body(void *ctx, const struct exchange *x)
{
	return write_body(ctx, x, &x->request, "request");
}

static int write_response_body(void *ctx, const struct exchange *x)
{
	return write_body(ctx, x, &x->response, "response");
}

static int write_raw(struct request *q, const struct exchange *x, const struct message *m,
		     const char *side)
{
	if (!is_there(q, m, side))
		return 0;
	begin_octets(q, x, side, "http");
	q->content_type = "application/octet-stream";
	if (!message_write(m, &q->body))
		request_header(q, "Tapeloop-Incomplete", "true");
	return 0;
}

static int write_request_raw(void *ctx, const struct exchange *x)
{
	return write_raw(ctx, x, &x->request, "request");
}

static int write_response_raw(void *ctx, const struct exchange *x)
{
	return write_raw(ctx, x, &x->response, "response");
}

void get_request_body(struct request *q)
{
	with_exchange(q, write_request_body);
}

void get_response_body(struct request *q)
{
	with_exchange(q, write_response_body);
}

void get_request_raw(struct request *q)
{
	with_exchange(q, write_request_raw);
}

void get_response_raw(struct request *q)
{
	with_exchange(q, write_response_raw);
}

/* ---- failures, tapes ---- */

static int write_failure(void *ctx, const struct failure *f)
{
	struct page *p = ctx;

	failure_to_json(&p->json, f);
	return p->q->body.is_failed ? -ENOMEM : 0;
}

static int write_tape(void *ctx, const struct tape_info *t)
{
	struct page *p = ctx;
	AUTO_BUF first = {0}, last = {0};

	clock_format_utc(&first, t->first_ns);
	clock_format_utc(&last, t->last_ns);
	json_object_begin(&p->json);
	json_key_str(&p->json, "path", t->path);
	json_key_u64(&p->json, "rows", t->rows);
	json_key_u64(&p->json, "bytes", t->bytes);
	json_key_str(&p->json, "first", t->rows ? buf_cstr(&first) : NULL);
	json_key_str(&p->json, "last", t->rows ? buf_cstr(&last) : NULL);
	json_key_bool(&p->json, "sealed", t->is_sealed);
	json_key_bool(&p->json, "failures", t->is_of_failures);
	json_key_bool(&p->json, "pinned", t->is_pinned);
	json_key_str(&p->json, "damage", t->damage);
	json_object_end(&p->json);
	return p->q->body.is_failed ? -ENOMEM : 0;
}

static void begin_list(struct page *p, const char *key)
{
	p->json = request_json(p->q);
	json_object_begin(&p->json);
	json_key(&p->json, key);
	json_array_begin(&p->json);
}

static void end_list(struct page *p, struct reader *r, int result, const struct err *e)
{
	request_return(p->q, r, result);
	if (result < 0) {
		request_failed(p->q, result, NULL, e);
		return;
	}
	json_array_end(&p->json);
	json_object_end(&p->json);
}

void list_failures(struct request *q)
{
	struct page p = {.q = q};
	struct query query = query_of(q);
	struct reader *r = request_borrow(q);
	struct err e = {0};

	if (!r)
		return;
	begin_list(&p, "failures");
	end_list(&p, r, reader_failures(r, &query, q->new_since_ns, write_failure, &p, &e), &e);
}

static int write_stats(void *ctx, const struct stats_row *row)
{
	struct page *p = ctx;

	stats_row_to_json(&p->json, &p->q->stats, row);
	return p->q->body.is_failed ? -ENOMEM : 0;
}

/* Of all namespaces together, so for those only who may see all. */
static void note_losses(const struct request *q, struct stats_losses *l)
{
	const struct api_config *c = &q->server->config;
	struct counters n = {0};

	if (!c->counters || !request_is_trusted(q))
		return;
	c->counters(c->ctx, &n);
	*l = (struct stats_losses){
		.is_known = true,
		.packets = counter_get(&n, COUNTER_KERNEL_DROPPED),
		.queue_full = counter_get(&n, COUNTER_REQUESTS_QUEUE_FULL),
		.memory = counter_get(&n, COUNTER_REQUESTS_EVICTED),
		.store_full = counter_get(&n, COUNTER_EXCHANGES_STORE_FULL),
		.store_error = counter_get(&n, COUNTER_EXCHANGES_STORE_ERROR),
	};
}

void get_stats(struct request *q)
{
	struct page p = {.q = q};
	struct query query = query_of(q);
	struct reader *r = request_borrow(q);
	struct stats_answer answer;
	struct err e = {0};
	int result;

	if (!r)
		return;
	q->stats.select = &query;
	begin_list(&p, "stats");
	result = reader_stats(r, &q->stats, write_stats, &p, &answer, &e);
	request_return(q, r, result);
	q->stats.select = NULL;
	if (result < 0) {
		request_failed(q, result, NULL, &e);
		return;
	}
	json_array_end(&p.json);
	note_losses(q, &answer.lost);
	stats_answer_to_json(&p.json, &answer);
	json_object_end(&p.json);
}

void list_tapes(struct request *q)
{
	struct page p = {.q = q};
	struct reader *r = request_borrow(q);
	struct err e = {0};

	if (!r)
		return;
	begin_list(&p, "tapes");
	end_list(&p, r, reader_tapes(r, write_tape, &p, &e), &e);
}
