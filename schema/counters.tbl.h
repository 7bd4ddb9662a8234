// SPDX-License-Identifier: Apache-2.0
/*
 * Every counter, written once: /metrics, `tapeloop doctor` and the documents come from here.
 *
 * COUNTER(NAME, ACCOUNT, ROLE, "metric", "label", "sentence")
 *
 * ACCOUNT groups counters whose sums must hold: for each account, sum(IN) = sum(OUT) + sum(HELD).
 * ROLE: IN   what came in
 *       OUT  where it went: each unit counted once
 *       HELD what is on its way now (a gauge)
 *       NOTE worth knowing, part of no sum
 * The metric's full name is tapeloop_<metric>_total (HELD and gauges: tapeloop_<metric>); counters of one
 * metric differ in the label reason="<label>".
 */
// clang-format off

/* kernel: what the kernel saw = what it gave us + what it dropped */
COUNTER(KERNEL_RECEIVED,     KERNEL,  IN,   "kernel_packets_received", "",               "packets that passed the capture filter, by the kernel's count")
COUNTER(KERNEL_HANDED,       KERNEL,  OUT,  "kernel_packets",          "handed_over",    "packets that the kernel handed to this process")
COUNTER(KERNEL_DROPPED,      KERNEL,  OUT,  "kernel_packets",          "kernel_drop",    "packets lost in the kernel because the ring was full: raise capture.buffer")
COUNTER(KERNEL_UNSELECTED,   KERNEL,  OUT,  "kernel_packets",          "not_selected",   "packets of pods that turned out not to be selected by kube.select, never read")
COUNTER(KERNEL_PENDING,      KERNEL,  HELD, "kernel_packets_pending",  "",               "packets in the ring, not yet read")
COUNTER(INTERFACES_LOST,     KERNEL,  NOTE, "interfaces_lost",         "",               "interfaces and network namespaces that disappeared while they were captured")
COUNTER(INTERFACES_BACK,     KERNEL,  NOTE, "interfaces_back",         "",               "interfaces that came back under their name after they had disappeared")

/* packets: each packet that was read ends in exactly one of these */
COUNTER(PACKETS_IN,          PACKETS, IN,   "packets_read",  "",               "packets read from an interface or a file")
COUNTER(PACKETS_DATA,        PACKETS, OUT,  "packets",       "data",           "TCP segments with bytes for a followed connection")
COUNTER(PACKETS_CONTROL,     PACKETS, OUT,  "packets",       "control",        "TCP segments without bytes (SYN, ACK, FIN, RST, keep-alive)")
COUNTER(PACKETS_DUPLICATE,   PACKETS, OUT,  "packets",       "duplicate",      "copies of a packet already seen, and pure retransmissions")
COUNTER(PACKETS_FRAGMENT,    PACKETS, OUT,  "packets",       "fragment",       "IP fragments that were put together into another packet, or given up")
COUNTER(PACKETS_NOT_IP,      PACKETS, OUT,  "packets",       "not_ip",         "frames that carry no IP")
COUNTER(PACKETS_NOT_TCP,     PACKETS, OUT,  "packets",       "not_tcp",        "IP packets that carry no TCP")
COUNTER(PACKETS_MALFORMED,   PACKETS, OUT,  "packets",       "malformed",      "packets whose headers contradict their length")
COUNTER(PACKETS_HEAD_CUT,    PACKETS, OUT,  "packets",       "head_cut",       "packets that the capture cut inside their headers: raise capture.snaplen")
COUNTER(PACKETS_LINKTYPE,    PACKETS, OUT,  "packets",       "linktype",       "packets of a link type that is not understood")
COUNTER(PACKETS_NO_FLOW,     PACKETS, OUT,  "packets",       "no_flow",        "segments of connections not followed because memory_max or flows_max was reached")
COUNTER(PACKETS_SNAPLEN,     PACKETS, NOTE, "packets_cut",   "",               "packets that the capture cut short")
COUNTER(CHECKSUM_IGNORED,    PACKETS, NOTE, "checksums_wrong", "",             "IPv4 headers with a wrong checksum, accepted: offloading makes them")

