# SPDX-License-Identifier: Apache-2.0
"""TapConfigs on a real API server: the definition is accepted, the DaemonSet's own rights are enough to read them and to write
their status, and what is recorded of a namespace follows."""
import json

import pytest

from conftest import ask_all, deployment, fetch, make_namespace, pods, rollout


def tapconfig(name, spec, namespace="taps"):
    return {"apiVersion": "tapeloop.dev/v1alpha1", "kind": "TapConfig", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.fixture(scope="module")
def taps(node):
    make_namespace(node, "taps")
    node.apply([deployment("taps", "cart", replicas=2), deployment("taps", "pay")])
    for name in ("cart", "pay"):
        rollout(node, "taps", f"deployment/{name}")
    yield node
    node.k("delete", "namespace", "taps", "--timeout=120s")


def status(c, name):
    return c.get("tapconfig", name, "-n", "taps").get("status", {})


def accepted(c, name):
    generation = c.get("tapconfig", name, "-n", "taps")["metadata"]["generation"]
    found = status(c, name)
    return [x["status"] for x in found.get("conditions", []) if x["type"] == "Accepted" and found["observedGeneration"] == generation]


def test_a_tapconfig_is_applied_on_all_nodes_and_says_so(taps):
    c = taps
    c.apply([tapconfig("cart", {"select": {"matchLabels": {"app": "cart"}}, "match": ['path == "/index.html"']})])
    c.wait(lambda: accepted(c, "cart") == ["True"] and status(c, "cart").get("pods") == 2, "it is accepted, and its pods counted")
    for name in ("cart", "pay"):
        for pod in pods(c, "taps", f"app={name}"):
            fetch(pod["status"]["podIP"] + ":8080")
    c.wait(lambda: status(c, "cart").get("exchanges") == 2, "what is recorded is counted", seconds=90)
    said = status(c, "cart")
    placed = [p["spec"]["nodeName"] for p in pods(c, "taps", "app=cart")]
    assert sorted((n["name"], n["pods"], n["exchanges"]) for n in said["nodes"]) == [(n, placed.count(n), placed.count(n)) for n in sorted(set(placed))]
    found = [json.loads(line) for line in ask_all(c, "ls", 'dst.namespace == "taps"', "-o", "jsonl").stdout.splitlines()]
    assert [x["dst"]["labels"]["app"] for x in found] == ["cart", "cart"]
    columns = c.k("get", "tapconfig", "-n", "taps").splitlines()
    assert columns[0].split() == ["NAME", "ACCEPTED", "REASON", "PODS", "EXCHANGES", "AGE"]
    assert columns[1].split()[:5] == ["cart", "True", "Accepted", "2", "2"]


def test_a_broken_one_is_told_where(taps):
    taps.apply([tapconfig("cart", {"match": ["status >= "]})])
    taps.wait(lambda: accepted(taps, "cart") == ["False"], "it is refused")
    said = status(taps, "cart")
    assert (said["error"]["field"], said["error"]["column"]) == ("spec.match[0]", 11)
    assert json.loads(said["applied"]["spec"])["select"] == {"matchLabels": {"app": "cart"}}


def test_a_misspelt_field_is_not_pruned_but_refused(taps):
    taps.apply([tapconfig("misspelt", {"redact": {"header": ["x-account"]}})])
    taps.wait(lambda: accepted(taps, "misspelt") == ["False"], "it is refused")
    assert status(taps, "misspelt")["error"]["field"] == "spec.redact.header"


@pytest.mark.parametrize("spec", [{"match": "failed()"}, {"match": []}, {"sample": {"oneIn": 0}},
                                  {"select": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}], ids=str)
def test_what_makes_no_sense_never_comes_in(taps, spec):
    assert "created" not in taps.k("create", "-f", "-", input=json.dumps(tapconfig("bad", spec)), fine=(1,))
    assert "bad" not in taps.k("get", "tapconfig", "-n", "taps", "-o", "name")
