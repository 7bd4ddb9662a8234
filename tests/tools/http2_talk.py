#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write the HTTP/2 cases of tests/case: frames as escaped lines of a talk, from a form a person can read.

    tests/tools/http2_talk.py            writes every case below (input.talk only; expect.ndjson and README are by hand)

Header blocks are literals without indexing, so that each reads by itself; `index` adds to the table.
"""
import pathlib
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIO = 1, 1, 4, 8, 32


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    n = len(s)
    if n < 127:
        return bytes([n]) + s
    out, n = [127], n - 127
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + [n]) + s


def block(*fields, index=False):
    return b"".join((b"\x40" if index else b"\x00") + text(name) + text(value) for name, value in fields)


def request(method, path, *more):
    return block((":method", method), (":scheme", "http"), (":path", path), (":authority", "cart.shop"), *more)


def response(status, *more):
    return block((":status", str(status)), *more)


def grpc(message):
    return b"\0" + struct.pack(">I", len(message)) + message


HELLO = [(">", PREFACE + frame(SETTINGS)), ("<", frame(SETTINGS) + frame(SETTINGS, ACK))]
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
JSON = ("content-type", "application/json")
ALL = END_STREAM | END_HEADERS

CASES = {
    "http2": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/cart/7", ("x-user", "7")))),
        ("<", frame(HEADERS, END_HEADERS, 1, response(200, JSON)) + frame(DATA, 0, 1, b'{"a":') + frame(DATA, END_STREAM, 1, b"1}")),
        (">", frame(WINDOW, 0, 0, struct.pack(">I", 7)) + frame(HEADERS, END_HEADERS, 3, request("POST", "/cart", JSON)) + frame(DATA, END_STREAM, 3, b"{}")),
        ("<", frame(HEADERS, ALL, 3, response(503))),
    ],
    "http2-interleaved": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/1")) + frame(HEADERS, ALL, 3, request("GET", "/2")) + frame(HEADERS, ALL, 5, request("GET", "/3"))),
        ("<", frame(HEADERS, END_HEADERS, 5, response(200)) + frame(HEADERS, END_HEADERS, 1, response(404)) + frame(DATA, 0, 5, b"three ")
         + frame(DATA, 0, 1, b"one") + frame(HEADERS, ALL, 3, response(204)) + frame(DATA, END_STREAM, 5, b"3") + frame(DATA, END_STREAM, 1, b"")),
    ],
    "http2-continuation-padding": HELLO + [
        (">", frame(HEADERS, END_STREAM | PADDED | PRIO, 1, b"\x03" + struct.pack(">IB", 0x80000000, 16) + request("GET", "/long")[:20] + b"\0\0\0")
         + frame(CONTINUATION, 0, 1, request("GET", "/long")[20:30]) + frame(CONTINUATION, END_HEADERS, 1, request("GET", "/long")[30:])),
        ("<", frame(HEADERS, END_HEADERS, 1, response(200)) + frame(DATA, END_STREAM | PADDED, 1, b"\x04body\0\0\0\0")),
    ],
    "http2-reset": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/slow")) + frame(HEADERS, END_HEADERS, 3, request("POST", "/upload")) + frame(DATA, 0, 3, b"part")),
        ("<", frame(RST, 0, 3, struct.pack(">I", 2))),
        (">", frame(RST, 0, 1, struct.pack(">I", 8))),
    ],
    "http2-goaway": HELLO + [
        (">", b"".join(frame(HEADERS, ALL, n, request("GET", f"/{n}")) for n in (1, 3, 5))),
        ("<", frame(GOAWAY, 0, 0, struct.pack(">II", 1, 11)) + frame(HEADERS, ALL, 1, response(200))),
    ],
    "http2-push": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/page"))),
        ("<", frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + request("GET", "/style.css")) + frame(HEADERS, ALL, 1, response(200))
         + frame(HEADERS, END_HEADERS, 2, response(200)) + frame(DATA, END_STREAM, 2, b"css")),
    ],
    "http2-interim": HELLO + [
        (">", frame(HEADERS, END_HEADERS, 1, request("POST", "/", ("expect", "100-continue")))),
        ("<", frame(HEADERS, END_HEADERS, 1, response(100))),
        (">", frame(DATA, END_STREAM, 1, b"body")),
        ("<", frame(HEADERS, END_HEADERS, 1, response(103, ("link", "</x>"))) + frame(HEADERS, ALL, 1, response(201))),
    ],
    "http2-gap-in-data": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/big"))),
        ("<", frame(HEADERS, END_HEADERS, 1, response(200, ("content-length", "20"))) + frame(DATA, END_STREAM, 1, b"x" * 20)[:14]),
        "@gap < 10",
        ("<", b"x" * 5),
        (">", frame(HEADERS, ALL, 3, request("GET", "/next"))),
        ("<", frame(HEADERS, ALL, 3, response(200))),
    ],
    "http2-unknown-frames": HELLO + [
        (">", frame(0x2a, 0xff, 9, b"whatever") + frame(HEADERS, ALL, 1, request("GET", "/")) + frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
        ("<", frame(0xa, 0, 0, b"altsvc") + frame(PING, 0, 0, b"12345678") + frame(HEADERS, ALL, 1, response(200))),
    ],
    "http2-head-cut": ["@set head_max 1024"] + HELLO + [
        (">", frame(HEADERS, END_STREAM, 1, request("GET", "/bomb") + block(("x-a", "a" * 500), ("x-b", "b" * 500), index=True))
         + frame(CONTINUATION, END_HEADERS, 1, b"\xbe" * 200 + b"\xbf" * 200)),
        ("<", frame(HEADERS, ALL, 1, response(431))),
    ],
    "http2-bad-field": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/", ("x-evil", b"a\r\nx-injected: b"), ("", "nameless")))),
        ("<", frame(HEADERS, ALL, 1, response(400))),
    ],
    "http2-extended-connect": HELLO + [
        (">", frame(HEADERS, END_HEADERS, 1, block((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"),
                                                   (":authority", "cart.shop")))),
        ("<", frame(HEADERS, END_HEADERS, 1, response(200))),
        (">", frame(DATA, END_STREAM, 1, b"\x81\x80\0\0\0\0")),
        ("<", frame(DATA, END_STREAM, 1, b"\x81\x00")),
    ],
    "http2-redacted": ["@redact"] + HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/login?token=s3cret&x=1", ("authorization", "Bearer abc"), ("cookie", "sid=s3cret; a=b")))),
        ("<", frame(HEADERS, ALL, 1, response(200, ("set-cookie", "sid=s3cret; Path=/")))),
    ],
    "http2-closed": HELLO + [
        (">", frame(HEADERS, ALL, 1, request("GET", "/"))),
        "@fin <",
        "@fin >",
    ],
    "h2c-upgrade": [
        (">", b"GET /first HTTP/1.1\r\nHost: cart.shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"),
        ("<", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + frame(SETTINGS)),
        (">", PREFACE + frame(SETTINGS) + frame(HEADERS, ALL, 3, request("GET", "/second"))),
        ("<", frame(HEADERS, END_HEADERS, 1, response(500)) + frame(DATA, END_STREAM, 1, b"no") + frame(HEADERS, ALL, 3, response(200))),
    ],
    "grpc": HELLO + [
        (">", frame(HEADERS, END_HEADERS, 1, request("POST", "/shop.v1.Cart/Add", *GRPC, ("grpc-timeout", "100m")))
         + frame(DATA, 0, 1, grpc(b"one") + grpc(b"")[:3]) + frame(DATA, END_STREAM, 1, grpc(b"")[3:])),
        ("<", frame(HEADERS, END_HEADERS, 1, response(200, GRPC[0])) + frame(DATA, 0, 1, grpc(b"answer"))
         + frame(HEADERS, ALL, 1, block(("grpc-status", "0")))),
        (">", frame(HEADERS, END_HEADERS, 3, request("POST", "/shop.v1.Cart/Add", *GRPC)) + frame(DATA, END_STREAM, 3, grpc(b"x"))),
        ("<", frame(HEADERS, ALL, 3, response(200, GRPC[0], ("grpc-status", "9"), ("grpc-message", "cart%20is%20locked")))),
        (">", frame(HEADERS, END_HEADERS, 5, request("POST", "/shop.v1.Cart/Watch", *GRPC)) + frame(DATA, 0, 5, grpc(b"x"))),
        ("<", frame(HEADERS, END_HEADERS, 5, response(200, GRPC[0])) + frame(DATA, 0, 5, grpc(b"1") + grpc(b"2"))),
        (">", frame(RST, 0, 5, struct.pack(">I", 8))),
    ],
    "grpc-deadline": HELLO + [
        (">", frame(HEADERS, END_HEADERS, 1, request("POST", "/shop.v1.Cart/Slow", *GRPC, ("grpc-timeout", "2S"))) + frame(DATA, END_STREAM, 1, grpc(b""))),
        "@wait 2s",
        (">", frame(RST, 0, 1, struct.pack(">I", 8))),
    ],
}


def escaped(data):
    return "".join(chr(b) if 0x20 <= b < 0x7f and b != 0x5c else {13: "\\r", 10: "\\n", 9: "\\t"}.get(b, f"\\x{b:02x}") for b in data)


def main():
    root = pathlib.Path(__file__).resolve().parents[1] / "case"
    for name, steps in CASES.items():
        lines = [step if isinstance(step, str) else f"{step[0] * 2}| {escaped(step[1])}" for step in steps]
        (root / name).mkdir(exist_ok=True)
        (root / name / "input.talk").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
