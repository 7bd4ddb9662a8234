// SPDX-License-Identifier: Apache-2.0
/*
 * The filter language, a form a row: tapeloop-filter(7) and `tapeloop help filter` are made of it,
 * a test reads each example, and docs/filter.md must have the same rows.
 *
 * FORM(GROUP, "form", "what it says", "example")
 *
 * GROUP    OPERATOR (from tight to loose), MESSAGE (what an exchange has beside its fields),
 * FUNCTION, METHOD, SHORT (alone, for the command line) example  a whole filter
 */
// clang-format off
#ifndef FORM_GROUPS
#define FORM_GROUPS(GROUP)            \
	GROUP(SHORT, "Short forms")   \
	GROUP(OPERATOR, "Operators")  \
	GROUP(MESSAGE, "Messages")    \
	GROUP(FUNCTION, "Functions")  \
	GROUP(METHOD, "Methods")
#endif
#ifdef FORM
FORM(SHORT,    "500",                    "a status: status == 500",                                                       "500")
FORM(SHORT,    "5xx",                    "a class of status: status >= 500 && status <= 599",                             "5xx")
FORM(SHORT,    "/api/cart",              "a path; with a ? in it, the target",                                            "/api/cart")
FORM(SHORT,    "/api/cart*",             "what begins so: path.startsWith(\"/api/cart\")",                                "/api/cart*")
FORM(SHORT,    "cart",                   "a service: dst.service == \"cart\"",                                            "cart")

FORM(OPERATOR, "a.b, a[b], a.f(b)",      "member, entry, method",                                                         "response.json.items[0].sku == \"A7\"")
FORM(OPERATOR, "!a, -a",                 "not, negative",                                                                 "!failed() && -latency < duration(\"0s\")")
FORM(OPERATOR, "a * b, a / b, a % b",    "of numbers; a duration times or by a number; / of whole numbers cuts",          "status / 100 == 5")
FORM(OPERATOR, "a + b, a - b",           "of numbers, durations, a time and a duration; two times give a duration; + joins text", "time > now() - duration(\"1h\")")
FORM(OPERATOR, "== != < <= > >=",        "comparison; text by its bytes, case counts",                                    "request.size > 2 * response.size")
FORM(OPERATOR, "a in [b, c]",            "equal to one of a list; of a JSON list; a name of a map; a flag of anomalies",  "status in [500, 503] && \"redacted\" in anomalies")
FORM(OPERATOR, "src.ip in \"10.0.0.0/8\"", "in a range of addresses; also in a list of them",                             "src.ip in \"10.0.0.0/8\"")
FORM(OPERATOR, "a =~ \"regex\", a !~ \"regex\"", "a regular expression (PCRE2) is found in a text, or is not",            "path =~ r\"^/cart/\\d+$\"")
FORM(OPERATOR, "a && b",                 "and",                                                                           "status == 500 && method == \"POST\"")
FORM(OPERATOR, "a || b",                 "or",                                                                            "failed() || latency > duration(\"300ms\")")
FORM(OPERATOR, "a ? b : c",              "b where a holds, else c",                                                       "latency > (method == \"GET\" ? duration(\"100ms\") : duration(\"1s\"))")

FORM(MESSAGE,  "request.headers[\"x\"], response.headers.x", "header lines, the name in any case",                        "request.headers[\"x-user\"] == \"7\"")
FORM(MESSAGE,  "request.trailers, response.trailers",        "trailer lines, likewise",                                   "response.trailers[\"grpc-status\"] != \"0\"")
FORM(MESSAGE,  "query[\"page\"]",        "parameters of the target, percent-decoded",                                     "int(query.page) > 100")
FORM(MESSAGE,  "request.cookies, response.cookies",          "pairs of Cookie; of Set-Cookie, without their attributes",  "request.cookies[\"theme\"] == \"dark\"")
FORM(MESSAGE,  "src.labels, dst.labels", "labels of the pods; absent where they are not known",                           "dst.labels[\"app\"] in [\"web\", \"api\"]")
FORM(MESSAGE,  "src.annotations, dst.annotations", "annotations of the pods, as far as the setting kube.annotations chose them", "dst.annotations[\"example.com/team\"] == \"shop\"")
FORM(MESSAGE,  "request.body, response.body",                "the body without its content codings, up to 8 MiB",         "response.body.contains(\"out of stock\")")
FORM(MESSAGE,  "request.json, response.json",                "the body as JSON; a member that is not there is equal to nothing", "response.json.items.exists(i, i.price > 9.5)")

FORM(FUNCTION, "failed(), failed(\"reset\")", "a server error, gRPC error, reset, time-out or missing answer; or one outcome", "failed(\"reset\")")
FORM(FUNCTION, "text(\"out of stock\")", "somewhere in heads, trailers, decoded bodies, WebSocket messages or events; case of a to z does not count", "text(\"out of stock\") && dst.service == \"cart\"")
FORM(FUNCTION, "has(a.b)",               "there is such a member, header, parameter",                                     "has(response.json.error)")
FORM(FUNCTION, "now()",                  "the moment at which the question is asked; not in what is recorded",            "time > now() - duration(\"10m\")")
FORM(FUNCTION, "duration(\"300ms\")",    "a length of time: ns us ms s m h d; also of text in JSON",                      "latency > duration(\"1h30m\")")
FORM(FUNCTION, "timestamp(\"2026-11-22T03:00:00Z\")", "a point in time, RFC 3339; also of text in JSON, or of seconds since 1970", "time > timestamp(\"2026-11-22T03:00:00Z\")")
FORM(FUNCTION, "int(a), double(a), string(a)", "conversions; what is no number is equal to nothing",                      "double(query[\"price\"]) < 9.5")
FORM(FUNCTION, "prefix(\"5\"), suffix(\"x\")", "Loop's form, behind ==: begins so, ends so",                              "responseHeaders[\":status\"] == prefix(\"5\")")

FORM(METHOD,   ".startsWith(a), .endsWith(a), .contains(a)", "parts of text; also of addresses, ids and names",           "path.startsWith(\"/api/\")")
FORM(METHOD,   ".matches(\"regex\")",    "=~ as CEL writes it",                                                           "host.matches(\"^cart-\\\\d\")")
FORM(METHOD,   ".size(), size(a)",       "characters of a text, entries of a list or map",                                "size(path) > 200")
FORM(METHOD,   ".lowerAscii(), .upperAscii(), .trim()", "the text in lower case, in upper case, without blanks around it", "host.lowerAscii() == \"cart\"")
FORM(METHOD,   ".exists(x, a), .all(x, a), .exists_one(x, a)", "a holds for one, for each, for exactly one entry x of a list, or name x of a map", "request.headers.exists(h, h.lowerAscii().startsWith(\"x-b3-\"))")
FORM(METHOD,   ".getHours(), .getDayOfWeek(), ...", "parts of a time in UTC, as in CEL: getFullYear, getMonth, getDayOfMonth, getDate, getDayOfWeek, getDayOfYear, getHours, getMinutes, getSeconds, getMilliseconds; the last four also of a duration", "time.getHours() >= 22")
#endif
// clang-format on
