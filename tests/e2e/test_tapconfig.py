# SPDX-License-Identifier: Apache-2.0
"""TapConfigs: what a namespace asks for is done while everything runs, and what is thought of it stands in the status."""
import json
import pathlib
import re

import pytest
import yaml

from fake_apiserver import ApiServer
from pods import wait_for
from test_kube_names import gauge, pod

ANSWERS = "location /fail { return 500 'no'; } location / { return 200 'ok'; }"


@pytest.fixture
def server(directory):
    with ApiServer(directory) as made:
        yield made


@pytest.fixture
def pods(node, server):
    """A client outside of all namespaces that matter, two pods of shop, one of bank on another node."""
    made = {name: node.pod(name) for name in ("client", "cart", "pay", "till")}
    for name, namespace, at in (("client", "front", "n1"), ("cart", "shop", "n1"), ("pay", "shop", "n1"), ("till", "bank", "n2")):
        if name != "client":
            made[name].nginx(ANSWERS)
        server.put("pods", pod(f"{name}-0", made[name].address, namespace=namespace, workload=name, node=at))
    return made


@pytest.fixture
def start(daemon, server, pods):
    def start(at="n1", captured=("cart", "pay", "till"), **settings):  # the node's name comes as it comes to a DaemonSet's pod
        d = daemon(env={"NODE_NAME": at}, settings={"capture.netns": [pods[p].name for p in captured], "kube.enabled": "true",
                             "kube.config": str(server.kubeconfig()), "kube.tapconfig_period": "1s", **settings})
        wait_for(lambda: gauge(d, "kube_pods") == 4, "the pods are known")
        return d
    return start


def put(server, name, spec, namespace="shop"):
    return server.put("tapconfigs", {"metadata": {"name": name, "namespace": namespace}, "spec": spec})["metadata"]["generation"]


def status(server, name, namespace="shop"):
    return server.get("tapconfigs", name, namespace).get("status", {})


def condition(server, name, namespace="shop"):
    return next(iter(status(server, name, namespace).get("conditions", [])), {})


def wait_said(server, name, generation, accepted, namespace="shop"):
    def said():
        c = condition(server, name, namespace)
        return c.get("observedGeneration") == generation and c["status"] == str(accepted)
    server.wait_for(said)


def get(pods, name, path, *options):
    pods["client"].curl(pods[name].url(path), *options)


def stored(d, count):
    d.wait_stored(count)
    return [f"{x['dst']['pod']} {x['target']}" for x in
            d.request("/api/v1/exchanges?order=asc&limit=100").json()["exchanges"]]


def left_out(d):
    return next(c["value"] for c in d.request("/api/v1/counters").json()["counters"] if (c["metric"], c["label"]) == ("exchanges", "tapconfig"))


def everything(d, cli, store=None):
    """All that can be read of the tapes: what they show, and their files' bytes."""
    shown = cli("ls", "--api", f"unix:{d.socket}", "-o", "har").stdout.encode()
    return shown + b"".join(p.read_bytes() for p in (store or d.store).rglob("*") if p.is_file())


