# SPDX-License-Identifier: Apache-2.0
"""gRPC, WebSocket, server-sent events and encoded bodies: recorded from real peers, shown on the command line."""
import gzip
import json
import pathlib
import re
import signal
import subprocess
import sys

import pytest

import pods
import programs

pytest.importorskip("grpc", reason="python3-grpcio is not installed")
pytest.importorskip("websockets", reason="python3-websockets is not installed")
pytestmark = pytest.mark.root

HERE = pathlib.Path(__file__).parent
PROTO = """syntax = "proto3";
package shop.v1;
message Item { int32 sku = 1; }
message Answer { string text = 1; }
message Count { int32 count = 1; }
service Cart { rpc Unary(Item) returns (Answer); rpc ServerStream(Item) returns (stream Count); }
"""
SHOP = r"""
location /zipped { gzip on; gzip_types *; gzip_min_length 1; return 200 '{"note":"out of stock","pad":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}'; }
location /zipped-events { gzip on; gzip_types *; gzip_min_length 1; default_type text/event-stream; return 200 "event: tick\ndata: one\n\ndata: two\n\n"; }
location /events { default_type text/event-stream; return 200 "event: tick\ndata: one\n\ndata: two\n\n"; }
"""


def peer(pod, script, *words, wait=True):
    words = [sys.executable, HERE / script, *words]
    if wait:
        return pod.run(*words, check=True).stdout
    process = pod.popen(*words, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


class World:
    """What was said, and the store that has it."""

    def __init__(self, directory):
        node = pods.Node(directory)
        try:
            self.record(node, directory)
        finally:
            node.close()

    def record(self, node, directory):
        client, cart = node.pod("client"), node.pod("cart")
        cart.nginx(SHOP)
        peer(cart, "grpc_peer.py", "serve", "0.0.0.0:50051", wait=False)
        peer(cart, "websocket_peer.py", "serve", "0.0.0.0", "7000", wait=False)
        d = programs.Daemon(directory / "daemon", settings={"capture.netns": [cart.name]})
        try:
            self.calls = [json.loads(line) for line in peer(client, "grpc_peer.py", "call", f"{cart.address}:50051").splitlines()]
            for how in ([], ["PLAIN"], ["DROP"]):
                subprocess.run(client.command(sys.executable, HERE / "websocket_peer.py", "talk", cart.address, "7000", *how), check=True,
                               capture_output=True)
            client.curl(cart.url("/zipped"), "--compressed")
            client.curl(cart.url("/events"))
            client.curl(cart.url("/zipped-events"), "--compressed")
            d.wait_stored(len(self.calls) + 3 + 3)
            api = ("--api", f"unix:{d.socket}")
            self.ids = programs.tapeloop("ls", "-n", "0", "-r", "-o", "id", *api).stdout.split()
            self.there = [programs.tapeloop(*words, *api).stdout for words in self.questions()]
        finally:
            d.stop()
        self.store = d.store

    def questions(self):
        return [("show", *self.ids), ("show", *self.ids, "--as", "json"), ("show", *self.ids, "--as", "exact"), ("ls", "-o", "wide"), ("failures", "-o", "json")]

    def ask(self, *words, **options):
        return programs.tapeloop(*words, "--store", self.store, **options)

    def rows(self, *words):
        return [json.loads(line) for line in self.ask("ls", "-n", "0", "-r", "-o", "jsonl", *words).stdout.splitlines()]

    def show(self, filter, *words, at=0):
        return self.ask("show", self.rows(filter)[at]["id"], *words).stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("protocols"))


def test_each_grpc_call_has_the_status_that_its_client_saw(world):
    found = {x["grpc"]["method"]: x for x in world.rows('protocol == "grpc"')}
    assert set(found) == {call["method"] for call in world.calls}
    for call in world.calls:
        x = found[call["method"]]
        assert x["grpc"]["service"] == "shop.v1.Cart"
        assert x["grpc_status"] == call["status"], call
        assert x["outcome"] == ("ok" if call["status"] == 0 else "grpc_error") or call["method"] in ("Slow", "Endless"), call
    assert found["Slow"]["grpc"]["timeout_ns"] > 0
    assert [found["BothStream"]["grpc"][side] for side in ("requests", "responses")] == [3, 3]


def test_the_daemon_and_its_store_answer_alike(world):
    def timeless(text):
        return re.sub(r"\d+[smh] ago", "ago", text)
    for words, there in zip(world.questions(), world.there, strict=True):
        assert timeless(world.ask(*words).stdout) == timeless(there), words


def test_a_failed_call_says_why(world):
    text = world.show('grpc.method == "Failing"')
    assert re.search(r"grpc +9 FAILED_PRECONDITION: cart is locked: 50% sold\n", text)
    assert re.search(r"call +shop.v1.Cart/Failing, 1 message sent, 0 received", text)
    assert "200 grpc 9 " in world.ask("ls", 'grpc.method == "Failing"').stdout
    kinds = world.ask("failures").stdout
    assert "200 grpc 9 FAILED_PRECONDITION" in kinds and "200 grpc 12 UNIMPLEMENTED" in kinds
    statuses = {f["route"]: f["grpc_status"] for f in json.loads(world.ask("failures", "-o", "json").stdout)["failures"]
                if "grpc_status" in f}
    assert statuses["/shop.v1.Cart/Failing"] == 9 and statuses["/shop.v1.Cart/Missing"] == 12


