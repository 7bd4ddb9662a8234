// SPDX-License-Identifier: Apache-2.0
/*
 * The fields of an exchange that a filter, a table column, JSON and SQL know: each written once.
 *
 * FIELD(NAME, "name", TYPE, value, "sentence")
 *
 * name   what is typed in a filter, and the header of a column
 * TYPE   TEXT      value is a struct span
 *        INT       value is a uint64_t
 *        TIME      value is ns since 1970: compares with timestamp("RFC 3339") and time arithmetic
 *        DURATION  value is ns: compares with duration("300ms")
 *        ADDRESS   value is a const struct endpoint *: compares as text of the address
 *        ID        value is an exchange id: compares with its 13 letters
 *        NAME      value is a number with a name: value is a const char *
 *        FLAGS     value is the bits of enum anomaly: "gap" in anomalies
 *        BOOL      value is a bool
 *        MAP       value is a struct span, a JSON object of texts (schema/labels.h): a filter asks for its entries
 * value  computes the field from `const struct exchange *x`; the tape's column of the same name must agree
 *        (a property test compares both ways for every field)
 *
 * Rows whose names share the part before the dot stand together: JSON nests them in one object.
 */
// clang-format off
FIELD(ID,                "id",               ID,       x->id,                                        "its id, 13 letters, time-ordered")
FIELD(TIME,              "time",             TIME,     x->start_ns,                                  "when the request's first byte was seen")
FIELD(LATENCY,           "latency",          DURATION, exchange_latency_ns(x),                       "request's first byte to response's last; 0 without a response")
FIELD(PROTOCOL,          "protocol",         NAME,     protocol_name(x->protocol),                   "http1, http2, grpc, websocket")
FIELD(METHOD,            "method",           TEXT,     x->method,                                    "request method; empty where no request was seen")
FIELD(TARGET,            "target",           TEXT,     x->target,                                    "request target as on the wire, query included")
FIELD(PATH,              "path",             TEXT,     x->path,                                      "the target's path, without the query")
FIELD(ROUTE,             "route",            TEXT,     x->route,                                     "the path with its variable parts as {}")
FIELD(HOST,              "host",             TEXT,     x->host,                                      "Host, with its port if it names one")
FIELD(STATUS,            "status",           INT,      (uint64_t)x->status,                          "status of the final response; 0 when there is none")
FIELD(OUTCOME,           "outcome",          NAME,     outcome_name(x->outcome),                     "how it ended: ok, client_error, server_error, reset, timeout, ...")
FIELD(REASON,            "reason",           NAME,     reason_name(x->reason),                       "why there is no whole response: none, reset_server, timed_out, ...")
FIELD(ERROR,             "error",            TEXT,     x->error,                                     "what a failure says of itself, variable parts as {}; empty otherwise")
FIELD(SRC_IP,            "src.ip",           ADDRESS,  &x->src,                                      "client's address")
FIELD(SRC_PORT,          "src.port",         INT,      (uint64_t)x->src.port,                        "client's port")
FIELD(SRC_SERVICE,       "src.service",      TEXT,     x->src.who.service,                           "client's service, where known")
FIELD(SRC_NAMESPACE,     "src.namespace",    TEXT,     x->src.who.name_space,                        "client's namespace, where known")
FIELD(SRC_POD,           "src.pod",          TEXT,     x->src.who.pod,                               "client's pod, where known")
FIELD(SRC_WORKLOAD,      "src.workload",     TEXT,     x->src.who.workload,                          "client's workload, where known")
FIELD(SRC_NODE,          "src.node",         TEXT,     x->src.who.node,                              "client's node, where known")
FIELD(SRC_WORKLOAD_KIND, "src.workload.kind",TEXT,     x->src.who.workload_kind,                     "kind of that workload: Deployment, StatefulSet, DaemonSet, Job, CronJob, ...")
FIELD(SRC_CONTAINER,     "src.container",    TEXT,     x->src.who.container,                         "client's container, where known")
FIELD(SRC_POD_UID,       "src.pod.uid",      TEXT,     x->src.who.pod_uid,                           "UID of that pod, where known")
FIELD(SRC_LABELS,        "src.labels",       MAP,      x->src.who.labels,                            "labels of that pod")
FIELD(SRC_ANNOTATIONS,   "src.annotations",  MAP,      x->src.who.annotations,                       "annotations of that pod, as far as kube.annotations chooses them")
FIELD(SRC_IDENTITY,      "src.identity",     NAME,     identity_source_name(x->src.who.source),      "where these names came from: none, file, interface, api, runtime, cgroup, downward, socket")
FIELD(SRC_CERTAINTY,     "src.certainty",    NAME,     identity_certainty_name(x->src.who.certainty),"how sure they are: unknown, certain, inferred, ambiguous")
FIELD(DST_IP,            "dst.ip",           ADDRESS,  &x->dst,                                      "server's address")
FIELD(DST_PORT,          "dst.port",         INT,      (uint64_t)x->dst.port,                        "server's port")
FIELD(DST_SERVICE,       "dst.service",      TEXT,     x->dst.who.service,                           "server's service, where known")
FIELD(DST_NAMESPACE,     "dst.namespace",    TEXT,     x->dst.who.name_space,                        "server's namespace, where known")
FIELD(DST_POD,           "dst.pod",          TEXT,     x->dst.who.pod,                               "server's pod, where known")
FIELD(DST_WORKLOAD,      "dst.workload",     TEXT,     x->dst.who.workload,                          "server's workload, where known")
FIELD(DST_NODE,          "dst.node",         TEXT,     x->dst.who.node,                              "server's node, where known")
FIELD(DST_WORKLOAD_KIND, "dst.workload.kind",TEXT,     x->dst.who.workload_kind,                     "kind of that workload: Deployment, StatefulSet, DaemonSet, Job, CronJob, ...")
FIELD(DST_CONTAINER,     "dst.container",    TEXT,     x->dst.who.container,                         "server's container, where known")
FIELD(DST_POD_UID,       "dst.pod.uid",      TEXT,     x->dst.who.pod_uid,                           "UID of that pod, where known")
FIELD(DST_LABELS,        "dst.labels",       MAP,      x->dst.who.labels,                            "labels of that pod")
FIELD(DST_ANNOTATIONS,   "dst.annotations",  MAP,      x->dst.who.annotations,                       "annotations of that pod, as far as kube.annotations chooses them")
FIELD(DST_IDENTITY,      "dst.identity",     NAME,     identity_source_name(x->dst.who.source),      "where these names came from: none, file, interface, api, runtime, cgroup, downward, socket")
FIELD(DST_CERTAINTY,     "dst.certainty",    NAME,     identity_certainty_name(x->dst.who.certainty),"how sure they are: unknown, certain, inferred, ambiguous")
FIELD(DST_LATENCY,       "dst.latency",      DURATION, exchange_server_latency_ns(x),                "latency as the server's own end saw it; 0 unless both ends were captured")
FIELD(REQUEST_SIZE,      "request.size",     INT,      x->request.body_bytes,                        "octets of the request body, before content decoding")
FIELD(REQUEST_TYPE,      "request.type",     TEXT,     x->request.content_type,                      "Content-Type of the request")
FIELD(RESPONSE_SIZE,     "response.size",    INT,      x->response.body_bytes,                       "octets of the response body, before content decoding")
FIELD(RESPONSE_TYPE,     "response.type",    TEXT,     x->response.content_type,                     "Content-Type of the response")
FIELD(TRACE_ID,          "trace_id",         TEXT,     x->trace_id,                                  "from traceparent, b3 or x-request-id")
FIELD(CONNECTION,        "connection",       ID,       x->connection,                                "equal for the exchanges of one connection")
FIELD(SEQUENCE,          "sequence",         INT,      (uint64_t)x->sequence,                        "position in its connection, from 0")
FIELD(ANOMALIES,         "anomalies",        FLAGS,    x->anomalies,                                 "facts to know before trusting it: gap_response, midstream, redacted, ...")
FIELD(REPLAY,            "replay",           TEXT,     x->replay_of,                                 "RUN/ID where tapeloop itself sent it; empty otherwise")
FIELD(STREAM,            "stream",           INT,      (uint64_t)x->stream,                          "HTTP/2 stream; 0 otherwise")
FIELD(H2_ERROR,          "h2_error",         INT,      (uint64_t)x->h2_error,                        "error code of RST_STREAM or GOAWAY; 0 otherwise")
FIELD(GRPC_STATUS,       "grpc_status",      INT,      (uint64_t)x->grpc_status,                     "status of a gRPC call: 0 is OK; 0 also where there is none")
FIELD(GRPC_SERVICE,      "grpc.service",     TEXT,     x->grpc_service,                              "service of a gRPC call, with its package")
FIELD(GRPC_METHOD,       "grpc.method",      TEXT,     x->grpc_method,                               "method of a gRPC call")
FIELD(GRPC_REQUESTS,     "grpc.requests",    INT,      exchange_messages(x, PROTOCOL_GRPC, 0),       "messages that a gRPC client sent")
FIELD(GRPC_RESPONSES,    "grpc.responses",   INT,      exchange_messages(x, PROTOCOL_GRPC, 1),       "messages that a gRPC server sent")
FIELD(GRPC_TIMEOUT,      "grpc.timeout",     DURATION, x->grpc_timeout_ns,                           "deadline that a gRPC client named; 0 = none")
FIELD(WS_SENT,           "ws.sent",          INT,      exchange_messages(x, PROTOCOL_WEBSOCKET, 0),  "WebSocket messages and control frames from the client")
FIELD(WS_RECEIVED,       "ws.received",      INT,      exchange_messages(x, PROTOCOL_WEBSOCKET, 1),  "WebSocket messages and control frames from the server")
FIELD(WS_CLOSE_CODE,     "ws.close_code",    INT,      (uint64_t)x->close_code,                      "code that closed a WebSocket; 1006 without a close frame")
FIELD(SSE_EVENTS,        "sse.events",       INT,      exchange_messages(x, PROTOCOL_HTTP1, 1),      "server-sent events")
FIELD(WEIGHT,            "weight",           INT,      (uint64_t)MAX(x->weight, 1),                  "how many exchanges it stands for: more than 1 where others were sampled out")
FIELD(WIRE,              "wire",             ID,       x->wire_key,                                  "equal in both views of an exchange that two nodes may have recorded; 0 in others")
// clang-format on
