# SPDX-License-Identifier: Apache-2.0
"""Who is who by the API server: both sides of an exchange, while it is away, when addresses are used again."""
import json
import subprocess
import time

import pytest

from fake_apiserver import ApiServer
from pods import wait_for

OK = "location / { return 200 'ok'; }"


def now(after=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + after))


def pod(name, address, namespace="shop", workload="cart", node="n1", labels=None, **status):
    started = {"running": {"startedAt": now(-60)}}
    return {"metadata": {"namespace": namespace, "name": name, "labels": {"app": workload, "pod-template-hash": "5d4f", **(labels or {})},
                         "annotations": {"example.com/team": "red", "other": "x"},
                         "ownerReferences": [{"kind": "ReplicaSet", "name": f"{workload}-5d4f", "uid": f"rs-{workload}",
                                              "controller": True}]},
            "spec": {"nodeName": node, "containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "192.0.2.1",
                       "startTime": now(-61), "containerStatuses": [{"name": "app", "state": started,
                                                                    "containerID": f"containerd://{name}"}], **status}}


def service(name, address, app, namespace="shop"):
    return {"metadata": {"namespace": namespace, "name": name},
            "spec": {"clusterIP": address, "selector": {"app": app}, "ports": [{"port": 80, "targetPort": "http"}]}}


@pytest.fixture
def server(directory):
    with ApiServer(directory) as made:
        yield made


@pytest.fixture
def shop(node, server):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(OK)
    server.put("pods", pod("web-0", client.address, workload="web"))
    server.put("pods", pod("cart-0", cart.address))
    server.put("services", service("cart", "10.96.0.7", "cart"))
    return client, cart


@pytest.fixture
def recorder(daemon, server, shop):
    """A daemon that knows all pods of the server."""
    d = daemon(settings={"capture.netns": [shop[1].name], "kube.enabled": "true", "kube.config": str(server.kubeconfig()),
                         "kube.annotations": ["example.com/*"]})
    wait_for(lambda: gauge(d, "kube_pods") == 2, "the pods are known")
    return d


def gauge(d, name):
    for line in d.request("/metrics").text.splitlines():
        if line.startswith(f"tapeloop_{name} "):
            return float(line.split()[-1])
    return None


def exchanges(d, count):
    d.wait_stored(count)
    found = d.request("/api/v1/exchanges?order=asc&limit=100").json()["exchanges"]
    assert len(found) == count
    return found


def test_both_sides_carry_all_that_is_known_of_their_pods(shop, recorder, cli):
    client, cart = shop
    client.curl(cart.url("/1"))
    x = exchanges(recorder, 1)[0]
    assert {k: x["dst"][k] for k in ("pod", "namespace", "service", "workload", "workload_kind", "node", "container", "identity",
                                     "certainty", "labels", "annotations")} == {
        "pod": "cart-0", "namespace": "shop", "service": "cart", "workload": "cart", "workload_kind": "Deployment", "node": "n1",
        "container": "app", "identity": "api", "certainty": "certain",
        "labels": {"app": "cart", "pod-template-hash": "5d4f"}, "annotations": {"example.com/team": "red"}}
    assert (x["src"]["pod"], x["src"]["workload"]) == ("web-0", "web")
    assert len(x["dst"]["pod_uid"]) == 36
    asked = lambda f: cli("ls", f, "--api", f"unix:{recorder.socket}", "-o", "jsonl").stdout.count("\n")
    assert asked('dst.labels["app"] == "cart" && src.workload.kind == "Deployment" && dst.certainty == "certain"') == 1
    assert asked('dst.annotations["example.com/team"] != "red"') == 0
    shown = cli("show", x["id"], "--api", f"unix:{recorder.socket}").stdout
    assert "named by api, certain" in shown and x["dst"]["pod_uid"] in shown


def test_an_address_that_is_used_again_belongs_to_the_next_pod(shop, recorder, server):
    client, cart = shop
    client.curl(cart.url("/1"))
    exchanges(recorder, 1)
    server.delete("pods", "cart-0", "shop")
    wait_for(lambda: gauge(recorder, "kube_pods_gone") == 1, "it is gone")
    server.put("pods", pod("pay-0", cart.address, workload="pay", startTime=now(), containerStatuses=[]))
    wait_for(lambda: gauge(recorder, "kube_pods") == 2, "the next one is known")
    client.curl(cart.url("/2"))
    assert [x["dst"]["pod"] for x in exchanges(recorder, 2)] == ["cart-0", "pay-0"]


def test_the_api_server_goes_and_comes_back_and_names_catch_up(shop, recorder, server, cli):
    client, cart = shop
    server.away()
    wait_for(lambda: gauge(recorder, "kube_live") == 0, "the loss is noticed")
    client.curl(cart.url("/1"))
    x = exchanges(recorder, 1)[0]
    assert (x["dst"]["pod"], x["dst"]["certainty"]) == ("cart-0", "inferred")
    assert recorder.counters()["exchanges_named_while_away"] == 1
    assert "API server was away" in cli("doctor", "--api", f"unix:{recorder.socket}").stdout
    server.delete("pods", "web-0", "shop")
    server.put("pods", pod("new-0", client.address, workload="new", startTime=now(), containerStatuses=[]))
    server.back()
    wait_for(lambda: gauge(recorder, "kube_live") == 1 and gauge(recorder, "kube_pods_gone") == 1, "it is told again", seconds=60)
    client.curl(cart.url("/2"))
    x = exchanges(recorder, 2)[1]
    assert (x["src"]["pod"], x["dst"]["certainty"]) == ("new-0", "certain")


