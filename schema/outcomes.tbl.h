// SPDX-License-Identifier: Apache-2.0
/*
 * How an exchange ended, and why it has no (whole) answer.
 *
 * OUTCOME(NAME, "name", is_failed, "sentence")  - the kind; failed("name") in a filter asks for it
 * REASON(NAME, "name", "sentence")              - why there is no response, or not all of it
 */
// clang-format off
#ifdef OUTCOME
OUTCOME(OK,           "ok",           false, "answered with 1xx, 2xx or 3xx")
OUTCOME(CLIENT_ERROR, "client_error", false, "answered with 4xx")
OUTCOME(SERVER_ERROR, "server_error", true,  "answered with 5xx")
OUTCOME(GRPC_ERROR,   "grpc_error",   true,  "answered with a grpc-status other than 0")
OUTCOME(RESET,        "reset",        true,  "the connection was reset before the answer was complete")
OUTCOME(TIMEOUT,      "timeout",      true,  "no answer within exchange_timeout")
OUTCOME(NO_RESPONSE,  "no_response",  true,  "the connection ended without an answer")
OUTCOME(INCOMPLETE,   "incomplete",   false, "the capture did not see enough of it to say how it ended")
#endif
#ifdef REASON
REASON(NONE,          "none",          "nothing is missing")
REASON(RESET_CLIENT,  "reset_client",  "the client sent RST")
REASON(RESET_SERVER,  "reset_server",  "the server sent RST")
REASON(CLOSED,        "closed",        "the server closed before answering, or before the answer was whole")
REASON(CLIENT_CLOSED, "client_closed", "the client closed and no answer followed")
REASON(TIMED_OUT,     "timed_out",     "no answer within exchange_timeout")
REASON(CAPTURE_END,   "capture_end",   "the capture or the recorder ended first")
REASON(GAP,           "gap",           "packets that carried it are missing from the capture")
REASON(ONE_SIDED,     "one_sided",     "the capture holds one direction of the connection only")
REASON(NO_REQUEST,    "no_request",    "the response was seen without its request")
REASON(EVICTED,       "evicted",       "given up to keep memory_max")
REASON(PARSE_ERROR,   "parse_error",   "the answer could not be understood")
REASON(UNKNOWN_STATUS, "unknown_status", "joined late: its status is among the header fields that are not known")
REASON(GOAWAY,        "goaway",        "the server said that it would not answer it (HTTP/2 GOAWAY)")
REASON(ONGOING,       "ongoing",       "still under way when this part of it was recorded; later exchanges of its connection and sequence go on with it")
#endif
// clang-format on
