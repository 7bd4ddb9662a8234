# SPDX-License-Identifier: Apache-2.0
"""tapeloop --kube: two nodes' daemons behind an API server, asked by people with different rights."""
import json
import os
import shutil
import socket

import pytest

import programs
from fake_apiserver import ApiServer
from pods import wait_for
from test_api import free_port
from test_kube_names import gauge, pod as kube_pod

LABELS = {"app.kubernetes.io/name": "tapeloop", "app.kubernetes.io/component": "node"}
SECRET = "of-pay-alone"


@pytest.fixture
def cluster(directory, node, daemon):
    """Node 1 records shop's cart, node 2 pay's till; ann may see shop, root all, nobody nothing."""
    with ApiServer(directory / "kube") if (directory / "kube").mkdir() is None else None as api:
        api.users = {"of-ann": ("ann", ["team"]), "of-root": ("root", []), "of-nobody": ("nobody", [])}
        api.allows = lambda user, groups, a: user == "root" or (
            user == "ann" and a.get("group") == "tapeloop.dev" and a.get("resource") == "pods"
            and a.get("subresource") == "tapes" and a.get("verb") == "get" and a.get("namespace") == "shop")
        client, cart, till = node.pod("client"), node.pod("cart"), node.pod("till")
        cart.nginx("location / { return 200 'cart'; } location /bad { return 503 'no cart'; }")
        till.nginx(f"location / {{ return 200 '{SECRET}'; }} location /bad {{ return 503 '{SECRET}'; }}")
        names = directory / "names.yaml"
        names.write_text("identities:\n"
                         f"  - {{address: {cart.address}, service: cart, namespace: shop, pod: cart-0}}\n"
                         f"  - {{address: {till.address}, service: till, namespace: pay, pod: till-0}}\n")
        daemons = []
        for i, pod in ((1, cart), (2, till)):
            port = free_port()
            daemons.append(daemon(settings={"capture.netns": [pod.name], "identities": str(names), "api.auth": "kubernetes",
                                            "api.listen": f"127.0.0.1:{port}"},
                                  env={"KUBECONFIG": str(api.kubeconfig())}))
            name = f"tapeloopd-{i}"
            api.put("pods", {"metadata": {"namespace": "tapeloop", "name": name, "labels": LABELS},
                             "spec": {"nodeName": f"node-{i}", "containers": [{"name": "tapeloopd"}]}},
                    status={"phase": "Running"})
            api.backends["tapeloop", "pods", f"{name}:7700"] = ("127.0.0.1", port)
        for _ in range(3):
            for pod in (cart, till):
                client.curl(pod.url("/x"))
                client.curl(pod.url("/bad"))
        for d in daemons:
            d.wait_stored(6)
        api.daemons = daemons
        yield api


def as_(api, who):
    return str(api.kubeconfig(f"config-{who}", user={"token": f"of-{who}"}))


def ask(cli, api, who, command, *words, status=0, leading=()):
    r = cli("--kube", "--kubeconfig", as_(api, who), *leading, command, *words)
    assert r.returncode == status, (r.stdout, r.stderr)
    return r


@pytest.mark.root
def test_the_nodes_answer_as_one_and_each_sees_what_they_may(cluster, cli):
    everything = [json.loads(x) for x in ask(cli, cluster, "root", "ls", "-o", "jsonl", "-n", "0").stdout.splitlines()]
    assert len(everything) == 12
    ids = [x["id"] for x in everything]
    assert ids == sorted(ids, reverse=True)  # merged by time
    mine = [json.loads(x) for x in ask(cli, cluster, "ann", "ls", "-o", "jsonl", "-n", "0").stdout.splitlines()]
    assert {x["dst"]["namespace"] for x in mine} == {"shop"} and len(mine) == 6
    assert ask(cli, cluster, "nobody", "ls", "-o", "jsonl").stdout == ""
    assert len(ask(cli, cluster, "root", "ls", "-o", "jsonl", leading=("-n", "pay")).stdout.splitlines()) == 6

    refused = ask(cli, cluster, "ann", "ls", status=3, leading=("-n", "pay"))
    assert "may not" in refused.stderr and "in namespace pay" in refused.stderr

    hidden = next(x["id"] for x in everything if x["dst"]["namespace"] == "pay")
    shown = next(x["id"] for x in everything if x["dst"]["namespace"] == "shop")
    assert SECRET in ask(cli, cluster, "root", "show", hidden).stdout
    assert "cart" in ask(cli, cluster, "ann", "show", shown).stdout
    assert "no exchange that you may see" in ask(cli, cluster, "ann", "show", hidden, status=1).stderr