def test_what_is_recorded_and_masked_changes_while_everything_runs(server, pods, start, cli):
    d = start()
    get(pods, "cart", "/1")
    get(pods, "cart", "/fail/2?ssn=plain-parameter", "-H", "X-Account: plain-header")
    assert stored(d, 2) == ["cart-0 /1", "cart-0 /fail/2?ssn=plain-parameter"]
    assert b"plain-header" in everything(d, cli)  # so the search finds what is there

    only_failures = {"select": {"matchLabels": {"app": "cart"}}, "match": ["failed()"]}
    put(server, "failures", only_failures)
    wait_said(server, "failures", 1, True)
    for name, path in (("cart", "/3"), ("pay", "/fail/4"), ("cart", "/fail/5"), ("till", "/6")):
        get(pods, name, path)
    assert stored(d, 4)[2:] == ["cart-0 /fail/5", "till-0 /6"]
    assert left_out(d) == 2
    server.wait_for(lambda: status(server, "failures").get("exchanges") == 1)
    assert status(server, "failures")["nodes"] == [{"name": "n1", "pods": 1, "exchanges": 1}]

    put(server, "failures", {**only_failures, "redact": {"headers": ["X-Account"], "params": ["ssn"]}})
    wait_said(server, "failures", 2, True)
    get(pods, "cart", "/fail/7?ssn=hidden-parameter", "-H", "X-Account: hidden-header")
    assert stored(d, 5)[4].startswith("cart-0 /fail/7?ssn=[tl:")
    assert b"hidden-" not in everything(d, cli)
    assert d.counters()["tapconfig_secrets"] == 2

    put(server, "failures", {"match": ["status >= 500 &&"], "redact": {"headers": ["X-Other"]}})
    wait_said(server, "failures", 3, False)
    said, c = status(server, "failures"), condition(server, "failures")
    assert said["error"]["field"] == "spec.match[0]" and said["error"]["column"] == 17
    assert c["reason"] == "InvalidExpression" and "column 17" in c["message"] and "generation 2 stays in force" in c["message"]
    get(pods, "cart", "/8")
    get(pods, "cart", "/fail/9?ssn=hidden-parameter", "-H", "X-Account: hidden-header")
    assert stored(d, 6)[5].startswith("cart-0 /fail/9?ssn=[tl:")

    store = d.store
    assert d.stop() == 0
    d = start(**{"store.dir": str(store)})  # it has never seen the version that is in force
    get(pods, "cart", "/10")
    get(pods, "cart", "/fail/11?ssn=hidden-parameter", "-H", "X-Account: hidden-header")
    d.wait_stored(1)
    assert b"hidden-" not in everything(d, cli, store)
    assert status(server, "failures")["exchanges"] >= 3  # it goes on counting where the one before ended

    server.delete("tapconfigs", "failures", "shop")
    wait_for(lambda: "TapConfig shop/failures is gone" in d.log, "it is gone")
    get(pods, "pay", "/12")
    assert stored(d, 2)[-1] == "pay-0 /12"


def test_a_namespace_asks_for_itself_alone(server, pods, start):
    d = start()
    put(server, "greedy", {"match": ["true", 'dst.namespace == "shop"'], "redact": {"headers": ["x-account"]}}, "bank")
    put(server, "little", {"match": ["failed()"]})
    wait_said(server, "greedy", 1, True, "bank")
    wait_said(server, "little", 1, True)
    get(pods, "cart", "/1")
    get(pods, "cart", "/fail/2", "-H", "X-Account: a")
    get(pods, "till", "/3", "-H", "X-Account: b")
    assert stored(d, 2) == ["cart-0 /fail/2", "till-0 /3"]
    assert d.counters()["tapconfig_secrets"] == 1
    server.away()
    wait_for(lambda: gauge(d, "tapconfigs_live") == 0, "the loss is noticed")
    get(pods, "cart", "/4")
    get(pods, "cart", "/fail/5")
    assert stored(d, 3)[2] == "cart-0 /fail/5"
    assert left_out(d) == 2


def test_several_of_a_namespace_record_what_any_asks_for_and_mask_what_any_names(server, pods, start):
    d = start()
    put(server, "a", {"match": ["failed()"], "select": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["cart"]}]}})
    put(server, "b", {"match": ['path == "/wanted"'], "select": {"matchLabels": {"app": "pay"}}})
    put(server, "c", {"redact": {"params": ["voucher"]}})
    put(server, "broken", {"matches": ["failed()"]})
    for name in "abc":
        wait_said(server, name, 1, True)
    wait_said(server, "broken", 1, False)
    assert condition(server, "broken")["reason"] == "UnknownField" and status(server, "broken")["error"]["field"] == "spec.matches"
    for name, path in (("cart", "/wanted"), ("cart", "/fail?voucher=1"), ("pay", "/fail"), ("pay", "/wanted?voucher=2")):
        get(pods, name, path)
    found = stored(d, 2)
    assert [f.split("=")[0] for f in found] == ["cart-0 /fail?voucher", "pay-0 /wanted?voucher"]
    assert all("=[tl:" in f for f in found)
    assert gauge(d, "tapconfigs") == 3 and gauge(d, "tapconfigs_refused") == 1


def test_the_daemons_of_all_nodes_write_one_status(server, pods, start):
    n1, n2 = start("n1", ("cart",)), start("n2", ("till",), **{"store.max": "1GiB", "store.age_max": "1h", "store.failures_age_max": "1h"})
    server.put("pods", pod("cart-1", "10.200.200.200", workload="cart", node="n2"))
    put(server, "all", {})
    server.wait_for(lambda: status(server, "all").get("pods") == 3)
    get(pods, "cart", "/1")
    server.wait_for(lambda: status(server, "all").get("exchanges") == 1)
    said = status(server, "all")
    assert sorted(said["nodes"], key=lambda n: n["name"]) == [{"name": "n1", "pods": 2, "exchanges": 1}, {"name": "n2", "pods": 1, "exchanges": 0}]
    assert condition(server, "all")["reason"] == "Accepted"
    assert json.loads(said["applied"]["spec"]) == {}
    server.delete("pods", "cart-1", "shop")
    server.delete("pods", "till-0", "bank")
    server.wait_for(lambda: status(server, "all").get("pods") == 2)
    server.wait_for(lambda: [n["name"] for n in status(server, "all")["nodes"]] == ["n1"])
    assert n1.request("/metrics").status == 200 and n2.request("/metrics").status == 200


