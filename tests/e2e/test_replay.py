# SPDX-License-Identifier: Apache-2.0
"""Traffic recorded from one nginx is sent to others, good and bad; what comes of it is said, counted and in the exit status."""
import json
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import xml.etree.ElementTree

import pytest

import pods
import programs

pytestmark = pytest.mark.root

SHOP = """
location = /api/cart { return 503 '{"error":"no stock","at":"$msec"}'; }
location = /api/items { add_header Set-Cookie "sid=$msec; Path=/"; return 200 '{"items":[{"id":1,"price":5}],"at":"$msec"}'; }
location = /api/order { return 201 '{"order":7}'; }
"""
FIXED = SHOP.replace("return 503", "return 200").replace('"price":5', '"price":6')


class Recording:
    def __init__(self, directory, node):
        self.client, self.cart, self.fixed = node.pod("client"), node.pod("cart"), node.pod("fixed")
        self.cart.nginx(SHOP)
        self.fixed.nginx(FIXED)
        daemon = programs.Daemon(directory / "daemon", settings={"capture.netns": [self.cart.name]})
        try:
            for _ in range(3):
                self.client.curl(self.cart.url("/api/cart"), "-H", "Authorization: Bearer s3cr3t")
                self.client.curl(self.cart.url("/api/items"), self.cart.url("/api/items"))
            self.client.curl(self.cart.url("/api/order"), "-d", "item=1")
            daemon.wait_stored(10)
        finally:
            daemon.stop()
        self.store = daemon.store

    def replay(self, *words, to=None, **options):
        to = to or self.fixed.url("")
        return programs.tapeloop("replay", "--store", self.store, "--to", to, "--speed", "max", *words,
                                 namespace=self.client, **options)

    def summary(self, *words, **options):
        done = self.replay("-o", "json", *words, **options)
        return json.loads(done.stdout), done.returncode


@pytest.fixture(scope="module")
def recording():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tle2e-"))
    directory.chmod(0o755)
    node = pods.Node(directory)
    try:
        yield Recording(directory, node)
    finally:
        node.close()
        shutil.rmtree(directory, ignore_errors=True)


class Server:
    """Listens in a pod; each connection is given to `behave(socket)` in a thread of its own."""

    def __init__(self, pod, behave):
        self.listener = pod.listen("0.0.0.0", 0)
        self.url = f"http://{pod.address}:{self.listener.getsockname()[1]}"
        self.behave, self.over = behave, threading.Event()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                while connection.recv(65536):
                    if self.behave(self, connection) is False:
                        return
            except OSError:
                pass

    def close(self):
        self.over.set()
        self.listener.close()


@pytest.fixture
def server(recording):
    made = []

    def start(behave):
        made.append(Server(recording.fixed, behave))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_the_fix_is_seen_and_what_it_broke_too(recording):
    report, status = recording.summary()
    verdicts = report["summary"]["verdicts"]
    assert (verdicts["fixed"], verdicts["changed"], verdicts["skipped"]) == (3, 6, 1), report["summary"]
    assert report["summary"]["skipped"] == {"unsafe": 1}
    assert report["summary"]["sent_redacted"] == 3  # Authorization; the cookies stand in answers
    assert status == 1
    changed = next(r for r in report["results"] if r["verdict"] == "changed")
    price = next(d for d in changed["differences"] if d["where"] == "$.items[0].price")
    assert (price["recorded"], price["now"]) == ("5", "6")
    wheres = {row["where"] for row in report["summary"]["frequent_differences"]}
    assert wheres == {"$.items[*].price", "$.at"}  # not Date, not the cookie's value


def test_with_its_noise_ignored_all_is_well(recording):
    done = recording.replay("--ignore", "$.at", "--ignore", "$.items[*].price")
    assert done.returncode == 0, done.stdout
    assert "fixed             3" in done.stdout and "same              6" in done.stdout
    assert "p50" in done.stdout and "unsafe" in done.stdout


def test_a_failure_that_still_fails_is_said(recording):
    report, status = recording.summary("failed()", "--yes", "--ignore", "$.at", to=recording.cart.url(""))
    assert status == 1
    assert report["summary"]["still_failing"] == 3 and report["summary"]["verdicts"]["same"] == 3


