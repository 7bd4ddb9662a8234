# SPDX-License-Identifier: Apache-2.0
"""tapeloopd --webhook over TLS: what it adds to pods, what it refuses, and its certificate that changes under it."""
import base64
import copy
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys

import pytest
import yaml

from test_manifests import ROOT, SHARED, SIDECAR, TAPELOOPD, VERSION, run, swagger

sys.path.insert(0, str(ROOT / "tests/e2e"))
from pods import end, wait_for  # noqa: E402


def make_certificate(directory, name="localhost"):
    """Key and certificate for 127.0.0.1, as the files of a Secret's volume: behind ..data, which moves."""
    version = directory / f"..{os.urandom(4).hex()}"
    version.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", version / "tls.key", "-out", version / "tls.crt"], check=True, capture_output=True)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(directory / "..data")
    for file in ("tls.crt", "tls.key"):
        if not (directory / file).is_symlink():
            (directory / file).symlink_to(f"..data/{file}")


class Hook:
    def __init__(self, directory, **settings):
        self.certificate = directory / "certificate"
        self.certificate.mkdir()
        make_certificate(self.certificate)
        self.log_path = directory / "log"
        env = {"TAPELOOP_WEBHOOK_LISTEN": "127.0.0.1:0", "TAPELOOP_API_STATUS_LISTEN": "127.0.0.1:0",
               "TAPELOOP_WEBHOOK_IMAGE": f"localhost/tapeloop:{VERSION}", "TAPELOOP_WEBHOOK_CERT": str(self.certificate / "tls.crt"),
               "TAPELOOP_WEBHOOK_KEY": str(self.certificate / "tls.key"), **{f"TAPELOOP_WEBHOOK_{k.upper()}": v for k, v in settings.items()}}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([TAPELOOPD, "--config", "/dev/null", "--webhook"], stdout=log, stderr=log, env=env)
        wait_for(lambda: "answering" in self.log or self.process.poll() is not None, "the webhook")
        found = re.search(r"listen=(\S+) status=(\S+)", self.log)
        assert found, self.log
        self.address, self.status_address = found.groups()

    @property
    def log(self):
        return self.log_path.read_text()

    def context(self):
        return ssl.create_default_context(cafile=self.certificate / "tls.crt")

    def post(self, body, path="/mutate", method="POST", context=None):
        host, port = self.address.split(":")
        c = http.client.HTTPSConnection(host, int(port), context=context or self.context(), timeout=30)
        try:
            c.request(method, path, body=body, headers={"Content-Type": "application/json"})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def review(self, pod, **request):
        status, text = self.post(json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
            "uid": "u-1", "operation": "CREATE", "resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": "shop", "object": pod, **request}}))
        assert status == 200, text
        response = json.loads(text)["response"]
        assert (response["uid"], response["allowed"]) == ("u-1", True)
        if "patch" not in response:
            return None
        assert response["patchType"] == "JSONPatch"
        return json.loads(base64.b64decode(response["patch"], validate=True))

    def metrics(self):
        c = http.client.HTTPConnection(*self.status_address.split(":"), timeout=30)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return {m[0]: int(m[1]) for m in re.findall(r'reviews_total\{reason="(\w+)"\} (\d+)', text)}


@pytest.fixture
def hook(tmp_path):
    """hook(**settings) starts a webhook; all end with the test."""
    started = []

    def start(**settings):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Hook(directory, **settings))
        return started[-1]

    yield start
    for one in started:
        end(one.process)


def apply(document, patch):
    """JSON Patch (RFC 6902), the operation that we use, by the letter."""
    document = copy.deepcopy(document)
    for op in patch:
        assert set(op) == {"op", "path", "value"} and op["op"] == "add"
        *way, last = [w.replace("~1", "/").replace("~0", "~") for w in op["path"].split("/")[1:]]
        at = document
        for word in way:
            at = at[int(word)] if isinstance(at, list) else at[word]
        if isinstance(at, list):
            assert last == "-" or int(last) <= len(at)
            at.insert(len(at) if last == "-" else int(last), op["value"])
        else:
            at[last] = op["value"]
    return document


