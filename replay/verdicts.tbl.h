// SPDX-License-Identifier: Apache-2.0
/*
 * What can become of an exchange in a replay.
 *
 * VERDICT(NAME, "name", "sentence")
 * SKIP(NAME, "name", "sentence")  - why a request was not sent
 * MISS(NAME, "name", "sentence")  - why a sent request has no (whole) answer
 */
// clang-format off
#ifdef VERDICT
VERDICT(FIXED,     "fixed",     "failed when recorded, and does not fail now")
VERDICT(SAME,      "same",      "the answer equals the recorded one; a failure that fails alike is counted as still failing")
VERDICT(BROKEN,    "broken",    "was fine when recorded, and fails now")
VERDICT(CHANGED,   "changed",   "fine both times, or failing both times, but the answers differ")
VERDICT(NO_ANSWER, "no_answer", "sent, but no whole answer came back")
VERDICT(SKIPPED,   "skipped",   "not sent")
#endif
#ifdef SKIP
SKIP(NONE,        "none",        "not skipped")
SKIP(UNSAFE,      "unsafe",      "its method is not safe (RFC 9110 9.2.1), or a WebSocket's client said something: --allow-unsafe sends it")
SKIP(REPLAYED,    "replayed",    "it was itself sent by a replay: name its id to send it again")
SKIP(NO_REQUEST,  "no_request",  "the request was not recorded")
SKIP(INCOMPLETE,  "incomplete",  "the end of the request was not recorded")
SKIP(GAP,         "gap",         "bytes of the request are missing from the recording")
SKIP(CUT,         "cut",         "the request is longer than what the recorder keeps (head_max, body_max)")
SKIP(NO_RECORD,   "no_record",   "the recorder did not see how it was answered: nothing to compare with")
SKIP(PROTOCOL,    "protocol",    "it is not HTTP/1.0, HTTP/1.1 or HTTP/2, or was upgraded from one to the other")
SKIP(MALFORMED,   "malformed",   "an HTTP/2 request whose fields cannot be sent as they were: no path, or octets that no field may have")
SKIP(UNKNOWN_FIELDS, "unknown_fields", "recorded from the middle of a connection: some header fields are not known")
SKIP(PUSHED,      "pushed",      "the server sent it unasked: there was no request")
SKIP(CONTINUATION, "continuation", "a later part of a conversation: its first part has the request")
SKIP(TUNNEL,      "tunnel",      "CONNECT or an accepted Upgrade: what follows is not HTTP")
SKIP(NO_TARGET,   "no_target",   "no --map names its service and there is no --to")
SKIP(GONE,        "gone",        "it left the tape between planning and sending")
SKIP(INTERRUPTED, "interrupted", "the replay was stopped before its turn")
#endif
#ifdef MISS
MISS(NONE,        "none",        "answered")
MISS(REFUSED,     "refused",     "the target refused the connection")
MISS(UNREACHABLE, "unreachable", "the connection could not be made")
MISS(TIMEOUT,     "timeout",     "no whole answer within --timeout")
MISS(CLOSED,      "closed",      "the target closed the connection before the answer")
MISS(CLOSED_EARLY, "closed_early", "the target closed the connection within the answer")
MISS(RESET,       "reset",       "the target reset the connection")
MISS(GARBAGE,     "garbage",     "the answer is not HTTP, or breaks its rules")
MISS(STREAM_RESET, "stream_reset", "the target reset the stream (HTTP/2 RST_STREAM)")
MISS(GOAWAY,      "goaway",      "the target said that it would not answer it (HTTP/2 GOAWAY)")
MISS(TLS_UNTRUSTED, "tls_untrusted", "the target's certificate is not trusted (--ca FILE names who may have issued it)")
MISS(TLS_EXPIRED, "tls_expired", "the target's certificate is not valid at this time")
MISS(TLS_WRONG_HOST, "tls_wrong_host", "the target's certificate is for another host (--tls-server-name)")
MISS(TLS_ALPN,    "tls_alpn",    "the target does not speak over TLS what was recorded (ALPN)")
MISS(TLS_FAILED,  "tls_failed",  "TLS with the target failed")
MISS(INTERRUPTED, "interrupted", "the replay was stopped while it waited for the answer")
#endif
// clang-format on