def test_what_cannot_be_kept_is_refused_until_the_settings_can(server, pods, start):
    d = start()
    put(server, "week", {"keep": {"maxAge": "7d"}})
    put(server, "share", {"keep": {"share": "20%"}})
    wait_said(server, "week", 1, False)
    wait_said(server, "share", 1, False)
    c = condition(server, "week")
    assert c["reason"] == "NotApplicable" and "tapes hold exchanges of all namespaces" in c["message"]
    d.reload({"store.age_max": "5d", "store.failures_age_max": "5d"})
    wait_said(server, "week", 1, True)
    assert "error" not in status(server, "week")


def test_what_the_document_shows_is_accepted(server, pods, start):
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/tapconfig.md").read_text()
    shown = [yaml.safe_load(b) for b in re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)]
    d = start(**{"store.age_max": "7d", "store.failures_age_max": "7d"})
    for thing in shown:
        server.put("tapconfigs", thing)
    for thing in shown:
        server.wait_for(lambda: condition(server, thing["metadata"]["name"]).get("status"))
    assert {n: condition(server, n)["message"] for n in (t["metadata"]["name"] for t in shown)} == {t["metadata"]["name"]: "applied" for t in shown}
    assert len(shown) == 4 and gauge(d, "tapconfigs") == 4


def test_a_cluster_without_the_definition_is_left_in_peace(server, pods, start):
    server.kinds["tapconfigs"].is_served = False
    d = start()
    get(pods, "cart", "/1")
    assert stored(d, 1) == ["cart-0 /1"]
    server.wait_for(lambda: len(server.seen("GET", "/apis/tapeloop.dev/v1alpha1/tapconfigs")) >= 2)
    assert d.log.count("this cluster has no TapConfigs") == 1
    server.kinds["tapconfigs"].is_served = True
    put(server, "none", {"match": ["false"]})
    wait_said(server, "none", 1, True)


def test_a_daemon_masks_from_its_first_exchange_on(server, pods, start, cli):
    put(server, "mask", {"redact": {"headers": ["x-account"]}})
    d = start()
    get(pods, "cart", "/1", "-H", "X-Account: hidden-header")
    assert stored(d, 1) == ["cart-0 /1"]
    assert b"hidden-" not in everything(d, cli)


def test_a_daemon_that_starts_while_the_api_server_is_away_does_as_before(server, pods, start, daemon, cli):
    d = start()
    put(server, "mask", {"match": ["failed()"], "redact": {"headers": ["x-account"]}})
    wait_said(server, "mask", 1, True)
    server.away()
    store = d.store
    assert d.stop() == 0
    names = d.directory / "identities.yaml"
    names.write_text(f"identities:\n- address: {pods['cart'].address}\n  namespace: shop\n  pod: cart-0\n")
    d = daemon(settings={"capture.netns": [pods["cart"].name], "kube.enabled": "true", "kube.node": "n1", "identities": str(names),
                         "kube.config": str(server.kubeconfig()), "kube.tapconfig_period": "1s", "store.dir": str(store)})
    get(pods, "cart", "/1")
    get(pods, "cart", "/fail/2", "-H", "X-Account: hidden-header")
    assert stored(d, 1) == ["cart-0 /fail/2"]
    assert b"hidden-" not in everything(d, cli, store)
    server.back()
    server.delete("tapconfigs", "mask", "shop")
    wait_for(lambda: "TapConfig shop/mask is gone" in d.log, "it is gone", seconds=60)
    get(pods, "cart", "/3")
    assert stored(d, 2)[1] == "cart-0 /3"


def test_it_can_be_turned_off(server, pods, start):
    put(server, "none", {"match": ["failed()"]})
    d = start(**{"kube.tapconfigs": "false"})
    get(pods, "cart", "/1")
    assert stored(d, 1) == ["cart-0 /1"]
    assert not server.seen("GET", "/apis/tapeloop.dev/v1alpha1/tapconfigs")
