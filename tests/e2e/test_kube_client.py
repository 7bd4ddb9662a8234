# SPDX-License-Identifier: Apache-2.0
"""kube/client.h against an API server: answers, failures, tokens that change, plugins, watches."""
import base64
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

import programs
from fake_apiserver import ApiServer

KUBE = programs.BUILD / "tests/tools/kube"


@pytest.fixture(scope="module", autouse=True)
def _built():
    build = os.path.relpath(programs.BUILD, programs.ROOT)
    subprocess.run(["make", "-s", f"BUILD={build}", f"{build}/tests/tools/kube"], cwd=programs.ROOT, check=True)


@pytest.fixture
def server(directory):
    with ApiServer(directory) as made:
        yield made


def kube(*words, env=None, **options):
    clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("KUBE")}
    return subprocess.run([str(KUBE), *map(str, words)], env={**clean, **(env or {})}, capture_output=True, text=True,
                          timeout=60, **options)


def pod(name, namespace="shop"):
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"containers": [{"name": "app"}]}}


def test_a_pod_asks_with_what_its_service_account_gives_it(server, directory):
    server.put("pods", pod("cart-0"))
    account, env = server.service_account()
    answer = kube("--kubeconfig", server.kubeconfig(), "get", "/api/v1/pods")
    assert [o["metadata"]["name"] for o in json.loads(answer.stdout)["items"]] == ["cart-0"]
    asked = server.seen("GET", "/api/v1/pods")[0]["headers"]
    assert asked["Authorization"] == "Bearer token-1"
    assert asked["User-Agent"].startswith("tapeloop/")


def test_the_verbs_make_change_and_remove_objects(server):
    config = server.kubeconfig()
    path = "/api/v1/namespaces/shop/configmaps"
    made = kube("--kubeconfig", config, "create", path, json.dumps({"metadata": {"name": "c"}, "data": {"a": "1"}}))
    assert json.loads(made.stdout)["metadata"]["namespace"] == "shop"
    changed = kube("--kubeconfig", config, "patch", f"{path}/c", json.dumps({"data": {"b": "2", "a": None}}))
    assert json.loads(changed.stdout)["data"] == {"b": "2"}
    stale = json.loads(changed.stdout)
    server.change("configmaps", "c", "shop", data={"c": "3"})
    assert kube("--kubeconfig", config, "put", f"{path}/c", json.dumps(stale)).stderr.startswith("EEXIST: PUT")
    assert kube("--kubeconfig", config, "create", path, json.dumps({"metadata": {"name": "c"}})).stderr.startswith("EEXIST")
    assert kube("--kubeconfig", config, "delete", f"{path}/c").returncode == 0
    assert "c\" not found" in kube("--kubeconfig", config, "get", f"{path}/c").stderr


@pytest.mark.parametrize("code, name", [(400, "EINVAL"), (403, "EPERM"), (404, "ENOENT"), (409, "EEXIST"), (410, "ESTALE"),
                                        (429, "EAGAIN"), (500, "EPROTO"), (503, "EAGAIN"), (504, "ETIMEDOUT")])
def test_what_a_status_says_is_said(server, code, name):
    server.refuse("/api/v1/pods", code, "pods are\nnot for you")
    said = kube("--kubeconfig", server.kubeconfig(), "get", "/api/v1/pods")
    assert said.returncode == 1
    assert said.stderr == f"{name}: GET /api/v1/pods: {code}: pods are not for you\n"


