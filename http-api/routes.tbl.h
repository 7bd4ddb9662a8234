// SPDX-License-Identifier: Apache-2.0
/*
 * Every endpoint of the REST API, written once; schema/openapi.yaml describes the same and a test
 * holds the two together.
 *
 * PARAM(NAME, "name", "sentence")          what may stand behind the ?
 * ROUTE(function, "/path", ACCESS, PARAMS, "sentence")  all are GET, and HEAD with it
 *
 * ACCESS is enum route_access (http-api/routes.h) without ROUTE_.
 * {id} in a path is an exchange's id or a unique ending of one; PARAMS are bits of PARAM_NAME.
 */
// clang-format off
#ifdef PARAM
PARAM(FILTER, "filter", "which exchanges: docs/filter.md")
PARAM(NAMESPACE, "namespace", "only exchanges with an end in this namespace; whoever may see it need not be asked about others")
PARAM(SINCE,  "since",  "at or after this time: RFC 3339, or a time span before now (10m)")
PARAM(UNTIL,  "until",  "before this time")
PARAM(NEW_SINCE, "new_since", "only kinds that were not seen before this time")
PARAM(BY,     "by",     "fields to count by, with commas between; dst.service,status if not given")
PARAM(EVERY,  "every",  "count in intervals of this length: 1m, 1h")
PARAM(SKETCHES, "sketches", "true: with the sketches of latencies, to merge with those of other daemons (docs/stats.md)")
PARAM(LIMIT,  "limit",  "how many at most: 1 to 1000, 50 if not given")
PARAM(CURSOR, "cursor", "go on behind this id: next_cursor of the page before")
PARAM(ORDER,  "order",  "desc (newest first, if not given) or asc")
PARAM(PART,   "part",   "summary, messages or exact")
PARAM(AS,     "as",     "a file format: har, gor, jsonl, csv, pcap or sh (docs/formats.md)")
#endif
#ifdef ROUTE
#define SELECTION (PARAM_NAMESPACE | PARAM_FILTER | PARAM_SINCE | PARAM_UNTIL)
ROUTE(list_exchanges,    "/api/v1/exchanges",                    SCOPED,   SELECTION | PARAM_LIMIT | PARAM_CURSOR | PARAM_ORDER | PARAM_PART, "the exchanges that a filter selects, a page at a time")
ROUTE(get_exchange,      "/api/v1/exchanges/{id}",               SCOPED,   PARAM_NAMESPACE | PARAM_PART, "one exchange")
ROUTE(get_request_body,  "/api/v1/exchanges/{id}/request/body",  MESSAGES, PARAM_NAMESPACE, "octets of the request's body")
ROUTE(get_response_body, "/api/v1/exchanges/{id}/response/body", MESSAGES, PARAM_NAMESPACE, "octets of the response's body")
ROUTE(get_request_raw,   "/api/v1/exchanges/{id}/request/raw",   MESSAGES, PARAM_NAMESPACE, "the request as recorded, byte for byte")
ROUTE(get_response_raw,  "/api/v1/exchanges/{id}/response/raw",  MESSAGES, PARAM_NAMESPACE, "the response as recorded, byte for byte")
ROUTE(get_export,        "/api/v1/export",                       MESSAGES, SELECTION | PARAM_AS, "a selection as a file of another tool's format, oldest first")
ROUTE(list_failures,     "/api/v1/failures",                     SCOPED,   SELECTION | PARAM_NEW_SINCE | PARAM_LIMIT, "the kinds of failure, the most frequent first")
ROUTE(get_stats,         "/api/v1/stats",                        SCOPED,   SELECTION | PARAM_BY | PARAM_EVERY | PARAM_SKETCHES | PARAM_LIMIT, "counts by any fields: rates, octets, failures, latencies")
ROUTE(explain_query,     "/api/v1/explain",                      SCOPED,   SELECTION | PARAM_LIMIT | PARAM_CURSOR | PARAM_ORDER, "how a query is carried out: its SQL, what is checked besides, the rows it looks at")
ROUTE(open_stream,       "/api/v1/stream",                       SCOPED,   PARAM_NAMESPACE | PARAM_FILTER, "exchanges as they are recorded (server-sent events)")
ROUTE(list_counters,     "/api/v1/counters",                     DAEMON,   0, "what became of every packet, byte, request and exchange")
ROUTE(list_tapes,        "/api/v1/tapes",                        DAEMON,   0, "the files of the store")
ROUTE(get_metrics,       "/metrics",                             DAEMON,   0, "counters in the Prometheus text format")
ROUTE(get_health,        "/healthz",                             OPEN,     0, "is it recording? 503 and why when not")
ROUTE(get_readiness,     "/readyz",                              OPEN,     0, "does the store answer?")
ROUTE(get_openapi,       "/openapi.json",                        OPEN,     0, "this API, described")
#undef SELECTION
#endif
// clang-format on
