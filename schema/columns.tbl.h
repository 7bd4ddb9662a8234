// SPDX-License-Identifier: Apache-2.0
/*
 * Where each field of schema/fields.tbl.h stands on a tape: one row a field.
 *
 * COLUMN(FIELD, KIND, SCOPE, "sql")
 *
 * FIELD  the name in fields.tbl.h
 * KIND   how "sql" compares:
 *        TEXT     SQLite TEXT (bytes, BINARY collation): bind the operand with sqlite3_bind_text.
 *                 Never NULL on a tape; absent and empty are ''. Prefix: sql >= ? AND sql < ? with
 *                 the last byte below 0xff counted up; contains: instr(CAST(sql AS BLOB),
 *                 CAST(? AS BLOB)) > 0 (bytes, as in memory)
 *        TRACE    as TEXT, but for equality write SQL_TRACE_EQUALS (schema/sql.h): it has an index
 *        ADDRESS  TEXT, as endpoint_text() writes it
 *        INT      INTEGER (TIME, DURATION and ID too); ns, octets, ports. Above 2^63-1: 2^63-1
 *        NUMBER   INTEGER: number of a NAME; compare with what outcome_parse() etc. give
 *        FLAGS    INTEGER: (sql & bits) <> 0
 * SCOPE  EXCHANGE, KIND (with the server's peer), SRC: the table it depends on
 * "sql"  an expression over the names that SQL_FROM (schema/sql.h) makes known
 */
// clang-format off
COLUMN(ID,                INT,     EXCHANGE, "exchange.id")
COLUMN(TIME,              INT,     EXCHANGE, "(exchange.id - exchange.moved)")
COLUMN(LATENCY,           INT,     EXCHANGE, "exchange.latency")
COLUMN(PROTOCOL,          NUMBER,  KIND,     "kind.protocol")
COLUMN(METHOD,            TEXT,    KIND,     "kind.method")
COLUMN(TARGET,            TEXT,    EXCHANGE, SQL_TARGET)
COLUMN(PATH,              TEXT,    EXCHANGE, "(" SQL_PATH ")")
COLUMN(ROUTE,             TEXT,    KIND,     "kind.route")
COLUMN(HOST,              TEXT,    KIND,     "kind.host")
COLUMN(STATUS,            INT,     KIND,     "kind.status")
COLUMN(OUTCOME,           NUMBER,  EXCHANGE, "exchange.outcome")
COLUMN(REASON,            NUMBER,  KIND,     "kind.reason")
COLUMN(ERROR,             TEXT,    KIND,     "kind.error")
COLUMN(SRC_IP,            ADDRESS, SRC,      "src.ip")
COLUMN(SRC_PORT,          INT,     EXCHANGE, "exchange.src_port")
COLUMN(SRC_SERVICE,       TEXT,    SRC,      "src.service")
COLUMN(SRC_NAMESPACE,     TEXT,    SRC,      "src.namespace")
COLUMN(SRC_POD,           TEXT,    SRC,      "src.pod")
COLUMN(SRC_WORKLOAD,      TEXT,    SRC,      "src.workload")
COLUMN(SRC_NODE,          TEXT,    SRC,      "src.node")
COLUMN(SRC_WORKLOAD_KIND, TEXT,    SRC,      "src.workload_kind")
COLUMN(SRC_CONTAINER,     TEXT,    SRC,      "src.container")
COLUMN(SRC_POD_UID,       TEXT,    SRC,      "src.pod_uid")
COLUMN(SRC_LABELS,        TEXT,    SRC,      "src.labels")
COLUMN(SRC_ANNOTATIONS,   TEXT,    SRC,      "src.annotations")
COLUMN(SRC_IDENTITY,      NUMBER,  SRC,      "src.source")
COLUMN(SRC_CERTAINTY,     NUMBER,  SRC,      "src.certainty")
COLUMN(DST_IP,            ADDRESS, KIND,     "dst.ip")
COLUMN(DST_PORT,          INT,     KIND,     "dst.port")
COLUMN(DST_SERVICE,       TEXT,    KIND,     "dst.service")
COLUMN(DST_NAMESPACE,     TEXT,    KIND,     "dst.namespace")
COLUMN(DST_POD,           TEXT,    KIND,     "dst.pod")
COLUMN(DST_WORKLOAD,      TEXT,    KIND,     "dst.workload")
COLUMN(DST_NODE,          TEXT,    KIND,     "dst.node")
COLUMN(DST_WORKLOAD_KIND, TEXT,    KIND,     "dst.workload_kind")
COLUMN(DST_CONTAINER,     TEXT,    KIND,     "dst.container")
COLUMN(DST_POD_UID,       TEXT,    KIND,     "dst.pod_uid")
COLUMN(DST_LABELS,        TEXT,    KIND,     "dst.labels")
COLUMN(DST_ANNOTATIONS,   TEXT,    KIND,     "dst.annotations")
COLUMN(DST_IDENTITY,      NUMBER,  KIND,     "dst.source")
COLUMN(DST_CERTAINTY,     NUMBER,  KIND,     "dst.certainty")
COLUMN(DST_LATENCY,       INT,     EXCHANGE, "exchange.dst_latency")
COLUMN(REQUEST_SIZE,      INT,     EXCHANGE, "exchange.request_size")
COLUMN(RESPONSE_SIZE,     INT,     EXCHANGE, "exchange.response_size")
COLUMN(REQUEST_TYPE,      TEXT,    KIND,     "kind.request_type")
COLUMN(RESPONSE_TYPE,     TEXT,    KIND,     "kind.response_type")
COLUMN(TRACE_ID,          TRACE,   EXCHANGE, SQL_TRACE)
COLUMN(CONNECTION,        INT,     EXCHANGE, "(exchange.id - exchange.age)")
COLUMN(SEQUENCE,          INT,     EXCHANGE, "exchange.sequence")
COLUMN(ANOMALIES,         FLAGS,   KIND,     "kind.anomalies")
COLUMN(REPLAY,            TEXT,    EXCHANGE, "exchange.replay")
COLUMN(STREAM,            INT,     EXCHANGE, "exchange.stream")
COLUMN(H2_ERROR,          INT,     KIND,     "kind.h2_error")
COLUMN(GRPC_STATUS,       INT,     KIND,     "max(kind.grpc_status, 0)")
COLUMN(GRPC_SERVICE,      TEXT,    EXCHANGE, SQL_GRPC_SERVICE)
COLUMN(GRPC_METHOD,       TEXT,    EXCHANGE, SQL_GRPC_METHOD)
COLUMN(GRPC_REQUESTS,     INT,     EXCHANGE, "iif(kind.protocol = 3, exchange.sent, 0)")
COLUMN(GRPC_RESPONSES,    INT,     EXCHANGE, "iif(kind.protocol = 3, exchange.received, 0)")
COLUMN(GRPC_TIMEOUT,      INT,     EXCHANGE, "exchange.deadline")
COLUMN(WS_SENT,           INT,     EXCHANGE, "iif(kind.protocol = 4, exchange.sent, 0)")
COLUMN(WS_RECEIVED,       INT,     EXCHANGE, "iif(kind.protocol = 4, exchange.received, 0)")
COLUMN(WEIGHT,            INT,     KIND,     "kind.weight")
COLUMN(WS_CLOSE_CODE,     INT,     KIND,     "kind.close_code")
COLUMN(WIRE,              INT,     EXCHANGE, "exchange.wire")
COLUMN(SSE_EVENTS,        INT,     EXCHANGE, "iif(kind.protocol IN (1, 2), exchange.received, 0)")
// clang-format on
