# SPDX-License-Identifier: Apache-2.0
"""Node mode: a handle in each pod's network namespace, from its beginning to its end."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from pods import Namespace, ip, wait_for
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


def test_a_pod_whose_sidecar_hands_over_is_not_captured_too(namespaces, daemon, runtime, cli, directory):
    r = runtime()
    settings = of_node(namespaces, kube__cri_socket=str(directory / "cri.sock"), kube__identify_wait="300s")
    d = daemon(settings={**settings, "handover.socket": str(directory / "handover.sock")})
    namespaces.tell("make", 0, 2)
    wait_pods(d, 2, "unknown")
    r.add("web", "shop", namespaces.directory / "pod-0")
    r.add("giver", "shop", namespaces.directory / "pod-1", annotations={"tapeloop.dev/handover": "/run/tapeloop/handover/handover.sock"})
    wait_pods(d, 1)
    wait_pods(d, 1, "not_selected")
    namespaces.tell("ask", "/once", 1)
    d.wait_stored(1)
    assert [x["dst"]["pod"] for x in exchanges(cli, d)] == ["web"]


def test_the_hosts_namespace_is_no_pods_also_where_the_daemon_is_in_a_pod(namespaces, daemon, node):
    """As in a DaemonSet with hostPID, where process 1 is the host's: a pod in the host's network leads there, or a process on its way
    into a pod."""
    home = node.pod("home")
    namespaces.tell("make", 0, 1)
    for name, path in (("host", "/proc/self/ns/net"), ("own", f"/run/netns/{home.name}")):
        (namespaces.directory / name).touch()
        subprocess.run(["mount", "--bind", path, namespaces.directory / name], check=True)
    d = daemon(settings=of_node(namespaces), wrap=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--", "sh", "-c",
                                                   f'nsenter --net=/run/netns/{home.name} "$@"; exit $?', "sh"])
    wait_pods(d, 1)
    wait_pods(d, 2, "not_selected")
    d.process.kill()  # unshare heeds no other signal; its process 1 goes with it


def test_a_daemon_that_takes_nothing_over_captures_those_who_would_hand_over(namespaces, daemon, runtime, directory):
    r = runtime()
    d = daemon(settings=of_node(namespaces, kube__cri_socket=str(directory / "cri.sock"), kube__identify_wait="300s"))
    namespaces.tell("make", 0, 1)
    r.add("giver", "shop", namespaces.directory / "pod-0", annotations={"tapeloop.dev/handover": "/elsewhere.sock"})
    wait_pods(d, 1)


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


SERVER = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = self.path.encode()
        self.send_response(500 if "fail" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


@pytest.fixture
def routed(directory):
    """A client and a server, a veth each to a node between them, where the service 10.96.0.10:80 is the server's 8080."""
    made = [Namespace(name) for name in ("node", "client", "server")]
    node = made[0]
    try:
        for number, pod in enumerate(made[1:], 1):
            ip("-n", node.name, "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", pod.name)
            ip("-n", node.name, "addr", "add", f"10.88.{number}.1/24", "dev", f"v{number}")
            ip("-n", node.name, "link", "set", f"v{number}", "up")
            ip("-n", pod.name, "addr", "add", f"10.88.{number}.2/24", "dev", "eth0")
            ip("-n", pod.name, "link", "set", "eth0", "up")
            ip("-n", pod.name, "route", "add", "default", "via", f"10.88.{number}.1")
        node.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward", check=True)
        translated = node.run("iptables", "-t", "nat", "-A", "PREROUTING", "-d", "10.96.0.10", "-p", "tcp", "--dport", "80",
                              "-j", "DNAT", "--to-destination", "10.88.2.2:8080")
        if translated.returncode != 0:
            pytest.skip(f"no address translation here: {translated.stderr.strip()}")
        made[2].popen(sys.executable, "-c", SERVER)
        made[2].wait_port(8080, "10.88.2.2")
        (directory / "ns").mkdir()
        for pod, name in zip(made[1:], ("client", "server")):
            (directory / "ns" / name).touch()
            subprocess.run(["mount", "--bind", pod.path, directory / "ns" / name], check=True)
        yield made[1], directory / "ns"
    finally:
        for name in ("client", "server"):
            subprocess.run(["umount", directory / "ns" / name], capture_output=True)
        for one in reversed(made):
            one.close()