@pytest.mark.root
def test_sums_are_of_all_nodes(cluster, cli):
    failures = json.loads(ask(cli, cluster, "root", "failures", "-o", "json").stdout)["failures"]
    assert sorted((f["count"], f["dst"]["service"]) for f in failures) == [(3, "cart"), (3, "till")]
    stats = json.loads(ask(cli, cluster, "root", "stats", "--by", "status", "-o", "json").stdout)
    assert {r["by"]["status"]: r["count"] for r in stats["stats"]} == {200: 6, 503: 6}
    assert all(r["latency_ns"]["count"] == 6 and 0 < r["latency_ns"]["p50"] <= r["latency_ns"]["max"] for r in stats["stats"])
    assert stats["count"] == 12
    own = json.loads(ask(cli, cluster, "ann", "stats", "--by", "dst.namespace", "-o", "json").stdout)
    assert {r["by"]["dst.namespace"]: r["count"] for r in own["stats"]} == {"shop": 6}


@pytest.mark.root
def test_a_node_that_does_not_answer_is_said(cluster, cli):
    del cluster.backends["tapeloop", "pods", "tapeloopd-2:7700"]
    r = ask(cli, cluster, "root", "ls", "-o", "jsonl", "-n", "0", status=3)
    assert len(r.stdout.splitlines()) == 6
    assert "node node-2 does not answer" in r.stderr and "1 of 2 daemons did not answer" in r.stderr


@pytest.mark.root
def test_what_is_selected_leaves_the_cluster(cluster, cli, directory):
    tape = directory / "kept.tape"
    ask(cli, cluster, "ann", "keep", "--as", str(tape))
    assert len(cli("ls", "--store", str(tape), "-o", "jsonl", "-n", "0").stdout.splitlines()) == 6
    assert SECRET.encode() not in tape.read_bytes()
    har = json.loads(ask(cli, cluster, "root", "export", "--as", "har").stdout)
    assert len(har["log"]["entries"]) == 12


@pytest.fixture
def sidecar(cluster, node, daemon, directory):
    """In shop beside a web server: it listens on its own loopback, asks for no token, and is reached by a port-forward alone."""
    pod, port = node.pod("web"), free_port()
    pod.nginx("location / { return 200 'beside'; }")
    names = directory / "sidecar.yaml"
    names.write_text(f"identities:\n  - {{address: {pod.address}, service: web, namespace: shop, pod: web-0}}\n")
    d = daemon(settings={"capture.netns": [pod.name], "identities": str(names), "api.listen": f"127.0.0.1:{port}"})
    containers = [{"name": "web"}, {"name": "tapeloop"}]
    for name, more in (("web-0", {}), ("giver-0", {"annotations": {"tapeloop.dev/handover": "/run/h.sock"}})):
        cluster.put("pods", {"metadata": {"namespace": "shop", "name": name, **more}, "spec": {"containers": containers}}, status={"phase": "Running"})
    cluster.put("pods", {"metadata": {"namespace": "shop", "name": "plain-0"}, "spec": {"containers": [{"name": "web"}]}}, status={"phase": "Running"})
    cluster.forwards["shop", "web-0"] = lambda asked: socket.create_connection(("127.0.0.1", port if asked == 7700 else 1))
    client = node.pod("guest")
    for _ in range(3):
        client.curl(pod.url("/beside"))
    d.wait_stored(3)
    return d


@pytest.mark.root
def test_a_namespaces_sidecars_answer_too_and_are_shown_no_token(cluster, sidecar, cli):
    paths = [json.loads(x)["path"] for x in ask(cli, cluster, "root", "ls", "-o", "jsonl", "-n", "0", leading=("-n", "shop")).stdout.splitlines()]
    assert sorted(paths) == ["/bad"] * 3 + ["/beside"] * 3 + ["/x"] * 3
    forwards = [r for r in cluster.requests if r["path"].endswith("/portforward")]
    assert {r["path"] for r in forwards} == {"/api/v1/namespaces/shop/pods/web-0/portforward"}, "not those that hand over, nor who has none"
    assert all(r["status"] == 101 for r in forwards)
    assert "/beside" not in ask(cli, cluster, "root", "ls").stdout, "without a namespace the nodes are asked alone"
    tape = json.loads(ask(cli, cluster, "root", "tapes", "-o", "json", leading=("-n", "shop")).stdout)
    assert any(t["path"].startswith("shop/web-0: ") for t in tape["tapes"])


