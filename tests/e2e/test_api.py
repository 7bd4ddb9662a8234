# SPDX-License-Identifier: Apache-2.0
"""The REST API of a running daemon: what is recorded arrives, over both sockets, and what is wrong is said."""
import http.client
import json
import os
import signal
import socket
import stat
import urllib.parse

import pytest

from programs import UnixConnection, tapeloop

SHOP = """
location /ok { default_type application/json; return 200 '{"uri":"$request_uri"}'; }
location /broken { return 503 'out of stock'; }
"""


@pytest.fixture
def shop(node):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(SHOP)
    return client, cart


@pytest.fixture
def recorded(shop, daemon):
    """A daemon that has 40 good and 10 bad exchanges on its tape, and listens on TCP too."""
    client, cart = shop
    d = daemon(settings={"capture.netns": [cart.name], "api.listen": f"127.0.0.1:{free_port()}"})
    client.run("curl", "-sS", cart.url("/ok/[0-39]"), check=True)
    client.run("curl", "-sS", cart.url("/broken/[0-9]"), check=True)
    d.wait_stored(50)
    return d


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def exchanges_path(filter="", **rest):
    return "/api/v1/exchanges?" + urllib.parse.urlencode({"filter": filter, **rest})


class Stream:
    """Server-sent events of /api/v1/stream, from when its first line has come."""

    def __init__(self, daemon, filter=""):
        self.connection = UnixConnection(daemon.socket)
        self.connection.request("GET", "/api/v1/stream?" + urllib.parse.urlencode({"filter": filter}))
        self.answer = self.connection.getresponse()
        assert self.answer.getheader("Content-Type") == "text/event-stream"
        assert self.event() == {"retry": "2000"}

    def event(self):
        fields = {}
        for line in iter(lambda: self.answer.readline().decode().rstrip("\n"), ""):
            key, _, value = line.partition(": ")
            fields[key] = value
        return fields

    def close(self):
        self.answer.close()
        self.connection.close()


def test_what_a_filter_selects_is_listed_shown_and_grouped(recorded):
    page = recorded.request(exchanges_path("5xx")).json()
    assert [x["status"] for x in page["exchanges"]] == [503] * 10
    assert page["next_cursor"] is None
    newest = page["exchanges"][0]
    body = recorded.request(f"/api/v1/exchanges/{newest['id'][-9:]}/response/body")
    assert body.body == b"out of stock"
    raw = recorded.request(f"/api/v1/exchanges/{newest['id']}/response/raw").body
    assert raw.startswith(b"HTTP/1.1 503 ") and raw.endswith(b"\r\n\r\nout of stock")
    groups = recorded.request("/api/v1/failures").json()["failures"]
    assert [(g["count"], g["status"]) for g in groups] == [(10, 503)]
    wanted = 'response.body.contains("/ok/7\\"") && response.headers["content-type"] == "application/json"'
    page = recorded.request(exchanges_path(wanted, part="messages")).json()
    assert [x["target"] for x in page["exchanges"]] == ["/ok/7"]


def test_the_stream_carries_what_is_recorded_from_now_on(recorded, shop):
    client, cart = shop
    good, bad = Stream(recorded), Stream(recorded, "failed()")
    try:
        client.run("curl", "-sS", cart.url("/ok/stream"), cart.url("/broken/stream"), check=True)
        events = [good.event(), good.event()]
        assert [json.loads(e["data"])["target"] for e in events] == ["/ok/stream", "/broken/stream"]
        assert all(e["event"] == "exchange" and e["id"] == json.loads(e["data"])["id"] for e in events)
        assert json.loads(bad.event()["data"])["target"] == "/broken/stream"
    finally:
        good.close()
        bad.close()


def test_a_stop_ends_a_stream_in_order_and_takes_the_socket_with_it(recorded):
    stream = Stream(recorded)
    recorded.process.send_signal(signal.SIGTERM)
    assert stream.answer.read() == b""  # http.client raises IncompleteRead where it is cut
    assert recorded.process.wait(20) == 0
    assert not recorded.socket.exists()


def test_metrics_and_health_speak_of_the_recorder(recorded):
    text = recorded.request("/metrics").text
    assert '\ntapeloop_exchanges_total{reason="stored"} 50\n' in text
    assert "\ntapeloop_recording 1\n" in text
    assert recorded.request("/healthz").json()["status"] == "ok"
    assert recorded.request("/readyz").json()["tapes"] >= 1
    assert stat.S_IMODE(os.stat(recorded.socket).st_mode) == 0o660


def test_tcp_answers_only_to_its_own_name(recorded):
    listen = recorded.config.read_text().split('listen: "')[1].split('"')[0]
    host, port = listen.split(":")

    def status(name):
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", "/healthz", headers={"Host": name})
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    assert status(listen) == status(f"localhost:{port}") == 200
    assert status("attacker.example") == 421


@pytest.mark.parametrize("filter, column", [("status = 500", 8), ("statsu == 500", 1), ("latency > 300", 11)])
def test_a_malformed_filter_is_refused_with_its_column_by_rest_and_command_line(recorded, filter, column):
    answer = recorded.request(exchanges_path(filter))
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["parameter"] == "filter"
    assert answer.json()["detail"].startswith(f"column {column}: ")
    done = tapeloop("ls", "--store", str(recorded.store), filter)
    assert done.returncode == 2
    assert f"column {column}: " in done.stderr


def test_a_port_in_use_and_an_open_address_are_refused(daemon, node):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        d = daemon(settings={"capture.netns": [node.pod("a").name], "api.listen": f"127.0.0.1:{taken.getsockname()[1]}"}, wait=False)
        assert d.process.wait(20) == 3
        assert "Address already in use" in d.log
    d = daemon(settings={"capture.netns": [node.pod("b").name], "api.listen": "0.0.0.0:7700"}, wait=False)
    assert d.process.wait(20) != 0
    assert "only loopback addresses" in d.log


def test_clients_that_send_half_a_request_or_too_much_hold_nobody_up(recorded):
    slow = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(recorded.socket))
        s.sendall(b"GET /healthz HTT")
        slow.append(s)
    assert recorded.request("/healthz").status == 200
    for s in slow:
        s.close()
    assert recorded.request("/api/v1/exchanges?filter=" + "a" * 9000).status in (400, 414)
    assert recorded.request("/healthz", headers={"X-Long": "a" * 60000}).status == 431
    assert recorded.request("/healthz", method="POST", body=b"x" * 100000).status == 405
    assert recorded.request("/healthz").status == 200
