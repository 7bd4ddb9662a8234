# SPDX-License-Identifier: Apache-2.0
"""tapeloop on the command line: the same answers from a store and from a daemon, safe and useful output."""
import gzip
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import programs
from pods import wait_for
from talk import Capture

OWN = b"Host: shop:8080\r\nUser-Agent: test/1\r\nAccept: */*\r\n"
BODY = b'{"sku":7,"note":"it\'s \\"fine\\" $HOME `id`"}'
BINARY = bytes(range(256)) * 3
REQUESTS = {  # what curl can send again to the byte
    "get": b"GET /cart/7?a=1&b=%20c HTTP/1.1\r\n" + OWN + b"X-Empty:\r\nX-Two: a\r\nX-Two:  b  c\r\n\r\n",
    "post": b"POST /cart HTTP/1.1\r\n" + OWN + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "put": b"PUT /blob HTTP/1.1\r\n" + OWN + b"Content-Length: %d\r\n\r\n" % len(BINARY) + BINARY,
    "head": b"HEAD /cart HTTP/1.1\r\n" + OWN + b"\r\n",
    "delete": b"DELETE /cart/7 HTTP/1.1\r\n" + OWN + b"\r\n",
    "dots": b"GET /a/../b/./c?x HTTP/1.1\r\n" + OWN + b"\r\n",
    "odd": b"GET /[a]{b}#c?d|e\\f HTTP/1.1\r\n" + OWN + b"\r\n",
    "quotes": b"GET /q HTTP/1.1\r\n" + OWN + b"X-Q: ';touch /tmp/owned;'\"$(id)`id`\\\r\n\r\n",
    "at": b"POST /at HTTP/1.1\r\n" + OWN + b"Content-Length: 12\r\n\r\n@/etc/passwd",
    "empty-post": b"POST /none HTTP/1.1\r\n" + OWN + b"Content-Length: 0\r\n\r\n",
    "bare": b"GET /bare HTTP/1.1\r\nHost: shop\r\n\r\n",
    "old": b"GET /old HTTP/1.0\r\nHost: shop\r\n\r\n",
}
EVIL = b"GET /evil\x1b]0;owned\x07 HTTP/1.1\r\nHost: shop\r\nX-Title: \x1b[2J\xc2\x9b31m\xff\r\n\r\n"
TEXT = b'{"ok":false,"items":[1,2.50,{"a":null}]}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n06\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n"


