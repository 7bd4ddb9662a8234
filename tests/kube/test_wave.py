# SPDX-License-Identifier: Apache-2.0
"""Pods come and go in waves while they talk, and addresses are used again: who is on the tape is compared with what the pods
themselves wrote down, and with the API server's own watch.

Each answer is the name of the pod that gave it, and each request carries an id that begins with the name of its pod. So a line
"ID WHO" of a client's log says for sure who asked whom. WAVES and WAVE_PODS make it longer (5 waves of 40 pods: 200 pods).
"""
import ipaddress
import json
import os
import pathlib
import subprocess
import time

import pytest

from conftest import NODES, POD_ADDRESSES, WORK, daemon_of, make_namespace, pods, recorded, rollout, service, shell

WAVES = int(os.environ.get("WAVES", "5"))
WAVE_PODS = int(os.environ.get("WAVE_PODS", "40"))
HANDLES_MORE = 12  # tapes with their logs, dictionaries; a pod's handles are two
SPACES = ("amber", "blue")  # waves alternate, so an address goes from one namespace to the other

ASK = 'ask() { who=$(/bin/busybox timeout 5 wget -q -O- --header "X-Request-Id: $H.$1" http://$2/) && [ -n "$who" ] && echo "$H.$1 $who"; }\nH=$(hostname)\n'
SERVE = ASK + "echo $H > /www/index.html\nask first %s\nexec httpd -f -p 8080 -h /www\n"
CLIENT = ASK + "n=0\nfor round in 1 2 3 4; do for to in %s; do n=$((n+1)); ask $n $to; done; done; true\n"
# all addresses that pods have here, over and over, in four processes; the dead ones are asked, too
SWEEP = ASK + """
for part in 0 1 2 3; do (
  n=0
  while :; do i=$part; while [ $i -lt %d ]; do for node in 1 2; do n=$((n+1)); ask $part-$n 10.77.$node.$((10+i)):8080; done; i=$((i+4)); done; done
) & done
wait
"""


def workload(kind, namespace, name, count, script):
    labels = {"app": name}
    pod = {"containers": [shell(script)], "terminationGracePeriodSeconds": 1}
    spec = {"template": {"metadata": {"labels": labels}, "spec": pod}}
    if kind == "Job":
        pod["restartPolicy"] = "Never"
        spec |= {"parallelism": count, "completions": count}
    else:
        spec |= {"replicas": count, "selector": {"matchLabels": labels}}
    if kind == "StatefulSet":
        spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    return {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


class Watch:
    """All that the API server says of pods from now on; events() are (type, pod)."""

    def __init__(self, env, path):
        self.path = path
        with open(path, "w") as out:
            self.process = subprocess.Popen(["ip", "netns", "exec", "tk-cp", "kubectl", "--kubeconfig", WORK / "rig/admin.conf", "get", "pods", "-A",
                                             "--watch", "--output-watch-events", "-o", "json"], stdout=out, env=env)

    def events(self):
        text, at, decoder = self.path.read_text(), 0, json.JSONDecoder()
        while at < len(text.rstrip()):
            event, at = decoder.raw_decode(text, at)
            while at < len(text) and text[at].isspace():
                at += 1
            yield event["type"], event["object"]

    def pods(self):
        """{name: its last state with an address}"""
        found = {}
        for _, pod in self.events():
            if pod.get("status", {}).get("podIP") or pod["metadata"]["name"] not in found:
                found[pod["metadata"]["name"]] = pod
        return found

    def close(self):
        self.process.terminate()
        self.process.wait()


def owner(pod):
    """(kind, name) of the workload, by what a person reads off the pod: independent of what the recorder does."""
    ref = pod["metadata"]["ownerReferences"][0]
    if ref["kind"] == "ReplicaSet":
        return "Deployment", ref["name"].rsplit("-", 1)[0]
    return ref["kind"], ref["name"]


def levels(c):
    """[(descriptors, resident KiB)] of each node's daemon"""
    found = []
    for number in NODES:
        container = next(s["containerID"].split("//")[1] for s in daemon_of(c, f"node{number}")["status"]["containerStatuses"])
        pids = [int(p) for p in next(pathlib.Path("/sys/fs/cgroup/memory").glob(f"**/{container}/cgroup.procs")).read_text().split()]
        status = [pathlib.Path(f"/proc/{p}/status").read_text() for p in pids]
        rss = [int(s.split("VmRSS:")[1].split()[0]) for s in status]
        found.append((sum(len(list(pathlib.Path(f"/proc/{p}/fd").iterdir())) for p in pids), sum(rss)))
    return found


def settled_levels(c, before):
    """What the daemons hold at the end, once they are back at about as many handles as before, or after a minute."""
    for _ in range(60):
        now = levels(c)
        if all(late[0] <= early[0] + HANDLES_MORE for early, late in zip(before, now)):
            break
        time.sleep(1)
    return now


@pytest.fixture(scope="module")
def waves(node, tmp_path_factory):
    """What was said, by whom, to whom; and what the nodes' daemons recorded."""
    c = node
    for space in ("base", *SPACES):
        make_namespace(c, space)
    watch = Watch(c.env, tmp_path_factory.mktemp("watch") / "pods.json")
    said, level = {}, []
    c.apply([workload("Deployment", "base", "base", 2, SERVE % "127.0.0.1:8080"), service("base", "base"),
             *({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"sweep{n}", "namespace": "base", "labels": {"app": "sweep"}},
                "spec": {"nodeName": f"node{n}", "containers": [shell(SWEEP % POD_ADDRESSES)], "terminationGracePeriodSeconds": 1}} for n in NODES)])
    rollout(c, "base", "deployment/base")
    base = c.get("service", "-n", "base", "base")["spec"]["clusterIP"]
    level.append(levels(c))
    for wave in range(WAVES):
        one_wave(c, wave, base, said)
    c.wait(lambda: len(c.get("pods", "-n", SPACES[0])["items"] + c.get("pods", "-n", SPACES[1])["items"]) == 0, "the waves' pods are gone")
    level.append(settled_levels(c, level[0]))
    for sweep in ("sweep1", "sweep2"):
        collect(c, "base", sweep, said)
    for pod in pods(c, "base", "app=base"):
        collect(c, "base", pod["metadata"]["name"], said)
    c.k("delete", "namespace", "base", *SPACES, "--timeout=180s")
    daemons = {f"node{n}": daemon_of(c, f"node{n}") for n in NODES}
    tapes = {name: c.wait(lambda p=p: settled(c, p), f"{name} has stored what it saw") for name, p in daemons.items()}
    watch.close()
    if os.environ.get("WAVE_KEEP"):  # for a look at what went wrong
        for name, found in tapes.items():
            pathlib.Path(os.environ["WAVE_KEEP"], f"{name}.json").write_text(json.dumps(found))
    return {"said": said, "pods": watch.pods(), "watch": watch, "tapes": tapes, "levels": level, "cluster": c}


