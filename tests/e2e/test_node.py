# SPDX-License-Identifier: Apache-2.0
"""Node mode: a handle in each pod's network namespace, from its beginning to its end."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from pods import wait_for
from runtime import Runtime

pytestmark = pytest.mark.root
HERE = pathlib.Path(__file__).parent


class Namespaces:
    """tests/e2e/namespaces.py, told what to do; each call returns once all namespaces have done it."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        self.process = subprocess.Popen([sys.executable, HERE / "namespaces.py", directory], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        answer = self.process.stdout.readline().strip()
        assert answer == {"make": "made", "ask": "asked", "end": "ended"}[words[0]]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        for left in self.directory.iterdir():
            subprocess.run(["umount", "-l", left], capture_output=True)
            left.unlink()


@pytest.fixture
def namespaces(directory):
    made = Namespaces(directory / "ns")
    yield made
    made.close()


@pytest.fixture
def runtime(directory):
    started = []

    def start(**options):
        started.append(Runtime(directory / "cri.sock", **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def of_node(namespaces, **more):
    return {"kube.pods": "true", "kube.cri_socket": "", "kube.netns_dirs": [str(namespaces.directory)],
            **{k.replace("__", "."): v for k, v in more.items()}}


def pods(daemon, state="captured"):
    return int(re.search(rf'tapeloop_pods{{state="{state}"}} (\d+)', daemon.request("/metrics").text).group(1))


def wait_pods(daemon, count, state="captured"):
    wait_for(lambda: pods(daemon, state) == count, f"{count} pods {state}", 20)


def open_sockets(daemon):
    fds = pathlib.Path(f"/proc/{daemon.pid}/fd")
    return sum(os.readlink(fd).startswith("socket:") for fd in fds.iterdir() if os.path.islink(fd))


def exchanges(cli, daemon):
    text = cli("ls", "--store", daemon.store, "-n", "5000", "-o", "jsonl").stdout
    return [json.loads(line) for line in text.splitlines()]


def balanced(daemon):
    return {name: row["balance"] for name, row in daemon.accounts().items() if row["balance"] and name != "kernel"} == {}


def test_200_namespaces_come_and_go_and_nothing_is_lost_or_left(namespaces, daemon, cli):
    d = daemon(settings=of_node(namespaces))
    sockets, seen = open_sockets(d), set()
    for wave in range(10):
        namespaces.tell("make", 20 * wave, 20)
        wait_pods(d, 20)
        namespaces.tell("ask", "/first", 1)
        namespaces.tell("end")
        wait_pods(d, 0)
    d.wait_stored(200)
    wait_for(lambda: open_sockets(d) <= sockets, "as many sockets as at the beginning", 20)
    assert balanced(d)
    counters = d.counters()
    assert counters["kernel_packets{kernel_drop}"] == 0
    assert counters["connections_open"] == 0, "a namespace that is gone has no connections"
    for x in exchanges(cli, d):
        number = x["path"].rsplit("/", 1)[1]
        seen.add(number)
        assert x["src"]["pod"] == x["dst"]["pod"] == f"pod-{number}", "loopback inside a pod is the pod itself"
        assert x["status"] == 200 and not x["anomalies"]
    assert len(seen) == 200


def test_namespaces_that_were_there_before_the_daemon_are_captured(namespaces, daemon):
    namespaces.tell("make", 0, 3)
    d = daemon(settings=of_node(namespaces))
    wait_pods(d, 3)
    namespaces.tell("ask", "/late", 2)
    d.wait_stored(6)


def test_a_busy_pod_has_a_ring_and_nothing_is_lost_on_the_way_there(namespaces, daemon, cli):
    d = daemon(settings=of_node(namespaces))
    namespaces.tell("make", 0, 2)
    wait_pods(d, 2)
    namespaces.tell("ask", "/busy", 300)
    wait_for(lambda: "tapeloop_pods_ring_bytes 0" not in d.request("/metrics").text, "a ring")
    namespaces.tell("ask", "/busier", 300)
    d.wait_stored(1200)
    namespaces.tell("end")
    wait_pods(d, 0)
    wait_for(lambda: "tapeloop_pods_ring_bytes 0" in d.request("/metrics").text, "rings given back")
    found = exchanges(cli, d)
    assert len(found) == 1200 and not any(x["anomalies"] for x in found)
    assert balanced(d)


@pytest.mark.parametrize("version", ["v1", "v1alpha2"])
def test_the_runtime_tells_who_a_pod_is_and_what_is_not_selected_is_not_read(namespaces, daemon, runtime, cli, directory, version):
    r = runtime(version=version)
    d = daemon(settings=of_node(namespaces, kube__cri_socket=str(directory / "cri.sock"), kube__identify_wait="300s",
                                kube__select='pod.namespace != "kube-system" && pod.annotations["tapeloop.dev/record"] != "false"'))
    namespaces.tell("make", 0, 3)
    wait_pods(d, 3, "unknown")
    namespaces.tell("ask", "/early", 1)  # held: who they are is not known yet
    assert d.counters()["requests_seen"] == 0
    r.add("web", "shop", namespaces.directory / "pod-0", labels={"app": "web"}, ip="10.9.8.7")
    r.add("dns", "kube-system", namespaces.directory / "pod-1")
    r.add("quiet", "shop", namespaces.directory / "pod-2", annotations={"tapeloop.dev/record": "false"})
    wait_pods(d, 1)
    wait_pods(d, 2, "not_selected")
    d.wait_stored(1)
    namespaces.tell("ask", "/late", 1)
    d.wait_stored(2)
    assert d.counters()["kernel_packets{not_selected}"] > 0
    for x in exchanges(cli, d):
        who = x["dst"]
        assert (who["pod"], who["namespace"], who["labels"]) == ("web", "shop", {"app": "web"}), x
        assert x["path"] in ("/early/0", "/late/0")
    assert balanced(d)


def test_selecting_anew_applies_to_pods_that_are_there(namespaces, daemon, runtime, directory):
    r = runtime()
    settings = of_node(namespaces, kube__cri_socket=str(directory / "cri.sock"))
    d = daemon(settings=settings)
    namespaces.tell("make", 0, 1)
    r.add("dns", "kube-system", namespaces.directory / "pod-0")
    wait_pods(d, 1, "not_selected")
    d.reload({**settings, "kube.select": ""})
    wait_pods(d, 1)
    namespaces.tell("ask", "/now", 1)
    d.wait_stored(1)
    d.reload({**settings, "kube.select": 'pod.namespace == "shop"'})
    wait_pods(d, 1, "not_selected")


def test_a_runtime_that_is_away_stops_nothing(namespaces, daemon, directory):
    d = daemon(settings=of_node(namespaces, kube__cri_socket=str(directory / "nobody.sock"), kube__identify_wait="300s"))
    namespaces.tell("make", 0, 1)
    wait_pods(d, 1)
    namespaces.tell("ask", "/", 1)
    d.wait_stored(1)
    assert "the container runtime does not answer" in d.log
