# SPDX-License-Identifier: Apache-2.0
"""The installation on a real cluster: the manifests come up with the image, sidecars where a label asks for them, an upgrade
that loses nothing, and nothing left when it is removed. In this order: each test stands on the one before."""
import base64
import json
import pathlib
import subprocess

import pytest

from conftest import ask_all, daemon_of, deployment, fetch, make_namespace, on_node, pods, recorded, remove, role, rollout
from test_manifests import plain


def test_the_daemon_comes_up_and_is_scraped(node):
    pod = daemon_of(node, "node1")
    assert [s["ready"] for s in pod["status"]["containerStatuses"]] == [True]
    scraped = subprocess.run(["ip", "netns", "exec", "tk-cp", "curl", "-sf", f"http://{pod['status']['podIP']}:7701/metrics"], check=True, capture_output=True, text=True).stdout
    assert "tapeloop_recording 1" in scraped and "tapeloop_kube_live 1" in scraped


def test_the_daemon_runs_as_an_ordinary_user_without_privileges(node):
    pid = next(int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*") if (p / "comm").exists() and (p / "comm").read_text() == "tapeloopd\n"
               and b"--config" in (p / "cmdline").read_bytes() and "7700" in (p / "status").read_text().split("Uid:")[1].split("\n")[0]
               and "tapek8s" in (p / "cgroup").read_text())
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["7700"] * 4 and status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) & ~(1 << 13 | 1 << 19 | 1 << 21) == 0  # at most NET_RAW, SYS_PTRACE, SYS_ADMIN
    assert status["Seccomp"] == "2"


def test_a_pod_of_the_node_is_recorded_with_its_name(node):
    node.apply([deployment("default", "plain")])
    rollout(node, "default", "deployment/plain")
    pod = pods(node, "default", "app=plain")[0]
    fetch(f"{pod['status']['podIP']}:8080")
    got = node.wait(lambda: recorded(node, daemon_of(node, pod["spec"]["nodeName"]), f'dst.pod == "{pod["metadata"]["name"]}" && path == "/index.html"'), "the node's daemon has it")
    assert got[0]["dst"]["pod_uid"] == pod["metadata"]["uid"] and got[0]["dst"]["workload"] == "plain"


def test_an_upgrade_loses_no_exchange(node):
    old = daemon_of(node, pods(node, "default", "app=plain")[0]["spec"]["nodeName"])
    before = {x["id"] for x in recorded(node, old)}
    assert before
    node.k("-n", "tapeloop", "rollout", "restart", "daemonset/tapeloopd")
    rollout(node, "tapeloop", "daemonset/tapeloopd")
    new = daemon_of(node, old["spec"]["nodeName"])
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert before <= {x["id"] for x in recorded(node, new)}
    checked = node.k("-n", "tapeloop", "exec", new["metadata"]["name"], "--", "/usr/bin/tapeloop", "fsck", "--store", "/var/lib/tapeloop")
    assert "damaged" not in checked.replace("0 damaged", "")