def settled(c, daemon, last={}):
    """What is on the tape, once two looks see the same."""
    now = recorded(c, daemon, 'trace_id != ""')
    was, last[daemon["metadata"]["name"]] = last.get(daemon["metadata"]["name"]), len(now)
    return now if was == len(now) else None


def collect(c, space, pod, said):
    for line in c.log(space, pod, "main"):
        request, _, who = line.partition(" ")
        if who and "." in request:
            said[request] = who.strip()


def one_wave(c, wave, base, said):
    space = SPACES[wave % 2]
    serving, counting = WAVE_PODS * 3 // 10, WAVE_PODS // 10
    web, db, ask = f"web-{wave}", f"db-{wave}", f"ask-{wave}"
    c.apply([service(space, web), service(space, db), workload("Deployment", space, web, serving, SERVE % base),
             workload("StatefulSet", space, db, counting, SERVE % base)])
    rollout(c, space, f"deployment/{web}")
    rollout(c, space, f"statefulset/{db}")
    targets = [c.get("service", "-n", space, name)["spec"]["clusterIP"] for name in (web, db)]
    targets += [f"{p['status']['podIP']}:8080" for p in pods(c, space, f"app in ({web},{db})")]
    c.apply([workload("Job", space, ask, WAVE_PODS - serving - counting, CLIENT % " ".join(targets))])
    c.k("-n", space, "wait", "--for=condition=complete", f"job/{ask}", "--timeout=170s")
    for pod in c.get("pods", "-n", space)["items"]:
        if pod["metadata"]["labels"]["app"] in (web, db, ask):
            collect(c, space, pod["metadata"]["name"], said)
    # the next wave does not wait for their end: it gets their addresses
    c.k("-n", space, "delete", "--wait=false", f"deployment/{web}", f"statefulset/{db}", f"job/{ask}", f"service/{web}", f"service/{db}")


def by_id(exchanges):
    found = {}
    for x in exchanges:
        found.setdefault(x["trace_id"], []).append(x)
    return found


def test_addresses_were_used_again_by_others(waves):
    """Else the rest would prove little."""
    holders = {}
    for _, pod in waves["watch"].events():
        if pod.get("status", {}).get("podIP", "").startswith("10.77."):
            holders.setdefault(pod["status"]["podIP"], set()).add(pod["metadata"]["uid"])
    assert len(waves["pods"]) >= WAVES * WAVE_PODS
    assert sum(len(h) > 1 for h in holders.values()) > min(WAVES, 5) * POD_ADDRESSES // 10, holders
    assert len(waves["said"]) > WAVES * WAVE_PODS * 5


