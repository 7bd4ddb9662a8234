# SPDX-License-Identifier: Apache-2.0
"""TapConfigs on a real API server: the definition is accepted, the DaemonSet's own rights are enough to read them and to write
their status, and what is recorded of a namespace follows."""
import json

import pytest

from test_install import deployment, fetch, here, pods, recorded, rollout, the_daemon
from test_manifests import plain


def tapconfig(name, spec, namespace="taps"):
    return {"apiVersion": "tapeloop.dev/v1alpha1", "kind": "TapConfig", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.fixture(scope="module")
def node(cluster):
    c = cluster
    c.apply(here(plain("base")))
    rollout(c, "tapeloop", "daemonset/tapeloopd")
    c.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "taps"}}])
    c.wait(lambda: c.k("-n", "taps", "get", "serviceaccount", "default", check=False), "the namespace is ready")
    c.apply([deployment("taps", "cart"), deployment("taps", "pay")])
    for name in ("cart", "pay"):
        rollout(c, "taps", f"deployment/{name}")
    yield c
    c.k("delete", "--timeout=120s", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": here(plain("base"))}))
    c.k("delete", "namespace", "taps", "--timeout=120s")


def status(c, name):
    return c.get("tapconfig", name, "-n", "taps").get("status", {})


def accepted(c, name):
    generation = c.get("tapconfig", name, "-n", "taps")["metadata"]["generation"]
    found = status(c, name)
    return [x["status"] for x in found.get("conditions", []) if x["type"] == "Accepted" and found["observedGeneration"] == generation]


def test_a_tapconfig_is_applied_and_says_so(node):
    c = node
    c.apply([tapconfig("cart", {"select": {"matchLabels": {"app": "cart"}}, "match": ['path == "/index.html"']})])
    c.wait(lambda: accepted(c, "cart") == ["True"] and status(c, "cart").get("pods") == 1, "it is accepted, and its pod counted")
    for name in ("cart", "pay"):
        fetch(c, f"{pods(c, 'taps', f'app={name}')[0]['status']['podIP']}:8080")
    c.wait(lambda: status(c, "cart").get("exchanges", 0) >= 1, "what is recorded is counted", seconds=90)
    assert {x["dst"]["workload"] for x in recorded(c, the_daemon(c), 'dst.namespace == "taps"')} == {"cart"}
    columns = c.k("get", "tapconfig", "-n", "taps").splitlines()
    assert columns[0].split() == ["NAME", "ACCEPTED", "REASON", "PODS", "EXCHANGES", "AGE"]
    assert columns[1].split()[:4] == ["cart", "True", "Accepted", "1"]


def test_a_broken_one_is_told_where(node):
    c = node
    c.apply([tapconfig("cart", {"match": ["status >= "]})])
    c.wait(lambda: accepted(c, "cart") == ["False"], "it is refused")
    said = status(c, "cart")
    assert (said["error"]["field"], said["error"]["column"]) == ("spec.match[0]", 11)
    assert json.loads(said["applied"]["spec"])["select"] == {"matchLabels": {"app": "cart"}}


def test_a_misspelt_field_is_not_pruned_but_refused(node):
    c = node
    c.apply([tapconfig("misspelt", {"redact": {"header": ["x-account"]}})])
    c.wait(lambda: accepted(c, "misspelt") == ["False"], "it is refused")
    assert status(c, "misspelt")["error"]["field"] == "spec.redact.header"


@pytest.mark.parametrize("spec", [{"match": "failed()"}, {"match": []}, {"sample": {"oneIn": 0}}, {"select": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}], ids=str)
def test_what_makes_no_sense_never_comes_in(node, spec):
    answer = node.k("create", "-f", "-", input=json.dumps(tapconfig("bad", spec)), fine=(0, 1))
    assert "created" not in answer
    assert "bad" not in node.k("get", "tapconfig", "-n", "taps")
