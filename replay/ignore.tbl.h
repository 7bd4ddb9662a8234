// SPDX-License-Identifier: Apache-2.0
/*
 * Headers of answers that differ from one answer to the next without meaning anything.
 *
 * IGNORE(HOW, "name", "why")  - HOW as enum ignore_how without IGNORE_; a name that ends in * is a prefix
 */
// clang-format off
IGNORE(VALUE,     "Date",                   "the time of the answer")
IGNORE(VALUE,     "Age",                    "time spent in caches")
IGNORE(VALUE,     "Expires",                "a time reckoned from now")
IGNORE(VALUE,     "Last-Modified",          "when the copy of this server was made")
IGNORE(VALUE,     "ETag",                   "often made of a file's time or inode; the body itself is compared")
IGNORE(COOKIE,    "Set-Cookie",             "session values; names and attributes are compared")
IGNORE(WITH_BODY, "Content-Length",         "the body itself is compared")
IGNORE(ALL,       "Transfer-Encoding",      "framing of this connection (RFC 9112 6.1)")
IGNORE(ALL,       "Trailer",                "framing of this connection")
IGNORE(ALL,       "Connection",             "of this hop only (RFC 9110 7.6.1)")
IGNORE(ALL,       "Keep-Alive",             "of this hop only")
IGNORE(ALL,       "Proxy-Connection",       "of this hop only")
IGNORE(ALL,       "Traceparent",            "id of this trace")
IGNORE(ALL,       "Tracestate",             "state of this trace")
IGNORE(ALL,       "Traceresponse",          "id of this trace")
IGNORE(ALL,       "B3",                     "id of this trace")
IGNORE(ALL,       "X-B3-*",                 "ids of this trace")
IGNORE(ALL,       "Uber-Trace-Id",          "id of this trace")
IGNORE(ALL,       "X-Amzn-Trace-Id",        "id of this trace")
IGNORE(ALL,       "X-Amzn-RequestId",       "id of this request")
IGNORE(ALL,       "X-Cloud-Trace-Context",  "id of this trace")
IGNORE(ALL,       "X-Request-Id",           "id of this request")
IGNORE(ALL,       "X-Correlation-Id",       "id of this request")
IGNORE(ALL,       "Request-Id",             "id of this request")
IGNORE(ALL,       "CF-Ray",                 "id of this request")
IGNORE(ALL,       "X-Runtime",              "how long it took")
IGNORE(ALL,       "X-Response-Time",        "how long it took")
IGNORE(ALL,       "Server-Timing",          "how long it took")
IGNORE(ALL,       "X-Envoy-*",              "how long it took, and where it came from")
IGNORE(VALUE,     "Sec-WebSocket-Accept",   "made of the key of this connection, and checked")
IGNORE(VALUE,     "X-RateLimit-*",          "what is left of a budget")
IGNORE(VALUE,     "RateLimit-*",            "what is left of a budget")
// clang-format on
