# SPDX-License-Identifier: Apache-2.0
"""tapeloop replay --as-job: what the manifest is, and that its pods together send every exchange once."""
import json
import re
import subprocess

import pytest
import yaml

from test_manifests import SHARED, TAPELOOP, VERSION, run, swagger


def job(*words, status=0, env=None):
    done = subprocess.run([TAPELOOP, "replay", "--as-job", *map(str, words)], capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "KUBECONFIG": "/nonexistent", **(env or {})})
    assert done.returncode == status, done.stderr
    return yaml.safe_load(done.stdout) if status == 0 else done.stderr


def container(manifest):
    return manifest["spec"]["template"]["spec"]["containers"][0]


KINDS = {
    "one pod": ["failed()", "--to", "svc/cart.shop"],
    "shards": ["--to", "svc/cart.shop", "--job-shards", "7", "--set-header", "X: $(HOME) 'quoted' \"twice\"\n"],
    "a claim": ["--to", "http://cart.shop", "--store", "/tapes/a.tape", "--job-claim", "tapes", "--job-shards", "2"],
    "a daemon": ["--to", "http://cart.shop", "--api", "http://tapeloopd.tapeloop:7700"],
}


@pytest.mark.parametrize("words", KINDS.values(), ids=KINDS)
def test_the_manifest_is_valid_and_asks_for_no_rights(words, tmp_path):
    manifest = job(*words)
    spec = manifest["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["restartPolicy"] == "Never" and manifest["spec"]["backoffLimit"] == 0
    rights = container(manifest)["securityContext"]
    assert not rights["allowPrivilegeEscalation"] and rights["readOnlyRootFilesystem"] and rights["capabilities"] == {"drop": ["ALL"]}
    assert container(manifest)["image"] == f"localhost/tapeloop:{VERSION}"  # as the manifests of the daemon have it
    notes = manifest["spec"]["template"]["metadata"]["annotations"]
    assert notes == {"tapeloop.dev/record": "false", "tapeloop.dev/inject": "disabled"}  # a sidecar would keep the Job from its end
    manifest["spec"].pop("completionMode", None)  # of Kubernetes 1.21, which the source tree need not be
    path = tmp_path / "job.json"
    path.write_text(json.dumps(manifest))
    done = run("/usr/bin/python3", SHARED / "k8s-validate.py", swagger(), path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_who_asks_somebody_has_a_token():
    def token(*words):
        spec = job(*words)["spec"]["template"]["spec"]
        return spec.get("serviceAccountName") if spec.get("automountServiceAccountToken", True) else None

    assert token("--to", "http://cart.shop") == "tapeloop-replay"  # the daemons of the cluster
    assert token("--to", "svc/cart.shop", "--store", "/tapes/a", "--job-claim", "c", "--job-account", "me") == "me"
    assert token("--map", "cart=svc/cart.shop", "--api", "http://d:7700") == "tapeloop-replay"
    assert token("--to", "http://cart.shop", "--store", "/tapes/a", "--job-claim", "c") is None


def test_a_target_keeps_the_namespace_that_it_has_here(tmp_path):
    config = tmp_path / "config"
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [{"name": "k", "cluster": {"server": "https://k"}}],
                                  "users": [{"name": "u", "user": {"token": "t"}}],
                                  "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "shop"}}]}))
    args = container(job("--to", "svc+https/cart:web", "--map", "pay=deploy/pay", "--map", "x=svc/x.y:1", "--map", "z=http://z", env={"KUBECONFIG": str(config)}))["args"]
    assert [a for a in args if a.startswith(("--to", "--map"))] == ["--to=svc+https/cart.shop:web", "--map=pay=deploy/pay.shop", "--map=x=svc/x.y:1", "--map=z=http://z"]
    args = container(job("--to", "svc/cart", "--namespace", "other", env={"KUBECONFIG": str(config)}))["args"]
    assert "--to=svc/cart" in args and "--namespace=other" in args
    assert "--to=svc/cart" in container(job("--to", "svc/cart"))["args"]  # nobody here knows: the pod's own


def test_what_a_pod_could_not_do_is_refused_here():
    assert "a pod has it only as /tapes/FILE" in job("--to", "svc/cart", "--store", "/var/lib/tapes", status=2)
    assert "a pod cannot reach it" in job("--to", "svc/cart", "--api", "unix:/run/tapeloop/api.sock", status=2)
    assert "KIND one of svc" in job("--to", "secret/cart", status=2)
    assert "a port is its name" in job("--map", "cart=svc/cart:0", status=2)
    assert "job-shards: expected 1 to 1000" in job("--to", "svc/cart", "--job-shards", "1001", status=2)
    assert "where to?" in job(status=2)


@pytest.mark.parametrize("shards", [2, 5])
def test_the_pods_together_send_every_exchange_once_and_connections_whole(tmp_path, shards):
    entry = lambda i: {"startedDateTime": f"2026-11-22T03:00:{i // 10:02}.{i % 10}00Z", "time": 1, "connection": str(i % 37), "serverIPAddress": "10.0.0.1",
                       "request": {"method": "GET", "url": f"http://cart/{i}", "httpVersion": "HTTP/1.1", "headers": [], "queryString": [], "cookies": [],
                                   "headersSize": -1, "bodySize": 0},
                       "response": {"status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "headers": [], "cookies": [], "redirectURL": "",
                                    "headersSize": -1, "bodySize": 1, "content": {"size": 1, "mimeType": "text/plain", "text": "x"}}, "cache": {}, "timings": {}}
    har = tmp_path / "many.har"
    har.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": [entry(i) for i in range(200)]}}))
    assert run(TAPELOOP, "import", har, "--store", tmp_path / "many").returncode == 0
    manifest = job("--to", "http://127.0.0.1:1", "--store", "/tapes/many", "--job-claim", "tapes", "--job-shards", shards)
    assert manifest["spec"]["completionMode"] == "Indexed" and manifest["spec"]["completions"] == manifest["spec"]["parallelism"] == shards
    assert container(manifest)["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    of_connection, sent = {}, []
    for index in range(shards):
        args = [re.sub(r"(?<!\$)\$\(JOB_COMPLETION_INDEX\)", str(index), a).replace("/tapes", str(tmp_path)) for a in container(manifest)["args"]]
        at = args.index("--")
        done = run(TAPELOOP, *args[:at], "--dry-run", "-o", "jsonl", *args[at:])
        plan = [json.loads(line) for line in done.stdout.splitlines()]
        sent += [x["id"] for x in plan if "id" in x]
        for x in plan:
            if "id" in x:
                of_connection.setdefault(int(x["target"][1:]) % 37, set()).add(index)
    assert len(sent) == len(set(sent)) == 200
    assert all(len(pods) == 1 for pods in of_connection.values()) and len(set.union(*of_connection.values())) == shards