def test_what_clients_saw_is_on_the_tapes_of_both_nodes_once(waves):
    tapes = {name: by_id(found) for name, found in waves["tapes"].items()}
    missing, twice, translated = [], [], 0
    for request, server in waves["said"].items():
        client = request.rsplit(".", 1)[0]
        for node in {waves["pods"][p]["spec"]["nodeName"] for p in (client, server)}:
            found = tapes[node].get(request, [])
            if len(found) == 2 and len({x["src"]["port"] for x in found}) == 2:
                translated += 1  # the node changed the client's port on the way, too: two views with nothing in common
            else:
                (missing if not found else twice if len(found) > 1 else []).append((request, server, node))
    assert translated < len(waves["said"]) // 200
    assert not missing and not twice, f"of {len(waves['said'])}: missing {missing[:20]} ({len(missing)}), twice {twice[:20]} ({len(twice)})"


def test_the_first_request_of_each_pods_life_is_there(waves):
    firsts = [r for r in waves["said"] if r.endswith((".first", ".1"))]
    assert len(firsts) >= WAVES * WAVE_PODS * 9 // 10, "they were asked and answered"
    tapes = {name: by_id(found) for name, found in waves["tapes"].items()}
    assert not [r for r in firsts if r not in tapes[waves["pods"][r.rsplit(".", 1)[0]]["spec"]["nodeName"]]]


def wrong(pod, who, x, side):
    """What of a name is not as the API server says; [] when all is. Of a pod on the other node the address alone tells: in the second in
    which it was started its predecessor there may be meant, and the API server may not have told of it yet. Then nothing is said."""
    kind, name = owner(pod) if pod["metadata"].get("ownerReferences") else ("", "")
    wanted = {"pod": pod["metadata"]["name"], "pod_uid": pod["metadata"]["uid"], "namespace": pod["metadata"]["namespace"], "node": pod["spec"]["nodeName"],
              "workload": name, "workload_kind": kind}
    may_be_open = not side.startswith(pod["spec"]["nodeName"]) and who.get("certainty") in ("ambiguous", None)
    return [(x["trace_id"], x["id"], side, key, who.get(key, ""), value, who.get("identity"), who.get("certainty")) for key, value in wanted.items()
            if who.get(key, "") != value and not (may_be_open and not who.get(key))]


def is_pod_address(ip):
    return ipaddress.ip_address(ip) in ipaddress.ip_network("10.77.0.0/16")


def test_each_side_has_its_right_name(waves):
    mistakes, looked, open_ = [], 0, 0
    for node, found in waves["tapes"].items():
        for x in found:
            client, server = x["trace_id"].rsplit(".", 1)[0], waves["said"].get(x["trace_id"])
            if not server:
                continue
            looked += 1
            mistakes += wrong(waves["pods"][client], x["src"], x, f"{node} src")
            seen_pod = waves["pods"][server]
            if is_pod_address(x["dst"]["ip"]) or seen_pod["spec"]["nodeName"] == node:
                mistakes += wrong(seen_pod, x["dst"], x, f"{node} dst")
            app = seen_pod["metadata"]["labels"]["app"]
            open_ += any(x[end].get("certainty") in ("ambiguous", None) for end in ("src", "dst"))
            if x["dst"].get("certainty") not in ("ambiguous", None) and (x["dst"].get("service"), x["dst"].get("namespace")) != (app, seen_pod["metadata"]["namespace"]):
                mistakes.append((x["trace_id"], f"{node} service", x["dst"].get("service"), x["dst"].get("namespace"), app))
    assert looked >= len(waves["said"])
    assert not mistakes, f"{len(mistakes)} in {looked} exchanges: {mistakes[:30]}"
    assert open_ < looked // 50, f"{open_} of {looked} are left open"


def test_nobody_is_named_who_was_not_there(waves):
    """Those too that nobody answered: a name is that of a pod which had the address, by the API server's watch."""
    holders = {}
    for _, pod in waves["watch"].events():
        for ip in [a["ip"] for a in pod.get("status", {}).get("podIPs", [])]:
            holders.setdefault(ip, set()).add(pod["metadata"]["name"])
    for found in waves["tapes"].values():
        for x in found:
            for side in ("src", "dst"):
                name = x[side]["pod"]
                assert not name or not is_pod_address(x[side]["ip"]) or name in holders[x[side]["ip"]], x


def test_handles_and_memory_are_flat(waves):
    """Descriptors are back at what they were before the first wave, but for the tapes that are open by now; memory has its ceiling."""
    early, late = waves["levels"]
    assert all(now[0] <= before[0] + HANDLES_MORE for before, now in zip(early, late)), waves["levels"]
    assert all(kib < 128 * 1024 for _, kib in late), f"of 256 MiB that it may take: {waves['levels']}"


def test_the_accounts_balance(waves):
    c = waves["cluster"]
    for number in NODES:
        done = c.k("-n", "tapeloop", "exec", daemon_of(c, f"node{number}")["metadata"]["name"], "--", "/usr/bin/tapeloop", "doctor", "-o", "json",
                   "--api", "unix:/run/tapeloop/api.sock", fine=(0, 1))
        findings = {f["check"]: f for f in json.loads(done)["findings"]}
        assert not [f for f in findings.values() if f["level"] == "bad"], findings