@pytest.mark.root
def test_who_may_not_forward_to_a_pod_is_told_and_sees_the_rest(cluster, sidecar, cli):
    cluster.refuse("/api/v1/namespaces/shop/pods/web-0/portforward", 403, 'User "ann" cannot get resource "pods/portforward"')
    r = ask(cli, cluster, "ann", "ls", "-o", "jsonl", "-n", "0", status=3, leading=("-n", "shop"))
    assert len(r.stdout.splitlines()) == 6
    assert "shop/web-0 does not answer" in r.stderr and "cannot get resource" in r.stderr


@pytest.mark.root
def test_a_sidecar_that_is_not_there_yet_is_said(cluster, sidecar, cli):
    cluster.forwards["shop", "web-0"] = lambda asked: socket.create_connection(("127.0.0.1", 1))
    r = ask(cli, cluster, "root", "ls", "-o", "jsonl", "-n", "0", status=3, leading=("-n", "shop"))
    assert len(r.stdout.splitlines()) == 6 and "shop/web-0 does not answer" in r.stderr


@pytest.mark.root
def test_a_sidecar_is_asked_where_the_nodes_are_not_to_be_listed(cluster, sidecar, cli):
    cluster.refuse("/api/v1/namespaces/tapeloop/pods", 403, "pods is forbidden")
    r = ask(cli, cluster, "root", "ls", "-o", "jsonl", "-n", "0", leading=("-n", "shop"))
    assert len(r.stdout.splitlines()) == 3 and "only sidecars" in r.stderr


@pytest.mark.root
def test_kubectl_finds_us_by_our_other_name(cluster, directory):
    plugin = directory / "kubectl-tapeloop"
    shutil.copy(programs.TAPELOOP, plugin)
    import subprocess

    def run(*words):
        return subprocess.run([str(plugin), *words], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "KUBECONFIG": as_(cluster, "ann")})

    assert len(run("ls", "-n", "shop", "-o", "jsonl").stdout.splitlines()) == 6
    assert run("ls", "--help").stdout.startswith("Usage: kubectl tapeloop ls")
    assert run("ls", "--nope").stderr.startswith("kubectl tapeloop ls:")


@pytest.mark.root
def test_what_two_nodes_recorded_of_one_exchange_is_told_once(directory, node, daemon, cli):
    """The client's pod is on the one node, the server's on the other: each daemon has its view."""
    (directory / "kube").mkdir()
    with ApiServer(directory / "kube") as api:
        api.users = {"of-root": ("root", [])}
        api.allows = lambda user, groups, a: True
        web, cart = node.pod("web"), node.pod("cart")
        cart.nginx("location / { return 200 'cart'; }")
        api.put("pods", kube_pod("web-0", web.address, workload="web", node="node-1"))
        api.put("pods", kube_pod("cart-0", cart.address, node="node-2"))
        daemons = []
        for i, pod in ((1, web), (2, cart)):
            port = free_port()
            daemons.append(daemon(settings={"capture.netns": [pod.name], "kube.enabled": "true", "kube.config": str(api.kubeconfig()),
                                            "kube.node": f"node-{i}", "api.auth": "kubernetes", "api.listen": f"127.0.0.1:{port}"},
                                  env={"KUBECONFIG": str(api.kubeconfig())}))
            api.put("pods", {"metadata": {"namespace": "tapeloop", "name": f"tapeloopd-{i}", "labels": LABELS},
                             "spec": {"nodeName": f"node-{i}", "containers": [{"name": "tapeloopd"}]}}, status={"phase": "Running"})
            api.backends["tapeloop", "pods", f"tapeloopd-{i}:7700"] = ("127.0.0.1", port)
        for d in daemons:
            wait_for(lambda: gauge(d, "kube_pods") == 4, "the pods are known", 20)
        for i in range(3):
            web.curl(cart.url(f"/{i}"))
        web.curl(cart.url("/many/[1-300]"), "-o", "/dev/null")  # more than a page
        for d in daemons:
            d.wait_stored(303)
        for order in ([], ["--reverse"]):
            told = [json.loads(x) for x in ask(cli, api, "root", "ls", "-o", "jsonl", "-n", "0", *order).stdout.splitlines()]
            assert len(told) == 303
            assert len({x["target"] for x in told}) == 303
            assert all((x["src"]["node"], x["dst"]["node"]) == ("node-1", "node-2") for x in told)
            assert all(0 < x["dst"]["latency_ns"] <= x["latency_ns"] for x in told)
        api.backends.pop(("tapeloop", "pods", "tapeloopd-2:7700"))
        alone = ask(cli, api, "root", "ls", "-o", "jsonl", "-n", "0", status=3).stdout.splitlines()
        assert len(alone) == 303 and "latency_ns" not in json.loads(alone[0])["dst"]