def test_what_both_ends_saw_is_recorded_once_with_the_times_of_both(routed, daemon, directory, cli):
    client, names = routed
    who = directory / "identities.yaml"
    who.write_text("identities:\n"
                   "- {address: 10.96.0.10, port: 80, service: cart, namespace: shop}\n")
    d = daemon(settings={"kube.pods": "true", "kube.cri_socket": "", "kube.netns_dirs": [str(names)], "kube.node": "node-1",
                         "identities": str(who)})
    wait_pods(d, 2)
    urls = [f"http://10.96.0.10/{'fail' if n % 10 == 0 else 'ok'}/{n}" for n in range(50)]
    client.run("curl", "-s", *urls, check=True)  # one connection
    client.run("curl", "-s", "http://10.88.2.2:8080/direct", check=True)
    d.wait_stored(51)
    found = exchanges(cli, d)
    assert sorted(x["path"] for x in found) == sorted([u[len("http://10.96.0.10"):] for u in urls] + ["/direct"]), "each once"
    assert d.counters()["exchanges{merged}"] == 51 and balanced(d)
    for x in found:
        assert (x["src"]["pod"], x["dst"]["pod"], x["dst"]["ip"], x["dst"]["port"]) == ("client", "server", "10.88.2.2", 8080)
        assert x["dst"]["service"] == ("" if x["path"] == "/direct" else "cart"), "the service that was asked"
        assert 0 < x["dst"]["latency_ns"] < x["latency_ns"], "the server's side lies inside the client's"
        assert x["status"] == (500 if "fail" in x["path"] else 200)
        assert x["src"]["node"] == x["dst"]["node"] == "node-1"
    one = json.loads(cli("show", "--store", d.store, found[0]["id"], "--as", "json").stdout)
    assert one["request"]["first"] < one["request"]["server_first"] <= one["response"]["server_last"] < one["response"]["last"]
    listed = cli("ls", "--store", d.store, "-n", "100", "-o", "jsonl", "dst.latency > duration(\"1ns\") && latency >= dst.latency").stdout
    assert len(listed.splitlines()) == 51


@pytest.fixture
def rig(shared):
    """rig(WORDS...) runs ../shared/kube/cri-rig.sh: real containerd, runc and CNI in namespaces of their own."""
    script = shared / "kube" / "cri-rig.sh"

    def run(*words, check=True):
        return subprocess.run([script, *map(str, words)], capture_output=True, text=True, check=check, timeout=60,
                              env={**os.environ, "TK_DEB": "0"})

    subprocess.run([shared / "kube" / "images.sh"], capture_output=True, env={**os.environ, "TK_DEB": "0"})
    if "containerd" not in run("up", "v2", check=False).stdout:
        run("down", check=False)
        pytest.skip("../shared/kube/cri-rig.sh cannot be brought up here (containerd, runc, podman, netavark)")
    yield run
    run("down", check=False)


def test_the_first_request_of_a_real_pod_is_recorded_with_both_names(rig, daemon, cli):
    work = pathlib.Path(os.environ.get("TK_WORK", "/tmp/tapeloop-kube")) / "cririg"
    holder = (work / "holder").read_text().strip()
    group = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice"
    d = daemon(settings={"kube.pods": "true", "kube.cri_socket": str(work / "containerd.sock")},
               wrap=("nsenter", "-t", holder, "-m", "-n", "--"))
    web = json.loads(rig("cri", "up", "shop", "web", group, "localhost/tape-bb:1", "/bin/httpd", "-f", "-p", "8080", "-h", "/www").stdout)
    wait_pods(d, 1)
    for name, namespace in (("job", "shop"), ("dns", "kube-system")):
        rig("cri", "up", namespace, name, group, "localhost/tape-bb:1", "/bin/wget", "-qO-", f"http://{web['ip']}:8080/?{name}")
    d.wait_stored(2)
    found = {x["target"]: x for x in exchanges(cli, d)}
    assert set(found) == {"/?job", "/?dns"}
    job = found["/?job"]
    assert (job["src"]["pod"], job["src"]["namespace"], job["src"]["labels"]) == ("job", "shop", {"app": "job"})
    assert (job["dst"]["pod"], job["dst"]["namespace"]) == ("web", "shop") and job["dst"]["identity"] == "runtime"
    assert found["/?dns"]["src"]["pod"] == "", "a pod that is not selected is not looked at"
