// SPDX-License-Identifier: Apache-2.0
/*
 * What a counter above 0 means to the operator, and which setting to turn.
 *
 * LOSS(COUNTER, LEVEL, "setting", "advice")
 *
 * LEVEL   LOST  something that was asked for is missing: doctor's exit status is 1
 *         NOTE  worth knowing, nothing is wrong
 * setting a key of schema/settings.tbl.h, "" for none (a test checks that it exists)
 */
// clang-format off
LOSS(KERNEL_DROPPED,        LOST, "capture.buffer",   "the ring was full before we came: raise it, or narrow capture.bpf")
LOSS(PACKETS_LINKTYPE,      LOST, "capture.interfaces", "an interface of a kind that is not understood: leave it out")
LOSS(PACKETS_NO_FLOW,       LOST, "flows_max",        "more connections at once than may be followed: raise it, and memory_max with it")
LOSS(PACKETS_SNAPLEN,       LOST, "capture.snaplen",  "packets were cut short: raise it (for a file: record it again with tcpdump -s 0)")
LOSS(BYTES_DROPPED,         LOST, "memory_max",       "segments waited too long for an earlier one: raise it")
LOSS(CONNECTIONS_EVICTED,   LOST, "memory_max",       "connections were given up: raise it, and flows_max with it")
LOSS(REQUESTS_SHARE,        LOST, "queue_size",       "a pod made more exchanges than its share of the queue while the recorder could not keep up: raise it, or sample that pod's service")
LOSS(REQUESTS_QUEUE_FULL,   LOST, "queue_size",       "the recorder could not keep up: raise it; if that does not last, lower store.compression or set record")
LOSS(REQUESTS_EVICTED,      LOST, "memory_max",       "requests were given up while they waited for their response: raise it, or lower exchange_timeout")
LOSS(EXCHANGES_STORE_FULL,  LOST, "store.max",        "no room on the disk or in the quota: free the disk, or lower it")
LOSS(EXCHANGES_STORE_ERROR, LOST, "store.dir",        "the store failed: the daemon's log says why")
LOSS(BYTES_MISSING,         NOTE, "",                 "holes in the streams: packets that never passed here, or lost above")
LOSS(PARSE_ERRORS,          NOTE, "",                 "streams that stopped making sense; recording went on at the next message")
LOSS(BODIES_CUT,            NOTE, "body_max",         "longer bodies are kept in part: raise it if you need them whole")
LOSS(EXCHANGES_SAMPLED,     NOTE, "sample.one_in",    "sampled out, as the settings sample.* ask; failures never are")
LOSS(EXCHANGES_FILTERED,    NOTE, "record",           "left out, as this filter asks")
LOSS(EXCHANGES_UNTAPPED,    NOTE, "kube.tapconfigs",  "left out, since no TapConfig of their namespace asks for them")
LOSS(NAMES_STALE,           NOTE, "kube.config",      "named by what was known before, since the API server was away: the daemon's log says why")
LOSS(CONNECTIONS_TLS,       NOTE, "",                 "encrypted: to see inside, capture behind what ends TLS (loopback of a mesh's pod)")
LOSS(CONNECTIONS_OTHER,     NOTE, "capture.bpf",      "no HTTP in them: leave their ports out to save work")
// clang-format on