def test_a_token_that_was_exchanged_is_read_again(server, children):
    asking = children(KUBE, "--kubeconfig", server.kubeconfig(), "gets", "/api/v1/nodes", stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True)
    for token in ("token-1", "token-2", "token-3"):
        server.rotate_token(token)
        asking.stdin.write("\n")
        asking.stdin.flush()
        assert json.loads(asking.stdout.readline())["kind"] == "NodeList"
    assert [r["headers"]["Authorization"] for r in server.seen("GET", "/api/v1/nodes")] == [
        "Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_a_token_that_nobody_knows_is_refused_after_a_second_look(server):
    config = server.kubeconfig()
    (server.directory / "serviceaccount" / "token").write_text("nonsense")
    said = kube("--kubeconfig", config, "get", "/api/v1/nodes")
    assert said.stderr.startswith("EACCES: GET /api/v1/nodes: 401: Unauthorized")
    assert len(server.seen("GET", "/api/v1/nodes")) == 2
    assert "nonsense" not in said.stderr


def test_a_plugin_says_who_we_are_and_is_asked_again_when_it_is_refused(server, directory):
    plugin = directory / "plugin"
    plugin.write_text(f"""#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >{directory}/info; echo "$1 $COLOUR" >>{directory}/runs
printf '{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"token-%s"}}}}' "$(wc -l <{directory}/runs)"
""")
    plugin.chmod(0o755)
    server.rotate_token("token-2")
    config = server.kubeconfig(user={"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["say"], "provideClusterInfo": True,
        "env": [{"name": "COLOUR", "value": "red"}], "interactiveMode": "IfAvailable"}})
    said = kube("--kubeconfig", config, "get", "/api/v1/nodes")
    assert said.returncode == 0, said.stderr
    assert (directory / "runs").read_text() == "say red\nsay red\n"
    info = json.loads((directory / "info").read_text())
    assert info["kind"] == "ExecCredential" and info["spec"]["cluster"]["server"] == server.url


@pytest.mark.parametrize("script, why", [
    ("exit 3", "EIO: {}: ended with status 3"), ("echo hello", "EPROTO: {}: expected an ExecCredential"),
    ("echo '{\"status\":{}}'", "EPROTO: {}: expected an ExecCredential"), ("kill -9 $$", "EIO: {}: ended with signal 9")])