def test_grpc_messages_come_by_number_or_by_name(world, tmp_path):
    raw = world.show('grpc.method == "Unary"')
    assert '(message 1, 2 bytes)\n  [{"1":7}]\n' in raw
    assert '[{"1":"ok"},{"1":7}]' in raw
    (tmp_path / "shop.proto").write_text(PROTO)
    subprocess.run(["protoc", f"-I{tmp_path}", "--include_imports", "-o", tmp_path / "shop.desc", "shop.proto"], check=True)
    named = world.show('grpc.method == "ServerStream"', "--proto", tmp_path / "shop.desc")
    assert '(message 1: shop.v1.Item, 0 bytes)\n  {}\n' in named
    assert '(message 5: shop.v1.Count, 2 bytes)\n  {"count":4}\n' in named
    other = world.show('grpc.method == "BothStream"', "--proto", tmp_path / "shop.desc")
    assert "does not know this method" in other and '[{"1":3}]' in other
    missing = world.ask("show", world.rows()[0]["id"], "--proto", tmp_path / "none.desc")
    assert missing.returncode == 3 and "none.desc" in missing.stderr


@pytest.mark.parametrize("at", [0, 1], ids=["deflate", "plain"])
def test_a_websocket_is_listed_message_by_message(world, at):
    text = world.show('protocol == "websocket"', at=at)
    lines = [re.sub(r"^ +\+\S+ ", "", line) for line in text.splitlines() if re.match(r" +\+[0-9.]+", line)]
    assert lines[:4] == ["> text       5  hello", "< text       5  HELLO", "> text      23  hello hello hello hello",
                         "< text      23  HELLO HELLO HELLO HELLO"]
    assert lines[4:6] == ["> binary     3  00 01 02", "< binary     3  02 01 00"]
    assert lines[6].startswith("> text     70k  xxxx") and "longer than their line: --as json" in text
    assert "4007 the application's own: as asked" in text
    assert re.search(r"websocket +\d+ messages sent, \d+ received; closed 4007 the application's own", text)


def test_a_websocket_without_a_close_frame_is_told(world):
    assert "closed 1006 abnormal closure" in world.show('protocol == "websocket"', at=2)
    assert "101 closed 1006" in world.ask("ls", "ws.close_code == 1006").stdout


@pytest.mark.parametrize("path", ["/events", "/zipped-events"])
def test_events_are_listed_with_what_they_say(world, path):
    text = world.show(f'sse.events == 2 && path == "{path}"')
    assert re.search(r"< event +\S+  event: tick data: one\n", text)
    assert re.search(r"< event +\S+  data: two\n", text)


def test_an_encoded_body_is_shown_searched_and_given_decoded(world):
    text = world.show('path == "/zipped"')
    assert re.search(r"\(decoded from gzip, \d+ bytes on the wire\)", text) and '"note": "out of stock"' in text
    found = world.rows('response.body.contains("out of stock")')
    assert [x["path"] for x in found] == ["/zipped"]
    wire = world.ask("show", found[0]["id"], "--response-body", text=False).stdout
    assert wire.startswith(b"\x1f\x8b")
    decoded = world.ask("show", found[0]["id"], "--response-body", "--decoded", text=False)
    assert decoded.stdout == gzip.decompress(wire) and decoded.returncode == 0
    assert world.ask("show", found[0]["id"], "--decoded").returncode == 2


def test_a_grpc_request_becomes_a_command_that_speaks_http2(world):
    command = world.show('grpc.method == "Unary"', "--as", "curl")
    assert "--http2-prior-knowledge" in command and "-H 'te: trailers'" in command
    assert "-H 'Host: " in command and ":authority" not in command and ":scheme" not in command


def test_a_websocket_is_recorded_while_it_goes_on(directory, node, daemon):
    client, cart = node.pod("client"), node.pod("cart")
    peer(cart, "websocket_peer.py", "serve", "0.0.0.0", "7000", wait=False)
    d = daemon(settings={"capture.netns": [cart.name], "part_interval": "1s"})
    talk = client.popen(sys.executable, HERE / "websocket_peer.py", "hold", cart.address, "7000", stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True)

    def say(words):
        talk.stdin.write(words + "\n")
        talk.stdin.flush()
        assert talk.stdout.readline() == words.upper() + "\n"

    say("the first words are said")
    d.wait_stored(1)
    say("the first words are said again")
    d.wait_stored(2)
    d.stop(signal.SIGKILL)  # what was said is on the tape, although it goes on
    rows = [json.loads(line) for line in programs.tapeloop("ls", "-r", "-o", "jsonl", "--store", d.store).stdout.splitlines()]
    assert [row["reason"] for row in rows] == ["ongoing"] * len(rows) and len(rows) >= 2
    assert len({(row["connection"], row["sequence"]) for row in rows}) == 1
    assert rows[0]["anomalies"] == [] and all(row["anomalies"] == ["continuation"] for row in rows[1:])
    text = programs.tapeloop("show", *(row["id"] for row in rows), "--store", d.store).stdout
    for words in ("the first words are said", "the first words are said again"):
        assert re.search(rf"> text +\d+  {words}\n", text) and re.search(rf"< text +\d+  {words.upper()}\n", text)
    assert "it goes on" in text and "part        the first of a conversation; all: tapeloop ls" in re.sub(r"part +", "part        ", text)