@pytest.fixture(scope="module")
def webhook(node, tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=tapeloop-webhook",
                    "-addext", "subjectAltName=DNS:tapeloop-webhook.tapeloop.svc", "-keyout", directory / "tls.key", "-out", directory / "tls.crt"],
                   check=True, capture_output=True)
    node.k("-n", "tapeloop", "create", "secret", "tls", "tapeloop-webhook", "--cert", directory / "tls.crt", "--key", directory / "tls.key")
    objects = plain("components/webhook")
    hook = next(o for o in objects if o["kind"] == "MutatingWebhookConfiguration")
    hook["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode((directory / "tls.crt").read_bytes()).decode()
    node.apply(objects)
    rollout(node, "tapeloop", "deployment/tapeloop-webhook")
    for name, labels in (("shop", {"tapeloop.dev/inject": "enabled"}), ("quiet", {})):
        make_namespace(node, name, **labels)
    yield node
    node.k("delete", "namespace", "shop", "quiet", "--timeout=120s")
    node.k("-n", "default", "delete", "deployment", "plain")
    remove(node, plain("components/webhook"))


def wait_webhooks(c, count):
    """Those, too, that were told to end answer for a while."""
    c.wait(lambda: len(c.get("pods", "-n", "tapeloop", "-l", "app.kubernetes.io/component=webhook")["items"]) == count, f"{count} webhooks, and none that ends")


def names(pod):
    return [c["name"] for c in pod["spec"]["containers"]]


def test_a_labelled_namespaces_pods_get_the_sidecar(webhook):
    c = webhook
    c.apply([deployment("shop"), deployment("quiet"), deployment("shop", "private", annotations={"tapeloop.dev/inject": "disabled"})])
    for namespace, what in (("shop", "deployment/web"), ("quiet", "deployment/web"), ("shop", "deployment/private")):
        rollout(c, namespace, what)
    assert names(pods(c, "shop", "app=web")[0]) == ["web", "tapeloop"]
    assert names(pods(c, "quiet", "app=web")[0]) == ["web"]
    assert names(pods(c, "shop", "app=private")[0]) == ["web"]


def test_the_sidecar_records_its_pod_and_knows_who_it_is(webhook):
    c, pod = webhook, pods(webhook, "shop", "app=web")[0]
    fetch(f"{pod['status']['podIP']}:8080")
    c.wait(lambda: recorded(c, pod, 'path == "/index.html"', container="tapeloop"), "the request is on the sidecar's tape")
    dst = recorded(c, pod, 'path == "/index.html"', container="tapeloop")[0]["dst"]
    meta = pod["metadata"]
    assert (dst["pod"], dst["namespace"], dst["pod_uid"], dst["node"]) == (meta["name"], "shop", meta["uid"], pod["spec"]["nodeName"])
    assert (dst["workload"], dst["workload_kind"], dst["identity"]) == ("web", "Deployment", "downward")
    assert dst["labels"]["app"] == "web"


def test_the_sidecars_tape_answers_by_kube(webhook):
    """Through a port-forward to the pod's loopback, where the API server lets somebody do that."""
    c, pod = webhook, pods(webhook, "shop", "app=web")[0]
    where = f"shop/{pod['metadata']['name']}: "
    assert where in ask_all(c, "tapes", "-o", "json", namespace="shop").stdout
    assert where not in ask_all(c, "tapes", "-o", "json").stdout, "only those of the namespace that is named"
    shown = ask_all(c, "ls", f'dst.pod == "{pod["metadata"]["name"]}"', "-o", "jsonl", namespace="shop").stdout.splitlines()
    assert shown and all(json.loads(x)["dst"]["namespace"] == "shop" for x in shown)
    for rule, may in (("pods/proxy", False), ("pods/portforward", True)):
        c.apply(role("shop", "sidecars", {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}, {"apiGroups": [""], "resources": [rule], "verbs": ["get", "create"]}))
        done = c.wait(lambda: ask_if(c, may), f"{rule} is in force", 30)
        assert ("does not answer" in done.stderr) != may, done.stderr


def ask_if(c, may):
    """What who has rights to the sidecars alone is told; None while the API server does not know of them yet."""
    done = ask_all(c, "ls", "-o", "jsonl", namespace="shop", token="viewer-token", fine=(0, 1, 3))
    return done if (done.returncode == 0) == may else None


def test_a_sidecar_hands_over_to_the_nodes_daemon(webhook):
    c, socket = webhook, "/run/tapeloop/handover/handover.sock"
    c.k("-n", "tapeloop", "set", "env", "deployment/tapeloop-webhook", f"TAPELOOP_WEBHOOK_HANDOVER={socket}")
    rollout(c, "tapeloop", "deployment/tapeloop-webhook")
    wait_webhooks(c, 2)
    c.apply([deployment("shop", "giver")])
    rollout(c, "shop", "deployment/giver")
    pod = pods(c, "shop", "app=giver")[0]
    assert {"name": "TAPELOOP_HANDOVER_TO", "value": socket} in pod["spec"]["containers"][1]["env"]
    fetch(f"{pod['status']['podIP']}:8080")
    daemon = daemon_of(c, pod["spec"]["nodeName"])
    question = f'dst.pod == "{pod["metadata"]["name"]}" && path == "/index.html"'
    got = c.wait(lambda: recorded(c, daemon, question), "the node's daemon has it")
    assert got[0]["dst"]["pod_uid"] == pod["metadata"]["uid"] and got[0]["path"] == "/index.html"
    for _ in range(5):
        fetch(f"{pod['status']['podIP']}:8080")
    c.wait(lambda: len(recorded(c, daemon, question)) >= 6, "they are there")
    assert len(recorded(c, daemon, question)) == 6, "once: the node's daemon does not capture in that pod, too"


def test_pods_start_while_the_webhook_is_down(webhook):
    c = webhook
    c.k("-n", "tapeloop", "scale", "deployment/tapeloop-webhook", "--replicas=0")
    wait_webhooks(c, 0)
    c.apply([deployment("shop", "late")])
    rollout(c, "shop", "deployment/late")
    assert names(pods(c, "shop", "app=late")[0]) == ["web"]
