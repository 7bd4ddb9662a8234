# SPDX-License-Identifier: Apache-2.0
"""Kinds of failures and counts, of what a real nginx answers in several shapes, over REST and on the command line."""
import csv
import io
import json
import urllib.parse

import pytest

from programs import tapeloop

pytestmark = pytest.mark.root

SHOP = """
gzip on; gzip_min_length 1; gzip_types application/json;
location /ok { return 200 '{"uri":"$request_uri"}'; }
location /json { default_type application/json; return 500 '{"trace_id":"$request_id","error":"no item $arg_n","code":7}'; }
location /text { default_type text/plain; return 503 "order $request_id of 'ann-$arg_n' at $time_iso8601 is late\\n"; }
location /other { default_type text/plain; return 503 "out of stock\\n"; }
location /page { return 502; }
location /gone { return 444; }
"""
ERRORS = {
    "/json": '{"code":{},"error":"no item {}","trace_id":{}}',
    "/text": "order {} of '{}' at {} is late",
    "/other": "out of stock",
    "/page": "{} Bad Gateway {} Bad Gateway nginx/{}",
    "/gone": "",
}
COUNT = 7


@pytest.fixture
def world(node, daemon):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(SHOP)
    d = daemon(settings={"capture.netns": [cart.name]})
    for path in ERRORS:
        for n in range(COUNT):
            client.run("curl", "-s", "-H", "Accept-Encoding: gzip", cart.url(f"{path}?n={n}"), "-o", "/dev/null")
    client.run("curl", "-sS", cart.url("/ok/[0-19]"), check=True)
    client.run("curl", "-sS", *(cart.url(f"/users/{chr(97 + i // 26)}{chr(97 + i % 26)}") for i in range(140)), "-o", "/dev/null")
    d.wait_stored(len(ERRORS) * COUNT + 20 + 140)
    return d


def get(d, path, **params):
    return d.request(f"/api/v1/{path}?" + urllib.parse.urlencode(params)).json()


def test_errors_of_one_shape_are_one_kind_and_counts_agree(world):
    d = world
    kinds = get(d, "failures")["failures"]
    assert {k["route"]: (k["error"], k["count"]) for k in kinds} == {p: (e, COUNT) for p, e in ERRORS.items()}
    for kind in kinds:
        assert sum(kind["rate"]["counts"]) == COUNT and kind["rate"]["step_ns"] > 0
        newest = get(d, f"exchanges/{kind['exemplar']}")
        assert (newest["route"], newest["error"], newest["time"]) == (kind["route"], kind["error"], kind["last"])
    # what is new, by the daemon and on the command line
    first = min(k["first"] for k in kinds)
    assert len(get(d, "failures", new_since=first)["failures"]) == len(ERRORS)
    assert get(d, "failures", new_since="0s")["failures"] == []
    assert d.request("/api/v1/failures?new_since=x").json()["parameter"] == "new_since"
    url = f"unix:{d.socket}"
    told = json.loads(tapeloop("failures", "--api", url, "--new-since", "1h", "-o", "json").stdout)["failures"]
    assert [k["exemplar"] for k in told] == [k["exemplar"] for k in kinds]
    assert "No new kinds of failures" in tapeloop("failures", "--api", url, "--new-since", "0s").stderr
    wide = tapeloop("failures", "--api", url, "-o", "wide", env={"LC_ALL": "C"}).stdout
    assert "out of stock" in wide and "#" in wide and wide.isascii()
    found = tapeloop("ls", 'error == "out of stock"', "--api", url, "-o", "id").stdout.split()
    assert len(found) == COUNT
    # names of users were learned to vary: 128 words were seen as they are, the rest by their route
    routes = {r["by"]["route"]: r["count"] for r in get(d, "stats", by="route", limit=1000)["stats"]}
    assert routes["/users/{}"] == 140 - 127 and routes["/ok/{}"] == 20

    # counts: from the counts of minutes, exchange by exchange, and over both doors
    counted = get(d, "stats", by="status")
    assert counted["source"] == "counts" and counted["why"] is None and counted["count"] == len(ERRORS) * COUNT + 160
    assert {r["by"]["status"]: (r["count"], r["failed"]) for r in counted["stats"]} == {
        404: (140, 0), 200: (20, 0), 503: (14, 14), 500: (7, 7), 502: (7, 7), 0: (7, 7)}
    assert counted["lost"] == dict.fromkeys(("packets", "queue_full", "memory", "store_full", "store_error"), 0)
    listed = get(d, "stats", by="status", filter='path != "x"')
    assert listed["source"] == "exchanges" and "filter" in listed["why"] and listed["stats"] == counted["stats"]
    assert all(r["latency_ns"]["p50"] <= r["latency_ns"]["p99"] <= r["latency_ns"]["max"] for r in counted["stats"])
    minutes = get(d, "stats", by="", every="1m")["stats"]
    assert sum(r["count"] for r in minutes) == counted["count"] and all(r["time"].endswith(":00.000000000Z") for r in minutes)
    for parameter, value in (("by", "sttus"), ("every", "1"), ("every", "1ms"), ("filter", "status ==")):
        problem = get(d, "stats", **{parameter: value})
        assert (problem["status"], problem["parameter"]) == (400, parameter)
    assert "status" in get(d, "stats", by="sttus")["detail"]
    for where in (("--api", url), ("--store", str(d.store))):
        told = json.loads(tapeloop("stats", "--by", "status", "-o", "json", *where).stdout)
        assert told == {**counted, "lost": counted["lost"] if "--api" in where else None}  # a store does not know
        rows = list(csv.DictReader(io.StringIO(tapeloop("stats", "--by", "status", "-o", "csv", *where).stdout)))
        assert [(int(r["status"]), int(r["count"])) for r in rows] == [(r["by"]["status"], r["count"]) for r in counted["stats"]]
        table = tapeloop("stats", "--by", "route", "--explain", "-n", "3", *where)
        assert "/ok/{}" in table.stdout and "for each minute" in table.stderr and "more groups" in table.stderr
    assert tapeloop("stats", "--by", "nothing", "--store", str(d.store)).returncode == 2
