// SPDX-License-Identifier: Apache-2.0
/*
 * request.h - one request to the API: what was asked, and the answer as it is being made
 *
 * Thread: the one of libmicrohttpd that owns the connection. A handler (http-api/routes.h) fills in
 * the answer, or calls request_problem(); request_send() queues what it left.
 */
#pragma once

#include "http-api/grant.h"
#include "http-api/routes.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "schema/exchange_json.h"
#include "store/filter.h"
#include "store/format.h"
#include "store/reader.h"
#include "store/stats.h"

struct MHD_Connection;
struct MHD_Response;
struct server;

#define REQUEST_URI_MAX	   8000	     /* bytes, path and query */
#define REQUEST_BODY_MAX   (1 << 20) /* nothing reads one yet: it is thrown away, up to here */
#define REQUEST_LIMIT	   50
#define REQUEST_LIMIT_MAX  1000
#define REQUEST_HEADER_MAX 8

struct request_header {
	const char *name;
	char value[96];
};

struct request {
	struct server *server;		   /* borrowed */
	struct MHD_Connection *connection; /* borrowed */
	char *uri;   /* owned: as received, percent-encoded; path lies in it */
	char *query; /* owned: what stands behind the ?, decoded in place as it is read */
	struct span path;
	struct span id;		   /* of {id} in the path */
	const struct route *route; /* NULL: none fits */
	bool is_head;
	bool is_tcp;	/* came in by the TCP listener */
	bool is_status; /* came in by the listener for anybody */
	bool has_begun;
	size_t body_bytes; /* of the request body, thrown away */

	/* who asks (http-api/access.c) */
	struct grant grant;
	struct filter *scope; /* owned: what they may see, without conditions; NULL: all */

	/* parameters */
	struct filter *filter;	/* owned; NULL: all. Narrowed to the scope */
	struct span name_space; /* in query */
	uint64_t since_ns, until_ns, new_since_ns, cursor, limit;
	struct stats_query stats; /* by and every */
	bool is_reverse;
	bool is_ndjson; /* by Accept */
	enum exchange_json_part part;
	const struct format *format; /* of as=; NULL: not given */

	/* the answer */
	unsigned status;
	const char *content_type;
	struct buf body;
	struct request_header headers[REQUEST_HEADER_MAX];
	size_t header_count;
	struct MHD_Response *response; /* owned until sent; instead of body: a stream */
};

/* request_new() - @uri is copied. NULL: no memory. */
struct request *request_new(struct server *s, const char *uri) MUST_USE;
void request_free(struct request *q); /* accepts NULL */

/* request_read_params() - by the route's table. Return: false when a problem was answered. */
bool request_read_params(struct request *q, uint64_t now_ns) MUST_USE;

/* request_header() - one more header of the answer; at most REQUEST_HEADER_MAX */
void request_header(struct request *q, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* request_json() - begin an answer of type application/json; the writer goes to q->body */
struct json request_json(struct request *q);
/* request_problem() - answer with RFC 9457; @parameter: the one that is wrong, or NULL */
void request_problem(struct request *q, unsigned status, const char *parameter, const char *fmt,
		     ...) PRINTF_LIKE(4, 5);
/* request_failed() - the problem that an error of the store is; @parameter as above */
void request_failed(struct request *q, int error, const char *parameter, const struct err *e);
/* request_out_of_time() - likewise, of a list: with the cursor to go on with, unless it is 0 */
void request_out_of_time(struct request *q, int error, uint64_t cursor, const struct err *e);
/* request_is_trusted() - they see everything: what fails may be told as it is */
static inline bool request_is_trusted(const struct request *q)
{
	return q->grant.sees_all;
}
/* request_borrow() - a reader, restricted to the scope, or NULL when a problem was answered */
struct reader *request_borrow(struct request *q) MUST_USE;
void request_return(struct request *q, struct reader *r, int result);
/* request_send() - queue the answer. Return: false when that fails: close the connection. */
bool request_send(struct request *q);