def test_a_plugin_that_fails_is_said_by_its_name(server, directory, script, why):
    plugin = directory / "plugin"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o755)
    config = server.kubeconfig(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": str(plugin)}})
    assert kube("--kubeconfig", config, "get", "/api/v1/nodes").stderr.startswith(why.format(plugin))


def test_a_certificate_says_who_we_are_and_data_may_stand_in_the_file(server):
    certificate, key = server.authority.issue("tester")
    encoded = lambda path: base64.b64encode(path.read_bytes()).decode()
    config = server.kubeconfig(user={"token": "token-1", "client-certificate-data": encoded(certificate),
                                     "client-key-data": encoded(key)},
                               **{"certificate-authority": "", "certificate-authority-data": encoded(server.authority.path)})
    assert kube("--kubeconfig", config, "get", "/api/v1/nodes").returncode == 0


def test_a_server_that_is_not_the_one_is_refused(server, directory):
    from certificates import Authority
    other = Authority(directory, "other-ca")
    said = kube("--kubeconfig", server.kubeconfig(**{"certificate-authority": str(other.path)}), "get", "/api/v1/nodes")
    assert said.stderr.startswith("EKEYREJECTED: https://")
    said = kube("--kubeconfig", server.kubeconfig(**{"tls-server-name": "elsewhere"}), "get", "/api/v1/nodes")
    assert said.stderr.startswith("EKEYREJECTED: https://")
    assert server.requests == []
    config = server.kubeconfig(**{"tls-server-name": "kubernetes.default.svc"})
    assert kube("--kubeconfig", config, "get", "/api/v1/nodes").returncode == 0
    config = server.kubeconfig(**{"certificate-authority": "", "insecure-skip-tls-verify": True})
    assert kube("--kubeconfig", config, "get", "/api/v1/nodes").returncode == 0


def test_a_server_that_is_away_is_said_with_its_address(server):
    config = server.kubeconfig()
    server.away()
    said = kube("--kubeconfig", config, "get", "/api/v1/nodes")
    assert said.stderr.startswith(f"ECONNREFUSED: {server.url}: ")


def test_a_proxy_is_asked_to_connect(server, directory):
    """proxy-url, or else the environment's."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads = []

    def relay():
        for _ in range(2):
            taken, _ = listener.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += taken.recv(4096)
            heads.append(head.split(b"\r\n")[0].decode())
            taken.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            taken.close()

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert kube("--kubeconfig", server.kubeconfig(**{"proxy-url": url}), "get", "/api/v1/nodes").returncode == 1
    assert kube("--kubeconfig", server.kubeconfig(), "get", "/api/v1/nodes", env={"https_proxy": url}).returncode == 1
    thread.join(30)
    listener.close()
    assert heads == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"] * 2
    assert server.requests == []


def test_a_watch_gives_lines_until_it_is_too_old(server, children):
    server.put("pods", pod("a"))
    watch = children(KUBE, "--kubeconfig", server.kubeconfig(), "watch",
                     f"/api/v1/pods?watch=1&resourceVersion={server.version}&allowWatchBookmarks=true",
                     stdout=subprocess.PIPE, text=True)
    server.wait_for(lambda: server.watches("pods") == 1)
    server.put("pods", pod("b" * 200))
    server.delete("pods", "a", "shop")
    server.bookmark("pods")
    lines = [json.loads(watch.stdout.readline()) for _ in range(3)]
    assert [line["type"] for line in lines] == ["ADDED", "DELETED", "BOOKMARK"]
    server.expire("pods")
    last = json.loads(watch.stdout.readline())
    assert last["type"] == "ERROR" and last["object"]["code"] == 410
    assert watch.wait(30) == 0


def test_a_watch_that_is_cut_says_so(server, children):
    watch = children(KUBE, "--kubeconfig", server.kubeconfig(), "watch", "/api/v1/pods?watch=1", stderr=subprocess.PIPE, text=True)
    server.wait_for(lambda: server.watches("pods") == 1)
    server.away()
    assert watch.wait(30) == 1
    assert watch.stderr.read().startswith("ECONNRESET: ")


def test_the_fake_answers_reviews_pages_and_proxies(server, directory):
    """What other tests rely on."""
    config = server.kubeconfig()
    server.users["t"] = ("ann", ["devs"])
    server.allows = lambda user, groups, a: user == "ann" and a["namespace"] == "shop"
    review = {"spec": {"token": "t"}}
    said = json.loads(kube("--kubeconfig", config, "create", "/apis/authentication.k8s.io/v1/tokenreviews", json.dumps(review)).stdout)
    assert said["status"]["user"]["username"] == "ann"
    for namespace, allowed in (("shop", True), ("bank", False)):
        review = {"spec": {"user": "ann", "resourceAttributes": {"namespace": namespace, "verb": "get", "resource": "pods"}}}
        said = kube("--kubeconfig", config, "create", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json.dumps(review))
        assert json.loads(said.stdout)["status"]["allowed"] is allowed
    for i in range(5):
        server.put("pods", pod(f"p{i}"))
    page = json.loads(kube("--kubeconfig", config, "get", "/api/v1/pods?limit=2").stdout)
    assert len(page["items"]) == 2 and page["metadata"]["remainingItemCount"] == 3
    server.expire("pods")
    said = kube("--kubeconfig", config, "get", f"/api/v1/pods?limit=2&continue={page['metadata']['continue']}")
    assert said.stderr.startswith("ESTALE: ")
    listener = socket.create_server(("127.0.0.1", 0))
    server.backends[("shop", "pods", "p0:7700")] = listener.getsockname()

    def answer():
        taken, _ = listener.accept()
        head = taken.recv(65536).decode()
        body = json.dumps({"line": head.split("\r\n")[0]})
        taken.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        taken.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    said = kube("--kubeconfig", config, "get", "/api/v1/namespaces/shop/pods/p0:7700/proxy/api/v1/exchanges?limit=1")
    assert json.loads(said.stdout)["line"] == "GET /api/v1/exchanges?limit=1 HTTP/1.1"
    thread.join(30)
    listener.close()
