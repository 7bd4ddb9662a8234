# SPDX-License-Identifier: Apache-2.0
"""Names that come after the exchanges they belong to: the API server is away first, and tells later."""
import time

import pytest

from fake_apiserver import ApiServer
from pods import wait_for
from test_kube_names import gauge, pod, service

PLACES = "location / { return 200 'ok'; } location /bad { return 500 'no'; }"


def stamp(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def tenant(name, address, workload, begun, ended=None):
    """A pod that had an address from one second on, and perhaps to another one."""
    state = {"terminated": {"startedAt": stamp(begun), "finishedAt": stamp(ended)}} if ended else {"running": {"startedAt": stamp(begun)}}
    return pod(name, address, workload=workload, startTime=stamp(begun), phase="Succeeded" if ended else "Running",
               containerStatuses=[{"name": "app", "state": state, "containerID": f"containerd://{name}"}])


def count(cli, d, question):
    return cli("ls", question, "-n", "1000", "--api", f"unix:{d.socket}", "-o", "jsonl").stdout.count("\n")


def next_second(second):
    wait_for(lambda: time.time() > second, "the clock goes on")


@pytest.fixture
def server(directory):
    with ApiServer(directory) as made:
        yield made


def test_who_shared_an_address_while_nobody_could_be_asked_is_told_apart_later(node, server, daemon, cli):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(PLACES)
    config = server.kubeconfig()
    server.away()
    d = daemon(settings={"capture.netns": [cart.name], "kube.enabled": "true", "kube.config": str(config)})
    for n in range(6):
        client.curl(cart.url("/bad" if n % 3 == 0 else f"/{n}"))
    ended = int(time.time()) + 1
    next_second(ended + 2)
    for n in range(4):
        client.curl(cart.url(f"/{n}"))
    d.wait_stored(10)
    assert count(cli, d, 'src.pod == ""') == 10
    server.put("pods", tenant("old-0", client.address, "old", ended - 300, ended))
    server.put("pods", tenant("new-0", client.address, "new", ended + 1))
    server.put("pods", tenant("cart-0", cart.address, "cart", ended - 300))
    server.put("services", service("cart", "10.96.0.7", "cart"))
    server.back()
    wait_for(lambda: count(cli, d, 'dst.service == "cart"') == 10, "servers have their names", seconds=60)
    wait_for(lambda: count(cli, d, 'src.workload == ""') == 0, "clients have their names", seconds=60)
    assert [count(cli, d, f'src.pod == "{p}" && src.certainty == "certain"') for p in ("old-0", "new-0")] == [6, 4]
    stats = d.request("/api/v1/stats?by=src.workload,dst.service").json()
    assert stats["source"] == "counts"
    assert sorted((*g["by"].values(), g["count"], g["failed"]) for g in stats["stats"]) == [("new", "cart", 4, 0), ("old", "cart", 6, 2)]
    kinds = d.request("/api/v1/failures").json()["failures"]
    assert sum(k["count"] for k in kinds) == 2
    assert d.counters()["names_late"] >= 3


def test_what_was_inferred_is_corrected_when_the_truth_is_told(node, server, daemon, cli):
    """An address is given to another pod while the last census still says whose it was."""
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(PLACES)
    server.put("pods", tenant("old-0", client.address, "old", time.time() - 300))
    server.put("pods", tenant("cart-0", cart.address, "cart", time.time() - 300))
    d = daemon(settings={"capture.netns": [cart.name], "kube.enabled": "true", "kube.config": str(server.kubeconfig())})
    wait_for(lambda: gauge(d, "kube_pods") == 2, "the pods are known")
    client.curl(cart.url("/1"))
    d.wait_stored(1)
    server.away()
    wait_for(lambda: gauge(d, "kube_live") == 0, "the loss is noticed")
    begun = int(time.time()) + 1
    next_second(begun + 1.1)
    client.curl(cart.url("/2"))
    d.wait_stored(2)
    assert count(cli, d, 'src.pod == "old-0" && src.certainty == "inferred"') == 1
    server.delete("pods", "old-0", "shop")
    server.put("pods", tenant("new-0", client.address, "new", begun))
    server.back()
    wait_for(lambda: count(cli, d, 'src.pod == "new-0" && src.certainty == "certain" && path == "/2"') == 1, "it is put right", seconds=60)
    assert count(cli, d, 'src.pod == "old-0" && path == "/1"') == 1


def test_after_a_restart_the_tape_says_who_waits(node, server, daemon, cli, directory):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(PLACES)
    config = server.kubeconfig()
    server.put("pods", tenant("cart-0", cart.address, "cart", time.time() - 300))
    server.put("pods", tenant("web-0", client.address, "web", time.time() - 300))
    server.away()
    settings = {"store.dir": str(directory / "store"), "capture.netns": [cart.name], "kube.enabled": "true", "kube.config": str(config)}
    d = daemon(settings=settings)
    client.curl(cart.url("/1"))
    d.wait_stored(1)
    d.stop()
    server.back()
    d = daemon(settings=settings)
    wait_for(lambda: count(cli, d, 'src.pod == "web-0" && dst.pod == "cart-0"') == 1, "it has both names", seconds=60)
