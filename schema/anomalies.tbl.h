// SPDX-License-Identifier: Apache-2.0
/*
 * Facts about an exchange that a reader should know before trusting it: one bit each.
 * The order is stored on tapes: append only.
 *
 * ANOMALY(NAME, "name", "sentence")
 */
// clang-format off
ANOMALY(MIDSTREAM,         "midstream",         "the connection was joined after it began")
ANOMALY(GAP_REQUEST,       "gap_request",       "packets of the request are missing")
ANOMALY(GAP_RESPONSE,      "gap_response",      "packets of the response are missing")
ANOMALY(BODY_CUT_REQUEST,  "body_cut_request",  "the request body is longer than body_max; its beginning is kept")
ANOMALY(BODY_CUT_RESPONSE, "body_cut_response", "the response body is longer than body_max; its beginning is kept")
ANOMALY(REDACTED,          "redacted",          "a credential was replaced by its tag")
ANOMALY(SNAPLEN,           "snaplen",           "the capture cut packets short")
ANOMALY(EARLY_RESPONSE,    "early_response",    "the response began before the request was complete")
ANOMALY(PIPELINED,         "pipelined",         "sent before the previous request was answered")
ANOMALY(CL_AND_TE,         "cl_and_te",         "both Content-Length and Transfer-Encoding (RFC 9112 6.3, smuggling)")
ANOMALY(CL_CONFLICT,       "cl_conflict",       "several Content-Length values that differ")
ANOMALY(CL_INVALID,        "cl_invalid",        "a Content-Length that is no number")
ANOMALY(TE_UNKNOWN,        "te_unknown",        "a Transfer-Encoding whose last coding is not chunked")
ANOMALY(BAD_CHUNK,         "bad_chunk",         "a chunk size line that breaks RFC 9112 7.1")
ANOMALY(BARE_LF,           "bare_lf",           "lines that end in LF without CR")
ANOMALY(OBS_FOLD,          "obs_fold",          "a header continued on the next line (RFC 9112 5.2)")
ANOMALY(BAD_HEADER,        "bad_header",        "a header line without a valid name or colon")
ANOMALY(HEAD_CUT,          "head_cut",          "the head is longer than head_max; its beginning is kept")
ANOMALY(DUPLICATE_HOST,    "duplicate_host",    "more than one Host header")
ANOMALY(BODY_ON_BODILESS,  "body_on_bodiless",  "bytes where a 204, 304 or HEAD answer allows none")
ANOMALY(OVERLAP,           "overlap",           "retransmitted bytes differ from those seen first")
ANOMALY(TUNNEL,            "tunnel",            "the connection became a tunnel (101, or 2xx to CONNECT)")
ANOMALY(RESYNCED,          "resynced",          "found again after bytes that were not understood")
ANOMALY(REPLAYED,          "replayed",          "sent by tapeloop itself: carries Tapeloop-Replay")
ANOMALY(H2_PARTIAL,        "h2_partial",        "joined late: some header fields refer to what was sent before, and are not known")
ANOMALY(PUSHED,            "pushed",            "the server sent it unasked (HTTP/2 PUSH_PROMISE)")
ANOMALY(GRPC_DERIVED,      "grpc_derived",      "the gRPC status was derived from how the stream was reset")
ANOMALY(CHILDREN_CUT,      "children_cut",      "more WebSocket messages, events or messages of a gRPC stream than body_max has room for; the first are kept")
ANOMALY(CONTINUATION,      "continuation",      "goes on with an earlier exchange of the same connection and sequence, which was recorded while it was under way")
ANOMALY(SYNTHESISED,       "synthesised",       "imported from a file that tells what the messages said, not their bytes: heads were put together")
// clang-format on