POD = {"metadata": {"generateName": "cart-5d8f-", "labels": {"app": "cart", "pod-template-hash": "5d8f"},
                    "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-5d8f"}]},
       "spec": {"containers": [{"name": "cart", "image": "cart:1"}]}}


def without_workload(container):
    return {**container, "env": [e for e in container["env"] if not e["name"].startswith("WORKLOAD_")]}


def test_a_pod_gets_the_container_of_the_component(hook):
    pod = apply(POD, hook().review(POD))
    wanted = SIDECAR[0]["spec"]["template"]["spec"]
    assert [c["name"] for c in pod["spec"]["containers"]] == ["cart", "tapeloop"]
    assert without_workload(pod["spec"]["containers"][1]) == wanted["containers"][0]
    assert pod["spec"]["volumes"] == wanted["volumes"]
    assert pod["metadata"]["annotations"] == {"tapeloop.dev/injected": VERSION}
    env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][1]["env"]}
    assert (env["WORKLOAD_KIND"], env["WORKLOAD_NAME"]) == ("Deployment", "cart")


def test_a_sidecar_may_hand_over_to_its_node(hook):
    pod = apply(POD, hook(handover="/run/tapeloop/handover/handover.sock").review(POD))
    assert pod["metadata"]["annotations"] == {"tapeloop.dev/injected": VERSION, "tapeloop.dev/handover": "/run/tapeloop/handover/handover.sock"}
    made = pod["spec"]
    env = {e["name"]: e.get("value") for e in made["containers"][1]["env"]}
    assert env["TAPELOOP_HANDOVER_TO"] == "/run/tapeloop/handover/handover.sock"
    mounts = {m["name"]: m["mountPath"] for m in made["containers"][1]["volumeMounts"]}
    assert mounts["tapeloop-handover"] == "/run/tapeloop/handover" and "tapeloop-tapes" not in mounts
    assert made["volumes"][0] == {"name": "tapeloop-handover", "hostPath": {"path": "/run/tapeloop/handover", "type": "DirectoryOrCreate"}}
    assert {v["name"] for v in made["volumes"]} == set(mounts)


def test_told_to_end_it_answers_a_little_longer(hook):
    h = hook(linger="60s")
    h.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "answering a little longer" in h.log, "it was told")
    assert h.review(POD) is not None
    assert end(h.process, signal.SIGTERM) == 0, "a second signal does not wait"


def test_it_is_never_added_twice(hook):
    h = hook()
    assert h.review(apply(POD, h.review(POD))) is None
    assert h.metrics()["already"] == 1


def test_a_native_sidecar_starts_first_and_lets_a_job_end(hook):
    h = hook(native="true")
    pod = {**POD, "spec": {**POD["spec"], "restartPolicy": "Never", "initContainers": [{"name": "wait"}], "volumes": [{"name": "v"}]}}
    made = apply(pod, h.review(pod))
    assert [c["name"] for c in made["spec"]["initContainers"]] == ["tapeloop", "wait"]
    sidecar = made["spec"]["initContainers"][0]
    assert sidecar["restartPolicy"] == "Always" and sidecar["startupProbe"]["exec"]["command"][0] == "/usr/bin/tapeloop"
    assert [v["name"] for v in made["spec"]["volumes"]] == ["v"] + [v["name"] for v in SIDECAR[0]["spec"]["template"]["spec"]["volumes"]]
    assert made["spec"]["containers"] == pod["spec"]["containers"]


