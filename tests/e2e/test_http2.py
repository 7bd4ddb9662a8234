# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 between real peers: nginx and h2load, from the first byte and joined while it runs."""
import json

import pytest

from pods import wait_for

pytestmark = pytest.mark.root
SERVER = """
    location /api/ { default_type application/json; add_header x-answer $request_uri; return 200 '{"path":"$request_uri"}'; }
    location /fail/ { return 503 '{"path":"$request_uri"}'; }
"""
PATHS = ["/api/items/17", "/api/carts/abc?full=1", "/fail/now", "/api/users/me"]


def h2_server(node):
    server = node.pod("cart")
    server.nginx(SERVER, port=8081, http2=True)
    return server


def uris(directory, server):
    path = directory / "uris"
    path.write_text("".join(f"http://{server.address}:8081{p}\n" for p in PATHS))
    return path


def h2load(client, path, count, connections, rate_each, *more):
    return client.popen("h2load", "-n", count, "-c", connections, "-m", 8, "--rps", rate_each, "-i", path,
                        "-H", "x-user: 7", *more, stdout=-1, stderr=-1, text=True)


def rows(cli, d, *words):
    done = cli("ls", "--api", f"unix:{d.socket}", "-n", "0", "-o", "jsonl", *words)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_exchange_of_a_paced_load_is_recorded(node, daemon, cli, directory):
    client, server = node.pod("client"), h2_server(node)
    d = daemon(settings={"capture.netns": [str(server.path)]})
    run = h2load(client, uris(directory, server), 10000, 10, 500)  # 5,000 requests a second
    said = run.communicate(timeout=60)[0]
    assert "10000 succeeded" in said or "10000 done" in said, said
    d.wait_stored(10000)
    counters = d.counters()
    assert counters["requests_seen"] == 10000
    assert counters["requests{exchanged}"] == 10000
    got = rows(cli, d)
    assert len(got) == 10000
    assert {x["protocol"] for x in got} == {"http2"}
    for x in got:
        assert x["target"] in PATHS and x["method"] == "GET", x
        assert x["status"] == (503 if x["target"].startswith("/fail") else 200), x
        assert x["response"]["size"] == len('{"path":"%s"}' % x["target"]), x
    assert sum(x["outcome"] == "server_error" for x in got) == 2500
    assert len({(x["connection"], x["stream"]) for x in got}) == 10000


def test_nothing_is_wrong_about_connections_joined_late(node, daemon, cli, directory):
    client, server = node.pod("client"), h2_server(node)
    h2load(client, uris(directory, server), 1000000, 1000, 3)  # goes on until the test ends
    wait_for(lambda: server.accepted(8081) >= 1000, "all connections are open")
    d = daemon(settings={"capture.netns": [str(server.path)]})
    d.wait_stored(5000, seconds=30)
    wait_for(lambda: d.counters()["connections_joined"] >= 950, "those that are open are joined", 60)
    got = rows(cli, d)
    whole = 0
    for x in got:
        assert x["method"] in ("GET", ""), x
        assert x["target"] in PATHS or x["target"] == "", x
        if x["status"] and x["target"]:
            assert x["status"] == (503 if x["target"].startswith("/fail") else 200), x
            assert x["response"]["size"] == len('{"path":"%s"}' % x["target"]), x
        whole += bool(x["status"] and x["target"] and x["method"])
    print(f"joined late: {whole} of {len(got)} have method, target and status")
    assert whole  # the rest refers to header fields that were sent before, or answers requests from before
    assert d.rss_kib() < 128 * 1024