@pytest.mark.parametrize("quietly", [False, True])
def test_a_watch_that_is_too_old_begins_with_a_list(shop, recorder, server, quietly):
    server.expire("pods", quietly)
    if quietly:
        server.cut()
    server.put("pods", pod("late-0", "10.0.9.9"))
    wait_for(lambda: gauge(recorder, "kube_pods") == 3, "the new one is known", seconds=60)
    assert gauge(recorder, "kube_expired_total") >= 1


def test_a_token_that_was_exchanged_is_used_when_the_watch_is_renewed(shop, recorder, server):
    server.rotate_token("token-2")
    server.cut()
    server.put("pods", pod("late-0", "10.0.9.9"))
    wait_for(lambda: gauge(recorder, "kube_pods") == 3, "the new one is known", seconds=60)
    assert gauge(recorder, "kube_token_reads_total") >= 2


def test_bookmarks_spare_a_list(shop, recorder, server):
    server.wait_for(lambda: server.watches("pods") == 1)
    lists = gauge(recorder, "kube_lists_total")
    server.bookmark("pods")
    version = server.version
    server.wait_for(lambda: [r for r in server.requests if r.get("bookmark") == version])
    wait_for(lambda: gauge(recorder, "kube_silence_seconds") < 5, "it was heard")
    server.cut()
    server.wait_for(lambda: server.seen("GET", "/api/v1/pods", resourceVersion=str(version)), seconds=60)
    assert gauge(recorder, "kube_lists_total") == lists


def test_long_lists_come_in_pages_and_what_is_not_allowed_stays_empty(node, server, daemon, shop):
    server.page_max = 7
    for i in range(40):
        server.put("pods", pod(f"p-{i}", f"10.1.0.{i + 1}"))
    server.refuse("/apis/batch", 403, "jobs are not for you")
    d = daemon(settings={"capture.netns": [shop[1].name], "kube.enabled": "true", "kube.config": str(server.kubeconfig())})
    wait_for(lambda: gauge(d, "kube_pods") == 42, "all pods are known")
    assert len(server.seen("GET", "/api/v1/pods", limit="100")) == 6
    assert "jobs are not for you" in d.log


def test_an_api_server_that_is_not_there_at_the_start_is_no_failure(shop, server, daemon):
    client, cart = shop
    config = server.kubeconfig()
    server.away()
    d = daemon(settings={"capture.netns": [cart.name], "kube.enabled": "true", "kube.config": str(config)})
    client.curl(cart.url("/1"))
    assert exchanges(d, 1)[0]["dst"]["identity"] == "interface"
    server.back()
    wait_for(lambda: gauge(d, "kube_pods") == 2, "the pods are known", seconds=60)


def test_the_name_of_a_namespaces_file_says_less_than_the_api_server(shop, daemon, server, directory):
    """A runtime calls it cni-..., and its control group is not looked at before the first request."""
    client, cart = shop
    named = directory / "ns" / "cni-de75cfcb"
    named.parent.mkdir()
    named.touch()
    subprocess.run(["mount", "--bind", cart.path, named], check=True)
    try:
        d = daemon(settings={"kube.pods": "true", "kube.cri_socket": "", "kube.netns_dirs": [str(named.parent)],
                             "kube.enabled": "true", "kube.config": str(server.kubeconfig())})
        wait_for(lambda: gauge(d, "kube_pods") == 2, "the pods are known")
        wait_for(lambda: 'tapeloop_pods{state="captured"} 1' in d.request("/metrics").text, "the pod is captured", 20)
        client.curl(cart.url("/first"))
        x = exchanges(d, 1)[0]
        assert (x["dst"]["pod"], x["dst"]["workload"], x["dst"]["identity"]) == ("cart-0", "cart", "api")
        assert x["src"]["pod"] == "web-0"
    finally:
        subprocess.run(["umount", named], capture_output=True)


@pytest.mark.parametrize("form", ["v1", "v1beta1", "endpoints"])
def test_endpoints_tell_of_services_without_a_selector(node, server, daemon, form):
    """By slices; by those of older servers; by Endpoints where there are none."""
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx(OK)
    server.put("pods", pod("web-0", client.address, workload="web"))
    server.put("services", {"metadata": {"namespace": "ext", "name": "billing"}, "spec": {"clusterIP": "None", "ports": [{"port": 8080}]}})
    if form == "endpoints":
        server.kinds["endpointslices"].is_served = False
        server.put("endpoints", {"metadata": {"namespace": "ext", "name": "billing"},
                                 "subsets": [{"addresses": [{"ip": cart.address}], "ports": [{"port": 8080}]}]})
    else:
        server.kinds["endpointslices"].group_version = f"discovery.k8s.io/{form}"
        server.put("endpointslices", {"metadata": {"namespace": "ext", "name": "billing-1",
                                                   "labels": {"kubernetes.io/service-name": "billing"}},
                                      "addressType": "IPv4", "endpoints": [{"addresses": [cart.address]}], "ports": [{"port": 8080}]})
    d = daemon(settings={"capture.netns": [cart.name], "kube.enabled": "true", "kube.config": str(server.kubeconfig())})
    wait_for(lambda: gauge(d, "kube_events_total") == 3, "all is told", 30)
    wait_for(lambda: gauge(d, "kube_pods") == 1, "the pods are known", 30)
    client.curl(cart.url("/1"))
    d.wait_stored(1)
    wait_for(lambda: exchanges(d, 1)[0]["dst"]["service"] == "billing", "the service is named", 30)
    assert exchanges(d, 1)[0]["dst"]["namespace"] == "ext"
