# SPDX-License-Identifier: Apache-2.0
"""A real control plane and a real node, brought up by ../shared/kube/kube-rig.sh in network namespaces of this machine.

`make check-kube` runs this; CI does not. There is one such cluster on a machine: a lock is held while it is up, and whatever
happens it is taken down. Without the rig, its programs or root everything here is skipped, and says so.
"""
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "kube"
WORK = pathlib.Path(os.environ.get("TK_WORK", "/tmp/tapeloop-kube"))
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
LOCK = "/tmp/kube-rig.lock"

sys.path.insert(0, str(ROOT / "tests/deploy"))


class Cluster:
    def __init__(self, env):
        self.env = env

    def rig(self, *words, timeout=180):
        # to a file: what it leaves running would hold a pipe open
        with open(WORK / "rig.log", "ab") as log:
            subprocess.run([SHARED / "kube-rig.sh", *words], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=timeout, check=True)

    def k(self, *words, input=None, check=True, fine=(0,), timeout=180):
        """kubectl in the control plane's namespace. fine: exit statuses that are no failure. Return: what it printed."""
        done = subprocess.run([SHARED / "kube-rig.sh", "k", *map(str, words)], env=self.env, input=input, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode not in fine:
            raise AssertionError(f"kubectl {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.state()}")
        return done.stdout

    def get(self, *words):
        return json.loads(self.k("get", *words, "-o", "json"))

    def apply(self, objects):
        self.k("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def state(self):
        """What stands in the way of pods that are not ready: states, events and last lines of their containers."""
        def ask(*words):
            return subprocess.run([SHARED / "kube-rig.sh", "k", *words], env=self.env, capture_output=True, text=True).stdout
        text = ask("get", "pods", "-A")
        for pod in json.loads(ask("get", "pods", "-A", "-o", "json") or '{"items": []}')["items"]:
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            for c in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", []):
                if not c["ready"] or c["name"] == "tapeloopd":
                    text += f"{namespace}/{name} {c['name']}: {c['state']}\n" + ask("-n", namespace, "logs", name, "-c", c["name"], "--tail=12")
        return text + ask("get", "events", "-A", "--sort-by=.lastTimestamp")[-2000:]

    def wait(self, check, what, seconds=120):
        """Until check() is true. Return: what it returned."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = check()
            if found:
                return found
            time.sleep(0.5)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.state()}")


def lacks():
    if os.geteuid() != 0:
        return "needs root: the rig makes network namespaces"
    if not (SHARED / "kube-rig.sh").exists():
        return "no ../shared/kube beside the project"
    missing = [p for p in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy") if not (WORK / "k8s-bin" / p).exists()]
    return f"../shared/kube/k8s-build.sh has not been run: no {', '.join(missing)}" if missing else None


@pytest.fixture(scope="session")
def cluster():
    why = lacks()
    if why:
        pytest.skip(why)
    archive = WORK / "tape-tapeloop.tar"
    subprocess.run([ROOT / "scripts/image"], env={**os.environ, "BUILD": str(BUILD), "ARCHIVE": str(archive)}, check=True, capture_output=True, cwd=ROOT)
    subprocess.run([SHARED / "images.sh"], env={**os.environ, "TK_DEB": "0"}, capture_output=True)  # its last line lists one it was told not to make
    env = {**os.environ, "TK_IMAGES": f"{WORK}/tape-bb.tar {WORK}/tape-pause.tar {archive}"}
    c = Cluster(env)
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            c.rig("up")
            c.rig("node", "1")
            c.wait(lambda: " Ready" in c.k("get", "nodes", "--no-headers", check=False), "the node is ready")
            c.wait(lambda: c.k("get", "serviceaccount", "default", check=False), "the controllers run")
            # the API server reaches services through the node's kube-proxy
            subprocess.run(["ip", "netns", "exec", "tk-cp", "ip", "route", "replace", "10.96.0.0/24", "via", "10.10.0.11"], check=True)
            yield c
        finally:
            c.rig("down")
            archive.unlink(missing_ok=True)