def test_credentials_go_out_as_tags_and_that_is_counted(recording, server):
    seen = []

    def look(_, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    class Listening(Server):
        def serve(self, connection):
            with connection:
                data = connection.recv(65536)
                seen.append(data)
                look(self, connection)
    listening = Listening(recording.fixed, look)
    try:
        report, _ = recording.summary("failed()", "-n", "1", to=listening.url)
    finally:
        listening.close()
    assert report["summary"]["sent_redacted"] == 1
    sent = next(d for d in seen if d)
    assert b"[tl:" in sent and b"s3cr3t" not in sent
    assert b"\r\nTapeloop-Replay: " + report["run"].encode() + b"/" in sent


def test_unsafe_methods_are_sent_when_allowed(recording):
    report, status = recording.summary('method == "POST"', "--allow-unsafe")
    assert status == 0 and report["summary"]["verdicts"]["same"] == 1


def test_dry_run_prints_the_plan_and_sends_nothing(recording):
    done = recording.replay("--dry-run", to="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "9 of 10 exchanges to send" in done.stdout and "unsafe" in done.stdout
    plan = json.loads(recording.replay("--dry-run", "-o", "json", to="http://127.0.0.1:1").stdout)
    assert len(plan["exchanges"]) == 10 and plan["plan"]["to_send"] == 9


def test_an_id_selects_one(recording):
    listed = programs.tapeloop("ls", "failed()", "--store", recording.store, "-o", "jsonl").stdout.splitlines()
    report, status = recording.summary(json.loads(listed[0])["id"])
    assert status == 0 and report["summary"]["verdicts"]["fixed"] == 1 and len(report["results"]) == 1


def test_junit_counts_what_it_holds(recording):
    done = recording.replay("-o", "junit")
    suite = xml.etree.ElementTree.fromstring(done.stdout)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("10", "6", "1")
    assert len(suite.findall("testcase")) == 10 and len(suite.findall("testcase/failure")) == 6


def test_json_lines_end_with_the_summary(recording):
    lines = [json.loads(line) for line in recording.replay("-o", "jsonl").stdout.splitlines()]
    assert len(lines) == 11 and lines[-1]["summary"]["sent"] == 9


def test_the_recorded_server_itself_needs_a_yes(recording):
    done = recording.replay(to=recording.cart.url(""))
    assert done.returncode == 2 and "--yes" in done.stderr and done.stdout == ""


def test_nobody_listens(recording):
    done = recording.replay(to=recording.fixed.url("", port=1))
    assert done.returncode == 3 and "cannot be reached: Connection refused" in done.stderr and done.stdout == ""


def test_nothing_matched(recording):
    done = recording.replay("status == 418")
    assert done.returncode == 1 and "nothing matched" in done.stderr


@pytest.mark.parametrize("words, why", [
    (["--speed", "fast"], "expected 1x"),
    (["--to", "unix:/run/x"], "not supported yet"),
    (["--to", "ftp://x"], "expected http[s]://HOST"),
    (["--ignore", "Date"], "expected header:NAME"),
    (["--rewrite-path", "s#a#b#"], "expected /FROM=/TO"),
    (["--set-header", "Content-Length: 1"], "cannot be changed"),
    (["--concurrency", "0"], "expected 1 to"),
    (["status =="], "^"),
])
def test_wrong_use_is_told(recording, words, why):
    done = recording.replay(*words)
    assert done.returncode in (2, 3) and why in done.stderr, done.stderr
    assert done.returncode == (3 if "unix:/run/x" in words else 2)


@pytest.mark.parametrize("behave, reason", [
    (lambda s, c: s.over.wait(10), "timeout"),
    (lambda s, c: False, "closed"),
    (lambda s, c: c.sendall(b"\x00\x01 no HTTP at all\r\n\r\n" * 8), "garbage"),
    (lambda s, c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort") or False, "closed_early"),
])
def test_a_target_that_misbehaves_has_its_reason(recording, server, behave, reason):
    report, status = recording.summary("failed()", "--timeout", "300ms", to=server(behave).url)
    assert status == 1
    assert report["summary"]["no_answer"] == {reason: 3}, report["summary"]


def test_a_target_that_never_ends_its_answer_does_not_hold_us(recording, server):
    def forever(s, c):
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not s.over.is_set():
            c.sendall(b"x" * 65536)
    begin = time.monotonic()
    report, _ = recording.summary("failed()", "-n", "1", "--timeout", "500ms", to=server(forever).url)
    assert report["summary"]["no_answer"] == {"timeout": 1}
    assert time.monotonic() - begin < 10


def test_an_interrupt_ends_with_the_report_so_far(recording, server, children):
    def slow(s, c):
        s.over.wait(0.2)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    target = server(slow)
    command = recording.client.command(
        str(programs.TAPELOOP), "replay", "--store", str(recording.store), "--to", target.url, "-o", "jsonl",
        "--speed", "max", "--loops", "1000", "--concurrency", "1")
    process = children(*command, stdout=-1, text=True)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    lines = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 1
    assert lines[-1]["summary"]["interrupted"] is True and lines[-1]["summary"]["not_reached"] > 8000


def test_what_a_replay_sent_is_not_replayed_by_a_filter(recording, daemon):
    recorder = daemon(settings={"capture.netns": [recording.fixed.name]})
    recording.replay("failed()")
    recorder.wait_stored(3)
    recorder.stop()
    done = programs.tapeloop("replay", "--store", recorder.store, "--to", recording.cart.url(""), "-o", "json",
                             "--dry-run", namespace=recording.client)
    assert json.loads(done.stdout)["plan"]["skipped"] == {"replayed": 3}
    assert done.returncode == 1
