# SPDX-License-Identifier: Apache-2.0
"""WebSocket conversations recorded from a real client and server and held again, turn by turn, with servers good and bad."""
import json
import pathlib
import subprocess
import sys

import pytest

import pods
import programs
from certificates import Authority

pytest.importorskip("websockets", reason="python3-websockets is not installed")
pytestmark = pytest.mark.root

PEER = pathlib.Path(__file__).parent / "websocket_peer.py"
# port: how the server there behaves
TARGETS = {7100: [], 7101: ["PLAIN"], 7102: ["LOWER"], 7103: ["MUTE"], 7104: ["DEAF=2"], 7105: ["QUIT=2"], 7106: ["PIECES"]}
TLS = 7107


def serve(pod, port, *how):
    return pod.popen(sys.executable, PEER, "serve", "0.0.0.0", port, *how, stdout=subprocess.PIPE, text=True)


class Recording:
    def __init__(self, node, directory):
        self.client, self.cart, self.target = node.pod("client"), node.pod("cart"), node.pod("target")
        self.authority = Authority(directory)
        certificate, key = self.authority.issue(self.target.address)
        self.target.nginx("location / { return 404; }", port=8080)
        servers = [serve(self.target, port, *how) for port, how in {**TARGETS, TLS: [f"CERT={certificate}", f"KEY={key}"]}.items()]
        for process in [*servers, serve(self.cart, 7000)]:
            assert process.stdout.readline() == "ready\n"
        d = programs.Daemon(directory / "daemon", settings={"capture.netns": [self.cart.name]})
        try:
            for how in ([], ["PLAIN"], ["DROP"], ["TURNS"], ["LISTEN"]):
                self.client.run(sys.executable, PEER, "talk", self.cart.address, "7000", *how, check=True)
            d.wait_stored(5)
        finally:
            d.stop()
        self.store = d.store
        rows = programs.tapeloop("ls", "--store", self.store, "-n", "0", "-r", "-o", "jsonl").stdout.splitlines()
        self.ids = dict(zip(("TALK", "PLAIN", "DROP", "TURNS", "LISTEN"), (json.loads(row)["id"] for row in rows)))

    def run(self, name, port, *words, output="json", scheme="ws", allowed=True):
        words = ["--allow-unsafe", *words] if allowed else words
        return programs.tapeloop("replay", "--store", self.store, "--to", f"{scheme}://{self.target.address}:{port}", "-o", output,
                                 "--ignore", "$.at", *words, self.ids[name], namespace=self.client)

    def replay(self, *words, **options):
        done = self.run(*words, **options)
        assert done.stdout, done.stderr
        (result,) = json.loads(done.stdout)["results"]
        return result


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    directory = tmp_path_factory.mktemp("replayws")
    node = pods.Node(directory)
    try:
        yield Recording(node, directory)
    finally:
        node.close()


@pytest.mark.parametrize("port", [7100, 7101, 7106], ids=["compressed", "plain", "fragments and pings"])
@pytest.mark.parametrize("name, code, messages", [("TALK", 4007, 5), ("PLAIN", 4007, 5), ("TURNS", 1000, 6), ("LISTEN", 1000, 1)])
def test_a_conversation_is_held_again(recording, name, code, messages, port):
    result = recording.replay(name, port, "--ignore", "header:Sec-WebSocket-Extensions")
    assert result["verdict"] == "same", result
    assert (result["now"]["status"], result["now"]["close_code"], result["now"]["messages"]) == (101, code, messages), result
    assert result["recorded"]["messages"] == messages


def test_compression_is_negotiated_as_recorded(recording):
    result = recording.replay("TALK", 7101)
    assert [(d["change"], d["where"]) for d in result["differences"]] == [("removed", "Sec-WebSocket-Extensions")], result
    assert recording.replay("PLAIN", 7100)["verdict"] == "same"


def test_a_connection_that_broke_breaks_again(recording):
    result = recording.replay("DROP", 7100)
    assert result["verdict"] == "same" and result["still_failing"] and result["now"]["close_code"] == 1006, result


def test_over_tls_too(recording):
    result = recording.replay("TURNS", TLS, "--ca", recording.authority.path, scheme="wss")
    assert result["verdict"] == "same", result
    assert recording.replay("TURNS", TLS, scheme="wss")["reason"] == "tls_untrusted"


def test_what_is_answered_differently_names_the_message(recording):
    result = recording.replay("TURNS", 7102, "--speed", "max")
    places = [(d["message"], d["kind"], d["where"]) for d in result["differences"]]
    assert result["verdict"] == "changed"
    assert places == [(1, "json", "$.they"), (5, "message", "message"), (6, "json", "$.they")], result
    table = recording.run("TURNS", 7102, output="table").stdout
    assert 'message 1 $.they: "SAME" -> "OTHER"' in table and "message 5: 5 bytes: HELLO -> 5 bytes: hello" in table, table
    assert "101 closed 1000 -> 101 closed 1000" in table
    assert "message 5" in recording.run("TURNS", 7102, output="junit").stdout
    assert recording.replay("TURNS", 7102, "--ignore", "body")["verdict"] == "same"


def test_a_turn_that_waits_in_vain_is_taken_and_told(recording):
    result = recording.replay("TURNS", 7104, "--timeout", "400ms", "--speed", "max")
    found = {d["where"]: d for d in result["differences"] if d["where"] == "turn"}
    assert found["turn"]["recorded"] == "after 4 messages of the server" and found["turn"]["now"] == "after 1 and --timeout", result
    assert result["verdict"] == "changed" and result["now"]["messages"] == 3, result


def test_a_server_that_says_nothing_gives_no_answer(recording):
    result = recording.replay("TURNS", 7103, "--timeout", "300ms", "--speed", "max")
    assert (result["verdict"], result["reason"]) == ("no_answer", "timeout"), result


def test_a_server_that_fails_in_the_middle_is_broken(recording):
    result = recording.replay("TURNS", 7105, "--speed", "max")
    found = {d["where"]: d for d in result["differences"]}
    assert result["verdict"] == "broken" and result["now"]["close_code"] == 1011, result
    assert (found["close_code"]["recorded"], found["close_code"]["now"]) == ("1000", "1011")
    assert found["client"]["now"] == "the conversation ended before"


def test_a_server_that_does_not_upgrade_is_told_by_its_status(recording):
    result = recording.replay("TURNS", 8080)
    assert result["verdict"] == "changed" and result["now"]["status"] == 404, result


def test_the_rules_of_safety_hold(recording):
    result = recording.replay("TURNS", 7100, allowed=False)
    assert (result["verdict"], result["reason"]) == ("skipped", "unsafe"), result
    assert recording.replay("LISTEN", 7100, allowed=False)["verdict"] == "same"
    done = programs.tapeloop("replay", "--store", recording.store, "--to", f"ws://{recording.cart.address}:7000", "--allow-unsafe",
                             recording.ids["TURNS"], namespace=recording.client)
    assert done.returncode == 2 and "--yes" in done.stderr


def test_recorded_times_are_kept(recording):
    shown = json.loads(recording.run("TURNS", 7100).stdout)["summary"]
    assert shown["sent"] == 1 and shown["latency_ms"]["count"] == 1