/* bytes: TCP payload */
COUNTER(BYTES_IN,            BYTES,   IN,   "payload_bytes_read", "",          "TCP payload bytes of all segments")
COUNTER(BYTES_DELIVERED,     BYTES,   OUT,  "payload_bytes", "delivered",      "bytes given, in order, to the message parsers")
COUNTER(BYTES_DUPLICATE,     BYTES,   OUT,  "payload_bytes", "duplicate",      "bytes already seen: retransmissions, overlap, second captures of one packet")
COUNTER(BYTES_IGNORED,       BYTES,   OUT,  "payload_bytes", "ignored",        "bytes of connections that are not HTTP, and of tunnels")
COUNTER(BYTES_DROPPED,       BYTES,   OUT,  "payload_bytes", "memory",         "bytes given up to keep memory_max")
COUNTER(BYTES_HELD,          BYTES,   HELD, "payload_bytes_held", "",          "bytes waiting for an earlier segment")
COUNTER(BYTES_MISSING,       BYTES,   NOTE, "payload_bytes_missing", "",       "bytes that never came: holes in the streams")

/* connections */
COUNTER(CONNECTIONS_IN,      CONNECTIONS, IN,   "connections_seen",  "",           "TCP connections")
COUNTER(CONNECTIONS_HTTP1,   CONNECTIONS, OUT,  "connections",       "http1",      "ended connections that spoke HTTP/1")
COUNTER(CONNECTIONS_HTTP2,   CONNECTIONS, OUT,  "connections",       "http2",      "ended connections that spoke HTTP/2")
COUNTER(CONNECTIONS_TLS,     CONNECTIONS, OUT,  "connections",       "tls",        "ended connections that spoke TLS")
COUNTER(CONNECTIONS_OTHER,   CONNECTIONS, OUT,  "connections",       "other",      "ended connections with bytes that are no HTTP")
COUNTER(CONNECTIONS_EMPTY,   CONNECTIONS, OUT,  "connections",       "empty",      "ended connections without a byte")
COUNTER(CONNECTIONS_OPEN,    CONNECTIONS, HELD, "connections_open",  "",           "connections being followed")
COUNTER(CONNECTIONS_EVICTED, CONNECTIONS, NOTE, "connections_evicted", "",         "connections given up to keep memory_max or flows_max")
COUNTER(CONNECTIONS_JOINED,  CONNECTIONS, NOTE, "connections_joined", "",          "HTTP/2 connections that were joined after they began")
COUNTER(HPACK_LOST,          CONNECTIONS, NOTE, "hpack_lost",        "",           "directions whose header blocks stay unread for want of memory")
COUNTER(TUNNELS,             CONNECTIONS, NOTE, "tunnels",           "",           "connections that became a tunnel of which nothing more is read")

/* requests: each request that was seen becomes an exchange or is counted here */
COUNTER(REQUESTS_IN,         REQUESTS, IN,   "requests_seen",  "",            "requests recognised on the wire")
COUNTER(RESPONSES_ALONE,     REQUESTS, IN,   "responses_alone", "",           "responses without a request that became an exchange")
COUNTER(PARTS,               REQUESTS, IN,   "parts",          "",            "exchanges recorded of conversations and responses that were under way")
COUNTER(REQUESTS_EXCHANGED,  REQUESTS, OUT,  "requests",       "exchanged",   "requests that became an exchange, answered or with the reason why not")
COUNTER(REQUESTS_QUEUE_FULL, REQUESTS, OUT,  "requests",       "queue_full",  "exchanges dropped because the recorder could not keep up: raise queue_size")
COUNTER(REQUESTS_SHARE,      REQUESTS, OUT,  "requests",       "pod_share",   "exchanges of a pod that took more than its share of the queue while that was short of room: raise queue_size")
COUNTER(REQUESTS_EVICTED,    REQUESTS, OUT,  "requests",       "memory",      "requests given up to keep memory_max")
COUNTER(REQUESTS_OPEN,       REQUESTS, HELD, "requests_open",  "",            "requests waiting for their response")
COUNTER(RESPONSES_LATE,      REQUESTS, NOTE, "responses_late", "",            "responses that came after their request had been recorded as a timeout")
COUNTER(INTERIM_RESPONSES,   REQUESTS, NOTE, "interim_responses", "",         "1xx responses")
COUNTER(PARSE_ERRORS,        REQUESTS, NOTE, "parse_errors",   "",            "times a stream stopped making sense and was searched for the next message")
COUNTER(REDACTIONS,          REQUESTS, NOTE, "redactions",     "",            "credentials replaced by their tag")
COUNTER(CHILDREN,            REQUESTS, NOTE, "children",       "",            "WebSocket messages, server-sent events, and messages of gRPC streams")
COUNTER(CHILDREN_CUT,        REQUESTS, NOTE, "children_cut",   "",            "conversations of which not all messages could be kept within body_max")
COUNTER(BODIES_CUT,          REQUESTS, NOTE, "bodies_cut",     "",            "bodies longer than body_max")

