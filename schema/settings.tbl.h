// SPDX-License-Identifier: Apache-2.0
/*
 * Every setting of the daemon, written once. The YAML key, the environment variable
 * (TAPELOOP_ + key in capitals, . as _), the flag (-- + key, . and _ as -), --help, the man page and
 * --check come from here.
 *
 * SETTING(field, "key", TYPE, default, min, max, RELOAD, "sentence")
 *
 * TYPE    BYTES ("64MiB"), DURATION ("1s", kept in ns), COUNT, BOOL, TEXT, LIST (of text)
 * default, min, max in the unit kept (bytes, ns, number); TEXT and LIST: default as text, 0, bytes max
 * RELOAD  LIVE: SIGHUP applies it; START: needs a restart, SIGHUP says so
 */
// clang-format off
SETTING(interfaces,       "capture.interfaces",   LIST,     "",                0, 64,                  START, "interfaces to capture on; with none, and no netns or file, all (any)")
SETTING(netns,            "capture.netns",        LIST,     "",                0, 1024,                START, "network namespaces, by name (ip netns) or path, whose interfaces are captured too; NAME:IFACE picks one")
SETTING(filter_bpf,       "capture.bpf",          TEXT,     "",                0, 4096,                START, "pcap filter that the kernel applies; empty takes TCP and fragments of it, in VLANs too")
SETTING(buffer,           "capture.buffer",       BYTES,    16 << 20,          2 << 20, 1 << 30,       START, "kernel ring for each interface")
SETTING(snaplen,          "capture.snaplen",      BYTES,    262144,            68, 262144,            START, "bytes kept of each packet; offloading makes packets of 64 KiB")
SETTING(poll,             "capture.poll",         DURATION, 50 * NS_PER_MS,    NS_PER_MS, NS_PER_S,   START, "how long the kernel may collect packets before it wakes us")
SETTING(memory_max,       "memory_max",           BYTES,    128 << 20,         32 << 20, INT64_C(64) << 30, START, "ceiling for the whole process, rings included")
SETTING(flows_max,        "flows_max",            COUNT,    65536,             64, 4194304,           START, "connections followed at once; the idlest makes room")
SETTING(queue_size,       "queue_size",           BYTES,    16 << 20,          1 << 20, 1 << 30,       START, "exchanges waiting for the recorder")
SETTING(body_max,         "body_max",             BYTES,    256 << 10,         0, 64 << 20,            START, "bytes kept of each body; the rest is counted and flagged")
SETTING(head_max,         "head_max",             BYTES,    64 << 10,          1024, 1 << 20,          START, "bytes kept of each head")
SETTING(exchange_timeout, "exchange_timeout",     DURATION, 60 * NS_PER_S,     NS_PER_MS, 86400 * NS_PER_S, START, "a request without an answer for so long is recorded as a timeout")
SETTING(part_interval,    "part_interval",        DURATION, 60 * NS_PER_S,     NS_PER_S, 86400 * NS_PER_S, START, "a response or WebSocket under way is recorded so often, in parts; what a kill -9 may cost of it")
SETTING(part_messages,    "part_messages",        COUNT,    10000,             1, 1000000,            START, "WebSocket messages, events or gRPC messages in one part; it ends sooner when body_max has no room for the next")
SETTING(flow_timeout,     "flow_timeout",         DURATION, 600 * NS_PER_S,    NS_PER_S, 86400 * NS_PER_S, START, "a silent connection is forgotten after so long")
SETTING(redact,           "redact.enabled",       BOOL,     1,                 0, 1,                   LIVE,  "replace credentials by their tag before anything leaves the decoder")
SETTING(redact_headers,   "redact.headers",       LIST,     "",                0, 64,                  LIVE,  "header names whose values are credentials, beside the built-in table")
SETTING(redact_params,    "redact.params",        LIST,     "",                0, 64,                  LIVE,  "query parameters whose values are credentials, beside the built-in table")
SETTING(store,            "store.dir",            TEXT,     "/var/lib/tapeloop", 0, 4096,              START, "directory of the tapes")
SETTING(store_max,        "store.max",            BYTES,    INT64_C(4) << 30,  16 << 20, INT64_C(1) << 50, LIVE, "quota of the store, everything counted; the oldest tape makes room")
SETTING(age_max,          "store.age_max",        DURATION, 0,                 0, INT64_C(36500) * 86400 * NS_PER_S, LIVE, "exchanges older than this go, a tape at a time; 0s: only the quota counts")
SETTING(failures_share,   "store.failures_share", COUNT,    25,                0, 90,                  LIVE,  "per cent of the quota that failures have for certain, on tapes of their own; 0: they go with the rest")
SETTING(failures_age_max, "store.failures_age_max", DURATION, 0,               0, INT64_C(36500) * 86400 * NS_PER_S, LIVE, "the same as store.age_max for failures")
SETTING(tape_rows,        "store.tape_rows",      COUNT,    1000000,           1000, 100000000,         LIVE,  "exchanges on a tape before it is sealed")
SETTING(tape_span,        "store.tape_span",      DURATION, 3600 * NS_PER_S,   NS_PER_S, INT64_C(30) * 86400 * NS_PER_S, LIVE, "time on a tape before it is sealed")
SETTING(commit_interval,  "store.commit_interval", DURATION, NS_PER_S,         10 * NS_PER_MS, 60 * NS_PER_S, LIVE, "what a kill -9 may cost at most")
SETTING(compression,      "store.compression",    COUNT,    1,                 1, 19,                  LIVE,  "zstd level")
SETTING(fulltext,         "store.fulltext",       BOOL,     0,                 0, 1,                   START, "index sealed tapes for text(\"...\"): some 40 bytes and 70 us of CPU an exchange, in the background")
SETTING(record,           "record",               TEXT,     "",                0, 4096,                LIVE,  "filter: which exchanges are kept; empty keeps all")
SETTING(sample_one_in,    "sample.one_in",        COUNT,    1,                 1, 1000000,             LIVE,  "of the exchanges that did not fail, one in so many is kept; a trace is kept whole")
SETTING(sample_services,  "sample.services",      LIST,     "",                0, 256,                 LIVE,  "services with a share of their own: cart=10 keeps one in 10, cart=1 all")
SETTING(sample_rate_max,  "sample.rate_max",      COUNT,    0,                 0, 10000000,            LIVE,  "where more exchanges of one service would be kept in a second, its share is narrowed; 0: no limit")
SETTING(sample_first,     "sample.first",         COUNT,    0,                 0, 1000000,             LIVE,  "the first so many of each method and route in a minute are kept in any case")
SETTING(api_socket,       "api.socket",           TEXT,     "/run/tapeloop/api.sock", 0, 107,          START, "unix socket of the REST API; empty for none")
SETTING(api_listen,       "api.listen",           TEXT,     "127.0.0.1:7700",  0, 128,                 START, "address and port of the REST API; empty for none; where others can reach it, api.tls_cert and api.auth are needed")
SETTING(api_auth,         "api.auth",             TEXT,     "none",            0, 16,                  START, "who may ask over TCP: none (everybody on this machine), kubernetes (whom the API server knows) or token-file; the unix socket is open to its group")
SETTING(api_token_file,   "api.token_file",       TEXT,     "",                0, 4096,                START, "file of tokens for api.auth token-file, a line each: TOKEN NAME ROLE NAMESPACES; read again when it changes")
SETTING(api_tls_cert,     "api.tls_cert",         TEXT,     "",                0, 4096,                START, "certificate (PEM, chain behind it) for TCP; self-signed: one is made at start; empty: no TLS")
SETTING(api_tls_key,      "api.tls_key",          TEXT,     "",                0, 4096,                START, "its key (PEM)")
SETTING(api_access_keep,  "api.access_keep",      DURATION, 30 * NS_PER_S,     NS_PER_S, 600 * NS_PER_S, START, "how long an answer of the API server about a token and its rights counts")
SETTING(api_query_max,    "api.query_max",        DURATION, 10 * NS_PER_S,     100 * NS_PER_MS, 3600 * NS_PER_S, START, "a query that takes longer ends: the answer says how far it came and how to go on")
SETTING(identities,       "identities",           TEXT,     "",                0, 4096,                LIVE,  "YAML file that names addresses: service, namespace, pod")
SETTING(log_level,        "log_level",            TEXT,     "info",            0, 8,                   LIVE,  "err, warn, info or debug")
// clang-format on