def test_a_recorded_review_of_a_real_api_server_gives_a_valid_pod(hook, tmp_path):
    path = SHARED / "recorded-api/admissionreview-CREATE-Pod.json"
    if not path.exists():
        pytest.skip("no ../shared/kube/recorded-api")
    status, text = hook().post(path.read_bytes())
    recorded, answer = json.loads(path.read_text())["request"], json.loads(text)["response"]
    assert status == 200 and answer["uid"] == recorded["uid"]
    pod = apply(recorded["object"], json.loads(base64.b64decode(answer["patch"])))
    assert [c["name"] for c in pod["spec"]["containers"]][-1] == "tapeloop"
    del pod["metadata"]["creationTimestamp"]  # null, which the schema does not know
    assert len(pod["spec"]["volumes"]) == len(recorded["object"]["spec"]["volumes"]) + 3
    pytest.importorskip("jsonschema", reason="python3-jsonschema is missing")
    (tmp_path / "pod.json").write_text(json.dumps(pod))
    done = run(sys.executable, SHARED / "k8s-validate.py", swagger(), tmp_path / "pod.json")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("body,status,says", [
    (b"", 400, "no JSON"),
    (b"\x00\xff" * 100, 400, "no JSON"),
    (b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}', 400, "apiVersion: expected admission.k8s.io/v1"),
    (b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', 400, "request: expected an object"),
    (b"[" * 100000, 400, "maximum parsing depth"),
    (b" " * ((4 << 20) + 1), 413, "longer than 4194304 bytes"),
], ids=["empty", "bytes", "v1beta1", "no-request", "deep", "long"])
def test_garbage_gets_a_clear_answer(hook, body, status, says):
    h = hook()
    got, text = h.post(body)
    assert got == status and says in text
    assert h.metrics()["too_long" if status == 413 else "malformed"] == 1
    assert h.review(POD)  # and the next one is served


def test_only_reviews_are_answered(hook):
    h = hook()
    assert h.post(b"{}", path="/")[0] == 404
    assert h.post(None, method="GET")[0] == 405


def test_decisions_are_counted_by_reason(hook):
    h = hook()
    h.review(POD)
    h.review({**POD, "metadata": {"annotations": {"tapeloop.dev/inject": "disabled"}}})
    h.review({**POD, "spec": {**POD["spec"], "hostNetwork": True}})
    h.review({**POD, "spec": {**POD["spec"], "restartPolicy": "OnFailure"}})
    h.review(POD, namespace="tapeloop")
    counted = h.metrics()
    assert {k: v for k, v in counted.items() if v} == {"injected": 1, "opted_out": 1, "host_network": 1, "would_not_end": 1, "ours": 1}


def test_a_new_certificate_is_taken_and_a_broken_one_is_not(hook):
    h = hook()
    old = h.context()
    make_certificate(h.certificate, "renewed")
    wait_for(lambda: "the certificate is new" in h.log, "the new certificate")
    assert h.review(POD)
    with pytest.raises(ssl.SSLError):
        h.post(b"{}", context=old)
    newest = h.context()
    broken = h.certificate / "..broken"
    broken.mkdir()
    (broken / "tls.crt").write_text("nothing")
    (broken / "tls.key").write_text("nothing")
    (h.certificate / "..data_tmp").symlink_to("..broken")
    (h.certificate / "..data_tmp").rename(h.certificate / "..data")
    wait_for(lambda: "the certificate stays as it was" in h.log, "what it says of a broken one")
    assert h.post(json.dumps({}), context=newest)[0] == 400


@pytest.mark.parametrize("env,says", [
    ({}, "webhook.image: which image"),
    ({"TAPELOOP_WEBHOOK_IMAGE": "x", "TAPELOOP_WEBHOOK_CERT": "/nonexistent"}, "webhook.cert /nonexistent: No such file"),
])
def test_what_is_missing_is_named(env, says):
    done = run(TAPELOOPD, "--config", "/dev/null", "--webhook", env={"TAPELOOP_WEBHOOK_LISTEN": "127.0.0.1:0", **env})
    assert done.returncode == 3 and says in done.stderr


def test_it_ends_when_told(hook):
    h = hook()
    assert end(h.process, signal.SIGTERM) == 0