def answer(status=200, body=b"", *headers):
    lines = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def make_capture(path):
    c = Capture()
    for name, request in REQUESTS.items():
        c.talk((">", request), ("<", answer(200, b"" if name == "head" else b"ok\n", b"Content-Type: text/plain")))
    c.talk((">", EVIL), ("<", answer(500, b"\x1b[31mno\x07\xff\x00", b"Content-Type: text/\x1b[1mx")))
    for _ in range(3):
        c.talk((">", REQUESTS["get"]), ("<", answer(503, TEXT, b"Content-Type: application/json")))
    c.talk((">", REQUESTS["get"]), ("<", CHUNKED))
    c.talk((">", REQUESTS["get"]), ("<", answer(200, gzip.compress(TEXT), b"Content-Type: application/json", b"Content-Encoding: gzip")))
    c.talk((">", REQUESTS["get"]), end="reset")
    return c.write(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    base = tmp_path_factory.mktemp("cli")
    made = programs.tapeloop("import", "--store", base / "store", make_capture(base / "made.pcap"))
    assert made.returncode == 0, made.stderr
    return base / "store"


@pytest.fixture
def api(node, daemon, store, directory):
    """The same store behind a daemon that sees no traffic."""
    copy = directory / "copy"
    shutil.copytree(store, copy)
    d = daemon(namespace=node.pod("quiet"), settings={"store.dir": str(copy)})
    return f"unix:{d.socket}"


def ask(store, *words, **options):
    return programs.tapeloop(*words, "--store", store, **options)


def ids(store, *words):
    return ask(store, "ls", "-n", "0", "-r", "-o", "id", *words).stdout.split()


def id_of(store, name):
    """The id of the first exchange made from REQUESTS[name]."""
    return ids(store)[list(REQUESTS).index(name)]


# ---- the same answers both ways ----

QUESTIONS = [
    ("ls",), ("ls", "-o", "wide"), ("ls", "-r", "-n", "3"), ("ls", "-o", "json", "-n", "4"), ("ls", "-o", "json", "-n", "0"),
    ("ls", "-o", "jsonl", "--part", "messages", "-n", "0"), ("ls", "-o", "jsonl", "--part", "exact", "-n", "0"),
    ("ls", "-o", "curl", "-n", "0"), ("ls", "-o", "id"), ("ls", "failed()"), ("ls", "5xx", "-o", "json"), ("ls", "status == 1"),
    ("ls", "--since", "1h"), ("ls", "--until", "2020-01-01"), ("ls", 'request.headers["x-two"] == "a"', "-n", "2"),
    ("failures",), ("failures", "-o", "wide"), ("failures", "-o", "json"), ("failures", "-o", "jsonl"), ("failures", "-n", "1"),
    ("failures", "status == 503", "-e"), ("failures", "status == 1"), ("ls", "status = 5"), ("failures", "status == "),
    ("show", "0000"), ("show", "!"),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_a_daemon_and_a_store_answer_alike(store, api, words):
    here, there = ask(store, *words), programs.tapeloop(*words, "--api", api)
    def timeless(text):
        return re.sub(r"\d+[smh] ago", "ago", text)
    assert timeless(here.stdout) == timeless(there.stdout)
    assert here.returncode == there.returncode
    assert bool(here.stderr) == bool(there.stderr)


def test_every_exchange_shows_alike_in_every_form(store, api):
    every = ids(store)
    assert len(every) == len(REQUESTS) + 7
    for form in (["--as", "text"], ["--as", "curl"], ["--as", "http"], ["--as", "json"], ["--as", "exact"], ["--raw"],
                 ["--request-body"], ["--response-body"]):
        here = ask(store, "show", *every, *form, text=False)
        there = programs.tapeloop("show", *every, *form, "--api", api, text=False)
        assert re.sub(rb"\d+[smh] ago", b"ago", here.stdout) == re.sub(rb"\d+[smh] ago", b"ago", there.stdout), form
        assert here.returncode == there.returncode == 0


def test_long_lists_come_in_pages_and_each_exchange_once(node, daemon, directory):
    c = Capture()
    for i in range(500):
        steps = []
        for k in range(5):
            steps += [(">", b"GET /%d/%d HTTP/1.1\r\nHost: h\r\n\r\n" % (i, k)), ("<", answer(200, b"x" * 50))]
        c.talk(*steps)
        c.now -= 0.99
    path = directory / "store"
    assert programs.tapeloop("import", "--store", path, c.write(directory / "long.pcap")).returncode == 0
    here = ask(path, "ls", "-n", "0", "-o", "jsonl")
    rows = [json.loads(line) for line in here.stdout.splitlines()]
    assert len({r["id"] for r in rows}) == len(rows) == 2500
    assert [r["id"] for r in rows] == sorted((r["id"] for r in rows), reverse=True)
    d = daemon(namespace=node.pod("quiet"), settings={"store.dir": str(path)})
    there = programs.tapeloop("ls", "-n", "0", "-o", "jsonl", "--api", f"unix:{d.socket}")
    assert there.stdout == here.stdout
    some = programs.tapeloop("ls", "-n", "1500", "-o", "json", "--api", f"unix:{d.socket}")
    page = json.loads(some.stdout)
    assert len(page["exchanges"]) == 1500
    rest = ask(path, "ls", "-n", "0", "-o", "json", "--cursor", page["next_cursor"])
    assert [x["id"] for x in page["exchanges"] + json.loads(rest.stdout)["exchanges"]] == [r["id"] for r in rows]


# ---- what it shows ----

def test_raw_bytes_are_those_of_the_wire(store):
    every = ids(store)
    for name, request in REQUESTS.items():
        raw = ask(store, "show", id_of(store, name), "--raw", text=False).stdout
        assert raw.startswith(request), name
        assert raw[len(request):].startswith(b"HTTP/1.1 200 X\r\n"), name
    chunked = ask(store, "show", every[-3], "--raw", text=False).stdout
    assert chunked == REQUESTS["get"] + CHUNKED
    assert ask(store, "show", every[-3], "--response-body", text=False).stdout == b"hello world"
    assert ask(store, "show", id_of(store, "put"), "--request-body", text=False).stdout == BINARY


def test_bodies_are_shown_as_what_they_are(store):
    every = ids(store)
    json_body = ask(store, "show", every[-4]).stdout
    assert '  {\n    "ok": false,\n    "items": [\n      1,\n      2.50,' in json_body
    assert "note" not in json_body
    packed = ask(store, "show", every[-2]).stdout
    assert f"(decoded from gzip, {len(gzip.compress(TEXT))} bytes on the wire)" in packed and '"ok": false,' in packed
    binary = ask(store, "show", id_of(store, "put")).stdout
    assert "00000010  10 11 12 13" in binary and "256 more bytes: --request-body gives them all" in binary
    reset = ask(store, "show", every[-1]).stdout
    assert "reset" in reset and "(no response)" in reset
    trailers = ask(store, "show", every[-3]).stdout
    assert "< X-Sum: 11" in trailers and "hello world" in trailers


def test_a_body_that_does_not_decode_is_told(tmp_path):
    bodies = {
        "bomb": (b"gzip", gzip.compress(bytes(20_000_000)), r"\(.*; of [0-9,]+ bytes on the wire this could be decoded: \d+ bytes\)"),
        "damaged": (b"gzip", gzip.compress(TEXT)[:-20] + b"\xff" * 20, r"\(.* this could be decoded: \d+ bytes\)"),
        "unknown": (b"rot13", b"uryyb", r"\(content coding rot13 is not known: as it was on the wire\)\n  uryyb"),
    }
    c = Capture()
    for coding, body, _ in bodies.values():
        c.talk((">", REQUESTS["bare"]), ("<", answer(200, body, b"Content-Encoding: " + coding)))
    where = tmp_path / "store"
    assert programs.tapeloop("import", "--store", where, c.write(tmp_path / "coded.pcap")).returncode == 0
    for id, (_, body, said) in zip(ids(where), bodies.values(), strict=True):
        assert re.search(said, ask(where, "show", id).stdout), said
        wire = ask(where, "show", id, "--response-body", text=False)
        assert wire.stdout == body and wire.returncode == 0
        decoded = ask(where, "show", id, "--response-body", "--decoded", text=False)
        assert decoded.returncode == 3 and b"not decoded to its end" in decoded.stderr
        assert len(decoded.stdout) <= 8 << 20


def test_an_ending_of_an_id_is_enough_and_what_is_not_there_is_said(store):
    whole = ids(store)[0]
    assert whole in ask(store, "show", whole[-7:].lower()).stdout
    missing = ask(store, "show", "0000000000000", whole)
    assert missing.returncode == 1 and whole in missing.stdout and "0000000000000" in missing.stderr
    wrong = ask(store, "show", "U!")
    assert (wrong.returncode, wrong.stdout) == (2, "") and "is no id" in wrong.stderr


def test_failures_are_grouped_by_kind(store):
    groups = json.loads(ask(store, "failures", "-o", "json").stdout)["failures"]
    assert [(g["count"], g["status"], g["outcome"]) for g in groups][0] == (3, 503, "server_error")
    assert {(g["status"], g["outcome"]) for g in groups} == {(503, "server_error"), (500, "server_error"), (0, "reset")}
    assert ask(store, "failures").returncode == 0
    assert ask(store, "failures", "-e").returncode == 1
    none = ask(store, "failures", "--until", "2020-01-01", "-e")
    assert (none.returncode, none.stdout) == (0, "") and "No failures in that time" in none.stderr


def test_nothing_matched_is_said_and_is_a_status_when_one_asked_for_something(store):
    none = ask(store, "ls", "status == 1")
    assert (none.returncode, none.stdout) == (1, "") and "Nothing matches" in none.stderr
    assert ask(store, "ls", "--until", "2020-01-01").returncode == 0
    assert json.loads(ask(store, "ls", "status == 1", "-o", "json").stdout) == {"exchanges": [], "next_cursor": None}


def test_a_wrong_filter_shows_its_place(store):
    wrong = ask(store, "ls", "status = 5")
    assert wrong.returncode == 2
    assert "\n  status = 5\n         ^" in wrong.stderr


def test_explain_shows_sql_and_lists_nothing(store, api):
    explained = ask(store, "ls", "status >= 500", "--explain")
    assert explained.returncode == 0 and "status" in explained.stdout and "SELECT" in explained.stdout.upper()
    asked = programs.tapeloop("ls", "status >= 500", "--explain", "--api", api)
    assert asked.returncode == 0 and "SELECT" in asked.stdout and "looked at" in asked.stdout


def test_text_searches_heads_and_bodies(store, api):
    everything = ask(store, "ls", "-n", "0", "-o", "id").stdout.split()
    with_host = ask(store, "ls", "-n", "0", "-o", "id", "--text", "HOST:").stdout.split()
    assert everything and with_host == everything  # every head of ours has one, however it is written
    none = ask(store, "ls", "--text", "no such text anywhere")
    assert none.returncode == 1 and "Nothing matches" in none.stderr
    narrowed = programs.tapeloop("ls", "5xx", "--text", "host:", "-o", "id", "-n", "0", "--api", api)
    assert narrowed.returncode == 0
    assert narrowed.stdout.split() == ask(store, "ls", "5xx", "-n", "0", "-o", "id").stdout.split()


# ---- on a terminal ----

def on_terminal(*words, env=None, columns=100):
    """What a terminal of that width gets to see."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPELOOP")}
    process = subprocess.Popen([str(programs.TAPELOOP), *map(str, words)], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                               env={**clean, "TZ": "UTC", "TERM": "xterm", **(env or {})})
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(master)
    process.wait(20)
    return seen.decode().replace("\r\n", "\n")


COLOURS = re.compile(r"\x1b\[(\d+)?m")


@pytest.mark.parametrize("words", [("ls", "-n", "0"), ("ls", "-o", "wide"), ("failures",), ("show", "EVIL"), ("show", "EVIL", "--raw"),
                                   ("show", "EVIL", "--response-body"), ("show", "EVIL", "--as", "http"), ("show", "EVIL", "--as", "curl"),
                                   ("show", "EVIL", "--as", "json"), ("ls", "-o", "curl", "-n", "0"), ("ls", "-o", "jsonl", "--part", "messages")],
                         ids=" ".join)
def test_what_came_off_the_wire_never_steers_the_terminal(store, words):
    evil = ids(store, "status == 500")[0]
    seen = on_terminal(*[evil if w == "EVIL" else w for w in words], "--store", store)
    assert "evil" in seen or "\\x1b[31mno" in seen
    left = COLOURS.sub("", seen)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", left), left


def test_tables_fit_the_terminal_and_colours_can_be_refused(store):
    for columns in (60, 80, 100, 200):
        seen = on_terminal("ls", "-n", "0", "--store", store, columns=columns)
        assert "\x1b[" in seen
        assert max(len(COLOURS.sub("", line)) for line in seen.splitlines()) <= columns
    assert "\x1b" not in on_terminal("ls", "--store", store, env={"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal("ls", "--store", store, env={"TERM": "dumb"})
    assert "\x1b" not in ask(store, "ls").stdout


def test_a_person_is_told_what_to_do_next(store):
    assert "tapeloop show" in on_terminal("failures", "--store", store)
    assert "--as curl" in on_terminal("show", ids(store)[0], "--store", store)
    assert "tapeloop show" not in ask(store, "failures").stderr


# ---- a good neighbour ----

def test_a_reader_that_goes_away_is_no_error(store):
    done = subprocess.run(f"{programs.TAPELOOP} ls -n 0 -o jsonl --part exact --store {store} | head -c 10; echo ${{PIPESTATUS[0]}}",
                          shell=True, executable="/bin/bash", capture_output=True, text=True)
    assert done.stdout.endswith("0\n") and done.stderr == ""


def test_a_full_disk_is_an_error(store):
    with open("/dev/full", "w") as full:
        done = ask(store, "ls", stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 3 and "No space left" in done.stderr


def test_what_cannot_be_asked_is_said_with_status_3(store, directory):
    for words in (["--store", directory / "none"], ["--api", f"unix:{directory}/none"], ["--api", "http://127.0.0.1:1"]):
        for command in (["ls"], ["tail"], ["failures"], ["show", "ABCDEFG"]):
            done = programs.tapeloop(*command, *words)
            assert (done.returncode, done.stdout) == (3, ""), (command, words)
            assert str(words[1]).removeprefix("unix:") in done.stderr
    assert programs.tapeloop("ls", "--api", "ftp://x").returncode == 2
    assert programs.tapeloop("ls", "--api", "unix:/x", "--store", "/y").returncode == 2


def test_environment_names_the_place_and_flags_are_stronger(store, directory):
    assert programs.tapeloop("ls", env={"TAPELOOP_STORE": str(store)}).returncode == 0
    gone = f"unix:{directory}/gone"
    assert programs.tapeloop("ls", env={"TAPELOOP_STORE": str(store), "TAPELOOP_API": gone}).returncode == 3
    assert programs.tapeloop("ls", "--store", store, env={"TAPELOOP_API": gone}).returncode == 0


def test_misuse_is_answered_with_status_2_and_the_nearest_word(store):
    for words, said in ((["shwo"], "tapeloop show"), (["ls", "--sinse", "1h"], "--since"), (["ls", "--since", "soon"], "not a time"),
                        (["ls", "-o", "xml"], "table wide json"), (["ls", "a", "b"], "quotes"), (["show"], "ID"), ([], "--help"),
                        (["show", "ABCD", "--to", "http://x"], "--as curl")):
        done = programs.tapeloop(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert said in done.stderr, words


def test_every_command_explains_itself():
    listed = programs.tapeloop("--help")
    assert listed.returncode == 0
    names = re.findall(r"^  ([a-z]+) ", listed.stdout, re.M)
    assert {"ls", "tail", "show", "failures", "doctor"} <= set(names)
    for name in names:
        for words in ([name, "--help"], [name, "-h"], ["help", name]):
            done = programs.tapeloop(*words)
            assert done.returncode == 0 and f"Usage: tapeloop {name}" in done.stdout and "--help" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 100
    assert re.fullmatch(r"tapeloop \d+\.\d+\.\d+\n", programs.tapeloop("--version").stdout)


# ---- tail ----

def follow(children, *words):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPELOOP")}
    return children(programs.TAPELOOP, "tail", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**clean, "TZ": "UTC"})


def record_now(directory, store, path):
    c = Capture(start=time.time() - 2)
    c.talk((">", b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode()), ("<", answer(200, b"x")))
    done = programs.tapeloop("import", "--store", store, c.write(directory / "now.pcap"))
    assert done.returncode == 0, done.stderr


def test_tail_follows_a_store_and_shows_each_exchange_once(children, directory):
    path = directory / "store"
    record_now(directory, path, "/before")
    tail = follow(children, "-o", "jsonl", "-n", "2", "--store", path)
    time.sleep(0.7)  # its first look learns what was there before
    record_now(directory, path, "/one")
    time.sleep(1.2)
    record_now(directory, path, "/two")
    out, err = tail.communicate(timeout=20)
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["/one", "/two"], err
    assert tail.returncode == 0


def test_tail_follows_a_daemon_through_its_restart(children, node, daemon, directory):
    client, server = node.pod("client"), node.pod("server")
    server.nginx("location / { return 200 'x'; }")
    where = {"directory": directory / "d", "namespace": None, "settings": {"capture.netns": [server.name]}}
    first = daemon(**where)
    tail = follow(children, 'path.startsWith("/t")', "-o", "jsonl", "-n", "2", "--api", f"unix:{first.socket}")
    wait_for(lambda: "tapeloop_stream_clients 1" in first.request("/metrics").text, "the stream is open")
    client.curl(server.url("/not"))
    client.curl(server.url("/t1"))
    assert json.loads(tail.stdout.readline())["path"] == "/t1"
    first.stop()
    (directory / "d" / "notify").unlink(missing_ok=True)
    second = daemon(**where)
    wait_for(lambda: "tapeloop_stream_clients 1" in second.request("/metrics").text, "the stream is open again")
    client.curl(server.url("/t2"))
    out, err = tail.communicate(timeout=20)
    assert json.loads(out)["path"] == "/t2"
    assert "waiting" in err and tail.returncode == 0


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_tail_ends_cleanly_when_interrupted(children, store, sig):
    tail = follow(children, "--store", store)
    time.sleep(0.5)
    tail.send_signal(sig)
    out, err = tail.communicate(timeout=10)
    assert (tail.returncode, out, err) == (0, "", "")


# ---- curl ----

class ByteServer:
    """Answers one request after another, and keeps what came."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listening.getsockname()[1]
        self.requests = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                self.requests.append(self.take(connection))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    @staticmethod
    def take(connection):
        data = b""
        connection.settimeout(5)
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        length = re.search(rb"\r\ncontent-length: *(\d+)", data, re.I)
        end = data.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
        while len(data) < end:
            data += connection.recv(65536)
        return data


@pytest.fixture
def byte_server():
    server = ByteServer()
    yield server
    server.listening.close()


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_curl_command_sends_the_same_bytes(store, byte_server, name, shell):
    command = ask(store, "show", id_of(store, name), "--as", "curl", "--to", byte_server.url).stdout
    done = subprocess.run([shutil.which(shell), "-c", command], capture_output=True, timeout=20, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, (command, done.stderr)
    assert byte_server.requests == [normal(REQUESTS[name])], command


def normal(request):
    """An empty header comes from curl without the blanks it may have had."""
    return request


def test_a_command_with_controls_in_it_works_in_bash(store, byte_server):
    command = ask(store, "show", ids(store, "status == 500")[0], "--as", "curl", "--to", byte_server.url).stdout
    assert command.startswith("# for bash, zsh or ksh\n") and "\x1b" not in command
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=20)
    assert done.returncode == 0, (command, done.stderr)
    assert b"X-Title: \x1b[2J\xc2\x9b31m\xff\r\n" in byte_server.requests[0]


# ---- doctor ----

def test_doctor_finds_a_sound_store_and_a_good_daemon(store, api):
    assert ask(store, "doctor", "--deep").returncode == 0
    done = programs.tapeloop("doctor", "--api", api, "-o", "json")
    findings = json.loads(done.stdout)
    assert done.returncode == 0 and findings["worst"] in ("ok", "note"), findings
    assert {f["check"] for f in findings["findings"] if f["level"] == "ok"} >= {"daemon", "packets", "requests", "exchanges", "tapes"}


def test_doctor_says_why_nobody_answers(directory):
    done = programs.tapeloop("doctor", "--api", f"unix:{directory}/none.sock")
    assert done.returncode == 3 and "is tapeloopd running?" in done.stdout
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(directory / "stale.sock"))
    stale.close()
    done = programs.tapeloop("doctor", "--api", f"unix:{directory}/stale.sock")
    assert done.returncode == 3 and "nobody answers" in done.stdout


def test_doctor_finds_a_damaged_tape(store, directory):
    copy = directory / "copy"
    shutil.copytree(store, copy)
    tape = max(copy.rglob("*.tape"), key=lambda p: p.stat().st_size)
    data = bytearray(tape.read_bytes())
    for at in range(len(data) // 2, len(data) - 100):
        data[at] ^= 0xA5
    tape.write_bytes(data)
    done = ask(copy, "doctor", "--deep")
    assert done.returncode == 3, done.stdout


# ---- completions ----

def complete(line):
    script = f'eval "$({programs.TAPELOOP} completion bash)"; COMP_WORDS=({line} ""); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1))\n'
    if not line.endswith(" "):
        script = script.replace(' "");', ");")
    done = subprocess.run(["bash", "-c", script + '_tapeloop; printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{programs.BUILD}:{os.environ['PATH']}"})
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_choices_and_ids(store):
    assert complete("tapeloop fa") == ["failures"]
    assert "--since" in complete("tapeloop ls --")
    assert complete("tapeloop ls -o w") == ["wide"]
    assert complete("tapeloop show --as cu") == ["curl"]
    assert complete("tapeloop replay --to d") == ["deploy/", "ds/"]
    os.environ["TAPELOOP_STORE"] = str(store)
    try:
        assert len(complete("tapeloop show ")) == len(ids(store)[:20])
    finally:
        del os.environ["TAPELOOP_STORE"]


@pytest.mark.parametrize("shell, check", [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_completions_are_scripts_of_their_shell(shell, check, directory):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    made = programs.tapeloop("completion", shell)
    (directory / "script").write_text(made.stdout)
    done = subprocess.run([shell, *check, directory / "script"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in made.stdout for word in ("failures", "since", "table wide json"))
