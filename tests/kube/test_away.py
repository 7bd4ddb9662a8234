# SPDX-License-Identifier: Apache-2.0
"""The API server goes while pods talk, comes back with watches expired (410), and the daemons' token is another one by then:
recording goes on, and names catch up. AWAY=300 keeps it away for the five minutes that are asked for; 20 s otherwise."""
import base64
import copy
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import NODES, WORK, daemon_of, deployment, make_namespace, on_node, pods, recorded, remove, rollout, service, shell
from test_manifests import plain

AWAY = int(os.environ.get("AWAY", "20"))
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TALK = "H=$(hostname); n=0; while :; do n=$((n+1)); wget -q -O /dev/null --header \"X-Request-Id: $H.$n\" http://%s/ && echo $H.$n; sleep 0.2; done"


class ApiServer:
    """The control plane's, stopped and started as it was."""

    def __init__(self):
        self.pid_file = WORK / "rig/apiserver.pid"

    def stop(self):
        pid = int(self.pid_file.read_text())
        self.words = [w.decode() for w in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0") if w]
        os.kill(pid, signal.SIGTERM)
        while os.path.exists(f"/proc/{pid}") and "Z" not in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]:
            time.sleep(0.1)

    def start(self):
        with open(WORK / "rig/apiserver.log", "ab") as log:
            words = self.words if self.words[0] == "ip" else ["ip", "netns", "exec", "tk-cp", *self.words]
            process = subprocess.Popen(words, cwd=WORK / "rig", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid_file.write_text(str(process.pid))


def give_token(c, name):
    """A token of its own for the daemons' ServiceAccount, put where they read it, all three files at once."""
    c.apply([{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
              "metadata": {"name": name, "namespace": "tapeloop", "annotations": {"kubernetes.io/service-account.name": "tapeloopd"}}}])
    data = c.wait(lambda: c.get("secret", "-n", "tapeloop", name).get("data", {}), "the controller has made the token")
    for number in NODES:
        there = on_node(number, "run") / "account"
        there.mkdir(exist_ok=True)
        for key in ("ca.crt", "namespace", "token"):
            (there / f"{key}.new").write_bytes(base64.b64decode(data[key]))
            os.replace(there / f"{key}.new", there / key)


def with_account(objects):
    """The DaemonSet with its account's files in a directory that the test writes, as a kubelet would that exchanges tokens."""
    objects = copy.deepcopy(objects)
    spec = next(o for o in objects if o["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    spec["automountServiceAccountToken"] = False
    spec["volumes"].append({"name": "account", "hostPath": {"path": "/run/tapeloop/account"}})
    spec["containers"][0]["volumeMounts"].append({"name": "account", "mountPath": ACCOUNT, "readOnly": True})
    return objects


@pytest.fixture(scope="module")
def talking(cluster):
    c = cluster
    c.apply([o for o in plain("base") if o["kind"] in ("Namespace", "ServiceAccount")])
    give_token(c, "first")
    c.apply(with_account(plain("base")))
    rollout(c, "tapeloop", "daemonset/tapeloopd")
    make_namespace(c, "talk")
    c.apply([deployment("talk", "server"), service("talk", "server")])
    rollout(c, "talk", "deployment/server")
    address = c.get("service", "-n", "talk", "server")["spec"]["clusterIP"]
    c.apply([deployment("talk", "asker", 2, {"containers": [shell(TALK % address)], "terminationGracePeriodSeconds": 1})])
    rollout(c, "talk", "deployment/asker")
    yield c
    c.k("delete", "namespace", "talk", "--timeout=120s")
    remove(c, plain("base"))


def addresses(c):
    return {n: daemon_of(c, f"node{n}")["status"]["podIP"] for n in NODES}


def metric(address, name):
    text = subprocess.run(["ip", "netns", "exec", "tk-cp", "curl", "-sf", f"http://{address}:7701/metrics"], check=True, capture_output=True, text=True).stdout
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[1])


def test_recording_goes_on_and_names_catch_up(talking):
    c, api = talking, ApiServer()
    where = addresses(c)
    askers = pods(c, "talk", "app=asker")
    server = pods(c, "talk", "app=server")[0]
    c.wait(lambda: all(metric(a, "tapeloop_kube_live") == 1 for a in where.values()), "names are told")
    give_token(c, "second")
    c.k("-n", "tapeloop", "delete", "secret", "first")
    before = time.time()
    api.stop()
    try:
        c.wait(lambda: all(metric(a, "tapeloop_kube_live") == 0 for a in where.values()), "the daemons know that it is away")
        gone = time.time()
        stored = {n: metric(a, "tapeloop_store_bytes") for n, a in where.items()}
        time.sleep(AWAY)
        assert all(metric(a, "tapeloop_recording") == 1 for a in where.values())
        assert stored != {n: metric(a, "tapeloop_store_bytes") for n, a in where.items()}
    finally:
        api.start()
    c.wait(lambda: c.k("get", "--raw", "/readyz", check=False) == "ok", "it is back")
    back = time.time()
    c.wait(lambda: all(metric(a, "tapeloop_kube_live") == 1 for a in where.values()), "names are told again, by the new token", 180)
    assert all(metric(a, "tapeloop_kube_expired_total") > 0 for a in where.values()), "what was watched had expired"
    assert all(metric(a, "tapeloop_kube_token_reads_total") > 1 for a in where.values())
    said = {line for p in askers for line in c.log("talk", p["metadata"]["name"], "main") if re.fullmatch(r"asker-\S+\.\d+", line)}
    time.sleep(3)  # commit_interval, and what is under way
    seen = {}
    for n in NODES:
        for x in recorded(c, daemon_of(c, f"node{n}"), 'dst.service == "server" && trace_id != ""'):
            seen.setdefault(x["trace_id"], []).append(x)
    missing = [request for request in said if request not in seen]
    assert len(said) > AWAY * 2 and not missing, f"{len(missing)} of {len(said)}: {missing[:10]}"
    workloads = {p["metadata"]["name"]: p["metadata"]["uid"] for p in [*askers, server]}
    for request, found in seen.items():
        for x in found:
            if x["src"]["pod"]:
                assert x["src"]["pod_uid"] == workloads[x["src"]["pod"]] and x["src"]["workload"] == "asker", x
        assert any(x["src"]["pod"] == request.rsplit(".", 1)[0] for x in found), request
    assert gone - before < 120 and back > gone


def test_pods_that_begin_while_the_daemons_reach_nobody_have_their_names_in_the_end(talking):
    """The cluster goes on, the daemons alone are cut off: who begins now is known by the node until the API server is reached."""
    c = talking
    where = addresses(c)
    rules = [(n, ["-s", a, "-d", "10.10.0.1", "-p", "tcp", "--dport", "6443", "-j", "REJECT", "--reject-with", "tcp-reset"]) for n, a in where.items()]
    for n, rule in rules:
        subprocess.run(["ip", "netns", "exec", f"tk-n{n}", "iptables", "-I", "FORWARD", *rule], check=True)
    try:
        c.wait(lambda: all(metric(a, "tapeloop_kube_live") == 0 for a in where.values()), "they know that it is away", 180)
        address = c.get("service", "-n", "talk", "server")["spec"]["clusterIP"]
        c.apply([deployment("talk", "late", 2, {"containers": [shell(TALK % address)], "terminationGracePeriodSeconds": 1})])
        rollout(c, "talk", "deployment/late")
        late = pods(c, "talk", "app=late")
        c.wait(lambda: all(len(c.log("talk", p["metadata"]["name"], "main")) > 5 for p in late), "they talk")
        time.sleep(2)
        for p in late:
            name = p["metadata"]["name"]
            found = c.wait(lambda: recorded(c, daemon_of(c, p["spec"]["nodeName"]), f'src.pod == "{name}"'), f"{name} is there by what its node knows")
            assert {x["src"]["namespace"] for x in found} == {"talk"} and {x["src"]["pod_uid"] for x in found} == {p["metadata"]["uid"]}
            assert all(x["src"]["labels"]["app"] == "late" for x in found)
    finally:
        for n, rule in rules:
            subprocess.run(["ip", "netns", "exec", f"tk-n{n}", "iptables", "-D", "FORWARD", *rule], check=True)
    c.wait(lambda: all(metric(a, "tapeloop_kube_live") == 1 for a in where.values()), "names are told again", 180)
    for p in late:
        name = p["metadata"]["name"]
        c.wait(lambda: all(x["src"]["workload"] == "late" for x in recorded(c, daemon_of(c, p["spec"]["nodeName"]), f'src.pod == "{name}"')),
               f"{name} has its workload, from its first exchange on", 60)