/* exchanges: what became of them between wire/ and the tape */
COUNTER(EXCHANGES_IN,        EXCHANGES, IN,   "exchanges_made",  "",            "exchanges handed to the recorder")
COUNTER(EXCHANGES_STORED,    EXCHANGES, OUT,  "exchanges",       "stored",      "exchanges committed to a tape")
COUNTER(EXCHANGES_FILTERED,  EXCHANGES, OUT,  "exchanges",       "filtered",    "exchanges that the record filter left out")
COUNTER(EXCHANGES_SAMPLED,   EXCHANGES, OUT,  "exchanges",       "sampled",     "exchanges that did not fail and that the settings sample.* or the sample of a TapConfig left out; weights tell for how many those that were kept stand")
COUNTER(EXCHANGES_UNTAPPED,  EXCHANGES, OUT,  "exchanges",       "tapconfig",   "exchanges of namespaces with TapConfigs, none of which asks for them")
COUNTER(EXCHANGES_MERGED,    EXCHANGES, OUT,  "exchanges",       "merged",      "second views of exchanges whose both ends were captured: part of the first")
COUNTER(EXCHANGES_STORE_FULL, EXCHANGES, OUT, "exchanges",       "store_full",  "exchanges dropped because the disk or the quota was full")
COUNTER(EXCHANGES_STORE_ERROR, EXCHANGES, OUT, "exchanges",      "store_error", "exchanges dropped because the store failed")
COUNTER(EXCHANGES_HANDED_OVER, EXCHANGES, OUT, "exchanges",      "handed_over", "exchanges that the node's daemon took (handover.to)")
COUNTER(EXCHANGES_HANDOVER_LOST, EXCHANGES, OUT, "exchanges",    "handover_lost", "exchanges that the node's daemon did not take, or was not known to have taken when the connection ended")
COUNTER(EXCHANGES_DECODED,   EXCHANGES, OUT,  "exchanges",       "decoded",     "exchanges decoded only, as asked")
COUNTER(FILTER_LIMITS,       EXCHANGES, NOTE, "record_filter_gave_up", "",     "conditions of the record filter and of TapConfigs that reached a limit and counted as false: a regular expression's steps, a body's size")
COUNTER(SECRETS_TAPPED,      EXCHANGES, NOTE, "tapconfig_secrets", "",        "values masked in recorded exchanges because a TapConfig names their header or parameter")
COUNTER(EXCHANGES_UNNAMED,   EXCHANGES, NOTE, "exchanges_unnamed", "",        "exchanges with an end that the API server does not know: outside of the cluster, or too new")
COUNTER(NAMES_STALE,         EXCHANGES, NOTE, "exchanges_named_while_away", "", "exchanges named while the API server was away: by what was known before")
COUNTER(NAMES_LATE,          EXCHANGES, NOTE, "names_late",        "",        "ends, an address in a short while each, that got their names after their exchanges were recorded")
COUNTER(NAMES_NEVER,         EXCHANGES, NOTE, "names_never",       "",        "ends that were waited for and that the API server does not know: outside of the cluster, or gone before it told")
COUNTER(NAMES_NOT_AWAITED,   EXCHANGES, NOTE, "names_not_awaited", "",        "ends that keep the names they were recorded with, because too many waited for theirs")
COUNTER(EXCHANGES_HELD,      EXCHANGES, HELD, "exchanges_held",  "",            "exchanges in the queue or in a batch not yet committed")
// clang-format on
