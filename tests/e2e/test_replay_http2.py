# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and gRPC, recorded from real peers and sent to real servers again: nginx, and grpcio as it was and mended."""
import json
import pathlib
import subprocess
import sys

import pytest

import pods
import programs

pytest.importorskip("grpc", reason="python3-grpcio is not installed")
pytestmark = pytest.mark.root

PEER = pathlib.Path(__file__).parent / "grpc_peer.py"
SHOP = """
location = /cart { default_type application/json; return 200 '{"items":1,"at":"$msec"}'; }
location = /pay { return 503 'no'; }
location = /upload { proxy_pass http://127.0.0.1:8081; }
"""
PROTO = """syntax = "proto3";
package shop.v1;
message Item { int32 sku = 1; }
message Count { int32 count = 1; }
service Cart { rpc ServerStream(Item) returns (stream Count); }
"""
MENDED = SHOP.replace("return 503", "return 200").replace('"items":1', '"items":2')
BEHIND = "server { listen 127.0.0.1:8081; client_max_body_size 9m; location / { return 201 '$content_length'; } }"


def serve(pod, *words):
    process = pod.popen(sys.executable, PEER, "serve", "0.0.0.0:50051", *words, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"


class Recording:
    def __init__(self, node, directory):
        self.client, self.cart, self.mended = node.pod("client"), node.pod("cart"), node.pod("mended")
        self.cart.nginx(SHOP, http=BEHIND, http2=True)
        self.mended.nginx(MENDED, http=BEHIND, http2=True)
        serve(self.cart)
        serve(self.mended, "mended")
        d = programs.Daemon(directory / "daemon", settings={"capture.netns": [self.cart.name]})
        try:
            said = self.client.run(sys.executable, PEER, "call", f"{self.cart.address}:50051", check=True).stdout
            self.calls = [json.loads(line) for line in said.splitlines()]
            d.wait_stored(len(self.calls))
            said = self.client.run(sys.executable, PEER, "turns", f"{self.cart.address}:50051", check=True).stdout
            self.turns = [json.loads(line) for line in said.splitlines()]
            self.client.run("h2load", "-n", "40", "-c", "2", "-m", "8", self.cart.url("/cart"), check=True)
            self.client.run("h2load", "-n", "4", "-c", "1", "-m", "4", self.cart.url("/pay"), check=True)
            self.client.run("h2load", "-n", "3", "-c", "1", "-m", "3", "-d", "/bin/ls", self.cart.url("/upload"), check=True)
            d.wait_stored(len(self.calls) + len(self.turns) + 47)
        finally:
            d.stop()
        self.store = d.store
        rows = programs.tapeloop("ls", "--store", self.store, "-n", "0", "-r", "-o", "jsonl", 'protocol == "grpc"').stdout.splitlines()
        ids = [json.loads(row)["id"] for row in rows]
        self.call_ids, self.turn_ids = ids[:len(self.calls)], ids[len(self.calls):]

    def replay(self, selected, to, *words):
        selected = [selected] if isinstance(selected, str) else selected
        done = programs.tapeloop("replay", "--store", self.store, "--to", to, "-o", "json", "--allow-unsafe", *words, *selected,
                                 namespace=self.client)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        return report["results"], report["summary"], done.returncode


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    directory = tmp_path_factory.mktemp("replay2")
    node = pods.Node(directory)
    try:
        yield Recording(node, directory)
    finally:
        node.close()


def test_grpc_calls_to_the_same_server_end_as_they_did(recording):
    results, summary, status = recording.replay(recording.call_ids, f"http://{recording.cart.address}:50051", "--yes",
                                                "--timeout", "2s")
    found = {r["target"].rsplit("/")[-1]: r for r in results}
    assert set(found) == {call["method"] for call in recording.calls}
    for call in recording.calls:
        r = found[call["method"]]
        if call["method"] == "Endless":  # its client gave up, and so do we
            assert (r["verdict"], r["now"]["grpc_status"], r["still_failing"]) == ("same", 1, True), r
        elif call["method"] != "Slow":  # its client or its server gave up first, as it happens
            assert r["verdict"] == "same", json.dumps(r)
            assert r["now"]["grpc_status"] == call["status"], r
            assert r.get("still_failing", False) == (call["status"] != 0), r
    assert summary["connections"] == 1 and status == 1


def test_a_mended_server_is_seen_by_its_grpc_status(recording):
    results, _, status = recording.replay(recording.call_ids, f"http://{recording.mended.address}:50051", "--timeout", "2s")
    found = {r["target"].rsplit("/")[-1]: r for r in results}
    assert found["Failing"]["verdict"] == "fixed", found["Failing"]
    assert (found["Failing"]["recorded"]["grpc_status"], found["Failing"]["now"]["grpc_status"]) == (9, 0)
    broken = found["ClientStream"]
    assert broken["verdict"] == "broken" and broken["now"]["grpc_status"] == 9, broken
    assert {"kind": "status", "change": "changed", "where": "grpc-status", "recorded": "0", "now": "9"} in broken["differences"]
    assert found["BothStream"]["verdict"] == "same" and status == 1


def test_a_message_that_differs_is_named_by_number_and_field(recording, tmp_path):
    words = ["--speed", "max", 'grpc.method == "ServerStream"', f"http://{recording.mended.address}:50051"]
    (result,), _, _ = recording.replay(words[2], words[3], *words[:2])
    assert [(d.get("message"), d["kind"], d["change"], d["where"]) for d in result["differences"]] == [
        (3, "json", "changed", "$.1"), (4, "json", "changed", "$.1"), (5, "message", "removed", "message")], result
    (tmp_path / "shop.proto").write_text(PROTO)
    subprocess.run(["protoc", f"-I{tmp_path}", "--include_imports", "-o", tmp_path / "shop.desc", "shop.proto"], check=True)
    (result,), _, _ = recording.replay(words[2], words[3], *words[:2], "--proto", tmp_path / "shop.desc")
    assert [(d["message"], d["where"], d["recorded"], d["now"]) for d in result["differences"][:2]] == [
        (3, "$.count", "2", "4"), (4, "$.count", "3", "9")], result
    (result,), _, _ = recording.replay(words[2], words[3], *words[:2], "--ignore", "$.1")
    assert [d["change"] for d in result["differences"]] == ["removed"], result


@pytest.mark.parametrize("speed", ["1x", "max"])
def test_streams_go_turn_by_turn_and_are_given_up_where_they_were(recording, speed):
    results, summary, status = recording.replay(recording.turn_ids, f"http://{recording.cart.address}:50051", "--yes",
                                                "--timeout", "5s", "--speed", speed)
    found = [(r["target"].rsplit("/")[-1], r["verdict"], r["now"].get("grpc_status")) for r in sorted(results, key=lambda r: r["id"])]
    assert found == [("Dialog", "same", 0), ("BothStream", "same", 0), ("Dialog", "same", 1), ("Endless", "same", 1),
                     ("Slow", "same", 1)], json.dumps(results)
    assert summary["duration_ms"] >= 400 and summary["still_failing"] == 3  # who gives up is as patient as the recorded one


def test_the_server_sees_that_a_call_is_given_up(recording):
    endless = 'grpc.method == "Endless"'
    results, _, _ = recording.replay(endless, f"http://{recording.mended.address}:50051", "--speed", "max")
    assert [r["verdict"] for r in results] == ["same"] * 2, results
    recording.client.run(sys.executable, PEER, "ended", f"{recording.mended.address}:50051", "2", check=True)


def test_nginx_answers_as_it_did_on_as_many_connections(recording):
    results, summary, status = recording.replay('protocol == "http2"', recording.cart.url(""), "--yes", "--ignore", "$.at")
    assert summary["verdicts"]["same"] == 47, summary
    assert summary["still_failing"] == 4 and status == 1
    assert summary["connections"] <= 4
    uploads = [r for r in results if r["target"] == "/upload"]
    assert len(uploads) == 3 and all(r["now"]["status"] == 201 and not r["difference_count"] for r in uploads), uploads


def test_what_another_nginx_does_differently_is_told(recording):
    results, summary, _ = recording.replay('protocol == "http2"', recording.mended.url(""), "--speed", "max", "--ignore", "$.at")
    assert (summary["verdicts"]["fixed"], summary["verdicts"]["changed"], summary["verdicts"]["same"]) == (4, 40, 3), summary
    assert {d["where"] for r in results if r["target"] == "/cart" for d in r["differences"]} == {"$.items"}


def test_a_server_that_speaks_only_http1_gives_no_answer(recording):
    recording.mended.nginx(SHOP, port=8090)
    results, summary, _ = recording.replay('path == "/pay"', recording.mended.url("", port=8090), "--timeout", "2s")
    assert summary["verdicts"]["no_answer"] == 4, results
    assert set(summary["no_answer"]) <= {"garbage", "closed"}, summary
