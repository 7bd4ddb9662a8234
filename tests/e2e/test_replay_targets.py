# SPDX-License-Identifier: Apache-2.0
"""Replays to svc/, pod/ and deploy/: found at an API server, reached by port-forward or directly, and what goes wrong said by name."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

import pytest

import pods
import programs
from fake_apiserver import ApiServer

pytestmark = pytest.mark.root

SHOP = """
location = /api/cart { return 503 '{"error":"no stock"}'; }
location = /api/items { return 200 '{"items":[1,2,3]}'; }
location = /api/order { return 201 '{"order":7}'; }
"""
FIXED = SHOP.replace("return 503", "return 200")
NAMES = "identities:\n  - {{address: {cart.address}, service: cart, namespace: shop, pod: cart-0}}\n"


class Cluster:
    """A tape of the namespace shop, and an API server that knows svc/cart-fixed in the namespace staging."""

    def __init__(self, directory, node):
        self.directory = directory
        self.client, self.cart = node.pod("client"), node.pod("cart")
        self.fixed = [node.pod("fixed0"), node.pod("fixed1")]
        self.cart.nginx(SHOP)
        for pod in self.fixed:
            pod.nginx(FIXED)
        (directory / "names.yaml").write_text(NAMES.format(cart=self.cart))
        daemon = programs.Daemon(directory / "daemon",
                                 settings={"capture.netns": [self.cart.name], "identities": str(directory / "names.yaml")})
        try:
            for _ in range(4):
                self.client.curl(self.cart.url("/api/cart"))
                self.client.curl(self.cart.url("/api/items"), self.cart.url("/api/items"))
            daemon.wait_stored(12)
        finally:
            daemon.stop()
        self.store = daemon.store
        self.api = None

    def begin(self, namespace="staging"):
        """A fresh API server with both pods ready."""
        self.directory.joinpath("kube").mkdir(exist_ok=True)
        self.api = api = ApiServer(self.directory / "kube")
        port = self.fixed[0].url("").rsplit(":", 1)[1].strip("/")
        self.port = int(port) if port.isdigit() else 80
        api.put("services", {"metadata": {"namespace": namespace, "name": "cart-fixed"},
                             "spec": {"clusterIP": "10.96.0.77", "selector": {"app": "cart-fixed"},
                                      "ports": [{"name": "http", "port": 8080, "targetPort": self.port, "protocol": "TCP"}]}})
        api.put("deployments", {"metadata": {"namespace": namespace, "name": "cart-fixed"},
                                "spec": {"selector": {"matchLabels": {"app": "cart-fixed"}}, "template": self.template()}})
        for i, pod in enumerate(self.fixed):
            self.ready(f"cart-fixed-{i}", pod, namespace)
        self.endpoints(namespace)
        return api

    def template(self):
        return {"spec": {"containers": [{"name": "cart", "ports": [{"name": "http", "containerPort": self.port}]}]}}

    def ready(self, name, pod, namespace="staging"):
        self.api.put("pods", {"metadata": {"namespace": namespace, "name": name, "labels": {"app": "cart-fixed"}}, **self.template()},
                     status={"phase": "Running", "podIP": str(pod.address), "conditions": [{"type": "Ready", "status": "True"}]})
        self.api.forwards[namespace, name] = lambda port: pod.connect("127.0.0.1", port)

    def endpoints(self, namespace="staging"):
        there = [o for (ns, _), o in sorted(self.api.kinds["pods"].objects.items()) if ns == namespace]
        self.api.put("endpoints", {"metadata": {"namespace": namespace, "name": "cart-fixed"}, "subsets": [{
            "addresses": [{"ip": o["status"]["podIP"], "targetRef": {"kind": "Pod", "name": o["metadata"]["name"]}} for o in there],
            "ports": [{"name": "http", "port": self.port}]}] if there else []})

    def gone(self, name, namespace="staging"):
        self.api.delete("pods", name, namespace)
        self.api.forwards.pop((namespace, name))
        self.api.cut_forwards(namespace, name)

    def replay(self, *words, namespace=None, **options):
        return programs.tapeloop("replay", "--store", self.store, "--kubeconfig", self.api.kubeconfig(namespace="staging"), "--speed", "max",
                                 *words, namespace=namespace, **options)

    def verdicts(self, *words, status=0, **options):
        done = self.replay("-o", "json", *words, **options)
        assert done.returncode == status, (done.stdout, done.stderr)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def recorded():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tle2e-"))
    directory.chmod(0o755)
    node = pods.Node(directory)
    try:
        yield Cluster(directory, node)
    finally:
        node.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def cluster(recorded):
    with recorded.begin():
        yield recorded


def served(cluster):
    """Connections by pod."""
    return {pod: len(all_) for (_, pod), all_ in cluster.api.forwarded.items()}


@pytest.mark.parametrize("target", ["svc/cart-fixed", "service/cart-fixed.staging:8080", "svc/cart-fixed.staging.svc.cluster.local:http",
                                    "deploy/cart-fixed", "deployment/cart-fixed.staging:http"])
def test_a_service_and_a_deployment_are_reached_by_port_forward_over_all_their_pods(cluster, target):
    report = cluster.verdicts("--to", target)
    assert report["summary"]["verdicts"] == {"fixed": 4, "same": 8, "broken": 0, "changed": 0, "no_answer": 0, "skipped": 0}
    assert set(served(cluster)) == {"cart-fixed-0", "cart-fixed-1"}  # in turn
    to = report["plan"]["targets"][0]
    assert to["namespace"] == "staging" and "by port-forward to 2 ready pods: cart-fixed-0, cart-fixed-1" in to["how"]
    assert cluster.api.pongs
    assert report["forwards"] == [{"to": to["to"], "connections": sum(served(cluster).values()), "failures": 0, "pods_left_out": 0}]


def test_a_pod_is_reached_alone_and_a_map_may_name_a_service(cluster):
    report = cluster.verdicts("--to", f"pod/cart-fixed-1:{cluster.port}")
    assert report["summary"]["verdicts"]["fixed"] == 4 and set(served(cluster)) == {"cart-fixed-1"}
    report = cluster.verdicts("--map", "cart=svc/cart-fixed")
    assert report["summary"]["verdicts"]["fixed"] == 4 and report["plan"]["targets"][0]["service"] == "cart"


def test_a_dry_run_shows_what_was_found_and_connects_to_nobody(cluster):
    done = cluster.replay("--to", "svc/cart-fixed", "--dry-run")
    assert done.returncode == 0
    assert "to svc/cart-fixed.staging:8080, by port-forward to 2 ready pods: cart-fixed-0, cart-fixed-1" in done.stdout
    assert not cluster.api.forwarded


def test_the_summary_says_how_many_connections_went_where(cluster):
    done = cluster.replay("--to", "svc/cart-fixed")
    assert "svc/cart-fixed.staging:8080: " in done.stdout and "connections by port-forward to 2 ready pods" in done.stdout


def test_pods_are_reached_directly_and_in_turn_where_they_can_be(recorded):
    with recorded.client.inside():
        api = recorded.begin()  # listens in the pod's network
    with api:
        report = recorded.verdicts("--to", "deploy/cart-fixed", "--via", "direct", namespace=recorded.client)
        assert report["summary"]["verdicts"]["fixed"] == 4 and not api.forwarded
        assert "directly, in turn to 2 ready pods" in report["plan"]["targets"][0]["how"]
        report = recorded.verdicts("--to", "deploy/cart-fixed", "--via", "forward", namespace=recorded.client)
        assert report["summary"]["verdicts"]["fixed"] == 4 and api.forwarded


def test_a_service_is_its_cluster_address_when_reached_directly(cluster):
    done = cluster.replay("--to", "svc/cart-fixed", "--via", "direct", "--dry-run")
    assert "directly at its cluster address 10.96.0.77, for 2 ready pods" in done.stdout


def test_many_connections_and_large_bodies_at_once(cluster, directory):
    har = {"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": [{
        "startedDateTime": f"2026-11-22T03:00:{i // 100 % 60:02}.{i % 100:02}0Z", "time": 1,
        "request": {"method": "GET", "url": f"http://cart/api/items?{i}", "httpVersion": "HTTP/1.1", "headers": [{"name": "Host", "value": "cart"}],
                    "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0},
        "response": {"status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "headers": [], "cookies": [], "redirectURL": "",
                     "headersSize": -1, "bodySize": 17, "content": {"size": 17, "mimeType": "text/plain", "text": '{"items":[1,2,3]}'}},
        "cache": {}, "timings": {"send": 0, "wait": 1, "receive": 0}, "connection": str(i)} for i in range(300)]}}
    (directory / "many.har").write_text(json.dumps(har))
    assert programs.tapeloop("import", directory / "many.har", "--store", directory / "many").returncode == 0
    done = programs.tapeloop("replay", "--store", directory / "many", "--kubeconfig", cluster.api.kubeconfig(namespace="staging"),
                             "--to", "svc/cart-fixed", "--speed", "max", "--concurrency", "64", "-o", "json")
    summary = json.loads(done.stdout)["summary"]
    assert summary["sent"] == 300 and summary["verdicts"]["no_answer"] == 0 and summary["verdicts"]["broken"] == 0
    counts = served(cluster)
    assert sum(counts.values()) >= 300 and abs(counts["cart-fixed-0"] - counts["cart-fixed-1"]) <= 2


class Raw:
    """A server in a pod that does what `behave(socket)` does."""

    def __init__(self, pod, behave):
        self.listener = pod.listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(behave,), daemon=True).start()

    def accept(self, behave):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=behave, args=(connection,), daemon=True).start()


def test_an_answer_of_megabytes_and_one_that_ends_with_the_connection_come_whole(cluster):
    big = bytes(range(256)) * 32768  # 8 MiB

    def behave(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + big)

    raw = Raw(cluster.fixed[0], behave)
    report = cluster.verdicts("path == '/api/items'", "--to", f"pod/cart-fixed-0:{raw.port}", status=1)
    raw.listener.close()
    assert {r["now"]["answer_bytes"] > len(big) and r["verdict"] for r in report["results"]} == {"changed"}


def test_a_pod_that_goes_away_is_left_out_and_said_and_the_other_takes_over(cluster):
    first = threading.Event()
    pod = cluster.fixed[0]

    def behave(connection):
        """Answers once, and then its pod is deleted."""
        with connection:
            while data := connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"items\":[1,2,3]}")
                if not first.is_set():
                    first.set()
                    cluster.gone("cart-fixed-0")
                    cluster.endpoints()
                    return

    raw = Raw(pod, behave)
    cluster.api.forwards["staging", "cart-fixed-0"] = lambda _: pod.connect("127.0.0.1", raw.port)
    report = cluster.replay("path == '/api/items'", "--to", "svc/cart-fixed", "--concurrency", "1", "-o", "json")
    raw.listener.close()
    verdicts = json.loads(report.stdout)["summary"]["verdicts"]
    assert first.is_set()
    # the raw server's answer has fewer headers; GET is safe, so what was under way on a used connection went again
    assert verdicts["changed"] == 1 and verdicts["same"] == 7, verdicts
    assert 'pod cart-fixed-0: 404: pods "cart-fixed-0" not found; it is left out, 1 others of svc/cart-fixed' in report.stderr


def test_when_all_pods_were_replaced_the_new_ones_are_asked_for(cluster):
    cluster.gone("cart-fixed-1")
    cluster.endpoints()

    def swap(port):  # the first connection finds its pod gone, and another one in its place
        cluster.api.delete("pods", "cart-fixed-0", "staging")
        cluster.api.forwards.pop(("staging", "cart-fixed-0"))
        cluster.ready("cart-fixed-9", cluster.fixed[1])
        cluster.endpoints()
        raise ConnectionRefusedError(111, "Connection refused")

    cluster.api.forwards["staging", "cart-fixed-0"] = swap
    report = cluster.replay("--to", "svc/cart-fixed", "--concurrency", "1", "-o", "json")
    if report.returncode == 3:  # nobody answered the first look: said before anything was sent
        assert "connection refused" in report.stderr
        report = cluster.replay("--to", "svc/cart-fixed", "-o", "json")
    assert json.loads(report.stdout)["summary"]["verdicts"]["fixed"] >= 3
    assert served(cluster)["cart-fixed-9"] > 0


def test_a_port_where_nobody_listens_is_refused_by_name(cluster):
    done = cluster.replay("--to", "pod/cart-fixed-0:9")
    assert done.returncode == 3 and done.stdout == ""
    assert "pod cart-fixed-0: error forwarding port 9" in done.stderr and "connection refused" in done.stderr


def test_a_right_that_is_missing_is_named(cluster):
    cluster.api.refuse("/api/v1/namespaces/staging/pods/cart-fixed-0/portforward", 403,
                       'pods "cart-fixed-0" is forbidden: User "ann" cannot get resource "pods/portforward"')
    done = cluster.replay("--to", "pod/cart-fixed-0")
    assert done.returncode == 3
    assert 'User "ann" cannot get resource "pods/portforward"' in done.stderr
    assert "the right that is missing: get pods/portforward in namespace staging" in done.stderr
    cluster.api.refuse("/api/v1/namespaces/staging/services/", 403, 'services "cart-fixed" is forbidden: User "ann" cannot get resource "services"')
    assert 'cannot get resource "services"' in cluster.replay("--to", "svc/cart-fixed").stderr


def test_a_token_that_is_exchanged_during_the_replay_is_read_again(cluster):
    config = cluster.api.kubeconfig(namespace="staging")
    old, cluster.api.token = cluster.api.token, "token-2"
    cluster.api.token = old

    def behave(connection):
        with connection:
            while connection.recv(65536):
                if cluster.api.token == "token-1":
                    cluster.api.rotate_token("token-2")
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"items\":[1,2,3]}")

    raw = Raw(cluster.fixed[0], behave)
    done = programs.tapeloop("replay", "--store", cluster.store, "--kubeconfig", config, "--speed", "max", "--concurrency", "1", "path == '/api/items'",
                             "--to", f"pod/cart-fixed-0:{raw.port}", "-o", "json")
    raw.listener.close()
    assert cluster.api.token == "token-2"
    verdicts = json.loads(done.stdout)["summary"]["verdicts"]
    assert verdicts["same"] + verdicts["changed"] == 8, (verdicts, done.stderr)


def test_what_is_not_there_or_not_clear_is_said(cluster):
    refused = cluster.replay("--to", "svc/cart-fixedd")
    assert refused.returncode == 3 and 'services "cart-fixedd" not found' in refused.stderr
    assert "a port is its name, or a number" in cluster.replay("--to", "svc/cart-fixed:0").stderr
    assert "KIND one of svc, pod" in cluster.replay("--to", "secret/cart").stderr
    assert "has no such port; it has 8080 (http)" in cluster.replay("--to", "svc/cart-fixed:9090").stderr
    two = cluster.api.get("services", "cart-fixed", "staging")
    two["spec"]["ports"] = [{"name": "web", "port": 1}, {"name": "admin", "port": 2}]
    cluster.api.put("services", two)
    several = cluster.replay("--to", "svc/cart-fixed")
    assert several.returncode == 2 and "it has 1 (web), 2 (admin): svc/cart-fixed.staging:PORT" in several.stderr
    two["spec"]["ports"] = [{"name": "http", "port": 80, "targetPort": cluster.port}, {"name": "admin", "port": 9, "targetPort": 9}]
    cluster.api.put("services", two)  # the recorded exchanges asked port 80 of the cart
    assert cluster.verdicts("--to", "svc/cart-fixed")["summary"]["verdicts"]["fixed"] == 4
    cluster.api.put("endpoints", {"metadata": {"namespace": "staging", "name": "cart-fixed"}, "subsets": []})
    assert "svc/cart-fixed.staging has no ready pod" in cluster.replay("--to", "svc/cart-fixed").stderr


def test_a_target_in_the_namespace_that_was_recorded_asks_first(recorded):
    with recorded.begin(namespace="shop"):
        done = recorded.replay("--to", "svc/cart-fixed.shop", stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and "12 of the requests would go into the very namespace they were recorded in" in done.stderr
        assert not recorded.api.forwarded
        assert "0 to where they were recorded, 12 more into the namespace where they were: asks first" in recorded.replay("--to", "svc/cart-fixed.shop", "--dry-run").stdout
        assert recorded.verdicts("--to", "svc/cart-fixed.shop", "--yes")["summary"]["verdicts"]["fixed"] == 4
        # the very server, reached by another way
        recorded.ready("cart-0", recorded.cart, "shop")
        done = recorded.replay("--to", f"pod/cart-0.shop:{recorded.port}", stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and "12 of the requests would go to the very server they were recorded from" in done.stderr


def test_the_api_server_goes_away_during_the_replay(cluster):
    def behave(connection):
        with connection:
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"items\":[1,2,3]}")
                threading.Thread(target=cluster.api.away).start()
                return

    raw = Raw(cluster.fixed[0], behave)
    done = cluster.replay("path == '/api/items'", "--to", f"pod/cart-fixed-0:{raw.port}", "--concurrency", "1", "-o", "json")
    raw.listener.close()
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["summary"]["verdicts"]["no_answer"] > 0
    assert any("pod cart-fixed-0" in r.get("why", "") for r in report["results"])
