# SPDX-License-Identifier: Apache-2.0
"""Recorded traffic sent to servers that want TLS: nginx with certificates good and bad, HTTP/1.1 and HTTP/2, and gRPC."""
import json
import pathlib
import subprocess
import sys

import pytest

import pods
import programs
from certificates import Authority

pytest.importorskip("grpc", reason="python3-grpcio is not installed")
pytestmark = pytest.mark.root

PEER = pathlib.Path(__file__).parent / "grpc_peer.py"
SHOP = """
location = /cart { default_type application/json; return 200 '{"items":1}'; }
location = /pay { return 503 'no'; }
"""
SEEN = r"""
location = /cart { default_type application/json; add_header X-Seen "$scheme $ssl_server_name $ssl_client_verify"; return 200 '{"items":1}'; }
location = /pay { return 503 'no'; }
"""
CALLS = {"Unary", "Failing", "ServerStream", "ClientStream", "BothStream", "Missing"}


def tls(certificate, *more):
    return f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]}; " + " ".join(more) + SEEN


class Recording:
    """What was recorded in the clear, and servers with TLS to which it goes."""

    def __init__(self, node, directory):
        self.client, self.cart, self.target = node.pod("client"), node.pod("cart"), node.pod("target")
        self.cart.nginx(SHOP)
        self.cart.nginx(SHOP, port=8082, http2=True)
        self.serve_grpc(self.cart)
        self.authority, self.stranger = Authority(directory), Authority(directory, "stranger")
        good = self.authority.issue("cart.test", self.target.address)
        self.client_certificate = self.authority.issue("client.test")
        for port, certificate, http2, *more in (
                (8443, good, False), (8444, good, True),
                (8445, self.authority.issue("late.test", self.target.address, days=-1), False),
                (8446, self.stranger.issue("cart.test", self.target.address), False),
                (8447, self.authority.issue("other.test"), False),
                (8448, good, False, f"ssl_verify_client on; ssl_client_certificate {self.authority.path};")):
            self.target.nginx(tls(certificate, *more), port=port, http2=http2, tls=True)
        self.target.nginx(SEEN, port=8449)
        self.serve_grpc(self.target, *good)
        d = programs.Daemon(directory / "daemon", settings={"capture.netns": [self.cart.name]})
        try:
            for _ in range(3):
                self.client.curl(self.cart.url("/cart"), self.cart.url("/cart"))
            self.client.curl(self.cart.url("/pay"))
            self.client.run("h2load", "-n", "20", "-c", "2", "-m", "4", self.cart.url("/cart", port=8082), check=True)
            said = self.client.run(sys.executable, PEER, "call", f"{self.cart.address}:50051", check=True).stdout
            self.calls = {call["method"]: call for call in map(json.loads, said.splitlines())}
            d.wait_stored(27 + len(self.calls))
        finally:
            d.stop()
        self.store = d.store

    def serve_grpc(self, pod, *files):
        process = pod.popen(sys.executable, PEER, "serve", "0.0.0.0:50051", *files, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"

    def replay(self, filter, port, *words, output="json", trusts=True):
        words = [*words, "--ca", self.authority.path] if trusts else words
        return programs.tapeloop("replay", "--store", self.store, "--to", f"https://{self.target.address}:{port}", "-o", output,
                                 "--speed", "max", "--ignore", "header:X-Seen", *words, filter, namespace=self.client)

    def report(self, *words, **options):
        done = self.replay(*words, **options)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        return report["results"], report["summary"], done


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    directory = tmp_path_factory.mktemp("replaytls")
    node = pods.Node(directory)
    try:
        yield Recording(node, directory)
    finally:
        node.close()


HTTP1, HTTP2, GRPC = 'protocol == "http1"', 'protocol == "http2"', 'protocol == "grpc"'


def test_http1_goes_over_tls_and_sessions_are_used_again(recording):
    _, summary, done = recording.report(HTTP1, 8443, "--concurrency", 1)
    assert summary["verdicts"]["same"] == 7 and summary["still_failing"] == 1, summary
    assert summary["tls_handshakes"] == summary["connections"] == 4, summary
    assert summary["tls_resumed"] == 3, summary
    assert "insecure" not in done.stderr


def test_http2_goes_over_tls_as_https(recording):
    _, summary, _ = recording.report(HTTP2, 8444)
    assert summary["verdicts"]["same"] == 20 and summary["tls_handshakes"] == 2, summary


def test_scheme_and_server_name_are_the_targets(recording):
    words = ["--tls-server-name", "cart.test", "-n", "1"]
    for filter, port in ((HTTP1, 8443), (HTTP2, 8444)):
        done = programs.tapeloop("replay", "--store", recording.store, "--to", f"https://{recording.target.address}:{port}", "-o", "json",
                                 "--ca", recording.authority.path, *words, filter, namespace=recording.client)
        (result,) = json.loads(done.stdout)["results"]
        assert [d["now"] for d in result["differences"] if d["where"].lower() == "x-seen"] == ["https cart.test NONE"], result


def test_grpc_goes_over_tls(recording):
    results, summary, _ = recording.report(GRPC, 50051, "--allow-unsafe", "--timeout", "3s")
    found = {r["target"].rsplit("/")[-1]: r for r in results}
    for method in CALLS:
        assert found[method]["verdict"] == "same", found[method]
        assert found[method]["now"]["grpc_status"] == recording.calls[method]["status"]
    assert summary["tls_handshakes"] == 1, summary


@pytest.mark.parametrize("port, reason, text", [
    (8445, "tls_expired", "certificate has expired"),
    (8446, "tls_untrusted", "unable to get local issuer certificate"),
    (8447, "tls_wrong_host", "IP address mismatch"),
    (8449, "tls_failed", "wrong version number"),
], ids=["expired", "unknown issuer", "wrong host", "no TLS at all"])
def test_what_is_wrong_with_the_other_side_is_named(recording, port, reason, text):
    results, summary, done = recording.report('path == "/cart" && ' + HTTP1, port)
    assert summary["no_answer"] == {reason: 6} and summary["sent"] == 0, summary
    assert all(r["reason"] == reason and text in r["why"] for r in results), results[0]
    assert done.returncode == 1
    if port == 8449:
        return
    junit = recording.replay('path == "/cart" && ' + HTTP1, port, output="junit").stdout
    assert 'errors="6"' in junit and text in junit
    table = recording.replay('path == "/cart" && ' + HTTP1, port, output="table").stdout
    assert reason in table and text in table
    _, summary, done = recording.report('path == "/cart" && ' + HTTP1, port, "--insecure")
    assert summary["verdicts"]["same"] == 6 and done.returncode == 0
    assert "certificates of targets are NOT verified" in done.stderr
    assert json.loads(done.stdout)["plan"]["targets"][0]["insecure"] is True


def test_the_systems_store_does_not_know_our_authority(recording):
    _, summary, _ = recording.report('path == "/cart" && ' + HTTP1, 8443, trusts=False)
    assert summary["no_answer"] == {"tls_untrusted": 6}, summary


def test_a_name_is_verified_in_the_place_of_the_address(recording):
    _, summary, _ = recording.report('path == "/cart" && ' + HTTP1, 8447, "--tls-server-name", "other.test")
    assert summary["verdicts"]["same"] == 6, summary
    _, summary, _ = recording.report('path == "/cart" && ' + HTTP1, 8443, "--tls-server-name", "other.test")
    assert summary["no_answer"] == {"tls_wrong_host": 6}, summary


def test_http2_is_not_sent_to_a_server_that_chose_another_protocol(recording):
    results, summary, _ = recording.report(HTTP2, 8443)
    assert summary["no_answer"] == {"tls_alpn": 20} and summary["sent"] == 0, summary
    assert "(ALPN)" in results[0]["why"], results[0]


def test_a_client_certificate_is_shown_where_it_is_asked_for(recording):
    certificate, key = recording.client_certificate
    _, summary, _ = recording.report('path == "/cart" && ' + HTTP1, 8448, "--cert", certificate, "--key", key)
    assert summary["verdicts"]["same"] == 6, summary
    _, summary, _ = recording.report('path == "/cart" && ' + HTTP1, 8448)
    assert summary["verdicts"]["changed"] == 6, summary  # nginx answers 400 in HTTP


@pytest.mark.parametrize("words, why", [
    (["--ca", "/none.pem"], "--ca /none.pem: No such file"),
    (["--ca", __file__], "no certificates in PEM"),
    (["--cert", __file__], "no certificate in PEM"),
    (["--key", __file__], "--key without --cert"),
])
def test_wrong_files_are_told_before_anything_is_sent(recording, words, why):
    done = recording.replay(HTTP1, 8443, *words, trusts=False)
    assert done.returncode in (1, 2, 3) and why in done.stderr and not done.stdout.strip(), (done.stdout, done.stderr)
