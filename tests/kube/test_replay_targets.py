# SPDX-License-Identifier: Apache-2.0
"""Replays to svc/, pod/ and deploy/ of a real cluster: by port-forward from outside, and by a Job inside."""
import json
import os
import subprocess

import pytest
import yaml

from conftest import BUILD, BUSYBOX, WORK, rollout

CONFIG, CLAIMED = WORK / "rig" / "admin.conf", WORK / "rig" / "replay-tapes"
FAILING = "echo 'Status: 503 Service Unavailable'; echo 'Content-Type: text/plain'; echo; echo no stock"
FINE = "echo 'Content-Type: text/plain'; echo; echo in stock"


def server(namespace, name, script, replicas):
    """busybox's httpd with one program, as a Deployment and a Service."""
    labels = {"app": name}
    command = f"busybox mkdir -p /tmp/w/cgi-bin; echo '#!/bin/sh' > /tmp/w/cgi-bin/cart; echo \"{script}\" >> /tmp/w/cgi-bin/cart; " \
              "busybox chmod 755 /tmp/w/cgi-bin/cart; exec httpd -f -p 8080 -h /tmp/w"
    pod = {"containers": [{"name": "web", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", command],
                           "ports": [{"name": "http", "containerPort": 8080}],
                           "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}], "terminationGracePeriodSeconds": 0}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {
                "selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}]


def tapeloop(*words, config=CONFIG, status=(0,)):
    """The command line where kubectl works: outside of the pods' network."""
    done = subprocess.run(["ip", "netns", "exec", "tk-cp", BUILD / "tapeloop", *map(str, words), "--kubeconfig", str(config)], capture_output=True, text=True,
                          timeout=120, stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "TZ": "UTC"})
    assert done.returncode in status, (words, done.stdout, done.stderr)
    return done


def names(c, app):
    return sorted(p["metadata"]["name"] for p in c.get("pods", "-n", "staging", "-l", f"app={app}")["items"] if not p["metadata"].get("deletionTimestamp"))


@pytest.fixture(scope="module")
def shop(node):
    """The node's daemon has recorded six failures of shop's cart; staging has a mended one, in two pods."""
    c = node
    c.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in ("shop-a", "staging")])
    for n in ("shop-a", "staging"):
        c.wait(lambda: c.k("-n", n, "get", "serviceaccount", "default", check=False), f"the namespace {n} is ready")
    c.apply(server("shop-a", "cart", FAILING, 1) + server("staging", "cart-fixed", FINE, 2))
    for namespace, name in (("shop-a", "cart"), ("staging", "cart-fixed")):
        rollout(c, namespace, f"deployment/{name}")
    address = c.get("pods", "-n", "shop-a", "-l", "app=cart")["items"][0]["status"]["podIP"]
    for _ in range(6):
        subprocess.run(["ip", "netns", "exec", "tk-cp", "curl", "-s", "-o", "/dev/null", "--max-time", "10", f"http://{address}:8080/cgi-bin/cart"], check=True)
    c.wait(lambda: len(ls(c)) == 6, "the node's daemon has them")
    c.wait(lambda: len((c.get("endpoints", "-n", "staging", "cart-fixed").get("subsets") or [{}])[0].get("addresses", [])) == 2, "both pods are ready")
    return c


def ls(c):
    done = tapeloop("--kube", "-n", "shop-a", "ls", "failed() && dst.workload == \"cart\"", "-o", "jsonl", "--limit", 100, status=(0, 1, 3))
    return done.stdout.splitlines()


def replay(*words, **options):
    done = tapeloop("--kube", "-n", "shop-a", "replay", "failed() && dst.workload == \"cart\"", "--speed", "max", *words, **options)
    return done


def report(*words, **options):
    return json.loads(replay("-o", "json", *words, **options).stdout)


def test_a_dry_run_shows_the_pods_behind_the_service(shop):
    out = replay("--to", "svc/cart-fixed.staging", "--dry-run").stdout
    assert "6 of 6 exchanges to send" in out
    assert "to svc/cart-fixed.staging:80, by port-forward to 2 ready pods: " in out and all(name in out for name in names(shop, "cart-fixed"))


@pytest.mark.parametrize("target", ["svc/cart-fixed.staging", "deploy/cart-fixed.staging:http", "svc/cart-fixed.staging.svc.cluster.local:80"])
def test_the_failures_of_the_cluster_are_replayed_against_the_mended_service_from_outside(shop, target):
    done = report("--to", target)
    assert done["summary"]["verdicts"]["fixed"] == 6 and done["summary"]["sent"] == 6
    assert "by port-forward to 2 ready pods" in done["plan"]["targets"][0]["how"]


def test_a_pod_is_reached_by_name_and_port(shop):
    pod = names(shop, "cart-fixed")[0]
    assert report("--to", f"pod/{pod}.staging")["summary"]["verdicts"]["fixed"] == 6
    refused = replay("--to", f"pod/{pod}.staging:9", status=(3,))
    assert f"pod {pod}: " in refused.stderr and "refused" in refused.stderr


