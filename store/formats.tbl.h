// SPDX-License-Identifier: Apache-2.0
/*
 * The file formats that exchanges are written in and read from: docs/formats.md describes them.
 *
 * FORMAT(name, "name", "endings", "media type", "sentence")  store/format_NAME.c; endings in one
 * text, blanks between LOSS(NAME, "sentence")  what a format cannot hold of an exchange: behind "12
 * of 300 exchanges: "; counted, said at the end
 */
// clang-format off
#ifdef FORMAT
FORMAT(har,   "har",   ".har",            "application/har+json",         "HTTP Archive 1.2, as browsers and proxies read it")
FORMAT(gor,   "gor",   ".gor",            "application/x-goreplay",       "GoReplay's requests and responses, payload by payload")
FORMAT(jsonl, "jsonl", ".jsonl .ndjson",  "application/x-ndjson",         "JSON lines with every byte: the exact part of docs/json.md")
FORMAT(csv,   "csv",   ".csv",            "text/csv; charset=utf-8",      "all fields of a filter as columns, for spreadsheets")
FORMAT(pcap,  "pcap",  ".pcap",           "application/vnd.tcpdump.pcap", "packets of the connections, for Wireshark and everything that reads captures")
FORMAT(sh,    "sh",    ".sh",             "text/x-shellscript",           "a shell script with a curl command for each request")
#endif
#ifdef LOSS
LOSS(NO_REQUEST,      "no request was seen: left out")
LOSS(NO_RESPONSE,     "no response was seen: the request alone is written")
LOSS(RESPONSES,       "the response is left out: a script sends requests")
LOSS(HTTP2_AS_HTTP1,  "HTTP/2, written as HTTP/1.1 would say it")
LOSS(HTTP2_ODD,       "HTTP/2 whose fields are not all known, that was pushed, or that began as HTTP/1: left out")
LOSS(HOLES,           "bytes that were not recorded: missing in the packets, too")
LOSS(ADDRESS,         "an address that is not known: written as 192.0.2.1, 192.0.2.2 or 2001:db8::")
LOSS(PARTS,           "a later part of what was recorded in parts while it went on: left out")
LOSS(LATE,            "packets that stand behind later ones, so as not to need more memory")
LOSS(CHILDREN,        "WebSocket, whose messages are left out")
LOSS(SEPARATOR,       "holds GoReplay's separator of payloads, which would tear the file: left out")
LOSS(BODY_CUT,        "of the body the beginning was recorded: so it is written")
LOSS(BODIES,          "a body, of which a row holds the size")
#endif
#ifdef FLAW
FLAW(UNREADABLE,  "could not be read: left out")
FLAW(NO_BODY,     "a body of which the file tells only the size")
FLAW(DECODED,     "the body is there decoded: Content-Encoding and Content-Length are made to fit")
FLAW(CACHED,      "a status without a body, with one: the browser's own copy, left out")
FLAW(HTTP3,       "HTTP/3: kept as HTTP/2, whose fields it shares")
FLAW(SURPLUS,     "a second answer, as a replay adds it: left out")
FLAW(UNANSWERED,  "a request without its response")
FLAW(LONELY,      "a response without its request")
FLAW(SUMMARY,     "a summary without messages: left out (write with --part exact, or `tapeloop export`)")
FLAW(LEFT_OVER,   "bytes in front of or behind the message: left out")
#endif
// clang-format on