def test_many_connections_at_once(shop):
    done = report("--to", "svc/cart-fixed.staging", "--loops", 20, "--concurrency", 32)
    assert done["summary"]["verdicts"]["fixed"] == 120 and done["summary"]["verdicts"]["no_answer"] == 0


def test_a_pod_that_is_deleted_is_replaced_by_another(shop):
    """Its requests last some seconds; the pod goes after the first of them."""
    victim = names(shop, "cart-fixed")[0]
    words = ["ip", "netns", "exec", "tk-cp", BUILD / "tapeloop", "--kube", "-n", "shop-a", "--kubeconfig", CONFIG, "replay",
             "failed() && dst.workload == \"cart\"", "--rate", "10", "--loops", "12", "-o", "jsonl", "--to", "svc/cart-fixed.staging", "--timeout", "20s"]
    running = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    shop.k("-n", "staging", "delete", "pod", victim, "--grace-period=0", "--force")
    out, err = running.communicate(timeout=120)
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert summary["sent"] == 72
    assert summary["verdicts"]["fixed"] >= 66, (summary["verdicts"], err)  # what was on its way to the pod is lost, and said
    shop.k("-n", "staging", "rollout", "status", "deployment/cart-fixed", "--timeout=60s")


def test_the_namespace_that_was_recorded_asks_first(shop):
    done = replay("--to", "svc/cart", status=(2,))
    assert "6 of the requests would go to the very server they were recorded from" in done.stderr
    assert report("--to", "svc/cart", "--yes", status=(1,))["summary"]["still_failing"] == 6


def test_a_right_that_is_missing_is_named_by_the_api_server(shop):
    config = WORK / "rig" / "replay-viewer.conf"
    config.write_text(CONFIG.read_text().replace("admin-token", "viewer-token"))
    store = WORK / "rig" / "replay-kept.tape"
    store.unlink(missing_ok=True)
    tapeloop("--kube", "-n", "shop-a", "keep", "failed() && dst.workload == \"cart\"", "--as", store)
    done = tapeloop("replay", "--store", store, "--to", "svc/cart-fixed.staging", config=config, status=(3,))
    assert 'User "viewer" cannot get resource "services"' in done.stderr
    rules = [{"apiGroups": [""], "resources": ["services", "endpoints"], "verbs": ["get"]}]
    shop.apply([{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "target", "namespace": "staging"}, "rules": rules},
                {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "target", "namespace": "staging"},
                 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "target"}, "subjects": [{"kind": "User", "name": "viewer"}]}])
    done = shop.wait(lambda: (lambda d: d if "services" not in d.stderr else None)(
        tapeloop("replay", "--store", store, "--to", "svc/cart-fixed.staging", config=config, status=(3,))), "the role holds")
    assert "the right that is missing: get pods/portforward in namespace staging" in done.stderr
    rules.append({"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get"]})
    shop.apply([{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "target", "namespace": "staging"}, "rules": rules}])
    shop.wait(lambda: tapeloop("replay", "--store", store, "--speed", "max", "--to", "svc/cart-fixed.staging", config=config, status=(0, 3)).returncode == 0,
              "with get services, endpoints and pods/portforward it works")


def test_a_job_replays_inside_to_its_completion(shop):
    c = shop
    CLAIMED.mkdir(exist_ok=True)
    CLAIMED.chmod(0o755)
    tape = CLAIMED / "cart.tape"
    tape.unlink(missing_ok=True)
    tapeloop("--kube", "-n", "shop-a", "keep", "failed() && dst.workload == \"cart\"", "--as", tape)
    tape.chmod(0o644)
    account = {"name": "tapeloop-replay", "namespace": "staging"}
    c.apply([
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "replay-tapes"}, "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": str(CLAIMED)}, "storageClassName": "by-hand"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "tapes", "namespace": "staging"}, "spec": {
            "accessModes": ["ReadOnlyMany"], "storageClassName": "by-hand", "volumeName": "replay-tapes", "resources": {"requests": {"storage": "1Gi"}}}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tapeloop-replay-job", "namespace": "staging"},
         "rules": [{"apiGroups": [""], "resources": ["services", "endpoints"], "verbs": ["get"]}]},  # docs/asking.md
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "tapeloop-replay-job", "namespace": "staging"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tapeloop-replay-job"}, "subjects": [{"kind": "ServiceAccount", **account}]}])
    made = subprocess.run([BUILD / "tapeloop", "replay", "--store", "/tapes/cart.tape", "--job-claim", "tapes", "--to", "svc/cart-fixed", "--speed", "max", "--as-job"],
                          capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"], "KUBECONFIG": "/nonexistent"})
    name = yaml.safe_load(made.stdout)["metadata"]["name"]
    c.k("-n", "staging", "apply", "-f", "-", input=made.stdout)

    def finished():
        return {x["type"]: x for x in c.get("job", "-n", "staging", name)["status"].get("conditions", [])}
    conditions = c.wait(finished, "the Job ends")
    log = c.k("-n", "staging", "logs", f"job/{name}")
    assert "Complete" in conditions, (conditions, log)
    assert "fixed             6" in log and "svc/cart-fixed.staging:80: directly at its cluster address" in log
    status = c.get("pods", "-n", "staging", "-l", f"job-name={name}")["items"][0]
    assert status["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
